"""The answer of the checker, and how it is shown: as text here, as a page in `page.py`."""

from __future__ import annotations

import os
from collections.abc import Hashable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reagents.testing.history import Operation, precedes, timeline
from reagents.testing.spec import Spec, alternatives, same, step_of

# Of a longer history the text shows only the neighbourhood of the failure; the page shows all.
_ROWS = 40
_COLUMNS = 64
_WIDE = 44  # characters of an operation or a state; the middle of a longer one is left out


@dataclass(frozen=True, slots=True)
class Part:
    """One partition of a history, and the longest order of its operations that was found."""

    key: Hashable
    operations: tuple[Operation, ...]  # in the order of their calls
    placed: tuple[tuple[int, Any], ...]  # which of them were placed, in this order, and the state after each
    spec: Spec = field(repr=False)

    @property
    def order(self) -> tuple[int, ...]:
        return tuple(number for number, _ in self.placed)

    def states(self) -> list[Any]:
        """The initial state and the one after each placed operation."""
        return [self.spec.initial, *(state for _, state in self.placed)]

    def refused(self) -> list[tuple[int, str, bool]]:
        """Who could have come next in time: number, what the specification answers, whether that fits."""
        state = self.states()[-1]
        missing = self.missing()
        refused = []
        for number in missing:
            op = self.operations[number]
            own = [other for other in missing if other < number and self.operations[other].client == op.client]
            if not own and not any(precedes(self.operations[other], op) for other in missing):
                answers = [answer for _, answer in alternatives(step_of(self.spec, op), op, state)]
                said = " or ".join(dict.fromkeys(map(repr, answers))) or "that it cannot happen"
                refused.append((number, said, any(same(answer, op.result) for answer in answers)))
        return refused

    def missing(self) -> list[int]:
        """The operations that returned and were not placed."""
        placed = set(self.order)
        return [n for n, op in enumerate(self.operations) if op.ret is not None and n not in placed]

    def marks(self) -> list[str]:
        """For each operation its place in the order, `!` for one that should have come next, or nothing."""
        marks = [""] * len(self.operations)
        for place, number in enumerate(self.order, 1):
            marks[number] = str(place)
        for number, _, _ in self.refused():
            marks[number] = "!"
        return marks


@dataclass(frozen=True, slots=True)
class Verdict:
    """What `check` found out. It is true where `ok` is True, so that it can stand in an `assert`."""

    ok: bool | None
    parts: tuple[Part, ...] = field(repr=False)  # all if ok, the failed one, or those undecided
    seconds: float
    limit: str | None = None  # what beside time was not enough, if undecided

    def __bool__(self) -> bool:
        return self.ok is True

    @property
    def longest(self) -> tuple[Operation, ...]:
        """The longest part of the history that could be put in order, in that order.

        Longest counts operations that returned. Of a partitioned history: the part of the partition that
        failed, or of the partitions one after another.
        """
        return tuple(part.operations[number] for part in self.parts for number in part.order)

    @property
    def headline(self) -> str:
        """The verdict in a sentence."""
        operations = [op for part in self.parts for op in part.operations]
        size = f"{len(operations)} operations by {len({op.client for op in operations})} clients"
        within = f", in {len(self.parts)} partitions" if len(self.parts) > 1 else ""
        if self.ok:
            return f"Linearizable: {size}{within}."
        returned = sum(op.ret is not None for op in self.longest)
        if self.ok is None:
            spent = (
                f"{self.seconds:.3g} seconds" if self.limit is None else f"{self.seconds:.3g} seconds and {self.limit}"
            )
            return f"Undecided after {spent}: of {size}{within} {returned} could be put in order."
        of_key = "" if self.parts[0].key is None else f" (partition {self.parts[0].key!r})"
        return f"Not linearizable{of_key}: of {size} at most {returned} can be put in order."

    def explain(self) -> str:
        """A timeline of the history and the longest part of it that could be put in order, as text.

        >>> from reagents.testing import Operation, Spec, check
        >>> class Counter(Spec):
        ...     initial = 0
        ...     def add(self, state, n):
        ...         return state + n, state
        >>> history = [Operation("a", "add", (1,), 0, 1, 2), Operation("b", "add", (1,), 1, 1, 3)]
        >>> print(check(history, Counter).explain())
        Linearizable: 2 operations by 2 clients.
        <BLANKLINE>
            client  operation      time
         1  a       add(1) -> 0    |---|
         2  b       add(1) -> 1      |---|
        <BLANKLINE>
        In this order, with the state after each operation:
                initially 0
             1  client a: add(1) -> 0    1
             2  client b: add(1) -> 1    2
        """
        pages = [self.headline]
        for part in self.parts:
            if len(self.parts) > 1:
                pages.append(f"Partition {part.key!r}:")
            pages.append("\n".join(_timeline_text(part)))
            pages.append("\n".join(_order_text(self, part)))
        return "\n\n".join(pages)

    def to_html(self, path: str | os.PathLike[str]) -> None:
        """Writes the whole history as one page that needs nothing else.

        >>> import pathlib, tempfile
        >>> from reagents.testing import Operation, Spec, check
        >>> class Register(Spec):
        ...     @staticmethod
        ...     def get(state):
        ...         return state, state
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     page = pathlib.Path(directory, "verdict.html")
        ...     check([Operation(0, "get", (), 5, 0, 1)], Register).to_html(page)
        ...     "Not linearizable" in page.read_text(encoding="utf-8")
        True
        """
        from reagents.testing.page import render  # here, because page.py imports this module

        Path(path).write_text(render(self), encoding="utf-8")


