"""Lock-free structures that threads share, with the standard library's names, and that compose.

Each operation is one attribute with two uses: ``stack.push(x)`` is a plain call, ``stack.push``
alone is a :class:`reagents.Reagent`.

>>> from lockfree import Queue, Stack
>>> q, s = Queue(), Stack()
>>> q.put("job")
>>> (q.get >> s.push)()
>>> s.pop()
'job'
"""

from lockfree.deque import Deque
from lockfree.lru import LRUCache, lru_cache
from lockfree.map import Map
from lockfree.set import Set
from lockfree.sortedmap import SortedMap
from reagents._core import (
    AtomicFlag,
    AtomicInt,
    Bag,
    Binding,
    Counter,
    Empty,
    Exchanger,
    Full,
    LifoQueue,
    PriorityQueue,
    Queue,
    ShutDown,
    Stack,
    ThreadLocal,
    WorkStealingDeque,
)

__all__ = [
    "AtomicFlag",
    "AtomicInt",
    "Bag",
    "Binding",
    "Counter",
    "Deque",
    "Empty",
    "Exchanger",
    "Full",
    "LRUCache",
    "LifoQueue",
    "Map",
    "PriorityQueue",
    "Queue",
    "Set",
    "ShutDown",
    "SortedMap",
    "Stack",
    "ThreadLocal",
    "WorkStealingDeque",
    "lru_cache",
]
