"""lockfree._shared: what is worth giving up the GIL for, through cffi in API mode.

setup.py hands `ffibuilder` to setuptools. The declarations are those of the headers, between their `cdef` markers, so
they exist once; the C compiler checks them against the definitions.
"""

from __future__ import annotations

from pathlib import Path

from cffi import FFI

HERE = Path(__file__).resolve().parent
OPEN, CLOSE = "/* cdef { */", "/* } cdef */"


def declarations(header: str) -> str:
    text = (HERE / header).read_text()
    return text[text.index(OPEN) + len(OPEN) : text.index(CLOSE)]


HEADERS = ["batch.h", "drive.h"]

ffibuilder = FFI()
for name in HEADERS:
    ffibuilder.cdef(declarations(name))
ffibuilder.set_source(
    "lockfree._shared",
    "\n".join(f'#include "csrc/shared/{name}"' for name in HEADERS),
    # Relative to the root of the repository, where setuptools runs.
    sources=[
        "csrc/shared/batch.c",
        "csrc/shared/drive.c",
        "csrc/core/kcas.c",
        "csrc/core/epoch.c",
        "csrc/core/elimination.c",
        "csrc/core/wait.c",
    ],
    include_dirs=["."],
    depends=sorted(str(p.relative_to(HERE.parent.parent)) for p in HERE.parent.glob("*/*.h")),
    extra_compile_args=["-std=gnu11", "-O3", "-fvisibility=hidden"],
)
