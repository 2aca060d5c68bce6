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

from reagents._core import AtomicInt, Counter, Empty, Exchanger, Queue, Stack

from .sortedmap import SortedMap

__all__ = ["AtomicInt", "Counter", "Empty", "Exchanger", "Queue", "SortedMap", "Stack"]
