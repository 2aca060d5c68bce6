/* bag.h - an unordered collection over payload words: a few of Treiber's stacks (stack.h).
 *
 * put pushes on the stack that the thread begins at; get pops from it, or else from the next that has something. Linearization:
 * as of the stack. "Empty" is said of one instant at which all heads are 0: that they were so one after the other is not
 * enough, for an item that goes from one stack to another may be in neither when it is looked for. */
#ifndef RG_BAG_H
#define RG_BAG_H

#include "stack.h"

#define RG_BAG_MOST 8u /* stacks */

/* All heads, at one instant. Pinned. Lock-free. */
static inline void rg_bag_heads(rg_slot *s, rg_stack *const *stacks, unsigned n, uint64_t *heads)
{
    const rg_space *sp = &s->domain->space;
    rg_cas_entry e[RG_BAG_MOST];
    int k = RG_FAILED;
    while (k != RG_SUCCEEDED) {
        for (unsigned i = 0; i < n; i++) {
            heads[i] = rg_read(sp, s->index, &stacks[i]->head);
            e[i] = (rg_cas_entry){ &stacks[i]->head, heads[i], heads[i] };
        }
        k = n == 1 ? RG_SUCCEEDED : rg_validate(sp, s->index, e, n);
        if (k == RG_CONFLICT) k = rg_kcas(sp, s->index, e, n);
    }
}

/* From the first of them that has something: DONE, or MET, as rg_stack_pop; *from it was. EMPTY: all were, at one instant. Pinned,
 * but not all the time. */
static inline rg_tried rg_bag_get(rg_slot *s, rg_stack *const *stacks, unsigned n, rg_node **node, unsigned *from)
{
    uint64_t heads[RG_BAG_MOST], any = 1;
    while (any) {
        for (*from = 0; *from < n; ++*from) {
            rg_tried t = rg_stack_pop(s, stacks[*from], node, RG_TRIED_BUSY);
            if (t != RG_TRIED_EMPTY) return t;
        }
        rg_bag_heads(s, stacks, n, heads);
        any = 0;
        for (unsigned i = 0; i < n; i++) any |= heads[i];
    }
    return RG_TRIED_EMPTY;
}

#endif
