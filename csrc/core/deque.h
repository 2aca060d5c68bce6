/* deque.h - a deque over payload words, after Michael's CAS-based one (Euro-Par 2003).
 *
 * One word, the anchor, names an immutable record of the whole state: the nodes at both ends and how many there are; 0
 * says that there is none. Each operation swaps the anchor by one CAS (or one entry of a k-CAS): there it linearizes,
 * an empty pop at its read of 0. A node and a record are rg_wides:
 *                 next (to the right)   more[0] (to the left)   more[1]                       position
 *   record        rightmost node        leftmost node           unset links                   items
 *   node          neighbour             neighbour               far end | how it came         items, once it was pushed
 * A node is itself the record of the state that its push made, `more[1]` naming the other end then: a push makes one
 * node and nothing else, and the pop that undoes it goes back to the record before, where that was a node too (its
 * base). A state is gone back to only from one built directly on it by a push: so the anchor is back at a node only if
 * what was there then has been there ever since. Hence no ABA: an anchor that is what it was says that all is as it was
 * (who compares is pinned, or holds the node or record, so its address has not come back otherwise).
 *
 * Links. The inward link of a node is set before its push; the outward one of its neighbour later, by whoever comes
 * next: before anything is built on a record all its unset links are set, by CAS (rg_deque_set_link). So from either end
 * inward both links of neighbours name each other, but those that the record calls unset: at each end so many, counted
 * from there.
 *
 * A node that is popped stays named by its neighbour's outward link. It is retired by who changes that link, or pops that
 * neighbour; for an outward link at an end names nothing, or the node that was there last, and owns it. Claim: no value
 * comes to a link twice while somebody is pinned who has read it there. For a helper CASes from what it read, x, before
 * it saw that the anchor was the record that wants n there; while that is so the link has two values, x, then n, and
 * before n is popped it is n. A CAS that comes late could succeed only if x had come back: not by another late CAS (take
 * the first to), and not as a new node of the same address, since x was retired only when it had left the link. */
#ifndef RG_DEQUE_H
#define RG_DEQUE_H

#include "node.h"

typedef struct rg_deque {
    rg_word anchor;
    rg_word lookers; /* as in stack.h */
#ifdef RG_EXCLUSIVE
    rg_word own; /* deque_exclusive.h: a record, or 0 */
#endif
} rg_deque;

enum { RG_AT_LEFT, RG_AT_RIGHT };

/* Mark of more[1]: 0 is a record; else a node, by which side it came, and what its base is. */
enum { RG_BASE_NONE, RG_BASE_INWARD, RG_BASE_FAR };
#define RG_DEQUE_MARK(side, base) (1u + 3u * (side) + (base))
#define RG_DEQUE_MARKS 7ULL
#define RG_DEQUE_MOST (1ULL << 30) /* items pushed at once */

#define RG_DEQUE_ROOM 6 /* retirements of one try, the payload's among them */

static inline uint64_t rg_wide_word(const rg_wide *w) { return (uint64_t)(uintptr_t)w; }
/* Of a node, its link to that side; of a record, its end. */
static inline rg_word *rg_deque_link(rg_wide *w, int side) { return side == RG_AT_RIGHT ? &w->node.next : &w->more[0]; }
/* acquire: from the CAS that set it, to the fields of what it names */
static inline rg_wide *rg_deque_next(rg_wide *w, int side) { return rg_wide_of(rg_load_acq(rg_deque_link(w, side))); }

/* What an anchor says. */
typedef struct rg_deque_view {
    rg_wide *end[2];
    uint64_t count, unset[2];
    unsigned mark;
} rg_deque_view;

