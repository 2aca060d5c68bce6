/* kcas.h - k words swapped at once or none, and single-word operations that respect it.
 *
 * A *space* is a set of descriptors and the words that they may refer to. Words are named by
 * their offset from `base`, descriptors by slot number, so a space may lie in memory that
 * processes map at different addresses; the space of one process has base NULL and offsets
 * that are addresses. A thread uses the space through a slot that it alone owns.
 *
 * Clocks. Each descriptor carries a clock that its owner makes odd just before and even just
 * after the one CAS by which words of the space *logically* change (a plain CAS on a word, or
 * the CAS that decides a k-CAS to have succeeded, whoever performs it). If all clocks are even
 * and their sum is the same before and after a series of reads, no word changed in between, so
 * the values read were all there at one instant even if each of them comes and goes. Without
 * this, reading X, then Z, then X again would prove nothing: values repeat.
 */
#ifndef RG_KCAS_H
#define RG_KCAS_H

#include "backoff.h"
#include "word.h"

enum { RG_UNDECIDED = 0, RG_SUCCEEDED = 1, RG_FAILED = 2, RG_CONFLICT = 3 };

#define RG_INLINE_ENTRIES 8u
#define RG_CHUNKS 20u /* chunk j holds 8 << j entries: about four million in all */

typedef struct rg_desc_entry {
    rg_word word, old, new_; /* word: offset from base */
} rg_desc_entry;

/* One thread's descriptors: at most one k-CAS of its own and one RDCSS (of anybody's k-CAS)
 * are in flight at a time. Representation invariants:
 *   status = sequence number << 2 | state; the number grows by one with each k-CAS, before any
 *     other field changes, so a reader that finds it unchanged after reading read one operation.
 *   rseq does the same for raddr, rold, rkref.
 *   Before status moves to a new number, no word holds, or can ever again hold, a reference
 *     with the old one (kcas.c, release_owned). */
typedef struct rg_desc {
    rg_word clock;
    rg_word status;
    rg_word counts; /* installed entries << 32 | all entries */
    rg_word rseq, raddr, rold, rkref;
    rg_word owner; /* 0: free */
    rg_word helps; /* operations of others finished by this slot; only ever read for statistics */
    rg_desc_entry entries[RG_INLINE_ENTRIES];
    rg_word chunks[RG_CHUNKS]; /* offsets from base; 0: none yet; never freed while the space lives */
} rg_desc;

typedef struct rg_space {
    char *base;
    rg_word *blocks; /* addresses (in this process) of blocks of RG_BLOCK_SLOTS descriptors */
    size_t stride;
    rg_word *high; /* slots ever used, from 0 */
    size_t max_entries;
    bool can_grow; /* descriptors may allocate chunks with rg_alloc (base NULL only) */
} rg_space;

#define RG_BLOCK_SHIFT 4
#define RG_BLOCK_SLOTS (1u << RG_BLOCK_SHIFT)
#define RG_MAX_BLOCKS (RG_MAX_SLOTS / RG_BLOCK_SLOTS)

typedef struct rg_cas_entry {
    rg_word *word;
    uint64_t old, new_;
} rg_cas_entry;

static inline rg_desc *rg_desc_at(const rg_space *sp, unsigned slot)
{
    /* acquire: pairs with the release that published the block, whose zeroes must be seen. (Who names
     * a slot has its number from `high`, from a reference or from its own claim, all seq_cst and after
     * that; so no test sees this order missing.) */
    char *block = (char *)(uintptr_t)rg_load_acq(&sp->blocks[slot >> RG_BLOCK_SHIFT]);
    return (rg_desc *)(block + (slot & (RG_BLOCK_SLOTS - 1)) * sp->stride);
}

/* release before the CAS is enough for "odd": who sees the CAS sees it. release after it orders
 * "even" behind the CAS. Only the owner stores, so its own loads may be relaxed. (Either would do alone,
 * for the CAS releases "odd" too, and "even" continues the release sequence of "odd"; neither would not.) */
static inline void rg_clock_begin(rg_desc *me) { rg_store_rel(&me->clock, rg_load_rlx(&me->clock) + 1); }
static inline void rg_clock_end(rg_desc *me) { rg_store_rel(&me->clock, rg_load_rlx(&me->clock) + 1); }

#ifdef RG_EXCLUSIVE

/* Nothing runs between two accesses, so words never hold references, one clock (slot 0's) serves,
 * and a k-CAS is a look followed by the writes. */
