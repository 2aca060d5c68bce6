"""Threads that end in the middle of things: what they held comes back, and nobody waits for them."""

from __future__ import annotations

import contextlib
import ctypes
import threading
from collections.abc import Callable
from typing import Any

import pytest

from lockfree import Counter, Queue, Stack
from racing import STRESS, Background, race, run_python, settle, soon
from reagents import Ref, attempt, computed, guard, lift, post_commit, stats


def fail(*_: Any) -> Any:
    raise SystemExit  # ends a thread, and says nothing


@pytest.mark.parametrize("make", [lift, guard, computed, post_commit, None])
def test_by_an_exception_of_a_reaction(make: Any) -> None:
    """One thread after the other dies in it, beside threads that go on with the same structures."""
    stack, queue, ref, dying = Stack(range(5)), Queue[int](), Ref(0), Ref(0)
    there, back = attempt(stack.pop >> queue.put), attempt(queue.get >> stack.push)
    last = ref.upd(fail) if make is None else make(fail)
    death = dying.add >> (lambda _: 1) >> ref.add >> stack.pop >> queue.put >> last

    def dead() -> None:
        with contextlib.suppress(SystemExit, BaseExceptionGroup):  # a group if of the action
            death(1)

    def dies() -> None:
        for _ in range(20 * STRESS):
            thread = threading.Thread(target=dead)
            thread.start()
            thread.join()
            back()

    def works() -> None:
        there()
        back()

    race(dies, meanwhile=[works])
    while back():
        pass
    while not queue.empty():
        back()
    assert sorted(stack.snapshot()) == list(range(5))
    # An action fails after the reaction has happened; each of those that ran has put what it took.
    assert dying.get() == ref.get() == (20 * STRESS if make is post_commit else 0)
    assert stats()["waiting"] == 0


def test_thousands_of_short_ones() -> None:
    """Slots, nodes and what was given up late are the next one's: the thousandth thread costs what the first did."""
    stack, queue, counter, ref = Stack[Any](), Queue[Any](), Counter(), Ref[Any](None)

    class Token:
        alive = Counter()

        def __init__(self) -> None:
            self.alive.add()

        def __del__(self) -> None:
            self.alive.add(-1)

    def short() -> None:
        ref.set(Token())
        stack.push(Token())
        (stack.pop >> queue.put >> queue.get >> ref.swap >> stack.push)()
        (stack.pop * counter.add)()

    def starts() -> None:
        for _ in range(1_000 * STRESS):
            thread = threading.Thread(target=short)
            thread.start()
            thread.join()

    race(starts, starts)
    assert (counter.value(), len(stack), queue.qsize()) == (2_000 * STRESS, 0, 0)
    ref.set(None)
    soon(lambda: settle() or Token.alive.value() == 0, "the end of all tokens")
    assert stats()["waiting"] == 0


def foreign_thread(function: Callable[[], Any]) -> None:
    """Call it in a thread that Python did not start, and wait for the end of that."""
    start = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)

    def body(_: Any) -> None:
        function()

    callback = start(body)
    thread, libc = ctypes.c_ulong(), ctypes.CDLL(None)
    assert libc.pthread_create(ctypes.byref(thread), None, callback, None) == 0
    assert libc.pthread_join(thread, None) == 0


needs_pthreads = pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "pthread_create"), reason="no pthreads to be found")


@needs_pthreads
def test_threads_that_python_did_not_start() -> None:
    stack, ref = Stack[Any](), Ref(0)

    def foreign() -> None:
        stack.push("by a foreign thread")
        (stack.pop >> stack.push >> (lambda _: 1) >> ref.add)()

    for n in range(1, 50):
        foreign_thread(foreign)
        assert (ref.get(), len(stack)) == (n, n)


@needs_pthreads
def test_a_foreign_thread_that_waits() -> None:
    queue, got = Queue[Any](), Stack[Any]()
    waits = stats()["waits"]
    thread = Background(foreign_thread, queue.get >> got.push)
    soon(lambda: stats()["waits"] > waits, "the foreign thread's wait")
    queue.put("item")
    thread.result()
    assert got.snapshot() == ["item"]


AT_EXIT = """
import sys, threading
from lockfree import AtomicInt, Counter, Queue, Stack
from reagents import Ref, attempt, guard, stats

stack, queue, counter, number = Stack(range(10)), Queue(), Counter(), AtomicInt()
refs = [Ref(n) for n in range(3)]
there, back = attempt(stack.pop >> queue.put), attempt(queue.get >> stack.push)
transfer = refs[0].upd(lambda v, _: (v - 1, 1)) >> refs[1].add >> refs[2].read
going = AtomicInt()

class Dying:
    def __del__(self, push=stack.push, put=queue.put):
        push(1)
        put(2)

def hammer():
    going.add(1)
    while True:
        there(), back(), counter.add(), number.add(1), transfer()
        refs[2].set(Dying())

def wait_for_ever():
    (refs[0].read >> guard(lambda value: value == "never"))()

waits = [Queue().get, Stack().pop, lambda: Queue().get(timeout=1000), wait_for_ever]
for target in [{target}] * 3 if {target} else waits:
    threading.Thread(target=target, daemon=True).start()
pause = threading.Event()
while going.get() < 3 if {target} else stats()["waits"] < len(waits):
    pause.wait(0.001)
print("leaving", flush=True)
"""


@pytest.mark.parametrize("target", ["hammer", None])
def test_daemons_at_the_interpreter_s_exit(target: str | None) -> None:
    """Blocked, and in the middle of everything: the process leaves, with status 0."""
    for _ in range(5 * STRESS):
        assert run_python(AT_EXIT.replace("{target}", str(target))).stdout == "leaving\n"
