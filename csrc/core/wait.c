/* wait.c - see wait.h. Linearization: a record is in when it is linked, out when it is marked. */
#include "wait.h"

#define RG_BUCKETS 256

struct rg_buckets {
    struct {
        _Alignas(RG_CACHE_LINE) rg_word head;
    } at[RG_BUCKETS];
};

struct rg_buckets *rg_buckets_new(void)
{
    struct rg_buckets *b = rg_alloc_lines(sizeof *b);
    if (b)
        for (size_t i = 0; i < RG_BUCKETS; i++) rg_store_rlx(&b->at[i].head, 0); /* relaxed: private yet */
    return b;
}

void rg_buckets_reset(rg_domain *d)
{
    for (size_t i = 0; i < RG_BUCKETS; i++) rg_store(&d->buckets->at[i].head, 0);
    rg_store(&d->waiting, 0);
    d->forks++;
}

static rg_word *bucket(rg_domain *d, rg_word *w)
{
    uint64_t h = (uint64_t)(uintptr_t)w * 0x9E3779B97F4A7C15ULL; /* Fibonacci hashing: Knuth, 6.4 */
    return &d->buckets->at[h >> 56].head;
}

static rg_waitrec *rec_of(uint64_t w) { return (rg_waitrec *)(uintptr_t)(w & ~1ULL); }

static void rec_expired(rg_slot *s, void *p)
{
    (void)s;
    rg_waiter *w = ((rg_waitrec *)p)->waiter;
    if (rg_fetch_add(&w->linked, (uint64_t)-1) == 1) w->done(w);
}

void rg_wait_register(rg_slot *s, rg_waiter *w)
{
    w->forks = s->domain->forks;
    rg_fetch_add(&s->domain->waiting, 1);
    for (size_t i = 0; i < w->n; i++) {
        rg_waitrec *r = &w->recs[i];
        rg_word *head = bucket(s->domain, r->word);
        uint64_t h;
        r->waiter = w;
        do {
            h = rg_load(head);
            rg_store_rlx(&r->next, h); /* relaxed: published by the CAS */
        } while (!rg_cas(head, h, (uint64_t)(uintptr_t)r));
    }
}

/* Unlink every marked record of the list; who unlinks, retires. A room of ring entries was
 * reserved by each record's owner for itself, so when the ring is full the record of somebody else
 * is left to its owner, who sweeps too. */
static void sweep(rg_slot *s, rg_word *head)
{
again:;
    rg_word *at = head;
    uint64_t cur = rg_load(at);
    while (cur) {
        rg_waitrec *r = rec_of(cur);
        uint64_t next = rg_load(&r->next);
        if (next & 1) {
            if (!rg_reserve(s, 1)) return;
            if (!rg_cas(at, cur, next & ~1ULL)) goto again;
            rg_retire(s, r, rec_expired);
            cur = next & ~1ULL;
        } else {
            at = &r->next;
            cur = next;
        }
    }
}

bool rg_wait_leave(rg_slot *s, rg_waiter *w)
{
    bool notified = !rg_cas(&w->state, RG_WAITING, RG_LEFT);
    if (rg_wait_forgotten(s, w)) { /* in no list, and not counted; nobody else knows of it */
        w->done(w);
        return notified;
    }
    rg_pin(s);
    size_t n = w->n;
    /* Buckets first: once the last record is retired the waiter may go with any unpin. */
    for (size_t i = 0; i < n; i++) {
        rg_waitrec *r = &w->recs[i];
        uint64_t next;
        do next = rg_load(&r->next);
        while (!rg_cas(&r->next, next, next | 1));
        sweep(s, bucket(s->domain, r->word));
    }
    rg_fetch_add(&s->domain->waiting, (uint64_t)-1);
    rg_unpin(s);
    return notified;
}

unsigned rg_wake_slow(rg_slot *s, rg_word *word)
{
    unsigned woken = 0;
    rg_pin(s);
    for (uint64_t cur = rg_load(bucket(s->domain, word)); cur & ~1ULL;) {
        rg_waitrec *r = rec_of(cur);
        uint64_t next = rg_load(&r->next);
        if (!(next & 1) && r->word == word && rg_cas(&r->waiter->state, RG_WAITING, RG_NOTIFIED)) {
            r->waiter->wake(r->waiter);
            woken++;
        }
        cur = next;
    }
    rg_unpin(s);
    return woken;
}

size_t rg_wait_count(rg_domain *d)
{
    size_t n = 0;
    for (size_t i = 0; i < RG_BUCKETS; i++)
        for (uint64_t cur = rg_load(&d->buckets->at[i].head); cur & ~1ULL; cur = rg_load(&rec_of(cur)->next)) n++;
    return n;
}
