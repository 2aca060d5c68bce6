/* hash.h - a hash table that grows without moving anything: the split-ordered list of Shalev and Shavit
 * ("Split-ordered lists: lock-free extensible hash tables", J. ACM 2006), with Michael's removal ("High performance
 * dynamic lock-free hash tables and list-based sets", SPAA 2002).
 *
 * One list holds all nodes, in the order of their hashes read from the lowest bit up. So the nodes of bucket b of
 * `size` = 2^k buckets (the lowest k bits of the hash are b) stand together, for every k. Bucket b is a word that is
 * a link into the list, from just before the first of them. There is no dummy node, as there is in the paper: the
 * bucket's word is the dummy, and stands in the list itself: a link that leads to it is its address, marked
 * RG_TO_BUCKET. Doubling `size` splits each bucket in two without touching a node; the new words are made when they
 * are first wanted. Nothing shrinks.
 *
 * A node is an rg_quad: next; value = the key; position = the hash; more = the word of its binding, which holds `absent`, `dead`
 * or a value. What keys are, and when two are equal, is the caller's business. A hash has RG_HASH_BITS bits: more would have no
 * place beside the holders, and a node is half a cache line so that a look at it waits for one, never two.
 *
 * Links: of a bucket or a node. 0: the bucket is not made yet. Bit 0, RG_UNLINKING: the node that this link is in goes; the
 * link never changes again. Links say what is there, not what is true: they change by plain CAS, which the clocks do
 * not count (bucket words by k-CAS too, so all reads mind references). What is true only words of bindings say.
 *
 * Invariants.
 *  1. Following links from bucket 0 leads through all made buckets and all nodes that are in, in order: of buckets and
 *     nodes by bit-reversed index or hash; a bucket before nodes of the same; nodes of one hash in the order of their
 *     insertion.
 *  2. more never changes once it is `dead`. Before a node's link is marked it is `dead`. Before a node leaves the
 *     list its link is marked. Whoever takes it out, by one CAS, retires it.
 *  3. At most one node of a key is not `dead`. For a node goes in only behind all nodes of its hash, by CAS on the last
 *     one's link, unmarked, as it was when all before it were seen to have other keys or be dead.
 *  4. All links that lead into an unmade bucket's range lead there from before it: who works in bucket b of `size` makes it first.
 *
 * A walk that goes on from a node that was taken out reaches only what was in the list at some time after it pinned:
 * see list.h. It ends with the bucket: the next bucket's word is beyond it, unless `size` has doubled since; so that
 * is looked at afterwards, and if it has, the walk begins anew.
 *
 * Linearization. Found: the read of more. Not found: if a dead node of the key was passed, some instant between
 * its death and now at which we were here (a later one of the key went in behind it); else the read of the last link.
 * Insert, remove: when more changes, which is one k-CAS with a stripe of the count: so the sum of the stripes at
 * one instant is the number of keys that are bound at it. Linking in a node (absent) and out (dead) change nothing.
 *
 * Lock-free: a retry is due to a CAS of somebody else that changed a link or a word. Making a bucket takes one k-CAS of
 * two: it stands before its successor, and its predecessor leads to it, at once; nobody ever sees one half.
 */
#ifndef RG_HASH_H
#define RG_HASH_H

#include "node.h"

#define RG_UNLINKING 1ULL
#define RG_TO_BUCKET 2ULL /* with address 0: the end */

#ifndef RG_HASH_FIRST_LOG
#define RG_HASH_FIRST_LOG 3
#endif
#define RG_HASH_FIRST (1u << RG_HASH_FIRST_LOG) /* buckets at first */
#define RG_HASH_BITS 44
#define RG_HASH_LAST_LOG 40                      /* and at most */
#define RG_HASH_SEGMENTS (RG_HASH_LAST_LOG - RG_HASH_FIRST_LOG + 1)
/* When to double: at so many nodes. Large tables sooner, for in them each node that a look meets is a wait for memory;
 * small ones are at hand, and a dict of the same size is small too. It doubles at these numbers, of up to twice as many. */
