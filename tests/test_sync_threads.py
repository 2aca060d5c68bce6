"""lockfree.sync under load, interrupts, time that runs out, cancellation and fork."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lockfree import Queue
from lockfree.sync import (
    Barrier,
    BoundedSemaphore,
    BrokenBarrierError,
    Condition,
    CountDownLatch,
    Event,
    Lock,
    MVar,
    Promise,
    RLock,
    RWLock,
    Semaphore,
)
from no_memory import SURVIVES_WITHOUT_ANY
from racing import PATIENCE, STRESS, Background, Parked, parked, race, run_python, soon
from reagents import const, stats, together
from waiting import Interrupt, Once, handling, interrupted, needs_signals, signals_while_parked

ROUNDS = 8_000 * STRESS


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    yield
    soon(lambda: stats()["waiting"] == 0, "no record left")


class Plain:
    """A counter that loses counts unless whoever uses it is alone."""

    def __init__(self) -> None:
        self.n = 0

    def count(self) -> None:
        n = self.n
        for _ in range(3):
            pass
        self.n = n + 1


def composed(lock: Any) -> Callable[[], Any]:
    def enter() -> contextlib.AbstractContextManager[Any]:
        (const(None) >> lock.acquire)()
        return contextlib.closing(Closing(lock))

    return enter


class Closing:
    def __init__(self, lock: Any) -> None:
        self.close = lambda: (const(None) >> lock.release)()


def with_timeout(lock: Any) -> Callable[[], Any]:
    def enter() -> contextlib.AbstractContextManager[Any]:
        while not lock.acquire(timeout=0.0001):
            pass
        return contextlib.closing(Closing(lock))

    return enter


@pytest.mark.parametrize(
    "make",
    [Lock, RLock, Condition, Semaphore, lambda: RWLock().write],
    ids=["Lock", "RLock", "Condition", "Semaphore", "RWLock"],
)
def test_alone(make: Callable[[], Any]) -> None:
    """By a call, composed, and with little patience."""
    lock, plain = make(), Plain()

    def use(enter: Callable[[], Any]) -> None:
        for _ in range(ROUNDS // 4):
            with enter():
                plain.count()

    ways = [lambda: lock, lambda: lock, composed(lock), with_timeout(lock)]
    race(*[lambda enter=enter: use(enter) for enter in ways])  # type: ignore[misc]
    assert plain.n == ROUNDS // 4 * 4


def test_permits_are_conserved() -> None:
    sem = BoundedSemaphore(4)
    out = Semaphore(0)

    def use(n: int) -> None:
        for i in range(ROUNDS // 4):
            if i % 3:
                assert sem.acquire(n=n)
            else:
                (const(n) >> sem.acquire)()
            (const(n) >> out.release >> const(n) >> out.acquire)()
            sem.release(n)

    race(*[lambda n=n: use(n) for n in (1, 1, 2, 4)])  # type: ignore[misc]
    assert (sem.value, out.value) == (4, 0)


def test_dining_philosophers() -> None:
    seats = 4
    forks = [Lock() for _ in range(seats)]
    meals = [Plain() for _ in range(seats)]
    held = [0] * seats

    def dine(seat: int) -> None:
        left, right = seat, (seat + 1) % seats
        take = together(forks[left].acquire, forks[right].acquire)
        give = together(forks[left].release, forks[right].release)
        for _ in range(ROUNDS // 8):
            take()
            for fork in (left, right):
                held[fork] += 1
                assert held[fork] == 1
                held[fork] -= 1
            meals[seat].count()
            give()

    race(*[lambda seat=seat: dine(seat) for seat in range(seats)])  # type: ignore[misc]
    assert [meal.n for meal in meals] == [ROUNDS // 8] * seats
    assert not any(fork.locked() for fork in forks)


@pytest.mark.parametrize("kind", [Lock, RLock])
def test_a_bounded_buffer(kind: Any) -> None:
    """The textbook's: two conditions on one lock; now and then somebody gives up and comes again."""
    lock = kind()
    not_empty, not_full = Condition(lock), Condition(lock)
    items: list[int] = []
    rounds = ROUNDS // 8

    def wait(cond: Condition, ready: Callable[[], bool], patience: float | None) -> None:
        while not ready():
            cond.wait(patience)

    def put(patience: float | None) -> None:
        for n in range(rounds):
            with lock:
                wait(not_full, lambda: len(items) < 2, patience)
                items.append(n)
                not_empty.notify()

    def get(patience: float | None) -> int:
        total = 0
        for _ in range(rounds):
            with lock:
                wait(not_empty, lambda: bool(items), patience)
                total += items.pop()
                not_full.notify()
        return total

    got = race(lambda: get(None), lambda: get(0.0001), lambda: put(None), lambda: put(0.0001))
    assert got[0] + got[1] == 2 * sum(range(rounds))
    assert repr(not_empty).endswith(", 0)>")


