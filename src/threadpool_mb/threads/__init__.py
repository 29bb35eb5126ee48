"""Threads: what runs on one, waits and circles of them, starting, sharing, reusing, exit."""
