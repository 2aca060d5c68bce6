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

/* Pinned. Once done the node is the queue's, and *changed the word that waiters may wait for. Busy:
 * also when tail lags. */
static inline rg_tried rg_queue_try_put(rg_slot *s, rg_queue *q, rg_node *n, rg_word **changed)
{
    uint64_t tail = rg_load(&q->tail);
    if (__builtin_expect(rg_is_ref(tail), 0)) return RG_TRIED_BUSY;
    rg_node *t = rg_node_of(tail);
    if (__builtin_expect(rg_load(&t->next) != 0, 0)) return RG_TRIED_BUSY;
    rg_store_rlx(&n->next, 0); /* relaxed: private until the CAS */
    rg_node_place(n, rg_node_position(t) + 1);
    if (__builtin_expect(!rg_cas_once(&s->desc, &t->next, 0, rg_node_word(n)), 0)) return RG_TRIED_LOST;
    rg_cas(&q->tail, tail, rg_node_word(n));
    *changed = &t->next;
    return RG_TRIED_DONE;
}

/* Pinned. *old is the dummy that was, for the caller to retire; *value the payload. */
static inline rg_tried rg_queue_try_get(rg_slot *s, rg_queue *q, rg_node **old, uint64_t *value)
{
    uint64_t h = rg_load(&q->head);
    if (__builtin_expect(rg_is_ref(h), 0)) return RG_TRIED_BUSY;
    *old = rg_node_of(h);
    uint64_t next = rg_load(&(*old)->next);
    if (__builtin_expect(rg_is_ref(next), 0)) return RG_TRIED_BUSY;
    if (!next) return RG_TRIED_EMPTY;
    uint64_t tail = rg_load(&q->tail);
    if (__builtin_expect(tail == h || rg_is_ref(tail), 0)) {
        tail = rg_read(&s->domain->space, s->index, &q->tail);
        if (tail == h) rg_cas(&q->tail, h, next); /* no clock: see rg_queue_last */
    }
    *value = rg_node_of(next)->value;
    return __builtin_expect(rg_cas_once(&s->desc, &q->head, h, next), 1) ? RG_TRIED_DONE : RG_TRIED_LOST;
}

/* Both until they come through: lock-free. Pinned, but not all the time: see rg_lost. */
static inline rg_word *rg_queue_put(rg_slot *s, rg_queue *q, rg_node *n)
{
    rg_backoff b = { 0 };
    rg_word *changed = NULL;
    for (rg_tried t; (t = rg_queue_try_put(s, q, n, &changed)) != RG_TRIED_DONE;) {
        if (t == RG_TRIED_LOST)
            rg_lost(s, &b);
        else
            (void)rg_queue_last(s, q);
    }
    return changed;
}

static inline rg_node *rg_queue_get(rg_slot *s, rg_queue *q, uint64_t *value)
{
    const rg_space *sp = &s->domain->space;
    rg_backoff b = { 0 };
    rg_node *old = NULL;
    for (rg_tried t; (t = rg_queue_try_get(s, q, &old, value)) != RG_TRIED_DONE;) {
        if (t == RG_TRIED_EMPTY) return NULL;
        if (t == RG_TRIED_LOST)
            rg_lost(s, &b);
        else /* under way on head, or on the link of what it says */
            (void)rg_read(sp, s->index, &rg_node_of(rg_read(sp, s->index, &q->head))->next);
    }
    return old;
}

/* May count an item twice or miss one that moves meanwhile, as any size of a queue in use. */
static inline uint64_t rg_queue_size(rg_slot *s, rg_queue *q)
{
    /* head first: the other order could pass it */
    uint64_t first = rg_node_position(rg_node_of(rg_read(&s->domain->space, s->index, &q->head)));
    return rg_node_position(rg_queue_last(s, q)) - first;
}

#endif
