"""`lockfree.Counter`: adds from all threads, and their exact sum."""

from __future__ import annotations

from typing import Any

import pytest

from conventions import check_reagent_method, check_type
from lockfree import Counter
from racing import STRESS, elsewhere, race
from reagents import Ref, attempt, const, never


def test_conventions() -> None:
    check_type(Counter, Counter, generic=False)
    for method in ("add", "value"):
        check_reagent_method(getattr(Counter(), method))


def test_counts() -> None:
    counter = Counter()
    assert counter.value() == 0
    assert counter.add() is None
    counter.add(5)
    counter.add(-2)
    assert counter.value() == 4
    assert Counter(10).value() == 10
    assert Counter(initial=-3).value() == -3


def test_takes_whatever_is_an_integer() -> None:
    class Index:
        def __index__(self) -> int:
            return 3

    counter = Counter(True)
    counter.add(Index())
    counter.add(True)
    assert counter.value() == 5
    assert type(counter.value()) is int


@pytest.mark.parametrize("n", [1.5, "1", None, 1j])
def test_refuses_what_is_none(n: Any) -> None:
    counter = Counter(7)
    with pytest.raises(TypeError):
        counter.add(n)
    assert counter.value() == 7


def test_sum_is_exact_with_many_threads() -> None:
    counter, count = Counter(), 20_000 * STRESS

    def worker(n: int) -> None:
        for _ in range(count):
            counter.add(n)

    race(lambda: worker(1), lambda: worker(2), lambda: worker(-1), lambda: worker(3))
    assert counter.value() == 5 * count


def test_what_a_thread_added_stays_when_it_ends() -> None:
    counter = Counter()
    for _ in range(100):
        elsewhere(counter.add, 1)
    assert counter.value() == 100


def test_a_thread_sees_its_own_adds() -> None:
    counter = Counter()

    def worker() -> None:
        last = counter.value()
        for _ in range(1_000 * STRESS):
            counter.add(1)
            now = counter.value()
            assert now > last
            last = now

    race(worker, worker, worker)


def test_reagents() -> None:
    counter, ref = Counter(1), Ref(0)
    assert (const(4) >> counter.add >> counter.value >> ref.write)() == 5
    assert ref.get() == 5
    assert attempt(const(10) >> counter.add >> never, "blocked")() == "blocked"
    assert counter.value() == 5


def test_adds_in_a_reaction_are_part_of_it() -> None:
    """A ref and two counters that always change together are never seen at different ages."""
    ref, plus, minus = Ref(0), Counter(), Counter()
    step = const(1) >> ref.add >> const(1) >> plus.add >> const(-1) >> minus.add

    def worker() -> None:
        for _ in range(300 * STRESS):
            step()

    def audit() -> None:
        total, up, down = (ref.read * plus.value * minus.value >> (lambda nest: (*nest[0], nest[1])))()
        assert total == up == -down

    race(worker, worker, meanwhile=[audit])
    assert (ref.get(), plus.value(), minus.value()) == (600 * STRESS, 600 * STRESS, -600 * STRESS)


def test_value_in_a_reaction_is_validated() -> None:
    counter, log, tries = Counter(), Ref(0), []

    def meanwhile(n: int) -> int:
        tries.append(n)
        if len(tries) == 1:
            elsewhere(counter.add, 5)
        return n

    assert (counter.value >> meanwhile >> log.write)() == 5
    assert log.get() == 5


def test_counts_up_in_several_ways_at_once() -> None:
    counter, count = Counter(), 1_000 * STRESS
    composed = const(1) >> counter.add

    def direct() -> None:
        for _ in range(count):
            counter.add()

    def reaction() -> None:
        for _ in range(count):
            composed()

    race(direct, reaction, reaction, meanwhile=[counter.value])
    assert counter.value() == 3 * count
