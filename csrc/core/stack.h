/* stack.h - Treiber's stack (IBM RJ 5118, 1986) over payload words.
 *
 * Invariant: head is 0 or the top node; a node's link and payload do not change while it is
 * reachable. Linearization: push and pop at the CAS on head, an empty pop at the read of 0.
 * No ABA: whoever has read head is pinned (a reaction across user code: holds the node), so the
 * address cannot come back while it matters.
 *
 * lookers. A popper may take the payload's ownership at once only if nobody is between reading
 * head and securing the payload (taking a reference). Who wants to look counts itself in, reads
 * head (again), secures, counts itself out; a popper asks after its CAS. All four accesses are
 * sequentially consistent: if the looker's read of head came before the CAS, the popper sees it.
 */
#ifndef RG_STACK_H
#define RG_STACK_H

#include "node.h"

typedef struct rg_stack {
    rg_word head;
    rg_word lookers;
} rg_stack;

static inline void rg_stack_link(rg_node *n, uint64_t below)
{
    rg_store_rlx(&n->next, below); /* relaxed: private until published */
    rg_node_place(n, below ? rg_node_position(rg_node_of(below)) + 1 : 1);
}

/* Pinned. The node is the stack's afterwards. Lock-free. */
static inline void rg_stack_push(rg_slot *s, rg_stack *st, rg_node *n)
{
    const rg_space *sp = &s->domain->space;
    rg_backoff b = RG_BACKOFF_INIT;
    for (;;) {
        uint64_t h = rg_read(sp, s->index, &st->head);
        rg_stack_link(n, h);
        if (rg_cas_once(&s->desc, &st->head, h, rg_node_word(n))) return;
        rg_backoff_wait(&b);
    }
}

/* Pinned. The unlinked node, for the caller to retire; NULL: empty. Lock-free. */
static inline rg_node *rg_stack_pop(rg_slot *s, rg_stack *st)
{
    const rg_space *sp = &s->domain->space;
    rg_backoff b = RG_BACKOFF_INIT;
    for (;;) {
        uint64_t h = rg_read(sp, s->index, &st->head);
        if (!h) return NULL;
        rg_node *n = rg_node_of(h);
        if (rg_cas_once(&s->desc, &st->head, h, rg_load_rlx(&n->next))) return n; /* relaxed: never changes */
        rg_backoff_wait(&b);
    }
}

static inline uint64_t rg_stack_size(rg_slot *s, rg_stack *st)
{
    uint64_t h = rg_read(&s->domain->space, s->index, &st->head);
    return h ? rg_node_position(rg_node_of(h)) : 0;
}

#endif
