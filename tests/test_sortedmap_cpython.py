"""CPython's own tests of mappings, run against `lockfree.SortedMap`."""

from __future__ import annotations

from typing import Any

import pytest

import lockfree

# Some distributions ship Python without its tests; there is nothing to borrow then.
mapping_tests = pytest.importorskip("test.mapping_tests", reason="this interpreter came without its test suite")
ordered = pytest.importorskip("test.test_ordered_dict", reason="this interpreter came without its test suite")


class SortedMapProtocolTest(mapping_tests.TestMappingProtocol):  # type: ignore[misc, name-defined]
    type2test = lockfree.SortedMap

    #: popitem takes `last`, as OrderedDict's; mapping_tests wants dict's, which refuses an argument.
    test_popitem = ordered.CPythonGeneralMappingTests.test_popitem


class SubclassProtocolTest(SortedMapProtocolTest):
    class type2test(lockfree.SortedMap[Any, Any]):
        pass
