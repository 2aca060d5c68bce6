"""The search for an order of the operations of one partition.

Wing and Gong's search ("Testing and verifying concurrent objects", 1993) with Lowe's memory of configurations
("Testing for linearizability", 2017), as in porcupine.

An operation may come next if none that is not yet placed had returned before its call. Operations are numbered by
their calls, so at any moment all below some number could have been placed by now, and of these a few are still
waiting. A configuration is (that number, who is waiting, the state): the same one reached in another order leads
to nothing new. How long a search takes varies a lot with the order in which it tries operations, so two searches
with opposite preferences take turns; a configuration that one of them has left behind, the other does not enter.

Prunings. Of all orders that explain the history, take those with the fewest operations that never returned, of these
the one whose changes, compared one after another, come first by `_rank`, and of these the one that has its read-only
operations earliest. The search leaves out only what cannot be next in that order, in a configuration
that it has reached, however it reached it:

- It ends when every operation that returned is placed: those that did not need not have happened.
- A read-only operation (declared, in all states) is placed as soon as its result fits, and nothing else is tried.
  An order that has it later can have it now: it changes no state and no other answer. One that never returned
  has no effect and no result to explain; it is left out.
- Of operations that are the same (name, arguments, result) and may both come next only the one that returned
  first is tried. An order that has the other one first can exchange the two: the one that moves back is
  awaited by fewer, and the one that moves forward may come now.
- An operation that never returned is not tried where it changes nothing: without it the order is as good.
- Nor is anything tried right after it that leads to the same state without it, for the same reason. (That
  configuration, with one operation more still to spare, is reached from the one before.)

None of them makes the longest part shorter that can be put in order, so a verdict names the longest.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable, Iterator
from itertools import accumulate
from sys import getsizeof
from typing import Any

from reagents.testing.history import Operation, timeline
from reagents.testing.spec import Spec, alternatives, fitting, is_read_only, read, step_of
from reagents.testing.verdict import Part

# Bytes of a configuration beside its state: a tuple, its integers and a place in a set.
_CONFIGURATION = 300
# Of so many configurations one state is weighed.
_WEIGH_EVERY = 64

_NOTHING = object()  # no state


# Who has been called, the changes and the questions of these that are waiting, the state.
_Configuration = tuple[int, tuple[int, ...], tuple[int, ...], Any]


class _Frame:
    """A configuration on the way to where a search is."""

    __slots__ = ("called", "changes", "configurations", "moves", "number", "questions", "reads", "soonest", "state")

    def __init__(self, number: int, state: Any, came_from: _Frame | None) -> None:
        self.number = number  # the operation that led here, -1 for none
        self.state = state
        # All operations below this number may have been placed, but `changes` and `questions` (read-only) are waiting.
        self.called: int = came_from.called if came_from else 0
        self.changes: tuple[int, ...] = tuple([n for n in came_from.changes if n != number]) if came_from else ()
        self.questions: tuple[int, ...] = came_from.questions if came_from else ()
        self.soonest: int = came_from.soonest if came_from else 0  # the rank of the first return of those waiting
        self.configurations: list[_Configuration] = []  # this one, before and after what was read
        self.reads: list[int] = []  # what was read in this state
        self.moves: Iterator[tuple[int, Any]] = iter(())  # operations that may be next, and the states after them


class _Way:
    """One search: the frames to where it is, and what it prefers."""

    def __init__(self, *, latest_first: bool) -> None:
        self.latest_first = latest_first
        self.frames: list[_Frame] = []


class Search:
    """The search through one partition. It can be interrupted and goes on where it was."""

    def __init__(self, key: Hashable, operations: list[Operation], spec: Spec) -> None:
        self.key = key
        self.operations = operations
        self.spec = spec
        self.bytes = 0  # an estimate of the memory that is used
        self._steps = [step_of(spec, op) for op in operations]
        self._is_read = [is_read_only(step) for step in self._steps]
        self._alike = _numbered((op.name, op.args, op.ret is None or (op.result,)) for op in operations)
        self._question = _numbered((op.name, op.args) for op in operations)
        times = timeline(operations)
        self._never = 2 * len(operations)
        self._call = [call for call, _ in times]
        self._rank = [self._never if ret is None else ret for _, ret in times]
        self._after = _program_order(operations)
        self._awaited = {before for before in self._after if before >= 0}  # not by the clock, so not to be exchanged
        self._weigh_in = 1  # so many configurations from now
        self._returned_below = [0, *accumulate(op.ret is not None for op in operations)]
        self._finished: set[_Configuration] = set()
        self._best: list[tuple[int, Any]] = []  # operations, and the states after them
        self._most = 0  # how many of them returned
        self._ways = deque([_Way(latest_first=True), _Way(latest_first=False)])
        for way in self._ways:
            frame = _Frame(-1, spec.initial, None)
            self._call_more(frame)
            self._read_all(frame)
            frame.moves = self._moves(frame, _NOTHING, way.latest_first)
            way.frames.append(frame)

    def advance(self, steps: int) -> bool | None:
        """Tries up to about `steps` operations: True, linearizable; False, not; None, not known yet."""
        self._ways.rotate()
        way = self._ways[0]
        frames = way.frames
        while frames:
            frame = frames[-1]
            if frame.soonest == self._never:  # only what never returned is waiting
                return True
            if steps <= 0:
                return None
            for number, state in frame.moves:
                steps -= 1
                if self._enter(way, number, state, frame):
                    break
            else:
                self._note_best(frames)
                self._finish(frames.pop())
        return False

    def _enter(self, way: _Way, number: int, state: Any, came_from: _Frame) -> bool:
        """Goes on from a configuration unless it is known to lead nowhere."""
        frame = _Frame(number, state, came_from)
        if self._rank[number] == frame.soonest:
            self._call_more(frame)
        if not self._is_open(frame):
            return False
        before = came_from.state if self.operations[number].ret is None else _NOTHING
        if frame.questions:
            self._read_all(frame)
            if frame.reads:
                if not self._is_open(frame):
                    return False
                before = _NOTHING
        frame.moves = self._moves(frame, before, way.latest_first)
        way.frames.append(frame)
        return True

    def _call_more(self, frame: _Frame) -> None:
        """The first return of those waiting has changed: who else may come now?"""
        call, rank, is_read = self._call, self._rank, self._is_read
        changes, questions = list(frame.changes), list(frame.questions)
        soonest = min([rank[n] for n in changes] + [rank[n] for n in questions], default=self._never)
        called = frame.called
        while called < len(call) and call[called] < soonest:
            if not is_read[called]:
                changes.append(called)
            elif rank[called] != self._never:
                questions.append(called)
            soonest = min(soonest, rank[called])
            called += 1
        frame.changes, frame.questions, frame.soonest, frame.called = tuple(changes), tuple(questions), soonest, called

    def _read_all(self, frame: _Frame) -> None:
        """Places all that is read-only and fits."""
        state, asked = frame.state, self._question
        answers: dict[int, list[Any]] = {}
        again = True
        while again:
            fitting = []
            for number in frame.questions:
                if self._awaited and not self._is_ready(number, frame):
                    continue
                question = asked[number]
                answer = answers.get(question)
                if answer is None:
                    answer = answers[question] = read(self._steps[number], self.operations[number], state)
                result = self.operations[number].result
                for one in answer:
                    if one is result or one == result:
                        fitting.append(number)
                        break
            again = bool(fitting)
            if fitting:
                frame.reads += fitting
                frame.questions = tuple([n for n in frame.questions if n not in fitting])
                if any(self._rank[n] == frame.soonest for n in fitting):
                    self._call_more(frame)

    def _moves(self, frame: _Frame, before: Any, latest_first: bool) -> Iterator[tuple[int, Any]]:
        """What to try next. `before`: the state before the last operation, if that never returned."""
        alike, awaited, operations, steps, state = self._alike, self._awaited, self.operations, self._steps, frame.state
        candidates = {}
        for number in sorted(frame.changes, key=self._rank.__getitem__, reverse=True):
            if awaited and not self._is_ready(number, frame):
                continue
            candidates[number if number in awaited else ~alike[number]] = number
        order = sorted(candidates.values(), reverse=True) if latest_first else reversed(candidates.values())
        for number in order:
            op = operations[number]
            returned = op.ret is not None
            for after, answer in alternatives(steps[number], op, state):
                if returned:
                    if answer is not op.result and answer != op.result:
                        continue
                elif after == state:
                    continue
                if before is not _NOTHING and after in fitting(op, alternatives(steps[number], op, before)):
                    continue
                yield number, after

    def _is_ready(self, number: int, frame: _Frame) -> bool:
        """Whether the client's operation before this one is placed."""
        after = self._after[number]
        return after not in frame.changes and after not in frame.questions

    def _is_open(self, frame: _Frame) -> bool:
        configuration = frame.called, frame.changes, frame.questions, frame.state
        try:
            if configuration in self._finished:
                return False
        except TypeError as error:
            raise TypeError(f"{type(self.spec).__name__} has a state that cannot be hashed: {frame.state!r}") from error
        frame.configurations.append(configuration)
        return True

    def _finish(self, frame: _Frame) -> None:
        """All that this configuration leads to has been seen, and it is nothing."""
        self._finished.update(frame.configurations)
        self._weigh_in -= 1
        if not self._weigh_in:
            self._weigh_in = _WEIGH_EVERY
            self.bytes += _WEIGH_EVERY * (_CONFIGURATION + _weight(frame.state))

    def forget(self) -> None:
        """Gives up what it has seen, for it will not be continued."""
        self._finished.clear()
        self.bytes = 0

    def _note_best(self, frames: list[_Frame]) -> None:
        last = frames[-1]
        waiting = (*last.changes, *last.questions)
        returned = self._returned_below[last.called] - sum(self._rank[n] != self._never for n in waiting)
        if returned > self._most:
            self._most = returned
            self._best = [(n, frame.state) for frame in frames for n in (frame.number, *frame.reads) if n >= 0]

    def part(self) -> Part:
        """What to show of this partition, now."""
        for way in self._ways:
            if way.frames:
                self._note_best(way.frames)
        return Part(self.key, tuple(self.operations), tuple(self._best), self.spec)


def _numbered(things: Iterable[Any]) -> list[int]:
    """Equal numbers for things that no specification can tell apart."""
    numbers: dict[Any, int] = {}
    return [numbers.setdefault(_exact(thing), number) for number, thing in enumerate(things)]


def _exact(value: Any) -> Any:
    """Equal only for values that are the same in every respect; of most types that is the object itself."""
    if value is None or type(value) in (int, str, bytes, bool):
        return type(value), value
    if type(value) is tuple:
        return tuple, *map(_exact, value)
    return id(value)


def _weight(thing: Any, depth: int = 3) -> int:
    """About how many bytes a state takes."""
    size = getsizeof(thing)
    if depth and isinstance(thing, tuple | frozenset):
        size += sum(_weight(part, depth - 1) for part in thing)
    return size


def _program_order(operations: list[Operation]) -> list[int]:
    """For each operation the one of its own client before it, if the clock does not show that; else -1."""
    last: dict[Hashable, int] = {}
    after = [-1] * len(operations)
    for number, op in enumerate(operations):
        before = last.get(op.client)
        if before is not None and operations[before].ret == op.call:
            after[number] = before
        last[op.client] = number
    return after
