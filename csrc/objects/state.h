/* state.h - what the whole extension shares: its configuration, module state and the Reagent object. */
#ifndef RG_STATE_H
#define RG_STATE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stddef.h>

/* With the GIL, all that touches object words runs one thread at a time: plain accesses, and no
 * grace periods. Words in shared memory are touched by csrc/shared only, which does not define it. */
#if !defined(Py_GIL_DISABLED) && !defined(RG_SHARED_FACE)
#ifdef RG_ACCESS_H
#error "state.h comes before the headers of csrc/core: it says which accesses they use"
#endif
#define RG_EXCLUSIVE 1
#endif

#include "../core/queue.h"
#include "../core/stack.h"
#include "../core/wait.h"

#if PY_VERSION_HEX < 0x030c0000
#include <structmember.h>
#define Py_T_OBJECT_EX T_OBJECT_EX
#define Py_T_BOOL T_BOOL
#define Py_T_PYSSIZET T_PYSSIZET
#define Py_READONLY READONLY
#endif

typedef struct rg_state {
    rg_domain *domain;
    rg_slot *only; /* RG_EXCLUSIVE: the slot that all threads share; NULL while some are explored */
    rg_slot *hidden; /* the same meanwhile */
    unsigned n_explored;
    long processors; /* when the module was imported */
#define RG_TYPE(name) PyTypeObject *name##_type;
#define RG_METHODS RG_TYPE
#include "types.h"
    PyTypeObject *word_type, *mapping_type; /* csrc/shared */
    PyObject *block;
    PyObject *unwinding; /* an exception type: direct.c */
    PyObject *offered, *withdrawn; /* what the state of an offer says; nobody else has them */
    PyObject *identity, *never;
    PyObject *queue_empty, *stack_empty; /* queue.Empty; lockfree.Empty, which is one, and an IndexError */
    PyObject *queue_full, *shut_down;
    PyObject *arun; /* the function; NULL until it is wanted */
    PyObject *str_block, *str_timeout, *str_item; /* interned keyword names */
} rg_state;

struct rx;
typedef struct rg_op rg_op;

typedef struct Reagent {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    rg_state *st;
    const rg_op *op;
    PyObject *a, *b; /* what they are depends on op; either may be NULL */
    bool swaps;      /* some part of it may wait for a partner: its parts run as strands */
    PyObject *weakrefs;
} Reagent;

/* What evaluating one reagent, or a whole reaction, came to. */
typedef enum { RX_DONE, RX_BLOCK, RX_RETRY, RX_ERROR, RX_GOTO, RX_PARK } rx_outcome;

/* How a kind of reagent behaves. Exactly one of `shape` (a combinator, which the engine knows) and
 * `step` says what it does in a reaction. */
typedef enum { SHAPE_LEAF, SHAPE_SEQUENCE, SHAPE_CHOICE, SHAPE_TOGETHER } rg_shape;

struct rg_op {
    const char *name;
    rg_shape shape;
    bool commits_first; /* a choice that is over once its first alternative has come through */
    bool swaps;         /* a leaf that may park its strand, or lead to what may */
    /* Takes no reference of x; on RX_DONE *y is a new reference, on RX_GOTO a new reference to
     * the reagent to go on with; on RX_PARK the strand waits for a partner (rendezvous.c). May not run
     * Python code except through rx_call (engine.h). */
    rx_outcome (*step)(struct rx *, Reagent *, PyObject *x, PyObject **y);
    /* The direct call of a reagent method, owner first; NULL: calling runs the reagent. */
    PyObject *(*direct)(PyObject *owner, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames);
    /* The same as the vectorcall of the bound Reagent, for the hottest: one call less. */
    vectorcallfunc bound;
    vectorcallfunc unbound; /* and of the descriptor, owner first; what it does not know goes to rg_method_call */
    const char *doc; /* reagent methods: "name($self, ...)\n--\n\ntext" */
};

