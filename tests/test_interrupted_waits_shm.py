"""A signal while a reaction waits for words of a Segment, which it does by looking at them again and again."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from lockfree import AtomicInt
from racing import Background, Parked
from reagents import BLOCK, guard, stats
from segments import segment
from waiting import Interrupt, Once, handling, interrupted, needs_signals, signals_while_parked

pytestmark = needs_signals

WAITS: dict[str, Callable[[Any], Any]] = {
    "guard": lambda a: (a.at(0).read >> guard(lambda value: value > 0))(),
    "with a timeout": lambda a: (a.at(0).read >> guard(lambda value: value > 0))(timeout=1000),
    "cas": lambda a: a.at(0).cas(1, 2)(),
    "after a change": lambda a: (a.at(1).add >> a.at(0).upd(lambda value, x: BLOCK))(5),
    "choice": lambda a: (a.at(0).cas(1, 2) + (a.at(1).read >> guard(lambda value: value > 0)) >> a.at(2).write)(),
}


@pytest.mark.parametrize("name", WAITS)
def test_the_exception_comes_out_and_nothing_has_happened(name: str) -> None:
    waiting = stats()["waiting"]
    with segment() as seg:
        arr = seg.array("words", "int64", 4)
        for _ in range(3):
            with interrupted():
                WAITS[name](arr)
        assert tuple(arr) == (0, 0, 0, 0)  # type: ignore[call-overload]
        assert stats()["waiting"] == waiting
        assert arr.kcas([(0, 0, 1), (1, 0, 1)])
        assert (arr.at(0).cas(1, 5) >> arr.at(1).read)() == 1


def test_a_handler_that_returns_does_not_make_it_longer() -> None:
    with segment() as seg:
        arr, handled, seconds = seg.array("words", "int64", 4), AtomicInt(), 0.05
        wait = arr.at(0).read >> guard(lambda value: value > 0)
        began = time.monotonic()
        with signals_while_parked(lambda: handled.add(1), until=lambda: False), pytest.raises(TimeoutError):
            wait(timeout=seconds)
        assert time.monotonic() - began >= seconds
        assert handled.get() > 0


def test_a_handler_may_change_what_is_waited_for() -> None:
    with segment() as seg:
        arr, handled = seg.array("words", "int64", 4), AtomicInt()

        def handler() -> None:
            n = handled.add(1)
            assert arr.kcas([(1, n, n + 1)])
            with pytest.raises(TimeoutError):
                arr.at(2).cas(1, 2)(timeout=0.001)
            if n == 3:
                arr.add(0)

        with signals_while_parked(handler, until=lambda: handled.get() > 3):
            assert (arr.at(0).read >> guard(lambda value: value > 0) >> arr.at(3).write)() == 1
        assert tuple(arr) == (1, handled.get(), 0, 1)  # type: ignore[call-overload]


def test_a_signal_that_another_thread_gets() -> None:
    """It interrupts no system call of the main thread, whose business all handlers are."""
    with segment() as seg:
        arr, over, parked = seg.array("words", "int64", 4), threading.Event(), Parked()

        def elsewhere() -> None:
            parked.wait_for()
            signal.raise_signal(signal.SIGUSR1)
            over.wait()

        with handling(Once()):
            thread = Background(elsewhere)
            try:
                with pytest.raises(Interrupt):
                    arr.at(0).cas(1, 2)()
            finally:
                over.set()
                thread.result()
        assert tuple(arr) == (0, 0, 0, 0)  # type: ignore[call-overload]
