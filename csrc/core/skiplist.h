/* skiplist.h - bindings in the order of their keys: a lock-free skip list over payload words, after Fraser
 * (Practical lock-freedom, 2004) and Herlihy and Shavit (The Art of Multiprocessor Programming, 14.4).
 *
 * A tower is a binding: a key, a word for its value, and a link for each level that it reaches. A link is
 * the next tower's address, or 0, with bit 0 as a mark: the tower that *holds* the link is being removed, and the
 * link never changes again.
 *
 * What is in the map: the value word alone says it. The caller has two marks that are no values, absent: no such binding
 * now, but the tower stays, for somebody logs its word or waits for it; and dead: no such binding, for good.
 *
 * Invariants.
 *   1. At level 0 the towers that can be reached from the head have growing keys; so at each level, which is a
 *      part of the level below. Two towers with one key never stand there together.
 *   2. The value of a tower with a marked link is dead, and dead never changes. Levels are marked from the top
 *      down, so above a marked link all are.
 *   3. A tower is linked from the bottom up, and at each level at most once. `ties` (in meta) is the number of
 *      levels at which it is linked, and 1 more while it is being built. A level is cut by one CAS on the link that
 *      leads to it, from a link that is not marked; whoever brings `ties` to 0 retires the tower: nothing leads to it.
 *   4. Level-0 links are words of the space as values are: they change by rg_cas_once, and a k-CAS may compare
 *      them. So a reaction that has logged a link and the values at both its ends knows that nothing lies between them
 *      as long as the link is what it was: who looks for the first, the last or a range of bindings logs the links that
 *      it passed, and no binding can come up in between unseen (no phantoms). Links of the levels above are
 *      hints; they change by plain CAS, without the clock.
 *
 * Linearization. Insertion of a new key: the CAS on the level-0 link of the tower before it. Revival, replacement,
 * removal: the CAS (or k-CAS) on the value word. A search that finds nothing: the read of the level-0 link across
 * whose gap the key would lie; that finds a tower: the read of its value.
 *
 * Why a reader may go on. Claim: each tower that is reached at a level was linked there at some time after the reader
 * pinned, so the grace period of its retirement is not over. The head is. From a tower that was, at its level: if
 * its link is not marked, it is linked now, and so is what the link names. If marked, the link was frozen while the
 * tower was in, and what it names can only be cut after it was (cutting needs a link to it that is not marked). A
 * reader goes *down* from a tower only where the link there is not marked, which says that it is in at that level, too. A
 * removed tower may still be linked above, and its frozen lower link name memory that was given back long ago:
 * hence from there nobody goes down, but starts again; as it is marked above as well, it will be passed over.
 * The same look, at a link that is not marked, is what a search needs to go on after it has unpinned, from a tower held.
 *
 * Waiting. Who waits does so for values and level-0 links in his log. New towers wake those who wait for the
 * link that changes; marking wakes those who wait for the marked link and for the value. Cutting need not: the gaps
 * on both sides become one, whose link is that of the tower before; who waited for the other one was woken.
 */
#ifndef RG_SKIPLIST_H
#define RG_SKIPLIST_H

#include "node.h"
#include "wait.h"

/* One tower in 4 reaches the next level: at 16 levels the search is logarithmic up to 4^16 bindings. */
#define RG_LEVELS 16u
#define RG_MARK 1ULL

/* May stand wherever an rg_node may: node.next is level 0, node.value the key. Up to two levels it is an rg_wide. */
typedef struct rg_tower {
    rg_node node; /* first */
    rg_word value;
    rg_word up[1]; /* levels 1 to height - 1 */
} rg_tower;

_Static_assert(sizeof(rg_tower) == sizeof(rg_wide), "a tower of two levels is a wide node");

/* meta's position: height << 8 | ties. */
#define RG_TIE (1ULL << 20)
#define RG_TIES 0xffu