def test_events_latches_and_barriers() -> None:
    parties, rounds = 3, ROUNDS // 20
    barrier, latch, go = Barrier(parties), CountDownLatch(parties * rounds), Event()
    seen = [0] * parties

    def run(me: int) -> None:
        assert go.wait(PATIENCE)
        for n in range(rounds):
            seen[me] = n
            barrier.wait(PATIENCE)
            assert set(seen) == {n}
            barrier.wait(PATIENCE)
            latch.count_down()

    race(*[lambda me=me: run(me) for me in range(parties)], go.set)  # type: ignore[misc]
    assert latch.wait(PATIENCE)
    assert latch.count == 0


def test_mvars_in_a_ring() -> None:
    ring: list[MVar[int]] = [MVar() for _ in range(3)]
    rounds = ROUNDS // 10
    ring[0].put(0)

    def step(me: int) -> None:
        for _ in range(rounds):
            (ring[me].take >> (lambda n: n + 1) >> ring[(me + 1) % 3].put)(timeout=PATIENCE)

    race(*[lambda me=me: step(me) for me in range(3)])  # type: ignore[misc]
    assert ring[0].take() == 3 * rounds


def test_readers_and_writers() -> None:
    rw, pair = RWLock(), [0, 0]

    def write() -> None:
        for n in range(ROUNDS // 20):
            with rw.write:
                pair[0] = pair[0] + 1
                pair[1] = pair[1] + 1
            if n % 8 == 0:
                rw.read.acquire()
                try:
                    rw.upgrade()
                except RuntimeError:
                    rw.read.release()
                else:
                    rw.downgrade()
                    rw.read.release()

    def read() -> None:
        for _ in range(ROUNDS // 10):
            with rw.read:
                assert pair[0] == pair[1]

    race(write, write, read, read)
    assert pair == [2 * (ROUNDS // 20)] * 2


# ---- interrupts

WAITS: dict[str, Callable[[], Any]] = {}


def held(lock: Any) -> Any:
    """By another thread."""
    Background(lock.acquire).result()
    return lock


def reading(rw: RWLock) -> RWLock:
    rw.read.acquire()
    return rw


INTERRUPTED: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    "Lock.acquire": (lambda: held(Lock()), lambda x: x.acquire()),
    "with Lock": (lambda: held(Lock()), lambda x: x.__enter__()),
    "Lock.acquire, composed": (lambda: held(Lock()), lambda x: together(Lock().acquire, x.acquire)()),
    "RLock.acquire": (lambda: held(RLock()), lambda x: x.acquire(timeout=PATIENCE)),
    "Semaphore.acquire": (lambda: Semaphore(1), lambda x: x.acquire(n=2)),
    "Event.wait": (Event, lambda x: x.wait(PATIENCE)),
    "Condition.wait, composed": (Condition, lambda x: (x.wait >> const(1))()),
    "MVar.take": (MVar, lambda x: x.take()),
    "MVar.put": (lambda: MVar(1), lambda x: x.put(2)),
    "Promise.get": (Promise, lambda x: x.get()),
    "CountDownLatch.wait": (lambda: CountDownLatch(1), lambda x: x.wait()),
    "Barrier.wait": (lambda: Barrier(2), lambda x: x.wait()),
    "RWLock.write": (lambda: reading(RWLock()), lambda x: x.write.acquire()),
    "RWLock.upgrade": (lambda: (reading(rw := RWLock()), reading(rw))[0], lambda x: x.upgrade()),
}


@needs_signals
@pytest.mark.parametrize("name", INTERRUPTED)
def test_interrupted(name: str) -> None:
    """What is interrupted has not happened, and the object is as before."""
    make, wait = INTERRUPTED[name]
    it = make()
    before = repr(it)
    with interrupted():
        wait(it)
    assert repr(it) == before
    if isinstance(it, RWLock):
        assert it.read.acquire(blocking=False), "nothing is announced any more"


@needs_signals
def test_an_interrupted_wait_swallows_no_notify() -> None:
    """Of a condition: the lock is taken again, and the notify that comes goes to the other one."""
    cond = Condition()

    def wait() -> bool:
        with cond:
            return bool(cond.wait(PATIENCE))

    before = Parked()
    other = Background(wait)
    before.wait_for()
    with cond:
        with interrupted():
            cond.wait()
        assert cond._is_owned()
        assert repr(cond).endswith(", 1)>")
        cond.notify()
    assert other.result() is True


@needs_signals
def test_interrupted_after_it_was_notified() -> None:
    """In the middle of the wait come a notify, another one who waits, and the interrupt: the notify goes on to it."""
    cond = Condition(Lock())
    told: list[bool] = []
    others: list[Background] = []
    entered: list[bool] = []

    def wait() -> None:
        with cond:
            told.append(cond.wait(PATIENCE))

    def notify() -> None:
        with cond:
            cond.notify()

    def handler() -> None:
        if entered:  # signals come again and again, while this one is here too
            return
        entered.append(True)
        Background(notify).result()
        before = Parked()
        others.append(Background(wait))
        before.wait_for()
        once()

    once = Once()
    cond.acquire()
    with signals_while_parked(handler, until=lambda: once), pytest.raises(Interrupt):
        cond.wait(PATIENCE)
    cond.release()
    others[0].result()
    assert told == [True]
    assert repr(cond).endswith(", 0)>")


@needs_signals
def test_interrupted_with_its_signal_taken() -> None:
    """When it takes the lock again comes the interrupt: the notify goes on too, to the other one."""
    cond, once, told = Condition(), Once(), list[bool]()
    main = threading.main_thread().ident
    assert main

    def wait() -> None:
        with cond:
            told.append(cond.wait(PATIENCE))

    def notify() -> Background:
        with cond:  # main waits
            before = Parked()
        other = Background(wait)
        before.wait_for()
        with cond:
            before = Parked()
            cond.notify()
            before.wait_for()  # main, for the lock
            pause = threading.Event()
            while not once:
                signal.pthread_kill(main, signal.SIGUSR1)
                pause.wait(0.001)
        return other

    with handling(once), cond:
        notifier = Background(notify)
        with pytest.raises(Interrupt):
            cond.wait(PATIENCE)
    notifier.result().result()
    assert told == [True]
    assert repr(cond).endswith(", 0)>")


@needs_signals
def test_an_interrupted_wait_makes_way_for_a_composed_one() -> None:
    """A notify that blocked, because it would have gone to the one, is woken when that one is gone."""
    cond, queue, once = Condition(Lock()), Queue[int](), Once()
    got: list[int] = []
    entered: list[bool] = []

    def handler() -> None:
        if entered:  # signals come again and again, while this one is here too
            return
        entered.append(True)
        Background(cond.acquire).result()
        notify = parked(cond.notify >> queue.get)
        parked(const(7) >> queue.put >> cond.wait)

        def release() -> None:
            try:
                got.append(notify.result())
            finally:
                cond.release()

        releasers.append(Background(release))
        once()

    releasers: list[Background] = []
    with cond, signals_while_parked(handler, until=lambda: entered), pytest.raises(Interrupt):
        cond.wait(PATIENCE)
    releasers[0].result()
    assert got == [7]


@needs_signals
@pytest.mark.parametrize(
    "make",
    [Condition, lambda: Condition(Lock()), lambda: threading.Condition(RLock())],
    ids=["RLock", "Lock", "threading.Condition"],
)
def test_interrupted_when_it_takes_the_lock_again(make: Any) -> None:
    """wait() comes back with the lock, whatever happens: here when the other one has given it back."""
    cond, order, since, seen, once = make(), list[str](), list[Parked](), list[int](), Once()
    main = threading.main_thread().ident
    assert main

    def handler() -> None:
        seen.append(since[0].count)
        once()

    def notify() -> None:
        with cond:
            since.append(before := Parked())
            cond.notify()
            before.wait_for()
            pause = threading.Event()
            while not once and not order:
                signal.pthread_kill(main, signal.SIGUSR1)
                pause.wait(0.001)
            soon(lambda: order or before.count > seen[0], "it waits for the lock")
            order.append("other")

    with handling(handler), cond:
        other = Background(notify)
        with pytest.raises(Interrupt):
            cond.wait(PATIENCE)
        order.append("main")
    other.result()
    assert order == ["other", "main"]


@needs_signals
def test_interrupted_without_memory() -> None:
    """Who is gone is not counted any more."""
    testcapi = pytest.importorskip("_testcapi", reason="CPython's own test module, which makes allocations fail")
    if not SURVIVES_WITHOUT_ANY:
        pytest.skip("free-threaded 3.13 does not survive without any memory, whatever runs")
    cond, error, entered = Condition(), Interrupt(), list[int]()

    def handler() -> None:
        if not entered:
            entered.append(1)
            testcapi.set_nomemory(0, 0)
            raise error

    with signals_while_parked(handler, until=lambda: entered), cond:
        try:
            cond.wait()
        except (Interrupt, MemoryError):
            testcapi.remove_mem_hooks()
        assert cond._is_owned()
    assert repr(cond).endswith(", 0)>")


@needs_signals
def test_a_handler_uses_what_it_interrupts() -> None:
    lock, queue = RLock(), Queue[int]()

    def handler() -> None:
        with lock:
            queue.put(1)

    with signals_while_parked(handler, until=queue.qsize), lock:
        assert queue.peek() == 1
        assert lock._recursion_count() == 1
    with handling(handler), lock:
        os.kill(os.getpid(), signal.SIGUSR1)


# ---- coroutines

LOOPS = ["asyncio", "trio"]


def run_in(loop: str, main: Callable[..., Any]) -> Any:
    if loop == "asyncio":
        return asyncio.run(main(asyncio.sleep))
    trio = pytest.importorskip("trio", reason="trio is not installed")
    return trio.run(main, trio.sleep)


@pytest.mark.parametrize("loop", LOOPS)
def test_async_with(loop: str) -> None:
    locks = [Lock(), Semaphore(1), BoundedSemaphore(1), RWLock().write]
    inside: list[int] = []

    async def main(sleep: Any) -> None:
        for lock in locks:
            async with lock as got:
                assert got is True
                inside.append(1)
                thread = Background(lock.acquire)
                await sleep(0)
            assert thread.result() is True
            lock.release()
        with pytest.raises((TypeError, AttributeError)):
            async with RLock():  # type: ignore[attr-defined]
                pass
        p: Promise[int] = Promise()
        Background(p.set, 7)
        assert await p == 7
        event = Event()
        Background(event.set)
        assert await event.wait.arun() is True

    run_in(loop, main)
    assert len(inside) == len(locks)


def test_tasks_and_threads_share_a_lock() -> None:
    lock, plain, rounds = Lock(), Plain(), ROUNDS // 40

    async def use(sleep: Any) -> None:
        for _ in range(rounds):
            async with lock:
                n = plain.n
                await sleep(0)
                plain.n = n + 1

    async def tasks(sleep: Any) -> None:
        await asyncio.gather(use(sleep), use(sleep))

    def threads() -> None:
        for _ in range(rounds):
            with lock:
                plain.count()

    race(lambda: run_in("asyncio", tasks), threads)
    assert plain.n == 3 * rounds


ASYNC_LOCKS: dict[str, Callable[[], Any]] = {
    "Lock": Lock,
    "Semaphore": Semaphore,
    "BoundedSemaphore": BoundedSemaphore,
    "RWLock": lambda: RWLock().write,
    "MVar": lambda: Taken(MVar(1)),
}


class Taken:
    """An MVar as a lock."""

    def __init__(self, mvar: MVar[int]) -> None:
        self.mvar = mvar
        self.acquire, self.release = mvar.take, lambda: mvar.put(1)

    async def __aenter__(self) -> bool:
        return await self.mvar.take.arun() == 1

    async def __aexit__(self, *error: object) -> None:
        self.release()


def free(lock: Any) -> bool:
    """No task has it: it can be taken, once the other thread has given it back."""
    if isinstance(lock, Taken):
        return lock.mvar.take(timeout=PATIENCE) == 1 and lock.mvar.put(1) is None
    return (const(None) >> lock.acquire)(timeout=PATIENCE) and lock.release() is None


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("kind", ASYNC_LOCKS)
def test_cancelled_async_with(loop: str, kind: str) -> None:
    """A task that is cancelled while it waits does not have the lock; one that was cancelled with it gives it back."""
    lock, inside, entered = ASYNC_LOCKS[kind](), Plain(), Plain()

    async def use(sleep: Any) -> None:
        async with lock:
            inside.n += 1
            entered.n += 1
            assert inside.n == 1
            try:
                await sleep(0)
            finally:
                inside.n -= 1

    async def in_asyncio(sleep: Any) -> None:
        for n in range(ROUNDS // 80):
            tasks = [asyncio.ensure_future(use(sleep)) for _ in range(3)]
            for _ in range(n % 7):
                await sleep(0)
            tasks[n % 3].cancel()
            done = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(end is None or isinstance(end, asyncio.CancelledError) for end in done), done
            assert free(lock)

    async def in_trio(sleep: Any) -> None:
        trio = pytest.importorskip("trio")
        for n in range(ROUNDS // 80):
            async with trio.open_nursery() as nursery:
                scopes = [trio.CancelScope() for _ in range(3)]

                async def one(scope: Any) -> None:
                    with scope:
                        await use(sleep)

                for scope in scopes:
                    nursery.start_soon(one, scope)
                for _ in range(n % 7):
                    await sleep(0)
                scopes[n % 3].cancel()
            assert free(lock)

    def from_outside() -> None:
        """Another thread, which takes it now and then: wake-ups come from there too."""
        for _ in range(ROUNDS // 80):
            lock.acquire()
            assert inside.n == 0
            lock.release()

    race(lambda: run_in(loop, in_asyncio if loop == "asyncio" else in_trio), from_outside)
    assert entered.n
    assert free(lock)
    assert inside.n == 0


@pytest.mark.parametrize("loop", LOOPS)
def test_a_writer_by_async_with_goes_first(loop: str) -> None:
    """It is announced; cancelled, no longer."""
    rw, order = RWLock(), list[str]()
    rw.read.acquire()

    async def write() -> None:
        async with rw.write:
            order.append("written")

    async def in_asyncio(sleep: Any) -> None:
        given_up, writer = asyncio.ensure_future(write()), asyncio.ensure_future(write())
        await until(sleep, lambda: not reads())
        given_up.cancel()
        await until(sleep, given_up.done)
        assert not reads()
        rw.read.release()
        await writer

    async def in_trio(sleep: Any) -> None:
        trio = pytest.importorskip("trio")
        scope, over = trio.CancelScope(), list[bool]()

        async def give_up() -> None:
            with scope:
                await write()
            over.append(True)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(write)
            nursery.start_soon(give_up)
            await until(sleep, lambda: not reads())
            scope.cancel()
            await until(sleep, lambda: bool(over))
            assert not reads()
            rw.read.release()

    async def until(sleep: Any, ready: Callable[[], bool]) -> None:
        while not ready():
            await sleep(0)

    def reads() -> bool:
        return bool(rw.read.acquire(blocking=False)) and rw.read.release() is None

    run_in(loop, in_asyncio if loop == "asyncio" else in_trio)
    assert order == ["written"]
    assert reads()


# ---- time that runs out


def test_a_barrier_that_times_out() -> None:
    barrier = Barrier(2)
    with pytest.raises(BrokenBarrierError):
        barrier.wait(timeout=0.001)
    assert barrier.broken
    barrier.reset()
    one = Background(barrier.wait)
    assert sorted([barrier.wait(PATIENCE), one.result()]) == [0, 1]


# ---- fork


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_in_a_child_nobody_waits() -> None:
    """Waiters of the parent get nothing there, and take nothing."""
    run_python(
        """
import os, threading, warnings
from lockfree.sync import *
from reagents import stats
warnings.simplefilter("ignore")
lock, cond, sem, event = Lock(), Condition(), Semaphore(0), Event()
mine = RLock()
mine.acquire(); mine.acquire()
lock.acquire()
def wait():
    with cond:
        cond.wait()
threads = [threading.Thread(target=f, daemon=True) for f in (wait, wait, lock.acquire, sem.acquire, event.wait)]
for t in threads: t.start()
pause = threading.Event()
while stats()["waiting"] < 5: pause.wait(0.001)
child = os.fork()
if not child:
    status = 1
    try:
        assert stats()["waiting"] == 0
        assert mine._is_owned() and mine._recursion_count() == 2
        mine.release(); mine.release()
        sem.release(); assert sem.acquire(blocking=False)
        event.set(); assert event.wait()
        lock._at_fork_reinit(); assert lock.acquire(blocking=False)
        cond._at_fork_reinit()
        assert repr(cond).endswith(", 0)>")
        told = []
        def wait_here():
            with cond: told.append(cond.wait(30))
        t = threading.Thread(target=wait_here); t.start()
        while not stats()["waiting"]: pause.wait(0.001)
        with cond: cond.notify()
        t.join(30)
        assert told == [True], told
        status = 0
    finally:
        os._exit(status)
_, status = os.waitpid(child, 0)
assert os.waitstatus_to_exitcode(status) == 0, status
with cond: cond.notify_all()
lock.release(); sem.release(); event.set()
for t in threads: t.join(30); assert not t.is_alive()
"""
    )


@needs_signals
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_forked_by_a_handler_in_the_middle_of_a_wait() -> None:
    """The child waits on, for a notify of its own; the parent too."""
    run_python(
        """
import os, signal, threading
from lockfree.sync import Condition
from reagents import stats
cond, told, entered, children = Condition(), [], [], []
def notify():
    pause = threading.Event()
    while not told:
        with cond: cond.notify()
        pause.wait(0.001)
def handler(*_):
    if entered or not stats()["waiting"]: return
    entered.append(True)
    signal.setitimer(signal.ITIMER_REAL, 0)
    child = os.fork()
    children.append(child)
    if child:
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0, status
    threading.Thread(target=notify, daemon=True).start()
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
with cond: told.append(cond.wait(20))
if not children[0]: os._exit(told != [True])
assert told == [True]
"""
    )
