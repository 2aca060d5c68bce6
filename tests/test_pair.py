"""`a * b` and `together(...)`: all on the same input, in one atomic step, results as a pair or a flat tuple."""

from __future__ import annotations

import pytest

from lockfree import Queue, Stack
from racing import race
from reagents import Ref, const, guard, identity, lift, never, together


def test_both_get_the_same_input() -> None:
    marker = object()
    assert (identity * identity)(marker) == (marker, marker)
    assert (lift(lambda x: x + 1) * lift(lambda x: x * 10))(4) == (5, 40)


def test_result_is_a_pair() -> None:
    result = (const(1) * const(2))()
    assert type(result) is tuple
    assert result == (1, 2)


def test_pairs_nest() -> None:
    assert (const(1) * const(2) * const(3))() == ((1, 2), 3)
    assert (const(1) * (const(2) * const(3)))() == (1, (2, 3))


def test_together_is_flat() -> None:
    assert together(const(1), const(2), const(3))() == (1, 2, 3)
    assert together(const((1, 2)), const(3))() == ((1, 2), 3)
    assert together(const(1))() == (1,)
    assert together()() == ()


def test_result_goes_on_as_one_value() -> None:
    total = (const(1) * const(2)) >> sum
    assert total() == 3


@pytest.mark.parametrize("blocked", [never, guard(lambda _: False)])
def test_both_or_neither(blocked: object) -> None:
    stack, ref = Stack([1]), Ref(0)
    effects = together(stack.pop, const(9) >> ref.write)
    for pair in (effects * blocked, blocked * effects, together(stack.pop, blocked, const(9) >> ref.write)):
        with pytest.raises((TimeoutError, RuntimeError)):
            pair(timeout=0)
        assert (stack.snapshot(), ref.get()) == ([1], 0)


def test_sides_that_touch_the_same_word_share_one_log() -> None:
    ref = Ref(0)
    count = ref.upd(lambda n, _: (n + 1, n))
    assert (count * count)() == (0, 1)
    assert together(count, count, ref.read)() == (2, 3, 4)
    assert ref.get() == 4


def test_two_items_or_none() -> None:
    queue = Queue()
    queue.put("a")
    with pytest.raises(TimeoutError):
        (queue.get * queue.get)(timeout=0)
    assert queue.qsize() == 1
    queue.put("b")
    assert (queue.get * queue.get)() == ("a", "b")


def test_swaps_two_refs() -> None:
    a, b = Ref("a"), Ref("b")
    first, second = lift(lambda ab: ab[0]), lift(lambda ab: ab[1])
    swap = (a.read * b.read) >> ((second >> a.write) * (first >> b.write))
    swap()
    assert (a.get(), b.get()) == ("b", "a")


def test_dining_philosophers() -> None:
    """Each takes both forks in one step, in the order that deadlocks with locks."""
    forks = [Ref("free") for _ in range(3)]
    meals = 300

    def philosopher(i: int) -> int:
        left, right = forks[i], forks[(i + 1) % 3]
        take = left.cas("free", i) * right.cas("free", i)
        put_back = left.cas(i, "free") * right.cas(i, "free")
        for _ in range(meals):
            take()
            assert (left.get(), right.get()) == (i, i)
            put_back()
        return meals

    assert race(*(lambda i=i: philosopher(i) for i in range(3))) == [meals] * 3
    assert [fork.get() for fork in forks] == ["free"] * 3


def test_snapshot_is_of_one_moment() -> None:
    """Many refs that are all written together are never read at different ages."""
    refs = [Ref(0) for _ in range(6)]
    write_all = together(*(ref.write for ref in refs))
    read_all = together(*(ref.read for ref in refs))
    counter = iter(range(1, 10**9))

    def auditor() -> None:
        for _ in range(2_000):
            snapshot = read_all()
            assert len(set(snapshot)) == 1, snapshot

    race(auditor, meanwhile=[lambda: write_all(next(counter))])
