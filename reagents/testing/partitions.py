"""Divides a history into parts that cannot influence each other."""

from __future__ import annotations

from collections.abc import Hashable

from reagents.testing.history import Operation
from reagents.testing.spec import Spec


def partitioned(operations: list[Operation], spec: Spec) -> dict[Hashable, list[Operation]]:
    """The operations by partition, each in the order given.

    An operation is in the partition of its key; a frozenset means several keys, and what an operation so connects
    is one partition, whose key is the frozenset of all that is in it.
    """
    keys = [spec.partition(op) for op in operations]
    connected = _Connected()
    for key in keys:
        if isinstance(key, frozenset):
            connected.join(key)
    names = connected.names()
    parts: dict[Hashable, list[Operation]] = {}
    for op, key in zip(operations, keys, strict=True):
        one = next(iter(key), key) if isinstance(key, frozenset) else key
        parts.setdefault(names.get(one, one), []).append(op)
    return parts


class _Connected:
    """Disjoint sets under union (Tarjan, 1975), with path halving."""

    def __init__(self) -> None:
        self._parent: dict[Hashable, Hashable] = {}

    def join(self, keys: frozenset[Hashable]) -> None:
        roots = [self._root(key) for key in keys]
        for root in roots[1:]:
            self._parent[self._root(root)] = self._root(roots[0])

    def _root(self, key: Hashable) -> Hashable:
        parent = self._parent
        at = parent.setdefault(key, key)
        while at != key:
            parent[key] = at = parent[at]
            key, at = at, parent[at]
        return key

    def names(self) -> dict[Hashable, frozenset[Hashable]]:
        """For each key all that it is connected with."""
        members: dict[Hashable, list[Hashable]] = {}
        for key in list(self._parent):
            members.setdefault(self._root(key), []).append(key)
        return {key: name for keys in members.values() for name in [frozenset(keys)] for key in keys}
