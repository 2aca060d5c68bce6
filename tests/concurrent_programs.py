"""Small concurrent programs that hypothesis makes, real threads run and the checker judges.

A `Subject` is what is tested: its methods are the operations, its `spec` says what they mean in sequence. A program
is a set-up by one thread, then two to four threads at once; at the end one thread drains the subject, and that
belongs to the history: without it a lost element is invisible. Each program runs many times, because the machine
chooses the interleaving. `check_programs` fails with a program that `shrinking` finds no smaller one for, its
history and the reason.

Names of operations may end in `_composed`, `_waiting` or `_direct` (style): another way to do what the
specification calls by the rest of the name. So the plain fast call, the reaction and the one that waits race on one
structure.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Empty
from time import perf_counter_ns
from typing import Any, ClassVar

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import racing
from racing import GIL, race
from reagents.testing import Operation, Spec, check
from shrinking import Shape, shrunk
from specs import EMPTY

Call = tuple[str, tuple[Any, ...]]  # name and arguments
Seen = tuple[int, int, Any]  # times of call and return, and the result

#: An argument that `number` replaces by a value that occurs nowhere else in the program.
FRESH = "fresh"

# A history of these sizes takes well under a millisecond to decide; this is for the sick ones.
_CHECK_SECONDS = 20.0

# More than any program here can have put in: a drain that goes on after that is in a loop.
_DRAIN_LIMIT = 40


class Subject:
    """The base of what is tested: a new instance for every run."""

    spec: ClassVar[type[Spec]]
    calls: ClassVar[st.SearchStrategy[Call]]

    def drain(self, run: Callable[..., Any]) -> None:
        """Looks at all that is left, through `run(name, *args)`, which returns the result."""
        raise NotImplementedError


def until_empty(run: Callable[..., Any], name: str) -> None:
    for _ in range(_DRAIN_LIMIT):
        if run(name) == EMPTY:
            return
    raise AssertionError(f"{name} has not emptied it after {_DRAIN_LIMIT} calls")


def call(name: str, *args: Any) -> st.SearchStrategy[Call]:
    """One operation; each argument is a strategy, or FRESH."""
    parts = [st.just(arg) if arg is FRESH else arg for arg in args]
    return st.tuples(st.just(name), st.tuples(*parts))


@dataclass(frozen=True)
class Program:
    """A set-up, then threads at once, then what one client does before the drain. It prints as what it does."""

    setup: tuple[Call, ...]
    threads: tuple[tuple[Call, ...], ...]
    final: tuple[Call, ...] = ()

    def __str__(self) -> str:
        rows = [("set-up", self.setup), *((f"thread {n}", calls) for n, calls in enumerate(self.threads))]
        rows += [("at the end", self.final)] if self.final else []
        return "\n".join(f"{who:>10}: {'; '.join(map(_written, calls)) or '-'}" for who, calls in rows)


def _written(call: Call) -> str:
    name, args = call
    return f"{name}({', '.join(map(repr, args))})"


def programs(subject: type[Subject], *, most_threads: int = 4, most_calls: int = 4) -> st.SearchStrategy[Program]:
    """Programs over the calls of a subject, each FRESH argument replaced by a number of its own."""
    calls = st.lists(subject.calls, min_size=1, max_size=most_calls)
    return st.builds(_numbered, st.lists(subject.calls, max_size=3), st.lists(calls, min_size=2, max_size=most_threads))


def _numbered(setup: Sequence[Call], threads: Sequence[Sequence[Call]]) -> Program:
    count = 0

    def number(calls: Sequence[Call]) -> tuple[Call, ...]:
        nonlocal count
        done = []
        for name, args in calls:
            values = []
            for arg in args:
                count += arg is FRESH
                values.append(count if arg is FRESH else arg)
            done.append((name, tuple(values)))
        return tuple(done)

    return Program(number(setup), tuple(number(calls) for calls in threads))


# ---------------------------------------------------------------- running


def pause() -> None:
    """Now and then lets other threads in. User functions of the subjects call it in the middle of a reaction.

    With a GIL nothing else ever interleaves inside one call into C, and threads of three short operations
    would run one after the other; so there the runner also pauses between operations.
    """
    if random.random() < 0.3:
        time.sleep(0)


def run_repeatedly(program: Program, subject: type[Subject], repeats: int) -> list[list[Operation]]:
    """The histories of `repeats` runs, each on a new subject."""
    subjects = [subject() for _ in range(repeats)]
    setups = [_sequence(one, program.setup) for one in subjects]
    # Bound before the threads start, so that between two stamps there is the operation and nothing else.
    bound = [[_bind(one, calls) for one in subjects] for calls in program.threads]
    arrived = [-1] * len(program.threads)

    def worker(me: int) -> list[list[Seen]]:
        records = []
        for round_, calls in enumerate(bound[me]):
            _meet(arrived, me, round_)
            record: list[Seen] = []
            for function, args in calls:
                start = perf_counter_ns()
                try:
                    result = function(*args)
                except Empty:
                    result = EMPTY
                record.append((start, perf_counter_ns(), result))
                if GIL:
                    pause()
            records.append(record)
        arrived[me] = len(subjects)
        return records

    workers = [lambda me=me: worker(me) for me in range(len(program.threads))]
    recorded = race(*workers) if workers else []
    histories = []
    for round_, one in enumerate(subjects):
        history = setups[round_]
        for me, calls in enumerate(program.threads):
            history += [_operation(me, c, seen) for c, seen in zip(calls, recorded[me][round_], strict=True)]
        histories.append(history + _sequence(one, program.final, "at the end") + _drained(one))
    return histories


def _meet(arrived: list[int], me: int, round_: int) -> None:
    """Waits until all are in this round. Spinning, not a Barrier: that wakes its threads one after the other."""
    arrived[me] = round_
    spins = 0
    while min(arrived) < round_:
        spins += 1
        if GIL or spins > 50:
            time.sleep(0)


def _bind(one: Subject, calls: Sequence[Call]) -> list[tuple[Callable[..., Any], tuple[Any, ...]]]:
    return [(getattr(one, name), args) for name, args in calls]


def _operation(client: Any, call: Call, seen: Seen) -> Operation:
    start, end, result = seen
    name = call[0].removesuffix("_composed").removesuffix("_waiting").removesuffix("_direct")
    return Operation(client, name, call[1], result, start, end)


def _timed(one: Subject, name: str, args: tuple[Any, ...]) -> Seen:
    start = perf_counter_ns()
    try:
        result = getattr(one, name)(*args)
    except Empty:
        result = EMPTY
    return start, perf_counter_ns(), result


def _sequence(one: Subject, calls: Sequence[Call], client: str = "set-up") -> list[Operation]:
    return [_operation(client, call, _timed(one, *call)) for call in calls]


def _drained(one: Subject) -> list[Operation]:
    operations = []

    def run(name: str, *args: Any) -> Any:
        seen = _timed(one, name, args)
        operations.append(_operation("drain", (name, args), seen))
        return seen[2]

    one.drain(run)
    return operations


# ---------------------------------------------------------------- judging


def check_programs(
    subject: type[Subject], *, examples: int = 40, repeats: int = 40, most_threads: int = 4, most_calls: int = 4
) -> None:
    """Fails with the smallest program found that has a history which is not linearizable."""
    failed: dict[Program, str] = {}

    # No deadline: a shared machine may stop for any time. No database, explaining or shrinking by hypothesis: a failure
    # depends on the interleaving.
    @settings(
        deadline=None,
        max_examples=racing.examples(examples),
        database=None,
        phases=[Phase.generate],
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(programs(subject, most_threads=most_threads, most_calls=most_calls))
    def run(program: Program) -> None:
        # What failed once has failed, even if it does not when hypothesis tries it again to report it.
        if program not in failed:
            reason = judge(program, subject, repeats)
            if reason is None:
                return
            failed[program] = _smallest(program, subject, repeats, reason)
        raise AssertionError(failed[program])

    run()


def _smallest(program: Program, subject: type[Subject], repeats: int, reason: str) -> str:
    """What is wrong with the smallest program that this one shrinks to."""

    def fails(shape: Shape[Call]) -> bool:
        nonlocal reason
        # More chances to fail than the program had that is known to, or shrinking would stop at luck.
        found = judge(Program(*shape), subject, 5 * repeats)
        reason = found or reason
        return found is not None

    shrunk((program.setup, program.threads, program.final), fails)
    return reason


def judge(program: Program, subject: type[Subject], repeats: int) -> str | None:
    """What was wrong with one of the histories of the program, or None."""
    for history in run_repeatedly(program, subject, repeats):
        verdict = check(history, subject.spec, timeout=_CHECK_SECONDS)
        if not verdict.ok:
            return f"{subject.__name__}: this program\n\n{program}\n\nhas this history. {verdict.explain()}"
    return None
