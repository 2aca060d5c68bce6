"""`lockfree.shm` in one process: making, opening and closing segments, and the arrays in them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from racing import race, run_python
from segments import fresh_name, segment

from lockfree.shm import Array, Segment  # isort: skip  (after the skip in `segments`)


def test_arrays() -> None:
    with segment() as seg:
        first = seg.array("one", "int64", 3)
        first[0] = 1
        second = seg.array("two é", "int64", 3)
        assert list(second) == [0, 0, 0]
        again = seg.array("one", "int64", 3)
        assert again[0] == 1
        assert again.name == first.name == "one"
        assert repr(second) == "<lockfree.shm.Array 'two é': 3 of int64>"
        with pytest.raises(ValueError, match="'one' has 3 items of int64, not 4 of int64"):
            seg.array("one", "int64", 4)
        with pytest.raises(ValueError, match=r"'one'.*'int64'.*'float64'"):
            seg.array("one", "float64", 3)
        with pytest.raises(ValueError, match=r"it needs 8 \* 1000000 bytes, and the Segment has \d+ left"):
            seg.array("big", "int64", 1_000_000)
        for name in ("", "x" * 85, "a\0b"):
            with pytest.raises(ValueError, match="1 to 84 bytes"):
                seg.array(name, "int64", 1)
        for n in (0, -1):
            with pytest.raises(ValueError, match="at least one item"):
                seg.array("none", "int64", n)
        mistyped: list[Any] = [(1, "int64", 1), ("a", 1, 1), ("a", "int64", 1.5), ("a", "int64", None)]
        for wrong in mistyped:
            with pytest.raises(TypeError):
                seg.array(*wrong)
        seg.array("x" * 84, "int64", 1)


def test_as_many_arrays_as_fit() -> None:
    with segment(1 << 16) as seg:
        arrays = [seg.array(f"array {i}", "int64", 1) for i in range(128)]
        for i, arr in enumerate(arrays):
            arr[0] = i
        with pytest.raises(ValueError, match="holds 128 arrays"):
            seg.array("one more", "int64", 1)
        assert [seg.array(f"array {i}", "int64", 1)[0] for i in range(128)] == list(range(128))


def test_all_threads_get_the_same_array() -> None:
    with segment() as seg:

        def open_all() -> None:
            for i in range(30):
                seg.array(f"array {i}", "int64", 1).add(0, 1)

        race(*[open_all] * 4)
        assert [seg.array(f"array {i}", "int64", 1)[0] for i in range(30)] == [4] * 30
        for i in range(98):
            seg.array(f"more {i}", "int64", 1)
        with pytest.raises(ValueError, match="holds 128 arrays"):
            seg.array("one more", "int64", 1)


def test_create_attach_unlink() -> None:
    name = fresh_name()
    with pytest.raises(FileNotFoundError, match=name):
        Segment.attach(name)
    with Segment.create(name, 1000) as seg:
        assert seg.name == name
        assert seg.size >= 1000
        assert name in repr(seg)
        arr = seg.array("words", "int64", 2)
        with pytest.raises(FileExistsError, match=name):
            Segment.create(name)
    assert seg.closed
    assert "closed" in repr(seg)
    arr[0] = 4
    assert arr[0] == 4, "arrays outlive the Segment they came from"
    calls: list[Callable[[], Any]] = [
        lambda: seg.array("words", "int64", 2),
        lambda: seg.size,
        seg.__enter__,
        seg.recover,
    ]
    for call in calls:
        with pytest.raises(ValueError, match="is closed"):
            call()
    with Segment.attach(name) as again:
        assert again.array("words", "int64", 2)[0] == 4, "closing is not unlinking"
    seg.unlink()
    with pytest.raises(FileNotFoundError):
        seg.unlink()
    with Segment.create(name) as other:
        with pytest.raises(FileNotFoundError):
            seg.unlink()  # the name is another memory's now
        other.unlink()


def test_bad_arguments() -> None:
    for name in ("", "a/b", "/a", "a\0b", "x" * 251):
        for call in (Segment.create, Segment.attach):
            with pytest.raises(ValueError, match="the name of a Segment"):
                call(name)
    for wrong in (None, 1, b"name"):
        with pytest.raises(TypeError):
            Segment.create(wrong)  # type: ignore[arg-type]
    for size, error in ((0, ValueError), (-1, ValueError), (1.5, TypeError), ("1", TypeError), (2**64, OverflowError)):
        with pytest.raises(error):
            Segment.create(fresh_name(), size)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"Segment\.create"):
        Segment()
    name = fresh_name()
    with pytest.raises(OSError, match=re.escape(name)):
        Segment.create(name, 1 << 46)
    with pytest.raises(FileNotFoundError):
        Segment.attach(name)


def test_something_else_of_that_name() -> None:
    from multiprocessing.shared_memory import SharedMemory

    for size, content in ((100, b"x"), (1 << 20, b"something"), (1 << 20, b"")):
        memory = SharedMemory(create=True, size=size)
        buffer: Any = memory.buf
        buffer[: len(content)] = content
        del buffer
        try:
            with pytest.raises(ValueError, match=f"{memory.name}.* (not a|no) Segment"):
                Segment.attach(memory.name.lstrip("/"))
        finally:
            memory.close()
            memory.unlink()


def test_array_is_made_by_its_segment_only() -> None:
    with segment() as seg:
        with pytest.raises(TypeError):
            Array()  # type: ignore[call-arg]
        with pytest.raises(TypeError):
            Array(seg, "words", 2)  # type: ignore[arg-type]


def test_the_reason_when_cffi_is_missing() -> None:
    run_python(
        """
import sys
sys.modules["_cffi_backend"] = None
sys.modules["lockfree._shared"] = None
try:
    import lockfree.shm
except ImportError as error:
    assert "needs cffi" in str(error) and "3.13" in str(error), error
else:
    raise AssertionError("imported")
import lockfree
"""
    )


def test_the_gil_stays_off() -> None:
    run_python(
        """
import sys
free = hasattr(sys, "_is_gil_enabled") and not sys._is_gil_enabled()
import lockfree.shm
assert not free or not sys._is_gil_enabled()
""",
        "-W",
        "error",
    )
