/* node.h - the cells of linked structures: a payload word, a link, and a count of holders.
 *
 * Links and payloads are set before a node is published. `next` of a queue node changes once,
 * from 0; of a stack node never. Life: unlinked -> retired -> grace period over -> freed, unless
 * somebody holds it. A hold is how a reaction keeps a node that it has read across user code,
 * where it must not stay pinned: it is taken while pinned (so before the grace period of any
 * unlinking can end), and whoever comes last, the end of the grace period or the last holder,
 * frees the node.
 *
 * `meta` = position << 20 | wide << 19 | holders << 1 | (grace period over). The position (of a stack's node its
 * height, of a queue's node its number) is set before publication; it makes len() one subtraction,
 * and fits beside the holders, so that a node stays at 24 bytes. Its memory has room for one word more (rg_quad): it is
 * 32 bytes, half a cache line, and from an allocator that adds none to them if the domain has one.
 *
 * A wide node has two words more, for whatever its structure needs; it may stand wherever a node may. That
 * it is one, its meta says, so that its memory goes back to its own kind.
 */
#ifndef RG_NODE_H
#define RG_NODE_H

#include "epoch.h"

typedef struct rg_node {
    rg_word next;
    uint64_t value; /* written before publication and after the last look only */
    rg_word meta;
} rg_node;

/* The memory of a node, all four words of it. */
typedef struct rg_quad {
    rg_node node; /* first */
    rg_word more;
} rg_quad;
_Static_assert(sizeof(rg_quad) == 32, "two to a cache line");

typedef struct rg_wide {
    rg_node node; /* first */
    rg_word more[2];
} rg_wide;

#define RG_NODE_CACHE 1024 /* free nodes of each kind that a slot keeps */

#define RG_HOLDERS ((1ULL << 19) - 1) /* bit 0 among them */
#define RG_WIDE (1ULL << 19)
#define RG_TALL (1ULL << 63) /* of a wide node: it is longer than that, and its memory is not kept */

/* What one try at an operation came to. */
typedef enum rg_tried {
    RG_TRIED_DONE,
    RG_TRIED_EMPTY,
    RG_TRIED_FULL,
    RG_TRIED_CLOSED, /* for ever: nothing more is put, and to a taker: it is empty too */
    RG_TRIED_LOST, /* another thread was faster: back off */
    RG_TRIED_BUSY, /* an operation is under way on a word: help it */
    RG_TRIED_MET   /* a push and a pop have met (elimination.h), and the stack is as it was */
} rg_tried;

static inline uint64_t rg_node_word(rg_node *n) { return (uint64_t)(uintptr_t)n; }
static inline rg_node *rg_node_of(uint64_t w) { return (rg_node *)(uintptr_t)w; }

static inline void *rg_quad_alloc(rg_domain *d) { return d->quad_alloc ? d->quad_alloc(sizeof(rg_quad)) : rg_alloc(sizeof(rg_quad)); }
static inline void rg_quad_free(rg_domain *d, void *quad)
{
    if (d->quad_free)
        d->quad_free(quad);
    else
        rg_free(quad);
}

/* One that the slot keeps; NULL when it keeps none. next and meta are to be set. */
static inline rg_node *rg_node_kept(rg_slot *s, uint64_t value)
{
    rg_node *n = s->free_nodes;
    if (!n) return NULL;
    s->free_nodes = rg_node_of(rg_load_rlx(&n->next)); /* relaxed: private list */
    s->free_count--;
    n->value = value;
    return n;
}

/* The same, or a new one, which with more threads than processors is often so: whoever lost the processor while pinned keeps
 * the epoch, and the nodes that others retire, back for a whole time slice. NULL: no memory. */
static inline rg_node *rg_node_bare(rg_slot *s, uint64_t value)
{
    rg_node *n = rg_node_kept(s, value);
    if (__builtin_expect(!n, 0) && (n = rg_quad_alloc(s->domain))) {
        n->value = value;
        rg_store_rlx(&n->meta, 0); /* relaxed: private; and that it is not wide must be seen when it is freed unused */
    }
    return n;
}

static inline rg_node *rg_node_new(rg_slot *s, uint64_t value)
{
    rg_node *n = rg_node_bare(s, value);
    if (!n) return NULL;
    rg_store_rlx(&n->next, 0); /* relaxed: private until a CAS publishes it */
    rg_store_rlx(&n->meta, 0);
    return n;
}

/* As rg_node_kept: the links and meta are to be set. */
static inline rg_wide *rg_wide_kept(rg_slot *s, uint64_t value)
{
    rg_wide *w = s->free_wide;
    if (!w) return NULL;
    s->free_wide = (rg_wide *)(uintptr_t)rg_load_rlx(&w->node.next); /* relaxed: private list */
    s->free_wide_count--;
    w->node.value = value;
    return w;
}

