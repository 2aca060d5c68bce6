"""Nanoseconds an operation, of all threads together: the inverse of the rate, so that a regression goes up.

The parameter `who` puts the peers beside us; the other one is the number of threads, started behind a barrier.
"""

from __future__ import annotations

import statistics

import harness
from catalogue import GROUPS

SECONDS = 0.1
REPETITIONS = 5
THREADS = [1, 2, 4]


class _Throughput:
    param_names = ("who", "threads")
    unit = "ns/operation"
    group: str

    def __init_subclass__(cls, group: str) -> None:
        cls.group = group
        cls.params = ([case.name for case in GROUPS[group].cases], THREADS)

    def setup(self, who: str, threads: int) -> None:
        if not harness.available(GROUPS[self.group].case(who)):
            raise NotImplementedError  # asv's word for "does not apply here"
        harness.rate(GROUPS[self.group].case(who), threads, 0.02)

    def track_ns_per_operation(self, who: str, threads: int) -> float:
        case = GROUPS[self.group].case(who)
        return round(statistics.median(1e9 / harness.rate(case, threads, SECONDS) for _ in range(REPETITIONS)), 1)


class Stack(_Throughput, group="stack"):
    pass


class StackBursts(_Throughput, group="stack-bursts"):
    pass


class StackLookedUp(_Throughput, group="stack-attribute"):
    pass


class Queue(_Throughput, group="queue"):
    pass


class BoundedQueue(_Throughput, group="queue-bounded"):
    pass


class QueueLookedUp(_Throughput, group="queue-attribute"):
    pass


class RefGet(_Throughput, group="ref-get"):
    pass


class RefCompareAndSet(_Throughput, group="ref-cas"):
    pass


class AtomicInt(_Throughput, group="atomic-int"):
    pass


class Counter(_Throughput, group="counter"):
    pass


class ThreadLocal(_Throughput, group="thread-local"):
    pass


class LruCache(_Throughput, group="lru-cache"):
    pass


class LruCacheTuple(_Throughput, group="lru-cache-tuple"):
    pass


class Move(_Throughput, group="move"):
    pass


class QueueMove(_Throughput, group="queue-move"):
    pass


class Transfer(_Throughput, group="transfer"):
    pass


class TransferAdd(_Throughput, group="transfer-add"):
    pass


class LifoQueue(_Throughput, group="lifo-queue"):
    pass


class Priority(_Throughput, group="priority"):
    pass


class Priority1000(_Throughput, group="priority-1000"):
    pass


class Priority100000(_Throughput, group="priority-100000"):
    pass


class Deque(_Throughput, group="deque"):
    pass


class DequeFifo(_Throughput, group="deque-fifo"):
    pass


class Bag(_Throughput, group="bag"):
    pass


class MapChurn(_Throughput, group="map-churn"):
    pass


class Lock(_Throughput, group="lock"):
    pass


class WithLock(_Throughput, group="with-lock"):
    pass


class WithRLock(_Throughput, group="with-rlock"):
    pass


class Semaphore(_Throughput, group="semaphore"):
    pass


class Event(_Throughput, group="event"):
    pass


class EventWait(_Throughput, group="event-wait"):
    pass


class Condition(_Throughput, group="condition"):
    pass


class MapReadInt1000(_Throughput, group="map-read-int-1000"):
    pass


class MapMixedInt1000(_Throughput, group="map-mixed-int-1000"):
    pass


class MapReadInt100000(_Throughput, group="map-read-int-100000"):
    pass


class MapMixedInt100000(_Throughput, group="map-mixed-int-100000"):
    pass


class MapReadInt1000000(_Throughput, group="map-read-int-1000000"):
    pass


class MapMixedInt1000000(_Throughput, group="map-mixed-int-1000000"):
    pass


class MapReadStr1000(_Throughput, group="map-read-str-1000"):
    pass


class MapMixedStr1000(_Throughput, group="map-mixed-str-1000"):
    pass


class MapReadStr100000(_Throughput, group="map-read-str-100000"):
    pass


class MapMixedStr100000(_Throughput, group="map-mixed-str-100000"):
    pass


class MapReadStr1000000(_Throughput, group="map-read-str-1000000"):
    pass


class MapMixedStr1000000(_Throughput, group="map-mixed-str-1000000"):
    pass


class MapReadStrValues(_Throughput, group="map-read-int-1000-str"):
    pass


class MapReadObjectValues(_Throughput, group="map-read-int-1000-object"):
    pass
