"""What the search for a partner costs as offers wait on one channel: where the first fits, and where none does.

Those who wait are coroutines on a scheduler that never resumes them, so that nothing but the search is measured.

    python benchmarks/bench_search.py           # a table: microseconds, median of all
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

from reagents import Reagent, attempt, channel, guard, schedulers

WAITING = (1, 10, 100, 1000)
REPETITIONS = 50


class _Parked:
    """A suspension, and the scheduler that makes it: what waits here is never looked at again."""

    def suspension(self) -> _Parked:
        return self

    def resume(self) -> None:
        pass

    def __await__(self) -> Any:
        yield

    async def wait(self, withdraw: Callable[[], bool], seconds: float | None = None) -> None:
        await self

    async def enter(self) -> None:
        pass

    async def leave(self) -> None:
        pass


def parked(reagent: Reagent[Any, Any], count: int) -> list[Any]:
    """Coroutines, each blocked in the reagent."""
    coroutines = [reagent.arun(i) for i in range(count)]
    with schedulers.use(_Parked()):
        for coroutine in coroutines:
            coroutine.send(None)
    return coroutines


def microseconds(operation: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    operation()
    return (time.perf_counter() - begin) * 1e6


def first_fits(count: int) -> float:
    """A swap with the one that waits longest, while so many wait."""
    left, right = channel()
    waiting = parked(left.swap, count)
    times = []
    for _ in range(REPETITIONS):
        times.append(microseconds(lambda: right.swap("x")))
        waiting += parked(left.swap, 1)
    for coroutine in waiting:
        coroutine.close()
    return statistics.median(times)


def none_fits(count: int) -> float:
    """A swap that refuses whatever it gets, and so tries all of them."""
    left, right = channel()
    waiting = parked(left.swap, count)
    refuse = attempt(right.swap >> guard(lambda got: False))
    times = [microseconds(refuse) for _ in range(max(5, REPETITIONS // count))]
    for coroutine in waiting:
        coroutine.close()
    return statistics.median(times)


class Search:
    params = WAITING
    param_names = ("waiting",)
    unit = "us"

    def track_first_fits(self, waiting: int) -> float:
        return first_fits(waiting)

    def track_none_fits(self, waiting: int) -> float:
        return none_fits(waiting)


def main() -> None:
    print(f"{'waiting':>8} {'first fits':>12} {'none fits':>12} {'per offer':>12}")
    for count in WAITING:
        none = none_fits(count)
        print(f"{count:8} {first_fits(count):12.2f} {none:12.2f} {none / count:12.2f}")


if __name__ == "__main__":
    main()
