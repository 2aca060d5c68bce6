"""An exception that another thread throws (PyThreadState_SetAsyncExc) wakes no wait, and tears no reaction apart.

It is raised when the thread next runs Python code. Where that is a function of the reaction, the reaction has not
happened; where it is what follows the reaction, it has.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from typing import Any

import pytest

from lockfree import Queue, Stack
from racing import Background, Parked
from reagents import const, stats


class Thrown(Exception):
    pass


def thrown_into(run: Callable[[], Any], wake: Callable[[], Any]) -> Background:
    """The thread that ran it, after what parked it was interrupted and then woken."""
    ident: list[int] = []

    def thread() -> None:
        ident.append(threading.get_ident())
        run()

    parked = Parked()
    background = Background(thread)
    parked.wait_for()
    throw = ctypes.pythonapi.PyThreadState_SetAsyncExc
    assert throw(ctypes.c_ulong(ident[0]), ctypes.py_object(Thrown)) == 1
    assert background.running, "it sleeps: nothing but a change of what it waits for wakes it"
    wake()
    return background


def test_after_the_reaction() -> None:
    queue: Queue[Any] = Queue()
    moved: Stack[Any] = Stack()
    waiting = stats()["waiting"]
    background = thrown_into(queue.get >> moved.push, lambda: queue.put(1))
    with pytest.raises(Thrown):
        background.result()
    assert (queue.qsize(), moved.snapshot(), stats()["waiting"]) == (0, [1], waiting)


def test_in_a_function_of_the_reaction() -> None:
    queue, moved = Queue[Any](), Stack[Any](["kept"])
    waiting = stats()["waiting"]
    reaction = moved.pop >> const("gone") >> queue.put >> queue.get >> queue.get >> (lambda item: item) >> moved.push
    background = thrown_into(reaction, lambda: queue.put(1))
    with pytest.raises(Thrown):
        background.result()
    assert (queue.qsize(), moved.snapshot(), stats()["waiting"]) == (1, ["kept"], waiting)
    assert queue.get_nowait() == 1


def test_a_direct_call() -> None:
    queue: Queue[Any] = Queue()
    got: list[Any] = []
    background = thrown_into(lambda: got.append(queue.get()), lambda: queue.put(1))
    with pytest.raises(Thrown):
        background.result()
    assert queue.qsize() == 0
