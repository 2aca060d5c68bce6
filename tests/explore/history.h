/* history.h - what the operations of one execution took and gave, and whether that is linearizable.
 *
 * A history is kept in the form in which two executions have the same one exactly when their threads
 * did the same operations with the same results and the same real-time order: for each operation,
 * `seen` says how many operations of each thread had returned when it was called. */
#ifndef X_HISTORY_H
#define X_HISTORY_H

#include "arena.h"

#define X_OPS 12u /* of one thread; set-up and the final check count as thread X_THREADS */

typedef struct x_op {
    uint8_t thread, code;
    bool returned;
    uint8_t seen[X_THREADS + 1];
    int64_t a, b, result;
} x_op;

typedef struct x_history {
    unsigned n[X_THREADS + 1], returned[X_THREADS + 1];
    x_op op[X_THREADS + 1][X_OPS];
} x_history;

/* A sequential specification. */
typedef struct x_model {
    size_t size; /* of a state, at most X_STATE bytes */
    void (*init)(void *state);
    /* Whether the operation may give its result in this state; if so, makes the next one. */
    bool (*apply)(void *state, const x_op *op);
    /* name, args and result, as the arguments of reagents.testing.Operation */
    void (*print)(const x_op *op, char *out, size_t room);
} x_model;

#define X_STATE 256u

/* All but the first n operations of the last "thread": those of set-up, before everything. */
static inline void x_history_clear(x_history *h, unsigned n)
{
    memset(h->n, 0, sizeof h->n);
    memset(h->returned, 0, sizeof h->returned);
    h->n[X_THREADS] = h->returned[X_THREADS] = n;
}

x_op *x_history_call(x_history *, unsigned thread, unsigned code, int64_t a, int64_t b);
void x_history_return(x_history *, x_op *, int64_t result);
uint64_t x_history_hash(const x_history *);
/* Wing and Gong (1993): some order of all operations that respects `seen` and the model. */
bool x_linearizable(const x_history *, const x_model *);
/* As reagents.testing takes it: each operation a line. */
void x_history_print(const x_history *, const x_model *);

/* A set of hashes. */
typedef struct x_set {
    uint64_t *at;
    size_t n, room;
} x_set;
bool x_set_add(x_set *, uint64_t); /* whether it is new */
bool x_set_has(const x_set *, uint64_t);
void x_set_clear(x_set *);

#endif
