/* deque_whole.c - what concerns all items of a Deque at once: a copy of one instant, and changes that are worked out
 * from such a copy and take its place only if nothing else has happened.
 *
 * A copy is taken as core/deque.h collects; it holds its anchor, so that an anchor that is the same later means that
 * nothing has changed (see there). To change all is to make new nodes, swap the anchor, and retire the old ones.
 */
#include "deque.h"

typedef struct copy {
    uint64_t anchor, n, room;
    uint64_t *nodes; /* then the items, with a reference each */
    PyObject **items;
} copy;

static void copy_free(copy *c)
{
    for (uint64_t i = 0; i < c->n; i++) Py_DECREF(c->items[i]);
    PyMem_RawFree(c->nodes);
    *c = (copy){ 0 };
}

/* The items as a new list, to which the references go. */
static PyObject *copy_to_list(copy *c)
{
    PyObject *list = rg_new_list((Py_ssize_t)c->n);
    if (list) {
        for (uint64_t i = 0; i < c->n; i++) PyList_SET_ITEM(list, (Py_ssize_t)i, c->items[i]);
        c->n = 0;
    }
    return list;
}

/* Takes place at its last look at the anchor before the walk; or, if the walk was disturbed, at that just as well.
 * hold: the anchor's node, to be given back by rg_node_release. */
static bool copy_take(DequeObject *d, rg_slot *s, copy *c, bool hold)
{
    const rg_space *sp = &d->st->domain->space;
    *c = (copy){ 0 };
    for (;;) {
        rg_pin(s);
        c->anchor = rg_read(sp, s->index, &d->d.anchor);
        rg_deque_view v = rg_deque_view_of(c->anchor);
        if (v.count > c->room) {
            rg_unpin(s);
            PyMem_RawFree(c->nodes);
            c->room = v.count + v.count / 8 + 8; /* there may be more by then */
            c->nodes = PyMem_RawMalloc(c->room * (sizeof *c->nodes + sizeof *c->items));
            if (!c->nodes) {
                *c = (copy){ 0 };
                PyErr_NoMemory();
                return false;
            }
            c->items = (PyObject **)(void *)(c->nodes + c->room);
            continue;
        }
        rg_look(&d->d.lookers);
        /* Set the links, and only then make sure: who pops now sees that somebody looks. */
        bool ok = !c->anchor || (rg_deque_set_links(s, &d->d, c->anchor, &v) &&
                                 rg_read(sp, s->index, &d->d.anchor) == c->anchor &&
                                 rg_deque_collect(s, &d->d, c->anchor, &v, c->nodes));
        for (uint64_t i = 0; ok && i < v.count; i++) c->items[i] = Py_NewRef(rg_deque_payload(rg_wide_of(c->nodes[i])));
        rg_looked(&d->d.lookers);
        if (ok) c->n = v.count;
        if (ok && hold && c->anchor) rg_node_hold(rg_node_of(c->anchor));
        rg_unpin(s);
        if (ok) return true;
    }
}

/* ---- chains --------------------------------------------------------------------------------------- */

/* New nodes for n objects, from the inner end to the outer one at that side, linked. References are taken. */
typedef struct chain {
    rg_wide *inner, *outer, *record, *settled;
} chain;

static void chain_free(rg_slot *s, chain *c, int side)
{
    /* Never published: whoever takes the references away may do it now. */
    for (rg_wide *n = c->inner, *next; n; n = next) {
        next = rg_deque_next(n, side);
        PyObject *v = rg_deque_payload(n);
        rg_wide_free(s, n);
        Py_DECREF(v);
    }
    if (c->record) rg_wide_free(s, c->record);
    if (c->settled) rg_wide_free(s, c->settled);
    *c = (chain){ 0 };
}

static bool chain_make(rg_slot *s, chain *c, PyObject *const *at, Py_ssize_t n, int side)
{
    *c = (chain){ .record = rg_wide_new(s, 0), .settled = rg_wide_new(s, 0) };
    bool ok = c->record && c->settled;
    for (Py_ssize_t i = 0; ok && i < n; i++) {
        rg_wide *node = rg_wide_new(s, (uint64_t)(uintptr_t)at[i]);
        if (!(ok = node != NULL)) break;
        Py_INCREF(at[i]);
        rg_deque_place(node, side, c->outer, node, RG_BASE_NONE, 0);
        if (c->outer)
            rg_store_rlx(rg_deque_link(c->outer, side), rg_wide_word(node)); /* relaxed: private yet */
        else
            c->inner = node;
        c->outer = node;
    }
    if (ok) return true;
    chain_free(s, c, side);
    PyErr_NoMemory();
    return false;
}

