"""What this tour runs on, in one line."""

from __future__ import annotations

import os
import platform
import sys
import sysconfig


def cores() -> int:
    """The processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def gil() -> str:
    """Whether threads of this interpreter run Python at the same time."""
    if not sysconfig.get_config_var("Py_GIL_DISABLED"):
        return "with the GIL"
    # Added in 3.13, as the first free-threaded builds were.
    enabled = getattr(sys, "_is_gil_enabled", lambda: True)()
    return "free-threaded, but the GIL is on" if enabled else "free-threaded, the GIL is off"


def describe() -> str:
    count = cores()
    return (
        f"{platform.python_implementation()} {platform.python_version()}, {gil()}; "
        f"{count} core{'' if count == 1 else 's'}; {platform.system()} {platform.machine()}"
    )
