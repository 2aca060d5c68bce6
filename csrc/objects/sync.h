/* sync.h - what the synchronisers of lockfree.sync share. */
#ifndef RG_SYNC_H
#define RG_SYNC_H

#include "containers.h"

/* A number of permits: Lock (one), Semaphore, BoundedSemaphore. See sync_permits.c. */
typedef struct Permits {
    PyObject_HEAD
    rg_state *st;
    PyObject *weakrefs;
    rg_word free;   /* permits that nobody has */
    uint64_t bound; /* there are never more */
    rg_takers takers;
} Permits;

/* See sync_rlock.c. */
typedef struct RLock {
    PyObject_HEAD
    rg_state *st;
    PyObject *weakrefs;
    rg_word word; /* the owner's number and how often it holds the lock; 0: nobody does */
    rg_takers takers;
} RLock;

/* How a direct call may wait. */
typedef struct sync_wait {
    bool block;
    double timeout; /* seconds; negative: for ever */
} sync_wait;

/* The arguments `names` (at most SYNC_ARGS, NULL ends them), positional or by name, into values; those not given stay as they
 * are. False: TypeError. */
#define SYNC_ARGS 3
bool sync_args(const char *function, const char *const *names, PyObject *const *args, Py_ssize_t nargs, PyObject *kw, PyObject **values);
/* (blocking=True, timeout=-1) as of threading.Lock. */
bool sync_lock_wait(const char *function, PyObject *const *args, Py_ssize_t nargs, PyObject *kw, sync_wait *);
/* A timeout in seconds, or None: for ever; one that is not positive: not at all. False: TypeError. */
bool sync_timeout(PyObject *, sync_wait *);
/* Runs op on the owner: 1: it happened, and its result is *y (where y is not NULL); 0: it may not wait any longer; -1: error. */
int sync_run(rg_state *, const rg_op *op, PyObject *owner, PyObject *b, PyObject *x, sync_wait, PyObject **y);

/* The number of the caller's thread, from 1; no other has had it (until 2^31 threads have asked). It stays after a fork. */
extern _Thread_local uint64_t sync_thread_number __attribute__((tls_model("initial-exec")));
RG_SLOW uint64_t sync_new_thread(void);
static inline uint64_t sync_thread(void)
{
    uint64_t n = sync_thread_number;
    return __builtin_expect(n != 0, 1) ? n : sync_new_thread();
}
/* In a step: of whose strand runs. 0, RuntimeError: of a catalyst, which no thread is behind. */
uint64_t rx_thread(rx *);

/* Steps and direct calls of locks. A lock is a Lock or an RLock. */
rx_outcome rx_lock_take(rx *, PyObject *lock, uint64_t times);
rx_outcome rx_lock_give(rx *, PyObject *lock, bool wholly);
bool rx_lock_is_mine(rx *, PyObject *lock, bool *mine); /* false: an error is set */
bool sync_is_lock(rg_state *, PyObject *);
PyObject *sync_lock_acquire(PyObject *lock, PyObject *const *args, Py_ssize_t nargs, PyObject *kw);
int sync_lock_release(PyObject *lock);     /* 0, or -1 and an error */
/* Does the caller's thread hold it (of a Lock: anybody)? -1: error. */
int sync_lock_is_mine(PyObject *lock);
/* How often it is held by the caller's thread; of a Lock 1. */
uint64_t sync_lock_count(PyObject *lock);
/* Takes the lock so often if it is free; false: perhaps it is not. Needs no memory. */
bool sync_lock_restore(PyObject *lock, uint64_t times);
/* Takes it as often as the int `times` says, and waits for it as long as it takes: an interrupt does not end that, but is set
 * when it comes back (the last one, or the error that was set before). False: an error, and it is not taken: `times` is wrong. */
bool sync_lock_retake(PyObject *lock, PyObject *times);
void sync_lock_reset(PyObject *lock);

rx_outcome rx_rlock_take(rx *, RLock *, uint64_t times);
rx_outcome rx_rlock_give(rx *, RLock *, bool wholly);
bool rx_rlock_is_mine(rx *, RLock *, bool *mine);
rx_outcome rx_permits_take(rx *, Permits *, uint64_t n);
rx_outcome rx_permits_give(rx *, Permits *, uint64_t n);
int rg_permits_give(Permits *, uint64_t n);
PyObject *rg_rlock_acquire(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kw);
PyObject *rg_lock_acquire(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kw);
int rg_rlock_release(RLock *);
bool sync_rlock_restore(RLock *, uint64_t times);
bool sync_permits_try(Permits *);
bool sync_rlock_is_mine(RLock *);
uint64_t sync_rlock_count(RLock *);
uint64_t sync_word(rg_state *, rg_word *); /* its value now */
void sync_store(rg_state *, rg_word *, uint64_t);

/* "module.name" of its type; NULL: error. */
PyObject *sync_type_name(PyObject *);
/* A class of a user's own, whose __init__ takes what arguments it likes. */
static inline bool sync_own_init(PyTypeObject *t) { return t->tp_init != PyBaseObject_Type.tp_init; }

extern PyMethodDef rg_sync_functions[];

#endif
