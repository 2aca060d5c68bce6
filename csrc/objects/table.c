/* table.c - see table.h: getting and changing.
 *
 * A word's object is looked at while pinned only, until there is a reference of our own; what a word gave up goes late. Keys
 * belong to their node and go with it. Keys that cannot be compared without running user code are compared unpinned,
 * the node being held; the walk then goes on from there, or begins again if the node is on its way out. So what __eq__
 * does meanwhile, to this table too, makes no difference. If it raises, nothing has changed.
 *
 * Linearization: hash.h; overwriting: the CAS on the word. A reaction's is its commit, and what it logs of a table
 * is the words of the bindings, and, where keys come or go, a stripe of the count.
 */
#include "table.h"

#include "../core/hash_body.h"

/* ---- keys ---------------------------------------------------------------------------------------------- */

/* Comparing two of these runs no code of anybody's. */
static bool is_plain(PyObject *o) { return rg_is_inert(o) || PyBool_Check(o); }
static bool is_text(PyObject *o) { return PyUnicode_CheckExact(o) || PyBytes_CheckExact(o); }

int rg_key_same_slow(PyObject *a, PyObject *b)
{
    if (!is_plain(a) || !is_plain(b)) return -1;
    if (Py_TYPE(a) != Py_TYPE(b) && (is_text(a) || is_text(b))) return 0; /* and no BytesWarning */
    int same = PyObject_RichCompareBool(a, b, Py_EQ);
    if (same < 0) PyErr_Clear(); /* no memory to compare a float with a long integer: `ask` will say so */
    return same;
}

/* A walk to one key, of a direct call or a reaction. */
typedef struct walk {
    TableObject *m;
    rg_slot *s;
    rx *r; /* or NULL */
    PyObject *key;
    rg_place p;
} walk;

/* Is it the key of n? RX_RETRY, of a reaction: stale. RX_ERROR: unpinned, but in a reaction. */
static rx_outcome ask(walk *w, rg_quad *n, int *same)
{
    PyObject *k = Py_NewRef((PyObject *)(uintptr_t)n->node.value);
    rg_node_hold(&n->node);
    rx_outcome o = w->r ? rx_leave(w->r) : (rg_unpin(w->s), RX_DONE);
    if (o != RX_DONE) {
        rx_drop(w->r, k);
    } else {
        *same = PyObject_RichCompareBool(k, w->key, Py_EQ);
        PyObject *type, *value, *traceback; /* of whoever let go of it */
        PyErr_Fetch(&type, &value, &traceback);
        Py_DECREF(k);
        PyErr_Restore(type, value, traceback);
        if (w->r) {
            o = rx_return(w->r, *same < 0 ? NULL : Py_NewRef(Py_None));
            if (o == RX_DONE) Py_DECREF(Py_None);
        } else if (*same < 0) {
            o = RX_ERROR;
        }
    }
    rg_slot *s = rg_here_quietly(w->m->st);
    if (s && o == RX_DONE && !w->r) rg_pin(s);
    if (s && o == RX_DONE && !rg_hash_resume(s, &w->m->t, &w->p, n)) *same = 0; /* it may be, but is not to be looked at */
    if (s) rg_node_release(s, &n->node);
    if (!s && o == RX_DONE) {
        PyErr_NoMemory();
        o = RX_ERROR;
    }
    w->s = s;
    return o;
}

/* The key's node, which was not dead, or NULL: w->p is where it belongs. Pinned; see ask. */
static rx_outcome seek(walk *w, rg_quad **n)
{
    while ((*n = rg_hash_seek(w->s, &w->m->t, &w->p))) {
        int same = rg_key_same(w->key, *n);
        if (__builtin_expect(same < 0, 0)) {
            rx_outcome o = ask(w, *n, &same);
            if (o != RX_DONE) return o;
        }
        if (same) return RX_DONE;
    }
    if (!w->p.no_memory) return RX_DONE;
    if (!w->r) rg_unpin(w->s);
    PyErr_NoMemory();
    return RX_ERROR;
}

static bool start(walk *w, uint64_t hash)
{
    if (rg_hash_begin(w->s, &w->m->t, &w->p, hash)) return true;
    if (!w->r) rg_unpin(w->s);
    PyErr_NoMemory();
    return false;
}

/* Private yet; owns a reference to the key. */
static rg_quad *new_node(rg_slot *s, rg_hash *t, PyObject *key, uint64_t hash)
{
    rg_quad *n = rg_hash_node(s, t, (uint64_t)(uintptr_t)key, hash);
    if (n) Py_INCREF(key);
    return n;
}

static PyObject *object(uint64_t w) { return (PyObject *)(uintptr_t)w; }

/* ---- getting --------------------------------------------------------------------------------------------- */

