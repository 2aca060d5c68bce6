/* cache.c - see cache.h. */
#include "cache.h"

#include <unistd.h>

/* ---- entries --------------------------------------------------------------------------------------- */

static EntryObject *entry_of(PyObject *o) { return (EntryObject *)o; }
static PyObject *object_in(const rg_word *w) { return (PyObject *)(uintptr_t)rg_load(w); }

static int entry_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(object_in(&entry_of(self)->value.word));
    Py_VISIT(entry_of(self)->key);
    return 0;
}

/* The key stays: the Map that the entry is in may compare it, and clears itself. */
static int entry_clear(PyObject *self)
{
    rg_word *w = &entry_of(self)->value.word;
    PyObject *old = (PyObject *)(uintptr_t)rg_last_value(entry_of(self)->value.st, w);
    rg_store(w, (uint64_t)(uintptr_t)Py_NewRef(Py_None));
    Py_XDECREF(old);
    return 0;
}

static void entry_dealloc(PyObject *self)
{
    EntryObject *e = entry_of(self);
    PyObject_GC_UnTrack(self);
    rg_release((PyObject *)(uintptr_t)rg_last_value(e->value.st, &e->value.word));
    rg_release(e->key);
    rg_free_late(e->value.st, self);
}

static PyObject *entry_at(PyObject *self, PyObject *map)
{
    EntryObject *e = entry_of(self);
    if (!PyObject_TypeCheck(map, e->value.st->map_type)) {
        PyErr_Format(PyExc_TypeError, "entries are at keys of a Map, not of a %.100s", Py_TYPE(map)->tp_name);
        return NULL;
    }
    return rg_binding_new(e->value.st, &rg_table_binder, map, e->key, (Py_hash_t)e->hash);
}

static PyObject *entry_stamp(PyObject *self, void *Py_UNUSED(c)) { return PyLong_FromUnsignedLongLong(rg_load(&entry_of(self)->stamp)); }

const rg_op *const rg_cache_entry_ops[] = { &rg_op_read, &rg_op_write, NULL };

static PyMethodDef entry_methods[] = {
    { "__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, NULL },
    { "at", entry_at, METH_O, PyDoc_STR("at($self, map, /)\n--\n\nmap.at(self.key), without asking the key for its hash again.") },
    { NULL },
};
static PyGetSetDef entry_getset[] = {
    { "stamp", entry_stamp, NULL, PyDoc_STR("When it was last used: a number that grows."), NULL },
    { NULL },
};
static PyMemberDef entry_members[] = {
    { "key", Py_T_OBJECT_EX, offsetof(EntryObject, key), Py_READONLY, NULL },
    { NULL },
};
static PyType_Slot entry_slots[] = {
    { Py_tp_doc, "An entry of a cache: a Ref to its value, with a key and the time of its last use." },
    { Py_tp_dealloc, entry_dealloc },
    { Py_tp_traverse, entry_traverse },
    { Py_tp_clear, entry_clear },
    { Py_tp_methods, entry_methods },
    { Py_tp_getset, entry_getset },
    { Py_tp_members, entry_members },
    { 0, NULL },
};
PyType_Spec rg_cache_entry_spec = {
    .name = "lockfree.CacheEntry",
    .basicsize = sizeof(EntryObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = entry_slots,
};

/* ---- clocks ---------------------------------------------------------------------------------------- */

static uint64_t clocks_wanted(long processors)
{
#ifdef RG_EXCLUSIVE
    (void)processors;
    return 1;
#else
    uint64_t n = 2;
    while (n < 32 && n < (uint64_t)(processors > 0 ? processors : 1)) n *= 2;
    return n;
#endif
}

static rg_clock *my_clock(CacheObject *c, rg_slot *s) { return &c->clocks[s->index & (c->n_clocks - 1)]; }

/* The stamp of a hit. */
static inline uint64_t tick(CacheObject *c, rg_slot *s) { return rg_fetch_add(&my_clock(c, s)->time, c->n_clocks) + c->n_clocks; }

/* The stamp of what is new: all clocks show at least what any did. */
static uint64_t tick_all(CacheObject *c, rg_slot *s)
{
    uint64_t n = c->n_clocks, latest = 0;
    for (uint64_t i = 0; i < n; i++) {
        uint64_t t = rg_load(&c->clocks[i].time);
        if (t > latest) latest = t;
    }
    for (uint64_t i = 0; i < n; i++) {
        rg_clock *k = &c->clocks[i];
        uint64_t t, to = (latest & ~(n - 1)) | i;
        /* Skipped before time: hits may be seen too few for an instant, not too many. */
        while ((t = rg_load(&k->time)) < to) {
            rg_fetch_add(&k->skipped, (to - t) / n);
            if (rg_cas(&k->time, t, to)) break;
            rg_fetch_add(&k->skipped, (uint64_t)0 - (to - t) / n);
        }
    }
    rg_fetch_add(&my_clock(c, s)->skipped, 1);
    return tick(c, s);
}

static uint64_t hits_ever(CacheObject *c)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < c->n_clocks; i++) sum += (rg_load(&c->clocks[i].time) - i) / c->n_clocks - rg_load(&c->clocks[i].skipped);
    return sum;
}

