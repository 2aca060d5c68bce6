"""Memory that runs out, at each allocation of an operation in turn: MemoryError, and nothing has changed or is lost."""

from __future__ import annotations

from typing import Any

import pytest

from lockfree import AtomicInt, Counter, Queue, Stack
from no_memory import MOST, failing_at_each, run_without
from reagents import Ref, attempt, computed, const, post_commit, together


def test_a_long_reaction() -> None:
    """Forty words: the log, its index, the descriptor and the results all need memory."""
    refs = [Ref(i) for i in range(40)]
    add = together(*(const(1) >> each.add for each in refs))

    def unchanged() -> None:
        assert [each.get() for each in refs] == list(range(40))

    assert failing_at_each(add, unchanged) == tuple(range(40))
    assert [each.get() for each in refs] == list(range(1, 41))


@pytest.mark.parametrize("make", [Stack, Queue])
def test_a_move(make: Any) -> None:
    source, target = make(), make()
    give, take = ("push", "pop") if make is Stack else ("put", "get")
    item = object()
    getattr(source, give)(item)
    move = getattr(source, take) >> getattr(target, give)

    def unchanged() -> None:
        assert (len(source), len(target)) == (1, 0)

    failing_at_each(move, unchanged)
    assert (len(source), len(target)) == (0, 1)
    assert getattr(target, take)() is item


def test_branches() -> None:
    stack: Stack[int] = Stack()
    number, ref = AtomicInt(5), Ref(0)
    reaction = attempt(stack.pop, 3) >> number.add >> computed(lambda old: const(old) >> ref.write)

    def unchanged() -> None:
        assert (number.get(), ref.get(), len(stack)) == (5, 0, 0)

    assert failing_at_each(reaction, unchanged) == 5
    assert (number.get(), ref.get()) == (8, 5)


def test_an_action_that_finds_no_memory() -> None:
    """The reaction has happened: it is the action that fails, and it is raised as any other's failure."""
    ref, done = Ref(0), []  # type: ignore[var-annotated]
    reaction = const(1) >> ref.write >> post_commit(lambda x: done.append((x,) * 1_000))
    for n in range(MOST):
        outcome, _ = run_without(n, n + 1, reaction)
        if outcome.error is not MemoryError:
            break
        assert (ref.get(), done) == (0, [])
    assert outcome.error is ExceptionGroup
    assert (ref.get(), done) == (1, [])


def test_an_action_whose_failure_finds_no_memory() -> None:
    """It happened all the same, and all actions run; that is so much, so an error says it in any case."""
    ref, done = Ref(0), AtomicInt()
    reaction = ref.upd(lambda old, _: (old + 1, 1)) >> post_commit(len) >> post_commit(done.add)
    reached, n = True, 0
    while reached:
        before = ref.get()
        outcome, reached = run_without(n, n + 1, reaction)
        assert outcome.error in (MemoryError, ExceptionGroup) or outcome.lost, f"allocation {n}: {outcome}"
        assert ref.get() == done.get(), f"allocation {n}"
        assert ref.get() == before + 1 or outcome.error is MemoryError
        n += 1
    assert n > 3


@pytest.mark.parametrize("make", [Stack, Queue, Ref, AtomicInt, Counter])
def test_making_one(make: Any) -> None:
    failing_at_each(make, lambda: None)


def test_direct_calls() -> None:
    stack: Stack[object] = Stack()
    queue: Queue[object] = Queue()
    things = [object() for _ in range(3_000)]  # past what is kept in reserve

    def fill() -> None:
        for thing in things[len(stack) :]:
            stack.push(thing)
        for thing in things[queue.qsize() :]:
            queue.put(thing)

    def in_order() -> None:
        assert stack.snapshot()[::-1] == things[: len(stack)]

    failing_at_each(fill, in_order)
    assert stack.snapshot()[::-1] == things
    assert [queue.get() for _ in things] == things
