/* channel.c - channel() and lockfree.Exchanger: where two strands exchange what they have.
 *
 * A channel is two sides, each the other's dual; an exchanger one that is its own. A side holds the
 * offers of those who wait there (rendezvous.c); an exchange leaves no trace in it otherwise. The memory of the
 * sides goes after both endpoints, and after a grace period: a search may still walk over it.
 */
#include "channel.h"
#include "engine.h"

/* ---- sides ---------------------------------------------------------------------------------------- */

typedef struct rg_sides {
    rg_word owners;
    rg_side at[2];
} rg_sides;

static void side_init(rg_side *s, rg_side *dual)
{
    rg_list_init(&s->offers);
    s->dual = dual;
    rg_store_rlx(&s->gone, 0); /* relaxed: private yet */
}

static void sides_expired(rg_slot *s, void *p)
{
    (void)s;
    PyMem_RawFree(p);
}

static Endpoint *endpoint_new(rg_state *st, PyTypeObject *type)
{
    Endpoint *e = PyObject_GC_New(Endpoint, type);
    if (!e) return NULL;
    e->st = st;
    e->weakrefs = NULL;
    e->side = NULL;
    e->owners = NULL;
    return e;
}

/* Whoever waits for a partner that cannot come any more is told. Who has not registered yet has read the arrivals
 * here and then that this side was not gone (seek(), rendezvous.c): either its registration is found, or its validation
 * fails. */
static void close_side(rg_state *st, rg_side *side, rg_word *owners)
{
    rg_store(&side->gone, 1);
    rg_slot *s = rg_here_quietly(st);
    if (!s) return;
    rg_pin(s); /* first: the other endpoint may be the last just after */
    bool last = rg_fetch_add(owners, (uint64_t)-1) == 1;
    bool room = !last || rg_reserve(s, 1); /* without room the memory is kept for ever */
    if (!last) rg_list_disturb(s, &side->offers);
    if (!last && side->dual != side)
        for (rg_link *l = rg_list_first(s, &side->dual->offers); l; l = rg_list_next(s, &side->dual->offers, l))
            rg_wait_notify(s, ((rg_waitrec *)((char *)l - offsetof(rg_waitrec, link)))->waiter, RG_NOTIFIED);
    if (last && room) rg_retire(s, (char *)owners - offsetof(rg_sides, owners), sides_expired);
    rg_unpin(s);
}

/* ---- the step ------------------------------------------------------------------------------------- */

static rx_outcome step_swap(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    (void)x, (void)y;
    if (rg_load(&((Endpoint *)n->a)->side->dual->gone)) {
        r->orphaned = true;
        return RX_BLOCK;
    }
    return RX_PARK;
}

static const rg_op op_swap = { .name = "swap", .step = step_swap, .swaps = true, .doc = "swap($self, x=None, /, *, timeout=None)\n--\n\n"
    "A reagent: gives its input to a partner at the other endpoint, and its result is what the partner gave. Blocks\n"
    "until there is one. Raises RuntimeError when the other endpoint was collected, so that none can come.\n"
    "Partners are looked for oldest first, among the offers of all who wait, and theirs in turn: up to 32 parties\n"
    "in one reaction, those nearby first, and a bounded number of tries (8,192 with one partner, 1,024 more each\n"
    "time that twice as many parties are allowed for). Beyond that it waits\n"
    "as if there were none; and so it does where what follows the partner's swap would have to come before what\n"
    "follows this one, or the other way round: they go on in one order only. (Turon, PLDI 2012, who left\n"
    "it open how n parties could meet.)\n\n"
    ">>> from reagents import channel, const\n>>> left, right = channel()\n"
    ">>> ((const('a') >> left.swap) * (const('b') >> right.swap))()\n('b', 'a')" };
const rg_op *const rg_endpoint_ops[] = { &op_swap, NULL };

static const rg_op op_exchange = { .name = "exchange", .step = step_swap, .swaps = true, .doc = "exchange($self, x=None, /, *, timeout=None)\n--\n\n"
    "A reagent: exchanges its input with whoever else exchanges here. Blocks until there is somebody.\n"
    "Called, exchange(x, *, timeout=None) raises TimeoutError after timeout seconds. (java.util.concurrent's\n"
    "Exchanger.)\n\n"
    ">>> from lockfree import Exchanger\n>>> from reagents import const\n>>> e = Exchanger()\n"
    ">>> ((const(1) >> e.exchange) * (const(2) >> e.exchange))()\n(2, 1)" };
const rg_op *const rg_exchanger_ops[] = { &op_exchange, NULL };

/* ---- endpoints ------------------------------------------------------------------------------------ */

static int endpoint_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    return 0;
}