/* ---- hits and misses --------------------------------------------------------------------------------- */

/* The same key, where it takes no code of anybody's to tell: as rg_key_same, and tuples of such keys, for that is what
 * the arguments of a call are. */
static int same_key(const void *key, const rg_quad *n)
{
    PyObject *a = (PyObject *)(uintptr_t)n->node.value, *b = (PyObject *)(uintptr_t)key;
    if (!PyTuple_CheckExact(a) || !PyTuple_CheckExact(b)) return rg_key_same(key, n);
    Py_ssize_t size = PyTuple_GET_SIZE(a);
    if (PyTuple_GET_SIZE(b) != size) return 0;
    for (Py_ssize_t i = 0; i < size; i++) {
        PyObject *x = PyTuple_GET_ITEM(a, i), *y = PyTuple_GET_ITEM(b, i);
        if (x == y || rg_same(x, y)) continue;
        bool plain = Py_TYPE(x) == Py_TYPE(y) && (PyLong_CheckExact(x) || PyUnicode_CheckExact(x) || PyBytes_CheckExact(x));
        return plain ? 0 : -1; /* plain and not the same is other */
    }
    return 1;
}

static PyObject *parts_of(CacheObject *c, rg_slot *s)
{
    return (PyObject *)(uintptr_t)rg_read(&c->st->domain->space, s->index, &((WordObject *)c->parts)->word);
}

/* Nobody else puts anything into the Map but by force. */
static bool is_entry(CacheObject *c, PyObject *o) { return Py_IS_TYPE(o, c->st->cache_entry_type); }

static bool check_entry(CacheObject *c, PyObject *o)
{
    if (is_entry(c, o)) return true;
    PyErr_Format(PyExc_TypeError, "an entry of a cache is needed here, not a %.100s", Py_TYPE(o)->tp_name);
    return false;
}

/* With whatever code it takes. */
static PyObject *hit_slow(CacheObject *c, PyObject *key, uint64_t hash)
{
    rg_slot *s = rg_begin(c->st, c, "get");
    if (!s) return NULL;
    rg_pin(s);
    PyObject *parts = Py_NewRef(parts_of(c, s));
    rg_unpin(s);
    PyObject *v = rg_table_get((TableObject *)PyTuple_GET_ITEM(parts, 0), key, hash);
    Py_DECREF(parts);
    if (!v) return NULL;
    if (!(s = rg_here(c->st))) { /* a key's comparison may have gone to another thread */
        Py_DECREF(v);
        return NULL;
    }
    uint64_t now = tick(c, s);
    if (c->plain) return v;
    if (!check_entry(c, v)) {
        Py_DECREF(v);
        return NULL;
    }
    EntryObject *e = entry_of(v);
    rg_store(&e->stamp, now);
    rg_pin(s);
    PyObject *value = Py_NewRef((PyObject *)(uintptr_t)rg_read(&c->st->domain->space, s->index, &e->value.word));
    rg_unpin(s);
    Py_DECREF(e);
    return value;
}

