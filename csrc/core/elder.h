/* elder.h - no reaction starves: who has lost many races in a row becomes the elder, and others give way.
 *
 * Optimistic reactions have no queue to stand in: a long one may lose to short ones for ever. (A contention manager
 * by seniority, as Greedy: Guerraoui, Herlihy and Pochon, PODC 2005; but nobody is aborted or waited for without
 * bound.) There is at most one elder in a domain. While there is, each other thread that has changed a word
 * pauses before it goes on, for the elder's window at most, which doubles with each race that the elder loses.
 * So m others make at most m changes in a window, and once the window is m + 1 times as long as a try of the elder
 * takes, some try falls between two changes. Without an elder it costs nothing: that there is one is
 * seen where it is looked whether somebody waits (the elder counts as a record there, wait.h).
 *
 * The pause is bounded and no step depends on it, so the system stays lock-free.
 */
#ifndef RG_ELDER_H
#define RG_ELDER_H

#include "wait.h"

#define RG_ELDER_AFTER 16            /* races lost in a row */
#define RG_ELDER_WINDOW 50000ULL     /* ns, at first */
#define RG_ELDER_WINDOW_MOST 100000000ULL

extern _Thread_local const void *rg_my_elder __attribute__((tls_model("initial-exec"))); /* the reaction of this thread that is */

/* `who` names the reaction: an address. False: somebody else is. */
static inline bool rg_elder_claim(rg_slot *s, const void *who)
{
    rg_domain *d = s->domain;
    if (rg_load(&d->elder) || !rg_cas(&d->elder, 0, (uint64_t)(uintptr_t)who)) return false;
    rg_store(&d->elder_window, RG_ELDER_WINDOW);
    rg_my_elder = who;
    rg_fetch_add(&d->waiting, 1);
    return true;
}

/* It has lost again. */
static inline void rg_elder_widen(rg_slot *s)
{
    uint64_t w = rg_load(&s->domain->elder_window);
    if (w < RG_ELDER_WINDOW_MOST) rg_store(&s->domain->elder_window, 2 * w);
}

static inline void rg_elder_resign(rg_slot *s)
{
    if (!rg_my_elder) return; /* this is a child, forked meanwhile */
    rg_my_elder = NULL;
    rg_fetch_add(&s->domain->waiting, (uint64_t)-1);
    rg_store(&s->domain->elder, 0);
}

/* After fork. */
static inline void rg_elder_reset(rg_domain *d)
{
    rg_my_elder = NULL;
    rg_store(&d->elder, 0);
}

/* Is there one that this thread should give way to? */
static inline bool rg_elder_of_others(rg_domain *d)
{
    uint64_t e = rg_load(&d->elder);
    return e && e != (uint64_t)(uintptr_t)rg_my_elder;
}

#endif
