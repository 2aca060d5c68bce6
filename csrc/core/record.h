/* record.h - a structure that is one word: it names a record, and neither the record nor what hangs below it ever changes.
 *
 * An operation makes a new record, which shares with the old one what it did not touch, and swaps the word. So all that
 * there is to know is read and changed at once: the size, how many items were ever put (which numbers them), and
 * whether the structure is closed; and whoever has the record has a snapshot.
 *
 * Linearization: the CAS on the word; an operation that finds the structure empty, full or closed: the read of the
 * word. No ABA: whoever has read the word is pinned, or, across user code, holds the record; so the address cannot come
 * back while it matters, and as long as the word names the record, all that hangs below it is there.
 *
 * A record is a wide node: value 0; next = the top (of a list its first node, of a heap its root), or 0; position =
 * the size; more[0] = puts so far; more[1] = most items (0: any number) << 1 | closed.
 */
#ifndef RG_RECORD_H
#define RG_RECORD_H

#include "node.h"

/* What a try at an operation on such a structure came to. */
typedef enum rg_record_tried {
    RG_RECORD_DONE,
    RG_RECORD_EMPTY,
    RG_RECORD_FULL,
    RG_RECORD_CLOSED,
    RG_RECORD_LOST,  /* another thread was faster: back off */
    RG_RECORD_BUSY,  /* an operation is under way on the word: help it */
    RG_RECORD_ASK,   /* two items are to be compared, by code that is not ours */
    RG_RECORD_MEMORY /* there is none */
} rg_record_tried;

/* relaxed, all: set before the publication that we came by */
static inline uint64_t rg_record_top(rg_wide *r) { return rg_load_rlx(&r->node.next); }
static inline uint64_t rg_record_size(rg_wide *r) { return rg_node_position(&r->node); }
static inline uint64_t rg_record_puts(rg_wide *r) { return rg_load_rlx(&r->more[0]); }
static inline uint64_t rg_record_rules(rg_wide *r) { return rg_load_rlx(&r->more[1]); }
static inline uint64_t rg_record_limit(rg_wide *r) { return rg_record_rules(r) >> 1; }
static inline bool rg_record_closed(rg_wide *r) { return (rg_record_rules(r) & 1) != 0; }
static inline bool rg_record_full(rg_wide *r)
{
    uint64_t limit = rg_record_limit(r);
    return __builtin_expect(limit != 0, 0) && rg_record_size(r) >= limit;
}

/* NULL: no memory. */
static inline rg_wide *rg_record_new(rg_slot *s, uint64_t top, uint64_t size, uint64_t puts, uint64_t rules)
{
    rg_wide *r = rg_wide_new(s, 0);
    if (!r) return NULL;
    rg_store_rlx(&r->node.next, top); /* relaxed, all: private until published */
    rg_wide_place(r, size);
    rg_store_rlx(&r->more[0], puts);
    rg_store_rlx(&r->more[1], rules);
    return r;
}
/* What follows on `was` when an item was put, and taken. */
static inline rg_wide *rg_record_grown(rg_slot *s, rg_wide *was, uint64_t top)
{
    return rg_record_new(s, top, rg_record_size(was) + 1, rg_record_puts(was) + 1, rg_record_rules(was));
}
static inline rg_wide *rg_record_shrunk(rg_slot *s, rg_wide *was, uint64_t top)
{
    return rg_record_new(s, top, rg_record_size(was) - 1, rg_record_puts(was), rg_record_rules(was));
}

/* The structure's record, or NULL: busy. Pinned. */
static inline rg_wide *rg_record_glimpse(rg_word *root)
{
    uint64_t w = rg_load(root);
    return __builtin_expect(rg_is_ref(w), 0) ? NULL : rg_wide_of(w);
}
static inline rg_wide *rg_record_of(rg_slot *s, rg_word *root)
{
    return rg_wide_of(rg_read(&s->domain->space, s->index, root));
}

/* The word was swapped: is there anybody who may still look at what only the old record had? Where nothing runs in
 * between nobody; nor where no slot but ours is in use: one taken after this load finds the word swapped. */
static inline bool rg_record_watched(rg_slot *s)
{
#ifdef RG_EXCLUSIVE
    (void)s;
    return false;
#else
    return rg_load(&s->domain->active) != 1;
#endif
}
/* A node that only the old record had. One place is reserved. Who holds it is looked after by rg_node_expired. */
static inline void rg_record_retire(rg_slot *s, rg_node *n, bool watched)
{
    if (watched)
        rg_retire_lazily(s, n, rg_node_expired);
    else
        rg_node_expired(s, n);
}

/* What follows on `was` takes its place, if that is still there; what else was made for it is the caller's. Pinned; one
 * place is reserved. */
static inline rg_record_tried rg_record_follow(rg_slot *s, rg_word *root, rg_wide *was, rg_wide *now)
{
    if (__builtin_expect(!now, 0)) return RG_RECORD_MEMORY;
    if (__builtin_expect(!rg_cas_once(&s->desc, root, rg_node_word(&was->node), rg_node_word(&now->node)), 0)) {
        rg_wide_free(s, now);
        return RG_RECORD_LOST;
    }
    return RG_RECORD_DONE;
}

/* ---- the list: last in, first out (Treiber's, below a record) ---------------------------------- */

/* One try each. Pinned; two places are reserved. put: node n becomes the first. */
static inline rg_record_tried rg_lifo_try_put(rg_slot *s, rg_word *root, rg_node *n)
{
    rg_wide *was = rg_record_glimpse(root);
    if (__builtin_expect(!was, 0)) return RG_RECORD_BUSY;
    if (__builtin_expect(rg_record_closed(was), 0)) return RG_RECORD_CLOSED;
    if (__builtin_expect(rg_record_full(was), 0)) return RG_RECORD_FULL;
    rg_store_rlx(&n->next, rg_record_top(was)); /* relaxed: private until the CAS */
    rg_record_tried t = rg_record_follow(s, root, was, rg_record_grown(s, was, rg_node_word(n)));
    if (__builtin_expect(t == RG_RECORD_DONE, 1)) rg_record_retire(s, &was->node, rg_record_watched(s));
    return t;
}

/* DONE: *value is the caller's. */
static inline rg_record_tried rg_lifo_try_get(rg_slot *s, rg_word *root, uint64_t *value)
{
    rg_wide *was = rg_record_glimpse(root);
    if (__builtin_expect(!was, 0)) return RG_RECORD_BUSY;
    if (!rg_record_size(was)) return rg_record_closed(was) ? RG_RECORD_CLOSED : RG_RECORD_EMPTY;
    rg_node *first = rg_node_of(rg_record_top(was));
    *value = first->value;
    /* relaxed: never changes */
    rg_record_tried t = rg_record_follow(s, root, was, rg_record_shrunk(s, was, rg_load_rlx(&first->next)));
    if (__builtin_expect(t != RG_RECORD_DONE, 0)) return t;
    bool watched = rg_record_watched(s);
    rg_record_retire(s, first, watched);
    rg_record_retire(s, &was->node, watched);
    return t;
}

#endif
