/* heap.h - a persistent priority queue below a record (record.h): a leftist heap, weight-biased.
 * Crane, Linear Lists and Priority Queues as Balanced Binary Trees (1972); Okasaki, Purely Functional Data Structures
 * 3.1; by weight: Cho and Sahni, Weight-biased leftist trees and modified skip lists (1998).
 *
 * Invariants. No node comes before its parent; the left child is at least as heavy (has as many nodes below it) as the
 * right one. So a way has at most log2(n + 1) steps to the right, and two heaps are merged along their right spines,
 * whose nodes alone are replaced (path copying): put merges a single node, get the two children of the root. Nodes never
 * change once published; each is in one place of a version; a version and the next share all but the path.
 *
 * Order. An item comes before another if it is less; between equals, who was put first. `newer < older` answers both
 * with one comparison, and `<` is all that is asked of items.
 *
 * A merge has two halves: down the spines, where items are compared, and up again, where nodes are made. Comparing may be
 * a matter of user code, for which everything is left; so between the halves the caller sees to it that the version is
 * still the one. Making nodes is not, so a try that fails has nothing to give back but what it made.
 *
 * The payload is owned by the version, not by the node: a copy takes it over when the version is published.
 *
 * Hints. A payload may be far from the processor, and what is asked of it, most of the time, a few bits say as well: a node
 * has such a hint of its item. Two hints of one kind that differ decide; kind 0 says nothing.
 *
 * A node is a wide one: next = left, more[0] = right, more[1] = weight << 28 | hint, position = its number among the puts,
 * of which 44 bits are kept: two are compared by their difference, which is right unless 2^43 puts lie between them.
 */
#ifndef RG_HEAP_H
#define RG_HEAP_H

#include "record.h"

#define RG_HEAP_HINT_BITS 28 /* kind << 26 | what sorts as the items do */
#define RG_HEAP_KIND_SHIFT 26
#define RG_HEAP_SPINE (64 - RG_HEAP_HINT_BITS) /* a weight has as many bits, and each step to the right halves it */
#define RG_HEAP_PATH (2 * RG_HEAP_SPINE)   /* two spines; a single node is one of one */
#define RG_HEAP_ROOM (RG_HEAP_PATH + 3)    /* retired at most: the path, the root, the record; and what the caller has */

/* Is x < y? 1, 0; -1: not to be told here. */
typedef int (*rg_heap_less)(uint64_t x, uint64_t y);

/* A merge, as far as it has come. */
typedef struct rg_heap_merge {
    rg_wide *a, *b;  /* what is still to be merged; either may be NULL */
    rg_wide *record; /* of the version that this is based on */
    rg_wide *root;   /* get: that is taken; put: NULL */
    rg_wide *top;    /* of the new version, once made */
    unsigned n;
    rg_wide *at[RG_HEAP_PATH];   /* the path, from the top */
    rg_wide *made[RG_HEAP_PATH]; /* what replaces it */
    rg_wide item;                /* put: in place of the node that will be; never published */
} rg_heap_merge;

/* relaxed, all: set before publication */
static inline rg_wide *rg_heap_left(rg_wide *n) { return rg_wide_of(rg_load_rlx(&n->node.next)); }
static inline rg_wide *rg_heap_right(rg_wide *n) { return rg_wide_of(rg_load_rlx(&n->more[0])); }
static inline uint64_t rg_heap_weight(rg_wide *n) { return n ? rg_load_rlx(&n->more[1]) >> RG_HEAP_HINT_BITS : 0; }
static inline uint64_t rg_heap_hint(rg_wide *n) { return rg_load_rlx(&n->more[1]) & ((1ULL << RG_HEAP_HINT_BITS) - 1); }
/* How many puts ago n was put. */
static inline uint64_t rg_heap_age(rg_wide *n, rg_wide *record)
{
    return (rg_record_puts(record) - rg_node_position(&n->node)) << 20 >> 20;
}
static inline bool rg_heap_is_newer(rg_wide *n, rg_wide *than)
{
    return (int64_t)((rg_node_position(&n->node) - rg_node_position(&than->node)) << 20) > 0;
}

/* What comes after n on its spine is needed whatever n's comparison says, and may be far away too: it is sent for before. */
static inline void rg_heap_look_ahead(rg_wide *n)
{
    if (n) __builtin_prefetch(rg_heap_right(n));
}

