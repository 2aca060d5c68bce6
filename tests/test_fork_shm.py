"""Fork while other threads are in the middle of operations on a Segment, or wait for its words."""

from __future__ import annotations

import os
from typing import Any

import pytest

from racing import STRESS, Background, Parked, race
from reagents import guard, stats
from segments import segment
from test_fork import in_child

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system"),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]

N, TOTAL = 4, 1000


def transfers(arr: Any, times: int) -> None:
    """By k-CAS, by reactions and in batches."""
    by_reaction = arr.at(0).upd(lambda v, _: (v - 1, 1)) >> arr.at(1).add
    for _ in range(times):
        x, y = arr[1], arr[2]
        arr.kcas([(1, x, x - 1), (2, y, y + 1)])
        by_reaction()
        a, b = arr[2], arr[0]
        arr.kcas_many([[(2, a - k, a - k - 1), (0, b + k, b + k + 1)] for k in range(3)])


def total(arr: Any) -> int:
    """At one instant."""
    ((a, b), c), d = (arr.at(0).read * arr.at(1).read * arr.at(2).read * arr.at(3).read)()
    return int(a + b + c + d)


def test_in_the_middle_of_transfers() -> None:
    """What the other threads were in the middle of goes on in the parent; children and theirs work beside it."""
    with segment() as seg:
        arr = seg.array("words", "int64", N)
        arr[0] = TOTAL

        def grandchild() -> None:
            transfers(arr, 10)
            assert total(arr) == TOTAL

        def child() -> None:
            assert total(arr) == TOTAL
            race(lambda: transfers(arr, 10), lambda: transfers(arr, 10))
            in_child(grandchild)
            assert total(arr) == TOTAL

        def forks() -> None:
            for _ in range(4 * STRESS):
                in_child(child)

        work = [lambda: transfers(arr, 10)] * 2
        race(forks, meanwhile=work)
        assert total(arr) == TOTAL
        seg.recover()
        assert set(seg._open().slots) <= {os.getpid()}, "a child has left a slot behind"


def test_while_others_wait() -> None:
    """Parent's threads wait for a word; the child, that has none of them, changes it, and they see it."""
    with segment() as seg:
        arr = seg.array("words", "int64", N)
        wait = arr.at(0).read >> guard(lambda value: value > 0)
        parked = Parked()
        waiting = [Background(wait) for _ in range(3)]
        parked.wait_for(3)

        def child() -> None:
            assert stats()["waiting"] == 0
            with pytest.raises(TimeoutError):
                wait(timeout=0.002)
            mine = Parked()
            own = Background(wait)
            mine.wait_for()
            assert arr.kcas([(0, 0, 7), (1, 0, 1)])
            assert own.result() == 7

        in_child(child)
        assert [each.result() for each in waiting] == [7, 7, 7]
