/* queue.h - the queue of Michael and Scott (PODC 1996) over payload words; bounded, where that is wanted, and
 * closed in the end.
 *
 * Invariants. head points to a dummy whose payload is spent; the items are the nodes behind it;
 * the list ends at the one reachable node with next == 0 (or CLOSED); next changes once, from 0. tail points
 * to a node of the list at or behind the last, and never falls behind head: so a node that head
 * has passed is reachable from neither, and may be retired. Nodes are numbered in the order of their puts.
 *
 * Linearization: put at the CAS on the last node's next; get at the CAS on head; an empty get at
 * the read of next == 0 (which implies that head is still there, head never passing the end).
 * `lookers` is as in stack.h.
 *
 * Bounded: a node of number p may be put if p - number of head <= maxsize. Head's number only grows, so one
 * that was read before can err towards "full" alone: where it allows a put whose CAS then succeeds, there is room
 * at that CAS. `passed` is such a number, on the line of the producers: while it will do they leave head's line alone (as
 * in Saturn's bounded queue, whose nodes carry a capacity). "Full" needs a head read after the last node's
 * next == 0: at that read of next the node was the last, and head not further than afterwards; so the queue was
 * full and open at that instant, the linearization point.
 *
 * Closed: the last link goes from 0 to CLOSED, for ever, by the CAS by which a put goes from 0 to its node. Nothing
 * else pays for it: who finds a link that is not 0 looks what it is.
 *
 * Tasks: the number of the last node is how many puts there were; with `done`, how many of them are done with, that
 * makes the unfinished ones. done <= puts at each instant.
 */
#ifndef RG_QUEUE_H
#define RG_QUEUE_H

#include "node.h"

/* Producers and consumers do not share a line. */
typedef struct rg_queue {
    rg_word head;
    rg_word lookers;
    rg_word done;
    char apart[RG_CACHE_LINE - 24];
    rg_word tail;
    rg_word passed;  /* a number that head once had: see above */
    rg_word limit;   /* what maxsize comes to, for those who would rather not meet a k-CAS there */
    rg_word maxsize; /* signed; up to 0: unbounded */
} rg_queue;

#define RG_QUEUE_CLOSED 1

/* Of a link: no node comes after it; now, or for ever. */
static inline bool rg_queue_ends(uint64_t next) { return next <= RG_QUEUE_CLOSED; }

#define RG_QUEUE_MOST ((int64_t)1 << 42) /* a larger maxsize is none; numbers go round after four times that */

/* What maxsize comes to. */
static inline uint64_t rg_queue_limit(uint64_t maxsize)
{
    int64_t n = (int64_t)maxsize;
    return (uint64_t)(n <= 0 || n > RG_QUEUE_MOST ? RG_QUEUE_MOST : n);
}

/* Before it is shared. */
static inline void rg_queue_open(rg_queue *q, rg_node *dummy, int64_t maxsize)
{
    rg_store_rlx(&q->maxsize, (uint64_t)maxsize); /* relaxed, all: private yet */
    rg_store_rlx(&q->limit, rg_queue_limit((uint64_t)maxsize));
    rg_store_rlx(&q->passed, rg_node_position(dummy));
    rg_store_rlx(&q->head, rg_node_word(dummy));
    rg_store_rlx(&q->tail, rg_node_word(dummy));
}

/* A put that is under way may still go by what it was. */
static inline void rg_queue_set_maxsize(rg_slot *s, rg_queue *q, int64_t maxsize)
{
    const rg_space *sp = &s->domain->space;
    uint64_t now = rg_read(sp, s->index, &q->maxsize);
    while (!rg_cas1(sp, s->index, &q->maxsize, now, (uint64_t)maxsize)) now = rg_read(sp, s->index, &q->maxsize);
    do { /* who is the last to set the one sets the other */
        now = rg_read(sp, s->index, &q->maxsize);
        rg_store(&q->limit, rg_queue_limit(now));
    } while (rg_read(sp, s->index, &q->maxsize) != now);
}

