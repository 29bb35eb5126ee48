"""Observers that tell other libraries: OpenTelemetry, Prometheus, structlog.

Each is in a module of its own, which needs that library: `threadpool-mb[opentelemetry]`,
`threadpool-mb[prometheus]`, `threadpool-mb[structlog]`. None is imported from here.
"""
