/* catalyst.c - a reaction that is offered again and again.
 *
 * A catalyst is an offer that is not used up: others recruit it, any number of times, and compare its state
 * instead of answering it. It has no thread. When a word changes that its last search has read, whoever
 * changed it gives it another turn, after its own operation: the catalyst looks for partners among those who wait,
 * and registers where it could meet others now. Turns are taken one at a time: `turning` says whether one is
 * under way, and whether another is due then; who finds one under way leaves the next to it.
 *
 * It ends when cancelled, or with the first error that one of its functions raises; cancel() raises that.
 */
#include "binding.h"
#include "turn.h"

enum { IDLE, TURNING, AGAIN };

typedef struct Catalyst {
    PyObject_HEAD
    rg_state *st;
    PyObject *weakrefs;
    rg_turns t; /* of whoever has made `turning` not IDLE */
    rg_word turning;
    PyObject *node, *x, *keeps;
    Offer *offer;
    bool told; /* its error was raised */
} Catalyst;

static void stop(Catalyst *c, rx *r)
{
    rx_leave_waiter(r, &c->t);
    rx_pass_on(r);
    Py_CLEAR(c->keeps);
}

/* RX_PARK: it is registered. RX_DONE: it is over. RX_ERROR: an error is set. */
static rx_outcome one_turn(Catalyst *c, bool *met)
{
    rx r;
    rx_init(&r, c->st);
    rx_leave_waiter(&r, &c->t);
    PyObject *before = c->keeps;
    c->keeps = NULL;
    rg_traces_resume(&r, before);
    rx_outcome o;
    PyObject *value;
    do {
        o = rg_offer_is_over(c->offer) ? RX_BLOCK : rg_turn(&r, &c->t, true, &value);
        if (o == RX_DONE && !value && PyErr_Occurred()) o = RX_ERROR; /* of an action of its own */
        if (o == RX_DONE) Py_XDECREF(value);
    } while (o == RX_DONE);
    if (o == RX_PARK) {
        /* Where can it park but at one side, and who is there? */
        if (met) *met = r.many && r.world.met && r.world.own_sides == 1;
        bool failed;
        c->keeps = rx_keep(&r, &failed);
        if (failed) o = RX_ERROR;
    }
    PyObject *type, *error, *traceback;
    PyErr_Fetch(&type, &error, &traceback);
    if (o != RX_PARK) stop(c, &r);
    rx_free(&r);
    Py_XDECREF(before);
    PyErr_Restore(type, error, traceback);
    return o == RX_BLOCK ? RX_DONE : o;
}

/* As long as turns are due. Errors become the catalyst's end. */
static void take_turns(Catalyst *c)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback); /* of whoever woke it */
    do {
        rg_store(&c->turning, TURNING);
        if (one_turn(c, NULL) == RX_ERROR) {
            PyObject *error = rg_fetch_error();
            if (error) rg_offer_fail(c->offer, error);
        }
    } while (!rg_cas(&c->turning, TURNING, IDLE));
    PyErr_Restore(type, value, traceback);
}

static void give_turn(Catalyst *c)
{
    for (;;) {
        if (rg_cas(&c->turning, IDLE, TURNING)) {
            take_turns(c);
            return;
        }
        if (rg_load(&c->turning) == AGAIN || rg_cas(&c->turning, TURNING, AGAIN)) return;
    }
}

static void woken(rg_waiter *w) { give_turn((Catalyst *)w->arg); }

static PyObject *f_catalyse(PyObject *m, PyObject *args, PyObject *kw)
{
    static char *names[] = { "reagent", "x", NULL };
    rg_state *st = PyModule_GetState(m);
    PyObject *node, *x = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kw, "O|O:catalyse", names, &node, &x)) return NULL;
    if (!Py_IS_TYPE(node, st->reagent_type)) {
        PyErr_Format(PyExc_TypeError, "catalyse() takes a Reagent, not %.100s", Py_TYPE(node)->tp_name);
        return NULL;
    }
    if (!((Reagent *)node)->swaps) {
        PyErr_Format(PyExc_RuntimeError, "%R would never react: it swaps nowhere, so it could meet nobody", node);
        return NULL;
    }
    Catalyst *c = (Catalyst *)st->catalyst_type->tp_alloc(st->catalyst_type, 0);
    if (!c) return NULL;
    c->st = st;
    c->node = Py_NewRef(node);
    c->x = Py_NewRef(x);
    c->offer = rg_offer_new(st, (Reagent *)node, x);
    if (!c->offer) {
        Py_DECREF(c);
        return NULL;
    }
    c->offer->catalyst = true;
    rg_turn_begin(&c->t, st, (Reagent *)c->node, c->x);
    c->t.mine = c->offer; /* the same reference */
    c->t.later = woken;
    c->t.later_arg = (PyObject *)c;
    rg_store(&c->turning, TURNING);
    bool met = false;
    rx_outcome o = one_turn(c, &met);
    if (o == RX_PARK && met) {
        PyErr_Format(PyExc_RuntimeError, "%R would react with another catalyst, and they with each other for ever: "
                     "one end of a channel must be somebody who waits for the reaction", node);
        o = RX_ERROR;
    }
    if (o == RX_ERROR) {
        PyObject *type, *value, *traceback;
        PyErr_Fetch(&type, &value, &traceback);
        rg_offer_take_back(c->offer);
        rx r;
        rx_init(&r, st);
        stop(c, &r);
        rx_free(&r);
        PyErr_Restore(type, value, traceback);
        Py_DECREF(c);
        return NULL;
    }
    if (!rg_cas(&c->turning, TURNING, IDLE)) take_turns(c);
    return (PyObject *)c;
}