static inline void rg_heap_begin_put(rg_heap_merge *m, rg_wide *record, uint64_t value, uint64_t hint)
{
    m->record = record;
    m->root = NULL;
    m->n = 0;
    m->a = rg_wide_of(rg_record_top(record));
    m->b = &m->item;
    m->item.node.value = value;
    rg_store_rlx(&m->item.node.next, 0); /* relaxed, all: ours alone */
    rg_store_rlx(&m->item.more[0], 0);
    rg_store_rlx(&m->item.more[1], 1ULL << RG_HEAP_HINT_BITS | hint);
    rg_wide_place(&m->item, rg_record_puts(record) + 1);
}

/* The record is not empty. */
static inline void rg_heap_begin_get(rg_heap_merge *m, rg_wide *record)
{
    m->record = record;
    m->root = rg_wide_of(rg_record_top(record));
    m->n = 0;
    m->a = rg_heap_left(m->root);
    m->b = rg_heap_right(m->root);
    rg_heap_look_ahead(m->a);
    rg_heap_look_ahead(m->b);
}

/* The two that are to be compared next: is the newer less than the older? */
static inline void rg_heap_question(rg_heap_merge *m, rg_wide **newer, rg_wide **older)
{
    bool a = rg_heap_is_newer(m->a, m->b);
    *newer = a ? m->a : m->b;
    *older = a ? m->b : m->a;
}
/* `first` comes before `other`: of it the rest of its spine is left. */
static inline void rg_heap_goes_first(rg_heap_merge *m, rg_wide *first, rg_wide *other)
{
    m->at[m->n++] = first;
    m->b = other;
    m->a = rg_heap_right(first);
    rg_heap_look_ahead(m->a);
}
static inline void rg_heap_answer(rg_heap_merge *m, bool less)
{
    rg_wide *newer, *older;
    rg_heap_question(m, &newer, &older);
    rg_heap_goes_first(m, less ? newer : older, less ? older : newer);
}

/* Down. False: `less` cannot tell what rg_heap_question says. */
static inline bool rg_heap_descend(rg_heap_merge *m, rg_heap_less less)
{
    while (m->a && m->b) {
        uint64_t x = rg_heap_hint(m->a), y = rg_heap_hint(m->b);
        if (x != y && x >> RG_HEAP_KIND_SHIFT == y >> RG_HEAP_KIND_SHIFT && x >> RG_HEAP_KIND_SHIFT) {
            rg_wide *a = m->a, *b = m->b;
            rg_heap_goes_first(m, x < y ? a : b, x < y ? b : a);
            continue;
        }
        rg_wide *newer, *older;
        rg_heap_question(m, &newer, &older);
        int l = less(newer->node.value, older->node.value);
        if (__builtin_expect(l < 0, 0)) return false;
        rg_heap_answer(m, l);
    }
    return true;
}

static inline void rg_heap_unmake(rg_slot *s, rg_heap_merge *m, unsigned from)
{
    for (unsigned i = from; i < m->n; i++) rg_wide_free(s, m->made[i]);
}

/* Up. False: no memory, nothing is made. */
static inline bool rg_heap_build(rg_slot *s, rg_heap_merge *m)
{
    rg_wide *below = m->a ? m->a : m->b;
    if (below == &m->item) { /* behind all of a spine */
        m->at[m->n++] = below;
        below = NULL;
    }
    for (unsigned i = m->n; i-- > 0;) {
        rg_wide *from = m->at[i], *left = rg_heap_left(from), *n = rg_wide_new(s, from->node.value);
        if (__builtin_expect(!n, 0)) {
            rg_heap_unmake(s, m, i + 1);
            return false;
        }
        /* Not by a look at the left one, which nothing else has touched yet: it is far away. */
        uint64_t l = rg_heap_weight(from) - 1 - rg_heap_weight(rg_heap_right(from)), r = rg_heap_weight(below);
        rg_store_rlx(&n->node.next, rg_node_word((rg_node *)(l >= r ? left : below))); /* relaxed, all: private yet */
        rg_store_rlx(&n->more[0], rg_node_word((rg_node *)(l >= r ? below : left)));
        rg_store_rlx(&n->more[1], (l + r + 1) << RG_HEAP_HINT_BITS | rg_heap_hint(from));
        rg_wide_place(n, rg_node_position(&from->node));
        below = m->made[i] = n;
    }
    m->top = below;
    return true;
}

/* The new version's record; NULL: no memory. */
static inline rg_wide *rg_heap_record(rg_slot *s, rg_heap_merge *m)
{
    uint64_t top = rg_node_word((rg_node *)m->top);
    return m->root ? rg_record_shrunk(s, m->record, top) : rg_record_grown(s, m->record, top);
}

