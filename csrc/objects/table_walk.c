/* table_walk.c - all of a table: iterators, snapshots, and its life.
 *
 * An iterator remembers how far it is by a hash, not by a node: all nodes of hashes up to that have had their turn. So
 * nothing is held between two steps, and what comes and goes meanwhile moves nothing. A key that is bound throughout stands
 * somewhere in the list throughout, and is met. Of one hash there may be several keys; they are taken at once, and
 * those that were bound when they were passed but are dead at a second look are left out: a key that was taken out and put in
 * again behind us would else be there twice, and of two nodes of a key one is dead whenever the other is not.
 *
 * A snapshot collects the words of all bindings and of the count, and what they held, then makes sure that all of it held at one
 * instant. At that instant as many keys were bound as the count says, so there were no others. (A key whose node was passed
 * unbound, or not there yet, and came before that instant would have changed the count's words from what was collected
 * only if they were read before: so they are read last, and compared with the number collected.)
 */
#include "table.h"
#include "../core/elder.h"

static PyObject *object(uint64_t w) { return (PyObject *)(uintptr_t)w; }
static uint64_t value_in(rg_slot *s, rg_quad *n) { return rg_read(&s->domain->space, s->index, rg_hash_binding(n)); }

/* ---- iterators --------------------------------------------------------------------------------------- */

typedef struct IterObject {
    PyObject_HEAD
    rg_state *st;
    TableObject *m; /* NULL: it is over */
    rg_table_kind kind;
    bool begun;
    uint64_t position; /* if begun: the hash */
    PyObject *rest;    /* of a hash with several keys: keys and values by turns; a list, or NULL */
    rg_word busy;      /* 1: some thread is in it */
} IterObject;

PyObject *rg_table_iter(TableObject *m, rg_table_kind kind)
{
    IterObject *it = PyObject_GC_New(IterObject, m->st->table_iter_type);
    if (!it) return NULL;
    it->st = m->st;
    it->m = (TableObject *)Py_NewRef((PyObject *)m);
    it->kind = kind;
    it->begun = false;
    it->rest = NULL;
    rg_store_rlx(&it->busy, 0); /* relaxed: private yet */
    PyObject_GC_Track(it);
    return (PyObject *)it;
}

#define RUN_MOST 64 /* nodes of one hash looked at without allocating */

typedef struct found {
    rg_quad *node;
    PyObject *key, *value; /* new references */
} found;

/* n and those of its hash behind it, as many as fit; returns how many there are. Pinned. */
static size_t take_run(rg_slot *s, rg_hash *t, rg_quad *n, uint64_t value, found *run, size_t room)
{
    uint64_t hash = rg_hash_of(n);
    size_t k = 0;
    for (; n && rg_hash_of(n) == hash; n = rg_hash_after(s, t, n), value = n ? value_in(s, n) : RG_DEAD) {
        if (!rg_is_bound(value)) continue;
        if (k < room) run[k] = (found){ n, Py_NewRef(object(n->node.value)), Py_NewRef(object(value)) };
        k++;
    }
    /* The second look. */
    for (size_t i = 0; k > 1 && i < k && i < room; i++)
        if (value_in(s, run[i].node) == RG_DEAD) run[i].node = NULL;
    return k;
}

static void drop_run(found *run, size_t k)
{
    for (size_t i = 0; i < k; i++) {
        Py_DECREF(run[i].key);
        Py_DECREF(run[i].value);
    }
}

/* A list that gives keys and values by turns from its end. Steals the references. */
static PyObject *rest_of(found *run, size_t k)
{
    PyObject *l = PyList_New(0);
    for (size_t i = 0; i < k; i++) {
        if (l && run[i].node && (PyList_Append(l, run[i].value) < 0 || PyList_Append(l, run[i].key) < 0)) Py_CLEAR(l);
    }
    drop_run(run, k);
    return l;
}

/* Those of the next hash into *run, which has room for *room, or more if they need it. Returns how many there are; 0 at
 * the end; -1: no memory. */
