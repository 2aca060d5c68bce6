"""What the structures do when one thread uses them: the sequential side of the linearizability tests.

The empty answer is EMPTY, for which the recorded side translates `queue.Empty`.
"""

from __future__ import annotations

from typing import Any

from reagents.testing import Spec, read_only

EMPTY = "empty"
FULL = "full"
CLOSED = "closed"
REFUSED = "refused"

Answer = tuple[Any, Any]


class StackSpec(Spec):
    """A LIFO; the state's last element is the top."""

    initial: tuple[Any, ...] = ()

    def push(self, state: tuple[Any, ...], x: Any) -> Answer:
        return (*state, x), None

    def pop_nowait(self, state: tuple[Any, ...]) -> Answer:
        return (state[:-1], state[-1]) if state else (state, EMPTY)

    @read_only
    def peek(self, state: tuple[Any, ...]) -> Answer:
        return state, state[-1] if state else EMPTY

    @read_only
    def snapshot(self, state: tuple[Any, ...]) -> Answer:
        return state, list(reversed(state))


class QueueSpec(Spec):
    """A FIFO; the state's first element is the next to go."""

    initial: tuple[Any, ...] = ()

    def put(self, state: tuple[Any, ...], x: Any) -> Answer:
        return (*state, x), None

    def get_nowait(self, state: tuple[Any, ...]) -> Answer:
        return (state[1:], state[0]) if state else (state, EMPTY)

    def put_then_get(self, state: tuple[Any, ...], x: Any) -> Answer:
        return self.get_nowait((*state, x))

    @read_only
    def peek(self, state: tuple[Any, ...]) -> Answer:
        return state, state[0] if state else EMPTY

    @read_only
    def empty(self, state: tuple[Any, ...]) -> Answer:
        return state, not state


class BoundedQueueSpec(QueueSpec):
    """One of two items at most, that can be shut down; its tasks are counted. FULL, CLOSED, and False: a ValueError."""

    MAXSIZE = 2
    initial: tuple[Any, ...] = ((), 0, False)

    def put(self, state: tuple[Any, ...], x: Any) -> Answer:
        items, unfinished, closed = state
        if closed or len(items) == self.MAXSIZE:
            return state, CLOSED if closed else FULL
        return ((*items, x), unfinished + 1, closed), None

    def get_nowait(self, state: tuple[Any, ...]) -> Answer:
        items, unfinished, closed = state
        return ((items[1:], unfinished, closed), items[0]) if items else (state, CLOSED if closed else EMPTY)

    def rotate(self, state: tuple[Any, ...]) -> Answer:
        items, unfinished, closed = state
        if not items or closed:
            return state, CLOSED if closed else EMPTY
        return ((*items[1:], items[0]), unfinished + 1, closed), items[0]

    def put_two(self, state: tuple[Any, ...], x: Any) -> Answer:
        items, unfinished, closed = state
        if closed or items:
            return state, CLOSED if closed else FULL
        return ((x, x), unfinished + 2, closed), None

    def task_done(self, state: tuple[Any, ...]) -> Answer:
        items, unfinished, closed = state
        return ((items, unfinished - 1, closed), None) if unfinished else (state, False)

    def shutdown(self, state: tuple[Any, ...]) -> Answer:
        return (*state[:2], True), None

    def drain_and_shutdown(self, state: tuple[Any, ...]) -> Answer:
        items, unfinished, _ = state
        return ((), unfinished - min(len(items), unfinished), True), None

    @read_only
    def peek(self, state: tuple[Any, ...]) -> Answer:
        items, _, closed = state
        return state, items[0] if items else CLOSED if closed else EMPTY

    @read_only
    def empty(self, state: tuple[Any, ...]) -> Answer:
        return state, not state[0]

    @read_only
    def full(self, state: tuple[Any, ...]) -> Answer:
        return state, len(state[0]) == self.MAXSIZE

    @read_only
    def joined(self, state: tuple[Any, ...]) -> Answer:
        return state, not state[1]


