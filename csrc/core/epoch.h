/* epoch.h - domains: the slots of the threads of one process (or interpreter), their epochs, and
 * what they have given up but others may still look at. After Fraser (2004) and crossbeam-epoch.
 *
 * Invariant: what is retired at global epoch g is reclaimed only once the global epoch is g + RG_GRACE
 * or later. The global epoch moves from g to g + 1 only when every pinned slot has announced g.
 * Who found a thing before it was unlinked was pinned at g or before, and has unpinned by g + 2. But a k-CAS
 * of such a one may name words of the thing, and whoever meets its descriptor meanwhile learns of them from there:
 * who does was pinned at g + 1 at the latest, for at g + 2 that k-CAS is over. So three, not two.
 *
 * Announcing publishes the epoch and needs a StoreLoad fence before the first load of a pointer:
 * otherwise the load may happen before the announcement is visible, the epoch advance twice, and
 * the block be freed under the load. So it is done once an epoch, not once a pin: the announcement
 * stays when the slot unpins, and holds the epoch back all the same (a later pin at the same epoch
 * needs no fence, for the epoch has moved on by one at most since). Who finds that a slot lags
 * behind looks whether it is pinned, and if not takes its announcement back: that look is the one
 * that needs a fence on both sides. Pinning is frequent and lagging is rare; where the kernel
 * offers membarrier(2) the fence is the onlooker's to pay for both (it interrupts all threads of
 * the process, which takes as long as a hundred pushes), and pinning is a plain store.
 *
 * Retired things wait in a ring of the slot that retired them. One rule keeps destructors prompt:
 * while only one slot is in use nobody can be looking, and things are reclaimed when the slot
 * unpins. Reclaiming runs callbacks that may do anything, hence never while pinned.
 */
#ifndef RG_EPOCH_H
#define RG_EPOCH_H

#include "kcas.h"

#define RG_GRACE 3

struct rg_slot;
typedef void (*rg_reclaim_fn)(struct rg_slot *, void *);

typedef struct rg_retired {
    uint64_t epoch;
    void *p;
    rg_reclaim_fn fn;
} rg_retired;

typedef struct rg_ring {
    rg_retired *items; /* capacity is a power of two; epochs do not decrease from head to tail */
    size_t mask, head, tail;
} rg_ring;

typedef struct rg_domain rg_domain;

#define RG_CACHE_LINE 64

typedef struct rg_slot {
    rg_desc desc; /* first: a space sees slots as descriptors */
    _Alignas(RG_CACHE_LINE) rg_word epoch; /* announced: epoch << 1 | 1, or 0 */
    rg_word pinned; /* 0 or 1 */
    /* What follows is the owner's alone, statistics aside. */
    rg_domain *domain;
    unsigned index, pins;
    bool reclaiming;
    bool detached; /* of no thread: shared by all under a lock of theirs */
    bool gives_way; /* to the elder (elder.h), once nothing is pinned */
    size_t urgent; /* the ring's tail after the last thing that somebody may be waiting to see go */
    size_t due; /* reclaim when the ring holds this many; 0: `woken` is not empty, or it gives way */
    rg_ring ring;
    struct rg_waiter *woken;    /* the last of a ring of those to call once nothing is pinned (wait.h), or NULL */
    struct rg_node *free_nodes; /* node.h */
    struct rg_wide *free_wide;
    size_t free_count, free_wide_count;
    rg_patience patience;
    unsigned places; /* elimination.h */
    rg_word stat[4]; /* owned by the objects layer */
} rg_slot;

struct rg_domain {
    rg_space space;
    rg_word epoch;
    rg_word active;     /* slots in use */
    rg_word generation; /* of this domain's storage; grows when it is closed */
    rg_word high;
    rg_word waiting; /* records of parked reactions, wait.h */
    rg_word elder, elder_window; /* elder.h: which reaction is, or 0; ns */
    void (*give_way)(rg_slot *); /* how; the owner's, who knows what a thread may wait with. NULL: not at all */
    /* Where nodes of four words (node.h) come from and go to, by threads that the owner of the domain knows; NULL: rg_alloc, rg_free. */
    void *(*quad_alloc)(size_t);
    void (*quad_free)(void *);
    unsigned forks;  /* that this process has come out of; changes while it has one thread */
    uint64_t survivor; /* of the last of them, the thread that forked: pthread_self() */
    rg_word orphans; /* rg_orphan list: rings that ended threads left behind */
    rg_word blocks[RG_MAX_BLOCKS];
    rg_domain *next_pooled;
    struct rg_buckets *buckets;
};

extern bool rg_asymmetric; /* membarrier is at work */

/* A new domain, or NULL (out of memory). Domains are never freed, only pooled: a thread that
 * ends late may still look at its slot. */
rg_domain *rg_domain_open(void);
/* All threads are out. Reclaims everything retired, on the caller's slot. */
void rg_domain_close(rg_domain *);

/* A slot that belongs to no thread yet; NULL when out of memory or of slots. */
rg_slot *rg_slot_claim(rg_domain *);
/* This thread's slot, made when there is none: NULL when out of memory or of slots. */
rg_slot *rg_slot_slow(rg_domain *);

typedef struct rg_slot_cache {
    rg_domain *domain;
    rg_slot *slot;
    uint64_t generation; /* of the domain: closed and opened again, it has given our slot away */
} rg_slot_cache;
extern _Thread_local rg_slot_cache rg_tls __attribute__((tls_model("initial-exec")));

/* The same where it is at hand, else NULL. */
static inline rg_slot *rg_slot_at_hand(rg_domain *d)
{
    return __builtin_expect(rg_tls.domain == d && rg_tls.generation == rg_load_rlx(&d->generation), 1) ? rg_tls.slot : NULL;
}

