/* sync_permits.c - Lock, Semaphore and BoundedSemaphore: a number of permits in one word.
 *
 * Invariant: 0 <= free <= bound, and free + the permits that were taken and not given back is constant, but for a Semaphore
 * that is released more often than acquired. Linearization: the successful CAS on `free` (or the k-CAS of which it is part);
 * of a call that may not wait, the load that saw too few.
 *
 * Waiting. Who finds no permit at all is one of the takers (wait.h): n permits that are given wake n of them, the one that has
 * waited longest first. Nobody is handed a permit: who comes by meanwhile may take it, as with threading, so a lock is not idle
 * while its next owner wakes up. Who wants n at once and finds some, but too few, waits for the word: every change wakes it.
 *   No wake-up is lost: in the first case each permit brings one along, which is owed to the next unless it was used; in the
 * second the word changes whenever there are more.
 *   Nobody is stranded: who wants two, is woken for one and finds one has found no emptiness, so it passes the wake-up on to the
 * next (park.c), and from then on waits for the word. It may starve while others always take single permits: nothing is reserved.
 */
#include "sync.h"

#include "engine.h"
#include "explore.h"

extern const rg_op rg_op_lock_acquire, rg_op_semaphore_acquire;

/* ---- in a reaction -------------------------------------------------------------------------------- */

static rx_entry *entry(rx *r, Permits *p)
{
    rx_entry *e = rx_read_private(r, &p->free, WORD_INT, NULL);
    if (e) rx_is_part(e, &p->takers, PART_PERMITS);
    return e;
}

rx_outcome rx_permits_take(rx *r, Permits *p, uint64_t n)
{
    rx_entry *e = entry(r, p);
    if (!e) return RX_ERROR;
    if (e->cur < n) {
        e->vacant |= !e->old && !e->dirty; /* else it is what this reaction has left that is too little */
        return RX_BLOCK;
    }
    return rx_write(r, e, e->cur - n) ? RX_DONE : RX_ERROR;
}

/* Of the right kind for its type. */
static void too_many(Permits *p)
{
    if (PyObject_TypeCheck((PyObject *)p, p->st->lock_type))
        PyErr_SetString(PyExc_RuntimeError, "release unlocked lock");
    else if (p->bound < (uint64_t)RG_INT_MAX)
        PyErr_SetString(PyExc_ValueError, "Semaphore released too many times");
    else
        PyErr_SetString(PyExc_OverflowError, "the semaphore's value is out of the range of a word");
}

rx_outcome rx_permits_give(rx *r, Permits *p, uint64_t n)
{
    rx_entry *e = entry(r, p);
    if (!e) return RX_ERROR;
    if (n > p->bound - e->cur) {
        too_many(p); /* if the log is stale, it is nobody's error (rx_error_was_stale) */
        return RX_ERROR;
    }
    return rx_write(r, e, e->cur + n) ? RX_DONE : RX_ERROR;
}

static rx_outcome truth(rx_outcome o, PyObject *result, PyObject **y)
{
    if (o == RX_DONE) *y = Py_NewRef(result);
    return o;
}

static rx_outcome step_lock_acquire(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    (void)x;
    return truth(rx_permits_take(r, (Permits *)n->a, 1), Py_True, y);
}

static rx_outcome step_lock_release(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    (void)x;
    return truth(rx_permits_give(r, (Permits *)n->a, 1), Py_None, y);
}

/* A number of permits, at least `least`; no user code runs. */
static bool number_of(PyObject *x, int64_t least, const char *message, uint64_t *n)
{
    int overflow = 0;
    long long v = PyLong_Check(x) ? PyLong_AsLongLongAndOverflow(x, &overflow) : least;
    if (overflow < 0 || (!overflow && v < least)) {
        PyErr_SetString(PyExc_ValueError, message);
        return false;
    }
    return rg_int_of(x, n);
}

static bool count_of(PyObject *x, uint64_t *n)
{
    *n = 1;
    return x == Py_None || x == Py_True || number_of(x, 1, "n must be one or more", n);
}

static rx_outcome step_acquire(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    uint64_t k;
    if (!count_of(x, &k)) return RX_ERROR;
    return truth(rx_permits_take(r, (Permits *)n->a, k), Py_True, y);
}

