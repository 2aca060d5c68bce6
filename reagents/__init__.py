"""Reagents: composable lock-free operations (Turon, PLDI 2012).

A reagent describes one atomic step from an input to an output. Reagents compose in sequence
(``a >> b``), by choice (``a + b``) and side by side (``a * b``); however it was built, the whole
happens at once or not at all, and no operation holds a lock.

>>> from reagents import Ref
>>> checking, savings = Ref(100), Ref(20)
>>> move = checking.upd(lambda v, n: (v - n, n)) >> savings.upd(lambda v, n: (v + n, None))
>>> move(30)
>>> (checking.read * savings.read)()
(70, 50)
"""

from reagents._core import (
    BLOCK,
    Catalyst,
    Endpoint,
    Reagent,
    Ref,
    Transaction,
    attempt,
    catalyse,
    channel,
    choice,
    computed,
    const,
    guard,
    identity,
    lift,
    never,
    post_commit,
    reagent,
    stats,
    together,
)

__all__ = [
    "BLOCK",
    "Catalyst",
    "Endpoint",
    "Reagent",
    "Ref",
    "Transaction",
    "attempt",
    "catalyse",
    "channel",
    "choice",
    "computed",
    "const",
    "guard",
    "identity",
    "lift",
    "never",
    "post_commit",
    "reagent",
    "stats",
    "together",
]