static PyObject *catalyst_cancel(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    Catalyst *c = (Catalyst *)self;
    bool back = rg_offer_take_back(c->offer);
    give_turn(c); /* which leaves where it is registered */
    PyObject *value;
    if (back || c->told) Py_RETURN_NONE;
    c->told = true;
    if (rg_offer_withdrawn(c->offer)) Py_RETURN_NONE;
    (void)rg_offer_take_answer(c->offer, &value); /* an error, always */
    Py_XDECREF(value);
    return NULL;
}

static PyObject *catalyst_exit(PyObject *self, PyObject *args)
{
    PyObject *type = Py_None, *value, *traceback;
    if (!PyArg_ParseTuple(args, "|OOO:__exit__", &type, &value, &traceback)) return NULL;
    PyObject *y = catalyst_cancel(self, NULL);
    if (!y && type != Py_None) { /* what was raised within is told first, and this with it: its context */
        PyErr_Clear();
        y = Py_NewRef(Py_None);
    }
    return y;
}

static PyObject *catalyst_enter(PyObject *self, PyObject *Py_UNUSED(ignored)) { return Py_NewRef(self); }

static PyObject *catalyst_active(PyObject *self, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(!rg_offer_is_over(((Catalyst *)self)->offer));
}

static PyObject *catalyst_repr(PyObject *self)
{
    Catalyst *c = (Catalyst *)self;
    return PyUnicode_FromFormat("<Catalyst of %R%s>", c->node, rg_offer_is_over(c->offer) ? ", cancelled" : "");
}

static int catalyst_traverse(PyObject *self, visitproc visit, void *arg)
{
    Catalyst *c = (Catalyst *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(c->node);
    Py_VISIT(c->x);
    Py_VISIT(c->offer); /* which names both, too */
    return 0;
}

static void catalyst_dealloc(PyObject *self)
{
    /* While it is registered its waiter has a reference to it, so it is not. */
    Catalyst *c = (Catalyst *)self;
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (c->weakrefs) PyObject_ClearWeakRefs(self);
    Py_XDECREF(c->node);
    Py_XDECREF(c->x);
    Py_XDECREF(c->keeps);
    Py_XDECREF((PyObject *)c->offer);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef methods[] = {
    { "cancel", catalyst_cancel, METH_NOARGS, PyDoc_STR("cancel($self, /)\n--\n\n"
      "It takes part in nothing any more; reactions under way that it was to be in find another partner. Cancelling again\n"
      "does nothing. Raises, once, the error with which one of its functions ended it before. Never blocks.") },
    { "__enter__", catalyst_enter, METH_NOARGS, PyDoc_STR("__enter__($self, /)\n--\n\nThe catalyst itself.") },
    { "__exit__", catalyst_exit, METH_VARARGS,
      PyDoc_STR("__exit__($self, exc_type=None, exc_value=None, traceback=None, /)\n--\n\ncancel(); its error does not replace one that was raised within.") },
    { "__reduce__", rg_refuse_pickle, METH_NOARGS, NULL },
    { NULL },
};
static PyGetSetDef getset[] = {
    { "active", catalyst_active, NULL, PyDoc_STR("Whether it is still offered."), NULL },
    { NULL },
};
static PyMemberDef members[] = {
    { "__weaklistoffset__", Py_T_PYSSIZET, offsetof(Catalyst, weakrefs), Py_READONLY, NULL },
    { NULL },
};
static PyType_Slot slots[] = {
    { Py_tp_doc, "A reagent that is offered again and again: see catalyse(). A context manager that cancels it." },
    { Py_tp_dealloc, catalyst_dealloc },
    { Py_tp_traverse, catalyst_traverse },
    { Py_tp_repr, catalyst_repr },
    { Py_tp_methods, methods },
    { Py_tp_getset, getset },
    { Py_tp_members, members },
    { 0, NULL },
};
PyType_Spec rg_catalyst_spec = {
    .name = "reagents.Catalyst",
    .basicsize = sizeof(Catalyst),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = slots,
};

PyMethodDef rg_catalyst_functions[] = {
    { "catalyse", (PyCFunction)(void (*)(void))f_catalyse, METH_VARARGS | METH_KEYWORDS,
      PyDoc_STR("catalyse($module, /, reagent, x=None)\n--\n\n"
      "Offers reagent, run on x, again and again, until the Catalyst that is returned is cancelled: it takes part in\n"
      "the reactions of others, each use being one reaction, and never reacts alone or with catalysts only. Does not\n"
      "block. Its functions run in the threads of those who react with it; the first error that one of them raises\n"
      "ends it, and cancel() raises that. Raises RuntimeError where it could meet nothing but another catalyst,\n"
      "or nothing at all. (Turon, PLDI 2012.)\n\n"
      ">>> from reagents import Ref, catalyse, channel\n>>> left, right = channel()\n>>> count = Ref(0)\n"
      ">>> with catalyse(right.swap >> count.upd(lambda n, x: (n + 1, None))):\n"
      "...     _ = left.swap('a'), left.swap('b')\n>>> count.get()\n2") },
    { NULL, NULL, 0, NULL },
};