static rx_outcome step_release(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    uint64_t k;
    if (!count_of(x, &k)) return RX_ERROR;
    return truth(rx_permits_give(r, (Permits *)n->a, k), Py_None, y);
}

/* ---- at once -------------------------------------------------------------------------------------- */

/* No node is looked at and the caller's reference keeps the word: so nothing needs to be pinned for one CAS. */

static RG_SLOW rg_tried take_slow(Permits *p, uint64_t n)
{
    rg_slot *s = rg_begin(p->st, p, "acquire");
    if (!s) return RG_TRIED_MET; /* never else here: an error is set */
    rg_backoff b = { 0 };
    rg_pin(s);
    for (;;) {
        uint64_t v = rg_read(&s->domain->space, s->index, &p->free);
        rg_tried t = v < n ? RG_TRIED_EMPTY : rg_cas_once(&s->desc, &p->free, v, v - n) ? RG_TRIED_DONE : RG_TRIED_LOST;
        if (t == RG_TRIED_DONE) rg_wake(s, &p->free);
        if (t != RG_TRIED_LOST) {
            rg_unpin(s);
            return t;
        }
        rg_lost(s, &b);
    }
}

static inline rg_tried take(Permits *p, uint64_t n)
{
    rg_slot *s = rg_at_hand(p->st);
    uint64_t v = rg_load(&p->free);
    if (__builtin_expect(!s || rg_is_ref(v), 0)) return take_slow(p, n);
    if (__builtin_expect(v < n, 0)) return RG_TRIED_EMPTY;
    if (__builtin_expect(!rg_cas_once(&s->desc, &p->free, v, v - n), 0)) return take_slow(p, n);
    rg_wake(s, &p->free);
    return RG_TRIED_DONE;
}

bool sync_permits_try(Permits *p) { return !rg_is_explored(p->st) && take(p, 1) == RG_TRIED_DONE; }

static void given(rg_slot *s, Permits *p, uint64_t n)
{
    rg_wake(s, &p->free);
    rg_wake_some(s, &p->takers.list, (size_t)n);
}

static RG_SLOW int give_slow(Permits *p, uint64_t n)
{
    rg_slot *s = rg_begin(p->st, p, "release");
    if (!s) return -1;
    rg_backoff b = { 0 };
    rg_pin(s);
    for (;;) {
        uint64_t v = rg_read(&s->domain->space, s->index, &p->free);
        if (n > p->bound - v) {
            rg_unpin(s);
            too_many(p);
            return -1;
        }
        if (rg_cas_once(&s->desc, &p->free, v, v + n)) break;
        rg_lost(s, &b);
    }
    given(s, p, n);
    rg_unpin(s);
    return 0;
}

int rg_permits_give(Permits *p, uint64_t n)
{
    rg_slot *s = rg_at_hand(p->st);
    uint64_t v = rg_load(&p->free);
    if (__builtin_expect(!s || rg_is_ref(v) || n > p->bound - v || !rg_cas_once(&s->desc, &p->free, v, v + n), 0)) return give_slow(p, n);
    if (rg_somebody_waits(s)) given(s, p, n);
    return 0;
}

static PyObject *wait_for(Permits *p, const rg_op *op, PyObject *x, sync_wait how)
{
    int k = sync_run(p->st, op, (PyObject *)p, NULL, x, how, NULL);
    return k < 0 ? NULL : PyBool_FromLong(k);
}

static RG_SLOW PyObject *not_taken(Permits *p, rg_tried t, const rg_op *op, PyObject *x, sync_wait how)
{
    if (t == RG_TRIED_MET) return NULL;
    if (!how.block) Py_RETURN_FALSE; /* there were too few when it looked */
    return wait_for(p, op, x, how);
}

PyObject *rg_lock_acquire(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kw)
{
    sync_wait how = { true, -1 };
    if ((nargs || kw) && !sync_lock_wait("acquire", args, nargs, kw, &how)) return NULL;
    rg_tried t = take((Permits *)self, 1);
    if (__builtin_expect(t != RG_TRIED_DONE, 0)) return not_taken((Permits *)self, t, &rg_op_lock_acquire, Py_None, how);
    Py_RETURN_TRUE;
}

static PyObject *direct_lock_release(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kw)
{
    (void)args;
    if (!rg_arity("release", nargs, kw, 0, 0) || rg_permits_give((Permits *)self, 1) < 0) return NULL;
    Py_RETURN_NONE;
}