static inline rg_deque_view rg_deque_view_of(uint64_t anchor)
{
    rg_deque_view v = { { NULL, NULL }, 0, { 0, 0 }, 0 };
    if (!anchor) return v;
    rg_wide *w = rg_wide_of(anchor);
    uint64_t more = rg_load_rlx(&w->more[1]); /* relaxed: set before publication */
    v.mark = more & RG_DEQUE_MARKS;
    v.count = rg_node_position(&w->node);
    if (!v.mark) {
        v.end[RG_AT_LEFT] = rg_deque_next(w, RG_AT_LEFT);
        v.end[RG_AT_RIGHT] = rg_deque_next(w, RG_AT_RIGHT);
        v.unset[RG_AT_LEFT] = more >> 33;
        v.unset[RG_AT_RIGHT] = more >> 3 & (RG_DEQUE_MOST - 1);
    } else {
        int side = v.mark >= RG_DEQUE_MARK(RG_AT_RIGHT, RG_BASE_NONE);
        v.end[side] = w;
        v.end[!side] = rg_wide_of(more & ~RG_DEQUE_MARKS);
        v.unset[side] = v.count > 1;
    }
    return v;
}

/* r, private, says what the view says. */
static inline void rg_deque_record(rg_wide *r, const rg_deque_view *v)
{
    rg_store_rlx(rg_deque_link(r, RG_AT_LEFT), rg_wide_word(v->end[RG_AT_LEFT])); /* relaxed: private yet */
    rg_store_rlx(rg_deque_link(r, RG_AT_RIGHT), rg_wide_word(v->end[RG_AT_RIGHT]));
    rg_store_rlx(&r->more[1], v->unset[RG_AT_LEFT] << 33 | v->unset[RG_AT_RIGHT] << 3);
    rg_wide_place(r, v->count);
}

/* n, private, as an item next to the end `in` (NULL: it is the only one), and as the record of that. */
static inline void rg_deque_place(rg_wide *n, int side, rg_wide *in, rg_wide *far, unsigned base, uint64_t count)
{
    rg_store_rlx(rg_deque_link(n, side), 0); /* relaxed: private yet */
    rg_store_rlx(rg_deque_link(n, !side), rg_wide_word(in));
    rg_store_rlx(&n->more[1], rg_wide_word(far) | RG_DEQUE_MARK((unsigned)side, base));
    rg_wide_place(n, count);
}

/* The base of a node pushed at that side, the anchor being `a`, which v describes. */
static inline unsigned rg_deque_base(uint64_t a, const rg_deque_view *v, int side)
{
    return !v->mark ? RG_BASE_NONE : a == rg_wide_word(v->end[side]) ? RG_BASE_INWARD : RG_BASE_FAR;
}

/* Nobody will find it any more. Room was reserved. */
static inline void rg_deque_retire(rg_slot *s, uint64_t w)
{
    if (!w) return;
#ifdef RG_EXCLUSIVE
    rg_node_expired(s, rg_node_of(w));
#else
    rg_retire_lazily(s, rg_node_of(w), rg_node_expired);
#endif
}

/* ---- links --------------------------------------------------------------------------------------- */

/* The link is to name `to`, says the record `a`. False: that is not the anchor any more. Keeps as much room as there
 * was; without memory for that, what the link named is kept for ever. Pinned since a was read. */
static inline bool rg_deque_set_link(rg_slot *s, rg_deque *d, uint64_t a, rg_word *link, rg_wide *to)
{
    uint64_t x = rg_load(link); /* before the next look at the anchor: see above */
    if (x == rg_wide_word(to)) return true;
    if (rg_load(&d->anchor) != a) return false;
    /* Lost: another helper has set it, or a has been built on, after it was set. */
    if (rg_cas(link, x, rg_wide_word(to)) && x && rg_reserve(s, 1 + RG_DEQUE_ROOM)) rg_deque_retire(s, x);
    return true;
}

static inline bool rg_deque_set_links(rg_slot *s, rg_deque *d, uint64_t a, rg_deque_view *v)
{
    for (int side = RG_AT_LEFT; side <= RG_AT_RIGHT; side++) {
        rg_wide *n = v->end[side];
        for (uint64_t i = v->unset[side]; i > 0; i--) {
            rg_wide *in = rg_deque_next(n, !side);
            if (!rg_deque_set_link(s, d, a, rg_deque_link(in, side), n)) return false;
            n = in;
        }
        v->unset[side] = 0;
    }
    return true;
}

