/* cached.c - what lru_cache makes of a function: a callable that looks its arguments up in a cache (cache.h).
 *
 * Keys are made as by functools.lru_cache: a single argument that is exactly an int or a str is its own key; anything
 * else is a tuple of the arguments, after a mark those given by name with their names, and, if typed, all their types.
 * The key is asked for its hash once a call. Nothing is pinned and no reaction is under way while the function runs:
 * two threads that miss at the same time both call it, and whichever result comes first is kept.
 */
#include "cache.h"

typedef struct CachedObject {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    PyObject *function;
    CacheObject *cache; /* NULL: maxsize is 0 */
    PyObject *mark;     /* between arguments and those by name */
    PyObject *maxsize, *info;
    rg_word misses; /* without a cache */
    bool typed;
    PyObject *dict, *weakrefs;
} CachedObject;

static bool is_its_own_key(PyObject *o) { return PyLong_CheckExact(o) || PyUnicode_CheckExact(o); }

/* New reference. */
static PyObject *tuple_of(CachedObject *c, PyObject *const *args, Py_ssize_t n, PyObject *names)
{
    Py_ssize_t named = names ? PyTuple_GET_SIZE(names) : 0, all = n + named;
    PyObject *key = PyTuple_New(n + (named ? 1 + 2 * named : 0) + (c->typed ? all : 0));
    if (!key) return NULL;
    Py_ssize_t at = 0;
    for (Py_ssize_t i = 0; i < n; i++) PyTuple_SET_ITEM(key, at++, Py_NewRef(args[i]));
    if (named) PyTuple_SET_ITEM(key, at++, Py_NewRef(c->mark));
    for (Py_ssize_t i = 0; i < named; i++) {
        PyTuple_SET_ITEM(key, at++, Py_NewRef(PyTuple_GET_ITEM(names, i)));
        PyTuple_SET_ITEM(key, at++, Py_NewRef(args[n + i]));
    }
    for (Py_ssize_t i = 0; c->typed && i < all; i++) PyTuple_SET_ITEM(key, at++, Py_NewRef((PyObject *)Py_TYPE(args[i])));
    return key;
}

static RG_SLOW PyObject *missed(CachedObject *c, PyObject *key, uint64_t hash, PyObject *const *args, size_t nargsf, PyObject *names)
{
    rg_cache_missed(c->cache);
    PyObject *v = PyObject_Vectorcall(c->function, args, nargsf, names);
    if (!v) return NULL;
    if (c->cache->plain) {
        if (!rg_cache_set(c->cache, key, hash, v)) Py_CLEAR(v);
        return v;
    }
    PyObject *entry = rg_cache_entry(c->cache, key, hash, v);
    PyObject *done = entry ? PyObject_CallMethod((PyObject *)c->cache, "_remember", "O", entry) : NULL;
    Py_XDECREF(entry);
    if (!done) Py_CLEAR(v);
    Py_XDECREF(done);
    return v;
}

static PyObject *cached_call(PyObject *self, PyObject *const *args, size_t nargsf, PyObject *names)
{
    CachedObject *c = (CachedObject *)self;
    if (__builtin_expect(!c->cache, 0)) {
        rg_fetch_add(&c->misses, 1);
        return PyObject_Vectorcall(c->function, args, nargsf, names);
    }
    Py_ssize_t n = PyVectorcall_NARGS(nargsf);
    /* Its own key is the caller's, who keeps it: counting references to it would only make threads meet. */
    bool own = n == 1 && !c->typed && is_its_own_key(args[0]) && (!names || !PyTuple_GET_SIZE(names));
    PyObject *key = own ? args[0] : tuple_of(c, args, n, names), *v = NULL;
    uint64_t hash;
    if (!key) return NULL;
    if (rg_key_hash(key, &hash)) {
        v = rg_cache_hit(c->cache, key, hash);
        if (!v && !PyErr_Occurred()) v = missed(c, key, hash, args, nargsf, names);
    }
    if (!own) Py_DECREF(key);
    return v;
}

static PyObject *cache_info(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    CachedObject *c = (CachedObject *)self;
    uint64_t hits = 0, misses = rg_load(&c->misses);
    Py_ssize_t size = 0;
    if (c->cache) {
        rg_cache_stats(c->cache, &hits, &misses);
        if ((size = PyObject_Size((PyObject *)c->cache)) < 0) return NULL;
    }
    return PyObject_CallFunction(c->info, "KKOn", hits, misses, c->maxsize, size);
}

static PyObject *cache_clear(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    CachedObject *c = (CachedObject *)self;
    if (c->cache) return PyObject_CallMethod((PyObject *)c->cache, "clear", NULL);
    rg_store(&c->misses, 0);
    Py_RETURN_NONE;
}

