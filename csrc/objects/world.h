/* world.h - the strands of a reaction, once there is more than one.
 *
 * A *strand* is a reagent being evaluated: a node, its input and its continuation. `*` and together()
 * over reagents that may swap fork one for each part; a *join* collects what they come to. A *party* is
 * whoever takes part: the reaction's own caller (party 0) and the offers of others that it has recruited,
 * each of which runs from its beginning, as strands of this reaction, in the one log. A strand that swaps
 * is parked until another one matches it. When all strands have ended, every party has its result.
 *
 * The strand that runs is a local variable of the evaluation (evaluate.c); these are the others. All of
 * it is small, so a choice point saves it by copying.
 *
 * Included by log.h only.
 */
#ifndef RG_WORLD_H
#define RG_WORLD_H

struct Offer;
struct rg_side;

typedef struct rx_strand {
    Reagent *node; /* parked: its swap; else what to evaluate, or NULL: x is the result of what it was at */
    PyObject *x;   /* owned */
    Py_ssize_t k;
    int party;
    bool parked;
    bool sought; /* offers were looked for on its behalf */
} rx_strand;

typedef struct rx_join {
    Reagent *node;
    Py_ssize_t k;
    Py_ssize_t first, left; /* its results in `values`; how many are missing */
    int party;
} rx_join;

typedef struct rx_party {
    struct Offer *offer; /* NULL: the reaction's own caller. Kept alive by `recruits` */
    PyObject *result;    /* owned; NULL while it runs */
} rx_party;

typedef struct rx_world {
    RX_ARRAY(rx_strand, 4) strands;
    RX_ARRAY(rx_join, 2) joins;
    RX_ARRAY(PyObject *, 8) values;
    RX_ARRAY(rx_party, 4) parties;
    RX_ARRAY(struct Offer *, 8) recruits; /* all that were ever looked at: the log may name their words */
    size_t limit;  /* of parties */
    size_t budget; /* recruitments, matches and goings back among several parties still allowed */
    bool cut;      /* more parties might have made a difference */
    bool met;      /* nobody but catalysts would have taken part */
    unsigned own_sides; /* at how many sides, not counting returns, the caller's strands have parked; the last: */
    struct rg_side *own_side;
} rx_world;

#endif
