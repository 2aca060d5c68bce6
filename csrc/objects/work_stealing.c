/* work_stealing.c - lockfree.WorkStealingDeque (core/chase_lev.h) of objects.
 *
 * A slot names a node whose payload owns a reference. In a reaction the state is logged, and the array and each slot that was
 * looked at or is to be written: a slot, for what stands at an index below the top may be replaced while the state comes
 * back to what it was; the array, because slots move with it.
 */
#include "containers.h"

#include "../core/chase_lev.h"

typedef struct WorkStealingObject {
    PyObject_HEAD
    rg_state *st;
    PyObject *weakrefs;
    rg_chase_lev d;
    rg_takers takers;
    rg_word owner; /* the thread's identity, and forks << 48; 0: nobody has pushed or popped yet */
} WorkStealingObject;

static PyObject *payload(rg_node *n) { return (PyObject *)(uintptr_t)n->value; }

#define FORKS_SHIFT 48 /* addresses of threads are below */

/* Not its own store: the word is 0, or another thread's, or was ours before a fork. A child has one thread only of those that
 * there were. Where that is not the owner nobody is any more, and the first to push or pop is, as in the beginning. */
static RG_SLOW bool becomes_owner(WorkStealingObject *d, uint64_t owner, uint64_t me)
{
    rg_domain *domain = d->st->domain;
    uint64_t then = owner & ~((1ULL << FORKS_SHIFT) - 1), who = owner ^ then, now = (uint64_t)domain->forks << FORKS_SHIFT;
    bool gone = then != now && who != domain->survivor;
    return (!owner || gone || who == (me ^ now)) && rg_cas(&d->owner, owner, me);
}

static bool is_owner(WorkStealingObject *d)
{
    uint64_t me = (uint64_t)PyThread_get_thread_ident() ^ (uint64_t)d->st->domain->forks << FORKS_SHIFT;
    uint64_t owner = rg_load_rlx(&d->owner); /* relaxed: mine is my own store */
    return __builtin_expect(owner == me, 1) || becomes_owner(d, owner, me);
}

static void refuse(const char *name)
{
    PyErr_Format(PyExc_RuntimeError, "%s by a thread that is not the owner: the first to push or pop is; others steal", name);
}

/* ---- reagents ---------------------------------------------------------------------------------- */

/* An error of the reaction: what led to it is true at one instant. */
static rx_outcome not_owner(rx *r, const char *name)
{
    rx_outcome o = rx_leave(r);
    if (o != RX_DONE) return o;
    refuse(name);
    return rx_return(r, NULL);
}

static rx_entry *state_of(rx *r, WorkStealingObject *d)
{
    rx_entry *e = rx_read_private(r, &d->d.state, WORD_INT, NULL);
    if (e) rx_is_part(e, &d->takers, PART_COUNTED);
    return e;
}

static rx_outcome step_push(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    WorkStealingObject *d = (WorkStealingObject *)n->a;
    if (!is_owner(d)) return not_owner(r, "push");
    rx_entry *e = state_of(r, d);
    if (!e) return RX_ERROR;
    uint64_t count = rg_cl_count(e->cur);
    if (count == RG_CL_MOST || !rg_cl_slot(r->slot, &d->d, e->cur, count)) {
        if (!rg_cl_grow(r->slot, &d->d, count + 1)) return PyErr_NoMemory(), RX_ERROR;
        if (rx_find(r, &d->d.array)) return RX_RETRY; /* slots in the log are of the old one */
    }
    if (!rx_read_private(r, &d->d.array, WORD_INT, NULL)) return RX_ERROR;
    uint64_t state = rx_find(r, &d->d.state)->cur;
    rx_entry *slot = rx_read_private(r, rg_cl_slot(r->slot, &d->d, state, count), WORD_INT, NULL);
    rg_node *node = slot ? rx_new_node(r, x) : NULL;
    if (!node || !rx_write(r, slot, rg_node_word(node)) || !rx_write(r, rx_find(r, &d->d.state), state + 1)) return RX_ERROR;
    *y = Py_NewRef(Py_None);
    return RX_DONE;
}

