/* wait.h - who waits for what to change, and who is woken.
 *
 * A waiter is a blocked reaction; a record says one thing that it waits for. Records stand in lists
 * (list.h), of two kinds:
 *   any  `word`: in the list of that word's bucket of a table by address, so that words carry nothing. Each change
 *        of the word wakes all who wait for it.
 *   one  `list`: a list that belongs to a structure: those who found it empty. An item that is added wakes
 *        one of them, the one that has waited longest. (Or those who found it full; then an item that goes does.)
 * Wake-ups leave the records of other lists alone.
 *
 * No wake-up is lost. The waiter counts its records in `waiting`, appends them, then validates what it has read,
 * then parks; the writer changes the structure, then reads `waiting`, then the list. All of it is sequentially
 * consistent. If the writer reads no count, or a list without the record, then the change came before the
 * validation, which fails. While nobody waits, one load is all that a writer pays.
 *
 * Who is woken as one owes it: it takes an item, or finds the structure empty at an instant after it was
 * woken, or passes the wake-up on (rg_wake_some again). So: while somebody waits in the list, not notified, there are
 * no more items than wake-ups on their way (puts that have not looked yet, waiters that were woken and still owe).
 * Each item brings one along; who takes an item without owing takes nothing from them.
 *
 * A record is taken out by its owner when it leaves, or, of kind one, by the waker; who does takes it
 * off the count and retires it. Notifying is one CAS on the waiter's state, so that it is notified once,
 * whatever lists it stands in: other wakers pass over it to the next.
 *
 * Fork. In the child the table is empty; but the lists of structures still hold records of threads that are gone.
 * Their waiters know of fewer forks than the domain: they are taken out and passed over.
 *
 * Words are only compared by address here, never read: they need not be alive. Lists must be while a record of
 * theirs is in.
 */
#ifndef RG_WAIT_H
#define RG_WAIT_H

#include "list.h"

/* Of a waiter; or the address of the list by which it was woken as one. */
enum { RG_WAITING = 0, RG_NOTIFIED = 1, RG_LEFT = 2 };

typedef struct rg_waitrec {
    rg_link link; /* first: a link of these lists is its record */
    rg_list *list; /* kind any: NULL until it is registered */
    rg_word *word; /* kind one: NULL */
    struct rg_waiter *waiter;
} rg_waitrec;

/* One blocked reaction. Lives until its owner has left and its last record is reclaimed. The owner sets state, wake or later,
 * done, arg, n, and list or word of each record. */
typedef struct rg_waiter {
    rg_word state;
    rg_word linked; /* records not yet reclaimed; 1 for its owner until it leaves; 1 while it is to be called later */
    void (*wake)(struct rg_waiter *); /* by the waker, pinned */
    void (*done)(struct rg_waiter *); /* frees it */
    /* Not NULL: in place of `wake`, called by the waking thread as soon as it has nothing pinned. May do anything, and
     * must leave an error that is set alone. */
    void (*later)(struct rg_waiter *);
    struct rg_waiter *next_woken; /* in the ring of those whom a slot is to call later */
    void *arg, *offer; /* the owner's own */
    unsigned forks; /* of the domain, when it was registered */
    size_t n;
    rg_waitrec recs[];
} rg_waiter;

struct rg_buckets *rg_buckets_new(void);
void rg_buckets_reset(rg_domain *); /* after fork: those who waited are gone */
/* Whether this is a child, forked since the waiter was registered: nobody will wake it. (By the thread
 * that waits, in a signal handler.) */
static inline bool rg_wait_forgotten(rg_slot *s, rg_waiter *w) { return w->forks != s->domain->forks; }

void rg_wait_register(rg_slot *, rg_waiter *);
/* Takes out what is still in. The caller does not touch the waiter afterwards. Returns the state that it found:
 * RG_WAITING, or who had notified it. */
uint64_t rg_wait_leave(rg_slot *, rg_waiter *);
/* Notifies a waiter that the caller knows to be alive; `why` becomes its state. False: it was notified before,
 * or has left. Pinned. */
bool rg_wait_notify(rg_slot *, rg_waiter *, uint64_t why);
/* Takes out what is still in of a waiter that has been notified and will only leave: who looks through the lists meanwhile
 * need not pass over it. Pinned since it was known not to have left. */
void rg_wait_take_out(rg_slot *, rg_waiter *);
unsigned rg_wake_slow(rg_slot *, rg_word *);
size_t rg_wake_some_slow(rg_slot *, rg_list *, size_t n);
void rg_wake_added_slow(rg_slot *, rg_list *, rg_word *);
/* Calls those who are to be called later. Nothing is pinned. */
void rg_call_woken(rg_slot *);
/* How many records are in, and the elder (elder.h) if there is one; exact when nothing else runs. */
size_t rg_wait_count(rg_domain *);

static inline bool rg_somebody_waits(rg_slot *s) { return __builtin_expect(rg_load(&s->domain->waiting) != 0, 0); }

/* Each of these: pinned or, the change being made, no longer. Returns how many were woken. */

/* The word was changed: all who wait for it. */
static inline unsigned rg_wake(rg_slot *s, rg_word *w) { return rg_somebody_waits(s) ? rg_wake_slow(s, w) : 0; }

/* n items were added to the list's structure: at most n of those who wait for one, the oldest first. */
static inline size_t rg_wake_some(rg_slot *s, rg_list *l, size_t n)
{
    return rg_somebody_waits(s) ? rg_wake_some_slow(s, l, n) : 0;
}

/* One was, by a change of that word. */
static inline void rg_wake_added(rg_slot *s, rg_list *l, rg_word *w)
{
    if (!rg_somebody_waits(s)) return;
    rg_wake_added_slow(s, l, w);
}

#endif
