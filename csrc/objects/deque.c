/* deque.c - lockfree.Deque: Michael's deque (core/deque.h) of objects.
 *
 * A node's payload owns a reference; records have none. In a reaction only the anchor is logged: what hangs below a
 * validated anchor, its links set, is what was read. One push in a reaction makes a node that is its own record, as a
 * direct one does without the GIL (deque_ends.h has the direct ones); more of it goes by way of views, and the links at the
 * border to what was there are left to whoever comes next.
 */
#include "deque_ends.h"

/* ---- reagents ---------------------------------------------------------------------------------- */

static rx_entry *anchor_of(rx *r, DequeObject *d)
{
    rx_entry *e = rx_read_private(r, &d->d.anchor, WORD_NODE, NULL);
    if (e) rx_is_part(e, &d->takers, PART_STACK_HEAD); /* its position is the number of items, as of a stack's head */
    return e;
}

static bool is_ours(rx *r, uint64_t w) { return w && rx_is_private(r, rg_node_of(w)); }

/* What this reaction sees, with all links set but those that it leaves to others. */
static rx_outcome view_now(rx *r, DequeObject *d, rx_entry *e, rg_deque_view *v)
{
    *v = rg_deque_view_of(e->cur);
    if (!e->cur || is_ours(r, e->cur)) return RX_DONE;
    if (e->cur == e->old) return rg_deque_set_links(r->slot, &d->d, e->old, v) ? RX_DONE : RX_RETRY;
    v->unset[RG_AT_LEFT] = v->unset[RG_AT_RIGHT] = 0; /* a base: what was built on it had them set first */
    return RX_DONE;
}

static bool unlink_waste(rx *r, const rg_deque_waste *w, PyObject *value)
{
    return rx_unlink_named(r, w->named[0]) && (!w->named[1] || rx_unlink_named(r, w->named[1])) &&
           rx_unlink(r, w->node ? &w->node->node : NULL, value);
}

/* The record that is current gives way to another, which its nodes do not notice. */
static bool unlink_record(rx *r, rx_entry *e)
{
    return !e->cur || rg_deque_view_of(e->cur).mark || rx_unlink(r, rg_node_of(e->cur), NULL);
}

static bool write_view(rx *r, rx_entry *e, const rg_deque_view *v)
{
    if (!unlink_record(r, e)) return false;
    if (!v->count) return rx_write(r, e, 0);
    rg_wide *record = rx_new_wide(r, NULL);
    if (!record) return false;
    rg_deque_record(record, v);
    return rx_write(r, e, rg_wide_word(record));
}

static rx_outcome step_push(rx *r, Reagent *n, PyObject *x, PyObject **y, int side)
{
    DequeObject *d = (DequeObject *)n->a;
    uint64_t most = rg_load_rlx(&d->most); /* relaxed: no part of the state */
    rx_entry *e = anchor_of(r, d);
    if (!e) return RX_ERROR;
    *y = Py_None;
    if (!most) return Py_INCREF(*y), RX_DONE;
    rg_deque_view v;
    rx_outcome o = view_now(r, d, e, &v);
    if (o != RX_DONE) return o;
    rg_wide *node = rx_new_wide(r, x);
    if (!node) return RX_ERROR;
    if (v.count < most && !is_ours(r, e->cur)) {
        if (v.count)
            rg_deque_place(node, side, v.end[side], v.end[!side], rg_deque_base(e->cur, &v, side), v.count + 1);
        else
            rg_deque_place(node, side, NULL, node, RG_BASE_NONE, 1);
        if (!unlink_record(r, e) || !rx_write(r, e, rg_wide_word(node))) return RX_ERROR;
        return Py_INCREF(*y), RX_DONE;
    }
    rg_deque_view_push(&v, node, side);
    while (v.count > most) {
        rg_deque_waste waste;
        PyObject *value = rg_deque_payload(rg_deque_view_pop(&v, !side, &waste));
        if (!unlink_waste(r, &waste, value)) return RX_ERROR;
    }
    return write_view(r, e, &v) ? (Py_INCREF(*y), RX_DONE) : RX_ERROR;
}

/* The payload of a node, with a reference; RX_RETRY when the anchor changed under the look. */
static rx_outcome look(rx *r, DequeObject *d, rx_entry *e, rg_wide *n, PyObject **y)
{
    if (rx_is_private(r, &n->node)) {
        *y = Py_NewRef(rg_deque_payload(n));
        return RX_DONE;
    }
    rg_look(&d->d.lookers); /* as in stack.c */
    bool still = rg_read(r->space, r->me, e->word) == e->old;
    if (still) *y = Py_NewRef(rg_deque_payload(n));
    rg_looked(&d->d.lookers);
    return still ? RX_DONE : RX_RETRY;
}

