"""Runs a scenario under many schedules, and says which one breaks it."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import groupby
from time import monotonic
from typing import Literal

from reagents.testing.choosers import Pct, Replay, Strategy, Systematic, Uniform
from reagents.testing.turns import Chooser, Crew, NotDeterministic, Thunk, Turn

#: Builds the objects, and returns the thunks and a final check (or None).
Scenario = Callable[[], tuple[Iterable[Thunk], Callable[[], object] | None]]

# Runs between two collections, the collector being off.
_COLLECT_EVERY = 1000

# Of the strategies that never end by themselves.
_MAX_SCHEDULES = 1000


@dataclass(frozen=True, slots=True)
class _Trial:
    """How a scenario is run once."""

    scenario: Scenario
    max_steps: int
    patience: float

    def run(self, crew: Crew, chooser: Chooser) -> tuple[list[Turn], BaseException | None]:
        """The turns taken, and what failed."""
        thunks, after = self.scenario()
        error = crew.run(list(thunks), chooser, self.max_steps, self.patience)
        if isinstance(error, NotDeterministic):
            raise error
        if error is None and after is not None:
            try:
                after()
            except Exception as failed:
                error = failed
        return chooser.turns, error

    def repeat(self, crew: Crew, turns: list[Turn]) -> BaseException | None:
        """What fails when the same turns are taken again. NotDeterministic if they cannot be."""
        again, error = self.run(crew, Replay(turns))
        if again != turns:
            raise NotDeterministic(f"the same schedule was over after {len(turns)} turns, and then after {len(again)}")
        return error

    def confirm(self, crew: Crew, error: BaseException, turns: list[Turn]) -> Failure:
        """The failure, seen once more: what fails only now and then is not the schedule's doing."""
        again = self.repeat(crew, turns)
        if type(again) is not type(error):
            raise NotDeterministic(f"the same schedule ended with {error!r}, and then with {again!r}") from error
        return Failure(again, _written(turns), self)


@dataclass(frozen=True, slots=True)
class Failure:
    """A schedule under which a scenario fails, and how."""

    error: BaseException  #: what a thread or the final check raised; or Deadlock, or StepLimit
    schedule: str  #: `thread:what it did` for each turn; `explore(scenario, schedule=...)` runs it again
    _trial: _Trial = field(repr=False)

    def replay(self) -> Failure:
        """Runs the scenario under this schedule once more and returns the failure, with an error of its own.

        Raises NotDeterministic if the run takes another course or ends in another way.

        >>> from reagents import Ref
        >>> from reagents.testing import explore
        >>> def scenario():
        ...     r = Ref(0)
        ...     def check():
        ...         assert r.get() == 2
        ...     return [lambda: r.set(r.get() + 1)] * 2, check
        >>> failure = explore(scenario).failure
        >>> failure.replay().schedule == failure.schedule
        True
        """
        with Crew() as crew:
            return self._trial.confirm(crew, self.error, _parsed(self.schedule))

    def __str__(self) -> str:
        lines = [f"{type(self.error).__name__}: {self.error}", "when the threads take turns like this:"]
        for thread, turns in groupby(_parsed(self.schedule), key=lambda turn: turn[0]):
            lines.append(f"    thread {thread}: {', '.join(did for _, did in turns)}")
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Exploration:
    """What `explore` has found."""

    schedules: int  #: how many were run, each another one
    complete: bool  #: there is no failure, and no schedule within the bound was left out
    failure: Failure | None  #: the first that was found, which ends the search


