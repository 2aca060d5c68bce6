"""The two checkers agree: `reagents.testing.check` judges what the explorer of the core has seen, as its own one did.

The explorer prints histories as `reagents.testing` takes them, and schedules that `explore` can read.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from racing import PATIENCE
from reagents.testing import Operation, Spec, check

Explorer = Callable[..., str]

_EXPLORE = Path(__file__).parent / "explore" / "run.sh"

pytestmark = pytest.mark.skipif(
    shutil.which(os.environ.get("CC", "cc")) is None or shutil.which("bash") is None,
    reason="builds the explorer: needs bash and a C compiler",
)


class ListsSpec(Spec):
    """A queue or a stack, and a second stack."""

    initial: Any = ((), ())

    def put(self, state: Any, x: int) -> Any:
        return ((*state[0], x), state[1]), None

    push = put

    def get(self, state: Any) -> Any:
        one, other = state
        return ((one[1:], other), one[0]) if one else (state, None)

    def pop(self, state: Any) -> Any:
        one, other = state
        return ((one[:-1], other), one[-1]) if one else (state, None)

    def push2(self, state: Any, x: int) -> Any:
        return (state[0], (*state[1], x)), None

    def pop2(self, state: Any) -> Any:
        one, other = state
        return ((one, other[:-1]), other[-1]) if other else (state, None)

    def move(self, state: Any) -> Any:
        one, other = state
        return ((one[:-1], (*other, one[-1])), one[-1]) if one else (state, None)

    def size(self, state: Any) -> Any:
        return state, len(state[0])


class WordsSpec(Spec):
    initial = (0, 0, 0)

    def read(self, state: Any, word: int) -> Any:
        return state, state[word]

    def kcas(self, state: Any, *entries: tuple[int, int, int]) -> Any:
        if any(state[word] != old for word, old, _ in entries):
            return state, False
        new = {word: value for word, _, value in entries}
        return tuple(new.get(word, value) for word, value in enumerate(state)), True


@pytest.fixture(scope="module")
def explorer(tmp_path_factory: pytest.TempPathFactory) -> Explorer:
    program = tmp_path_factory.mktemp("explorer") / "explore"

    def run(*command: object) -> str:
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run("bash", _EXPLORE, "--build", program)
    return lambda *arguments: run(program, *arguments)


def histories(printed: str) -> list[list[Operation]]:
    """What stands between two lines that say "history"."""
    found: list[list[Operation]] = []
    for line in printed.splitlines():
        if line == "  history":
            found.append([])
        elif line.startswith("    Operation("):
            found[-1] += eval(f"[{line}]", {"Operation": Operation})
    return found


@pytest.mark.parametrize(
    ("scenarios", "spec"),
    [
        ("queue.p", ListsSpec),
        ("stack.o", ListsSpec),
        ("move.m-", ListsSpec),
        ("kcas.2", WordsSpec),
        ("kcas.o", WordsSpec),
    ],
)
def test_what_the_explorer_accepts(explorer: Explorer, scenarios: str, spec: type[Spec]) -> None:
    found = histories(explorer("--mode", "bound", "--preemptions", "2", "--show", "--only", scenarios))
    assert len(found) > 10
    assert any(len(history) > 2 for history in found)
    for history in found:
        verdict = check(history, spec)
        assert verdict.ok, verdict.explain()


def test_another_answer_is_refused(explorer: Explorer) -> None:
    """So that agreement means something: of each history with the answer of one get changed, none is right."""
    refused = 0
    for history in histories(explorer("--mode", "dpor", "--show", "--only", "queue.pp-gg")):
        for at, op in enumerate(history):
            if op.name == "get" and op.result is not None:
                forged = Operation(op.client, op.name, op.args, 99, op.call, op.ret)
                assert check([*history[:at], forged, *history[at + 1 :]], ListsSpec).ok is False
                refused += 1
    assert refused > 10


def test_a_schedule_means_the_same_to_both(explorer: Explorer) -> None:
    by_number, by_turn = (
        explorer("--replay", "queue.put-get", schedule) for schedule in ("0*4,1*2", "0:load 0 0:CAS, 0 1 1:load")
    )
    assert by_number == by_turn
