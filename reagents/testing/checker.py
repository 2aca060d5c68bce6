"""Decides whether a history is linearizable.

The search is Wing and Gong's ("Testing and verifying concurrent objects", 1993) on Lowe's linked list of
entries with his memory of configurations ("Testing for linearizability", 2017), as in porcupine.

Calls and returns stand in one doubly linked list in the order of time. An operation may come next
if no return stands before its call: nothing still in the list was over when it began. Placing it takes its
two entries out in constant time; going back puts them in again, last out first in. A configuration
is (what was placed, the state it led to): the same one reached in another order leads to nothing new.
Operations are numbered by their calls, so what was placed is nearly always a prefix and a few more: (how many
the prefix has, the others as bits), which keeps configurations of long histories small.

Prunings, each sound:
- The search ends when every operation that returned is placed: those that did not need not have happened.
- A read-only operation (declared, in all states) is placed as soon as its result fits, and the search
  never tries what it would have been without. Swap argument: let an order continue from here. If it has the
  operation later, moving it here changes no state and no other answer; if it lacks it, adding it is free.
- A read-only operation that never returned is left out: it has no effect and no result to explain.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable
from sys import getsizeof
from time import monotonic
from typing import Any

from reagents.testing.history import Operation, timeline, validated
from reagents.testing.partitions import partitioned
from reagents.testing.spec import Spec, alternatives, fitting, is_read_only, read, step_of
from reagents.testing.verdict import Part, Verdict

# How many operations a partition tries before the next one has its turn. Partitions take turns because
# one of them may be hopeless to exhaust while another one fails at once.
_SLICE = 512

# Bytes of a configuration beside its state: two tuples, two integers and a place in a set.
_CONFIGURATION = 300
# Of so many configurations one state is weighed.
_WEIGH_EVERY = 64


def check(
    history: Iterable[Operation],
    spec: Spec | type[Spec],
    *,
    timeout: float | None = None,
    memory: int | None = 1 << 30,
) -> Verdict:
    """Decides whether `history` is linearizable with respect to `spec`.

    The verdict's `ok` is True or False, or None: undecided, because `timeout` seconds were over, or because what
    is remembered of the search would take more than about `memory` bytes (an estimate; None: no limit). Deciding is
    NP-hard: a history in which many clients overlap for long can take exponential time and memory. A limit never
    makes a verdict wrong, and where one partition is given up the others are still searched for a failure.

    Raises ValueError if the history cannot have happened (a return before its call, overlapping calls of one client)
    or has an operation that the specification does not know, TypeError for a specification that is none.
    Wing and Gong (1993), Lowe (2017); see the module.

    >>> class Register(Spec):
    ...     initial = 0
    ...     def set(self, state, value):
    ...         return value, None
    ...     def get(self, state):
    ...         return state, state
    >>> history = [
    ...     Operation(client=0, name="set", args=(1,), result=None, call=0, ret=4),
    ...     Operation(client=1, name="get", args=(), result=1, call=1, ret=2),
    ...     Operation(client=1, name="get", args=(), result=0, call=3, ret=5),
    ... ]
    >>> verdict = check(history, Register)
    >>> verdict.ok
    False
    >>> print(verdict.explain())
    Not linearizable: of 3 operations by 2 clients at most 2 can be put in order.
    <BLANKLINE>
        client  operation         time
     1  0       set(1) -> None    |-------|
     2  1       get() -> 1          |-|
     !  1       get() -> 0              |---|
    <BLANKLINE>
    The longest part that could be put in order, and the state after each operation:
            initially 0
         1  client 0: set(1) -> None    1
         2  client 1: get() -> 1        1
    None of these can come next:
         !  client 1: get() -> 0        the specification answers 1
    """
    if timeout is not None and not timeout >= 0:
        raise ValueError(f"timeout must be at least 0 seconds, not {timeout!r}")
    began = monotonic()
    rules = spec() if isinstance(spec, type) else spec
    if memory is not None and not memory >= 0:
        raise ValueError(f"memory must be at least 0 bytes, not {memory!r}")
    if not isinstance(rules, Spec):
        raise TypeError(f"a specification is a Spec or a subclass of it, not {spec!r}")
    parts = partitioned(validated(history), rules)
    searches = [_Search(key, operations, rules) for key, operations in parts.items()]
    turns = deque(searches)
    given_up: list[_Search] = []

    def undecided() -> Verdict:
        limit = f"about {memory} bytes" if given_up else None
        return Verdict(None, tuple(search.part() for search in (*given_up, *turns)), monotonic() - began, limit)

    while turns:
        search = turns.popleft()
        found = search.advance(_SLICE)
        if found is False:
            return Verdict(False, (search.part(),), monotonic() - began)
        if found is None:
            turns.append(search)
            if memory is not None and sum(search.bytes for search in turns) > memory:
                largest = max(turns, key=lambda search: search.bytes)
                turns.remove(largest)
                largest.forget()
                given_up.append(largest)
        else:
            search.forget()
        if turns and timeout is not None and monotonic() - began >= timeout:
            return undecided()
    if given_up:
        return undecided()
    return Verdict(True, tuple(search.part() for search in searches), monotonic() - began)


# A set of operations: all numbers below the first, and, as bits counted from it, some above.
_Set = tuple[int, int]

_NOTHING = object()  # no state
_NO_OTHERS: list[Any] = []  # one for all: what is kept makes work for the collector


class _Search:
    """The search through one partition. It can be interrupted and goes on where it was."""

    def __init__(self, key: Hashable, operations: list[Operation], spec: Spec) -> None:
        self.key = key
        self.operations = operations
        self.spec = spec
        self.bytes = 0  # an estimate of the memory that is used
        self._steps = [step_of(spec, op) for op in operations]
        self._reads = [is_read_only(step) for step in self._steps]
        numbers: dict[Any, int] = {}
        self._questions = [
            numbers.setdefault(_question(op), n) if is_read else -1
            for n, (op, is_read) in enumerate(zip(operations, self._reads, strict=True))
        ]
        self._link()
        self._after = _program_order(operations)
        self._left = sum(op.ret is not None for op in operations)  # returned and not yet placed
        self._state = spec.initial
        self._placed: _Set = (0, 0)
        # Of each placement: entry, state and placed before, and the other states that the operation may lead to (None:
        # forced, nothing else is tried).
        self._stack: list[tuple[int, Any, _Set, list[Any] | None]] = []
        self._entry = self._next[-1]
        self._reading = self._has_reads = any(self._reads)  # read-only candidates are tried first, then the others
        self._undone = -1  # the entry that was taken back last
        self._seen: set[tuple[_Set, Any]] = set()
        self._best: list[tuple[int, Any]] = []  # operations, and the states after them
        self._best_left = self._left

    def _link(self) -> None:
        """The list of entries. An entry is the rank of its event; -1 is head and tail, kept in the last place."""
        times = timeline(self.operations)
        size = sum(1 if ret is None else 2 for _, ret in times)
        self._next = [*range(1, size), -1, 0] if size else [-1]
        self._prev = [-1, *range(size)]
        self._caller: list[int | None] = [None] * size  # the operation that an entry calls
        self._ret_entry = [ret for _, ret in times]
        for number, (call, _) in enumerate(times):
            self._caller[call] = number
            if self.operations[number].ret is None and self._reads[number]:
                self._unlink(call)  # never returned and has no effect

    def _unlink(self, entry: int) -> None:
        before, after = self._prev[entry], self._next[entry]
        self._next[before] = after
        self._prev[after] = before

    def _relink(self, entry: int) -> None:
        self._next[self._prev[entry]] = entry
        self._prev[self._next[entry]] = entry

    def _is_new(self, placed: _Set, state: Any) -> bool:
        seen = self._seen
        before = len(seen)
        try:
            seen.add((placed, state))
        except TypeError as error:
            raise TypeError(f"{type(self.spec).__name__} has a state that cannot be hashed: {state!r}") from error
        if len(seen) == before:
            return False
        if before % _WEIGH_EVERY == 0:
            self.bytes += _WEIGH_EVERY * (_CONFIGURATION + _weight(state))
        return True

    def forget(self) -> None:
        """Gives up what it has seen, for it will not be continued."""
        self._seen.clear()
        self.bytes = 0

    def advance(self, steps: int) -> bool | None:
        """Tries up to `steps` candidates: True, linearizable; False, not; None, not known yet."""
        operations, methods, reads = self.operations, self._steps, self._reads
        following, caller, after = self._next, self._caller, self._after
        entry, reading = self._entry, self._reading
        answered: Any = _NOTHING  # the state of the last answers,
        asked, answers = -1, [None]  # and what was asked
        while self._left:
            if steps <= 0:
                self._entry, self._reading = entry, reading
                return None
            steps -= 1
            number = caller[entry] if entry >= 0 else None
            if number is not None:
                # A call, and no return before it: a candidate.
                if reads[number] is reading and (after[number] < 0 or _has(self._placed, after[number])):
                    op = operations[number]
                    state = self._state
                    if reading:
                        # Many ask the same of one state.
                        if answered is not state or asked != self._questions[number]:
                            answered, asked = state, self._questions[number]
                            answers = read(methods[number], op, state)
                        result = op.result
                        for answer in answers:
                            if answer is result or answer == result:
                                self._place(entry, number, state, _with(self._placed, number), None)
                                break
                    elif (states := fitting(op, alternatives(methods[number], op, state))) and self._place_one(
                        entry, number, states
                    ):
                        entry, reading = following[-1], self._has_reads
                        continue
                entry = following[entry]
                continue
            if reading:
                # All read-only candidates that fit have been placed; now the others, unless known.
                reading = False
                entry = following[-1]
                if not (self._stack and self._stack[-1][3] is None) or self._is_new(self._placed, self._state):
                    continue
            # Known, or the operation that returns here had to be placed before: a dead end.
            others = self._go_back()
            if others is None:
                return False
            entry = self._undone
            number = caller[entry]
            assert number is not None
            if others and self._place_one(entry, number, others):
                entry, reading = following[-1], self._has_reads
            else:
                entry = following[entry]
        return True

    def _place_one(self, entry: int, number: int, states: list[Any]) -> bool:
        """Places an operation in the first of the states that leads to something new."""
        placed = _with(self._placed, number)
        for at, state in enumerate(states, 1):
            if self._is_new(placed, state):
                self._place(entry, number, state, placed, states[at:] if at < len(states) else _NO_OTHERS)
                return True
        return False

    def _place(self, entry: int, number: int, state: Any, placed: _Set, others: list[Any] | None) -> None:
        self._stack.append((entry, self._state, self._placed, others))
        self._state = state
        self._placed = placed
        # The return goes first: then `entry` itself still points to what follows, and a scan can go on from it.
        ret = self._ret_entry[number]
        if ret is not None:
            self._unlink(ret)
            self._left -= 1
        self._unlink(entry)

    def _go_back(self) -> list[Any] | None:
        """Takes back to the last placement that was a choice, and returns its other states; None: there is none."""
        self._note_best()
        while self._stack:
            entry, self._state, self._placed, others = self._stack.pop()
            number = self._caller[entry]
            assert number is not None
            self._relink(entry)
            ret = self._ret_entry[number]
            if ret is not None:
                self._relink(ret)
                self._left += 1
            if others is not None:
                self._undone = entry
                return others
        return None

    def _note_best(self) -> None:
        if self._left < self._best_left:
            self._best_left = self._left
            numbers = [number for entry, *_ in self._stack if (number := self._caller[entry]) is not None]
            states = [state for _, state, *_ in self._stack[1:]]
            self._best = list(zip(numbers, [*states, self._state], strict=True))

    def part(self) -> Part:
        """What to show of this partition, now."""
        self._note_best()
        return Part(self.key, tuple(self.operations), tuple(self._best), self.spec)


def _question(op: Operation) -> Any:
    """Equal for operations that must get the same answers."""
    try:
        hash(op.args)
    except TypeError:
        return id(op)
    return op.name, op.args, tuple(map(type, op.args))


def _weight(thing: Any, depth: int = 3) -> int:
    """About how many bytes a state takes."""
    size = getsizeof(thing)
    if depth and isinstance(thing, tuple | frozenset):
        size += sum(_weight(part, depth - 1) for part in thing)
    return size


def _with(numbers: _Set, number: int) -> _Set:
    prefix, others = numbers
    others |= 1 << (number - prefix)
    while others & 1:
        others >>= 1
        prefix += 1
    return prefix, others


def _has(numbers: _Set, number: int) -> bool:
    prefix, others = numbers
    return number < prefix or bool(others >> (number - prefix) & 1)


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
