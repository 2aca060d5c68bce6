"""What every type of `lockfree` has in common with the standard library's: one check a convention."""

from __future__ import annotations

import copy
import inspect
import pickle
import types
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from reagents import Reagent, identity


def check_type(kind: type, make: Callable[[], Any], *, generic: bool = True) -> None:
    name = kind.__name__
    assert kind.__module__ == "lockfree"
    assert kind.__doc__
    thing = make()
    for refused in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match=f"cannot pickle.*{name}"):
            refused(thing)
    reference = weakref.ref(thing)
    assert reference() is thing
    del thing
    assert reference() is None
    if generic:
        assert isinstance(kind[int], types.GenericAlias)  # type: ignore[index]
        assert kind[int].__origin__ is kind  # type: ignore[index]
    assert name in repr(make())
    assert hash(make()) is not None, "hashed by identity, as the standard library's queues are"


def check_reagent_method(method: Any) -> None:
    """An attribute with two uses: a plain method and a Reagent."""
    assert isinstance(method, Reagent)
    assert callable(method)
    assert isinstance(method >> identity, Reagent)
    assert isinstance(identity >> method, Reagent)
    assert isinstance(method + method, Reagent)
    assert isinstance(method * method, Reagent)
    assert repr(method)


def check_signature(kind: type, method: str, parameters: list[str]) -> None:
    """`inspect.signature` of the method names the parameters that the standard library has."""
    found = inspect.signature(getattr(kind, method))
    assert list(found.parameters) == ["self", *parameters], found
