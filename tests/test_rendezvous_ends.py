"""Rendezvous that come to nothing, or to an end that nobody wishes: what is told, to whom, and that nothing is kept."""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from lockfree import Queue, Stack
from racing import PATIENCE, parked, settle, soon
from reagents import (
    Ref,
    attempt,
    catalyse,
    channel,
    computed,
    const,
    guard,
    lift,
    never,
    post_commit,
    reagent,
    stats,
)
from reagents._core import Pending


def raising(error: type[BaseException]) -> Callable[[Any], Any]:
    def function(x: Any) -> Any:
        raise error(x)

    return function


# ---- attempt and partners --------------------------------------------------------------------------------


def test_attempt_does_not_wait_for_what_its_partner_lacks() -> None:
    left, right = channel()
    other, dual = channel()
    partner = parked(right.swap >> other.swap, "there")
    assert attempt(left.swap, "nothing")("here", timeout=PATIENCE) == "nothing"
    both = (const(1) >> left.swap) * (const(2) >> dual.swap)
    assert both(timeout=PATIENCE) == ("there", 1)
    assert partner.result() == 2


def test_attempt_does_not_wait_for_a_partner_that_refuses_what_comes_last() -> None:
    left, right = channel()
    more, less = channel()
    go = Ref(False)
    open_ = go.upd(lambda now, x: (now, x)) >> guard(lambda x: go.get())
    partner = parked(right.swap >> more.swap >> open_, "there")
    helper = parked(less.swap, "help")
    assert attempt(left.swap, "nothing")("here", timeout=PATIENCE) == "nothing"
    go.set(True)
    assert left.swap("here", timeout=PATIENCE) == "there"
    assert (partner.result(), helper.result()) == ("help", "here")


def test_attempt_never_says_nothing_of_what_was_there() -> None:
    """The partner would take None, but there is an item: so they never come together."""
    left, right = channel()
    items = Stack(["item"])
    partner = parked(right.swap >> right.swap >> guard(lambda x: x is None))
    with pytest.raises(TimeoutError):
        (left.swap >> attempt(items.pop) >> left.swap)(timeout=0.01)
    assert items.snapshot() == ["item"]
    items.pop()
    assert (left.swap >> attempt(items.pop) >> left.swap)("x", timeout=PATIENCE) == "x"
    assert partner.result() is None


def test_what_attempt_came_through_to_is_not_taken_for_blocked() -> None:
    left, right = channel()
    partner = parked(right.swap, "there")
    with pytest.raises(TimeoutError):
        (attempt(left.swap, "nothing") >> guard(lambda x: x == "nothing"))("here", timeout=0.01)
    assert left.swap("here", timeout=PATIENCE) == "there"
    assert partner.result() == "here"


# ---- the search starts again, deeper ---------------------------------------------------------------------


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0), (2, 0, 1)])
def test_what_was_written_before_the_first_swap_counts_once(order: tuple[int, ...]) -> None:
    """However often the search for the three starts again."""
    channels = [channel() for _ in range(3)]
    number, queue, stack = Ref(0), Queue[Any](), Stack[Any]()
    adds: Any = number.upd(lambda n, x: (n + 1, x))
    puts: Any = lift(lambda x: x) >> (queue.put * stack.push * lift(lambda x: x)) >> (lambda results: results[-1])
    parties = [adds >> puts >> channels[i][0].swap * channels[i - 1][1].swap for i in order]
    waiting = [parked(r, i) for i, r in enumerate(parties[:2])]
    parties[2](2, timeout=PATIENCE)
    assert [thread.result() is not None for thread in waiting] == [True, True]
    assert number.get() == 3
    assert sorted(queue.get_nowait() for _ in range(3)) == sorted(stack.snapshot()) == [0, 1, 2]
    assert queue.empty()


def test_the_alternatives_of_a_partner_are_within_the_bound_of_the_search() -> None:
    """Else there would be a million of them here, and each more would double that."""
    left, right = channel()
    tries = 0

    def count(x: Any) -> Any:
        nonlocal tries
        tries += 1
        return x

    refuses: Any = right.swap
    for _ in range(20):
        refuses = refuses >> (lift(count) + lift(count))
    partner = parked(refuses >> guard(lambda x: x == "mine"))
    with pytest.raises(TimeoutError):
        left.swap("not mine", timeout=0)
    assert 0 < tries < 100_000
    assert left.swap("mine", timeout=PATIENCE) is None
    assert partner.result() == "mine"


# ---- the other endpoint goes -----------------------------------------------------------------------------


def test_an_endpoint_that_goes_during_the_search_is_noticed() -> None:
    """After the search for a partner there, and before the registration."""
    left, right = channel()
    ends = [right]
    del right
    with pytest.raises(RuntimeError, match="collected"):
        (left.swap + (lift(lambda x: ends.clear()) >> never))(timeout=PATIENCE)
    assert stats()["waiting"] == 0


