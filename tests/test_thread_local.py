"""`lockfree.ThreadLocal`: a value for each thread, made once, which goes with its thread and with the ThreadLocal."""

from __future__ import annotations

import gc
import os
import signal
import sysconfig
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from conventions import check_reagent_method, check_signature, check_type
from lockfree import Counter, Queue, ThreadLocal
from racing import GIL, STRESS, Background, elsewhere, race, run_python, soon
from reagents import Ref, attempt, computed, const, guard
from test_subinterpreter import PRELUDE
from test_thread_death import foreign_thread, needs_pthreads


class Value:
    """Weakly referenced, and says when it goes, and where."""

    alive = Counter()

    def __init__(self, gone: Callable[[], object] = lambda: None) -> None:
        self.alive.add()
        self.gone = gone

    def __del__(self) -> None:
        self.alive.add(-1)
        self.gone()


def test_conventions() -> None:
    check_type(ThreadLocal, lambda: ThreadLocal(list))
    check_reagent_method(ThreadLocal(list).get)
    check_signature(ThreadLocal, "get", [])
    check_signature(ThreadLocal, "set", ["value"])


def test_arguments() -> None:
    local = ThreadLocal(factory=list)
    assert local.get() == []
    for wrong in ((), (1,), (None,), (list, list)):
        with pytest.raises(TypeError):
            ThreadLocal(*wrong)  # type: ignore[arg-type]
    for call in (lambda: local.get(1), lambda: ThreadLocal.get(local, x=1), local.set, lambda: ThreadLocal.get([])):  # type: ignore[call-arg, arg-type]
        with pytest.raises(TypeError):
            call()


def test_the_factory_runs_once_a_thread() -> None:
    made = Counter()

    def factory() -> list[int]:
        made.add()
        return [threading.get_ident()]

    local = ThreadLocal(factory)

    def work() -> list[int]:
        mine = local.get()
        assert all(local.get() is mine for _ in range(100))
        barrier.wait()
        return mine

    barrier = threading.Barrier(8)
    results = race(*[work] * 8)
    assert made.value() == 8 == len({id(mine) for mine in results})
    assert local.get()[0] == threading.get_ident()


def test_set_is_for_this_thread_alone() -> None:
    local: ThreadLocal[Any] = ThreadLocal(lambda: "made")
    assert local.set("set") is None
    assert (local.get(), elsewhere(local.get)) == ("set", "made")
    local.set(None)
    assert local.get() is None
    elsewhere(local.set, "another")
    assert local.get() is None


def test_any_number_of_them() -> None:
    """More than a thread's table begins with; some go meanwhile."""
    locals_ = [ThreadLocal(lambda n=n: [n]) for n in range(500)]

    def work() -> None:
        first = [local.get() for local in locals_]
        assert [value for (value,) in first] == list(range(500))
        assert all(local.get() is value for local, value in zip(locals_, first, strict=True))

    race(work, work)
    work()
    kept = locals_[::7]
    del locals_[:]
    new = [ThreadLocal(lambda n=n: -n) for n in range(1, 100)]
    assert [local.get() for local in new] == list(range(-1, -100, -1))
    assert [local.get() for local in kept] == [[n] for n in range(0, 500, 7)]


def test_a_factory_that_raises_is_tried_again() -> None:
    answers = iter([KeyError("first"), SystemExit("second")])

    def factory() -> str:
        for error in answers:
            raise error
        return "third"

    local = ThreadLocal(factory)
    with pytest.raises(KeyError, match="first"):
        local.get()
    with pytest.raises(SystemExit, match="second"):
        (local.get >> const(1))()
    assert local.get() == "third"


def test_a_factory_that_asks_for_its_own_value() -> None:
    """For ever: RecursionError. Once: the value made first, which is the inner one, is everybody's."""
    endless: ThreadLocal[Any] = ThreadLocal(lambda: endless.get())
    with pytest.raises(RecursionError):
        endless.get()
    ring: ThreadLocal[Any] = ThreadLocal((const(0) >> computed(lambda _: in_c.get)).__call__)
    in_c: ThreadLocal[Any] = ThreadLocal(ring.get)
    with pytest.raises(RecursionError):
        in_c.get()

    depth: list[int] = []

    def factory() -> list[int]:
        depth.append(len(depth))
        return nested.get() if len(depth) < 3 else list(depth)

    nested = ThreadLocal(factory)
    assert nested.get() == [0, 1, 2]
    assert nested.get() is nested.get()

    sets: ThreadLocal[str] = ThreadLocal(lambda: sets.set("set") or "made")
    assert sets.get() == sets.get() == "set"


