"""A signal at every kind of wait: what the handler raises comes out, and the wait leaves no trace."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from lockfree import AtomicInt, Counter, Queue, Stack
from racing import STRESS, Background, Parked
from reagents import (
    BLOCK,
    Ref,
    attempt,
    channel,
    choice,
    computed,
    const,
    guard,
    identity,
    lift,
    post_commit,
    stats,
    together,
)
from waiting import Interrupt, Once, handling, interrupted, needs_signals, signals_while_parked

pytestmark = needs_signals


class Bench:
    """Structures in which every wait below is in vain, and what they hold."""

    def __init__(self) -> None:
        self.stack: Stack[Any] = Stack()
        self.queue: Queue[Any] = Queue()
        self.kept: Stack[Any] = Stack(["kept"])
        self.ref: Ref[Any] = Ref("before")
        self.number = AtomicInt(5)
        self.counter = Counter(5)
        self.refs = [Ref(n) for n in range(40)]

    def look(self) -> Any:
        structures = (self.stack.snapshot(), self.queue.qsize(), self.kept.snapshot())
        return structures, self.ref.get(), self.number.get(), self.counter.value(), [each.get() for each in self.refs]

    def works(self) -> None:
        """Nobody takes what comes now, and it can be waited for again."""
        self.queue.put(1)
        self.stack.push(2)
        assert (self.queue.get_nowait(), self.stack.pop_nowait()) == (1, 2)
        parked = Parked()
        get = Background(self.queue.get)
        parked.wait_for()
        self.queue.put(3)
        assert get.result() == 3


def in_an_action(bench: Bench) -> Any:
    """The reaction has happened; its action waits, and is interrupted there."""
    with pytest.raises(ExceptionGroup) as caught:
        (const("before") >> bench.ref.write >> post_commit(lambda _: bench.queue.get()))()
    raise caught.value.exceptions[0]


def after_much(bench: Bench) -> Any:
    """All of this is undone."""
    work = (
        bench.kept.pop >> bench.queue.put >> bench.kept.push >> (lambda _: 1) >> bench.number.add >> bench.counter.add
    )
    return (work >> bench.ref.write >> bench.stack.pop)()


WAITS: dict[str, Callable[[Bench], Any]] = {
    "Queue.get": lambda b: b.queue.get(),
    "Queue.get with a timeout": lambda b: b.queue.get(timeout=1000),
    "Queue.peek": lambda b: b.queue.peek(),
    "Stack.pop": lambda b: b.stack.pop(),
    "Stack.pop with a timeout": lambda b: b.stack.pop(True, 1000),
    "Stack.peek with a timeout": lambda b: b.stack.peek(timeout=1000),
    "composed": lambda b: (b.queue.get >> b.ref.write)(),
    "composed, with a timeout": lambda b: (b.queue.get >> b.ref.write)(timeout=1000),
    "choice": lambda b: ((b.queue.get + b.stack.pop) >> b.ref.write)(),
    "choice of three": lambda b: choice(b.queue.get, b.stack.pop, b.ref.cas("another", "x"))(),
    "pair": lambda b: ((b.kept.pop * b.queue.get) >> b.ref.write)(),
    "guard": lambda b: (b.ref.read >> guard(lambda value: value == "after"))(),
    "lift": lambda b: (b.ref.read >> lift(lambda _: BLOCK))(timeout=1000),
    "computed": lambda b: (b.ref.read >> computed(lambda _: b.queue.get))(),
    "cas": lambda b: b.ref.cas("another", "x")(),
    "upd": lambda b: b.number.upd(lambda value, _: BLOCK)(),
    "after much": after_much,
    "many words": lambda b: (together(*(ref.read for ref in b.refs)) >> guard(lambda values: False))(),
    "a function that waits": lambda b: (b.kept.pop >> (lambda x: b.queue.get()) >> b.ref.write)(),
    "an action that waits": in_an_action,
}


@pytest.mark.parametrize("name", WAITS)
def test_the_exception_comes_out_and_nothing_has_happened(name: str) -> None:
    bench = Bench()
    before, waiting = bench.look(), stats()["waiting"]
    for _ in range(3):
        with interrupted():
            WAITS[name](bench)
    assert bench.look() == before
    assert stats()["waiting"] == waiting
    bench.works()


@pytest.mark.parametrize("name", ["Queue.get with a timeout", "composed, with a timeout"])
def test_a_handler_that_returns_does_not_make_it_longer(name: str) -> None:
    """Each wait is for what is left of the timeout: were it for all of it, it would not end while signals come."""
    queue, handled, seconds = Queue[Any](), AtomicInt(), 0.05
    wait = queue.get if name.startswith("Queue") else queue.get >> identity
    began = time.monotonic()
    with (
        signals_while_parked(lambda: handled.add(1), until=lambda: False),
        pytest.raises(Exception) as caught,  # noqa: PT011 - either of two, that have nothing else in common
    ):
        wait(timeout=seconds)
    assert type(caught.value).__name__ in ("Empty", "TimeoutError")
    assert time.monotonic() - began >= seconds
    assert handled.get() > 0
    assert queue.empty()


def test_a_handler_that_returns_does_not_end_it() -> None:
    queue, handled = Queue[Any](), AtomicInt()

    def handler() -> None:
        if handled.add(1) == 5:
            Background(queue.put, "brought").result()

    with signals_while_parked(handler, until=lambda: handled.get() > 5):
        assert queue.get() == "brought"
    assert queue.empty()


def test_a_handler_may_use_what_is_waited_for() -> None:
    """It puts, takes, and waits itself on the same structures; the last time it leaves something."""
    queue, stack, ref, handled = Queue[Any](), Stack[Any](), Ref(0), AtomicInt()
    at_work = False

    def handler() -> None:
        nonlocal at_work
        if at_work or handled.get() > 3:  # A signal at its own wait, or before what it left is taken.
            return
        at_work = True
        n = handled.add(1)
        queue.put(n)
        (queue.get >> stack.push >> stack.pop >> ref.write)()
        with pytest.raises(TimeoutError):
            (queue.get >> stack.push)(timeout=0.001)
        if n == 3:
            queue.put("left")
        at_work = False

    with signals_while_parked(handler, until=lambda: handled.get() > 3):
        assert ((queue.get + stack.pop) >> ref.swap)() == 3
    assert (queue.qsize(), len(stack), ref.get()) == (0, 0, "left")


def test_a_wait_in_a_handler_is_interrupted_alone() -> None:
    outer, inner, handled = Queue[Any](), Queue[Any](), []

    def handler() -> None:
        handled.append(len(handled))
        if len(handled) == 1:
            with pytest.raises(Interrupt):
                inner.get()
            outer.put("of the outer one")
        elif len(handled) == 2:
            raise Interrupt

    with signals_while_parked(handler, until=lambda: len(handled) > 1):
        assert outer.get() == "of the outer one"
    inner.put(1)
    assert inner.get_nowait() == 1


class Elsewhere:
    """Another thread that a reaction asks to do something and to get a signal, all of it from C.

    So the main thread, whose business all handlers are, has had no occasion to call the handler.
    """

    def __init__(self, function: Callable[[], Any] = list) -> None:
        self._function = function
        self._asked, self._done = threading.Lock(), threading.Lock()
        self._asked.acquire()
        self._done.acquire()
        self.ask = lift(self._asked.__exit__) >> const(-1) >> guard(self._done.acquire)
        self._thread = Background(self._run)

    def _run(self) -> None:
        self._asked.acquire()
        self._function()
        signal.raise_signal(signal.SIGUSR1)
        self._done.release()


def test_a_signal_that_is_pending_before_the_wait() -> None:
    queue: Queue[Any] = Queue()
    with handling(Once()), pytest.raises(Interrupt):
        (Elsewhere().ask >> queue.get)()
    queue.put(1)
    assert queue.get_nowait() == 1


def test_what_a_handler_raises_is_no_error_of_a_stale_log() -> None:
    """Errors of the reaction's own functions are dropped where they saw what is gone."""
    ref, other = Ref[Any](0), Ref(0)
    reaction = ref.read >> Elsewhere(lambda: ref.set("another")).ask
    for _ in range(5_000):  # for long enough that a look at signals is due
        reaction = reaction >> identity
    with handling(Once()), pytest.raises(Interrupt):
        (reaction >> other.write)()
    assert other.get() == 0


