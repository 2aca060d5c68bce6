/* map.c - Map and Set in C: what is used often. The rest of dict's and set's methods is in lockfree/map.py and
 * lockfree/set.py, over these. How it works: table.h. */
#include "table.h"

static TableObject *table(PyObject *self) { return (TableObject *)self; }

/* ---- Map --------------------------------------------------------------------------------------------- */

static PyObject *missing(PyObject *key)
{
    if (!PyErr_Occurred()) {
        PyObject *args = PyTuple_Pack(1, key); /* a tuple is a key, too */
        if (args) PyErr_SetObject(PyExc_KeyError, args);
        Py_XDECREF(args);
    }
    return NULL;
}

/* As of dict: a subclass may have __missing__. */
static RG_SLOW PyObject *getitem_missing(PyObject *self, PyObject *key)
{
    if (PyErr_Occurred()) return NULL;
    PyObject *f = PyObject_GetAttrString((PyObject *)Py_TYPE(self), "__missing__");
    if (!f) {
        if (!PyErr_ExceptionMatches(PyExc_AttributeError)) return NULL;
        PyErr_Clear();
        return missing(key);
    }
    PyObject *v = PyObject_CallFunctionObjArgs(f, self, key, NULL);
    Py_DECREF(f);
    return v;
}

static PyObject *map_getitem(PyObject *self, PyObject *key)
{
    uint64_t h;
    if (!rg_key_hash(key, &h)) return NULL;
    PyObject *v = rg_table_get(table(self), key, h);
    return v ? v : getitem_missing(self, key);
}

static int map_setitem(PyObject *self, PyObject *key, PyObject *value)
{
    uint64_t h;
    if (!rg_key_hash(key, &h)) return -1;
    if (value) return rg_table_do(table(self), TABLE_SET, key, h, NULL, value, NULL) < 0 ? -1 : 0;
    int r = rg_table_do(table(self), TABLE_REMOVE, key, h, NULL, NULL, NULL);
    if (r == 0) (void)missing(key);
    return r == 1 ? 0 : -1;
}

static int table_contains(PyObject *self, PyObject *key)
{
    uint64_t h;
    return rg_key_hash(key, &h) ? rg_table_contains(table(self), key, h) : -1;
}

static Py_ssize_t table_len(PyObject *self) { return rg_table_len(table(self)); }
static PyObject *table_iter(PyObject *self) { return rg_table_iter(table(self), TABLE_KEYS); }

static PyObject *map_get(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    uint64_t h;
    if (!rg_arity("get", nargs, NULL, 1, 2) || !rg_key_hash(args[0], &h)) return NULL;
    PyObject *v = rg_table_get(table(self), args[0], h);
    return v || PyErr_Occurred() ? v : Py_NewRef(nargs == 2 ? args[1] : Py_None);
}

static PyObject *set_default(PyObject *self, PyObject *key, uint64_t h, PyObject *value)
{
    PyObject *v = NULL;
    int r = rg_table_do(table(self), TABLE_DEFAULT, key, h, NULL, value, &v);
    return r > 0 ? Py_NewRef(value) : r == 0 ? v : NULL;
}

static PyObject *map_setdefault(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    uint64_t h;
    if (!rg_arity("setdefault", nargs, NULL, 1, 2) || !rg_key_hash(args[0], &h)) return NULL;
    return set_default(self, args[0], h, nargs == 2 ? args[1] : Py_None);
}

static PyObject *map_get_or_compute(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    uint64_t h;
    if (!rg_arity("get_or_compute", nargs, NULL, 2, 2) || !rg_key_hash(args[0], &h)) return NULL;
    PyObject *v = rg_table_get(table(self), args[0], h);
    if (v || PyErr_Occurred()) return v;
    PyObject *computed = PyObject_CallOneArg(args[1], args[0]);
    if (!computed) return NULL;
    v = set_default(self, args[0], h, computed);
    Py_DECREF(computed);
    return v;
}

static PyObject *map_pop(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    uint64_t h;
    PyObject *v = NULL;
    if (!rg_arity("pop", nargs, NULL, 1, 2) || !rg_key_hash(args[0], &h)) return NULL;
    int r = rg_table_do(table(self), TABLE_REMOVE, args[0], h, NULL, NULL, &v);
    if (r) return r > 0 ? v : NULL;
    return nargs == 2 ? Py_NewRef(args[1]) : missing(args[0]);
}

static PyObject *map_popitem(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    PyObject *k, *v, *pair = NULL;
    int r = rg_table_pop(table(self), &k, &v);
    if (r == 0) PyErr_SetString(PyExc_KeyError, "popitem(): map is empty");
    if (r <= 0) return NULL;
    pair = PyTuple_Pack(2, k, v);
    Py_DECREF(k);
    Py_DECREF(v);
    return pair;
}

