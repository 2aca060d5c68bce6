"""Makes a failing program smaller while it still fails.

Not left to hypothesis: a program fails by luck, so each candidate is tried many times, and some of the steps are no
deletions. An operation outside of the threads is easier to understand than one that races, so moving one out
is progress too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations
from typing import TypeVar

_Call = TypeVar("_Call")
#: set-up, threads, what one client does at the end
Shape = tuple[tuple[_Call, ...], tuple[tuple[_Call, ...], ...], tuple[_Call, ...]]


def shrunk(shape: Shape[_Call], fails: Callable[[Shape[_Call]], bool]) -> Shape[_Call]:
    """A shape that fails and none of whose `smaller` ones has failed.

    It ends: every step drops an operation, or moves one out of the threads for good.
    """
    while True:
        for candidate in smaller(shape):
            if fails(candidate):
                shape = candidate
                break
        else:
            return shape


def smaller(shape: Shape[_Call]) -> Iterator[Shape[_Call]]:
    """What to try next: without a thread, without two operations (a put and its get), without one, and with the first
    operation of a thread in the set-up or its last one at the end."""
    setup, threads, final = shape
    for me in range(len(threads)):
        yield setup, threads[:me] + threads[me + 1 :], final
    places = [(-1, at) for at in range(len(setup))]
    places += [(me, at) for me, calls in enumerate(threads) for at in range(len(calls))]
    places += [(len(threads), at) for at in range(len(final))]
    for dropped in (*combinations(places, 2), *((place,) for place in places)):
        yield _without(shape, set(dropped))
    for me, calls in enumerate(threads):
        yield _tidy(((*setup, calls[0]), (*threads[:me], calls[1:], *threads[me + 1 :]), final))
    for me, calls in enumerate(threads):
        yield _tidy((setup, (*threads[:me], calls[:-1], *threads[me + 1 :]), (calls[-1], *final)))


def _without(shape: Shape[_Call], dropped: set[tuple[int, int]]) -> Shape[_Call]:
    setup, threads, final = shape
    left = [
        tuple(call for at, call in enumerate(calls) if (me, at) not in dropped)
        for me, calls in enumerate((setup, *threads, final), -1)
    ]
    return _tidy((left[0], tuple(left[1:-1]), left[-1]))


def _tidy(shape: Shape[_Call]) -> Shape[_Call]:
    """Without threads that have nothing to do."""
    setup, threads, final = shape
    return setup, tuple(calls for calls in threads if calls), final