/* (blocking=True, timeout=None, n=1) */
static RG_SLOW bool semaphore_args(PyObject *const *args, Py_ssize_t nargs, PyObject *kw, uint64_t *n, sync_wait *how)
{
    static const char *const names[] = { "blocking", "timeout", "n", NULL };
    PyObject *v[SYNC_ARGS] = { NULL };
    if (!sync_args("acquire", names, args, nargs, kw, v)) return false;
    int block = v[0] ? PyObject_IsTrue(v[0]) : 1;
    if (block < 0) return false;
    if (!block && v[1] && v[1] != Py_None) {
        PyErr_SetString(PyExc_ValueError, "can't specify timeout for non-blocking acquire");
        return false;
    }
    if (!sync_timeout(v[1], how)) return false;
    how->block &= block;
    PyObject *i = v[2] ? PyNumber_Index(v[2]) : Py_NewRef(Py_None);
    bool ok = i && count_of(i, n);
    Py_XDECREF(i);
    return ok;
}

static PyObject *direct_acquire(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kw)
{
    Permits *p = (Permits *)self;
    uint64_t n = 1;
    sync_wait how = { true, -1 };
    if ((nargs || kw) && !semaphore_args(args, nargs, kw, &n, &how)) return NULL;
    rg_tried t = take(p, n);
    if (__builtin_expect(t == RG_TRIED_DONE, 1)) Py_RETURN_TRUE;
    PyObject *x = n == 1 ? Py_NewRef(Py_None) : PyLong_FromLongLong((int64_t)n), *y = x ? not_taken(p, t, &rg_op_semaphore_acquire, x, how) : NULL;
    Py_XDECREF(x);
    return y;
}

static PyObject *direct_release(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kw)
{
    static const char *const names[] = { "n", NULL };
    uint64_t n = 1;
    if (nargs || kw) {
        PyObject *v[SYNC_ARGS] = { NULL };
        if (!sync_args("release", names, args, nargs, kw, v)) return NULL;
        PyObject *i = v[0] ? PyNumber_Index(v[0]) : Py_NewRef(Py_None);
        bool ok = i && count_of(i, &n);
        Py_XDECREF(i);
        if (!ok) return NULL;
    }
    if (rg_permits_give((Permits *)self, n) < 0) return NULL;
    Py_RETURN_NONE;
}

static PyObject *enter(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    rg_tried t = take((Permits *)self, 1);
    if (__builtin_expect(t != RG_TRIED_DONE, 0)) return not_taken((Permits *)self, t, &rg_op_lock_acquire, Py_None, (sync_wait){ true, -1 });
    Py_RETURN_TRUE;
}

static PyObject *leave(PyObject *self, PyObject *const *Py_UNUSED(args), Py_ssize_t Py_UNUSED(nargs))
{
    if (rg_permits_give((Permits *)self, 1) < 0) return NULL;
    Py_RETURN_NONE;
}

#define LOCK_ACQUIRE "acquire($self, blocking=True, timeout=-1)\n--\n\n" \
    "Take the lock; waits while it is held, at most timeout seconds (-1: for ever). Returns whether it was taken. A method\n" \
    "and a reagent, whose result is True: together(a.acquire, b.acquire) takes both or neither. Raises as threading.Lock.\n" \
    "Lock-free but for the waiting: whoever comes by may take a free lock, the longest waiting thread is woken first.\n\n" \
    ">>> from lockfree.sync import Lock\n>>> from reagents import together\n>>> a, b = Lock(), Lock()\n" \
    ">>> together(a.acquire, b.acquire)()\n(True, True)\n>>> a.acquire(blocking=False)\nFalse"
#define LOCK_RELEASE "release($self)\n--\n\n" \
    "Give the lock back; any thread may. Raises RuntimeError when nobody holds it; so does a reaction, of which nothing then\n" \
    "happens. Never blocks. A method and a reagent: a.release >> b.acquire goes from one to the other in one step. Lock-free.\n\n" \
    ">>> from lockfree.sync import Lock\n>>> a, b = Lock(), Lock()\n>>> a.acquire()\nTrue\n" \
    ">>> (a.release >> b.acquire)()\nTrue\n>>> a.locked(), b.locked()\n(False, True)"

static PyObject *direct_lock_acquire(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kw)
{
    return rg_lock_acquire(self, args, nargs, kw);
}