/* All words 0 but the value and meta's mark. */
static inline rg_wide *rg_wide_new(rg_slot *s, uint64_t value)
{
    rg_wide *w = rg_wide_kept(s, value);
    if (!w && !(w = rg_alloc(sizeof *w))) return NULL;
    rg_store_rlx(&w->node.next, 0); /* relaxed: private until a CAS publishes it */
    rg_store_rlx(&w->node.meta, RG_WIDE);
    rg_store_rlx(&w->more[0], 0);
    rg_store_rlx(&w->more[1], 0);
    w->node.value = value;
    return w;
}

static inline rg_wide *rg_wide_of(uint64_t w) { return (rg_wide *)(uintptr_t)w; }
static inline rg_quad *rg_quad_of(uint64_t w) { return (rg_quad *)(uintptr_t)w; }

/* Never published, or nobody can look any more. */
static inline void rg_wide_free(rg_slot *s, rg_wide *w)
{
    if (s->free_wide_count >= RG_NODE_CACHE) {
        rg_free(w);
        return;
    }
    rg_store_rlx(&w->node.next, (uint64_t)(uintptr_t)s->free_wide);
    s->free_wide = w;
    s->free_wide_count++;
}

static inline void rg_node_free(rg_slot *s, rg_node *n)
{
    if (__builtin_expect((rg_load_rlx(&n->meta) & RG_WIDE) != 0, 0)) { /* relaxed: set before publication */
        if (rg_load_rlx(&n->meta) & RG_TALL)
            rg_free(n);
        else
            rg_wide_free(s, (rg_wide *)n);
        return;
    }
    if (s->free_count >= RG_NODE_CACHE) {
        rg_quad_free(s->domain, n);
        return;
    }
    rg_store_rlx(&n->next, rg_node_word(s->free_nodes));
    s->free_nodes = n;
    s->free_count++;
}

static inline uint64_t rg_node_position(rg_node *n)
{
    return rg_load_rlx(&n->meta) >> 20; /* relaxed: set before the publication we came by */
}
/* How far `later` is ahead of `earlier`, or behind it if less than 0: positions go round, after 2^44. */
static inline int64_t rg_ahead(uint64_t later, uint64_t earlier) { return (int64_t)((later - earlier) << 20) >> 20; }
static inline void rg_node_place(rg_node *n, uint64_t position)
{
    rg_store_rlx(&n->meta, position << 20); /* relaxed: private yet */
}
static inline void rg_wide_place(rg_wide *w, uint64_t position)
{
    rg_store_rlx(&w->node.meta, position << 20 | RG_WIDE);
}
static inline void rg_node_hold(rg_node *n) { rg_fetch_add(&n->meta, 2); }
static inline void rg_node_reclaim(rg_slot *s, void *n) { rg_node_free(s, (rg_node *)n); }
/* The last holder of an expired node does not free it at once: a k-CAS of ours may have had its link
 * among its entries, and a helper, pinned but holding nothing, may still aim a (failing) CAS at it.
 * Without room the node is kept for ever. */
static inline void rg_node_release(rg_slot *s, rg_node *n)
{
    if ((rg_fetch_add(&n->meta, (uint64_t)-2) & RG_HOLDERS) == 3 && rg_reserve(s, 1)) rg_retire_lazily(s, n, rg_node_reclaim);
}
/* The end of the grace period. */
static inline void rg_node_expired(rg_slot *s, void *n)
{
    rg_word *meta = &((rg_node *)n)->meta;
    /* No new holders from here on, so "none" is final and needs no read-modify-write. acquire: what
     * the last one did with the node comes before its memory is used again. */
    if ((rg_load_acq(meta) & RG_HOLDERS) == 0 || (rg_fetch_add(meta, 1) & RG_HOLDERS) == 0) rg_node_free(s, (rg_node *)n);
}

static inline void rg_free_wide_cache(rg_slot *s)
{
    while (s->free_wide) {
        rg_wide *w = s->free_wide;
        s->free_wide = rg_wide_of(rg_load_rlx(&w->node.next));
        rg_free(w);
    }
    s->free_wide_count = 0;
}
static inline void rg_free_node_cache(rg_slot *s)
{
    while (s->free_nodes) {
        rg_node *n = s->free_nodes;
        s->free_nodes = rg_node_of(rg_load_rlx(&n->next));
        rg_quad_free(s->domain, n);
    }
    s->free_count = 0;
    rg_free_wide_cache(s);
}

#endif
