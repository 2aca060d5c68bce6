"""`channel()`: what one swap and what swaps in a reaction do, their errors, and their place in a choice.

Reactions of several parties are in test_rendezvous.py. Two parties meet here in threads, one of them parked first.
"""

from __future__ import annotations

import contextlib
import copy
import gc
import pickle
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from lockfree import Exchanger, Queue
from racing import PATIENCE, STRESS, Background, Parked, elsewhere, parked, race, settle, soon
from reagents import (
    Reagent,
    Ref,
    attempt,
    channel,
    choice,
    computed,
    const,
    guard,
    identity,
    lift,
    never,
    stats,
    together,
)
from waiting import interrupted, needs_signals


def waiting() -> int:
    return int(stats()["waiting"])


# ---------------------------------------------------------------- as in OCaml Reagents


def test_two_channels_passed_through() -> None:
    (e1, e2), (f1, f2) = channel(), channel()
    through = parked(f1.swap >> e1.swap, 1)
    far = parked(f2.swap, 0)
    assert e2.swap(2, timeout=PATIENCE) == 0
    assert far.result() == 1
    assert through.result() == 2


def test_one_channel_looped_back() -> None:
    left, right = channel()
    loop = parked(left.swap >> left.swap, 1)
    first = parked(right.swap, 0)
    assert right.swap(2, timeout=PATIENCE) == 1
    assert first.result() == 2
    assert loop.result() == 0


def test_a_channel_with_choice() -> None:
    left, right = channel()
    either = parked(left.swap + right.swap, 0)
    assert right.swap(1, timeout=PATIENCE) == 0
    assert either.result() == 1
    either = parked(left.swap + right.swap, 0)
    assert left.swap(1, timeout=PATIENCE) == 0
    assert either.result() == 1


def test_two_choices_of_both_ends_meet() -> None:
    left, right = channel()
    either = parked(left.swap + right.swap, 0)
    assert (left.swap + right.swap)(1, timeout=PATIENCE) == 0
    assert either.result() == 1


@pytest.mark.parametrize("after", [True, False], ids=["after the swap", "before it"])
def test_both_sides_update_one_ref(after: bool) -> None:
    """One after the other, whoever is first: both updates count."""
    left, right = channel()
    log: Ref[tuple[str, ...]] = Ref(())

    def party(swap: Reagent[str, str]) -> Reagent[str, str]:
        if after:
            return swap >> log.upd(lambda names, got: ((*names, got), got))
        return log.upd(lambda names, own: ((*names, own), own)) >> swap

    first = parked(party(left.swap), "a")
    assert party(right.swap)("b", timeout=PATIENCE) == "a"
    assert first.result() == "b"
    assert sorted(log.get()) == ["a", "b"]


def test_what_a_party_wrote_before_the_swap_its_partner_reads_after_it() -> None:
    left, right = channel()
    ref = Ref("old")
    writes = parked(const("new") >> ref.write >> left.swap)
    assert (right.swap >> (lambda _: None) >> ref.read)("mine", timeout=PATIENCE) == "new"
    assert writes.result() == "mine"


# ---------------------------------------------------------------- as in Julia's Reagents


def test_one_party_swaps_with_several() -> None:
    """On n channels in one reaction; nobody gets anything before all n are there."""
    ends = [channel() for _ in range(4)]
    many = parked(together(*[left.swap for left, _ in ends]), "hub")
    spokes = [parked(right.swap, i) for i, (_, right) in enumerate(ends[:-1])]
    assert all(s.running for s in spokes)
    assert many.running
    assert ends[-1][1].swap(3, timeout=PATIENCE) == "hub"
    assert many.result() == (0, 1, 2, 3)
    assert [s.result() for s in spokes] == ["hub"] * 3


