/* wait.h - who waits for which word to change.
 *
 * A table of lists, by address; words carry nothing. Lists are Harris's (DISC 2001) with Michael's
 * reclamation order: a record is deleted by marking its `next` and then unlinked by whoever passes.
 *
 * No wake-up is lost: the waiter registers, then validates what it has read, then parks; the
 * writer changes the word, then looks for waiters. Both sides are sequentially consistent, so one
 * of them sees the other. Writers look at one counter first: while nobody waits, that is all.
 *
 * The word is only compared by address here, never read: it need not be alive.
 */
#ifndef RG_WAIT_H
#define RG_WAIT_H

#include "epoch.h"

enum { RG_WAITING = 0, RG_NOTIFIED = 1, RG_LEFT = 2 };

typedef struct rg_waitrec {
    rg_word next; /* record | 1 when deleted */
    rg_word *word;
    struct rg_waiter *waiter;
} rg_waitrec;

/* One blocked reaction. Lives until its last record is unlinked and the grace period over. */
typedef struct rg_waiter {
    rg_word state;
    rg_word linked; /* records not yet reclaimed */
    void (*wake)(struct rg_waiter *);
    void (*done)(struct rg_waiter *); /* frees it */
    void *arg;
    unsigned forks; /* of the domain, when it was registered */
    size_t n;
    rg_waitrec recs[];
} rg_waiter;

struct rg_buckets *rg_buckets_new(void);
void rg_buckets_reset(rg_domain *); /* after fork: those who waited are gone */
/* Whether this is a child, forked since the waiter was registered: nobody will wake it. (By the thread
 * that waits, in a signal handler.) */
static inline bool rg_wait_forgotten(rg_slot *s, rg_waiter *w) { return w->forks != s->domain->forks; }

/* Room for n retirements was reserved. */
void rg_wait_register(rg_slot *, rg_waiter *);
/* The caller does not touch the waiter afterwards. Returns whether it had been notified. */
bool rg_wait_leave(rg_slot *, rg_waiter *);
unsigned rg_wake_slow(rg_slot *, rg_word *);
/* How many records the table holds; exact when nothing else runs. Pinned, unless nothing else does. */
size_t rg_wait_count(rg_domain *);

/* The word was changed. Returns how many were woken. */
static inline unsigned rg_wake(rg_slot *s, rg_word *w)
{
    return __builtin_expect(rg_load(&s->domain->waiting) != 0, 0) ? rg_wake_slow(s, w) : 0;
}

/* The same after the section that changed the word: the word is compared by address only. */
static inline void rg_wake_after(rg_slot *s, rg_word *w)
{
    if (__builtin_expect(rg_load(&s->domain->waiting) == 0, 1)) return;
    rg_pin(s);
    rg_wake_slow(s, w);
    rg_unpin(s);
}

#endif