static inline uint64_t rg_hash_room(uint64_t size) { return size < 1u << 16 ? size + size / 3 : size / 3 * 2; }

#ifdef RG_EXCLUSIVE
#define RG_HASH_STRIPES 1
#elif !defined(RG_HASH_STRIPES)
#define RG_HASH_STRIPES 8
#endif

typedef struct rg_hash {
    rg_word size; /* buckets; a power of two */
    /* [0]: of the first ones; [k]: of those from FIRST << (k-1) on, as many. Each, if it is there, an address that
     * the index is added to, which is that of the segment less its first index. */
    rg_word segments[RG_HASH_SEGMENTS];
    rg_word *counts; /* RG_HASH_STRIPES, a line each */
    uint64_t absent, dead;
    rg_reclaim_fn gone; /* of a node that was taken out, after the grace period: rg_node_expired, and the key's end */
    rg_word first[RG_HASH_FIRST];
} rg_hash;

/* How a walk came to where it is. */
typedef struct rg_place {
    uint64_t hash, size;
    rg_word *link; /* the link to go on from; at the end, the one to insert behind */
    uint64_t next; /* at the end: what it held */
    rg_word *from; /* the link by which the last node was reached; NULL: not known any more */
    bool no_memory; /* it ended for that reason */
} rg_place;

/* False: no memory. */
bool rg_hash_init(rg_slot *, rg_hash *, uint64_t absent, uint64_t dead, rg_reclaim_fn gone);
/* Nobody else knows it any more. Keys and values are gone. Gives all the rest up, late; without memory, never. *t itself is to be
 * given up after that, as late. */
void rg_hash_close(rg_slot *, rg_hash *);

/* RG_HASH_BITS of a hash, all of which depend on all of it: two that differ are as likely the same here as random numbers
 * are. Of each 64 numbers in a row the buckets stay in a row too: consecutive keys, which are common, profit from what
 * the processor has at hand. */
static inline uint64_t rg_hash_mix(uint64_t h)
{
    unsigned __int128 product = (unsigned __int128)(h >> 6) * 0x9E3779B97F4A7C15ULL;
    uint64_t high = (uint64_t)product ^ (uint64_t)(product >> 64);
    high ^= high >> 32;
    return (high << 6 | ((h ^ high >> 40) & 63)) & ((1ULL << RG_HASH_BITS) - 1);
}

/* In the order of the list, a is strictly before b. */
static inline bool rg_hash_before(uint64_t a, uint64_t b)
{
    uint64_t differ = a ^ b;
    return (b & differ & -differ) != 0;
}

static inline rg_word *rg_hash_binding(rg_quad *n) { return &n->more; }
static inline uint64_t rg_hash_of(rg_quad *n) { return rg_node_position(&n->node); }
/* Private yet, and absent. NULL: no memory. */
static inline rg_quad *rg_hash_node(rg_slot *s, const rg_hash *t, uint64_t key, uint64_t hash)
{
    rg_quad *n = (rg_quad *)rg_node_new(s, key);
    if (!n) return NULL;
    rg_node_place(&n->node, hash);
    rg_store_rlx(&n->more, t->absent); /* relaxed: published by the CAS that links it in */
    return n;
}
static inline rg_word *rg_hash_count(rg_slot *s, rg_hash *t) { return &t->counts[s->index % RG_HASH_STRIPES * (RG_CACHE_LINE / 8)]; }

static inline rg_word *rg_hash_bucket(rg_hash *t, uint64_t i)
{
    unsigned k = 63 - (unsigned)__builtin_clzll(i | (RG_HASH_FIRST - 1)) - (RG_HASH_FIRST_LOG - 1);
    /* acquire: the segment was zeroed before it was put there. (`size`, read before, orders that too.) */
    return (rg_word *)(uintptr_t)(rg_load_acq(&t->segments[k]) + i * sizeof(rg_word));
}

typedef enum rg_sight { RG_SIGHT_MISSING, RG_SIGHT_FOUND, RG_SIGHT_BLURRED } rg_sight;

/* The binding of a key, where it can be told by reading alone; *value is `absent` or a value. Blurred: find out by
 * rg_hash_seek. same: 1, 0, or -1 if that takes more than a look. Pinned or in a glance. */
