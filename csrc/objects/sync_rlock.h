/* sync_rlock.h - the word of an RLock, and the calls that find nothing in their way: see sync_rlock.c. */
#ifndef RG_SYNC_RLOCK_H
#define RG_SYNC_RLOCK_H

#include "sync.h"

#define COUNT_BITS 31
#define COUNT(w) ((w) & ((1ULL << COUNT_BITS) - 1))
#define OWNER(w) ((w) >> COUNT_BITS)
_Static_assert(2 * COUNT_BITS <= 62, "a word holds both");

/* A reference to a descriptor would have an owner beyond the numbers of threads, which are less than 2^31: so it is nobody's
 * below. The word is good without a pin: see sync_permits.c. */

/* The caller's thread holds it, for all that this look says. */
static inline bool sync_rlock_is_mine_at_once(RLock *l)
{
    uint64_t me = sync_thread_number;
    return __builtin_expect(me && OWNER(rg_load(&l->word)) == me, 1);
}

/* Taken; or not: something is in the way, who knows what. */
static inline bool sync_rlock_take_at_once(RLock *l)
{
    uint64_t me = sync_thread_number, w = rg_load(&l->word);
    rg_slot *s = rg_at_hand(l->st);
    if (__builtin_expect(!s || !me || (w && OWNER(w) != me) || COUNT(w) == COUNT(UINT64_MAX), 0)) return false;
    if (__builtin_expect(!rg_cas_once(&s->desc, &l->word, w, (w ? w : me << COUNT_BITS) + 1), 0)) return false;
    rg_wake(s, &l->word);
    return true;
}

/* Given back once; or not. */
static inline bool sync_rlock_give_at_once(RLock *l)
{
    uint64_t me = sync_thread_number, w = rg_load(&l->word);
    rg_slot *s = rg_at_hand(l->st);
    if (__builtin_expect(!s || !me || OWNER(w) != me, 0)) return false;
    uint64_t left = COUNT(w) == 1 ? 0 : w - 1;
    if (__builtin_expect(!rg_cas_once(&s->desc, &l->word, w, left), 0)) return false;
    if (rg_somebody_waits(s)) {
        rg_wake(s, &l->word);
        if (!left) rg_wake_some(s, &l->takers.list, 1);
    }
    return true;
}

#endif