typedef struct rg_skiplist {
    rg_word top; /* a level that no tower has reached yet, or RG_LEVELS; a hint */
    /* The tower was retired: its key may be given up. Pinned; one place is reserved for that. */
    void (*gone)(rg_slot *, rg_tower *);
    rg_tower head; /* never marked; its key and value are nothing */
    rg_word above[RG_LEVELS - 2];
} rg_skiplist;

typedef enum rg_sought { RG_SOUGHT, RG_UNSURE, RG_NO_ROOM } rg_sought;

/* Where a search has come to. Of each level: the last tower that is below the key, and the first that is not. */
typedef struct rg_path {
    unsigned level;
    rg_tower *pred;
    uint64_t cur; /* the tower to compare with, when the search is unsure */
    uint64_t bound; /* one that is known not to be below, or 0 */
    unsigned held; /* the caller's own: from this level up it has seen to before[] and after[]; RG_LEVELS when it begins */
    rg_tower *before[RG_LEVELS];
    uint64_t after[RG_LEVELS];
} rg_path;

/* Is the tower below what is sought? 1, 0, or -1: cannot be told while pinned. */
typedef int (*rg_below_fn)(const void *sought, rg_tower *);

static inline rg_tower *rg_tower_of(uint64_t w) { return (rg_tower *)(uintptr_t)(w & ~RG_MARK); }
static inline uint64_t rg_tower_word(rg_tower *t) { return (uint64_t)(uintptr_t)t; }
static inline unsigned rg_tower_height(rg_tower *t) { return (unsigned)(rg_node_position(&t->node) >> 8) & 0xff; }
static inline rg_word *rg_tower_link(rg_tower *t, unsigned level)
{
    return level == 0 ? &t->node.next : (rg_word *)((char *)t + offsetof(rg_tower, up)) + (level - 1);
}

/* Level 0 may hold a k-CAS's descriptor. */
static inline uint64_t rg_tower_next(rg_slot *s, rg_tower *t, unsigned level)
{
    return level == 0 ? rg_read(&s->domain->space, s->index, &t->node.next) : rg_load(rg_tower_link(t, level));
}

static inline void rg_skip_open(rg_skiplist *sl, void (*gone)(rg_slot *, rg_tower *))
{
    for (unsigned l = 0; l < RG_LEVELS; l++) rg_store_rlx(rg_tower_link(&sl->head, l), 0); /* relaxed: private yet */
    rg_store_rlx(&sl->head.node.meta, (uint64_t)RG_LEVELS << 28);
    rg_store_rlx(&sl->head.value, 0);
    rg_store_rlx(&sl->top, 1);
    sl->gone = gone;
}

/* Not linked yet: ties count the builder and level 0. NULL: no memory. */
static inline rg_tower *rg_tower_new(rg_slot *s, unsigned height, uint64_t key, uint64_t value)
{
    rg_tower *t;
    uint64_t tall = 0;
    if (height <= 2) {
        t = (rg_tower *)rg_wide_new(s, key);
        if (!t) return NULL;
    } else {
        t = rg_alloc(sizeof *t + (height - 2) * sizeof(rg_word));
        if (!t) return NULL;
        tall = RG_TALL;
        t->node.value = key;
        for (unsigned l = 0; l < height; l++) rg_store_rlx(rg_tower_link(t, l), 0); /* relaxed: private yet */
    }
    rg_store_rlx(&t->value, value);
    rg_store_rlx(&t->node.meta, (uint64_t)height << 28 | 2 * RG_TIE | RG_WIDE | tall);
    return t;
}

/* Never linked. */
static inline void rg_tower_free(rg_slot *s, rg_tower *t) { rg_node_free(s, &t->node); }

/* How many levels a new tower has. */
static inline unsigned rg_skip_height(uint64_t random)
{
    unsigned h = 1;
    while (h < RG_LEVELS && (random & 3) == 0) {
        random >>= 2;
        h++;
    }
    return h;
}

/* One tie less. Pinned; two places are reserved. */
static inline void rg_tower_untie(rg_slot *s, rg_skiplist *sl, rg_tower *t)
{
    uint64_t was = rg_fetch_add(&t->node.meta, -RG_TIE) / RG_TIE & RG_TIES;
    if (was != 1) return;
    rg_retire_lazily(s, t, rg_node_expired);
    sl->gone(s, t);
}

