"""`reagents.testing.check`: what it refuses, and what it shows of what it found."""

from __future__ import annotations

import dataclasses
import doctest
import importlib
import re
from pathlib import Path
from typing import Any

import pytest

from checker_histories import NEVER, RIGHT, WRONG, KeyedSpec, op
from reagents.testing import Operation, Spec, check, read_only
from specs import WordSpec

MALFORMED = {
    "return before call": ([op(0, "get", gives=0, at=(2, 1))], "return of operation 0 .* at 1 is before its call at 2"),
    "overlap": (
        [op(0, "get", gives=0, at=(0, 2)), op(0, "set", 1, at=(1, 3))],
        r"call of client 0: set\(1\) -> None at 1 overlaps .* get\(\) -> 0 from 0 to 2",
    ),
    "a call after one that never returned": (
        [op(0, "get", at=(0, NEVER)), op(0, "set", 1, at=(1, 3))],
        r"call of client 0: set\(1\) -> None at 1 follows .* never returned",
    ),
    "no time": ([op(0, "get", gives=0, at=("now", 2))], "call of operation 0 .* has no time: 'now'"),  # type: ignore[arg-type]
    "NaN": ([op(0, "get", gives=0, at=(0, float("nan")))], "return of operation 0 .* has no time: nan"),
    "unknown operation": ([op(0, "frobnicate", at=(0, 1))], r"WordSpec has no method for .* frobnicate\(\)"),
    "not an operation of the object": ([op(0, "partition", at=(0, 1))], "WordSpec has no method"),
}


@pytest.mark.parametrize("what", MALFORMED)
def test_malformed_histories(what: str) -> None:
    history, message = MALFORMED[what]
    with pytest.raises(ValueError, match=message):
        check(history, WordSpec)


def test_misuse() -> None:
    history = [op(0, "get", gives=0, at=(0, 1)), op(0, "set", 1, at=(2, 3))]
    with pytest.raises(TypeError, match="element 0 of the history is no Operation"):
        check([("get", 0)], WordSpec)  # type: ignore[list-item]
    with pytest.raises(TypeError, match=r"a specification is a Spec"):
        check(history, dict)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="timeout must be at least 0"):
        check(history, WordSpec, timeout=-1)

    class Unhashable(WordSpec):
        def set(self, state: Any, value: Any) -> tuple[Any, Any]:
            return [value], None

    with pytest.raises(TypeError, match=r"Unhashable has a state that cannot be hashed: \[1\]"):
        check(history, Unhashable)

    class NoPair(WordSpec):
        def set(self, state: Any, value: Any) -> Any:
            return value

    with pytest.raises(TypeError, match=r"returned 1 for .* not a pair"):
        check(history, NoPair)

    class Liar(WordSpec):
        @read_only
        def set(self, state: Any, value: Any) -> tuple[Any, Any]:
            return value, None

    with pytest.raises(ValueError, match="declared read-only, but changes 0 to 1"):
        check(history, Liar)

    class Raises(WordSpec):
        def set(self, state: Any, value: Any) -> tuple[Any, Any]:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as caught:
        check(history, Raises)
    assert "for client 0: set(1)" in caught.value.__notes__[0]


# ---------------------------------------------------------------- what is shown


def test_explain_names_the_longest_part_and_who_is_stuck() -> None:
    spec, history = WRONG["a push lost, seen by the drain alone"]
    verdict = check(history, spec)
    text = verdict.explain()
    assert "of 4 operations by 3 clients at most 3 can be put in order" in text
    assert [o.name for o in verdict.longest] == ["push", "push", "pop_nowait"]
    longest, stuck = text.split("None of these can come next:")
    assert re.search(r"3  client drain: pop_nowait\(\) -> 2 +\(1,\)", longest)
    assert re.search(r"!  client drain: pop_nowait\(\) -> 'empty' +the specification answers 1", stuck)


def test_explain_shows_what_never_returned() -> None:
    spec, history = WRONG["a write that never returned was undone"]
    text = check(history, spec).explain()
    assert re.search(r"set\(1\) never returned +\|-+\.\.\.", text)


def test_explain_of_partitions() -> None:
    history = [op(0, "set", "a", 1, at=(0, 1)), op(1, "get", "b", gives=0, at=(0, 1))]
    text = check(history, KeyedSpec).explain()
    assert text.startswith("Linearizable: 2 operations by 2 clients, in 2 partitions.")
    assert "Partition 'a':" in text
    assert "Partition 'b':" in text
    history[1] = dataclasses.replace(history[1], result=1)
    assert check(history, KeyedSpec).explain().startswith("Not linearizable (partition 'b'): of 1 operations")


@pytest.mark.parametrize("table", [RIGHT, WRONG])
def test_every_verdict_can_be_shown(table: dict[str, tuple[type[Spec], list[Operation]]], tmp_path: Path) -> None:
    for spec, history in table.values():
        verdict = check(history, spec)
        page = tmp_path / "verdict.html"
        verdict.to_html(page)
        html = page.read_text(encoding="utf-8")
        assert verdict.headline in html
        assert html.count("<rect") == len(history)
        # Self-contained: nothing is fetched from anywhere.
        assert not re.search(r"<(script|link|img|iframe)|https?://|url\(", html)
        assert all(o.text.split("(")[0] in verdict.explain() for o in history)


def test_html_escapes_values(tmp_path: Path) -> None:
    verdict = check([op("<i>", "get", gives="<b>&", at=(0, 1))], WordSpec)
    verdict.to_html(str(tmp_path / "page.html"))
    html = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<b>" not in html
    assert "<i>" not in html
    assert "&lt;b&gt;&amp;" in html


@pytest.mark.parametrize("name", ["", ".checker", ".explorer", ".history", ".spec", ".verdict"])
def test_the_examples_in_the_docstrings_run(name: str) -> None:
    failed, tried = doctest.testmod(importlib.import_module("reagents.testing" + name))
    assert tried
    assert not failed
