/* hash_body.h - what hash.h declares, for the one file of a program that includes this: so it is compiled with the accesses
 * that file has chosen (access.h), as all users of a table must be. */
#ifndef RG_HASH_BODY_H
#define RG_HASH_BODY_H

#include "hash.h"

static const rg_space *space_of(rg_slot *s) { return &s->domain->space; }
static uint64_t read_word(rg_slot *s, rg_word *w) { return rg_read(space_of(s), s->index, w); }
static rg_word *bucket_of(uint64_t link) { return (rg_word *)(uintptr_t)(link & ~(RG_TO_BUCKET | RG_UNLINKING)); }
static uint64_t link_to(rg_word *bucket) { return (uint64_t)(uintptr_t)bucket | RG_TO_BUCKET; }

/* ---- life -------------------------------------------------------------------------------------------------- */

bool rg_hash_init(rg_slot *s, rg_hash *t, uint64_t absent, uint64_t dead, rg_reclaim_fn gone)
{
    (void)s;
    t->absent = absent;
    t->dead = dead;
    t->gone = gone;
    if (!(t->counts = rg_alloc_lines(RG_HASH_STRIPES * RG_CACHE_LINE))) return false;
    /* relaxed throughout: private yet */
    for (size_t i = 0; i < RG_HASH_STRIPES * RG_CACHE_LINE / 8; i++) rg_store_rlx(&t->counts[i], 0);
    for (size_t i = 0; i < RG_HASH_SEGMENTS; i++) rg_store_rlx(&t->segments[i], 0);
    for (size_t i = 0; i < RG_HASH_FIRST; i++) rg_store_rlx(&t->first[i], 0);
    rg_store_rlx(&t->first[0], RG_TO_BUCKET);
    rg_store_rlx(&t->segments[0], (uint64_t)(uintptr_t)t->first);
    rg_store_rlx(&t->size, RG_HASH_FIRST);
    return true;
}

static uint64_t segment_start(unsigned k) { return k ? (uint64_t)RG_HASH_FIRST << (k - 1) : 0; }
static rg_word *segment_at(rg_hash *t, unsigned k)
{
    uint64_t base = rg_load_acq(&t->segments[k]); /* acquire: as in rg_hash_bucket */
    return base ? (rg_word *)(uintptr_t)(base + segment_start(k) * sizeof(rg_word)) : NULL;
}

static void free_all(rg_slot *s, void *first)
{
    for (uint64_t w = (uint64_t)(uintptr_t)first; w & ~(RG_TO_BUCKET | RG_UNLINKING);) {
        if (w & RG_TO_BUCKET) {
            w = rg_load(bucket_of(w));
            continue;
        }
        rg_quad *n = rg_quad_of(w & ~RG_UNLINKING);
        w = rg_load(&n->node.next);
        rg_node_expired(s, n);
    }
}
static void free_memory(rg_slot *s, void *p)
{
    (void)s;
    rg_free(p);
}

static void give_up(rg_slot *s, void *p, rg_reclaim_fn fn)
{
#ifdef RG_EXCLUSIVE
    fn(s, p); /* as *t is given up, too */
#else
    rg_retire_lazily(s, p, fn);
#endif
}

void rg_hash_close(rg_slot *s, rg_hash *t)
{
    if (!t->counts || !rg_reserve(s, RG_HASH_SEGMENTS + 2)) return;
    /* In this order, which is that of their reclaiming: the links between nodes lead through the buckets, *t's own among them. */
    uint64_t first = rg_load(&t->first[0]);
    if (first != RG_TO_BUCKET) give_up(s, (void *)(uintptr_t)first, free_all);
    for (unsigned k = 1; k < RG_HASH_SEGMENTS; k++)
        if (segment_at(t, k)) give_up(s, segment_at(t, k), free_memory);
    give_up(s, t->counts, free_memory);
}

/* ---- nodes that go --------------------------------------------------------------------------------------- */

static void mark(rg_slot *s, rg_quad *n)
{
    for (;;) {
        uint64_t w = read_word(s, &n->node.next);
        if ((w & RG_UNLINKING) || rg_cas(&n->node.next, w, w | RG_UNLINKING)) return;
    }
}

/* n, marked, out of the list, if `link` still leads to it. False: no memory to retire it with. */
static bool take_out(rg_slot *s, rg_hash *t, rg_word *link, rg_quad *n)
{
    if (!rg_reserve(s, 1)) return false;
    uint64_t next = read_word(s, &n->node.next) & ~RG_UNLINKING;
    if (rg_cas(link, (uint64_t)(uintptr_t)n, next)) rg_retire(s, n, t->gone);
    return true;
}

/* ---- buckets --------------------------------------------------------------------------------------------- */

