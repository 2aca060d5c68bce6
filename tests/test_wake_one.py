"""An item that is put wakes one of those who wait for it: the one that has waited longest, and no other.

Who was woken owes it to the others: it takes an item, or finds none, or passes the wake-up on.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lockfree import Bag, Deque, LifoQueue, PriorityQueue, Queue, Stack, WorkStealingDeque
from racing import GIL, PATIENCE, Background, soon
from reagents import Ref, attempt, choice, computed, const, guard, identity, stats
from waiting import Interrupt, Once, handling, needs_signals

SHAPES = {
    "queue": (Queue, "put", "get"),
    "stack": (Stack, "push", "pop"),
    "lifo": (LifoQueue, "put", "get"),
    "priority": (PriorityQueue, "put", "get"),
    "deque": (Deque, "append", "popleft"),
    "bag": (Bag, "put", "get"),
    "stealing": (WorkStealingDeque, "push", "steal"),  # the thread of the test is its owner
}


class Shape:
    """A queue or a stack, by what they have in common."""

    def __init__(self, kind: str) -> None:
        make, put, take = SHAPES[kind]
        self.it: Any = make()
        self.put, self.take = getattr(self.it, put), getattr(self.it, take)
        if kind == "deque":
            self.take = self.take >> identity  # called by itself it does not wait
        self.words = {"queue": 2, "bag": 1 if GIL else 4, "stealing": 3}.get(
            kind, 1
        )  # that a take of two waits for, with one there

    def __len__(self) -> int:
        return len(self.it)


@pytest.fixture(params=SHAPES)
def items(request: pytest.FixtureRequest) -> Shape:
    return Shape(request.param)


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    assert stats()["waiting"] == 0
    yield
    soon(lambda: stats()["waiting"] == 0, "no record left")


def parked(n: int) -> None:
    soon(lambda: stats()["waiting"] == n, f"{n} records of those who wait, not {stats()['waiting']}")


def waiting_for(*reagents: Any) -> list[Background]:
    """A thread each, parked in this order; each waits for one thing."""
    waiters = []
    for reagent in reagents:
        before = stats()["waiting"]
        waiters.append(Background(reagent))
        parked(before + 1)
    return waiters


class Wakeups:
    def __init__(self) -> None:
        self.before = stats()["wakeups"]

    @property
    def count(self) -> int:
        return int(stats()["wakeups"] - self.before)


def test_one_put_wakes_one(items: Shape) -> None:
    waiters = waiting_for(*[items.take] * 8)
    wakeups = Wakeups()
    for n, waiter in enumerate(waiters):
        items.put(n)
        assert waiter.result() == n, "the one that has waited longest"
        assert wakeups.count == n + 1
        assert stats()["waiting"] == len(waiters) - n - 1


def test_a_composed_put_wakes_one(items: Shape) -> None:
    waiters = waiting_for(*[items.take] * 4)
    wakeups, done = Wakeups(), Ref(0)
    (items.put >> (lambda _: 1) >> done.write)("x")
    assert waiters[0].result() == "x"
    assert (wakeups.count, stats()["waiting"], done.get()) == (1, 3, 1)
    for _ in range(3):
        items.put("y")
    assert [w.result() for w in waiters[1:]] == ["y"] * 3


def test_three_at_once_wake_three(items: Shape) -> None:
    waiters = waiting_for(*[items.take] * 5)
    wakeups = Wakeups()
    (const(1) >> items.put >> const(2) >> items.put >> const(3) >> items.put)()
    assert sorted(w.result() for w in waiters[:3]) == [1, 2, 3]
    assert (wakeups.count, stats()["waiting"]) == (3, 2)
    items.put(4)
    items.put(5)
    assert sorted(w.result() for w in waiters[3:]) == [4, 5]


def test_put_and_taken_in_one_step_wakes_nobody() -> None:
    stack: Stack[int] = Stack()
    waiters = waiting_for(stack.pop, stack.pop)
    wakeups = Wakeups()
    assert (const(1) >> stack.push >> stack.pop)() == 1
    assert (wakeups.count, stats()["waiting"]) == (0, 2)
    stack.push(2)
    stack.push(3)
    assert sorted(w.result() for w in waiters) == [2, 3]


@pytest.mark.parametrize("items", [kind for kind in SHAPES if hasattr(SHAPES[kind][0], "peek")], indirect=True)
def test_who_peeks_passes_it_on(items: Shape) -> None:
    peeking = waiting_for(items.it.peek, items.it.peek)
    taking = waiting_for(items.take)
    items.put("x")
    assert [w.result() for w in [*peeking, *taking]] == ["x"] * 3


def test_who_does_not_want_it_passes_it_on(items: Shape) -> None:
    odd = [Background(items.take >> guard(lambda n: n % 2)) for _ in range(6)]
    parked(6)
    plain = waiting_for(items.take)
    wakeups = Wakeups()
    items.put(2)
    assert plain[0].result() == 2, "passed on by six"
    assert wakeups.count >= 7
    for n in range(6):
        items.put(2 * n + 1)
    assert sorted(w.result() for w in odd) == [1, 3, 5, 7, 9, 11]


def test_who_wants_two_passes_one_on(items: Shape) -> None:
    pairs = [Background(items.take * items.take) for _ in range(3)]
    parked(3)
    plain = waiting_for(items.take)
    items.put(1)
    assert plain[0].result() == 1
    for n in range(6):
        items.put(n)
    assert sorted(n for w in pairs for n in w.result()) == [0, 1, 2, 3, 4, 5]


def test_two_who_want_two_do_not_wake_each_other_for_ever(items: Shape) -> None:
    pairs = [Background(items.take * items.take) for _ in range(2)]
    parked(2)
    wakeups = Wakeups()
    items.put(1)
    soon(lambda: wakeups.count >= 2, "both have looked")
    parked(2 * items.words)
    assert wakeups.count == 2
    for n in range(3):
        items.put(n)
    assert sorted(n for w in pairs for n in w.result()) == [0, 1, 1, 2]


def test_who_takes_another_branch_passes_it_on() -> None:
    urgent: Queue[str] = Queue()
    normal: Queue[str] = Queue()
    either = Background(urgent.get + normal.get)
    parked(2)
    waiters = waiting_for(normal.get)
    # One step that puts on both: `either` is notified once, and takes what is urgent.
    (const("n") >> normal.put >> const("u") >> urgent.put)()
    assert either.result() == "u"
    assert waiters[0].result() == "n"


def test_one_woken_by_one_queue_is_passed_over_by_the_other() -> None:
    """Two items, put apart while nobody may look yet: three threads, and none that could go on is left waiting."""
    urgent: Queue[str] = Queue()
    normal: Queue[str] = Queue()
    either = Background(urgent.get + normal.get)
    parked(2)
    waiters = waiting_for(normal.get, urgent.get)
    urgent.put("u")
    normal.put("n")
    soon(lambda: urgent.empty() and normal.empty(), "both are taken")
    soon(lambda: stats()["waiting"] == 1, "one is left")
    assert either.result() == "u", "it was the first of those who wait for either"
    assert waiters[0].result() == "n"
    assert waiters[1].running
    urgent.put("v")
    assert waiters[1].result() == "v"


def test_who_puts_before_it_waits_takes_no_wakeup() -> None:
    queue: Queue[int] = Queue()
    other: Queue[int] = Queue()
    putting = Background(const(7) >> queue.put >> other.get)
    parked(2)
    waiters = waiting_for(queue.get)
    queue.put(1)
    assert waiters[0].result() == 1
    other.put(2)
    assert putting.result() == 2
    assert queue.get() == 7


def test_a_branch_that_puts_passes_the_wakeup_for_the_item_on() -> None:
    queue: Queue[str] = Queue()
    other: Queue[str] = Queue()
    first = Background((other.get >> queue.put) + (queue.get >> guard(lambda _: False)))
    parked(2)
    waiters = waiting_for(queue.get, queue.get)
    (const("a") >> queue.put >> const("b") >> other.put)()
    first.result()
    assert sorted(w.result() for w in waiters) == ["a", "b"]


def test_a_timeout_that_meets_the_wakeup(items: Shape) -> None:
    """Whoever loses patience in the moment of the wake-up passes it on; the item is never left with one waiting."""
    for round_ in range(30):
        impatient = [Background(attempt_for(items, 0.0005 * (round_ % 4))) for _ in range(3)]
        patient = Background(items.take)
        for w in impatient[: round_ % 3]:
            w.result()
        items.put(round_)
        got = [w.result() for w in impatient]
        if round_ in got:
            items.put("for the patient")
            assert patient.result() == "for the patient"
        else:
            assert patient.result() == round_
        assert len(items) == 0


def attempt_for(items: Shape, seconds: float) -> Callable[[], Any]:
    def take() -> Any:
        try:
            return (items.take >> (lambda x: x))(timeout=seconds)
        except TimeoutError:
            return None

    return take


def test_an_error_passes_it_on(items: Shape) -> None:
    def fail(_: Any) -> None:
        raise Interrupt

    failing = waiting_for(items.take >> fail)
    waiters = waiting_for(items.take)
    items.put("x")
    with pytest.raises(Interrupt):
        failing[0].result()
    assert waiters[0].result() == "x"


@needs_signals
def test_an_interrupt_that_meets_the_wakeup(items: Shape) -> None:
    """The handler puts an item, which wakes the very thread that it runs in, and raises."""
    once = Once()
    waiters: list[Background] = []

    def handler() -> None:
        items.put("x")
        once()

    main = threading.main_thread().ident
    assert main is not None

    def send() -> None:
        parked(1)
        waiters.extend(waiting_for(items.take))
        while not once:
            signal.pthread_kill(main, signal.SIGUSR1)
            threading.Event().wait(0.001)

    with handling(handler):
        sender = threading.Thread(target=send, daemon=True)
        sender.start()
        with pytest.raises(Interrupt):
            items.take()
        sender.join(PATIENCE)
    assert waiters[0].result() == "x", "the one that was left with the item"


def test_attempt_takes_no_wakeup(items: Shape) -> None:
    waiters = waiting_for(*[items.take] * 2)
    wakeups = Wakeups()
    assert attempt(items.take, "none")() == "none"
    assert wakeups.count == 0
    items.put(1)
    items.put(2)
    assert sorted(w.result() for w in waiters) == [1, 2]


def test_a_structure_that_only_computed_knows_outlives_the_wait() -> None:
    """It is dropped by everybody else while a reaction waits in its list, and by the retry that follows."""
    box: list[Any] = [Queue()]
    go = Ref(0)
    waiting = Background(choice(computed(lambda _: box[0].get if box else go.read), go.cas(1, 2)))
    parked(2)
    box.pop().put("x")
    assert waiting.result() == 0, "it has found the box empty"


def test_what_computed_made_lives_as_long_as_the_log() -> None:
    """Backtracking gives up the reagent, not the word that the reaction has read."""
    calls = []

    def others(x: Any) -> Any:
        calls.append([Ref(i) for i in range(50)])  # takes the memory of the first Ref if that has gone
        assert len(calls) < 5, "the log names a word of somebody else"
        return x

    blocked = computed(lambda _: Ref("read").read >> guard(lambda _: False))
    assert ((blocked + const(None)) >> others >> others >> (lambda _: "done"))() == "done"
    assert len(calls) == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_wakes_nobody_of_its_parent(items: Shape) -> None:
    waiters = waiting_for(*[items.take] * 3)
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            assert stats()["waiting"] == 0
            mine = Background(items.take)
            parked(1)
            items.put("child")
            assert mine.result() == "child", "spent on a thread that is not here"
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    for n in range(3):
        items.put(n)
    assert sorted(w.result() for w in waiters) == [0, 1, 2]


@pytest.mark.parametrize("items", ["queue", "stack", "lifo", "priority"], indirect=True)
def test_a_thousand(items: Shape) -> None:
    n = 1000
    taken: list[Any] = []
    before = threading.stack_size(256 * 1024)
    try:
        threads = [threading.Thread(target=lambda: taken.append(items.take()), daemon=True) for _ in range(n)]
        for thread in threads:
            thread.start()
    finally:
        threading.stack_size(before)
    parked(n)
    wakeups = Wakeups()
    for i in range(n):
        items.put(i)
    for thread in threads:
        thread.join(PATIENCE)
    assert sorted(taken) == list(range(n))
    assert wakeups.count == n, "one for each item"
    assert stats()["waiting"] == 0
    assert len(items) == 0