def test_as_a_reagent() -> None:
    local: ThreadLocal[list[int]] = ThreadLocal(list)
    ref, queue = Ref(1), Queue[Any]()
    mine = (local.get * ref.read)()
    assert mine == ([], 1)
    assert mine[0] is local.get()
    (local.get >> queue.put)()
    assert queue.get() is local.get()
    fresh = elsewhere((ref.read * local.get * local.get).__call__)
    assert fresh[0][1] is fresh[1] is not local.get()
    assert attempt(local.get >> guard(lambda _: False), "blocked")() == "blocked"


def test_the_factory_runs_outside_of_the_reaction() -> None:
    """What it changes stays, a reaction that has read that starts again, and the value is made once all the same."""
    ref, made, seen = Ref(0), list[int](), Ref(-1)

    def factory() -> int:
        made.append(ref.get())
        ref.set(5)
        return 7

    local = ThreadLocal(factory)
    assert ((ref.read >> seen.write) * local.get)() == (5, 7)
    assert seen.get() == 5
    assert made == [0]


def test_goes_with_its_thread_in_its_thread() -> None:
    went: list[int] = []
    local = ThreadLocal(lambda: Value(lambda: went.append(threading.get_ident())))
    here = local.get()

    def work() -> tuple[int, weakref.ref[Value]]:
        return threading.get_ident(), weakref.ref(local.get())

    for _ in range(3):
        thread_id, value = elsewhere(work)
        assert value() is None
        assert went == [thread_id]
        went.clear()
    assert local.get() is here


def test_goes_with_the_thread_local() -> None:
    """The values of threads that live on, too; at once, but that without the GIL an object which another thread has
    made goes when that thread is next running."""
    local = ThreadLocal(Value)
    ready, over = threading.Barrier(3), threading.Event()
    values: list[weakref.ref[Value]] = [weakref.ref(local.get())]

    def work() -> int:
        values.append(weakref.ref(box[0].get()))
        ready.wait()
        over.wait()
        return ThreadLocal(lambda: 5).get()

    box = [local]
    threads = [Background(work) for _ in range(2)]
    ready.wait()
    assert [value() is not None for value in values] == [True] * 3
    del local
    box.clear()
    assert not any(value() for value in values[: None if GIL else 1])
    over.set()
    assert [thread.result() for thread in threads] == [5, 5]
    assert not any(value() for value in values)


def test_any_number_that_come_and_go() -> None:
    """As many as ever were do not cost memory; a thread's table is as large as those that it uses at once need."""
    kept = [ThreadLocal(list) for _ in range(20)]
    for local in kept:
        local.get()

    def some(count: int) -> None:
        for _ in range(count):
            ThreadLocal(int).get()

    some(10_000)
    before = resident()
    some(500_000)
    assert resident() - before < 2_000
    assert all(local.get() == [] for local in kept)


#: Most of the memory of a process that a sanitizer watches is the sanitizer's.
SANITIZED = "-fsanitize" in str(sysconfig.get_config_var("PY_CORE_CFLAGS")) or "libasan" in os.environ.get(
    "LD_PRELOAD", ""
)


def resident() -> int:
    """KiB."""
    if SANITIZED:
        return 0
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


def test_threads_that_come_and_go() -> None:
    """A cell that an ended thread has left is the next one's; nothing grows, and no value outlives its thread."""
    locals_ = [ThreadLocal(lambda: [Value()]) for _ in range(30)]

    def work() -> None:
        for local in locals_:
            assert len(local.get()) == 1

    def churn() -> None:
        for _ in range(150 * STRESS):
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()

    before = Value.alive.value()
    churn()
    size = resident()
    race(churn, churn, meanwhile=[gc.collect])
    assert Value.alive.value() == before
    assert resident() - size < 4_000


