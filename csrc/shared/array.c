/* array.c - BaseArray: named words of a Segment as a sequence. lockfree.shm.Array adds the batches. */
#include "face.h"
#include "../objects/explore.h"

#include <string.h>

static bool index_of(ArrayObject *a, PyObject *o, Py_ssize_t *out)
{
    Py_ssize_t i = PyNumber_AsSsize_t(o, PyExc_IndexError);
    if (i == -1 && PyErr_Occurred()) return false;
    *out = i < 0 ? i + a->n : i;
    if (*out >= 0 && *out < a->n) return true;
    PyErr_Format(PyExc_IndexError, "index %zd is out of range for the array %R of %zd", i, a->name, a->n);
    return false;
}

static bool word_of(ArrayObject *a, PyObject *index, rg_word **w)
{
    Py_ssize_t i;
    if (!index_of(a, index, &i)) return false;
    *w = &a->words[i];
    return true;
}

/* ---- making ---------------------------------------------------------------------------------- */

static int array_failed(int r, PyObject *name, Py_ssize_t wanted, const rg_array_info *info)
{
    switch (r) {
    case RG_ARRAY_OK:
        return 0;
    case RG_ARRAY_DIFFERS:
        PyErr_Format(PyExc_ValueError, "the array %R has %llu items of %s, not %zd of int64", name,
                     (unsigned long long)info->length, info->type == RG_TYPE_INT64 ? "int64" : "another type", wanted);
        break;
    case RG_ARRAY_NO_ENTRY:
        PyErr_Format(PyExc_ValueError, "no room for the array %R: a Segment holds %u arrays", name, RG_SEG_ARRAYS);
        break;
    case RG_ARRAY_NO_ROOM:
        PyErr_Format(PyExc_ValueError, "no room for the array %R: it needs 8 * %zd bytes, and the Segment has %llu left", name, wanted,
                     (unsigned long long)info->left);
        break;
    default:
        PyErr_SetString(PyExc_RuntimeError, "the Segment has no slot left for one more thread");
    }
    return -1;
}

/* BaseArray(mapping, name, n): opens or makes it. */
static PyObject *array_new(PyTypeObject *type, PyObject *args, PyObject *kw)
{
    static char *names[] = { "mapping", "name", "n", NULL };
    rg_state *st = rg_state_of(type);
    PyObject *mapping, *name;
    Py_ssize_t n, len;
    if (!st || !PyArg_ParseTupleAndKeywords(args, kw, "O!Un:BaseArray", names, st->mapping_type, &mapping, &name, &n)) return NULL;
    const char *utf8 = PyUnicode_AsUTF8AndSize(name, &len);
    if (!utf8) return NULL;
    if (!len || len > (Py_ssize_t)RG_SEG_NAME_MAX || memchr(utf8, 0, (size_t)len))
        return PyErr_Format(PyExc_ValueError, "the name of an array has 1 to %u bytes, none of them NUL: %R", RG_SEG_NAME_MAX, name);
    if (n < 1) return PyErr_Format(PyExc_ValueError, "an array has at least one item, not %zd", n);
    rg_segment *s = ((MappingObject *)mapping)->segment;
    rg_array_info info = { RG_TYPE_INT64, (uint64_t)n, 0, 0 };
    ArrayObject *a = (ArrayObject *)type->tp_alloc(type, 0); /* first: an array in the Segment is there for good */
    if (!a) return NULL;
    if (array_failed(rg_segment_array(s, utf8, (size_t)len, &info), name, n, &info) < 0) {
        Py_DECREF(a);
        return NULL;
    }
    a->st = st;
    a->mapping = (MappingObject *)Py_NewRef(mapping);
    a->segment = s;
    a->words = (rg_word *)(s->space.base + info.offset);
    a->n = n;
    a->name = Py_NewRef(name);
    return (PyObject *)a;
}

static int array_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(((ArrayObject *)self)->mapping);
    return 0;
}

static void array_dealloc(PyObject *self)
{
    ArrayObject *a = (ArrayObject *)self;
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (a->weakrefs) PyObject_ClearWeakRefs(self);
    Py_XDECREF(a->mapping);
    Py_XDECREF(a->name);
    type->tp_free(self);
    Py_DECREF(type);
}

/* ---- items ------------------------------------------------------------------------------------- */

static Py_ssize_t array_len(PyObject *self) { return ((ArrayObject *)self)->n; }

static PyObject *get(ArrayObject *a, rg_word *w)
{
    uint64_t v;
    return rg_shared_get(a, w, &v) ? rg_int_object(v) : NULL;
}

