"""Nanoseconds of a round trip between two who wait for each other."""

from __future__ import annotations

import statistics

from handover import HAND_OVERS

REPETITIONS = 5


class _RoundTrip:
    param_names = ("who",)
    unit = "ns"
    key: str

    def __init_subclass__(cls, key: str) -> None:
        cls.key = key
        cls.params = (list(HAND_OVERS[key].parties),)

    def track_ns(self, who: str) -> float:
        case = HAND_OVERS[self.key]
        case.parties[who](case.rounds // 10)
        return statistics.median(case.parties[who](case.rounds) for _ in range(REPETITIONS))


class BetweenThreads(_RoundTrip, key="threads"):
    pass


class Swap(_RoundTrip, key="swap"):
    pass


class WithinALoop(_RoundTrip, key="same-loop"):
    pass


class FromThreadToLoop(_RoundTrip, key="loop-thread"):
    pass
