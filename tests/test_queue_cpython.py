"""CPython's own tests of `queue.Queue` and `queue.SimpleQueue`, run against `lockfree.Queue`.

What is left out, and why: docs/deviations.md.
"""

from __future__ import annotations

import queue as standard
import unittest

import pytest

import lockfree

# Some distributions ship Python without its tests; there is nothing to borrow then.
test_queue = pytest.importorskip("test.test_queue", reason="this interpreter came without its test suite")


class LockfreeQueueTest(test_queue.QueueTest, unittest.TestCase):  # type: ignore[misc, name-defined]
    """From 3.13 on with the tests of shutdown()."""

    queue = lockfree


class LockfreeSimpleQueueTest(test_queue.BaseSimpleQueueTest, unittest.TestCase):  # type: ignore[misc, name-defined]
    queue = standard

    def setUp(self) -> None:
        self.type2test = lockfree.Queue
        super().setUp()

    #: The re-entrancy test stands in the class for the C implementation; it needs nothing else from there.
    test_reentrancy = test_queue.CSimpleQueueTest.test_reentrancy
