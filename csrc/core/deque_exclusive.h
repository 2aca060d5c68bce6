/* deque_exclusive.h - both ends of a deque where nothing interleaves (RG_EXCLUSIVE).
 *
 * Nothing runs between two accesses of one operation, so a record may be changed in place, if nobody would notice: who
 * remembers an anchor from one operation to another, for it to mean that all is as it was, holds it (node.h). So
 * a deque has a record of its own, `own`, which it holds itself, and which push and pop write while nobody else
 * holds it and it has not expired. It is the anchor, or the deque is empty; else it is out of use, or not there yet.
 *
 * While it is the anchor, all links are set and those at the ends name nothing: each node that push or pop takes out goes at
 * once, as nobody can be looking, and its neighbour's link is set to 0. The operations of deque.h leave
 * another anchor, and links that own nodes: for them it is a record as any other, which expires when it is replaced.
 * rg_deque_make_own puts it in their place again, or a new one.
 *
 * A try does what there is to do where nothing is in the way, and calls nothing, so its caller keeps nothing across calls. It
 * leaves the clock alone, which is for those who look while others write (kcas.h).
 */
#ifndef RG_DEQUE_EXCLUSIVE_H
#define RG_DEQUE_EXCLUSIVE_H

#include "deque.h"

#define RG_DEQUE_ONE (1ULL << 20) /* a position, in meta */

/* Of a record's meta: it is there, and the deque alone holds it. */
static inline bool rg_deque_is_ours(uint64_t meta) { return __builtin_expect((meta & RG_HOLDERS) == 2, 1); }

/* False: nothing is done, and after rg_deque_make_own it will be. */
static inline __attribute__((always_inline)) bool rg_deque_try_push_own(rg_deque *d, rg_wide *n, int side)
{
    uint64_t a = rg_load_rlx(&d->anchor), own = rg_load_rlx(&d->own); /* relaxed, all: exclusive */
    rg_wide *record = rg_wide_of(own), *in = NULL;
    if (__builtin_expect(!own, 0)) return false;
    uint64_t meta = rg_load_rlx(&record->node.meta);
    if (!rg_deque_is_ours(meta)) return false;
    if (a) {
        if (__builtin_expect(a != own, 0)) return false;
        in = rg_deque_next(record, side);
        rg_store_rlx(rg_deque_link(in, side), rg_wide_word(n));
    } else {
        rg_store_rlx(&d->anchor, own);
        rg_store_rlx(rg_deque_link(record, !side), rg_wide_word(n));
    }
    rg_store_rlx(&record->node.meta, meta + RG_DEQUE_ONE); /* of the last that was popped, 0 is left */
    rg_store_rlx(rg_deque_link(record, side), rg_wide_word(n));
    /* Neither it nor its mark will ever be an anchor: only its links count. */
    rg_store_rlx(rg_deque_link(n, side), 0);
    rg_store_rlx(rg_deque_link(n, !side), rg_wide_word(in));
    rg_wide_place(n, 0);
    return true;
}

/* The node popped, whose memory and reference are the caller's; NULL: nothing is done, and after rg_deque_make_own it will
 * be, unless there is no item. */
static inline __attribute__((always_inline)) rg_wide *rg_deque_try_pop_own(rg_deque *d, int side)
{
    uint64_t a = rg_load_rlx(&d->anchor);
    if (__builtin_expect(!a || a != rg_load_rlx(&d->own), 0)) return NULL;
    rg_wide *record = rg_wide_of(a);
    uint64_t meta = rg_load_rlx(&record->node.meta);
    if (!rg_deque_is_ours(meta)) return NULL;
    rg_wide *n = rg_deque_next(record, side), *in = rg_deque_next(n, !side);
    if (in) {
        rg_store_rlx(rg_deque_link(in, side), 0);
        rg_store_rlx(rg_deque_link(record, side), rg_wide_word(in));
    } else {
        rg_store_rlx(&d->anchor, 0);
    }
    rg_store_rlx(&record->node.meta, meta - RG_DEQUE_ONE);
    return n;
}

/* The deque has none any more; nobody has it, or it is held. */
static inline void rg_deque_give_up_own(rg_slot *s, rg_deque *d)
{
    rg_wide *own = rg_wide_of(rg_load_rlx(&d->own));
    if (!own) return;
    if (!(rg_load_rlx(&own->node.meta) & 1)) rg_node_expired(s, &own->node);
    rg_node_release(s, &own->node);
    rg_store_rlx(&d->own, 0);
}

/* What the deque says stays. False: no memory, and nothing done. */
static RG_SLOW bool rg_deque_make_own(rg_slot *s, rg_deque *d)
{
    uint64_t a = rg_load(&d->anchor), own = rg_load_rlx(&d->own);
    bool ours = own && rg_deque_is_ours(rg_load_rlx(&rg_wide_of(own)->node.meta));
    if (ours && (!a || a == own)) return true;
    rg_wide *record = ours ? rg_wide_of(own) : rg_wide_new(s, 0);
    if (!record) return false;
    rg_deque_view v = rg_deque_view_of(a);
    if (a) {
        (void)rg_deque_set_links(s, d, a, &v);
        for (int side = RG_AT_LEFT; side <= RG_AT_RIGHT; side++) {
            rg_word *link = rg_deque_link(v.end[side], side);
            rg_deque_retire(s, rg_load(link));
            rg_store(link, 0);
        }
    }
    rg_deque_record(record, &v);
    rg_node_hold(&record->node);
    if (a) {
        (void)rg_cas_once(&s->desc, &d->anchor, a, rg_wide_word(record));
        if (!v.mark) rg_deque_retire(s, a);
    }
    if (!ours) rg_deque_give_up_own(s, d);
    rg_store_rlx(&d->own, rg_wide_word(record));
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

#endif
