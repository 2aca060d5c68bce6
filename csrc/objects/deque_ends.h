/* deque_ends.h - one item at one end of a Deque, called directly: for deque.c.
 *
 * Each has one try where nothing is in the way, which calls nothing that it does not end with, and so saves no registers;
 * what is in the way is the slow one's business. With the GIL that is another try: core/deque_exclusive.h.
 */
#ifndef RG_OBJECTS_DEQUE_ENDS_H
#define RG_OBJECTS_DEQUE_ENDS_H

#include "deque.h"

#define RG_HOT static inline __attribute__((always_inline))

/* What a call of pop comes to when nothing was found, unless an error is set. */
static RG_SLOW PyObject *not_popped(DequeObject *, const rg_op *, rg_blocking);
/* With arguments, or when something was in the way. */
static RG_SLOW PyObject *pop_patiently(DequeObject *, PyObject *const *args, Py_ssize_t nargs, PyObject *kw, const rg_op *, int side);

/* With a maxlen. */
static RG_SLOW bool push_bounded(DequeObject *d, PyObject *v, int side, uint64_t most)
{
    rg_slot *s = rg_begin(d->st, d, side == RG_AT_RIGHT ? "append" : "appendleft");
    if (!s) return false;
    if (!most) return true;
    rg_wide *n = rg_wide_new(s, (uint64_t)(uintptr_t)v), *record = rg_wide_new(s, 0);
    rg_tried t = RG_TRIED_BUSY;
    rg_backoff b = { 0 };
    uint64_t value = 0;
    bool ok = n && record, shifted = false;
    if (ok) Py_INCREF(v);
    rg_pin(s);
    while (ok && t != RG_TRIED_DONE) {
        if (t == RG_TRIED_LOST) rg_lost(s, &b);
        if (!(ok = rg_reserve(s, 2 * RG_DEQUE_ROOM))) break;
        shifted = false;
        t = rg_deque_try_push(s, &d->d, n, side, most, true);
        if (t == RG_TRIED_BUSY) (void)rg_read(&d->st->domain->space, s->index, &d->d.anchor);
        if (t != RG_TRIED_FULL) continue;
        shifted = true;
        t = rg_deque_try_shift(s, &d->d, n, side, most, record, &value);
    }
    PyObject *gone = ok && shifted ? rg_take_payload(s, &d->d.lookers, value) : NULL;
    if (ok && shifted)
        rg_wake(s, &d->d.anchor);
    else if (ok)
        rg_wake_added(s, &d->takers.list, &d->d.anchor);
    rg_unpin(s);
    if (record && !(ok && shifted)) rg_wide_free(s, record);
    if (!ok && n) {
        if (record) Py_DECREF(v);
        rg_wide_free(s, n);
    }
    Py_XDECREF(gone);
    if (!ok) PyErr_NoMemory();
    return ok;
}

#ifdef RG_EXCLUSIVE

#include "../core/deque_exclusive.h"

/* n: a new node, or NULL. */
static RG_SLOW bool push_slow(DequeObject *d, rg_wide *n, PyObject *v, int side)
{
    rg_slot *s = rg_begin(d->st, d, side == RG_AT_RIGHT ? "append" : "appendleft");
    if (!s) return false;
    if (!n) n = rg_wide_new(s, (uint64_t)(uintptr_t)v);
    rg_pin(s);
    bool ok = n && rg_deque_make_own(s, &d->d) && rg_deque_try_push_own(&d->d, n, side);
    if (ok) {
        Py_INCREF(v);
        rg_wake_added(s, &d->takers.list, &d->d.anchor);
    } else if (n) {
        rg_wide_free(s, n);
    }
    rg_unpin(s);
    if (!ok) PyErr_NoMemory();
    return ok;
}

/* Who waits is woken. */
static RG_SLOW PyObject *pushed(DequeObject *d, rg_slot *s)
{
    rg_wake_added(s, &d->takers.list, &d->d.anchor);
    Py_RETURN_NONE;
}

static bool push(DequeObject *d, PyObject *v, int side)
{
    uint64_t most = rg_load_rlx(&d->most);
    return most != UINT64_MAX ? push_bounded(d, v, side, most) : push_slow(d, NULL, v, side);
}

