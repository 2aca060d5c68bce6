/* stack.h - Treiber's stack (IBM RJ 5118, 1986) over payload words.
 *
 * Invariant: head is 0 or the top node; a node's link and payload do not change while it is
 * reachable. Linearization: push and pop at the CAS on head, an empty pop at the read of 0.
 * No ABA: whoever has read head is pinned (a reaction across user code: holds the node), so the
 * address cannot come back while it matters. A push and a pop that have lost a CAS may meet elsewhere:
 * elimination.h.
 *
 * lookers. A popper may take the payload's ownership at once only if nobody is between reading
 * head and securing the payload (taking a reference). Who wants to look counts itself in, reads
 * head (again), secures, counts itself out; a popper asks after its CAS. All four accesses are
 * sequentially consistent: if the looker's read of head came before the CAS, the popper sees it.
 */
#ifndef RG_STACK_H
#define RG_STACK_H

#include "elimination.h"

typedef struct rg_stack {
    rg_word head;
    rg_word lookers;
    rg_word places; /* elimination.h: for those who have lost a CAS on head; 0 until then */
} rg_stack;

static inline void rg_stack_link(rg_node *n, uint64_t below)
{
    rg_store_rlx(&n->next, below); /* relaxed: private until published */
    rg_node_place(n, below ? rg_node_position(rg_node_of(below)) + 1 : 1);
}

/* Pinned. Once done the node is the stack's. */
static inline rg_tried rg_stack_try_push(rg_slot *s, rg_stack *st, rg_node *n)
{
    uint64_t h = rg_load(&st->head);
    if (__builtin_expect(rg_is_ref(h), 0)) return RG_TRIED_BUSY;
    rg_stack_link(n, h);
    return __builtin_expect(rg_cas_once(&s->desc, &st->head, h, rg_node_word(n)), 1) ? RG_TRIED_DONE : RG_TRIED_LOST;
}

/* Pinned. *n is the unlinked node, for the caller to retire. */
static inline rg_tried rg_stack_try_pop(rg_slot *s, rg_stack *st, rg_node **n)
{
    uint64_t h = rg_load(&st->head);
    if (__builtin_expect(rg_is_ref(h), 0)) return RG_TRIED_BUSY;
    if (!h) return RG_TRIED_EMPTY;
    *n = rg_node_of(h);
    uint64_t below = rg_load_rlx(&(*n)->next); /* relaxed: never changes */
    return __builtin_expect(rg_cas_once(&s->desc, &st->head, h, below), 1) ? RG_TRIED_DONE : RG_TRIED_LOST;
}

/* Both until they come through: lock-free. Pinned, but not all the time: see rg_lost. `t` is what a first
 * try of the caller's has come to; RG_TRIED_BUSY: nothing worth mentioning, or there was none.
 * DONE: as a try that is. MET: head was not changed; a popped node is the caller's alone, to free at once. */
static inline rg_tried rg_stack_push(rg_slot *s, rg_stack *st, rg_node *n, rg_tried t)
{
    rg_backoff b = { 0 };
    for (;;) {
        if (t == RG_TRIED_LOST && rg_eliminate_push(s, &st->places, n, &b)) return RG_TRIED_MET;
        t = rg_stack_try_push(s, st, n);
        if (t == RG_TRIED_DONE) return t;
        if (t == RG_TRIED_BUSY) (void)rg_read(&s->domain->space, s->index, &st->head);
    }
}

/* The same, or EMPTY. */
static inline rg_tried rg_stack_pop(rg_slot *s, rg_stack *st, rg_node **n, rg_tried t)
{
    rg_backoff b = { 0 };
    for (;;) {
        if (t == RG_TRIED_LOST && (*n = rg_eliminate_pop(s, &st->places, &b))) return RG_TRIED_MET;
        t = rg_stack_try_pop(s, st, n);
        if (t == RG_TRIED_DONE || t == RG_TRIED_EMPTY) return t;
        if (t == RG_TRIED_BUSY) (void)rg_read(&s->domain->space, s->index, &st->head);
    }
}

/* Empty and gone, as far as its words are concerned. */
static inline void rg_stack_close(rg_stack *st) { rg_eliminate_no_more(&st->places); }

/* By the word that head was. */
static inline uint64_t rg_stack_size_of(uint64_t head) { return head ? rg_node_position(rg_node_of(head)) : 0; }
static inline uint64_t rg_stack_size(rg_slot *s, rg_stack *st)
{
    return rg_stack_size_of(rg_read(&s->domain->space, s->index, &st->head));
}

#endif