@pytest.mark.parametrize("how", ["pairs", "together", "in sequence"])
def test_zip_of_three(how: str) -> None:
    """The next of each of three streams, in one step."""
    (a, to_a), (b, to_b), (c, to_c) = channel(), channel(), channel()
    zips: Reagent[Any, Any] = {
        "pairs": (a.swap * b.swap * c.swap) >> (lambda t: (*t[0], t[1])),
        "together": together(a.swap, b.swap, c.swap),
        "in sequence": a.swap
        >> (lambda x: (x,))
        >> together(identity, b.swap)
        >> (lambda t: (*t[0], t[1]))
        >> together(identity, c.swap)
        >> (lambda t: (*t[0], t[1])),
    }[how]
    rounds = 40 * STRESS

    def send(end: Any, name: str) -> Callable[[], Any]:
        return lambda: [end.swap(f"{name}{i}", timeout=PATIENCE) for i in range(rounds)]

    got = race(
        send(to_a, "a"), send(to_b, "b"), send(to_c, "c"), lambda: [zips(None, timeout=PATIENCE) for _ in range(rounds)]
    )
    assert got[3] == [(f"a{i}", f"b{i}", f"c{i}") for i in range(rounds)]


def test_a_blocked_choice_is_evaluated_again() -> None:
    """Parked at a swap or a queue, it takes whichever comes, each time."""
    left, right = channel()
    queue: Queue[str] = Queue()
    either = left.swap + queue.get
    for i in range(20 * STRESS):
        waits = parked(either, "mine")
        if i % 2:
            queue.put("item")
            assert waits.result() == "item"
        else:
            assert right.swap("partner", timeout=PATIENCE) == "mine"
            assert waits.result() == "partner"
    assert waiting() == 0


# ---------------------------------------------------------------- blocked


def test_attempt() -> None:
    left, right = channel()
    assert attempt(left.swap, "nobody")("x") == "nobody"
    waits = parked(right.swap, "y")
    assert attempt(left.swap, "nobody")("x") == "y"
    assert waits.result() == "x"
    assert attempt(left.swap, "nobody")("x") == "nobody"


def test_who_only_attempts_is_met_by_nobody() -> None:
    """It offers nothing: neither of two that attempt finds the other."""
    left, right = channel()
    rounds = 200 * STRESS
    got = race(
        lambda: [attempt(left.swap, None)(i) for i in range(rounds)],
        lambda: [attempt(right.swap, None)(i) for i in range(rounds)],
    )
    assert got == [[None] * rounds] * 2
    assert waiting() == 0


def test_the_right_branch_commits_only_while_nobody_has_arrived() -> None:
    """Somebody arrives after the left branch was tried and before the right one commits: the left one it is."""
    left, right = channel()
    log = Ref("")
    partners: list[Background] = []

    def somebody_comes(x: Any) -> Any:
        if not partners:
            partners.append(parked(right.swap, "partner"))
        return x

    assert (left.swap + (lift(somebody_comes) >> log.write))("mine", timeout=PATIENCE) == "partner"
    assert partners[0].result() == "mine"
    assert log.get() == ""


def test_attempt_says_blocked_only_while_nobody_has_arrived() -> None:
    left, right = channel()
    log: Ref[Any] = Ref(None)
    partners: list[Background] = []

    def somebody_comes(x: Any) -> Any:
        if not partners:
            partners.append(parked(right.swap, "partner"))
        return x

    assert (attempt(left.swap, "nobody") >> somebody_comes >> log.write)("mine", timeout=PATIENCE) == "partner"
    assert partners[0].result() == "mine"
    assert log.get() == "partner"


def test_somebody_of_no_use_is_no_partner() -> None:
    """Who waits at the other end, but not for this, does not keep the right branch from being taken."""
    left, right = channel()
    picky = parked(right.swap >> guard(lambda x: x == "right"), "picky")
    log = Ref("")
    assert (left.swap + log.write)("wrong", timeout=PATIENCE) == "wrong"
    assert log.get() == "wrong"
    assert (left.swap + log.write)("right", timeout=PATIENCE) == "picky"
    assert picky.result() == "right"


def test_attempt_takes_the_default_where_its_partner_could_not_end() -> None:
    """It has not come through by a match that leads nowhere."""
    left, right = channel()
    picky = parked(right.swap >> guard(lambda x: x == "right"), "picky")
    assert attempt(left.swap, "default")("wrong") == "default"
    assert (attempt(left.swap, "default") >> identity)("wrong", timeout=5) == "default"
    assert (attempt(left.swap, "default") >> guard(lambda got: got == "picky"))("right", timeout=5) == "picky"
    assert picky.result() == "right"
    e1, e2 = channel()
    further = parked(right.swap >> e1.swap, "further")  # who meets it must wait for somebody else
    assert attempt(left.swap, "default")("x", timeout=5) == "default"
    assert further.running
    within = attempt(left.swap, "default") * ((right.swap >> never) + const("else"))
    assert within(1, timeout=5) == ("default", "else")
    first = parked(left.swap, 1)
    assert e2.swap("end", timeout=PATIENCE) == 1
    assert (first.result(), further.result()) == ("further", "end")