static inline bool rg_clock_read(const rg_space *sp, uint64_t *sum)
{
    *sum = rg_load(&rg_desc_at(sp, 0)->clock); /* the one slot there is */
    return true;
}
static inline uint64_t rg_read(const rg_space *sp, unsigned me, rg_word *w)
{
    (void)sp, (void)me;
    return rg_load(w);
}
static inline bool rg_cas_once(rg_desc *me, rg_word *w, uint64_t old, uint64_t new_)
{
    rg_store_rlx(&me->clock, rg_load_rlx(&me->clock) + 2); /* relaxed: exclusive */
    return rg_cas(w, old, new_);
}
static inline bool rg_cas1(const rg_space *sp, unsigned me, rg_word *w, uint64_t old, uint64_t new_)
{
    return rg_cas_once(rg_desc_at(sp, me), w, old, new_);
}
static inline int rg_validate(const rg_space *sp, unsigned me, const rg_cas_entry *e, size_t n)
{
    (void)sp, (void)me;
    for (size_t i = 0; i < n; i++)
        if (rg_load(e[i].word) != e[i].old) return RG_FAILED;
    return RG_SUCCEEDED;
}
static inline int rg_kcas(const rg_space *sp, unsigned me, rg_cas_entry *e, size_t n)
{
    if (rg_validate(sp, me, e, n) != RG_SUCCEEDED) return RG_FAILED;
    rg_clock_begin(rg_desc_at(sp, me));
    for (size_t i = 0; i < n; i++) rg_store(e[i].word, e[i].new_);
    rg_clock_end(rg_desc_at(sp, me));
    return RG_SUCCEEDED;
}

#else

/* Sum of all clocks into *sum; false while some change is under way. */
bool rg_clock_read(const rg_space *sp, uint64_t *sum);

/* Finish whatever operation the reference `ref`, found in a word, belongs to. */
void rg_help(const rg_space *sp, unsigned me, uint64_t ref);

/* The value of a word now; finishes any operation found in it. Lock-free. */
static inline uint64_t rg_read(const rg_space *sp, unsigned me, rg_word *w)
{
    for (;;) {
        uint64_t v = rg_load(w);
        if (!rg_is_ref(v)) return v;
        rg_help(sp, me, v);
    }
}

/* One try: may also fail because an operation is under way on the word. */
static inline bool rg_cas_once(rg_desc *me, rg_word *w, uint64_t old, uint64_t new_)
{
    uint64_t c = rg_load_rlx(&me->clock); /* begin and end, as above, with one load for both */
    rg_store_rel(&me->clock, c + 1);
    bool ok = rg_cas(w, old, new_);
    rg_store_rel(&me->clock, c + 2);
    return ok;
}

/* One-word CAS; fails only if the value was not `old`. Linearizes at its CAS or failing read. */
static inline bool rg_cas1(const rg_space *sp, unsigned me, rg_word *w, uint64_t old, uint64_t new_)
{
    for (;;) {
        if (rg_cas_once(rg_desc_at(sp, me), w, old, new_)) return true;
        uint64_t v = rg_load(w);
        if (!rg_is_ref(v)) {
            if (v != old) return false;
            continue;
        }
        rg_help(sp, me, v);
    }
}

/* k-CAS of n entries on distinct words; entries with old == new_ are compares and are not
 * written where that can be avoided. Reorders `e`. Returns RG_SUCCEEDED, RG_FAILED (some word
 * was not old), or -1 when n exceeds what the space can hold (nothing done). Lock-free. */
int rg_kcas(const rg_space *sp, unsigned me, rg_cas_entry *e, size_t n);

/* Whether all n words hold `old` at one instant: RG_SUCCEEDED or RG_FAILED, or RG_CONFLICT when
 * writers were too busy to tell (rg_kcas can always tell). Writes nothing. */
int rg_validate(const rg_space *sp, unsigned me, const rg_cas_entry *e, size_t n);

#endif /* RG_EXCLUSIVE */

/* rg_read, rg_kcas and rg_validate with real atomics in every build: for words that others than the
 * threads under this process's lock touch (shared memory). */
uint64_t rg_shared_read(const rg_space *sp, unsigned me, rg_word *w);
int rg_shared_kcas(const rg_space *sp, unsigned me, rg_cas_entry *e, size_t n);
int rg_shared_validate(const rg_space *sp, unsigned me, const rg_cas_entry *e, size_t n);

/* Room for n entries in my descriptor; false when there is none. */
bool rg_desc_reserve(const rg_space *sp, unsigned me, size_t n);

/* Give up whatever slot `dead` had in flight; its thread is known to be gone for good, and the
 * caller is the only one who does this. me may be `dead`. */
void rg_desc_abandon(const rg_space *sp, unsigned me, unsigned dead);

#endif
