/* sync_rlock.c - RLock: a lock that its owner may take again.
 *
 * One word,  owner << 31 | count : the owner's number (sync.h) and how often it holds the lock; 0 when nobody does. acquire and
 * release are one CAS on it, and linearize there. Waiting: as for a Lock (sync_permits.c), whoever finds another owner is one
 * of the takers, of whom giving the lock back for the last time wakes one.
 *
 * Who is the owner? The thread that called: also of a reaction that a partner's thread carried out (the offer says whose it
 * was). Of a coroutine it is the thread that runs its loop: an RLock excludes no two tasks of one event loop, and so has no
 * `async with`. A catalyst has no thread, and is refused.
 */
#include "sync_rlock.h"

#include "engine.h"
#include "explore.h"

extern const rg_op rg_op_rlock_acquire;

/* What the word becomes. RG_TRIED_EMPTY: another's, or, of release, nobody's. RG_TRIED_MET: an error is set. */
static rg_tried more(uint64_t w, uint64_t me, uint64_t times, uint64_t *new_)
{
    if (w && OWNER(w) != me) return RG_TRIED_EMPTY;
    *new_ = (w ? w : me << COUNT_BITS) + times;
    if (times <= COUNT(UINT64_MAX) - COUNT(w)) return RG_TRIED_DONE;
    PyErr_SetString(PyExc_OverflowError, "Internal lock count overflowed");
    return RG_TRIED_MET;
}

static rg_tried less(uint64_t w, uint64_t me, bool wholly, uint64_t *new_)
{
    if (!w || OWNER(w) != me) return RG_TRIED_EMPTY;
    *new_ = wholly || COUNT(w) == 1 ? 0 : w - 1;
    return RG_TRIED_DONE;
}

/* ---- in a reaction -------------------------------------------------------------------------------- */

static rx_entry *entry(rx *r, RLock *l)
{
    rx_entry *e = rx_read_private(r, &l->word, WORD_INT, NULL);
    if (e) rx_is_part(e, &l->takers, PART_OWNER);
    return e;
}

rx_outcome rx_rlock_take(rx *r, RLock *l, uint64_t times)
{
    uint64_t me = rx_thread(r), w;
    rx_entry *e = me ? entry(r, l) : NULL;
    rg_tried t = e ? more(e->cur, me, times, &w) : RG_TRIED_MET;
    if (t == RG_TRIED_EMPTY) {
        e->vacant |= !e->dirty;
        return RX_BLOCK;
    }
    return t == RG_TRIED_DONE && rx_write(r, e, w) ? RX_DONE : RX_ERROR;
}

static rx_outcome not_mine(void)
{
    PyErr_SetString(PyExc_RuntimeError, "cannot release un-acquired lock");
    return RX_ERROR; /* if the log is stale, it is nobody's error (rx_error_was_stale) */
}

rx_outcome rx_rlock_give(rx *r, RLock *l, bool wholly)
{
    uint64_t me = rx_thread(r), w;
    rx_entry *e = me ? entry(r, l) : NULL;
    if (!e) return RX_ERROR;
    if (less(e->cur, me, wholly, &w) != RG_TRIED_DONE) return not_mine();
    return rx_write(r, e, w) ? RX_DONE : RX_ERROR;
}

bool rx_rlock_is_mine(rx *r, RLock *l, bool *mine)
{
    uint64_t me = rx_thread(r);
    rx_entry *e = me ? entry(r, l) : NULL;
    if (e) *mine = OWNER(e->cur) == me;
    return e;
}

static rx_outcome step_acquire(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    (void)x;
    rx_outcome o = rx_rlock_take(r, (RLock *)n->a, 1);
    if (o == RX_DONE) *y = Py_NewRef(Py_True);
    return o;
}

static rx_outcome step_release(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    (void)x;
    rx_outcome o = rx_rlock_give(r, (RLock *)n->a, false);
    if (o == RX_DONE) *y = Py_NewRef(Py_None);
    return o;
}

/* ---- at once -------------------------------------------------------------------------------------- */

static RG_SLOW rg_tried try_slow(RLock *l, uint64_t me, bool take)
{
    rg_slot *s = rg_begin(l->st, l, take ? "acquire" : "release");
    if (!s) return RG_TRIED_MET;
    rg_backoff b = { 0 };
    rg_pin(s);
    for (;;) {
        uint64_t w = rg_read(&s->domain->space, s->index, &l->word), new_ = 0;
        rg_tried t = take ? more(w, me, 1, &new_) : less(w, me, false, &new_);
        if (t == RG_TRIED_DONE && !rg_cas_once(&s->desc, &l->word, w, new_)) {
            rg_lost(s, &b);
            continue;
        }
        if (t == RG_TRIED_DONE) {
            rg_wake(s, &l->word);
            if (!new_) rg_wake_some(s, &l->takers.list, 1);
        }
        rg_unpin(s);
        return t;
    }
}

