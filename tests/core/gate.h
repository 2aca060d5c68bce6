/* gate.h - the accesses of a checked build (RG_CHECKED, csrc/core/access.h): the test that includes
 * this one defines the gate_ functions, and so sees, delays or stops every shared access. */
#ifndef RG_GATE_H
#define RG_GATE_H

uint64_t gate_load(const rg_word *p);
void gate_store(rg_word *p, uint64_t v, bool ordered); /* ordered: sequentially consistent */
bool gate_cas(rg_word *p, uint64_t old, uint64_t new_);
uint64_t gate_add(rg_word *p, uint64_t n);
void gate_fence(void);

static inline uint64_t rg_load(const rg_word *p) { return gate_load(p); }
static inline uint64_t rg_load_acq(const rg_word *p) { return gate_load(p); }
static inline uint64_t rg_load_rlx(const rg_word *p) { return gate_load(p); }
static inline void rg_store(rg_word *p, uint64_t v) { gate_store(p, v, true); }
static inline void rg_store_rel(rg_word *p, uint64_t v) { gate_store(p, v, false); }
static inline void rg_store_rlx(rg_word *p, uint64_t v) { gate_store(p, v, false); }
static inline bool rg_cas(rg_word *p, uint64_t old, uint64_t new_) { return gate_cas(p, old, new_); }
static inline uint64_t rg_fetch_add(rg_word *p, uint64_t n) { return gate_add(p, n); }
static inline void rg_fence(void) { gate_fence(); }
static inline void rg_compiler_barrier(void) { atomic_signal_fence(memory_order_seq_cst); }
static inline void rg_checked_pause(void) {}
/* Defined by tests of what happens when memory runs out. */
__attribute__((weak)) bool gate_alloc_fails(void);
static inline void *rg_alloc(size_t n) { return gate_alloc_fails && gate_alloc_fails() ? NULL : malloc(n); }
static inline void *rg_calloc(size_t n) { return gate_alloc_fails && gate_alloc_fails() ? NULL : calloc(1, n); }
static inline void *rg_alloc_lines(size_t n) { return gate_alloc_fails && gate_alloc_fails() ? NULL : aligned_alloc(64, n); }
static inline void rg_free(void *p) { free(p); }

#endif
