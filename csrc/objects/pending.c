/* pending.c - a run without a thread of its own: what arun() drives from a coroutine (reagents/asynchronous.py).
 *
 * turn() tries, and either it is over, or `resume` will be called by whichever thread wakes it, as soon
 * as another turn() makes sense; it may be called once more by who has woken it in the middle of a turn. All of this
 * object is its coroutine's alone but for that call.
 *
 * Nobody but this object owns its registration, as the collector sees it: a coroutine that only waits, and that its event
 * loop has given up, is garbage, and takes back what it offers when it is closed. Who is about to call resume owns it too.
 */
#include "binding.h"
#include "turn.h"

#include <sched.h>

typedef struct Pending {
    PyObject_HEAD
    rg_turns t;
    PyObject *node, *x, *resume, *keeps, *value;
    bool over, acting, polls;
} Pending;

#define INTERRUPTS 8 /* of one call */

/* An interrupt in the middle of it (by a signal's handler, say) must not cost the wake-up: resume is called again,
 * and this thread raises it where it runs code of its own next. */
static void resume(rg_waiter *w)
{
    PyObject *type, *value, *traceback, *late = NULL, *y = NULL;
    PyErr_Fetch(&type, &value, &traceback);
    for (int i = 0; !y && i < INTERRUPTS; i++) {
        if ((y = PyObject_CallNoArgs((PyObject *)w->arg)) || PyErr_ExceptionMatches(PyExc_Exception)) break;
        Py_XSETREF(late, Py_NewRef(PyErr_Occurred()));
        PyErr_Clear();
    }
    if (PyErr_Occurred()) PyErr_WriteUnraisable((PyObject *)w->arg);
    Py_XDECREF(y);
    if (late) PyThreadState_SetAsyncExc(PyThread_get_thread_ident(), late);
    Py_XDECREF(late);
    PyErr_Restore(type, value, traceback);
    w->next_woken = NULL; /* called: see pending_traverse */
}

PyObject *rx_keep(rx *r, bool *failed)
{
    size_t recruits = r->many ? r->world.recruits.n : 0, kept = recruits + r->kept.n, n = kept + r->traces.n;
    PyObject *keeps = n ? PyTuple_New((Py_ssize_t)n) : NULL;
    *failed = n && !keeps;
    for (size_t i = 0; keeps && i < n; i++)
        PyTuple_SET_ITEM(keeps, (Py_ssize_t)i,
                         Py_NewRef(i < recruits ? (PyObject *)r->world.recruits.at[i]
                                   : i < kept   ? r->kept.at[i - recruits]
                                                : r->traces.at[i - kept]));
    if (rx_pin(r)) {
        rx_reset(r);
        rx_unpin(r);
    }
    rx_flush_drops(r);
    return keeps;
}

static PyObject *pending_new(PyTypeObject *type, PyObject *args, PyObject *kw)
{
    static char *names[] = { "reagent", "x", "resume", NULL };
    rg_state *st = rg_state_of(type);
    PyObject *node, *x, *callback;
    if (!st || !PyArg_ParseTupleAndKeywords(args, kw, "O!OO:Pending", names, st->reagent_type, &node, &x, &callback)) return NULL;
    Pending *p = (Pending *)type->tp_alloc(type, 0);
    if (!p) return NULL;
    p->node = Py_NewRef(node);
    p->x = Py_NewRef(x);
    p->resume = Py_NewRef(callback);
    rg_turn_begin(&p->t, st, (Reagent *)p->node, p->x);
    p->t.later = resume;
    p->t.later_arg = p->resume;
    return (PyObject *)p;
}

/* *value, or an error; or neither: actions are to run first. */
static void end(Pending *p, rx *r, rx_outcome o, PyObject **value)
{
    while (!rg_turns_end(&p->t, o, value)) {
        o = RX_DONE;
        if (rx_register_for_actions(r, &p->t)) {
            p->acting = true;
            return;
        }
        Py_BEGIN_ALLOW_THREADS /* there may be no memory to be called with; then it is polled */
        sched_yield();
        Py_END_ALLOW_THREADS
    }
    p->acting = false;
    p->over = true;
}