static rx_outcome take(rx *r, WorkStealingObject *d, bool steal, PyObject **y)
{
    rx_entry *e = state_of(r, d);
    if (!e) return RX_ERROR;
    uint64_t state = e->cur, old = e->old;
    if (!rg_cl_count(state)) {
        e->vacant |= !rg_cl_count(old); /* else it is what this reaction has left that is empty */
        return RX_BLOCK;
    }
    rx_entry *array = rx_read_private(r, &d->d.array, WORD_INT, NULL);
    if (!array) return RX_ERROR;
    uint64_t array_was = array->old;
    rg_word *w = rg_cl_slot(r->slot, &d->d, state, steal ? 0 : rg_cl_count(state) - 1);
    if (!w) return RX_RETRY; /* not the array of that state any more */
    rx_entry *slot = rx_read_private(r, w, WORD_NODE, NULL);
    if (!slot) return RX_ERROR;
    rg_node *node = rg_node_of(slot->cur);
    PyObject *v = NULL;
    if (rx_is_private(r, node)) {
        v = Py_NewRef(payload(node));
    } else {
        rg_look(&d->d.lookers); /* as in stack.c */
        if (rg_cl_holds(r->slot, &d->d, old, array_was, w, rg_node_word(node))) v = Py_NewRef(payload(node));
        rg_looked(&d->d.lookers);
        if (!v) return RX_RETRY;
    }
    if (!rx_unlink(r, node, v) || !rx_write(r, rx_find(r, &d->d.state), steal ? rg_cl_stolen(state) : rg_cl_popped(state))) {
        rx_drop(r, v);
        return RX_ERROR;
    }
    *y = v;
    return RX_DONE;
}

static rx_outcome step_pop(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    (void)x;
    WorkStealingObject *d = (WorkStealingObject *)n->a;
    if (!is_owner(d)) return not_owner(r, "pop");
    return take(r, d, false, y);
}

static rx_outcome step_steal(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    (void)x;
    return take(r, (WorkStealingObject *)n->a, true, y);
}

/* ---- direct calls -------------------------------------------------------------------------------- */

static bool push(WorkStealingObject *d, PyObject *v)
{
    if (!is_owner(d)) return refuse("push"), false;
    rg_slot *s = rg_begin(d->st, d, "push");
    rg_node *n = s ? rg_node_new(s, (uint64_t)(uintptr_t)v) : NULL;
    if (!n) {
        if (s) PyErr_NoMemory();
        return false;
    }
    Py_INCREF(v);
    bool done;
    if (__builtin_expect(rg_glance(s), 1)) {
        done = rg_cl_try_push(s, &d->d, n) == RG_TRIED_DONE;
        rg_glanced(s);
    } else {
        done = false;
    }
    if (__builtin_expect(!done, 0)) {
        rg_pin(s);
        done = rg_cl_push(s, &d->d, n);
        rg_unpin(s);
    }
    if (!done) {
        rg_node_free(s, n);
        Py_DECREF(v);
        PyErr_NoMemory();
        return false;
    }
    rg_wake_added(s, &d->takers.list, &d->d.state);
    return true;
}

/* New reference, or NULL: empty, or an error is set. */
static inline PyObject *take_now(WorkStealingObject *d, bool steal)
{
    rg_slot *s = rg_begin(d->st, d, steal ? "steal" : "pop");
    if (!s) return NULL;
    if (!rg_reserve(s, 2)) return PyErr_NoMemory();
    rg_pin(s);
    rg_node *n = rg_cl_take(s, &d->d, steal);
    PyObject *v = n ? rg_take_payload(s, &d->d.lookers, n->value) : NULL;
    if (n) {
#ifdef RG_EXCLUSIVE
        rg_node_expired(s, n);
#else
        rg_retire_lazily(s, n, rg_node_expired);
#endif
        rg_wake(s, &d->d.state);
    }
    rg_unpin(s);
    return v;
}

static PyObject *direct_push(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kw)
{
    if (!rg_arity("push", nargs, kw, 1, 1) || !push((WorkStealingObject *)self, args[0])) return NULL;
    Py_RETURN_NONE;
}

static PyObject *direct_pop(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kw)
{
    (void)args;
    WorkStealingObject *d = (WorkStealingObject *)self;
    if (!rg_arity("pop", nargs, kw, 0, 0)) return NULL;
    if (!is_owner(d)) return refuse("pop"), NULL;
    PyObject *v = take_now(d, false);
    if (!v && !PyErr_Occurred()) PyErr_SetNone(d->st->stack_empty);
    return v;
}

extern const rg_op rg_op_steal;