static RG_SLOW PyObject *push_otherwise(DequeObject *d, rg_wide *n, PyObject *v, int side)
{
    if (!(n ? push_slow(d, n, v, side) : push(d, v, side))) return NULL;
    Py_RETURN_NONE;
}

RG_HOT PyObject *push_called(DequeObject *d, PyObject *v, int side)
{
    rg_slot *s = rg_at_hand(d->st);
    rg_wide *n = __builtin_expect(s && rg_load_rlx(&d->most) == UINT64_MAX, 1) ? rg_wide_kept(s, (uint64_t)(uintptr_t)v) : NULL;
    if (__builtin_expect(!n || !rg_deque_try_push_own(&d->d, n, side), 0)) return push_otherwise(d, n, v, side);
    Py_INCREF(v);
    if (rg_somebody_waits(s)) return pushed(d, s);
    Py_RETURN_NONE;
}

static RG_SLOW PyObject *popped(DequeObject *d, rg_slot *s, rg_wide *n)
{
    PyObject *v = rg_deque_payload(n);
    rg_node_expired(s, &n->node);
    rg_wake(s, &d->d.anchor);
    return v;
}

/* NULL: empty, or an error is set. */
static RG_SLOW PyObject *pop(DequeObject *d, int side)
{
    rg_slot *s = rg_begin(d->st, d, side == RG_AT_RIGHT ? "pop" : "popleft");
    if (!s || !rg_load(&d->d.anchor)) return NULL;
    rg_pin(s);
    bool ok = rg_deque_make_own(s, &d->d);
    PyObject *v = ok ? popped(d, s, rg_deque_try_pop_own(&d->d, side)) : NULL;
    rg_unpin(s);
    if (!ok) PyErr_NoMemory();
    return v;
}

RG_HOT PyObject *pop_called(DequeObject *d, PyObject *const *args, Py_ssize_t nargs, PyObject *kw, const rg_op *op, int side)
{
    rg_slot *s = rg_at_hand(d->st);
    rg_wide *n = __builtin_expect(s && !nargs && !kw, 1) ? rg_deque_try_pop_own(&d->d, side) : NULL;
    if (__builtin_expect(!n, 0)) return pop_patiently(d, args, nargs, kw, op, side);
    if (__builtin_expect(!rg_deque_keeps(s, n) || rg_somebody_waits(s), 0)) return popped(d, s, n);
    PyObject *v = rg_deque_payload(n);
    rg_deque_keep(s, n);
    return v;
}

#else

static RG_SLOW bool push_slow(DequeObject *d, rg_wide *n, PyObject *v, int side, rg_tried t)
{
    rg_slot *s = rg_begin(d->st, d, side == RG_AT_RIGHT ? "append" : "appendleft");
    if (!s) return false;
    if (!n && !(n = rg_wide_new(s, (uint64_t)(uintptr_t)Py_NewRef(v)))) {
        Py_DECREF(v);
        PyErr_NoMemory();
        return false;
    }
    rg_pin(s);
    bool ok = rg_deque_push(s, &d->d, n, side, t);
    if (ok) rg_wake_added(s, &d->takers.list, &d->d.anchor);
    rg_unpin(s);
    if (ok) return true;
    rg_wide_free(s, n);
    Py_DECREF(v);
    PyErr_NoMemory();
    return false;
}

static bool push(DequeObject *d, PyObject *v, int side)
{
    uint64_t most = rg_load_rlx(&d->most);
    return most != UINT64_MAX ? push_bounded(d, v, side, most) : push_slow(d, NULL, v, side, RG_TRIED_BUSY);
}

static RG_SLOW PyObject *push_otherwise(DequeObject *d, rg_wide *n, PyObject *v, int side, rg_tried t)
{
    if (!(n ? push_slow(d, n, v, side, t) : push(d, v, side))) return NULL;
    Py_RETURN_NONE;
}

/* Who waits is woken, and what is due done. */
static RG_SLOW PyObject *pushed(DequeObject *d, rg_slot *s)
{
    rg_wake_added(s, &d->takers.list, &d->d.anchor);
    rg_reclaim_when_due(s);
    Py_RETURN_NONE;
}

