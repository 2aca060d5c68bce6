"""CPython's own tests of `dict` and of mappings, read anew with `lockfree.Map` under dict's name."""

from __future__ import annotations

import unittest

from borrowed import adopt, module_with
from lockfree import Map

ORDER = "keys are unordered, so there is no order to keep or to reverse"
PICKLES = "a Map is shared by the threads of one process: pickling it or an iterator of it raises TypeError"
CHANGES = "iteration goes on while the Map changes"
REPR = "a Map, and a view of one, say what they are: Map({...}), Map.keys([...])"
TRACKED = "the collector tracks every Map"
WORDS = "the TypeError says the same in other words"
LEFT_OUT = {
    "test_dict_copy_order": ORDER,
    "test_dict_items_result_gc_reversed": ORDER,
    "test_reversed": ORDER,
    "test_reverse_iterator_for_empty_dict": ORDER,
    "test_reverse_iterator_for_shared_shared_dicts": ORDER,
    "test_reversed_dict_after_clear_and_restore": ORDER,
    "test_reverseitemiterator_pickling": ORDER,
    "test_reverseiterator_pickling": ORDER,
    "test_reversevaluesiterator_pickling": ORDER,
    "test_splittable_update": ORDER,
    "test_itemiterator_pickling": PICKLES,
    "test_iterator_pickling": PICKLES,
    "test_valuesiterator_pickling": PICKLES,
    "test_merge_and_mutate": CHANGES,
    "test_mutating_iteration": CHANGES,
    "test_mutating_iteration_delete": CHANGES,
    "test_mutating_iteration_delete_over_items": CHANGES,
    "test_mutating_iteration_delete_over_values": CHANGES,
    "test_oob_indexing_dictiter_iternextitem": CHANGES,
    "test_track_literals": TRACKED,
    "test_track_dynamic": TRACKED,
    "test_items": REPR,
    "test_keys": REPR,
    "test_values": REPR,
    "test_repr": REPR,
    "test_unhashable_key": WORDS,
    "test_update_type_error": WORDS,
    "test_store_evilattr": "an object's __dict__ must be a dict",
    "test_getitem_knownhash": "dict's C interface is dict's",
    "test_repr_deep": "repr is Python code, whose depth the interpreter limits as any other's",
}

protocols = module_with("test.mapping_tests", "dict", Map)
borrowed = module_with("test.test_dict", "dict", Map)


class MapProtocolTest(protocols.TestHashMappingProtocol):  # type: ignore[misc, name-defined]
    type2test = Map


MapProtocolTest = adopt(MapProtocolTest, LEFT_OUT)  # type: ignore[misc]
DictTest: type[unittest.TestCase] = adopt(borrowed.DictTest, LEFT_OUT)
SubclassMappingTests: type[unittest.TestCase] = adopt(borrowed.SubclassMappingTests, LEFT_OUT)
