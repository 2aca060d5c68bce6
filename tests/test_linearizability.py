"""The structures and what is composed of them, under real threads, are linearizable; and broken ones are caught."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import strategies as st

from concurrent_programs import FRESH, Program, Subject, call, check_programs, judge, run_repeatedly, until_empty
from racing import STRESS
from reagents import Ref
from reagents.testing import check
from specs import CounterSpec, StackSpec, TwoWordsSpec
from subjects import (
    AtomicIntSubject,
    BagSubject,
    BoundedQueueSubject,
    CacheSubject,
    CounterSubject,
    DequeSubject,
    GaugeSubject,
    LifoSubject,
    PrioritySubject,
    QueueAndStackSubject,
    QueueSubject,
    RefSubject,
    SetSubject,
    SortedMapSubject,
    SortedObjectsSubject,
    StackSubject,
    TwoAtomicIntsSubject,
    TwoRefsSubject,
    WorkStealingSubject,
    amount,
)


@pytest.mark.parametrize(
    "subject",
    [
        StackSubject,
        QueueSubject,
        BoundedQueueSubject,
        BagSubject,
        WorkStealingSubject,
        DequeSubject,
        LifoSubject,
        PrioritySubject,
        RefSubject,
        AtomicIntSubject,
        CounterSubject,
        GaugeSubject,
        TwoRefsSubject,
        TwoAtomicIntsSubject,
        QueueAndStackSubject,
        SortedMapSubject,
        SortedObjectsSubject,
        SetSubject,
        CacheSubject,
    ],
)
def test_linearizable(subject: type[Subject]) -> None:
    check_programs(subject)


# Known to be hard: few operations, many runs. Hypothesis finds such programs too, but runs each only a few times.
HARD: dict[str, tuple[type[Subject], Program]] = {
    "pop while the top comes back (ABA)": (
        StackSubject,
        Program(
            (("push", (1,)), ("push", (2,))),
            (
                (("pop_nowait", ()), ("snapshot", ())),
                (("pop_nowait", ()), ("pop_nowait", ()), ("push", (2,))),
            ),
        ),
    ),
    "put against get on an empty queue": (
        QueueSubject,
        Program(
            (),
            (
                (("put", (1,)), ("get_nowait", ())),
                (("put_composed", (2,)), ("get_nowait_composed", ())),
                (("get_nowait", ()), ("empty", ())),
            ),
        ),
    ),
    "the end of a full queue while one waits for room": (
        BoundedQueueSubject,
        Program(
            (("put", (1,)), ("put", (2,))),
            (
                (("put_waiting", (3,)), ("put_composed", (4,))),
                (("get_nowait", ()), ("shutdown", ())),
                (("rotate", ()), ("joined", ()), ("task_done", ())),
            ),
        ),
    ),
    "a queue is drained while items come and go": (
        BoundedQueueSubject,
        Program(
            (("put", (1,)),),
            (
                (("put", (2,)), ("put_two", (3,)), ("task_done_composed", ())),
                (("get_nowait_composed", ()), ("rotate", ()), ("peek", ())),
                (("drain_and_shutdown", ()), ("joined", ()), ("full", ())),
            ),
        ),
    ),
    "each compares what the other writes": (
        TwoRefsSubject,
        Program((), ((("copy_up", ()), ("copy_up", ())), (("copy_down", ()), ("copy_down", ())))),
    ),
    "transfers, compare-and-set and a snapshot": (
        TwoAtomicIntsSubject,
        Program(
            (),
            (
                (("transfer", (1,)), ("cas_both", (0, 1))),
                (("transfer", (-1,)), ("read_both", ())),
                (("add_first", (1,)), ("read_both", ())),
            ),
        ),
    ),
    "an element moves in a circle past a choice": (
        QueueAndStackSubject,
        Program(
            (("put", (1,)),),
            (
                (("get_then_push", ()), ("pop_then_put", ())),
                (("get_or_pop", ()), ("put", (1,))),
                (("peek_both", ()), ("get_and_pop", ())),
            ),
        ),
    ),
    "the left branch becomes possible before the right one is taken": (
        QueueAndStackSubject,
        Program(
            (),
            (
                (("get_or_pop_composed", ()), ("get_or_pop", ())),
                (("put", (1,)), ("push", (2,))),
                (("get_or_pop", ()), ("get_or_pop_composed", ())),
            ),
        ),
    ),
    "a sum read while two threads add": (
        CounterSubject,
        Program(
            (),
            (
                (("add", (1,)), ("add", (-2,))),
                (("add", (3,)), ("add", (-1,))),
                (("value", ()), ("value", ())),
            ),
        ),
    ),
}


@pytest.mark.parametrize("what", HARD)
def test_hard_programs(what: str) -> None:
    subject, program = HARD[what]
    for _ in range(5 * STRESS):
        assert (reason := judge(program, subject, 300)) is None, reason


# ---------------------------------------------------------------- negative controls


class Meeting:
    """A place in the middle of a broken operation where two threads wait for each other, so that both go on from
    the same state. A thread without a partner goes on after a moment; the one that made the subject at once."""

    def __init__(self) -> None:
        self._owner = threading.get_ident()
        self._barrier = threading.Barrier(2)

    def __call__(self) -> None:
        if threading.get_ident() != self._owner:
            # Once a wait has timed out the barrier stays broken: only the first thread alone pays for it.
            with contextlib.suppress(threading.BrokenBarrierError):
                self._barrier.wait(0.03)


class RacyStack(Subject):
    """Reads the top, and writes it without looking whether it is still the top."""

    spec = StackSpec
    calls = st.one_of(call("push", FRESH), call("pop_nowait"))

    def __init__(self) -> None:
        self._items: tuple[int, ...] = ()
        self._meet = Meeting()

    def push(self, x: int) -> None:
        items = self._items
        self._meet()
        self._items = (*items, x)

    def pop_nowait(self) -> Any:
        items = self._items
        self._meet()
        self._items = items[:-1]
        return items[-1] if items else "empty"

    def drain(self, run: Callable[..., Any]) -> None:
        until_empty(run, "pop_nowait")


class RacyCounter(Subject):
    """`value += n` without a lock."""

    spec = CounterSpec
    calls = st.one_of(call("add", amount), call("value"))

    def __init__(self) -> None:
        self._value = 0
        self._meet = Meeting()

    def add(self, n: int) -> None:
        value = self._value
        self._meet()
        self._value = value + n

    def value(self) -> int:
        return self._value

    def drain(self, run: Callable[..., Any]) -> None:
        run("value")


class SteppedTransfer(TwoRefsSubject):
    """Two atomic steps are not one: between them a reader sees money that is nowhere."""

    spec = TwoWordsSpec
    calls = st.one_of(call("transfer", st.integers(1, 3)), call("read_both"))

    def __init__(self) -> None:
        super().__init__()
        self._first, self._second = Ref(0), Ref(0)
        self.read_both = self._first.read * self._second.read
        self.transfer = self._transfer

    def _transfer(self, n: int) -> int:
        self._first.add(-n)
        time.sleep(0.001)
        return self._second.add(n) + n


class SteppedMove(QueueAndStackSubject):
    """A get and then a push: between them the element is in neither."""

    calls = st.one_of(call("put", FRESH), call("get_then_push"), call("get_nowait"), call("pop_nowait"))

    def __init__(self) -> None:
        super().__init__()
        self.get_then_push = self._get_then_push

    def _get_then_push(self) -> bool:
        x = self.get_nowait()
        time.sleep(0.001)
        self.push(x)
        return True


@pytest.mark.parametrize(
    ("broken", "program"),
    [
        (RacyStack, Program((), ((("push", (1,)),), (("push", (2,)),)))),
        (RacyCounter, Program((), ((("add", (1,)),), (("add", (1,)),)))),
        (SteppedTransfer, Program((), ((("transfer", (1,)),), (("read_both", ()), ("read_both", ()))))),
        (
            SteppedMove,
            Program((("put", (1,)),), ((("get_then_push", ()),), (("get_nowait", ()), ("pop_nowait", ())))),
        ),
    ],
)
def test_broken_ones_are_caught(broken: type[Subject], program: Program) -> None:
    reason = judge(program, broken, 20)
    assert reason is not None
    assert "Not linearizable" in reason


def test_the_smallest_program_that_breaks_a_racy_stack() -> None:
    with pytest.raises(AssertionError) as caught:
        check_programs(RacyStack, examples=20, repeats=2)
    reason = str(caught.value)
    threads = re.findall(r"thread \d: (.*)", reason)
    assert len(threads) == 2
    assert all(";" not in calls for calls in threads), reason  # one operation in each is enough
    assert "The longest part that could be put in order" in reason


def test_the_drain_is_what_shows_a_lost_push() -> None:
    program = Program((), ((("push", (1,)),), (("push", (2,)),)))
    histories = run_repeatedly(program, RacyStack, 20)
    # Two pushes, and the drain finds one element and then none.
    lost = [history for history in histories if len(history) == 4]
    assert lost
    for history in lost:
        assert check(history[:2], StackSpec).ok is True
        assert check(history, StackSpec).ok is False
