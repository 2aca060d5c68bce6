"""docs/memory-model.md: every program and every claim of it, on real threads and under all interleavings."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from litmus import (
    MEMORIES,
    PAGE,
    PAUSES,
    WAYS,
    Memory,
    Outcome,
    Program,
    in_rounds,
    pause,
    programs,
    run_on_threads,
    scenario_of,
)
from lockfree import AtomicInt, Queue, Stack
from racing import STRESS
from reagents import Reagent, Ref, attempt, const, guard, post_commit
from reagents.testing import explore

ROUNDS = 300 * STRESS
BATCHES = 2  # of so many rounds, with other luck
PATIENT = 4 * 100  # batches until what can be seen must have been seen

PROGRAMS = programs()
for_each_program = pytest.mark.parametrize("program", PROGRAMS, ids=[program.name for program in PROGRAMS])


@contextmanager
def shared_memory() -> Iterator[Memory]:
    """Words of a Segment."""
    pytest.importorskip("cffi", reason="lockfree.shm needs cffi")
    from segments import segment

    with segment(ROUNDS * 8 * 8 * 2) as seg:
        at = iter(range(ROUNDS * 8))
        array = seg.array("words", "int64", ROUNDS * 8)
        yield lambda n: [array.at(next(at)) for _ in range(n)]


@contextmanager
def memory_of(kind: str) -> Iterator[Memory]:
    if kind in MEMORIES:
        yield MEMORIES[kind]
    else:
        with shared_memory() as memory:
            yield memory


FEW_THREADS = [program for program in PROGRAMS if len(program.threads) <= 3]


# ---------------------------------------------------------------- the programs


def test_the_document_has_the_classics() -> None:
    names = [program.name for program in PROGRAMS]
    assert len(set(names)) == len(names)
    assert {"MP", "SB", "LB", "S", "R", "2+2W", "WRC", "RWC", "ISA2", "IRIW"} <= set(names)
    assert {"CoRR", "CoWW", "CoRW", "CoWR", "both", "snapshot", "swap", "skew"} <= set(names)


@for_each_program
def test_what_is_never_seen_is_possible_only_out_of_order(program: Program) -> None:
    """As far as brute force over a model can tell; so each program is worth being run."""
    assert not program.is_seen(program.outcomes)
    assert list(program.weakened)


@pytest.mark.parametrize("kind", ["Ref", "AtomicInt", "Segment"])
@for_each_program
def test_real_threads(program: Program, kind: str) -> None:
    """No outcome but those of some interleaving, whichever way the accesses are done."""
    seen: set[Outcome] = set()
    for seed in range(BATCHES):
        with memory_of(kind) as memory:
            seen |= run_on_threads(program, memory, ROUNDS, seed)
    assert not program.is_seen(seen)
    assert seen <= program.outcomes
    assert len(seen) > 1, "the threads never met"


@pytest.mark.parametrize("kind", sorted(MEMORIES))
@pytest.mark.parametrize("program", FEW_THREADS, ids=[program.name for program in FEW_THREADS])
def test_real_threads_would_see_it(program: Program, kind: str) -> None:
    """With the steps of one thread reordered, or taken apart, the same run sees what must never be seen.

    Of up to three threads: four seldom meet in the right way where there are two processors.
    """
    for weakened in program.weakened:
        assert any(
            program.is_seen(run_on_threads(weakened, MEMORIES[kind], ROUNDS, seed)) for seed in range(PATIENT)
        ), weakened


@pytest.mark.parametrize("kind", sorted(MEMORIES))
@for_each_program
def test_all_interleavings(program: Program, kind: str) -> None:
    """Exactly the outcomes of the model."""
    seen: set[Outcome] = set()
    # A reaction takes several turns; of four threads with such there are too many interleavings.
    large = len(program.threads) > 3 and program.has_reactions
    found = explore(scenario_of(program, MEMORIES[kind], 0, seen), preemptions=2 if large else None)
    assert found.complete
    assert seen == program.outcomes


@pytest.mark.parametrize("way", range(1, WAYS))
@for_each_program
def test_interleavings_of_every_way(program: Program, way: int) -> None:
    """A reaction takes several turns, so only as far as two preemptions go."""
    seen: set[Outcome] = set()
    found = explore(scenario_of(program, MEMORIES["Ref"], way, seen), preemptions=2, max_schedules=300)
    assert found.failure is None
    assert len(seen) > 1
    assert seen <= program.outcomes


@for_each_program
def test_exploring_would_see_it(program: Program) -> None:
    for weakened in program.weakened:
        seen: set[Outcome] = set()
        explore(scenario_of(weakened, MEMORIES["AtomicInt"], 0, seen), preemptions=None)
        assert program.is_seen(seen), weakened


# ---------------------------------------------------------------- what is published


class Letter:
    """With attributes, a list and a dict, which are written one by one."""

    def __init__(self, n: int) -> None:
        self.fill(n)

    def fill(self, n: int) -> None:
        self.number = n
        self.pages = [n]
        self.pages.append(n + 1)
        self.copies = {n: self}
        self.sealed = True

    def whole(self, n: int) -> bool:
        """Looks for what was written last first, before the writer can catch up."""
        if not getattr(self, "sealed", False):
            return False
        return self.copies[n] is self and self.pages == [n, n + 1] and self.number == n


class Slotted(Letter):
    __slots__ = ("copies", "number", "pages", "sealed")


#: How to publish x, and how to look for it: None while it is not there.
Post = tuple[Callable[[Any], object], Callable[[], Any]]


def by_ref(how: Callable[[Ref[Any]], Callable[[Any], object]]) -> Callable[[], Post]:
    def make() -> Post:
        ref: Ref[Any] = Ref(None)
        return how(ref), ref.get

    return make


def by_flag() -> Post:
    """In a plain list; the word says only that it is there."""
    flag, shelf = AtomicInt(0), [None]

    def publish(x: Any) -> None:
        shelf[0] = x
        flag.set(1)

    return publish, lambda: shelf[0] if flag.get() else None


def by_two_words() -> Post:
    flag, ref = AtomicInt(0), Ref[Any](None)
    raise_flag = flag.upd(lambda n, x: (n + 1, x))
    return raise_flag >> ref.write, lambda: ref.get() if flag.get() else None


def through(make: Any, put: str, get: str) -> Callable[[], Post]:
    def post() -> Post:
        it = make()
        return getattr(it, put), attempt(getattr(it, get))

    return post


def moved() -> Post:
    stack: Stack[Any] = Stack()
    queue: Queue[Any] = Queue()
    move = attempt(stack.pop >> queue.put)
    return stack.push, lambda: (move(), attempt(queue.get)())[1]


def seen_by_a_failing_cas() -> Post:
    """A compare_and_set that fails has read."""
    flag, shelf = AtomicInt(0), [None]

    def publish(x: Any) -> None:
        shelf[0] = x
        flag.set(1)

    return publish, lambda: None if flag.compare_and_set(0, 0) else shelf[0]


POSTS: dict[str, Callable[[], Post]] = {
    "Ref.set": by_ref(lambda ref: ref.set),
    "Ref.swap": by_ref(lambda ref: ref.swap),
    "Ref.update": by_ref(lambda ref: lambda x: ref.update(lambda old: x)),
    "Ref.compare_and_set": by_ref(lambda ref: lambda x: ref.compare_and_set(None, x)),
    "Ref.write": by_ref(lambda ref: ref.write),
    "Ref.upd": by_ref(lambda ref: ref.upd(lambda old, x: (x, None))),
    "a flag": by_flag,
    "a flag, two words": by_two_words,
    "a flag, failing compare_and_set": seen_by_a_failing_cas,
    "Stack": through(Stack, "push", "pop"),
    "Stack.peek": through(Stack, "push", "peek"),
    "Queue": through(Queue, "put", "get"),
    "Queue.peek": through(Queue, "put", "peek"),
    "a move": moved,
}


def letters_that_arrived(make: Callable[[], Post], kind: type[Letter], early: bool, seed: int) -> list[bool]:
    """Whether those that arrived were whole; `early`: published first and written afterwards."""
    luck = random.Random(seed)
    posts = [make() for _ in range(ROUNDS)]
    pauses = [luck.choices(PAUSES, k=3) for _ in range(ROUNDS)]

    def write(i: int) -> None:
        pause(pauses[i][0])
        if early:
            letter = kind.__new__(kind)
            posts[i][0](letter)
            pause(pauses[i][1])
            letter.fill(i)
        else:
            posts[i][0](kind(i))

    def read(i: int) -> bool | None:
        pause(pauses[i][2])
        letter = posts[i][1]()
        return None if letter is None else letter.whole(i)

    return [whole for whole in in_rounds(ROUNDS, write, read)[1] if whole is not None]


@pytest.mark.parametrize("kind", [Letter, Slotted])
@pytest.mark.parametrize("post", POSTS)
def test_what_is_published_is_whole(post: str, kind: type[Letter]) -> None:
    arrived: list[bool] = []
    for seed in range(PATIENT):
        arrived += letters_that_arrived(POSTS[post], kind, False, seed)
        if seed + 1 >= BATCHES and arrived:
            break
    assert arrived, "none ever arrived in time"
    assert all(arrived)


@pytest.mark.parametrize("post", POSTS)
def test_what_is_written_after_it_was_published_may_be_missing(post: str) -> None:
    """So the test above would see it."""
    assert any(not all(letters_that_arrived(POSTS[post], Letter, True, seed)) for seed in range(PATIENT))


WAITS: dict[str, Callable[[], Post]] = {
    "Queue.get": lambda: (lambda q: (q.put, q.get))(Queue()),
    "Stack.pop": lambda: (lambda s: (s.push, s.pop))(Stack()),
    "Ref.read": lambda: (lambda r: (r.set, r.read >> guard(lambda x: x is not None)))(Ref(None)),
}


@pytest.mark.parametrize("wait", WAITS)
def test_what_wakes_a_waiting_reaction_is_whole(wait: str) -> None:
    for seed in range(BATCHES):
        arrived = letters_that_arrived(WAITS[wait], Letter, False, seed)
        assert len(arrived) == ROUNDS
        assert all(arrived)


# ---------------------------------------------------------------- plain data, ordered by words


class Plain:
    """Two words, and what is no word."""

    def __init__(self) -> None:
        self.x, self.y = AtomicInt(0), Ref(0)
        self.value = 0


def seen_of_plain(
    *workers: Callable[[Plain], object], happened: Callable[[Plain, list[Any]], bool] = lambda one, results: True
) -> set[Any]:
    """What the last worker returns in the rounds in which that happened; fails if it never does."""
    seen = set()
    for seed in range(PATIENT):
        luck = random.Random(seed)
        all_rounds = [Plain() for _ in range(ROUNDS)]
        pauses = [luck.choices(PAUSES, k=len(workers)) for _ in range(ROUNDS)]

        def call(n: int, i: int, pauses: Any = pauses, all_rounds: Any = all_rounds) -> object:
            pause(pauses[i][n])
            return workers[n](all_rounds[i])

        results = in_rounds(ROUNDS, *(partial(call, n) for n in range(len(workers))))
        for one, returned in zip(all_rounds, zip(*results, strict=True), strict=True):
            if returned[-1] is not None and happened(one, list(returned)):
                seen.add(returned[-1])
        if seed + 1 >= BATCHES and seen:
            break
    assert seen, "it never happened"
    return seen


def write_and_tell(one: Plain) -> None:
    one.value = 1
    one.x.set(1)


def test_what_was_told_is_told_on() -> None:
    """Write to read causality: the second thread has never touched what it vouches for."""

    def tell_on(one: Plain) -> None:
        if one.x.get():
            one.y.set(1)

    assert seen_of_plain(write_and_tell, tell_on, lambda one: one.value if one.y.get() else None) == {1}


def test_told_by_reactions() -> None:
    """A reaction that copies a word has read and written it, whoever decides its k-CAS."""

    def tell_on(one: Plain) -> None:
        (one.x.read >> one.y.write)()

    def look(one: Plain) -> int | None:
        copied, _ = (one.y.read * (const(1) >> one.x.add))()
        return one.value if copied else None

    assert seen_of_plain(write_and_tell, tell_on, look) == {1}


def test_what_was_read_before_is_not_overwritten() -> None:
    """The other direction: who is told that another has read may write."""

    def overwrite(one: Plain) -> None:
        if one.x.get():
            one.value = 1

    def read_and_tell(one: Plain) -> int:
        value = one.value
        one.x.set(1)
        return value

    assert seen_of_plain(overwrite, read_and_tell) == {0}


def test_a_read_is_after_every_earlier_change_of_the_word() -> None:
    """Not only after the one whose value it reads."""

    def change_again(one: Plain) -> int:
        return one.x.swap(2)

    def look(one: Plain) -> int | None:
        return one.value if one.x.get() == 2 else None

    seen = seen_of_plain(write_and_tell, change_again, look, happened=lambda one, results: results[1] == 1)
    assert seen == {1}


@pytest.mark.parametrize("told", ["by the action", "by the reaction"])
def test_post_commit_happens_after(told: str) -> None:
    """Who sees what an action did, sees what its reaction did; not the other way round."""

    def react(one: Plain) -> None:
        (const(1) >> one.y.write >> post_commit(one.x.set))()

    def look(one: Plain) -> int | None:
        if told == "by the action":
            return one.y.get() if one.x.get() else None
        return one.x.get() if one.y.get() else None

    seen = seen_of_plain(react, look)
    if told == "by the action":
        assert seen == {1}
    else:
        assert 1 in seen  # and 0 is no error: see the interleavings


@pytest.mark.parametrize(("told", "expected"), [("by the action", {1}), ("by the reaction", {0, 1})])
def test_interleavings_of_post_commit(told: str, expected: set[int]) -> None:
    seen = set()

    def scenario() -> Any:
        ref, done = Ref(0), AtomicInt(0)
        reaction: Reagent[Any, Any] = const(1) >> ref.write >> post_commit(done.set)
        first, second = (done, ref) if told == "by the action" else (ref, done)

        def look() -> None:
            if first.get():
                seen.add(second.get())

        return [reaction, look], None

    assert explore(scenario, preemptions=None).complete
    assert seen == expected


# ---------------------------------------------------------------- the document


def test_every_test_that_the_document_names_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", PAGE.read_text(encoding="utf-8")))
    assert len(named) >= 8
    assert not named - set(globals())