PyObject *rg_cache_hit(CacheObject *c, PyObject *key, uint64_t hash)
{
    rg_slot *s = rg_at_hand(c->st);
    if (__builtin_expect(!s || !rg_glance(s), 0)) return hit_slow(c, key, hash);
    uint64_t w = rg_load(&((WordObject *)c->parts)->word), value;
    rg_quad *node;
    rg_sight sight = RG_SIGHT_BLURRED;
    if (!rg_is_ref(w)) {
        TableObject *t = (TableObject *)PyTuple_GET_ITEM((PyObject *)(uintptr_t)w, 0);
        sight = rg_hash_look(&t->t, hash, same_key, key, &node, &value);
    }
    if (__builtin_expect(sight == RG_SIGHT_FOUND && value != RG_ABSENT, 1)) {
        EntryObject *e = (EntryObject *)(uintptr_t)value;
        bool good = c->plain || is_entry(c, (PyObject *)e);
        if (!c->plain && good) value = rg_load(&e->value.word);
        if (__builtin_expect(good && !rg_is_ref(value), 1)) {
            PyObject *v = Py_NewRef((PyObject *)(uintptr_t)value);
            uint64_t now = tick(c, s);
            /* relaxed: a newer stamp of another thread may be overwritten by ours, between two misses */
            if (!c->plain) rg_store_rlx(&e->stamp, now);
            rg_glanced(s);
            return v;
        }
        sight = RG_SIGHT_BLURRED;
    }
    rg_glanced(s);
    return sight == RG_SIGHT_BLURRED ? hit_slow(c, key, hash) : NULL;
}

void rg_cache_missed(CacheObject *c) { rg_fetch_add(&c->misses, 1); }

PyObject *rg_cache_entry(CacheObject *c, PyObject *key, uint64_t hash, PyObject *value)
{
    PyTypeObject *type = c->st->cache_entry_type;
    rg_slot *s = rg_here(c->st);
    EntryObject *e = s ? (EntryObject *)type->tp_alloc(type, 0) : NULL;
    if (!e) return NULL;
    e->value.st = c->st;
    e->value.at = &e->value.word;
    e->value.kind = WORD_OBJECT;
    e->key = Py_NewRef(key);
    e->hash = hash;
    rg_store_rlx(&e->value.word, (uint64_t)(uintptr_t)Py_NewRef(value)); /* relaxed, both: private yet */
    rg_store_rlx(&e->stamp, tick_all(c, s));
    return (PyObject *)e;
}

bool rg_cache_set(CacheObject *c, PyObject *key, uint64_t hash, PyObject *value)
{
    rg_slot *s = rg_here(c->st);
    if (!s) return false;
    rg_pin(s);
    PyObject *parts = Py_NewRef(parts_of(c, s));
    rg_unpin(s);
    int r = rg_table_do((TableObject *)PyTuple_GET_ITEM(parts, 0), TABLE_SET, key, hash, NULL, value, NULL);
    Py_DECREF(parts);
    return r >= 0;
}

void rg_cache_stats(CacheObject *c, uint64_t *hits, uint64_t *misses)
{
    *hits = hits_ever(c) - rg_load(&c->hits_before);
    *misses = rg_load(&c->misses) - rg_load(&c->misses_before);
}

/* ---- get and put --------------------------------------------------------------------------------------- */

static PyObject *direct_get(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kw)
{
    CacheObject *c = (CacheObject *)self;
    uint64_t h;
    if (!rg_arity("get", nargs, kw, 1, 2) || !rg_key_hash(args[0], &h)) return NULL;
    PyObject *v = rg_cache_hit(c, args[0], h);
    if (v || PyErr_Occurred()) return v;
    rg_cache_missed(c);
    return Py_NewRef(nargs == 2 ? args[1] : Py_None);
}

