/* park.c - how a blocked reaction registers, and how its thread waits.
 *
 * What was read is held from before the validation until after leaving, so "unchanged" means unchanged. What it
 * has found empty it waits for as one of the takers (wait.h), of whom each item wakes one.
 *
 * What it has found full it waits for as one of the takers of room: the same, a place being what an item was; so in what
 * follows. Each item that goes wakes one of them.
 *
 * Such a wake-up is a debt (rx.owes): to the others, for whom an item may be there. It is paid by taking an item, or
 * by finding the structure empty again at an instant after, in a commit or in the validation of the next wait;
 * whatever else becomes of the reaction, the wake-up is passed on to the next. It does not go round for ever: who
 * passes it on while it waits again is not one of the takers any more, for what it has found is not emptiness.
 */
#include "channel.h"
#include "explore.h"
#include "turn.h"

#include <sched.h>
#include <time.h>

int64_t rg_monotonic_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* ---- waiters ------------------------------------------------------------------------------------ */

static void wake(rg_waiter *w) { PyThread_release_lock(w->arg); }

static void done(rg_waiter *w)
{
    if (w->wake == wake) PyThread_free_lock(w->arg);
    if (w->later) Py_DECREF((PyObject *)w->arg);
    Py_XDECREF((PyObject *)w->offer);
    PyMem_RawFree(w);
}

static rg_waiter *waiter_new(rx *r, rg_turns *t, size_t n)
{
    rg_waiter *w = PyMem_RawCalloc(1, sizeof *w + n * sizeof w->recs[0]);
    if (!w) return NULL;
    w->done = done;
    if (t->later) {
        w->later = t->later;
        w->arg = Py_NewRef(t->later_arg);
    } else if (__builtin_expect(r->explored, 0)) {
        rg_waiter_explored(w);
    } else if ((w->arg = PyThread_allocate_lock())) {
        PyThread_acquire_lock(w->arg, NOWAIT_LOCK);
        w->wake = wake;
    } else {
        PyMem_RawFree(w);
        return NULL;
    }
    w->offer = Py_XNewRef((PyObject *)t->mine);
    rg_store(&w->state, RG_WAITING);
    w->n = n;
    return w;
}

/* Where to register because of an entry. */
static void place(const rx_entry *e, rg_list **list, rg_word **word)
{
    *list = NULL;
    *word = NULL;
    if (e->kind == WORD_ARRIVALS)
        *list = &rg_side_of_arrivals(e->word)->dual->offers;
    else if (e->vacant && !e->full && !e->looked)
        *list = &e->takers->list;
    else if (e->full && !e->vacant && !e->looked)
        *list = &e->room->list;
    else
        *word = e->word;
}

static bool is_in(const rg_waiter *w, const rx_entry *e)
{
    rg_list *list;
    rg_word *word;
    place(e, &list, &word);
    for (size_t i = 0; i < w->n; i++)
        if (word ? w->recs[i].word == word : w->recs[i].list == list) return true;
    return false;
}

static bool covers(rg_waiter *w, rx *r)
{
    if (rg_load(&w->state) != RG_WAITING) return false;
    for (size_t i = 0; i < r->log.n; i++)
        if (!is_in(w, &r->log.at[i])) return false;
    return true;
}

/* Several entries may lead to one place. */
static void fill(rg_waiter *w, rx *r, Offer *mine)
{
    w->n = 0;
    bool lasting = false; /* there is a record that only we take out */
    for (size_t i = 0; i < r->log.n; i++) {
        const rx_entry *e = &r->log.at[i];
        if ((e->kind == WORD_ARRIVALS || e->vacant || e->full) && is_in(w, e)) continue;
        rg_waitrec *rec = &w->recs[w->n++];
        place(e, &rec->list, &rec->word);
        lasting |= rec->word || e->kind == WORD_ARRIVALS;
    }
    /* Who is pinned and finds the waiter in our offer may use it: until a grace period after we leave it must live.
     * Wakers take takers' records out, and these may be gone by then. */
    if (mine && !lasting) w->recs[w->n++].word = &mine->ready;
}

/* Our own arrival is no news. */
static void discount(rg_waiter *w, rx *r)
{
    for (size_t i = 0; i < w->n; i++) {
        if (w->recs[i].word) continue;
        rx_entry *e = rx_find(r, &w->recs[i].list->arrivals);
        if (e && e->old + 1 == w->recs[i].link.seq) e->old = e->cur = w->recs[i].link.seq;
    }
}

