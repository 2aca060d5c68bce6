"""What was only read is part of the commit: two reactions cannot each rely on what the other is changing."""

from __future__ import annotations

from typing import Any

import pytest

from lockfree import Queue, Stack
from racing import STRESS, elsewhere, race
from reagents import Reagent, Ref, attempt, computed, const, guard, identity


def leave(mine: Ref[int], other: Ref[int]) -> Reagent[Any, Any]:
    """Go off duty if the other is on duty: reads both, writes one."""
    return (mine.read * other.read) >> guard(lambda on: sum(on) == 2) >> const(0) >> mine.write


def test_scheduled() -> None:
    """Between the reads and the commit of one, the other goes: the first must see it and stay."""
    a, b = Ref(1), Ref(1)
    tries = []

    def meanwhile(x: Any) -> Any:
        tries.append(x)
        if len(tries) == 1:
            elsewhere(leave(b, a))
        return x

    slow = (a.read * b.read) >> guard(lambda on: sum(on) == 2) >> meanwhile >> const(0) >> a.write
    assert attempt(slow, "stays")() == "stays"
    assert (a.get(), b.get()) == (1, 0)


@pytest.mark.parametrize("how", ["pair", "computed", "choice"])
def test_somebody_stays_on_duty(how: str) -> None:
    a, b = Ref(1), Ref(1)

    def off(mine: Ref[int], other: Ref[int]) -> Reagent[Any, Any]:
        go = const(0) >> mine.write >> const("went")
        if how == "pair":
            return attempt(leave(mine, other) >> const("went"))
        if how == "computed":
            return other.read >> computed(lambda on: go if on else const(None))
        return (other.cas(1, 1) >> go) + const(None)

    rounds = 1_000 * STRESS

    def worker(mine: Ref[int], other: Ref[int]) -> int:
        reaction, went = off(mine, other), 0
        for _ in range(rounds):
            if reaction() == "went":
                went += 1
                mine.set(1)
        return went

    def audit() -> None:
        on = (a.read * b.read)()
        assert on != (0, 0), "both went off duty"

    race(lambda: worker(a, b), lambda: worker(b, a), meanwhile=[audit])


def test_of_an_empty_queue() -> None:
    """That a queue was empty is also something that was read."""
    a, b, tries = Queue(), Queue(), []

    def meanwhile(x: Any) -> Any:
        tries.append(x)
        if len(tries) == 1:
            elsewhere(a.put, "now there")
        return x

    put_if_empty = attempt(a.peek, "empty") >> meanwhile >> guard(lambda x: x == "empty") >> b.put
    assert attempt(put_if_empty >> const("put"), "left alone")("item") == "left alone"
    assert b.empty()


@pytest.mark.parametrize("make", [Queue, Stack])
def test_at_most_one_of_two_structures_is_filled(make: Any) -> None:
    """Each thread fills its own if the other is empty; together they would fill both."""
    a, b, rounds = make(), make(), 300 * STRESS

    def fill(mine: Any, other: Any) -> Reagent[Any, Any]:
        add = mine.put if make is Queue else mine.push
        look = other.peek
        return (attempt(look, "empty") >> guard(lambda x: x == "empty") >> const("item") >> add >> const(True)) + const(
            False
        )

    def take(mine: Any) -> Reagent[Any, Any]:
        return attempt(mine.get if make is Queue else mine.pop)

    def worker(mine: Any, other: Any) -> int:
        try_fill, empty, filled = fill(mine, other), take(mine), 0
        both = attempt(mine.peek) * attempt(other.peek)
        for _ in range(rounds):
            if try_fill():
                filled += 1
                assert both() == ("item", None)
                assert empty() == "item"
        return filled

    race(lambda: worker(a, b), lambda: worker(b, a))


def test_a_read_that_leads_to_a_write_elsewhere() -> None:
    """One copies a to b, the other b to a: in any order they end up equal, and never exchange."""
    for _ in range(200 * STRESS):
        a, b = Ref("a"), Ref("b")
        race_pair(a.read >> (lambda x: x) >> b.write, b.read >> identity >> a.write)
        assert a.get() == b.get()


def race_pair(first: Reagent[Any, Any], second: Reagent[Any, Any]) -> None:
    race(first, second)
