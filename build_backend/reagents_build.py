"""setuptools' build backend, and what this interpreter needs to build and to run the package.

cffi is wanted wherever it installs, which is everywhere but on free-threaded 3.13. An environment
marker cannot see free-threading, so the requirements are computed: the build's here, those of
running and testing in setup.py. A wheel is made for one interpreter, so its metadata are right.
"""

from __future__ import annotations

import sys
import sysconfig
from typing import Any

from setuptools import build_meta
from setuptools.build_meta import *  # noqa: F403  (the hooks that stay as they are)

FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
FREE_THREADED_313 = FREE_THREADED and sys.version_info < (3, 14)

CFFI = [] if FREE_THREADED_313 else ["cffi>=2"]

Settings = dict[str, Any] | None


def get_requires_for_build_wheel(config_settings: Settings = None) -> list[str]:
    return [*build_meta.get_requires_for_build_wheel(config_settings), *CFFI]


def get_requires_for_build_editable(config_settings: Settings = None) -> list[str]:
    return [*build_meta.get_requires_for_build_editable(config_settings), *CFFI]
