/* chase_lev.h - a work-stealing deque over payload words, after Chase and Lev (SPAA 2005): one owner pushes and pops at
 * the bottom, anybody steals at the top; a circular array that grows.
 *
 * Otherwise than there, top and the number of items share one word, the state, and each operation is one CAS on it: there
 * it linearizes, an empty one at its read. With two words an owner that pops must first take the bottom away and only
 * then look whether the item was stolen, and in between the deque looks empty though it may not be: alone that can
 * be explained (the pop overlaps), in a reaction, whose other words change at its own instant, it cannot. The fence
 * that their pop needs costs what our CAS does; their push needs none (Le, Pop, Cohen and Zappa Nardelli, PPoPP 2013), and ours
 * has a CAS that nobody contends for unless he steals.
 *
 * Invariants. Items are at top, top + 1, ..., each in the slot of its index modulo the size of the array. Only the owner writes
 * slots, of indices past the items; it publishes them by its CAS on the state. It writes them by CAS, too: a reaction that
 * would steal several compares their slots, and the state comes back when the owner pops and pushes. The last item is popped by moving top, as if
 * stolen: so while top is the same the item there is, too, and who has read it may take it by a CAS on the state as read
 * (top has 36 bits; it comes back after 2^36 items). An array that was outgrown keeps what it has, so that it may
 * still be read, until the deque goes: all of them together are as long as the last. */
#ifndef RG_CHASE_LEV_H
#define RG_CHASE_LEV_H

#include "node.h"

#define RG_CL_MOST ((1ULL << 26) - 1) /* items */
#define RG_CL_TOPS ((1ULL << 36) - 1)
#define RG_CL_FIRST 32u

typedef struct rg_cl_array {
    struct rg_cl_array *older;
    uint64_t mask;
    rg_word at[];
} rg_cl_array;

typedef struct rg_chase_lev {
    rg_word state;
    rg_word lookers; /* as in stack.h */
    rg_word array;
} rg_chase_lev;

static inline uint64_t rg_cl_count(uint64_t state) { return state & RG_CL_MOST; }
static inline uint64_t rg_cl_top(uint64_t state) { return state >> 26; }
static inline uint64_t rg_cl_state(uint64_t top, uint64_t count) { return (top & RG_CL_TOPS) << 26 | count; }
/* After a pop; after a steal. There is an item. */
static inline uint64_t rg_cl_popped(uint64_t state)
{
    return rg_cl_count(state) > 1 ? state - 1 : rg_cl_state(rg_cl_top(state) + 1, 0);
}
static inline uint64_t rg_cl_stolen(uint64_t state) { return rg_cl_state(rg_cl_top(state) + 1, rg_cl_count(state) - 1); }

/* The slot of the i-th item from the top; NULL: the array has no room for so many. Pinned, or the owner; the state was read
 * before. acquire: what the array was made with */
static inline rg_word *rg_cl_slot(rg_slot *s, rg_chase_lev *d, uint64_t state, uint64_t i)
{
    rg_cl_array *a = (rg_cl_array *)(uintptr_t)rg_read(&s->domain->space, s->index, &d->array);
    return a && i <= a->mask ? &a->at[(rg_cl_top(state) + i) & a->mask] : NULL;
}

/* Did slot w hold the node as an item, at an instant after the call began? Its index is one of an item of that state,
 * and all three were read before, the node's address in use since. It is not enough that the state and the slot are as they
 * were: the state comes back, and an array that was outgrown stays as it was. Arrays do not come back. Pinned. */
static inline bool rg_cl_holds(rg_slot *s, rg_chase_lev *d, uint64_t state, uint64_t array, rg_word *w, uint64_t node)
{
    const rg_space *sp = &s->domain->space;
    return rg_read(sp, s->index, &d->state) == state && rg_read(sp, s->index, w) == node && rg_read(sp, s->index, &d->array) == array;
}

/* By the owner: room for n items. False: no memory, or more than there may be. */
static inline bool rg_cl_grow(rg_slot *s, rg_chase_lev *d, uint64_t n)
{
    const rg_space *sp = &s->domain->space;
    rg_cl_array *old = (rg_cl_array *)(uintptr_t)rg_read(sp, s->index, &d->array);
    uint64_t size = old ? old->mask + 1 : RG_CL_FIRST;
    while (size < n) size *= 2;
    if (n > RG_CL_MOST) return false;
    if (old && size == old->mask + 1) return true;
    rg_cl_array *a = rg_alloc(sizeof *a + size * sizeof *a->at);
    if (!a) return false;
    a->older = old;
    a->mask = size - 1;
    uint64_t state = rg_read(sp, s->index, &d->state), top = rg_cl_top(state);
    for (uint64_t i = 0; i < size; i++) {
        uint64_t v = old && i < rg_cl_count(state) ? rg_read(sp, s->index, &old->at[(top + i) & old->mask]) : 0;
        rg_store_rlx(&a->at[(top + i) & a->mask], v); /* relaxed: private yet */
    }
    (void)rg_cas1(sp, s->index, &d->array, (uint64_t)(uintptr_t)old, (uint64_t)(uintptr_t)a); /* nobody else changes it */
    return true;
}

