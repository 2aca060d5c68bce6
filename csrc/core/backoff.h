/* backoff.h - what a thread does after losing a race: spin (exponentially), then sleep briefly.
 *
 * Never a lock and never a promise: progress does not depend on it. The spin is bounded so that
 * a preempted winner is not waited for by burning a processor: past the bound each further
 * failure gives the processor away for a moment. By sleep and not by sched_yield, which with more
 * threads than processors comes back only when somebody's time slice is over: milliseconds.
 */
#ifndef RG_BACKOFF_H
#define RG_BACKOFF_H

#include "access.h"
#include <time.h>

/* In pauses, each 12 to 45 ns on current x86. */
#define RG_SPIN_FIRST 64u
#define RG_SPIN_AGAIN 16u
#define RG_SLEEP_NS 20000 /* the kernel adds its slack, 50 us as a rule */
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

/* For something to become true while one waits. */
typedef bool (*rg_until_fn)(void *);

/* Waits for as long as b says, or less: until(arg), if there is such a thing, is asked between the pauses. */
static inline void rg_backoff_wait_until(rg_backoff *b, rg_until_fn until, void *arg)
{
#if defined(RG_CHECKED)
    (void)b;
    if (until && until(arg)) return;
    rg_pause();
    if (until) (void)until(arg);
#else
    if (b->spin > RG_SPIN_LIMIT) {
        if (until && until(arg)) return;
        nanosleep(&(struct timespec){ 0, RG_SLEEP_NS }, NULL);
        if (until) (void)until(arg);
        return;
    }
    for (unsigned i = 0; i < b->spin; i++) {
        if (until && until(arg)) return;
        rg_pause();
    }
    b->spin *= 2;
#endif
}

static inline void rg_backoff_wait(rg_backoff *b) { rg_backoff_wait_until(b, NULL, NULL); }

/* What a thread remembers from one operation to the next about how contended its words are.
 *
 * A word that two processors write in turn moves between their caches, at several times the cost of
 * the operation itself. So the loser does best to stay away for a while and let the winner go on
 * with the word in its cache. Where losses come so often that even the time away brings no long run,
 * it is doubled, up to the limit; where they are rare it is halved. Having come back it does not give
 * way again: should it lose once more it tries again soon, until it wins, and then it is the other
 * who loses and stays away. The limit is what an unlucky operation waits, so it is the tail of
 * latencies that keeps it low. (push + pop by 2 and by 4 threads on 2 cores went from 0.68 and 0.81 of
 * queue.SimpleQueue's rate to above 1 with this.) */
typedef struct rg_patience {
    unsigned spin;    /* pauses away after the first loss of an operation; 0: none lost yet */
    uint64_t lost_at; /* in CASes tried, at the last loss */
} rg_patience;

/* The first loss of an operation, `tries` CASes since the thread began. */
static inline unsigned rg_patience_lost(rg_patience *p, uint64_t tries)
{
    uint64_t run = tries - p->lost_at;
    p->lost_at = tries;
    /* A run of as many CASes as there were pauses is two or three times as long as the wait. */
    if (!p->spin || run > 16 * (uint64_t)p->spin)
        p->spin = p->spin > 2 * RG_SPIN_FIRST ? p->spin / 2 : RG_SPIN_FIRST;
    else if (run < p->spin && p->spin < RG_SPIN_LIMIT)
        p->spin *= 2;
    return p->spin;
}

#endif
