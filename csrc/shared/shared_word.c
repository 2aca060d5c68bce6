/* shared_word.c - Word: one item of an array as a Ref-like. Its reagents are those of any word
 * (objects/words.c), its direct calls are single operations on the shared memory.
 *
 * `segment` is the ArrayObject, which keeps the memory mapped.
 */
#include "face.h"

static ArrayObject *array_of(WordObject *w) { return (ArrayObject *)w->segment; }

static int my_slot(WordObject *w) { return rg_slot_for(array_of(w)->segment, w->at); }

PyObject *rg_word_new(ArrayObject *a, Py_ssize_t i)
{
    WordObject *w = (WordObject *)a->st->word_type->tp_alloc(a->st->word_type, 0);
    if (!w) return NULL;
    w->st = a->st;
    w->at = &a->words[i];
    w->kind = WORD_INT;
    w->segment = Py_NewRef((PyObject *)a);
    w->space = &a->segment->space;
    w->my_slot = my_slot;
    return (PyObject *)w;
}

static int word_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(((WordObject *)self)->segment);
    return 0;
}

/* No late free as for a Ref: the word that helpers touch is not in this object. */
static void word_dealloc(PyObject *self)
{
    WordObject *w = (WordObject *)self;
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (w->weakrefs) PyObject_ClearWeakRefs(self);
    Py_XDECREF(w->segment);
    type->tp_free(self);
    Py_DECREF(type);
}

/* ---- direct calls ------------------------------------------------------------------------------ */

static PyObject *value_of(PyObject *self)
{
    WordObject *w = (WordObject *)self;
    uint64_t v;
    return rg_shared_get(array_of(w), w->at, &v) ? rg_int_object(v) : NULL;
}

static PyObject *direct_get(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kw)
{
    (void)args;
    return rg_arity("get", nargs, kw, 0, 0) ? value_of(self) : NULL;
}

static PyObject *swap(PyObject *self, PyObject *value)
{
    WordObject *w = (WordObject *)self;
    uint64_t v;
    return rg_int_from(value, &v) ? rg_shared_swap(array_of(w), w->at, v) : NULL;
}

static PyObject *direct_swap(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kw)
{
    return rg_arity("swap", nargs, kw, 1, 1) ? swap(self, args[0]) : NULL;
}

static PyObject *direct_set(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kw)
{
    PyObject *old = rg_arity("set", nargs, kw, 1, 1) ? swap(self, args[0]) : NULL;
    if (!old) return NULL;
    Py_DECREF(old);
    Py_RETURN_NONE;
}

static PyObject *direct_add(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kw)
{
    WordObject *w = (WordObject *)self;
    uint64_t by = 1;
    if (!rg_arity("add", nargs, kw, 0, 1) || (nargs && !rg_int_from(args[0], &by))) return NULL;
    return rg_shared_add(array_of(w), w->at, by);
}

static PyObject *word_compare_and_set(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    WordObject *w = (WordObject *)self;
    uint64_t old, new_;
    if (!rg_arity("compare_and_set", nargs, NULL, 2, 2) || !rg_int_from(args[0], &old) || !rg_int_from(args[1], &new_)) return NULL;
    int r = rg_shared_cas(array_of(w), w->at, old, new_);
    return r < 0 ? NULL : PyBool_FromLong(r);
}

static PyObject *word_update(PyObject *self, PyObject *f)
{
    WordObject *w = (WordObject *)self;
    rg_backoff b = RG_BACKOFF_INIT;
    for (;;) {
        uint64_t old, v;
        if (!rg_shared_get(array_of(w), w->at, &old)) return NULL;
        PyObject *current = rg_int_object(old), *new_ = current ? PyObject_CallOneArg(f, current) : NULL;
        Py_XDECREF(current);
        int r = new_ && rg_int_from(new_, &v) ? rg_shared_cas(array_of(w), w->at, old, v) : -1;
        if (r > 0) return new_;
        Py_XDECREF(new_);
        if (r < 0 || PyErr_CheckSignals() < 0) return NULL;
        rg_backoff_wait(&b);
    }
}

