/* backoff.h - what a thread does after losing a race: spin (exponentially), then yield.
 *
 * Never a lock and never a promise: progress does not depend on it. The spin is bounded so that
 * a preempted winner is not waited for by burning a processor: past the bound each further
 * failure gives the processor away once.
 */
#ifndef RG_BACKOFF_H
#define RG_BACKOFF_H

#include "access.h"
#include <sched.h>

/* Long enough for the winner to go on for a while with the line in its cache: push+pop by 2 and 4
 * threads on 2 cores went from 0.65 to 0.88 and from 0.68 to 0.80 of queue.SimpleQueue's rate when
 * the first spin went from 8 to 64 (one short series on a busy machine; 256 gave 0.84 and 0.90). */
#define RG_SPIN_FIRST 64u
#define RG_SPIN_LIMIT 2048u

typedef struct rg_backoff { unsigned spin; } rg_backoff;
#define RG_BACKOFF_INIT { RG_SPIN_FIRST }

static inline void rg_pause(void)
{
#if defined(RG_CHECKED)
    rg_checked_pause();
#elif defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield");
#else
    rg_compiler_barrier();
#endif
}

static inline void rg_backoff_wait(rg_backoff *b)
{
#if defined(RG_CHECKED)
    (void)b;
    rg_pause();
#else
    if (b->spin > RG_SPIN_LIMIT) {
        sched_yield();
        return;
    }
    for (unsigned i = 0; i < b->spin; i++) rg_pause();
    b->spin *= 2;
#endif
}

#endif
