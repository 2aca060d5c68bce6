"""`explore` switches threads before operations on words of a Segment, as before any other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from reagents import BLOCK
from reagents.testing import explore
from segments import segment


@pytest.fixture
def words() -> Iterator[Any]:
    with segment() as seg:
        yield seg.array("words", "int64", 2)


def scenario_of(words: Any, step: Callable[[], object], after: tuple[int, int]) -> Any:
    """Two threads do the same step; both words begin with 0 and must end as said."""

    def scenario() -> Any:
        words[0] = words[1] = 0

        def check() -> None:
            assert (words[0], words[1]) == after

        return [step, step], check

    return scenario


LOST: dict[str, Callable[[Any], object]] = {
    "items": lambda words: words.__setitem__(0, words[0] + 1),
    "a word": lambda words: words.at(0).set(words.at(0).get() + 1),
    "swap": lambda words: words.at(0).swap(words.at(0).get() + 1),
    "compare_and_set once": lambda words: words.compare_and_set(0, words[0], words[0] + 1),
    "kcas once": lambda words: words.kcas([(0, words[0], words[0] + 1)]),
}


@pytest.mark.parametrize("how", LOST)
def test_a_lost_update_is_found(words: Any, how: str) -> None:
    found = explore(scenario_of(words, lambda: LOST[how](words), (2, 0)))
    assert found.failure is not None
    assert isinstance(found.failure.error, AssertionError)
    assert found.failure.replay().schedule == found.failure.schedule


def test_added_one_after_the_other_they_do_not_move_together(words: Any) -> None:
    def step() -> None:
        words.add(0, 1)
        assert words.kcas([(0, 1, 1), (1, 0, 1)]) or words[1] == 1

    assert explore(scenario_of(words, step, (2, 1))).failure is not None


def test_one_reaction_is_one_step(words: Any) -> None:
    both = words.at(0).add * words.at(1).add
    found = explore(scenario_of(words, lambda: both(1), (2, 2)), preemptions=None)
    assert found.failure is None
    assert found.complete


def test_who_waits_is_woken(words: Any) -> None:
    taken = words.at(0).upd(lambda n, _: (n - 1, n) if n else BLOCK)

    def scenario() -> Any:
        words[0] = 0
        return [taken, lambda: words.add(0, 1)], None

    found = explore(scenario, preemptions=None)
    assert found.failure is None
    assert found.complete
    assert found.schedules > 1
