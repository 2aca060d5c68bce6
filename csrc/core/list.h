/* list.h - a first-in, first-out list that anything can be taken out of at once: doubly linked, by k-CAS.
 *
 * Intrusive, and circular through a sentinel, which begins as a link does. A link is appended once and
 * removed once, and its memory lives until a grace period after that.
 *
 * Invariants, at each instant: from the sentinel, `next` leads through all links that are in, in the order of
 * their arrival, and back; `prev` is its inverse; along it `seq` grows. `next` of a link that is in is
 * not marked. Of a link that was removed `next` is marked (bit 0) and `prev` and `next` stay as they were
 * at its removal: every k-CAS that writes a link's word requires a neighbour to point to that link, and none does.
 *
 * Linearization: append and remove at their k-CAS; both change all that the invariants speak of at once.
 *
 * A reader may go on from a removed link. Claim: every link that a reader reaches was in the list at some time
 * after it pinned, so its grace period is not over. The first one is what the sentinel's `next` held after the
 * pin. From a link n that was in at a time t after the pin: if n's `next` is found unmarked, n is in now
 * and so is its successor; if marked, n was removed after t, and its successor was in at that moment. The
 * walk ends, for `seq` grows with each step.
 *
 * `arrivals` counts the links ever appended, and changes in the same k-CAS: compared, it says that nobody
 * has arrived since it was read, in any other k-CAS too.
 *
 * No k-CAS here can fail for want of room: it has three entries, and a descriptor holds RG_INLINE_ENTRIES (8)
 * without allocating. The caller has no k-CAS of its own under way. Words may hold descriptors of others',
 * so all reads are rg_read.
 */
#ifndef RG_LIST_H
#define RG_LIST_H

#include "epoch.h"

/* The sentinel. */
typedef struct rg_list {
    rg_word next, prev; /* first and last; itself when the list is empty */
    rg_word arrivals;
} rg_list;

typedef struct rg_link {
    rg_word next; /* | 1 once removed; 0, set by the owner, before it was appended */
    rg_word prev;
    uint64_t seq; /* its number among the arrivals, from 1; set before publication */
} rg_link;

_Static_assert(offsetof(rg_list, next) == offsetof(rg_link, next) && offsetof(rg_list, prev) == offsetof(rg_link, prev),
               "a sentinel is walked over as a link");

#define RG_REMOVED 1ULL

static inline uint64_t rg_link_word(const void *n) { return (uint64_t)(uintptr_t)n; }
/* The link, or the sentinel, that a `next` or `prev` names. */
static inline rg_link *rg_link_of(uint64_t w) { return (rg_link *)(uintptr_t)(w & ~RG_REMOVED); }

/* Nobody else knows the list yet, or any more. */
static inline void rg_list_init(rg_list *l)
{
    rg_store_rlx(&l->next, rg_link_word(l)); /* relaxed: private */
    rg_store_rlx(&l->prev, rg_link_word(l));
    rg_store_rlx(&l->arrivals, 0);
}

/* n at the end of the list. Pinned. Lock-free. */
static inline void rg_list_append(rg_slot *s, rg_list *l, rg_link *n)
{
    const rg_space *sp = &s->domain->space;
    rg_backoff b = RG_BACKOFF_INIT;
    rg_store_rlx(&n->next, rg_link_word(l)); /* relaxed: private until the k-CAS */
    for (;;) {
        uint64_t last = rg_read(sp, s->index, &l->prev), arrivals = rg_read(sp, s->index, &l->arrivals);
        rg_store_rlx(&n->prev, last);
        n->seq = arrivals + 1;
        rg_cas_entry e[] = {
            { &l->prev, last, rg_link_word(n) },
            { &rg_link_of(last)->next, rg_link_word(l), rg_link_word(n) },
            { &l->arrivals, arrivals, arrivals + 1 },
        };
        if (rg_kcas(sp, s->index, e, 3) == RG_SUCCEEDED) return;
        rg_backoff_wait(&b);
    }
}

/* Counts an arrival that leaves no link: who has compared `arrivals` is to look again. Pinned. Lock-free. */
static inline void rg_list_disturb(rg_slot *s, rg_list *l)
{
    const rg_space *sp = &s->domain->space;
    uint64_t n;
    do n = rg_read(sp, s->index, &l->arrivals);
    while (!rg_cas1(sp, s->index, &l->arrivals, n, n + 1));
}

/* True for exactly one caller: it has taken n, which was appended, out. Pinned. Lock-free. */
static inline bool rg_list_remove(rg_slot *s, rg_link *n)
{
    const rg_space *sp = &s->domain->space;
    rg_backoff b = RG_BACKOFF_INIT;
    for (;;) {
        uint64_t next = rg_read(sp, s->index, &n->next);
        if (next & RG_REMOVED) return false;
        /* In at that read, so what `prev` names now, or at n's removal, was in after we pinned. */
        uint64_t prev = rg_read(sp, s->index, &n->prev);
        rg_cas_entry e[] = {
            { &n->next, next, next | RG_REMOVED },
            { &rg_link_of(prev)->next, rg_link_word(n), next },
            { &rg_link_of(next)->prev, rg_link_word(n), prev },
        };
        if (rg_kcas(sp, s->index, e, 3) == RG_SUCCEEDED) return true;
        rg_backoff_wait(&b);
    }
}

static inline rg_link *rg_list_at(rg_list *l, uint64_t w)
{
    rg_link *n = rg_link_of(w);
    return (rg_list *)n == l ? NULL : n;
}

/* The oldest link; NULL when there is none. Pinned. */
static inline rg_link *rg_list_first(rg_slot *s, rg_list *l)
{
    return rg_list_at(l, rg_read(&s->domain->space, s->index, &l->next));
}

/* The one that came after n, which may have been removed meanwhile; NULL at the end. Pinned since before n
 * was found. */
static inline rg_link *rg_list_next(rg_slot *s, rg_list *l, rg_link *n)
{
    return rg_list_at(l, rg_read(&s->domain->space, s->index, &n->next));
}

static inline bool rg_link_is_in(rg_slot *s, rg_link *n)
{
    uint64_t next = rg_read(&s->domain->space, s->index, &n->next);
    return next && !(next & RG_REMOVED);
}

#endif
