/* sync_condition.c - Condition: waiters in groups, as in glibc's condition variable (since 2.25), but on k-CAS.
 *
 * Who waits joins the *open* group and releases the lock, in one reaction (enlist). A group is one word,  joined << 31 |
 * signals : how many wait in it, and for how many of them there is a signal. Invariant: signals <= joined. A member leaves
 * by taking a signal, both numbers less by one; who gives up takes itself off the joined.
 * notify gives signals to the group that was *closed* before, while some of its members have none; then it closes the open
 * one, puts a new one in its place, and goes on there. So a signal can only be taken by one who waited when it was given: who
 * comes later is in another group. Nobody is passed over for long: the next group is reached once this one is served.
 * Members without a signal are takers of their group (wait.h): n signals wake n of them, the oldest first.
 *
 * Linearization: the k-CAS of enlist, of notify, of the taking of a signal. No notify is lost: the lock is released in the step in which
 * the waiter is counted. A waiter that is interrupted when all of its group have signals gives its own to the next (withdraw).
 *
 * `wait` composed is no member of a group: in one step it meets a notify that finds no member left, as the two ends of a
 * channel do, and does not touch the lock. What does not happen leaves nothing behind that could swallow a notify.
 *
 * Fork: groups of the parent have members that do not exist in the child: there they count for nothing (forks).
 */
#include "sync.h"

#include "channel.h"
#include "engine.h"

typedef struct Group {
    PyObject_HEAD
    rg_state *st;
    rg_word word;
    rg_takers takers;
    unsigned forks;
} Group;

typedef struct Condition {
    PyObject_HEAD
    rg_state *st;
    PyObject *weakrefs;
    PyObject *lock;
    rg_word open, closed; /* groups */
    PyObject *waiting;    /* the end of a channel where composed waits are */
    PyObject *wait;       /* its swap */
    PyObject *meet;       /* a reagent that meets one of them, or none */
    PyObject *met;        /* the same, and says which */
} Condition;

#define ONE_JOINED (1ULL << 31)
#define SIGNALS(w) ((uint64_t)PART_SIGNALS_OF(w))
#define JOINED(w) ((w) >> 31)
#define UNSERVED(w) (JOINED(w) - SIGNALS(w))

static PyObject *group_new(rg_state *st)
{
    rg_slot *s = rg_here(st);
    Group *g = s ? PyObject_GC_New(Group, st->wait_group_type) : NULL;
    if (!g) return NULL;
    g->st = st;
    rg_store_rlx(&g->word, 0); /* relaxed: private yet */
    rg_list_init(&g->takers.list);
    g->takers.of = (PyObject *)g;
    g->forks = s->domain->forks;
    PyObject_GC_Track(g);
    return (PyObject *)g;
}

static Group *group_of(uint64_t w) { return (Group *)(uintptr_t)w; }

/* ---- in a reaction -------------------------------------------------------------------------------- */

static rx_entry *entry(rx *r, Group *g)
{
    rx_entry *e = rx_read_private(r, &g->word, WORD_INT, NULL);
    if (e) rx_is_part(e, &g->takers, PART_SIGNALS);
    return e;
}

/* The group that `at` names, and its word; the group is good while pinned. */
static bool group_at(rx *r, rg_word *at, Group **g, uint64_t *w)
{
    rx_entry *e = rx_read_private(r, at, WORD_OBJECT, NULL);
    if (!e) return false;
    *g = group_of(e->cur);
    if (!(e = entry(r, *g))) return false;
    *w = (*g)->forks == r->slot->domain->forks ? e->cur : 0;
    return true;
}

static bool write_group(rx *r, rg_word *at, Group *g) /* takes the reference */
{
    rx_entry *e = rx_read_private(r, at, WORD_OBJECT, NULL);
    if (e) return rx_write(r, e, (uint64_t)(uintptr_t)g);
    rx_drop(r, (PyObject *)g);
    return false;
}