static void chain_spare(rg_slot *s, chain *c)
{
    if (c->record) rg_wide_free(s, c->record);
    if (c->settled) rg_wide_free(s, c->settled);
}

static void wake_all_of(DequeObject *d, rg_slot *s, uint64_t added)
{
    rg_wake(s, &d->d.anchor);
    if (added) rg_wake_some(s, &d->takers.list, added);
}

bool rg_deque_add_all(DequeObject *d, PyObject *const *at, Py_ssize_t n, int side)
{
    rg_slot *s = rg_begin(d->st, d, "extend");
    if (!s) return false;
    if (!n) return true;
    if ((uint64_t)n >= RG_DEQUE_MOST) {
        PyErr_SetString(PyExc_OverflowError, "too many items at once");
        return false;
    }
    chain c;
    if (!chain_make(s, &c, at, n, side)) return false;
    rg_backoff b = { 0 };
    rg_tried t = RG_TRIED_BUSY;
    bool room = true;
    rg_pin(s);
    while (t != RG_TRIED_DONE && (room = rg_reserve(s, 2 * RG_DEQUE_ROOM))) {
        t = rg_deque_try_extend(s, &d->d, c.inner, c.outer, (uint64_t)n, side, &c.record, &c.settled);
        if (t == RG_TRIED_LOST) rg_lost(s, &b);
    }
    if (room) wake_all_of(d, s, (uint64_t)n);
    rg_unpin(s);
    if (room) {
        chain_spare(s, &c);
    } else {
        /* The inner end was linked to what is there; nothing there to it. */
        chain_free(s, &c, side);
        PyErr_NoMemory();
    }
    return room;
}

/* The n objects take the place of what the copy, which holds its anchor, says. 1: done; 0: something has changed since;
 * -1: error. */
static int replace(DequeObject *d, rg_slot *s, const copy *was, PyObject *const *at, Py_ssize_t n)
{
    chain c = { 0 };
    if (n && !chain_make(s, &c, at, n, RG_AT_RIGHT)) return -1;
    if (!rg_reserve(s, 2 * was->n + 2 * RG_DEQUE_ROOM)) {
        chain_free(s, &c, RG_AT_RIGHT);
        PyErr_NoMemory();
        return -1;
    }
    rg_deque_view old = rg_deque_view_of(was->anchor), v = { { c.inner, c.outer }, (uint64_t)n, { 0, 0 }, 0 };
    if (n) rg_deque_record(c.record, &v);
    rg_pin(s);
    bool done = rg_cas1(&d->st->domain->space, s->index, &d->d.anchor, was->anchor, n ? rg_wide_word(c.record) : 0);
    if (done) {
        if (n) c.record = NULL;
        wake_all_of(d, s, (uint64_t)n > was->n ? (uint64_t)n - was->n : 0);
        for (int side = RG_AT_LEFT; old.count && side <= RG_AT_RIGHT; side++)
            rg_deque_retire(s, rg_load(rg_deque_link(old.end[side], side)));
        for (uint64_t i = 0; i < was->n; i++) {
            rg_deque_retire(s, was->nodes[i]);
#ifdef RG_EXCLUSIVE
            Py_DECREF(was->items[i]); /* never the last: the copy has one */
#else
            rg_decref_late(s, was->items[i]);
#endif
        }
        if (old.count && !old.mark) rg_deque_retire(s, was->anchor);
    }
    rg_unpin(s);
    if (done)
        chain_spare(s, &c);
    else
        chain_free(s, &c, RG_AT_RIGHT);
    return done;
}

bool rg_deque_drop_all(DequeObject *d)
{
    for (int done = 0; !done;) {
        rg_slot *s = rg_begin(d->st, d, "clear");
        copy c;
        if (!s || !copy_take(d, s, &c, true)) return false;
        done = c.anchor ? replace(d, s, &c, NULL, 0) : 1;
        if (c.anchor) rg_node_release(s, rg_node_of(c.anchor));
        copy_free(&c);
        if (done < 0) return false;
    }
    return true;
}

/* ---- methods -------------------------------------------------------------------------------------- */

static PyObject *deque_snapshot(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    DequeObject *d = (DequeObject *)self;
    rg_slot *s = rg_begin(d->st, d, "snapshot");
    copy c;
    if (!s || !copy_take(d, s, &c, false)) return NULL;
    PyObject *list = copy_to_list(&c);
    copy_free(&c);
    return list;
}

PyObject *rg_deque_iter(PyObject *self)
{
    PyObject *list = deque_snapshot(self, NULL), *it = list ? PyObject_GetIter(list) : NULL;
    Py_XDECREF(list);
    return it;
}

static PyObject *deque_clear_all(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    if (!rg_deque_drop_all((DequeObject *)self)) return NULL;
    Py_RETURN_NONE;
}

