/* commit.c - the end of a reaction, and the calls out of it.
 *
 * Linearization: the k-CAS over all that was read or written; for a reaction that read one word
 * and wrote none, that read. References change hands only after it succeeded: a written object's
 * moves from the reaction into the word, the displaced one's to the grace period (with the GIL: to
 * the drops), and nodes that were unlinked are retired with what they still own.
 */
#include "log.h"
#include "words.h"

#include "../core/chase_lev.h"

static void changed_hands(rx *r)
{
    for (size_t i = 0; i < r->log.n; i++) {
        rx_entry *e = &r->log.at[i];
        if (e->kind != WORD_OBJECT || !e->dirty) continue;
        e->dirty = 0;
        /* Written back as it was: our reference to it is one too many. Else `cur` is the word's
         * now, and the reference that the word had to `old` is ours to give up, later. */
        if (e->cur == e->old) {
            rx_drop(r, (PyObject *)(uintptr_t)e->cur);
        } else {
#ifdef RG_EXCLUSIVE
            rx_drop(r, (PyObject *)(uintptr_t)e->old);
#else
            rg_decref_late(r->slot, (PyObject *)(uintptr_t)e->old);
#endif
        }
    }
    for (size_t i = 0; i < r->unlinked.n; i++) {
        rx_unlinked u = r->unlinked.at[i];
        if (u.named) u.node = rg_node_of(rg_load(u.named));
#ifdef RG_EXCLUSIVE
        rx_drop(r, u.value);
        if (u.node) rg_node_expired(r->slot, u.node);
#else
        if (u.value) rg_decref_late(r->slot, u.value);
        if (u.node) rg_retire_lazily(r->slot, u.node, rg_node_expired);
#endif
    }
    r->unlinked.n = 0;
    r->nodes.n = 0; /* published */
}

static int64_t position(uint64_t node) { return node ? (int64_t)rg_node_position(rg_node_of(node)) : 0; }

/* Nodes are numbered as they are added: a difference says how many items came or went. */
static int64_t gained(const rx_entry *e)
{
    switch (e->cur == e->old ? PART_NONE : e->part) {
    case PART_STACK_HEAD: return position(e->cur) - position(e->old);
    case PART_QUEUE_HEAD: return position(e->old) - position(e->cur);
    case PART_QUEUE_LINK: return 1;
    case PART_EVERYONE: return INT32_MAX;
    case PART_PERMITS: return (int64_t)(e->cur - e->old);
    case PART_OWNER: return !e->cur - !e->old;
    case PART_SIGNALS: return PART_SIGNALS_OF(e->cur) - PART_SIGNALS_OF(e->old);
    case PART_COUNTED: return (int64_t)rg_cl_count(e->cur) - (int64_t)rg_cl_count(e->old);
    default: return 0;
    }
}

/* The wake-up that it owes was for an item: it has taken one, or found none; or for a place: the same. */
static bool pays(const rg_takers *owed, const rx_entry *e, int64_t n)
{
    return (e->takers == owed && (e->vacant || n < 0)) || (e->room == owed && (e->full || n > 0));
}

/* While what was unlinked is still there: wakes those who wait for words, counts what takers are to be woken
 * for, and looks whether the wake-up that the reaction owes was used. */
static void wake_waiters(rx *r)
{
    for (size_t i = 0; i < r->log.n; i++) {
        rx_entry *e = &r->log.at[i];
        int64_t n = gained(e);
        e->gained = n > INT32_MAX ? INT32_MAX : n < -INT32_MAX ? -INT32_MAX : (int32_t)n;
        if (r->owes && pays(r->owes, e, n)) rx_used_wakeup(r);
        if (e->cur == e->old) continue;
        /* Set to what it was, by value where values count: nobody is woken. Both are alive: the
         * displaced one is retired or dropped only after this. */
        if (e->kind == WORD_OBJECT && rg_same((PyObject *)(uintptr_t)e->old, (PyObject *)(uintptr_t)e->cur)) continue;
        rg_wake(r->slot, e->word);
    }
}

/* After all else has been retired: waking a taker retires its record, for which no room was reserved. */
static void wake_takers(rx *r)
{
    for (size_t i = 0; i < r->log.n; i++) {
        rx_entry *e = &r->log.at[i];
        if (e->part && e->gained > 0) rg_wake_some(r->slot, &e->takers->list, (size_t)e->gained);
        if (e->room && e->gained < 0) rg_wake_some(r->slot, &e->room->list, (size_t)-e->gained);
    }
}

#define SMALL 16

rx_outcome rx_commit(rx *r)
{
    rg_cas_entry small[SMALL], *c = small;
    size_t n = r->log.n, writes = 0;
    for (size_t i = 0; i < n; i++) writes += r->log.at[i].cur != r->log.at[i].old;
    if (!rg_reserve(r->slot, 2 * r->unlinked.n + writes) || !RX_ROOM(r->drops, n + r->unlinked.n + 2)) {
        if (!PyErr_Occurred()) PyErr_NoMemory();
        return RX_ERROR;
    }
    while (n > 1 || writes) {
        if (n > SMALL && c == small && !(c = PyMem_RawMalloc(n * sizeof *c))) {
            PyErr_NoMemory();
            return RX_ERROR;
        }
        for (size_t i = 0; i < n; i++) c[i] = (rg_cas_entry){ r->log.at[i].word, r->log.at[i].old, r->log.at[i].cur };
        r->exposed = true;
        int k = rx_kcas(r, c, n);
        if (k == RG_SUCCEEDED) break;
        if (k == RG_FAILED && rx_equal_by_value(r)) continue;
        if (c != small) PyMem_RawFree(c);
        return rx_outcome_of(r, k);
    }
    if (c != small) PyMem_RawFree(c);
    /* Who owes a wake-up has to see whether it was used even if there is nobody left to pass it on to. */
    bool waiters = rg_somebody_waits(r->slot) || r->owes;
    if (waiters) wake_waiters(r);
    changed_hands(r);
    if (waiters) wake_takers(r);
    return RX_DONE;
}

rx_outcome rx_leave(rx *r)
{
    /* Opacity: user code must not see a mix of two states. */
    if (!r->validated && r->log.n > 1) {
        rx_outcome o = rx_validate(r);
        if (o != RX_DONE) return o;
    }
    rx_hold_all(r);
    rx_unpin(r);
    rx_flush_drops(r);
    return RX_DONE;
}

rx_outcome rx_return(rx *r, PyObject *y)
{
    if (!rx_pin(r)) {
        Py_XDECREF(y);
        return RX_ERROR;
    }
    if (!y) return RX_ERROR;
    /* Nodes are about to be followed; that they are held says that they exist, not that they are
     * still linked to what exists. */
    rx_outcome o = r->has_nodes ? rx_validate(r) : RX_DONE;
    if (o != RX_DONE) rx_drop(r, y);
    return o;
}

rx_outcome rx_call(rx *r, PyObject *f, PyObject *const *args, size_t nargs, PyObject **result)
{
    rx_outcome o = rx_leave(r);
    if (o != RX_DONE) return o;
    vectorcallfunc call = PyVectorcall_Function(f);
    *result = call ? call(f, args, nargs, NULL) : PyObject_Vectorcall(f, args, nargs, NULL);
    return rx_return(r, *result);
}
