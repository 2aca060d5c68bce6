"""The types that the stubs promise: mypy finds them in typing_cases.py, and stubtest compares stubs and extension."""

from __future__ import annotations

import importlib.util
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import lockfree
import reagents
import typing_cases
from racing import environment

ROOT = Path(__file__).parent.parent

#: stubtest starts mypy, which takes the better part of a minute on a busy machine.
PATIENCE = 110

needs_mypy = pytest.mark.skipif(importlib.util.find_spec("mypy") is None, reason="mypy is not installed")

#: What cannot be said in a stub: reagent methods are descriptors of a type of their own, there properties; and what
#: need not be said: which classes have memory of their own, operators seen from the right, and the like.
BEYOND_STUBS = re.compile(
    r"cannot reconcile @property on stub with runtime object"
    r"|is a disjoint base at runtime"
    r"|__class_getitem__ is not present in stub"
    r"|Reagent\.__r(add|mul)__ is not present in stub"
    r"|Reagent cannot be subclassed at runtime"
    r"|BaseArray\.__(iter|buffer)__ is not present at runtime"
)


def run(*command: str) -> subprocess.CompletedProcess[str]:
    env = {**environment(), "MYPYPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    return subprocess.run(
        [sys.executable, *command], env=env, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE
    )


@needs_mypy
def test_mypy_finds_the_types(tmp_path: Path) -> None:
    done = run("-m", "mypy", "--strict", "--cache-dir", str(tmp_path), "tests/typing_cases.py")
    assert done.returncode == 0, done.stdout + done.stderr


@needs_mypy
def test_the_stubs_are_of_this_extension() -> None:
    done = run("-m", "mypy.stubtest", "--concise", "reagents._core")
    said = [line for line in done.stdout.splitlines() if line.startswith("reagents.")]
    assert any("Ref.read" in line for line in said), done.stdout + done.stderr  # it has looked
    wrong = [line for line in said if not BEYOND_STUBS.search(line)]
    assert not wrong, "\n".join(wrong)


def test_the_cases_do_at_run_time_what_they_say() -> None:
    typing_cases.main()


@pytest.mark.parametrize(
    ("method", "signature"),
    [
        (reagents.Endpoint.swap, "(self, x=None, /, *, timeout=None)"),
        (lockfree.Exchanger.exchange, "(self, x=None, /, *, timeout=None)"),
        (reagents.Reagent.arun, "(self, /, x=None)"),
        (reagents.catalyse, "(reagent, x=None)"),
        (reagents.Catalyst.cancel, "(self, /)"),
        (reagents.Catalyst.__exit__, "(self, exc_type=None, exc_value=None, traceback=None, /)"),
        (reagents.Transaction.read, "(self, ref, /)"),
        (reagents.Transaction.write, "(self, ref, value, /)"),
        (reagents.Transaction.block, "(self, /)"),
        (reagents.channel, "()"),
        (reagents.reagent, "(f, /)"),
    ],
)
def test_signatures(method: object, signature: str) -> None:
    assert str(inspect.signature(method)) == signature  # type: ignore[arg-type]
