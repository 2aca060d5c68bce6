/* Where pinning has no fence of its own, each advance of the epoch pays it: membarrier(2) between
 * reading the epoch and looking at the slots. Linked with --wrap=syscall. */
#include "harness.h"

#include <stdarg.h>
#include <sys/syscall.h>

static unsigned barriers;
static uint64_t epoch_then;

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);

long __wrap_syscall(long number, ...)
{
    va_list ap;
    va_start(ap, number);
    long a = va_arg(ap, long), b = va_arg(ap, long), c = va_arg(ap, long);
    va_end(ap);
#ifdef SYS_membarrier
    if (number == SYS_membarrier && (int)a == 1 << 3) { /* PRIVATE_EXPEDITED */
        barriers++;
        epoch_then = dom ? rg_load(&dom->epoch) : 0;
    }
#endif
    return __real_syscall(number, (int)a, (int)b, (int)c);
}

static void ignore(rg_slot *s, void *p) { (void)s, (void)p; }

static void each_advance_pays(void)
{
    rg_slot *s = here();
    rg_slot_claim(dom); /* not alone, so that advancing matters */
    for (unsigned i = 0; i < 10; i++) {
        CHECK(rg_reserve(s, 1), "memory");
        rg_pin(s);
        rg_retire(s, s, ignore);
        rg_unpin(s);
        uint64_t epoch = rg_load(&dom->epoch);
        unsigned before = barriers;
        rg_reclaim(s);
        CHECK(rg_load(&dom->epoch) == epoch + 1, "nobody is pinned");
        CHECK(!rg_asymmetric || (barriers == before + 1 && epoch_then == epoch), "%u barriers", barriers - before);
    }
}

TESTS({ "each_advance_pays", each_advance_pays })
