"""What the tests of shared memory share: a Segment of its own for each test, and other processes to meet in it."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from racing import environment

if sysconfig.get_config_var("Py_GIL_DISABLED") and sys.version_info < (3, 14):
    pytest.skip("lockfree.shm needs cffi, which does not exist for free-threaded 3.13", allow_module_level=True)

if TYPE_CHECKING:
    from lockfree.shm import Segment

_count = itertools.count()


def fresh_name() -> str:
    return f"lockfree-test-{os.getpid()}-{next(_count)}"


@contextmanager
def segment(size: int = 1 << 16) -> Iterator[Segment]:
    from lockfree.shm import Segment

    seg = Segment.create(fresh_name(), size)
    try:
        yield seg
    finally:
        with suppress(FileNotFoundError):
            seg.unlink()
        seg.close()


class Process:
    """A fresh interpreter running `code`, with `seg` attached and `arr` its array "words" of `n`.

    It says "ready" once both are there; its standard input is a pipe that the code may wait for.
    """

    def __init__(self, seg: Segment, n: int, code: str) -> None:
        prelude = f"""
import os, sys, threading, time
from lockfree.shm import Segment
seg = Segment.attach({seg.name!r})
arr = seg.array("words", "int64", {n})
print("ready", flush=True)
"""
        self.popen = subprocess.Popen(
            [sys.executable, "-c", prelude + code],
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.popen.stdout is not None
        said = self.popen.stdout.readline()
        assert said == "ready\n", said + self.popen.communicate()[1]

    def result(self, timeout: float = 60.0) -> str:
        """What it printed; fails unless it ended well."""
        assert self.popen.stdin is not None
        assert self.popen.stdout is not None
        assert self.popen.stderr is not None
        self.popen.stdin.close()
        # Not communicate(): the readline above may have taken more than its line into the stream's buffer.
        out, err = self.popen.stdout.read(), self.popen.stderr.read()
        self.popen.wait(timeout)
        self.popen.stdout.close()
        self.popen.stderr.close()
        assert self.popen.returncode == 0, f"exit code {self.popen.returncode}\n{out}\n{err}"
        return out

    def kill(self) -> None:
        self.popen.kill()
        self.popen.wait()
        for pipe in (self.popen.stdin, self.popen.stdout, self.popen.stderr):
            assert pipe is not None
            pipe.close()
