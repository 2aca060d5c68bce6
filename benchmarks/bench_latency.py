"""The tail: how long the slowest operation in a thousand, and in ten thousand, takes while others work beside it."""

from __future__ import annotations

import statistics

import harness
from cases import TAILS
from catalogue import GROUPS
from targets import TAIL_PERCENTS, TAIL_THREADS

SECONDS = 0.25
REPETITIONS = 5

Cache = dict[tuple[str, str, int, str, float], float]


def setup_cache() -> Cache:
    """All percentiles come from one series, the implementations taken in turn. asv keeps one cache for each function
    that makes one, not for each class: hence one for all."""
    found: dict[tuple[str, str, int, str, float], list[float]] = {}
    for group, names in TAILS.items():
        steps = list(GROUPS[group].cases[0].steps)
        for threads in TAIL_THREADS:
            for _ in range(REPETITIONS):
                for who in names:
                    samples = harness.latencies(GROUPS[group].case(who), threads, SECONDS)
                    for step, ordered in zip(steps, samples.values(), strict=True):
                        for percent in TAIL_PERCENTS:
                            key = group, who, threads, step, percent
                            found.setdefault(key, []).append(harness.percentile(ordered, percent))
    return {key: statistics.median(values) for key, values in found.items()}


setup_cache.timeout = 600  # type: ignore[attr-defined]


class _Tail:
    param_names = ("who", "threads", "operation", "percent")
    unit = "ns"
    group: str

    def __init_subclass__(cls, group: str) -> None:
        cls.group = group
        steps = list(GROUPS[group].cases[0].steps)
        cls.params = (list(TAILS[group]), list(TAIL_THREADS), steps, list(TAIL_PERCENTS))

    def track_ns(self, cache: Cache, who: str, threads: int, operation: str, percent: float) -> float:
        return cache[self.group, who, threads, operation, percent]


class StackTail(_Tail, group="stack"):
    pass


class QueueTail(_Tail, group="queue"):
    pass


class BoundedQueueTail(_Tail, group="queue-bounded"):
    pass


class MoveTail(_Tail, group="move"):
    pass
