"""Decides whether a history is linearizable: partition by partition, in turns."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from time import monotonic

from reagents.testing.history import Operation, validated
from reagents.testing.partitions import partitioned
from reagents.testing.search import Search
from reagents.testing.spec import Spec
from reagents.testing.verdict import Verdict

# How many operations a partition tries before the next one has its turn. Partitions take turns because
# one of them may be hopeless to exhaust while another one fails at once.
_SLICE = 512


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
    Wing and Gong (1993), Lowe (2017); see `search.py`.

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
    searches = [Search(key, operations, rules) for key, operations in parts.items()]
    turns = deque(searches)
    given_up: list[Search] = []

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