def test_interrupts_in_the_middle_of_moves() -> None:
    """Running, losing races, backing off, parked: wherever the exception comes, each move has happened or has not."""
    stacks = [Stack(range(10)), Stack[int](), Stack[int]()]
    moves = [attempt(a.pop >> b.push) for a in stacks for b in stacks if a is not b]
    over = threading.Event()

    def others() -> None:
        while not over.is_set():
            for move in moves:
                move()

    def handler(number: int, frame: Any) -> None:
        raise Interrupt

    before = signal.signal(signal.SIGALRM, handler)
    workers = [Background(others) for _ in range(2)]
    interrupts = 0
    try:
        while interrupts < 30 * STRESS:
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.0005)
                while True:
                    for move in moves:
                        move()
            except Interrupt:
                interrupts += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        over.set()
        for worker in workers:
            worker.result()
    assert sorted(item for stack in stacks for item in stack.snapshot()) == list(range(10))


def test_an_interrupt_that_comes_with_the_answer() -> None:
    """The swap has happened, in the handler itself: its result is there, and the interrupt is not lost."""
    left, right = channel()
    given: list[str] = []
    got: list[str] = []

    def answer() -> None:
        if not given:
            given.append(right.swap("theirs"))
            raise KeyboardInterrupt

    interrupts = 0
    with signals_while_parked(answer, until=lambda: given):
        try:
            got.append(left.swap("mine"))
            for _ in range(1000):  # somewhere here at the latest
                pass
        except KeyboardInterrupt:
            interrupts += 1
    assert given == ["mine"]
    assert interrupts == 1
    assert got in ([], ["theirs"])  # it may strike between the call and the append
