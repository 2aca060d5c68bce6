"""Ten thousand `>>`, `+` or `*`, nested to the left or to the right, are built, run, shown and freed in a small stack.

The thread that does it has a quarter MiB of C stack, or half a one: one C frame a level would end the process.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from racing import in_small_stack
from reagents import Reagent, computed, const, guard, lift, together

DEPTH = 10_000

NESTINGS: dict[str, Callable[[Any, Any, Callable[[Any, Any], Any]], Any]] = {
    "left": lambda nest, leaf, op: op(nest, leaf),
    "right": lambda nest, leaf, op: op(leaf, nest),
}

nestings = pytest.mark.parametrize("nesting", sorted(NESTINGS))


def nested(nesting: str, op: Callable[[Any, Any], Any], leaf: Any, last: Any) -> Reagent[Any, Any]:
    """`last` and DEPTH times `leaf`, all the composites leaning to one side."""
    result = last
    for _ in range(DEPTH):
        result = NESTINGS[nesting](result, leaf, op)
    return result


def exercise(reagent: Reagent[Any, Any], check: Callable[[Any], bool]) -> None:
    """Run it, show it, collect it."""
    assert check(reagent(0))
    assert isinstance(repr(reagent), str)
    gc.collect()


@nestings
def test_sequence(nesting: str) -> None:
    def everything() -> None:
        increment = lift(lambda x: x + 1)
        exercise(nested(nesting, lambda a, b: a >> b, increment, increment), lambda x: x == DEPTH + 1)

    in_small_stack(everything)


@nestings
def test_choice_where_only_one_branch_can_happen(nesting: str) -> None:
    def everything() -> None:
        blocked = guard(lambda _: False)
        exercise(nested(nesting, lambda a, b: a + b, blocked, const("done")), lambda x: x == "done")

    in_small_stack(everything)


@nestings
def test_choice_that_backtracks_from_what_comes_after(nesting: str) -> None:
    def everything() -> None:
        choices = nested(nesting, lambda a, b: a + b, const("left"), const("wanted"))
        exercise(choices >> guard(lambda x: x == "wanted"), lambda x: x == "wanted")

    in_small_stack(everything)


@nestings
def test_pair(nesting: str) -> None:
    def depth(result: Any) -> int:
        side = 0 if nesting == "left" else 1
        levels = 0
        while isinstance(result, tuple):
            assert result[1 - side] == 1
            levels, result = levels + 1, result[side]
        return levels

    def everything() -> None:
        increment = lift(lambda x: x + 1)
        exercise(nested(nesting, lambda a, b: a * b, increment, increment), lambda x: depth(x) == DEPTH)

    in_small_stack(everything)


@nestings
def test_choices_on_the_way(nesting: str) -> None:
    """Each of ten thousand steps leaves a branch to come back to, and the last step comes back to all of them."""

    def everything() -> None:
        step = lift(lambda x: x + 1) + guard(lambda _: False)
        steps = nested(nesting, lambda a, b: a >> b, step, step)
        exercise((steps >> guard(lambda x: x < 0)) + const("back"), lambda x: x == "back")

    in_small_stack(everything)


def test_computed_chain() -> None:
    def countdown(n: int) -> Reagent[Any, Any]:
        return const(n - 1) >> computed(countdown) if n else const("done")

    def everything() -> None:
        assert computed(countdown)(DEPTH) == "done"

    in_small_stack(everything)


def test_wide_together() -> None:
    assert in_small_stack(lambda: together(*[lift(lambda x: x + 1)] * DEPTH)(0)) == (1,) * DEPTH


@pytest.mark.parametrize("op", [lambda a, b: a >> b, lambda a, b: a + b, lambda a, b: a * b], ids=[">>", "+", "*"])
@nestings
@pytest.mark.parametrize("how", ["by reference count", "by the collector"])
def test_freed(op: Callable[[Any, Any], Any], nesting: str, how: str) -> None:
    class Step:
        nest: Any = None

        def __call__(self, x: Any) -> Any:
            return x

    def everything() -> None:
        step = Step()
        gone = weakref.ref(step)
        nest = nested(nesting, op, lift(step), lift(step))
        if how == "by the collector":
            step.nest = nest
        del nest, step
        gc.collect()
        assert gone() is None

    in_small_stack(everything)
