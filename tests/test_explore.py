"""`reagents.testing.explore`: finds what is wrong under some schedule, proves what is right under all, replays."""

from __future__ import annotations

import gc
import queue
import random
import threading
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from lockfree import AtomicInt, Counter, Queue, Stack
from racing import soon
from reagents import Ref, attempt, choice, const, guard, lift, post_commit, stats
from reagents.testing import Deadlock, Exploration, NotDeterministic, StepLimit, explore


def proven(scenario: Any, preemptions: int | None = None) -> Exploration:
    found = explore(scenario, preemptions=preemptions)
    assert found.failure is None, found.failure
    assert found.complete
    return found


def failure_of(scenario: Any, **how: Any) -> Any:
    found = explore(scenario, **how)
    assert found.failure is not None, f"nothing found in {found.schedules} schedules"
    assert not found.complete
    return found.failure


def twice(
    make: Callable[[], Any], step: Callable[[Any], object], value: Callable[[Any], object], expected: object
) -> Any:
    """A scenario: two threads do the same step on one object, which then has the expected value."""

    def scenario() -> Any:
        it = make()

        def after() -> None:
            assert value(it) == expected

        return [lambda: step(it)] * 2, after

    return scenario


# ---------------------------------------------------------------- updates


def lost_update() -> Any:
    return twice(lambda: Ref(0), lambda r: r.set(r.get() + 1), lambda r: r.get(), 2)()


def test_a_lost_update_is_found_at_once() -> None:
    found = explore(lost_update)
    assert found.schedules <= 3
    assert isinstance(found.failure.error, AssertionError)
    assert sorted(found.failure.schedule.split()) == ["0:Ref0.get", "0:Ref0.set", "1:Ref0.get", "1:Ref0.set"]
    assert "thread 0: Ref0.get" in str(found.failure)


RIGHT_UPDATES: dict[str, tuple[Callable[[], Any], Callable[[Any], object]]] = {
    "Ref.update": (lambda: Ref(0), lambda r: r.update(lambda v: v + 1)),
    "Ref.add": (lambda: Ref(0), lambda r: r.add(1)),
    "Ref.upd": (lambda: Ref(0), lambda r: r.upd(lambda v, x: (v + 1, None))()),
    "read, lift, write": (lambda: Ref(0), lambda r: (r.read >> (lambda v: v + 1) >> r.write)()),
    "AtomicInt.update": (AtomicInt, lambda r: r.update(lambda v: v + 1)),
    "AtomicInt.add": (AtomicInt, lambda r: r.add(1)),
    "AtomicInt.upd": (AtomicInt, lambda r: r.upd(lambda v, x: (v + 1, None))()),
}


@pytest.mark.parametrize("how", RIGHT_UPDATES)
def test_right_updates_are_proven(how: str) -> None:
    make, step = RIGHT_UPDATES[how]
    assert proven(twice(make, step, lambda r: r.get(), 2)).schedules >= 2


def test_counter_is_proven() -> None:
    proven(twice(Counter, lambda c: c.add(1), lambda c: c.value(), 2))


def test_a_loop_of_compare_and_set_is_proven() -> None:
    def increment(r: Any) -> None:
        while not r.compare_and_set(old := r.get(), old + 1):
            pass

    for make in (lambda: Ref(0), AtomicInt):
        proven(twice(make, increment, lambda r: r.get(), 2))


def test_three_threads() -> None:
    def scenario() -> Any:
        r = Ref(0)

        def after() -> None:
            assert r.get() == 3

        steps = [lambda: r.update(lambda v: v + 1), lambda: r.add(1), lambda: r.upd(lambda v, x: (v + 1, None))()]
        return steps, after

    counts = [proven(scenario, bound).schedules for bound in (0, 1, 2, None)]
    assert counts[0] == 6  # the orders of three threads
    assert counts == sorted(counts)
    assert len(set(counts)) == 4


# ---------------------------------------------------------------- reactions


def withdrawal(read: Callable[[Any, Any], Any]) -> Any:
    """Two withdrawals, each from one of two accounts that together must not be overdrawn."""

    def scenario() -> Any:
        a, b = Ref(60), Ref(60)

        def take(account: Any, other: Any) -> None:
            read(account, other)

        def after() -> None:
            assert a.get() + b.get() >= 0

        return [lambda: take(a, b), lambda: take(b, a)], after

    return scenario


def test_write_skew_with_unlogged_reads_is_found() -> None:
    def read(account: Any, other: Any) -> None:
        if account.get() + other.get() >= 100:
            account.add(-100)

    failure_of(withdrawal(read))