/* 1, 0 or -1. *out, if not NULL: a new reference. */
static RG_SLOW int get_slow(TableObject *m, PyObject *key, uint64_t hash, PyObject **out)
{
    walk w = { .m = m, .s = rg_begin(m->st, m, "get"), .key = key };
    if (!w.s) return -1;
    rg_pin(w.s);
    rg_quad *n;
    if (!start(&w, hash) || seek(&w, &n) != RX_DONE) return -1;
    uint64_t v = n ? read_word(w.s, rg_hash_binding(n)) : RG_ABSENT;
    if (out) *out = rg_is_bound(v) ? Py_NewRef(object(v)) : NULL;
    rg_unpin(w.s);
    return rg_is_bound(v);
}

PyObject *rg_table_get(TableObject *m, PyObject *key, uint64_t hash)
{
    rg_slot *s = rg_at_hand(m->st);
    PyObject *y = NULL;
    if (__builtin_expect(s && rg_glance(s), 1)) {
        rg_quad *n;
        uint64_t v;
        rg_sight sight = rg_hash_look(&m->t, hash, rg_key_same, key, &n, &v);
        if (sight == RG_SIGHT_FOUND && v != RG_ABSENT) y = Py_NewRef(object(v));
        rg_glanced(s);
        if (__builtin_expect(sight != RG_SIGHT_BLURRED, 1)) return y;
    }
    return get_slow(m, key, hash, &y) == 1 ? y : NULL;
}

int rg_table_contains(TableObject *m, PyObject *key, uint64_t hash)
{
    rg_slot *s = rg_at_hand(m->st);
    if (__builtin_expect(s && rg_glance(s), 1)) {
        rg_quad *n;
        uint64_t v;
        rg_sight sight = rg_hash_look(&m->t, hash, rg_key_same, key, &n, &v);
        rg_glanced(s);
        if (__builtin_expect(sight != RG_SIGHT_BLURRED, 1)) return sight == RG_SIGHT_FOUND && v != RG_ABSENT;
    }
    return get_slow(m, key, hash, NULL);
}

/* ---- changing ---------------------------------------------------------------------------------------------- */

/* A word gave up `old`; pinned, and `old` is looked at for the last time. */
static void displaced(rg_slot *s, rg_quad *n, uint64_t old, PyObject *new_)
{
    if (rg_somebody_waits(s) && (!new_ || !rg_is_bound(old) || !rg_same(object(old), new_))) rg_wake(s, rg_hash_binding(n));
#ifndef RG_EXCLUSIVE
    if (old != RG_ABSENT) rg_decref_late(s, object(old));
#endif
}

/* The end of a change: unpinned, what goes may go. */
static void finish(rg_slot *s, uint64_t old)
{
    rg_unpin(s);
#ifdef RG_EXCLUSIVE
    if (old != RG_ABSENT) Py_DECREF(object(old));
#else
    (void)old;
#endif
}

/* Found, to be changed to `value` (its reference is the word's) or removed. 1, 0; -1: look again. Pinned. */
static int try_change(walk *w, rg_table_change what, rg_quad *n, PyObject *expected, PyObject *value, uint64_t *old, PyObject **out)
{
    rg_hash *t = &w->m->t;
    *old = read_word(w->s, rg_hash_binding(n));
    if (*old == RG_DEAD) return -1;
    bool bound = *old != RG_ABSENT;
    uint64_t new_ = (uint64_t)(uintptr_t)value;
    switch (what) {
    case TABLE_REPLACE:
        if (!bound || !rg_same(object(*old), expected)) return 0;
        break;
    case TABLE_DEFAULT:
        if (!bound) break;
        *out = Py_NewRef(object(*old));
        return 0;
    case TABLE_REMOVE:
        if (!bound) return 0;
        if (!rg_hash_bind(w->s, t, n, *old, RG_DEAD, -1)) return -1;
        if (out) *out = Py_NewRef(object(*old));
        displaced(w->s, n, *old, NULL);
        rg_hash_unlink(w->s, t, n, &w->p);
        return 1;
    default: break;
    }
    if (!(bound ? rg_cas_once(&w->s->desc, rg_hash_binding(n), *old, new_) : rg_hash_bind(w->s, t, n, RG_ABSENT, new_, 1))) return -1;
    displaced(w->s, n, *old, value);
    if (!bound) rg_hash_grown(w->s, t);
    return 1;
}

