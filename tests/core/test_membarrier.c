/* Where pinning has no fence of its own, who finds a slot that lags behind pays it: membarrier(2)
 * between reading the epoch and looking whether the slot is pinned. Linked with --wrap=syscall. */
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

static void advance_once(rg_slot *s)
{
    CHECK(rg_reserve(s, 1), "memory");
    rg_pin(s);
    rg_retire(s, s, ignore);
    rg_unpin(s);
    uint64_t epoch = rg_load(&dom->epoch);
    rg_reclaim(s);
    CHECK(rg_load(&dom->epoch) == epoch + 1, "nobody is pinned");
}

static void laggards_are_paid_for(void)
{
    rg_slot *s = here(), *other = rg_slot_claim(dom); /* not alone, so that advancing matters */
    rg_pin(other);
    rg_unpin(other);
    advance_once(s); /* other announced this epoch */
    for (unsigned i = 0; i < 10; i++) {
        uint64_t epoch = rg_load(&dom->epoch);
        unsigned before = barriers;
        advance_once(s); /* but not this one: is it pinned? */
        CHECK(!rg_asymmetric || (barriers == before + 1 && epoch_then == epoch), "%u barriers", barriers - before);
        CHECK(!rg_load(&other->epoch), "the announcement of a slot that is not pinned stands");
        before = barriers;
        for (unsigned k = 0; k < 10; k++) advance_once(s);
        CHECK(barriers == before, "%u barriers for a slot that rests", barriers - before);
        rg_pin(other);
        CHECK(rg_load(&other->epoch) == (rg_load(&dom->epoch) << 1 | 1), "pinned without announcing");
        rg_unpin(other);
        advance_once(s);
        CHECK(barriers == before, "%u barriers for a slot that keeps up", barriers - before);
    }
}

TESTS({ "laggards_are_paid_for", laggards_are_paid_for })