def test_an_endpoint_that_goes_wakes_who_waits() -> None:
    left, right = channel()
    waits = parked(left.swap)
    del right
    with pytest.raises(RuntimeError, match="collected"):
        waits.result()


# ---- whose error it is -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bad",
    [computed(lambda x: 5), Ref(0).upd(lambda now, x: 5), lift(raising(LookupError)), computed(raising(LookupError))],
    ids=["no reagent", "no pair", "raises", "raises where it computes"],
)
def test_every_error_is_that_of_the_party_whose_function_it_is(bad: Any) -> None:
    left, right = channel()
    culprit = parked(right.swap >> bad)
    with pytest.raises(TimeoutError):
        left.swap(timeout=0.01)
    with pytest.raises((TypeError, LookupError)):
        culprit.result()
    assert stats()["waiting"] == 0


def test_an_interrupt_is_that_of_the_thread_it_comes_to() -> None:
    """In an action of the partner's, too."""
    left, right = channel()
    partner = parked(right.swap >> post_commit(raising(KeyboardInterrupt)), "there")
    with pytest.raises(BaseExceptionGroup) as raised:
        left.swap("here", timeout=PATIENCE)
    assert raised.group_contains(KeyboardInterrupt) if hasattr(raised, "group_contains") else raised.value.exceptions
    assert partner.result() == "here"


def test_an_action_that_fails_in_the_catalysts_own_turn_is_its_end() -> None:
    left, right = channel()
    partner = parked(left.swap)
    with pytest.raises(BaseExceptionGroup, match="post_commit"):
        catalyse(right.swap >> post_commit(raising(LookupError)))
    assert partner.result() is None
    with pytest.raises(TimeoutError):
        left.swap(timeout=0)
    assert stats()["waiting"] == 0


def test_an_action_that_fails_in_a_later_turn_of_the_catalyst_is_its_end() -> None:
    left, right = channel()
    go = Ref(False)
    opened = go.upd(lambda now, x: (now, x)) >> guard(lambda x: go.get())
    catalyst = catalyse(right.swap >> opened >> post_commit(raising(LookupError)))
    partner = parked(left.swap)
    go.set(True)
    assert partner.result() is None
    with pytest.raises(BaseExceptionGroup, match="post_commit"):
        catalyst.cancel()
    assert not catalyst.active
    assert stats()["waiting"] == 0


# ---- nothing is kept, and nothing goes too early ---------------------------------------------------------


def test_a_wakeup_passed_on_keeps_no_structure() -> None:
    queue: Queue[Any] = Queue()
    before = sys.getrefcount(queue)
    for _ in range(10):
        pending = Pending(queue.get, None, lambda: None)
        assert not pending.turn()
        queue.put("item")
        pending.withdraw()
        queue.get_nowait()
    del pending
    soon(lambda: settle() or sys.getrefcount(queue) == before, "the references' end")


def test_a_cancelled_catalyst_in_a_cycle_is_collected() -> None:
    class Owner:
        catalyst: Any

    def make() -> weakref.ref[Owner]:
        owner = Owner()
        _, right = channel()
        owner.catalyst = catalyse(right.swap >> lift(lambda x, owner=owner: (owner, x)))
        owner.catalyst.cancel()
        return weakref.ref(owner)

    gone = make()
    soon(lambda: settle() or gone() is None, "the cycle's end")


def test_what_a_function_in_direct_style_reads_lives_until_the_end() -> None:
    seen: list[weakref.ref[Any]] = []

    @reagent
    def local(tx: Any, x: Any) -> Any:
        word = Ref(x)
        seen.append(weakref.ref(word))
        tx.write(word, tx.read(word) + 1)
        return tx(attempt(Ref(1).cas(2, 3))), tx.read(word)

    alive: Any = lift(lambda x: (x, seen[-1]() is not None))
    assert (local >> alive)(1) == ((None, 2), True)
    soon(lambda: settle() or seen[-1]() is None, "the word's end")


def test_a_function_in_direct_style_that_blocks_has_seen_what_is_gone() -> None:
    """What the reaction goes on from after it is valid: else it would follow items that are gone to what is freed."""
    queue: Queue[Any] = Queue()
    for n in range(2000):
        queue.put([n])
    tries = 0

    @reagent
    def steals(tx: Any, x: Any) -> Any:
        nonlocal tries
        tries += 1
        while tries == 1 and not queue.empty():
            queue.get_nowait()
        gc.collect()
        tx.block()

    two = queue.get * queue.get
    with pytest.raises(TimeoutError):
        (queue.get >> (steals + two))(timeout=0.01)
    queue.put("a"), queue.put("b"), queue.put("c")
    assert (queue.get >> (steals + two))(timeout=PATIENCE) == ("b", "c")
