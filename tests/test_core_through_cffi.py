"""csrc/core driven through cffi: threads run it truly in parallel, with a GIL too, and it needs no Python."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from racing import STRESS, Background, race, soon
from segments import segment

from lockfree import _shared  # isort: skip  (after the skip in `segments`)

ffi: Any = _shared.ffi
lib: Any = _shared.lib


@pytest.fixture
def domain() -> Iterator[int]:
    d = lib.dr_open()
    assert d
    yield d
    lib.dr_close(d)


def words(n: int, *values: int) -> Any:
    return ffi.new("int64_t[]", list(values) + [0] * (n - len(values)))


def test_calls_run_in_parallel() -> None:
    """Each of two calls waits, in C, until the other one is there too."""
    meeting = words(1)
    first = Background(lib.dr_meet, meeting, 2, 30.0)
    assert lib.dr_meet(meeting, 2, 30.0) == 1
    assert first.result() == 1


def test_kcas(domain: int) -> None:
    place, w = (domain, 0), words(3, 1, 2, 3)

    def kcas(*entries: tuple[int, int, int]) -> int:
        n = len(entries)
        return int(
            lib.dr_kcas(
                place, n, [w + i for i, _, _ in entries], [o for _, o, _ in entries], [v for _, _, v in entries]
            )
        )

    assert kcas((0, 1, 10), (1, 2, 20)) == 1
    assert list(w) == [10, 20, 3]
    assert kcas((0, 10, 0), (2, 4, 0)) == 0
    assert kcas((0, 10, 0), (2, 3, 3)) == 1, "the second is only compared"
    assert kcas((0, 0, 5), (2, 4, 4)) == 0
    assert kcas((1, 20, 20), (2, 3, 3)) == 1
    assert kcas((2, 3, -3)) == 1
    assert kcas() == 1
    assert lib.dr_cas(place, w, 0, -1) == 1
    assert lib.dr_cas(place, w, 0, -2) == 0
    assert [lib.dr_read(place, w + i) for i in range(3)] == list(w) == [-1, 20, -3]


@pytest.mark.parametrize("n", [1, 2, 4, 16])
def test_counting_by_kcas(domain: int, n: int) -> None:
    w, times = words(n), 20_000 * STRESS
    race(*[lambda: lib.dr_count((domain, 0), w, n, times)] * 3)
    assert list(w) == [3 * times] * n


def test_transfers_beside_an_auditor(domain: int) -> None:
    w, place = words(4, 1000), (domain, 0)
    wrong = race(
        *[lambda seed=seed: lib.dr_transfer(place, w, 4, 30_000 * STRESS, seed) for seed in range(2)],
        lambda: lib.dr_audit(place, w, 4, 1000, 3_000 * STRESS),
    )[2]
    assert wrong == 0
    assert sum(w) == 1000


def test_transfers_in_a_segment() -> None:
    with segment() as seg:
        arr = seg.array("words", "int64", 4)
        arr[2] = 1000
        w, place = ffi.cast("int64_t *", arr._start), (0, seg._open().handle)

        def by_python() -> None:
            for _ in range(300):
                while True:
                    a, b = arr[0], arr[1]
                    if arr.kcas([(0, a, a + 1), (1, b, b - 1)]):
                        break

        results = race(
            lambda: lib.dr_transfer(place, w, 4, 30_000 * STRESS, 1),
            lambda: lib.dr_audit(place, w, 4, 1000, 1_000 * STRESS),
            by_python,
        )
        assert results[1] == 0
        assert sum(arr) == 1000


@pytest.mark.parametrize("kind", ["stack", "queue"])
def test_conservation(domain: int, kind: str) -> None:
    """Nothing lost, nothing twice; from a queue, what one producer put arrives in its order."""
    new, free = getattr(lib, f"dr_{kind}_new"), getattr(lib, f"dr_{kind}_free")
    put = lib.dr_stack_push if kind == "stack" else lib.dr_queue_put
    take = lib.dr_stack_pop if kind == "stack" else lib.dr_queue_get
    thing, each, producers, consumers = new(domain), 20_000 * STRESS, 2, 2
    left = [producers]

    def produce(who: int) -> None:
        for start in range(0, each, 1000):
            assert put(domain, thing, who << 32 | start, 1000)
        left[0] -= 1

    def consume() -> list[int]:
        out, got = words(500), []
        while True:
            last = left[0] <= 0
            n = take(domain, thing, 500, out)
            got += list(out[0:n])
            if last and not n:
                return got
            if not n:
                time.sleep(0.001)

    lock_free_parts = race(
        *[lambda who=who: produce(who) for who in range(producers)], *[consume for _ in range(consumers)]
    )
    got = lock_free_parts[producers:]
    assert Counter(x for part in got for x in part) == Counter(
        who << 32 | i for who in range(producers) for i in range(each)
    )
    if kind == "queue":
        for part in got:
            for who in range(producers):
                mine = [x for x in part if x >> 32 == who]
                assert mine == sorted(mine)
    free(domain, thing)


def test_threads_leave_the_domain_when_they_end(domain: int) -> None:
    assert lib.dr_enter((domain, 0)) == 0
    barrier = threading.Barrier(8)
    slots: list[int] = []

    def enter() -> None:
        slots.append(lib.dr_enter((domain, 0)))
        barrier.wait()

    race(*[enter] * 8)
    assert sorted(slots) == list(range(1, 9))
    # Until 3.12 a join may return just before the thread has ended.
    soon(lambda: lib.dr_active(domain) == 1, "the end of the threads")
    assert Background(lib.dr_enter, (domain, 0)).result() == 1, "slots are used again, the lowest first"
