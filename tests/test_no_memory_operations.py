"""Memory that runs out, at each allocation of each public operation: it happens as it should, or not at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lockfree import AtomicInt, Counter, LifoQueue, PriorityQueue, Queue, Stack
from no_memory import Case, check
from racing import GIL
from reagents import (
    BLOCK,
    Reagent,
    Ref,
    attempt,
    choice,
    computed,
    const,
    guard,
    identity,
    lift,
    never,
    post_commit,
    stats,
    together,
)

BIG = 10**12  # past the integers that are there already
ITEMS = ("a", "b", "c")


def nothing() -> None:
    """The look at what cannot change."""


def stack_of(*items: Any) -> Stack[Any]:
    return Stack(items)


def queue_of(*items: Any) -> Queue[Any]:
    queue: Queue[Any] = Queue()
    for item in items:
        queue.put(item)
    return queue


def contents(queue: Queue[Any]) -> list[Any]:
    """All items; they are put back."""
    items = [queue.get() for _ in range(queue.qsize())]
    for item in items:
        queue.put(item)
    return items


def on_a_stack(operation: Callable[[Stack[Any], Any], Any], *items: Any) -> Case:
    """The operation on a stack of these and of the token on top."""

    def case(token: Any) -> Any:
        stack = stack_of(*items, token)
        return lambda: operation(stack, token), stack.snapshot

    return case


def on_a_queue(operation: Callable[[Queue[Any], Any], Any], *items: Any) -> Case:
    """The operation on a queue of the token and of these behind it."""

    def case(token: Any) -> Any:
        queue = queue_of(token, *items)
        return lambda: operation(queue, token), lambda: contents(queue)

    return case


def on_a_full_queue(operation: Callable[[Queue[Any], Any], Any]) -> Case:
    """The operation on a queue of one item, with room for no more."""

    def case(token: Any) -> Any:
        queue = queue_of(1)
        queue.maxsize = 1
        return lambda: operation(queue, token), lambda: contents(queue)

    return case


def on_a_priority_queue(operation: Callable[[PriorityQueue[Any], Any], Any], maxsize: int = 0) -> Case:
    """The operation on a queue of (1, the token) and three others, each a tuple."""

    def case(token: Any) -> Any:
        queue: PriorityQueue[Any] = PriorityQueue(maxsize)
        for item in ((3, "c"), (1, token), (2, "b"), (4, "d")):
            queue.put(item)
        return lambda: operation(queue, token), queue.snapshot

    return case


def on_a_lifo_queue(operation: Callable[[LifoQueue[Any], Any], Any]) -> Case:
    def case(token: Any) -> Any:
        queue: LifoQueue[Any] = LifoQueue()
        queue.put(1)
        queue.put(token)
        return lambda: operation(queue, token), queue.snapshot

    return case


def on_a_ref(operation: Callable[[Ref[Any], Any], Any], value: Any = None) -> Case:
    """The operation on a Ref that holds the value; without one, the token."""

    def case(token: Any) -> Any:
        ref: Ref[Any] = Ref(token if value is None else value)
        return lambda: operation(ref, token), ref.get

    return case


def on_a_number(operation: Callable[[AtomicInt], Any]) -> Case:
    def case(token: Any) -> Any:
        number = AtomicInt(BIG)
        return lambda: operation(number), number.get

    return case


def on_a_counter(operation: Callable[[Counter], Any]) -> Case:
    def case(token: Any) -> Any:
        counter = Counter(BIG)
        return lambda: operation(counter), counter.value

    return case


def pure(operation: Callable[[Any], Any]) -> Case:
    """What changes nothing that it was given."""
    return lambda token: (lambda: operation(token), nothing)


# Functions of the operations, made here, for CPython 3.12 and 3.13 crash (and 3.11 leaks) where a function is made
# and there is no memory for it.


def fail(*_: Any) -> Any:
    raise LookupError


def alone(x: Any) -> Any:
    return (x,)


def replaced(old: Any, x: Any) -> Any:
    return (x,), old


def blocked(old: Any, x: Any) -> Any:
    return BLOCK


def doubled(old: int) -> int:
    return old * 2


def added(old: int, x: int) -> Any:
    return old + x, old


def no_number(old: int, x: Any) -> Any:
    return "", old


def constant(x: Any) -> Any:
    return const((x,))


def no(_: Any) -> bool:
    return False


CASES: dict[str, Case] = {
    # Making them, and their end.
    "Stack()": pure(lambda t: type(Stack())),
    "Stack(items)": pure(lambda t: len(Stack(ITEMS))),
    "Queue()": pure(lambda t: type(Queue())),
    "Queue(0)": pure(lambda t: Queue(0).qsize()),
    "Queue(n)": pure(lambda t: Queue(BIG).maxsize),
    "Counter()": pure(lambda t: type(Counter())),
    "Counter(n)": pure(lambda t: Counter(BIG).value()),
    "AtomicInt()": pure(lambda t: type(AtomicInt())),
    "AtomicInt(n)": pure(lambda t: AtomicInt(BIG).get()),
    "Ref()": pure(lambda t: type(Ref())),
    "Ref(value)": pure(lambda t: Ref(t).get()),
    "the end of a chain": pure(lambda t: type(_chain(t, 100))),
    "stats": pure(lambda t: stats().keys()),
    # Stack
    "push": on_a_stack(lambda s, t: s.push(t)),
    "pop": on_a_stack(lambda s, t: s.pop(), 1),
    "pop, with a timeout": on_a_stack(lambda s, t: s.pop(timeout=1.5), 1),
    "pop_nowait": on_a_stack(lambda s, t: s.pop_nowait(), 1),
    "pop of an empty one": pure(lambda t: Stack().pop(block=False)),
    "pop_nowait of an empty one": pure(lambda t: Stack().pop_nowait()),
    "pop until the timeout": pure(lambda t: Stack().pop(timeout=1e-6)),
    "Stack.peek": on_a_stack(lambda s, t: s.peek()),
    "peek of an empty Stack": pure(lambda t: Stack().peek(timeout=0)),
    "len of a Stack": on_a_stack(lambda s, t: len(s), *range(300)),
    "repr of an empty Stack": pure(lambda t: repr(Stack())),
    "push, unbound": on_a_stack(lambda s, t: Stack.push(s, t)),
    # Queue
    "put": on_a_queue(lambda q, t: q.put(t)),
    "put, with a timeout": on_a_queue(lambda q, t: q.put(t, block=True, timeout=1.5)),
    "put_nowait": on_a_queue(lambda q, t: q.put_nowait(t)),
    "get": on_a_queue(lambda q, t: q.get(), 1),
    "get, with a timeout": on_a_queue(lambda q, t: q.get(True, 1.5), 1),
    "get_nowait": on_a_queue(lambda q, t: q.get_nowait(), 1),
    "get of an empty one": pure(lambda t: Queue().get(block=False)),
    "get_nowait of an empty one": pure(lambda t: Queue().get_nowait()),
    "get until the timeout": pure(lambda t: Queue().get(timeout=1e-6)),
    "Queue.peek": on_a_queue(lambda q, t: q.peek()),
    "peek of an empty Queue": pure(lambda t: Queue().peek(timeout=0)),
    "qsize": on_a_queue(lambda q, t: (q.qsize(), len(q), q.empty(), q.full()), *range(300)),
    "repr of a Queue": pure(lambda t: len(repr(Queue())) > 0),
    "put, of a full one": on_a_full_queue(lambda q, t: q.put(t, block=False)),
    "put_nowait, of a full one": on_a_full_queue(lambda q, t: q.put_nowait(t)),
    "put until the timeout": on_a_full_queue(lambda q, t: q.put(t, timeout=1e-6)),
    "maxsize": on_a_full_queue(lambda q, t: setattr(q, "maxsize", 3)),
    "get of one that is shut down": pure(lambda t: (q := Queue(), q.shutdown(), q.get())),
    "put of one that is shut down": pure(lambda t: (q := Queue(), q.shutdown(), q.put(t))),
    "shutdown at once": pure(
        lambda t: (q := queue_of(t, "a", "b"), q.shutdown(True), q.qsize(), q.unfinished_tasks)[2:]
    ),
    "task_done": on_a_queue(lambda q, t: q.task_done(), 1),
    "task_done, too often": pure(lambda t: Queue().task_done()),
    "join": pure(lambda t: Queue().join()),
    "Stack.clear": pure(lambda t: (s := stack_of(t, "a", "b"), s.clear(), len(s))[1:]),
    # PriorityQueue and LifoQueue
    "PriorityQueue(2)": pure(lambda t: PriorityQueue(2).maxsize),
    "PriorityQueue.put": on_a_priority_queue(lambda q, t: q.put((0, t))),
    "PriorityQueue.put that raises": on_a_priority_queue(lambda q, t: q.put(t)),
    "PriorityQueue.get": on_a_priority_queue(lambda q, t: q.get()),
    "PriorityQueue.get and put": on_a_priority_queue(lambda q, t: (q.get >> q.put >> q.peek)()),
    "PriorityQueue.shutdown": on_a_priority_queue(lambda q, t: (q.shutdown(), q.is_shutdown)),
    "PriorityQueue.shutdown at once": on_a_priority_queue(lambda q, t: q.shutdown(immediate=True)),
    "PriorityQueue.snapshot": on_a_priority_queue(lambda q, t: q.snapshot()),
    "PriorityQueue.maxsize": on_a_priority_queue(lambda q, t: setattr(q, "maxsize", 300)),
    "LifoQueue.put": on_a_lifo_queue(lambda q, t: q.put(t)),
    "LifoQueue.get": on_a_lifo_queue(lambda q, t: q.get()),
    "LifoQueue.get and put": on_a_lifo_queue(lambda q, t: (q.get >> q.put >> q.get)()),
    # Ref
    "Ref.get": on_a_ref(lambda r, t: r.get()),
    "Ref.set": on_a_ref(lambda r, t: r.set(5), "before"),
    "Ref.swap": on_a_ref(lambda r, t: r.swap(t), "before"),
    "Ref.add": on_a_ref(lambda r, t: r.add(BIG), BIG),
    "Ref.add of lists": on_a_ref(lambda r, t: r.add((t,)), (1,)),
    "Ref.compare_and_set": on_a_ref(lambda r, t: r.compare_and_set(BIG + 1, t), BIG + 1),
    "Ref.update": on_a_ref(lambda r, t: r.update(alone), "before"),
    "Ref.update that raises": on_a_ref(lambda r, t: r.update(fail)),
    "Ref.cas": on_a_ref(lambda r, t: r.cas(t, 5)()),
    "Ref.cas, blocked": on_a_ref(lambda r, t: r.cas("another", t)(timeout=0)),
    "Ref.upd": on_a_ref(lambda r, t: r.upd(replaced)(t)),
    "Ref.upd, blocked": on_a_ref(lambda r, t: r.upd(blocked)(timeout=1e-6)),
    "Ref.upd, wrong": on_a_ref(lambda r, t: r.upd(t)()),
    "Ref.upd that raises": on_a_ref(lambda r, t: r.upd(fail)()),
    "Ref.read": on_a_ref(lambda r, t: r.read()),
    "Ref.write": on_a_ref(lambda r, t: r.write(t), "before"),
    "Ref.swap composed": on_a_ref(lambda r, t: (r.swap >> identity)(t), "before"),
    "repr of a Ref": pure(lambda t: repr(Ref("one"))),
    # AtomicInt
    "AtomicInt.get": on_a_number(lambda n: n.get()),
    "AtomicInt.set": on_a_number(lambda n: n.set(BIG + 1)),
    "AtomicInt.add": on_a_number(lambda n: n.add(BIG)),
    "AtomicInt.swap": on_a_number(lambda n: n.swap(BIG + 1)),
    "AtomicInt.compare_and_set": on_a_number(lambda n: n.compare_and_set(BIG, BIG + 1)),
    "AtomicInt.update": on_a_number(lambda n: n.update(doubled)),
    "AtomicInt.cas": on_a_number(lambda n: n.cas(BIG, BIG + 1)()),
    "AtomicInt.cas, blocked": on_a_number(lambda n: n.cas(BIG + 1, BIG)(timeout=0)),
    "AtomicInt.upd": on_a_number(lambda n: n.upd(added)(BIG)),
    "AtomicInt.upd with no number": on_a_number(lambda n: n.upd(no_number)()),
    "AtomicInt.add composed": on_a_number(lambda n: (n.add >> identity)(BIG)),
    "AtomicInt.swap composed": on_a_number(lambda n: (n.swap >> n.read)(BIG + 1)),
    "AtomicInt.write": on_a_number(lambda n: n.write(BIG + 1)),
    "int()": on_a_number(lambda n: (int(n), n.__index__(), repr(n))),
    "beyond a word": on_a_number(lambda n: n.add(2**62 - 1)),
    # Counter
    "Counter.add": on_a_counter(lambda c: c.add(BIG)),
    "Counter.add of one": on_a_counter(lambda c: c.add()),
    "Counter.add composed": on_a_counter(lambda c: (c.add >> c.value)(BIG)),
    "Counter.value": on_a_counter(lambda c: (c.value(), repr(c))),
    # Making reagents
    "sequence": pure(lambda t: repr(len >> identity >> len)),
    "sequence of two functions": pure(lambda t: type(t >> const(t))),
    "choice": pure(lambda t: repr(const(1) + never) + repr(choice(const(1), never, identity)) + repr(choice())),
    "pair": pure(lambda t: repr(const(1) * identity) + repr(together(const(1), identity)) + repr(together())),
    "lifted": pure(lambda t: repr((lift(len), guard(len), computed(len), post_commit(len)))),
    "attempt": pure(lambda t: repr(attempt(never, ITEMS))),
    "not a reagent": pure(lambda t: identity + t),
    "not reagents": pure(lambda t: together(identity, t)),
    "bound methods": pure(lambda t: (type(Stack().push), type(Queue().get), type(Counter().value), type(Ref().swap))),
    # Running them
    "run of const": pure(lambda t: const(t)()),
    "run of lift": pure(lambda t: lift(t)(t)),
    "run of a pair": pure(lambda t: (identity * lift(t))(t)),
    "run of three": pure(lambda t: together(identity, lift(t), const(BIG))(t)),
    "run of attempt": pure(lambda t: attempt(never, t)()),
    "run of guard": pure(lambda t: (guard(alone) >> identity)(t)),
    "run of computed": pure(lambda t: computed(constant)(t)),
    "run of a wrong computed": pure(lambda t: computed(t)()),
    "run of never": pure(lambda t: never()),
    "run that times out": on_a_ref(lambda r, t: (r.read >> guard(no))(timeout=1e-6)),
    "run by keywords": on_a_ref(lambda r, t: (r.swap >> identity)(x=t, timeout=1.5)),
    "run that raises": on_a_ref(lambda r, t: (const(5) >> r.swap >> lift(fail))()),
}

# Without the GIL a list of some length that finds no memory for its items is a crash of the interpreter's.
if GIL:
    CASES |= {
        "snapshot": on_a_stack(lambda s, t: s.snapshot(), 1, 2, 3),
        "iteration": on_a_stack(lambda s, t: tuple(s), 1, 2, 3),
        "repr of a Stack": pure(lambda t: repr(Stack(ITEMS))),
    }


def _chain(token: Any, length: int) -> Any:
    """A structure that holds a structure that holds ..., to be freed at once."""
    link = token
    for n in range(length):
        link = (Ref(link), Stack((link,)), queue_of(link), const(link))[n % 4]
    return link


@pytest.mark.parametrize("name", CASES)
def test_operation(name: str) -> None:
    check(CASES[name])


# ---- reactions over several words ----------------------------------------------------------------


def move_from_a_stack(t: Any) -> Any:
    stack, queue = stack_of(1, t), queue_of(2)
    return (stack.pop >> queue.put), lambda: (stack.snapshot(), contents(queue))


def move_from_a_queue(t: Any) -> Any:
    stack, queue = stack_of(1), queue_of(t, 2)
    return (queue.get >> stack.push), lambda: (stack.snapshot(), contents(queue))


def through_an_empty_queue(t: Any) -> Any:
    """The gets pass what the puts of the same reaction have made, and the tail."""
    queue, ref = queue_of(), Ref(None)
    return (const(t) >> queue.put >> queue.get >> queue.put >> queue.get >> ref.swap), lambda: (
        contents(queue),
        ref.get(),
    )


def the_right_branch(t: Any) -> Any:
    """The left one has done much that must be undone, and the right one owns what is left of it."""
    ref, stack, queue, number = Ref(t), stack_of(t, t), queue_of(t), AtomicInt(BIG)
    work = const(t) >> ref.swap >> stack.push >> queue.get >> queue.put >> stack.pop >> post_commit(t)
    left = work >> work >> never
    return (left + (const(t) >> ref.swap >> stack.push)), lambda: (
        ref.get(),
        stack.snapshot(),
        contents(queue),
        number.get(),
    )


def many_words(t: Any) -> Any:
    """The log, its index, the descriptor and what is given up: none has enough room from the start."""
    refs = [Ref(t) for _ in range(40)]
    return together(*(const((i,)) >> ref.swap for i, ref in enumerate(refs))), lambda: [ref.get() for ref in refs]


def many_words_undone(t: Any) -> Any:
    refs = [Ref(t) for _ in range(40)]
    writes: Reagent[Any, Any] = identity
    for ref in refs:
        writes = writes >> const(t) >> ref.write
    return attempt(writes >> never, t), lambda: [ref.get() for ref in refs]


def many_actions(t: Any) -> Any:
    done: list[Any] = []
    reaction: Reagent[Any, Any] = const(t)
    for _ in range(10):
        reaction = reaction >> post_commit(lambda _: None)
    return reaction, lambda: done


def many_nodes(t: Any) -> Any:
    stack = stack_of(*[t] * 6)
    reaction: Reagent[Any, Any] = const(t)
    for _ in range(10):
        reaction = reaction >> const(t) >> stack.push
    return together(reaction, *[stack.pop] * 6), stack.snapshot


def many_computed(t: Any) -> Any:
    ref = Ref(t)

    def step(n: int) -> Any:
        return const(n - 1) >> computed(step) if n else ref.swap

    return (lambda: computed(step)(20)), ref.get


def deep(t: Any) -> Any:
    """Continuations and choices nest deeper than there is room for from the start."""
    ref = Ref(t)
    reaction: Reagent[Any, Any] = ref.swap
    for _ in range(20):
        reaction = (identity * (never + reaction)) >> (lambda pair: pair[1])
    return (lambda: reaction(5)), ref.get


def counter_with_others(t: Any) -> Any:
    counter, number, ref = Counter(BIG), AtomicInt(BIG), Ref(t)
    return (number.get >> counter.add >> counter.value >> number.add >> ref.swap), lambda: (
        counter.value(),
        number.get(),
        ref.get(),
    )


def blocked_on_many(t: Any) -> Any:
    refs = [Ref(t) for _ in range(40)]
    reads = together(*(ref.read for ref in refs)) >> guard(lambda values: False)
    return (lambda: reads(timeout=1e-6)), lambda: ([ref.get() for ref in refs], stats()["waiting"])


def blocked_choice(t: Any) -> Any:
    stack, queue, ref = stack_of(), queue_of(), Ref(t)
    reaction = const(t) >> ref.swap >> (stack.pop + queue.get)
    return (lambda: reaction(timeout=1e-6)), lambda: (ref.get(), stats()["waiting"])


@pytest.mark.parametrize(
    "case",
    [
        move_from_a_stack,
        move_from_a_queue,
        through_an_empty_queue,
        the_right_branch,
        many_words,
        many_words_undone,
        many_actions,
        many_nodes,
        many_computed,
        deep,
        counter_with_others,
        blocked_on_many,
        blocked_choice,
    ],
)
def test_reaction(case: Case) -> None:
    check(case)
