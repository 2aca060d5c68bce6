/* arena.h - the memory of a scenario, at addresses that depend on nothing but the program.
 *
 * Parts: one for what set-up allocates, then one for each thread (the last for the final check). An
 * execution begins with the first as set-up left it and the others empty. Within one execution no
 * address is given out twice, and each thread allocates from its own part: so an allocation commutes
 * with every step of the others, addresses do not depend on the interleaving, and an access to what
 * was freed is found exactly instead of landing in a new block. (Reuse, and the ABA that comes of it,
 * is what the core's own caches of nodes do.) Between any two blocks lies a header nobody may touch.
 *
 * Restored after each execution: dense memory as a whole; of sparse memory (large, hardly touched: the
 * table of waiters) the words that were written, which is sound where it is only written by rg_store
 * and its like.
 */
#ifndef X_ARENA_H
#define X_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define X_THREADS 4u
#define X_SETUP_BYTES (256u << 10)
#define X_THREAD_BYTES (32u << 10)
#define X_ARENA_BYTES (X_SETUP_BYTES + (X_THREADS + 1) * X_THREAD_BYTES)
#define X_WORDS (X_ARENA_BYTES / 8)
#define X_SETUP_PART (X_THREADS + 1)

/* What a word of the arena is. */
enum { X_NEVER, X_DENSE, X_SPARSE, X_FREED };

/* What a word holds that was allocated and not yet written; that was freed. */
#define X_FRESH 0xa5a5a5a5a5a5a5a5ULL
#define X_POISON 0xdfdfdfdfdfdfdfdfULL

extern char *x_arena;
extern uint8_t x_shadow[X_WORDS];

void x_arena_clear(void);    /* before set-up */
void x_arena_snapshot(void); /* set-up is over */
void x_arena_restore(void);

/* part: a thread, or X_SETUP_PART. */
void *x_arena_alloc(unsigned part, size_t n, size_t align, bool zero, bool sparse);
/* Makes words of a sparse block dense. */
void x_arena_dense(void *p, size_t n);

/* The size of the live block that begins at p; 0 if there is none. */
size_t x_block_size(const void *p);
void x_block_free(void *p); /* poisons it */
/* A freed block that was written to since; NULL if there is none. */
const void *x_poison_broken(void);
size_t x_live_blocks(void);
/* "t1.2+8": the third block of thread 1, at its byte 8. */
void x_block_name(unsigned word, char *out, size_t room);

/* Index of the word at p, or X_WORDS if it is outside. */
static inline unsigned x_word_index(const void *p)
{
    size_t off = (size_t)((const char *)p - x_arena);
    return off < X_ARENA_BYTES && off % 8 == 0 ? (unsigned)(off / 8) : X_WORDS;
}

void x_undo_push(unsigned word);

#endif
