"""What the linearizability tests run: the structures, each also through reactions, and compositions of them.

User functions call `pause`, so that other threads get into the middle of a reaction on every build.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from concurrent_programs import FRESH, Subject, call, pause, until_empty
from lockfree import (
    AtomicInt,
    Bag,
    Counter,
    Deque,
    Full,
    LifoQueue,
    LRUCache,
    PriorityQueue,
    Queue,
    Set,
    ShutDown,
    SortedMap,
    Stack,
    WorkStealingDeque,
)
from reagents import (
    BLOCK,
    Ref,
    attempt,
    choice,
    computed,
    const,
    guard,
    identity,
    lift,
    never,
    post_commit,
    reagent,
    together,
)
from specs import (
    CLOSED,
    EMPTY,
    FULL,
    REFUSED,
    BagSpec,
    BoundedQueueSpec,
    CacheSpec,
    CounterSpec,
    DequeSpec,
    GaugeSpec,
    PrioritySpec,
    QueueAndStackSpec,
    QueueSpec,
    SetSpec,
    SortedMapSpec,
    StackSpec,
    TwoWordsSpec,
    WordSpec,
    WorkStealingSpec,
)

# Few values, so that compare-and-set often finds what it expects, and ABA happens.
few = st.integers(0, 2)
amount = st.integers(-2, 3)


def paused(x: Any) -> Any:
    """Passes its input on, and lets other threads into the reaction it is part of."""
    pause()
    return x


# A wait that times out has seen the structure empty. Short, for every thread of a program may end in one.
WAIT = 0.0005


class StackSubject(Subject):
    spec = StackSpec
    calls = st.one_of(
        call("push", FRESH),
        call("pop_nowait"),
        call("push_composed", FRESH),
        call("pop_nowait_composed"),
        call("pop_nowait_waiting"),
        call("peek"),
        call("snapshot"),
    )

    def __init__(self) -> None:
        stack: Stack[int] = Stack()
        self.push = stack.push
        self.pop_nowait = stack.pop_nowait
        self.snapshot = stack.snapshot
        self.pop_nowait_composed = attempt(stack.pop >> paused, EMPTY)
        self.pop_nowait_waiting = lambda: stack.pop(timeout=WAIT)
        self._stack = stack

    def push_composed(self, x: int) -> None:
        (const(x) >> self._stack.push)()

    def peek(self) -> int:
        return self._stack.peek(block=False)

    def drain(self, run: Callable[..., Any]) -> None:
        run("snapshot")
        until_empty(run, "pop_nowait")


class QueueSubject(Subject):
    spec = QueueSpec
    calls = st.one_of(
        call("put", FRESH),
        call("get_nowait"),
        call("put_composed", FRESH),
        call("get_nowait_composed"),
        call("get_nowait_waiting"),
        call("put_then_get", FRESH),
        call("peek"),
        call("empty"),
    )

    def __init__(self) -> None:
        queue: Queue[int] = Queue()
        self.put_then_get = lambda x: (const(x) >> queue.put >> paused >> queue.get)()
        self.put = queue.put
        self.get_nowait = queue.get_nowait
        self.empty = queue.empty
        self.get_nowait_composed = attempt(queue.get >> paused, EMPTY)
        self.get_nowait_waiting = self._waiting
        self._queue = queue

    def put_composed(self, x: int) -> None:
        (const(x) >> self._queue.put)()

    def _waiting(self) -> Any:
        try:
            return (self._queue.get >> paused)(timeout=WAIT)
        except TimeoutError:
            return EMPTY

    def peek(self) -> int:
        return self._queue.peek(block=False)

    def drain(self, run: Callable[..., Any]) -> None:
        until_empty(run, "get_nowait")


def answering(function: Callable[..., Any]) -> Callable[..., Any]:
    """The exceptions of a queue as answers."""

    def answer(*args: Any) -> Any:
        try:
            return function(*args)
        except Full:
            return FULL
        except ShutDown:
            return CLOSED
        except ValueError:
            return False

    return answer


class BoundedQueueSubject(Subject):
    spec = BoundedQueueSpec
    calls = st.one_of(
        call("put", FRESH),
        call("put_composed", FRESH),
        call("put_waiting", FRESH),
        call("put_two", FRESH),
        call("get_nowait"),
        call("get_nowait_composed"),
        call("get_nowait_waiting"),
        call("rotate"),
        call("peek"),
        call("empty"),
        call("full"),
        call("task_done"),
        call("task_done_composed"),
        call("joined"),
        st.sampled_from([("shutdown", ()), ("drain_and_shutdown", ()), ("full", ())]),
    )

    def __init__(self) -> None:
        queue: Queue[int] = Queue(BoundedQueueSpec.MAXSIZE)
        self._queue = queue
        self.empty, self.full, self.shutdown = queue.empty, queue.full, queue.shutdown
        self.put = answering(queue.put_nowait)
        self.put_composed = answering(lambda x: attempt(const(x) >> paused >> queue.put, FULL)())
        self.put_waiting = answering(lambda x: queue.put(x, timeout=WAIT))
        self.put_two = answering(lambda x: attempt(const(x) >> queue.put >> paused >> const(x) >> queue.put, FULL)())
        self.get_nowait = answering(queue.get_nowait)
        self.get_nowait_composed = answering(attempt(queue.get >> paused, EMPTY))
        self.get_nowait_waiting = answering(lambda: queue.get(timeout=WAIT))
        self.rotate = answering(attempt(queue.get >> paused >> guard_put(queue), EMPTY))
        self.peek = answering(lambda: queue.peek(block=False))
        self.task_done = answering(queue.task_done)
        self.task_done_composed = answering(queue.task_done >> paused)
        self.joined = attempt(queue.join >> const(True), False)
        self.drain_and_shutdown = lambda: queue.shutdown(immediate=True)

    def drain(self, run: Callable[..., Any]) -> None:
        run("full")
        run("joined")
        while run("get_nowait") not in (EMPTY, CLOSED):
            pass
        while run("task_done") is not False:
            pass


def guard_put(queue: Queue[int]) -> Any:
    """Puts its input and passes it on."""
    return computed(lambda x: const(x) >> queue.put >> const(x))


class BagSubject(Subject):
    spec = BagSpec
    calls = st.one_of(
        call("put"),
        call("put_composed"),
        call("get_nowait"),
        call("get_nowait_composed"),
        call("get_nowait_waiting"),
        call("get_two"),
        call("put_two_get_one"),
        call("size"),
        call("size_composed"),
    )

    def __init__(self) -> None:
        bag: Bag[int] = Bag()
        self.put, self.put_composed = lambda: bag.put(1), const(1) >> bag.put
        self.get_nowait = answering(bag.get_nowait)
        self.get_nowait_composed = attempt(bag.get >> paused, EMPTY)
        self.get_nowait_waiting = answering(lambda: bag.get(timeout=WAIT))
        self.get_two = attempt((bag.get >> paused) * bag.get, EMPTY)
        self.put_two_get_one = const(1) >> bag.put >> const(1) >> bag.put >> paused >> bag.get
        self.size, self.size_composed = lambda: len(bag), lambda: len(bag.snapshot())

    def drain(self, run: Callable[..., Any]) -> None:
        run("size")
        until_empty(run, "get_nowait")


class WorkStealingSubject(Subject):
    """The owner is one of the threads that run at once: who makes it is refused, and so the set-up does nothing."""

    spec = WorkStealingSpec
    calls = st.one_of(
        call("push", FRESH),
        call("push_composed", FRESH),
        call("push_then_steal", FRESH),
        call("pop"),
        call("pop_composed"),
        call("steal"),
        call("steal_composed"),
        call("steal_waiting"),
        call("steal_two"),
        call("size"),
    )

    def __init__(self) -> None:
        d: WorkStealingDeque[int] = WorkStealingDeque()
        maker = threading.get_ident()

        def of_the_owner(function: Callable[..., Any]) -> Callable[..., Any]:
            def run(*args: Any) -> Any:
                try:
                    return REFUSED if threading.get_ident() == maker else function(*args)
                except RuntimeError:
                    return REFUSED

            return run

        self.push, self.pop = of_the_owner(d.push), of_the_owner(d.pop)
        self.push_composed = of_the_owner(lambda x: (const(x) >> paused >> d.push)())
        self.push_then_steal = of_the_owner(lambda x: (const(x) >> d.push >> paused >> d.steal)())
        self.pop_composed = of_the_owner(attempt(d.pop >> paused, EMPTY))
        self.steal, self.steal_composed = d.steal_nowait, attempt(d.steal >> paused, EMPTY)
        self.steal_waiting = lambda: d.steal(timeout=WAIT)
        self.steal_two = attempt((d.steal >> paused) * d.steal, EMPTY)
        self.size = lambda: len(d)

    def drain(self, run: Callable[..., Any]) -> None:
        run("size")
        until_empty(run, "steal")


class DequeSubject(Subject):
    spec = DequeSpec
    calls = st.one_of(
        call("append", FRESH),
        call("appendleft", FRESH),
        call("pop"),
        call("popleft"),
        call("append_composed", FRESH),
        call("popleft_composed"),
        call("popleft_waiting"),
        call("rotate"),
        call("reverse"),
        call("append_then_popleft", FRESH),
        call("pop_both"),
        call("snapshot"),
    )

    def __init__(self) -> None:
        deque: Deque[int] = Deque()
        self.append, self.appendleft = deque.append, deque.appendleft
        self.pop, self.popleft = deque.pop, deque.popleft
        self.rotate, self.reverse, self.snapshot = deque.rotate, deque.reverse, deque.snapshot
        self.popleft_composed = attempt(deque.popleft >> paused, EMPTY)
        self.popleft_waiting = lambda: deque.popleft(timeout=WAIT)
        self.append_then_popleft = lambda x: (const(x) >> deque.append >> paused >> deque.popleft)()
        self.pop_both = attempt((deque.popleft >> paused) * deque.pop, EMPTY)
        self._deque = deque

    def append_composed(self, x: int) -> None:
        (const(x) >> self._deque.append)()

    def drain(self, run: Callable[..., Any]) -> None:
        run("snapshot")
        until_empty(run, "popleft")


class Modulo:
    """Compared modulo 3, by user code: equal ones can be told apart, and others get into the middle of comparing."""

    def __init__(self, x: int) -> None:
        self.x = x

    def __lt__(self, other: Modulo) -> bool:
        pause()
        return self.x % 3 < other.x % 3


class PrioritySubject(Subject):
    spec = PrioritySpec
    calls = st.one_of(
        call("put", FRESH),
        call("get_nowait"),
        call("put_composed", FRESH),
        call("get_nowait_composed"),
        call("get_nowait_waiting"),
        call("peek"),
        call("snapshot"),
    )

    def __init__(self) -> None:
        queue: PriorityQueue[Modulo] = PriorityQueue()
        self.get_nowait = lambda: queue.get_nowait().x
        self.snapshot = lambda: [item.x for item in queue.snapshot()]
        self.get_nowait_composed = attempt(queue.get >> paused >> (lambda item: item.x), EMPTY)
        self.get_nowait_waiting = lambda: queue.get(timeout=WAIT).x
        self._queue = queue

    def put(self, x: int) -> None:
        self._queue.put(Modulo(x))

    def put_composed(self, x: int) -> None:
        (const(Modulo(x)) >> self._queue.put)()

    def peek(self) -> int:
        return self._queue.peek(block=False).x

    def drain(self, run: Callable[..., Any]) -> None:
        run("snapshot")
        until_empty(run, "get_nowait")


class LifoSubject(StackSubject):
    """The same as a stack, by other names; bounded, but for more than a program puts."""

    def __init__(self) -> None:
        queue: LifoQueue[int] = LifoQueue(100)
        self.push = queue.put
        self.pop_nowait = queue.get_nowait
        self.snapshot = queue.snapshot
        self.pop_nowait_composed = attempt(queue.get >> paused, EMPTY)
        self.pop_nowait_waiting = lambda: queue.get(timeout=WAIT)
        self._queue = queue

    def push_composed(self, x: int) -> None:
        (const(x) >> self._queue.put)()

    def peek(self) -> int:
        return self._queue.peek(block=False)


word_calls = st.one_of(
    call("get"),
    call("set", few),
    call("swap", few),
    call("add", amount),
    call("compare_and_set", few, few),
    call("update", few),
    call("get_composed"),
    call("set_composed", few),
    call("swap_composed", few),
    call("add_composed", amount),
    call("compare_and_set_composed", few, few),
    call("update_composed", few),
)


class RefSubject(Subject):
    spec = WordSpec
    calls = word_calls
    make: Callable[[int], Any] = Ref

    def __init__(self) -> None:
        word = type(self).make(0)
        self.get, self.set, self.swap, self.add = word.get, word.set, word.swap, word.add
        self.compare_and_set = word.compare_and_set
        self.get_composed = word.read
        self._word = word

    def set_composed(self, value: int) -> None:
        self._word.write(value)

    def swap_composed(self, value: int) -> int:
        return (const(value) >> self._word.swap)()  # type: ignore[no-any-return]

    def add_composed(self, n: int) -> int:
        return (const(n) >> self._word.add)()  # type: ignore[no-any-return]

    def compare_and_set_composed(self, old: int, new: int) -> bool:
        return attempt(self._word.cas(old, new) >> const(True), False)()

    def update(self, factor: int) -> int:
        def step(current: int) -> int:
            pause()
            return factor * current + 1

        return self._word.update(step)  # type: ignore[no-any-return]

    def update_composed(self, factor: int) -> int:
        def step(current: int, factor: int) -> tuple[int, int]:
            pause()
            return factor * current + 1, factor * current + 1

        return self._word.upd(step)(factor)  # type: ignore[no-any-return]

    def drain(self, run: Callable[..., Any]) -> None:
        run("get")


class AtomicIntSubject(RefSubject):
    make = AtomicInt


class CounterSubject(Subject):
    spec = CounterSpec
    calls = st.one_of(call("add", amount), call("value"), call("add_composed", amount), call("value_composed"))

    def __init__(self) -> None:
        counter = Counter()
        self.add, self.value = counter.add, counter.value
        self.value_composed = const(None) >> counter.value >> paused
        self._counter = counter

    def add_composed(self, n: int) -> None:
        (const(n) >> self._counter.add >> paused)()

    def drain(self, run: Callable[..., Any]) -> None:
        run("value")


def take(current: int, n: int) -> tuple[int, int]:
    pause()
    return current - n, n


def take_if_rich(current: int, n: int) -> Any:
    pause()
    return (current - n, n) if current >= n else BLOCK


def give(current: int, n: int) -> tuple[int, int]:
    pause()
    return current + n, current + n


def increment(x: int) -> int:
    pause()
    return x + 1


class TwoRefsSubject(Subject):
    spec = TwoWordsSpec
    calls = st.one_of(
        call("read_both"),
        call("read_both_composed"),
        call("write_both", few),
        call("transfer", amount),
        call("transfer_if_rich", amount),
        call("exchange"),
        call("cas_both", few, few),
        call("add_first", amount),
        call("set_second", few),
        call("copy_up"),
        call("copy_down"),
        call("read_both_direct"),
        call("write_both_direct", few),
        call("transfer_direct", amount),
        call("transfer_if_rich_direct", amount),
        call("exchange_direct"),
        call("copy_up_direct"),
    )
    make: Callable[[int], Any] = Ref

    def __init__(self) -> None:
        a, b = type(self).make(0), type(self).make(0)
        self.read_both = together(a.read, b.read)
        self.read_both_composed = (b.read >> paused) * a.read >> (lambda pair: (pair[1], pair[0]))
        self.write_both = together(a.write, b.write)
        self.transfer = a.upd(take) >> b.upd(give)
        self.transfer_if_rich = attempt(a.upd(take_if_rich) >> b.upd(give) >> const(True), False)
        self.exchange = self.read_both >> computed(
            lambda pair: const(pair[1]) >> a.write >> const(pair[0]) >> b.write >> const(pair)
        )
        self.add_first, self.set_second = a.add, b.set
        self.copy_up = a.read >> increment >> b.write
        self.copy_down = b.read >> increment >> a.write
        self._a, self._b = a, b

        @reagent
        def read_both(tx: Any, _: Any) -> Any:
            second = tx.read(b)
            pause()
            return tx.read(a), second

        @reagent
        def write_both(tx: Any, value: int) -> Any:
            tx.write(a, value)
            pause()
            return tx(b.write >> (lambda v: (v, v)), value)

        @reagent
        def transfer(tx: Any, n: int) -> Any:
            tx.write(a, tx.read(a) - n)
            pause()
            tx.write(b, tx.read(b) + n)
            return tx.read(b)

        @reagent
        def transfer_if_rich(tx: Any, n: int) -> Any:
            if tx.read(a) < n:
                tx.block()
            tx(transfer, n)
            return True

        @reagent
        def exchange(tx: Any, _: Any) -> Any:
            pair = tx(read_both)
            tx.write(a, pair[1])
            tx.write(b, pair[0])
            return pair

        self.read_both_direct, self.write_both_direct, self.transfer_direct = read_both, write_both, transfer
        self.transfer_if_rich_direct = attempt(transfer_if_rich, False)
        self.exchange_direct = exchange
        self.copy_up_direct = reagent(lambda tx, _: tx(b.write, increment(tx.read(a))))

    def cas_both(self, old: int, new: int) -> bool:
        return attempt(together(self._a.cas(old, new), self._b.cas(old, new)) >> const(True), False)()

    def drain(self, run: Callable[..., Any]) -> None:
        run("read_both")


class TwoAtomicIntsSubject(TwoRefsSubject):
    make = AtomicInt


class GaugeSubject(Subject):
    """The combinators that the others do not need: `choice`, `guard`, `never`, `lift`, `identity`, `post_commit`."""

    spec = GaugeSpec
    calls = st.one_of(
        call("up", st.integers(1, 2)),
        call("up_composed", st.integers(1, 2)),
        call("down"),
        call("down_composed"),
        call("fill_or_clear"),
        call("level"),
    )

    def __init__(self) -> None:
        level, changes = Ref(0), AtomicInt()
        count = post_commit(lambda _: changes.add(1))

        def fits(n: int) -> bool:
            pause()
            return 0 <= n <= 3

        def plus(pair: tuple[int, int]) -> int:
            return sum(pair)

        save = guard(fits) >> computed(lambda n: const(n) >> level.write >> const(n))
        self.up = attempt((identity * level.read) >> plus >> save >> count, EMPTY)
        self.up_composed = attempt(choice(never, level.upd(self._risen) >> count, never), EMPTY)
        self.down = attempt(level.read >> lift(lambda n: n - 1) >> save >> count, EMPTY)
        self.down_composed = attempt(level.upd(lambda n, _: (n - 1, n - 1) if n else BLOCK) >> paused >> count, EMPTY)
        # What the branch that is not taken would have counted is not counted.
        self.fill_or_clear = choice(
            level.read >> count >> guard(lambda n: n == 0) >> const(3) >> level.write >> const("filled"),
            level.read >> paused >> guard(lambda n: n > 0) >> const(0) >> level.write >> const("cleared") >> count,
        )
        self.level = level.read
        self.changes = changes.get

    @staticmethod
    def _risen(level: int, n: int) -> Any:
        pause()
        return (level + n, level + n) if level + n <= 3 else BLOCK

    def drain(self, run: Callable[..., Any]) -> None:
        run("level")
        run("changes")  # only now: what is done after a commit is no part of it


class QueueAndStackSubject(Subject):
    spec = QueueAndStackSpec
    calls = st.one_of(
        call("put", FRESH),
        call("push", FRESH),
        call("get_nowait"),
        call("pop_nowait"),
        call("get_then_push"),
        call("pop_then_put"),
        call("get_or_pop"),
        call("get_or_pop_composed"),
        call("get_and_pop"),
        call("peek_both"),
        call("get_then_push_direct"),
        call("get_or_pop_direct"),
        call("get_and_pop_direct"),
    )

    def __init__(self) -> None:
        queue: Queue[int] = Queue()
        stack: Stack[int] = Stack()
        self.put, self.push = queue.put, stack.push
        self.get_nowait, self.pop_nowait = queue.get_nowait, stack.pop_nowait
        self.get_then_push = attempt(queue.get >> stack.push >> const(True), EMPTY)
        self.pop_then_put = attempt(stack.pop >> paused >> queue.put >> const(True), EMPTY)
        self.get_or_pop = attempt(queue.get + stack.pop, EMPTY)
        # Others come in after the left branch was found blocked and before the right one has looked.
        self.get_or_pop_composed = attempt(queue.get + (paused >> stack.pop), EMPTY)
        self.get_and_pop = attempt(queue.get * (stack.pop >> paused), EMPTY)
        self.peek_both = attempt(together(queue.peek, stack.peek), EMPTY)

        @reagent
        def get_then_push(tx: Any, _: Any) -> Any:
            tx(stack.push, paused(tx(queue.get)))
            return True

        self.get_then_push_direct = attempt(get_then_push, EMPTY)
        self.get_or_pop_direct = attempt(reagent(lambda tx, _: tx(queue.get + (paused >> stack.pop))), EMPTY)
        self.get_and_pop_direct = attempt(reagent(lambda tx, _: (tx(queue.get), paused(tx(stack.pop)))), EMPTY)

    def drain(self, run: Callable[..., Any]) -> None:
        until_empty(run, "get_nowait")
        until_empty(run, "pop_nowait")


class Number:
    """A key whose comparison lets others in."""

    __slots__ = ("n",)

    def __init__(self, n: int) -> None:
        self.n = n

    def __lt__(self, other: Number) -> bool:
        pause()
        return self.n < other.n


class SortedMapSubject(Subject):
    spec = SortedMapSpec
    calls = st.one_of(
        call("set", few, FRESH),
        call("set_composed", few, FRESH),
        call("setdefault", few, FRESH),
        call("pop", few),
        call("pop_composed", few),
        call("pop_min"),
        call("pop_min_composed"),
        call("pop_max"),
        call("pop_max_composed"),
        call("raise_min", few),
        call("get", few),
        call("get_composed", few),
        call("min"),
        call("max"),
        call("max_composed"),
        call("snapshot", few, few),
    )
    key: Callable[[int], Any] = int

    def __init__(self) -> None:
        self._map: SortedMap[Any, int] = SortedMap()
        self.pop_min_composed = attempt(self._map.pop_min >> self._plain, EMPTY)
        self.pop_max_composed = attempt(self._map.pop_max >> self._plain, EMPTY)
        self.max_composed = attempt(self._map.max >> self._plain, EMPTY)

    @staticmethod
    def _plain(pair: Any) -> Any:
        pause()
        return (pair[0] if isinstance(pair[0], int) else pair[0].n), pair[1]

    def _end(self, f: Callable[[], Any]) -> Any:
        try:
            return self._plain(f())
        except KeyError:
            return EMPTY

    def set(self, k: int, v: int) -> None:
        self._map[type(self).key(k)] = v

    def set_composed(self, k: int, v: int) -> None:
        (const(v) >> self._map.at(type(self).key(k)).write >> paused)()

    def setdefault(self, k: int, v: int) -> int:
        return self._map.setdefault(type(self).key(k), v)

    def pop(self, k: int) -> Any:
        return self._map.pop(type(self).key(k), EMPTY)

    def pop_composed(self, k: int) -> Any:
        return attempt(self._map.at(type(self).key(k)).remove >> paused, EMPTY)()

    def get(self, k: int) -> Any:
        return self._map.get(type(self).key(k), EMPTY)

    def get_composed(self, k: int) -> Any:
        return attempt(self._map.at(type(self).key(k)).read >> paused, EMPTY)()

    def raise_min(self, k: int) -> Any:
        def put(tx: Any, _: Any) -> Any:
            pair = tx(self._map.pop_min)
            tx(self._map.at(type(self).key(k)).write, pair[1])
            return self._plain(pair)

        return attempt(reagent(put), EMPTY)()

    def pop_min(self) -> Any:
        return self._end(self._map.pop_min)

    def pop_max(self) -> Any:
        return self._end(self._map.pop_max)

    def min(self) -> Any:
        return self._end(self._map.min)

    def max(self) -> Any:
        return self._end(self._map.max)

    def snapshot(self, lo: int, hi: int) -> Any:
        return [self._plain(pair) for pair in self._map.snapshot(type(self).key(lo), type(self).key(hi))]

    def drain(self, run: Callable[..., Any]) -> None:
        run("snapshot", 0, 100)
        until_empty(run, "pop_min")


class SortedObjectsSubject(SortedMapSubject):
    key = Number


class SetSubject(Subject):
    spec = SetSpec
    calls = st.one_of(
        call("add", few),
        call("add_composed", few),
        call("discard", few),
        call("discard_composed", few),
        call("replace", few, few),
        call("contains", few),
        call("contains_composed", few),
        call("size"),
        call("snapshot"),
    )

    def __init__(self) -> None:
        items: Set[int] = Set()
        self.add, self.discard, self.snapshot = items.try_add, items.try_discard, items.snapshot
        self.size, self.contains = items.__len__, items.__contains__
        self._items = items

    def add_composed(self, x: int) -> bool:
        at = self._items.at(x)
        return (attempt(at.read >> const(False), True) >> paused >> computed(lambda new: at.write >> const(new)))()

    def discard_composed(self, x: int) -> bool:
        return attempt(self._items.at(x).remove >> paused >> const(True), False)()

    def replace(self, x: int, y: int) -> bool:
        put = const(None) >> self._items.at(y).write >> const(True)
        return attempt(self._items.at(x).remove >> paused >> put, False)()

    def contains_composed(self, x: int) -> bool:
        return attempt(self._items.at(x).read >> paused >> const(True), False)()

    def drain(self, run: Callable[..., Any]) -> None:
        run("size")
        run("snapshot")


class CacheSubject(Subject):
    spec = CacheSpec
    calls = st.one_of(
        call("put", few, FRESH),
        call("put_composed", few, FRESH),
        call("get", few),
        call("get_composed", few),
        call("get_direct", few),
        call("rename", few, few),
        call("clear"),
        call("size"),
        call("keys"),
    )

    def __init__(self) -> None:
        cache: LRUCache[int, int] = LRUCache(1)
        self.put, self.get, self.clear = cache.put, cache.get, cache.clear
        self.get_direct, self.size = cache.peek, cache.__len__
        self._cache = cache

    def put_composed(self, k: int, v: int) -> None:
        (const((k, v)) >> paused >> self._cache.put)()

    def get_composed(self, k: int) -> Any:
        return (const(k) >> self._cache.get >> paused)()

    def keys(self) -> list[int]:
        return list(self._cache)

    def rename(self, k: int, other: int) -> Any:
        @reagent
        def step(tx: Any, _: Any) -> Any:
            value = tx(self._cache.get, k)
            pause()
            if value is not None:
                tx(self._cache.put, (other, value))
            return value

        return step()

    def drain(self, run: Callable[..., Any]) -> None:
        run("size")
        run("keys")
        for k in range(3):
            run("get", k)