/* The owner's. Once done the node is the deque's. FULL (as RG_TRIED_EMPTY): grow first. */
static inline rg_tried rg_cl_try_push(rg_slot *s, rg_chase_lev *d, rg_node *n)
{
    uint64_t state = rg_load(&d->state);
    if (__builtin_expect(rg_is_ref(state), 0)) return RG_TRIED_BUSY;
    rg_word *slot = rg_cl_slot(s, d, state, rg_cl_count(state));
    if (__builtin_expect(!slot || rg_cl_count(state) == RG_CL_MOST, 0)) return RG_TRIED_EMPTY;
    uint64_t was = rg_load(slot);
    if (__builtin_expect(rg_is_ref(was) || !rg_cas_once(&s->desc, slot, was, rg_node_word(n)), 0)) return RG_TRIED_BUSY;
    return __builtin_expect(rg_cas_once(&s->desc, &d->state, state, state + 1), 1) ? RG_TRIED_DONE : RG_TRIED_LOST;
}

/* *n is the caller's, to retire. Pinned. */
static inline rg_tried rg_cl_try_pop(rg_slot *s, rg_chase_lev *d, rg_node **n)
{
    uint64_t state = rg_load(&d->state);
    if (__builtin_expect(rg_is_ref(state), 0)) return RG_TRIED_BUSY;
    if (!rg_cl_count(state)) return RG_TRIED_EMPTY;
    *n = rg_node_of(rg_read(&s->domain->space, s->index, rg_cl_slot(s, d, state, rg_cl_count(state) - 1)));
    return __builtin_expect(rg_cas_once(&s->desc, &d->state, state, rg_cl_popped(state)), 1) ? RG_TRIED_DONE : RG_TRIED_LOST;
}

static inline rg_tried rg_cl_try_steal(rg_slot *s, rg_chase_lev *d, rg_node **n)
{
    uint64_t state = rg_load(&d->state);
    if (__builtin_expect(rg_is_ref(state), 0)) return RG_TRIED_BUSY;
    if (!rg_cl_count(state)) return RG_TRIED_EMPTY;
    *n = rg_node_of(rg_read(&s->domain->space, s->index, rg_cl_slot(s, d, state, 0)));
    return __builtin_expect(rg_cas_once(&s->desc, &d->state, state, rg_cl_stolen(state)), 1) ? RG_TRIED_DONE : RG_TRIED_LOST;
}

/* Until they come through: lock-free. Pinned, but not all the time: see rg_lost. Push false: no room to be had. */
static inline bool rg_cl_push(rg_slot *s, rg_chase_lev *d, rg_node *n)
{
    rg_backoff b = { 0 };
    for (rg_tried t; (t = rg_cl_try_push(s, d, n)) != RG_TRIED_DONE;) {
        uint64_t state = rg_read(&s->domain->space, s->index, &d->state);
        if (t == RG_TRIED_EMPTY && !rg_cl_grow(s, d, rg_cl_count(state) + 1)) return false;
        rg_word *slot = rg_cl_slot(s, d, state, rg_cl_count(state));
        if (slot) (void)rg_read(&s->domain->space, s->index, slot);
        if (t == RG_TRIED_LOST) rg_lost(s, &b);
    }
    return true;
}

static inline rg_node *rg_cl_take(rg_slot *s, rg_chase_lev *d, bool steal)
{
    rg_backoff b = { 0 };
    rg_node *n = NULL;
    for (rg_tried t; (t = steal ? rg_cl_try_steal(s, d, &n) : rg_cl_try_pop(s, d, &n)) != RG_TRIED_DONE;) {
        if (t == RG_TRIED_EMPTY) return NULL;
        if (t == RG_TRIED_LOST)
            rg_lost(s, &b);
        else
            (void)rg_read(&s->domain->space, s->index, &d->state);
    }
    return n;
}

/* Empty and gone. */
static inline void rg_cl_close(rg_chase_lev *d)
{
    for (rg_cl_array *a = (rg_cl_array *)(uintptr_t)rg_load(&d->array), *older; a; a = older) {
        older = a->older;
        rg_free(a);
    }
}

#endif
