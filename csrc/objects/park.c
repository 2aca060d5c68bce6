/* park.c - how a blocked reaction waits.
 *
 * Register on every word of the log, validate, park, leave. A writer that changed a word before
 * the validation is found by it; one that changes it later finds the registration. What was read
 * is held from before the validation until after leaving, so "unchanged" means unchanged.
 */
#include "explore.h"

#include <time.h>

int64_t rg_monotonic_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void wake(rg_waiter *w) { PyThread_release_lock(w->arg); }

static void done(rg_waiter *w)
{
    PyThread_free_lock(w->arg);
    PyMem_RawFree(w);
}

static rg_waiter *waiter_new(rx *r)
{
    rg_waiter *w = PyMem_RawMalloc(sizeof *w + r->log.n * sizeof w->recs[0]);
    if (!w) return NULL;
    if (__builtin_expect(r->explored, 0)) {
        rg_waiter_explored(w);
    } else if ((w->arg = PyThread_allocate_lock())) {
        PyThread_acquire_lock(w->arg, NOWAIT_LOCK);
        w->wake = wake;
        w->done = done;
    } else {
        PyMem_RawFree(w);
        return NULL;
    }
    rg_store(&w->state, RG_WAITING);
    rg_store(&w->linked, r->log.n);
    w->n = r->log.n;
    for (size_t i = 0; i < w->n; i++) w->recs[i].word = r->log.at[i].word;
    return w;
}

/* Parked, the lock can be waited for in slices only: a shared word may change in another process,
 * which does not know our waiters. */
#define SHARED_SLICE_US 1000

rx_outcome rx_park(rx *r, int64_t deadline, Reagent *what)
{
    if (!r->log.n) {
        rx_settle(r);
        PyErr_Format(PyExc_RuntimeError, "%R blocks for ever: it has read nothing that could change", what);
        return RX_ERROR;
    }
    rg_waiter *w = waiter_new(r);
    if (!w || !rg_reserve(r->slot, r->log.n)) {
        if (w) w->done(w);
        PyErr_NoMemory();
        return RX_ERROR;
    }
    bool shared = r->space != &r->st->domain->space;
    rx_hold_all(r);
    rg_count(r->slot, STAT_WAITS);
    rg_wait_register(r->slot, w);
    rx_outcome o = rx_validate(r);
    rx_unpin(r);
    rx_flush_drops(r);
    if (o == RX_DONE && r->explored) o = rx_wait_explored(r, w, deadline != INT64_MAX);
    while (o == RX_DONE) {
        /* Before each wait, for a signal interrupts only the wait that it finds this thread in: not the one
         * after, and none when it was delivered to another thread. */
        if (Py_MakePendingCalls() < 0 || PyErr_CheckSignals() < 0) {
            o = RX_ERROR;
            break;
        }
        if (rg_wait_forgotten(r->slot, w)) { /* a handler has forked, and this is the child */
            o = RX_RETRY;
            break;
        }
        int64_t us = -1;
        if (deadline != INT64_MAX) {
            us = (deadline - rg_monotonic_ns() + 999) / 1000;
            if (us <= 0) {
                o = RX_BLOCK;
                break;
            }
            if (us > 3600LL * 1000000) us = 3600LL * 1000000;
        }
        bool slice = shared && (us < 0 || us > SHARED_SLICE_US);
        if (slice) us = SHARED_SLICE_US;
        PyLockStatus got;
        Py_BEGIN_ALLOW_THREADS
        got = PyThread_acquire_lock_timed(w->arg, us, 1);
        Py_END_ALLOW_THREADS
        if (got == PY_LOCK_ACQUIRED) {
            o = RX_RETRY;
        } else if (got != PY_LOCK_INTR && shared) {
            o = rx_pin(r) ? rx_validate(r) : RX_ERROR;
            rx_unpin(r);
        }
    }
    PyObject *type = NULL, *value = NULL, *traceback = NULL;
    if (o == RX_ERROR) PyErr_Fetch(&type, &value, &traceback);
    if (o == RX_RETRY) rg_count(r->slot, STAT_WAKEUPS);
    rg_wait_leave(r->slot, w);
    if (!rx_pin(r)) o = RX_ERROR; /* as the caller had it */
    if (type) PyErr_Restore(type, value, traceback);
    return o;
}
