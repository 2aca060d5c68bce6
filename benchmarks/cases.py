"""What is measured: in each group ours first, then the peers that do the same job.

A case is source text, so that the timed statements stand in the loop itself and no call of ours is added to them.
`setup` runs once a repetition and makes what the threads share; `local` runs once in each thread and binds methods
(a bound method shared by threads would measure the contention on its reference count); `steps` are the timed
statements. `x` is an object that the thread has to itself, `tid` its number, `T` the number of threads. `check` must be
true when all threads are done; it sees the shared names and `rounds`, how often the steps were done by all together.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    name: str
    setup: str
    local: str
    steps: dict[str, str]
    check: str = "True"
    need: str | None = None  # the module without which there is no such peer
    times: int = 1  # how many operations one step is

    @property
    def body(self) -> str:
        return "\n".join(textwrap.dedent(step).strip("\n") for step in self.steps.values())


@dataclass(frozen=True)
class Group:
    title: str
    cases: tuple[Case, ...]

    def case(self, name: str) -> Case:
        return next(case for case in self.cases if case.name == name)


def pair(name: str, make: str, put: str, get: str, *, need: str | None = None, empty: str = "len(s) == 0") -> Case:
    """Puts one in and takes one out of what all threads share, through methods bound once."""
    put_name, get_name = put, get.removesuffix("_nowait")
    return Case(
        name, make, f"put = s.{put}; get = s.{get}", {put_name: "put(x)", get_name: "get()"}, check=empty, need=need
    )


def attribute_pair(name: str, make: str, put: str, get: str) -> Case:
    """The same, looking the methods up each time, as most programs do."""
    return Case(name, make, "", {put: f"s.{put}(x)", get: f"s.{get}()"})


def locked_pair(get: str) -> Case:
    return Case(
        "deque with Lock",
        "import threading; from collections import deque; s = deque(); lock = threading.Lock()",
        f"put = s.append; get = s.{get}",
        {"put": "with lock: put(x)", "get": "with lock: get()"},
        check="len(s) == 0",
    )


SIMPLE_QUEUE = "import queue; s = queue.SimpleQueue()"
DEQUE = "from collections import deque; s = deque()"

STACK = Group(
    "push + pop, one stack",
    (
        pair("lockfree.Stack", "from lockfree import Stack; s = Stack()", "push", "pop"),
        pair("queue.SimpleQueue", SIMPLE_QUEUE, "put", "get", empty="s.empty()"),
        pair("list", "s = []", "append", "pop"),
        pair("deque", DEQUE, "append", "pop"),
        locked_pair("pop"),
        pair("queue.LifoQueue", "import queue; s = queue.LifoQueue()", "put", "get", empty="s.empty()"),
    ),
)

QUEUE = Group(
    "put + get, one queue",
    (
        pair("lockfree.Queue", "from lockfree import Queue; s = Queue()", "put", "get"),
        pair("queue.SimpleQueue", SIMPLE_QUEUE, "put", "get", empty="s.empty()"),
        pair("list", "s = []", "append", "pop"),
        pair("deque", DEQUE, "append", "popleft"),
        locked_pair("popleft"),
        pair("queue.Queue", "import queue; s = queue.Queue()", "put", "get", empty="s.empty()"),
        pair(
            "ft_utils.ConcurrentQueue",
            "from ft_utils.concurrency import ConcurrentQueue; s = ConcurrentQueue()",
            "push",
            "pop",
            need="ft_utils",
            empty="True",
        ),
    ),
)


LIFO_QUEUE = Group(
    "put + get, one last-in, first-out queue",
    (
        pair("lockfree.LifoQueue", "from lockfree import LifoQueue; s = LifoQueue()", "put", "get"),
        pair("queue.LifoQueue", "import queue; s = queue.LifoQueue()", "put", "get", empty="s.empty()"),
    ),
)


def priority(waiting: int) -> Group:
    """The items that wait are spread, and what is put is somewhere among them or before them all."""

    def case(module: str) -> Case:
        fill = f"; r = __import__('random').Random(1); [s.put(r.randrange(10**6)) for _ in range({waiting})]"
        make = f"from {module} import PriorityQueue; s = PriorityQueue()" + (fill if waiting else "")
        items = "[r.randrange(10**6) for _ in range(4096)]"
        fresh = f"r = __import__('random').Random(tid); fresh = __import__('itertools').cycle({items}).__next__"
        local = f"put = s.put; get = s.get; {fresh}"
        steps = {"put": "put(fresh())", "get": "get()"}
        return Case(f"{module}.PriorityQueue", make, local, steps, check=f"s.qsize() == {waiting}")

    return Group(f"put + get, one priority queue, {waiting} waiting", (case("lockfree"), case("queue")))


def bursts(name: str, make: str, put: str, get: str) -> Case:
    """Eight in, eight out, every other thread the other way round: somebody puts while somebody takes. Nobody takes
    what is not there, for the bottom is as thick as all together could take away."""
    return Case(
        name,
        f"{make}\nfor i in range(8 * T): s.{put}(i)",
        f"put = s.{put}; get = s.{get}\nif tid % 2:\n    for _ in range(8): get()",
        {
            **{f"put {i}": "put(x)" for i in range(8)},
            **{f"get {i}": "get()" for i in range(8)},
        },
    )


STACK_BURSTS = Group(
    "8 x push, then 8 x pop, threads in opposite phases, one stack",
    (
        bursts("lockfree.Stack", "from lockfree import Stack; s = Stack()", "push", "pop"),
        bursts("queue.SimpleQueue", SIMPLE_QUEUE, "put", "get"),
        bursts("list", "s = []", "append", "pop"),
        bursts("deque", DEQUE, "append", "pop"),
    ),
)

STACK_ATTRIBUTE = Group(
    "s.push(x); s.pop(), looked up each time",
    (
        attribute_pair("lockfree.Stack", "from lockfree import Stack; s = Stack()", "push", "pop"),
        attribute_pair("queue.SimpleQueue", SIMPLE_QUEUE, "put", "get"),
        attribute_pair("list", "s = []", "append", "pop"),
        attribute_pair("deque", DEQUE, "append", "pop"),
    ),
)

QUEUE_ATTRIBUTE = Group(
    "q.put(x); q.get(), looked up each time",
    (
        attribute_pair("lockfree.Queue", "from lockfree import Queue; s = Queue()", "put", "get"),
        attribute_pair("queue.SimpleQueue", SIMPLE_QUEUE, "put", "get"),
        attribute_pair("deque", DEQUE, "append", "popleft"),
    ),
)

# --------------------------------------------------------------------------------------------- one word

REF_GET = Group(
    "Ref.get",
    (
        Case("reagents.Ref", "from reagents import Ref; r = Ref((1,))", "get = r.get", {"get": "get()"}),
        Case(
            "cereggii.AtomicRef",
            "import cereggii; r = cereggii.AtomicRef((1,))",
            "get = r.get",
            {"get": "get()"},
            need="cereggii",
        ),
        Case(
            "ft_utils.AtomicReference",
            "from ft_utils.concurrency import AtomicReference; r = AtomicReference((1,))",
            "get = r.get",
            {"get": "get()"},
            need="ft_utils",
        ),
        # The floor: a method without arguments that looks at an immortal object and returns another.
        Case("empty C method", "", "get = ''.isascii", {"get": "get()"}),
    ),
)

RETRY = """
while True:
    old = get()
    if cas(old, (x,)):
        break