/* What the record `a` says, seen from one side (a constant, where speed counts), its links being set. */
typedef struct rg_deque_ends {
    rg_wide *near, *far;
    uint64_t count;
    unsigned mark;
} rg_deque_ends;

static __attribute__((noinline, unused)) bool rg_deque_settle(rg_slot *s, rg_deque *d, uint64_t a, int side, rg_deque_ends *e)
{
    rg_deque_view v = rg_deque_view_of(a);
    *e = (rg_deque_ends){ v.end[side], v.end[!side], v.count, v.mark };
    return rg_deque_set_links(s, d, a, &v);
}

/* False: a is not the anchor any more; or, without help, a link is not set. */
static inline __attribute__((always_inline)) bool rg_deque_settled(rg_slot *s, rg_deque *d, uint64_t a, int side, bool help, rg_deque_ends *e)
{
    rg_wide *w = rg_wide_of(a), *in;
    uint64_t more = rg_load_rlx(&w->more[1]); /* relaxed: set before publication */
    e->count = rg_node_position(&w->node);
    e->mark = more & RG_DEQUE_MARKS;
    bool set;
    if (!e->mark) {
        e->near = rg_deque_next(w, side);
        e->far = rg_deque_next(w, !side);
        set = !more;
    } else if ((e->mark >= RG_DEQUE_MARK(RG_AT_RIGHT, RG_BASE_NONE)) == (side == RG_AT_RIGHT)) {
        e->near = w;
        e->far = rg_wide_of(more & ~RG_DEQUE_MARKS);
        in = rg_deque_next(w, !side);
        set = !in || rg_deque_next(in, side) == w; /* w alone: whatever was there last, which says so too, or settles */
    } else {
        e->near = rg_wide_of(more & ~RG_DEQUE_MARKS);
        e->far = w;
        in = rg_deque_next(w, side);
        set = !in || rg_deque_next(in, !side) == w;
    }
    if (!help) return set;
    return __builtin_expect(set, 1) || rg_deque_settle(s, d, a, side, e);
}

/* ---- one operation ------------------------------------------------------------------------------- */

/* Pinned; RG_DEQUE_ROOM is reserved. Once done the node, a new rg_wide, is the deque's. FULL: nothing is done, there
 * being `most` items or more. Without `help` (a constant) nothing is called; links that are not set make it BUSY. */
#define RG_TRIED_FULL RG_TRIED_EMPTY
static inline __attribute__((always_inline)) rg_tried rg_deque_try_push(rg_slot *s, rg_deque *d, rg_wide *n, int side, uint64_t most, bool help)
{
    uint64_t a = rg_load(&d->anchor);
    if (__builtin_expect(rg_is_ref(a), 0)) return RG_TRIED_BUSY;
    if (!a) {
        rg_deque_place(n, side, NULL, n, RG_BASE_NONE, 1);
        return rg_cas_once(&s->desc, &d->anchor, 0, rg_wide_word(n)) ? RG_TRIED_DONE : RG_TRIED_LOST;
    }
    rg_deque_ends e;
    if (__builtin_expect(!rg_deque_settled(s, d, a, side, help, &e), 0)) return RG_TRIED_BUSY;
    if (e.count >= most) return RG_TRIED_FULL;
    unsigned base = !e.mark ? RG_BASE_NONE : a == rg_wide_word(e.near) ? RG_BASE_INWARD : RG_BASE_FAR;
    rg_deque_place(n, side, e.near, e.far, base, e.count + 1);
    rg_word *link = rg_deque_link(e.near, side);
    uint64_t x = rg_load_acq(link); /* as a helper's first read, the CAS being its look at the anchor */
    if (__builtin_expect(!rg_cas_once(&s->desc, &d->anchor, a, rg_wide_word(n)), 0)) return RG_TRIED_LOST;
    if (!e.mark) rg_deque_retire(s, a);
    if (rg_cas(link, x, rg_wide_word(n))) rg_deque_retire(s, x);
    return RG_TRIED_DONE;
}

