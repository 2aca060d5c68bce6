/* epoch.c - see epoch.h for the invariant. */
#ifndef _DEFAULT_SOURCE
#define _DEFAULT_SOURCE /* syscall() under -std=c11 */
#endif
#include "elder.h"
#include "epoch.h"
#include "node.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/syscall.h>
#endif

/* Retirements between two tries to advance, beside one for each slot to scan. Few, so that nodes come
 * round again while they are still in the cache; and since threads that work keep up by themselves, a
 * try is cheap. */
#define RG_DUE 32

/* Retired memory that nobody waits for, up to which a slot that lags behind is not asked about. It lags, as a rule, because
 * its thread has lost the processor, and the asking (quiesce) interrupts all others and may cost the asker its
 * own time slice: with 4 threads on 2 processors that was what the slowest get of ten thousand did, 1.7 to 4 ms; now
 * it is 30 to 60 us. Much more, and giving so much back at once is what the slowest one does. */
#define RG_ASK 1024

_Thread_local rg_slot_cache rg_tls __attribute__((tls_model("initial-exec")));
bool rg_asymmetric;

/* ---- the asymmetric fence ---------------------------------------------------------------- */

#if defined(__linux__) && defined(SYS_membarrier) && !defined(__SANITIZE_THREAD__) && !defined(RG_CHECKED)
enum { MEMBARRIER_PRIVATE = 1 << 3, MEMBARRIER_REGISTER_PRIVATE = 1 << 4 };
static bool membarrier_register(void) { return syscall(SYS_membarrier, MEMBARRIER_REGISTER_PRIVATE, 0, 0) == 0; }
static void heavy_fence(void)
{
    if (!rg_asymmetric || syscall(SYS_membarrier, MEMBARRIER_PRIVATE, 0, 0) != 0) rg_fence();
}
#else
static bool membarrier_register(void) { return false; }
static void heavy_fence(void)
{
#ifdef rg_checked_membarrier /* a schedule explorer's */
    if (rg_asymmetric) {
        rg_checked_membarrier();
        return;
    }
#endif
    rg_fence();
}
#endif

/* ---- orphans: rings of threads that have ended -------------------------------------------- */

typedef struct rg_orphan {
    struct rg_orphan *next;
    rg_ring ring;
} rg_orphan;

static void orphan_push(rg_domain *d, rg_orphan *o)
{
    uint64_t head;
    do {
        head = rg_load(&d->orphans);
        o->next = (rg_orphan *)(uintptr_t)head;
    } while (!rg_cas(&d->orphans, head, (uint64_t)(uintptr_t)o));
}

static void orphan_ring(rg_slot *s)
{
    if (s->ring.tail == s->ring.head) return;
    rg_orphan *o = rg_alloc(sizeof *o);
    if (!o) return; /* the ring stays with the slot, for its next owner */
    o->ring = s->ring;
    memset(&s->ring, 0, sizeof s->ring);
    orphan_push(s->domain, o);
}

/* ---- reclaiming --------------------------------------------------------------------------- */

/* Whether a slot that has announced `was` is not pinned at it; if so it is made to announce anew. */
static bool quiesce(rg_slot *o, uint64_t was)
{
    /* acquire: pairs with the release in rg_unpin, so what it read happened before we free */
    return !rg_load_acq(&o->pinned) && (rg_cas(&o->epoch, was, 0) || rg_load(&o->epoch) == 0);
}

/* Is it time to ask about those who lag behind? */
static bool worth_asking(const rg_slot *s)
{
    size_t head = s->ring.head;
    return s->ring.tail - head >= RG_ASK || (s->urgent - head - 1 < s->ring.tail - head);
}

/* False: somebody is pinned at an earlier epoch, or may be, and was not asked. */
static bool advance(rg_slot *s, bool ask)
{
    rg_domain *d = s->domain;
    uint64_t e = rg_load(&d->epoch), now = e << 1 | 1;
    /* Any announcement older than this fence is visible to the scan; any later one sees all
     * unlinking done before it. */
    rg_fence();
    bool heavy = false;
    unsigned high = (unsigned)rg_load(&d->high);
    for (unsigned i = 0; i < high; i++) {
        rg_slot *o = (rg_slot *)rg_desc_at(&d->space, i);
        /* acquire: announcing again is a store after all that was read at the epoch before */
        uint64_t p = rg_load_acq(&o->epoch);
        if (!p || p == now || o == s) continue; /* we are not pinned, and know e */
        if (p > now) return true; /* the epoch has moved on, and e proves nothing about later pins */
        /* Any pin older than this fence is visible to quiesce(); any later one sees the epoch e. */
        if (!heavy && !ask) return false;
        if (!heavy) heavy_fence();
        heavy = true;
        if (!quiesce(o, p)) return false;
    }
    rg_cas(&d->epoch, e, e + 1);
    return true;
}