static PyObject *direct_put(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kw)
{
    if (!rg_arity("put", nargs, kw, 2, 2)) return NULL;
    return PyObject_CallMethod(self, "_put", "OO", args[0], args[1]);
}

/* What the composition in Python makes of the input. */
static rx_outcome go_on_with(rx *r, Reagent *n, const char *method, PyObject *x, PyObject **y)
{
    rx_outcome o = rx_leave(r);
    if (o != RX_DONE) return o;
    PyObject *z = PyObject_CallMethod(n->a, method, "(O)", x);
    if (z && !Py_IS_TYPE(z, n->st->reagent_type)) {
        PyErr_Format(PyExc_TypeError, "%s() must return a Reagent, not %.100s", method, Py_TYPE(z)->tp_name);
        Py_CLEAR(z);
    }
    o = rx_return(r, z);
    if (o != RX_DONE) return o;
    *y = z;
    return RX_GOTO;
}

static rx_outcome step_get(rx *r, Reagent *n, PyObject *x, PyObject **y) { return go_on_with(r, n, "_getting", x, y); }
static rx_outcome step_put(rx *r, Reagent *n, PyObject *x, PyObject **y) { return go_on_with(r, n, "_putting", x, y); }

RG_BOUND(get)
static const rg_op op_get = { .name = "get", .step = step_get, .direct = direct_get, .bound = direct_get_bound,
    .doc = "get($self, key, default=None, /)\n--\n\n"
    "The value of key, of which this is a use, or the default. A method, and a reagent whose input is the key: its\n"
    "result is None when the key is missing. Never blocks; lock-free. Raises what the key's __hash__ or __eq__ raises.\n\n"
    ">>> from lockfree import LRUCache\n>>> cache = LRUCache(2)\n>>> cache.put('a', 1)\n>>> cache.get('a'), cache.get('b')\n(1, None)" };
RG_BOUND(put)
static const rg_op op_put = { .name = "put", .step = step_put, .direct = direct_put, .bound = direct_put_bound,
    .doc = "put($self, key, value, /)\n--\n\n"
    "value becomes the value of key, which is a use of it. If there is no place for one more key, the one that was\n"
    "used longest ago goes, in the same step. A method, and a reagent whose input is a pair of key and value. Never\n"
    "blocks; lock-free. Raises what the key's __hash__ or __eq__ raises.\n\n"
    ">>> from lockfree import LRUCache\n>>> cache = LRUCache(2)\n>>> for key in 'abc': cache.put(key, 1)\n>>> list(cache)\n['b', 'c']" };
const rg_op *const rg_cache_ops[] = { &op_get, &op_put, NULL };

static PyObject *cache_entry(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    uint64_t h;
    if (!rg_arity("_entry", nargs, NULL, 2, 2) || !rg_key_hash(args[0], &h)) return NULL;
    return rg_cache_entry((CacheObject *)self, args[0], h, args[1]);
}

static PyObject *cache_used(PyObject *self, PyObject *entry)
{
    CacheObject *c = (CacheObject *)self;
    rg_slot *s = check_entry(c, entry) ? rg_here(c->st) : NULL;
    if (!s) return NULL;
    rg_store(&entry_of(entry)->stamp, tick(c, s));
    Py_RETURN_NONE;
}

static PyObject *cache_renewed(PyObject *self, PyObject *entry)
{
    CacheObject *c = (CacheObject *)self;
    rg_slot *s = check_entry(c, entry) ? rg_here(c->st) : NULL;
    if (!s) return NULL;
    rg_store(&entry_of(entry)->stamp, tick_all(c, s));
    Py_RETURN_NONE;
}

static PyObject *cache_missed(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    rg_cache_missed((CacheObject *)self);
    Py_RETURN_NONE;
}

static PyObject *cache_stats(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    uint64_t hits, misses;
    rg_cache_stats((CacheObject *)self, &hits, &misses);
    return Py_BuildValue("KK", hits, misses);
}

