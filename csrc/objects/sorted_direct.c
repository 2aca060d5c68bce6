/* sorted_direct.c - SortedMap's operations on one key, called directly, and how towers go. */
#include "sorted.h"
#include "turn.h"

static void expired(rg_slot *s, void *o)
{
    (void)s;
    Py_DECREF((PyObject *)o);
}

void rg_sorted_late(rg_slot *s, PyObject *o)
{
    if (rg_is_inert(o)) /* nobody waits to see it go */
        rg_retire_lazily(s, o, expired);
    else
        rg_retire(s, o, expired);
}

void rg_sorted_gone(rg_slot *s, rg_tower *t) { rg_sorted_late(s, rg_tower_key(t)); }

void rg_sorted_count(SortedMap *m, rg_slot *s, int64_t by)
{
    rg_word *cell = rg_sorted_cell(m, s);
    uint64_t n;
    do n = rg_read(&s->domain->space, s->index, cell);
    while (!rg_cas_once(&s->desc, cell, n, n + (uint64_t)by));
}

static uint64_t next_random(void) /* xorshift64*: Marsaglia (2003), Vigna (2016) */
{
    static _Thread_local uint64_t x __attribute__((tls_model("initial-exec")));
    if (!x) x = (uint64_t)(uintptr_t)&x ^ 0x9E3779B97F4A7C15ULL;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    return (x * 0x2545F4914F6CDD1DULL) >> 24;
}

static uint64_t value_of(rg_slot *s, rg_tower *t) { return rg_read(&s->domain->space, s->index, &t->value); }

/* Sought and compared: 1 found, 0 not, -1 with an error set and unpinned. */
static int find(SortedMap *m, rg_slot *s, rg_quest *q, bool cuts)
{
    return rg_quest_run(m, s, q, cuts) ? rg_quest_equal(m, s, q) : -1;
}

PyObject *rg_sorted_get(SortedMap *m, PyObject *key)
{
    rg_quest q;
    rg_slot *s = rg_begin(m->st, m, "get");
    if (!s || !rg_quest_open(&q, key, false)) return NULL;
    PyObject *v = NULL;
    rg_pin(s);
    int equal = find(m, s, &q, false);
    if (equal > 0) {
        uint64_t w = value_of(s, rg_tower_of(q.path.after[0]));
        if (rg_is_bound(w)) v = Py_NewRef(rg_object_of(w));
    }
    if (equal >= 0) rg_unpin(s);
    rg_quest_close(s, &q);
    return v;
}

/* The value w of a tower becomes v, with a reference to it. 1, 0: lost; or -1 with an error set. Pinned; unpinned
 * unless it was lost. */
static int replace(SortedMap *m, rg_slot *s, rg_tower *t, uint64_t w, uint64_t v)
{
    bool was = rg_is_bound(w), is = rg_is_bound(v);
    if (was && !rg_reserve(s, 1)) {
        rg_unpin(s);
        PyErr_NoMemory();
        return -1;
    }
    if (is) Py_INCREF(rg_object_of(v));
    if (!rg_cas_once(&s->desc, &t->value, w, v)) {
        if (is) Py_DECREF(rg_object_of(v)); /* the caller has one */
        return 0;
    }
    if (was != is) rg_sorted_count(m, s, is - was);
    if (rg_somebody_waits(s) && !(was && is && rg_same(rg_object_of(w), rg_object_of(v)))) rg_wake(s, &t->value);
    if (was) rg_sorted_late(s, rg_object_of(w));
    rg_unpin(s);
    return 1;
}

int rg_sorted_link(SortedMap *m, rg_slot *s, rg_quest *q, uint64_t value)
{
    rg_tower *t = rg_tower_new(s, rg_skip_height(next_random()), rg_word_of(q->key), value), *before = q->path.before[0];
    if (!t) {
        PyErr_NoMemory();
        return -1;
    }
    Py_INCREF(q->key);
    Py_INCREF(rg_object_of(value));
    if (!rg_skip_link(s, &m->list, &q->path, t)) {
        Py_DECREF(q->key); /* the caller has one of each */
        Py_DECREF(rg_object_of(value));
        rg_tower_free(s, t);
        return 0;
    }
    q->made = t;
    rg_wake(s, &before->node.next);
    if (rg_is_bound(value)) rg_sorted_count(m, s, 1);
    return 1;
}

