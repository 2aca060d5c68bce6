"""The packages load and work in subinterpreters, with a GIL of their own where the interpreter has that."""

from __future__ import annotations

import sys

import pytest

from racing import run_python

# Interpreters come by another name in each version; run in a process of its own, because ending one is part of it.
PRELUDE = """
import sys, threading
try:
    import _interpreters as interpreters
    create = lambda: interpreters.create("isolated")
    execute = interpreters.exec
except ImportError:
    import _xxsubinterpreters as interpreters
    # What 3.11 calls isolated may not start threads.
    create = lambda: interpreters.create(isolated=sys.version_info >= (3, 12))
    execute = interpreters.run_string

def run(script):
    interpreter = create()
    try:
        failed = execute(interpreter, script)
        assert failed is None, failed
    finally:
        interpreters.destroy(interpreter)
"""

USE = """
import threading
from lockfree import AtomicInt, Bag, Counter, Deque, Map, Queue, SortedMap, Stack, WorkStealingDeque
from reagents import Ref, attempt, const, guard, post_commit, stats

stack, queue, ref, calls = Stack([1, 2, 3]), Queue(), Ref(0), []
names, numbers = Map(), SortedMap()
(stack.pop >> queue.put)()
assert (queue.get >> post_commit(calls.append) >> ref.write)() == 3 and calls == [3]
assert attempt(queue.get, "empty")() == "empty"
try:
    (queue.get >> ref.write)(timeout=0.001)
except TimeoutError:
    pass
else:
    raise AssertionError("it should have blocked")

counter, number = Counter(), AtomicInt()
bag, deque, own = Bag("a"), Deque("bc"), WorkStealingDeque("d")
def work(first):
    for i in range(first, 400, 2):
        attempt(own.steal >> deque.append)()
        (deque.popleft >> bag.put >> bag.get >> deque.append)()
        deque.rotate()
        counter.add()
        number.add(1)
        queue.put(i)
        (queue.get >> stack.push >> stack.pop)()
        names[i] = i
        (names.at(i).remove + numbers.at(i).write >> numbers.at(i).write)(i)
        numbers.pop_min()
threads = [threading.Thread(target=work, args=(first,)) for first in range(2)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert counter.value() == number.get() == 400 and len(stack) == 2

assert sorted([*bag, *deque]) == ["a", "b", "c", "d"] and not len(own)
bag.put(bag), deque.append(deque), own.push(own)
stack.push(stack)          # a cycle for the collector at the interpreter's end
queue.put(queue)
names['all'] = numbers['all'] = names, numbers
"""

pytestmark = pytest.mark.skipif(sys.implementation.name != "cpython", reason="subinterpreters are an affair of CPython")


def test_import_and_use() -> None:
    run_python(PRELUDE + f"run({USE!r})")


def test_again_and_again() -> None:
    run_python(PRELUDE + f"for _ in range(5): run({USE!r})")


def test_beside_the_main_interpreter() -> None:
    """Both use the packages, before and after the other is gone."""
    run_python(PRELUDE + f"exec({USE!r}, {{}})\nrun({USE!r})\nexec({USE!r}, {{}})")


def test_several_at_once() -> None:
    """Interpreters in threads; with a GIL each they run in the C code at the same time."""
    run_python(
        PRELUDE
        + f"""
errors = []
def one():
    try:
        for _ in range(2):
            run({USE!r})
    except BaseException as error:
        errors.append(error)
threads = [threading.Thread(target=one) for _ in range(3)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert not errors, errors
"""
    )


def test_types_of_two_interpreters_are_two() -> None:
    """Nothing is shared: the other interpreter's Ref is another type at another place."""
    run_python(
        PRELUDE
        + """
import os, reagents
reader, writer = os.pipe()
run(f"import os, reagents; os.write({writer}, str(id(reagents.Ref)).encode())")
assert int(os.read(reader, 100)) != id(reagents.Ref)
"""
    )


@pytest.mark.skipif(sys.version_info < (3, 12), reason="a GIL for each interpreter came with 3.12")
def test_own_gil_is_allowed() -> None:
    """An extension that did not say so would be refused at import."""
    run_python(PRELUDE + "run('import reagents._core, lockfree')")