static rx_outcome step_pop(rx *r, Reagent *n, PyObject **y, int side)
{
    DequeObject *d = (DequeObject *)n->a;
    rx_entry *e = anchor_of(r, d);
    if (!e) return RX_ERROR;
    if (!e->cur) {
        e->vacant |= !e->old; /* else it is what this reaction has left of the deque that is empty */
        return RX_BLOCK;
    }
    rg_deque_view v;
    PyObject *value;
    rx_outcome o = view_now(r, d, e, &v);
    if (o == RX_DONE) o = look(r, d, e, v.end[side], &value);
    if (o != RX_DONE) return o;
    bool inward = v.mark == RG_DEQUE_MARK((unsigned)side, RG_BASE_INWARD), far = v.mark == RG_DEQUE_MARK((unsigned)side, RG_BASE_FAR);
    rg_deque_waste waste;
    bool ok;
    rg_deque_view_pop(&v, side, &waste);
    if (inward || far)
        ok = rx_write(r, e, rg_wide_word(v.end[inward ? side : !side]));
    else
        ok = write_view(r, e, &v);
    if (!ok || !unlink_waste(r, &waste, value)) {
        rx_drop(r, value);
        return RX_ERROR;
    }
    *y = value;
    return RX_DONE;
}

static rx_outcome step_append(rx *r, Reagent *n, PyObject *x, PyObject **y) { return step_push(r, n, x, y, RG_AT_RIGHT); }
static rx_outcome step_appendleft(rx *r, Reagent *n, PyObject *x, PyObject **y) { return step_push(r, n, x, y, RG_AT_LEFT); }
static rx_outcome step_popright(rx *r, Reagent *n, PyObject *x, PyObject **y) { return (void)x, step_pop(r, n, y, RG_AT_RIGHT); }
static rx_outcome step_popleft(rx *r, Reagent *n, PyObject *x, PyObject **y) { return (void)x, step_pop(r, n, y, RG_AT_LEFT); }

/* ---- direct calls -------------------------------------------------------------------------------- */

PyObject *rg_deque_take(DequeObject *d, int side) { return pop(d, side); }

/* With arguments that are not just the item. */
static RG_SLOW PyObject *push_oddly(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kw, int side)
{
    if (!rg_arity(side == RG_AT_RIGHT ? "append" : "appendleft", nargs, kw, 1, 1) || !push((DequeObject *)self, args[0], side)) return NULL;
    Py_RETURN_NONE;
}

RG_HOT PyObject *direct_append(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kw)
{
    if (__builtin_expect(kw || nargs != 1, 0)) return push_oddly(self, args, nargs, kw, RG_AT_RIGHT);
    return push_called((DequeObject *)self, args[0], RG_AT_RIGHT);
}

RG_HOT PyObject *direct_appendleft(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kw)
{
    if (__builtin_expect(kw || nargs != 1, 0)) return push_oddly(self, args, nargs, kw, RG_AT_LEFT);
    return push_called((DequeObject *)self, args[0], RG_AT_LEFT);
}

extern const rg_op rg_op_deque_pop, rg_op_deque_popleft;

/* (block=False, timeout=None): a timeout alone says to wait, too. */
static bool parse_patience(rg_state *st, const char *name, PyObject *const *args, Py_ssize_t nargs, PyObject *kw, rg_blocking *how)
{
    if (!rg_parse_blocking(st, name, args, nargs, kw, 0, NULL, how)) return false;
    bool told = nargs > 0;
    for (Py_ssize_t i = 0; kw && i < PyTuple_GET_SIZE(kw); i++)
        told |= PyUnicode_Compare(PyTuple_GET_ITEM(kw, i), st->str_block) == 0;
    if (!told) how->block = how->timeout >= 0;
    return true;
}

static RG_SLOW PyObject *not_popped(DequeObject *d, const rg_op *op, rg_blocking how)
{
    if (PyErr_Occurred()) return NULL;
    if (how.block) return rg_wait_for(d->st, op, (PyObject *)d, how, d->st->stack_empty);
    PyErr_SetString(d->st->stack_empty, "pop from an empty deque");
    return NULL;
}

