/* skiplist_ops.h - a set of small integers made of csrc/core/skiplist.h, as csrc/objects makes a map of it: for the tests
 * and the explorer of the core. Values are odd multiples of 8. */
#ifndef SKIPLIST_OPS_H
#define SKIPLIST_OPS_H

#include "skiplist.h"

#define SK_ABSENT 16ULL
#define SK_DEAD 32ULL
#define SK_NONE (-1)
#define SK_CHAIN 32u

static inline bool sk_bound(uint64_t v) { return v != SK_ABSENT && v != SK_DEAD; }
static inline uint64_t sk_value(uint64_t key) { return key << 8 | 8; }
static inline int sk_below(const void *sought, rg_tower *t) { return t->node.value < *(const uint64_t *)sought; }

static inline void sk_seek(rg_slot *s, rg_skiplist *sl, rg_path *p, uint64_t key, bool cuts)
{
    rg_sought r = cuts ? rg_skip_search(s, sl, p, sk_below, &key, true, -1) : rg_skip_search(s, sl, p, sk_below, &key, false, -1);
    if (r != RG_SOUGHT) abort();
}
/* The tower of the key, once it was sought. */
static inline rg_tower *sk_tower(rg_path *p, uint64_t key)
{
    rg_tower *t = rg_tower_of(p->after[0]);
    return t && t->node.value == key ? t : NULL;
}
static inline uint64_t sk_read(rg_slot *s, rg_tower *t) { return rg_read(&s->domain->space, s->index, &t->value); }

/* Binds the key if it is not bound; to ABSENT: sees to it that it has a tower. *made: the tower. Pinned. */
static inline bool sk_insert_at(rg_slot *s, rg_skiplist *sl, uint64_t key, uint64_t value, unsigned height, rg_tower **made)
{
    for (;;) {
        rg_path p;
        sk_seek(s, sl, &p, key, true);
        rg_tower *t = sk_tower(&p, key);
        if (!t) {
            t = rg_tower_new(s, height, key, value);
            if (!t) abort();
            *made = t;
            if (rg_skip_link(s, sl, &p, t)) {
                rg_wake(s, &p.before[0]->node.next);
                return true;
            }
            rg_tower_free(s, t);
            continue;
        }
        *made = t;
        uint64_t v = sk_read(s, t);
        if (v == SK_DEAD) rg_tower_mark(s, t);
        else if (sk_bound(v) || value == SK_ABSENT) return false;
        else if (rg_cas_once(&s->desc, &t->value, v, value)) {
            rg_wake(s, &t->value);
            return true;
        }
    }
}

static inline bool sk_insert(rg_slot *s, rg_skiplist *sl, uint64_t key, unsigned height)
{
    rg_tower *t;
    rg_pin(s);
    bool ok = sk_insert_at(s, sl, key, sk_value(key), height, &t);
    rg_unpin(s);
    return ok;
}

static inline bool sk_delete(rg_slot *s, rg_skiplist *sl, uint64_t key)
{
    bool done = false;
    rg_pin(s);
    for (;;) {
        rg_path p;
        sk_seek(s, sl, &p, key, true);
        rg_tower *t = sk_tower(&p, key);
        uint64_t v = t ? sk_read(s, t) : SK_ABSENT;
        if (!sk_bound(v)) break;
        if (!rg_cas_once(&s->desc, &t->value, v, SK_DEAD)) continue;
        rg_wake(s, &t->value);
        rg_tower_mark(s, t);
        if (!rg_skip_cut(s, sl, &p, t)) sk_seek(s, sl, &p, key + 1, true);
        done = true;
        break;
    }
    rg_unpin(s);
    return done;
}

/* A search whose every comparison takes code that may do anything: it holds what it has seen, unpins, pins, goes on. */
#define SK_HELD 512u
static inline int sk_untold(const void *sought, rg_tower *t) { return (void)sought, (void)t, -1; }
static inline bool sk_find_unpinning(rg_slot *s, rg_skiplist *sl, uint64_t key)
{
    rg_path p;
    rg_tower *held[SK_HELD];
    size_t n = 0;
    rg_pin(s);
    for (int answer = -1; rg_skip_search(s, sl, &p, sk_untold, &key, true, answer) == RG_UNSURE;) {
        rg_tower *t = rg_tower_of(p.cur), *keep[2 * RG_LEVELS + 2] = { t, p.pred };
        size_t k = 2;
        for (; p.held > p.level + 1; k += 2) {
            p.held--;
            keep[k] = p.before[p.held];
            keep[k + 1] = rg_tower_of(p.after[p.held]);
        }
        while (k-- > 0)
            if (keep[k] && keep[k] != &sl->head) {
                if (n == SK_HELD) abort();
                rg_node_hold(&keep[k]->node);
                held[n++] = keep[k];
            }
        rg_unpin(s);
        answer = t->node.value < key;
        rg_pin(s);
    }
    rg_tower *t = sk_tower(&p, key);
    bool found = t && sk_bound(sk_read(s, t));
    rg_unpin(s);
    while (n) rg_node_release(s, &held[--n]->node);
    return found;
}