static RG_SLOW int change_slow(TableObject *m, rg_table_change what, PyObject *key, uint64_t hash, PyObject *expected, PyObject *value,
                               PyObject **out)
{
    walk w = { .m = m, .s = rg_begin(m->st, m, what == TABLE_REMOVE ? "remove" : "set"), .key = key };
    if (!w.s) return -1;
    bool adds = what == TABLE_SET || what == TABLE_DEFAULT;
    rg_backoff b = { 0 };
    rg_quad *n = NULL, *fresh = NULL;
    uint64_t old = RG_ABSENT;
    int done = -1;
    Py_XINCREF(value); /* the word's */
    rg_pin(w.s);
    bool ok = start(&w, hash);
    while (ok && done < 0) {
        if (!(ok = seek(&w, &n) == RX_DONE)) break;
        if (!n && !adds) {
            done = 0;
            break;
        }
        /* For the value, the node, and what the walks meet. */
        if (!rg_reserve(w.s, 3) || (!n && !fresh && !(fresh = new_node(w.s, &w.m->t, key, hash)))) {
            rg_unpin(w.s);
            PyErr_NoMemory();
            ok = false;
            break;
        }
        if (!n && !rg_hash_insert(&w.p, fresh)) continue; /* others were, and are to be looked at */
        if (!n) {
            n = fresh;
            fresh = NULL;
        }
        done = try_change(&w, what, n, expected, value, &old, out);
        if (done < 0) {
            rg_lost(w.s, &b);
            ok = start(&w, hash);
        }
    }
    if (ok) finish(w.s, done == 1 ? old : RG_ABSENT);
    if (fresh && w.s) {
        rg_node_free(w.s, &fresh->node);
        Py_DECREF(key); /* the caller has another */
    }
    if (done != 1) Py_XDECREF(value);
    return done;
}

int rg_table_do(TableObject *m, rg_table_change what, PyObject *key, uint64_t hash, PyObject *expected, PyObject *value, PyObject **out)
{
    /* The commonest, with nothing in the way: the key is there. */
    rg_slot *s = rg_at_hand(m->st);
    if (__builtin_expect(what <= TABLE_DEFAULT && s && rg_has_room(s, 1) && rg_glance(s), 1)) {
        rg_quad *n;
        uint64_t old;
        if (rg_hash_look(&m->t, hash, rg_key_same, key, &n, &old) == RG_SIGHT_FOUND && old != RG_ABSENT) {
            if (what == TABLE_DEFAULT) {
                *out = Py_NewRef(object(old));
                rg_glanced(s);
                return 0;
            }
            Py_INCREF(value);
            if (__builtin_expect(rg_cas_once(&s->desc, rg_hash_binding(n), old, (uint64_t)(uintptr_t)value), 1)) {
                displaced(s, n, old, value);
                rg_glanced(s);
#ifdef RG_EXCLUSIVE
                Py_DECREF(object(old));
#endif
                rg_reclaim_when_due(s);
                return 1;
            }
            Py_DECREF(value);
        }
        rg_glanced(s);
    }
    return change_slow(m, what, key, hash, expected, value, out);
}

/* ---- bindings in reactions ----------------------------------------------------------------------------------- */

static rx_outcome locate(rx *r, PyObject *owner, PyObject *key, Py_hash_t mixed, rx_entry **e)
{
    walk w = { .m = (TableObject *)owner, .s = r->slot, .r = r, .key = key };
    uint64_t hash = (uint64_t)mixed;
    rg_quad *n, *fresh = NULL;
    rx_outcome o = RX_ERROR;
    bool ok = start(&w, hash);
    while (ok && (o = seek(&w, &n)) == RX_DONE) {
        o = RX_ERROR;
        if (!n && !fresh && !(fresh = new_node(w.s, &w.m->t, key, hash))) {
            PyErr_NoMemory();
            break;
        }
        if (!n && !rg_hash_insert(&w.p, fresh)) continue;
        if (!n) {
            n = fresh;
            fresh = NULL;
        }
        *e = rx_read_private(r, rg_hash_binding(n), WORD_OBJECT, &n->node);
        if (!*e) break;
        if ((*e)->old == RG_DEAD) {
            o = RX_RETRY; /* since a moment ago */
        } else if ((*e)->old != RG_ABSENT || rg_trace(r, &rg_table_binder, owner, &n->node)) {
            o = RX_DONE;
        }
        break;
    }
    if (fresh && w.s) {
        rg_node_free(w.s, &fresh->node);
        Py_DECREF(key); /* the caller has another */
    }
    return o;
}

static bool count(rx *r, PyObject *owner, int by)
{
    rx_entry *e = rx_read_private(r, rg_hash_count(r->slot, &((TableObject *)owner)->t), WORD_INT, NULL);
    return e && rx_write(r, e, e->cur + (uint64_t)(int64_t)by);
}

static void sweep(PyObject *owner, rg_node *node)
{
    TableObject *m = (TableObject *)owner;
    rg_slot *s = rg_here_quietly(m->st);
    if (!s || !rg_reserve(s, 2)) return;
    rg_quad *n = (rg_quad *)node;
    rg_pin(s);
    if (rg_cas1(&s->domain->space, s->index, rg_hash_binding(n), RG_ABSENT, RG_DEAD)) {
        rg_wake(s, rg_hash_binding(n));
        rg_hash_unlink(s, &m->t, n, NULL);
    }
    rg_hash_grown_by(s, &m->t, n);
    rg_unpin(s);
}