def test_cells_pass_on_while_thread_locals_die() -> None:
    """Threads end and ThreadLocals go at the same time: each value goes once."""
    shared: list[ThreadLocal[Value]] = [ThreadLocal(Value) for _ in range(10)]
    before = Value.alive.value()

    def use() -> None:
        for local in list(shared):
            assert local.get() is local.get()

    def threads() -> None:
        for _ in range(200 * STRESS):
            thread = threading.Thread(target=use)
            thread.start()
            thread.join()

    def replace() -> None:
        for n in range(2_000 * STRESS):
            shared[n % 10] = ThreadLocal(Value)
            shared[n % 10].get()

    race(threads, threads, replace)
    shared.clear()
    gc.collect()
    soon(lambda: Value.alive.value() == before, "the end of all values")


def test_cycles_are_collected() -> None:
    """Through a value, here or of another thread, back to the ThreadLocal; and through the factory."""
    gc.collect()
    over = threading.Event()

    class Holder:
        def __init__(self) -> None:
            self.local: ThreadLocal[Any] = ThreadLocal(lambda: [self])

    holder = Holder()
    reference = weakref.ref(holder)
    value = weakref.ref(holder.local)
    holder.local.get()
    ready = threading.Event()

    def work() -> None:
        box.pop().local.get()
        ready.set()
        over.wait()

    box = [holder]
    thread = Background(work)
    ready.wait()
    del holder
    gc.collect()
    assert reference() is None is value()
    over.set()
    thread.result()


def test_referents() -> None:
    local: ThreadLocal[Any] = ThreadLocal(list)
    value = local.get()
    assert any(referent is value for referent in gc.get_referents(local))


def test_destructors_that_use_it() -> None:
    """A value's destructor may ask for values, of its own ThreadLocal too, some times over; nothing is kept."""
    seen = Queue[Any]()
    other = ThreadLocal(lambda: "made")
    before = Value.alive.value()

    def use() -> None:
        try:
            seen.put(other.get())
            local.get()  # each makes one more
        except RuntimeError as error:
            seen.put(error)
            with pytest.raises(RuntimeError, match="ended"):
                other.set("late")

    local = ThreadLocal(lambda: Value(use))
    elsewhere(lambda: other.set("mine") or (local.get() and None))
    items = [seen.get_nowait() for _ in range(seen.qsize())]
    assert len(items) > 2
    assert "ended" in str(items.pop())
    assert set(items) <= {"mine", "made"}
    assert Value.alive.value() == before


def test_a_destructor_that_uses_it_in_the_middle_of_set() -> None:
    local: ThreadLocal[Any] = ThreadLocal(lambda: "made")
    seen: list[Any] = []
    local.set(Value(lambda: seen.append(local.get())))
    local.set("second")
    local.set(Value(lambda: local.set("by the destructor")))
    local.set("third")
    assert (seen, local.get()) == (["second"], "by the destructor")


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers")
def test_signal_handlers_that_use_it() -> None:
    """In the middle of a factory: the handler gets the value that everybody gets then."""
    seen: list[object] = []
    local = ThreadLocal(lambda: signal.raise_signal(signal.SIGALRM) or [])
    depth = iter(range(5))
    before = signal.signal(
        signal.SIGALRM, lambda *_: seen.append(local.get()) if next(depth, None) is not None else None
    )
    try:
        value = local.get()
    finally:
        signal.signal(signal.SIGALRM, before)
    assert len(seen) == 5
    assert all(one is value for one in seen)


def test_memory_that_runs_out_at_the_first_use_in_a_thread() -> None:
    """It raises MemoryError, once; the thread has its values all the same."""
    _testcapi = pytest.importorskip("_testcapi", reason="CPython's own test module, which makes allocations fail")
    local: ThreadLocal[Any] = ThreadLocal(list)
    failures = 0

    def use(n: int) -> bool:
        failed = False
        _testcapi.set_nomemory(n, n + 1)
        try:
            local.set(n)
        except MemoryError:
            failed = True
        finally:
            _testcapi.remove_mem_hooks()
        local.set(failed)
        return bool(local.get())

    gc.disable()  # whether it starts is up to chance
    try:
        for n in range(20):
            failures += elsewhere(lambda n=n: use(n))
    finally:
        gc.enable()
    assert failures >= 2, "neither the table nor its place in the thread's dictionary asks for memory"


