"""Where a run ran: what a reader has to know to judge its figures."""

import datetime as dt
import importlib.metadata
import os
import platform
import sys
import sysconfig
from pathlib import Path


def build() -> str:
    """Return the version of this interpreter, `t` behind it if it is a free-threaded build."""
    return platform.python_version() + ("t" if sysconfig.get_config_var("Py_GIL_DISABLED") else "")


def cores() -> int:
    """Return how many cores this process may use."""
    return os.process_cpu_count() or 1


def facts(*packages: str) -> dict[str, str]:
    """Return machine, build, load and the packages' versions, by what they are called."""
    return {
        "Build": build(),
        "GIL": "on" if sys._is_gil_enabled() else "off",  # noqa: SLF001 - the documented way
        "Python": f"{platform.python_implementation()} {sys.version}",
        "Configured with": sysconfig.get_config_var("CONFIG_ARGS") or "unknown",
        "Machine": f"{_processor()}, {platform.machine()}",
        "Cores": str(cores()),
        "Memory": _memory(),
        "System": platform.platform(),
        "Load average": ", ".join(f"{load:.2f}" for load in os.getloadavg()),
        "Date": dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        **{package: importlib.metadata.version(package) for package in packages},
    }


def _processor() -> str:
    return _field("/proc/cpuinfo", "model name") or platform.processor() or "unknown processor"


def _memory() -> str:
    total = _field("/proc/meminfo", "MemTotal")
    return f"{int(total.split()[0]) / 2**20:.1f} GiB" if total else "unknown"


def resident_memory() -> int:
    """Return the bytes of memory that this process has in use (`VmRSS`)."""
    return int(_field("/proc/self/status", "VmRSS").split()[0]) * 1024


def peak_memory() -> int:
    """Return the most bytes that this process had in use so far (`VmHWM`)."""
    return int(_field("/proc/self/status", "VmHWM").split()[0]) * 1024


def _field(path: str, name: str) -> str:
    """Return a field of one of the kernel's lists of `name: value` lines, or nothing."""
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    pairs = (line.partition(":") for line in lines)
    return next((value.strip() for key, _, value in pairs if key.strip() == name), "")