static Py_ssize_t next_run(IterObject *it, found **run, size_t *room)
{
    for (;;) {
        rg_slot *s = rg_begin(it->st, it->m, "iter");
        if (!s) return -1;
        bool no_memory;
        uint64_t v;
        rg_pin(s);
        rg_quad *n = rg_table_behind(s, &it->m->t, it->begun ? &it->position : NULL, &v, &no_memory);
        size_t k = n ? take_run(s, &it->m->t, n, v, *run, *room) : 0;
        uint64_t hash = n ? rg_hash_of(n) : 0;
        rg_unpin(s);
        if (k > *room) {
            drop_run(*run, *room);
            found *more = PyMem_RawMalloc(2 * k * sizeof *more);
            if (more) {
                if (*room > RUN_MOST) PyMem_RawFree(*run);
                *run = more;
                *room = 2 * k;
                continue;
            }
            no_memory = true;
        }
        if (no_memory) {
            PyErr_NoMemory();
            return -1;
        }
        if (n) it->begun = true, it->position = hash;
        return (Py_ssize_t)k;
    }
}

/* The next entry, as new references. 1, 0 or -1. */
static int advance(IterObject *it, PyObject **key, PyObject **value)
{
    for (;;) {
        if (it->rest && PyList_GET_SIZE(it->rest)) {
            Py_ssize_t n = PyList_GET_SIZE(it->rest);
            *key = Py_NewRef(PyList_GET_ITEM(it->rest, n - 1));
            *value = Py_NewRef(PyList_GET_ITEM(it->rest, n - 2));
            if (PyList_SetSlice(it->rest, n - 2, n, NULL) == 0) return 1;
            Py_DECREF(*key);
            Py_DECREF(*value);
            return -1;
        }
        Py_CLEAR(it->rest);
        found few[RUN_MOST], *run = few;
        size_t room = RUN_MOST;
        Py_ssize_t k = next_run(it, &run, &room);
        if (k == 1) {
            *key = run[0].key;
            *value = run[0].value;
        } else if (k > 1) {
            it->rest = rest_of(run, (size_t)k);
        }
        if (run != few) PyMem_RawFree(run);
        if (k <= 1) return (int)k;
        if (!it->rest) return -1;
    }
}

static PyObject *iter_next(PyObject *self)
{
    IterObject *it = (IterObject *)self;
    PyObject *k, *v;
    TableObject *over = NULL;
    if (!rg_cas(&it->busy, 0, 1)) {
        PyErr_SetString(PyExc_ValueError, "this iterator of a map or set is being advanced already: it is for one thread at a time");
        return NULL;
    }
    int r = it->m ? advance(it, &k, &v) : 0;
    if (r == 0) {
        over = it->m;
        it->m = NULL;
    }
    rg_store(&it->busy, 0);
    if (r <= 0) {
        Py_XDECREF(over);
        return NULL;
    }
    if (it->kind == TABLE_ITEMS) {
        PyObject *pair = PyTuple_New(2);
        if (!pair) {
            Py_DECREF(k);
            Py_DECREF(v);
            return NULL;
        }
        PyTuple_SET_ITEM(pair, 0, k);
        PyTuple_SET_ITEM(pair, 1, v);
        return pair;
    }
    Py_DECREF(it->kind == TABLE_KEYS ? v : k);
    return it->kind == TABLE_KEYS ? k : v;
}

static PyObject *iter_length_hint(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    IterObject *it = (IterObject *)self;
    Py_ssize_t n = 0;
    if (rg_cas(&it->busy, 0, 1)) {
        if (it->m && !it->begun) n = rg_table_len(it->m);
        rg_store(&it->busy, 0);
    }
    return n < 0 ? NULL : PyLong_FromSsize_t(n);
}