static RG_SLOW PyObject *pop_patiently(DequeObject *d, PyObject *const *args, Py_ssize_t nargs, PyObject *kw, const rg_op *op, int side)
{
    rg_blocking how = { false, -1 };
    if ((nargs || kw) && !parse_patience(d->st, op->name, args, nargs, kw, &how)) return NULL;
    PyObject *v = rg_deque_take(d, side);
    return v ? v : not_popped(d, op, how);
}

RG_HOT PyObject *direct_pop(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kw)
{
    return pop_called((DequeObject *)self, args, nargs, kw, &rg_op_deque_pop, RG_AT_RIGHT);
}

RG_HOT PyObject *direct_popleft(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kw)
{
    return pop_called((DequeObject *)self, args, nargs, kw, &rg_op_deque_popleft, RG_AT_LEFT);
}

RG_BOUND(append)
static const rg_op op_append = { .name = "append", .step = step_append, .direct = direct_append, .bound = direct_append_bound,
    .doc = "append($self, item, /)\n--\n\n"
    "Put item at the right end; a full one (maxlen) loses its leftmost at the same instant. Never blocks. A method and a\n"
    "reagent. Lock-free (Michael, Euro-Par 2003).\n\n"
    ">>> from lockfree import Deque\n>>> d = Deque('ab')\n>>> d.append('c')\n>>> d\nDeque(['a', 'b', 'c'])" };
RG_BOUND(appendleft)
static const rg_op op_appendleft = { .name = "appendleft", .step = step_appendleft, .direct = direct_appendleft,
    .bound = direct_appendleft_bound, .doc = "appendleft($self, item, /)\n--\n\n"
    "Put item at the left end; a full one (maxlen) loses its rightmost at the same instant. Never blocks. A method and a\n"
    "reagent. Lock-free (Michael, Euro-Par 2003).\n\n"
    ">>> from lockfree import Deque\n>>> d = Deque('ab')\n>>> d.appendleft('c')\n>>> d\nDeque(['c', 'a', 'b'])" };
RG_BOUND(pop)
const rg_op rg_op_deque_pop = { .name = "pop", .step = step_popright, .direct = direct_pop, .bound = direct_pop_bound,
    .doc = "pop($self, block=False, timeout=None)\n--\n\n"
    "Take the rightmost item. Called when there is none it raises Empty, an IndexError, at once; with block=True it waits for\n"
    "one, and with a timeout at most so many seconds, then raises Empty. As a reagent it always waits. Lock-free but\n"
    "for the waiting (Michael, Euro-Par 2003).\n\n>>> from lockfree import Deque\n>>> Deque([1, 2]).pop()\n2" };
RG_BOUND(popleft)
const rg_op rg_op_deque_popleft = { .name = "popleft", .step = step_popleft, .direct = direct_popleft, .bound = direct_popleft_bound,
    .doc = "popleft($self, block=False, timeout=None)\n--\n\n"
    "Take the leftmost item. Called when there is none it raises Empty, an IndexError, at once; with block=True it waits for\n"
    "one, and with a timeout at most so many seconds, then raises Empty. As a reagent it always waits. Lock-free but\n"
    "for the waiting (Michael, Euro-Par 2003).\n\n>>> from lockfree import Deque\n>>> Deque([1, 2]).popleft()\n1" };
const rg_op *const rg_deque_ops[] = { &op_append, &op_appendleft, &rg_op_deque_pop, &rg_op_deque_popleft, NULL };

/* ---- life ---------------------------------------------------------------------------------------- */

static Py_ssize_t deque_len(PyObject *self)
{
    DequeObject *d = (DequeObject *)self;
    rg_slot *s = rg_begin(d->st, d, "len");
    if (!s) return -1;
    rg_pin(s);
    Py_ssize_t n = (Py_ssize_t)rg_deque_size(s, &d->d);
    rg_unpin(s);
    return n;
}

static PyObject *deque_new(PyTypeObject *type, PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(kw))
{
    rg_state *st = rg_state_of(type);
    DequeObject *d = st ? (DequeObject *)type->tp_alloc(type, 0) : NULL;
    if (!d) return NULL;
    d->st = st;
    rg_store_rlx(&d->most, UINT64_MAX); /* relaxed: private yet */
    rg_list_init(&d->takers.list);
    d->takers.of = (PyObject *)d;
    return (PyObject *)d;
}

