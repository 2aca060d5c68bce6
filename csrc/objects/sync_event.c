/* sync_event.c - Event: one word, 0 or 1. Linearization: the CAS that changes it (set, clear), the load that sees it set (wait).
 *
 * wait() answers True although the event is cleared before the woken thread runs: each set() counts up, so that one who
 * has seen a lower number knows. The word is  sets << 1 | is set ; a waiter passes once it is set, or once there are more sets
 * than when it began. A composed wait is one step with what it is part of, so it passes only while the event is set.
 */
#include "sync.h"

#include "engine.h"

typedef struct Event {
    PyObject_HEAD
    rg_state *st;
    PyObject *weakrefs;
    rg_word word;
} Event;

static rx_outcome step_wait(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    (void)x;
    rx_entry *e = rx_read_private(r, &((Event *)n->a)->word, WORD_INT, NULL);
    if (!e) return RX_ERROR;
    /* n->b, of a direct call: what it saw first */
    uint64_t before = 0;
    bool more = n->b && rg_int_of(n->b, &before) && e->cur >> 1 != before >> 1;
    if (!(e->cur & 1) && !more) return RX_BLOCK;
    *y = Py_NewRef(Py_True);
    return RX_DONE;
}

static rx_outcome write_flag(rx *r, Reagent *n, uint64_t flag, PyObject **y)
{
    rx_entry *e = rx_read_private(r, &((Event *)n->a)->word, WORD_INT, NULL);
    if (!e || ((e->cur & 1) != flag && !rx_write(r, e, e->cur + (flag ? 3 : -1)))) return RX_ERROR;
    *y = Py_NewRef(Py_None);
    return RX_DONE;
}
static rx_outcome step_set(rx *r, Reagent *n, PyObject *x, PyObject **y) { return (void)x, write_flag(r, n, 1, y); }
static rx_outcome step_clear(rx *r, Reagent *n, PyObject *x, PyObject **y) { return (void)x, write_flag(r, n, 0, y); }

static rx_outcome step_is_set(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    (void)x;
    rx_entry *e = rx_read_private(r, &((Event *)n->a)->word, WORD_INT, NULL);
    if (!e) return RX_ERROR;
    *y = Py_NewRef(e->cur & 1 ? Py_True : Py_False);
    return RX_DONE;
}

/* The caller's reference keeps the word, so nothing needs to be pinned for one CAS. */
static RG_SLOW PyObject *flag_slow(Event *v, uint64_t flag, const char *name)
{
    rg_slot *s = rg_begin(v->st, v, name);
    if (!s) return NULL;
    rg_backoff b = { 0 };
    rg_pin(s);
    for (;;) {
        uint64_t old = rg_read(&s->domain->space, s->index, &v->word);
        if ((old & 1) == flag) break;
        if (rg_cas_once(&s->desc, &v->word, old, old + (flag ? 3 : -1))) {
            rg_wake(s, &v->word);
            break;
        }
        rg_lost(s, &b);
    }
    rg_unpin(s);
    Py_RETURN_NONE;
}

static PyObject *set_flag(Event *v, uint64_t flag, const char *name)
{
    rg_slot *s = rg_at_hand(v->st);
    uint64_t old = rg_load(&v->word);
    if (__builtin_expect(!s || rg_is_ref(old), 0)) return flag_slow(v, flag, name);
    if ((old & 1) != flag) {
        if (__builtin_expect(!rg_cas_once(&s->desc, &v->word, old, old + (flag ? 3 : -1)), 0)) return flag_slow(v, flag, name);
        rg_wake(s, &v->word);
    }
    Py_RETURN_NONE;
}

/* Its value, by a thread that may be explored. */
static bool look(Event *v, const char *name, uint64_t *out)
{
    if (__builtin_expect(!rg_at_hand(v->st) && !rg_begin(v->st, v, name), 0)) return false;
    *out = sync_word(v->st, &v->word);
    return true;
}

static PyObject *direct_set(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kw)
{
    (void)args;
    return rg_arity("set", nargs, kw, 0, 0) ? set_flag((Event *)self, 1, "set") : NULL;
}

static PyObject *direct_clear(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kw)
{
    (void)args;
    return rg_arity("clear", nargs, kw, 0, 0) ? set_flag((Event *)self, 0, "clear") : NULL;
}

static PyObject *direct_is_set(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kw)
{
    (void)args;
    uint64_t w;
    if (!rg_arity("is_set", nargs, kw, 0, 0) || !look((Event *)self, "is_set", &w)) return NULL;
    return PyBool_FromLong(w & 1);
}

extern const rg_op rg_op_event_wait;