static PyObject *cached_get(PyObject *self, PyObject *owner, PyObject *Py_UNUSED(type))
{
    return owner && owner != Py_None ? PyMethod_New(self, owner) : Py_NewRef(self);
}

static PyObject *cached_reduce(PyObject *self, PyObject *Py_UNUSED(ignored)) { return PyObject_GetAttrString(self, "__qualname__"); }
static PyObject *cached_copy(PyObject *self, PyObject *Py_UNUSED(ignored)) { return Py_NewRef(self); }

static PyObject *cached_new(PyTypeObject *type, PyObject *args, PyObject *kw)
{
    rg_state *st = rg_state_of(type);
    PyObject *function, *cache, *maxsize, *info;
    int typed;
    if (!st || (kw && PyDict_GET_SIZE(kw)) || !PyArg_ParseTuple(args, "OOOpO:cached", &function, &cache, &maxsize, &typed, &info)) return NULL;
    if (!PyCallable_Check(function) || (cache != Py_None && !PyObject_TypeCheck(cache, st->cache_type))) {
        PyErr_SetString(PyExc_TypeError, "the first argument must be callable, the second a cache or None");
        return NULL;
    }
    CachedObject *c = (CachedObject *)type->tp_alloc(type, 0);
    if (!c) return NULL;
    c->vectorcall = cached_call;
    c->function = Py_NewRef(function);
    c->cache = cache == Py_None ? NULL : (CacheObject *)Py_NewRef(cache);
    c->mark = Py_NewRef(st->offered); /* nobody else has it */
    c->maxsize = Py_NewRef(maxsize);
    c->info = Py_NewRef(info);
    c->typed = typed;
#if PY_VERSION_HEX >= 0x030e0000
    PyUnstable_Object_EnableDeferredRefcount((PyObject *)c); /* many threads call it by its name */
#endif
    return (PyObject *)c;
}

static int cached_traverse(PyObject *self, visitproc visit, void *arg)
{
    CachedObject *c = (CachedObject *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(c->function);
    Py_VISIT(c->cache);
    Py_VISIT(c->mark);
    Py_VISIT(c->maxsize);
    Py_VISIT(c->info);
    Py_VISIT(c->dict);
    return 0;
}

/* The function stays, so that a destructor may call us: what it refers to clears itself. */
static int cached_clear(PyObject *self)
{
    Py_CLEAR(((CachedObject *)self)->dict);
    return 0;
}

static void cached_dealloc(PyObject *self)
{
    CachedObject *c = (CachedObject *)self;
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (c->weakrefs) PyObject_ClearWeakRefs(self);
    cached_clear(self);
    rg_release(c->function);
    rg_release((PyObject *)c->cache);
    rg_release(c->mark);
    rg_release(c->maxsize);
    rg_release(c->info);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef methods[] = {
    { "cache_info", cache_info, METH_NOARGS, PyDoc_STR("cache_info($self, /)\n--\n\nHits, misses, maxsize and currsize, as of functools.lru_cache.") },
    { "cache_clear", cache_clear, METH_NOARGS, PyDoc_STR("cache_clear($self, /)\n--\n\nForgets all results, and counts from 0.") },
    { "__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, NULL },
    { "__reduce__", cached_reduce, METH_NOARGS, NULL },
    { "__copy__", cached_copy, METH_NOARGS, NULL },
    { "__deepcopy__", cached_copy, METH_O, NULL },
    { NULL },
};
static PyMemberDef members[] = {
    { "__vectorcalloffset__", Py_T_PYSSIZET, offsetof(CachedObject, vectorcall), Py_READONLY, NULL },
    { "__dictoffset__", Py_T_PYSSIZET, offsetof(CachedObject, dict), Py_READONLY, NULL },
    { "__weaklistoffset__", Py_T_PYSSIZET, offsetof(CachedObject, weakrefs), Py_READONLY, NULL },
    { NULL },
};
static PyGetSetDef getset[] = {
    { "__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL },
    { NULL },
};
static PyType_Slot slots[] = {
    { Py_tp_doc, "A function with a cache of its results: what lockfree.lru_cache returns." },
    { Py_tp_new, cached_new },
    { Py_tp_dealloc, cached_dealloc },
    { Py_tp_traverse, cached_traverse },
    { Py_tp_clear, cached_clear },
    { Py_tp_call, PyVectorcall_Call },
    { Py_tp_descr_get, cached_get },
    { Py_tp_methods, methods },
    { Py_tp_members, members },
    { Py_tp_getset, getset },
    { 0, NULL },
};
PyType_Spec rg_cached_spec = {
    .name = "lockfree.Cached",
    .basicsize = sizeof(CachedObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_METHOD_DESCRIPTOR,
    .slots = slots,
};
