"""CPython's own tests of `threading.local`, run against attributes that live in a `lockfree.ThreadLocal`.

Left out: what is about the attributes themselves (`__dict__`, names that compare equal to it, arguments of `__init__`),
for a ThreadLocal has one value and no attributes of its own.
"""

from __future__ import annotations

import types
import unittest
from typing import Any

import pytest

import lockfree

# Some distributions ship Python without its tests; there is nothing to borrow then.
test_threading_local = pytest.importorskip(
    "test.test_threading_local", reason="this interpreter came without its test suite"
)
reason = "about the attributes of threading.local, which a ThreadLocal does not have"


class Local:
    def __init__(self) -> None:
        object.__setattr__(self, "_own", lockfree.ThreadLocal(types.SimpleNamespace))

    def __getattr__(self, name: str) -> Any:
        return getattr(object.__getattribute__(self, "_own").get(), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._own.get(), name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self._own.get(), name)


class LockfreeThreadLocalTest(test_threading_local.BaseLocalTest, unittest.TestCase):  # type: ignore[misc, name-defined]
    _local = Local

    test_dict_attribute = unittest.skip(reason)(test_threading_local.BaseLocalTest.test_dict_attribute)
    test_dict_attribute_subclass = unittest.skip(reason)(
        test_threading_local.BaseLocalTest.test_dict_attribute_subclass
    )
    test_arguments = unittest.skip(reason)(test_threading_local.BaseLocalTest.test_arguments)
    if hasattr(test_threading_local.BaseLocalTest, "test_error"):
        test_error = unittest.skip(reason)(test_threading_local.BaseLocalTest.test_error)

    #: Its subclass does not call __init__, which for this stand-in is what makes the ThreadLocal.
    def test_derived(self) -> None:
        before = Local.__init__

        class Derived(Local):
            def __new__(cls) -> Any:
                made = super().__new__(cls)
                before(made)
                return made

        self._local = Derived  # type: ignore[assignment]
        super().test_derived()
