/* dpor.h - Source-DPOR (Abdulla, Aronis, Jonsson, Sagonas: "Optimal dynamic partial order reduction",
 * POPL 2014, algorithm 1) with sleep sets.
 *
 * Two steps of different processes are dependent if
 *   both access a word and one writes it; a CAS that fails is a read;
 *   one frees the block that the other accesses or frees;
 *   one is the call and the other the return of an operation: exchanging them changes which of the
 *     two operations came first, and with it the history.
 * Only one order is possible, so that there is no race to reverse, between
 *   a store under TSO and its flush, a flush and a step that needs the buffer empty;
 *   a write and the wait that it ends.
 */
#ifndef X_DPOR_H
#define X_DPOR_H

#include "machine.h"

/* One place of the current execution at which a choice was made. */
typedef struct x_node {
    uint16_t enabled, backtrack;
    uint16_t sleep; /* exploring these here would repeat what was explored, here or before */
    uint8_t process;
    uint8_t preemptions; /* before this step; X_BOUND */
} x_node;

extern x_node x_nodes[X_MAX_STEPS + 1];

void x_dpor_begin(void); /* of an execution */
/* Step i is one that the last execution made too. */
void x_dpor_again(int i);
/* Process p is about to make step i: its place in happens-before, and for each race that it ends, a
 * process to try at the race's beginning. */
void x_dpor_event(int i, unsigned p);
/* Of `sleep`, those whose next step is independent of step i (still to be taken). */
uint16_t x_dpor_still_asleep(int i, uint16_t sleep);
void x_dpor_end(int events);

#endif