static rx_outcome held(rx *r, Condition *c, const char *what)
{
    bool mine;
    if (!rx_lock_is_mine(r, c->lock, &mine)) return RX_ERROR;
    if (mine) return RX_DONE;
    PyErr_SetString(PyExc_RuntimeError, what);
    return RX_ERROR;
}

/* A new group in place of the open one. May have run Python code (the collector). */
static rx_outcome renew(rx *r, Condition *c)
{
    rx_outcome o = rx_leave(r);
    if (o != RX_DONE) return o;
    PyObject *g = RX_ROOM(r->kept, 1) ? group_new(c->st) : NULL;
    o = rx_return(r, g);
    if (o != RX_DONE) return o;
    r->kept.at[r->kept.n++] = Py_NewRef(g); /* its word may stay in the log when this write is rolled back */
    return write_group(r, &c->open, (Group *)g) ? RX_DONE : RX_ERROR;
}

/* Gives *n signals as far as there is somebody for them; *n: what is left. */
static rx_outcome signal(rx *r, Condition *c, uint64_t *n)
{
    Group *g;
    uint64_t w;
    for (rg_word *at = &c->closed; *n; at = &c->open) {
        if (!group_at(r, at, &g, &w)) return RX_ERROR;
        if (at == &c->open && UNSERVED(w)) {
            Py_INCREF((PyObject *)g);
            if (!write_group(r, &c->closed, g)) return RX_ERROR;
            rx_outcome o = renew(r, c);
            if (o != RX_DONE) return o;
            if (!group_at(r, &c->closed, &g, &w)) return RX_ERROR;
        }
        uint64_t k = UNSERVED(w) < *n ? UNSERVED(w) : *n;
        rx_entry *e = entry(r, g);
        if (k && (!e || !rx_write(r, e, w + k))) return RX_ERROR;
        *n -= k;
        if (at == &c->open) break;
    }
    return RX_DONE;
}

#define ALL ((uint64_t)RG_INT_MAX)

static rx_outcome notify_step(rx *r, Condition *c, uint64_t n, PyObject **y)
{
    rx_outcome o = held(r, c, "cannot notify on un-acquired lock");
    if (o == RX_DONE) o = signal(r, c, &n);
    if (o != RX_DONE) return o;
    if (!n) {
        *y = Py_NewRef(Py_None);
        return RX_DONE;
    }
    *y = Py_NewRef(c->meet); /* a composed wait, if there is one */
    return RX_GOTO;
}

/* What is left of x signals. */
static rx_outcome step_signal(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    Condition *c = (Condition *)n->a;
    uint64_t k;
    if (!rg_int_of(x, &k)) return RX_ERROR;
    rx_outcome o = held(r, c, "cannot notify on un-acquired lock");
    if (o == RX_DONE) o = signal(r, c, &k);
    if (o != RX_DONE) return o;
    return (*y = rg_int_object(k)) ? RX_DONE : RX_ERROR;
}

static rx_outcome step_notify(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    uint64_t k = 1;
    if (x != Py_None && x != Py_True && !rg_int_of(x, &k)) return RX_ERROR;
    if ((int64_t)k < 0) k = 0;
    return notify_step(r, (Condition *)n->a, k, y);
}

static rx_outcome step_notify_all(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    (void)x;
    return notify_step(r, (Condition *)n->a, ALL, y);
}

static rx_outcome step_enlist(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    (void)x;
    Condition *c = (Condition *)n->a;
    Group *g;
    uint64_t w;
    rx_outcome o = held(r, c, "cannot wait on un-acquired lock");
    if (o == RX_DONE) o = rx_lock_give(r, c->lock, true);
    if (o != RX_DONE) return o;
    if (!group_at(r, &c->open, &g, &w)) return RX_ERROR;
    if (g->forks != r->slot->domain->forks) {
        o = renew(r, c);
        if (o != RX_DONE) return o;
        if (!group_at(r, &c->open, &g, &w)) return RX_ERROR;
    }
    rx_entry *e = entry(r, g);
    if (!e || !rx_write(r, e, w + ONE_JOINED)) return RX_ERROR;
    /* The log does not hold what it has read; the word will, until the commit has proved it the open one. */
    *y = Py_NewRef((PyObject *)g);
    return RX_DONE;
}

