"""One of each structure, and every operation on them, for use in the middle of every other."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from lockfree import AtomicInt, Counter, Queue, Stack
from racing import settle, soon
from reagents import Ref, attempt, const


class World:
    def __init__(self) -> None:
        self.ref: Ref[Any] = Ref(None)
        self.stack: Stack[Any] = Stack()
        self.queue: Queue[Any] = Queue()
        self.counter = Counter()
        self.number = AtomicInt()
        ref, stack, queue = self.ref, self.stack, self.queue
        move = attempt(stack.pop >> queue.put)
        back = attempt(queue.get >> stack.push)
        replace = ref.read >> ref.swap
        self.operations: list[Callable[[Any], Any]] = [
            stack.push,
            ref.set,
            queue.put,
            lambda _: move(),
            lambda x: ref.compare_and_set(ref.get(), x),
            lambda _: self.counter.add(),
            lambda _: back(),
            lambda _: stack.snapshot(),
            lambda x: ref.swap(x),
            lambda _: self.number.add(1),
            lambda _: attempt(stack.pop)(),
            lambda _: replace(),
            lambda _: attempt(queue.get)(),
            lambda _: ref.update(lambda old: old),
            lambda _: (stack.peek + queue.peek + const(None))(),
            lambda _: attempt(stack.pop)(),
            lambda _: attempt(queue.get)(),
        ]
        self._next = itertools.count()
        self.calls = AtomicInt()

    def _drained(self) -> bool:
        while attempt(self.stack.pop >> const(True))() or attempt(self.queue.get >> const(True))():
            pass
        before = self.calls.get()
        settle()
        return self.calls.get() == before and not self.stack and self.queue.empty()

    def act(self, x: Any = None) -> None:
        """The next operation in turn."""
        self.calls.add(1)
        self.operations[next(self._next) % len(self.operations)](x)

    def check(self) -> None:
        """All still works and nothing stands half done. A destructor may still act while this goes on."""
        soon(self._drained, "the end of all destructors")
        self.ref.set(1)
        self.stack.push(2)
        (self.stack.pop >> self.queue.put)()
        assert (self.ref.read * self.queue.get)() == (1, 2)
