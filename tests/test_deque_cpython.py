"""CPython's own tests of `collections.deque`, run against `lockfree.Deque`."""

from __future__ import annotations

import collections
import re
import types
import unittest
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import lockfree

# Some distributions ship Python without its tests; there is nothing to borrow then.
standard = pytest.importorskip("test.test_deque", reason="this interpreter came without its test suite")

#: What is changed in the text before it runs, and why.
EDITS = [
    # Our name.
    (r"'deque\(\[", "'Deque(["),
    # __eq__ sees the items of one instant: changing the deque from it neither raises nor is seen.
    (r"self\.assertRaises\(RuntimeError, d\.count, 3\)", "self.assertEqual(d.count(3), 2)"),
    (r"(MutateCmp\(d, False\)\n\s+)with self\.assertRaises\(RuntimeError\):\n\s+n in d", r"\1self.assertNotIn(n, d)"),
    (r"with self\.assertRaises\(RuntimeError\):\n\s+_ = 3 in d", "self.assertNotIn(3, d)"),
    (r"with self\.assertRaises\(RuntimeError\):\n\s+_ = d\.count\(3\)", "self.assertEqual(d.count(3), 0)"),
    (
        r"(MutateCmp\(d, False\)\n\s+with self\.)assertRaises\(RuntimeError\):(\n\s+d\.index\(n\))",
        r"\1assertRaises(ValueError):\2",
    ),
    (r"assertRaises\(RuntimeError\):(\n\s+d\.index\(0\)\n)", r"assertRaises(ValueError):\1"),
    # remove starts over when somebody was faster, and finds nothing then.
    (r"assertRaises\(IndexError, d\.remove, 'c'\)", "assertRaises(ValueError, d.remove, 'c')"),
    # A hundred collections of all that a test run has made take many seconds; five see as much.
    (r"range\(100\):(\n\s+d\.append\(1\)\n\s+gc\.collect\(\))", r"range(5):\1"),
    # Iteration, too, goes over the items of one instant.
    (
        r"d\.pop\(\)\n\s+self\.assertRaises\(RuntimeError, next, it\)",
        "d.pop()\n        self.assertEqual(''.join(it), 'abcdefg')",
    ),
    (
        r"d\.append\(10\)\n\s+self\.assertRaises\(RuntimeError, next, it\)",
        "d.append(10)\n        self.assertEqual(list(it), [])",
    ),
]

PICKLES = "a Deque is shared by the threads of one process: pickling it is refused"
LEFT_OUT = {
    "test_pickle": PICKLES,
    "test_pickle_recursive": PICKLES,
    "test_iterator_pickle": PICKLES,
    "test_copy_pickle": PICKLES,
    "test_sizeof": "counts the blocks of collections.deque",
}


def adapted() -> types.ModuleType:
    """The module again, with the edits, and with our Deque where it looks for deque."""
    path = Path(standard.__file__)
    text = path.read_text()
    for pattern, new in EDITS:
        # Not every version has each of them.
        text = re.sub(pattern, new, text)
    module = types.ModuleType("test_deque_of_ours")
    kept = collections.deque
    collections.deque = lockfree.Deque  # type: ignore[misc, assignment]
    try:
        exec(compile(text, path, "exec"), module.__dict__)
    finally:
        collections.deque = kept  # type: ignore[misc]
    assert module.deque is lockfree.Deque
    return module


ours = adapted()


def left_out(reason: str) -> Callable[[Any], None]:
    def test(self: Any) -> None:
        self.skipTest(reason)

    return test


for name in ("TestBasic", "TestVariousIteratorArgs", "TestSubclass", "TestSubclassWithKwargs", "TestSequence"):
    borrowed = getattr(ours, name)
    own = {test: left_out(reason) for test, reason in LEFT_OUT.items() if hasattr(borrowed, test)}
    globals()[name] = type(name, (borrowed, unittest.TestCase), own)
del borrowed