static int iter_traverse(PyObject *self, visitproc visit, void *arg)
{
    IterObject *it = (IterObject *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(it->m);
    Py_VISIT(it->rest);
    return 0;
}

static void iter_dealloc(PyObject *self)
{
    IterObject *it = (IterObject *)self;
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    rg_release((PyObject *)it->m);
    rg_release(it->rest);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef iter_methods[] = {
    { "__length_hint__", iter_length_hint, METH_NOARGS, NULL },
    { "__reduce__", rg_refuse_pickle, METH_NOARGS, NULL },
    { NULL },
};
static PyType_Slot iter_slots[] = {
    { Py_tp_dealloc, iter_dealloc },
    { Py_tp_traverse, iter_traverse },
    { Py_tp_iter, PyObject_SelfIter },
    { Py_tp_iternext, iter_next },
    { Py_tp_methods, iter_methods },
    { 0, NULL },
};
PyType_Spec rg_table_iter_spec = {
    .name = "lockfree.TableIterator",
    .basicsize = sizeof(IterObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = iter_slots,
};

/* ---- snapshots ------------------------------------------------------------------------------------------ */

typedef struct collected {
    rg_cas_entry *words; /* of the bindings, then of the count; reordered when they are compared */
    rg_quad **nodes;     /* in their order */
    uint64_t *values;
    size_t n, cap;
} collected;

static bool collect_one(collected *c, rg_quad *n, uint64_t value)
{
    if (c->n + RG_HASH_STRIPES >= c->cap) {
        size_t cap = c->cap ? 2 * c->cap : 64;
        void *words = PyMem_RawRealloc(c->words, cap * sizeof *c->words);
        if (words) c->words = words;
        void *nodes = words ? PyMem_RawRealloc(c->nodes, cap * sizeof *c->nodes) : NULL;
        if (nodes) c->nodes = nodes;
        void *values = nodes ? PyMem_RawRealloc(c->values, cap * sizeof *c->values) : NULL;
        if (!values) return false;
        c->values = values;
        c->cap = cap;
    }
    if (!n) return true; /* there is room now */
    c->words[c->n] = (rg_cas_entry){ rg_hash_binding(n), value, value };
    c->values[c->n] = value;
    c->nodes[c->n++] = n;
    return true;
}

/* RG_SUCCEEDED: what is in c was all there was, at one instant; RG_FAILED; -1: no memory. Pinned. */
static int collect(rg_slot *s, rg_hash *t, collected *c)
{
    const rg_space *sp = &s->domain->space;
    uint64_t before, after, v;
    bool no_memory, even = rg_clock_read(sp, &before);
    c->n = 0;
    if (!collect_one(c, NULL, 0)) return -1;
    for (rg_quad *n = rg_hash_behind(s, t, NULL, &no_memory); n; n = rg_hash_after(s, t, n))
        if (rg_is_bound(v = value_in(s, n)) && !collect_one(c, n, v)) return -1;
    if (no_memory) return -1;
    int64_t count = 0;
    size_t n = c->n;
    for (unsigned i = 0; i < RG_HASH_STRIPES; i++) {
        rg_word *w = &t->counts[i * (RG_CACHE_LINE / 8)];
        v = rg_read(sp, s->index, w);
        c->words[n++] = (rg_cas_entry){ w, v, v };
        count += (int64_t)v;
    }
    if (even && rg_clock_read(sp, &after) && after == before) return RG_SUCCEEDED;
    if (count != (int64_t)c->n) return RG_FAILED;
    return rg_kcas(sp, s->index, c->words, n);
}

static bool in_tuples(collected *c, PyObject *keys, PyObject *values)
{
    for (size_t i = 0; i < c->n; i++) {
        PyTuple_SET_ITEM(keys, (Py_ssize_t)i, Py_NewRef(object(c->nodes[i]->node.value)));
        PyTuple_SET_ITEM(values, (Py_ssize_t)i, Py_NewRef(object(c->values[i])));
    }
    return true;
}

bool rg_table_snapshot(TableObject *m, PyObject **keys, PyObject **values)
{
    collected c = { 0 };
    rg_slot *s;
    rg_backoff b = { 0 };
    bool elder = false;
    size_t room = 0; /* made before: allocating a tuple may start the collector */
    int r = RG_FAILED;
    *keys = *values = NULL;
    for (unsigned lost = 0;; lost++) {
        if (!(s = rg_begin(m->st, m, "snapshot"))) break;
        rg_pin(s);
        r = collect(s, &m->t, &c);
        bool fits = r == RG_SUCCEEDED && *keys && c.n == room;
        if (fits) in_tuples(&c, *keys, *values);
        rg_unpin(s);
        if (fits || r < 0) break;
        if (r == RG_SUCCEEDED) { /* now that we know how many */
            Py_CLEAR(*keys);
            Py_CLEAR(*values);
            room = c.n;
            if (!(*keys = PyTuple_New((Py_ssize_t)room)) || !(*values = PyTuple_New((Py_ssize_t)room))) break;
            continue;
        }
        if (PyErr_CheckSignals() < 0) break;
        if (lost >= RG_ELDER_AFTER && rg_at_hand(m->st)) {
            if (elder)
                rg_elder_widen(s);
            else
                elder = rg_elder_claim(s, &c);
        }
        if (!elder) rg_lost(s, &b);
    }
    if (elder) rg_elder_resign(rg_here_quietly(m->st));
    PyMem_RawFree(c.words);
    PyMem_RawFree(c.nodes);
    PyMem_RawFree(c.values);
    if (r < 0) PyErr_NoMemory();
    if (!PyErr_Occurred()) return true;
    Py_CLEAR(*keys);
    Py_CLEAR(*values);
    return false;
}

/* ---- life -------------------------------------------------------------------------------------------------- */

/* A node that was taken out, when nobody looks at it any more. */
static void gone(rg_slot *s, void *p)
{
    PyObject *key = object(((rg_quad *)p)->node.value);
    rg_node_expired(s, p);
    Py_DECREF(key);
}

PyObject *rg_table_new(PyTypeObject *type, PyObject *args, PyObject *kw)
{
    (void)args, (void)kw;
    rg_state *st = rg_state_of(type);
    rg_slot *s = st ? rg_here(st) : NULL;
    TableObject *m = s ? (TableObject *)type->tp_alloc(type, 0) : NULL;
    if (!m) return NULL;
    m->st = st;
    if (!rg_hash_init(s, &m->t, RG_ABSENT, RG_DEAD, gone)) {
        Py_DECREF(m);
        return PyErr_NoMemory();
    }
    return (PyObject *)m;
}

/* The first node of a list that nothing changes, or the next after n; NULL at the end. */
static rg_quad *quiet_next(TableObject *m, rg_quad *n)
{
    if (!m->t.counts) return NULL;
    uint64_t w = rg_load(n ? &n->node.next : &m->t.first[0]);
    while (w & RG_TO_BUCKET) {
        w &= ~(RG_TO_BUCKET | RG_UNLINKING);
        if (!w) return NULL;
        w = rg_load((rg_word *)(uintptr_t)w);
    }
    return rg_quad_of(w & ~RG_UNLINKING);
}

int rg_table_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    for (rg_quad *n = NULL; (n = quiet_next((TableObject *)self, n));) {
        Py_VISIT(object(n->node.value));
        uint64_t v = rg_load(rg_hash_binding(n));
        if (rg_is_bound(v)) Py_VISIT(object(v));
    }
    return 0;
}

int rg_table_tp_clear(PyObject *self)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback); /* of whoever let go of us */
    rg_table_clear((TableObject *)self);
    PyErr_Restore(type, value, traceback);
    return 0;
}

void rg_table_dealloc(PyObject *self)
{
    TableObject *m = (TableObject *)self;
    PyObject_GC_UnTrack(self);
    if (m->weakrefs) PyObject_ClearWeakRefs(self);
    rg_slot *s = rg_here_quietly(m->st);
    for (rg_quad *n = NULL; (n = quiet_next(m, n));) {
        rg_release(object(n->node.value));
        /* Who helps a reaction late, having come by way of another structure, may be putting back what he found here. */
        uint64_t v = rg_last_value(m->st, rg_hash_binding(n));
        if (rg_is_bound(v)) rg_release(object(v));
    }
    if (s) rg_hash_close(s, &m->t);
    rg_free_late(m->st, self);
}