static uint64_t index_of(rg_hash *t, rg_word *bucket)
{
    for (unsigned k = 0;; k++) {
        rg_word *at = segment_at(t, k);
        size_t n = k ? (size_t)segment_start(k) : RG_HASH_FIRST;
        if (at && bucket >= at && bucket < at + n) return segment_start(k) + (uint64_t)(bucket - at);
    }
}

/* One step of a walk: past what stands before `position`. The link's word into *w. */
typedef enum { STEP_ON, STEP_AGAIN, STEP_HERE, STEP_NO_MEMORY } step;

static step pass(rg_slot *s, rg_hash *t, rg_word **link, uint64_t position, uint64_t *w)
{
    *w = read_word(s, *link);
    if (*w & RG_UNLINKING) return STEP_AGAIN; /* the node that we stand on has gone */
    if (*w == RG_TO_BUCKET) return STEP_HERE;
    if (*w & RG_TO_BUCKET) {
        if (!rg_hash_before(index_of(t, bucket_of(*w)), position)) return STEP_HERE;
        *link = bucket_of(*w);
        return STEP_ON;
    }
    rg_quad *n = rg_quad_of(*w);
    if (read_word(s, &n->node.next) & RG_UNLINKING) return take_out(s, t, *link, n) ? STEP_ON : STEP_NO_MEMORY;
    if (!rg_hash_before(rg_hash_of(n), position)) return STEP_HERE;
    *link = &n->node.next;
    return STEP_ON;
}

/* The bucket of index b, made by way of the one that it splits off. NULL: no memory. */
static rg_word *made(rg_slot *s, rg_hash *t, uint64_t b)
{
    rg_word *bucket = rg_hash_bucket(t, b);
    if (read_word(s, bucket)) return bucket;
    rg_word *parent = made(s, t, b & ~(1ULL << (63 - __builtin_clzll(b)))), *link = parent; /* of 0 there is no need */
    while (parent && !read_word(s, bucket)) {
        uint64_t w;
        switch (pass(s, t, &link, b, &w)) {
        case STEP_ON: break;
        case STEP_AGAIN: link = parent; break;
        case STEP_NO_MEMORY: return NULL;
        case STEP_HERE: {
            rg_cas_entry e[] = { { link, w, link_to(bucket) }, { bucket, 0, w } };
            rg_kcas(space_of(s), s->index, e, 2);
        }
        }
    }
    return parent ? bucket : NULL;
}

/* Twice as many buckets as `size`, unless that has been done. Without memory they stay as few. */
static void grow(rg_hash *t, uint64_t size)
{
    if (size >= 1ULL << RG_HASH_LAST_LOG) return;
    unsigned k = 63 - (unsigned)__builtin_clzll(size) - (RG_HASH_FIRST_LOG - 1);
    if (!segment_at(t, k)) {
        rg_word *at = rg_calloc(size * sizeof *at);
        if (!at) return;
        if (!rg_cas(&t->segments[k], 0, (uint64_t)(uintptr_t)at - size * sizeof *at)) rg_free(at);
    }
    rg_cas(&t->size, size, 2 * size);
}

/* ---- walks ------------------------------------------------------------------------------------------------ */

bool rg_hash_begin(rg_slot *s, rg_hash *t, rg_place *p, uint64_t hash)
{
    p->hash = hash;
    p->size = rg_load(&t->size);
    p->link = made(s, t, hash & (p->size - 1));
    p->from = NULL;
    p->no_memory = !p->link;
    return p->link != NULL;
}

rg_quad *rg_hash_seek(rg_slot *s, rg_hash *t, rg_place *p)
{
    while (!p->no_memory) {
        p->next = read_word(s, p->link);
        if (p->next & RG_UNLINKING) {
            rg_hash_begin(s, t, p, p->hash);
            continue;
        }
        if (p->next & RG_TO_BUCKET) {
            if (rg_load(&t->size) == p->size) return NULL;
            rg_hash_begin(s, t, p, p->hash);
            continue;
        }
        rg_quad *n = rg_quad_of(p->next);
        if (read_word(s, &n->node.next) & RG_UNLINKING) {
            p->no_memory = !take_out(s, t, p->link, n);
            continue;
        }
        uint64_t hash = rg_hash_of(n);
        if (hash == p->hash) {
            if (read_word(s, &n->more) == t->dead) {
                mark(s, n);
                continue;
            }
            p->from = p->link;
            p->link = &n->node.next;
            return n;
        }
        if (rg_hash_before(p->hash, hash)) return NULL;
        p->link = &n->node.next;
    }
    return NULL;
}

