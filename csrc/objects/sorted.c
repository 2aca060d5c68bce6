/* sorted.c - lockfree.SortedMap: a lock-free skip list (core/skiplist.h) of objects in the order of their keys.
 *
 * A tower owns its key; its value word owns the value. What either gives up goes after a grace period. This is the type;
 * what it does to one key is in sorted_direct.c, how a key is found in sorted_find.c, its part in reactions in
 * sorted_steps.c; the rest of a MutableMapping is Python's (lockfree/sortedmap.py).
 */
#include "sorted.h"

static SortedMap *map(PyObject *self) { return (SortedMap *)self; }

/* ---- as a mapping --------------------------------------------------------------------------------- */

/* As dict: a tuple as the exception's one argument. */
static PyObject *missing(PyObject *key)
{
    PyObject *args = PyTuple_Pack(1, key);
    if (args) PyErr_SetObject(PyExc_KeyError, args);
    Py_XDECREF(args);
    return NULL;
}

static PyObject *sorted_subscript(PyObject *self, PyObject *key)
{
    PyObject *v = rg_sorted_get(map(self), key);
    if (v || PyErr_Occurred()) return v;
    PyTypeObject *type = Py_TYPE(self);
    if (type != map(self)->st->sorted_map_type) { /* a subclass may have something to say */
        PyObject *m = PyObject_GetAttrString((PyObject *)type, "__missing__");
        if (m) {
            v = PyObject_CallFunctionObjArgs(m, self, key, NULL);
            Py_DECREF(m);
            return v;
        }
        if (!PyErr_ExceptionMatches(PyExc_AttributeError)) return NULL;
        PyErr_Clear();
    }
    return missing(key);
}

static int sorted_assign(PyObject *self, PyObject *key, PyObject *value)
{
    PyObject *was;
    if (value) return rg_sorted_set(map(self), key, value, false, &was) ? 0 : -1;
    if (!rg_sorted_delete(map(self), key, &was)) return -1;
    if (!was) {
        missing(key);
        return -1;
    }
    Py_DECREF(was);
    return 0;
}

static int sorted_contains(PyObject *self, PyObject *key)
{
    PyObject *v = rg_sorted_get(map(self), key);
    if (!v) return PyErr_Occurred() ? -1 : 0;
    Py_DECREF(v);
    return 1;
}

static Py_ssize_t sorted_len(PyObject *self)
{
    SortedMap *m = map(self);
    rg_slot *s = rg_begin(m->st, m, "len");
    if (!s) return -1;
    uint64_t n = 0;
    rg_pin(s);
    for (unsigned i = 0; i < RG_SORTED_CELLS; i++) n += rg_read(&s->domain->space, s->index, &m->cells[i].n);
    rg_unpin(s);
    return (int64_t)n < 0 ? 0 : (Py_ssize_t)n; /* a deletion may be counted before the insertion */
}

static PyObject *sorted_iter(PyObject *self) { return rg_sorted_iterator(map(self), GIVE_KEYS, NULL, NULL, true, true, false); }

static PyObject *sorted_get(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (!rg_arity("get", nargs, NULL, 1, 2)) return NULL;
    PyObject *v = rg_sorted_get(map(self), args[0]);
    return v || PyErr_Occurred() ? v : Py_NewRef(nargs > 1 ? args[1] : Py_None);
}

static PyObject *sorted_setdefault(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (!rg_arity("setdefault", nargs, NULL, 1, 2)) return NULL;
    PyObject *value = nargs > 1 ? args[1] : Py_None, *was;
    bool ok = rg_sorted_set(map(self), args[0], value, true, &was);
    if (was) return was;
    return ok ? Py_NewRef(value) : NULL;
}

static PyObject *sorted_pop(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    PyObject *was;
    if (!rg_arity("pop", nargs, NULL, 1, 2) || !rg_sorted_delete(map(self), args[0], &was)) return NULL;
    return was ? was : nargs > 1 ? Py_NewRef(args[1]) : missing(args[0]);
}

static PyObject *sorted_compare_and_set(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (!rg_arity("compare_and_set", nargs, NULL, 3, 3)) return NULL;
    int done = rg_sorted_replace(map(self), args[0], args[1], args[2]);
    return done < 0 ? NULL : PyBool_FromLong(done);
}

static PyObject *sorted_at(PyObject *self, PyObject *key)
{
    rg_quest q;
    if (!rg_quest_open(&q, key, false)) return NULL;
    return rg_binding_new(map(self)->st, &rg_sorted_binder, self, key, 0);
}

static PyObject *sorted_clear(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    if (!rg_sorted_clear(map(self))) return NULL;
    Py_RETURN_NONE;
}

/* (gives, lo, hi, with_lo, with_hi, backwards): for lockfree/sortedmap.py. */
static PyObject *sorted_iterate(PyObject *self, PyObject *args)
{
    int gives, with_lo, with_hi, backwards;
    PyObject *lo, *hi;
    if (!PyArg_ParseTuple(args, "iOOppp:_iterate", &gives, &lo, &hi, &with_lo, &with_hi, &backwards)) return NULL;
    return rg_sorted_iterator(map(self), (rg_gives)gives, lo, hi, with_lo, with_hi, backwards);
}

/* ---- life ------------------------------------------------------------------------------------------ */

