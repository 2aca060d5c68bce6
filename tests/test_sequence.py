"""`a >> b`: b after a, a's result is b's input, and plain callables are lifted on either side."""

from __future__ import annotations

import operator
from functools import reduce
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reagents import Reagent, Ref, computed, const, guard, identity, lift


def test_result_of_the_first_is_input_of_the_second() -> None:
    assert (lift(lambda x: x + 1) >> lift(lambda x: x * 10))(4) == 50


@pytest.mark.parametrize(
    "reagent",
    [
        lift(abs) >> (lambda x: x + 1),
        (lambda x: abs(x)) >> lift(lambda x: x + 1),
        abs >> identity >> (1).__add__,
        identity >> abs >> (1).__add__,
    ],
    ids=["callable right", "callable left", "built-in left", "both"],
)
def test_callables_are_lifted(reagent: Reagent[int, int]) -> None:
    assert isinstance(reagent, Reagent)
    assert reagent(-4) == 5


def test_classes_and_bound_methods_are_callables() -> None:
    assert (const(3) >> str >> "n = {}".format)() == "n = 3"


def test_input_is_none_when_not_given() -> None:
    assert identity() is None
    assert (identity >> (lambda x: x is None))() is True


def test_identity_is_neutral() -> None:
    step = lift(lambda x: (x, x))
    assert (identity >> step)(1) == (step >> identity)(1) == step(1) == (1, 1)


def test_const_ignores_its_input() -> None:
    value = object()
    assert (lift(lambda x: x + 1) >> const(value))(1) is value


def test_steps_happen_from_left_to_right() -> None:
    trail = Ref(())

    def leave(mark: str) -> Reagent[Any, Any]:
        return trail.upd(lambda seen, x: ((*seen, mark), (*seen, mark)))

    assert (leave("a") >> leave("b") >> leave("c"))() == ("a", "b", "c")
    assert trail.get() == ("a", "b", "c")


def test_steps_are_one_atomic_step() -> None:
    """When the last step blocks, the first have not happened."""
    ref = Ref(0)
    blocked = ref.upd(lambda n, _: (n + 1, n + 1)) >> guard(lambda n: n != 1)
    with pytest.raises(TimeoutError):
        blocked(timeout=0)
    assert ref.get() == 0


def test_a_reagent_is_a_value() -> None:
    """It can be run any number of times, be part of several others, and composing does not change it."""
    ref = Ref(0)
    count = ref.upd(lambda n, _: (n + 1, n + 1))
    twice = count >> count
    four = twice >> twice
    assert [count(), twice(), four(), count()] == [1, 3, 7, 8]


def test_nothing_happens_before_it_is_run() -> None:
    ref = Ref(0)
    calls = []
    _ = const(5) >> ref.write >> calls.append
    _ = computed(lambda _: calls.append("computed") or identity)
    assert ref.get() == 0
    assert calls == []


def test_in_place_composition_makes_a_new_reagent() -> None:
    first = reagent = lift(lambda x: x + 1)
    reagent >>= lambda x: x * 10
    assert (first(1), reagent(1)) == (2, 20)


STEPS = {
    "add": lambda ref: ref.upd(lambda n, x: (n + x, n)),
    "double": lambda ref: lift(lambda x: 2 * x + 1),
    "swap": lambda ref: ref.swap,
    "read": lambda ref: ref.read >> (lambda x: x - 7),
    "write": lambda ref: ref.write,
    "callable": lambda ref: lambda x: x % 1000,
}


@given(st.lists(st.sampled_from(sorted(STEPS)), min_size=2, max_size=8), st.data())
def test_associative(names: list[str], data: st.DataObject) -> None:
    """Any way of placing the parentheses gives the same result and the same state."""

    def run(nest: Any) -> tuple[Any, Any]:
        ref = Ref(3)
        steps = [identity >> STEPS[name](ref) for name in names]
        return nest(steps)(5), ref.get()

    def at_random(steps: list[Any]) -> Any:
        while len(steps) > 1:
            i = data.draw(st.integers(0, len(steps) - 2))
            steps[i : i + 2] = [steps[i] >> steps[i + 1]]
        return steps[0]

    leftmost = run(lambda steps: reduce(operator.rshift, steps))
    rightmost = run(lambda steps: reduce(lambda rest, step: step >> rest, reversed(steps)))
    assert leftmost == rightmost == run(at_random)
