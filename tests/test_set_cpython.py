"""CPython's own tests of `set`, read anew with `lockfree.Set` under its name."""

from __future__ import annotations

import unittest

from borrowed import adopt, module_with
from lockfree import Set

PICKLES = "a Set is shared by the threads of one process: pickling it, and copying it deeply, raises TypeError"
OURS = "a Set says that it is one, Set({1}), as frozenset does"
LEFT_OUT = {
    "test_pickling": PICKLES,
    "test_iterator_pickling": PICKLES,
    "test_deepcopy": PICKLES,
    "test_deep_copy": PICKLES,
    "test_repr": OURS,
    "test_cyclical_repr": OURS,
    "test_unhashable_element": "the TypeError says what that of hash() says, not what 3.14 makes of it",
    "test_do_not_rehash_dict_keys": "the hashes that a dict keeps are not for others to see",
    "test_changingSizeWhileIterating": "iteration goes on while the Set changes",
}

borrowed = module_with("test.test_set", "set", Set)
for case in [c for c in vars(borrowed).values() if isinstance(c, type) and issubclass(c, unittest.TestCase)]:
    if "Frozen" not in case.__name__:  # those are about frozenset
        globals()[case.__name__] = adopt(case, LEFT_OUT)
del case
