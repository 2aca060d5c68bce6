"""A reaction reads and writes through a log: later steps see what earlier ones wrote, and other branches do not."""

from __future__ import annotations

import pytest

from lockfree import AtomicInt, Counter, Queue, Stack
from reagents import Ref, attempt, const, guard, identity, never, together


def test_the_same_ref_twice() -> None:
    ref = Ref(1)
    double = ref.upd(lambda n, _: (n * 2, n * 2))
    assert (double >> double >> ref.read)() == 4
    assert ref.get() == 4


def test_reads_its_own_write() -> None:
    ref = Ref("before")
    assert (const("after") >> ref.write >> ref.read)() == "after"
    assert (const("again") >> ref.swap >> (lambda old: old + "!") >> ref.swap)() == "again"
    assert ref.get() == "after!"


def test_cas_sees_its_own_write() -> None:
    ref = Ref(0)
    (const(1) >> ref.write >> ref.cas(1, 2) >> ref.cas(2, 3))()
    assert ref.get() == 3
    with pytest.raises(TimeoutError):
        (const(1) >> ref.write >> ref.cas(3, 4))(timeout=0)
    assert ref.get() == 3


def test_add_sees_its_own_write() -> None:
    number = AtomicInt(5)
    assert (const(2) >> number.add >> const(3) >> number.add)() == 7
    assert (const(100) >> number.set >> const(1) >> number.add >> number.get)() == 101
    assert number.get() == 101


def test_push_then_pop() -> None:
    stack = Stack(["below"])
    assert (const("mine") >> stack.push >> stack.pop)() == "mine"
    assert stack.snapshot() == ["below"]
    assert (const("mine") >> stack.push >> stack.pop >> stack.pop)() == "below"
    assert stack.snapshot() == []


def test_pop_then_push_then_pop() -> None:
    stack = Stack([1, 2])
    assert (stack.pop >> (lambda x: x * 10) >> stack.push >> stack.peek)() == 20
    assert stack.snapshot() == [20, 1]


def test_several_pushes() -> None:
    stack: Stack[int] = Stack()
    (const(1) >> stack.push >> const(2) >> stack.push >> const(3) >> stack.push)()
    assert stack.snapshot() == [3, 2, 1]
    assert (stack.pop * stack.pop * stack.pop)() == ((3, 2), 1)
    assert not stack


def test_put_then_get_on_an_empty_queue() -> None:
    queue = Queue()
    assert (const("mine") >> queue.put >> queue.get)() == "mine"
    assert queue.empty()
    queue.put("next")
    assert queue.get_nowait() == "next"


@pytest.mark.parametrize("waiting", range(4))
@pytest.mark.parametrize("puts", range(1, 5))
@pytest.mark.parametrize("gets", range(1, 6))
def test_several_puts_then_several_gets(waiting: int, puts: int, gets: int) -> None:
    """First what was there, then what the reaction has put itself; blocks, and undoes all, when it wants more."""
    queue = Queue()
    old = [f"old {i}" for i in range(waiting)]
    new = [f"new {i}" for i in range(puts)]
    for item in old:
        queue.put(item)
    reaction = identity
    for item in new:
        reaction = reaction >> const(item) >> queue.put
    reaction = reaction >> const([])
    for _ in range(gets):
        reaction = reaction >> (identity * queue.get) >> (lambda pair: [*pair[0], pair[1]])
    everything = old + new
    if gets <= len(everything):
        assert reaction() == everything[:gets]
        left = everything[gets:]
    else:
        with pytest.raises(TimeoutError):
            reaction(timeout=0)
        left = old
    assert [queue.get_nowait() for _ in left] == left
    assert queue.empty()
    queue.put("the queue still works")
    assert queue.get_nowait() == "the queue still works"


def test_gets_and_puts_alternate() -> None:
    queue = Queue()
    step = const("x") >> queue.put >> queue.get
    reaction = step
    for _ in range(5):
        reaction = reaction >> queue.put >> queue.get
    assert reaction() == "x"
    queue.put("a")
    queue.put("b")
    rotate = queue.get >> queue.put
    (rotate >> rotate >> rotate)()
    assert [queue.get_nowait(), queue.get_nowait()] == ["b", "a"]
    assert queue.empty()


def test_get_the_last_item_then_put() -> None:
    queue = Queue()
    queue.put("last")
    assert (queue.get >> (lambda x: x + "!") >> queue.put >> queue.peek)() == "last!"
    assert [queue.get_nowait()] == ["last!"]
    assert queue.empty()


def test_moves_between_a_structure_and_itself() -> None:
    queue, stack = Queue(), Stack(["item"])
    (stack.pop >> queue.put >> queue.get >> stack.push >> stack.pop >> queue.put)()
    assert (queue.get_nowait(), stack.snapshot()) == ("item", [])


def test_counter_sees_its_own_add() -> None:
    counter = Counter(10)
    assert (const(5) >> counter.add >> counter.value)() == 15
    assert counter.value() == 15


def test_writes_of_a_branch_that_blocks_are_rolled_back() -> None:
    ref, stack, queue, number = Ref("old"), Stack(["old"]), Queue(), AtomicInt(1)
    queue.put("old")
    changes = const("new") >> ref.write >> stack.push >> stack.pop >> stack.pop >> queue.put >> queue.get
    changes = changes >> const(9) >> number.set
    look = ref.read * stack.peek * queue.peek * number.get
    seen = ((("old", "old"), "old"), 1)
    assert ((changes >> never) + look)() == seen
    assert attempt(changes >> never)() is None
    assert look() == seen


def test_writes_before_the_choice_survive_the_rollback() -> None:
    ref = Ref(0)
    first = const(1) >> ref.write
    left = const(2) >> ref.write >> guard(lambda x: x != 2)
    assert (first >> (left + ref.read))() == 1
    assert ref.get() == 1


def test_rollback_restores_a_word_that_both_branches_write() -> None:
    ref, other = Ref(0), Ref(0)
    add = ref.upd(lambda n, x: (n + x, n + x))
    left = const(10) >> add >> const(20) >> add >> other.write >> never
    right = const(5) >> add >> other.write
    assert (const(1) >> add >> (left + right))() == 6
    assert (ref.get(), other.get()) == (6, 6)


def test_a_long_log_is_searched_rightly_after_a_branch_that_made_nodes() -> None:
    """Its entries for the links of those nodes go, the others move: who looks for them by word must find them."""
    refs = [Ref(n) for n in range(60)]
    queue: Queue[str] = Queue()
    early = together(*(ref.read for ref in refs[:20]))
    late = together(*(ref.read for ref in refs[20:]))
    left = early >> const("a") >> queue.put >> const("b") >> queue.put >> late >> const("c") >> queue.put >> never
    right = together(*(ref.upd(lambda n, _: (n + 100, n)) for ref in refs))
    assert (left + right)() == tuple(range(60))
    assert [ref.get() for ref in refs] == list(range(100, 160))
    assert queue.empty()
