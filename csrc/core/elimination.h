/* elimination.h - a push and a pop that have both lost the race for a stack's head meet elsewhere, and
 * leave the head to others. After Hendler, Shavit and Yerushalmi (SPAA 2004).
 *
 * Who has lost a CAS stays away for a while (rg_lost). Now it does something there: a pusher offers its
 * node at a place, a popper looks for offers. So who wins sees nothing of this, not even a load.
 * (In the paper poppers wait at places as well. Here they look around while they wait, which comes to
 * the same, and a place has one kind of owner.)
 *
 * A place is a word on a line of its own:
 *   0         free
 *   a node    offered: its pusher waits
 *   RG_TAKEN  a popper has the node, and the pusher has not seen it yet
 * free -> offered   by CAS of the pusher,  offered -> taken  by CAS of a popper,
 * offered -> free   by CAS of the pusher, who gives up,  taken -> free  by a store of the pusher.
 *
 * Invariant: from its offer until it frees the place, the place is the pusher's, and only "taken" can
 * come to pass there without it. So its CAS back fails if and only if the node was taken, though the
 * address may long since be offered elsewhere: no ABA. A popper may find the same address offered
 * anew between its look and its CAS; what it takes then is the new offer, as good as the old one, for it has
 * looked at nothing of the node. So places need no tag.
 *
 * Linearization: the push, and right after it the pop, at the CAS to "taken"; both are under way there.
 * Together they leave the stack as it was, whatever is on it. So whatever looks at the stack alone (peek,
 * size, snapshots, reactions, waiters) is right to: take the order of all changes of head, and put each
 * pair between two of them. It changes no word, so it ticks no clock and wakes nobody. Nor is a
 * wake-up lost: a waiter that finds the stack empty while an offer is out waits either for a push that a
 * pop has met, after which the stack is as empty as before, or for one that will give up, push, and wake.
 *
 * Ownership of the node, and of what its payload owns, goes to the popper with that CAS. The node was
 * never in the stack, where somebody could have come by it, and who looks at a place does not look at the
 * node: so there is no grace period to wait for, and no `lookers` to ask. Nothing here needs a pin, and
 * the wait, no longer than it would be without all this, holds back no epoch. The places live as long as the stack,
 * which the caller keeps.
 *
 * How many places a thread makes use of follows what it has met with: more when it was in the way of
 * others, fewer when nobody came. How long it waits there is rg_patience's business.
 *
 * Fork: in the child nobody answers for what is at the places; a push that the fork has cut off has
 * not happened. So the child makes itself new ones, and keeps the old ones (another thread may be reading
 * what `forks` they are of) until the stack goes. The nodes offered there are given up, as is all that lost
 * threads held. The thread that forks is never in here itself.
 */
#ifndef RG_ELIMINATION_H
#define RG_ELIMINATION_H

#include "node.h"

#define RG_TAKEN 1
#define RG_PLACES 8u /* a power of two */

typedef struct rg_elimination {
    _Alignas(RG_CACHE_LINE) rg_word forks; /* the domain's, when this was made; does not change */
    rg_word older;                         /* what this took the place of after a fork, or 0 */
    struct {
        _Alignas(RG_CACHE_LINE) rg_word offer;
    } at[RG_PLACES];
} rg_elimination;

#if defined(RG_EXCLUSIVE) || defined(RG_NO_ELIMINATION) /* the latter for benchmarks, to compare */

/* Nobody ever loses, or it is not asked for. */
static inline bool rg_eliminate_push(rg_slot *s, rg_word *home, rg_node *n, rg_backoff *b)
{
    (void)home, (void)n;
    rg_lost(s, b);
    return false;
}
static inline rg_node *rg_eliminate_pop(rg_slot *s, rg_word *home, rg_backoff *b)
{
    (void)home;
    rg_lost(s, b);
    return NULL;
}
static inline void rg_eliminate_no_more(rg_word *home) { (void)home; }

#else

/* Both in place of rg_lost, which they do. `home` is the stack's word for its places: 0 until a push first
 * needs them. A pushed node is the popper's when this is true; a popped one, if not NULL, the caller's
 * alone, payload and all. */
bool rg_eliminate_push(rg_slot *, rg_word *home, rg_node *, rg_backoff *);
rg_node *rg_eliminate_pop(rg_slot *, rg_word *home, rg_backoff *);
/* The stack is gone. */
void rg_eliminate_no_more(rg_word *home);

#endif
#endif
