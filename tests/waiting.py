"""Signals that meet a thread while it waits: what the tests of interrupted waits share."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from racing import PATIENCE, Parked

needs_signals = pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="no signals to threads on this system")


class Interrupt(Exception):
    """By a handler."""


@contextlib.contextmanager
def handling(handler: Callable[[], Any]) -> Iterator[None]:
    """Signals call the handler."""
    before = signal.signal(signal.SIGUSR1, lambda number, frame: handler())
    try:
        yield
    finally:
        signal.signal(signal.SIGUSR1, before)


@contextlib.contextmanager
def signals_while_parked(handler: Callable[[], Any], *, until: Callable[[], Any]) -> Iterator[None]:
    """From when a reaction is parked the main thread gets signals, until that is true; the handler runs for each.

    Not one signal alone: one that comes just before the thread sleeps does not wake it.
    """
    parked, main = Parked(), threading.main_thread().ident
    assert main is not None
    over = threading.Event()

    def send() -> None:
        while not over.wait(0.001) and not until():
            if parked.count:
                signal.pthread_kill(main, signal.SIGUSR1)

    with handling(handler):
        sender = threading.Thread(target=send, daemon=True)
        sender.start()
        try:
            yield
        finally:
            over.set()
            sender.join(PATIENCE)


class Once:
    """A handler that raises the first time, and has been there since."""

    def __init__(self) -> None:
        self.called = 0

    def __call__(self) -> None:
        self.called += 1
        if self.called == 1:
            raise Interrupt

    def __bool__(self) -> bool:
        return self.called > 0


@contextlib.contextmanager
def interrupted() -> Iterator[None]:
    """What waits in here is interrupted, and says so."""
    once = Once()
    with signals_while_parked(once, until=lambda: once), pytest.raises(Interrupt):
        yield
    assert once
