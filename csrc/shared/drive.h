/* drive.h - csrc/core driven directly, for tests: threads run it truly in parallel on every build,
 * because each call gives up the GIL, and without one Python object in sight.
 *
 * A *place* is where words are: a domain of this process (dr_open), or a segment (Mapping.handle).
 * A thread needs no call to enter a domain, and leaves it when it ends.
 */
#ifndef RG_DRIVE_H
#define RG_DRIVE_H

#include <stdint.h>

/* cdef { */
typedef struct dr_place {
    uintptr_t domain, segment; /* one of them 0 */
} dr_place;

uintptr_t dr_open(void); /* a domain; 0: no memory */
void dr_close(uintptr_t domain); /* all other threads are out */
int64_t dr_enter(dr_place p); /* this thread's slot; -1: none */
int64_t dr_active(uintptr_t domain); /* slots that threads have */

int64_t dr_read(dr_place p, int64_t *word);
int dr_cas(dr_place p, int64_t *word, int64_t old, int64_t new_);
/* 1, 0, or -1: more entries than fit */
int dr_kcas(dr_place p, int64_t n, int64_t **words, int64_t *olds, int64_t *news);
/* Adds 1 to n words (n at most 64) at once, `times` times; returns how often another thread was faster. */
int64_t dr_count(dr_place p, int64_t *words, int64_t n, int64_t times);
/* `times` times: 1 from one word to another, chosen by chance (`seed`), by a k-CAS of those two. */
void dr_transfer(dr_place p, int64_t *words, int64_t n, int64_t times, uint64_t seed);
/* Takes `times` snapshots of the n words (at most 32), by k-CASes that only compare; returns how many
 * did not add up to `sum`. */
int64_t dr_audit(dr_place p, int64_t *words, int64_t n, int64_t sum, int64_t times);

uintptr_t dr_stack_new(uintptr_t domain);
/* Pushes first, first + 1, ... */
int dr_stack_push(uintptr_t domain, uintptr_t stack, int64_t first, int64_t n);
/* Pops up to n; returns how many it got. */
int64_t dr_stack_pop(uintptr_t domain, uintptr_t stack, int64_t n, int64_t *out);
void dr_stack_free(uintptr_t domain, uintptr_t stack); /* empty, unused */
uintptr_t dr_queue_new(uintptr_t domain);
int dr_queue_put(uintptr_t domain, uintptr_t queue, int64_t first, int64_t n);
int64_t dr_queue_get(uintptr_t domain, uintptr_t queue, int64_t n, int64_t *out);
void dr_queue_free(uintptr_t domain, uintptr_t queue);

/* Comes back when `parties` threads are in this call with the same word, all at once: 1, or 0 after
 * so many seconds. Only possible if the calls run in parallel. */
int dr_meet(int64_t *word, int64_t parties, double seconds);
/* } cdef */

#endif
