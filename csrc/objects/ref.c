/* ref.c - Ref, and the life of every word private to the process.
 *
 * Invariant of a Ref: its word holds a pointer to an object that the word owns a reference to.
 * Who reads is pinned until it has its own reference; what the word gives up is dropped after a
 * grace period. Linearization: the load of the word (get), the successful CAS on it (all else).
 */
#include "words.h"

PyObject *rg_private_word_new(PyTypeObject *type, rx_kind kind, uint64_t v)
{
    rg_state *st = rg_state_of(type);
    WordObject *w = st ? (WordObject *)type->tp_alloc(type, 0) : NULL;
    if (!w) {
        if (kind == WORD_OBJECT) Py_DECREF((PyObject *)(uintptr_t)v);
        return NULL;
    }
    w->st = st;
    w->at = &w->word;
    w->kind = kind;
    w->segment = NULL;
    w->weakrefs = NULL;
    rg_store_rlx(&w->word, v); /* private yet */
    return (PyObject *)w;
}

static PyObject *ref_new(PyTypeObject *type, PyObject *args, PyObject *kw)
{
    static char *names[] = { "value", NULL };
    PyObject *v = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kw, "|O:Ref", names, &v)) return NULL;
    return rg_private_word_new(type, WORD_OBJECT, (uint64_t)(uintptr_t)Py_NewRef(v));
}

static PyObject *object_in(WordObject *w) { return (PyObject *)(uintptr_t)rg_load(w->at); }

int rg_word_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    if (((WordObject *)self)->kind == WORD_OBJECT) Py_VISIT(object_in((WordObject *)self));
    return 0;
}

static int ref_clear(PyObject *self)
{
    WordObject *w = (WordObject *)self;
    if (w->kind == WORD_OBJECT) {
        PyObject *old = (PyObject *)(uintptr_t)rg_last_value(w->st, w->at);
        rg_store(w->at, (uint64_t)(uintptr_t)Py_NewRef(Py_None));
        Py_XDECREF(old);
    }
    return 0;
}

void rg_word_dealloc(PyObject *self)
{
    WordObject *w = (WordObject *)self;
    PyObject_GC_UnTrack(self);
    if (w->weakrefs) PyObject_ClearWeakRefs(self);
    rg_state *st = w->st;
    if (w->kind == WORD_OBJECT) rg_release((PyObject *)(uintptr_t)rg_last_value(st, w->at));
    rg_free_late(st, self);
}

static PyObject *load_object(WordObject *w, rg_slot *s)
{
    return (PyObject *)(uintptr_t)rg_read(&w->st->domain->space, s->index, w->at);
}

/* When an operation is under way on the word, or the thread is new here. */
static RG_SLOW PyObject *get_slow(WordObject *w)
{
    rg_slot *s = rg_begin(w->st, w, "get");
    if (!s) return NULL;
    rg_pin(s);
    PyObject *v = Py_NewRef(load_object(w, s));
    rg_unpin(s);
    return v;
}

static PyObject *ref_get(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    WordObject *w = (WordObject *)self;
    rg_slot *s = rg_at_hand(w->st);
    if (__builtin_expect(!s || !rg_glance(s), 0)) return get_slow(w);
    uint64_t v = rg_load(&w->word); /* a Ref's word is its own */
    if (__builtin_expect(rg_is_ref(v), 0)) {
        rg_glanced(s);
        return get_slow(w);
    }
    Py_INCREF((PyObject *)(uintptr_t)v);
    rg_glanced(s);
    return (PyObject *)(uintptr_t)v;
}

/* A word set to what it was, by value where values count, wakes nobody. */
static void changed(rg_slot *s, WordObject *w, PyObject *old, PyObject *new_)
{
    if (__builtin_expect(rg_load(&s->domain->waiting) != 0, 0) && !rg_same(old, new_)) rg_wake(s, w->at);
}

/* Unpins. The word gave up `old`. */
static void displaced(rg_slot *s, PyObject *old)
{
#ifdef RG_EXCLUSIVE
    rg_unpin(s);
    Py_DECREF(old);
#else
    rg_decref_late(s, old);
    rg_unpin(s);
#endif
}

static rg_slot *ready_to_write(WordObject *w, const char *name)
{
    rg_slot *s = rg_begin(w->st, w, name);
    if (s && !rg_reserve(s, 1)) {
        PyErr_NoMemory();
        return NULL;
    }
    return s;
}

static PyObject *ref_set(PyObject *self, PyObject *v)
{
    WordObject *w = (WordObject *)self;
    rg_slot *s = ready_to_write(w, "set");
    if (!s) return NULL;
    rg_backoff b = { 0 };
    Py_INCREF(v);
    rg_pin(s);
    for (;;) {
        PyObject *old = load_object(w, s);
        if (rg_cas_once(&s->desc, w->at, (uint64_t)(uintptr_t)old, (uint64_t)(uintptr_t)v)) {
            changed(s, w, old, v);
            displaced(s, old);
            Py_RETURN_NONE;
        }
        rg_lost(s, &b);
    }
}

/* Pinned on entry, unpinned on exit when it returns true. */
static bool try_replace(WordObject *w, rg_slot *s, PyObject *old, PyObject *new_)
{
    if (!rg_cas_once(&s->desc, w->at, (uint64_t)(uintptr_t)old, (uint64_t)(uintptr_t)new_)) return false;
    changed(s, w, old, new_);
    displaced(s, old);
    return true;
}