static inline rg_slot *rg_slot_get(rg_domain *d)
{
    /* relaxed: whoever opened the domain handed it to us, its generation included */
    if (__builtin_expect(rg_tls.domain == d && rg_tls.generation == rg_load_rlx(&d->generation), 1)) {
        rg_slot *s = rg_tls.slot;
        if (!s) __builtin_unreachable(); /* there is one where there is a domain */
        return s;
    }
    return rg_slot_slow(d);
}

#ifdef RG_EXCLUSIVE
/* One slot serves all threads, one at a time, and it is the only one: nothing to publish. */
static inline void rg_pin(rg_slot *s) { s->pins++; }
#else
/* Nests. */
static inline void rg_pin(rg_slot *s)
{
    if (s->pins++) return;
    rg_store_rlx(&s->pinned, 1);
    if (rg_asymmetric)
        rg_compiler_barrier(); /* the fence is in quiesce(), epoch.c */
    else
        rg_fence();
    /* relaxed: what is announced was announced with a fence, by us, and stands unless somebody saw,
     * past the fence above, that we were not pinned; then our load, past it too, sees at least the
     * epoch that they saw, which is another. A stale epoch announces an older one, which only holds
     * the epoch back. */
    uint64_t e = rg_load_rlx(&s->domain->epoch) << 1 | 1;
    if (__builtin_expect(rg_load_rlx(&s->epoch) == e, 1)) return;
    rg_store_rel(&s->epoch, e); /* release: past all that was read at the epoch before */
    rg_fence();
}
#endif

/* A CAS of an operation was lost; *b is the operation's, and zero before its first loss. If pinned, the
 * wait is not, as it would hold the epoch back: nothing read before may be looked at after. */
void rg_lost(rg_slot *, rg_backoff *b);
/* The same for who can make use of the wait: it ends early when until(arg), called between the pauses, is true. */
void rg_lost_until(rg_slot *, rg_backoff *b, rg_until_fn until, void *arg);

void rg_reclaim(rg_slot *);
static inline bool rg_is_due(rg_slot *s) { return __builtin_expect(s->ring.tail - s->ring.head >= s->due, 0); }
static inline void rg_reclaim_when_due(rg_slot *s)
{
    if (rg_is_due(s)) rg_reclaim(s);
}

static inline void rg_publish_unpinned(rg_slot *s)
{
#ifndef RG_EXCLUSIVE
    /* release: all loads and stores of the pinned section stay before it */
    rg_store_rel(&s->pinned, 0);
#else
    (void)s;
#endif
}

/* A short section that nests in no other and ends with rg_glanced: what rg_pin and rg_unpin do where
 * nothing has to be done but publish. False, and nothing done, where there has. If something was
 * retired, rg_reclaim_when_due afterwards. */
static inline bool rg_glance(rg_slot *s)
{
#ifdef RG_EXCLUSIVE
    (void)s;
#else
    rg_store_rlx(&s->pinned, 1);
    if (rg_asymmetric)
        rg_compiler_barrier();
    else
        rg_fence();
    /* relaxed: as in rg_pin */
    if (__builtin_expect(s->pins || rg_load_rlx(&s->epoch) != (rg_load_rlx(&s->domain->epoch) << 1 | 1), 0)) {
        if (!s->pins) rg_publish_unpinned(s);
        return false;
    }
#endif
    return true;
}
static inline void rg_glanced(rg_slot *s) { rg_publish_unpinned(s); }

/* Unpinned, and for longer than it takes others to notice: spares them finding out. */
static inline void rg_withdraw(rg_slot *s)
{
#ifndef RG_EXCLUSIVE
    rg_store_rel(&s->epoch, 0); /* release: as above, for who takes this for an answer */
#else
    (void)s;
#endif
}

static inline void rg_unpin(rg_slot *s)
{
    if (--s->pins) return;
    rg_publish_unpinned(s);
    rg_reclaim_when_due(s);
}

/* Room for k more retirements, to be made sure of before anything is unlinked. */
bool rg_reserve_slow(rg_slot *, size_t k);
static inline bool rg_has_room(rg_slot *s, size_t k)
{
    return __builtin_expect(s->ring.items && s->ring.tail - s->ring.head + k <= s->ring.mask + 1, 1);
}
static inline bool rg_reserve(rg_slot *s, size_t k) { return rg_has_room(s, k) || rg_reserve_slow(s, k); }

/* p was unlinked; fn(slot, p) runs when nobody can look at it any more, in some unpinned thread of
 * the domain. Room was reserved. Lazily: it may wait for company (memory that nobody misses). */
static inline void rg_retire_lazily(rg_slot *s, void *p, rg_reclaim_fn fn)
{
    uint64_t e = rg_load(&s->domain->epoch);
    s->ring.items[s->ring.tail++ & s->ring.mask] = (rg_retired){ e, p, fn };
}

/* The same for what somebody may be waiting to see go: an object with a destructor. */
static inline void rg_retire(rg_slot *s, void *p, rg_reclaim_fn fn)
{
    rg_retire_lazily(s, p, fn);
    s->urgent = s->ring.tail;
    /* Alone: nobody can be looking, so it goes with the next unpin. A slot taken after this load
     * finds the word already changed, both being sequentially consistent. */
    if (rg_load(&s->domain->active) == 1) s->due = 1;
}

/* Reclaims what can be, trying hard (a few advances). Not while pinned. */
void rg_flush(rg_slot *);
/* After fork, in the child: all slots but the caller's are given up. */
void rg_domains_after_fork(void);

#endif