def test_attempt_takes_no_default_where_the_swap_came_through() -> None:
    left, right = channel()
    waits = parked(right.swap, "partner")
    with pytest.raises(TimeoutError):
        (attempt(left.swap, "default") >> guard(lambda got: got == "default"))("mine", timeout=0.01)
    assert left.swap("mine", timeout=PATIENCE) == "partner"
    assert waits.result() == "mine"


def test_a_partner_whose_reason_not_to_fit_has_gone() -> None:
    """What the partner's guard read is in the read set too: it is woken by that word, and so meets us."""
    left, right = channel()
    open_ = Ref(False)
    ours = parked(left.swap, "ours")
    theirs = parked(right.swap >> (identity * (open_.read >> guard(bool))) >> (lambda t: t[0]), "theirs")
    assert ours.running
    open_.set(True)
    assert ours.result() == "theirs"
    assert theirs.result() == "ours"


def test_timeout() -> None:
    left, right = channel()
    for blocked in (left.swap, left.swap >> right.swap, left.swap * right.swap * left.swap, right.swap + left.swap):
        with pytest.raises(TimeoutError):
            blocked(1, timeout=0.01)
    with pytest.raises(TimeoutError):
        left.swap(1, timeout=0)
    assert waiting() == 0
    waits = parked(right.swap, "y")  # who timed out is not met any more
    assert waits.running
    assert left.swap("x", timeout=0) == "y"
    assert waits.result() == "x"


def test_timeouts_and_partners_at_the_same_time() -> None:
    """Either both have swapped or neither: what is given was taken."""
    left, right = channel()
    rounds = 300 * STRESS

    def swaps(end: Any, who: int) -> list[tuple[Any, Any]]:
        done = []
        for i in range(rounds):
            with contextlib.suppress(TimeoutError):
                done.append(((who, i), end.swap((who, i), timeout=0.0002)))
        return done

    for _ in range(3):
        by_left, by_right = race(lambda: swaps(left, 0), lambda: swaps(right, 1))
        assert sorted(by_left) == sorted((b, a) for a, b in by_right)
    assert waiting() == 0


@needs_signals
def test_an_interrupt_takes_the_offer_back() -> None:
    left, right = channel()
    with interrupted():
        left.swap("mine", timeout=PATIENCE)
    assert attempt(right.swap, "nobody")("x") == "nobody"
    assert waiting() == 0


# ---------------------------------------------------------------- computed, within one reaction


def test_computed_chooses_the_channel() -> None:
    ends = [channel() for _ in range(3)]
    waits = parked(computed(lambda i: const(f"for {i}") >> ends[i][0].swap), 2)
    assert ends[2][1].swap("from 2", timeout=PATIENCE) == "for 2"
    assert waits.result() == "from 2"


def test_what_came_through_a_swap_says_how_to_go_on() -> None:
    """A reply goes by the channel that came with the request."""
    to_server, requests = channel()

    def reply(request: tuple[Any, int]) -> Reagent[Any, Any]:
        end, n = request
        return const(n * n) >> end.swap

    mine, theirs = channel()
    server = parked(requests.swap >> computed(reply))
    assert (const((theirs, 7)) >> to_server.swap >> mine.swap)(timeout=PATIENCE) == 49
    assert server.result() is None


def test_computed_again_for_each_partner() -> None:
    left, right = channel()
    offers = [parked(right.swap, i) for i in range(5)]
    last = left.swap >> computed(lambda i: const(i) if i == 4 else never)
    assert last("x", timeout=PATIENCE) == 4
    assert offers[4].result() == "x"
    for i in range(4):
        assert left.swap("rest", timeout=PATIENCE) == i


