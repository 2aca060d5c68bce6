/* engine.h - runs reagents. */
#ifndef RG_ENGINE_H
#define RG_ENGINE_H

#include "log.h"

/* Run `reagent` on x. timeout: seconds, or negative to wait for ever. Blocks; the GIL is given up
 * while parked. New reference, or NULL with an error set and nothing changed. When the time is over:
 * TimeoutError, or, if the caller has an error of its own for that, *timed_out and no error. */
PyObject *rg_run(rg_state *, Reagent *, PyObject *x, double timeout, bool *timed_out);
/* One try that never parks: *blocked instead of an error when it would have. */
PyObject *rg_try(rg_state *, Reagent *, PyObject *x, bool *blocked);

/* Seconds from a timeout argument; -1 for None. False: TypeError or ValueError set. */
bool rg_timeout(PyObject *arg, double *seconds);

/* The generic call of a reagent, (x=None, *, timeout=None). */
PyObject *rg_reagent_call(PyObject *self, PyObject *const *args, size_t nargsf, PyObject *kwnames);

int64_t rg_monotonic_ns(void);
/* A pause for the elder (core/elder.h). Nothing is pinned. */
void rg_give_way(rg_slot *);
/* The error that is set, as an exception; NULL without memory. */
PyObject *rg_fetch_error(void);
/* The reaction ends, or it waits again for something else: the wake-up that it owes, if any, goes to the next who
 * waits. Pinned or not, the drops to be flushed afterwards. */
void rx_pass_on(rx *);

enum { STAT_COMMITS, STAT_RETRIES, STAT_WAITS, STAT_WAKEUPS };
static inline void rg_count(rg_slot *s, int which)
{
    /* relaxed and not atomic as a whole: only the owner writes, statistics read */
    rg_store_rlx(&s->stat[which], rg_load_rlx(&s->stat[which]) + 1);
}

#endif
