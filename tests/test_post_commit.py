"""`post_commit`: actions run once, in order, after the reaction has happened, in the thread that committed it."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from lockfree import Queue, Stack
from racing import STRESS, Background, Parked, elsewhere, race
from reagents import Reagent, Ref, attempt, computed, const, guard, lift, never, post_commit


def test_passes_its_input_on_and_calls_with_it() -> None:
    calls: list[Any] = []
    assert (post_commit(calls.append) >> (lambda x: x + 1))(1) == 2
    assert calls == [1]


def test_in_order() -> None:
    calls: list[Any] = []

    def mark(name: str) -> Reagent[Any, Any]:
        return const(name) >> post_commit(calls.append)

    (mark("a") >> (mark("b") * (mark("c") + mark("not taken"))) >> computed(lambda _: mark("d")) >> mark("e"))()
    assert calls == ["a", "b", "c", "d", "e"]


def test_runs_after_the_reaction_has_happened() -> None:
    ref, seen = Ref(0), []
    (const(1) >> ref.write >> post_commit(lambda _: seen.append(elsewhere(ref.get))) >> const(2) >> ref.write)()
    assert seen == [2], "the action sees all that the reaction wrote, and so does every other thread"


def test_dropped_for_the_branch_not_taken() -> None:
    calls: list[Any] = []
    left = const("left") >> post_commit(calls.append) >> never
    right = const("right") >> post_commit(calls.append)
    (const("before") >> post_commit(calls.append) >> (left + right))()
    assert calls == ["before", "right"]


def test_dropped_where_the_whole_blocks() -> None:
    calls: list[Any] = []
    action = const(1) >> post_commit(calls.append)
    assert attempt(action >> never, "blocked")() == "blocked"
    with pytest.raises(TimeoutError):
        (action >> Queue().get)(timeout=0.01)
    assert calls == []


def test_dropped_when_a_function_raises() -> None:
    calls: list[Any] = []
    with pytest.raises(ZeroDivisionError):
        (const(0) >> post_commit(calls.append) >> (lambda x: 1 // x))()
    assert calls == []


def test_once_although_the_reaction_is_tried_again() -> None:
    ref, tries, calls = Ref(0), [], []

    def disturb(n: int) -> int:
        tries.append(n)
        if len(tries) < 3:
            elsewhere(ref.add, 10)
        return n + 1

    (ref.read >> post_commit(calls.append) >> disturb >> ref.write)()
    assert len(tries) == 3
    assert calls == [20], "only the try that happened"


def test_once_although_the_reaction_waited() -> None:
    queue, calls, parked = Queue(), [], Parked()
    waiting = Background(queue.get >> post_commit(calls.append))
    parked.wait_for()
    assert calls == []
    queue.put("item")
    assert waiting.result() == "item"
    assert calls == ["item"]


def test_in_the_thread_that_ran_the_reaction() -> None:
    def where() -> tuple[int, int]:
        seen: list[int] = []
        post_commit(lambda _: seen.append(threading.get_ident()))()
        return seen[0], threading.get_ident()

    ran, expected = elsewhere(where)
    assert ran == expected


def test_errors_are_raised_together_after_the_last() -> None:
    ref, calls = Ref(0), []

    def fail(error: Exception) -> Reagent[Any, Any]:
        def action(_: Any) -> None:
            calls.append(str(error))
            raise error

        return post_commit(action)

    reaction = (
        const(1) >> ref.write >> fail(ValueError("first")) >> post_commit(calls.append) >> fail(KeyError("second"))
    )
    with pytest.raises(ExceptionGroup) as caught:
        reaction()
    assert [type(error) for error in caught.value.exceptions] == [ValueError, KeyError]
    assert calls == ["first", 1, "'second'"], "an error does not keep the later actions from running"
    assert ref.get() == 1, "and the reaction has happened"


def test_a_single_error_is_a_group_too() -> None:
    with pytest.raises(ExceptionGroup) as caught:
        post_commit(lambda x: 1 // x)(0)
    (error,) = caught.value.exceptions
    assert isinstance(error, ZeroDivisionError)


def test_an_interrupt_in_an_action_is_not_swallowed() -> None:
    calls: list[Any] = []

    def interrupt(_: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises((KeyboardInterrupt, BaseExceptionGroup)) as caught:
        (const(1) >> post_commit(interrupt) >> post_commit(calls.append))()
    error = caught.value
    assert isinstance(error, KeyboardInterrupt) or isinstance(error.exceptions[0], KeyboardInterrupt)
    assert calls == [1]


def test_an_action_may_run_reagents() -> None:
    queue, log = Queue(), Stack()
    copy = queue.get >> post_commit(log.push) >> post_commit(lambda x: (const(x) >> post_commit(log.push))())
    queue.put("item")
    assert copy() == "item"
    assert log.snapshot() == ["item", "item"]


def test_on_a_single_operation() -> None:
    """A reaction of one compare-and-set must not forget its actions."""
    ref, stack, calls = Ref(0), Stack([1]), []
    (ref.cas(0, 1) >> post_commit(lambda _: calls.append("cas")))()
    (ref.read >> post_commit(lambda _: calls.append("read")))()
    (stack.pop >> post_commit(lambda _: calls.append("pop")))()
    (ref.add >> post_commit(lambda _: calls.append("add")))(1)
    (lift(lambda x: x) >> post_commit(lambda _: calls.append("no word at all")))()
    assert calls == ["cas", "read", "pop", "add", "no word at all"]


def test_once_for_each_reaction_under_contention() -> None:
    ref, rounds = Ref(0), 1_000 * STRESS

    def worker() -> list[int]:
        done: list[int] = []
        reaction = ref.upd(lambda n, _: (n + 1, n)) >> post_commit(done.append) >> guard(lambda n: n >= 0)
        for _ in range(rounds):
            reaction()
        return done

    results = race(worker, worker, worker)
    assert all(done == sorted(done) for done in results)
    assert sorted(n for done in results for n in done) == list(range(3 * rounds))