def test_swaps_with_oneself_are_in_one_reaction_only() -> None:
    left, right = channel()
    assert attempt(left.swap >> right.swap, "blocked")(1) == "blocked"  # one strand cannot be in two places
    assert together(const(1) >> left.swap, const(2) >> right.swap)() == (2, 1)
    exchanger: Exchanger[int] = Exchanger()
    assert (exchanger.exchange * (const(2) >> exchange_again(exchanger)))(1, timeout=PATIENCE) == (2, 1)
    assert attempt(together(left.swap, left.swap, right.swap), "blocked")(1) == "blocked"


def exchange_again(e: Exchanger[int]) -> Reagent[Any, int]:
    return identity >> e.exchange


def test_the_first_match_within_a_reaction_may_be_the_wrong_one() -> None:
    left, right = channel()
    parts = (
        const(1) >> left.swap >> guard(lambda got: got == "y"),
        const(2) >> left.swap,
        const("x") >> right.swap,  # with the first as they come; but with the second it must be
        const("y") >> right.swap,
    )
    assert together(*parts)(timeout=5) == ("y", "x", 2, 1)
    assert together(*parts[::-1])(timeout=5) == (1, 2, "x", "y")


def test_two_that_could_match_each_other_wait_for_others() -> None:
    left, right = channel()
    from_outside = guard(lambda got: got == "out")
    both = (const(1) >> left.swap >> from_outside) * (const(2) >> right.swap >> from_outside)
    one = parked(right.swap >> guard(lambda got: got == 1), "out")
    two = parked(left.swap >> guard(lambda got: got == 2), "out")
    assert both(timeout=5) == ("out", "out")
    assert (one.result(), two.result()) == (1, 2)


def test_more_partners_than_one_fetch() -> None:
    """The one that fits is the last of many."""
    left, right = channel()
    n = 70
    refuse = [parked(right.swap >> guard(lambda x, i=i: x == i), i) for i in range(n)]
    for i in reversed(range(n)):
        assert left.swap(i, timeout=PATIENCE) == i
    assert [r.result() for r in refuse] == list(range(n))


# ---------------------------------------------------------------- a partner that cannot come


def test_an_endpoint_whose_partner_was_collected() -> None:
    left, right = channel()
    del right
    gc.collect()
    with pytest.raises(RuntimeError, match="collected"):
        left.swap(1)
    with pytest.raises(RuntimeError, match="collected"):
        (left.swap * const(1))(1, timeout=PATIENCE)
    with pytest.raises(RuntimeError):
        (never + left.swap)(1)
    assert attempt(left.swap, "nobody")(1) == "nobody"
    assert (left.swap + const("else"))(1) == "else"


def test_who_waits_is_told_that_nobody_can_come_any_more() -> None:
    left, right = channel()
    waits = [parked(left.swap, 1), parked(left.swap >> left.swap, 2), parked(left.swap * left.swap, 3)]
    del right
    gc.collect()
    for w in waits:
        with pytest.raises(RuntimeError, match="collected"):
            w.result()
    assert waiting() == 0


def test_who_has_another_way_goes_on_waiting_for_that() -> None:
    left, right = channel()
    queue: Queue[str] = Queue()
    waits = parked(left.swap + queue.get)
    again = Parked()
    del right
    gc.collect()
    again.wait_for()
    queue.put("item")
    assert waits.result() == "item"


def test_the_partner_is_collected_while_the_offer_is_made() -> None:
    """After the swap was tried, and before it is registered where the end of the other endpoint is told."""
    left, right = channel()
    ends = [right]
    del right

    def drop(x: Any) -> Any:
        ends.clear()
        gc.collect()
        return x

    with pytest.raises(RuntimeError, match="collected"):
        (left.swap + (lift(drop) >> never))(1, timeout=5)


def test_a_waiting_reagent_is_all_that_keeps_it() -> None:
    left, right = channel()
    waits = parked(left.swap, "mine")
    alive = weakref.ref(left)
    del left
    gc.collect()
    assert alive() is not None
    assert right.swap("yours", timeout=PATIENCE) == "mine"
    assert waits.result() == "yours"
    del waits
    soon(lambda: settle() or alive() is None, "the end of the endpoint")
    with pytest.raises(RuntimeError, match="collected"):
        right.swap(1, timeout=PATIENCE)