class BagSpec(Spec):
    """How many there are: the items are all alike, so that it is nobody's business which one comes out."""

    initial: int = 0

    def put(self, state: int) -> Answer:
        return state + 1, None

    def get_nowait(self, state: int) -> Answer:
        return (state - 1, 1) if state else (0, EMPTY)

    def get_two(self, state: int) -> Answer:
        return (state - 2, (1, 1)) if state > 1 else (state, EMPTY)

    def put_two_get_one(self, state: int) -> Answer:
        return state + 1, 1

    @read_only
    def size(self, state: int) -> Answer:
        return state, state


class WorkStealingSpec(Spec):
    """A row whose right end is the owner's. Who is not the owner is REFUSED; who it is, no one else's business."""

    initial: tuple[Any, ...] = ()

    def push(self, state: tuple[Any, ...], x: Any) -> list[Answer]:
        return [((*state, x), None), (state, REFUSED)]

    def pop(self, state: tuple[Any, ...]) -> list[Answer]:
        return [(state[:-1], state[-1]) if state else (state, EMPTY), (state, REFUSED)]

    def push_then_steal(self, state: tuple[Any, ...], x: Any) -> list[Answer]:
        return [self.steal((*state, x)), (state, REFUSED)]

    def steal(self, state: tuple[Any, ...]) -> Answer:
        return (state[1:], state[0]) if state else (state, EMPTY)

    def steal_two(self, state: tuple[Any, ...]) -> Answer:
        return (state[2:], state[:2]) if len(state) > 1 else (state, EMPTY)

    @read_only
    def size(self, state: tuple[Any, ...]) -> Answer:
        return state, len(state)


class DequeSpec(Spec):
    """Both ends of a row."""

    initial: tuple[Any, ...] = ()

    def append(self, state: tuple[Any, ...], x: Any) -> Answer:
        return (*state, x), None

    def appendleft(self, state: tuple[Any, ...], x: Any) -> Answer:
        return (x, *state), None

    def pop(self, state: tuple[Any, ...]) -> Answer:
        return (state[:-1], state[-1]) if state else (state, EMPTY)

    def popleft(self, state: tuple[Any, ...]) -> Answer:
        return (state[1:], state[0]) if state else (state, EMPTY)

    def rotate(self, state: tuple[Any, ...]) -> Answer:
        return (state[-1:] + state[:-1]), None

    def reverse(self, state: tuple[Any, ...]) -> Answer:
        return state[::-1], None

    def append_then_popleft(self, state: tuple[Any, ...], x: Any) -> Answer:
        return (*state, x)[1:], (*state, x)[0]

    def pop_both(self, state: tuple[Any, ...]) -> Answer:
        """One from each end, or none."""
        return (state[1:-1], (state[0], state[-1])) if len(state) > 1 else (state, EMPTY)

    @read_only
    def snapshot(self, state: tuple[Any, ...]) -> Answer:
        return state, list(state)


class PrioritySpec(Spec):
    """The least first, among equals the one put first: compared modulo 3. The state's items are
    in the order of their puts."""

    initial: tuple[Any, ...] = ()

    def put(self, state: tuple[Any, ...], x: Any) -> Answer:
        return (*state, x), None

    def get_nowait(self, state: tuple[Any, ...]) -> Answer:
        if not state:
            return state, EMPTY
        at = state.index(min(state, key=lambda x: x % 3))
        return state[:at] + state[at + 1 :], state[at]

    @read_only
    def peek(self, state: tuple[Any, ...]) -> Answer:
        return state, min(state, key=lambda x: x % 3) if state else EMPTY

    @read_only
    def snapshot(self, state: tuple[Any, ...]) -> Answer:
        return state, sorted(state, key=lambda x: x % 3)


class WordSpec(Spec):
    """One word: a register with what Ref and AtomicInt do to it at once."""

    initial = 0

    @read_only
    def get(self, state: int) -> Answer:
        return state, state

    def set(self, state: int, value: int) -> Answer:
        return value, None

    def swap(self, state: int, value: int) -> Answer:
        return value, state

    def add(self, state: int, n: int) -> Answer:
        return state + n, state

    def compare_and_set(self, state: int, old: int, new: int) -> Answer:
        return (new, True) if state == old else (state, False)

    def update(self, state: int, factor: int) -> Answer:
        """The function is `x -> factor * x + 1`: applying it twice, or losing one, shows."""
        return factor * state + 1, factor * state + 1