def test_can_be_subclassed() -> None:
    class Buffers(ThreadLocal[list[int]]):
        def __init__(self, factory: Callable[[], list[int]], name: str = "") -> None:
            self.name = name

        def __new__(cls, factory: Callable[[], list[int]], name: str = "") -> Buffers:
            return super().__new__(cls, factory)

    buffers = Buffers(lambda: [1], "buffers")
    assert (buffers.get(), buffers.name, elsewhere(buffers.get)) == ([1], "buffers", [1])
    reference = weakref.ref(buffers)
    del buffers
    assert reference() is None


@needs_pthreads
def test_threads_that_python_did_not_start() -> None:
    """Each call into Python is a thread state of its own, for threading.local as well."""
    local, before, made = ThreadLocal(Value), Value.alive.value(), []

    def work() -> None:
        made.append(weakref.ref(local.get()))
        assert local.get() is made[-1]()

    for n in range(20):
        foreign_thread(work)
        assert (len(made), made[-1]()) == (n + 1, None)
    assert Value.alive.value() == before


FORK = """
import os, threading, weakref
from lockfree import ThreadLocal

class Value: pass

local, ready, over = ThreadLocal(Value), threading.Barrier(4), threading.Event()
mine, others = local.get(), []
def work():
    others.append(weakref.ref(local.get()))
    ready.wait()
    over.wait()
threads = [threading.Thread(target=work) for _ in range(3)]
for thread in threads: thread.start()
ready.wait()
child = os.fork()
if not child:
    assert local.get() is mine
    if {child_clears}:
        assert not any(value() for value in others), "threads that are no more have no values"
    made = []
    def work():
        made.append(weakref.ref(local.get()))
        ThreadLocal(int).get()
    for _ in range(5):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert len(made) == 5 and not any(value() for value in made)
    reference = weakref.ref(mine)
    del mine, local
    assert reference() is None and not any(value() for value in others)
    os._exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
over.set()
for thread in threads: thread.join()
assert local.get() is mine and not any(value() for value in others)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_fork() -> None:
    run_python(FORK.replace("{child_clears}", "True"), "-W", "ignore::DeprecationWarning")


def test_interpreters_have_their_own() -> None:
    """One thread in several interpreters: each has its values, and they go with it."""
    script = """
from lockfree import ThreadLocal
import threading
class Value:
    def __del__(self, print=print): print("gone", flush=True)
local = ThreadLocal(Value)
many = [ThreadLocal(lambda n=n: [n]) for n in range(50)]
assert local.get() is local.get()
assert [x.get() for x in many] == [[n] for n in range(50)]
"""
    code = f"""{PRELUDE}
from lockfree import ThreadLocal
mine = [ThreadLocal(lambda n=n: -n) for n in range(50)]
def check(): assert [x.get() for x in mine] == [-n for n in range(50)]
check()
for _ in range(3):
    run({script!r})
    check()
thread = threading.Thread(target=lambda: [check(), run({script!r}), check()])
thread.start()
thread.join()
check()
"""
    assert run_python(code).stdout.split() == ["gone"] * 4


AT_EXIT = """
import threading
from lockfree import ThreadLocal

class Value:
    def __del__(self): pass

locals_ = [ThreadLocal(lambda: [Value()]) for _ in range(40)]
going = threading.Barrier(4)
def hammer():
    first = True
    while True:
        for local in locals_: local.get()
        ThreadLocal(Value).get()
        locals_[0].set(Value())
        if first: going.wait()
        first = False
for _ in range(3): threading.Thread(target=hammer, daemon=True).start()
going.wait()
print("leaving", flush=True)
"""


def test_daemons_at_the_interpreter_s_exit() -> None:
    for _ in range(5 * STRESS):
        assert run_python(AT_EXIT).stdout == "leaving\n"
