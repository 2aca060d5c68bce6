"""A child of a threaded process can go on at once, whatever the other threads were in the middle of."""

from __future__ import annotations

import gc
import os
import signal
import time
import warnings
from functools import partial
from typing import Any, NamedTuple

import pytest

from lockfree import AtomicInt, Bag, Counter, Deque, Map, Queue, SortedMap, Stack, WorkStealingDeque
from racing import PATIENCE, STRESS, Background, Parked, race
from reagents import Reagent, Ref, attempt, stats, together

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system"),
    # The warning says that forking a threaded process may deadlock. That it does not is what is tested here.
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]


def in_child(function: Any) -> None:
    """Fork; the child calls the function and leaves, without ever coming back into the test runner."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        status = 1
        try:
            # A child that hangs is killed by the alarm. (faulthandler's own watchdog cannot be set in a child whose
            # parent has one: it waits for a thread that the child does not have.)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(int(PATIENCE))
            function()
            status = 0
        except BaseException as error:
            os.write(2, f"in the child: {error!r}\n".encode())
        finally:
            os._exit(status)
    deadline = time.monotonic() + PATIENCE + 5
    _, status = os.waitpid(child, 0)
    assert time.monotonic() < deadline
    assert os.waitstatus_to_exitcode(status) == 0


class Load(NamedTuple):
    """Structures under load from several threads, with something that stays true throughout."""

    stack: Stack[int]
    queue: Queue[int]
    counter: Counter
    number: AtomicInt
    there: Reagent[Any, Any]
    back: Reagent[Any, Any]
    write_all: Reagent[Any, Any]
    read_all: Reagent[Any, Any]


def make_load() -> Load:
    stack, queue, refs = Stack(range(20)), Queue[int](), [Ref(0), Ref(0), Ref(0)]
    return Load(
        stack,
        queue,
        Counter(),
        AtomicInt(),
        attempt(stack.pop >> queue.put),
        attempt(queue.get >> stack.push),
        together(*(ref.write for ref in refs)),
        together(*(ref.read for ref in refs)),
    )


# The functions below take the load apart into locals, and share no closure or attribute with other threads. Without
# a GIL each of those has a lock of CPython's own, which stays locked in the child if another thread had it.


def work(load: Load) -> None:
    stack, _, counter, number, there, back, write_all, _ = load
    for i in range(50):
        there()
        write_all(i)
        back()
        counter.add()
        number.add(1)
        stack.push(stack.pop())


def items(load: Load) -> list[int]:
    stack, queue, _, _, _, back, _, _ = load
    while not queue.empty():
        back()
    return sorted(stack.snapshot())


def check(load: Load, hands: int = 2) -> None:
    _, _, counter, number, _, _, _, read_all = load
    assert len(set(read_all())) == 1
    gc.collect()
    work(load)
    number.add(-number.get())
    assert number.get() == 0
    # An item may be in the hands of a thread that the child does not have: popped and not yet pushed again.
    left = items(load)
    assert len(set(left)) == len(left) >= 20 - hands
    assert set(left) <= set(range(20))
    before = counter.value()
    counter.add(5)
    assert counter.value() == before + 5


def test_under_load() -> None:
    load = make_load()

    def forks() -> None:
        for _ in range(15 * STRESS):
            in_child(partial(check, load))

    race(forks, meanwhile=[partial(work, load), partial(work, load)])
    work(load)
    assert items(load) == list(range(20))


def pass_round(bag: Bag[int], deque: Deque[int], own: WorkStealingDeque[int]) -> None:
    there, on, back = (
        attempt(own.steal >> deque.append),
        attempt(deque.popleft >> bag.put),
        attempt(bag.get >> deque.appendleft),
    )
    for _ in range(30):
        there(), on(), back()
        deque.append(deque.pop(timeout=PATIENCE))
        deque.rotate()


def test_a_deque_whose_owner_stays_behind_has_another() -> None:
    own = WorkStealingDeque([1])  # the main thread's

    def refused(*others: Any) -> None:
        for call in others:
            with pytest.raises(RuntimeError, match="not the owner"):
                Background(call).result()

    def of_the_owner() -> None:
        refused(own.pop, lambda: own.push(0))
        assert own.pop() == 1
        own.push(2)
        refused(own.pop)
        in_child(lambda: Background(own.steal).result())

    def of_another() -> None:
        own.push(2)
        assert (own.pop(), (own.pop >> str)()) == (2, "1")
        own.push(3)
        refused(own.pop, lambda: attempt(own.pop)())
        in_child(lambda: (own.pop(), refused(own.pop)))

    def of_one_that_starts_another() -> None:
        Background(lambda: own.push(2)).result()
        with pytest.raises(RuntimeError, match="not the owner"):
            own.pop()
        assert len(own) == 2

    in_child(of_the_owner)
    Background(lambda: (in_child(of_another), in_child(of_one_that_starts_another))).result()
    assert own.pop() == 1


def all_of(bag: Bag[int], deque: Deque[int], own: WorkStealingDeque[int]) -> list[int]:
    while len(own):
        bag.put(own.steal())
    return sorted([*bag, *deque])


def test_of_several_ends() -> None:
    """Deque, Bag and WorkStealingDeque, while others are at them; the child is the owner, being the same thread."""
    bag, deque, own = Bag(range(10)), Deque(range(10, 20)), WorkStealingDeque[int]()

    def child() -> None:
        gc.collect()
        own.push(-1)
        assert own.pop() == -1
        pass_round(bag, deque, own)
        left = all_of(bag, deque, own)
        assert len(set(left)) == len(left) >= 18  # what two others have in their hands
        deque.clear()
        race(*(partial(pass_round, bag, deque, own) for _ in range(2)), meanwhile=[partial(deque.append, 1)])

    def forks() -> None:
        to_own, from_own = attempt(bag.get >> own.push), attempt(own.pop >> bag.put)
        for _ in range(3 * STRESS):
            to_own(), from_own(), to_own()
            in_child(child)

    race(forks, meanwhile=[partial(pass_round, bag, deque, own), partial(pass_round, bag, deque, own)])
    assert all_of(bag, deque, own) == list(range(20))


def test_child_starts_threads_of_its_own() -> None:
    load = make_load()

    def child() -> None:
        race(partial(work, load), partial(work, load))
        check(load)

    def forks() -> None:
        for _ in range(3 * STRESS):
            in_child(child)

    race(forks, meanwhile=[partial(work, load)])


def test_while_others_are_blocked() -> None:
    """The child has none of the threads that were waiting: what it puts, it gets itself."""
    queue: Queue[Any] = Queue()
    parked = Parked()
    waiting = [Background(queue.get) for _ in range(3)]
    parked.wait_for(3)

    def child() -> None:
        for i in range(10):
            queue.put(i)
        assert [queue.get_nowait() for _ in range(10)] == list(range(10))
        with pytest.raises(TimeoutError):
            (queue.get >> (lambda x: x))(timeout=0.01)

        # And it can wait and be woken.
        mine = Parked()
        getting = Background(queue.get)
        mine.wait_for()
        queue.put("woken")
        assert getting.result() == "woken"

    in_child(child)
    assert all(each.running for each in waiting)
    for i in range(3):
        queue.put(i)
    assert sorted(each.result() for each in waiting) == [0, 1, 2]


@pytest.mark.parametrize("make", [Map, SortedMap])
def test_a_map_under_load(make: Any) -> None:
    """Keys that others insert and remove, directly and in reactions, are in the child or not; what stays is there."""
    stays, goes = range(0, 40, 2), range(1, 40, 2)
    m = make((k, k) for k in stays)

    def change(m: Any = m, goes: range = goes) -> None:
        for k in goes:
            m[k] = k
            (m.at(k).remove >> m.at(-k).write >> m.at(-k).remove)()

    def child(m: Any = m, stays: range = stays) -> None:
        for _ in range(2):
            assert [k for k in sorted(m) if k % 2 == 0] == list(stays)
            change()
        assert len(m.snapshot()) >= len(stays)
        with pytest.raises(TimeoutError):
            m.at(100).read(timeout=0.001)
        m.clear()
        assert list(m) == []

    def forks() -> None:
        for _ in range(8 * STRESS):
            in_child(child)

    race(forks, meanwhile=[change])
    assert sorted(m) == list(stays)
    assert len(m) == len(stays)


def test_in_the_middle_of_a_reaction() -> None:
    """A user function forks: parent and child each finish a reaction of their own."""
    ref, children = Ref(0), []

    def fork(n: int) -> int:
        if not children:
            children.append(os.fork())
        return n + 1

    count = ref.read >> fork >> ref.write
    try:
        result = count()
    finally:
        # Whatever happens, the child must not go on as a second test run.
        if children and children[0] == 0:
            os._exit(0 if ref.get() == 1 else 1)
    _, status = os.waitpid(children[0], 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert (result, ref.get()) == (1, 1)


def test_stats_go_on() -> None:
    def child() -> None:
        before = stats()["commits"]
        ref = Ref(0)
        for _ in range(10):
            (ref.read >> ref.write)()
        assert stats()["commits"] >= before + 10

    in_child(child)


def test_generations() -> None:
    """A child's child works as well."""
    load = make_load()
    in_child(lambda: in_child(partial(check, load)))
