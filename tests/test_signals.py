"""Any operation may be called from a signal handler, in the middle of any other and while a reaction is blocked."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lockfree import AtomicInt, Queue, Stack
from racing import soon
from reagents import const, guard, stats
from world import World


@pytest.fixture
def alarms() -> Iterator[Callable[[Callable[[], Any]], None]]:
    """Call this with a function, and a signal every millisecond calls it in the main thread."""

    def start(handler: Callable[[], Any]) -> None:
        signal.signal(signal.SIGALRM, lambda number, frame: handler())
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)

    before = signal.getsignal(signal.SIGALRM)
    yield start
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


needs_signals = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no interval timer on this system")


@needs_signals
def test_signal_handlers(alarms: Any) -> None:
    world, handled = World(), AtomicInt()

    def handler() -> None:
        handled.add(1)
        for _ in range(len(world.operations)):
            world.act("from the handler")

    alarms(handler)
    soon(lambda: world.act("from below") or handled.get() > 30, "thirty signals")
    signal.setitimer(signal.ITIMER_REAL, 0)
    world.check()


@needs_signals
def test_signal_handler_brings_what_the_thread_waits_for(alarms: Any) -> None:
    """Handlers run while a reaction is blocked, and what they do can wake it."""
    queue, waits = Queue(), stats()["waits"]
    alarms(lambda: queue.put("from the handler") if stats()["waits"] > waits else None)
    assert (queue.get >> guard(lambda x: x == "from the handler"))() == "from the handler"


@needs_signals
def test_signal_handler_that_raises_ends_a_blocked_run(alarms: Any) -> None:
    class Stop(Exception):
        pass

    def stop() -> None:
        if stats()["waits"] > waits:
            signal.setitimer(signal.ITIMER_REAL, 0)
            raise Stop

    queue, stack, waits = Queue(), Stack([1]), stats()["waits"]
    alarms(stop)
    with pytest.raises(Stop):
        (stack.pop >> queue.put >> const(None) >> Queue().get)()
    assert (stack.snapshot(), queue.qsize()) == ([1], 0)


@needs_signals
@pytest.mark.parametrize("method", ["get", "pop"])
def test_a_timeout_error_of_a_handler_stays_one(alarms: Any, method: str) -> None:
    """An alarm that raises TimeoutError is a known idiom; it is no report of an empty queue."""

    def alarm() -> None:
        if stats()["waits"] > waits:
            signal.setitimer(signal.ITIMER_REAL, 0)
            raise TimeoutError("by the handler")

    waits = stats()["waits"]
    alarms(alarm)
    with pytest.raises(TimeoutError, match="by the handler"):
        (Queue().get if method == "get" else Stack().pop)()