def test_composed_reads_show_no_write_skew() -> None:
    def read(account: Any, other: Any) -> None:
        enough = (account.read * other.read) >> guard(lambda pair: sum(pair) >= 100)
        attempt(enough >> (lambda pair: pair[0] - 100) >> account.write)()

    proven(withdrawal(read))


def moved(move: Callable[[Any, Any], object], look: Callable[[Any, Any], bool]) -> Any:
    """One item is moved from one stack to another while somebody looks for it."""

    def scenario() -> Any:
        a, b = Stack(["item"]), Stack()
        seen = []

        def after() -> None:
            assert seen == [True], "it was nowhere"
            assert b.snapshot() == ["item"]

        return [lambda: move(a, b), lambda: seen.append(look(a, b))], after

    return scenario


def look(a: Any, b: Any) -> bool:
    return bool(attempt(choice(a.peek, b.peek))())


def test_a_move_never_hides_the_item() -> None:
    proven(moved(lambda a, b: (a.pop >> b.push)(), look))


def test_a_move_in_two_steps_does() -> None:
    failure = failure_of(moved(lambda a, b: b.push(a.pop()), look))
    assert "nowhere" in str(failure)


def test_two_looks_see_the_item_pass() -> None:
    """The move is one step; two separate looks are not."""
    failure_of(moved(lambda a, b: (a.pop >> b.push)(), lambda a, b: bool(b.snapshot() or a.snapshot())))


def test_user_functions_never_see_a_mix_of_two_states() -> None:
    def scenario() -> Any:
        a, b = Ref(0), Ref(0)

        def writer() -> None:
            (const(1) >> a.write >> b.write)()

        def equal(pair: Any) -> Any:
            assert pair[0] == pair[1]  # raised here it would reach the caller
            return pair

        return [writer, lambda: ((a.read * b.read) >> lift(equal))()], None

    proven(scenario)


def test_post_commit_runs_once() -> None:
    def scenario() -> Any:
        r, done = Ref(0), []

        def after() -> None:
            assert sorted(done) == [0, 1]

        return [lambda: (const(1) >> r.add >> post_commit(done.append))()] * 2, after

    proven(scenario)


def test_a_user_function_may_use_structures_itself() -> None:
    def scenario() -> Any:
        r, log = Ref(0), Queue()

        def after() -> None:
            assert r.get() == 2
            assert log.qsize() >= 2

        def step(v: int, x: Any) -> tuple[int, None]:
            log.put(v)
            return v + 1, None

        return [lambda: r.upd(step)()] * 2, after

    proven(scenario, 3)


def test_structures_keep_what_is_put_in() -> None:
    for make, put, get in (
        (Stack, lambda s, x: s.push(x), lambda s: s.pop()),
        (Queue, lambda q, x: q.put(x), lambda q: q.get()),
        (Queue, lambda q, x: (const(x) >> q.put)(), lambda q: (q.get >> (lambda x: x))()),
    ):

        def scenario(make: Any = make, put: Any = put, get: Any = get) -> Any:
            it, got = make(), []

            def after() -> None:
                assert sorted(got) == [1, 2]
                assert not len(it)

            return [lambda: put(it, 1), lambda: put(it, 2), lambda: got.extend([get(it), get(it)])], after

        proven(scenario, 2)


# ---------------------------------------------------------------- waiting


def test_a_lost_wake_up_is_found() -> None:
    """Checks whether it has to wait, then says that it waits: between the two, the setter finds nobody to wake."""

    def scenario() -> Any:
        ready, waiting, signal = Ref(False), Ref(False), Stack()

        def wait() -> None:
            if not ready.get():
                waiting.set(True)
                signal.pop()

        def set_() -> None:
            ready.set(True)
            if waiting.get():
                signal.push(None)

        return [wait, set_], None

    failure = failure_of(scenario)
    assert isinstance(failure.error, Deadlock)
    assert "thread 0" in str(failure.error)
    assert failure.schedule.split()[0] == "0:Ref0.get"


def test_a_reaction_that_waits_loses_no_wake_up() -> None:
    def scenario() -> Any:
        ready = Ref(False)
        return [(ready.read >> guard(bool)).__call__, lambda: ready.set(True)], None

    def woken(step: Callable[[Any], object]) -> Any:
        def scenario() -> Any:
            ready = Ref(False)
            return [lambda: (ready.read >> guard(bool))(), lambda: step(ready)], None

        return scenario

    proven(scenario)
    for step in (lambda r: r.set(True), lambda r: r.update(lambda v: True), lambda r: r.cas(False, True)()):
        proven(woken(step))