RG_BOUND(lock_acquire)
RG_BOUND(lock_release)
RG_BOUND(acquire)
RG_BOUND(release)
const rg_op rg_op_lock_acquire = { .name = "acquire", .step = step_lock_acquire, .direct = direct_lock_acquire,
    .bound = direct_lock_acquire_bound, .doc = LOCK_ACQUIRE };
static const rg_op op_lock_release = { .name = "release", .step = step_lock_release, .direct = direct_lock_release,
    .bound = direct_lock_release_bound, .doc = LOCK_RELEASE };
const rg_op *const rg_lock_ops[] = { &rg_op_lock_acquire, &op_lock_release, NULL };

const rg_op rg_op_semaphore_acquire = { .name = "acquire", .step = step_acquire, .direct = direct_acquire,
    .bound = direct_acquire_bound, .doc = "acquire($self, blocking=True, timeout=None, n=1)\n--\n\n"
    "Take n permits at once, or none; waits while there are fewer, at most timeout seconds. Returns whether it took them. A\n"
    "method and a reagent, whose input is n (None: 1) and whose result is True. Raises ValueError for n < 1. Lock-free but for\n"
    "the waiting; the longest waiting thread is woken first, but none is handed a permit, so who wants many may starve.\n\n"
    ">>> from lockfree.sync import Semaphore\n>>> s = Semaphore(3)\n>>> s.acquire(n=2)\nTrue\n>>> s.acquire(blocking=False, n=2)\nFalse" };
static const rg_op op_release = { .name = "release", .step = step_release, .direct = direct_release,
    .bound = direct_release_bound, .doc = "release($self, n=1)\n--\n\n"
    "Give n permits back, and wake as many who wait. Never blocks. A BoundedSemaphore raises ValueError, and gives none, when\n"
    "there would be more than at first. A method and a reagent, whose input is n (None: 1). Lock-free.\n\n"
    ">>> from lockfree.sync import Semaphore\n>>> s = Semaphore(0)\n>>> s.release(2)\n>>> s.value\n2" };
const rg_op *const rg_semaphore_ops[] = { &rg_op_semaphore_acquire, &op_release, NULL };
const rg_op *const rg_bounded_semaphore_ops[] = { &rg_op_semaphore_acquire, &op_release, NULL };

/* ---- life and looks --------------------------------------------------------------------------------- */

static PyObject *permits_new(PyTypeObject *type, uint64_t value, uint64_t bound)
{
    rg_state *st = rg_state_of(type);
    Permits *p = st ? (Permits *)type->tp_alloc(type, 0) : NULL;
    if (!p) return NULL;
    p->st = st;
    rg_store_rlx(&p->free, value); /* relaxed: private yet */
    p->bound = bound;
    rg_list_init(&p->takers.list);
    p->takers.of = (PyObject *)p;
    return (PyObject *)p;
}

static PyObject *lock_new(PyTypeObject *type, PyObject *args, PyObject *kw)
{
    static char *names[] = { NULL };
    if (!sync_own_init(type) && !PyArg_ParseTupleAndKeywords(args, kw, ":Lock", names)) return NULL;
    return permits_new(type, 1, 1);
}

static bool initial_value(PyObject *args, PyObject *kw, uint64_t *n)
{
    static char *names[] = { "value", NULL };
    PyObject *value = NULL;
    *n = 1;
    if (!PyArg_ParseTupleAndKeywords(args, kw, "|O:Semaphore", names, &value)) return false;
    PyObject *i = value ? PyNumber_Index(value) : NULL;
    bool ok = !value || (i && number_of(i, 0, "semaphore initial value must be >= 0", n));
    Py_XDECREF(i);
    return ok;
}

static PyObject *semaphore_new(PyTypeObject *type, PyObject *args, PyObject *kw)
{
    uint64_t n;
    return initial_value(args, kw, &n) ? permits_new(type, n, (uint64_t)RG_INT_MAX) : NULL;
}

static PyObject *bounded_new(PyTypeObject *type, PyObject *args, PyObject *kw)
{
    uint64_t n;
    return initial_value(args, kw, &n) ? permits_new(type, n, n) : NULL;
}

static int permits_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    return 0;
}