static PyObject *word_repr(PyObject *self)
{
    WordObject *w = (WordObject *)self;
    ArrayObject *a = array_of(w);
    PyObject *v = value_of(self);
    PyObject *s = v ? PyUnicode_FromFormat("<lockfree.shm.Word %U[%zd] = %R>", a->name, (Py_ssize_t)(w->at - a->words), v) : NULL;
    Py_XDECREF(v);
    return s;
}

/* ---- the type ---------------------------------------------------------------------------------- */

static const rg_op op_get = { .name = "get", .step = rg_step_read, .direct = direct_get, .doc = "get($self)\n--\n\n"
    "The value. A method and a reagent. Never blocks." };
static const rg_op op_set = { .name = "set", .step = rg_step_write, .direct = direct_set, .doc = "set($self, v, /)\n--\n\n"
    "v becomes the value. A method (returns None) and a reagent (passes v on). Lock-free." };
static const rg_op op_swap = { .name = "swap", .step = rg_step_swap, .direct = direct_swap, .doc = "swap($self, x, /)\n--\n\n"
    "The input becomes the value; the result is the old one. A method and a reagent. Lock-free." };
static const rg_op op_add = { .name = "add", .step = rg_step_add, .direct = direct_add, .doc = "add($self, n=1, /)\n--\n\n"
    "Adds n to the value; the result is the old one. A method and a reagent. Lock-free." };

const rg_op *const rg_shared_word_ops[] = { &op_get, &op_set, &op_add, &op_swap, &rg_op_read, &rg_op_write, NULL };

#define FASTCALL(f) ((PyCFunction)(void (*)(void))f)

static PyMethodDef word_methods[] = {
    { "compare_and_set", FASTCALL(word_compare_and_set), METH_FASTCALL, PyDoc_STR("compare_and_set($self, old, new, /)\n--\n\n"
      "Replaces old by new in one step; returns whether it did. Lock-free.") },
    { "update", word_update, METH_O, PyDoc_STR("update($self, f, /)\n--\n\n"
      "Replaces the value v by f(v) in one step and returns f(v). f may run several times. Lock-free.") },
    { "cas", FASTCALL(rg_word_cas), METH_FASTCALL, PyDoc_STR("cas($self, old, new, /)\n--\n\n"
      "A reagent that replaces old by new, and blocks while the value is not old. Its result is None.") },
    { "upd", rg_word_upd, METH_O, PyDoc_STR("upd($self, f, /)\n--\n\n"
      "A reagent: f(current, x) returns (new, result), or BLOCK to wait until the value changes. f may run\n"
      "several times and must have no effects. Raises TypeError when it returns something else.") },
    { "__reduce__", rg_refuse_pickle, METH_NOARGS, NULL },
    { NULL },
};
static PyMemberDef word_members[] = {
    { "__weaklistoffset__", Py_T_PYSSIZET, offsetof(WordObject, weakrefs), Py_READONLY, NULL },
    { NULL },
};
static PyType_Slot word_slots[] = {
    { Py_tp_doc, "One item of an Array, made by arr.at(i): an integer from -2**62 to 2**62 - 1 that processes share.\n\n"
      "get, set, add and swap are methods and reagents; read, write, cas(old, new) and upd(f) are reagents;\n"
      "compare_and_set and update act at once. A reaction may use the words of one Segment, or those that are\n"
      "private to the process, not both. One that waits looks again about every millisecond, as a change in\n"
      "another process wakes nobody here." },
    { Py_tp_dealloc, word_dealloc },
    { Py_tp_traverse, word_traverse },
    { Py_tp_repr, word_repr },
    { Py_nb_index, value_of },
    { Py_nb_int, value_of },
    { Py_tp_methods, word_methods },
    { Py_tp_members, word_members },
    { 0, NULL },
};
PyType_Spec rg_word_spec = {
    .name = "lockfree.shm.Word",
    .basicsize = sizeof(WordObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = word_slots,
};
