"""Concurrent programs of swaps that hypothesis makes. A swap is a joint operation, so what is checked is a matching.

Each swap that returned gives a value that nobody else gives, and takes one. Right is: who takes y from x's party gave
x to the party that gave y (symmetric, so each value is taken once); the two stand at opposite sides; and they overlap
in time. What timed out gave nothing and took nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter_ns
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from concurrent_programs import pause
from lockfree import Exchanger
from racing import examples, race
from reagents import attempt, channel, computed, const, lift, reagent, stats

WAIT = 0.002
KINDS = ("swap", "attempt", "paused", "computed", "with direct style", "in a choice")

Call = tuple[int, str]  # side and kind


@dataclass(frozen=True)
class Swap:
    side: int
    gave: Any
    took: Any  # None: nothing
    call: int
    ret: int


def wrong(history: list[Swap], *, sided: bool) -> str | None:
    """Why this is no matching, or None."""
    by_value = {s.gave: s for s in history}
    assert len(by_value) == len(history)
    for s in history:
        if s.took is None:
            continue
        partner = by_value.get(s.took)
        if partner is None:
            return f"{s} took what nobody gave"
        if partner.took != s.gave:
            return f"{s} and {partner} do not agree"
        if partner is s:
            return f"{s} met itself"
        if sided and partner.side == s.side:
            return f"{s} and {partner} were at one side"
        if s.ret < partner.call or partner.ret < s.call:
            return f"{s} and {partner} do not overlap"
    return None


def paused(x: Any) -> Any:
    pause()
    return x


def swaps(end: Any) -> dict[str, Any]:
    return {
        "swap": end,
        "attempt": attempt(end),
        "paused": lift(paused) >> end >> paused,
        "computed": computed(lambda x: const(paused(x)) >> end),
        "with direct style": reagent(lambda tx, x: paused(x)) >> end >> reagent(lambda tx, x: x),
        "in a choice": (lift(paused) >> end) + end,
    }


def run(sides: tuple[Any, Any], threads: list[list[Call]]) -> list[Swap]:
    ways = [swaps(end) for end in sides]

    def worker(me: int) -> list[Swap]:
        done = []
        for i, (side, kind) in enumerate(threads[me]):
            gave = (me, i)
            start = perf_counter_ns()
            try:
                took = ways[side][kind](gave, timeout=WAIT)
            except TimeoutError:
                took = None
            done.append(Swap(side, gave, took, start, perf_counter_ns()))
        return done

    return [s for swaps_ in race(*[lambda me=me: worker(me) for me in range(len(threads))]) for s in swaps_]


programs = st.lists(
    st.lists(st.tuples(st.integers(0, 1), st.sampled_from(KINDS)), min_size=1, max_size=4), min_size=2, max_size=4
)


@pytest.mark.parametrize("what", ["channel", "exchanger"])
def test_swaps_match(what: str) -> None:
    met = 0

    @settings(
        deadline=None,
        max_examples=examples(60),
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(programs)
    def check(threads: list[list[Call]]) -> None:
        nonlocal met
        for _ in range(3):
            if what == "channel":
                left, right = channel()
                history = run((left.swap, right.swap), threads)
            else:
                e: Exchanger[Any] = Exchanger()
                history = run((e.exchange, e.exchange), threads)
            reason = wrong(history, sided=what == "channel")
            assert reason is None, f"{reason}\nin {threads}: {history}"
            met += sum(s.took is not None for s in history)

    check()
    assert met, "nobody ever met anybody"
    assert stats()["waiting"] == 0


@pytest.mark.parametrize(
    ("history", "why"),
    [
        ([Swap(0, "a", "x", 0, 9)], "nobody gave"),
        ([Swap(0, "a", "b", 0, 9), Swap(1, "b", None, 0, 9)], "do not agree"),
        ([Swap(0, "a", "c", 0, 9), Swap(1, "b", "a", 0, 9), Swap(1, "c", "a", 0, 9)], "do not agree"),
        ([Swap(0, "a", "a", 0, 9)], "itself"),
        ([Swap(0, "a", "b", 0, 9), Swap(0, "b", "a", 0, 9)], "one side"),
        ([Swap(0, "a", "b", 0, 4), Swap(1, "b", "a", 5, 9)], "overlap"),
    ],
)
def test_what_is_no_matching_is_caught(history: list[Swap], why: str) -> None:
    assert why in str(wrong(history, sided=True))