/* The only slot in use, and not pinned itself: nobody is looking at anything. A slot that
 * comes later can reach nothing that was already unlinked. */
static bool alone(rg_slot *s) { return rg_load(&s->domain->active) == 1; }

static void drain(rg_slot *s, rg_ring *r)
{
    while (r->head != r->tail) {
        rg_retired it = r->items[r->head & r->mask];
        /* Asked again for each: a callback may have let another thread begin. */
        if (!alone(s) && it.epoch + RG_GRACE > rg_load(&s->domain->epoch)) return;
        r->head++;
        it.fn(s, it.p); /* may retire more, and so move r->items if r is the slot's own ring */
    }
}

static void adopt_orphans(rg_slot *s)
{
    uint64_t head = rg_load(&s->domain->orphans);
    if (!head || !rg_cas(&s->domain->orphans, head, 0)) return;
    rg_orphan *o = (rg_orphan *)(uintptr_t)head;
    while (o) {
        rg_orphan *next = o->next;
        drain(s, &o->ring);
        if (o->ring.head == o->ring.tail) {
            rg_free(o->ring.items);
            rg_free(o);
        } else {
            orphan_push(s->domain, o);
        }
        o = next;
    }
}

static void reclaim_round(rg_slot *s, bool ask)
{
    s->reclaiming = true;
    bool held_back = !alone(s) && !advance(s, ask);
    drain(s, &s->ring);
    adopt_orphans(s);
    s->reclaiming = false;
    size_t left = s->ring.tail - s->ring.head;
    /* Somebody pinned is not running, perhaps for long: ask less and less often, for asking is dear
     * (quiesce) while what is kept grows by a quarter between two questions at most. */
    size_t due = RG_DUE + (size_t)rg_load(&s->domain->high);
    s->due = s->woken || s->gives_way ? 0 : left + (held_back && left / 4 > due ? left / 4 : due);
}

void rg_lost_until(rg_slot *s, rg_backoff *b, rg_until_fn until, void *arg)
{
    unsigned pins = s->pins;
    if (pins <= 1) { /* else an outer section relies on it */
        s->pins = 0;
        rg_publish_unpinned(s);
        rg_withdraw(s);
    }
    if (b->spin) {
        rg_backoff_wait_until(b, until, arg);
    } else {
        /* relaxed: our own clock, which counts two for each CAS */
        rg_backoff away = { rg_patience_lost(&s->patience, rg_load_rlx(&s->desc.clock) / 2) };
        rg_backoff_wait_until(&away, until, arg);
        b->spin = RG_SPIN_AGAIN;
    }
    if (pins == 1) rg_pin(s);
}

void rg_lost(rg_slot *s, rg_backoff *b) { rg_lost_until(s, b, NULL, NULL); }

static void reclaim(rg_slot *s, bool ask)
{
    if (s->pins) return;
    if (!s->reclaiming) reclaim_round(s, ask);
    if (s->woken) rg_call_woken(s);
    if (s->gives_way) {
        s->gives_way = false;
        if (s->domain->give_way) s->domain->give_way(s);
    }
}

void rg_reclaim(rg_slot *s) { reclaim(s, worth_asking(s)); }

void rg_flush(rg_slot *s)
{
    for (int i = 0; i <= RG_GRACE; i++) reclaim(s, true); /* and the epoch that may be under way */
}

bool rg_reserve_slow(rg_slot *s, size_t k)
{
    size_t used = s->ring.tail - s->ring.head, cap = s->ring.items ? s->ring.mask + 1 : 0;
    if (used + k <= cap) return true;
    size_t want = cap ? cap : 64;
    while (want < used + k) want *= 2;
    rg_retired *items = rg_alloc(want * sizeof *items);
    if (!items) return false;
    for (size_t i = 0; i < used; i++) items[i] = s->ring.items[(s->ring.head + i) & s->ring.mask];
    rg_free(s->ring.items);
    s->urgent -= s->ring.head; /* counted from where the new ring begins */
    s->ring = (rg_ring){ items, want - 1, 0, used };
    return true;
}