/* Its comparisons answered: makes, and swaps the word if it still names the version. Pinned. DONE: the record, the path
 * and the root are retired, and there is room for one more; the root's payload is the caller's. Else nothing is left. */
static inline rg_record_tried rg_heap_finish(rg_slot *s, rg_word *root, rg_heap_merge *m)
{
    if (__builtin_expect(!rg_has_room(s, RG_HEAP_ROOM), 0) && !rg_reserve_slow(s, RG_HEAP_ROOM)) return RG_RECORD_MEMORY;
    if (__builtin_expect(!rg_heap_build(s, m), 0)) return RG_RECORD_MEMORY;
    rg_record_tried t = rg_record_follow(s, root, m->record, rg_heap_record(s, m));
    if (__builtin_expect(t != RG_RECORD_DONE, 0)) {
        rg_heap_unmake(s, m, 0);
        return t;
    }
    bool watched = rg_record_watched(s);
    for (unsigned i = 0; i < m->n; i++)
        if (m->at[i] != &m->item) rg_record_retire(s, &m->at[i]->node, watched);
    if (m->root) rg_record_retire(s, &m->root->node, watched);
    rg_record_retire(s, &m->record->node, watched);
    return t;
}

/* One try each, where `less` can tell. Pinned. ASK: the record and what it was compared to still stand. */
static inline rg_record_tried rg_heap_try_put(rg_slot *s, rg_word *root, uint64_t value, uint64_t hint,
                                              rg_heap_less less, rg_heap_merge *m)
{
    rg_wide *was = rg_record_glimpse(root);
    if (__builtin_expect(!was, 0)) return RG_RECORD_BUSY;
    if (__builtin_expect(rg_record_closed(was), 0)) return RG_RECORD_CLOSED;
    if (__builtin_expect(rg_record_full(was), 0)) return RG_RECORD_FULL;
    rg_heap_begin_put(m, was, value, hint);
    return rg_heap_descend(m, less) ? rg_heap_finish(s, root, m) : RG_RECORD_ASK;
}

/* DONE: *value is the caller's. */
static inline rg_record_tried rg_heap_try_get(rg_slot *s, rg_word *root, uint64_t *value, rg_heap_less less, rg_heap_merge *m)
{
    rg_wide *was = rg_record_glimpse(root);
    if (__builtin_expect(!was, 0)) return RG_RECORD_BUSY;
    if (!rg_record_size(was)) return rg_record_closed(was) ? RG_RECORD_CLOSED : RG_RECORD_EMPTY;
    rg_heap_begin_get(m, was);
    *value = m->root->node.value;
    return rg_heap_descend(m, less) ? rg_heap_finish(s, root, m) : RG_RECORD_ASK;
}

/* Where `<` is user code: hold, then for each comparison unpin, compare, pin, and go on only if the version still stands; at
 * last finish_held. From its hold to its finish the record's address is its own, so a word that names it names this
 * version, all of which is there. */
static inline void rg_heap_hold(rg_heap_merge *m) { rg_node_hold(&m->record->node); }
static inline bool rg_heap_stands(rg_slot *s, rg_word *root, rg_heap_merge *m) { return rg_record_of(s, root) == m->record; }
static inline rg_record_tried rg_heap_finish_held(rg_slot *s, rg_word *root, rg_heap_merge *m, bool stands)
{
    rg_node_release(s, &m->record->node); /* if the word has named it since we pinned, it stays for now */
    return stands ? rg_heap_finish(s, root, m) : RG_RECORD_LOST;
}

/* All nodes of a version, each once, in no order. A node may be freed once it has been returned. The pending left
 * children are those of the steps to the right on the way here, which the bias bounds. */
typedef struct rg_heap_walk {
    rg_wide *at;
    unsigned n;
    rg_wide *left[RG_HEAP_SPINE];
} rg_heap_walk;

static inline void rg_heap_walk_from(rg_heap_walk *w, rg_wide *record)
{
    w->at = rg_wide_of(rg_record_top(record));
    w->n = 0;
}

static inline rg_wide *rg_heap_walk_next(rg_heap_walk *w)
{
    rg_wide *n = w->at;
    if (!n) {
        if (!w->n) return NULL;
        n = w->left[--w->n];
    }
    rg_wide *left = rg_heap_left(n), *right = rg_heap_right(n);
    if (right && left) w->left[w->n++] = left;
    w->at = right ? right : left;
    return n;
}

#endif
