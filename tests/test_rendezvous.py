"""Swaps match inside one reaction, between two threads and among n: all that deadlocks or fails elsewhere completes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from lockfree import Exchanger
from racing import PATIENCE, STRESS, Background, Parked, eager_switching, race
from reagents import Reagent, Ref, channel, choice, computed, const, lift, never, stats, together

Run = Callable[[], Any]


def arrive(order: Sequence[int], runs: Sequence[Run]) -> list[Any]:
    """Each in a thread of its own, one after another: the next comes when the one before has parked."""
    threads: dict[int, Background] = {}
    for i in order[:-1]:
        parked = Parked()
        threads[i] = Background(runs[i])
        parked.wait_for()
    last = runs[order[-1]]()
    return [last if i == order[-1] else threads[i].result() for i in range(len(runs))]


def in_all_orders(make: Callable[[], tuple[Sequence[Run], Any]]) -> None:
    """make() returns the parties and what each must get, or a check of all results; whoever comes last, they meet."""
    n = len(make()[0])
    orders = list(itertools.permutations(range(n)))
    for order in orders if n <= 4 else orders[:: len(orders) // 24]:
        runs, expected = make()
        got = arrive(order, runs)
        assert expected(got) if callable(expected) else got == expected, (order, got)
    for _ in range(20 * STRESS):
        runs, expected = make()
        with eager_switching():
            got = race(*runs)
        assert expected(got) if callable(expected) else got == expected, ("race", got)
    assert stats()["waiting"] == 0


def party(r: Reagent[Any, Any], x: Any) -> Run:
    return lambda: r(x, timeout=PATIENCE)


def test_two_swap() -> None:
    def make() -> tuple[Sequence[Run], Any]:
        left, right = channel()
        return [party(left.swap, "a"), party(right.swap, "b")], ["b", "a"]

    in_all_orders(make)


def test_both_swap_on_two_channels_in_sequence() -> None:
    def make() -> tuple[Sequence[Run], Any]:
        (c1, d1), (c2, d2) = channel(), channel()
        return [party(c1.swap >> c2.swap, "a"), party(d1.swap >> d2.swap, "b")], ["a", "b"]

    in_all_orders(make)


def test_pairs_in_opposite_order() -> None:
    def make() -> tuple[Sequence[Run], Any]:
        (c1, d1), (c2, d2) = channel(), channel()
        return [party(c1.swap * c2.swap, "a"), party(d2.swap * d1.swap, "b")], [("b", "b"), ("a", "a")]

    in_all_orders(make)


def test_three_exchange_pairwise() -> None:
    def make() -> tuple[Sequence[Run], Any]:
        (ab, ba), (ac, ca), (bc, cb) = channel(), channel(), channel()
        return [
            party(ab.swap * ac.swap, "a"),
            party(ba.swap * bc.swap, "b"),
            party(ca.swap * cb.swap, "c"),
        ], [("b", "c"), ("a", "c"), ("a", "b")]

    in_all_orders(make)


def test_both_swap_twice_on_one_channel() -> None:
    def make() -> tuple[Sequence[Run], Any]:
        left, right = channel()
        return [party(left.swap >> left.swap, "a"), party(right.swap >> right.swap, "b")], ["a", "b"]

    in_all_orders(make)


def test_both_swap_and_then_update_the_same_ref() -> None:
    def make() -> tuple[Sequence[Run], Any]:
        left, right = channel()
        number = Ref(0)
        take = number.upd(lambda n, x: (n + 1, (n, x)))

        def serialised(got: list[Any]) -> bool:
            (first, from_b), (second, from_a) = got
            return sorted([first, second]) == [0, 1] and (from_a, from_b) == ("a", "b") and number.get() == 2

        return [party(left.swap >> take, "a"), party(right.swap >> take, "b")], serialised

    in_all_orders(make)


@pytest.mark.parametrize("n", range(2, 9))
def test_a_ring(n: int) -> None:
    def make() -> tuple[Sequence[Run], Any]:
        ends = [channel() for _ in range(n)]
        runs = [party(ends[i][0].swap * ends[(i + 1) % n][1].swap, i) for i in range(n)]
        return runs, [((i - 1) % n, (i + 1) % n) for i in range(n)]

    in_all_orders(make)


@pytest.mark.parametrize("n", range(2, 9))
def test_a_ring_in_sequence(n: int) -> None:
    """Each swaps first with the one before, then with the one after: the first match must not wait for the last."""

    def make() -> tuple[Sequence[Run], Any]:
        ends = [channel() for _ in range(n)]

        def run(i: int) -> Run:
            own, other = ends[i][0].swap, ends[(i + 1) % n][1].swap
            # one of them the other way round, as in the dining philosophers: else no order would do
            return party(own >> other if i else other >> own, i)

        return [run(i) for i in range(n)], lambda got: sorted(got) == list(range(n))

    in_all_orders(make)


def test_who_waits_behind_another_match_is_found() -> None:
    """The third comes last, and meets the first only after the first has met the second."""

    def make() -> tuple[Sequence[Run], Any]:
        (c1, d1), (c2, d2) = channel(), channel()
        return [party(c1.swap >> c2.swap, "a"), party(d1.swap, "b"), party(d2.swap, "c")], ["c", "a", "b"]

    in_all_orders(make)


def test_in_a_choice_with_a_branch_that_times_out() -> None:
    def make() -> tuple[Sequence[Run], Any]:
        (ab, ba), (ac, ca), (bc, cb) = channel(), channel(), channel()
        alone, _nobody = channel()
        stop = Ref(False)
        late = stop.cas(True, False) >> const("late")
        return [
            party((ab.swap * ac.swap) + late, "a"),
            party(late + (ba.swap * bc.swap), "b"),
            party(choice(alone.swap >> const("wrong"), late, ca.swap * cb.swap), "c"),
        ], [("b", "c"), ("a", "c"), ("a", "b")]

    in_all_orders(make)


def test_the_branch_that_times_out_is_taken() -> None:
    left, _right = channel()
    stop = Ref(False)
    parked = Parked()
    waits = Background(lambda: (left.swap + (stop.cas(True, False) >> const("late")))(1, timeout=PATIENCE))
    parked.wait_for()
    stop.set(True)
    assert waits.result() == "late"
    with pytest.raises(TimeoutError):
        (left.swap * left.swap)(1, timeout=0.01)
    assert stats()["waiting"] == 0


def test_within_one_reaction() -> None:
    left, right = channel()
    assert ((const(1) >> left.swap) * (const(2) >> right.swap))() == (2, 1)
    nested = together(const(1) >> left.swap, (const(2) >> right.swap) * (const(3) >> left.swap), const(4) >> right.swap)
    assert nested() == (2, (1, 4), 3)


def test_the_one_that_waits_longest_is_taken_first() -> None:
    left, right = channel()
    waiting = []
    for i in range(5):
        parked = Parked()
        waiting.append(Background(party(left.swap, i)))
        parked.wait_for()
    assert [right.swap("x") for _ in range(5)] == list(range(5))
    assert [w.result() for w in waiting] == ["x"] * 5


def test_a_partner_that_does_not_fit_is_passed_over() -> None:
    left, right = channel()
    waiting = []
    for i in range(6):
        parked = Parked()
        waiting.append(Background(party(left.swap >> (lambda got, i=i: (i, got)), i)))
        parked.wait_for()
    even = right.swap >> computed(lambda got: const(got) if got == 4 else never)
    assert even("four", timeout=PATIENCE) == 4
    assert waiting[4].result() == (4, "four")
    for i in (0, 1, 2, 3, 5):
        assert right.swap("rest", timeout=PATIENCE) == i
    assert sorted(w.result() for w in waiting) == [(i, "four" if i == 4 else "rest") for i in range(6)]


def test_many_meet_as_they_come() -> None:
    """Whoever meets whom, each value is given once and taken once."""
    left, right = channel()
    each = 300 * STRESS
    with eager_switching():
        got = race(
            *[
                lambda s=s, k=k: [s.swap((k, i), timeout=PATIENCE) for i in range(each)]
                for k, s in enumerate([left, left, right, right])
            ]
        )
    lefts, rights = got[0] + got[1], got[2] + got[3]
    assert sorted(lefts) == [(k, i) for k in (2, 3) for i in range(each)]
    assert sorted(rights) == [(k, i) for k in (0, 1) for i in range(each)]
    assert stats()["waiting"] == 0


def test_rings_of_three_again_and_again() -> None:
    (ab, ba), (ac, ca), (bc, cb) = channel(), channel(), channel()
    rounds = 200 * STRESS
    a, b, c = ab.swap * ac.swap, ba.swap * bc.swap, ca.swap * cb.swap
    with eager_switching():
        got = race(
            *[lambda r=r, k=k: [r((k, i), timeout=PATIENCE) for i in range(rounds)] for k, r in enumerate([a, b, c])]
        )
    for i in range(rounds):
        assert [results[i] for results in got] == [((1, i), (2, i)), ((0, i), (2, i)), ((0, i), (1, i))]


def test_exchangers_meet_any_two() -> None:
    e = Exchanger[tuple[int, int]]()
    each = 400 * STRESS
    with eager_switching():
        got = race(*[lambda k=k: [e.exchange((k, i), timeout=PATIENCE) for i in range(each)] for k in range(2)])
    assert got[0] == [(1, i) for i in range(each)]
    assert got[1] == [(0, i) for i in range(each)]


def test_offers_and_updates_of_the_same_words() -> None:
    """Swaps that also move money, beside transfers: nothing is lost, nothing is made."""
    left, right = channel()
    accounts = [Ref(100) for _ in range(3)]
    rounds = 200 * STRESS

    def add(i: int) -> Reagent[int, int]:
        return accounts[i].upd(lambda v, n: (v + n, n))

    def take(i: int) -> Reagent[int, int]:
        return accounts[i].upd(lambda v, n: (v - n, n))

    give = take(0) >> left.swap >> lift(lambda got: -got) >> take(1)  # the partner's amount comes back to 1
    receive = add(2) >> lift(lambda n: -n) >> right.swap >> add(2)
    move = take(1) >> add(0)
    with eager_switching():
        race(
            lambda: [give(1, timeout=PATIENCE) for _ in range(rounds)],
            lambda: [receive(0, timeout=PATIENCE) for _ in range(rounds)],
            lambda: [move(1) for _ in range(rounds)],
        )
    assert [a.get() for a in accounts] == [100, 100 - rounds, 100 + rounds]


def test_an_error_reaches_the_party_that_holds_the_function_alone() -> None:
    left, right = channel()
    parked = Parked()
    fails = Background(party(left.swap >> (lambda v: 1 // v), 7))
    parked.wait_for()
    with pytest.raises(TimeoutError):
        right.swap(0, timeout=0.05)  # the error is not ours, and there is nobody else
    with pytest.raises(ZeroDivisionError):
        fails.result()
    parked = Parked()
    waits = Background(party(left.swap, 7))
    parked.wait_for()
    with pytest.raises(ZeroDivisionError):
        (right.swap >> (lambda v: 1 // (v - 7)))(0)
    assert right.swap("then") == 7
    assert waits.result() == "then"


def test_the_actions_of_all_parties_run_before_either_returns() -> None:
    from reagents import post_commit

    left, right = channel()
    ran: list[str] = []
    parked = Parked()
    waits = Background(party(left.swap >> post_commit(lambda v: ran.append(f"left got {v}")), 1))
    parked.wait_for()
    assert (right.swap >> post_commit(lambda v: ran.append(f"right got {v}")))(2) == 1
    assert waits.result() == 2
    assert sorted(ran) == ["left got 2", "right got 1"]


def test_an_action_that_fails_is_told_to_its_own_party() -> None:
    from reagents import post_commit

    def fail(v: Any) -> None:
        raise ValueError(v)

    left, right = channel()
    parked = Parked()
    waits = Background(party(left.swap >> post_commit(fail), 1))
    parked.wait_for()
    assert right.swap(2) == 1
    with pytest.raises(ExceptionGroup) as raised:
        waits.result()
    assert [str(e) for e in raised.value.exceptions] == ["2"]


@pytest.mark.parametrize("n", [3, 8, 31])
@pytest.mark.parametrize("hub", ["first", "last"])
def test_one_with_many(n: int, hub: str) -> None:
    """A star: up to 32 parties in one reaction, whether each has a channel of its own with the hub or all share one."""
    ends = [channel() for _ in range(n)]
    rays = [party(ends[i][1].swap, i) for i in range(n)]
    centre = party(together(*[end[0].swap for end in ends]), "hub")
    order = [n, *range(n)] if hub == "first" else range(n + 1)
    assert arrive(list(order), [*rays, centre]) == ["hub"] * n + [tuple(range(n))]


@pytest.mark.parametrize("n", [3, 5, 8])
@pytest.mark.parametrize("hub", ["first", "last"])
def test_one_with_many_over_one_channel(n: int, hub: str) -> None:
    left, right = channel()
    rays = [party(right.swap, i) for i in range(n)]
    centre = party(together(*[left.swap] * n), "hub")
    order = [n, *range(n)] if hub == "first" else range(n + 1)
    *got, taken = arrive(list(order), [*rays, centre])
    assert got == ["hub"] * n
    assert sorted(taken) == list(range(n))


def test_a_ring_of_all_that_are_allowed() -> None:
    n = 32
    ends = [channel() for _ in range(n)]
    runs = [party(ends[i][0].swap * ends[(i + 1) % n][1].swap, i) for i in range(n)]
    assert arrive(range(n), runs) == [((i - 1) % n, (i + 1) % n) for i in range(n)]
