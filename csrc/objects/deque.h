/* deque.h - what the two halves of lockfree.Deque share: deque.c (reagents, direct calls, life) and deque_whole.c
 * (everything that is about all items at once). */
#ifndef RG_OBJECTS_DEQUE_H
#define RG_OBJECTS_DEQUE_H

#include "containers.h" /* first: it says how words are accessed */

#include "../core/deque.h"

typedef struct DequeObject {
    PyObject_HEAD
    rg_state *st;
    PyObject *weakrefs;
    rg_deque d;
    rg_takers takers;
    rg_word most; /* maxlen; UINT64_MAX: none. Set while others look on only by calling __init__ again */
} DequeObject;

static inline PyObject *rg_deque_payload(rg_wide *w) { return (PyObject *)(uintptr_t)w->node.value; }

/* New reference, or NULL: empty, or an error is set. */
PyObject *rg_deque_take(DequeObject *, int side);

/* n objects at that end, the last one outermost, all at once; there is no maxlen. */
bool rg_deque_add_all(DequeObject *, PyObject *const *at, Py_ssize_t n, int side);
/* All items go at once. */
bool rg_deque_drop_all(DequeObject *);

extern PyMethodDef rg_deque_whole_methods[];
PyObject *rg_deque_item(PyObject *self, Py_ssize_t i); /* sq_item */
PyObject *rg_deque_subscript(PyObject *self, PyObject *index);
PyObject *rg_deque_iter(PyObject *self);

#endif