def explore(
    scenario: Scenario,
    *,
    preemptions: int | None = 2,
    strategy: Literal["systematic", "pct", "random"] = "systematic",
    seed: int = 0,
    depth: int = 3,
    schedule: str | None = None,
    max_schedules: int | None = None,
    timeout: float | None = None,
    max_steps: int = 1000,
    patience: float = 10.0,
) -> Exploration:
    """Runs a scenario under every interleaving of its threads, up to a bound, and reports the first that fails.

    `scenario()` builds its objects and returns `([thunk, ...], after)`. Each thunk runs unmodified in a thread
    of its own, one thread at a time; threads hand over before each operation on a structure of `reagents` or
    `lockfree`, and in a reaction before each step that may read a new word and before the commit. These are
    linearizable units, so no interleaving that a program could tell apart is left out: what happens inside of
    them is explored by itself, in C. (Not handed over: batches on a Segment, and what other processes do.) When all
    threads have ended, `after()`, which may be None, runs in the calling thread.

    A failure is what a thunk or `after` raises; Deadlock when threads wait and nobody can wake them; StepLimit after
    `max_steps` turns. A blocked call waits as long as nobody wakes it, and costs no time; one that has a timeout may
    run out of time at any turn, whatever its length: both are tried.

    strategy:
        "systematic", all schedules with at most `preemptions` preemptions (None: all there are), those with the
        fewest first (Musuvathi and Qadeer, PLDI 2007); "pct", random priorities that change `depth` - 1 times a
        run (Burckhardt et al., ASPLOS 2010); "random", any thread at each turn. The latter two use `seed` and
        run `max_schedules` schedules, 1000 unless said.
    schedule:
        Runs this one only, as printed by a failure, and goes on without preemption after its end. By hand, what a
        thread does may be left out, and several turns counted: "0*3, 1, 0".
    max_schedules, timeout (seconds):
        The search ends there; then `complete` is False.
    patience:
        Seconds that one turn may take.

    Raises NotDeterministic if the scenario does not do the same under the same schedule; ValueError for a
    schedule that cannot be read; RuntimeError if a turn takes longer than `patience`: a thread that waits for
    another by other means than reagents, as a lock, cannot be explored. What `scenario()` itself raises is
    passed on. Blocks until done; the garbage collector is off meanwhile, and runs between schedules.

    >>> from reagents import Ref
    >>> def scenario():
    ...     r = Ref(0)
    ...     def increment():
    ...         r.set(r.get() + 1)
    ...     def check():
    ...         assert r.get() == 2, "an update was lost"
    ...     return [increment, increment], check
    >>> found = explore(scenario, preemptions=2)
    >>> print(found.failure)
    AssertionError: an update was lost
    when the threads take turns like this:
        thread 1: Ref0.get
        thread 0: Ref0.get, Ref0.set
        thread 1: Ref0.set

    With an atomic operation in its place there is nothing to be found:

    >>> def scenario():
    ...     r = Ref(0)
    ...     def check():
    ...         assert r.get() == 2
    ...     return [lambda: r.add(1)] * 2, check
    >>> found = explore(scenario, preemptions=None)
    >>> found.complete, found.failure
    (True, None)
    """
    plan: Strategy
    if strategy == "systematic":
        if preemptions is not None and preemptions < 0:
            raise ValueError(f"preemptions must be at least 0, or None, not {preemptions}")
        plan = Systematic(preemptions)
    elif strategy == "pct":
        if depth < 1:
            raise ValueError(f"depth must be at least 1, not {depth}")
        plan = Pct(seed, depth)
    elif strategy == "random":
        plan = Uniform(seed)
    else:
        raise ValueError(f"strategy must be 'systematic', 'pct' or 'random', not {strategy!r}")
    if max_schedules is None and strategy != "systematic":
        max_schedules = _MAX_SCHEDULES
    trial = _Trial(scenario, max_steps, patience)
    with Crew() as crew:
        if schedule is None:
            return _search(trial, crew, plan, max_schedules, timeout)
        turns, error = trial.run(crew, Replay(_parsed(schedule)))
        return Exploration(1, False, None if error is None else Failure(error, _written(turns), trial))


def _search(trial: _Trial, crew: Crew, plan: Strategy, max_schedules: int | None, timeout: float | None) -> Exploration:
    began = monotonic()
    count = 0
    while True:
        limited = max_schedules is not None and count >= max_schedules
        if limited or (count and timeout is not None and monotonic() - began >= timeout):
            return Exploration(count, False, None)
        chooser = plan.next_run()
        if chooser is None:
            return Exploration(count, True, None)
        count += 1
        turns, error = trial.run(crew, chooser)
        if error is not None:
            return Exploration(count, False, trial.confirm(crew, error, turns))
        if count == 1:  # at once, so that what is never the same is not explored for hours
            trial.repeat(crew, turns)
        if count % _COLLECT_EVERY == 0:
            gc.collect()


def _written(turns: list[Turn]) -> str:
    return " ".join(f"{thread}:{did}" for thread, did in turns)


def _parsed(schedule: str) -> list[Turn]:
    """Turns, separated by spaces or commas: `thread`, `thread:what it did`, or `thread*turns`."""
    turns: list[Turn] = []
    for turn in schedule.replace(",", " ").split():
        who, _, did = turn.partition(":")
        thread, _, count = who.partition("*")
        if not thread.isdecimal() or not (count or "1").isdecimal():
            raise ValueError(f"a schedule is a list of thread, thread:operation or thread*turns, not {turn!r}")
        turns += [(int(thread), did)] * int(count or "1")
    return turns
