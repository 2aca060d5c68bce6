/* sync_condition.c - Condition: its calls and its life. What waiting and notifying are, and why no notify is lost, sync_groups.c
 * says; here a call of wait is three reactions: to be counted and let go of the lock, to take a signal, to take the lock again.
 */
#include "sync_condition.h"
#include "sync_rlock.h"

#include "channel.h"
#include "engine.h"
#include "explore.h"

/* ---- steps: the lock's ------------------------------------------------------------------------------ */

static rx_outcome step_acquire(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    (void)x;
    rx_outcome o = rx_lock_take(r, ((Condition *)n->a)->lock, 1);
    if (o == RX_DONE) *y = Py_NewRef(Py_True);
    return o;
}

static rx_outcome step_release(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    (void)x;
    rx_outcome o = rx_lock_give(r, ((Condition *)n->a)->lock, false);
    if (o == RX_DONE) *y = Py_NewRef(Py_None);
    return o;
}

/* ---- direct calls ----------------------------------------------------------------------------------- */

static const sync_wait for_ever = { true, -1 };

static void give_up_interrupted(Condition *c, PyObject *group)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    /* Never blocks. Where there is no memory to pass its signal on, that is lost, as threading's is. */
    bool gone = sync_group_leave((Group *)group, false);
    while (!gone && sync_run(c->st, &sync_op_withdraw, (PyObject *)c, group, Py_None, for_ever, NULL) < 0) {
        bool anyway = PyErr_ExceptionMatches(PyExc_MemoryError) || rg_is_explored(c->st); /* explored, and abandoned */
        PyErr_Clear();
        gone = sync_group_leave((Group *)group, anyway);
    }
    PyErr_Restore(type, value, traceback);
}

static PyObject *notify(Condition *, const char *name, uint64_t n);

/* Its signal is taken, but the call of wait ends with an error: as above. */
static void pass_signal_on(Condition *c)
{
    PyObject *type, *value, *traceback, *y = NULL;
    PyErr_Fetch(&type, &value, &traceback);
    while (!y && sync_lock_is_mine(c->lock) && !(y = notify(c, "notify", 1))) {
        bool never = PyErr_ExceptionMatches(PyExc_MemoryError) || rg_is_explored(c->st);
        PyErr_Clear();
        if (never) break;
    }
    Py_XDECREF(y);
    PyErr_Restore(type, value, traceback);
}

/* Waits for a signal in the group, which may be another one afterwards. 1: it is taken; 0: the time is over; -1: error. */
static int await_signal(Condition *c, PyObject **group, sync_wait how)
{
    double timeout = how.timeout;
    int64_t began = timeout > 0 ? rg_monotonic_ns() : 0;
    for (;;) {
        PyObject *y;
        int k = sync_run(c->st, &sync_op_take, *group, NULL, Py_None, how, &y);
        if (k <= 0) return k;
        Py_DECREF(y);
        if (y == Py_True) return 1;
        if (sync_run(c->st, &sync_op_join, (PyObject *)c, NULL, Py_None, for_ever, &y) < 0) return -1;
        Py_SETREF(*group, y);
        if (timeout > 0) how.timeout = Py_MAX(timeout - (double)(rg_monotonic_ns() - began) * 1e-9, 0);
    }
}

static PyObject *direct_wait(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kw)
{
    static const char *const names[] = { "timeout", NULL };
    Condition *c = (Condition *)self;
    PyObject *v[SYNC_ARGS] = { NULL }, *group = NULL;
    sync_wait how;
    if (!sync_args("wait", names, args, nargs, kw, v) || !sync_timeout(v[0], &how)) return NULL;
    PyObject *times = PyLong_FromUnsignedLongLong(sync_lock_count(c->lock)); /* the caller's own, if it holds it */
    if (!times) return NULL;
    PyObject *y = NULL;
    if (sync_run(c->st, &sync_op_enlist, self, NULL, Py_None, for_ever, &group) > 0) {
        int k = await_signal(c, &group, how);
        if (!k) {
            PyObject *signalled;
            k = sync_run(c->st, &sync_op_give_up, group, NULL, Py_None, for_ever, &signalled);
            if (k > 0) {
                k = signalled == Py_True;
                Py_DECREF(signalled);
            }
        }
        if (k < 0) give_up_interrupted(c, group);
        bool taken = sync_lock_retake(c->lock, times);
        if (taken && !PyErr_Occurred())
            y = PyBool_FromLong(k);
        else if (taken && k > 0)
            pass_signal_on(c);
        Py_DECREF(group);
    }
    Py_DECREF(times);
    return y;
}

