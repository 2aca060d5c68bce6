/* words.h - objects that are one word: Ref, AtomicInt, and a word of a shared array. */
#ifndef RG_WORDS_H
#define RG_WORDS_H

#include "engine.h"

typedef struct WordObject {
    PyObject_HEAD
    rg_state *st;
    rg_word *at; /* &word, or in shared memory */
    rx_kind kind;
    PyObject *weakrefs;
    PyObject *segment; /* what keeps `at` mapped; NULL: private to the process */
    /* Of a shared word: its space, and this thread's slot there (-1: error set, or the word is not
     * one that anything could be done with). */
    const rg_space *space;
    int (*my_slot)(struct WordObject *);
    rg_word word;
} WordObject;

/* A word as Python sees it. Takes no reference. False: TypeError or OverflowError set. */
bool rg_int_of(PyObject *, uint64_t *);
bool rg_int_from(PyObject *, uint64_t *); /* the same, with __index__: may run user code */
static inline PyObject *rg_int_object(uint64_t w) { return PyLong_FromLongLong((int64_t)w); }
/* A word of that kind, which is none of objects, as Python sees it. Takes an integer, or a bool for a flag: `from` may run
 * user code (__index__), `of` does not. */
PyObject *rg_boxed(rx_kind, uint64_t);
bool rg_unboxed_of(rx_kind, PyObject *, uint64_t *);
bool rg_unboxed_from(rx_kind, PyObject *, uint64_t *);
/* Identity; exact int, bool, str and bytes by value. Never runs user code. */
bool rg_same(PyObject *a, PyObject *b);

/* Reagents on any word. */
rx_outcome rg_step_read(rx *, Reagent *, PyObject *x, PyObject **y);
rx_outcome rg_step_write(rx *, Reagent *, PyObject *x, PyObject **y);
rx_outcome rg_step_swap(rx *, Reagent *, PyObject *x, PyObject **y);
rx_outcome rg_step_add(rx *, Reagent *, PyObject *x, PyObject **y);
extern const rg_op rg_op_read, rg_op_write, rg_op_swap, rg_op_add, rg_op_get, rg_op_set;
PyObject *rg_word_cas(PyObject *self, PyObject *const *args, Py_ssize_t nargs); /* METH_FASTCALL */
PyObject *rg_word_upd(PyObject *self, PyObject *f);
/* ref.c: of all words private to the process */
PyObject *rg_private_word_new(PyTypeObject *, rx_kind, uint64_t); /* takes over the reference to an object */
void rg_word_dealloc(PyObject *);
int rg_word_traverse(PyObject *, visitproc, void *);
extern PyMemberDef rg_word_members[];
#define RG_WORD_METHODS \
    { "cas", (PyCFunction)(void (*)(void))rg_word_cas, METH_FASTCALL, PyDoc_STR("cas($self, old, new, /)\n--\n\n" \
      "A reagent that replaces old by new, and blocks while the value is not old. Its result is None.\n\n" \
      ">>> from reagents import Ref\n>>> r = Ref(1)\n>>> r.cas(1, 2)()\n>>> r.get()\n2") }, \
    { "upd", rg_word_upd, METH_O, PyDoc_STR("upd($self, f, /)\n--\n\n" \
      "A reagent: f(current, x) returns (new, result), or BLOCK to wait until the value changes. f may run\n" \
      "several times and must have no effects. Raises TypeError when it returns something else.\n\n" \
      ">>> from reagents import Ref\n>>> r = Ref(1)\n>>> r.upd(lambda v, x: (v + x, v))(4)\n1\n>>> r.get()\n5") }, \
    { "__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, NULL }, \
    { "__reduce__", rg_refuse_pickle, METH_NOARGS, NULL }


/* Argument checks of the direct calls: exactly n, or between lo and hi, positional. */
bool rg_arity_slow(const char *name, Py_ssize_t nargs, PyObject *kwnames, Py_ssize_t lo, Py_ssize_t hi);
static inline bool rg_arity(const char *name, Py_ssize_t nargs, PyObject *kwnames, Py_ssize_t lo, Py_ssize_t hi)
{
    return __builtin_expect(!kwnames && nargs >= lo && nargs <= hi, 1) || rg_arity_slow(name, nargs, kwnames, lo, hi);
}

#endif