static inline __attribute__((always_inline)) rg_sight rg_hash_look(rg_hash *t, uint64_t hash, int (*same)(const void *, const rg_quad *),
                                                                  const void *key, rg_quad **node, uint64_t *value)
{
    uint64_t size = rg_load(&t->size), w = rg_load(rg_hash_bucket(t, hash & (size - 1)));
    if (__builtin_expect(!w, 0)) return RG_SIGHT_BLURRED;
    for (;;) {
        w &= ~RG_UNLINKING;
        if (w & (RG_TO_BUCKET | RG_TAG_MASK)) {
            if (rg_is_ref(w)) return RG_SIGHT_BLURRED;
            return rg_load(&t->size) == size ? RG_SIGHT_MISSING : RG_SIGHT_BLURRED;
        }
        rg_quad *n = rg_quad_of(w);
        if (rg_hash_of(n) == hash) {
            int r = same(key, n);
            if (r < 0) return RG_SIGHT_BLURRED;
            if (r) {
                uint64_t v = rg_load(&n->more);
                if (__builtin_expect(rg_is_ref(v), 0)) return RG_SIGHT_BLURRED;
                if (v != t->dead) {
                    *node = n;
                    *value = v;
                    return RG_SIGHT_FOUND;
                }
            }
        }
        w = rg_load(&n->node.next);
    }
}

/* ---- walks that help. All pinned; room for one retirement reserved helps. ------------------------------------------ */

/* To where nodes of the hash may be. False: no memory. */
bool rg_hash_begin(rg_slot *, rg_hash *, rg_place *, uint64_t hash);
/* The next node of the hash that was not dead; NULL: there is none. */
rg_quad *rg_hash_seek(rg_slot *, rg_hash *, rg_place *);
/* Pinned again after a time without, in which n, the node that was found last, was held, as it still is. True: it is in the
 * list, so its grace period does not end while we are pinned, held or not. False: it is on its way out, and the walk begins
 * anew; for the end of its grace period may have come, and be waiting for nobody but us. */
static inline bool rg_hash_resume(rg_slot *s, rg_hash *t, rg_place *p, rg_quad *n)
{
    p->from = NULL;
    if (!(rg_read(&s->domain->space, s->index, &n->node.next) & RG_UNLINKING)) return true;
    rg_hash_begin(s, t, p, p->hash);
    return false;
}
/* At the end of a walk: n, with its hash, goes in. False: go on seeking. */
static inline bool rg_hash_insert(rg_place *p, rg_quad *n)
{
    rg_store_rlx(&n->node.next, p->next); /* relaxed: private until the CAS */
    return rg_cas(p->link, p->next, (uint64_t)(uintptr_t)n);
}
/* n's binding is dead: take it out. p: of the walk that found it, or NULL. */
void rg_hash_unlink(rg_slot *, rg_hash *, rg_quad *n, rg_place *p);
/* The first node behind all of hash `after` (NULL: the first of all) that was not dead; NULL: none, or no memory. */
rg_quad *rg_hash_behind(rg_slot *, rg_hash *, const uint64_t *after, bool *no_memory);

/* The one behind n, found in this pinned section; helps nobody. NULL: there is none. */
rg_quad *rg_hash_after(rg_slot *, rg_hash *, rg_quad *n);

/* ---- the count ------------------------------------------------------------------------------------------------------- */

/* The binding becomes `to`, and the number of bound keys changes by `by`, at once. False: it was not `from`. Pinned. */
bool rg_hash_bind(rg_slot *, rg_hash *, rg_quad *, uint64_t from, uint64_t to, int by);
/* Just after one more was bound: is it time to grow? */
void rg_hash_grown(rg_slot *, rg_hash *);
/* The same after a reaction, one of whose nodes that is: it may have bound any number at once. */
void rg_hash_grown_by(rg_slot *, rg_hash *, rg_quad *);
/* How many are bound, at one instant. Pinned. */
int64_t rg_hash_len(rg_slot *, rg_hash *);

#endif
