"""What pyproject.toml cannot say: the C extensions, and requirements that depend on the interpreter."""

from __future__ import annotations

import sys
from glob import glob
from importlib.util import find_spec
from os.path import dirname, exists, join

from setuptools import Extension, setup

sys.path.insert(0, join(dirname(__file__) or ".", "build_backend"))
from reagents_build import CFFI, FREE_THREADED_313

SHARED = "csrc/shared/build_shared.py"

#: The part of csrc/shared that the extension binds; the rest goes into lockfree._shared.
FACE = [f"csrc/shared/{name}.c" for name in ("segment", "slots", "mapping", "array", "shared_word")]

core = Extension(
    "reagents._core",
    sources=sorted(glob("csrc/objects/*.c") + glob("csrc/core/*.c") + FACE),
    depends=sorted(glob("csrc/*/*.h")),
    include_dirs=["csrc/core", "csrc/objects"],
    # shm_open lives in librt until glibc 2.34.
    libraries=["rt"] if sys.platform.startswith("linux") else [],
    # gnu11: C11 and the POSIX calls that strict c11 hides.
    extra_compile_args=["-std=gnu11", "-O3", "-fvisibility=hidden"],
)

# hypothesis after 6.140 is built from Rust where it has no wheel, and it has none for 3.13t.
hypothesis = "hypothesis>=6.100,<6.141" if FREE_THREADED_313 else "hypothesis>=6.100"

# Without cffi (free-threaded 3.13, or a build without isolation) all but lockfree.shm is there.
shared = {"cffi_modules": [f"{SHARED}:ffibuilder"]} if CFFI and find_spec("cffi") and exists(SHARED) else {}

setup(
    ext_modules=[core],
    install_requires=CFFI,
    extras_require={
        "test": ["pytest>=8", hypothesis, "pytest-timeout>=2.3", "trio>=0.25"],
        "bench": ["asv>=0.6.4", "virtualenv"],
        "demo": [],
    },
    **shared,
)