RG_HOT PyObject *push_called(DequeObject *d, PyObject *v, int side)
{
    rg_slot *s = rg_at_hand(d->st);
    rg_wide *n = __builtin_expect(s && rg_load_rlx(&d->most) == UINT64_MAX && rg_has_room(s, RG_DEQUE_ROOM), 1)
                     ? rg_wide_kept(s, (uint64_t)(uintptr_t)v) : NULL;
    if (__builtin_expect(!n, 0)) return push_otherwise(d, NULL, v, side, RG_TRIED_BUSY);
    Py_INCREF(v);
    if (__builtin_expect(!rg_glance(s), 0)) return push_otherwise(d, n, v, side, RG_TRIED_BUSY);
    rg_tried t = rg_deque_try_push(s, &d->d, n, side, UINT64_MAX, false);
    rg_glanced(s);
    if (__builtin_expect(t != RG_TRIED_DONE, 0)) return push_otherwise(d, n, v, side, t);
    if (__builtin_expect(rg_somebody_waits(s) || rg_is_due(s), 0)) return pushed(d, s);
    Py_RETURN_NONE;
}

/* Pinned, or in a glance. */
static inline PyObject *taken(DequeObject *d, rg_slot *s, int side, const rg_deque_popped *p)
{
    PyObject *v = rg_take_payload(s, &d->d.lookers, p->value);
    rg_deque_let_go(s, side, p);
    return v;
}

static RG_SLOW PyObject *pop_slow(DequeObject *d, int side, rg_wide *spare, rg_tried t)
{
    rg_slot *s = rg_begin(d->st, d, side == RG_AT_RIGHT ? "pop" : "popleft");
    if (!s) return NULL;
    rg_deque_popped p;
    bool nomem;
    rg_pin(s);
    PyObject *v = rg_deque_pop(s, &d->d, side, &spare, &p, &nomem, t) ? taken(d, s, side, &p) : NULL;
    if (v) rg_wake(s, &d->d.anchor);
    rg_unpin(s);
    if (spare) rg_wide_free(s, spare);
    if (nomem) PyErr_NoMemory();
    return v;
}

/* NULL: empty, or an error is set. */
static PyObject *pop(DequeObject *d, int side) { return pop_slow(d, side, NULL, RG_TRIED_BUSY); }

/* A first try was not done. */
static RG_SLOW PyObject *pop_again(DequeObject *d, const rg_op *op, int side, rg_wide *spare, rg_tried t)
{
    PyObject *v = t == RG_TRIED_EMPTY ? NULL : pop_slow(d, side, spare, t);
    return v ? v : not_popped(d, op, (rg_blocking){ false, -1 });
}

/* It was, in a glance: who looks at the payload is heeded, who waits is woken, and what is due done. */
static RG_SLOW PyObject *popped(DequeObject *d, rg_slot *s, int side, rg_deque_popped p)
{
    PyObject *v = taken(d, s, side, &p);
    rg_glanced(s);
    rg_wake(s, &d->d.anchor);
    rg_reclaim_when_due(s);
    return v;
}

RG_HOT PyObject *pop_called(DequeObject *d, PyObject *const *args, Py_ssize_t nargs, PyObject *kw, const rg_op *op, int side)
{
    rg_slot *s = rg_at_hand(d->st);
    if (__builtin_expect(!s || nargs || kw || !rg_has_room(s, RG_DEQUE_ROOM) || !rg_glance(s), 0))
        return pop_patiently(d, args, nargs, kw, op, side);
    rg_deque_popped p;
    rg_wide *spare = NULL;
    rg_tried t = rg_deque_try_pop(s, &d->d, side, &spare, &p, false);
    if (__builtin_expect(t != RG_TRIED_DONE, 0)) {
        rg_glanced(s);
        return pop_again(d, op, side, spare, t);
    }
    if (__builtin_expect(rg_load(&d->d.lookers) || rg_somebody_waits(s) || rg_is_due(s), 0)) return popped(d, s, side, p);
    rg_deque_let_go(s, side, &p);
    rg_glanced(s);
    return (PyObject *)(uintptr_t)p.value;
}

#endif
#endif