/* Nobody waits, in whatever way. False: perhaps somebody does. The open group first: what leaves it goes to the closed one. */
static inline bool nobody(Condition *c)
{
    rg_slot *s = rg_at_hand(c->st);
    if (!s || !rg_glance(s)) return false;
    bool none = false;
    uint64_t open = rg_load(&c->open), w = 0;
    if (!rg_is_ref(open) && (w = rg_load(&group_of(open)->word), !rg_is_ref(w) && !UNSERVED(w))) {
        uint64_t closed = rg_load(&c->closed);
        none = !rg_is_ref(closed) && (w = rg_load(&group_of(closed)->word), !rg_is_ref(w) && !UNSERVED(w)) &&
               rg_load(&c->composed) == (uint64_t)(uintptr_t)Py_None;
    }
    rg_glanced(s);
    return none;
}

/* At most n: no more than there are now, for who is met may come again. */
static uint64_t composed_waits(Endpoint *waiting, rg_slot *s, uint64_t n)
{
    rg_list *l = &waiting->side->offers;
    uint64_t k = 0;
    for (rg_link *at = rg_list_first(s, l); at && k < n; at = rg_list_next(s, l, at)) k++;
    return k;
}

/* The groups in one reaction, then composed waits one by one: one step is no more than two parties are sure to find. */
static PyObject *notify(Condition *c, const char *name, uint64_t n)
{
    if (!(c->recursive && sync_rlock_is_mine_at_once((RLock *)c->lock)) && !sync_lock_is_mine(c->lock)) {
        PyErr_SetString(PyExc_RuntimeError, "cannot notify on un-acquired lock");
        return NULL;
    }
    if (nobody(c) || !n) Py_RETURN_NONE;
    rg_slot *s = rg_begin(c->st, c, name);
    if (!s) return NULL;
    PyObject *x = rg_int_object(n), *left = NULL;
    int k = x ? sync_run(c->st, &sync_op_signal, (PyObject *)c, NULL, x, for_ever, &left) : -1;
    Py_XDECREF(x);
    if (k < 0) return NULL;
    bool ok = rg_int_of(left, &n);
    Py_DECREF(left);
    s = ok ? rg_here(c->st) : NULL;
    if (!s) return NULL;
    rg_pin(s);
    uint64_t w = rg_read(&s->domain->space, s->index, &c->composed); /* changes once: good without a pin too */
    PyObject *waiting = composed(w, COMPOSED_WAITING);
    n = waiting ? composed_waits((Endpoint *)waiting, s, n) : 0;
    rg_unpin(s);
    for (bool met = true; n && met; n--) {
        PyObject *y = rg_run(c->st, (Reagent *)composed(w, COMPOSED_MET), Py_None, -1, NULL);
        if (!y) return NULL;
        met = y == Py_True;
        Py_DECREF(y);
    }
    Py_RETURN_NONE;
}

static PyObject *direct_notify(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kw)
{
    static const char *const names[] = { "n", NULL };
    PyObject *v[SYNC_ARGS] = { NULL };
    if ((nargs || kw) && !sync_args("notify", names, args, nargs, kw, v)) return NULL;
    uint64_t n = 1;
    if (v[0]) {
        PyObject *i = PyNumber_Index(v[0]);
        bool ok = i && sync_signals(i, &n);
        Py_XDECREF(i);
        if (!ok) return NULL;
    }
    return notify((Condition *)self, "notify", n);
}

static PyObject *direct_notify_all(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kw)
{
    (void)args;
    return rg_arity("notify_all", nargs, kw, 0, 0) ? notify((Condition *)self, "notify_all", SYNC_ALL) : NULL;
}

static PyObject *direct_acquire(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kw)
{
    return sync_lock_acquire(((Condition *)self)->lock, args, nargs, kw);
}

static PyObject *direct_release(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kw)
{
    (void)args;
    if (!rg_arity("release", nargs, kw, 0, 0) || sync_lock_release(((Condition *)self)->lock) < 0) return NULL;
    Py_RETURN_NONE;
}

static PyObject *enter(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    Condition *c = (Condition *)self;
    if (__builtin_expect(c->recursive && sync_rlock_take_at_once((RLock *)c->lock), 1)) Py_RETURN_TRUE;
    return sync_lock_acquire(c->lock, NULL, 0, NULL);
}