/* Of a group: takes a signal. */
static rx_outcome step_take(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    (void)x;
    rx_entry *e = entry(r, (Group *)n->a);
    if (!e) return RX_ERROR;
    if (!SIGNALS(e->cur)) {
        e->vacant |= !e->dirty;
        return RX_BLOCK;
    }
    if (!rx_write(r, e, e->cur - ONE_JOINED - 1)) return RX_ERROR;
    *y = Py_NewRef(Py_True);
    return RX_DONE;
}

/* Of a group: takes a signal if there is one, else is gone. */
static rx_outcome step_give_up(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    rx_entry *e = entry(r, (Group *)n->a);
    if (!e) return RX_ERROR;
    if (SIGNALS(e->cur)) return step_take(r, n, x, y);
    if (!rx_write(r, e, e->cur - ONE_JOINED)) return RX_ERROR;
    *y = Py_NewRef(Py_False);
    return RX_DONE;
}

/* Of a condition, n->b the group: is gone; the signal that no other can take goes to somebody else. */
static rx_outcome step_withdraw(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    (void)x;
    rx_entry *e = entry(r, (Group *)n->b);
    if (!e) return RX_ERROR;
    uint64_t over = !UNSERVED(e->cur);
    if (!rx_write(r, e, e->cur - ONE_JOINED - over)) return RX_ERROR;
    rx_outcome o = over ? signal(r, (Condition *)n->a, &over) : RX_DONE;
    if (o == RX_DONE) *y = Py_NewRef(Py_None);
    return o;
}

static rx_outcome step_wait(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    (void)r, (void)x;
    *y = Py_NewRef(((Condition *)n->a)->wait);
    return RX_GOTO;
}

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

static rx_outcome step_restore(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    uint64_t times;
    if (!rg_int_of(x, &times)) return RX_ERROR;
    rx_outcome o = rx_lock_take(r, n->a, times);
    if (o == RX_DONE) *y = Py_NewRef(Py_None);
    return o;
}

/* ---- direct calls ----------------------------------------------------------------------------------- */

static const rg_op op_enlist = { .name = "enlist", .step = step_enlist };
static const rg_op op_signal = { .name = "signal", .step = step_signal };
static const rg_op op_take = { .name = "signalled", .step = step_take };
static const rg_op op_give_up = { .name = "give_up", .step = step_give_up };
static const rg_op op_withdraw = { .name = "withdraw", .step = step_withdraw };
static const rg_op op_restore = { .name = "restore", .step = step_restore };

static const sync_wait for_ever = { true, -1 };

static void give_up_interrupted(Condition *c, PyObject *group)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    /* Never blocks. Where there is no memory for it, the group keeps one member too many. */
    if (sync_run(c->st, &op_withdraw, (PyObject *)c, group, Py_None, for_ever, NULL) < 0) PyErr_Clear();
    PyErr_Restore(type, value, traceback);
}

/* After an interrupt too. An error of its own takes the place of the one that is set. */
static int restore(Condition *c, PyObject *times)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    int k = sync_run(c->st, &op_restore, c->lock, NULL, times, for_ever, NULL);
    if (k > 0) {
        PyErr_Restore(type, value, traceback);
        return k;
    }
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(traceback);
    return -1;
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
    if (sync_run(c->st, &op_enlist, self, NULL, Py_None, for_ever, &group) > 0) {
        int k = sync_run(c->st, &op_take, group, NULL, Py_None, how, NULL);
        if (!k) {
            PyObject *signalled;
            k = sync_run(c->st, &op_give_up, group, NULL, Py_None, for_ever, &signalled);
            if (k > 0) {
                k = signalled == Py_True;
                Py_DECREF(signalled);
            }
        }
        if (k < 0) give_up_interrupted(c, group);
        if (restore(c, times) > 0 && k >= 0) y = PyBool_FromLong(k);
        Py_DECREF(group);
    }
    Py_DECREF(times);
    return y;
}

