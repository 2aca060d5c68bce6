/* checked.h - the accesses of a checked build (RG_CHECKED, csrc/core/access.h), each handed to the
 * explorer before it happens. See explore.h for what the explorer makes of them. */
#ifndef X_CHECKED_H
#define X_CHECKED_H

/* What decides whether a store may wait in a store buffer, and what weak memory (weak.h) makes of each. */
enum { X_RELAXED, X_ACQUIRE, X_RELEASE, X_ACQ_REL, X_SEQ_CST };

uint64_t x_load(const rg_word *, int order);
void x_store(rg_word *, uint64_t, int order);
bool x_cas(rg_word *, uint64_t old, uint64_t new_, int order);
uint64_t x_add(rg_word *, uint64_t, int order);
void x_fence(void);
void x_membarrier(void);
void x_pause(void);
void *x_alloc(size_t, bool zero);
void *x_alloc_lines(size_t);
void x_free(void *);

/* Neither sequential consistency nor TSO delays loads: those of every order read the newest value of
 * memory, or of the own buffer. */
static inline uint64_t rg_load(const rg_word *p) { return x_load(p, X_SEQ_CST); }
static inline uint64_t rg_load_acq(const rg_word *p) { return x_load(p, X_ACQUIRE); }
static inline uint64_t rg_load_rlx(const rg_word *p) { return x_load(p, X_RELAXED); }
static inline void rg_store(rg_word *p, uint64_t v) { x_store(p, v, X_SEQ_CST); }
static inline void rg_store_rel(rg_word *p, uint64_t v) { x_store(p, v, X_RELEASE); }
static inline void rg_store_rlx(rg_word *p, uint64_t v) { x_store(p, v, X_RELAXED); }
static inline bool rg_cas(rg_word *p, uint64_t old, uint64_t new_) { return x_cas(p, old, new_, X_SEQ_CST); }
static inline uint64_t rg_fetch_add(rg_word *p, uint64_t n) { return x_add(p, n, X_SEQ_CST); }
static inline void rg_fence(void) { x_fence(); }
#define rg_checked_membarrier() x_membarrier()
static inline void rg_compiler_barrier(void) { atomic_signal_fence(memory_order_seq_cst); }
static inline void rg_checked_pause(void) { x_pause(); }
static inline void *rg_alloc(size_t n) { return x_alloc(n, false); }
static inline void *rg_calloc(size_t n) { return x_alloc(n, true); }
static inline void *rg_alloc_lines(size_t n) { return x_alloc_lines(n); }
static inline void rg_free(void *p) { x_free(p); }

#endif