/* Marks all levels; true for the one caller who has marked level 0. The value is dead. Pinned. */
static inline bool rg_tower_mark(rg_slot *s, rg_tower *t)
{
    for (unsigned l = rg_tower_height(t); --l > 0;) {
        rg_word *w = rg_tower_link(t, l);
        for (uint64_t v = rg_load(w); !(v & RG_MARK) && !rg_cas(w, v, v | RG_MARK);) v = rg_load(w);
    }
    for (;;) {
        uint64_t v = rg_tower_next(s, t, 0);
        if (v & RG_MARK) return false;
        if (rg_cas_once(&s->desc, &t->node.next, v, v | RG_MARK)) break;
    }
    rg_wake(s, &t->node.next);
    return true;
}

/* From the top: a search that has not begun. */
static inline void rg_skip_begin(rg_skiplist *sl, rg_path *p)
{
    p->level = (unsigned)rg_load_rlx(&sl->top); /* relaxed: a hint */
    p->pred = &sl->head;
    p->cur = p->bound = 0;
    p->held = RG_LEVELS;
    for (unsigned l = p->level; l < RG_LEVELS; l++) p->before[l] = &sl->head, p->after[l] = 0;
}

/* On from where the path is, until level 0 is done; before[] and after[] then say what lies on both sides of the key.
 * Who cuts takes removed towers out on the way, so that after[l] was the successor of before[l]; else they are passed.
 * `answer`: -1 at first, then what the comparison with p->cur has come to. NO_ROOM: only if it cuts; no memory to
 * retire with. Pinned. Always inlined, so that `below` and `cuts` are constants. */
static inline __attribute__((always_inline)) rg_sought rg_skip_search(rg_slot *s, rg_skiplist *sl, rg_path *p, rg_below_fn below,
                                                                      const void *sought, bool cuts, int answer)
{
    if (answer >= 0) goto answered;
again:
    rg_skip_begin(sl, p);
    while (p->level-- > 0) {
        p->cur = rg_tower_next(s, p->pred, p->level);
        if (p->cur & RG_MARK) goto again; /* only above was it in */
        while (p->cur && p->cur != p->bound) {
            rg_tower *t = rg_tower_of(p->cur);
            uint64_t next = rg_tower_next(s, t, p->level);
            if (__builtin_expect(next & RG_MARK, 0)) {
                next &= ~RG_MARK;
                if (cuts) {
                    if (!rg_reserve(s, 2)) return RG_NO_ROOM;
                    bool cut = p->level ? rg_cas(rg_tower_link(p->pred, p->level), p->cur, next)
                                        : rg_cas1(&s->domain->space, s->index, &p->pred->node.next, p->cur, next);
                    if (!cut) goto again;
                    rg_tower_untie(s, sl, t);
                }
                p->cur = next;
                continue;
            }
            answer = below(sought, t);
            if (answer < 0) return RG_UNSURE;
            if (0) {
            answered:
                t = rg_tower_of(p->cur);
                next = rg_tower_next(s, t, p->level);
                if (next & RG_MARK) goto again;
            }
            if (!answer) break;
            p->pred = t;
            p->cur = next;
        }
        p->before[p->level] = p->pred;
        p->after[p->level] = p->bound = p->cur;
    }
    return RG_SOUGHT;
}

/* The tower is linked where the path says, at level 0; false: something came or went there. Then as far up as nobody
 * is in the way: a tower that stays lower than it is only costs time. Pinned. */