bool rg_sorted_set(SortedMap *m, PyObject *key, PyObject *value, bool keep, PyObject **was)
{
    rg_quest q;
    rg_backoff b = { 0 };
    rg_slot *s = rg_begin(m->st, m, "set");
    *was = NULL;
    if (!s || !rg_quest_open(&q, key, false)) return false;
    int done;
    rg_pin(s);
    for (;;) {
        if ((done = find(m, s, &q, true)) < 0) break;
        if (!done) {
            done = rg_sorted_link(m, s, &q, rg_word_of(value));
            if (done) {
                rg_unpin(s);
                break;
            }
        } else {
            rg_tower *t = rg_tower_of(q.path.after[0]);
            uint64_t w = value_of(s, t);
            if (w == RG_DEAD) {
                rg_tower_mark(s, t); /* the search cuts it */
                continue;
            }
            if (keep && w != RG_ABSENT) {
                *was = Py_NewRef(rg_object_of(w));
                rg_unpin(s);
                break;
            }
            if ((done = replace(m, s, t, w, rg_word_of(value)))) break;
        }
        rg_lost(s, &b);
    }
    rg_quest_close(s, &q);
    return done > 0;
}

int rg_sorted_replace(SortedMap *m, PyObject *key, PyObject *old, PyObject *new_)
{
    rg_quest q;
    rg_backoff b = { 0 };
    rg_slot *s = rg_begin(m->st, m, "compare_and_set");
    if (!s || !rg_quest_open(&q, key, false)) return -1;
    int done;
    rg_pin(s);
    while ((done = find(m, s, &q, false)) >= 0) {
        rg_tower *t = rg_tower_of(q.path.after[0]);
        uint64_t w = done ? value_of(s, t) : RG_ABSENT;
        if (!rg_is_bound(w) || !rg_same(rg_object_of(w), old)) {
            rg_unpin(s);
            done = 0;
            break;
        }
        if ((done = replace(m, s, t, w, rg_word_of(new_)))) break;
        rg_lost(s, &b);
    }
    rg_quest_close(s, &q);
    return done;
}

/* A tower of that key has been marked: takes it out, and what else is marked on the way. What Python code raises on
 * the way is of no interest, somebody else will come by; but an interrupt is. Nothing is pinned. */
static void cut(SortedMap *m, rg_slot *s, PyObject *key)
{
    rg_quest q;
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    if (rg_quest_open(&q, key, true)) {
        rg_pin(s);
        if (rg_quest_run(m, s, &q, true)) rg_unpin(s);
        rg_quest_close(s, &q);
    }
    rg_put_off_interrupt();
    PyErr_Restore(type, value, traceback);
}

bool rg_sorted_delete(SortedMap *m, PyObject *key, PyObject **was)
{
    rg_quest q;
    rg_backoff b = { 0 };
    rg_slot *s = rg_begin(m->st, m, "delete");
    *was = NULL;
    if (!s || !rg_quest_open(&q, key, false)) return false;
    int done;
    bool all = true;
    rg_pin(s);
    while ((done = find(m, s, &q, true)) >= 0) {
        rg_tower *t = rg_tower_of(q.path.after[0]);
        uint64_t w = done ? value_of(s, t) : RG_ABSENT;
        if (!rg_is_bound(w)) { /* who makes it dead takes it out */
            rg_unpin(s);
            done = 1;
            break;
        }
        *was = Py_NewRef(rg_object_of(w));
        if (rg_reserve(s, 1) && rg_cas_once(&s->desc, &t->value, w, RG_DEAD)) {
            rg_sorted_count(m, s, -1);
            rg_wake(s, &t->value);
            rg_sorted_late(s, rg_object_of(w));
            rg_tower_mark(s, t);
            all = rg_skip_cut(s, &m->list, &q.path, t);
            rg_unpin(s);
            done = 1;
            break;
        }
        bool room = rg_has_room(s, 1);
        rg_unpin(s);
        Py_CLEAR(*was);
        if (!room) {
            PyErr_NoMemory();
            done = -1;
            break;
        }
        rg_pin(s);
        rg_lost(s, &b);
    }
    rg_quest_close(s, &q);
    if (!all) cut(m, s, key);
    return done > 0;
}

void rg_sorted_sweep(PyObject *owner, rg_node *node)
{
    SortedMap *m = (SortedMap *)owner;
    rg_tower *t = (rg_tower *)node;
    rg_slot *s = rg_here_quietly(m->st);
    if (!s) return;
    rg_pin(s);
    PyObject *key = NULL;
    if (rg_cas1(&s->domain->space, s->index, &t->value, RG_ABSENT, RG_DEAD)) {
        key = Py_NewRef(rg_tower_key(t)); /* it was in a moment ago */
        rg_wake(s, &t->value);
        rg_tower_mark(s, t);
    }
    rg_unpin(s);
    if (!key) return;
    cut(m, s, key);
    rg_release(key);
}