def test_a_deadlock_is_found() -> None:
    def scenario() -> Any:
        left, right = Stack([None]), Stack([None])

        def both(first: Any, second: Any) -> None:
            first.pop()
            second.pop()
            first.push(None)
            second.push(None)

        return [lambda: both(left, right), lambda: both(right, left)], None

    failure = failure_of(scenario)
    assert isinstance(failure.error, Deadlock)
    assert "thread 0 and thread 1" in str(failure.error)

    def composed() -> Any:
        left, right = Stack([None]), Stack([None])

        def both(first: Any, second: Any) -> None:
            (first.pop * second.pop)()
            first.push(None)
            second.push(None)

        return [lambda: both(left, right), lambda: both(right, left)], None

    proven(composed, 2)


def test_a_timeout_may_come_at_any_turn() -> None:
    outcomes = set()

    def scenario() -> Any:
        q: Queue[int] = Queue()
        got = []

        def take() -> None:
            try:
                got.append(q.get(timeout=3600))
            except queue.Empty:
                got.append(-1)

        return [take, lambda: q.put(1)], lambda: outcomes.add(got[0])

    proven(scenario)
    assert outcomes == {1, -1}


def test_what_waits_for_ever_alone() -> None:
    failure = failure_of(lambda: ([Stack().pop], None))
    assert isinstance(failure.error, Deadlock)
    assert stats()["waiting"] == 0  # nothing is left behind


# ---------------------------------------------------------------- bounds and strategies


def needs_two() -> Any:
    """Fails if thread 1 reads before and between the writes of thread 0, which takes two preemptions."""
    r, seen = Ref(0), []

    def write() -> None:
        r.set(1)
        r.set(2)

    def after() -> None:
        assert seen != [0, 1]

    return [write, lambda: seen.extend([r.get(), r.get()])], after


def test_the_bound_counts() -> None:
    for bound in (0, 1):
        found = explore(needs_two, preemptions=bound)
        assert found.complete
        assert found.failure is None
    for bound in (2, 3, None):
        assert explore(needs_two, preemptions=bound).failure is not None


def test_the_fewest_preemptions_are_tried_first() -> None:
    """Whatever the bound, what one preemption shows is shown with one."""
    turns = [turn[0] for turn in failure_of(lost_update, preemptions=None).schedule.split()]
    assert sum(a != b for a, b in pairwise(turns)) == 2  # one preempted, and back to it


@pytest.mark.parametrize("strategy", ["pct", "random"])
def test_random_strategies_find_it(strategy: Any) -> None:
    one, same = (explore(needs_two, strategy=strategy, seed=7) for _ in range(2))
    assert one.failure is not None
    assert (one.schedules, one.failure.schedule) == (same.schedules, same.failure.schedule)
    assert one.failure.replay().schedule == one.failure.schedule


@pytest.mark.parametrize("strategy", ["pct", "random"])
def test_random_strategies_end(strategy: Any) -> None:
    right = twice(lambda: Ref(0), lambda r: r.add(1), lambda r: r.get(), 2)
    found = explore(right, strategy=strategy, max_schedules=50)
    assert (found.schedules, found.complete, found.failure) == (50, False, None)


def test_pct_does_not_starve_those_it_waits_for() -> None:
    def scenario() -> Any:
        q: Queue[int] = Queue()

        def take() -> None:
            while True:
                try:
                    return q.get(timeout=1)
                except queue.Empty:
                    pass

        return [take, lambda: q.put(1)], None

    assert explore(scenario, strategy="pct", max_schedules=200).failure is None


def test_limits() -> None:
    right = twice(lambda: Ref(0), lambda r: r.update(lambda v: v + 1), lambda r: r.get(), 2)
    found = explore(right, max_schedules=3)
    assert (found.schedules, found.complete) == (3, False)
    found = explore(right, timeout=0)
    assert (found.schedules, found.complete) == (1, False)


def test_a_spinning_thread_reaches_the_limit() -> None:
    def scenario() -> Any:
        r = Ref(0)

        def spin() -> None:
            while not r.get():
                pass

        return [spin, lambda: r.set(1)], None

    failure = failure_of(scenario, max_steps=50)
    assert isinstance(failure.error, StepLimit)


# ---------------------------------------------------------------- replay


def test_replay() -> None:
    failure = failure_of(lost_update)
    again = failure.replay()
    assert again.schedule == failure.schedule
    assert again.error is not failure.error
    assert type(again.error) is AssertionError
    found = explore(lost_update, schedule=failure.schedule)
    assert (found.schedules, found.failure.schedule) == (1, failure.schedule)
    # Threads alone will do, and the end of a schedule may be left out.
    assert explore(lost_update, schedule="0 1").failure is not None
    assert explore(lost_update, schedule="0 0 1 1").failure is None
    assert explore(lost_update, schedule="0*2,1*2").failure is None