static void endpoint_dealloc(PyObject *self)
{
    Endpoint *e = (Endpoint *)self;
    PyObject_GC_UnTrack(self);
    if (e->weakrefs) PyObject_ClearWeakRefs(self);
    if (e->side) close_side(e->st, e->side, e->owners);
    PyTypeObject *type = Py_TYPE(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *endpoint_repr(PyObject *self)
{
    Endpoint *e = (Endpoint *)self;
    return PyUnicode_FromFormat("<Endpoint of channel at %p, %s>", e->owners, e->side < e->side->dual ? "left" : "right");
}

static PyMemberDef members[] = {
    { "__weaklistoffset__", Py_T_PYSSIZET, offsetof(Endpoint, weakrefs), Py_READONLY, NULL },
    { NULL },
};
static PyMethodDef methods[] = {
    { "__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, NULL },
    { "__reduce__", rg_refuse_pickle, METH_NOARGS, NULL },
    { NULL },
};
static PyType_Slot endpoint_slots[] = {
    { Py_tp_doc, "One end of a channel(). Its swap is a reagent: see there." },
    { Py_tp_dealloc, endpoint_dealloc },
    { Py_tp_traverse, endpoint_traverse },
    { Py_tp_repr, endpoint_repr },
    { Py_tp_methods, methods },
    { Py_tp_members, members },
    { 0, NULL },
};
PyType_Spec rg_endpoint_spec = {
    .name = "reagents.Endpoint",
    .basicsize = sizeof(Endpoint),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = endpoint_slots,
};

static PyObject *f_channel(PyObject *m, PyObject *Py_UNUSED(ignored))
{
    rg_state *st = PyModule_GetState(m);
    Endpoint *left = endpoint_new(st, st->endpoint_type), *right = left ? endpoint_new(st, st->endpoint_type) : NULL;
    rg_sides *sides = right ? PyMem_RawMalloc(sizeof *sides) : NULL;
    PyObject *pair = sides ? PyTuple_New(2) : NULL;
    if (!pair) {
        if (right && !sides) PyErr_NoMemory();
        PyMem_RawFree(sides);
        Py_XDECREF(left);
        Py_XDECREF(right);
        return NULL;
    }
    rg_store_rlx(&sides->owners, 2); /* relaxed: private yet */
    side_init(&sides->at[0], &sides->at[1]);
    side_init(&sides->at[1], &sides->at[0]);
    left->owners = right->owners = &sides->owners;
    left->side = &sides->at[0];
    right->side = &sides->at[1];
    PyObject_GC_Track(left);
    PyObject_GC_Track(right);
    PyTuple_SET_ITEM(pair, 0, (PyObject *)left);
    PyTuple_SET_ITEM(pair, 1, (PyObject *)right);
    return pair;
}

PyMethodDef rg_channel_functions[] = {
    { "channel", f_channel, METH_NOARGS, PyDoc_STR("channel($module, /)\n--\n\n"
      "A new channel: its two endpoints. What runs left.swap and what runs right.swap exchange their inputs, in\n"
      "one atomic step with all else that either does (Turon, PLDI 2012).\n\n"
      ">>> from reagents import channel, const\n>>> left, right = channel()\n"
      ">>> ((const(1) >> left.swap) * (const(2) >> right.swap))()\n(2, 1)") },
    { NULL, NULL, 0, NULL },
};

/* ---- the exchanger -------------------------------------------------------------------------------- */

static PyObject *exchanger_new(PyTypeObject *type, PyObject *args, PyObject *kw)
{
    static char *names[] = { NULL };
    if (!PyArg_ParseTupleAndKeywords(args, kw, ":Exchanger", names)) return NULL;
    rg_state *st = rg_state_of(type);
    Endpoint *e = st ? (Endpoint *)type->tp_alloc(type, 0) : NULL;
    if (!e) return NULL;
    rg_sides *sides = PyMem_RawMalloc(sizeof *sides);
    if (!sides) {
        Py_DECREF(e);
        return PyErr_NoMemory();
    }
    e->st = st;
    rg_store_rlx(&sides->owners, 1); /* relaxed: private yet */
    side_init(&sides->at[0], &sides->at[0]);
    e->owners = &sides->owners;
    e->side = &sides->at[0];
    return (PyObject *)e;
}

static PyObject *exchanger_repr(PyObject *self) { return PyUnicode_FromFormat("<Exchanger at %p>", self); }

static PyType_Slot exchanger_slots[] = {
    { Py_tp_doc, "Exchanger()\n--\n\n"
      "Where any two meet and exchange what they have; exchange is a method and a reagent. As a channel whose two\n"
      "ends are one. (Scherer, Lea and Scott, 2005; java.util.concurrent.Exchanger.) Blocks until there is a partner.\n\n"
      ">>> from lockfree import Exchanger\n>>> from reagents import const\n>>> e = Exchanger()\n"
      ">>> ((const('x') >> e.exchange) * (const('y') >> e.exchange))()\n('y', 'x')" },
    { Py_tp_new, exchanger_new },
    { Py_tp_dealloc, endpoint_dealloc },
    { Py_tp_traverse, endpoint_traverse },
    { Py_tp_repr, exchanger_repr },
    { Py_tp_methods, methods },
    { Py_tp_members, members },
    { 0, NULL },
};
PyType_Spec rg_exchanger_spec = {
    .name = "lockfree.Exchanger",
    .basicsize = sizeof(Endpoint),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .slots = exchanger_slots,
};