static inline bool rg_skip_link(rg_slot *s, rg_skiplist *sl, rg_path *p, rg_tower *t)
{
    unsigned height = rg_tower_height(t);
    rg_store_rlx(&t->node.next, p->after[0]); /* relaxed: private until the CAS */
    if (!rg_cas_once(&s->desc, &p->before[0]->node.next, p->after[0], rg_tower_word(t))) return false;
    for (uint64_t top; (top = rg_load(&sl->top)) < height && !rg_cas(&sl->top, top, height);) {}
    for (unsigned l = 1; l < height; l++) {
        /* From 0, which is not marked: a remover's mark is not lost. */
        if (p->after[l] && !rg_cas(rg_tower_link(t, l), 0, p->after[l])) break;
        rg_fetch_add(&t->node.meta, RG_TIE);
        if (rg_cas(rg_tower_link(p->before[l], l), p->after[l], rg_tower_word(t))) continue;
        rg_fetch_add(&t->node.meta, -RG_TIE); /* not the last one: the builder's is there */
        break;
    }
    /* The builder's own. Without room the tower is kept for ever, once it is removed. */
    if (rg_reserve(s, 2)) rg_tower_untie(s, sl, t);
    return true;
}

/* The first tower after t at level 0 that is not being removed, or NULL; *link: what t's link said, which is that
 * tower if nothing had to be passed. False: t itself is being removed. Pinned. */
static inline bool rg_skip_next(rg_slot *s, rg_tower *t, rg_tower **next)
{
    uint64_t w = rg_tower_next(s, t, 0);
    if (w & RG_MARK) return false;
    while (w) {
        uint64_t beyond = rg_tower_next(s, rg_tower_of(w), 0);
        if (!(beyond & RG_MARK)) break;
        w = beyond & ~RG_MARK;
    }
    *next = rg_tower_of(w);
    return true;
}

/* The same, but what lies between is cut, so that t's link is what is returned. RG_UNSURE: t is being removed. */
static inline rg_sought rg_skip_next_cut(rg_slot *s, rg_skiplist *sl, rg_tower *t, rg_tower **next)
{
    for (;;) {
        uint64_t w = rg_tower_next(s, t, 0);
        if (w & RG_MARK) return RG_UNSURE;
        *next = rg_tower_of(w);
        if (!w) return RG_SOUGHT;
        uint64_t beyond = rg_tower_next(s, *next, 0);
        if (!(beyond & RG_MARK)) return RG_SOUGHT;
        if (!rg_reserve(s, 2)) return RG_NO_ROOM;
        if (rg_cas1(&s->domain->space, s->index, &t->node.next, w, beyond & ~RG_MARK)) rg_tower_untie(s, sl, *next);
    }
}

/* Cuts the marked towers that the head leads to, at all levels, up to the first that is not. False: no room. Pinned. */
static inline bool rg_skip_cut_first(rg_slot *s, rg_skiplist *sl)
{
    for (unsigned l = (unsigned)rg_load(&sl->top); l-- > 0;) {
        for (;;) {
            uint64_t w = rg_tower_next(s, &sl->head, l), next = w ? rg_tower_next(s, rg_tower_of(w), l) : 0;
            if (!(next & RG_MARK)) break;
            if (!rg_reserve(s, 2)) return false;
            bool cut = l ? rg_cas(rg_tower_link(&sl->head, l), w, next & ~RG_MARK)
                         : rg_cas1(&s->domain->space, s->index, &sl->head.node.next, w, next & ~RG_MARK);
            if (cut) rg_tower_untie(s, sl, rg_tower_of(w));
        }
    }
    return true;
}

/* Cuts a marked tower where the path, found before it was marked, leads to it. True: at all levels. Pinned. */
static inline bool rg_skip_cut(rg_slot *s, rg_skiplist *sl, rg_path *p, rg_tower *t)
{
    bool all = true;
    for (unsigned l = rg_tower_height(t); l-- > 0;) {
        if (p->after[l] != rg_tower_word(t)) { /* not linked so high, or somebody else does it */
            all &= l > 0;
            continue;
        }
        if (!rg_reserve(s, 2)) return true;
        uint64_t next = rg_tower_next(s, t, l) & ~RG_MARK;
        bool cut = l ? rg_cas(rg_tower_link(p->before[l], l), rg_tower_word(t), next)
                     : rg_cas1(&s->domain->space, s->index, &p->before[0]->node.next, rg_tower_word(t), next);
        if (cut) rg_tower_untie(s, sl, t);
        all &= cut;
    }
    return all;
}

#endif