static inline bool sk_find(rg_slot *s, rg_skiplist *sl, uint64_t key)
{
    rg_path p;
    rg_pin(s);
    sk_seek(s, sl, &p, key, false);
    rg_tower *t = sk_tower(&p, key);
    bool found = t && sk_bound(sk_read(s, t));
    rg_unpin(s);
    return found;
}

/* ABSENT becomes DEAD, and the tower goes. The tower is held. */
static inline void sk_sweep(rg_slot *s, rg_skiplist *sl, rg_tower *t)
{
    rg_pin(s);
    if (rg_cas1(&s->domain->space, s->index, &t->value, SK_ABSENT, SK_DEAD)) {
        rg_path p;
        uint64_t key = t->node.value;
        rg_wake(s, &t->value);
        rg_tower_mark(s, t);
        sk_seek(s, sl, &p, key + 1, true);
    }
    rg_unpin(s);
    rg_node_release(s, &t->node);
}

/* As a reaction that inserts: a tower that is ABSENT, a k-CAS on its word, a sweep. */
static inline bool sk_insert_by_kcas(rg_slot *s, rg_skiplist *sl, uint64_t key, unsigned height)
{
    for (;;) {
        rg_tower *t;
        rg_pin(s);
        (void)sk_insert_at(s, sl, key, SK_ABSENT, height, &t);
        rg_node_hold(&t->node);
        uint64_t v = sk_read(s, t);
        bool retry = v == SK_DEAD, ok = false;
        if (v == SK_ABSENT) {
            rg_cas_entry e[] = { { &t->value, v, sk_value(key) } };
            ok = rg_kcas(&s->domain->space, s->index, e, 1) == RG_SUCCEEDED;
            retry = !ok;
            if (ok) rg_wake(s, &t->value);
        }
        rg_unpin(s);
        sk_sweep(s, sl, t);
        if (!retry) return ok;
    }
}

/* As a reaction that looks for the first binding, and takes it if so: the links and values passed, all at one instant. */
static inline int64_t sk_first(rg_slot *s, rg_skiplist *sl, bool take)
{
    const rg_space *sp = &s->domain->space;
    for (;;) {
        rg_cas_entry e[SK_CHAIN];
        size_t n = 0;
        int64_t key = SK_NONE;
        rg_tower *t = &sl->head, *found = NULL;
        bool stale = false;
        rg_pin(s);
        while (!stale && !found) {
            rg_tower *next;
            if (rg_skip_next_cut(s, sl, t, &next) != RG_SOUGHT) break;
            uint64_t w = rg_tower_next(s, t, 0);
            stale = w != rg_tower_word(next) || n + 3 > SK_CHAIN;
            if (stale) break;
            e[n++] = (rg_cas_entry){ &t->node.next, w, w };
            if (!next) break;
            uint64_t v = sk_read(s, next);
            if ((stale = v == SK_DEAD)) rg_tower_mark(s, next);
            bool takes = take && sk_bound(v);
            e[n++] = (rg_cas_entry){ &next->value, v, takes ? SK_ABSENT : v };
            if (sk_bound(v)) found = next;
            t = next;
        }
        bool complete = !stale && n && (found || e[n - 1].old == 0);
        if (complete) {
            if (found) key = (int64_t)found->node.value, rg_node_hold(&found->node);
            int k = take && found ? rg_kcas(sp, s->index, e, n) : rg_validate(sp, s->index, e, n);
            if (k == RG_CONFLICT) k = rg_kcas(sp, s->index, e, n);
            complete = k == RG_SUCCEEDED;
        }
        if (complete && take && found) rg_wake(s, &found->value);
        rg_unpin(s);
        if (found && key != SK_NONE) {
            if (complete && take) sk_sweep(s, sl, found);
            else rg_node_release(s, &found->node);
        }
        if (complete) return key;
    }
}

/* Nobody else is there: everything goes. */
static inline void sk_clear(rg_slot *s, rg_skiplist *sl)
{
    for (rg_tower *t;;) {
        rg_pin(s);
        if (!rg_skip_cut_first(s, sl) || !rg_skip_next(s, &sl->head, &t)) abort();
        if (t) {
            rg_store(&t->value, SK_DEAD);
            rg_tower_mark(s, t);
        }
        rg_unpin(s);
        if (!t) return;
    }
}

#endif
