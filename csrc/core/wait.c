/* wait.c - see wait.h. Linearization: a record is in, and out, when its link is; a waiter is notified,
 * or has left, at the one CAS on its state. */
#include "elder.h"

#define RG_BUCKETS 256

struct rg_buckets {
    struct {
        _Alignas(RG_CACHE_LINE) rg_list list;
    } at[RG_BUCKETS];
};

struct rg_buckets *rg_buckets_new(void)
{
    struct rg_buckets *b = rg_alloc_lines(sizeof *b);
    if (b)
        for (size_t i = 0; i < RG_BUCKETS; i++) rg_list_init(&b->at[i].list);
    return b;
}

void rg_buckets_reset(rg_domain *d)
{
    for (size_t i = 0; i < RG_BUCKETS; i++) rg_list_init(&d->buckets->at[i].list);
    rg_store(&d->waiting, 0);
    d->forks++;
}

static rg_list *bucket(rg_domain *d, rg_word *w)
{
    uint64_t h = (uint64_t)(uintptr_t)w * 0x9E3779B97F4A7C15ULL; /* Fibonacci hashing: Knuth, 6.4 */
    return &d->buckets->at[h >> 56].list;
}

static void let_go(rg_waiter *w, uint64_t n)
{
    if (rg_fetch_add(&w->linked, -n) == n) w->done(w);
}

static void rec_expired(rg_slot *s, void *p)
{
    (void)s;
    let_go(((rg_waitrec *)p)->waiter, 1);
}

/* ---- the waiter's side ------------------------------------------------------------------------ */

void rg_wait_register(rg_slot *s, rg_waiter *w)
{
    w->forks = s->domain->forks;
    rg_store_rlx(&w->linked, w->n + 1); /* relaxed: appending publishes it */
    rg_fetch_add(&s->domain->waiting, w->n);
    rg_pin(s);
    for (size_t i = 0; i < w->n; i++) {
        rg_waitrec *r = &w->recs[i];
        r->waiter = w;
        if (!r->list) r->list = bucket(s->domain, r->word);
        rg_list_append(s, r->list, &r->link);
    }
    rg_unpin(s);
}

/* The record is out, by us. Without room it is not given back, nor its waiter. Pinned. */
static void removed(rg_slot *s, rg_waitrec *r)
{
    if (!rg_wait_forgotten(s, r->waiter)) rg_fetch_add(&s->domain->waiting, (uint64_t)-1); /* else counted anew since */
    if (rg_reserve(s, 1)) rg_retire(s, r, rec_expired);
}

uint64_t rg_wait_leave(rg_slot *s, rg_waiter *w)
{
    uint64_t before = rg_cas(&w->state, RG_WAITING, RG_LEFT) ? RG_WAITING : rg_load(&w->state);
    bool forgotten = rg_wait_forgotten(s, w);
    uint64_t mine = 1; /* to let go of: the waiter, and records that the table has forgotten and nobody else knows of */
    rg_pin(s);
    for (size_t i = 0; i < w->n; i++) {
        rg_waitrec *r = &w->recs[i];
        if (forgotten && r->word)
            mine++;
        else if (rg_list_remove(s, &r->link))
            removed(s, r);
    }
    rg_unpin(s);
    let_go(w, mine);
    return before;
}

void rg_wait_take_out(rg_slot *s, rg_waiter *w)
{
    if (rg_wait_forgotten(s, w)) return;
    for (size_t i = 0; i < w->n; i++)
        if (rg_reserve(s, 1) && rg_list_remove(s, &w->recs[i].link)) removed(s, &w->recs[i]);
}

/* ---- the waker's side -------------------------------------------------------------------------- */

bool rg_wait_notify(rg_slot *s, rg_waiter *w, uint64_t why)
{
    if (!rg_cas(&w->state, RG_WAITING, why)) return false;
    if (w->later) {
        rg_fetch_add(&w->linked, 1); /* it may leave before it is called */
        rg_waiter *last = s->woken;
        w->next_woken = last ? last->next_woken : w;
        if (last) last->next_woken = w;
        s->woken = w;
        s->due = 0; /* rg_unpin looks */
    } else {
        w->wake(w);
    }
    return true;
}

/* Who arrives after this validates after it, and sees the change that others are woken for. A waker goes no further: those
 * whom it has woken may be back at the end of the list before it gets there, and so for ever. */
static uint64_t arrived(rg_slot *s, rg_list *l) { return rg_read(&s->domain->space, s->index, &l->arrivals); }

_Thread_local const void *rg_my_elder;

unsigned rg_wake_slow(rg_slot *s, rg_word *word)
{
    unsigned woken = 0;
    rg_pin(s);
    if (rg_elder_of_others(s->domain)) {
        s->gives_way = true;
        s->due = 0; /* rg_unpin looks */
    }
    rg_list *l = bucket(s->domain, word);
    uint64_t last = arrived(s, l);
    for (rg_link *at = rg_list_first(s, l); at && at->seq <= last; at = rg_list_next(s, l, at)) {
        rg_waitrec *r = (rg_waitrec *)at;
        if (r->word == word) woken += rg_wait_notify(s, r->waiter, RG_NOTIFIED);
    }
    rg_unpin(s);
    return woken;
}

/* Taken out first: then the woken one finds nothing left to do, and the next waker another one in front. Without room
 * to retire it the record stays in, for its owner; other wakers pass over it. */
size_t rg_wake_some_slow(rg_slot *s, rg_list *l, size_t n)
{
    size_t woken = 0;
    rg_pin(s);
    uint64_t last = arrived(s, l);
    for (rg_link *at = rg_list_first(s, l); at && at->seq <= last && woken < n; at = rg_list_next(s, l, at)) {
        rg_waitrec *r = (rg_waitrec *)at;
        bool gone = rg_wait_forgotten(s, r->waiter);
        if (rg_reserve(s, 1)) {
            if (!rg_list_remove(s, at)) continue; /* by its owner, or by a waker who notifies it */
            removed(s, r);
        }
        if (!gone) woken += rg_wait_notify(s, r->waiter, (uint64_t)(uintptr_t)l);
    }
    rg_unpin(s);
    return woken;
}

void rg_wake_added_slow(rg_slot *s, rg_list *l, rg_word *w)
{
    rg_pin(s); /* once for both */
    rg_wake_slow(s, w);
    rg_wake_some_slow(s, l, 1);
    rg_unpin(s);
}

static _Thread_local bool calling __attribute__((tls_model("initial-exec")));

/* The outermost call of the thread calls them all, however deep they call again: depth is no matter of how many were
 * woken. By thread, since with a GIL all threads share a slot and none should wait for another's. */
void rg_call_woken(rg_slot *s)
{
    if (calling) return;
    calling = true;
    while (s->woken) {
        rg_waiter *last = s->woken, *w = last->next_woken;
        last->next_woken = w->next_woken;
        if (w == last) s->woken = NULL;
        if (!rg_wait_forgotten(s, w)) w->later(w);
        let_go(w, 1);
    }
    calling = false;
}

size_t rg_wait_count(rg_domain *d) { return (size_t)rg_load(&d->waiting); }