/* What a pop took out. */
typedef struct rg_deque_popped {
    rg_wide *node;
    uint64_t value;
    uint64_t record; /* that is no more, or 0 */
    bool last;
} rg_deque_popped;

/* Pinned; RG_DEQUE_ROOM is reserved. *spare: a new rg_wide or NULL, and so afterwards. Busy: also if
 * the slot keeps none. `help` as there. */
static inline __attribute__((always_inline)) rg_tried rg_deque_try_pop(rg_slot *s, rg_deque *d, int side, rg_wide **spare, rg_deque_popped *out, bool help)
{
    uint64_t a = rg_load(&d->anchor), next;
    if (__builtin_expect(rg_is_ref(a), 0)) return RG_TRIED_BUSY;
    if (__builtin_expect(!a, 0)) return RG_TRIED_EMPTY;
    rg_deque_ends e;
    if (__builtin_expect(!rg_deque_settled(s, d, a, side, help, &e), 0)) return RG_TRIED_BUSY;
    rg_wide *n = e.near, *record = NULL;
    out->last = e.count == 1;
    if (out->last) {
        next = 0;
    } else if (e.mark == RG_DEQUE_MARK((unsigned)side, RG_BASE_INWARD)) {
        next = rg_wide_word(rg_deque_next(n, !side));
    } else if (e.mark == RG_DEQUE_MARK((unsigned)side, RG_BASE_FAR)) {
        next = rg_wide_word(e.far);
    } else {
        record = *spare ? *spare : rg_wide_kept(s, 0);
        if (__builtin_expect(!record, 0)) return RG_TRIED_BUSY;
        *spare = record;
        rg_store_rlx(rg_deque_link(record, side), rg_wide_word(rg_deque_next(n, !side))); /* relaxed: private yet */
        rg_store_rlx(rg_deque_link(record, !side), rg_wide_word(e.far));
        rg_store_rlx(&record->more[1], 0);
        rg_wide_place(record, e.count - 1);
        next = rg_wide_word(record);
    }
    out->node = n;
    out->value = n->node.value;
    out->record = e.mark ? 0 : a;
    if (__builtin_expect(!rg_cas_once(&s->desc, &d->anchor, a, next), 0)) return RG_TRIED_LOST;
    if (record) *spare = NULL;
    return RG_TRIED_DONE;
}

/* After a try that was done, still pinned. The node stays, named by its neighbour, unless it was the last. */
static inline void rg_deque_let_go(rg_slot *s, int side, const rg_deque_popped *p)
{
    /* Nothing is pushed on it any more, so the links are what they will be. */
    rg_deque_retire(s, rg_load(rg_deque_link(p->node, side)));
    if (p->last) {
        rg_deque_retire(s, rg_load(rg_deque_link(p->node, !side)));
        rg_deque_retire(s, rg_wide_word(p->node));
    }
    rg_deque_retire(s, p->record);
}

/* Both until they come through: lock-free. Pinned, but not all the time: see rg_lost. `t` is what a first try of the
 * caller's has come to, else RG_TRIED_BUSY. A push that returns false, or *nomem: no memory, and nothing done. */
static inline bool rg_deque_push(rg_slot *s, rg_deque *d, rg_wide *n, int side, rg_tried t)
{
    rg_backoff b = { 0 };
    for (;;) {
        if (t == RG_TRIED_LOST) rg_lost(s, &b);
        if (!rg_reserve(s, RG_DEQUE_ROOM)) return false;
        t = rg_deque_try_push(s, d, n, side, UINT64_MAX, true);
        if (t == RG_TRIED_DONE) return true;
        if (t == RG_TRIED_BUSY) (void)rg_read(&s->domain->space, s->index, &d->anchor);
    }
}

