/* thread_table.h - what a thread has for each ThreadLocal: cells, and the thread's table of them. */
#ifndef RG_THREAD_TABLE_H
#define RG_THREAD_TABLE_H

#include "words.h"

typedef struct rg_cell {
    rg_word value; /* an object, with a reference, or 0 */
    rg_word held;
    struct rg_cell *next; /* in the list of the ThreadLocal; set before publication */
} rg_cell;

typedef struct rg_place {
    uint64_t number; /* 0: empty */
    rg_cell *cell;
} rg_place;

/* One block, so that what a fork finds in the middle of a change is one or the other. */
typedef struct rg_places {
    size_t mask, used; /* at least one place is empty */
    rg_place at[];
} rg_places;

/* The places of the table that this thread used last, or NULL. */
extern _Thread_local rg_places *rg_places_here __attribute__((tls_model("initial-exec")));

/* A number for a new ThreadLocal. */
uint64_t rg_local_number(void);

/* This thread's cell for the ThreadLocal of that number, if it is at hand; NULL: perhaps not. */
static inline rg_cell *rg_cell_here(uint64_t number)
{
    rg_places *p = rg_places_here;
    if (__builtin_expect(!p, 0)) return NULL;
    rg_place *at = &p->at[number & p->mask];
    return __builtin_expect(at->number == number, 1) ? at->cell : NULL;
}

/* The same wherever it is; NULL: there is none. No error is set. */
rg_cell *rg_cell_elsewhere(uint64_t number);
/* The same, made if there is none, in the ThreadLocal's list of cells. NULL: an error is set. */
rg_cell *rg_cell_mine(uint64_t number, rg_word *cells);
/* Its value, which is the caller's now; NULL: there was none. */
PyObject *rg_cell_take(rg_cell *);
/* Its ThreadLocal lets go of it. */
void rg_cell_disown(rg_cell *);

#endif