class Thing:
    pass


def test_nothing_is_kept() -> None:
    left, right = channel()
    things = [Thing() for _ in range(4)]
    dead = [weakref.ref(t) for t in things]
    waits = parked(left.swap >> (lambda _: None), things[0])
    (right.swap >> (lambda _: None))(things[1])
    assert waits.result() is None
    with pytest.raises(TimeoutError):
        left.swap(things[2], timeout=0.01)
    assert attempt(left.swap)(things[3]) is None
    things.clear()
    settle()
    soon(lambda: settle() or all(d() is None for d in dead), "the end of what was swapped")


def test_endpoints_die_with_their_channel() -> None:
    for order in (0, 1):
        ends = list(channel())
        refs = [weakref.ref(e) for e in ends]
        parked(ends[0].swap >> (lambda _: None), Thing())
        ends[1].swap(1)
        del ends[order], ends[0]
        gc.collect()
        soon(lambda refs=refs: settle() or all(r() is None for r in refs), "the end of both endpoints")


# ---------------------------------------------------------------- the objects


def test_repr() -> None:
    left, right = channel()
    assert "left" in repr(left)
    assert "right" in repr(right)
    assert repr(left).replace("left", "") == repr(right).replace("right", ""), "they say that they belong together"
    assert "swap" in repr(left.swap)
    assert "swap" in repr(left.swap >> right.swap * left.swap)


def test_an_endpoint_is_no_value() -> None:
    left, _ = channel()
    for refused in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match=r"cannot pickle.*Endpoint"):
            refused(left)
        with pytest.raises(TypeError):
            refused(left.swap)
    with pytest.raises(TypeError, match="cannot create"):
        type(left)()
    assert isinstance(left.swap, Reagent)
    assert type(left).__module__ == "reagents"
    with pytest.raises(AttributeError):
        left.swap = None
    assert hash(left) != hash(_)
    assert left != _


def test_wrong_arguments() -> None:
    left, _ = channel()
    with pytest.raises(TypeError):
        channel(1)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        left.swap(1, 2)
    with pytest.raises(TypeError):
        left.swap(1, late=2)
    with pytest.raises(TypeError):
        left.swap(1, timeout="soon")
    with pytest.raises(ValueError, match="timeout"):
        left.swap(1, timeout=-1)
    with pytest.raises(TypeError):
        left >> left  # type: ignore[operator]


def test_anything_can_be_swapped() -> None:
    """Among it what the engine itself has a meaning for."""
    from reagents import BLOCK

    left, right = channel()
    offered = Ref(None)
    for value in (
        None,
        BLOCK,
        (),
        (offered, 1),
        (1, 2, None),
        2**80,
        left,
        right,
        left.swap,
        NotImplemented,
        ValueError("x"),
    ):
        waits = parked(left.swap, value)
        assert right.swap(value, timeout=PATIENCE) is value
        assert waits.result() is value


def test_a_choice_of_channels_takes_the_one_that_has_somebody() -> None:
    ends = [channel() for _ in range(3)]
    anyone = choice(*[left.swap >> (lambda x, i=i: (i, x)) for i, (left, _) in enumerate(ends)])
    waits = parked(ends[1][1].swap, "one")
    assert anyone("any", timeout=PATIENCE) == (1, "one")
    assert waits.result() == "any"
    waits = parked(anyone, "any")
    assert ends[2][1].swap("two", timeout=PATIENCE) == "any"
    assert waits.result() == (2, "two")


def test_an_error_in_the_middle_leaves_no_offer() -> None:
    left, right = channel()
    ref = Ref(0)

    def fail(x: Any) -> Any:
        raise ValueError(x)

    with pytest.raises(ValueError, match="mine"):
        (left.swap + (ref.write >> fail))("mine")
    # Woken, it fails: it had an offer by then.
    waits = parked(left.swap + (ref.read >> (lambda n: fail("woken") if n else None) >> guard(bool)), "mine")
    ref.set(1)
    with pytest.raises(ValueError, match="woken"):
        waits.result()
    assert attempt(right.swap, "nobody")("x") == "nobody"
    assert waiting() == 0
    assert elsewhere(lambda: attempt(right.swap, "nobody")("x")) == "nobody"