static RG_SLOW rg_tried take_slow(RLock *l)
{
    uint64_t me = sync_thread(), w = rg_load(&l->word);
    return w && !rg_is_ref(w) && OWNER(w) != me && rg_at_hand(l->st) ? RG_TRIED_EMPTY : try_slow(l, me, true);
}

int rg_rlock_release(RLock *l)
{
    if (__builtin_expect(sync_rlock_give_at_once(l), 1)) return 0;
    rg_tried t = try_slow(l, sync_thread(), false);
    if (t == RG_TRIED_EMPTY) not_mine();
    return t == RG_TRIED_DONE ? 0 : -1;
}

static PyObject *acquire(RLock *l, sync_wait how)
{
    if (__builtin_expect(sync_rlock_take_at_once(l), 1)) Py_RETURN_TRUE;
    rg_tried t = take_slow(l);
    if (t == RG_TRIED_DONE) Py_RETURN_TRUE;
    if (t == RG_TRIED_MET) return NULL;
    if (!how.block) Py_RETURN_FALSE;
    int k = sync_run(l->st, &rg_op_rlock_acquire, (PyObject *)l, NULL, Py_None, how, NULL);
    return k < 0 ? NULL : PyBool_FromLong(k);
}

PyObject *rg_rlock_acquire(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kw)
{
    sync_wait how = { true, -1 };
    if ((nargs || kw) && !sync_lock_wait("acquire", args, nargs, kw, &how)) return NULL;
    return acquire((RLock *)self, how);
}

static PyObject *direct_acquire(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kw)
{
    return rg_rlock_acquire(self, args, nargs, kw);
}

static PyObject *direct_release(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kw)
{
    (void)args;
    if (!rg_arity("release", nargs, kw, 0, 0) || rg_rlock_release((RLock *)self) < 0) return NULL;
    Py_RETURN_NONE;
}

static PyObject *enter(PyObject *self, PyObject *Py_UNUSED(ignored)) { return acquire((RLock *)self, (sync_wait){ true, -1 }); }

static PyObject *leave(PyObject *self, PyObject *const *Py_UNUSED(args), Py_ssize_t Py_UNUSED(nargs))
{
    if (rg_rlock_release((RLock *)self) < 0) return NULL;
    Py_RETURN_NONE;
}

RG_BOUND(acquire)
RG_BOUND(release)
const rg_op rg_op_rlock_acquire = { .name = "acquire", .step = step_acquire, .direct = direct_acquire, .bound = direct_acquire_bound,
    .doc = "acquire($self, blocking=True, timeout=-1)\n--\n\n"
    "Take the lock, once more if this thread holds it already; waits while another one does, at most timeout seconds (-1: for\n"
    "ever). Returns whether it was taken. A method and a reagent, whose result is True; the owner is the thread that runs the\n"
    "reaction. Raises as threading.RLock, and RuntimeError in a catalyst, which has no thread. Lock-free but for the waiting.\n\n"
    ">>> from lockfree.sync import RLock\n>>> r = RLock()\n>>> (r.acquire >> r.acquire >> r.release)()\n>>> r.release()" };
static const rg_op op_release = { .name = "release", .step = step_release, .direct = direct_release, .bound = direct_release_bound,
    .doc = "release($self)\n--\n\n"
    "Give the lock back as often as it was taken. Raises RuntimeError unless this thread holds it. Never blocks. A method and a\n"
    "reagent. Lock-free.\n\n"
    ">>> from lockfree.sync import RLock\n>>> r = RLock()\n>>> r.acquire()\nTrue\n>>> r.release()" };
const rg_op *const rg_rlock_ops[] = { &rg_op_rlock_acquire, &op_release, NULL };

bool sync_rlock_restore(RLock *l, uint64_t times)
{
    rg_slot *s = rg_is_explored(l->st) ? NULL : rg_here_quietly(l->st);
    if (!s || rg_load(&l->word) || !rg_cas_once(&s->desc, &l->word, 0, (sync_thread() << COUNT_BITS) + times)) return false;
    rg_wake(s, &l->word);
    return true;
}

bool sync_rlock_is_mine(RLock *l) { return OWNER(sync_word(l->st, &l->word)) == sync_thread(); }

uint64_t sync_rlock_count(RLock *l)
{
    uint64_t w = sync_word(l->st, &l->word);
    return OWNER(w) == sync_thread() ? COUNT(w) : 0;
}

/* ---- what threading.Condition and its tests ask of an RLock ------------------------------------------ */

static PyObject *rlock_is_owned(PyObject *self, PyObject *Py_UNUSED(ignored)) { return PyBool_FromLong(sync_lock_is_mine(self)); }

static PyObject *rlock_recursion_count(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    return PyLong_FromUnsignedLongLong(sync_rlock_count((RLock *)self));
}

