/* sorted_direct.c - SortedMap's operations on one key, called directly. */
#include "sorted.h"

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

PyObject *rg_sorted_get(SortedMap *m, PyObject *key)
{
    rg_quest q;
    rg_slot *s = rg_begin(m->st, m, "get");
    if (!s || !rg_quest_open(&q, key, false)) return NULL;
    PyObject *v = NULL;
    rg_pin(s);
    int equal = rg_quest_run(m, s, &q, false) ? rg_quest_equal(m, s, &q) : -1;
    if (equal > 0) {
        uint64_t w = value_of(s, rg_tower_of(q.path.after[0]));
        if (rg_is_present(m, w)) v = Py_NewRef(rg_object_of(w));
    }
    if (equal >= 0) rg_unpin(s);
    rg_quest_close(s, &q);
    return v;
}

/* The value of a tower that is in becomes `v`, a reference of the caller's, if it was w. Pinned; one place is reserved. */
static bool replace(SortedMap *m, rg_slot *s, rg_tower *t, uint64_t w, uint64_t v)
{
    if (!rg_cas_once(&s->desc, &t->value, w, v)) return false;
    if (!rg_somebody_waits(s)) {
    } else if (!rg_is_present(m, w) || !rg_is_present(m, v) || !rg_same(rg_object_of(w), rg_object_of(v))) {
        rg_wake(s, &t->value);
    }
    if (rg_is_present(m, w)) rg_sorted_late(s, rg_object_of(w));
    return true;
}

bool rg_sorted_set(SortedMap *m, PyObject *key, PyObject *value, bool keep, PyObject **was)
{
    rg_quest q;
    rg_backoff b = { 0 };
    rg_slot *s = rg_begin(m->st, m, "set");
    if (!s || !rg_quest_open(&q, key, false)) return false;
    rg_tower *mine = NULL;
    int done = 0;
    *was = NULL;
    Py_INCREF(value); /* the word's */
    rg_pin(s);
    while (!done) {
        int equal = rg_quest_run(m, s, &q, true) ? rg_quest_equal(m, s, &q) : -1;
        if (equal < 0) break;
        if (!equal) {
            if (!mine && !(mine = rg_tower_new(s, rg_skip_height(next_random()), rg_word_of(key), rg_word_of(value)))) {
                rg_unpin(s);
                PyErr_NoMemory();
                break;
            }
            Py_INCREF(key);
            rg_tower *before = q.path.before[0];
            if (rg_skip_link(s, &m->list, &q.path, mine)) {
                rg_sorted_count(m, 1);
                rg_wake(s, &before->node.next);
                mine = NULL;
                rg_unpin(s);
                value = NULL;
                done = 1;
            } else {
                Py_DECREF(key); /* the caller has one */
                rg_lost(s, &b);
            }
            continue;
        }
        rg_tower *t = rg_tower_of(q.path.after[0]);
        uint64_t w = value_of(s, t);
        if (w == m->list.dead) {
            rg_tower_mark(s, t); /* the search cuts it */
            continue;
        }
        bool present = w != m->list.absent;
        if (present && keep) {
            *was = Py_NewRef(rg_object_of(w));
            rg_unpin(s);
            done = 1;
            continue;
        }
        if (!rg_reserve(s, 1)) {
            rg_unpin(s);
            PyErr_NoMemory();
            break;
        }
        if (replace(m, s, t, w, rg_word_of(value))) {
            if (!present) rg_sorted_count(m, 1);
            rg_unpin(s);
            value = NULL;
            done = 1;
        } else {
            rg_lost(s, &b);
        }
    }
    if (mine) rg_tower_free(s, mine);
    rg_quest_close(s, &q);
    Py_XDECREF(value);
    return done;
}

void rg_sorted_bury(SortedMap *m, rg_slot *s, rg_tower *t)
{
    rg_quest q;
    int equal;
    if (!rg_tower_mark(s, t)) return;
    if (rg_tower_of(rg_tower_next(s, &m->list.head, 0)) == t) {
        rg_skip_cut_first(s, &m->list);
        return;
    }
    PyObject *key = rg_tower_key(t);
    /* What its key would take Python code to find is cut by who comes by. */
    if (rg_quest_open(&q, key, true)) rg_quest_try(m, s, &q, &equal);
}

bool rg_sorted_delete(SortedMap *m, PyObject *key, PyObject **was)
{
    rg_quest q;
    rg_backoff b = { 0 };
    rg_slot *s = rg_begin(m->st, m, "delete");
    *was = NULL;
    if (!s || !rg_quest_open(&q, key, false)) return false;
    bool done = false;
    rg_pin(s);
    for (;;) {
        int equal = rg_quest_run(m, s, &q, true) ? rg_quest_equal(m, s, &q) : -1;
        if (equal < 0) break;
        rg_tower *t = rg_tower_of(q.path.after[0]);
        uint64_t w = equal ? value_of(s, t) : m->list.dead;
        if (!rg_is_present(m, w)) { /* a dead one that is still in: who killed it takes it out */
            rg_unpin(s);
            done = true;
            break;
        }
        if (!rg_reserve(s, 1)) {
            rg_unpin(s);
            PyErr_NoMemory();
            break;
        }
        *was = Py_NewRef(rg_object_of(w));
        if (replace(m, s, t, w, m->list.dead)) {
            rg_sorted_count(m, -1);
            rg_tower_mark(s, t);
            if (!rg_skip_cut(s, &m->list, &q.path, t)) {
                rg_quest again;
                int ignored;
                if (rg_quest_open(&again, key, true)) rg_quest_try(m, s, &again, &ignored);
            }
            rg_unpin(s);
            done = true;
            break;
        }
        PyObject *v = *was;
        *was = NULL;
        rg_unpin(s);
        Py_DECREF(v);
        rg_pin(s);
        rg_lost(s, &b);
    }
    rg_quest_close(s, &q);
    return done;
}
