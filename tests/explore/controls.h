/* controls.h - random programs of loads, stores and read-modify-writes. */
#ifndef S_CONTROLS_H
#define S_CONTROLS_H

#include "explore.h"

#define CONTROL_STEPS 6u

void control_program(uint64_t seed, unsigned threads, unsigned steps, unsigned words);
/* 2 threads, 3 threads, 2 threads under TSO. */
extern const x_scenario control_random[];

#endif
