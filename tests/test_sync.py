"""lockfree.sync composed: what the interfaces of threading do not have. (What they have: test_sync_cpython.py.)"""

from __future__ import annotations

import copy
import doctest
import gc
import inspect
import pickle
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lockfree import Queue, sync
from lockfree.sync import (
    Barrier,
    BoundedSemaphore,
    BrokenBarrierError,
    Condition,
    CountDownLatch,
    Event,
    InvalidStateError,
    Lock,
    MVar,
    Promise,
    RLock,
    RWLock,
    Semaphore,
)
from racing import PATIENCE, Background, Parked, elsewhere, parked, soon
from reagents import _core, attempt, catalyse, channel, const, stats, together

LOCKS = [Lock, RLock]
ALL: list[Callable[[], Any]] = [
    Lock, RLock, Semaphore, BoundedSemaphore, Event, Condition, MVar, Promise, RWLock,
    lambda: Barrier(1), lambda: CountDownLatch(1),
]  # fmt: skip


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    yield
    soon(lambda: stats()["waiting"] == 0, "no record left")


def waiting(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Background:
    """A thread that calls it, and has parked."""
    before = Parked()
    thread = Background(function, *args, **kwargs)
    before.wait_for()
    return thread


# ---- every type


@pytest.mark.parametrize("make", ALL)
def test_objects(make: Callable[[], Any]) -> None:
    it = make()
    kind = type(it)
    assert kind.__module__ == "lockfree.sync"
    for refused in (pickle.dumps, copy.copy):
        with pytest.raises(TypeError, match=f"cannot pickle '.*{kind.__name__}' object"):
            refused(it)
    seen = weakref.ref(it)
    assert seen() is it
    del it
    gc.collect()
    assert seen() is None


@pytest.mark.parametrize("kind", [_core.Lock, _core.RLock, _core.Semaphore, _core.Event, _core.BaseCondition])
def test_documented(kind: type) -> None:
    """The methods of the C types stand behind the classes of lockfree.sync; their examples run too."""
    finder, runner = doctest.DocTestFinder(), doctest.DocTestRunner()
    for name, value in vars(kind).items():
        if name.startswith("_") or not callable(value):
            continue
        assert inspect.getdoc(value), name
        inspect.signature(value)
        for test in finder.find(value, name, globs={}, module=False):
            runner.run(test)
    assert runner.summarize().failed == 0
    assert runner.summarize().attempted > 1


@pytest.mark.parametrize("kind", [Lock, RLock, Semaphore, Event, Condition])
def test_arguments(kind: Any) -> None:
    with pytest.raises(TypeError):
        kind(nonsense=1)
    it = kind()
    for name in ("acquire", "release", "wait", "set", "notify"):
        if hasattr(it, name):
            with pytest.raises(TypeError):
                getattr(it, name)(nonsense=1)
            with pytest.raises(TypeError):
                getattr(it, name)(1, 2, 3, 4)


def test_a_subclass() -> None:
    class Named(Lock):
        def __init__(self, name: str) -> None:
            self.name = name

    named = Named("a")
    with named:
        assert named.locked()
        assert named.name == "a"


@pytest.mark.parametrize("kind", [Lock, RLock, Semaphore, BoundedSemaphore, Condition])
def test_with_finds_methods_of_exactly_the_type(kind: Any) -> None:
    """The interpreter specializes calls of no others; those of a subclass of a user's work all the same."""

    class Mine(kind):  # type: ignore[misc]
        pass

    assert vars(kind)["__enter__"].__objclass__ is kind
    assert vars(kind)["__exit__"].__objclass__ is kind
    for it in (kind(), Mine()):
        for _ in range(100):
            with it as taken:
                assert taken is True
        with pytest.raises(ZeroDivisionError), it:
            raise ZeroDivisionError
        with it:  # given back
            pass
    with pytest.raises(TypeError, match="doesn't apply"):
        kind.__enter__(Event())


@pytest.mark.parametrize("wrong", [5, object, type("Other", (Lock,), {})])
def test_only_subclasses_of_types_in_c_get_methods_of_their_own(wrong: Any) -> None:
    with pytest.raises(TypeError, match="subclass of a type in C"):
        _core._with_methods_of_its_own(wrong)


# ---- locks


@pytest.mark.parametrize("made", [RLock, Condition, lambda: Condition(Lock()), lambda: Condition(RLock())])
@pytest.mark.parametrize("held", [False, True])
def test_what_a_new_thread_does_not_hold(made: Any, held: bool) -> None:
    """A thread that has no number yet owns nothing: neither what is free nor what another one has."""
    lock = made()
    if held:
        lock.acquire()
    calls = [lock.release, lambda: lock.__exit__(None, None, None)]
    if hasattr(lock, "notify"):
        calls += [lock.notify, lock.notify_all]
    if not (held and type(getattr(lock, "_lock", None)) is Lock):  # a Lock has no owner
        for call in calls:
            with pytest.raises(RuntimeError):
                elsewhere(call)
    assert lock.locked() == held


def test_a_condition_is_as_recursive_as_its_lock() -> None:
    c = Condition()
    with c, c:
        c.notify()
        assert not elsewhere(lambda: c.acquire(blocking=False))
        c.__exit__(None, None, None)
        assert not elsewhere(lambda: c.acquire(blocking=False))
        c.__enter__()
    assert elsewhere(lambda: c.acquire(blocking=False) and c.release() is None)
    with pytest.raises(RuntimeError):
        c.__exit__(None, None, None)


@pytest.mark.parametrize("kind", LOCKS)
def test_both_or_neither(kind: Any) -> None:
    a, b = kind(), kind()
    elsewhere(b.acquire)
    both = parked(together(a.acquire, b.acquire))
    assert not a.locked()
    if kind is Lock:
        b.release()
        assert both.result() == (True, True)
        assert a.locked()
        assert b.locked()
    else:
        b._at_fork_reinit()
        soon(lambda: not both.running or not b.locked())
        with b:  # changes the word, so that it looks again
            pass
        assert both.result() == (True, True)


def test_hand_over_hand() -> None:
    a, b = Lock(), Lock()
    a.acquire()
    assert (a.release >> b.acquire)() is True
    assert (a.locked(), b.locked()) == (False, True)
    a.acquire()
    step = parked(a.release >> b.acquire)
    assert a.locked(), "neither, while b is held"
    b.release()
    assert step.result() is True
    assert (a.locked(), b.locked()) == (False, True)


def test_a_lock_passes_through_one_step() -> None:
    lock = Lock()
    assert (lock.acquire >> lock.release >> lock.acquire)() is True
    assert lock.locked()
    assert attempt(lock.acquire, "held")() == "held"
    assert attempt(lock.release >> lock.acquire >> lock.acquire, "held")() == "held"


@pytest.mark.parametrize(
    ("make", "error"), [(Lock, RuntimeError), (RLock, RuntimeError), (lambda: BoundedSemaphore(2), ValueError)]
)
def test_release_of_what_is_not_held(make: Any, error: type[Exception]) -> None:
    lock, queue = make(), Queue[int]()
    for release in (lock.release, const(1) >> queue.put >> lock.release):
        with pytest.raises(error):
            release()
    assert queue.empty(), "nothing of it happened"
    lock.acquire()
    lock.release()


def test_rlock_counts_within_one_reaction() -> None:
    lock = RLock()
    (lock.acquire >> lock.acquire >> lock.release)()
    assert lock._recursion_count() == 1
    (lock.acquire * lock.acquire)()
    assert lock._recursion_count() == 3
    assert elsewhere(lock.acquire, False) is False
    (lock.release >> lock.release >> lock.release)()
    assert not lock.locked()
    with pytest.raises(RuntimeError, match="un-acquired"):
        (lock.acquire >> lock.release >> lock.release)()
    assert elsewhere(lock.acquire, False) is True
    with pytest.raises(RuntimeError, match="un-acquired"):
        lock.release()


def test_rlock_belongs_to_who_called_not_to_who_carried_out() -> None:
    lock = RLock()
    left, right = channel()
    owned = []

    def swap_and_lock() -> None:
        (left.swap >> lock.acquire)(timeout=PATIENCE)
        owned.append(lock._is_owned())
        lock.release()

    thread = waiting(swap_and_lock)
    right.swap()  # this thread finds the other's offer, and runs its acquire
    thread.result()
    assert owned == [True]
    assert not lock.locked()


def test_rlock_is_not_for_catalysts() -> None:
    lock, queue = RLock(), Queue[int]()
    left, right = channel()
    catalyst = catalyse(left.swap >> lock.acquire)
    with pytest.raises(TimeoutError):
        right.swap(timeout=0.01)
    with pytest.raises(RuntimeError, match="a catalyst is none"):
        catalyst.cancel()
    assert not lock.locked()
    assert queue.empty()


def test_waiters_in_order() -> None:
    lock = Lock()
    lock.acquire()
    order: list[int] = []

    def take(n: int) -> None:
        with lock:
            order.append(n)

    threads = [waiting(take, n) for n in range(4)]
    lock.release()
    for thread in threads:
        thread.result()
    assert sorted(order) == [0, 1, 2, 3]


# ---- semaphores


def test_n_at_once() -> None:
    sem = Semaphore(3)
    assert sem.acquire(n=2)
    assert not sem.acquire(blocking=False, n=2)
    assert (const(1) >> sem.acquire)() is True
    three = waiting(sem.acquire, n=3)
    for left in (1, 2, 0):
        assert three.running
        sem.release()
        soon(lambda left=left: sem.value == left)  # type: ignore[misc]
    assert three.result() is True
    for wrong in (0, -1, -(10**30)):
        with pytest.raises(ValueError, match="one or more"):
            sem.acquire(n=wrong)
        with pytest.raises(ValueError, match="one or more"):
            (const(wrong) >> sem.release)()
    with pytest.raises(TypeError):
        (const("2") >> sem.acquire)()


def test_release_of_n_wakes_n() -> None:
    sem = Semaphore(0)
    threads = [waiting(sem.acquire) for _ in range(5)]
    before = stats()["wakeups"]
    sem.release(3)
    soon(lambda: sum(t.running for t in threads) == 2)
    assert stats()["wakeups"] - before == 3
    assert sem.value == 0
    (const(2) >> sem.release)()
    assert all(t.result() for t in threads)


def test_who_wants_many_strands_nobody() -> None:
    """Who wants two is woken for the one permit there is: it goes to the next."""
    sem = Semaphore(0)
    pair = waiting(sem.acquire, n=2)
    single = waiting(sem.acquire)
    sem.release()
    assert single.result() is True
    assert pair.running
    sem.release()
    soon(lambda: stats()["waiting"] > 0 and sem.value == 1)
    sem.release()
    assert pair.result() is True
    assert sem.value == 0


def test_bounded_semaphore_in_a_reaction() -> None:
    sem = BoundedSemaphore(2)
    assert (sem.acquire >> sem.release)() is None
    with pytest.raises(ValueError, match="too many"):
        (sem.acquire >> sem.release >> sem.release)()
    assert sem.value == 2


# ---- events


def test_event_in_a_choice() -> None:
    stop, queue = Event(), Queue[str]()
    either = parked(stop.wait + queue.get)
    queue.put("item")
    assert either.result() == "item"
    either = parked(stop.wait + queue.get)
    stop.set()
    assert either.result() is True
    assert (stop.wait >> stop.clear >> stop.is_set)() is False
    assert attempt(stop.wait, "not set")() == "not set"
    assert stop.wait(timeout=0) is False
    assert stop.wait(-1) is False


# ---- conditions


def test_condition_refuses_other_locks() -> None:
    for lock in (threading.Lock(), threading.RLock(), Semaphore(), object()):
        with pytest.raises(TypeError, match=r"lockfree\.sync"):
            Condition(lock)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", LOCKS)
def test_condition_on_either_lock(kind: Any) -> None:
    lock = kind()
    cond = Condition(lock)

    def wait() -> Any:
        with cond:
            return cond.wait(PATIENCE), lock.locked()

    thread = waiting(wait)
    with lock:
        assert repr(cond).endswith(", 1)>")
        cond.notify()
        assert repr(cond).endswith(", 0)>")
    assert thread.result() == (True, True)
    assert not lock.locked()
    for call in (cond.wait, cond.notify, cond.notify_all, cond.notify_all.__call__, cond.release):
        with pytest.raises(RuntimeError):
            call()
    with pytest.raises(RuntimeError):
        (const(1) >> cond.notify >> const(1))()


def test_wait_gives_a_recursive_lock_back_wholly() -> None:
    cond = Condition()

    def wait() -> int:
        with cond, cond, cond:
            cond.wait(PATIENCE)
            return cond._lock._recursion_count()

    thread = waiting(wait)
    with cond:
        cond.notify()
    assert thread.result() == 3


def test_a_signal_is_for_those_who_waited() -> None:
    """The one who comes after the notify does not take what was meant for the one before."""
    cond = Condition()
    order: list[str] = []

    def wait(name: str) -> None:
        with cond:
            cond.wait(PATIENCE)
            order.append(name)

    first = waiting(wait, "first")
    cond.acquire()
    cond.notify()
    cond.release()
    second = Background(wait, "second")
    first.result()
    soon(lambda: ", 1)>" in repr(cond))
    with cond:
        cond.notify()
    second.result()
    assert order == ["first", "second"]


def test_two_notifies_wake_two() -> None:
    cond = Condition()

    def wait() -> bool:
        with cond:
            return cond.wait(PATIENCE)

    threads = [waiting(wait) for _ in range(3)]
    for n in range(3):
        with cond:
            cond.notify()
        soon(lambda n=n: sum(t.running for t in threads) == 2 - n)  # type: ignore[misc]
    assert [t.result() for t in threads] == [True] * 3


def test_a_condition_is_as_threading_says() -> None:
    cond, calls = Condition(Lock()), list[bool]()

    def wait() -> bool:
        with cond:
            assert cond.locked()
            return cond.wait()

    threads = [waiting(wait) for _ in range(3)]
    assert not cond.locked()
    with cond:
        for n in (-1, -(10**30)):
            cond.notify(n)
            (const(n) >> cond.notify)()
        assert repr(cond).endswith(", 3)>")
        cond.notify(sys.maxsize)
        (const(10**30) >> cond.notify)()
        with pytest.raises(TypeError):
            cond.notify("1")  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            (const("1") >> cond.notify)()
    assert all(thread.result() for thread in threads)

    def look() -> bool:
        calls.append(True)
        return len(calls) > 1

    with cond:
        assert cond.wait_for(look, timeout=0) is True, "the others had the lock once"


def test_times_beyond_all_bounds() -> None:
    """OverflowError, of who has to wait; as threading.TIMEOUT_MAX says."""
    beyond = threading.TIMEOUT_MAX * 1.01
    event, sem, cond, held = Event(), Semaphore(), Condition(), Lock()
    assert sem.acquire(timeout=beyond)
    held.acquire()
    for wait in (event.wait, lambda t: sem.acquire(timeout=t), lambda t: held.acquire(timeout=t)):
        for timeout in (beyond, float("inf")):
            with pytest.raises(OverflowError):
                wait(timeout)
    with cond, pytest.raises(OverflowError):
        cond.wait(beyond)
    assert not cond.locked()
    assert repr(cond).endswith(", 0)>")
    event.set()
    assert event.wait(beyond)


def test_notify_and_release_in_one_step() -> None:
    cond, queue = Condition(), Queue[int]()

    def wait() -> int:
        with cond:
            cond.wait(PATIENCE)
            return queue.get_nowait()

    thread = waiting(wait)
    cond.acquire()
    (const(7) >> queue.put >> cond.notify >> cond.release)()
    assert thread.result() == 7


def test_composed_wait() -> None:
    cond, queue = Condition(), Queue[str]()
    either = parked(cond.wait + queue.get)
    with cond:
        cond.notify()
    assert either.result() is True
    either = parked(cond.wait + queue.get)
    queue.put("item")
    assert either.result() == "item"
    three = [parked(cond.wait >> const(True)) for _ in range(3)]
    with cond:
        cond.notify(2)
    soon(lambda: sum(t.running for t in three) == 1)
    cond.acquire()
    (cond.notify >> cond.release)()
    assert all(t.result() is True for t in three)


def test_a_notify_that_was_blocked_finds_the_first_composed_wait() -> None:
    """Blocks for what only that one would put there, and is woken when it comes."""
    cond, queue = Condition(Lock()), Queue[int]()
    cond.acquire()
    notify = parked(cond.notify >> queue.get)
    wait = Background(lambda: (const(7) >> queue.put >> cond.wait)(timeout=PATIENCE))
    assert notify.result() == 7
    wait.result()


def test_a_wait_taken_back_swallows_no_notify() -> None:
    cond, queue = Condition(), Queue[int]()
    with pytest.raises(TimeoutError):
        (cond.wait >> const(1))(timeout=0.01)
    either = parked(cond.wait + queue.get)
    queue.put(1)
    either.result()
    with cond:
        assert cond.wait(0.001) is False
        assert cond.wait(0) is False

    def wait() -> bool:
        with cond:
            return bool(cond.wait(PATIENCE))

    thread = waiting(wait)
    with cond:
        cond.notify()
    assert thread.result() is True
    assert repr(cond).endswith(", 0)>")


# ---- barriers, latches, MVars, promises


def test_barrier_is_broken_by_an_action_that_raises() -> None:
    barrier = Barrier(2, action=lambda: 1 // 0)
    thread = waiting(barrier.wait)
    with pytest.raises(ZeroDivisionError):
        barrier.wait()
    with pytest.raises(BrokenBarrierError):
        thread.result()
    assert barrier.broken
    barrier.reset()
    assert not barrier.broken


def test_latch() -> None:
    latch, queue = CountDownLatch(3), Queue[int]()
    threads = [waiting(latch.wait) for _ in range(3)]
    latch.count_down()
    assert (const(2) >> queue.put >> const(2) >> latch.count_down)() is None
    assert [t.result() for t in threads] == [True] * 3
    assert latch.count == 0
    latch.count_down(5)
    assert latch.count == 0
    assert (latch.wait >> queue.get)() == 2
    for wrong in (0, -1):
        with pytest.raises(ValueError, match="one or more"):
            latch.count_down(wrong)
    with pytest.raises(ValueError, match="negative"):
        CountDownLatch(-1)


def test_mvar() -> None:
    m: MVar[int] = MVar()
    taking = [parked(m.take) for _ in range(2)]
    reading = parked(m.read)
    m.put(1)
    m.put(2)
    assert sorted(t.result() for t in taking) == [1, 2]
    m.try_put(3)
    assert reading.result() in (1, 2, 3)
    putting = [parked(m.put, n) for n in (4, 5)]
    assert m.take() == 3
    assert sorted((m.take(), m.take())) == [4, 5]
    for p in putting:
        p.result()
    assert m.empty()
    with pytest.raises(TimeoutError):
        m.take(timeout=0.001)
    n = MVar(None)
    (n.take >> m.put)("an input that take does not look at")
    assert (m.take(), n.empty()) == (None, True)


def test_promise() -> None:
    p: Promise[int] = Promise()
    threads = [parked(p.get) for _ in range(3)]
    queue = Queue[int]()
    (queue.get >> p.set)
    queue.put(5)
    (queue.get >> p.set)()
    assert [t.result() for t in threads] == [5] * 3
    queue.put(6)
    with pytest.raises(InvalidStateError):
        (queue.get >> p.set)()
    assert queue.qsize() == 1
    with pytest.raises(InvalidStateError):
        p.set_exception(ValueError)
    q: Promise[int] = Promise()
    q.set_exception(ValueError("why"))
    depths = []
    for _ in range(3):
        with pytest.raises(ValueError, match="why") as caught:
            q.get()
        depths.append(len(caught.traceback))
    assert len(set(depths)) == 1, "the traceback does not grow"
    assert q.done()
    assert q.wait() is True
    with pytest.raises(TypeError):
        Promise[int]().set_exception("why")  # type: ignore[arg-type]


# ---- readers and writers


def test_readers_and_writers() -> None:
    rw = RWLock()
    rw.read.acquire()
    assert elsewhere(rw.read.acquire) is True
    assert rw.write.acquire(timeout=0.001) is False
    writer = waiting(rw.write.acquire)
    assert rw.read.acquire(blocking=False) is False, "a writer waits"
    rw.read.release()
    assert writer.running
    rw.read.release()
    assert writer.result() is True
    assert rw.read.acquire(timeout=0.001) is False
    reader = waiting(rw.read.acquire)
    rw.downgrade()
    assert reader.result() is True
    rw.read.release()
    rw.read.release()
    for release in (rw.read.release, rw.write.release, rw.downgrade, rw.upgrade):
        with pytest.raises(RuntimeError):
            release()


def test_a_writer_that_gives_up_lets_readers_in() -> None:
    rw = RWLock()
    rw.read.acquire()
    writer = Background(rw.write.acquire, timeout=0.2)
    soon(lambda: not rw.read.acquire(blocking=False) or rw.read.release())  # type: ignore[func-returns-value]
    reader = Background(rw.read.acquire)
    assert writer.result() is False
    assert reader.result() is True


def test_two_upgrades_do_not_wait_for_each_other() -> None:
    rw = RWLock()
    rw.read.acquire()
    rw.read.acquire()
    first = waiting(rw.upgrade)
    with pytest.raises(RuntimeError, match="another reader"):
        rw.upgrade()
    assert rw.read.acquire(blocking=False) is False
    rw.read.release()
    assert first.result() is True
    rw.write.release()
    rw.read.acquire()
    rw.read.acquire()
    assert rw.upgrade(timeout=0.001) is False
    assert rw.read.acquire(blocking=False), "the announcement is forgotten"


def test_write_locks_compose() -> None:
    one, two = RWLock(), RWLock()
    two.read.acquire()
    both = parked(together(one.write.acquire, two.write.acquire))
    assert one.read.acquire(blocking=False)
    one.read.release()
    two.read.release()
    assert both.result() == (True, True)
    (one.write.release * two.downgrade)()
    assert two.read.acquire(blocking=False)


def test_importing_is_as_the_issue_says() -> None:
    assert sync.Lock is Lock
    assert set(sync.__all__) <= set(vars(sync))
    assert "lockfree.sync" in sys.modules