static PyObject *direct_wait(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kw)
{
    static const char *const names[] = { "timeout", NULL };
    Event *v = (Event *)self;
    PyObject *t[SYNC_ARGS] = { NULL };
    sync_wait how;
    uint64_t w;
    if ((nargs || kw) && !sync_args("wait", names, args, nargs, kw, t)) return NULL;
    if (!look(v, "wait", &w)) return NULL;
    if (w & 1) Py_RETURN_TRUE;
    if (!sync_timeout(t[0], &how)) return NULL;
    if (!how.block) Py_RETURN_FALSE;
    PyObject *before = rg_int_object(w);
    int k = before ? sync_run(v->st, &rg_op_event_wait, self, before, Py_None, how, NULL) : -1;
    Py_XDECREF(before);
    return k < 0 ? NULL : PyBool_FromLong(k);
}

RG_BOUND(wait)
const rg_op rg_op_event_wait = { .name = "wait", .step = step_wait, .direct = direct_wait, .bound = direct_wait_bound,
    .doc = "wait($self, timeout=None)\n--\n\n"
    "Wait until the event is set, at most timeout seconds; returns whether it was, even if it has been cleared since. A method\n"
    "and a reagent, which blocks while the event is not set and whose result is True. Lock-free but for the waiting.\n\n"
    ">>> from lockfree import Queue\n>>> from lockfree.sync import Event\n>>> stop, jobs = Event(), Queue()\n"
    ">>> jobs.put('job')\n>>> (stop.wait + jobs.get)()\n'job'\n>>> stop.wait(timeout=0)\nFalse" };
RG_BOUND(set)
static const rg_op op_set = { .name = "set", .step = step_set, .direct = direct_set, .bound = direct_set_bound, .doc = "set($self)\n--\n\n"
    "Set the event and wake all who wait for it. Never blocks. A method and a reagent. Lock-free.\n\n"
    ">>> from lockfree.sync import Event\n>>> e = Event()\n>>> e.set()\n>>> e.is_set()\nTrue" };
RG_BOUND(clear)
static const rg_op op_clear = { .name = "clear", .step = step_clear, .direct = direct_clear, .bound = direct_clear_bound, .doc = "clear($self)\n--\n\n"
    "The event is not set any more. Never blocks. A method and a reagent: e.wait >> e.clear takes it for itself (an auto-reset\n"
    "event). Lock-free.\n\n>>> from lockfree.sync import Event\n>>> e = Event()\n>>> e.set()\n>>> (e.wait >> e.clear)()\n>>> e.is_set()\nFalse" };
RG_BOUND(is_set)
static const rg_op op_is_set = { .name = "is_set", .step = step_is_set, .direct = direct_is_set, .bound = direct_is_set_bound,
    .doc = "is_set($self)\n--\n\nWhether the event is set. A method and a reagent. Never blocks. Wait-free while no composed\n"
    "operation is under way on it.\n\n>>> from lockfree.sync import Event\n>>> Event().is_set()\nFalse" };
const rg_op *const rg_event_ops[] = { &rg_op_event_wait, &op_set, &op_clear, &op_is_set, NULL };

static PyObject *event_new(PyTypeObject *type, PyObject *args, PyObject *kw)
{
    static char *names[] = { NULL };
    rg_state *st = rg_state_of(type);
    if (!st || (!sync_own_init(type) && !PyArg_ParseTupleAndKeywords(args, kw, ":Event", names))) return NULL;
    Event *v = (Event *)type->tp_alloc(type, 0);
    if (v) v->st = st;
    return (PyObject *)v;
}

static int event_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    return 0;
}

static void event_dealloc(PyObject *self)
{
    Event *v = (Event *)self;
    PyObject_GC_UnTrack(self);
    if (v->weakrefs) PyObject_ClearWeakRefs(self);
    rg_free_late(v->st, self);
}

static PyObject *event_repr(PyObject *self)
{
    Event *v = (Event *)self;
    PyObject *name = sync_type_name(self);
    PyObject *s = name ? PyUnicode_FromFormat("<%U at %p: %s>", name, self, sync_word(v->st, &v->word) & 1 ? "set" : "unset") : NULL;
    Py_XDECREF(name);
    return s;
}

/* Nothing of it can be in another thread's hands: there is no lock inside. */
static PyObject *event_at_fork(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(ignored)) { Py_RETURN_NONE; }

static PyMethodDef methods[] = {
    { "_at_fork_reinit", event_at_fork, METH_NOARGS, NULL },
    { "__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, NULL },
    { "__reduce__", rg_refuse_pickle, METH_NOARGS, NULL },
    { NULL },
};
static PyMemberDef members[] = {
    { "__weaklistoffset__", Py_T_PYSSIZET, offsetof(Event, weakrefs), Py_READONLY, NULL },
    { NULL },
};
static PyType_Slot slots[] = {
    { Py_tp_doc, "Event()\n--\n\nA flag as threading.Event that composes: wait, set, clear and is_set are methods and reagents." },
    { Py_tp_new, event_new },
    { Py_tp_dealloc, event_dealloc },
    { Py_tp_traverse, event_traverse },
    { Py_tp_repr, event_repr },
    { Py_tp_methods, methods },
    { Py_tp_members, members },
    { 0, NULL },
};
PyType_Spec rg_event_spec = {
    .name = "lockfree.sync.Event",
    .basicsize = sizeof(Event),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .slots = slots,
};