/* Pinned: nobody waits, in whatever way. The open group first: what leaves it goes to the closed one. */
static bool nobody(Condition *c, rg_slot *s)
{
    const rg_space *sp = &s->domain->space;
    Group *open = group_of(rg_read(sp, s->index, &c->open));
    if (UNSERVED(rg_read(sp, s->index, &open->word))) return false;
    Group *closed = group_of(rg_read(sp, s->index, &c->closed));
    if (UNSERVED(rg_read(sp, s->index, &closed->word))) return false;
    return !rg_somebody_waits(s) || !rg_list_first(s, &((Endpoint *)c->waiting)->side->offers);
}

/* At most n: no more than there are now, for who is met may come again. */
static uint64_t composed_waits(Condition *c, rg_slot *s, uint64_t n)
{
    rg_list *l = &((Endpoint *)c->waiting)->side->offers;
    uint64_t k = 0;
    for (rg_link *at = rg_list_first(s, l); at && k < n; at = rg_list_next(s, l, at)) k++;
    return k;
}

/* The groups in one reaction, then composed waits one by one: one step is no more than two parties are sure to find. */
static PyObject *notify(Condition *c, const char *name, uint64_t n)
{
    rg_slot *s = rg_begin(c->st, c, name);
    if (!s) return NULL;
    if (!sync_lock_is_mine(c->lock)) {
        PyErr_SetString(PyExc_RuntimeError, "cannot notify on un-acquired lock");
        return NULL;
    }
    rg_pin(s);
    bool none = nobody(c, s);
    rg_unpin(s);
    if (none || !n) Py_RETURN_NONE;
    PyObject *x = rg_int_object(n), *left = NULL;
    int k = x ? sync_run(c->st, &op_signal, (PyObject *)c, NULL, x, for_ever, &left) : -1;
    Py_XDECREF(x);
    if (k < 0) return NULL;
    bool ok = rg_int_of(left, &n);
    Py_DECREF(left);
    s = ok ? rg_here(c->st) : NULL;
    if (!s) return NULL;
    rg_pin(s);
    n = composed_waits(c, s, n);
    rg_unpin(s);
    for (bool met = true; n && met; n--) {
        PyObject *y = rg_run(c->st, (Reagent *)c->met, Py_None, -1, NULL);
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
    if (v[0] && !rg_int_from(v[0], &n)) return NULL;
    return notify((Condition *)self, "notify", (int64_t)n > 0 ? n : 0);
}

static PyObject *direct_notify_all(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kw)
{
    (void)args;
    return rg_arity("notify_all", nargs, kw, 0, 0) ? notify((Condition *)self, "notify_all", ALL) : NULL;
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

static PyObject *enter(PyObject *self, PyObject *Py_UNUSED(ignored)) { return sync_lock_acquire(((Condition *)self)->lock, NULL, 0, NULL); }

static PyObject *leave(PyObject *self, PyObject *const *Py_UNUSED(args), Py_ssize_t Py_UNUSED(nargs))
{
    if (sync_lock_release(((Condition *)self)->lock) < 0) return NULL;
    Py_RETURN_NONE;
}

RG_BOUND(wait)
static const rg_op op_wait = { .name = "wait", .step = step_wait, .swaps = true, .direct = direct_wait, .bound = direct_wait_bound,
    .doc = "wait($self, timeout=None)\n--\n\n"
    "Release the lock, wait for a notify, at most timeout seconds, and take the lock again; returns whether it was notified.\n"
    "The lock is released in the step in which the caller begins to wait, so no notify is lost; there are no spurious wake-ups.\n"
    "Raises RuntimeError when this thread does not hold the lock. Blocks.\n\n"
    "A method, and a reagent that is something else: one step together with the notify that it meets; it does not touch the\n"
    "lock. It may be one branch of a choice, and leaves nothing behind where it is not taken. A notify goes to those who wait\n"
    "by the method first.\n\n"
    ">>> from lockfree import Queue\n>>> from lockfree.sync import Condition\n>>> c, q = Condition(), Queue()\n"
    ">>> q.put('item')\n>>> (c.wait + q.get)()\n'item'\n>>> with c:\n...     c.wait(timeout=0)\nFalse" };
RG_BOUND(notify)
static const rg_op op_notify = { .name = "notify", .step = step_notify, .swaps = true, .direct = direct_notify, .bound = direct_notify_bound,
    .doc = "notify($self, n=1)\n--\n\n"
    "Wake at most n of those who wait now; they go on when they get the lock. Raises RuntimeError when this thread does not\n"
    "hold the lock. Never blocks. A method and a reagent, whose input is n (None: 1): c.notify >> c.release; as one step it meets\n"
    "at most one composed wait. Lock-free.\n\n"
    ">>> from lockfree.sync import Condition\n>>> c = Condition()\n>>> with c:\n...     c.notify()" };
RG_BOUND(notify_all)
static const rg_op op_notify_all = { .name = "notify_all", .step = step_notify_all, .swaps = true, .direct = direct_notify_all,
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

/* lockfree.sync.Condition, which alone makes them: (lock, the waiting end of a channel, meet, met). */
static PyObject *condition_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(kw))
{
    rg_state *st = rg_state_of(type);
    PyObject *lock, *waiting, *meet, *met;
    if (!st || !PyArg_ParseTuple(args, "OO!O!O!", &lock, st->endpoint_type, &waiting, st->reagent_type, &meet, st->reagent_type, &met)) return NULL;
    if (!sync_is_lock(st, lock)) {
        PyErr_Format(PyExc_TypeError, "a Condition's lock must be a Lock or RLock of lockfree.sync, not %.100s: waiting releases it "
                     "in the same step", Py_TYPE(lock)->tp_name);
        return NULL;
    }
    PyObject *wait = PyObject_GetAttrString(waiting, "swap"), *open = wait ? group_new(st) : NULL, *closed = open ? group_new(st) : NULL;
    Condition *c = closed ? (Condition *)type->tp_alloc(type, 0) : NULL;
    if (!c) {
        Py_XDECREF(wait);
        Py_XDECREF(open);
        Py_XDECREF(closed);
        return NULL;
    }
    c->st = st;
    c->lock = Py_NewRef(lock);
    c->waiting = Py_NewRef(waiting);
    c->meet = Py_NewRef(meet);
    c->met = Py_NewRef(met);
    c->wait = wait;
    rg_store_rlx(&c->open, (uint64_t)(uintptr_t)open); /* relaxed: private yet */
    rg_store_rlx(&c->closed, (uint64_t)(uintptr_t)closed);
    return (PyObject *)c;
}

static int condition_traverse(PyObject *self, visitproc visit, void *arg)
{
    Condition *c = (Condition *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(c->lock);
    Py_VISIT(c->waiting);
    Py_VISIT(c->wait);
    Py_VISIT(c->meet);
    Py_VISIT(c->met);
    return 0; /* groups refer to nothing but their type */
}

static void condition_dealloc(PyObject *self)
{
    Condition *c = (Condition *)self;
    PyObject_GC_UnTrack(self);
    if (c->weakrefs) PyObject_ClearWeakRefs(self);
    Py_XDECREF((PyObject *)(uintptr_t)rg_load(&c->open));
    Py_XDECREF((PyObject *)(uintptr_t)rg_load(&c->closed));
    PyObject *all[] = { c->lock, c->wait, c->waiting, c->meet, c->met };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) rg_release(all[i]);
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

static PyObject *condition_at_fork(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    sync_lock_reset(((Condition *)self)->lock); /* groups of the parent count for nothing */
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
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

static int group_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    return 0;
}

static void group_dealloc(PyObject *self)
{
    PyObject_GC_UnTrack(self);
    rg_free_late(((Group *)self)->st, self);
}

static PyType_Slot group_slots[] = { { Py_tp_dealloc, group_dealloc }, { Py_tp_traverse, group_traverse }, { 0, NULL } };
PyType_Spec rg_wait_group_spec = {
    .name = "lockfree.sync.WaitGroup",
    .basicsize = sizeof(Group),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = group_slots,
};