def _order_text(verdict: Verdict, part: Part) -> list[str]:
    """The order that was found with the state after each operation, then who could not come next."""
    states = part.states()
    placed = [part.operations[number] for number in part.order]
    refused = [] if verdict.ok else part.refused()
    hidden = max(0, len(placed) - _ROWS)
    named = placed[hidden:] + [part.operations[number] for number, _, _ in refused]
    width = max((len(_short(op)) for op in named), default=0)
    if verdict.ok:
        lines = ["In this order, with the state after each operation:"]
    else:
        lines = ["The longest part that could be put in order, and the state after each operation:"]
    start = f"({hidden} earlier operations) then" if hidden else "initially"
    lines.append(f"        {start} {_short(repr(states[hidden]))}")
    for place in range(hidden, len(placed)):
        lines.append(f"    {place + 1:>2}  {_short(placed[place]):<{width}}    {_short(repr(states[place + 1]))}")
    if refused:
        lines.append("None of these can come next:" if verdict.ok is False else "One of these must come next:")
    for number, answer, fits in refused:
        why = "not tried yet" if fits else f"the specification answers {_short(answer)}"
        lines.append(f"     !  {_short(part.operations[number]):<{width}}    {why}")
    return lines


def _timeline_text(part: Part) -> list[str]:
    marks = part.marks()
    first, last = _window(part, marks)
    shown = part.operations[first:last]
    clients = [str(op.client) for op in shown]
    texts = [_short(op.text) for op in shown]
    wide_client = max(map(len, ["client", *clients]))
    wide_text = max(map(len, ["operation", *texts]))
    lines = []
    if first:
        lines.append(f"({first} earlier operations are not shown)")
    lines.append(f"    {'client':<{wide_client}}  {'operation':<{wide_text}}    time")
    for mark, client, text, bar in zip(marks[first:last], clients, texts, _bars(shown), strict=True):
        lines.append(f"{mark or '-':>2}  {client:<{wide_client}}  {text:<{wide_text}}    {bar}")
    if last < len(part.operations):
        lines.append(f"({len(part.operations) - last} later operations are not shown)")
    return lines


def _window(part: Part, marks: list[str]) -> tuple[int, int]:
    """From where to where the timeline shows the operations: around those that could not be placed."""
    size = len(part.operations)
    if size <= _ROWS:
        return 0, size
    stuck = next((number for number, mark in enumerate(marks) if mark == "!"), size)
    first = max(0, min(stuck - _ROWS // 2, size - _ROWS))
    return first, first + _ROWS


def _short(shown: object) -> str:
    """Both ends matter: the beginning says what it is, the end what is new in a state that grows."""
    text = str(shown)
    return text if len(text) <= _WIDE else f"{text[: _WIDE // 2 - 2]} ... {text[3 - _WIDE // 2 :]}"


def _bars(shown: tuple[Operation, ...]) -> list[str]:
    """Each operation from call to return. The axis is the order of events, not their distance."""
    times = timeline(shown)
    events = sum(1 if ret is None else 2 for _, ret in times)
    # Two columns an event show even neighbours apart, as long as there is room.
    step = min(2.0, (_COLUMNS - 1) / max(events, 1))
    bars = []
    for call, ret in times:
        start = int(call * step)
        end = int((events if ret is None else ret) * step)
        bars.append(" " * start + "|" + "-" * max(end - start - 1, 0) + ("..." if ret is None else "|"))
    return bars
