/* deque_exclusive.h - both ends of a deque where nothing interleaves (RG_EXCLUSIVE).
 *
 * Nothing runs between two accesses of one operation, so a record may be changed in place, if nobody would notice: who
 * remembers an anchor from one operation to another, for it to mean that all is as it was, holds it (node.h). So
 * push and pop write the record if it is their own: all links are set, nobody holds it, and no link at an end names
 * anything. (Each node that they pop goes at once, as nobody can be looking, and its neighbour's link is set to 0.) What
 * the operations of deque.h leave is made such a record first, by rg_deque_make_own. The record of a deque that becomes
 * empty is its spare one until an item comes: then `spare` is 0, as in a deque that make_own has seen to.
 *
 * A try does what there is to do where nothing is in the way, and calls nothing, so its caller keeps nothing across calls.
 */
#ifndef RG_DEQUE_EXCLUSIVE_H
#define RG_DEQUE_EXCLUSIVE_H

#include "deque.h"

#define RG_DEQUE_ONE (1ULL << 20) /* a position, in meta */

/* The anchor has changed, or what it says: see rg_cas_once. */
static inline void rg_deque_changed(rg_slot *s)
{
    rg_store_rlx(&s->desc.clock, rg_load_rlx(&s->desc.clock) + 2); /* relaxed: exclusive */
}

/* A record, all of whose links are set, and nobody holds it. `meta` is what it says there. */
static inline bool rg_deque_is_own(rg_wide *w, uint64_t meta)
{
    return __builtin_expect(!rg_load_rlx(&w->more[1]) && !(meta & RG_HOLDERS), 1);
}

/* False: nothing is done, and after rg_deque_make_own it will be. */
static inline __attribute__((always_inline)) bool rg_deque_try_push_own(rg_slot *s, rg_deque *d, rg_wide *n, int side)
{
    rg_wide *record = rg_wide_of(rg_load_rlx(&d->anchor)), *in = NULL; /* relaxed, all: exclusive */
    if (record) {
        uint64_t meta = rg_load_rlx(&record->node.meta);
        if (!rg_deque_is_own(record, meta)) return false;
        in = rg_deque_next(record, side);
        if (__builtin_expect(rg_load_rlx(rg_deque_link(in, side)) != 0, 0)) return false;
        rg_store_rlx(rg_deque_link(in, side), rg_wide_word(n));
        rg_store_rlx(&record->node.meta, meta + RG_DEQUE_ONE);
    } else {
        record = rg_wide_of(rg_load_rlx(&d->spare));
        if (__builtin_expect(!record, 0)) return false;
        rg_store_rlx(&d->spare, 0);
        rg_store_rlx(&d->anchor, rg_wide_word(record));
        rg_store_rlx(rg_deque_link(record, !side), rg_wide_word(n));
        rg_wide_place(record, 1);
    }
    rg_store_rlx(rg_deque_link(record, side), rg_wide_word(n));
    /* Neither it nor its mark will ever be an anchor: only its links count. */
    rg_store_rlx(rg_deque_link(n, side), 0);
    rg_store_rlx(rg_deque_link(n, !side), rg_wide_word(in));
    rg_wide_place(n, 0);
    rg_deque_changed(s);
    return true;
}

/* The node popped, whose memory and reference are the caller's; NULL: nothing is done, and after rg_deque_make_own it will
 * be, unless there is no item. */
static inline __attribute__((always_inline)) rg_wide *rg_deque_try_pop_own(rg_slot *s, rg_deque *d, int side)
{
    rg_wide *record = rg_wide_of(rg_load_rlx(&d->anchor));
    if (__builtin_expect(!record, 0)) return NULL;
    uint64_t meta = rg_load_rlx(&record->node.meta);
    if (!rg_deque_is_own(record, meta)) return NULL;
    rg_wide *n = rg_deque_next(record, side), *in = rg_deque_next(n, !side);
    if (__builtin_expect(rg_load_rlx(rg_deque_link(n, side)) != 0, 0)) return NULL;
    if (meta >> 20 != 1) {
        rg_store_rlx(rg_deque_link(in, side), 0);
        rg_store_rlx(rg_deque_link(record, side), rg_wide_word(in));
        rg_store_rlx(&record->node.meta, meta - RG_DEQUE_ONE);
    } else {
        if (__builtin_expect(in || rg_load_rlx(&d->spare), 0)) return NULL;
        rg_store_rlx(&d->anchor, 0);
        rg_store_rlx(&d->spare, rg_wide_word(record));
    }
    rg_deque_changed(s);
    return n;
}

/* What it says stays. False: no memory, and nothing done. */
static RG_SLOW bool rg_deque_make_own(rg_slot *s, rg_deque *d)
{
    uint64_t a = rg_load(&d->anchor);
    rg_wide *w = rg_wide_of(a), *record = w;
    if (!a || rg_load_rlx(&w->more[1]) || rg_load_rlx(&w->node.meta) & RG_HOLDERS) {
        record = rg_wide_of(rg_load_rlx(&d->spare));
        if (!record && !(record = rg_wide_new(s, 0))) return false;
        rg_store_rlx(&d->spare, a ? 0 : rg_wide_word(record));
        if (!a) return true;
    }
    rg_deque_view v = rg_deque_view_of(a);
    (void)rg_deque_set_links(s, d, a, &v);
    for (int side = RG_AT_LEFT; side <= RG_AT_RIGHT; side++) {
        rg_word *link = rg_deque_link(v.end[side], side);
        rg_deque_retire(s, rg_load(link));
        rg_store(link, 0);
    }
    if (record != w) {
        rg_deque_record(record, &v);
        (void)rg_cas_once(&s->desc, &d->anchor, a, rg_wide_word(record));
        if (!v.mark) rg_deque_retire(s, a);
    }
    rg_deque_retire(s, rg_load(&d->spare));
    rg_store(&d->spare, 0);
    return true;
}

/* The memory of a node that was popped can be kept at once. */
static inline bool rg_deque_keeps(rg_slot *s, rg_wide *n)
{
    return __builtin_expect(!(rg_load_rlx(&n->node.meta) & RG_HOLDERS) && s->free_wide_count < RG_NODE_CACHE, 1);
}

static inline void rg_deque_keep(rg_slot *s, rg_wide *n)
{
    rg_store_rlx(&n->node.next, rg_wide_word(s->free_wide)); /* relaxed: private list */
    s->free_wide = n;
    s->free_wide_count++;
}

/* Empty, and gone. */
static inline void rg_deque_close(rg_slot *s, rg_deque *d)
{
    rg_deque_retire(s, rg_load(&d->spare));
    rg_store(&d->spare, 0);
}

#endif
