"""CPython's own tests of `queue.LifoQueue` and `queue.PriorityQueue`, run against ours.

Left out: FailingQueueTest, which makes `_put` and `_get` of a subclass fail; ours have no such hooks (see
docs/deviations). What they are for, an operation that raises and leaves the queue as it was, is in
test_priority_queue.py.
"""

from __future__ import annotations

import queue as standard
import types
import unittest

import pytest

import lockfree

# Some distributions ship Python without its tests; there is nothing to borrow then.
test_queue = pytest.importorskip("test.test_queue", reason="this interpreter came without its test suite")

#: What the tests look for beside the types. ShutDown is ours before 3.13.
names = types.SimpleNamespace(Empty=standard.Empty, Full=standard.Full, ShutDown=lockfree.ShutDown)


class LockfreeLifoQueueTest(test_queue.BaseQueueTestMixin, unittest.TestCase):  # type: ignore[misc, name-defined]
    queue = names

    def setUp(self) -> None:
        self.type2test = lockfree.LifoQueue
        super().setUp()


class LockfreePriorityQueueTest(test_queue.BaseQueueTestMixin, unittest.TestCase):  # type: ignore[misc, name-defined]
    queue = names

    def setUp(self) -> None:
        self.type2test = lockfree.PriorityQueue
        super().setUp()
