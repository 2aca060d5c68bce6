/* turn.h - a run of a reaction, turn by turn. See engine.c. */
#ifndef RG_TURN_H
#define RG_TURN_H

#include "engine.h"
#include "offer.h"

typedef struct rg_turns {
    rg_state *st;
    Reagent *node; /* borrowed, and x */
    PyObject *x;
    Offer *mine;       /* owned: once it has waited at a channel, until it ends; or the catalyst that it is */
    rg_waiter *waiter; /* while registered */
    void (*later)(rg_waiter *); /* how to wake a coroutine or a catalyst; NULL: a thread, which parks */
    PyObject *later_arg; /* borrowed; a waiter has its own reference, in `arg` */
    rg_backoff backoff;
    unsigned lost;
} rg_turns;

void rg_turn_begin(rg_turns *, rg_state *, Reagent *node, PyObject *x);

/* RX_PARK: registered and validated: have another turn once notified; RX_BLOCK: it blocks, and may not park.
 * RX_DONE: it has happened; *result, or NULL and an error (of an action), or NULL and t->mine: the offer has the
 * answer. RX_ERROR. Except for RX_PARK the log is given up. */
rx_outcome rg_turn(rx *, rg_turns *, bool may_park, PyObject **result);
/* After the last turn, which ended so: takes the offer back, or the answer, and then whatever else was the matter is
 * forgotten: it happened. False: it has happened, but actions are yet to run: register_again, and call again (with
 * RX_DONE) when notified. */
bool rg_turns_end(rg_turns *, rx_outcome, PyObject **result);

/* The error that is set is cleared; if it is none of Exception, this thread raises it again as soon as it runs Python code. */
void rg_put_off_interrupt(void);

/* park.c. Pinned, rolled back: registers wherever the log has read. RX_DONE: what was read still holds; RX_RETRY: not, but
 * it is registered; RX_ERROR. */
rx_outcome rx_register(rx *, rg_turns *);
/* No longer registered. Any time. */
void rx_leave_waiter(rx *, rg_turns *);
/* Registered: waits until notified. RX_RETRY: have another turn; RX_BLOCK: the deadline (monotonic ns, or INT64_MAX) is
 * over; RX_ERROR: an interrupt. In the last two cases the log is given up. */
rx_outcome rx_park(rx *, rg_turns *, int64_t deadline);
/* Its offer's party has yet to act: a waiter for just that. False: it has acted, or MemoryError. */
bool rx_register_for_actions(rx *, rg_turns *);
void rx_await_actions(rx *, rg_turns *);

/* Parked without a thread: what the registration needs beyond the reagent, as a tuple, or NULL when that is nothing
 * or there is no memory (*failed). The log is given up. */
PyObject *rx_keep(rx *, bool *failed);

extern PyMethodDef rg_direct_functions[], rg_catalyst_functions[];

#endif