static PyObject *direct_steal(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kw)
{
    WorkStealingObject *d = (WorkStealingObject *)self;
    rg_blocking how = { true, -1 };
    if ((nargs || kw) && !rg_parse_blocking(d->st, "steal", args, nargs, kw, 0, NULL, &how)) return NULL;
    PyObject *v = take_now(d, true);
    if (v || PyErr_Occurred()) return v;
    return rg_wait_for(d->st, &rg_op_steal, self, how, d->st->stack_empty);
}

RG_BOUND(push)
static const rg_op op_push = { .name = "push", .step = step_push, .direct = direct_push, .bound = direct_push_bound,
    .doc = "push($self, item, /)\n--\n\n"
    "Put item at the bottom. The owner's, which is the thread that pushes or pops first: RuntimeError for others. Never\n"
    "blocks. A method and a reagent. Lock-free (after Chase and Lev, SPAA 2005).\n\n"
    ">>> from lockfree import WorkStealingDeque\n>>> d = WorkStealingDeque()\n>>> d.push('a')\n>>> len(d)\n1" };
RG_BOUND(pop)
static const rg_op op_pop = { .name = "pop", .step = step_pop, .direct = direct_pop, .bound = direct_pop_bound,
    .doc = "pop($self, /)\n--\n\n"
    "Take the item at the bottom, which came last. The owner's: RuntimeError for others. Raises Empty (a queue.Empty and\n"
    "an IndexError) at once when there is none, for nobody else could push one; as a reagent it blocks then. A method\n"
    "and a reagent. Lock-free (after Chase and Lev, SPAA 2005).\n\n"
    ">>> from lockfree import WorkStealingDeque\n>>> d = WorkStealingDeque([1, 2])\n>>> d.pop()\n2" };
RG_BOUND(steal)
const rg_op rg_op_steal = { .name = "steal", .step = step_steal, .direct = direct_steal, .bound = direct_steal_bound,
    .doc = "steal($self, block=True, timeout=None)\n--\n\n"
    "Take the item at the top, which came first; any thread may. Waits while there is none, at most timeout seconds; raises\n"
    "Empty (a queue.Empty and an IndexError) when it may not wait any longer. A method and a reagent. Lock-free but\n"
    "for the waiting (after Chase and Lev, SPAA 2005).\n\n"
    ">>> from lockfree import WorkStealingDeque\n>>> d = WorkStealingDeque([1, 2])\n>>> d.steal()\n1" };
const rg_op *const rg_work_stealing_ops[] = { &op_push, &op_pop, &rg_op_steal, NULL };

/* ---- life ---------------------------------------------------------------------------------------- */

static PyObject *ws_steal_nowait(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    PyObject *v = take_now((WorkStealingObject *)self, true);
    if (!v && !PyErr_Occurred()) PyErr_SetNone(((WorkStealingObject *)self)->st->stack_empty);
    return v;
}

static Py_ssize_t ws_len(PyObject *self)
{
    WorkStealingObject *d = (WorkStealingObject *)self;
    rg_slot *s = rg_begin(d->st, d, "len");
    if (!s) return -1;
    rg_pin(s);
    Py_ssize_t n = (Py_ssize_t)rg_cl_count(rg_read(&d->st->domain->space, s->index, &d->d.state));
    rg_unpin(s);
    return n;
}

static PyObject *ws_repr(PyObject *self)
{
    const char *name = strrchr(Py_TYPE(self)->tp_name, '.');
    Py_ssize_t n = ws_len(self);
    return n < 0 ? NULL : PyUnicode_FromFormat("<%s at %p, %zd items>", name ? name + 1 : Py_TYPE(self)->tp_name, self, n);
}

static PyObject *ws_new(PyTypeObject *type, PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(kw))
{
    rg_state *st = rg_state_of(type);
    WorkStealingObject *d = st ? (WorkStealingObject *)type->tp_alloc(type, 0) : NULL;
    if (!d) return NULL;
    d->st = st;
    rg_list_init(&d->takers.list);
    d->takers.of = (PyObject *)d;
    return (PyObject *)d;
}

static int ws_init(PyObject *self, PyObject *args, PyObject *kw)
{
    static char *names[] = { "iterable", NULL };
    PyObject *items = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, kw, "|O:WorkStealingDeque", names, &items)) return -1;
    if (!items) return 0;
    PyObject *it = PyObject_GetIter(items), *v;
    if (!it) return -1;
    while ((v = PyIter_Next(it))) {
        bool ok = push((WorkStealingObject *)self, v);
        Py_DECREF(v);
        if (!ok) break;
    }
    Py_DECREF(it);
    return PyErr_Occurred() ? -1 : 0;
}