static PyObject *leave(PyObject *self, PyObject *const *Py_UNUSED(args), Py_ssize_t Py_UNUSED(nargs))
{
    Condition *c = (Condition *)self;
    if (__builtin_expect(c->recursive && sync_rlock_give_at_once((RLock *)c->lock), 1)) Py_RETURN_NONE;
    if (sync_lock_release(c->lock) < 0) return NULL;
    Py_RETURN_NONE;
}

RG_BOUND(wait)
static const rg_op op_wait = { .name = "wait", .step = sync_step_wait, .swaps = true, .direct = direct_wait, .bound = direct_wait_bound,
    .doc = "wait($self, timeout=None)\n--\n\n"
    "Release the lock, wait for a notify, at most timeout seconds, and take the lock again; returns whether it was notified.\n"
    "It comes back with the lock, interrupted too: then it waits for it first, however long.\n"
    "The lock is released in the step in which the caller begins to wait, so no notify is lost; there are no spurious wake-ups.\n"
    "Raises RuntimeError when this thread does not hold the lock. Blocks.\n\n"
    "A method, and a reagent that is something else: one step together with the notify that it meets; it does not touch the\n"
    "lock. It may be one branch of a choice, and leaves nothing behind where it is not taken. A notify goes to those who wait\n"
    "by the method first.\n\n"
    ">>> from lockfree import Queue\n>>> from lockfree.sync import Condition\n>>> c, q = Condition(), Queue()\n"
    ">>> q.put('item')\n>>> (c.wait + q.get)()\n'item'\n>>> with c:\n...     c.wait(timeout=0)\nFalse" };
RG_BOUND(notify)
static const rg_op op_notify = { .name = "notify", .step = sync_step_notify, .swaps = true, .direct = direct_notify, .bound = direct_notify_bound,
    .doc = "notify($self, n=1)\n--\n\n"
    "Wake at most n of those who wait now; they go on when they get the lock. Raises RuntimeError when this thread does not\n"
    "hold the lock. Never blocks. A method and a reagent, whose input is n (None: 1): c.notify >> c.release; as one step it meets\n"
    "at most one composed wait. Lock-free.\n\n"
    ">>> from lockfree.sync import Condition\n>>> c = Condition()\n>>> with c:\n...     c.notify()" };
RG_BOUND(notify_all)
static const rg_op op_notify_all = { .name = "notify_all", .step = sync_step_notify_all, .swaps = true, .direct = direct_notify_all,
    .bound = direct_notify_all_bound, .doc = "notify_all($self)\n--\n\n"
    "As notify, all of them. A method and a reagent. Lock-free.\n\n"
    ">>> from lockfree.sync import Condition\n>>> c = Condition()\n>>> with c:\n...     c.notify_all()" };
RG_BOUND(acquire)
static const rg_op op_acquire = { .name = "acquire", .step = step_acquire, .direct = direct_acquire, .bound = direct_acquire_bound,
    .doc = "acquire($self, blocking=True, timeout=-1)\n--\n\nThe lock's acquire. A method and a reagent.\n\n"
    ">>> from lockfree.sync import Condition\n>>> c = Condition()\n>>> c.acquire()\nTrue\n>>> c.release()" };
RG_BOUND(release)
static const rg_op op_release = { .name = "release", .step = step_release, .direct = direct_release, .bound = direct_release_bound,
    .doc = "release($self)\n--\n\nThe lock's release. A method and a reagent.\n\n"
    ">>> from lockfree.sync import Condition\n>>> c = Condition()\n>>> c.acquire()\nTrue\n>>> c.release()" };
const rg_op *const rg_condition_ops[] = { &op_wait, &op_notify, &op_notify_all, &op_acquire, &op_release, NULL };

/* ---- life ------------------------------------------------------------------------------------------- */