/* May a node of number p be put? Pinned. */
__attribute__((noinline, unused)) static bool rg_queue_has_room_now(rg_slot *s, rg_queue *q, uint64_t p)
{
    uint64_t head = rg_node_position(rg_node_of(rg_read(&s->domain->space, s->index, &q->head)));
    rg_store_rlx(&q->passed, head); /* relaxed, and perhaps less than others have stored: it has been that far */
    return rg_ahead(head + rg_load_rlx(&q->limit), p) >= 0; /* relaxed: a put is not ordered with a change of it */
}
static inline bool rg_queue_has_room(rg_slot *s, rg_queue *q, uint64_t p)
{
    /* relaxed: as there */
    return __builtin_expect(rg_ahead(rg_load_rlx(&q->passed) + rg_load_rlx(&q->limit), p) >= 0, 1) || rg_queue_has_room_now(s, q, p);
}

/* The last node, tail brought up to it. Pinned. */
static inline rg_node *rg_queue_last(rg_slot *s, rg_queue *q)
{
    const rg_space *sp = &s->domain->space;
    for (;;) {
        rg_node *t = rg_node_of(rg_read(sp, s->index, &q->tail));
        uint64_t next = rg_read(sp, s->index, &t->next);
        if (rg_queue_ends(next)) return t;
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
    uint64_t next = rg_load(&t->next);
    if (__builtin_expect(next != 0, 0)) return next == RG_QUEUE_CLOSED ? RG_TRIED_CLOSED : RG_TRIED_BUSY;
    uint64_t p = rg_node_position(t) + 1;
    if (!rg_queue_has_room(s, q, p)) return RG_TRIED_FULL;
    rg_store_rlx(&n->next, 0); /* relaxed: private until the CAS */
    rg_node_place(n, p);
    if (__builtin_expect(!rg_cas_once(&s->desc, &t->next, 0, rg_node_word(n)), 0)) return RG_TRIED_LOST;
    rg_cas(&q->tail, tail, rg_node_word(n));
    *changed = &t->next;
    return RG_TRIED_DONE;
}

/* Head is about to pass h on to `next`, its link for good: tail first. Not one CAS alone: it fails too where a reaction that
 * is to fail itself, for h was the last node to it, has a reference on tail for a while. Pinned. */
static inline void rg_queue_take_tail_along(rg_slot *s, rg_queue *q, uint64_t h, uint64_t next)
{
    /* no clock: see rg_queue_last */
    while (rg_read(&s->domain->space, s->index, &q->tail) == h && !rg_cas(&q->tail, h, next)) {}
}

/* Pinned. *old is the dummy that was, for the caller to retire; *value the payload. */
static inline rg_tried rg_queue_try_get(rg_slot *s, rg_queue *q, rg_node **old, uint64_t *value)
{
    uint64_t h = rg_load(&q->head);
    if (__builtin_expect(rg_is_ref(h), 0)) return RG_TRIED_BUSY;
    *old = rg_node_of(h);
    uint64_t next = rg_load(&(*old)->next);
    if (__builtin_expect(rg_is_ref(next), 0)) return RG_TRIED_BUSY;
    if (rg_queue_ends(next)) return next ? RG_TRIED_CLOSED : RG_TRIED_EMPTY;
    uint64_t tail = rg_load(&q->tail);
    if (__builtin_expect(tail == h || rg_is_ref(tail), 0)) rg_queue_take_tail_along(s, q, h, next);
    *value = rg_node_of(next)->value;
    return __builtin_expect(rg_cas_once(&s->desc, &q->head, h, next), 1) ? RG_TRIED_DONE : RG_TRIED_LOST;
}

/* Both until they come to something: lock-free. Pinned, but not all the time: see rg_lost. `t` is what a first try of the
 * caller's has come to; RG_TRIED_BUSY: nothing worth mentioning, or there was none. DONE, or FULL or CLOSED. */
static inline rg_tried rg_queue_put(rg_slot *s, rg_queue *q, rg_node *n, rg_word **changed, rg_tried t)
{
    rg_backoff b = { 0 };
    while (t == RG_TRIED_LOST || t == RG_TRIED_BUSY) {
        if (t == RG_TRIED_LOST) rg_lost(s, &b);
        t = rg_queue_try_put(s, q, n, changed);
        if (t == RG_TRIED_BUSY) (void)rg_queue_last(s, q);
    }
    return t;
}

/* DONE, or EMPTY or CLOSED. */
static inline rg_tried rg_queue_get(rg_slot *s, rg_queue *q, rg_node **old, uint64_t *value, rg_tried t)
{
    const rg_space *sp = &s->domain->space;
    rg_backoff b = { 0 };
    while (t == RG_TRIED_LOST || t == RG_TRIED_BUSY) {
        if (t == RG_TRIED_LOST) rg_lost(s, &b);
        t = rg_queue_try_get(s, q, old, value);
        if (t == RG_TRIED_BUSY) /* under way on head, or on the link of what it says */
            (void)rg_read(sp, s->index, &rg_node_of(rg_read(sp, s->index, &q->head))->next);
    }
    return t;
}

/* From here on nothing is put. The link that it closed; NULL: it was closed. Pinned. */
static inline rg_word *rg_queue_close(rg_slot *s, rg_queue *q)
{
    for (;;) {
        rg_word *link = &rg_queue_last(s, q)->next;
        if (rg_cas1(&s->domain->space, s->index, link, 0, RG_QUEUE_CLOSED)) return link;
        if (rg_read(&s->domain->space, s->index, link) == RG_QUEUE_CLOSED) return NULL;
    }
}

/* Closed, emptied and what was in it done with, at one instant. Up to `most` items: more, or the queue changed: LOST. DONE:
 * *n nodes from *first on, their payloads those of the nodes after them, are the caller's, to retire. *changed: the link that it
 * closed; NULL: it was closed. Pinned. */
static inline rg_tried rg_queue_try_close_and_drain(rg_slot *s, rg_queue *q, uint64_t most, rg_node **first, uint64_t *n, rg_word **changed)
{
    const rg_space *sp = &s->domain->space;
    uint64_t h = rg_read(sp, s->index, &q->head), done = rg_read(sp, s->index, &q->done);
    rg_node *last = rg_queue_last(s, q); /* tail stands there, and does while it is the last */
    uint64_t end = rg_read(sp, s->index, &last->next);
    if (!rg_queue_ends(end)) return RG_TRIED_LOST;
    uint64_t puts = rg_node_position(last);
    *first = rg_node_of(h);
    *n = (uint64_t)rg_ahead(puts, rg_node_position(*first));
    if (*n > most) return RG_TRIED_LOST;
    /* Some of what was in it may be done with already: task_done does not ask whose it is. */
    int64_t unfinished = rg_ahead(puts, done);
    uint64_t finished = (int64_t)*n < unfinished ? *n : (uint64_t)unfinished;
    rg_cas_entry e[] = {
        { &last->next, end, RG_QUEUE_CLOSED },
        { &q->head, h, rg_node_word(last) },
        { &q->done, done, done + finished },
    };
    *changed = end ? NULL : &last->next;
    return rg_kcas(sp, s->index, e, 3) == RG_SUCCEEDED ? RG_TRIED_DONE : RG_TRIED_LOST;
}

/* How many puts are not done with: at most so many when the link of the last node was read. So 0 is 0. Pinned. */
static inline int64_t rg_queue_unfinished(rg_slot *s, rg_queue *q)
{
    uint64_t done = rg_read(&s->domain->space, s->index, &q->done);
    int64_t n = rg_ahead(rg_node_position(rg_queue_last(s, q)), done);
    return n > 0 ? n : 0;
}

/* One more is done with. EMPTY: none is left that could be. DONE: *now of them, this one included. Pinned. */
static inline rg_tried rg_queue_try_task_done(rg_slot *s, rg_queue *q, uint64_t *now)
{
    const rg_space *sp = &s->domain->space;
    uint64_t done = rg_read(sp, s->index, &q->done);
    /* What was got was put: mostly that is enough, and the producers' line is left alone. */
    if (rg_ahead(rg_node_position(rg_node_of(rg_read(sp, s->index, &q->head))), done) <= 0 &&
        rg_ahead(rg_node_position(rg_queue_last(s, q)), done) <= 0)
        return RG_TRIED_EMPTY;
    *now = done + 1;
    return rg_cas_once(&s->desc, &q->done, done, *now) ? RG_TRIED_DONE : RG_TRIED_LOST;
}

/* How many items there were at the read of the last node: head, which only moves on, was there before and still is. A
 * reaction may move both in one step. Pinned. */
static inline uint64_t rg_queue_size(rg_slot *s, rg_queue *q)
{
    const rg_space *sp = &s->domain->space;
    for (uint64_t head = rg_read(sp, s->index, &q->head), now;; head = now) {
        uint64_t last = rg_node_position(rg_queue_last(s, q));
        if ((now = rg_read(sp, s->index, &q->head)) == head)
            return (uint64_t)rg_ahead(last, rg_node_position(rg_node_of(head)));
    }
}

#endif