class CounterSpec(Spec):
    """A sum without an old value."""

    initial = 0

    def add(self, state: int, n: int) -> Answer:
        return state + n, None

    @read_only
    def value(self, state: int) -> Answer:
        return state, state


class TwoWordsSpec(Spec):
    """Two words, and operations over both that take effect at once."""

    initial = (0, 0)

    @read_only
    def read_both(self, state: tuple[int, int]) -> Answer:
        return state, state

    def write_both(self, state: tuple[int, int], value: int) -> Answer:
        return (value, value), (value, value)

    def transfer(self, state: tuple[int, int], amount: int) -> Answer:
        """Takes from the first, gives to the second, and answers with what the second then has."""
        return (state[0] - amount, state[1] + amount), state[1] + amount

    def transfer_if_rich(self, state: tuple[int, int], amount: int) -> Answer:
        """As `transfer`, but only if the first has as much; says whether it happened."""
        if state[0] < amount:
            return state, False
        return (state[0] - amount, state[1] + amount), True

    def exchange(self, state: tuple[int, int]) -> Answer:
        """Each word gets what the other one had."""
        return (state[1], state[0]), state

    def cas_both(self, state: tuple[int, int], old: int, new: int) -> Answer:
        """Both words from old to new, or neither."""
        return ((new, new), True) if state == (old, old) else (state, False)

    def add_first(self, state: tuple[int, int], n: int) -> Answer:
        return (state[0] + n, state[1]), state[0]

    def set_second(self, state: tuple[int, int], value: int) -> Answer:
        return (state[0], value), None

    def copy_up(self, state: tuple[int, int]) -> Answer:
        """The second from the first, which is only read: write skew if the read is not validated."""
        return (state[0], state[0] + 1), state[0] + 1

    def copy_down(self, state: tuple[int, int]) -> Answer:
        """The first from the second, which is only read."""
        return (state[1] + 1, state[1]), state[1] + 1


class GaugeSpec(Spec):
    """A level between 0 and 3, and how often it has changed."""

    initial = (0, 0)

    def up(self, state: tuple[int, int], n: int) -> Answer:
        level, changes = state
        return ((level + n, changes + 1), level + n) if level + n <= 3 else (state, EMPTY)

    def down(self, state: tuple[int, int]) -> Answer:
        level, changes = state
        return ((level - 1, changes + 1), level - 1) if level else (state, EMPTY)

    def fill_or_clear(self, state: tuple[int, int]) -> Answer:
        """An empty one is filled, any other cleared."""
        level, changes = state
        return (0 if level else 3, changes + 1), "cleared" if level else "filled"

    @read_only
    def level(self, state: tuple[int, int]) -> Answer:
        return state, state[0]

    @read_only
    def changes(self, state: tuple[int, int]) -> Answer:
        return state, state[1]


class SortedMapSpec(Spec):
    """Bindings in order; the state is a sorted tuple of pairs."""

    initial: tuple[Any, ...] = ()

    def set(self, state: tuple[Any, ...], k: int, v: int) -> Answer:
        return tuple(sorted({**dict(state), k: v}.items())), None

    def setdefault(self, state: tuple[Any, ...], k: int, v: int) -> Answer:
        bound = dict(state)
        return (state, bound[k]) if k in bound else (self.set(state, k, v)[0], v)

    def pop(self, state: tuple[Any, ...], k: int) -> Answer:
        return tuple(pair for pair in state if pair[0] != k), dict(state).get(k, EMPTY)

    def pop_min(self, state: tuple[Any, ...]) -> Answer:
        return (state[1:], state[0]) if state else (state, EMPTY)

    def pop_max(self, state: tuple[Any, ...]) -> Answer:
        return (state[:-1], state[-1]) if state else (state, EMPTY)

    def raise_min(self, state: tuple[Any, ...], k: int) -> Answer:
        """The smallest binding's value goes to the key k."""
        return (self.set(state[1:], k, state[0][1])[0], state[0]) if state else (state, EMPTY)

    @read_only
    def get(self, state: tuple[Any, ...], k: int) -> Answer:
        return state, dict(state).get(k, EMPTY)

    @read_only
    def min(self, state: tuple[Any, ...]) -> Answer:
        return state, state[0] if state else EMPTY

    @read_only
    def max(self, state: tuple[Any, ...]) -> Answer:
        return state, state[-1] if state else EMPTY

    @read_only
    def snapshot(self, state: tuple[Any, ...], lo: int, hi: int) -> Answer:
        return state, [pair for pair in state if lo <= pair[0] < hi]


