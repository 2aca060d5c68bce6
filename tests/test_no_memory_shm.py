"""Memory that runs out, at each allocation of each operation on a Segment: it happens as it should, or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from no_memory import MOST, Case, check, run_without
from reagents import stats
from segments import fresh_name

from lockfree.shm import Segment  # isort: skip  (after the skip in `segments`)

BIG = 10**12  # past the integers that are there already
N = 12


@pytest.fixture
def segments() -> Iterator[list[Segment]]:
    """Those that the cases of a test have made, to be removed at its end."""
    made: list[Segment] = []
    yield made
    for seg in made:
        with suppress(FileNotFoundError):
            seg.unlink()
        seg.close()


def made(segments: list[Segment]) -> Segment:
    segments.append(Segment.create(fresh_name(), 1 << 14))
    return segments[-1]


def array_of(segments: list[Segment]) -> Any:
    arr = made(segments).array("words", "int64", N)
    for i in range(N):
        arr[i] = BIG
    return arr


def exists(name: str) -> bool:
    try:
        Segment.attach(name).close()
    except FileNotFoundError:
        return False
    return True


# ---- segments --------------------------------------------------------------------------------------


def create(segments: list[Segment], suffix: str = "") -> Case:
    """After a failure the name is free, or the next one would find it taken."""

    def case(token: Any) -> Any:
        name = fresh_name() + suffix
        return lambda: segments.append(Segment.create(name, 1 << 14)), lambda: exists(name)

    return case


def create_with_a_name_to_encode(segments: list[Segment]) -> Case:
    return create(segments, "-ä")


def attach(segments: list[Segment]) -> Case:
    def case(token: Any) -> Any:
        name = made(segments).name
        return lambda: Segment.attach(name).size, lambda: exists(name)

    return case


def new_array(segments: list[Segment]) -> Case:
    def case(token: Any) -> Any:
        seg = made(segments)
        return lambda: tuple(seg.array("new", "int64", 3)), lambda: None  # type: ignore[call-overload]

    return case


def unlink(segments: list[Segment]) -> Case:
    def case(token: Any) -> Any:
        seg = made(segments)
        return seg.unlink, lambda: exists(seg.name)

    return case


def others(segments: list[Segment]) -> Case:
    def case(token: Any) -> Any:
        seg = made(segments)
        return lambda: (seg.recover(), seg.size, seg.closed, repr(seg) is None), lambda: exists(seg.name)

    return case


@pytest.mark.parametrize("make", [create, create_with_a_name_to_encode, attach, new_array, unlink, others])
def test_segment(make: Any, segments: list[Segment]) -> None:
    check(make(segments))


def test_an_array_that_found_no_memory_is_not_there(segments: list[Segment]) -> None:
    """Another length may be asked for under its name."""
    for n in range(MOST):
        seg = made(segments)
        outcome, _ = run_without(n, n + 1, lambda seg=seg: seg.array("new", "int64", 3))
        if outcome.error is None:
            return
        assert outcome.error is MemoryError
        assert len(seg.array("new", "int64", 5)) == 5
    raise AssertionError("allocations fail for ever")


# ---- arrays and words ------------------------------------------------------------------------------


# Made here, not in the operations: CPython 3.12 and 3.13 crash where a function is made and there is no memory for it.
def doubled(old: int) -> int:
    return old * 2


def added(old: int, x: int) -> tuple[int, int]:
    return old + x, old


def taken(old: int, x: int) -> tuple[int, int]:
    return old - x, x


OPERATIONS: dict[str, Callable[[Any], Any]] = {
    "item": lambda a: a[3],
    "item assigned": lambda a: a.__setitem__(3, BIG + 1),
    "add": lambda a: a.add(3, BIG),
    "add beyond a word": lambda a: a.add(3, 2**62 - 1),
    "compare_and_set": lambda a: a.compare_and_set(3, BIG, BIG + 1),
    "kcas": lambda a: a.kcas(((0, BIG, BIG + 1), (1, BIG, BIG + 2), (2, BIG, BIG))),
    "kcas that fails": lambda a: a.kcas(((0, BIG, BIG + 1), (1, 5, 6))),
    "add_many": lambda a: a.add_many(((0, BIG), (1, 1), (-1, BIG))),
    "iteration": lambda a: sum(a),
    "len and repr": lambda a: (len(a), repr(a), a.name),
    "buffer": lambda a: memoryview(a)[3],
    "Word.get": lambda a: (a.at(3).get(), int(a.at(3)), a.at(3).__index__(), repr(a.at(3))),
    "Word.set": lambda a: a.at(3).set(BIG + 1),
    "Word.swap": lambda a: a.at(3).swap(BIG + 1),
    "Word.add": lambda a: a.at(3).add(BIG),
    "Word.compare_and_set": lambda a: a.at(3).compare_and_set(BIG, BIG + 1),
    "Word.update": lambda a: a.at(3).update(doubled),
    "Word.cas": lambda a: a.at(3).cas(BIG, BIG + 1)(),
    "Word.upd": lambda a: a.at(3).upd(added)(BIG),
    "transfer": lambda a: (a.at(0).upd(taken) >> a.at(1).add >> a.at(2).read)(BIG),
    "twelve words": lambda a: _chain(a)(1),
    "blocked": lambda a: (a.at(0).swap >> a.at(1).cas(1, 2))(timeout=1e-6),
    "blocked choice": lambda a: (a.at(0).cas(1, 2) + a.at(1).cas(1, 2))(timeout=0),
}


def _chain(arr: Any) -> Any:
    reaction = arr.at(0).add
    for i in range(1, N):
        reaction = reaction >> arr.at(i).add
    return reaction


@pytest.mark.parametrize("name", OPERATIONS)
def test_operation(name: str, segments: list[Segment]) -> None:
    def case(token: Any) -> Any:
        arr = array_of(segments)
        return lambda: OPERATIONS[name](arr), lambda: (tuple(arr), stats()["waiting"])

    check(case)


def test_kcas_many(segments: list[Segment]) -> None:
    """A batch is not atomic: where there is no memory to say which of them happened, they have happened."""
    batch = (((0, BIG, BIG + 1), (1, BIG, 2)), ((0, 5, 6),), ((1, 2, 3),))
    before = (BIG,) * N
    after = (BIG + 1, 3, *before[2:])
    for n in range(MOST):
        arr = array_of(segments)
        outcome, reached = run_without(n, n + 1, lambda arr=arr: arr.kcas_many(batch))
        assert tuple(arr) in ((before, after) if outcome.error is MemoryError else (after,))
        if not reached:
            assert outcome.value == [True, False, True]
            return
    raise AssertionError("allocations fail for ever")
