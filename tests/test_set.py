"""Set: a set in one thread and in many."""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Callable, MutableSet
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lockfree import Set
from racing import STRESS, examples, parked, race
from reagents import attempt

item = st.one_of(st.integers(0, 20), st.integers(0, 20).map(str), st.integers(0, 20).map(lambda n: (n,)))
items = st.lists(item, max_size=12)

OPERATIONS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "add": lambda s, x, _: s.add(x),
    "discard": lambda s, x, _: s.discard(x),
    "remove": lambda s, x, _: s.remove(x),
    "in": lambda s, x, _: x in s,
    "update": lambda s, _, o: s.update(o),
    "intersection_update": lambda s, _, o: s.intersection_update(o),
    "difference_update": lambda s, _, o: s.difference_update(o),
    "symmetric_difference_update": lambda s, _, o: s.symmetric_difference_update(o),
    "union": lambda s, _, o: s.union(o),
    "intersection": lambda s, _, o: s.intersection(o),
    "difference": lambda s, _, o: s.difference(o),
    "symmetric_difference": lambda s, _, o: s.symmetric_difference(o),
    "|": lambda s, _, o: s | set(o),
    "&": lambda s, _, o: set(o) & s,
    "-": lambda s, _, o: set(o) - s,
    "^": lambda s, _, o: s ^ frozenset(o),
    "<=": lambda s, _, o: s <= set(o),
    "<": lambda s, _, o: s < set(o),
    ">=": lambda s, _, o: s >= set(o),
    "disjoint": lambda s, _, o: s.isdisjoint(o),
    "subset": lambda s, _, o: s.issubset(o),
    "superset": lambda s, _, o: s.issuperset(o),
}


@given(st.lists(st.tuples(st.sampled_from(sorted(OPERATIONS)), item, items), max_size=30))
@settings(max_examples=examples(60), deadline=None)
def test_a_set_does_what_a_set_does(steps: list[tuple[str, Any, list[Any]]]) -> None:
    ours: Set[Any] = Set()
    theirs: set[Any] = set()
    for name, x, other in steps:
        answers: list[Any] = []
        for target in (ours, theirs):
            try:
                answers.append(OPERATIONS[name](target, x, other))
            except KeyError as error:
                answers.append(("KeyError", error.args))
        assert answers[0] == answers[1]
        assert ours == theirs
        assert len(ours) == len(theirs)
    assert ours.snapshot() == theirs
    assert sorted(map(repr, ours)) == sorted(map(repr, theirs))
    taken = {ours.pop() for _ in range(len(ours))}
    assert taken == theirs
    with pytest.raises(KeyError):
        ours.pop()


def test_conventions() -> None:
    s = Set([1])
    assert isinstance(s, MutableSet)
    assert repr(s) == "Set({1})"
    assert repr(Set()) == "Set()"
    assert Set[int].__origin__ is Set
    with pytest.raises(TypeError, match="cannot pickle"):
        pickle.dumps(s)
    with pytest.raises(TypeError, match="unhashable"):
        hash(s)
    for wrong in (lambda: s.add([]), lambda: [] in s, lambda: s.discard([]), lambda: s.at([])):
        with pytest.raises(TypeError, match=r"unhashable|cannot use"):
            wrong()
    with pytest.raises(TypeError):
        s | [2]  # type: ignore[operator]
    nested: Set[Any] = Set([frozenset([1])])
    assert {1} in nested
    assert Set([1]) in nested
    nested.remove({1})
    assert not nested


def test_of_those_who_add_or_discard_an_item_one_does() -> None:
    s: Set[int] = Set()
    n = 400 * STRESS

    def worker() -> tuple[int, int]:
        added = sum(s.try_add(i) for i in range(n))
        return added, sum(s.try_discard(i) for i in range(n // 2))

    results = race(worker, worker, worker)
    added, discarded = map(sum, zip(*results, strict=True))
    assert added - discarded == len(s) == len(s.snapshot())


def test_items_move_between_sets() -> None:
    left, right = Set(range(40)), Set[int]()

    def mover(a: Set[int], b: Set[int]) -> None:
        for i in itertools.islice(itertools.cycle(range(40)), 200 * STRESS):
            attempt(a.at(i).remove >> b.at(i).write)()

    race(lambda: mover(left, right), lambda: mover(right, left), lambda: mover(left, right))
    assert sorted([*left, *right]) == list(range(40))
    waiting = parked(left.at("late").read)
    left.add("late")  # type: ignore[arg-type]
    assert waiting.result() is None