/* ---- slots -------------------------------------------------------------------------------- */

/* That a thread has a slot. Not kept in the slot itself: a domain that is closed gives all its slots
 * away, also those of threads that live on. */
typedef struct rg_lease {
    struct rg_lease *next;
    rg_domain *domain;
    rg_slot *slot;
    uint64_t generation;
} rg_lease;

static pthread_key_t thread_key; /* value: this thread's leases */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_mutex_t pool_lock = PTHREAD_MUTEX_INITIALIZER; /* opening and closing domains only */
static rg_domain *all_domains[1024];
static unsigned n_domains;
static rg_domain *pool;

static void slot_release(rg_slot *s)
{
    rg_domain *d = s->domain;
    s->pins = 0;
    rg_store(&s->pinned, 0);
    rg_store(&s->epoch, 0);
    /* A thread that has ended is none that the domain's own allocator knows: its nodes wait for the slot's next owner. */
    if (d->quad_free)
        rg_free_wide_cache(s);
    else
        rg_free_node_cache(s);
    orphan_ring(s);
    rg_fetch_add(&d->active, (uint64_t)-1);
    rg_store(&s->desc.owner, 0);
}

static bool lease_holds(const rg_lease *l) { return rg_load(&l->domain->generation) == l->generation; }

static void thread_ended(void *list)
{
    rg_lease *l = list, *next;
    for (; l; l = next) {
        next = l->next;
        if (lease_holds(l)) slot_release(l->slot);
        rg_free(l);
    }
    rg_tls = (rg_slot_cache){ NULL, NULL, 0 };
}

static void after_fork(void) { rg_domains_after_fork(); }

static void init_once(void)
{
    pthread_key_create(&thread_key, thread_ended);
    rg_asymmetric = membarrier_register();
    pthread_atfork(NULL, NULL, after_fork);
}

rg_slot *rg_slot_claim(rg_domain *d)
{
    for (unsigned i = 0; i < RG_MAX_SLOTS; i++) {
        rg_word *b = &d->blocks[i >> RG_BLOCK_SHIFT];
        if (!rg_load(b)) {
            char *block = rg_alloc_lines(RG_BLOCK_SLOTS * sizeof(rg_slot));
            if (!block) return NULL;
            memset(block, 0, RG_BLOCK_SLOTS * sizeof(rg_slot));
            if (!rg_cas(b, 0, (uint64_t)(uintptr_t)block)) rg_free(block);
        }
        rg_slot *s = (rg_slot *)rg_desc_at(&d->space, i);
        if (rg_load(&s->desc.owner) || !rg_cas(&s->desc.owner, 0, 1)) continue;
        s->domain = d;
        s->index = i;
        s->pins = 0;
        s->reclaiming = s->detached = s->gives_way = false;
        s->woken = NULL;
        s->urgent = s->ring.head; /* nothing is */
        s->due = RG_DUE;
        for (uint64_t h = rg_load(&d->high); h <= i && !rg_cas(&d->high, h, i + 1); h = rg_load(&d->high)) {}
        rg_fetch_add(&d->active, 1);
        return s;
    }
    return NULL;
}

/* This thread's lease of a slot of the domain; leases that have run out are dropped on the way. */
static rg_lease *lease_of(rg_lease **list, rg_domain *d)
{
    while (*list) {
        rg_lease *l = *list;
        if (!lease_holds(l)) {
            *list = l->next;
            rg_free(l);
        } else if (l->domain == d) {
            return l;
        } else {
            list = &l->next;
        }
    }
    return NULL;
}

rg_slot *rg_slot_slow(rg_domain *d)
{
    rg_lease *list = pthread_getspecific(thread_key), *l = lease_of(&list, d);
    if (!l) {
        l = rg_alloc(sizeof *l);
        rg_slot *s = l ? rg_slot_claim(d) : NULL;
        if (s) {
            *l = (rg_lease){ list, d, s, rg_load(&d->generation) };
            list = l;
        } else {
            rg_free(l);
            l = NULL;
        }
    }
    if (pthread_setspecific(thread_key, list) != 0 && l) {
        /* Only the first value of a key can fail, so there is this lease alone. */
        slot_release(l->slot);
        rg_free(l);
        l = NULL;
    }
    if (!l) return NULL;
    rg_tls = (rg_slot_cache){ d, l->slot, l->generation };
    return l->slot;
}

