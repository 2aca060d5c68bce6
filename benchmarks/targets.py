"""What must be reached, as ratios of ours to a peer measured in the same run."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from catalogue import GROUPS
from harness import gil_enabled

SYNCHRONISERS = (("semaphore", "Semaphore"), ("event", "Event"), ("event-wait", "Event"), ("condition", "Condition"))

ALL = (1, 2, 4)
MANY = (2, 4)


@dataclass(frozen=True)
class Target:
    """The rate of a group's own case over a peer's must be at least so much."""

    group: str
    peer: str
    threads: tuple[int, ...]
    at_least: float


def rate_targets() -> list[Target]:
    free_threaded = not gil_enabled()
    targets = [
        Target("stack", "queue.SimpleQueue", ALL, 1.0),
        Target("queue", "queue.SimpleQueue", ALL, 1.0),
        Target("queue-bounded", "queue.SimpleQueue", ALL, 1.0),
        Target("queue-bounded", "queue.Queue", ALL, 5.0),
        Target("lifo-queue", "queue.LifoQueue", ALL, 5.0),
        *(Target(f"priority{n}", "queue.PriorityQueue", ALL, 3.0) for n in ("", "-1000", "-100000")),
        Target("ref-get", "cereggii.AtomicRef", ALL, 1.0),
        Target("ref-cas", "cereggii.AtomicRef", ALL, 1.0),
        Target("ref-get", "empty C method", ALL, 1 / 1.5),
        Target("atomic-int", "ft_utils.AtomicInt64", ALL, 1.0),
        Target("thread-local", "threading.local", ALL, 1.4),
        Target("thread-local", "ContextVar", (1, 2), 1.0),
        Target("lru-cache", "functools.lru_cache", (1,), 1 / 1.5),
        Target("move", "2 deques, 2 ordered Locks", (1,), 1.0),
        Target("transfer", "2 ordered Locks", ALL, 1.0),
        Target("transfer", "atomix_stm", (1, 2), 100.0),
        Target("transfer-add", "2 ordered Locks", ALL, 1.5),
    ]
    targets += [Target(group, "deque", ALL, 0.8) for group in ("deque", "deque-fifo")]
    targets += [Target(group, f"threading.{of}", ALL, 5.0) for group, of in SYNCHRONISERS]
    targets += [Target(group, "threading.Lock", (1,), 1.0) for group in ("lock", "with-lock")]
    for group in (name for name in GROUPS if name.startswith(("map-read", "map-mixed"))):
        targets.append(Target(group, "dict", (1,), 0.6))
        if free_threaded:
            targets.append(Target(group, "dict", MANY, 1.0))
        targets += [Target(group, peer, ALL, 1.5) for peer in ("cereggii.AtomicDict", "ft_utils.ConcurrentDict")]
    if free_threaded:
        targets.append(Target("lru-cache", "functools.lru_cache", MANY, 1.0))
        for group in ("stack", "queue"):
            targets += [Target(group, peer, MANY, 0.9) for peer in ("list", "deque")]
        # From 3.14 on threading.Lock is an unfair mutex, which does not collapse when threads contend for it.
        gain = 1.3 if sys.version_info >= (3, 14) else 3.0
        targets.append(Target("move", "2 deques, 2 ordered Locks", MANY, gain))
    else:
        targets.append(Target("move", "2 deques, 2 ordered Locks", (2,), 3.0))
        targets.append(Target("move", "2 deques, 2 ordered Locks", (4,), 5.0))
    return targets


def rate_target(group: str, peer: str, threads: int) -> float | None:
    for target in rate_targets():
        if (target.group, target.peer) == (group, peer) and threads in target.threads:
            return target.at_least
    return None


#: Counter.add with two threads over the same with one, where threads run at the same time.
COUNTER_SCALING = 1.8

TAIL_THREADS = (4, 8)
TAIL_PERCENTS = (99.9, 99.99)


def tail_target(peer: str) -> float | None:
    """Ours over the peer's percentile must be at most so much."""
    return {
        "queue.SimpleQueue": 1.0,
        "2 deques, 2 ordered Locks": 1.0,
        "queue.Queue": 0.1,
    }.get(peer)


#: Bytes that an element costs beyond its object, in these.
BYTES_PER_ELEMENT = 48.0
#: KiB by which a process may have grown after ten million push + pop. The system counts in pages of 4 KiB, and the
#: allocator keeps what its high-water mark was, so "where it was" is known no better than this.
GROWTH_KIB = 256.0

#: The time of a k-CAS of two words over that of one CAS instruction.
KCAS_OF_TWO = 10.0

#: A map of ours over dict: the longest insert on the way to a million keys, and the bytes of an entry.
LONGEST_INSERT = 0.1
BYTES_PER_ENTRY = 1.5
