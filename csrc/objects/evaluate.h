/* evaluate.h - one try of a reaction, up to its commit. */
#ifndef RG_EVALUATE_H
#define RG_EVALUATE_H

#include "engine.h"
#include "world_ops.h"

/* Pinned. RX_DONE with *result, RX_BLOCK, RX_RETRY or RX_ERROR. With several parties the result of each is in
 * the world, the caller's own is *result. nested: inside a function in direct style, where nothing may swap and
 * what has come through is not taken back; its choices are still there then. */
rx_outcome rx_evaluate(rx *, Reagent *, PyObject *x, bool nested, PyObject **result);

rx_choice *rx_push_choice(rx *, rx_choice_kind); /* NULL: MemoryError. The caller fills in the rest */

/* rendezvous.c. Each: RX_GOTO, *s is what to go on with; RX_DONE, s->x is the result; RX_BLOCK, RX_RETRY, RX_ERROR. */
rx_outcome rx_park_strand(rx *, rx_strand *s);  /* s is at a swap */
rx_outcome rx_next_strand(rx *, rx_strand *s);  /* s has ended */
rx_outcome rx_choose_again(rx *, rx_strand *s); /* the latest choice, of partners, has been gone back to */

#endif