static int deque_init(PyObject *self, PyObject *args, PyObject *kw)
{
    static char *names[] = { "iterable", "maxlen", NULL };
    DequeObject *d = (DequeObject *)self;
    PyObject *items = NULL, *maxlen = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, kw, "|OO:Deque", names, &items, &maxlen)) return -1;
    uint64_t most = UINT64_MAX;
    if (maxlen && maxlen != Py_None) {
        Py_ssize_t n = PyLong_AsSsize_t(maxlen);
        if (n == -1 && PyErr_Occurred()) return -1;
        if (n < 0) {
            PyErr_SetString(PyExc_ValueError, "maxlen must be non-negative");
            return -1;
        }
        most = (uint64_t)n;
    }
    if (!rg_deque_drop_all(d)) return -1;
    rg_store_rlx(&d->most, most);
    if (!items) return 0;
    if (most == UINT64_MAX && (PyList_CheckExact(items) || PyTuple_CheckExact(items))) {
        PyObject *all = PySequence_Tuple(items); /* a list may change meanwhile */
        bool ok = all && rg_deque_add_all(d, ((PyTupleObject *)all)->ob_item, PyTuple_GET_SIZE(all), RG_AT_RIGHT);
        Py_XDECREF(all);
        return ok ? 0 : -1;
    }
    PyObject *it = PyObject_GetIter(items), *v;
    if (!it) return -1;
    while ((v = PyIter_Next(it))) {
        bool ok = push(d, v, RG_AT_RIGHT);
        Py_DECREF(v);
        if (!ok) break;
    }
    Py_DECREF(it);
    return PyErr_Occurred() ? -1 : 0;
}

static PyObject *deque_maxlen(PyObject *self, void *Py_UNUSED(c))
{
    uint64_t most = rg_load_rlx(&((DequeObject *)self)->most);
    if (most == UINT64_MAX) Py_RETURN_NONE;
    return PyLong_FromUnsignedLongLong(most);
}

static int deque_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    uint64_t a = rg_load(&((DequeObject *)self)->d.anchor);
    if (rg_is_ref(a)) return 0; /* a k-CAS under way, in a thread that the collector does not wait for: there are none */
    rg_deque_view v = rg_deque_view_of(a);
    rg_wide *n = v.end[RG_AT_RIGHT];
    /* The links to the right that are unset belong to the last so many pairs. */
    uint64_t from_right = v.unset[RG_AT_RIGHT];
    for (uint64_t i = 0; i < from_right; i++, n = rg_deque_next(n, RG_AT_LEFT)) Py_VISIT(rg_deque_payload(n));
    n = v.end[RG_AT_LEFT];
    for (uint64_t i = from_right; i < v.count; i++, n = rg_deque_next(n, RG_AT_RIGHT)) Py_VISIT(rg_deque_payload(n));
    return 0;
}

static int deque_clear(PyObject *self)
{
    PyObject *v, *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback); /* of whoever let go of us */
    /* Whoever is called by a destructor may put more: the next look sees it. */
    while ((v = rg_deque_take((DequeObject *)self, RG_AT_LEFT))) rg_release(v);
    PyErr_Restore(type, value, traceback);
    return 0;
}

static void deque_dealloc(PyObject *self)
{
    DequeObject *d = (DequeObject *)self;
    PyObject_GC_UnTrack(self);
    if (d->weakrefs) PyObject_ClearWeakRefs(self);
    deque_clear(self);
#ifdef RG_EXCLUSIVE
    rg_deque_give_up_own(rg_here_quietly(d->st), &d->d);
#endif
    rg_free_late(d->st, self);
}

static PyGetSetDef getset[] = {
    { "maxlen", deque_maxlen, NULL, PyDoc_STR("The most items that it holds, or None.\n\n"
      ">>> from lockfree import Deque\n>>> Deque(maxlen=3).maxlen\n3"), NULL },
    { NULL },
};
static PyMemberDef members[] = {
    { "__weaklistoffset__", Py_T_PYSSIZET, offsetof(DequeObject, weakrefs), Py_READONLY, NULL },
    { NULL },
};
static PyType_Slot slots[] = {
    { Py_tp_doc, "What of lockfree.Deque is in C." },
    { Py_tp_new, deque_new },
    { Py_tp_init, deque_init },
    { Py_tp_dealloc, deque_dealloc },
    { Py_tp_traverse, deque_traverse },
    { Py_tp_clear, deque_clear },
    { Py_sq_length, deque_len },
    { Py_sq_item, rg_deque_item },
    { Py_mp_subscript, rg_deque_subscript },
    { Py_tp_iter, rg_deque_iter },
    { Py_tp_methods, rg_deque_whole_methods },
    { Py_tp_members, members },
    { Py_tp_getset, getset },
    { 0, NULL },
};
PyType_Spec rg_deque_spec = {
    .name = "lockfree._Deque",
    .basicsize = sizeof(DequeObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .slots = slots,
};
