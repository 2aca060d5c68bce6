"""Generated reagents do what a sequential model says, and obey the laws of `>>`, `+` and `*`."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from model import READING, WRITING, Program, State, World, build, programs, search, small, states, straight_programs
from racing import examples
from reagents import attempt, identity

NOTHING = object()

checked = settings(max_examples=examples(150), deadline=None)


def modelled(program: Program, state: State, x: Any) -> tuple[Any, ...]:
    """Whether it happens, what it returns, the state afterwards, and what was tried on the way."""
    tried: set[str] = set()
    for result, after in search(program, state, x, tried):
        return "done", result, after, tried
    return "blocked", None, state, tried


def run(world: World, program: Program, x: Any) -> Any:
    # A bare reagent method would be a direct call, with the arguments and exceptions of the method.
    return (identity >> build(world, program))(x, timeout=0)


def observed(program: Program, state: State, x: Any) -> tuple[Any, ...]:
    world = World(state)
    try:
        return "done", run(world, program, x), world.state()
    except (TimeoutError, RuntimeError):
        return "blocked", None, world.state()


@checked
@given(programs, states, small)
def test_does_what_the_model_does(program: Program, state: State, x: int) -> None:
    *expected, _ = modelled(program, state, x)
    assert observed(program, state, x) == tuple(expected)


@checked
@given(programs, states, small)
def test_attempt_agrees(program: Program, state: State, x: int) -> None:
    outcome, result, after, _ = modelled(program, state, x)
    world = World(state)
    answer = attempt(build(world, program), NOTHING)(x)
    assert (answer is NOTHING) == (outcome == "blocked")
    assert answer is NOTHING or answer == result
    assert world.state() == after


@checked
@given(programs, states, small)
def test_blocked_for_ever_only_if_nothing_was_read(program: Program, state: State, x: int) -> None:
    """A blocked reaction can be woken by a word that it read; without any, running it is an error at once."""
    outcome, _, _, tried = modelled(program, state, x)
    assume(outcome == "blocked")
    if tried & READING:
        expected: Any = TimeoutError
    else:
        # A blind write may or may not count as having looked at the word.
        expected = (TimeoutError, RuntimeError) if tried & WRITING else RuntimeError
    with pytest.raises(expected):
        run(World(state), program, x)


def same(left: Program, right: Program, state: State, x: Any, regroup: Any = lambda result: result) -> None:
    outcome, result, after = observed(left, state, x)
    expected = observed(right, state, x)
    assert (outcome, regroup(result) if outcome == "done" else None, after) == expected


triple = st.tuples(programs, programs, programs)


@checked
@given(triple, states, small)
def test_sequence_is_associative(abc: tuple[Program, ...], state: State, x: int) -> None:
    a, b, c = abc
    same(("seq", ("seq", a, b), c), ("seq", a, ("seq", b, c)), state, x)


@checked
@given(triple, states, small)
def test_choice_is_associative(abc: tuple[Program, ...], state: State, x: int) -> None:
    a, b, c = abc
    same(("choice", ("choice", a, b), c), ("choice", a, ("choice", b, c)), state, x)
    same(("choices", a, b, c), ("choice", a, ("choice", b, c)), state, x)


@checked
@given(triple, states, small)
def test_pair_is_associative(abc: tuple[Program, ...], state: State, x: int) -> None:
    a, b, c = abc
    nested = ("pair", ("pair", a, b), c)
    same(nested, ("pair", a, ("pair", b, c)), state, x, lambda r: (r[0][0], (r[0][1], r[1])))
    same(nested, ("together", a, b, c), state, x, lambda r: (*r[0], r[1]))


@checked
@given(programs, states, small)
def test_neutral_elements(a: Program, state: State, x: int) -> None:
    never, identity = ("never",), ("identity",)
    same(("choice", never, a), a, state, x)
    same(("choice", a, never), a, state, x)
    same(("seq", identity, a), a, state, x)
    same(("seq", a, identity), a, state, x)
    same(("seq", never, a), never, state, x)
    same(("seq", a, never), never, state, x)


@checked
@given(triple, states, small)
def test_sequence_distributes_from_the_right(abc: tuple[Program, ...], state: State, x: int) -> None:
    a, b, c = abc
    same(("seq", ("choice", a, b), c), ("choice", ("seq", a, c), ("seq", b, c)), state, x)


@checked
@given(straight_programs, programs, programs, states, small)
def test_sequence_distributes_from_the_left(c: Program, a: Program, b: Program, state: State, x: int) -> None:
    """Where c itself has no choice: otherwise the two sides try the combinations in different orders."""
    same(("seq", c, ("choice", a, b)), ("choice", ("seq", c, a), ("seq", c, b)), state, x)


@checked
@given(triple, states, small)
def test_pair_distributes_from_the_right(abc: tuple[Program, ...], state: State, x: int) -> None:
    a, b, c = abc
    same(("pair", ("choice", a, b), c), ("choice", ("pair", a, c), ("pair", b, c)), state, x)


@checked
@given(straight_programs, programs, programs, states, small)
def test_pair_distributes_from_the_left(c: Program, a: Program, b: Program, state: State, x: int) -> None:
    same(("pair", c, ("choice", a, b)), ("choice", ("pair", c, a), ("pair", c, b)), state, x)
