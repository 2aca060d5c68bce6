/* losing.h - included before csrc/objects by tests/sanitized.sh: three of four direct pushes and pops find that they
 * have lost their first CAS. So what only contention brings about, elimination (csrc/core/elimination.h), happens all
 * the time, on two processors as well. For builds without the GIL. */
#include "state.h"

static inline bool losing(void)
{
    static _Thread_local unsigned n;
    return ++n & 3;
}
static inline rg_tried losing_push(rg_slot *s, rg_stack *st, rg_node *n)
{
    return losing() ? RG_TRIED_LOST : rg_stack_try_push(s, st, n);
}
static inline rg_tried losing_pop(rg_slot *s, rg_stack *st, rg_node **n)
{
    return losing() ? RG_TRIED_LOST : rg_stack_try_pop(s, st, n);
}
/* The loops of core/stack.h, which are defined by now, try as ever. */
#define rg_stack_try_push losing_push
#define rg_stack_try_pop losing_pop