/* This thread's slot where it is at hand, else NULL: the thread is new here, or explored. */
static inline rg_slot *rg_at_hand(rg_state *st)
{
#ifdef RG_EXCLUSIVE
    return st->only;
#else
    return rg_slot_at_hand(st->domain);
#endif
}

/* explore.c: where it is not at hand. */
RG_SLOW rg_slot *rg_slot_elsewhere(rg_state *);

/* This thread's slot; NULL, without an error set, when there is none to be had. */
static inline rg_slot *rg_here_quietly(rg_state *st)
{
    rg_slot *s = rg_at_hand(st);
    return __builtin_expect(s != NULL, 1) ? s : rg_slot_elsewhere(st);
}

static inline rg_slot *rg_here(rg_state *st)
{
    rg_slot *s = rg_here_quietly(st);
    if (__builtin_expect(!s, 0)) PyErr_SetString(PyExc_MemoryError, "no memory, or no free slot, for one more thread");
    return s;
}

/* explore.c: hands over first if the thread is explored. */
RG_SLOW rg_slot *rg_begin_slow(rg_state *, PyObject *what, const char *name);

/* The same at the beginning of the operation `name` on an object of ours, nothing being pinned. */
static inline rg_slot *rg_begin(rg_state *st, void *what, const char *name)
{
    rg_slot *s = rg_at_hand(st);
    return __builtin_expect(s != NULL, 1) ? s : rg_begin_slow(st, what, name);
}

/* Defines direct_NAME_bound, the vectorcall of a Reagent bound to direct_NAME. */
#define RG_BOUND(name)                                                                                              \
    static PyObject *direct_##name##_bound(PyObject *self, PyObject *const *args, size_t nargsf, PyObject *kwnames) \
    {                                                                                                               \
        return direct_##name(((Reagent *)self)->a, args, PyVectorcall_NARGS(nargsf), kwnames);                      \
    }

/* reagent.c */
PyObject *rg_reagent_new(rg_state *, const rg_op *, PyObject *a, PyObject *b); /* takes new references */
PyObject *rg_lifted(rg_state *, PyObject *reagent_or_callable);              /* new reference or TypeError */
int rg_add_methods(rg_state *, PyTypeObject *, const rg_op *const *ops);     /* NULL ends the list */
extern PyMethodDef rg_combinators[];
int rg_reagent_init(rg_state *, PyObject *module);

#define RG_TYPE(name) extern PyType_Spec rg_##name##_spec;
#define RG_METHODS(name) RG_TYPE(name) extern const rg_op *const rg_##name##_ops[];
#include "types.h"

PyObject *rg_method_call(PyObject *method, PyObject *const *args, size_t nargsf, PyObject *kwnames); /* method.c */

/* The state behind an instance of one of our heap types, subclasses included. */
rg_state *rg_state_of(PyTypeObject *);
extern struct PyModuleDef rg_module;

/* The last act of a tp_dealloc: the object is gone, but its memory holds words that a helper may
 * still touch, so that goes later; and so does the reference to its type, which says how. */
void rg_free_late(rg_state *, PyObject *);
/* What a word of an object that dies holds. Nobody else has the object, but who helps a reaction late, having come by way
 * of another word, may have put a descriptor there for a moment. 0 where there is no slot to find out with. */
uint64_t rg_last_value(rg_state *, rg_word *);
/* Drop a reference that a word gave up. Not pinned; room reserved. */
void rg_decref_late(rg_slot *, PyObject *);

/* Of types whose going runs no code of anybody's. */
static inline bool rg_is_inert(PyObject *o)
{
    return PyLong_CheckExact(o) || PyUnicode_CheckExact(o) || PyFloat_CheckExact(o) || PyBytes_CheckExact(o) || o == Py_None;
}

/* Drop a reference out of a tp_dealloc or tp_clear, however deep below it the chain goes. NULL is
 * ignored. */
void rg_release(PyObject *);

/* csrc/shared: types for words that processes share */
int rg_shared_init(rg_state *, PyObject *module);

PyObject *rg_refuse_pickle(PyObject *self, PyObject *unused);

#endif
