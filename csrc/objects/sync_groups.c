/* sync_groups.c - what a Condition does in a reaction: waiters in groups, as in glibc's condition variable (since 2.25), but on k-CAS.
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
 * Fork: groups of the parent have members that do not exist in the child: there they count for nothing (forks). A thread that
 * forks while it waits, in a handler of a signal, joins the child's open group there.
 */
#include "sync_condition.h"

#include "engine.h"

PyObject *sync_group_new(rg_state *st)
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
    PyObject *g = RX_ROOM(r->kept, 1) ? sync_group_new(c->st) : NULL;
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

/* Not pinned. */
static bool make_composed(Condition *c)
{
    PyObject *made = PyObject_CallNoArgs(c->compose);
    rg_slot *s = made ? rg_here(c->st) : NULL;
    if (!s) {
        Py_XDECREF(made);
        return false;
    }
    rg_pin(s);
    bool ours = rg_cas1(&s->domain->space, s->index, &c->composed, (uint64_t)(uintptr_t)Py_None, (uint64_t)(uintptr_t)made);
    if (ours) rg_wake(s, &c->composed); /* who notifies in a step that blocks may find a partner now */
    rg_unpin(s);
    if (!ours) Py_DECREF(made);
    return true;
}

static rx_outcome notify_step(rx *r, Condition *c, uint64_t n, PyObject **y)
{
    rx_outcome o = held(r, c, "cannot notify on un-acquired lock");
    if (o == RX_DONE) o = signal(r, c, &n);
    if (o != RX_DONE) return o;
    if (!n) {
        *y = Py_NewRef(Py_None);
        return RX_DONE;
    }
    /* Whether there is a composed wait is part of the step. */
    rx_entry *e = rx_read_private(r, &c->composed, WORD_OBJECT, NULL);
    if (!e) return RX_ERROR;
    PyObject *meet = composed(e->cur, COMPOSED_MEET);
    *y = Py_NewRef(meet ? meet : Py_None);
    return meet ? RX_GOTO : RX_DONE;
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

bool sync_signals(PyObject *x, uint64_t *n)
{
    int overflow = 0;
    long long v = PyLong_Check(x) ? PyLong_AsLongLongAndOverflow(x, &overflow) : rg_int_of(x, n); /* which raises */
    *n = overflow < 0 || v < 0 ? 0 : overflow || v > RG_INT_MAX ? SYNC_ALL : (uint64_t)v;
    return !PyErr_Occurred();
}

rx_outcome sync_step_notify(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    uint64_t k = 1;
    if (x != Py_None && x != Py_True && !sync_signals(x, &k)) return RX_ERROR;
    return notify_step(r, (Condition *)n->a, k, y);
}

rx_outcome sync_step_notify_all(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    (void)x;
    return notify_step(r, (Condition *)n->a, SYNC_ALL, y);
}

/* One more in the open group, which is *y. */
static rx_outcome step_join(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    (void)x;
    Condition *c = (Condition *)n->a;
    Group *g;
    uint64_t w;
    if (!group_at(r, &c->open, &g, &w)) return RX_ERROR;
    if (g->forks != r->slot->domain->forks) {
        rx_outcome o = renew(r, c);
        if (o != RX_DONE) return o;
        if (!group_at(r, &c->open, &g, &w)) return RX_ERROR;
    }
    rx_entry *e = entry(r, g);
    if (!e || !rx_write(r, e, w + ONE_JOINED)) return RX_ERROR;
    /* The log does not hold what it has read; the word will, until the commit has proved it the open one. */
    *y = Py_NewRef((PyObject *)g);
    return RX_DONE;
}

static rx_outcome step_enlist(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    Condition *c = (Condition *)n->a;
    rx_outcome o = held(r, c, "cannot wait on un-acquired lock");
    if (o == RX_DONE) o = rx_lock_give(r, c->lock, true);
    return o == RX_DONE ? step_join(r, n, x, y) : o;
}

/* Of a group: takes a signal; None, and nothing taken: this is a child, and the group is the parent's. */
static rx_outcome step_take(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    (void)x;
    if (((Group *)n->a)->forks != r->slot->domain->forks) {
        *y = Py_NewRef(Py_None);
        return RX_DONE;
    }
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

bool sync_group_leave(Group *g, bool anyway)
{
    rg_slot *s = rg_here_quietly(g->st);
    if (!s) return false;
    const rg_space *sp = &s->domain->space;
    uint64_t w;
    bool over;
    rg_pin(s);
    do {
        w = rg_read(sp, s->index, &g->word);
        over = !UNSERVED(w);
    } while ((!over || anyway) && !rg_cas1(sp, s->index, &g->word, w, w - ONE_JOINED - over));
    if (!over || anyway) rg_wake(s, &g->word); /* who notifies in a step that blocks may find another one now */
    rg_unpin(s);
    return !over || anyway;
}

rx_outcome sync_step_wait(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    (void)x;
    Condition *c = (Condition *)n->a;
    uint64_t w = rg_read(&r->st->domain->space, r->slot->index, &c->composed); /* changes once: so it need not be logged */
    if (!composed(w, COMPOSED_WAIT)) {
        rx_outcome o = rx_leave(r);
        if (o != RX_DONE) return o;
        o = rx_return(r, make_composed(c) ? Py_NewRef(Py_None) : NULL); /* None: need not be given back */
        if (o != RX_DONE) return o;
        w = rg_read(&r->st->domain->space, r->slot->index, &c->composed);
    }
    *y = Py_NewRef(composed(w, COMPOSED_WAIT));
    return RX_GOTO;
}

const rg_op sync_op_enlist = { .name = "enlist", .step = step_enlist, .doc = "a step of Condition" };
const rg_op sync_op_join = { .name = "join", .step = step_join, .doc = "a step of Condition" };
const rg_op sync_op_signal = { .name = "signal", .step = step_signal, .doc = "a step of Condition" };
const rg_op sync_op_take = { .name = "signalled", .step = step_take, .doc = "a step of Condition" };
const rg_op sync_op_give_up = { .name = "give_up", .step = step_give_up, .doc = "a step of Condition" };
const rg_op sync_op_withdraw = { .name = "withdraw", .step = step_withdraw, .doc = "a step of Condition" };

/* ---- the type of groups ----------------------------------------------------------------------------- */

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
