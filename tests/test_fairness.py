"""A long reaction beside short ones in hot loops comes to its end: after some lost races the others give way.

What is asserted is that it happens, and within how many tries; never how long it takes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from lockfree import AtomicInt, Queue
from racing import PATIENCE, STRESS, Background, soon
from reagents import Reagent, Ref, const, reagent, stats, together

REFS = 10

# Without anybody giving way such a reaction loses thousands of races, mostly all of them.
MOST_TRIES = 400


class Hot:
    """Threads that change all words again and again, until the block ends."""

    def __init__(self, step: Callable[[int], object], threads: int = 2) -> None:
        self._over = threading.Event()
        self.rounds = [0] * threads
        self._threads = [Background(self._run, step, k) for k in range(threads)]

    def _run(self, step: Callable[[int], object], k: int) -> None:
        i = 0
        while not self._over.is_set():
            step(i)
            i += 1
            self.rounds[k] = i

    def go_on(self) -> None:
        """All of them get further than they are now."""
        before = list(self.rounds)
        soon(lambda: all(now > was + 100 for now, was in zip(self.rounds, before, strict=True)), "all go on")

    def __enter__(self) -> Hot:
        self.go_on()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.result()


def slow(tries: list[int]) -> Callable[[Any], Any]:
    """Some work in the middle, so that the others are faster."""

    def work(x: Any) -> Any:
        tries.append(1)
        sum(range(300))
        return x

    return work


def long_update(refs: list[Ref[int]], tries: list[int]) -> Reagent[Any, Any]:
    first, *rest = [r.upd(lambda n, _: (n + 1, None)) for r in refs]
    long: Reagent[Any, Any] = (lambda x: x) >> first >> slow(tries)
    for step in rest:
        long = long >> step >> (lambda x: sum(range(100)) and x)
    return long


def long_read(refs: list[Ref[int]], tries: list[int]) -> Reagent[Any, Any]:
    work = slow(tries)
    half = len(refs) // 2
    return (together(*[r.read for r in refs[:half]]) >> work) * together(*[r.read for r in refs[half:]]) >> work


def long_direct(refs: list[Ref[int]], tries: list[int]) -> Reagent[Any, Any]:
    work = slow(tries)

    @reagent
    def long(tx: Any, _: Any) -> Any:
        for r in refs:
            tx.write(r, tx.read(r) + 1)
        work(None)

    return long


@pytest.mark.parametrize("kind", [long_update, long_read, long_direct])
def test_a_long_reaction_completes(kind: Callable[[list[Ref[int]], list[int]], Reagent[Any, Any]]) -> None:
    refs = [Ref(0) for _ in range(REFS)]
    tries: list[int] = []
    long = kind(refs, tries)
    with Hot(lambda i: refs[i % REFS].add(1)) as hot:
        for _ in range(5 * STRESS):
            before = len(tries)
            Background(long).result(PATIENCE)
            assert len(tries) - before <= 2 * MOST_TRIES
            hot.go_on()  # nobody is elder any more: nobody gives way for ever
    written = 0 if kind is long_read else 5 * STRESS * REFS
    assert sum(r.get() for r in refs) == sum(hot.rounds) + written
    assert stats()["waiting"] == 0, "the elder counts as one while it is"


def test_several_long_reactions_complete() -> None:
    """One is the elder at a time, and each comes to it."""
    refs = [Ref(0) for _ in range(REFS)]
    each = 3 * STRESS
    with Hot(lambda i: refs[i % REFS].add(1)):
        runs = [Background(lambda: [long_update(refs, [])() for _ in range(each)]) for _ in range(3)]
        for run in runs:
            run.result()
    assert stats()["waiting"] == 0


@pytest.mark.parametrize("how", ["composed", "update", "of another kind", "queue"])
def test_whatever_the_others_do(how: str) -> None:
    """Each way to change a word gives way."""
    refs = [Ref(0) for _ in range(REFS)]
    number, queue = AtomicInt(0), Queue[int]()
    tries: list[int] = []
    step: Callable[[int], object] = {
        "composed": lambda i: (const(1) >> refs[i % REFS].add >> refs[(i + 1) % REFS].add)(),
        "update": lambda i: refs[i % REFS].update(lambda n: n + 1),
        "of another kind": lambda i: (number.add(1), number.compare_and_set(number.get(), i), refs[0].set(i)),
        "queue": lambda i: (queue.put(i), queue.get_nowait()) if i % 2 else refs[i % REFS].swap(i),
    }[how]
    long = (number.read * long_update(refs, tries)) >> (lambda x: sum(range(300)) and x)
    if how == "queue":
        long = (queue.put >> long) >> queue.get
    with Hot(step, threads=1 if how == "queue" else 2) as hot:
        for _ in range(3 * STRESS):
            before = len(tries)
            Background(lambda: long(0)).result(PATIENCE)
            assert len(tries) - before <= 2 * MOST_TRIES
            hot.go_on()
    assert stats()["waiting"] == 0


def test_an_elder_that_fails_or_blocks_resigns() -> None:
    refs = [Ref(0) for _ in range(REFS)]

    class Enough(Exception):
        pass

    for end in ("error", "block"):
        tries: list[int] = []

        def work(x: Any, end: str = end, tries: list[int] = tries) -> Any:
            tries.append(1)
            sum(range(300))
            # Stale by its own doing, so that it loses for certain, until it is the elder many times over.
            if len(tries) < 40:
                Background(refs[0].add, 1).result()
            elif end == "error":
                raise Enough
            return x

        blocked = together(*[r.read for r in refs]) >> work
        log = Ref(0)
        with Hot(lambda i, log=log: log.add(1)) as hot:
            if end == "error":
                with pytest.raises(Enough):
                    (blocked >> refs[1].write)()
            else:
                with pytest.raises(TimeoutError):
                    (blocked >> log.cas(-1, 0))(timeout=0.05)
            hot.go_on()
        assert len(tries) >= 40
        assert stats()["waiting"] == 0
