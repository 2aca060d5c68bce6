/* binding.c - see binding.h: the marks, the traces, and Binding, the Ref-like view of one key of a map. */
#include "binding.h"

/* Words that hold them own no references, while what a reaction does with them may count: so before there were immortal
 * objects they get more references than anybody can give up. */
#if PY_VERSION_HEX >= 0x030d0000
#define FOR_EVER PyObject_HEAD_INIT(&PyBaseObject_Type)
#elif PY_VERSION_HEX >= 0x030c0000 /* whose PyObject_HEAD_INIT makes immortals for the interpreter's own files only */
#define FOR_EVER { _PyObject_EXTRA_INIT { _Py_IMMORTAL_REFCNT }, &PyBaseObject_Type },
#else
#define FOR_EVER { _PyObject_EXTRA_INIT PY_SSIZE_T_MAX / 2, &PyBaseObject_Type },
#endif
rg_mark rg_absent_mark = { FOR_EVER 0 };
rg_mark rg_dead_mark = { FOR_EVER 0 };

/* ---- traces -------------------------------------------------------------------------------------- */

/* Given up when the reaction ends. When it starts again it keeps them for one more turn, for it will likely come by
 * again: a trace that went, and took a node out, would disturb all others who have logged that node, and they, when they
 * start again, us; two reactions that wait might wake each other for ever. As it is, it takes a reaction that ends, or goes
 * another way, to take a node out. Of one that parks without a thread its Pending has them meanwhile (pending.c). Not of a
 * collected type, for it is made while pinned. */
typedef struct TraceObject {
    PyObject_HEAD
    rg_state *st;
    const rg_binder *ops;
    PyObject *owner;
    rg_node *node; /* held */
} TraceObject;

