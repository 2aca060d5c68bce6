"""Reagents over two refs, an integer, a stack and a queue: a sequential model, and strategies that generate programs.

A program is a tuple, its head the name of a combinator. `build` makes the real reagent of it in a `World`; `search`
is what it means: all ways in which it can go, the preferred one first, each with its result and the state it leaves.
The reaction that happens is the first of them; where there is none, the reagent blocks. The model is a dozen lines
because it has no other threads, and it is what the library promises to behave like when there are some.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from hypothesis import strategies as st

from lockfree import AtomicInt, Queue, Stack
from reagents import BLOCK, Reagent, Ref, choice, computed, const, guard, identity, lift, never, together

Program = tuple[Any, ...]


class State(NamedTuple):
    a: Any = 1
    b: Any = 2
    number: int = 0
    stack: tuple[Any, ...] = (10,)  # the top first
    queue: tuple[Any, ...] = (20, 21)


class World:
    """The real things, holding what a state says."""

    def __init__(self, state: State) -> None:
        self.refs = {"a": Ref(state.a), "b": Ref(state.b)}
        self.number = AtomicInt(state.number)
        self.stack = Stack(reversed(state.stack))
        self.queue = Queue()
        for item in state.queue:
            self.queue.put(item)

    def state(self) -> State:
        """What they hold now; empties the queue."""
        queue = tuple(self.queue.get_nowait() for _ in range(self.queue.qsize()))
        return State(self.refs["a"].get(), self.refs["b"].get(), self.number.get(), tuple(self.stack.snapshot()), queue)


def weight(x: Any) -> int:
    """A number for any value, so that every generated function has an answer to every input."""
    if isinstance(x, tuple):
        return len(x) + sum(map(weight, x))
    return x if isinstance(x, int) else 0


def scramble(k: int, x: Any) -> int:
    return (weight(x) * 3 + k) % 11


def holds(k: int, x: Any) -> bool:
    return (weight(x) + k) % 3 != 0


def step(k: int, current: Any, x: Any) -> Any:
    """An `upd` function: now and then it blocks."""
    if (weight(current) + weight(x) + k) % 4 == 0:
        return BLOCK
    return (weight(current) * 2 + weight(x) + k) % 11, current


BUILDERS: dict[str, Callable[..., Reagent[Any, Any]]] = {
    "const": lambda w, k: const(k),
    "identity": lambda w: identity,
    "never": lambda w: never,
    "lift": lambda w, k: lift(lambda x: scramble(k, x)),
    "block": lambda w, k: lift(lambda x: x if holds(k, x) else BLOCK),
    "guard": lambda w, k: guard(lambda x: holds(k, x)),
    "read": lambda w, r: w.refs[r].read,
    "write": lambda w, r: w.refs[r].write,
    "swap": lambda w, r: w.refs[r].swap,
    "cas": lambda w, r, old, new: w.refs[r].cas(old, new) >> const(None),
    "upd": lambda w, r, k: w.refs[r].upd(lambda current, x: step(k, current, x)),
    "add": lambda w: weight >> w.number.add,
    "number": lambda w: w.number.get,
    "push": lambda w: w.stack.push >> const(None),
    "pop": lambda w: w.stack.pop,
    "top": lambda w: w.stack.peek,
    "put": lambda w: w.queue.put >> const(None),
    "get": lambda w: w.queue.get,
    "first": lambda w: w.queue.peek,
    "seq": lambda w, p, q: build(w, p) >> build(w, q),
    "choice": lambda w, p, q: build(w, p) + build(w, q),
    "pair": lambda w, p, q: build(w, p) * build(w, q),
    "together": lambda w, *ps: together(*(build(w, p) for p in ps)),
    "choices": lambda w, *ps: choice(*(build(w, p) for p in ps)),
    "computed": lambda w, k, p, q: computed(lambda x: build(w, p if holds(k, x) else q)),
}


def build(world: World, program: Program) -> Reagent[Any, Any]:
    return BUILDERS[program[0]](world, *program[1:])


#: Programs that look at a word; when nothing else is left to do, a change of that word can wake the reaction.
READING = {"read", "swap", "cas", "upd", "add", "number", "pop", "top", "get", "first"}
WRITING = {"write", "push", "put"}


def search(program: Program, s: State, x: Any, seen: set[str]) -> Iterator[tuple[Any, State]]:
    """All ways in which a program can go from a state and an input, as (result, state afterwards)."""
    kind, args = program[0], program[1:]
    seen.add(kind)
    match kind, *args:
        case "const", k:
            yield k, s
        case ("identity",):
            yield x, s
        case ("never",):
            pass
        case "lift", k:
            yield scramble(k, x), s
        case (("block" | "guard"), k):
            if holds(k, x):
                yield x, s
        case "read", r:
            yield getattr(s, r), s
        case "write", r:
            yield x, s._replace(**{r: x})
        case "swap", r:
            yield getattr(s, r), s._replace(**{r: x})
        case "cas", r, old, new:
            if getattr(s, r) == old:
                yield None, s._replace(**{r: new})
        case "upd", r, k:
            answer = step(k, getattr(s, r), x)
            if answer is not BLOCK:
                yield answer[1], s._replace(**{r: answer[0]})
        case ("add",):
            yield s.number, s._replace(number=s.number + weight(x))
        case ("number",):
            yield s.number, s
        case ("push",):
            yield None, s._replace(stack=(x, *s.stack))
        case ("pop",):
            if s.stack:
                yield s.stack[0], s._replace(stack=s.stack[1:])
        case ("top",):
            if s.stack:
                yield s.stack[0], s
        case ("put",):
            yield None, s._replace(queue=(*s.queue, x))
        case ("get",):
            if s.queue:
                yield s.queue[0], s._replace(queue=s.queue[1:])
        case ("first",):
            if s.queue:
                yield s.queue[0], s
        case "seq", p, q:
            for middle, after in search(p, s, x, seen):
                yield from search(q, after, middle, seen)
        case (("choice" | "choices"), *ps):
            for p in ps:
                yield from search(p, s, x, seen)
        case (("pair" | "together"), *ps):
            yield from side_by_side(ps, s, x, seen)
        case "computed", k, p, q:
            yield from search(p if holds(k, x) else q, s, None, seen)


def side_by_side(programs: list[Program], s: State, x: Any, seen: set[str]) -> Iterator[tuple[Any, State]]:
    if not programs:
        yield (), s
        return
    for first, after in search(programs[0], s, x, seen):
        for rest, last in side_by_side(programs[1:], after, x, seen):
            yield (first, *rest), last


refs = st.sampled_from(["a", "b"])
small = st.integers(0, 5)

#: Programs that go one way or not at all.
straight_leaves = st.one_of(
    st.tuples(st.sampled_from(["const", "lift", "block", "guard"]), small),
    st.tuples(st.sampled_from(["read", "write", "swap"]), refs),
    st.tuples(st.sampled_from(["identity", "never", "add", "number", "push", "pop", "top", "put", "get", "first"])),
    st.tuples(st.just("cas"), refs, small, small),
    st.tuples(st.just("upd"), refs, small),
)


def straight_branch(inner: st.SearchStrategy[Program]) -> st.SearchStrategy[Program]:
    return st.one_of(
        st.tuples(st.just("seq"), inner, inner),
        st.tuples(st.just("pair"), inner, inner),
        st.tuples(st.just("computed"), small, inner, inner),
        st.lists(inner, max_size=3).map(lambda ps: ("together", *ps)),
    )


def any_branch(inner: st.SearchStrategy[Program]) -> st.SearchStrategy[Program]:
    return st.one_of(
        st.tuples(st.just("choice"), inner, inner),
        st.tuples(st.just("seq"), inner, inner),
        st.lists(inner, max_size=3).map(lambda ps: ("choices", *ps)),
        straight_branch(inner),
    )


straight_programs = st.recursive(straight_leaves, straight_branch, max_leaves=6)
programs = st.recursive(straight_leaves, any_branch, max_leaves=12)
states = st.builds(
    State,
    small,
    small,
    small,
    st.lists(small, max_size=2).map(tuple),
    st.lists(small, max_size=2).map(tuple),
)