static void permits_dealloc(PyObject *self)
{
    Permits *p = (Permits *)self;
    PyObject_GC_UnTrack(self);
    if (p->weakrefs) PyObject_ClearWeakRefs(self);
    rg_free_late(p->st, self);
}

static PyObject *lock_locked(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    Permits *p = (Permits *)self;
    return PyBool_FromLong(sync_word(p->st, &p->free) == 0);
}

static PyObject *lock_repr(PyObject *self)
{
    Permits *p = (Permits *)self;
    PyObject *name = sync_type_name(self);
    PyObject *s = name ? PyUnicode_FromFormat("<%s %U object at %p>", sync_word(p->st, &p->free) ? "unlocked" : "locked", name, self) : NULL;
    Py_XDECREF(name);
    return s;
}

static PyObject *lock_at_fork(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    sync_lock_reset(self);
    Py_RETURN_NONE;
}

static PyObject *semaphore_value(PyObject *self, void *Py_UNUSED(closure))
{
    Permits *p = (Permits *)self;
    return PyLong_FromLongLong((int64_t)sync_word(p->st, &p->free));
}

static PyObject *semaphore_repr(PyObject *self)
{
    Permits *p = (Permits *)self;
    PyObject *name = sync_type_name(self), *s = NULL;
    long long n = (long long)sync_word(p->st, &p->free);
    if (name)
        s = p->bound == (uint64_t)RG_INT_MAX ? PyUnicode_FromFormat("<%U at %p: value=%lld>", name, self, n)
                                             : PyUnicode_FromFormat("<%U at %p: value=%lld/%lld>", name, self, n, (long long)p->bound);
    Py_XDECREF(name);
    return s;
}

#define WITH \
    { "__enter__", enter, METH_NOARGS, NULL }, { "__exit__", (PyCFunction)(void (*)(void))leave, METH_FASTCALL, NULL }, \
    { "__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, NULL }, { "__reduce__", rg_refuse_pickle, METH_NOARGS, NULL }

static PyMethodDef lock_methods[] = {
    { "locked", lock_locked, METH_NOARGS, PyDoc_STR("locked($self, /)\n--\n\nWhether somebody holds the lock. Wait-free.\n\n"
      ">>> from lockfree.sync import Lock\n>>> Lock().locked()\nFalse") },
    { "_at_fork_reinit", lock_at_fork, METH_NOARGS, NULL },
    WITH, { NULL },
};
static PyMethodDef semaphore_methods[] = { WITH, { NULL } };
static PyGetSetDef semaphore_getset[] = {
    { "value", semaphore_value, NULL, PyDoc_STR("Permits that nobody has, at this instant."), NULL },
    { "_value", semaphore_value, NULL, NULL, NULL },
    { NULL },
};
static PyMemberDef members[] = {
    { "__weaklistoffset__", Py_T_PYSSIZET, offsetof(Permits, weakrefs), Py_READONLY, NULL },
    { NULL },
};

#define TYPE(name_, Name, doc_, repr_, ...)                                                                            \
    static PyType_Slot name_##_slots[] = {                                                                              \
        { Py_tp_doc, doc_ }, { Py_tp_new, name_##_new }, { Py_tp_dealloc, permits_dealloc },                             \
        { Py_tp_traverse, permits_traverse }, { Py_tp_repr, repr_ }, { Py_tp_members, members }, __VA_ARGS__, { 0, NULL } }; \
    PyType_Spec rg_##name_##_spec = { .name = "lockfree.sync." Name, .basicsize = sizeof(Permits), .slots = name_##_slots,   \
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE }
#define bounded_semaphore_new bounded_new

TYPE(lock, "Lock", "Lock()\n--\n\nA lock as threading.Lock that composes: acquire and release are methods and reagents.", lock_repr,
     { Py_tp_methods, lock_methods });
TYPE(semaphore, "Semaphore", "Semaphore(value=1)\n--\n\n"
     "A counter of permits (Dijkstra, 1965) as threading.Semaphore that composes, and hands out n at once.", semaphore_repr,
     { Py_tp_methods, semaphore_methods }, { Py_tp_getset, semaphore_getset });
TYPE(bounded_semaphore, "BoundedSemaphore", "BoundedSemaphore(value=1)\n--\n\n"
     "A Semaphore that refuses to be released more often than acquired.", semaphore_repr,
     { Py_tp_methods, semaphore_methods }, { Py_tp_getset, semaphore_getset });