static inline bool rg_deque_pop(rg_slot *s, rg_deque *d, int side, rg_wide **spare, rg_deque_popped *out, bool *nomem, rg_tried t)
{
    rg_backoff b = { 0 };
    for (;;) {
        if (t == RG_TRIED_LOST) rg_lost(s, &b);
        *nomem = !rg_reserve(s, RG_DEQUE_ROOM) || (!*spare && !(*spare = rg_wide_new(s, 0)));
        if (*nomem) return false;
        t = rg_deque_try_pop(s, d, side, spare, out, true);
        if (t == RG_TRIED_DONE) return true;
        if (t == RG_TRIED_EMPTY) return false;
        if (t == RG_TRIED_BUSY) (void)rg_read(&s->domain->space, s->index, &d->anchor);
    }
}

static inline uint64_t rg_deque_size(rg_slot *s, rg_deque *d)
{
    uint64_t a = rg_read(&s->domain->space, s->index, &d->anchor);
    return a ? rg_node_position(rg_node_of(a)) : 0;
}

/* ---- several at once ------------------------------------------------------------------------------ */

/* n, new, at that end of what the view says. Nothing that is published is touched. */
static inline void rg_deque_view_push(rg_deque_view *v, rg_wide *n, int side)
{
    rg_deque_place(n, side, v->count ? v->end[side] : NULL, n, RG_BASE_NONE, 0);
    if (v->count++)
        v->unset[side]++;
    else
        v->end[!side] = n;
    v->end[side] = n;
}

/* What is to be retired once a pop from a view is real: the nodes that these links name then, if any, and a node. */
typedef struct rg_deque_waste {
    rg_word *named[2];
    rg_wide *node;
} rg_deque_waste;

/* The item at that end; there is one. The view's links are set but those that it calls unset: a link is unset
 * because one of its nodes was pushed from this view, so its other word is set. */
static inline rg_wide *rg_deque_view_pop(rg_deque_view *v, int side, rg_deque_waste *waste)
{
    rg_wide *n = v->end[side], *in = NULL;
    *waste = (rg_deque_waste){ { rg_deque_link(n, side), NULL }, NULL };
    if (v->count == 1 || v->unset[!side] >= v->count - 1) waste->named[1] = rg_deque_link(n, !side); /* names no neighbour */
    if (v->count == 1) {
        waste->node = n;
        *v = (rg_deque_view){ { NULL, NULL }, 0, { 0, 0 }, 0 };
        return n;
    }
    if (waste->named[1]) {
        in = v->end[!side];
        for (uint64_t i = 2; i < v->count; i++) in = rg_deque_next(in, side);
    } else {
        in = rg_deque_next(n, !side);
    }
    if (v->unset[side]) { /* no neighbour names it */
        v->unset[side]--;
        waste->node = n;
    }
    v->end[side] = in;
    v->count--;
    if (v->unset[!side] > v->count - 1) v->unset[!side] = v->count - 1;
    return n;
}

static inline void rg_deque_retire_waste(rg_slot *s, const rg_deque_waste *w)
{
    for (int i = 0; i < 2; i++)
        if (w->named[i]) rg_deque_retire(s, rg_load(w->named[i]));
    rg_deque_retire(s, rg_wide_word(w->node));
}

/* Pushes n, and pops the item at the other end, whose value is *value: one try, with a new record. Pinned; twice
 * RG_DEQUE_ROOM is reserved. FULL: there are fewer than `most` items, after all. */