void rg_hash_unlink(rg_slot *s, rg_hash *t, rg_quad *n, rg_place *p)
{
    uint64_t hash = rg_hash_of(n);
    mark(s, n);
    if (!rg_reserve(s, 1)) return; /* the next walk takes it out */
    if (p && p->from) {
        uint64_t next = read_word(s, &n->node.next) & ~RG_UNLINKING;
        if (rg_cas(p->from, (uint64_t)(uintptr_t)n, next)) {
            rg_retire(s, n, t->gone);
            return;
        }
    }
    /* Whoever walks past takes it out, and so do we: n may be looked at no more, for somebody else may be first. */
    rg_place walk;
    if (rg_hash_begin(s, t, &walk, hash))
        while (rg_hash_seek(s, t, &walk)) {}
}

rg_quad *rg_hash_behind(rg_slot *s, rg_hash *t, const uint64_t *after, bool *no_memory)
{
    *no_memory = false;
    for (;;) {
        rg_word *link = after ? made(s, t, *after & (rg_load(&t->size) - 1)) : rg_hash_bucket(t, 0);
        *no_memory = !link;
        while (link) {
            uint64_t w = read_word(s, link);
            if (w & RG_UNLINKING) break;
            if (w == RG_TO_BUCKET) return NULL;
            if (w & RG_TO_BUCKET) {
                link = bucket_of(w);
                continue;
            }
            rg_quad *n = rg_quad_of(w);
            if (read_word(s, &n->node.next) & RG_UNLINKING) {
                *no_memory = !take_out(s, t, link, n);
                if (*no_memory) return NULL;
                continue;
            }
            if ((!after || rg_hash_before(*after, rg_hash_of(n))) && read_word(s, &n->more) != t->dead) return n;
            link = &n->node.next;
        }
        if (*no_memory) return NULL;
    }
}

rg_quad *rg_hash_after(rg_slot *s, rg_hash *t, rg_quad *n)
{
    uint64_t w = read_word(s, &n->node.next);
    for (;;) {
        w &= ~RG_UNLINKING;
        if (w == RG_TO_BUCKET) return NULL;
        if (w & RG_TO_BUCKET) {
            w = read_word(s, bucket_of(w));
            continue;
        }
        n = rg_quad_of(w);
        if (read_word(s, &n->more) != t->dead) return n;
        w = read_word(s, &n->node.next);
    }
}

/* ---- the count ---------------------------------------------------------------------------------------------- */

bool rg_hash_bind(rg_slot *s, rg_hash *t, rg_quad *n, uint64_t from, uint64_t to, int by)
{
    rg_word *count = rg_hash_count(s, t);
    for (;;) {
        uint64_t now = read_word(s, count);
        rg_cas_entry e[] = { { &n->more, from, to }, { count, now, now + (uint64_t)(int64_t)by } };
        if (rg_kcas(space_of(s), s->index, e, 2) == RG_SUCCEEDED) return true;
        if (read_word(s, &n->more) != from) return false;
    }
}

static int64_t sum(rg_slot *s, rg_hash *t, rg_cas_entry *e)
{
    int64_t n = 0;
    for (unsigned i = 0; i < RG_HASH_STRIPES; i++) {
        rg_word *w = &t->counts[i * (RG_CACHE_LINE / 8)];
        uint64_t v = read_word(s, w);
        e[i] = (rg_cas_entry){ w, v, v };
        n += (int64_t)v;
    }
    return n;
}

int64_t rg_hash_len(rg_slot *s, rg_hash *t)
{
    rg_cas_entry e[RG_HASH_STRIPES];
    for (;;) {
        uint64_t before, after;
        bool even = rg_clock_read(space_of(s), &before);
        int64_t n = sum(s, t, e);
        if (even && rg_clock_read(space_of(s), &after) && after == before) return n;
        if (rg_kcas(space_of(s), s->index, e, RG_HASH_STRIPES) == RG_SUCCEEDED) return n;
    }
}

/* Once in so many turns, for it takes a look at all stripes. */
static void grow_in_turn(rg_slot *s, rg_hash *t, uint64_t turn)
{
    uint64_t size = rg_load(&t->size), often = size < 256 ? size / 8 + 1 : 32;
    if (turn % often) return;
    rg_cas_entry e[RG_HASH_STRIPES];
    if (sum(s, t, e) > (int64_t)rg_hash_room(size)) grow(t, size);
}

void rg_hash_grown(rg_slot *s, rg_hash *t) { grow_in_turn(s, t, read_word(s, rg_hash_count(s, t))); }

/* Not by the count: of one that goes up in steps the turn may never come. */
void rg_hash_grown_by(rg_slot *s, rg_hash *t, rg_quad *n) { grow_in_turn(s, t, rg_hash_of(n)); }

#endif