static PyObject *binder_get(PyObject *owner, PyObject *key, Py_hash_t hash)
{
    return rg_table_get((TableObject *)owner, key, (uint64_t)hash);
}
static bool binder_set(PyObject *owner, PyObject *key, Py_hash_t hash, PyObject *value)
{
    return rg_table_do((TableObject *)owner, TABLE_SET, key, (uint64_t)hash, NULL, value, NULL) >= 0;
}
static int binder_replace(PyObject *owner, PyObject *key, Py_hash_t hash, PyObject *old, PyObject *new_)
{
    return rg_table_do((TableObject *)owner, TABLE_REPLACE, key, (uint64_t)hash, old, new_, NULL);
}
const rg_binder rg_table_binder = { locate, count, sweep, binder_get, binder_set, binder_replace };

/* ---- all of it ------------------------------------------------------------------------------------------------- */

Py_ssize_t rg_table_len(TableObject *m)
{
    rg_slot *s = rg_begin(m->st, m, "len");
    if (!s) return -1;
    rg_pin(s);
    int64_t n = rg_hash_len(s, &m->t);
    rg_unpin(s);
    return (Py_ssize_t)n;
}

/* The first bound one behind a hash, or of all; pinned. NULL: none. */
rg_quad *rg_table_behind(rg_slot *s, rg_hash *t, const uint64_t *after, uint64_t *value, bool *no_memory)
{
    rg_quad *n = rg_hash_behind(s, t, after, no_memory);
    while (n && !rg_is_bound(*value = read_word(s, rg_hash_binding(n)))) n = rg_hash_after(s, t, n);
    return n;
}

int rg_table_pop(TableObject *m, PyObject **key, PyObject **value)
{
    rg_slot *s = rg_begin(m->st, m, "popitem");
    if (!s) return -1;
    if (!rg_reserve(s, 3)) {
        PyErr_NoMemory();
        return -1;
    }
    rg_backoff b = { 0 };
    rg_pin(s);
    for (;;) {
        bool no_memory;
        uint64_t finger = rg_load(&m->finger), v;
        rg_quad *n = rg_table_behind(s, &m->t, &finger, &v, &no_memory);
        if (!n && !no_memory) n = rg_table_behind(s, &m->t, NULL, &v, &no_memory);
        if (no_memory || !rg_reserve(s, 3)) {
            rg_unpin(s);
            PyErr_NoMemory();
            return -1;
        }
        if (!n) {
            if (rg_hash_len(s, &m->t)) continue; /* what came meanwhile came before where we looked */
            rg_unpin(s);
            return 0;
        }
        if (rg_hash_bind(s, &m->t, n, v, RG_DEAD, -1)) {
            *key = Py_NewRef(object(n->node.value));
            *value = Py_NewRef(object(v));
            rg_store(&m->finger, rg_hash_of(n));
            displaced(s, n, v, NULL);
            rg_hash_unlink(s, &m->t, n, NULL);
            finish(s, v);
            return 1;
        }
        rg_lost(s, &b);
    }
}

/* How many of n's hash are bound, from n on. Pinned. */
static size_t run_of(rg_slot *s, rg_hash *t, rg_quad *n)
{
    uint64_t hash = rg_hash_of(n);
    size_t k = 0;
    for (; n && rg_hash_of(n) == hash; n = rg_hash_after(s, t, n)) k += rg_is_bound(read_word(s, rg_hash_binding(n)));
    return k;
}

/* Of each hash as many as are met there, oldest first: so it comes to an end even if the destructor of each key or value
 * puts in another. */
void rg_table_clear(TableObject *m)
{
    rg_slot *s;
    uint64_t hash = 0, after = 0;
    size_t left = 0; /* of `hash` */
    bool begun = false, no_memory, more = true;
    while (more && (s = rg_here_quietly(m->st)) && rg_reserve(s, 3)) {
        uint64_t v = RG_ABSENT;
        rg_pin(s);
        rg_quad *n = rg_table_behind(s, &m->t, begun ? &after : NULL, &v, &no_memory);
        more = n != NULL;
        if (n && (!left || rg_hash_of(n) != hash)) {
            hash = rg_hash_of(n);
            left = run_of(s, &m->t, n);
        }
        if (n && rg_hash_bind(s, &m->t, n, v, RG_DEAD, -1)) {
            displaced(s, n, v, NULL);
            rg_hash_unlink(s, &m->t, n, NULL);
            if (left) left--;
        } else {
            v = RG_ABSENT;
        }
        if (n && !left) {
            begun = true;
            after = hash;
        }
        finish(s, v);
    }
}