/* ---- the debt ----------------------------------------------------------------------------------- */

/* It was notified: by a list of takers, if `why` is an address. */
static void owe(rx *r, uint64_t why)
{
    if (why <= RG_LEFT) return;
    rx_pass_on(r); /* one at a time */
    r->owes = (rg_takers *)(uintptr_t)why;
    Py_INCREF(r->owes->of); /* what keeps it alive now may go before the debt is paid */
}

void rx_used_wakeup(rx *r)
{
    rg_takers *t = r->owes;
    r->owes = NULL;
    rx_drop(r, t->of);
}

void rx_pass_on(rx *r)
{
    if (!r->owes) return;
    rg_slot *s = rg_here_quietly(r->st);
    if (s) rg_wake_some(s, &r->owes->list, 1);
    rx_used_wakeup(r);
}

/* Registered and validated: what it found empty is empty, and full full. */
static void settle_debt(rx *r)
{
    for (size_t i = 0; r->owes && i < r->log.n; i++) {
        const rx_entry *e = &r->log.at[i];
        if ((e->vacant && e->takers == r->owes) || (e->full && e->room == r->owes)) rx_used_wakeup(r);
    }
    rx_pass_on(r);
}

/* ---- registering -------------------------------------------------------------------------------- */

static rx_outcome refuse(rx *r, rg_turns *t)
{
    bool orphaned = r->orphaned;
    rx_settle(r);
    if (orphaned)
        PyErr_Format(PyExc_RuntimeError, "%R blocks for ever: the other endpoint of its channel was collected", t->node);
    else
        PyErr_Format(PyExc_RuntimeError, "%R blocks for ever: it has read nothing that could change", t->node);
    return RX_ERROR;
}

static rx_outcome make_offer(rx *r, rg_turns *t)
{
    rx_hold_all(r);
    rx_unpin(r); /* making an object may start the collector */
    rx_flush_drops(r);
    t->mine = rg_offer_new(t->st, t->node, t->x);
    return rx_pin(r) && t->mine ? RX_DONE : RX_ERROR;
}

rx_outcome rx_register(rx *r, rg_turns *t)
{
    if (!r->log.n) return refuse(r, t);
    bool offers = false;
    for (size_t i = 0; i < r->log.n; i++) offers |= r->log.at[i].kind == WORD_ARRIVALS;
    if (offers && !t->mine) {
        rx_outcome o = make_offer(r, t);
        if (o != RX_DONE) return o;
    }
    rx_hold_all(r);
    if (!t->waiter || !covers(t->waiter, r)) {
        rx_leave_waiter(r, t);
        rg_waiter *w = waiter_new(r, t, r->log.n + 1);
        if (!w) {
            PyErr_NoMemory();
            return RX_ERROR;
        }
        fill(w, r, t->mine);
        t->waiter = w;
        rg_wait_register(r->slot, w);
        if (t->mine) rg_store(&t->mine->waiter, (uint64_t)(uintptr_t)w); /* all of it is there to be notified */
        discount(w, r);
        rg_count(r->slot, STAT_WAITS);
    }
    /* Answered before the waiter was there to be notified? */
    if (t->mine && !rx_is_open(r, t->mine)) return RX_RETRY;
    rx_outcome o = rx_validate(r);
    if (o == RX_DONE) settle_debt(r);
    return o;
}

void rx_leave_waiter(rx *r, rg_turns *t)
{
    rg_waiter *w = t->waiter;
    if (!w) return;
    t->waiter = NULL;
    if (t->mine) rg_store(&t->mine->waiter, 0);
    rg_slot *s = rg_here_quietly(r->st);
    uint64_t why = rg_wait_leave(s, w);
    if (why == RG_WAITING) return;
    rg_count(s, STAT_WAKEUPS);
    owe(r, why);
}

/* ---- threads ------------------------------------------------------------------------------------ */

/* Parked, the lock can be waited for in slices only: a shared word may change in another process,
 * which does not know our waiters. */
#define SHARED_SLICE_US 1000

/* Being woken by the kernel takes two switches of threads, some five microseconds: as long as that is worth looking
 * before one sleeps, where there is a processor to spare and it has been worth it lately. */
#define LOOK_NS 10000
#define LOOKS_BETWEEN_CLOCKS 32
#define HOPE_MOST 8     /* how many vain looks it takes after a good time */
#define HOPELESS_ONE_IN 16 /* and how often it is tried again after that */

