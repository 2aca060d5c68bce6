"""CPython's own tests of `functools.lru_cache`, run against `lockfree.lru_cache`."""

from __future__ import annotations

import functools
import types
import unittest

import pytest

import lockfree

# Some distributions ship Python without its tests; there is nothing to borrow then.
test_functools = pytest.importorskip("test.test_functools", reason="this interpreter came without its test suite")

module = types.SimpleNamespace(
    lru_cache=lockfree.lru_cache,
    partial=functools.partial,
    _CacheInfo=functools._CacheInfo,
    WRAPPER_ASSIGNMENTS=functools.WRAPPER_ASSIGNMENTS,
)


@lockfree.lru_cache()
def lockfree_cached_func(x: int, y: int) -> int:
    return 3 * x + y


class LockfreeLruCacheTest(test_functools.TestLRU, unittest.TestCase):  # type: ignore[misc, name-defined]
    module = module
    cached_func = (lockfree_cached_func,)

    @lockfree.lru_cache()
    def cached_meth(self, x: int, y: int) -> int:
        return 3 * x + y

    @staticmethod
    @lockfree.lru_cache()
    def cached_staticmeth(x: int, y: int) -> int:
        return 3 * x + y