static PyObject *sorted_new(PyTypeObject *type, PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(kw))
{
    rg_state *st = rg_state_of(type);
    SortedMap *m = st ? (SortedMap *)type->tp_alloc(type, 0) : NULL;
    if (!m) return NULL;
    m->st = st;
    rg_skip_open(&m->list, rg_sorted_gone);
    return (PyObject *)m;
}

/* Each tower that is linked at level 0 owns its key and its value; of others nothing is said, which only keeps them alive. */
static int sorted_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    uint64_t w = rg_load(&map(self)->list.head.node.next);
    while (w && !rg_is_ref(w)) {
        rg_tower *t = rg_tower_of(w);
        uint64_t v = rg_load(&t->value);
        Py_VISIT(rg_tower_key(t));
        if (!rg_is_ref(v) && rg_is_bound(v)) Py_VISIT(rg_object_of(v));
        w = rg_load(&t->node.next) & ~RG_MARK;
    }
    return 0;
}

static int sorted_tp_clear(PyObject *self)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback); /* of whoever let go of us */
    if (!rg_sorted_clear(map(self))) PyErr_Clear(); /* without memory what is left stays */
    PyErr_Restore(type, value, traceback);
    return 0;
}

static void sorted_dealloc(PyObject *self)
{
    SortedMap *m = map(self);
    PyObject_GC_UnTrack(self);
    if (m->weakrefs) PyObject_ClearWeakRefs(self);
    sorted_tp_clear(self);
    rg_free_late(m->st, self);
}

static PyMethodDef methods[] = {
    { "get", (PyCFunction)(void (*)(void))sorted_get, METH_FASTCALL, PyDoc_STR("get($self, key, default=None, /)\n--\n\n"
      "The value of key, or default. Raises TypeError where key cannot be compared. Never blocks. Lock-free.\n\n"
      ">>> from lockfree import SortedMap\n>>> SortedMap(a=1).get('b', 0)\n0") },
    { "setdefault", (PyCFunction)(void (*)(void))sorted_setdefault, METH_FASTCALL, PyDoc_STR("setdefault($self, key, default=None, /)\n--\n\n"
      "The value of key; a missing key is bound to default first, in one step. Lock-free.\n\n"
      ">>> from lockfree import SortedMap\n>>> m = SortedMap()\n>>> m.setdefault('a', 1), m.setdefault('a', 2)\n(1, 1)") },
    { "pop", (PyCFunction)(void (*)(void))sorted_pop, METH_FASTCALL, PyDoc_STR("pop($self, key, default=<unrepresentable>, /)\n--\n\n"
      "Take key out and return its value; default, or else KeyError, where it is missing. Lock-free.\n\n"
      ">>> from lockfree import SortedMap\n>>> SortedMap(a=1).pop('a')\n1") },
    { "compare_and_set", (PyCFunction)(void (*)(void))sorted_compare_and_set, METH_FASTCALL,
      PyDoc_STR("compare_and_set($self, key, old, new, /)\n--\n\n"
      "Replaces key's value old by new in one step; returns whether it did, False where key is missing. Values are compared\n"
      "by identity, exact int, bool, str and bytes by value. Lock-free.\n\n"
      ">>> from lockfree import SortedMap\n>>> SortedMap(a=1).compare_and_set('a', 1, 2)\nTrue") },
    { "at", sorted_at, METH_O, PyDoc_STR("at($self, key, /)\n--\n\n"
      "One key as a Ref: get, set, compare_and_set and update act at once; read, write, remove, cas(old, new) and upd(f)\n"
      "are reagents. The key may be missing. Never blocks.\n\n"
      ">>> from lockfree import Queue, SortedMap\n>>> m, q = SortedMap(a=1), Queue()\n>>> (m.at('a').remove >> q.put)()\n"
      ">>> q.get(), 'a' in m\n(1, False)") },
    { "clear", sorted_clear, METH_NOARGS, PyDoc_STR("clear($self, /)\n--\n\n"
      "Take out bindings, each in a step of its own, until none is found. Lock-free.\n\n"
      ">>> from lockfree import SortedMap\n>>> m = SortedMap(a=1)\n>>> m.clear()\n>>> len(m)\n0") },
    { "_within", rg_sorted_within, METH_VARARGS, NULL },
    { "_iterate", sorted_iterate, METH_VARARGS, NULL },
    { "__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, NULL },
    { "__reduce__", rg_refuse_pickle, METH_NOARGS, NULL },
    { NULL },
};
static PyMemberDef members[] = {
    { "__weaklistoffset__", Py_T_PYSSIZET, offsetof(SortedMap, weakrefs), Py_READONLY, NULL },
    { NULL },
};
static PyType_Slot slots[] = {
    { Py_tp_doc, "What lockfree.SortedMap does in C." },
    { Py_tp_new, sorted_new },
    { Py_tp_dealloc, sorted_dealloc },
    { Py_tp_traverse, sorted_traverse },
    { Py_tp_clear, sorted_tp_clear },
    { Py_tp_iter, sorted_iter },
    { Py_mp_subscript, sorted_subscript },
    { Py_mp_ass_subscript, sorted_assign },
    { Py_mp_length, sorted_len },
    { Py_sq_contains, sorted_contains },
    { Py_tp_methods, methods },
    { Py_tp_members, members },
    { 0, NULL },
};
PyType_Spec rg_sorted_map_spec = {
    .name = "lockfree.BaseSortedMap",
    .basicsize = sizeof(SortedMap),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .slots = slots,
};
