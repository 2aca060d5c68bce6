/* offer.c - see offer.h. */
#include "offer.h"
#include "sync.h"
#include "engine.h"
#include "channel.h"

Offer *rg_offer_new(rg_state *st, Reagent *node, PyObject *x)
{
    Offer *o = PyObject_GC_New(Offer, st->offer_type);
    if (!o) return NULL;
    o->st = st;
    o->node = (Reagent *)Py_NewRef((PyObject *)node);
    o->x = Py_NewRef(x);
    o->error = NULL;
    o->catalyst = false;
    o->thread = sync_thread();
    /* relaxed: private yet */
    rg_store_rlx(&o->state, (uint64_t)(uintptr_t)Py_NewRef(st->offered));
    rg_store_rlx(&o->waiter, 0);
    rg_store_rlx(&o->ready, 0);
    PyObject_GC_Track(o);
    return o;
}

static int offer_traverse(PyObject *self, visitproc visit, void *arg)
{
    Offer *o = (Offer *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(o->node);
    Py_VISIT(o->x);
    Py_VISIT(o->error);
    uint64_t state = rg_load(&o->state);
    if (!rg_is_ref(state)) Py_VISIT((PyObject *)(uintptr_t)state); /* else a commit is under way on it, so it is in use */
    return 0;
}

static void offer_dealloc(PyObject *self)
{
    Offer *o = (Offer *)self;
    PyObject_GC_UnTrack(self);
    rg_release((PyObject *)o->node);
    rg_release(o->x);
    Py_XDECREF(o->error);
    rg_release((PyObject *)(uintptr_t)rg_last_value(o->st, &o->state));
    rg_free_late(o->st, self);
}

static PyType_Slot slots[] = {
    { Py_tp_dealloc, offer_dealloc },
    { Py_tp_traverse, offer_traverse },
    { 0, NULL },
};
PyType_Spec rg_offer_spec = {
    .name = "reagents.Offer",
    .basicsize = sizeof(Offer),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = slots,
};

/* ---- seen from a reaction ---------------------------------------------------------------------- */

static PyObject *state_now(rg_slot *s, Offer *o)
{
    return (PyObject *)(uintptr_t)rg_read(&o->st->domain->space, s->index, &o->state);
}

bool rx_is_open(rx *r, Offer *o) { return state_now(r->slot, o) == r->st->offered; }

Offer *rx_offer_of(rx *r, rg_link *l)
{
    rg_waiter *w = ((rg_waitrec *)((char *)l - offsetof(rg_waitrec, link)))->waiter;
    return rg_wait_forgotten(r->slot, w) ? NULL : w->offer;
}

static bool acts(rx *r, int party)
{
    for (size_t i = 0; i < r->actions.n; i++)
        if (r->actions.at[i].party == party) return true;
    return false;
}

/* (offered, second) or (offered, second, None). */
static PyObject *marked(rg_state *st, PyObject *second, bool and_none)
{
    return and_none ? PyTuple_Pack(3, st->offered, second, Py_None) : PyTuple_Pack(2, st->offered, second);
}

static rx_outcome add(rx *r, Offer *o, PyObject *answer)
{
    rx_entry *e = rx_read_private(r, &o->state, WORD_OBJECT, NULL);
    if (!e) return RX_ERROR;
    if ((PyObject *)(uintptr_t)e->old != r->st->offered) return RX_RETRY;
    if (!answer) return RX_DONE;
    return rx_write(r, e, (uint64_t)(uintptr_t)Py_NewRef(answer)) ? RX_DONE : RX_ERROR;
}

rx_outcome rx_add_offers(rx *r)
{
    rx_outcome o = RX_DONE;
    rx_world *w = &r->world;
    for (size_t i = 1; r->many && o == RX_DONE && i < w->parties.n; i++) {
        rx_party *p = &w->parties.at[i];
        if (acts(r, (int)i) && !p->offer->catalyst) {
            o = rx_leave(r); /* a tuple may start the collector */
            if (o != RX_DONE) return o;
            PyObject *t = marked(r->st, p->result, true);
            PyObject *result = p->result;
            if (t) {
                p->result = t;
                Py_DECREF(result); /* the tuple has it */
            }
            if (!rx_pin(r) || !t) return RX_ERROR;
        }
        o = add(r, p->offer, p->offer->catalyst ? NULL : p->result);
    }
    if (o == RX_DONE && r->mine) o = add(r, r->mine, r->mine->catalyst ? NULL : r->st->withdrawn);
    return o;
}

bool rx_error_was_stale(rx *r)
{
    if (!r->pinned || !r->log.n || !PyErr_ExceptionMatches(PyExc_Exception)) return false;
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    rx_outcome o = rx_validate(r);
    if (o == RX_RETRY) {
        r->over = true;
        rx_drop(r, type);
        rx_drop(r, value);
        rx_drop(r, traceback);
        return true;
    }
    if (o == RX_ERROR) PyErr_Clear();
    PyErr_Restore(type, value, traceback);
    return false;
}

rx_outcome rx_fail_party(rx *r, int party)
{
    if (!PyErr_ExceptionMatches(PyExc_Exception) || PyErr_ExceptionMatches(PyExc_MemoryError)) return RX_ERROR;
    if (!r->pinned) { /* a message was made for it, with everything held */
        PyObject *type, *value, *traceback;
        PyErr_Fetch(&type, &value, &traceback);
        bool pinned = rx_pin(r);
        if (!pinned) PyErr_Clear();
        PyErr_Restore(type, value, traceback);
        if (!pinned) return RX_ERROR;
    }
    if (rx_error_was_stale(r)) return RX_RETRY;
    Offer *o = r->world.parties.at[party].offer;
    rx_settle(r);
    PyObject *error = rg_fetch_error();
    if (error) rg_offer_fail(o, error);
    rx_flush_drops(r);
    if (!rx_pin(r)) return RX_ERROR;
    rx_outcome now = r->has_nodes ? rx_validate(r) : RX_DONE; /* as after any call */
    return now == RX_DONE ? RX_BLOCK : now;
}

/* ---- ends ---------------------------------------------------------------------------------------- */

void rg_offer_notify(rg_slot *s, Offer *o)
{
    rg_waiter *w = (rg_waiter *)(uintptr_t)rg_load(&o->waiter);
    if (!w) return;
    rg_wait_notify(s, w, RG_NOTIFIED);
    if (!o->catalyst) rg_wait_take_out(s, w); /* it is over: its owner can only leave */
}

/* offered -> `end`, whose reference it takes. */
static bool close_with(rg_slot *s, Offer *o, PyObject *end)
{
    uint64_t open = (uint64_t)(uintptr_t)o->st->offered;
    rg_pin(s);
    bool closed = rg_cas1(&o->st->domain->space, s->index, &o->state, open, (uint64_t)(uintptr_t)end);
    rg_unpin(s);
    Py_DECREF(closed ? o->st->offered : end); /* an error's end may run anything, so not pinned */
    return closed;
}

void rg_offer_fail(Offer *o, PyObject *error)
{
    PyObject *end = marked(o->st, error, false);
    rg_slot *s = end ? rg_here_quietly(o->st) : NULL;
    Py_DECREF(error);
    if (!s) {
        Py_XDECREF(end);
        PyErr_Clear(); /* it goes on waiting */
        return;
    }
    if (!close_with(s, o, end)) return;
    rg_pin(s);
    rg_offer_notify(s, o);
    rg_unpin(s);
}

bool rg_offer_take_back(Offer *o)
{
    return close_with(rg_here_quietly(o->st), o, Py_NewRef(o->st->withdrawn));
}

/* Borrowed: what ends an offer stays. */
static PyObject *end_of(Offer *o)
{
    rg_slot *s = rg_here_quietly(o->st);
    rg_pin(s);
    PyObject *v = state_now(s, o);
    rg_unpin(s);
    return v;
}

bool rg_offer_is_over(Offer *o)
{
    return end_of(o) != o->st->offered;
}

bool rg_offer_withdrawn(Offer *o) { return end_of(o) == o->st->withdrawn; }

bool rg_offer_take_answer(Offer *o, PyObject **result)
{
    PyObject *v = end_of(o);
    *result = NULL;
    if (!PyTuple_CheckExact(v) || PyTuple_GET_SIZE(v) == 0 || PyTuple_GET_ITEM(v, 0) != o->st->offered) {
        *result = Py_NewRef(v);
        return true;
    }
    PyObject *second = PyTuple_GET_ITEM(v, 1), *error = PyTuple_GET_SIZE(v) == 2 ? second : NULL;
    if (!error) {
        if (!rg_load(&o->ready)) return false;
        error = o->error;
    }
    if (error)
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
    else
        *result = Py_NewRef(second);
    return true;
}
