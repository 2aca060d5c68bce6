/* offer.h - a reaction that waits, as others see it. */
#ifndef RG_OFFER_H
#define RG_OFFER_H

#include "log.h"

/* What it offers: to run `node` on `x` as a party of somebody else's reaction.
 *
 * `state` is an object word: `offered` at first; then, once and for all, `withdrawn`, or the answer: the result
 * itself, or a tuple that begins with `offered`, which nobody else has: (offered, error), or (offered, result,
 * None) when actions are to run first. Answering is part of the k-CAS of the reaction that it takes part in, taking it
 * back is a CAS: so either it happened, and the answer is there, or it did not.
 * A catalyst is not used up: a reaction that it takes part in only compares its state.
 *
 * `waiter` is the registration, at the words and sides that its last search has read; 0 while there is
 * none. Who is pinned and finds it may notify it: it is left only after it was taken out here. */
typedef struct Offer {
    PyObject_HEAD
    rg_state *st;
    Reagent *node;
    PyObject *x;
    rg_word state;
    rg_word waiter;
    rg_word ready;   /* the actions of its party have run */
    PyObject *error; /* what they raised; set before `ready` */
    bool catalyst;
    uint64_t thread; /* that made it: its number (sync.h) */
} Offer;

Offer *rg_offer_new(rg_state *, Reagent *node, PyObject *x); /* NULL: MemoryError */

/* As seen from a reaction. Pinned. */
bool rx_is_open(rx *, Offer *);
Offer *rx_offer_of(rx *, rg_link *); /* borrowed while pinned; NULL: of a thread that is gone (fork) */
static inline bool rx_is_lone(rx *r)
{
    if (!r->mine || !r->mine->catalyst) return false;
    for (size_t i = 1; r->many && i < r->world.parties.n; i++)
        if (!r->world.parties.at[i].offer->catalyst) return false;
    return true;
}
/* Before the commit: the states of all offers that take part go into the log. RX_RETRY: one is gone. */
rx_outcome rx_add_offers(rx *);
/* An error in a function of a party: it is that offer's answer, and for this reaction RX_BLOCK. RX_ERROR: it is
 * ours after all (an interrupt, or no memory); RX_RETRY: the log was stale, the error nobody's. */
rx_outcome rx_fail_party(rx *, int party);
/* An error that came out of a stale log is nobody's fault: true, and cleared, if that is the case. An
 * interrupt is never swallowed. */
bool rx_error_was_stale(rx *);

/* Wakes its owner, or does nothing if it is not registered. Pinned. */
void rg_offer_notify(rg_slot *, Offer *);
/* It ends with this error, unless it has ended. Takes the reference. Not pinned. */
void rg_offer_fail(Offer *, PyObject *error);

/* By its owner. True: it did not happen, and now cannot. */
bool rg_offer_take_back(Offer *);
bool rg_offer_is_over(Offer *);
bool rg_offer_withdrawn(Offer *);
/* Answered. True, with *result or NULL and an error set; false: its actions are still to run, and it will be notified
 * again. */
bool rg_offer_take_answer(Offer *, PyObject **result);


#endif
