"""Synchronisers with the interfaces of `threading`, and that compose.

Moving from `threading` is a change of import. Then acquire and release, wait and set, notify, put and take are reagents
as well as methods: several happen in one step, or one of several, or none.

>>> from lockfree import Queue
>>> from lockfree.sync import Event, Lock
>>> from reagents import together
>>> a, b = Lock(), Lock()
>>> together(a.acquire, b.acquire)()        # both or neither: no order of locks to keep, no deadlock
(True, True)
>>> (a.release * b.release)()
(None, None)
>>> stop, jobs = Event(), Queue()
>>> jobs.put("job")
>>> (stop.wait + jobs.get)()                # whichever comes first
'job'

Whoever waits in a thread parks it; `await lock.acquire.arun()`, or `async with lock`, waits in a coroutine (asyncio,
trio). Releasing wakes the one that has waited longest, but hands it nothing: who comes by meanwhile may be faster, as
with threading."""

from lockfree.sync._barrier import Barrier, BrokenBarrierError
from lockfree.sync._condition import Condition
from lockfree.sync._latch import CountDownLatch
from lockfree.sync._locks import BoundedSemaphore, Event, Lock, RLock, Semaphore
from lockfree.sync._mvar import MVar
from lockfree.sync._promise import InvalidStateError, Promise
from lockfree.sync._rwlock import RWLock

__all__ = [
    "Barrier",
    "BoundedSemaphore",
    "BrokenBarrierError",
    "Condition",
    "CountDownLatch",
    "Event",
    "InvalidStateError",
    "Lock",
    "MVar",
    "Promise",
    "RLock",
    "RWLock",
    "Semaphore",
]