/* lockfree.sync.Condition alone makes them. compose() -> what COMPOSED_... says. */
static PyObject *condition_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(kw))
{
    rg_state *st = rg_state_of(type);
    PyObject *lock, *compose;
    if (!st || !PyArg_ParseTuple(args, "OO", &lock, &compose)) return NULL;
    if (!sync_is_lock(st, lock)) {
        PyErr_Format(PyExc_TypeError, "a Condition's lock must be a Lock or RLock of lockfree.sync, not %.100s: waiting releases it "
                     "in the same step", Py_TYPE(lock)->tp_name);
        return NULL;
    }
    PyObject *open = sync_group_new(st), *closed = open ? sync_group_new(st) : NULL;
    Condition *c = closed ? (Condition *)type->tp_alloc(type, 0) : NULL;
    if (!c) {
        Py_XDECREF(open);
        Py_XDECREF(closed);
        return NULL;
    }
    c->st = st;
    c->lock = Py_NewRef(lock);
    c->recursive = PyObject_TypeCheck(lock, st->rlock_type);
    c->compose = Py_NewRef(compose);
    rg_store_rlx(&c->composed, (uint64_t)(uintptr_t)Py_NewRef(Py_None)); /* relaxed: private yet */
    rg_store_rlx(&c->open, (uint64_t)(uintptr_t)open);
    rg_store_rlx(&c->closed, (uint64_t)(uintptr_t)closed);
    return (PyObject *)c;
}

static int condition_traverse(PyObject *self, visitproc visit, void *arg)
{
    Condition *c = (Condition *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(c->lock);
    Py_VISIT(c->compose);
    uint64_t w = rg_load(&c->composed);
    if (!rg_is_ref(w)) Py_VISIT((PyObject *)(uintptr_t)w); /* else a commit is under way on it, so it is in use */
    return 0; /* groups refer to nothing but their type */
}

static void condition_dealloc(PyObject *self)
{
    Condition *c = (Condition *)self;
    PyObject_GC_UnTrack(self);
    if (c->weakrefs) PyObject_ClearWeakRefs(self);
    Py_XDECREF((PyObject *)(uintptr_t)rg_last_value(c->st, &c->open));
    Py_XDECREF((PyObject *)(uintptr_t)rg_last_value(c->st, &c->closed));
    rg_release((PyObject *)(uintptr_t)rg_last_value(c->st, &c->composed));
    rg_release(c->lock);
    rg_release(c->compose);
    rg_free_late(c->st, self);
}

static PyObject *condition_repr(PyObject *self)
{
    Condition *c = (Condition *)self;
    rg_slot *s = rg_here(c->st);
    if (!s) return NULL;
    const rg_space *sp = &s->domain->space;
    uint64_t n = 0;
    rg_pin(s);
    for (int i = 0; i < 2; i++) {
        Group *g = group_of(rg_read(sp, s->index, i ? &c->closed : &c->open));
        if (g->forks == s->domain->forks) n += UNSERVED(rg_read(sp, s->index, &g->word));
    }
    rg_unpin(s);
    return PyUnicode_FromFormat("<Condition(%R, %llu)>", c->lock, (unsigned long long)n);
}

static PyObject *condition_is_owned(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    return PyBool_FromLong(sync_lock_is_mine(((Condition *)self)->lock));
}

static PyObject *condition_locked(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    return PyObject_CallMethod(((Condition *)self)->lock, "locked", NULL);
}

static PyObject *condition_at_fork(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    sync_lock_reset(((Condition *)self)->lock); /* groups of the parent count for nothing */
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    { "locked", condition_locked, METH_NOARGS, PyDoc_STR("locked($self, /)\n--\n\nWhether somebody holds the lock. Wait-free.\n\n"
      ">>> from lockfree.sync import Condition\n>>> Condition().locked()\nFalse") },
    { "__enter__", enter, METH_NOARGS, NULL },
    { "__exit__", (PyCFunction)(void (*)(void))leave, METH_FASTCALL, NULL },
    { "_is_owned", condition_is_owned, METH_NOARGS, NULL },
    { "_at_fork_reinit", condition_at_fork, METH_NOARGS, NULL },
    { "__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, NULL },
    { "__reduce__", rg_refuse_pickle, METH_NOARGS, NULL },
    { NULL },
};
static PyMemberDef members[] = {
    { "__weaklistoffset__", Py_T_PYSSIZET, offsetof(Condition, weakrefs), Py_READONLY, NULL },
    { "_lock", Py_T_OBJECT_EX, offsetof(Condition, lock), Py_READONLY, NULL },
    { NULL },
};
static PyType_Slot slots[] = {
    { Py_tp_doc, "What lockfree.sync.Condition is made of." },
    { Py_tp_new, condition_new },
    { Py_tp_dealloc, condition_dealloc },
    { Py_tp_traverse, condition_traverse },
    { Py_tp_repr, condition_repr },
    { Py_tp_methods, methods },
    { Py_tp_members, members },
    { 0, NULL },
};
PyType_Spec rg_condition_spec = {
    .name = "lockfree.sync.BaseCondition",
    .basicsize = sizeof(Condition),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .slots = slots,
};
