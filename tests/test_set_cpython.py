"""CPython's own tests of `set`, run against `lockfree.Set`."""

from borrowed import module_with
import unittest
from lockfree import Set

m = module_with("test.test_set", "set", Set)
for n, c in vars(m).items():
    if isinstance(c, type) and issubclass(c, unittest.TestCase):
        globals()[n] = c
