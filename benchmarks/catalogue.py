"""More of what is measured: deques, maps and what `lockfree.sync` has; GROUPS is all there is, of cases.py too."""

from __future__ import annotations

import cases
from cases import DEQUE, Case, Group, locked_pair, pair

# ------------------------------------------------------------------------------------------------ both ends


def ends(title: str, get: str) -> Group:
    return Group(
        title,
        (
            pair("lockfree.Deque", "from lockfree import Deque; s = Deque()", "append", get),
            pair("deque", DEQUE, "append", get),
            locked_pair(get),
        ),
    )


BAG = Group(
    "put + get, whichever comes",
    (
        pair("lockfree.Bag", "from lockfree import Bag; s = Bag()", "put", "get"),
        pair("lockfree.Stack", "from lockfree import Stack; s = Stack()", "push", "pop"),
        pair("lockfree.Queue", "from lockfree import Queue; s = Queue()", "put", "get"),
    ),
)

# ----------------------------------------------------------------------------------------------------- maps

#: The keys that a thread asks for, in an order of its own: so many handfuls of so many, that the loop over a handful
#: costs little beside what is measured.
HANDFULS, HANDFUL = 64, 64

MAPS = {
    "lockfree.Map": ("from lockfree import Map; m = Map()", None),
    "dict": ("m = {}", None),
    "cereggii.AtomicDict": ("from cereggii import AtomicDict; m = AtomicDict({})", "cereggii"),
    "ft_utils.ConcurrentDict": ("from ft_utils.concurrency import ConcurrentDict; m = ConcurrentDict()", "ft_utils"),
}
KEYS = {"int": "i", "str": "f'key {i}'"}
VALUES = {"int": "i % 100", "str": "f'value {i}'", "object": "object()"}


def filled(make: str, n: int, key: str, value: str) -> str:
    return f"{make}\nfor i in range({n}): m[{key}] = {value}"


def asked(n: int, key: str) -> str:
    """A thread's own endless sequence of keys: equal to those in the map, not the same objects."""
    return (
        "import random, itertools\nr = random.Random(tid)\n"
        f"handfuls = [[{key} for i in (r.randrange({n}) for _ in range({HANDFUL}))] for _ in range({HANDFULS})]\n"
        "handful = itertools.cycle(handfuls).__next__"
    )


def reading(n: int, kind: str, value: str = "int") -> Group:
    return Group(
        f"m[k], {n:,} {kind} keys, {value} values",
        tuple(
            Case(
                name,
                filled(make, n, KEYS[kind], VALUES[value]),
                asked(n, KEYS[kind]),
                {"read": "for k in handful(): m[k]"},
                need=need,
                times=HANDFUL,
            )
            for name, (make, need) in MAPS.items()
        ),
    )


def mixed(n: int, kind: str) -> Group:
    """Nine reads to a write of a key that is there; the writes of all threads go everywhere."""
    steps = {f"read {i}": "for k in handful(): m[k]" for i in range(9)} | {"write": "for k in handful(): m[k] = x"}
    return Group(
        f"9 x m[k], then m[k] = x, {n:,} {kind} keys",
        tuple(
            Case(
                name,
                filled(make, n, KEYS[kind], VALUES["int"]),
                asked(n, KEYS[kind]),
                steps,
                need=need,
                times=HANDFUL,
            )
            for name, (make, need) in MAPS.items()
        ),
    )


def coming_and_going(name: str, make: str, need: str | None = None) -> Case:
    """Each thread has keys of its own."""
    return Case(
        name, make, "k = tid * 1_000_000", {"insert": "m[k] = x", "delete": "del m[k]"}, check="len(m) == 0", need=need
    )


MAP_CHURN = Group(
    "m[k] = x, then del m[k], a key of its own for each thread",
    tuple(coming_and_going(name, make, need) for name, (make, need) in MAPS.items()),
)

# ----------------------------------------------------------------------------------------------------- locks


def of_sync(title: str, made: str, local: str, steps: dict[str, str]) -> Group:
    """The same statements with ours and with threading's."""
    return Group(
        title,
        tuple(
            Case(f"{module}.{made.split('(')[0]}", f"import {module}; s = {module}.{made}", local, steps)
            for module in ("lockfree.sync", "threading")
        ),
    )


LOCK = of_sync(
    "acquire + release, one Lock", "Lock()", "a, r = s.acquire, s.release", {"acquire": "a()", "release": "r()"}
)
WITH_LOCK = of_sync("with lock: pass", "Lock()", "", {"with": "with s: pass"})
RLOCK = of_sync("with rlock: pass", "RLock()", "", {"with": "with s: pass"})
SEMAPHORE = of_sync(
    "acquire + release, one Semaphore(8)",
    "Semaphore(8)",
    "a, r = s.acquire, s.release",
    {"acquire": "a()", "release": "r()"},
)
EVENT = of_sync(
    "Event: set, is_set, clear",
    "Event()",
    "put, ask, clear = s.set, s.is_set, s.clear",
    {"set": "put()", "is_set": "ask()", "clear": "clear()"},
)
EVENT_WAIT = of_sync("Event.wait, already set", "Event()", "s.set(); wait = s.wait", {"wait": "wait()"})
CONDITION = of_sync(
    "with condition: condition.notify(), nobody waits",
    "Condition()",
    "notify = s.notify",
    {"notify": "with s: notify()"},
)

SIZES = (1_000, 100_000, 1_000_000)

GROUPS: dict[str, Group] = {
    **cases.GROUPS,
    "deque": ends("append + pop, one deque", "pop"),
    "deque-fifo": ends("append + popleft, one deque", "popleft"),
    "bag": BAG,
    **{f"map-read-{kind}-{n}": reading(n, kind) for kind in KEYS for n in SIZES},
    **{f"map-read-int-1000-{value}": reading(1_000, "int", value) for value in ("str", "object")},
    **{f"map-mixed-{kind}-{n}": mixed(n, kind) for kind in KEYS for n in SIZES},
    "map-churn": MAP_CHURN,
    "lock": LOCK,
    "with-lock": WITH_LOCK,
    "with-rlock": RLOCK,
    "semaphore": SEMAPHORE,
    "event": EVENT,
    "event-wait": EVENT_WAIT,
    "condition": CONDITION,
}