/* Linearizes at the k-CAS, or at the instant that the validation finds, of the link beyond which nothing lies and of the
 * value; of an empty map at the read of the head's link. */
int rg_sorted_end(SortedMap *m, bool last, bool remove, PyObject **key, PyObject **value)
{
    const rg_space *sp = &m->st->domain->space;
    rg_slot *s = rg_begin(m->st, m, remove ? "pop" : "peek");
    if (!s) return -1;
    rg_quest q;
    rg_tower *t = NULL, *head = &m->list.head;
    int found = 2;
    rg_pin(s);
    if (last) {
        rg_quest_open(&q, NULL, false);
        if (rg_quest_try(m, s, &q, true, NULL) == RG_SOUGHT) t = q.path.before[0];
    } else if (rg_skip_next_cut(s, &m->list, head, &t) == RG_SOUGHT && !t) {
        found = 0;
    }
    uint64_t w = t && t != head ? value_of(s, t) : RG_ABSENT;
    if (rg_is_bound(w) && rg_reserve(s, 1)) { /* without room the reaction will say so */
        rg_word *link = last ? &t->node.next : &head->node.next;
        uint64_t to = last ? 0 : rg_tower_word(t);
        rg_cas_entry e[] = { { link, to, to }, { &t->value, w, remove ? RG_DEAD : w } };
        *key = Py_NewRef(rg_tower_key(t)); /* it is in, or it all comes to nothing: then it is not the last reference */
        *value = Py_NewRef(rg_object_of(w));
        if ((remove ? rg_kcas(sp, s->index, e, 2) : rg_validate(sp, s->index, e, 2)) == RG_SUCCEEDED) {
            found = 1;
        } else {
            rg_unpin(s);
            Py_CLEAR(*key);
            Py_CLEAR(*value);
            return 2;
        }
    }
    if (found == 1 && remove) {
        rg_sorted_late(s, *value);
        rg_sorted_count(m, s, -1);
        rg_wake(s, &t->value);
        rg_tower_mark(s, t);
        if (!last) rg_skip_cut_first(s, &m->list);
    }
    rg_unpin(s);
    if (found == 1 && remove && last) cut(m, s, *key);
    return found;
}

/* What a clearing takes out, as far as its going may run code: kept until it is over, which it would never be if each
 * destructor put in another binding. */
typedef struct cleared {
    PyObject **at;
    size_t n, cap;
} cleared;

/* Without memory it goes sooner. */
static void keep(cleared *c, PyObject *o)
{
    if (rg_is_inert(o)) return;
    if (c->n == c->cap) {
        size_t cap = c->cap ? 2 * c->cap : 64;
        PyObject **at = PyMem_RawRealloc(c->at, cap * sizeof *at);
        if (!at) return;
        c->at = at;
        c->cap = cap;
    }
    c->at[c->n++] = Py_NewRef(o);
}

static bool clear(SortedMap *m, rg_slot *s, cleared *c)
{
    for (;;) {
        rg_tower *t = NULL;
        rg_pin(s);
        if (!rg_skip_cut_first(s, &m->list)) break;
        rg_skip_next(s, &m->list.head, &t);
        if (!t) {
            rg_unpin(s);
            return true;
        }
        uint64_t w = value_of(s, t);
        if (w != RG_DEAD) {
            if (!rg_reserve(s, 1)) break;
            keep(c, rg_tower_key(t));
            if (rg_is_bound(w)) keep(c, rg_object_of(w));
            if (!rg_cas_once(&s->desc, &t->value, w, RG_DEAD)) {
                rg_unpin(s);
                continue;
            }
            rg_wake(s, &t->value);
            if (rg_is_bound(w)) {
                rg_sorted_count(m, s, -1);
                rg_sorted_late(s, rg_object_of(w));
            }
        }
        rg_tower_mark(s, t);
        rg_unpin(s);
    }
    rg_unpin(s);
    PyErr_NoMemory();
    return false;
}

bool rg_sorted_clear(SortedMap *m)
{
    rg_slot *s = rg_begin(m->st, m, "clear");
    if (!s) return false;
    cleared c = { NULL, 0, 0 };
    bool ok = clear(m, s, &c);
    for (size_t i = 0; i < c.n; i++) rg_release(c.at[i]);
    PyMem_RawFree(c.at);
    return ok;
}