/* One round of _edit: RX_RETRY when something else has happened meanwhile. */
static rx_outcome edit_once(DequeObject *d, PyObject *f, PyObject **result)
{
    rg_slot *s = rg_begin(d->st, d, "edit");
    copy c;
    if (!s || !copy_take(d, s, &c, true)) return RX_ERROR;
    PyObject *list = rg_new_list((Py_ssize_t)c.n), *answer = NULL, *items = NULL;
    int done = -1;
    for (uint64_t i = 0; list && i < c.n; i++) PyList_SET_ITEM(list, (Py_ssize_t)i, Py_NewRef(c.items[i]));
    if (list) answer = PyObject_CallOneArg(f, list);
    if (answer && (!PyTuple_CheckExact(answer) || PyTuple_GET_SIZE(answer) != 2)) {
        PyErr_SetString(PyExc_TypeError, "an edit answers with (items or None, result)");
        Py_CLEAR(answer);
    }
    /* Others may have run, and this thread in a child of a fork by now. */
    rg_slot *now = rg_here_quietly(d->st);
    if (answer && now) {
        if (PyTuple_GET_ITEM(answer, 0) == Py_None) {
            done = 1; /* it is as it was, at the instant of the copy */
        } else if ((items = PySequence_Tuple(PyTuple_GET_ITEM(answer, 0)))) {
            done = replace(d, now, &c, ((PyTupleObject *)items)->ob_item, PyTuple_GET_SIZE(items));
        }
    } else if (answer) {
        PyErr_NoMemory();
    }
    if (c.anchor && now) rg_node_release(now, rg_node_of(c.anchor));
    if (done == 1) *result = Py_NewRef(PyTuple_GET_ITEM(answer, 1));
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback); /* f's, while its list goes */
    Py_XDECREF(items);
    Py_XDECREF(answer);
    Py_XDECREF(list);
    copy_free(&c);
    PyErr_Restore(type, value, traceback);
    return done < 0 ? RX_ERROR : done ? RX_DONE : RX_RETRY;
}

static PyObject *deque_edit(PyObject *self, PyObject *f)
{
    PyObject *result = NULL;
    rx_outcome o;
    while ((o = edit_once((DequeObject *)self, f, &result)) == RX_RETRY)
        if (PyErr_CheckSignals() < 0) return NULL;
    return o == RX_DONE ? result : NULL;
}

static PyObject *deque_add_all(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (!rg_arity("_add_all", nargs, NULL, 2, 2)) return NULL;
    int right = PyObject_IsTrue(args[1]);
    PyObject *all = right < 0 ? NULL : PySequence_Tuple(args[0]);
    if (!all) return NULL;
    bool ok = rg_deque_add_all((DequeObject *)self, ((PyTupleObject *)all)->ob_item, PyTuple_GET_SIZE(all), right ? RG_AT_RIGHT : RG_AT_LEFT);
    Py_DECREF(all);
    if (!ok) return NULL;
    Py_RETURN_NONE;
}

/* One item from that end to the other: a pop and a push of one record. A stale try leaves *m its value's reference. */
static rg_tried turn_once(DequeObject *d, rg_slot *s, int side, rg_wide *m, rg_wide *record)
{
    const rg_space *sp = &d->st->domain->space;
    uint64_t a = rg_read(sp, s->index, &d->d.anchor);
    rg_deque_view v = rg_deque_view_of(a);
    if (v.count < 2) return RG_TRIED_EMPTY;
    if (!rg_deque_set_links(s, &d->d, a, &v)) return RG_TRIED_BUSY;
    bool of_record = !v.mark;
    rg_deque_waste waste;
    PyObject *value = rg_deque_payload(rg_deque_view_pop(&v, side, &waste));
    rg_look(&d->d.lookers);
    bool still = rg_read(sp, s->index, &d->d.anchor) == a;
    if (still) m->node.value = (uint64_t)(uintptr_t)Py_NewRef(value);
    rg_looked(&d->d.lookers);
    if (!still) return RG_TRIED_BUSY;
    rg_deque_view_push(&v, m, !side);
    rg_deque_record(record, &v);
    if (!rg_cas_once(&s->desc, &d->d.anchor, a, rg_wide_word(record))) return RG_TRIED_LOST;
    rg_deque_retire_waste(s, &waste);
    if (of_record) rg_deque_retire(s, a);
#ifdef RG_EXCLUSIVE
    Py_DECREF(value); /* never the last: the new node has one */
#else
    rg_decref_late(s, value);
#endif
    return RG_TRIED_DONE;
}