static PyObject *array_item(PyObject *self, Py_ssize_t i)
{
    ArrayObject *a = (ArrayObject *)self;
    if (i >= 0 && i < a->n) return get(a, &a->words[i]);
    PyErr_Format(PyExc_IndexError, "index %zd is out of range for the array %R of %zd", i, a->name, a->n);
    return NULL;
}

static PyObject *array_subscript(PyObject *self, PyObject *index)
{
    rg_word *w;
    return word_of((ArrayObject *)self, index, &w) ? get((ArrayObject *)self, w) : NULL;
}

static int array_assign(PyObject *self, PyObject *index, PyObject *value)
{
    ArrayObject *a = (ArrayObject *)self;
    rg_word *w;
    uint64_t v;
    if (!value) {
        PyErr_SetString(PyExc_TypeError, "items of an array cannot be deleted");
        return -1;
    }
    PyObject *old = word_of(a, index, &w) && rg_int_from(value, &v) ? rg_shared_swap(a, w, v) : NULL;
    Py_XDECREF(old);
    return old ? 0 : -1;
}

static PyObject *array_add(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    ArrayObject *a = (ArrayObject *)self;
    rg_word *w;
    uint64_t by = 1;
    if (!rg_arity("add", nargs, NULL, 1, 2) || !word_of(a, args[0], &w) || (nargs > 1 && !rg_int_from(args[1], &by))) return NULL;
    return rg_shared_add(a, w, by);
}

static PyObject *array_compare_and_set(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    ArrayObject *a = (ArrayObject *)self;
    rg_word *w;
    uint64_t old, new_;
    if (!rg_arity("compare_and_set", nargs, NULL, 3, 3) || !word_of(a, args[0], &w) || !rg_int_from(args[1], &old) ||
        !rg_int_from(args[2], &new_))
        return NULL;
    int r = rg_shared_cas(a, w, old, new_);
    return r < 0 ? NULL : PyBool_FromLong(r);
}

/* ---- k-CAS ------------------------------------------------------------------------------------- */

/* One (index, old, new) of a list. */
static bool entry_of(ArrayObject *a, PyObject *item, rg_cas_entry *e)
{
    PyObject *t = PySequence_Tuple(item);
    if (!t) return false;
    bool ok = PyTuple_GET_SIZE(t) == 3;
    if (!ok) PyErr_Format(PyExc_TypeError, "an entry of kcas() is a triple (index, old, new), not %R", item);
    ok = ok && word_of(a, PyTuple_GET_ITEM(t, 0), &e->word) && rg_int_from(PyTuple_GET_ITEM(t, 1), &e->old) &&
         rg_int_from(PyTuple_GET_ITEM(t, 2), &e->new_);
    Py_DECREF(t);
    return ok;
}

static bool entries_of(ArrayObject *a, PyObject *list, rg_cas_entry *e)
{
    Py_ssize_t n = PyTuple_GET_SIZE(list);
    if (n > (Py_ssize_t)RG_SEG_ENTRIES) {
        PyErr_Format(PyExc_ValueError, "a k-CAS in a Segment has at most %u entries, not %zd", RG_SEG_ENTRIES, n);
        return false;
    }
    for (Py_ssize_t i = 0; i < n; i++) {
        if (!entry_of(a, PyTuple_GET_ITEM(list, i), &e[i])) return false;
        for (Py_ssize_t j = 0; j < i; j++) {
            if (e[j].word != e[i].word) continue;
            PyErr_Format(PyExc_ValueError, "index %zd is in the k-CAS twice", (Py_ssize_t)(e[i].word - a->words));
            return false;
        }
    }
    return true;
}

static PyObject *array_kcas(PyObject *self, PyObject *entries)
{
    ArrayObject *a = (ArrayObject *)self;
    rg_cas_entry e[RG_SEG_ENTRIES];
    PyObject *list = PySequence_Tuple(entries); /* a copy: __index__ below may be user code */
    if (!list) return NULL;
    size_t n = (size_t)PyTuple_GET_SIZE(list);
    bool ok = entries_of(a, list, e);
    Py_DECREF(list);
    if (!ok || !rg_before_shared(a->st, a, "kcas")) return NULL;
    int me = 0;
    for (size_t i = 0; i < n && me >= 0; i++) me = rg_slot_for(a->segment, e[i].word);
    if (me < 0) return NULL;
    bool done = rg_kcas(&a->segment->space, (unsigned)me, e, n) == RG_SUCCEEDED; /* room: n is within bounds */
    for (size_t i = 0; done && i < n; i++)
        if (e[i].old != e[i].new_) rg_wake_shared(a->st, e[i].word);
    return PyBool_FromLong(done);
}