static PyObject *table_clear(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    rg_table_clear(table(self));
    Py_RETURN_NONE;
}

static PyObject *map_compare_and_set(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    uint64_t h;
    if (!rg_arity("compare_and_set", nargs, NULL, 3, 3) || !rg_key_hash(args[0], &h)) return NULL;
    int r = rg_table_do(table(self), TABLE_REPLACE, args[0], h, args[1], args[2], NULL);
    return r < 0 ? NULL : PyBool_FromLong(r);
}

static PyObject *table_at(PyObject *self, PyObject *key)
{
    uint64_t h;
    return rg_key_hash(key, &h) ? rg_binding_new(table(self)->st, &rg_table_binder, self, key, (Py_hash_t)h) : NULL;
}

static PyObject *map_snapshot(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    PyObject *keys, *values, *d = NULL;
    if (!rg_table_snapshot(table(self), &keys, &values)) return NULL;
    if ((d = PyDict_New()))
        for (Py_ssize_t i = 0; d && i < PyTuple_GET_SIZE(keys); i++)
            if (PyDict_SetItem(d, PyTuple_GET_ITEM(keys, i), PyTuple_GET_ITEM(values, i)) < 0) Py_CLEAR(d);
    Py_DECREF(keys);
    Py_DECREF(values);
    return d;
}

static PyObject *map_values(PyObject *self, PyObject *Py_UNUSED(ignored)) { return rg_table_iter(table(self), TABLE_VALUES); }
static PyObject *map_items(PyObject *self, PyObject *Py_UNUSED(ignored)) { return rg_table_iter(table(self), TABLE_ITEMS); }

static PyObject *map_fill(PyObject *self, PyObject *d)
{
    PyObject *items = PyDict_Items(d);
    for (Py_ssize_t i = 0; items && i < PyList_GET_SIZE(items); i++) {
        PyObject *pair = PyList_GET_ITEM(items, i);
        if (map_setitem(self, PyTuple_GET_ITEM(pair, 0), PyTuple_GET_ITEM(pair, 1)) < 0) Py_CLEAR(items);
    }
    if (!items) return NULL;
    Py_DECREF(items);
    Py_RETURN_NONE;
}

#define FAST(f) (PyCFunction)(void (*)(void))f, METH_FASTCALL