static bool check_parts(rg_state *st, PyObject *parts)
{
    if (PyTuple_CheckExact(parts) && PyTuple_GET_SIZE(parts) && PyObject_TypeCheck(PyTuple_GET_ITEM(parts, 0), st->map_type)) return true;
    PyErr_SetString(PyExc_TypeError, "the parts of a cache are a tuple, the first of them a Map");
    return false;
}

static PyObject *cache_begin(PyObject *self, PyObject *parts)
{
    CacheObject *c = (CacheObject *)self;
    if (!check_parts(c->st, parts)) return NULL;
    PyObject *done = PyObject_CallMethod(c->parts, "set", "(O)", parts);
    if (!done) return NULL;
    rg_store(&c->hits_before, hits_ever(c));
    rg_store(&c->misses_before, rg_load(&c->misses));
    return done;
}

/* ---- life ------------------------------------------------------------------------------------------------ */

static PyObject *cache_new(PyTypeObject *type, PyObject *args, PyObject *kw)
{
    rg_state *st = rg_state_of(type);
    PyObject *parts;
    int plain = 0;
    static char *names[] = { "parts", "plain", NULL };
    if (!st || !PyArg_ParseTupleAndKeywords(args, kw, "O|p:Cache", names, &parts, &plain) || !check_parts(st, parts)) return NULL;
    uint64_t n = clocks_wanted(st->processors);
    rg_clock *clocks = rg_alloc_lines(n * sizeof *clocks);
    CacheObject *c = clocks ? (CacheObject *)type->tp_alloc(type, 0) : (CacheObject *)PyErr_NoMemory();
    if (!c) {
        rg_free(clocks);
        return NULL;
    }
    c->st = st;
    c->clocks = clocks;
    c->n_clocks = n;
    c->plain = plain;
    for (uint64_t i = 0; i < n; i++) {
        rg_store_rlx(&clocks[i].time, i); /* relaxed, both: private yet */
        rg_store_rlx(&clocks[i].skipped, 0);
    }
    /* Only we and this one reagent know the Ref, so what is in it is what was checked. */
    c->parts = PyObject_CallOneArg((PyObject *)st->ref_type, parts);
    c->read = c->parts ? rg_reagent_new(st, &rg_op_read, c->parts, NULL) : NULL;
    if (!c->read) Py_CLEAR(c);
    return (PyObject *)c;
}

static int cache_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(((CacheObject *)self)->parts);
    Py_VISIT(((CacheObject *)self)->read);
    return 0;
}

static void cache_dealloc(PyObject *self)
{
    CacheObject *c = (CacheObject *)self;
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (c->weakrefs) PyObject_ClearWeakRefs(self);
    rg_release(c->parts);
    rg_release(c->read);
    rg_free(c->clocks);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef methods[] = {
    { "_entry", (PyCFunction)(void (*)(void))cache_entry, METH_FASTCALL, NULL },
    { "_used", cache_used, METH_O, NULL },
    { "_renewed", cache_renewed, METH_O, NULL },
    { "_missed", cache_missed, METH_NOARGS, NULL },
    { "_stats", cache_stats, METH_NOARGS, NULL },
    { "_begin", cache_begin, METH_O, NULL },
    { "__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, NULL },
    { "__reduce__", rg_refuse_pickle, METH_NOARGS, NULL },
    { NULL },
};
static PyMemberDef members[] = {
    { "_parts", Py_T_OBJECT_EX, offsetof(CacheObject, read), Py_READONLY, NULL },
    { "__weaklistoffset__", Py_T_PYSSIZET, offsetof(CacheObject, weakrefs), Py_READONLY, NULL },
    { NULL },
};
static PyType_Slot slots[] = {
    { Py_tp_doc, "What LRUCache (lockfree/lru.py) is built on." },
    { Py_tp_new, cache_new },
    { Py_tp_dealloc, cache_dealloc },
    { Py_tp_traverse, cache_traverse },
    { Py_tp_methods, methods },
    { Py_tp_members, members },
    { 0, NULL },
};
PyType_Spec rg_cache_spec = {
    .name = "lockfree.Cache",
    .basicsize = sizeof(CacheObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .slots = slots,
};
