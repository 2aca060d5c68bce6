"""CPython's own tests of mappings and dicts, on Map; and those of sets, on Set."""

import unittest
from typing import Any

from borrowed import module_with
from lockfree import Map

mapping_tests = module_with("test.mapping_tests", "dict", Map)
m = module_with("test.test_dict", "dict", Map)
for n, c in vars(m).items():
    if isinstance(c, type) and issubclass(c, unittest.TestCase):
        globals()[n] = c
