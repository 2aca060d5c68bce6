"""Litmus tests: small programs over words, what they may show, and two ways to run them.

The programs stand in docs/memory-model.md, as `x=1; a=y | y=1; b=x   never a=0 b=0`: threads are separated by `|`,
their steps by `;`. Words are x, y and z, all 0 at first; the other letters are what a thread has read. What is joined
by `,` is one reaction. After `never`: what was read, and what the words hold at the end, that must not come together.

`Program.outcomes` is what sequential consistency allows, by brute force over the interleavings. `Program.weakened` are
the programs that reorder what one thread does, as a processor or compiler would, or split what is done at once, so that
what must not be seen can be seen: whoever runs programs must be able to tell them from the right one.
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from lockfree import AtomicInt
from racing import race
from reagents import Ref, const, together

PAGE = Path(__file__).parent.parent / "docs" / "memory-model.md"
WORDS = "xyz"

#: One of them, or a word at the end, and its value.
Outcome = frozenset[tuple[str, int]]


@dataclass(frozen=True)
class Access:
    """`a=x` reads x into a; `x=1` writes."""

    word: str
    into: str = ""
    value: int = 0

    @property
    def reads(self) -> bool:
        return bool(self.into)

    def __str__(self) -> str:
        return f"{self.into}={self.word}" if self.reads else f"{self.word}={self.value}"


Step = tuple[Access, ...]  # at once
Thread = tuple[Step, ...]


def _access(text: str) -> Access:
    left, right = text.strip().split("=")
    return Access(left, value=int(right)) if left in WORDS else Access(right, into=left)


def _steps(text: str) -> Thread:
    return tuple(tuple(map(_access, step.split(","))) for step in text.split(";"))


@dataclass(frozen=True)
class Program:
    name: str
    threads: tuple[Thread, ...]
    never: Outcome

    @classmethod
    def parse(cls, line: str) -> Program:
        name, rest = line.split(maxsplit=1)
        threads, never = rest.split("never")
        values = (pair.split("=") for pair in never.split())
        return cls(name, tuple(map(_steps, threads.split("|"))), frozenset((key, int(value)) for key, value in values))

    def __str__(self) -> str:
        return " | ".join("; ".join(", ".join(map(str, step)) for step in thread) for thread in self.threads)

    @property
    def words(self) -> list[str]:
        return sorted({access.word for thread in self.threads for step in thread for access in step})

    @property
    def binary(self) -> bool:
        """No word ever holds anything but 0 and 1."""
        return all(access.value <= 1 for thread in self.threads for step in thread for access in step)

    @property
    def has_reactions(self) -> bool:
        return any(len(step) > 1 for thread in self.threads for step in thread)

    @property
    def outcomes(self) -> set[Outcome]:
        """What may be seen when the steps are taken in some order."""
        found: set[Outcome] = set()

        def go(rest: tuple[Thread, ...], state: dict[str, int]) -> None:
            if not any(rest):
                found.add(frozenset(state.items()))
            for i, thread in enumerate(rest):
                if thread:
                    after = dict(state)
                    for access in thread[0]:
                        if access.reads:
                            after[access.into] = after[access.word]
                        else:
                            after[access.word] = access.value
                    go((*rest[:i], thread[1:], *rest[i + 1 :]), after)

        go(self.threads, dict.fromkeys(self.words, 0))
        return found

    def is_seen(self, outcomes: Iterable[Outcome]) -> bool:
        """Is what must never be seen among them?"""
        return any(self.never <= outcome for outcome in outcomes)

    @property
    def weakened(self) -> Iterator[Program]:
        for i, thread in enumerate(self.threads):
            for j, step in enumerate(thread):
                changed = []
                if j + 1 < len(thread):
                    changed.append((*thread[:j], thread[j + 1], step, *thread[j + 2 :]))
                if len(step) > 1:
                    apart = tuple((access,) for access in step)
                    changed += [(*thread[:j], *parts, *thread[j + 1 :]) for parts in (apart, apart[::-1])]
                for other in changed:
                    program = replace(self, threads=(*self.threads[:i], other, *self.threads[i + 1 :]))
                    if program.is_seen(program.outcomes):
                        yield program


def programs() -> list[Program]:
    """Those of the document."""
    blocks = re.findall(r"^```litmus\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return [Program.parse(line) for block in blocks for line in block.splitlines() if line.strip()]


# ---------------------------------------------------------------- words

#: Makes so many words that hold 0.
Memory = Callable[[int], list[Any]]

MEMORIES: dict[str, Memory] = {
    "Ref": lambda n: [Ref(0) for _ in range(n)],
    "AtomicInt": lambda n: [AtomicInt(0) for _ in range(n)],
}


# What can be done with a word w by a thread that has a word of its own besides. The last ones are k-CASes.
WRITES: list[Callable[[Any, int, Any], Callable[[], object]]] = [
    lambda w, value, own: partial(w.set, value),
    lambda w, value, own: partial(w.swap, value),
    lambda w, value, own: partial(w.update, lambda _: value),
    lambda w, value, own: const(value) >> w.write,
    lambda w, value, own: (const(value) >> w.write) * (const(1) >> own.add),
]
READS: list[Callable[[Any, Any], Callable[[], Any]]] = [
    lambda w, own: w.get,
    lambda w, own: w.read,
    lambda w, own: w.read * own.read >> (lambda both: both[0]),
    lambda w, own: w.read * (const(1) >> own.add) >> (lambda both: both[0]),
]
# Of a word that holds 0 or 1: whether a compare_and_set that changes nothing fails is a read.
BINARY_READS: list[Callable[[Any, Any], Callable[[], Any]]] = [
    *READS,
    lambda w, own: lambda: int(w.compare_and_set(1, 1)),
    lambda w, own: lambda: int(not w.compare_and_set(0, 0)),
]


def _at_once(step: Step, words: dict[str, Any], own: Any, way: int) -> Callable[[], Any]:
    """One reaction; what is read comes back as a list."""
    readings = [i for i, access in enumerate(step) if access.reads]
    strands = [words[a.word].read if a.reads else const(a.value) >> words[a.word].write for a in step]
    if way % 2:
        strands.append(const(1) >> own.add)
    reaction = together(*strands)

    def run() -> list[int]:
        result = reaction()
        return [result[i] for i in readings]

    return run


def compiled(program: Program, thread: Thread, words: dict[str, Any], own: Any, way: int) -> list[Callable[[], Any]]:
    """What a thread calls, step by step; `way` says how."""
    calls: list[Callable[[], Any]] = []
    reads = BINARY_READS if program.binary else READS
    for step in thread:
        access = step[0]
        if len(step) > 1:
            calls.append(_at_once(step, words, own, way))
        elif access.reads:
            calls.append(reads[way % len(reads)](words[access.word], own))
        else:
            calls.append(WRITES[way % len(WRITES)](words[access.word], access.value, own))
    return calls


WAYS = max(len(WRITES), len(BINARY_READS))


def outcome(program: Program, results: Iterable[list[Any]], words: dict[str, Any]) -> Outcome:
    """Of one round: what the calls of each thread have returned, and what the words hold now."""
    seen = [(name, word.get()) for name, word in words.items()]
    for thread, returned in zip(program.threads, results, strict=True):
        for step, value in zip(thread, returned, strict=True):
            labels = [access.into for access in step if access.reads]
            seen += zip(labels, value if len(step) > 1 else [value], strict=False)
    return frozenset(seen)


class Round:
    """One run of a program, over words of its own."""

    def __init__(self, program: Program, memory: Memory, ways: list[int]) -> None:
        threads, names = program.threads, program.words
        made = memory(len(names) + len(threads))
        self.program = program
        self.words = dict(zip(names, made, strict=False))
        self.calls = [
            compiled(program, thread, self.words, own, way)
            for thread, own, way in zip(threads, made[len(names) :], ways, strict=True)
        ]
        self.results: list[list[Any]] = [[] for _ in threads]

    def outcome(self) -> Outcome:
        return outcome(self.program, self.results, self.words)


def scenario_of(program: Program, memory: Memory, way: int, seen: set[Outcome]) -> Callable[[], Any]:
    """For `explore`: every access is done in that way. Adds what is seen."""

    def scenario() -> Any:
        one = Round(program, memory, [way] * len(program.threads))
        thunks = [
            partial(lambda calls, results: results.extend(call() for call in calls), *pair)
            for pair in zip(one.calls, one.results, strict=True)
        ]
        return thunks, lambda: seen.add(one.outcome())

    return scenario


# ---------------------------------------------------------------- real threads

give_way: Callable[[], Any] = getattr(os, "sched_yield", lambda: None)


class Line:
    """Threads leave it together, again and again: a barrier that spins on a word.

    It only counts up, so nothing is put back between two rounds: who arrives the i-th time waits for i times the
    threads. More threads than processors must give way, or each round lasts a time slice.
    """

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._arrived = AtomicInt(0)

    def leave(self, i: int) -> None:
        """The i-th time, from 1."""
        arrived, wanted, spins = self._arrived, i * self._threads, 0
        arrived.add(1)
        while arrived.get() < wanted:
            spins += 1
            if spins > 50:
                give_way()


def in_rounds(rounds: int, *workers: Callable[[int], Any]) -> list[list[Any]]:
    """Each worker is called with the number of the round, in a thread of its own, all together; what they return."""
    line = Line(len(workers))

    def run(worker: Callable[[int], Any]) -> list[Any]:
        results = []
        for i in range(rounds):
            line.leave(i + 1)
            results.append(worker(i))
        return results

    return race(*(partial(run, worker) for worker in workers))


#: What a thread does before a step: nothing, or spin so often, or give way. They leave the line within a fraction of a
#: microsecond of each other, and a step may take less, so it is luck what meets what.
PAUSES = (0, 0, 0, 1, 5, 20, 100, 400, -1, -1, -1)


def pause(length: int) -> None:
    if length < 0:
        give_way()
    for _ in range(length):
        pass


def run_on_threads(program: Program, memory: Memory, rounds: int, seed: int) -> set[Outcome]:
    """What real threads see in so many rounds, each over words of its own, each thread accessing in another way."""
    luck = random.Random(seed)
    threads = program.threads
    all_rounds = [Round(program, memory, [luck.randrange(WAYS) for _ in threads]) for _ in range(rounds)]
    plans = [[luck.choices(PAUSES, k=len(thread)) for _ in range(8)] for thread in threads]

    def worker(thread: int, i: int) -> None:
        calls, results = all_rounds[i].calls[thread], all_rounds[i].results[thread]
        plan = plans[thread][i // 8**thread % 8]  # each with each of the others'
        for call, length in zip(calls, plan, strict=True):
            if length:
                pause(length)
            results.append(call())

    in_rounds(rounds, *(partial(worker, thread) for thread in range(len(threads))))
    return {one.outcome() for one in all_rounds}