static inline rg_tried rg_deque_try_shift(rg_slot *s, rg_deque *d, rg_wide *n, int side, uint64_t most, rg_wide *record,
                                          uint64_t *value)
{
    uint64_t a = rg_read(&s->domain->space, s->index, &d->anchor);
    rg_deque_view v = rg_deque_view_of(a);
    if (v.count < most) return RG_TRIED_FULL;
    if (!rg_deque_set_links(s, d, a, &v)) return RG_TRIED_BUSY;
    bool of_record = !v.mark;
    rg_deque_waste waste;
    rg_deque_view_push(&v, n, side);
    *value = rg_deque_view_pop(&v, !side, &waste)->node.value;
    rg_deque_record(record, &v);
    if (!rg_cas_once(&s->desc, &d->anchor, a, rg_wide_word(record))) return RG_TRIED_LOST;
    rg_deque_retire_waste(s, &waste);
    if (of_record) rg_deque_retire(s, a);
    return RG_TRIED_DONE;
}

/* A chain of n new nodes, linked both ways, from its inner end to its outer one, at that end. *record: a new rg_wide,
 * and *settled too, each NULL once it is the deque's. Pinned; as a try of the others. */
static inline rg_tried rg_deque_try_extend(rg_slot *s, rg_deque *d, rg_wide *inner, rg_wide *outer, uint64_t n, int side,
                                           rg_wide **record, rg_wide **settled)
{
    uint64_t a = rg_read(&s->domain->space, s->index, &d->anchor);
    rg_deque_view v = rg_deque_view_of(a);
    if (!rg_deque_set_links(s, d, a, &v)) return RG_TRIED_BUSY;
    bool of_record = a && !v.mark;
    rg_wide *in = v.count ? v.end[side] : NULL, *published = *record;
    rg_store_rlx(rg_deque_link(inner, !side), rg_wide_word(in)); /* relaxed: private yet */
    if (in)
        v.unset[side] = n; /* most of them are set; which one is not is found from the end */
    else
        v.end[!side] = inner;
    v.end[side] = outer;
    v.count += n;
    rg_deque_record(published, &v);
    if (!rg_cas_once(&s->desc, &d->anchor, a, rg_wide_word(published))) return RG_TRIED_LOST;
    *record = NULL;
    if (of_record) rg_deque_retire(s, a);
    if (!in || !rg_deque_set_link(s, d, rg_wide_word(published), rg_deque_link(in, side), inner)) return RG_TRIED_DONE;
    v.unset[side] = 0;
    rg_deque_record(*settled, &v);
    if (rg_cas_once(&s->desc, &d->anchor, rg_wide_word(published), rg_wide_word(*settled))) {
        *settled = NULL;
        rg_deque_retire(s, rg_wide_word(published));
    }
    return RG_TRIED_DONE;
}

/* ---- all at one instant ---------------------------------------------------------------------------- */

/* The nodes of the state `a`, leftmost first, into at[v.count]: a was the anchor after the pin, its links are set, v
 * says what it says. False: all of them have been popped meanwhile, perhaps, so try again.
 *
 * Who pops and pushes during the walk changes links. From the left end rightward all is as it was up to a node whose
 * neighbour was popped from the right, and beyond it come only nodes that were pushed at the right since; from the right
 * end likewise. Nobody is pushed at both sides: so where both walks agree both are right, and so is the one before it
 * and the other after it. */
static inline bool rg_deque_collect(rg_slot *s, rg_deque *d, uint64_t a, const rg_deque_view *v, uint64_t *at)
{
    uint64_t n = v->count;
    rg_wide *w = v->end[RG_AT_LEFT];
    for (uint64_t i = 0; i < n; i++) {
        at[i] = rg_wide_word(w);
        if (w && i + 1 < n) w = rg_deque_next(w, RG_AT_RIGHT);
    }
    if (rg_read(&s->domain->space, s->index, &d->anchor) == a) return true;
    w = v->end[RG_AT_RIGHT];
    for (uint64_t i = n; w && i-- > 0;) {
        if (at[i] == rg_wide_word(w)) return true;
        at[i] = rg_wide_word(w);
        if (i) w = rg_deque_next(w, RG_AT_LEFT);
    }
    return false;
}

#endif