/* ---- the rest ---------------------------------------------------------------------------------- */

static PyObject *array_at(PyObject *self, PyObject *index)
{
    Py_ssize_t i;
    return index_of((ArrayObject *)self, index, &i) ? rg_word_new((ArrayObject *)self, i) : NULL;
}

static int array_buffer(PyObject *self, Py_buffer *view, int flags)
{
    ArrayObject *a = (ArrayObject *)self;
    static Py_ssize_t stride = sizeof(rg_word);
    *view = (Py_buffer){
        .buf = a->words,
        .obj = Py_NewRef(self),
        .len = a->n * (Py_ssize_t)sizeof(rg_word),
        .itemsize = sizeof(rg_word),
        .ndim = 1,
        .format = flags & PyBUF_FORMAT ? "q" : NULL,
        .shape = flags & PyBUF_ND ? &a->n : NULL,
        .strides = (flags & PyBUF_STRIDES) == PyBUF_STRIDES ? &stride : NULL,
    };
    return 0;
}

static PyObject *array_repr(PyObject *self)
{
    ArrayObject *a = (ArrayObject *)self;
    return PyUnicode_FromFormat("<lockfree.shm.Array %R: %zd of int64>", a->name, a->n);
}

static PyObject *array_name(PyObject *self, void *Py_UNUSED(c)) { return Py_NewRef(((ArrayObject *)self)->name); }
static PyObject *array_mapping(PyObject *self, void *Py_UNUSED(c)) { return Py_NewRef(((ArrayObject *)self)->mapping); }
static PyObject *array_start(PyObject *self, void *Py_UNUSED(c)) { return PyLong_FromVoidPtr(((ArrayObject *)self)->words); }

#define FASTCALL(f) ((PyCFunction)(void (*)(void))f)

static PyMethodDef array_methods[] = {
    { "add", FASTCALL(array_add), METH_FASTCALL, PyDoc_STR("add($self, i, n=1, /)\n--\n\n"
      "Adds n to item i in one atomic step; returns the value before. Lock-free. Raises OverflowError, and changes\n"
      "nothing, when the sum is beyond -2**62 to 2**62 - 1.") },
    { "compare_and_set", FASTCALL(array_compare_and_set), METH_FASTCALL, PyDoc_STR("compare_and_set($self, i, old, new, /)\n--\n\n"
      "Replaces old by new in item i in one atomic step; returns whether it did. Lock-free.") },
    { "kcas", array_kcas, METH_O, PyDoc_STR("kcas($self, entries, /)\n--\n\n"
      "All or nothing: entries is a list of (index, old, new) on distinct items, at most 32. If each item holds its\n"
      "old they all get their new in one atomic step, and the result is True; else False, and nothing has changed.\n"
      "Where old == new the item is only compared. Lock-free.") },
    { "at", array_at, METH_O, PyDoc_STR("at($self, i, /)\n--\n\nItem i as a Word, which composes with other Words of the Segment.") },
    { "__reduce__", rg_refuse_pickle, METH_NOARGS, NULL },
    { NULL },
};
static PyGetSetDef array_getset[] = {
    { "name", array_name, NULL, PyDoc_STR("The name it has in its Segment."), NULL },
    { "_mapping", array_mapping, NULL, NULL, NULL },
    { "_start", array_start, NULL, NULL, NULL },
    { NULL },
};
static PyMemberDef array_members[] = {
    { "__weaklistoffset__", Py_T_PYSSIZET, offsetof(ArrayObject, weakrefs), Py_READONLY, NULL },
    { NULL },
};
static PyType_Slot array_slots[] = {
    { Py_tp_doc, "The words of an array in a Segment: single operations." },
    { Py_tp_new, array_new },
    { Py_tp_dealloc, array_dealloc },
    { Py_tp_traverse, array_traverse },
    { Py_tp_repr, array_repr },
    { Py_tp_methods, array_methods },
    { Py_tp_getset, array_getset },
    { Py_tp_members, array_members },
    { Py_sq_length, array_len },
    { Py_sq_item, array_item },
    { Py_mp_length, array_len },
    { Py_mp_subscript, array_subscript },
    { Py_mp_ass_subscript, array_assign },
    { Py_bf_getbuffer, array_buffer },
    { 0, NULL },
};
PyType_Spec rg_array_spec = {
    .name = "lockfree.shm.BaseArray",
    .basicsize = sizeof(ArrayObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = array_slots,
};
