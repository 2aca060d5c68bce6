"""How it is measured. The asv suite and table.py time with the same loops, which stand here.

Threads start behind a barrier. Each does the steps of its case in rounds until the time is over; the rate is all
operations over the time from the first start to the last end. For latencies each operation is timed by itself.
"""

from __future__ import annotations

import functools
import itertools
import os
import platform
import subprocess
import sys
import textwrap
import threading
import time
from array import array
from collections.abc import Callable, Sequence
from typing import Any

from cases import Case

# Rounds between two looks at the clock.
CHUNK = 100

RATE = """
def worker(tid, T, barrier, seconds, done{shared}):
    x = object()
{local}
    rounds = 0
    barrier.wait()
    _start = _clock()
    _deadline = _start + int(seconds * 1e9)
    while (_now := _clock()) < _deadline:
        for _ in _repeat(None, {chunk}):
{steps}
        rounds += {chunk}
    done[tid] = rounds, _start, _now
"""

LATENCY = """
def worker(tid, T, barrier, seconds, done{shared}):
    x = object()
{local}
    samples = [_array("q") for _ in range({count})]
{record}
    rounds = 0
    barrier.wait()
    _start = _clock()
    _deadline = _start + int(seconds * 1e9)
    while (_now := _clock()) < _deadline:
        for _ in _repeat(None, {chunk}):
{steps}
        rounds += {chunk}
    done[tid] = rounds, _start, _now, samples
"""


class NotComparable(Exception):
    """A peer that this interpreter does not have, or that changes what is measured."""


def gil_enabled() -> bool:
    return bool(getattr(sys, "_is_gil_enabled", lambda: True)())


def interpreter() -> str:
    kind = "with the GIL" if gil_enabled() else "free-threaded"
    return f"CPython {platform.python_version()} {kind}, {os.cpu_count()} cores"


@functools.cache
def _objection(module: str) -> str:
    """Why a peer cannot be measured beside us, or "". Asked of a process of its own: one import may turn the GIL on
    for everything that follows."""
    probe = f"""
import sys
try:
    import {module}
except ImportError:
    sys.exit("{module} is not installed")
if getattr(sys, "_is_gil_enabled", lambda: True)() != {gil_enabled()}:
    sys.exit("importing {module} turns the GIL on")
"""
    done = subprocess.run([sys.executable, "-c", probe], stderr=subprocess.PIPE, text=True)
    return done.stderr.strip() if done.returncode else ""  # a peer may be talkative


def require(case: Case) -> None:
    """NotComparable where this interpreter does not have the peer."""
    if case.need and (objection := _objection(case.need)):
        raise NotComparable(objection)


def available(case: Case) -> bool:
    try:
        require(case)
    except NotComparable:
        return False
    return True


def _indented(code: str, columns: int) -> str:
    return textwrap.indent(textwrap.dedent(code).strip("\n") or "pass", " " * columns)


def _compiled(case: Case, template: str, threads: int) -> tuple[Callable[..., None], dict[str, Any]]:
    """The worker of one repetition, and the names that its threads share."""
    shared: dict[str, Any] = {"T": threads}
    exec(textwrap.dedent(case.setup).strip(), shared)
    names = [name for name in shared if name not in ("T", "__builtins__")]
    # What is shared comes in as defaults: in the loop every name is then a fast local.
    head = "".join(f", {name}={name}" for name in names)
    timed = "\n".join(
        f"_begin = _clock()\n{textwrap.dedent(step).strip()}\n_record{i}(_clock() - _begin)"
        for i, step in enumerate(case.steps.values())
    )
    source = template.format(
        shared=head,
        local=_indented(case.local, 4),
        count=len(case.steps),
        record="\n".join(f"    _record{i} = samples[{i}].append" for i in range(len(case.steps))),
        chunk=CHUNK,
        steps=_indented(timed if template is LATENCY else case.body, 12),
    )
    space = {**shared, "_clock": time.perf_counter_ns, "_repeat": itertools.repeat, "_array": array}
    exec(compile(source, f"<{case.name}>", "exec"), space)
    return space["worker"], shared


def _run(case: Case, template: str, threads: int, seconds: float) -> list[Any]:
    require(case)
    worker, shared = _compiled(case, template, threads)
    done: dict[int, Any] = {}
    errors: list[BaseException] = []
    barrier = threading.Barrier(threads)

    def guarded(tid: int) -> None:
        try:
            worker(tid, threads, barrier, seconds, done)
        except BaseException as error:
            errors.append(error)
            barrier.abort()

    crew = [threading.Thread(target=guarded, args=(tid,)) for tid in range(threads)]
    for thread in crew:
        thread.start()
    for thread in crew:
        thread.join()
    if errors:
        raise errors[0]
    results = list(done.values())
    rounds = sum(result[0] for result in results)
    if not eval(case.check, {**shared, "rounds": rounds}):
        raise AssertionError(f"{case.name} with {threads} threads: not {case.check} after {rounds} rounds")
    return results


def rate(case: Case, threads: int, seconds: float) -> float:
    """Operations a second, of all threads together, in one repetition."""
    results = _run(case, RATE, threads, seconds)
    rounds = sum(result[0] for result in results)
    elapsed: int = max(result[2] for result in results) - min(result[1] for result in results)
    return rounds * len(case.steps) * case.times / elapsed * 1e9


def latencies(case: Case, threads: int, seconds: float) -> dict[str, list[int]]:
    """For each step the sorted nanoseconds of every time that it was done, in one repetition."""
    results = _run(case, LATENCY, threads, seconds)
    return {
        step: sorted(itertools.chain.from_iterable(result[3][i] for result in results))
        for i, step in enumerate(case.steps)
    }


def percentile(ordered: Sequence[int], percent: float) -> int:
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def busy_seconds() -> float | None:
    """Processor time that the whole machine has used so far, where that can be known."""
    try:
        with open("/proc/stat") as stat:
            ticks = [int(field) for field in stat.readline().split()[1:9]]
    except OSError:
        return None
    idle, waiting = ticks[3], ticks[4]
    return (sum(ticks) - idle - waiting) / os.sysconf("SC_CLK_TCK")


class Foreign:
    """The share of the machine that other processes used meanwhile: a figure taken under load is none."""

    share = 0.0

    def __enter__(self) -> Foreign:
        self._before = busy_seconds(), time.process_time(), time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        busy, own, now = self._before
        after = busy_seconds()
        if busy is not None and after is not None:
            others = after - busy - (time.process_time() - own)
            self.share = max(0.0, others / ((time.perf_counter() - now) * (os.cpu_count() or 1)))


def interleaved(
    measures: dict[str, Callable[[], Any]], rounds: int, quiet: float = 0.15
) -> tuple[list[dict[str, Any]], float]:
    """A B A B ...: each measure once a round. Rounds disturbed by other processes are done again, at most twice as
    many in all; if that is not enough, the quietest ones count. Also returns the worst disturbance of a round that
    counts."""
    taken: list[tuple[float, int, dict[str, Any]]] = []
    for attempt in range(2 * rounds):
        with Foreign() as foreign:
            results = {name: measure() for name, measure in measures.items()}
        taken.append((foreign.share, attempt, results))
        if sum(share <= quiet for share, _, _ in taken) == rounds:
            break
    best = sorted(taken, key=lambda one: one[:2])[:rounds]
    return [results for _, _, results in best], best[-1][0]