static PyObject *pending_turn(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    Pending *p = (Pending *)self;
    if (p->over) {
        PyErr_SetString(PyExc_RuntimeError, "this reaction is over");
        return NULL;
    }
    rx r;
    rx_init(&r, p->t.st);
    PyObject *value = NULL;
    rx_leave_waiter(&r, &p->t);
    rg_traces_resume(&r, p->keeps);
    Py_CLEAR(p->keeps);
    if (p->acting) {
        end(p, &r, RX_DONE, &value);
    } else {
        rx_outcome o = rg_turn(&r, &p->t, true, &value);
        if (o == RX_PARK) {
            bool failed;
            p->polls = r.space != &p->t.st->domain->space;
            p->keeps = rx_keep(&r, &failed);
            if (failed) {
                rx_leave_waiter(&r, &p->t);
                rx_pass_on(&r);
                end(p, &r, RX_ERROR, &value);
            }
        } else {
            end(p, &r, o, &value);
        }
    }
    rx_free(&r);
    if (PyErr_Occurred()) return NULL;
    if (!p->over) Py_RETURN_FALSE;
    p->value = value;
    Py_RETURN_TRUE;
}

static bool take_back(Pending *p)
{
    if (p->over || p->acting || (p->t.mine && !rg_offer_take_back(p->t.mine))) return false;
    rx r;
    rx_init(&r, p->t.st);
    rx_leave_waiter(&r, &p->t);
    rx_pass_on(&r);
    rx_free(&r);
    Py_CLEAR(p->t.mine);
    p->over = true;
    return true;
}

static PyObject *pending_withdraw(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    return PyBool_FromLong(take_back((Pending *)self));
}

static int pending_traverse(PyObject *self, visitproc visit, void *arg)
{
    Pending *p = (Pending *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(p->node);
    Py_VISIT(p->x);
    Py_VISIT(p->resume);
    Py_VISIT(p->keeps);
    Py_VISIT(p->value);
    Py_VISIT(p->t.mine);
    rg_waiter *w = p->t.waiter;
    if (w && !w->next_woken) { /* else resume is about to be called, by who needs it */
        Py_VISIT((PyObject *)w->arg);
        Py_VISIT((PyObject *)w->offer);
    }
    return 0;
}

static void pending_dealloc(PyObject *self)
{
    Pending *p = (Pending *)self;
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    /* Its coroutine is gone: nobody wants what it waits for. What a partner has given is lost with it. */
    if (!take_back(p) && p->t.waiter) {
        rx r;
        rx_init(&r, p->t.st);
        rx_leave_waiter(&r, &p->t);
        rx_pass_on(&r);
        rx_free(&r);
    }
    Py_XDECREF((PyObject *)p->t.mine);
    Py_XDECREF(p->node);
    Py_XDECREF(p->x);
    Py_XDECREF(p->resume);
    Py_XDECREF(p->keeps);
    Py_XDECREF(p->value);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef methods[] = {
    { "turn", pending_turn, METH_NOARGS, PyDoc_STR("turn($self, /)\n--\n\n"
      "Tries. True: it has happened, and `value` is its result; False: resume() will be called once, by any thread.\n"
      "Raises what the reaction raises.") },
    { "withdraw", pending_withdraw, METH_NOARGS, PyDoc_STR("withdraw($self, /)\n--\n\n"
      "Takes it back. True: it has not happened, and will not; False: it has, and a turn() brings the result.") },
    { NULL },
};
static PyMemberDef members[] = {
    { "value", Py_T_OBJECT_EX, offsetof(Pending, value), Py_READONLY, "Its result." },
    { "polls", Py_T_BOOL, offsetof(Pending, polls), Py_READONLY, "It waits for what another process may do, which calls nobody." },
    { NULL },
};
static PyType_Slot slots[] = {
    { Py_tp_doc, "Pending(reagent, x, resume)\n--\n\nA run of a reagent, turn by turn." },
    { Py_tp_new, pending_new },
    { Py_tp_dealloc, pending_dealloc },
    { Py_tp_traverse, pending_traverse },
    { Py_tp_methods, methods },
    { Py_tp_members, members },
    { 0, NULL },
};
PyType_Spec rg_pending_spec = {
    .name = "reagents._core.Pending",
    .basicsize = sizeof(Pending),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = slots,
};
