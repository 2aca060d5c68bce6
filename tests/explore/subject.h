/* subject.h - what the scenarios of csrc/core share: a domain, a slot for each thread, names. */
#ifndef S_SUBJECT_H
#define S_SUBJECT_H

#include "explore.h"
#include "queue.h"
#include "stack.h"
#include "wait.h"

#define S_NONE (-1) /* the result of an operation that found nothing */

extern rg_domain *s_dom;
extern rg_slot *s_slots[X_THREADS + 1];
#define SPACE (&s_dom->space)

/* Fences are the onlooker's to make, by membarrier; until the next s_open. Under weak memory only. */
void s_asymmetric(void);
/* Opens a domain and claims a slot for each of n threads; `more` may be claimed while threads run. The
 * last one is the final check's too. */
void s_open(unsigned n, unsigned more);
/* Nodes that have expired are freed instead of kept: a look at one is then a use after free. */
void s_free_nodes_at_once(void);
/* Reclaims all that was retired, on behalf of every slot. Nobody is pinned. */
void s_reclaim_all(void);
/* A round of reclaiming at this thread's next unpin, instead of after some 32 retirements. */
static inline void s_reclaim_soon(rg_slot *s) { s->due = 1; }
/* Ends an execution unless no descriptor is in flight: clocks even, no reference in any of n words. */
void s_quiet(rg_word *const *words, unsigned n);

/* core.c */
void s_forget_domains(void);
void s_thread_ends(rg_slot *);

/* ---- models ---------------------------------------------------------------------------------- */

enum { S_PUT, S_GET, S_PUSH, S_POP, S_PUSH2, S_POP2, S_MOVE, S_READ, S_KCAS, S_SIZE };
extern const x_model s_queue_model, s_stacks_model, s_words_model;

/* A k-CAS or a read of words, for s_words_model: the operation's `a` is its address. */
#define S_WORDS 3u
typedef struct s_words_op {
    unsigned code, n; /* S_READ: of the first word */
    struct {
        unsigned word;
        uint64_t old, new_;
    } e[S_WORDS];
} s_words_op;

/* Lists of scenarios, each ended by one without a name. */
extern const x_scenario s_structures[];
extern const x_scenario s_bounded[];
extern const x_scenario s_kcas[];
extern const x_scenario s_epoch[];
extern const x_scenario s_list[];
extern const x_scenario s_wait[];
extern const x_scenario s_controls[];
extern const x_scenario s_litmus[];
extern const x_scenario s_records[];
extern const x_scenario s_deque[];
extern const x_scenario s_stealing[];
extern const x_scenario s_bag[];
extern const x_scenario s_skiplist[];
extern const x_scenario s_hash[];

#endif