static void trace_dealloc(PyObject *self)
{
    TraceObject *t = (TraceObject *)self;
    PyTypeObject *type = Py_TYPE(self);
    PyObject *error, *value, *traceback;
    PyErr_Fetch(&error, &value, &traceback);
    t->ops->sweep(t->owner, t->node);
    rg_slot *s = rg_here_quietly(t->st);
    if (s) rg_node_release(s, t->node); /* else it is kept for ever */
    rg_release(t->owner);
    PyErr_Restore(error, value, traceback);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyType_Slot trace_slots[] = {
    { Py_tp_dealloc, trace_dealloc },
    { 0, NULL },
};
PyType_Spec rg_trace_spec = {
    .name = "reagents.Trace",
    .basicsize = sizeof(TraceObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = trace_slots,
};

bool rg_trace(rx *r, const rg_binder *ops, PyObject *owner, rg_node *node)
{
    for (size_t i = 0; i < r->traces.n; i++) {
        PyObject *known = r->traces.at[i];
        if (((TraceObject *)known)->node != node) continue;
        if (i < r->old_traces) { /* of this turn, too */
            r->traces.at[i] = r->traces.at[--r->old_traces];
            r->traces.at[r->old_traces] = known;
        }
        return true;
    }
    if (!RX_ROOM(r->traces, 1)) return false;
    TraceObject *t = PyObject_New(TraceObject, r->st->trace_type);
    if (!t) return false;
    t->st = r->st;
    t->ops = ops;
    t->owner = Py_NewRef(owner);
    t->node = node;
    rg_node_hold(node);
    r->traces.at[r->traces.n++] = (PyObject *)t;
    return true;
}

void rg_traces_resume(rx *r, PyObject *keeps)
{
    for (Py_ssize_t i = 0; keeps && i < PyTuple_GET_SIZE(keeps); i++) {
        PyObject *o = PyTuple_GET_ITEM(keeps, i);
        if (!Py_IS_TYPE(o, r->st->trace_type)) continue;
        if (RX_ROOM(r->traces, 1))
            r->traces.at[r->traces.n++] = Py_NewRef(o);
        else
            PyErr_Clear(); /* then it goes, and is made anew */
    }
    r->old_traces = r->traces.n;
}

/* ---- the view of one key --------------------------------------------------------------------------- */

typedef struct BindingObject {
    PyObject_HEAD
    rg_state *st;
    const rg_binder *ops;
    PyObject *owner, *key;
    Py_hash_t hash;
    PyObject *weakrefs;
} BindingObject;

PyObject *rg_binding_new(rg_state *st, const rg_binder *ops, PyObject *owner, PyObject *key, Py_hash_t hash)
{
    BindingObject *b = PyObject_GC_New(BindingObject, st->binding_type);
    if (!b) return NULL;
    b->st = st;
    b->ops = ops;
    b->owner = Py_NewRef(owner);
    b->key = Py_NewRef(key);
    b->hash = hash;
    b->weakrefs = NULL;
    PyObject_GC_Track(b);
    return (PyObject *)b;
}

static rx_outcome entry(rx *r, BindingObject *b, rx_entry **e) { return b->ops->locate(r, b->owner, b->key, b->hash, e); }
static PyObject *value_of(const rx_entry *e) { return (PyObject *)(uintptr_t)e->cur; }

/* Of the bound key. */
static rx_outcome bound_entry(rx *r, BindingObject *b, rx_entry **e)
{
    rx_outcome o = entry(r, b, e);
    return o == RX_DONE && !rg_is_bound((*e)->cur) ? RX_BLOCK : o;
}

/* NULL unbinds. */
static rx_outcome bind(rx *r, BindingObject *b, rx_entry *e, PyObject *v)
{
    bool was = rg_is_bound(e->cur);
    if (!v && e->home && !rg_trace(r, b->ops, b->owner, e->home)) return RX_ERROR;
    if (!rx_write(r, e, (uint64_t)(uintptr_t)Py_NewRef(v ? v : (PyObject *)&rg_absent_mark))) return RX_ERROR;
    return was == (v != NULL) || b->ops->count(r, b->owner, v ? 1 : -1) ? RX_DONE : RX_ERROR;
}

static rx_outcome step_read(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    (void)x;
    rx_entry *e;
    rx_outcome o = bound_entry(r, (BindingObject *)n->a, &e);
    if (o == RX_DONE) *y = Py_NewRef(value_of(e));
    return o;
}

static rx_outcome step_write(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    rx_entry *e;
    rx_outcome o = entry(r, (BindingObject *)n->a, &e);
    if (o == RX_DONE) o = bind(r, (BindingObject *)n->a, e, x);
    if (o == RX_DONE) *y = Py_NewRef(x);
    return o;
}

static rx_outcome step_remove(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    (void)x;
    rx_entry *e;
    rx_outcome o = bound_entry(r, (BindingObject *)n->a, &e);
    if (o != RX_DONE) return o;
    PyObject *v = Py_NewRef(value_of(e));
    o = bind(r, (BindingObject *)n->a, e, NULL);
    if (o == RX_DONE)
        *y = v;
    else
        rx_drop(r, v);
    return o;
}

static rx_outcome step_cas(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    (void)x;
    rx_entry *e;
    rx_outcome o = bound_entry(r, (BindingObject *)n->a, &e);
    if (o == RX_DONE && !rg_same(value_of(e), PyTuple_GET_ITEM(n->b, 0))) o = RX_BLOCK;
    if (o == RX_DONE) o = bind(r, (BindingObject *)n->a, e, PyTuple_GET_ITEM(n->b, 1));
    if (o == RX_DONE) *y = Py_NewRef(Py_None);
    return o;
}

static rx_outcome step_upd(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    rx_entry *e;
    rx_outcome o = bound_entry(r, (BindingObject *)n->a, &e);
    if (o != RX_DONE) return o;
    /* The log keeps the value alive while the function runs: held, or, if dirty, owned. */
    PyObject *args[2] = { value_of(e), x }, *pair;
    size_t at = (size_t)(e - r->log.at);
    o = rx_call(r, n->b, args, 2, &pair);
    if (o != RX_DONE) return o;
    if (pair == n->st->block) {
        rx_drop(r, pair);
        return RX_BLOCK;
    }
    if (!PyTuple_Check(pair) || PyTuple_GET_SIZE(pair) != 2) {
        rx_settle(r);
        PyErr_Format(PyExc_TypeError, "the function of %R must return a pair (new value, result) or BLOCK, not %.100s", n,
                     Py_TYPE(pair)->tp_name);
        rx_drop(r, pair);
        return RX_ERROR;
    }
    o = bind(r, (BindingObject *)n->a, &r->log.at[at], PyTuple_GET_ITEM(pair, 0)); /* the log may have moved */
    if (o == RX_DONE) *y = Py_NewRef(PyTuple_GET_ITEM(pair, 1));
    rx_drop(r, pair);
    return o;
}

static const rg_op op_cas = { .name = "cas", .step = step_cas, .doc = "cas($self, old, new, /)\n--\n\n" };
static const rg_op op_upd = { .name = "upd", .step = step_upd, .doc = "upd($self, f, /)\n--\n\n" };
static const rg_op op_read = { .name = "read", .step = step_read, .doc = "read($self)\n--\n\n"
    "A reagent: the value of the key. Blocks while the key is missing. Lock-free but for the waiting.\n\n"
    ">>> from lockfree import Map\n>>> from reagents import attempt\n>>> m = Map(a=1)\n>>> m.at('a').read()\n1\n"
    ">>> attempt(m.at('b').read, 0)()\n0" };
static const rg_op op_write = { .name = "write", .step = step_write, .doc = "write($self, x)\n--\n\n"
    "A reagent: the input becomes the value of the key, missing or not, and is passed on. Never blocks. Lock-free.\n\n"
    ">>> from lockfree import Map\n>>> m = Map()\n>>> m.at('a').write(1)\n1\n>>> m['a']\n1" };
static const rg_op op_remove = { .name = "remove", .step = step_remove, .doc = "remove($self)\n--\n\n"
    "A reagent: takes the key out; the result is its value. Blocks while the key is missing. Lock-free but for the waiting.\n\n"
    ">>> from lockfree import Map\n>>> m = Map(a=1)\n>>> m.at('a').remove(), len(m)\n(1, 0)" };
const rg_op *const rg_binding_ops[] = { &op_read, &op_write, &op_remove, NULL };

static PyObject *binding_cas(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (!rg_arity("cas", nargs, NULL, 2, 2)) return NULL;
    PyObject *pair = PyTuple_Pack(2, args[0], args[1]);
    PyObject *r = pair ? rg_reagent_new(((BindingObject *)self)->st, &op_cas, self, pair) : NULL;
    Py_XDECREF(pair);
    return r;
}

static PyObject *binding_upd(PyObject *self, PyObject *f)
{
    if (PyCallable_Check(f)) return rg_reagent_new(((BindingObject *)self)->st, &op_upd, self, f);
    PyErr_Format(PyExc_TypeError, "upd() takes a callable f(current, x) -> (new, result), not %.100s", Py_TYPE(f)->tp_name);
    return NULL;
}

/* ---- direct calls ------------------------------------------------------------------------------------ */

static PyObject *binding_get(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    BindingObject *b = (BindingObject *)self;
    if (!rg_arity("get", nargs, NULL, 0, 1)) return NULL;
    PyObject *v = b->ops->get(b->owner, b->key, b->hash);
    return v || PyErr_Occurred() ? v : Py_NewRef(nargs ? args[0] : Py_None);
}

static PyObject *binding_set(PyObject *self, PyObject *v)
{
    BindingObject *b = (BindingObject *)self;
    if (!b->ops->set(b->owner, b->key, b->hash, v)) return NULL;
    Py_RETURN_NONE;
}

static PyObject *binding_compare_and_set(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    BindingObject *b = (BindingObject *)self;
    if (!rg_arity("compare_and_set", nargs, NULL, 2, 2)) return NULL;
    int done = b->ops->replace(b->owner, b->key, b->hash, args[0], args[1]);
    return done < 0 ? NULL : PyBool_FromLong(done);
}

static PyObject *binding_update(PyObject *self, PyObject *f)
{
    BindingObject *b = (BindingObject *)self;
    for (;;) {
        PyObject *current = b->ops->get(b->owner, b->key, b->hash);
        if (!current && !PyErr_Occurred()) PyErr_SetObject(PyExc_KeyError, b->key);
        PyObject *new_ = current ? PyObject_CallOneArg(f, current) : NULL;
        if (new_ && new_ == b->st->block) {
            PyErr_SetString(PyExc_TypeError, "the function of update() returned BLOCK: update() acts at once, use upd() to wait");
            Py_CLEAR(new_);
        }
        int done = new_ ? b->ops->replace(b->owner, b->key, b->hash, current, new_) : -1;
        Py_XDECREF(current);
        if (done > 0) return new_;
        Py_XDECREF(new_);
        if (done < 0 || PyErr_CheckSignals() < 0) return NULL;
    }
}

/* ---- life ---------------------------------------------------------------------------------------------- */

static PyObject *binding_repr(PyObject *self)
{
    BindingObject *b = (BindingObject *)self;
    int depth = Py_ReprEnter(self); /* the key may lead back */
    if (depth) return depth > 0 ? PyUnicode_FromString("<binding of ...>") : NULL;
    PyObject *s = PyUnicode_FromFormat("<binding of %R in %.100s at %p>", b->key, Py_TYPE(b->owner)->tp_name, b->owner);
    Py_ReprLeave(self);
    return s;
}

static int binding_traverse(PyObject *self, visitproc visit, void *arg)
{
    BindingObject *b = (BindingObject *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(b->owner);
    Py_VISIT(b->key);
    return 0;
}

static void binding_dealloc(PyObject *self)
{
    BindingObject *b = (BindingObject *)self;
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (b->weakrefs) PyObject_ClearWeakRefs(self);
    rg_release(b->owner);
    rg_release(b->key);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef methods[] = {
    { "get", (PyCFunction)(void (*)(void))binding_get, METH_FASTCALL, PyDoc_STR("get($self, default=None, /)\n--\n\n"
      "The value of the key, or the default. Never blocks; lock-free.\n\n"
      ">>> from lockfree import Map\n>>> Map(a=1).at('a').get()\n1") },
    { "set", binding_set, METH_O, PyDoc_STR("set($self, value, /)\n--\n\nvalue becomes the value of the key. Lock-free.\n\n"
      ">>> from lockfree import Map\n>>> m = Map()\n>>> m.at('a').set(2)\n>>> m['a']\n2") },
    { "compare_and_set", (PyCFunction)(void (*)(void))binding_compare_and_set, METH_FASTCALL,
      PyDoc_STR("compare_and_set($self, old, new, /)\n--\n\n"
      "Replaces the value old by new in one step; returns whether it did, False when the key is missing. Values are\n"
      "compared by identity, exact int, bool, str and bytes by value. Never blocks. Lock-free.\n\n"
      ">>> from lockfree import Map\n>>> Map(a=1).at('a').compare_and_set(1, 2)\nTrue") },
    { "update", binding_update, METH_O, PyDoc_STR("update($self, f, /)\n--\n\n"
      "Replaces the value v by f(v) in one step and returns f(v). f may run several times and must have no effects.\n"
      "Raises KeyError when the key is missing. Lock-free.\n\n"
      ">>> from lockfree import Map\n>>> Map(a=3).at('a').update(lambda v: v + 1)\n4") },
    { "cas", (PyCFunction)(void (*)(void))binding_cas, METH_FASTCALL, PyDoc_STR("cas($self, old, new, /)\n--\n\n"
      "A reagent that replaces the value old by new, and blocks while the key is missing or its value is not old. Its\n"
      "result is None.\n\n>>> from lockfree import Map\n>>> m = Map(a=1)\n>>> m.at('a').cas(1, 2)()\n>>> m['a']\n2") },
    { "upd", binding_upd, METH_O, PyDoc_STR("upd($self, f, /)\n--\n\n"
      "A reagent: f(current, x) returns (new, result), or BLOCK to wait until the value changes. Blocks while the key is\n"
      "missing. f may run several times and must have no effects. Raises TypeError when it returns something else.\n\n"
      ">>> from lockfree import Map\n>>> m = Map(a=1)\n>>> m.at('a').upd(lambda v, x: (v + x, v))(4), m['a']\n(1, 5)") },
    { "__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, NULL },
    { "__reduce__", rg_refuse_pickle, METH_NOARGS, NULL },
    { NULL },
};
static PyMemberDef members[] = {
    { "key", Py_T_OBJECT_EX, offsetof(BindingObject, key), Py_READONLY, PyDoc_STR("The key.") },
    { "__weaklistoffset__", Py_T_PYSSIZET, offsetof(BindingObject, weakrefs), Py_READONLY, NULL },
    { NULL },
};
static PyType_Slot slots[] = {
    { Py_tp_doc, "What map.at(key) returns: one key of a map, as a Ref.\n\n"
      "get, set, compare_and_set and update act at once; read, write, remove, cas(old, new) and upd(f) are reagents.\n"
      "read, remove, cas and upd block while the key is missing; attempt(reagent, default) does not wait for it.\n\n"
      ">>> from lockfree import Map, Queue\n>>> m, q = Map(hits=1), Queue()\n"
      ">>> (m.at('hits').upd(lambda n, _: (n + 1, n)) >> q.put)()\n>>> m['hits'], q.get()\n(2, 1)" },
    { Py_tp_dealloc, binding_dealloc },
    { Py_tp_traverse, binding_traverse },
    { Py_tp_repr, binding_repr },
    { Py_tp_methods, methods },
    { Py_tp_members, members },
    { 0, NULL },
};
PyType_Spec rg_binding_spec = {
    .name = "lockfree.Binding",
    .basicsize = sizeof(BindingObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = slots,
};