static PyObject *ref_compare_and_set(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    WordObject *w = (WordObject *)self;
    if (!rg_arity("compare_and_set", nargs, NULL, 2, 2)) return NULL;
    rg_slot *s = ready_to_write(w, "compare_and_set");
    if (!s) return NULL;
    Py_INCREF(args[1]);
    rg_pin(s);
    for (;;) {
        PyObject *current = load_object(w, s); /* pinned: good to look at without a reference */
        if (!rg_same(current, args[0])) {
            rg_unpin(s);
            Py_DECREF(args[1]);
            Py_RETURN_FALSE;
        }
        if (try_replace(w, s, current, args[1])) Py_RETURN_TRUE;
    }
}

static PyObject *ref_update(PyObject *self, PyObject *f)
{
    WordObject *w = (WordObject *)self;
    rg_backoff b = { 0 };
    for (;;) {
        PyObject *current = ref_get(self, NULL);
        PyObject *new_ = current ? PyObject_CallOneArg(f, current) : NULL;
        if (new_ && new_ == w->st->block) {
            PyErr_SetString(PyExc_TypeError, "the function of update() returned BLOCK: update() acts at once, use upd() to wait");
            Py_CLEAR(new_);
        }
        rg_slot *s = new_ ? ready_to_write(w, "compare_and_set") : NULL;
        if (!s) {
            Py_XDECREF(current);
            Py_XDECREF(new_);
            return NULL;
        }
        rg_pin(s);
        Py_INCREF(new_); /* the word's */
        /* current is held by us, so its address means it */
        if (load_object(w, s) == current && try_replace(w, s, current, new_)) {
            Py_DECREF(current);
            return new_;
        }
        rg_unpin(s);
        Py_DECREF(current);
        Py_DECREF(new_);
        Py_DECREF(new_);
        if (PyErr_CheckSignals() < 0) return NULL;
        rg_lost(s, &b);
    }
}

static PyObject *ref_repr(PyObject *self)
{
    int depth = Py_ReprEnter(self);
    if (depth) return depth > 0 ? PyUnicode_FromString("Ref(...)") : NULL;
    PyObject *v = ref_get(self, NULL), *s = v ? PyUnicode_FromFormat("Ref(%R)", v) : NULL;
    Py_XDECREF(v);
    Py_ReprLeave(self);
    return s;
}

static PyMethodDef ref_methods[] = {
    { "get", ref_get, METH_NOARGS, PyDoc_STR("get($self, /)\n--\n\n"
      "The value. Never blocks; wait-free while no composed operation is under way on this Ref.\n\n"
      ">>> from reagents import Ref\n>>> Ref('a').get()\n'a'") },
    { "set", ref_set, METH_O, PyDoc_STR("set($self, value, /)\n--\n\nvalue becomes the value. Lock-free.\n\n"
      ">>> from reagents import Ref\n>>> r = Ref(1)\n>>> r.set(2)\n>>> r.get()\n2") },
    { "compare_and_set", (PyCFunction)(void (*)(void))ref_compare_and_set, METH_FASTCALL,
      PyDoc_STR("compare_and_set($self, old, new, /)\n--\n\n"
      "Replaces old by new in one step; returns whether it did. Values are compared by identity, exact int,\n"
      "bool, str and bytes by value. Never blocks. Lock-free.\n\n"
      ">>> from reagents import Ref\n>>> r = Ref(1)\n>>> r.compare_and_set(1, 2), r.compare_and_set(1, 3)\n(True, False)") },
    { "update", ref_update, METH_O, PyDoc_STR("update($self, f, /)\n--\n\n"
      "Replaces the value v by f(v) in one step and returns f(v). f may run several times and must have no\n"
      "effects. Lock-free.\n\n>>> from reagents import Ref\n>>> Ref(3).update(lambda v: v + 1)\n4") },
    RG_WORD_METHODS,
    { NULL },
};

const rg_op *const rg_ref_ops[] = { &rg_op_read, &rg_op_write, &rg_op_swap, &rg_op_add, NULL };

PyMemberDef rg_word_members[] = {
    { "__weaklistoffset__", Py_T_PYSSIZET, offsetof(WordObject, weakrefs), Py_READONLY, NULL },
    { NULL },
};

static PyType_Slot ref_slots[] = {
    { Py_tp_doc, "Ref(value=None)\n--\n\n"
      "A reference to a value that threads share and reagents compose on (kcas' Loc, Turon's Ref).\n\n"
      "get, set, swap, add, compare_and_set and update act at once; read, write, swap, add, cas(old, new)\n"
      "and upd(f) are reagents. All operations are sequentially consistent and lock-free.\n\n"
      ">>> from reagents import Ref\n>>> a, b = Ref(1), Ref(2)\n>>> (a.read * b.read)()\n(1, 2)" },
    { Py_tp_new, ref_new },
    { Py_tp_dealloc, rg_word_dealloc },
    { Py_tp_traverse, rg_word_traverse },
    { Py_tp_clear, ref_clear },
    { Py_tp_repr, ref_repr },
    { Py_tp_methods, ref_methods },
    { Py_tp_members, rg_word_members },
    { 0, NULL },
};
PyType_Spec rg_ref_spec = {
    .name = "reagents.Ref",
    .basicsize = sizeof(WordObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = ref_slots,
};
