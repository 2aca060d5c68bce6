/* explore.h - what a reaction does in a thread under exploration (rx.explored). See explore.c. */
#ifndef RG_EXPLORE_H
#define RG_EXPLORE_H

#include "engine.h"

bool rg_is_explored(rg_state *);

/* Before a direct operation that looks for no slot of the process: false, and an error is set, or go on. */
extern _Atomic unsigned rg_explored_threads;
bool rg_hand_over(rg_state *, PyObject *what, const char *name);
static inline bool rg_before_shared(rg_state *st, void *what, const char *name)
{
    return __builtin_expect(!atomic_load_explicit(&rg_explored_threads, memory_order_relaxed), 1) || rg_hand_over(st, what, name);
}

/* Hand over before a step of the reaction, and before its commit. Pinned. RX_DONE: go on; RX_RETRY: the
 * log is stale; RX_ERROR: an error is set. */
rx_outcome rx_before_step(rx *, Reagent *);
rx_outcome rx_before_commit(rx *);

/* In place of a lock to wait on. */
void rg_waiter_explored(rg_waiter *);
/* Registered and validated, not pinned. RX_RETRY: woken; RX_BLOCK: the time is over; RX_ERROR. A wait that
 * is timed is over when the explorer says so, whatever the clock says. */
rx_outcome rx_wait_explored(rx *, rg_waiter *, bool timed);

extern PyMethodDef rg_explore_functions[];

#endif