class SetSpec(Spec):
    """A set of small numbers."""

    initial: frozenset[int] = frozenset()

    def add(self, state: frozenset[int], x: int) -> Answer:
        """Whether it was missing."""
        return state | {x}, x not in state

    def discard(self, state: frozenset[int], x: int) -> Answer:
        """Whether it was there."""
        return state - {x}, x in state

    def replace(self, state: frozenset[int], x: int, y: int) -> Answer:
        """Takes x out and puts y in, if x is there."""
        return (state - {x} | {y}, True) if x in state else (state, False)

    @read_only
    def contains(self, state: frozenset[int], x: int) -> Answer:
        return state, x in state

    @read_only
    def size(self, state: frozenset[int]) -> Answer:
        return state, len(state)

    @read_only
    def snapshot(self, state: frozenset[int]) -> Answer:
        return state, state


class CacheSpec(Spec):
    """A cache of one place, so that there is no question which key goes; a pair of the key and its value, or ()."""

    initial: tuple[int, ...] = ()

    def put(self, state: tuple[int, ...], k: int, v: int) -> Answer:
        return (k, v), None

    def clear(self, state: tuple[int, ...]) -> Answer:
        return (), None

    def rename(self, state: tuple[int, ...], k: int, other: int) -> Answer:
        """The value of k becomes that of the other key; None if there is none."""
        return ((other, state[1]), state[1]) if state[:1] == (k,) else (state, None)

    @read_only
    def get(self, state: tuple[int, ...], k: int) -> Answer:
        return state, state[1] if state[:1] == (k,) else None

    @read_only
    def size(self, state: tuple[int, ...]) -> Answer:
        return state, len(state) // 2

    @read_only
    def keys(self, state: tuple[int, ...]) -> Answer:
        return state, list(state[:1])


class QueueAndStackSpec(Spec):
    """A queue and a stack, and moves between them in one step."""

    initial: tuple[tuple[Any, ...], tuple[Any, ...]] = ((), ())

    def put(self, state: Any, x: Any) -> Answer:
        queue, stack = state
        return ((*queue, x), stack), None

    def push(self, state: Any, x: Any) -> Answer:
        queue, stack = state
        return (queue, (*stack, x)), None

    def get_nowait(self, state: Any) -> Answer:
        queue, stack = state
        return ((queue[1:], stack), queue[0]) if queue else (state, EMPTY)

    def pop_nowait(self, state: Any) -> Answer:
        queue, stack = state
        return ((queue, stack[:-1]), stack[-1]) if stack else (state, EMPTY)

    def get_then_push(self, state: Any) -> Answer:
        queue, stack = state
        return ((queue[1:], (*stack, queue[0])), True) if queue else (state, EMPTY)

    def pop_then_put(self, state: Any) -> Answer:
        queue, stack = state
        return (((*queue, stack[-1]), stack[:-1]), True) if stack else (state, EMPTY)

    def get_or_pop(self, state: Any) -> Answer:
        """From the queue, and from the stack only if the queue is empty at that instant."""
        queue, stack = state
        if queue:
            return (queue[1:], stack), queue[0]
        return ((queue, stack[:-1]), stack[-1]) if stack else (state, EMPTY)

    def get_and_pop(self, state: Any) -> Answer:
        """One of each or none."""
        queue, stack = state
        return ((queue[1:], stack[:-1]), (queue[0], stack[-1])) if queue and stack else (state, EMPTY)

    @read_only
    def peek_both(self, state: Any) -> Answer:
        """The next of each, or EMPTY unless both have one."""
        queue, stack = state
        return state, (queue[0], stack[-1]) if queue and stack else EMPTY
