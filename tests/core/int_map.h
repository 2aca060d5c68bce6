/* int_map.h - csrc/core/hash.h with numbers for keys and values: what its tests and scenarios share. Theirs are TABLE, which
 * points to the table, and SPACE. */
#ifndef RG_INT_MAP_H
#define RG_INT_MAP_H

#include "hash_body.h"

enum { ABSENT = 8, DEAD = 16 }; /* values are greater */

static int same_key(const void *key, const rg_quad *n) { return n->node.value == (uint64_t)(uintptr_t)key; }

/* Pinned. */
static rg_quad *seek_key(rg_slot *s, rg_place *p, uint64_t key)
{
    rg_quad *n;
    while ((n = rg_hash_seek(s, TABLE, p)) && n->node.value != key) {}
    return n;
}

/* The value becomes v; returns what it was, or ABSENT. */
static uint64_t map_put(rg_slot *s, uint64_t key, uint64_t hash, uint64_t v)
{
    rg_place p;
    rg_quad *fresh = NULL;
    uint64_t old;
    rg_pin(s);
    rg_hash_begin(s, TABLE, &p, hash);
    for (;;) {
        rg_quad *n = seek_key(s, &p, key);
        if (!n) {
            if (!fresh) {
                fresh = rg_hash_node(s, TABLE, key, hash);
            }
            if (!rg_hash_insert(&p, fresh)) continue;
            n = fresh;
            fresh = NULL;
        }
        old = rg_read(SPACE, s->index, rg_hash_binding(n));
        if (old == ABSENT && rg_hash_bind(s, TABLE, n, ABSENT, v, 1)) break;
        if (old != ABSENT && old != DEAD && rg_cas1(SPACE, s->index, rg_hash_binding(n), old, v)) break;
        rg_hash_begin(s, TABLE, &p, hash);
    }
    if (fresh) rg_node_free(s, &fresh->node);
    if (old == ABSENT) rg_hash_grown(s, TABLE);
    rg_unpin(s);
    return old;
}

/* Returns what it was, or ABSENT. `trace`: as a reaction does it, first ABSENT, then swept. */
static uint64_t map_remove(rg_slot *s, uint64_t key, uint64_t hash, bool trace)
{
    rg_place p;
    uint64_t old = ABSENT;
    rg_pin(s);
    rg_hash_begin(s, TABLE, &p, hash);
    for (rg_quad *n; (n = seek_key(s, &p, key)); rg_hash_begin(s, TABLE, &p, hash)) {
        old = rg_read(SPACE, s->index, rg_hash_binding(n));
        if (old == ABSENT) break;
        if (old == DEAD) {
            old = ABSENT;
            continue;
        }
        if (!rg_hash_bind(s, TABLE, n, old, trace ? ABSENT : DEAD, -1)) {
            old = ABSENT;
            continue;
        }
        if (!trace || rg_cas1(SPACE, s->index, rg_hash_binding(n), ABSENT, DEAD)) rg_hash_unlink(s, TABLE, n, trace ? NULL : &p);
        break;
    }
    rg_unpin(s);
    return old;
}

/* The value, or ABSENT; by reading alone where that is enough. */
static uint64_t map_get(rg_slot *s, uint64_t key, uint64_t hash)
{
    rg_quad *n;
    uint64_t v;
    rg_pin(s);
    rg_sight sight = rg_hash_look(TABLE, hash, same_key, (const void *)(uintptr_t)key, &n, &v);
    if (sight == RG_SIGHT_MISSING) v = ABSENT;
    if (sight == RG_SIGHT_BLURRED) {
        rg_place p;
        rg_hash_begin(s, TABLE, &p, hash);
        n = seek_key(s, &p, key);
        v = n ? rg_read(SPACE, s->index, rg_hash_binding(n)) : ABSENT;
    }
    rg_unpin(s);
    return v == DEAD ? ABSENT : v;
}

/* The same, as who lets go of everything but a hold on the node to compare a key. */
static uint64_t map_ask(rg_slot *s, uint64_t key, uint64_t hash)
{
    rg_place p;
    rg_quad *n;
    uint64_t v = ABSENT;
    bool same = false;
    rg_pin(s);
    rg_hash_begin(s, TABLE, &p, hash);
    while (!same && (n = rg_hash_seek(s, TABLE, &p))) {
        rg_node_hold(&n->node);
        rg_unpin(s);
        same = n->node.value == key;
        rg_pin(s);
        same &= rg_hash_resume(s, TABLE, &p, n);
        rg_node_release(s, &n->node);
        if (same) v = rg_read(SPACE, s->index, rg_hash_binding(n));
    }
    rg_unpin(s);
    return v == DEAD ? ABSENT : v;
}

static int64_t map_len(rg_slot *s)
{
    rg_pin(s);
    int64_t n = rg_hash_len(s, TABLE);
    rg_unpin(s);
    return n;
}

#endif