"""

REF_CAS = Group(
    "Ref: get, then compare_and_set to a new tuple, until it succeeds",
    (
        Case(
            "reagents.Ref",
            "from reagents import Ref; r = Ref(None)",
            "get = r.get; cas = r.compare_and_set",
            {"cas": RETRY},
        ),
        Case(
            "cereggii.AtomicRef",
            "import cereggii; r = cereggii.AtomicRef(None)",
            "get = r.get; cas = r.compare_and_set",
            {"cas": RETRY},
            need="cereggii",
        ),
        Case(
            "ft_utils.AtomicReference",
            "from ft_utils.concurrency import AtomicReference; r = AtomicReference(None)",
            "get = r.get; cas = r.compare_exchange",
            {"cas": RETRY},
            need="ft_utils",
        ),
        Case(
            "attribute with Lock",
            "import threading\nclass R: value = None\nr = R(); lock = threading.Lock()",
            "",
            {
                "cas": """
while True:
    old = r.value
    new = (x,)
    with lock:
        if r.value is old:
            r.value = new
            break
"""
            },
        ),
    ),
)

LOCKED_INT = Case(
    "int with Lock",
    "import threading\nclass C: n = 0\nc = C(); lock = threading.Lock()",
    "",
    {"add": "with lock: c.n += 1"},
    check="c.n == rounds",
)

ATOMIC_INT = Group(
    "AtomicInt.add",
    (
        Case(
            "lockfree.AtomicInt",
            "from lockfree import AtomicInt; c = AtomicInt()",
            "add = c.add",
            {"add": "add()"},
            check="c.get() == rounds",
        ),
        Case(
            "ft_utils.AtomicInt64",
            "from ft_utils.concurrency import AtomicInt64; c = AtomicInt64(0)",
            "add = c.incr",
            {"add": "add()"},
            check="c.get() == rounds",
            need="ft_utils",
        ),
        Case(
            "cereggii.AtomicInt64",
            "import cereggii; c = cereggii.AtomicInt64(0)",
            "add = c.increment_and_get",
            {"add": "add()"},
            check="c.get() == rounds",
            need="cereggii",
        ),
        Case("itertools.count", "import itertools; c = itertools.count()", "add = c.__next__", {"add": "add()"}),
        LOCKED_INT,
    ),
)

COUNTER = Group(
    "Counter.add",
    (
        Case(
            "lockfree.Counter",
            "from lockfree import Counter; c = Counter()",
            "add = c.add",
            {"add": "add()"},
            check="c.value() == rounds",
        ),
        LOCKED_INT,
    ),
)

# ------------------------------------------------------------------------------------------ two structures

# 64 items in two structures; each thread moves one to the other side, then one back, so neither runs empty.
SIDES = "from collections import deque; import threading; a, b = deque(range(32)), deque(range(32))\n"
TURN = "source, target = (a, b) if tid % 2 == 0 else (b, a)"


def composed_move(name: str, make: str, get: str, put: str) -> Case:
    return Case(
        name,
        f"from lockfree import Queue, Stack\na, b = {make}, {make}\nfor i in range(32): a.{put}(i); b.{put}(i)",
        f"there, back = a.{get} >> b.{put}, b.{get} >> a.{put}\nif tid % 2: there, back = back, there",
        {"move": "there()\nthere, back = back, there"},
        check="len(a) + len(b) == 64",
    )


MOVE = Group(
    "a.pop >> b.push",
    (
        composed_move("reagents", "Stack()", "pop", "push"),
        Case(
            "2 deques, 2 ordered Locks",
            SIDES + "one, two = threading.Lock(), threading.Lock()",
            TURN,
            {
                "move": """
