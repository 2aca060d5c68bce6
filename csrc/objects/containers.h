/* containers.h - what containers share: blocking direct calls, how many items there may be, and securing a payload. */
#ifndef RG_CONTAINERS_H
#define RG_CONTAINERS_H

#include "new_list.h"
#include "words.h"

/* (block=True, timeout=None) as in the standard library. */
typedef struct rg_blocking {
    bool block;
    double timeout;
} rg_blocking;

/* Reads `lead` positional arguments, then block and timeout. False: error set. */
bool rg_parse_blocking(rg_state *, const char *name, PyObject *const *args, Py_ssize_t nargs, PyObject *kw, Py_ssize_t lead,
                       PyObject **first, rg_blocking *);
/* The slow path of a direct call that found nothing: run `op` on the owner as the arguments say;
 * `empty` is raised when it may not wait any longer. */
PyObject *rg_wait_for(rg_state *, const rg_op *op, PyObject *owner, rg_blocking, PyObject *empty);
/* The same with x for its input. */
PyObject *rg_wait_with(rg_state *, const rg_op *op, PyObject *owner, PyObject *x, rg_blocking, PyObject *blocked);

/* What a user says for maxsize, as any word can hold it. False: error set. */
bool rg_maxsize(PyObject *, int64_t *);
PyObject *rg_maxsize_object(int64_t);

/* The payload's reference changes from the node to the caller. Others may be looking at it: then
 * the caller gets a new one and the node's goes after a grace period. Pinned; one place reserved. */
static inline PyObject *rg_take_payload(rg_slot *s, rg_word *lookers, uint64_t value)
{
    PyObject *v = (PyObject *)(uintptr_t)value;
#ifndef RG_EXCLUSIVE
    if (__builtin_expect(rg_load(lookers) != 0, 0)) {
        Py_INCREF(v);
        rg_decref_late(s, v);
    }
#else
    (void)s, (void)lookers;
#endif
    return v;
}
/* Around reading a payload that stays where it is; see core/stack.h. Take a reference between. */
static inline void rg_look(rg_word *lookers)
{
#ifndef RG_EXCLUSIVE
    rg_fetch_add(lookers, 1);
#else
    (void)lookers;
#endif
}
static inline void rg_looked(rg_word *lookers)
{
#ifndef RG_EXCLUSIVE
    rg_fetch_add(lookers, (uint64_t)-1);
#else
    (void)lookers;
#endif
}

#endif
