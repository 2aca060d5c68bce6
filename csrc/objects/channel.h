/* channel.h - where swaps meet. */
#ifndef RG_CHANNEL_H
#define RG_CHANNEL_H

#include "log.h"

/* One side of a channel: the offers of those who wait there, oldest first. Whoever swaps here looks for a
 * partner at `dual`; an exchanger is a side that is its own dual. */
typedef struct rg_side {
    rg_list offers;
    struct rg_side *dual;
    rg_word gone; /* its endpoint was collected: nobody will ever come here again */
} rg_side;

typedef struct Endpoint {
    PyObject_HEAD
    rg_state *st;
    PyObject *weakrefs;
    rg_side *side;
    rg_word *owners; /* how many endpoints the memory of the sides still has */
} Endpoint;

static inline rg_side *rg_side_of_arrivals(rg_word *arrivals)
{
    return (rg_side *)((char *)arrivals - offsetof(rg_side, offers) - offsetof(rg_list, arrivals));
}
/* Of a parked strand. */
static inline rg_side *rx_side(const rx_strand *s) { return ((Endpoint *)s->node->a)->side; }

extern PyMethodDef rg_channel_functions[];

#endif
