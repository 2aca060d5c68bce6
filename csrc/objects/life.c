/* life.c - how references and objects are given up.
 *
 * Late: without the GIL, another thread may be between loading a pointer from a word and taking a
 * reference, so what a word gave up is dropped after a grace period, and so is the memory of the
 * objects that words live in.
 *
 * Flat: a structure may hold a structure that holds a structure ..., a hundred thousand deep.
 * Deallocation goes into such a chain a few levels and puts the rest on a list of the thread, which
 * the outermost level empties. (CPython's trashcan does the same from ten thousand levels on, which
 * a small stack does not survive.)
 */
#include "state.h"

#ifndef RG_EXCLUSIVE
static void object_expired(rg_slot *s, void *o)
{
    (void)s;
    Py_DECREF((PyObject *)o);
}
#endif

#ifndef RG_EXCLUSIVE
/* Of what is inert: so large that a thousand of them should not be kept about. */
static bool is_large(PyObject *o)
{
    return PyUnicode_CheckExact(o) ? PyUnicode_GET_LENGTH(o) > 256 : PyBytes_CheckExact(o) ? PyBytes_GET_SIZE(o) > 256 : false;
}
#endif

void rg_decref_late(rg_slot *s, PyObject *o)
{
#ifdef RG_EXCLUSIVE
    (void)s;
    Py_DECREF(o);
#else
    if (o == Py_None) return;
    if (rg_is_inert(o) && !is_large(o)) /* nobody waits to see it go */
        rg_retire_lazily(s, o, object_expired);
    else
        rg_retire(s, o, object_expired);
#endif
}

uint64_t rg_last_value(rg_state *st, rg_word *w)
{
    uint64_t v = rg_load(w);
#ifdef RG_EXCLUSIVE
    (void)st;
#else
    if (__builtin_expect(!rg_is_ref(v), 1)) return v;
    rg_slot *s = rg_here_quietly(st);
    if (!s) return 0;
    rg_pin(s);
    v = rg_read(&s->domain->space, s->index, w);
    rg_unpin(s);
#endif
    return v;
}

static void free_now(rg_slot *s, void *p)
{
    (void)s;
    PyTypeObject *type = Py_TYPE((PyObject *)p);
    PyObject_GC_Del(p);
    Py_DECREF(type);
}

void rg_free_late(rg_state *st, PyObject *o)
{
#ifdef RG_EXCLUSIVE
    (void)st;
    free_now(NULL, o);
#else
    rg_slot *s = rg_here_quietly(st);
    if (!s || !rg_reserve(s, 1)) return; /* out of memory: this block is not given back */
    rg_pin(s);
    rg_retire(s, o, free_now);
    rg_unpin(s);
#endif
}

/* ---- flat deallocation ----------------------------------------------------------------------- */

#define NESTED_MOST 32 /* levels; each is a few hundred bytes of stack */

static _Thread_local struct {
    unsigned depth;
    size_t n, cap;
    PyObject **at;
} nested __attribute__((tls_model("initial-exec")));

static bool put_off(PyObject *o)
{
    if (nested.n == nested.cap) {
        size_t cap = nested.cap ? 2 * nested.cap : 256;
        PyObject **at = PyMem_RawRealloc(nested.at, cap * sizeof *at);
        if (!at) return false; /* then deeper it goes */
        nested.at = at;
        nested.cap = cap;
    }
    nested.at[nested.n++] = o;
    return true;
}

void rg_release(PyObject *o)
{
    if (!o || (nested.depth >= NESTED_MOST && put_off(o))) return;
    nested.depth++;
    Py_DECREF(o);
    while (nested.depth == 1 && nested.n) {
        PyObject *next = nested.at[--nested.n];
        Py_DECREF(next);
    }
    if (--nested.depth == 0 && nested.at) {
        PyMem_RawFree(nested.at);
        nested.at = NULL;
        nested.cap = 0;
    }
}
