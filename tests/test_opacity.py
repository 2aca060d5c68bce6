"""A user function never sees a mix of two states, not even in a try that is going to be thrown away.

Two refs are kept equal by writers that change both in one reaction. A reader that saw one of each would divide by
zero; since an error in a stale try is rightly thrown away with it, each look is also noted, and the notes checked.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any

import pytest

from racing import STRESS, elsewhere, race
from reagents import Reagent, Ref, computed, const, guard, identity, together

#: Each reader looks so often, or for so long: 40 readers are to fit into a test run.
SAMPLES = 20_000 * STRESS
SECONDS = 1.0 * STRESS


class Watch:
    """Notes every pair of values that a function of the reaction was shown."""

    def __init__(self) -> None:
        self.torn: list[Any] = []
        self.looks = 0

    def look(self, pair: tuple[Any, Any]) -> Any:
        self.looks += 1
        x, y = pair
        if x is not y and x != y:
            self.torn.append(pair)
            raise ZeroDivisionError("one of each")
        return x


Readers = dict[str, Callable[[Ref[Any], Ref[Any], Watch], Reagent[Any, Any]]]

READERS: Readers = {
    "pair": lambda a, b, watch: (a.read * b.read) >> watch.look,
    "together": lambda a, b, watch: together(b.read, a.read) >> watch.look,
    "in sequence": lambda a, b, watch: a.read >> (identity * b.read) >> watch.look,
    "with work between": lambda a, b, watch: (
        a.read >> (lambda x: sum(range(20)) and x) >> (identity * b.read) >> watch.look
    ),
    "computed": lambda a, b, watch: a.read >> computed(lambda x: b.read >> (lambda y: watch.look((x, y)))),
    "upd": lambda a, b, watch: (
        a.upd(lambda current, _: (current, current)) >> b.upd(lambda current, x: (current, watch.look((x, current))))
    ),
    "across a choice": lambda a, b, watch: (
        ((a.read >> (lambda x: (x, x)) >> guard(lambda _: False)) + (b.read * a.read)) >> watch.look
    ),
    "in a guard": lambda a, b, watch: (a.read * b.read) >> guard(lambda pair: watch.look(pair) is pair[0]),
}

WRITERS: dict[str, Callable[[Ref[Any], Ref[Any]], Reagent[Any, Any]]] = {
    "write both": lambda a, b: a.write * b.write,
    "the other first": lambda a, b: b.write >> a.swap,
}

VALUES: dict[str, list[Any]] = {
    "two values": [0, 1],
    "three values": [0, 1, 2],
    "there and back": [0, 1, 0, 2],
    "objects": [object(), object()],
    "always new": [],
}


@pytest.mark.parametrize("reader", sorted(READERS))
@pytest.mark.parametrize("values", sorted(VALUES))
def test_never_sees_two_states_at_once(reader: str, values: str) -> None:
    a: Ref[Any] = Ref(0)
    b: Ref[Any] = Ref(0)
    watch = Watch()
    look = READERS[reader](a, b, watch)
    fresh = itertools.count(1)
    toggle = itertools.cycle(VALUES[values]) if VALUES[values] else fresh
    writes = [make(a, b) for make in WRITERS.values()]

    def read() -> int:
        deadline = time.monotonic() + SECONDS
        done = 0
        while done < SAMPLES and time.monotonic() < deadline:
            look()
            done += 1
        return done

    def write() -> None:
        for reaction in writes:
            reaction(next(toggle))

    (done,) = race(read, meanwhile=[write])
    assert watch.torn == []
    assert watch.looks >= done > 0, "the reader was starved"


def test_stale_read_is_noticed_at_the_next_read() -> None:
    """The schedule that a race must be lucky to hit: both refs change between the two reads of one try."""
    a, b, watch = Ref(0), Ref(0), Watch()
    changes = iter([1, 2, 3])

    def meanwhile(x: Any) -> Any:
        change = next(changes, None)
        if change is not None:
            elsewhere((a.write * b.write), change)
        return x

    assert (a.read >> meanwhile >> (identity * b.read) >> watch.look)() == 3
    assert watch.torn == []
    assert watch.looks == 1


def test_stale_read_is_noticed_although_the_second_word_was_read_before() -> None:
    a, b, watch, tries = Ref(0), Ref(0), Watch(), []

    def meanwhile(x: Any) -> Any:
        tries.append(x)
        if len(tries) == 1:
            elsewhere((a.write * b.write), 1)
        return x

    reaction = b.read >> a.read >> meanwhile >> (identity * b.read) >> watch.look
    assert reaction() == 1
    assert watch.torn == []


@pytest.mark.parametrize("changes", [[1, 0], [1, 0, 1], [1, 0, 2, 0], [0, 1]])
def test_values_that_repeat_between_two_reads(changes: list[int]) -> None:
    """A-B-A: what was read first may be true again when the second word is read; never is it half of each."""
    a, b, watch, tries = Ref(0), Ref(0), Watch(), []

    def meanwhile(x: int) -> int:
        tries.append(x)
        if len(tries) == 1:
            for change in changes:
                elsewhere((a.write * b.write), change)
        return x

    assert (a.read >> meanwhile >> (identity * b.read) >> watch.look)() == changes[-1]
    assert watch.torn == []


def test_error_in_a_stale_try_is_not_raised() -> None:
    """What a function raises about a state that is no more belongs to no one: the reaction starts again."""
    ref, tries = Ref(0), []

    def divide(x: int) -> int:
        tries.append(x)
        if x == 0:
            elsewhere(ref.set, 4)
        return 8 // x

    assert (ref.read >> divide)() == 2
    assert tries == [0, 4]


def test_block_in_a_stale_try_is_not_believed() -> None:
    """A guard that said no to a state that is no more does not park the reaction."""
    ref, tries = Ref(0), []

    def ready(x: int) -> bool:
        tries.append(x)
        if x == 0:
            elsewhere(ref.set, 1)
        return x == 1

    assert (ref.read >> guard(ready))() == 1
    assert tries == [0, 1]


def test_a_long_loop_over_many_refs_sees_one_state() -> None:
    """A function that would never end if it saw a cycle: a linked list that writers relink all the time."""
    size = 8
    links = [Ref((i + 1) % size) for i in range(size)]  # links[i] holds the successor of i; one ring of all

    def rotate(k: int) -> Reagent[Any, Any]:
        ring = [(i * (1 if k % 2 else 3)) % size for i in range(size)]
        successor = {ring[i]: ring[(i + 1) % size] for i in range(size)}
        return together(*(const(successor[i]) >> links[i].write for i in range(size)))

    rings, turn = [rotate(0), rotate(1)], itertools.count()
    broken: list[Any] = []

    def follow(at: int = 0, seen: tuple[int, ...] = ()) -> Reagent[Any, Any]:
        if at in seen:
            if at != seen[0] or len(seen) != size:
                broken.append((*seen, at))
            return const(len(seen))
        return links[at].read >> computed(lambda to: const(None) >> follow(to, (*seen, at)))

    def walk() -> None:
        for _ in range(150 * STRESS):
            assert computed(lambda _: follow())() == size

    race(walk, meanwhile=[lambda: rings[next(turn) % 2]()])
    assert broken == []
