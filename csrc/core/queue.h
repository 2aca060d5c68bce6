/* queue.h - the queue of Michael and Scott (PODC 1996) over payload words.
 *
 * Invariants. head points to a dummy whose payload is spent; the items are the nodes behind it;
 * the list ends at the one reachable node with next == 0; next changes once, from 0. tail points
 * to a node of the list at or behind the last, and never falls behind head: so a node that head
 * has passed is reachable from neither, and may be retired.
 *
 * Linearization: put at the CAS on the last node's next; get at the CAS on head; an empty get at
 * the read of next == 0 (which implies that head is still there, head never passing the end).
 * `lookers` is as in stack.h.
 */
#ifndef RG_QUEUE_H
#define RG_QUEUE_H

#include "node.h"

/* Producers and consumers do not share a line. */
typedef struct rg_queue {
    rg_word head;
    rg_word lookers;
    char apart[RG_CACHE_LINE - 16];
    rg_word tail;
} rg_queue;

/* The last node, tail brought up to it. Pinned. */
static inline rg_node *rg_queue_last(rg_slot *s, rg_queue *q)
{
    const rg_space *sp = &s->domain->space;
    for (;;) {
        rg_node *t = rg_node_of(rg_read(sp, s->index, &q->tail));
        uint64_t next = rg_read(sp, s->index, &t->next);
        if (!next) return t;
        /* not a logical change, so no clock: tail is a hint, only ever helped forward */
        rg_cas(&q->tail, rg_node_word(t), next);
    }
}

/* Pinned. Returns the word that was changed, for the waiters. Lock-free. */
static inline rg_word *rg_queue_put(rg_slot *s, rg_queue *q, rg_node *n)
{
    rg_backoff b = RG_BACKOFF_INIT;
    for (;;) {
        rg_node *t = rg_queue_last(s, q);
        rg_node_place(n, rg_node_position(t) + 1);
        if (rg_cas_once(&s->desc, &t->next, 0, rg_node_word(n))) {
            rg_cas(&q->tail, rg_node_word(t), rg_node_word(n));
            return &t->next;
        }
        rg_backoff_wait(&b);
    }
}

/* Pinned. On success the old dummy, for the caller to retire, with the payload in *value. */
static inline rg_node *rg_queue_get(rg_slot *s, rg_queue *q, uint64_t *value)
{
    const rg_space *sp = &s->domain->space;
    rg_backoff b = RG_BACKOFF_INIT;
    for (;;) {
        uint64_t h = rg_read(sp, s->index, &q->head);
        uint64_t next = rg_read(sp, s->index, &rg_node_of(h)->next);
        if (!next) return NULL;
        if (rg_read(sp, s->index, &q->tail) == h) rg_cas(&q->tail, h, next);
        *value = rg_node_of(next)->value;
        if (rg_cas_once(&s->desc, &q->head, h, next)) return rg_node_of(h);
        rg_backoff_wait(&b);
    }
}

/* May count an item twice or miss one that moves meanwhile, as any size of a queue in use. */
static inline uint64_t rg_queue_size(rg_slot *s, rg_queue *q)
{
    /* head first: the other order could pass it */
    uint64_t first = rg_node_position(rg_node_of(rg_read(&s->domain->space, s->index, &q->head)));
    return rg_node_position(rg_queue_last(s, q)) - first;
}

#endif