def test_a_schedule_of_something_else_is_refused() -> None:
    with pytest.raises(NotDeterministic, match=r"turn 1 of thread 0 was Ref0.add.* would do Ref0.set"):
        explore(lost_update, schedule="0:Ref0.get 0:Ref0.add")
    with pytest.raises(NotDeterministic, match=r"turn 2 of thread 0 .* waits or has ended"):
        explore(lost_update, schedule="0 0 0")
    with pytest.raises(ValueError, match="not 'first'"):
        explore(lost_update, schedule="first")
    with pytest.raises(ValueError, match=r"not '0\*x'"):
        explore(lost_update, schedule="0*x")


def test_a_scenario_that_is_not_deterministic_is_no_bug() -> None:
    runs = []

    def grows() -> Any:
        runs.append(None)
        r = Ref(0)
        return [lambda: [r.get() for _ in runs], lambda: r.set(1)], None

    with pytest.raises(NotDeterministic):
        explore(grows)

    dice = random.Random(1)

    def fails_now_and_then() -> Any:
        r = Ref(0)

        def after() -> None:
            assert dice.random() < 0.7

        return [lambda: r.add(1)] * 2, after

    with pytest.raises(NotDeterministic, match="the same schedule ended with"):
        explore(fails_now_and_then, preemptions=None)


# ---------------------------------------------------------------- errors and misuse


def test_what_a_thread_raises_is_the_failure() -> None:
    def scenario() -> Any:
        r = Ref([1, 2])

        def take() -> None:
            if r.get():
                r.get().pop()

        return [take, take, take], None

    failure = failure_of(scenario)
    assert isinstance(failure.error, IndexError)
    assert failure.error.__traceback__ is not None


def test_threads_that_are_not_over_are_ended() -> None:
    """Also those whose code catches what it can; `finally` blocks run."""
    ended = []

    def scenario() -> Any:
        r = Ref(0)

        def stubborn() -> None:
            try:
                try:
                    r.get()
                    r.get()
                except Exception:
                    ended.append("caught")
            finally:
                ended.append("finally")

        def fails() -> None:
            raise KeyError("first")

        return [stubborn, fails], None

    before = threading.active_count()
    assert isinstance(failure_of(scenario).error, KeyError)
    assert set(ended) == {"finally"}
    assert threading.active_count() == before


def test_misuse() -> None:
    with pytest.raises(ValueError, match="preemptions"):
        explore(lost_update, preemptions=-1)
    with pytest.raises(ValueError, match="strategy"):
        explore(lost_update, strategy="best")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="depth"):
        explore(lost_update, strategy="pct", depth=0)

    def broken() -> Any:
        raise LookupError("in the scenario itself")

    with pytest.raises(LookupError):
        explore(broken)
    found = explore(lambda: ([], None))
    assert (found.schedules, found.complete) == (1, True)


def test_waiting_by_other_means_is_reported() -> None:
    event = threading.Event()

    def scenario() -> Any:
        r = Ref(0)
        return [lambda: (r.get(), event.wait(60)), lambda: r.get()], None

    try:
        with pytest.raises(RuntimeError, match="thread 0 has not come back"):
            explore(scenario, patience=0.1)
    finally:
        event.set()


def test_who_waits_for_another_by_other_means_ends_with_it() -> None:
    lock = threading.Lock()
    before = set(threading.enumerate())

    def scenario() -> Any:
        r = Ref(0)

        def update() -> None:
            with lock:
                r.add(1)

        return [update, update], None

    with pytest.raises(RuntimeError, match="has not come back"):
        explore(scenario, patience=0.1)
    soon(lambda: set(threading.enumerate()) <= before, "the end of the explored threads")


def test_all_is_as_before_afterwards() -> None:
    """Also for other threads meanwhile: they are not explored, and wait for real."""
    collecting = gc.isenabled()
    q: Queue[int] = Queue()
    other = threading.Thread(target=lambda: q.put(q.get() + 1))
    other.start()

    def scenario() -> Any:
        r = Ref(0)
        return [lambda: r.add(1)] * 2, lambda: r.get()

    proven(scenario)
    q.put(1)
    other.join()
    assert q.get_nowait() == 2
    assert gc.isenabled() is collecting
    s = Stack("ab")
    assert [s.pop(), s.pop(), len(s)] == ["b", "a", 0]