with one:
    with two:
        if source: target.append(source.pop())
source, target = target, source
"""
            },
            check="len(a) + len(b) == 64",
        ),
        Case(
            "2 deques, 1 Lock for all",
            SIDES + "lock = threading.Lock()",
            TURN,
            {
                "move": """
with lock:
    if source: target.append(source.pop())
source, target = target, source
"""
            },
            check="len(a) + len(b) == 64",
        ),
    ),
)

QUEUE_MOVE = Group(
    "a.get >> b.put",
    (
        composed_move("reagents", "Queue()", "get", "put"),
        Case(
            "2 deques, 2 ordered Locks",
            SIDES + "one, two = threading.Lock(), threading.Lock()",
            TURN,
            {
                "move": """
with one:
    with two:
        if source: target.append(source.popleft())
source, target = target, source
"""
            },
            check="len(a) + len(b) == 64",
        ),
    ),
)

ACCOUNTS = "from reagents import Ref, const; a, b = Ref(1000), Ref(1000)"
SETTLED = "(a.get(), b.get()) == (1000 - rounds, 1000 + rounds)"
LOCKED_TRANSFER = Case(
    "2 ordered Locks",
    """
import threading
class Account:
    __slots__ = ("value", "lock")
    def __init__(self): self.value, self.lock = 1000, threading.Lock()
a, b = Account(), Account()
""",
    "",
    {
        "transfer": """
with a.lock:
    with b.lock:
        a.value -= 1
        b.value += 1
"""
    },
    check="(a.value, b.value) == (1000 - rounds, 1000 + rounds)",
)

TRANSFER = Group(
    "transfer between two accounts: a.upd(f) >> b.upd(g)",
    (
        Case(
            "reagents",
            ACCOUNTS,
            """
def withdraw(value, n): return value - n, n
def deposit(value, n): return value + n, n
transfer = a.upd(withdraw) >> b.upd(deposit)
""",
            {"transfer": "transfer(1)"},
            check=SETTLED,
        ),
        LOCKED_TRANSFER,
        Case(
            "atomix_stm",
            "from atomix_stm import Ref, dosync; a, b = Ref(1000), Ref(1000)",
            """
