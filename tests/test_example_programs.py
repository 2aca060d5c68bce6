"""The programs of examples/: each runs, its output means what it should, and it notices when that is broken."""

from __future__ import annotations

import importlib.util
import random
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from racing import PATIENCE, environment
from reagents import const, guard, together

EXAMPLES = Path(__file__).parent.parent / "examples"


def output(name: str, *arguments: str) -> list[str]:
    """The lines that a program prints; fails unless it ends with 0."""
    done = subprocess.run(
        [sys.executable, EXAMPLES / name, *arguments],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout.splitlines()


def module(name: str) -> ModuleType:
    """A program as a module, to break a part of it."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


PROGRAMS = sorted(path.name for path in EXAMPLES.glob("*.py"))


def test_there_are_programs() -> None:
    assert {"bank.py", "chat_hub.py", "dining_philosophers.py", "santa_claus.py", "sat.py"} <= set(PROGRAMS)


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_program_runs_without_arguments(name: str) -> None:
    assert output(name)


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_program_is_short(name: str) -> None:
    assert len((EXAMPLES / name).read_text(encoding="utf-8").splitlines()) < 80


# ---------------------------------------------------------------- dining philosophers


@pytest.mark.parametrize("philosophers", [2, 3, 5])
def test_philosophers(philosophers: int) -> None:
    *meals, end = output("dining_philosophers.py", "--philosophers", str(philosophers), "--meals", "10000")
    assert meals == [f"philosopher {i}: 10000 meals" for i in range(philosophers)]
    assert end == "all have eaten, and all forks are back"


def test_philosophers_who_keep_their_forks(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    program = module("dining_philosophers")
    monkeypatch.setattr(program, "take", lambda fork, who: const(who) >> fork.write)
    monkeypatch.setattr(program, "put_back", lambda fork, who: fork.read)
    assert program.main(["--meals", "10"]) == 1
    assert "a fork was not put back" in capsys.readouterr().out


# ---------------------------------------------------------------- bank


def test_bank() -> None:
    transfers, audits, total = output("bank.py", "--accounts", "4", "--tellers", "3", "--transfers", "3000")
    happened = re.match(r"(\d+) of 9000 transfers", transfers)
    assert happened is not None
    assert 0 < int(happened[1]) < 9_000  # of accounts with 100 each, some are too poor
    counted = re.fullmatch(r"(\d+) audits beside them, 0 of them wrong", audits)
    assert counted is not None
    assert int(counted[1]) > 0
    assert total == "total 400, as at the beginning 400"


@pytest.mark.parametrize("wrong", ["makes money", "overdraws"])
def test_bank_that_is_wrong(wrong: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    program = module("bank")

    def transfer(source: Any, target: Any) -> Any:
        if wrong == "makes money":
            return target.upd(lambda balance, amount: (balance + amount, True))
        take = source.upd(lambda balance, amount: (balance - 1_000, 1_000))
        return take >> target.upd(lambda balance, amount: (balance + amount, True))

    monkeypatch.setattr(program, "transfer", transfer)
    assert program.main(["--accounts", "2", "--tellers", "1", "--transfers", "1"]) == 1
    assert ", 0 of them wrong" not in capsys.readouterr().out


# ---------------------------------------------------------------- SAT


def test_sat() -> None:
    found, check, contradiction = output("sat.py", "--seed", "7")
    literals = [int(word) for word in found.removeprefix("random clauses: ").split()]
    assert [abs(literal) for literal in literals] == list(range(1, 21))
    formula = module("sat").planted(20, 60, random.Random(7))
    assert len(formula) == 60
    assert all(set(clause) & set(literals) for clause in formula)
    assert check.strip() == "makes all 60 clauses true: True"
    assert contradiction == "contradiction: unsatisfiable"


def test_sat_finds_what_there_is() -> None:
    solver = module("sat").solver
    assert solver(2, [(1, 2), (-1,)])() == (False, True)
    assert solver(2, [(1, 2), (-1,), (-2,)])() is None
    assert solver(3, [(1,), (-1, 3), (-3, -2)])() == (True, False, True)
    assert solver(3, [()])() is None
    # The only model is the last of 2^12 that are tried.
    assert solver(12, [(-i,) for i in range(1, 13)])() == (False,) * 12


@pytest.mark.parametrize("answer", [None, (True,) * 20])
def test_sat_solver_that_is_wrong(answer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    program = module("sat")
    monkeypatch.setattr(program, "solver", lambda variables, formula: const(answer))
    assert program.main([]) == 1


# ---------------------------------------------------------------- Santa Claus


def test_santa() -> None:
    counted, end = output("santa_claus.py", "--christmases", "30", "--questions", "40")
    numbers = re.fullmatch(r"(\d+) Christmases, (\d+) questions answered", counted)
    assert numbers is not None
    assert int(numbers[1]) >= 30
    assert int(numbers[2]) >= 40
    assert end == "everybody of each group did his work: True; reindeer went first: True"


def test_santa_sees_the_reindeer_that_wait() -> None:
    """Nine reindeer and three elves are there; who takes the elves first is told that he was unfair."""
    program = module("santa_claus")
    reindeer, elves = program.Door(), program.Door()
    for door, size in ((reindeer, 9), (elves, 3)):
        for _ in range(size):
            door.enter("visitor")
    assert (elves.group(3) * reindeer.count.read)() == (("visitor",) * 3, 9)
    assert (reindeer.group(9) * const(0))() == (("visitor",) * 9, 0)


@pytest.mark.parametrize("wrong", ["reindeer are left waiting", "no work is done"])
def test_santa_that_is_wrong(wrong: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    program = module("santa_claus")
    visit, door = program.visit, program.Door

    def door_with_nine() -> Any:
        made = door()
        made.count.set(9)
        return made

    if wrong == "no work is done":
        monkeypatch.setattr(program, "visit", lambda door, closed, works: visit(door, closed, []))
    else:
        monkeypatch.setattr(program, "Door", door_with_nine)
    assert program.main(["--christmases", "2", "--questions", "2"]) == 1
    assert "False" in capsys.readouterr().out


# ---------------------------------------------------------------- chat


@pytest.mark.parametrize(("clients", "lines"), [(1, 3), (3, 4), (6, 20)])
def test_chat(clients: int, lines: int) -> None:
    (said,) = output("chat_hub.py", "--clients", str(clients), "--lines", str(lines))
    assert said == f"{clients * lines} lines, all of them in one order: True; each writer's in his: True"


def test_chat_that_loses_lines(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The first inbox forgets what is put into it, but for the end."""
    program = module("chat_hub")

    def forgetful(first: Any, *others: Any) -> Any:
        return together((guard(lambda line: line is None) >> first) + const(None), *others)

    monkeypatch.setattr(program, "together", forgetful)
    assert program.main([]) == 1
    assert "False" in capsys.readouterr().out