static PyObject *deque_turn(PyObject *self, PyObject *arg)
{
    DequeObject *d = (DequeObject *)self;
    int side = arg == Py_True ? RG_AT_RIGHT : RG_AT_LEFT;
    for (rg_backoff b = { 0 };;) {
        rg_slot *s = rg_begin(d->st, d, "rotate");
        if (!s) return NULL;
        rg_wide *m = rg_wide_new(s, 0), *record = rg_wide_new(s, 0);
        PyObject *lost = NULL;
        rg_tried t = RG_TRIED_EMPTY;
        bool ok = m && record && rg_reserve(s, 2 * RG_DEQUE_ROOM);
        if (ok) {
            rg_pin(s);
            t = turn_once(d, s, side, m, record);
            if (t == RG_TRIED_DONE) rg_wake(s, &d->d.anchor);
            if (t == RG_TRIED_LOST) rg_lost(s, &b);
            rg_unpin(s);
        }
        if (t != RG_TRIED_DONE) {
            if (m) lost = rg_deque_payload(m), rg_wide_free(s, m);
            if (record) rg_wide_free(s, record);
        }
        Py_XDECREF(lost);
        if (!ok) return PyErr_NoMemory();
        if (t == RG_TRIED_DONE || t == RG_TRIED_EMPTY) Py_RETURN_NONE;
    }
}

/* k steps from the end, by links alone; NULL: disturbed, or there is none. */
static PyObject *near_end(DequeObject *d, rg_slot *s, uint64_t k, int side, bool *none)
{
    const rg_space *sp = &d->st->domain->space;
    PyObject *item = NULL;
    rg_pin(s);
    uint64_t a = rg_read(sp, s->index, &d->d.anchor);
    rg_deque_view v = rg_deque_view_of(a);
    *none = v.count <= k;
    rg_look(&d->d.lookers);
    if (!*none && rg_deque_set_links(s, &d->d, a, &v) && rg_read(sp, s->index, &d->d.anchor) == a) {
        rg_wide *n = v.end[side];
        for (; n && k > 0; k--) n = rg_deque_next(n, !side);
        /* The links are those of the state only if it is still there. */
        if (n && rg_read(sp, s->index, &d->d.anchor) == a) item = Py_NewRef(rg_deque_payload(n));
    }
    rg_looked(&d->d.lookers);
    rg_unpin(s);
    return item;
}

/* The i-th from the right, if i is negative: from -1. */
static PyObject *item_at(DequeObject *d, Py_ssize_t i)
{
    rg_slot *s = rg_begin(d->st, d, "item");
    if (!s) return NULL;
    int side = i < 0 ? RG_AT_RIGHT : RG_AT_LEFT;
    uint64_t k = i < 0 ? (uint64_t)(-1 - i) : (uint64_t)i;
    PyObject *item = NULL;
    bool none = false;
    for (int tries = 0; k < 64 && tries < 4 && !item && !none; tries++) item = near_end(d, s, k, side, &none);
    if (item) return item;
    copy c = { 0 };
    if (!none && !copy_take(d, s, &c, false)) return NULL;
    if (k < c.n) item = Py_NewRef(c.items[side == RG_AT_LEFT ? k : c.n - 1 - k]);
    copy_free(&c);
    if (!item) PyErr_SetString(PyExc_IndexError, "deque index out of range");
    return item;
}

PyObject *rg_deque_subscript(PyObject *self, PyObject *index)
{
    Py_ssize_t i = PyNumber_AsSsize_t(index, PyExc_IndexError);
    return i == -1 && PyErr_Occurred() ? NULL : item_at((DequeObject *)self, i);
}

PyObject *rg_deque_item(PyObject *self, Py_ssize_t i) { return item_at((DequeObject *)self, i); }

PyMethodDef rg_deque_whole_methods[] = {
    { "snapshot", deque_snapshot, METH_NOARGS, PyDoc_STR("snapshot($self, /)\n--\n\n"
      "A list of all items at one instant, leftmost first. Never blocks; repeats if all of them go meanwhile. Lock-free.\n\n"
      ">>> from lockfree import Deque\n>>> Deque([1, 2]).snapshot()\n[1, 2]") },
    { "clear", deque_clear_all, METH_NOARGS, PyDoc_STR("clear($self, /)\n--\n\n"
      "Remove all items, at one instant. Never blocks; repeats while others push and pop. Lock-free.\n\n"
      ">>> from lockfree import Deque\n>>> d = Deque([1, 2])\n>>> d.clear()\n>>> d\nDeque([])") },
    { "_add_all", (PyCFunction)(void (*)(void))deque_add_all, METH_FASTCALL, NULL },
    { "_edit", deque_edit, METH_O, NULL },
    { "_turn", deque_turn, METH_O, NULL },
    { "__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, NULL },
    { "__reduce__", rg_refuse_pickle, METH_NOARGS, NULL },
    { NULL },
};