/* ---- domains ------------------------------------------------------------------------------ */

rg_domain *rg_domain_open(void)
{
    pthread_once(&once, init_once);
    pthread_mutex_lock(&pool_lock);
    rg_domain *d = pool;
    if (d) {
        pool = d->next_pooled;
    } else if (n_domains < sizeof all_domains / sizeof *all_domains && (d = rg_calloc(sizeof *d))) {
        d->buckets = rg_buckets_new();
        if (!d->buckets) {
            rg_free(d);
            d = NULL;
        } else {
            d->space = (rg_space){ NULL, d->blocks, sizeof(rg_slot), &d->high,
                                   (size_t)RG_INLINE_ENTRIES << (RG_CHUNKS - 1), true };
            rg_store(&d->epoch, 1);
            all_domains[n_domains++] = d;
        }
    }
    pthread_mutex_unlock(&pool_lock);
    return d;
}

void rg_domain_close(rg_domain *d)
{
    rg_slot *s = rg_slot_get(d);
    unsigned high = (unsigned)rg_load(&d->high);
    if (s) {
        /* Slots of threads that have not ended yet but will not come back. */
        for (unsigned i = 0; i < high; i++) {
            rg_slot *o = (rg_slot *)rg_desc_at(&d->space, i);
            if (o != s && rg_load(&o->desc.owner)) orphan_ring(o);
        }
        rg_store(&d->active, 1);
        /* Callbacks may retire more: until nothing is left. */
        while (s->ring.head != s->ring.tail || rg_load(&d->orphans)) reclaim_round(s, true);
    }
    rg_fetch_add(&d->generation, 1); /* slots of threads that end later are not released twice */
    for (unsigned i = 0; i < high; i++) {
        rg_slot *o = (rg_slot *)rg_desc_at(&d->space, i);
        rg_free_node_cache(o);
        o->pins = 0;
        o->detached = false;
        rg_store(&o->pinned, 0);
        rg_store(&o->epoch, 0);
        rg_store(&o->desc.owner, 0);
    }
    rg_store(&d->active, 0);
    d->quad_alloc = NULL; /* who opens it next has others */
    d->quad_free = NULL;
    pthread_mutex_lock(&pool_lock);
    d->next_pooled = pool;
    pool = d;
    pthread_mutex_unlock(&pool_lock);
}

void rg_domains_after_fork(void)
{
    /* Only this thread lives. The pool's lock may have been held by another one: make it anew. */
    pthread_mutex_init(&pool_lock, NULL);
    if (rg_asymmetric) rg_asymmetric = membarrier_register();
    rg_lease *list = pthread_getspecific(thread_key);
    for (unsigned k = 0; k < n_domains; k++) {
        rg_domain *d = all_domains[k];
        rg_lease *l = list;
        while (l && !(l->domain == d && lease_holds(l))) l = l->next;
        rg_slot *mine = l ? l->slot : NULL;
        rg_buckets_reset(d);
        d->survivor = (uint64_t)(uintptr_t)pthread_self();
        rg_elder_reset(d);
        /* Beyond `high` too, and `active` counted anew: the fork may have found a thread between
         * taking a slot and counting itself, or between counting itself out and giving it back. */
        uint64_t active = 0;
        for (unsigned i = 0; i < RG_MAX_SLOTS && rg_load(&d->blocks[i >> RG_BLOCK_SHIFT]); i++) {
            rg_slot *o = (rg_slot *)rg_desc_at(&d->space, i);
            if (!rg_load(&o->desc.owner)) continue;
            if (o == mine || o->detached) {
                active++;
                continue;
            }
            o->domain = d;
            /* Finishing the operation of a lost thread needs a slot for clock and statistics only;
             * where this thread has none the lost one serves. */
            rg_desc_abandon(&d->space, mine ? mine->index : i, i);
            /* The lost thread may have been in the middle of changing its ring or its list of free
             * nodes: they are given up, as everything else that it held. */
            memset(&o->ring, 0, sizeof o->ring);
            o->free_nodes = NULL;
            o->free_wide = NULL;
            o->free_count = o->free_wide_count = 0;
            o->reclaiming = false;
            slot_release(o);
        }
        rg_store(&d->active, active);
    }
}
