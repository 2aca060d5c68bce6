"""A blocked reaction waits until a word that it has read changes; a timeout takes it back; nothing is ever lost."""

from __future__ import annotations

import contextlib
import queue as standard
import time
from typing import Any

import pytest

from lockfree import Queue, Stack
from racing import STRESS, Background, Parked, elsewhere, parked, race, soon
from reagents import BLOCK, Reagent, Ref, choice, computed, const, guard, lift, never, stats, together


def when(ref: Ref[Any], wanted: Any) -> Reagent[Any, Any]:
    return ref.read >> guard(lambda value: value == wanted)


WAKERS = {
    "read": (lambda ref: when(ref, 1), lambda ref: ref.set(1)),
    "cas": (lambda ref: ref.cas(1, 2), lambda ref: ref.compare_and_set(0, 1)),
    "upd": (lambda ref: ref.upd(lambda n, _: (n, n) if n == 1 else BLOCK), lambda ref: ref.add(1)),
    "computed": (lambda ref: computed(lambda _: when(ref, 1)), lambda ref: ref.update(lambda n: n + 1)),
    "second step": (lambda ref: Ref(0).read >> when(ref, 1), lambda ref: ref.swap(1)),
    "left of a choice": (lambda ref: when(ref, 1) + never, lambda ref: (const(1) >> ref.write)()),
    "right of a choice": (lambda ref: never + when(ref, 1), lambda ref: (Ref(1).read >> ref.write)()),
    "one of a pair": (lambda ref: Ref(0).read * when(ref, 1), lambda ref: ref.upd(lambda n, _: (1, n))()),
    "all of many": (lambda ref: together(*[when(ref, 1)] * 5), lambda ref: ref.set(1)),
}


@pytest.mark.parametrize("name", sorted(WAKERS))
def test_waits_until_a_word_that_was_read_changes(name: str) -> None:
    make, wake = WAKERS[name]
    ref, parked = Ref(0), Parked()
    waiting = Background(make(ref))
    parked.wait_for()
    assert waiting.running
    wake(ref)
    waiting.result()


@pytest.mark.parametrize("direct", [False, True], ids=["composed", "method"])
def test_waits_for_an_item(direct: bool) -> None:
    stack, queue, parked = Stack(), Queue(), Parked()
    popping = Background(stack.pop if direct else stack.pop >> (lambda x: x))
    getting = Background(queue.get if direct else queue.get >> (lambda x: x))
    parked.wait_for(2)
    stack.push("to the stack")
    queue.put("to the queue")
    assert (popping.result(), getting.result()) == ("to the stack", "to the queue")
    assert not stack
    assert queue.empty()


@pytest.mark.parametrize("which", range(3))
def test_any_alternative_can_wake(which: int) -> None:
    queues, parked = [Queue() for _ in range(3)], Parked()
    waiting = Background(choice(*(q.get for q in queues)))
    parked.wait_for()
    queues[which].put(which)
    assert waiting.result() == which


def test_wakes_on_a_word_read_after_a_write() -> None:
    a, b, parked = Ref(0), Ref(0), Parked()
    waiting = Background((const(5) >> a.write >> b.cas(1, 2)) + never)
    parked.wait_for()
    b.set(1)
    waiting.result()
    assert (a.get(), b.get()) == (5, 2)


def test_a_word_set_to_what_it_was_wakes_nobody() -> None:
    ref, other, parked = Ref(0), Ref(0), Parked()
    waiting = Background(when(ref, 1))
    parked.wait_for()
    before = stats()["wakeups"]
    for _ in range(100):
        ref.set(0)
        ref.compare_and_set(0, 0)
        (ref.read >> ref.write)()
        other.add(1)
    assert stats()["wakeups"] == before
    assert parked.count == 1
    ref.set(1)
    assert waiting.result() == 1


def test_wakes_after_a_change_that_was_not_enough() -> None:
    ref, parked = Ref(0), Parked()
    waiting = Background(when(ref, 3))
    for n in (1, 2):
        parked.wait_for(n)
        ref.set(n)
    parked.wait_for(3)
    assert waiting.running
    ref.set(3)
    assert waiting.result() == 3


def test_times_out() -> None:
    queue, start = Queue(), time.monotonic()
    with pytest.raises(TimeoutError):
        (queue.get >> (lambda x: x))(timeout=0.05)
    assert time.monotonic() - start >= 0.05


@pytest.mark.parametrize("timeout", [0, 0.0, 0.001])
def test_a_method_that_times_out_raises_as_the_standard_library_does(timeout: float) -> None:
    for call in (Queue().get, Queue().peek, Stack().pop, Stack().peek):
        with pytest.raises(standard.Empty):
            call(timeout=timeout)
        with pytest.raises(standard.Empty):
            call(block=False)


def test_a_long_timeout_is_cut_short_by_success() -> None:
    queue, parked = Queue(), Parked()
    waiting = Background(queue.get >> (lambda x: x), timeout=1e6)
    parked.wait_for()
    queue.put("item")
    assert waiting.result() == "item"


def test_what_timed_out_takes_nothing_later() -> None:
    queue = Queue()
    for _ in range(50):
        with pytest.raises(TimeoutError):
            (queue.get >> (lambda x: x))(timeout=0.0001)
    queue.put("item")
    assert queue.qsize() == 1
    assert queue.get_nowait() == "item"