static void look_before_sleeping(rg_waiter *w)
{
    static _Thread_local unsigned hope = HOPE_MOST, vain;
    if (!hope && ++vain % HOPELESS_ONE_IN) return;
    int64_t until = rg_monotonic_ns() + LOOK_NS;
    do {
        for (unsigned i = 0; i < LOOKS_BETWEEN_CLOCKS; i++) {
            if (rg_load(&w->state) != RG_WAITING) {
                if (hope < HOPE_MOST) hope++;
                return;
            }
            rg_pause();
        }
    } while (rg_monotonic_ns() < until);
    if (hope) hope--;
}

static rx_outcome wait_for_lock(rx *r, rg_waiter *w, int64_t deadline)
{
    bool looks = r->st->processors > 1;
    bool shared = r->space != &r->st->domain->space;
    for (;;) {
        /* Before each wait, for a signal interrupts only the wait that it finds this thread in: not the one
         * after, and none when it was delivered to another thread. */
        if (Py_MakePendingCalls() < 0 || PyErr_CheckSignals() < 0) return RX_ERROR;
        if (rg_wait_forgotten(rg_here_quietly(r->st), w)) return RX_RETRY; /* a handler has forked, and this is the child */
        int64_t us = -1;
        if (deadline != INT64_MAX) {
            us = (deadline - rg_monotonic_ns() + 999) / 1000;
            if (us <= 0) return RX_BLOCK;
            if (us > 3600LL * 1000000) us = 3600LL * 1000000;
        }
        bool slice = shared && (us < 0 || us > SHARED_SLICE_US);
        if (slice) us = SHARED_SLICE_US;
        PyLockStatus got;
        Py_BEGIN_ALLOW_THREADS
        if (looks) look_before_sleeping(w);
        looks = false;
        got = PyThread_acquire_lock_timed(w->arg, us, 1);
        Py_END_ALLOW_THREADS
        if (got == PY_LOCK_ACQUIRED) return RX_RETRY;
        if (got != PY_LOCK_INTR && shared) {
            rx_outcome o = rx_pin(r) ? rx_validate(r) : RX_ERROR;
            rx_unpin(r);
            if (o != RX_DONE) return o;
        }
    }
}

rx_outcome rx_park(rx *r, rg_turns *t, int64_t deadline)
{
    rx_outcome o = r->explored ? rx_wait_explored(r, t->waiter, deadline != INT64_MAX) : wait_for_lock(r, t->waiter, deadline);
    PyObject *type = NULL, *value = NULL, *traceback = NULL;
    if (o == RX_ERROR) PyErr_Fetch(&type, &value, &traceback);
    rx_leave_waiter(r, t);
    if (!rx_pin(r) && o == RX_RETRY) o = RX_ERROR;
    if (o == RX_RETRY) {
        rx_restart(r, false);
    } else {
        rx_reset(r);
        rx_pass_on(r);
    }
    rx_unpin(r);
    rx_flush_drops(r);
    if (type) PyErr_Restore(type, value, traceback);
    return o;
}

bool rx_register_for_actions(rx *r, rg_turns *t)
{
    rx_leave_waiter(r, t);
    rx_pass_on(r);
    /* A record that nobody looks for: while it lives so does the waiter, for who is pinned and has found it. */
    rg_waiter *w = waiter_new(r, t, 1);
    if (!w) return false; /* then it is looked again and again */
    w->recs[0].word = &t->mine->ready;
    rg_slot *s = rg_here_quietly(r->st);
    rg_pin(s);
    t->waiter = w;
    rg_wait_register(s, w);
    rg_store(&t->mine->waiter, (uint64_t)(uintptr_t)w);
    rg_unpin(s);
    if (!rg_load(&t->mine->ready)) return true;
    rx_leave_waiter(r, t); /* now, for it must not be found any more once `mine` is given up */
    return false;
}

/* Whatever else the matter is: it happened, and the result comes. */
void rx_await_actions(rx *r, rg_turns *t)
{
    if (rx_register_for_actions(r, t)) {
        if (r->explored) {
            (void)rx_wait_explored(r, t->waiter, false);
            PyErr_Clear();
        } else {
            Py_BEGIN_ALLOW_THREADS
            PyThread_acquire_lock(t->waiter->arg, WAIT_LOCK);
            Py_END_ALLOW_THREADS
        }
        rx_leave_waiter(r, t);
    } else { /* they have run; or there is no memory to wait with, and with a GIL they need it to run */
        Py_BEGIN_ALLOW_THREADS
        sched_yield();
        Py_END_ALLOW_THREADS
    }
}