static PyMethodDef map_methods[] = {
    { "get", FAST(map_get), PyDoc_STR("get($self, key, default=None, /)\n--\n\n"
      "The value of the key, or the default. Never blocks. Lock-free.\n\n"
      ">>> from lockfree import Map\n>>> Map(a=1).get('a'), Map().get('a', 0)\n(1, 0)") },
    { "setdefault", FAST(map_setdefault), PyDoc_STR("setdefault($self, key, default=None, /)\n--\n\n"
      "The value of the key, which is default from now on if the key was missing; in one step. Lock-free.\n\n"
      ">>> from lockfree import Map\n>>> m = Map()\n>>> m.setdefault('a', 1), m.setdefault('a', 2)\n(1, 1)") },
    { "get_or_compute", FAST(map_get_or_compute), PyDoc_STR("get_or_compute($self, key, f, /)\n--\n\n"
      "The value of the key; if it is missing, f(key), which becomes the value unless another thread gave it one\n"
      "meanwhile: then that one is returned, and what f returned is dropped. So all callers get the same value. f may run\n"
      "in several threads at once, may do anything, and if it raises nothing has changed. Lock-free but for f.\n\n"
      ">>> from lockfree import Map\n>>> m = Map()\n>>> m.get_or_compute('ab', len), m['ab']\n(2, 2)") },
    { "pop", FAST(map_pop), PyDoc_STR("pop($self, key, default=..., /)\n--\n\n"
      "Takes the key out and returns its value; if it is missing, the default, or raises KeyError. Lock-free.\n\n"
      ">>> from lockfree import Map\n>>> m = Map(a=1)\n>>> m.pop('a'), m.pop('a', None)\n(1, None)") },
    { "popitem", map_popitem, METH_NOARGS, PyDoc_STR("popitem($self, /)\n--\n\n"
      "Takes some key out and returns (key, value); raises KeyError when there is none. In no order. Lock-free.\n\n"
      ">>> from lockfree import Map\n>>> Map(a=1).popitem()\n('a', 1)") },
    { "clear", table_clear, METH_NOARGS, PyDoc_STR("clear($self, /)\n--\n\n"
      "Takes all keys out, one after the other; not in one step. Lock-free.\n\n"
      ">>> from lockfree import Map\n>>> m = Map(a=1)\n>>> m.clear()\n>>> len(m)\n0") },
    { "compare_and_set", FAST(map_compare_and_set), PyDoc_STR("compare_and_set($self, key, old, new, /)\n--\n\n"
      "Replaces the key's value old by new in one step; returns whether it did, False when the key is missing. Values are\n"
      "compared by identity, exact int, bool, str and bytes by value. Lock-free.\n\n"
      ">>> from lockfree import Map\n>>> m = Map(a=1)\n>>> m.compare_and_set('a', 1, 2), m['a']\n(True, 2)") },
    { "at", table_at, METH_O, PyDoc_STR("at($self, key, /)\n--\n\n"
      "The Binding of the key, present or missing: a Ref-like view whose reagents compose.\n\n"
      ">>> from lockfree import Map, Stack\n>>> m, s = Map(a=1), Stack()\n>>> (m.at('a').remove >> s.push)()\n>>> s.pop()\n1") },
    { "snapshot", map_snapshot, METH_NOARGS, PyDoc_STR("snapshot($self, /)\n--\n\n"
      "A dict of all keys and values as they were at one instant. Takes time in proportion to the size, starts anew when the\n"
      "map has changed meanwhile, and after some vain tries makes other threads give way. Lock-free.\n\n"
      ">>> from lockfree import Map\n>>> Map(a=1).snapshot()\n{'a': 1}") },
    { "_values", map_values, METH_NOARGS, NULL },
    { "_items", map_items, METH_NOARGS, NULL },
    { "_fill", map_fill, METH_O, NULL },
    { "__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, NULL },
    { "__reduce__", rg_refuse_pickle, METH_NOARGS, NULL },
    { NULL },
};
static PyMemberDef members[] = {
    { "__weaklistoffset__", Py_T_PYSSIZET, offsetof(TableObject, weakrefs), Py_READONLY, NULL },
    { NULL },
};
static PyType_Slot map_slots[] = {
    { Py_tp_doc, "What lockfree.Map is made of." },
    { Py_tp_new, rg_table_new },
    { Py_tp_dealloc, rg_table_dealloc },
    { Py_tp_traverse, rg_table_traverse },
    { Py_tp_clear, rg_table_tp_clear },
    { Py_tp_iter, table_iter },
    { Py_mp_subscript, map_getitem },
    { Py_mp_ass_subscript, map_setitem },
    { Py_mp_length, table_len },
    { Py_sq_contains, table_contains },
    { Py_tp_hash, PyObject_HashNotImplemented },
    { Py_tp_methods, map_methods },
    { Py_tp_members, members },
    { 0, NULL },
};
PyType_Spec rg_map_spec = {
    .name = "lockfree.BaseMap",
    .basicsize = sizeof(TableObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_MAPPING,
    .slots = map_slots,
};

/* ---- Set --------------------------------------------------------------------------------------------- */

/* 1: it was missing. */
static int add(PyObject *self, PyObject *key)
{
    uint64_t h;
    if (!rg_key_hash(key, &h)) return -1;
    PyObject *was = NULL;
    int r = rg_table_do(table(self), TABLE_DEFAULT, key, h, NULL, Py_None, &was);
    Py_XDECREF(was);
    return r;
}

static PyObject *set_add(PyObject *self, PyObject *key)
{
    if (add(self, key) < 0) return NULL;
    Py_RETURN_NONE;
}

static PyObject *set_snapshot(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    PyObject *keys, *values;
    if (!rg_table_snapshot(table(self), &keys, &values)) return NULL;
    PyObject *f = PyFrozenSet_New(keys);
    Py_DECREF(keys);
    Py_DECREF(values);
    return f;
}

/* A set that is looked for, as with set: a frozenset of the same. NULL: an error, the one that is set if it is no set. */
static PyObject *frozen(PyObject *self, PyObject *key)
{
    if (!PyErr_ExceptionMatches(PyExc_TypeError)) return NULL;
    if (!PyAnySet_Check(key) && !PyObject_TypeCheck(key, table(self)->st->set_type)) return NULL;
    PyErr_Clear();
    return PyAnySet_Check(key) ? PyFrozenSet_New(key) : set_snapshot(key, NULL);
}

/* -1, 0: it was missing, or 1. */
static int take(PyObject *self, PyObject *key)
{
    uint64_t h;
    if (rg_key_hash(key, &h)) return rg_table_do(table(self), TABLE_REMOVE, key, h, NULL, NULL, NULL);
    int r = -1;
    if ((key = frozen(self, key))) {
        r = take(self, key);
        Py_DECREF(key);
    }
    return r;
}

static int set_contains(PyObject *self, PyObject *key)
{
    uint64_t h;
    if (rg_key_hash(key, &h)) return rg_table_contains(table(self), key, h);
    int r = -1;
    if ((key = frozen(self, key))) {
        r = set_contains(self, key);
        Py_DECREF(key);
    }
    return r;
}

static PyObject *set_discard(PyObject *self, PyObject *key)
{
    if (take(self, key) < 0) return NULL;
    Py_RETURN_NONE;
}

static PyObject *set_remove(PyObject *self, PyObject *key)
{
    int r = take(self, key);
    if (r > 0) Py_RETURN_NONE;
    return r < 0 ? NULL : missing(key);
}

static PyObject *set_try_add(PyObject *self, PyObject *key)
{
    int r = add(self, key);
    return r < 0 ? NULL : PyBool_FromLong(r);
}

static PyObject *set_try_discard(PyObject *self, PyObject *key)
{
    int r = take(self, key);
    return r < 0 ? NULL : PyBool_FromLong(r);
}

static PyObject *set_pop(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    PyObject *k, *v;
    int r = rg_table_pop(table(self), &k, &v);
    if (r == 0) PyErr_SetString(PyExc_KeyError, "pop from an empty set");
    if (r <= 0) return NULL;
    Py_DECREF(v);
    return k;
}

static PyMethodDef set_methods[] = {
    { "add", set_add, METH_O, PyDoc_STR("add($self, item, /)\n--\n\nPuts the item in, if it is not there. Lock-free.\n\n"
      ">>> from lockfree import Set\n>>> s = Set()\n>>> s.add(1)\n>>> 1 in s\nTrue") },
    { "try_add", set_try_add, METH_O, PyDoc_STR("try_add($self, item, /)\n--\n\n"
      "Puts the item in and returns True; False if it is there already. Of several threads one gets True. Lock-free.\n\n"
      ">>> from lockfree import Set\n>>> s = Set()\n>>> s.try_add(1), s.try_add(1)\n(True, False)") },
    { "try_discard", set_try_discard, METH_O, PyDoc_STR("try_discard($self, item, /)\n--\n\n"
      "Takes the item out and returns True; False if it is not there. Of several threads one gets True. Lock-free.\n\n"
      ">>> from lockfree import Set\n>>> s = Set([1])\n>>> s.try_discard(1), s.try_discard(1)\n(True, False)") },
    { "discard", set_discard, METH_O, PyDoc_STR("discard($self, item, /)\n--\n\nTakes the item out, if it is there. Lock-free.\n\n"
      ">>> from lockfree import Set\n>>> s = Set([1])\n>>> s.discard(1)\n>>> 1 in s\nFalse") },
    { "remove", set_remove, METH_O, PyDoc_STR("remove($self, item, /)\n--\n\n"
      "Takes the item out; raises KeyError if it is not there. Lock-free.\n\n"
      ">>> from lockfree import Set\n>>> s = Set([1])\n>>> s.remove(1)\n>>> len(s)\n0") },
    { "pop", set_pop, METH_NOARGS, PyDoc_STR("pop($self, /)\n--\n\n"
      "Takes some item out and returns it; raises KeyError when there is none. Lock-free.\n\n"
      ">>> from lockfree import Set\n>>> Set([1]).pop()\n1") },
    { "clear", table_clear, METH_NOARGS, PyDoc_STR("clear($self, /)\n--\n\n"
      "Takes all items out, one after the other; not in one step. Lock-free.\n\n"
      ">>> from lockfree import Set\n>>> s = Set([1])\n>>> s.clear()\n>>> len(s)\n0") },
    { "at", table_at, METH_O, PyDoc_STR("at($self, item, /)\n--\n\n"
      "The Binding of the item, there or not: read blocks while it is not there, write(None) puts it in, remove takes it\n"
      "out, and blocks while it is not there. Their value is None.\n\n"
      ">>> from lockfree import Set\n>>> a, b = Set([1]), Set()\n>>> (a.at(1).remove >> b.at(1).write)()\n>>> 1 in b\nTrue") },
    { "snapshot", set_snapshot, METH_NOARGS, PyDoc_STR("snapshot($self, /)\n--\n\n"
      "A frozenset of all items as they were at one instant. As Map.snapshot. Lock-free.\n\n"
      ">>> from lockfree import Set\n>>> Set([1]).snapshot()\nfrozenset({1})") },
    { "__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, NULL },
    { "__reduce__", rg_refuse_pickle, METH_NOARGS, NULL },
    { NULL },
};
static PyType_Slot set_slots[] = {
    { Py_tp_doc, "What lockfree.Set is made of." },
    { Py_tp_new, rg_table_new },
    { Py_tp_dealloc, rg_table_dealloc },
    { Py_tp_traverse, rg_table_traverse },
    { Py_tp_clear, rg_table_tp_clear },
    { Py_tp_iter, table_iter },
    { Py_sq_length, table_len },
    { Py_sq_contains, set_contains },
    { Py_tp_hash, PyObject_HashNotImplemented },
    { Py_tp_methods, set_methods },
    { Py_tp_members, members },
    { 0, NULL },
};
PyType_Spec rg_set_spec = {
    .name = "lockfree.BaseSet",
    .basicsize = sizeof(TableObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .slots = set_slots,
};