@pytest.mark.parametrize(
    "reagent",
    [never, guard(lambda _: False), lift(lambda _: BLOCK), never + never, const(1) * never, computed(lambda _: never)],
    ids=["never", "guard", "lift", "choice", "pair", "computed"],
)
@pytest.mark.parametrize("timeout", [None, 100.0])
def test_what_nothing_could_wake_is_an_error_at_once(reagent: Reagent[Any, Any], timeout: float | None) -> None:
    with pytest.raises(RuntimeError):
        reagent(1, timeout=timeout)


def test_left_branch_that_becomes_possible_before_the_commit_is_taken() -> None:
    left, right, tries = Queue(), Queue(), []
    right.put("right")

    def meanwhile(item: str) -> str:
        tries.append(item)
        if len(tries) == 1:
            elsewhere(left.put, "left")
        return item

    assert (left.get + (right.get >> meanwhile))() == "left"
    assert right.get_nowait() == "right"


def test_left_branch_of_a_parked_choice_becomes_possible() -> None:
    left, right, parked = Queue(), Queue(), Parked()
    waiting = Background(left.get + right.get)
    parked.wait_for()
    (const("l") >> left.put >> const("r") >> right.put)()
    assert waiting.result() == "l", "both arrived in one atomic step"
    assert right.get_nowait() == "r"


def test_one_item_goes_to_one_of_many_waiters() -> None:
    queue, parked = Queue(), Parked()
    waiting = [Background(queue.get) for _ in range(4)]
    parked.wait_for(4)
    for item in range(4):
        queue.put(item)
        soon(lambda n=item + 1: sum(not w.running for w in waiting) >= n, "a waiter that got the item")
    assert sorted(w.result() for w in waiting) == [0, 1, 2, 3]
    assert queue.empty()


def test_no_wake_up_is_lost() -> None:
    """A ball goes back and forth; a single wake-up that got lost would stop the game."""
    there, back, rounds = Queue(), Queue(), 2_000 * STRESS

    def serve() -> None:
        for i in range(rounds):
            there.put(i)
            assert back.get() == i

    def answer() -> None:
        for _ in range(rounds):
            (there.get >> back.put)()

    race(serve, answer)


def test_no_wake_up_is_lost_between_several_words() -> None:
    """Each thread waits for its turn in one ref and passes it on by another thread's condition."""
    turn, rounds = Ref(0), 500 * STRESS

    def player(i: int) -> None:
        mine = turn.upd(lambda n, _: (n + 1, n) if n % 3 == i else BLOCK)
        for _ in range(rounds):
            assert mine() % 3 == i

    race(*(lambda i=i: player(i) for i in range(3)))
    assert turn.get() == 3 * rounds


def test_a_change_before_it_waits_is_seen() -> None:
    """The word changes after it was read and before the reaction is known to wait: nobody will change it again."""
    ref = Ref(0)

    def changed_meanwhile(value: int) -> bool:
        if value == 0:
            ref.set(1)
        return value == 1

    assert (ref.read >> guard(changed_meanwhile))(timeout=30) == 1


def test_a_change_at_any_moment_of_going_to_wait_is_seen() -> None:
    """One thread goes to wait for a value that the other sets once, at a moment that shifts from round to round."""
    ref, begun, rounds = Ref(0), Ref(0), 3_000 * STRESS

    def waiter() -> None:
        for i in range(1, rounds):
            wait = ref.read >> guard(lambda value, i=i: value >= i)
            begun.set(i)
            wait()

    def setter() -> None:
        for i in range(1, rounds):
            while begun.get() < i:
                pass
            for _ in range(i % 150):
                pass
            ref.set(i)

    race(waiter, setter)


def test_who_counts_the_waiting_holds_them() -> None:
    """What is counted may be given back at any moment; if that is too soon, tests/sanitized.sh sees it."""
    words = [Ref(0) for _ in range(300)]
    all_positive = together(*(word.read for word in words)) >> guard(all)

    def worker() -> None:
        for _ in range(1000 * STRESS):
            with contextlib.suppress(TimeoutError):
                all_positive(timeout=0)
            with contextlib.suppress(TimeoutError):
                all_positive(timeout=1e-6)

    def count() -> None:
        assert 0 <= stats()["waiting"] <= 2 * len(words)

    race(worker, worker, meanwhile=[count, count, count])


def test_timeouts_in_a_race_with_arrivals_lose_nothing() -> None:
    queue, items = Queue(), 500 * STRESS
    get = queue.get >> (lambda x: x)

    def consumer() -> list[int]:
        got = []
        while not got or got[-1] is not None:
            with contextlib.suppress(TimeoutError):
                got.append(get(timeout=1e-5))
        return got[:-1]

    def producer() -> list[int]:
        for i in range(items):
            queue.put(i)
        queue.put(None)
        queue.put(None)
        return []

    results = race(consumer, consumer, producer)
    assert sorted(results[0] + results[1]) == list(range(items))
    assert queue.empty()


def test_a_change_wakes_each_who_waits_once() -> None:
    """Those who were woken and wait again are not met a second time by the one who woke them."""
    ref, changes, waiters = Ref(0), 300, 3
    before = stats()["waits"]
    threads = [parked(ref.read >> guard(lambda n: n < 0)) for _ in range(waiters)]
    for n in range(changes):
        ref.set(n)
    ref.set(-1)
    assert [thread.result() for thread in threads] == [-1] * waiters
    assert stats()["waits"] - before <= waiters * (changes + 1)
