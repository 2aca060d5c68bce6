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

#define RG_SPIN_FIRST 8u
/* Measured on push+pop by 2 and 4 threads of 2 cores: below 512 the line still bounces, above
 * 4096 the 99.99th percentile grows without more throughput. */
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