static rx_outcome step_give_wholly(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    (void)x;
    rx_outcome o = rx_rlock_give(r, (RLock *)n->a, true);
    if (o == RX_DONE) *y = Py_NewRef(Py_None);
    return o;
}
static const rg_op op_give_wholly = { .name = "_release_save", .step = step_give_wholly, .doc = "all at once" };

static PyObject *rlock_release_save(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    RLock *l = (RLock *)self;
    uint64_t times = sync_rlock_count(l), me = sync_thread();
    PyObject *state = Py_BuildValue("(KK)", (unsigned long long)times, (unsigned long long)me);
    if (state && sync_run(l->st, &op_give_wholly, self, NULL, Py_None, (sync_wait){ true, -1 }, NULL) < 0) Py_CLEAR(state);
    return state;
}

static PyObject *rlock_acquire_restore(PyObject *self, PyObject *state)
{
    uint64_t times = 0;
    bool pair = PyTuple_Check(state) && PyTuple_GET_SIZE(state) == 2;
    if (pair && !rg_int_of(PyTuple_GET_ITEM(state, 0), &times)) return NULL;
    if (!times || times > COUNT(UINT64_MAX)) {
        PyErr_SetString(PyExc_TypeError, "_acquire_restore() takes what _release_save() returned");
        return NULL;
    }
    if (!sync_lock_retake(self, PyTuple_GET_ITEM(state, 0)) || PyErr_Occurred()) return NULL;
    Py_RETURN_NONE;
}

/* ---- life and looks --------------------------------------------------------------------------------- */

static PyObject *rlock_new(PyTypeObject *type, PyObject *args, PyObject *kw)
{
    static char *names[] = { NULL };
    rg_state *st = rg_state_of(type);
    if (!st || (!sync_own_init(type) && !PyArg_ParseTupleAndKeywords(args, kw, ":RLock", names))) return NULL;
    RLock *l = (RLock *)type->tp_alloc(type, 0);
    if (!l) return NULL;
    l->st = st;
    rg_list_init(&l->takers.list);
    l->takers.of = (PyObject *)l;
    return (PyObject *)l;
}

static int rlock_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    return 0;
}

static void rlock_dealloc(PyObject *self)
{
    RLock *l = (RLock *)self;
    PyObject_GC_UnTrack(self);
    if (l->weakrefs) PyObject_ClearWeakRefs(self);
    rg_free_late(l->st, self);
}

static PyObject *rlock_locked(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    RLock *l = (RLock *)self;
    return PyBool_FromLong(sync_word(l->st, &l->word) != 0);
}

static PyObject *rlock_repr(PyObject *self)
{
    RLock *l = (RLock *)self;
    uint64_t w = sync_word(l->st, &l->word);
    PyObject *name = sync_type_name(self);
    PyObject *s = name ? PyUnicode_FromFormat("<%s %U object owner=%llu count=%llu at %p>", w ? "locked" : "unlocked", name,
                                              (unsigned long long)OWNER(w), (unsigned long long)COUNT(w), self)
                       : NULL;
    Py_XDECREF(name);
    return s;
}

static PyObject *rlock_at_fork(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    sync_lock_reset(self);
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    { "locked", rlock_locked, METH_NOARGS, PyDoc_STR("locked($self, /)\n--\n\nWhether some thread holds the lock. Wait-free.\n\n"
      ">>> from lockfree.sync import RLock\n>>> RLock().locked()\nFalse") },
    { "_is_owned", rlock_is_owned, METH_NOARGS, NULL },
    { "_recursion_count", rlock_recursion_count, METH_NOARGS, NULL },
    { "_release_save", rlock_release_save, METH_NOARGS, NULL },
    { "_acquire_restore", rlock_acquire_restore, METH_O, NULL },
    { "_at_fork_reinit", rlock_at_fork, METH_NOARGS, NULL },
    { "__enter__", enter, METH_NOARGS, NULL },
    { "__exit__", (PyCFunction)(void (*)(void))leave, METH_FASTCALL, NULL },
    { "__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, NULL },
    { "__reduce__", rg_refuse_pickle, METH_NOARGS, NULL },
    { NULL },
};
static PyMemberDef members[] = {
    { "__weaklistoffset__", Py_T_PYSSIZET, offsetof(RLock, weakrefs), Py_READONLY, NULL },
    { NULL },
};
static PyType_Slot slots[] = {
    { Py_tp_doc, "RLock()\n--\n\nA lock as threading.RLock that composes: its owner may take it again, and gives it back as often.\n"
      "The owner is a thread: between the tasks of one event loop use a Lock." },
    { Py_tp_new, rlock_new },
    { Py_tp_dealloc, rlock_dealloc },
    { Py_tp_traverse, rlock_traverse },
    { Py_tp_repr, rlock_repr },
    { Py_tp_methods, methods },
    { Py_tp_members, members },
    { 0, NULL },
};
PyType_Spec rg_rlock_spec = {
    .name = "lockfree.sync.RLock",
    .basicsize = sizeof(RLock),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .slots = slots,
};
