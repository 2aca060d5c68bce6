"""arun(): a reaction awaited by a coroutine. See reagents.schedulers for what it runs on."""

from typing import Any

from reagents import schedulers
from reagents._core import Pending, Reagent

POLL = 0.001
"""Seconds between two looks at memory that other processes change: nobody calls for that."""


async def arun(reagent: Reagent[Any, Any], x: Any = None) -> Any:
    """Run `reagent` on x without blocking the event loop; the docstring is that of Reagent.arun."""
    suspension = schedulers.current().suspension()
    await suspension.enter()
    pending = Pending(reagent, x, suspension.resume)
    try:
        while not pending.turn():
            await suspension.wait(pending.withdraw, POLL if pending.polls else None)
    except BaseException:
        pending.withdraw()
        raise
    await suspension.leave()
    return pending.value
