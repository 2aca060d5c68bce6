"""Who goes on at a hand-over: systematically, by random priorities, at random, or as a schedule says.

A strategy gives one chooser a run, until it has no more to try.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import NamedTuple, Protocol

from reagents.testing.turns import Chooser, NotDeterministic, Turn


class Strategy(Protocol):
    def next_run(self) -> Chooser | None:
        """The chooser of the next run; None when all that the strategy would try was run."""


def _keep_on(current: int | None, doing: dict[int, str]) -> int:
    """Without preemption: whoever runs goes on; else the first who can."""
    return next(iter(doing)) if current is None else current


# ---------------------------------------------------------------- as it was


class Replay:
    """Takes the turns given, and goes on without preemption after the last.

    A turn without a description ('') is not compared. NotDeterministic if a thread cannot take its turn
    or would do something else with it.
    """

    def __init__(self, given: Sequence[Turn]) -> None:
        self.turns: list[Turn] = []
        self._given = given

    def choose(self, step: int, current: int | None, doing: dict[int, str]) -> int:
        if step >= len(self._given):
            return _keep_on(current, doing)
        return agreed(step, self._given[step], doing)


def agreed(step: int, turn: Turn, doing: dict[int, str]) -> int:
    thread, did = turn
    if thread not in doing or (did and doing[thread] != did):
        now = f"would do {doing[thread]}" if thread in doing else "waits or has ended"
        raise NotDeterministic(f"turn {step} of thread {thread} was {did or 'taken'}; in this run the thread {now}")
    return thread


# ---------------------------------------------------------------- all, up to a number of preemptions


class _Branch(NamedTuple):
    turns: list[Turn]  # of the run that it leaves
    at: int  # the first turn that differs
    thread: int  # whose that one is
    preemptions: int


class Systematic:
    """All schedules with at most so many preemptions, each once, those with the fewest first.

    A preemption takes the turn away from a thread that could have gone on. Most bugs need one or two, and
    their number bounds the schedules by a polynomial (Musuvathi and Qadeer, PLDI 2007). Of one number of
    preemptions the search is depth-first. Each run repeats the beginning of an earlier one and must find it
    unchanged.
    """

    def __init__(self, preemptions: int | None) -> None:
        self.bound = preemptions
        self.open: list[list[_Branch]] = []  # by preemptions
        self._begun = False

    def next_run(self) -> Chooser | None:
        if not self._begun:
            self._begun = True
            return _Following(self, _Branch([], -1, -1, 0))
        for branches in self.open:
            if branches:
                return _Following(self, branches.pop())
        return None

    def add(self, branch: _Branch) -> None:
        while len(self.open) <= branch.preemptions:
            self.open.append([])
        self.open[branch.preemptions].append(branch)


class _Following:
    """Follows a branch, and notes those that leave it behind its beginning."""

    def __init__(self, strategy: Systematic, branch: _Branch) -> None:
        self.turns: list[Turn] = []
        self._strategy = strategy
        self._branch = branch

    def choose(self, step: int, current: int | None, doing: dict[int, str]) -> int:
        branch = self._branch
        if step < branch.at:
            return agreed(step, branch.turns[step], doing)
        if step == branch.at:
            return agreed(step, (branch.thread, ""), doing)
        chosen = _keep_on(current, doing)
        preemptions = branch.preemptions + (current is not None)
        if self._strategy.bound is None or preemptions <= self._strategy.bound:
            for thread in doing:
                if thread != chosen:
                    self._strategy.add(_Branch(self.turns, step, thread, preemptions))
        return chosen


# ---------------------------------------------------------------- at random


class Uniform:
    """At each hand-over any thread, with equal chances."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    def next_run(self) -> Chooser:
        return _Uniformly(self._random)


class _Uniformly:
    def __init__(self, random: Random) -> None:
        self.turns: list[Turn] = []
        self._random = random

    def choose(self, step: int, current: int | None, doing: dict[int, str]) -> int:
        return self._random.choice(list(doing))


class Pct:
    """Random priorities, with `depth` - 1 places where the thread that would run falls behind all others.

    Probabilistic concurrency testing (Burckhardt et al., ASPLOS 2010): of n threads that take k turns each run
    finds a bug of that depth with a chance of at least 1 / (n * k ** (depth - 1)).
    """

    def __init__(self, seed: int, depth: int) -> None:
        self._random = Random(seed)
        self._depth = depth
        self._last: _ByPriority | None = None
        self._longest = 2 * depth

    def next_run(self) -> Chooser:
        if self._last is not None:
            self._longest = max(self._longest, len(self._last.turns))
        places = self._random.sample(range(self._longest), self._depth - 1)
        self._last = _ByPriority(self._random, places)
        return self._last


class _ByPriority:
    def __init__(self, random: Random, places: Sequence[int]) -> None:
        self.turns: list[Turn] = []
        self._random = random
        self._places = {place: -1.0 - number for number, place in enumerate(places)}
        self._priorities: dict[int, float] = {}

    def choose(self, step: int, current: int | None, doing: dict[int, str]) -> int:
        for thread in doing:
            if thread not in self._priorities:
                self._priorities[thread] = self._random.random()
        chosen = max(doing, key=self._priorities.__getitem__)
        if step in self._places:
            self._priorities[chosen] = self._places[step]
            chosen = max(doing, key=self._priorities.__getitem__)
        if doing[chosen] == "timeout":
            # Who asks again and again must not keep all others from answering.
            self._priorities[chosen] = -1.0 - len(self._places) - step
        return chosen
