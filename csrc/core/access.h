/* access.h - every shared access of csrc/core and of the object structures goes through here.
 *
 * Three builds read the same algorithms:
 *   default       C11 atomics; sequentially consistent unless a name says otherwise.
 *   RG_EXCLUSIVE  the caller guarantees that nothing runs between two accesses of one
 *                 operation (a GIL build of CPython, for object words). Plain accesses: the
 *                 lock prefix would buy nothing, and costs a third of a push.
 *   RG_CHECKED    a schedule explorer supplies the operations: the header named by
 *                 RG_CHECKED defines everything below the #else of this file.
 *
 * Suffixes: _acq acquire, _rel release, _rlx relaxed; each use of one says why it suffices.
 * C11 promises that atomics of 64 bits are layout compatible with uint64_t on the platforms
 * supported (asserted below), which is what lets numpy read an array of words as it is.
 */
#ifndef RG_ACCESS_H
#define RG_ACCESS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

typedef _Atomic(uint64_t) rg_word;
_Static_assert(sizeof(rg_word) == 8, "a word is 64 bits");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "64-bit atomics must be lock-free");

/* Kept out of the way of the code that calls it. */
#define RG_SLOW __attribute__((noinline, cold))

#ifdef RG_CHECKED
#include RG_CHECKED
#else

static inline uint64_t rg_load_rlx(const rg_word *p) { return atomic_load_explicit(p, memory_order_relaxed); }
static inline void rg_store_rlx(rg_word *p, uint64_t v) { atomic_store_explicit(p, v, memory_order_relaxed); }

#ifdef RG_EXCLUSIVE

static inline uint64_t rg_load(const rg_word *p) { return rg_load_rlx(p); }
static inline uint64_t rg_load_acq(const rg_word *p) { return rg_load_rlx(p); }
static inline void rg_store(rg_word *p, uint64_t v) { rg_store_rlx(p, v); }
static inline void rg_store_rel(rg_word *p, uint64_t v) { rg_store_rlx(p, v); }
static inline bool rg_cas(rg_word *p, uint64_t old, uint64_t new_)
{
    if (rg_load_rlx(p) != old) return false;
    rg_store_rlx(p, new_);
    return true;
}
static inline uint64_t rg_fetch_add(rg_word *p, uint64_t n)
{
    uint64_t old = rg_load_rlx(p);
    rg_store_rlx(p, old + n);
    return old;
}
static inline void rg_fence(void) {}

#else

static inline uint64_t rg_load(const rg_word *p) { return atomic_load_explicit(p, memory_order_seq_cst); }
static inline uint64_t rg_load_acq(const rg_word *p) { return atomic_load_explicit(p, memory_order_acquire); }
static inline void rg_store(rg_word *p, uint64_t v) { atomic_store_explicit(p, v, memory_order_seq_cst); }
static inline void rg_store_rel(rg_word *p, uint64_t v) { atomic_store_explicit(p, v, memory_order_release); }
static inline bool rg_cas(rg_word *p, uint64_t old, uint64_t new_)
{
    return atomic_compare_exchange_strong_explicit(p, &old, new_, memory_order_seq_cst, memory_order_seq_cst);
}
static inline uint64_t rg_fetch_add(rg_word *p, uint64_t n)
{
    return atomic_fetch_add_explicit(p, n, memory_order_seq_cst);
}
/* A full fence. ThreadSanitizer does not model fences, so under it an atomic read-modify-write
 * of a dummy stands in: it orders the same and is understood. */
static inline void rg_fence(void)
{
#if defined(__SANITIZE_THREAD__)
    static rg_word dummy;
    (void)rg_fetch_add(&dummy, 0);
#else
    atomic_thread_fence(memory_order_seq_cst);
#endif
}

#endif /* RG_EXCLUSIVE */

static inline void rg_compiler_barrier(void) { atomic_signal_fence(memory_order_seq_cst); }
static inline void *rg_alloc(size_t n) { return malloc(n); }
static inline void *rg_calloc(size_t n) { return calloc(1, n); }
static inline void *rg_alloc_lines(size_t n) { return aligned_alloc(64, n); } /* whole cache lines; n is a multiple */
static inline void rg_free(void *p) { free(p); }

#endif /* RG_CHECKED */
#endif