def withdraw(value): return value - 1
def deposit(value): return value + 1
def transfer():
    a.alter(withdraw)
    b.alter(deposit)
""",
            {"transfer": "dosync(transfer)"},
            check="(a.value, b.value) == (1000 - rounds, 1000 + rounds)",
            need="atomix_stm",
        ),
    ),
)

TRANSFER_ADD = Group(
    "transfer between two accounts: a.add and b.add",
    (
        Case(
            "reagents",
            ACCOUNTS,
            "transfer = const(-1) >> a.add >> const(1) >> b.add",
            {"transfer": "transfer()"},
            check=SETTLED,
        ),
        LOCKED_TRANSFER,
    ),
)

BOUNDED = Group(
    "put + get, one queue of 1024 at most",
    (
        pair("lockfree.Queue", "from lockfree import Queue; s = Queue(1024)", "put", "get"),
        pair("queue.SimpleQueue", SIMPLE_QUEUE, "put", "get", empty="s.empty()"),  # unbounded: there is none that is
        pair("queue.Queue", "import queue; s = queue.Queue(1024)", "put", "get", empty="s.empty()"),
    ),
)

# --------------------------------------------------------------------------------------- a value for each thread

OWNER = "\nclass Owner: pass\nowner = Owner()\n"

THREAD_LOCAL = Group(
    "self.local.get()",
    (
        Case(
            "lockfree.ThreadLocal",
            "from lockfree import ThreadLocal" + OWNER + "owner.local = ThreadLocal(object)",
            "",
            {"get": "owner.local.get()"},
        ),
        Case(
            "threading.local",
            "import threading" + OWNER + "owner.local = threading.local()",
            "owner.local.x = x",
            {"get": "owner.local.x"},
        ),
        Case(
            "ContextVar",
            "import contextvars" + OWNER + "owner.local = contextvars.ContextVar('local')",
            "owner.local.set(x)",
            {"get": "owner.local.get()"},
        ),
    ),
)

# ------------------------------------------------------------------------------------------------------- caches


def cached(name: str, module: str, key: str) -> Case:
    """Hits of a function whose results are all there, by five keys in turn."""
    return Case(
        name,
        f"from {module} import lru_cache\n@lru_cache(maxsize=128)\ndef f(n): return (n,)\n"
        f"keys = [{key} for n in range(100)]\nfor k in keys: f(k)",
        "a, b, c, d, e = keys[:5]",
        {f"hit {k}": f"f({k})" for k in "abcde"},
        check="f.cache_info().misses == 100",
    )


LRU_CACHE = Group(
    "lru_cache, hits by int",
    (
        cached("lockfree.lru_cache", "lockfree", "1000 + n"),
        cached("functools.lru_cache", "functools", "1000 + n"),
    ),
)

LRU_CACHE_TUPLE = Group(
    "lru_cache, hits by tuple",
    (
        cached("lockfree.lru_cache", "lockfree", "(1000 + n, str(n))"),
        cached("functools.lru_cache", "functools", "(1000 + n, str(n))"),
    ),
)

GROUPS: dict[str, Group] = {
    "queue-bounded": BOUNDED,
    "stack": STACK,
    "stack-bursts": STACK_BURSTS,
    "queue": QUEUE,
    "lifo-queue": LIFO_QUEUE,
    "priority": priority(0),
    "priority-1000": priority(1_000),
    "priority-100000": priority(100_000),
    "stack-attribute": STACK_ATTRIBUTE,
    "queue-attribute": QUEUE_ATTRIBUTE,
    "ref-get": REF_GET,
    "ref-cas": REF_CAS,
    "atomic-int": ATOMIC_INT,
    "counter": COUNTER,
    "thread-local": THREAD_LOCAL,
    "lru-cache": LRU_CACHE,
    "lru-cache-tuple": LRU_CACHE_TUPLE,
    "move": MOVE,
    "queue-move": QUEUE_MOVE,
    "transfer": TRANSFER,
    "transfer-add": TRANSFER_ADD,
}

#: The groups whose every operation is timed, and the peers that the tail is compared with.
TAILS: dict[str, tuple[str, ...]] = {
    "stack": ("lockfree.Stack", "queue.SimpleQueue", "queue.LifoQueue"),
    "queue": ("lockfree.Queue", "queue.SimpleQueue", "queue.Queue"),
    "queue-bounded": ("lockfree.Queue", "queue.SimpleQueue", "queue.Queue"),
    "move": ("reagents", "2 deques, 2 ordered Locks"),
}
