/* sync_condition.h - the parts of a Condition: sync_groups.c has the steps, sync_condition.c the type. */
#ifndef RG_SYNC_CONDITION_H
#define RG_SYNC_CONDITION_H

#include "sync.h"

typedef struct Group {
    PyObject_HEAD
    rg_state *st;
    rg_word word;
    rg_takers takers;
    unsigned forks;
} Group;

typedef struct Condition {
    PyObject_HEAD
    rg_state *st;
    PyObject *weakrefs;
    PyObject *lock;
    bool recursive; /* it is an RLock */
    rg_word open, closed; /* groups */
    PyObject *compose;    /* makes what composed waits need: a tuple of COMPOSED_..., */
    rg_word composed;     /* which is here from the first of them on; None before */
} Condition;

/* The end of a channel where composed waits are; its swap; a reagent that meets one of them, or none; the same, and says which. */
enum { COMPOSED_WAITING, COMPOSED_WAIT, COMPOSED_MEET, COMPOSED_MET, COMPOSED_N };

#define ONE_JOINED (1ULL << 31)
#define SIGNALS(w) ((uint64_t)PART_SIGNALS_OF(w))
#define JOINED(w) ((w) >> 31)
#define UNSERVED(w) (JOINED(w) - SIGNALS(w))

static inline Group *group_of(uint64_t w) { return (Group *)(uintptr_t)w; }
PyObject *sync_group_new(rg_state *);

/* Borrowed; NULL: there was no composed wait yet. */
static inline PyObject *composed(uint64_t w, int i)
{
    return (PyObject *)(uintptr_t)w == Py_None ? NULL : PyTuple_GET_ITEM((PyObject *)(uintptr_t)w, i);
}

#define SYNC_ALL ((uint64_t)RG_INT_MAX) /* signals for notify_all */

/* Of a condition: counts one more as waiting, gives the lock back wholly; the result is the group. */
extern const rg_op sync_op_enlist;
/* The same without the lock, of who waited when the process was forked, in the child. */
extern const rg_op sync_op_join;
/* Of a condition: gives its input of signals, as far as there is somebody; the result is what is left. */
extern const rg_op sync_op_signal;
/* Of a group: takes a signal; None: no, it is the parent's. Takes one if there is one, else is gone; the result says which. */
extern const rg_op sync_op_take, sync_op_give_up;
/* Of a condition and a group: is gone; the signal that no other can take goes to somebody else. */
extern const rg_op sync_op_withdraw;

/* A member that is interrupted leaves, where some other one has no signal yet; `anyway`: and its signal with it. False: it is
 * still in. Needs no memory. */
bool sync_group_leave(Group *, bool anyway);
/* A number of signals, of any int. False: TypeError. */
bool sync_signals(PyObject *, uint64_t *n);

rx_outcome sync_step_notify(rx *, Reagent *, PyObject *x, PyObject **y);
rx_outcome sync_step_notify_all(rx *, Reagent *, PyObject *x, PyObject **y);
rx_outcome sync_step_wait(rx *, Reagent *, PyObject *x, PyObject **y);

#endif
