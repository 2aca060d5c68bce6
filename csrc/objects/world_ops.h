/* world_ops.h - what is done with the strands of a reaction (world.h). */
#ifndef RG_WORLD_OPS_H
#define RG_WORLD_OPS_H

#include "log.h"

/* The bound of the search for partners. It deepens: first with two parties, then with twice as many,
 * as long as more might make a difference, so that a match nearby is found before a distant one is
 * looked for; and within a depth the offers of a side are tried oldest first. Each depth has a budget of its own: a
 * crowd of those who do not fit must not use up what a deeper search needs to find a set that fits at once.
 * Alternatives multiply, so matches count, and going back to a choice among several parties, as a recruitment does; past
 * the budget no such choice is gone back to. */
#define RX_FIRST_LIMIT 2
#define RX_LAST_LIMIT 32
#define RX_BUDGET 8192 /* with two parties: linear in the offers that wait at one side */
#define RX_DEEPER_BUDGET 1024

/* Of the choice that was just gone back to. */
static inline bool rx_too_far(rx *r) { return !r->world.budget && r->world.parties.n > 1; }
void rx_world_open(rx *);                        /* nothing if it is */
void rx_world_close(rx *, bool keep_recruits);
void rx_world_clear(rx *);                       /* one strand alone, as at the beginning */
bool rx_world_save(rx *, struct rx_saved **out); /* false: MemoryError */
void rx_world_restore(rx *, const struct rx_saved *);
void rx_saved_free(rx *, struct rx_saved *);
size_t rx_world_refs(rx *); /* how many references clearing gives up */
size_t rx_saved_refs(const struct rx_saved *);

#endif
