"""Pushes and pops that contend for one stack, and may meet beside it. Nothing is lost, twice there, or kept.

How often they meet is left to chance here. tests/sanitized.sh runs these tests, and others of the stack, once more
with an extension in which most operations believe that they have lost, and so meet all the time.
"""

from __future__ import annotations

import gc
import os
import queue
import signal
import weakref
from collections import Counter
from typing import Any

import pytest

from lockfree import Stack
from racing import STRESS, Background, Parked, race, settle
from reagents import attempt

ROUNDS = 2_000 * STRESS


class Item:
    """Somebody whose death can be seen."""

    def __init__(self, number: tuple[int, int]) -> None:
        self.number = number


def drained(stack: Stack[Any]) -> list[Any]:
    return list(iter(attempt(stack.pop, drained), drained))


def test_each_item_comes_out_once_and_then_dies() -> None:
    stack: Stack[Any] = Stack()
    watched: list[weakref.ref[Item]] = []

    def push(who: int) -> list[tuple[int, int]]:
        for i in range(ROUNDS):
            item = Item((who, i))
            watched.append(weakref.ref(item))
            stack.push(item)
        return []

    def pop() -> list[tuple[int, int]]:
        got = []
        for _ in range(ROUNDS):
            try:
                got.append(stack.pop_nowait().number)
            except queue.Empty:
                continue
        return got

    numbers = [n for got in race(lambda: push(0), lambda: push(1), pop, pop, pop) for n in got]
    numbers += [item.number for item in drained(stack)]
    assert Counter(numbers) == Counter((who, i) for who in range(2) for i in range(ROUNDS))
    settle()
    assert [ref().number for ref in watched if ref() is not None] == []  # type: ignore[union-attr]


def test_no_push_is_lost_on_those_who_wait() -> None:
    """Blocking pops beside such as do not wait. Who has given up waiting for nobody must wake somebody."""
    stack: Stack[int] = Stack()
    count = ROUNDS // 2

    def push(who: int) -> list[int]:
        for i in range(count):
            stack.push(who * count + i)
        return []

    def pop() -> list[int]:
        return [stack.pop() for _ in range(count)]

    def pop_and_push_back() -> list[int]:
        poll = attempt(stack.pop)
        for i in range(count):
            try:
                item = stack.pop_nowait() if i % 4 else poll()
            except queue.Empty:
                continue
            if item is not None:
                stack.push(item)
        return []

    got = race(lambda: push(0), lambda: push(1), pop, pop, pop_and_push_back)
    assert sorted(got[2] + got[3]) == list(range(2 * count))
    assert len(stack) == 0


def test_a_push_that_met_nobody_wakes_who_waits() -> None:
    stack: Stack[int] = Stack()
    for i in range(16):
        parked = Parked()
        popping = Background(stack.pop)
        parked.wait_for()
        stack.push(i)
        assert popping.result() == i


def test_what_looks_at_the_stack_alone() -> None:
    """Each pop comes after a push of its thread, so there is one item at least, whether they use the stack or not."""
    stack = Stack([-1])

    def come_and_go() -> None:
        for i in range(ROUNDS):
            stack.push(i)
            stack.pop()

    def look() -> None:
        seen = stack.snapshot()
        assert 1 <= len(seen) <= 3, seen
        assert 1 <= len(stack) <= 3
        assert stack.peek(block=False) is not None

    race(come_and_go, come_and_go, meanwhile=[look])
    assert len(stack) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_fork_amid_offers() -> None:
    """The child, alone with whatever the others were about to push, goes on by itself."""
    stack: Stack[Any] = Stack()

    def come_and_go() -> None:
        for i in range(ROUNDS):
            stack.push((i,))
            stack.pop()

    def in_child() -> None:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(30)
        before = len(stack)
        assert before <= 2
        for i in range(50):
            stack.push(i)
            assert stack.pop() == i
        assert len(drained(stack)) == before
        gc.collect()

    def fork() -> None:
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                in_child()
                status = 0
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0

    race(come_and_go, come_and_go, lambda: [fork() for _ in range(10)])
    assert len(stack) == 0
