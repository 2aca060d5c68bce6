/* plain.c - the plain accesses of the core and of the scenarios, for weak memory to check (weak.h).
 *
 * Those are compiled with -fsanitize=thread, which calls a function at each access to memory; the functions
 * are these, and ThreadSanitizer itself is not linked. Only accesses to the arena count. */
#include "weak.h"

static inline void access_to(const void *p, size_t n, bool write)
{
    if (!x_weak) return;
    size_t at = (size_t)((const char *)p - x_arena);
    int t = x_weak_thread();
    if (at >= X_ARENA_BYTES || t < 0) return;
    for (size_t w = at / 8; w <= (at + n - 1) / 8; w++) {
        if (w >= X_WORDS || x_shadow[w] == X_NEVER) x_fail("a plain access to memory never allocated");
        if (x_shadow[w] == X_FREED) x_fail("a plain access to freed memory");
        x_weak_plain((unsigned)t, (unsigned)w, write);
    }
}

#define ACCESS(kind, n, write) \
    void __tsan_##kind##n(void *); \
    void __tsan_##kind##n(void *p) { access_to(p, n, write); }
#define ACCESSES(n) ACCESS(read, n, false) ACCESS(write, n, true)
#define UNALIGNED(n) ACCESS(unaligned_read, n, false) ACCESS(unaligned_write, n, true)
ACCESSES(1) ACCESSES(2) ACCESSES(4) ACCESSES(8) ACCESSES(16)
UNALIGNED(2) UNALIGNED(4) UNALIGNED(8) UNALIGNED(16)

#define NAMED(result, name, ...) \
    result name(__VA_ARGS__); \
    result name(__VA_ARGS__)
NAMED(void, __tsan_read_range, void *p, size_t n) { access_to(p, n, false); }
NAMED(void, __tsan_write_range, void *p, size_t n) { access_to(p, n, true); }
NAMED(void *, __tsan_memset, void *p, int c, size_t n) { access_to(p, n, true); return memset(p, c, n); }
NAMED(void *, __tsan_memcpy, void *p, const void *q, size_t n)
{
    access_to(q, n, false);
    access_to(p, n, true);
    return memcpy(p, q, n);
}
NAMED(void *, __tsan_memmove, void *p, const void *q, size_t n)
{
    access_to(q, n, false);
    access_to(p, n, true);
    return memmove(p, q, n);
}
NAMED(void, __tsan_init, void) {}
NAMED(void, __tsan_func_entry, void *p) { (void)p; }
NAMED(void, __tsan_func_exit, void) {}
/* Of set-up: words that are written as variables. */
NAMED(void, __tsan_atomic64_store, volatile uint64_t *p, uint64_t v, int order) { (void)order; *p = v; }
NAMED(uint64_t, __tsan_atomic64_load, const volatile uint64_t *p, int order) { (void)order; return *p; }
NAMED(void, __tsan_atomic_signal_fence, int order) { (void)order; }
