"""`python -m reagents`: it runs the real thing, shows it, keeps to its time, and fails when an invariant broke."""

from __future__ import annotations

import io
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from racing import environment
from reagents import Reagent
from reagents.tour import compositions, contenders, main, trade, words
from reagents.tour.screen import Screen


def run_tour(*options: str, expected: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "reagents", *options],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == expected, done.stdout + done.stderr
    return done.stdout + done.stderr


def quiet() -> Screen:
    return Screen(io.StringIO())


def test_the_whole_tour() -> None:
    seconds = 6.0
    start = time.monotonic()
    shown = run_tour("--seconds", str(seconds))
    # The threads count the words of as many files as one thread did, however long that takes on a busy machine.
    assert time.monotonic() - start < seconds * 4
    assert platform.python_version() in shown
    assert "GIL" in shown
    assert "core" in shown
    for line in (
        "move = orders.pop >> audit.put",
        "next_job = urgent.get + normal.get",
        "[('b', 'c'), ('a', 'c'), ('a', 'b')]",
    ):
        assert line in shown
    assert "sales and" in shown
    assert "Every snapshot added up" in shown
    assert "The two agree on every word." in shown
    table = shown.partition("Throughput\n")[2]
    for _, group in contenders.GROUPS:
        for contender in group:
            (row,) = (line for line in table.splitlines() if line.startswith(f"  {contender.name}  "))
            figures = [float(figure) for figure in row.replace(contender.name, "").split()]
            assert len(figures) == 3
            assert min(figures) > 0
    assert "Every invariant held." in shown


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf", "many"])
def test_seconds_must_be_a_number_above_zero(seconds: str) -> None:
    assert "--seconds" in run_tour(f"--seconds={seconds}", expected=2)


def test_a_composition_that_returns_something_else_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compositions, "COMPOSITIONS", [(compositions.moving, "something else")])
    (problem,) = compositions.show(quiet())
    assert "moving" in problem


def test_a_sale_that_is_not_paid_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def theft(seller: trade.Dealer, buyer: trade.Dealer) -> Reagent[Any, Any]:
        return seller.take >> buyer.give

    monkeypatch.setattr(trade, "sale", theft)
    assert trade.show(quiet(), 0.5)


def test_a_sale_in_two_steps_is_found_by_the_audit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Right in the end, and wrong in between: only a snapshot can see it."""
    dealers = trade.open_market()
    look = trade.audit(dealers)
    assert look() is None
    dealers[0].purse.add(5)
    problem = look()
    assert problem is not None
    assert "add up" in problem
    dealers[0].stock.add(-5)
    assert look() is None


def test_goods_that_vanish_are_found() -> None:
    dealers = trade.open_market()
    dealers[1].take()
    assert trade.check_shelves(dealers, lambda: None)


def test_a_word_counted_once_too_often_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    right = words.count_together

    def wrong(paths: list[Path], threads: int, screen: Screen) -> dict[str, int]:
        counts = right(paths, threads, screen)
        counts["import"] += 1
        return counts

    monkeypatch.setattr(words, "count_together", wrong)
    (problem,) = words.show(quiet(), 0.5)
    assert "1 words" in problem


def test_the_exit_code_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(compositions, "COMPOSITIONS", [(compositions.moving, "something else")])
    assert main(["--seconds", "0.5"]) == 1
    assert "BROKEN" in capsys.readouterr().out


def test_the_words_are_those_of_the_standard_library() -> None:
    paths = words.standard_library()
    assert {"queue.py", "threading.py"} <= {path.name for path in paths}
    assert not [path for path in paths if "site-packages" in path.parts]
    queue = next(path for path in paths if path.name == "queue.py")
    counted = words.count_together([queue], 3, quiet())
    assert counted == words.count_alone([queue], 1.0, quiet())[0]
    assert counted["maxsize"] == queue.read_text().count("maxsize")


def test_progress_replaces_itself_on_a_terminal_and_is_rare_elsewhere() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal, log = Terminal(), io.StringIO()
    for stream in (terminal, log):
        screen = Screen(stream)
        for i in range(50):
            screen.progress(f"step {i}")
        screen.say("end")
    assert terminal.getvalue().endswith("\rend\n")
    assert "step 49" in terminal.getvalue()
    assert log.getvalue() == "end\n"
