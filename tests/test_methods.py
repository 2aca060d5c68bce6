"""What the methods of the structures are on their class: descriptors, as methods of built-in types are."""

from __future__ import annotations

import inspect

import pytest

from lockfree import Queue, Stack
from reagents import Ref


class Jobs(Queue[int]):
    """A class of a user's own."""


def test_through_the_class() -> None:
    queue: Queue[int] = Queue()
    Queue.put(queue, 1)
    Queue.put(queue, 2, block=True)
    assert Queue.get(queue) == 1
    assert list(map(Queue.get, [queue])) == [2]


def test_on_a_subclass_and_its_instances() -> None:
    jobs = Jobs()
    jobs.put(1)
    Queue.put(jobs, 2)
    Jobs.put(jobs, 3)
    assert [jobs.get(), Queue.get(jobs), Jobs.get(jobs)] == [1, 2, 3]
    assert (jobs.put >> jobs.get)(4) == 4


def test_the_wrong_object() -> None:
    with pytest.raises(TypeError, match=r"Queue\.get\(\) needs an object"):
        Queue.get()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"'get' of lockfree\.Queue objects doesn't apply to a int object"):
        Queue.get(3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"doesn't apply to a lockfree\.Stack object"):
        Queue.get(Stack())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"doesn't apply to a int object"):
        Queue.get.__get__(3, int)  # type: ignore[attr-defined]


@pytest.mark.parametrize(("kind", "name"), [(Queue, "put"), (Stack, "pop"), (Ref, "upd")])
def test_introspection(kind: type, name: str) -> None:
    method = inspect.getattr_static(kind, name)
    assert method.__name__ == name
    assert method.__qualname__ == f"{kind.__name__}.{name}"
    assert method.__objclass__ is kind
    assert method.__doc__
    assert f"'{name}'" in repr(method)
    assert kind.__name__ in repr(method)
    assert inspect.signature(method)
    assert getattr(kind, name) is method, "of the class itself it is not bound"