static int ws_traverse(PyObject *self, visitproc visit, void *arg)
{
    WorkStealingObject *d = (WorkStealingObject *)self;
    Py_VISIT(Py_TYPE(self));
    uint64_t state = rg_load(&d->d.state);
    rg_cl_array *a = (rg_cl_array *)(uintptr_t)rg_load(&d->d.array);
    for (uint64_t i = 0; i < rg_cl_count(state); i++) Py_VISIT(payload(rg_node_of(rg_load(&a->at[(rg_cl_top(state) + i) & a->mask]))));
    return 0;
}

static int ws_clear(PyObject *self)
{
    PyObject *v, *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback); /* of whoever let go of us */
    while ((v = take_now((WorkStealingObject *)self, true))) rg_release(v);
    PyErr_Restore(type, value, traceback);
    return 0;
}

#ifndef RG_EXCLUSIVE
static void close_late(rg_slot *s, void *array)
{
    (void)s;
    rg_cl_close(&(rg_chase_lev){ .array = (uint64_t)(uintptr_t)array });
}
#endif

static void ws_dealloc(PyObject *self)
{
    WorkStealingObject *d = (WorkStealingObject *)self;
    PyObject_GC_UnTrack(self);
    if (d->weakrefs) PyObject_ClearWeakRefs(self);
    ws_clear(self);
#ifdef RG_EXCLUSIVE
    rg_cl_close(&d->d);
#else
    /* A helper of a reaction that is over may still aim a (failing) CAS at a slot. */
    uint64_t array = rg_last_value(d->st, &d->d.array);
    rg_slot *s = array ? rg_here_quietly(d->st) : NULL;
    if (s && rg_reserve(s, 1)) rg_retire_lazily(s, (void *)(uintptr_t)array, close_late);
#endif
    rg_free_late(d->st, self);
}

static PyMethodDef methods[] = {
    { "steal_nowait", ws_steal_nowait, METH_NOARGS, PyDoc_STR("steal_nowait($self, /)\n--\n\n"
      "Take the item at the top; raises Empty (a queue.Empty and an IndexError) at once when there is none. Lock-free.\n\n"
      ">>> from lockfree import WorkStealingDeque\n>>> WorkStealingDeque([1, 2]).steal_nowait()\n1") },
    { "__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, NULL },
    { "__reduce__", rg_refuse_pickle, METH_NOARGS, NULL },
    { NULL },
};
static PyMemberDef members[] = {
    { "__weaklistoffset__", Py_T_PYSSIZET, offsetof(WorkStealingObject, weakrefs), Py_READONLY, NULL },
    { NULL },
};
static PyType_Slot slots[] = {
    { Py_tp_doc, "WorkStealingDeque(iterable=())\n--\n\n"
      "A worker's own tasks, which other workers may steal: after Chase and Lev, SPAA 2005.\n\n"
      "The owner, which is the thread that first pushes or pops (an iterable is pushed by who makes it), pushes and pops at\n"
      "the bottom; any thread steals at the top. push, pop and steal are methods and reagents; of push and pop the\n"
      "owner alone may run reactions. In a child that another thread has forked there is no owner until one pushes or pops.\n"
      "len is exact. At most 2**26 - 1 items.\n\n"
      ">>> from lockfree import WorkStealingDeque\n>>> d = WorkStealingDeque()\n>>> for task in 'abc': d.push(task)\n"
      ">>> d.pop(), d.steal(), len(d)\n('c', 'a', 1)" },
    { Py_tp_new, ws_new },
    { Py_tp_init, ws_init },
    { Py_tp_dealloc, ws_dealloc },
    { Py_tp_traverse, ws_traverse },
    { Py_tp_clear, ws_clear },
    { Py_tp_repr, ws_repr },
    { Py_sq_length, ws_len },
    { Py_tp_methods, methods },
    { Py_tp_members, members },
    { 0, NULL },
};
PyType_Spec rg_work_stealing_spec = {
    .name = "lockfree.WorkStealingDeque",
    .basicsize = sizeof(WorkStealingObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .slots = slots,
};
