"""Swaps under all schedules with up to two preemptions: `reagents.testing.explore` runs two and three parties.

Whoever comes first, wherever the others are by then, all end with what they must get, and nobody waits for ever
(that would be a Deadlock, which explore reports).
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from lockfree import Exchanger, Queue
from racing import settle, soon
from reagents import Reagent, Ref, attempt, catalyse, channel, computed, const, guard, post_commit, reagent, stats
from reagents.testing import explore

Parties = Sequence[tuple[Reagent[Any, Any], Any]]


def proven(make: Callable[[], tuple[Parties, Callable[[list[Any]], object]]], *, schedules: int = 2) -> None:
    """make() returns the parties and what checks their results, by assertions or by being true."""

    def scenario() -> Any:
        parties, right = make()
        got: list[Any] = [None] * len(parties)

        def run(i: int) -> None:
            r, x = parties[i]
            got[i] = r(x)

        def after() -> None:
            assert right(got) is not False, got

        return [lambda i=i: run(i) for i in range(len(parties))], after

    found = explore(scenario, preemptions=2)
    assert found.failure is None, found.failure
    assert found.complete
    assert found.schedules >= schedules
    assert stats()["waiting"] == 0


def is_(*expected: Any) -> Callable[[list[Any]], bool]:
    return lambda got: got == list(expected)


def test_two() -> None:
    def make() -> Any:
        left, right = channel()
        return [(left.swap, "a"), (right.swap, "b")], is_("b", "a")

    proven(make)


def test_two_exchange() -> None:
    def make() -> Any:
        e: Exchanger[str] = Exchanger()
        return [(e.exchange, "a"), (e.exchange, "b")], is_("b", "a")

    proven(make)


def test_pairs_in_opposite_order() -> None:
    def make() -> Any:
        (c1, d1), (c2, d2) = channel(), channel()
        return [(c1.swap * c2.swap, "a"), (d2.swap * d1.swap, "b")], is_(("b", "b"), ("a", "a"))

    proven(make)


def test_in_sequence_on_two_channels() -> None:
    def make() -> Any:
        (c1, d1), (c2, d2) = channel(), channel()
        return [(c1.swap >> c2.swap, "a"), (d1.swap >> d2.swap, "b")], is_("a", "b")

    proven(make)


def test_three_pairwise() -> None:
    def make() -> Any:
        (ab, ba), (ac, ca), (bc, cb) = channel(), channel(), channel()
        parties = [(ab.swap * ac.swap, "a"), (ba.swap * bc.swap, "b"), (ca.swap * cb.swap, "c")]
        return parties, is_(("b", "c"), ("a", "c"), ("a", "b"))

    proven(make, schedules=6)


def test_who_waits_behind_another_match() -> None:
    def make() -> Any:
        (c1, d1), (c2, d2) = channel(), channel()
        return [(c1.swap >> c2.swap, "a"), (d1.swap, "b"), (d2.swap, "c")], is_("c", "a", "b")

    proven(make, schedules=6)


@pytest.mark.parametrize("order", ["after", "before"])
def test_both_update_the_same_ref(order: str) -> None:
    def make() -> Any:
        left, right = channel()
        number = Ref(0)
        take = number.upd(lambda n, x: (n + 1, x))

        def party(swap: Reagent[Any, Any]) -> Reagent[Any, Any]:
            return swap >> take if order == "after" else take >> swap

        return [(party(left.swap), "a"), (party(right.swap), "b")], lambda got: got == ["b", "a"] and number.get() == 2

    proven(make)


def test_beside_one_who_changes_what_they_read() -> None:
    """The third makes the reaction of the two start again, wherever it is."""

    def make() -> Any:
        left, right = channel()
        number = Ref(0)
        add = number.upd(lambda n, x: (n + 1, x))
        return [
            (left.swap >> add, "a"),
            (right.swap >> add, "b"),
            (number.add, 10),
        ], lambda got: got[:2] == ["b", "a"] and number.get() == 12

    proven(make, schedules=10)


def test_a_word_that_opens_the_way() -> None:
    def make() -> Any:
        left, right = channel()
        gate = Ref(False)
        opened = gate.read >> guard(bool)
        parties = [(left.swap * opened, "a"), (right.swap, "b"), (gate.write, True)]
        return parties, is_(("b", True), "a", True)

    proven(make, schedules=6)


def test_three_where_two_meet_and_one_takes_the_other_branch() -> None:
    def make() -> Any:
        left, right = channel()
        queue: Queue[str] = Queue()
        either = left.swap + queue.get

        feed = right.swap >> (lambda x: "item") >> queue.put  # one gets what is swapped, the other what is put then

        def right_(got: list[Any]) -> bool:
            return sorted(got[:2]) == ["b", "item"] and queue.empty()

        return [(either, "a"), (either, "a"), (feed, "b")], right_

    proven(make, schedules=6)


def test_who_only_attempts() -> None:
    """It meets who has parked, and nobody else; either way both agree."""

    def make() -> Any:
        left, right = channel()
        stop = Ref(False)
        waits = right.swap + (stop.cas(True, False) >> const("stopped"))
        tries = attempt(left.swap, "nobody") * (const(True) >> stop.write)

        def agree(got: list[Any]) -> bool:
            return (got[0][0], got[1], stop.get()) in (("b", "a", True), ("nobody", "stopped", False))

        return [(tries, "a"), (waits, "b")], agree

    proven(make)


def test_one_with_a_timeout() -> None:
    """At any turn its time may be over: then neither has swapped."""
    outcomes = set()

    def scenario() -> Any:
        left, right = channel()
        stop = Ref(False)
        got: list[Any] = [None, None]

        def timed() -> None:
            try:
                got[0] = left.swap("a", timeout=3600)
            except TimeoutError:
                got[0] = "late"
                stop.set(True)

        def waits() -> None:
            got[1] = (right.swap + (stop.cas(True, True) >> const("told")))("b")

        def after() -> None:
            assert got in (["b", "a"], ["late", "told"]), got
            outcomes.add(got[0])

        return [timed, waits], after

    found = explore(scenario, preemptions=2)
    assert found.failure is None, found.failure
    assert found.complete
    assert outcomes == {"b", "late"}
    assert stats()["waiting"] == 0


def test_two_with_timeouts() -> None:
    outcomes = set()

    def scenario() -> Any:
        left, right = channel()
        got: list[Any] = [None, None]

        def timed(me: int, end: Any) -> None:
            try:
                got[me] = end.swap(me, timeout=3600)
            except TimeoutError:
                got[me] = "late"

        def after() -> None:
            assert got in ([1, 0], ["late", "late"]), got
            outcomes.add(got[0])

        return [lambda: timed(0, left), lambda: timed(1, right)], after

    found = explore(scenario, preemptions=2)
    assert found.failure is None, found.failure
    assert found.complete
    assert outcomes == {1, "late"}


def test_an_error_of_one_party() -> None:
    """It ends that one alone: the other two meet, before or after, and it may fail or find nobody any more."""

    def scenario() -> Any:
        left, right = channel()
        gone = Ref(False)
        got: list[Any] = [None] * 3

        def fails() -> None:
            def fail(x: Any) -> Any:
                raise ZeroDivisionError

            try:
                got[0] = ((left.swap >> fail) + (gone.cas(True, True) >> const("nobody")))("wrong")
            except ZeroDivisionError:
                got[0] = "failed"

        def swaps(i: int, end: Any, x: str) -> None:
            got[i] = end.swap(x)
            gone.set(True)

        def after() -> None:
            assert got[1:] == ["b", "c"], got
            assert got[0] in ("failed", "nobody"), got

        return [fails, lambda: swaps(1, left, "c"), lambda: swaps(2, right, "b")], after

    found = explore(scenario, preemptions=2)
    assert found.failure is None, found.failure
    assert found.complete
    assert stats()["waiting"] == 0


class Thing:
    pass


def test_the_actions_of_both_run_once() -> None:
    def make() -> Any:
        left, right = channel()
        ran: list[str] = []

        def party(end: Any, name: str) -> Reagent[Any, Any]:
            return end.swap >> post_commit(lambda _: ran.append(name))

        return [
            (party(left, "left"), "a"),
            (party(right, "right"), "b"),
        ], lambda got: got == ["b", "a"] and sorted(ran) == ["left", "right"]

    proven(make)


def test_a_catalyst_is_used_by_two() -> None:
    def make() -> Any:
        left, right = channel()
        number = Ref(0)
        catalyst = catalyse(right.swap >> number.upd(lambda n, _: (n + 1, None)), "c")

        def right_(got: list[Any]) -> bool:
            catalyst.cancel()
            return got == ["c", "c"] and number.get() == 2

        return [(left.swap, "a"), (left.swap, "b")], right_

    proven(make)


def test_a_catalyst_is_refreshed_by_one_and_used_by_another() -> None:
    def make() -> Any:
        left, right = channel()
        queue: Queue[str] = Queue()
        catalyst = catalyse(queue.get >> right.swap)

        def right_(got: list[Any]) -> bool:
            catalyst.cancel()
            return sorted(got[:2]) == ["x", "y"] and queue.empty()

        return [(left.swap, "a"), (left.swap, "b"), (const("x") >> queue.put >> const("y") >> queue.put, None)], right_

    proven(make, schedules=6)


def test_a_catalyst_is_cancelled_beside_its_use() -> None:
    def scenario() -> Any:
        left, right = channel()
        number = Ref(0)
        catalyst = catalyse(right.swap >> number.upd(lambda n, _: (n + 1, None)), "used")
        got: list[Any] = []

        def after() -> None:
            assert number.get() == got.count("used"), got
            assert not catalyst.active
            assert attempt(left.swap, "nobody")() == "nobody"

        use = attempt(left.swap, "nobody")
        return [lambda: got.append(use()), lambda: got.append(use()), catalyst.cancel], after

    found = explore(scenario, preemptions=2)
    assert found.failure is None, found.failure
    assert found.complete
    assert stats()["waiting"] == 0


def test_computed_and_direct_style_beside_swaps() -> None:
    def make() -> Any:
        left, right = channel()
        ref = Ref(0)
        bump = reagent(lambda tx, x: (tx.write(ref, tx.read(ref) + 1), x)[1])
        via = computed(lambda x: const(x) >> left.swap)
        return [(bump >> via >> bump, "a"), (right.swap >> bump, "b")], lambda got: got == ["b", "a"] and ref.get() == 3

    proven(make)


def test_what_was_offered_under_exploration_is_given_up() -> None:
    alive: list[Any] = []

    def scenario() -> Any:
        left, right = channel()
        a, b = Thing(), Thing()
        alive.extend([weakref.ref(a), weakref.ref(b)])
        given = [a, b]
        return [lambda: left.swap(given[0]) and None, lambda: right.swap(given[1]) and None], lambda: given.clear()

    assert explore(scenario, preemptions=1).failure is None
    soon(
        lambda: settle() or (gc.collect() >= 0 and not any(r() is not None for r in alive)),
        "the end of what was swapped",
        10,
    )
