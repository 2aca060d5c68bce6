/* An advancer that stalls between reading the epoch and looking at the slots. */
#include "harness.h"

static rg_slot *reader, *other;
static enum { IDLE, STALL, MEET } armed;

uint64_t gate_load(const rg_word *p)
{
    uint64_t v = atomic_load(p);
    if (armed == STALL && p == &dom->epoch) {
        armed = IDLE;
        rg_reclaim(other); /* the epoch moves on, and the reader announces the new one */
        rg_pin(reader);
        rg_unpin(reader);
        armed = MEET;
    }
    return v;
}
void gate_store(rg_word *p, uint64_t v, bool ordered)
{
    (void)ordered;
    atomic_store(p, v);
}
bool gate_cas(rg_word *p, uint64_t old, uint64_t new_)
{
    if (armed == MEET && p == &reader->epoch) {
        armed = IDLE;
        rg_pin(reader); /* at the epoch that it has announced: it need not announce again */
    }
    return atomic_compare_exchange_strong(p, &old, new_);
}
uint64_t gate_add(rg_word *p, uint64_t n) { return atomic_fetch_add(p, n); }
void gate_fence(void) { atomic_thread_fence(memory_order_seq_cst); }

static unsigned reclaimed;
static void count(rg_slot *s, void *p)
{
    (void)s, (void)p;
    reclaimed++;
}

static void a_late_look_proves_nothing(void)
{
    static uint64_t thing;
    rg_slot *late = rg_slot_claim(dom);
    reader = rg_slot_claim(dom);
    other = rg_slot_claim(dom);
    armed = STALL;
    rg_reclaim(late);
    CHECK(armed == IDLE || armed == MEET, "the advancer did not stall");
    armed = IDLE;
    if (!reader->pins) rg_pin(reader);
    CHECK(rg_reserve(other, 1), "memory");
    rg_pin(other);
    rg_retire(other, &thing, count); /* the reader may have found it before */
    rg_unpin(other);
    for (unsigned i = 0; i < 4; i++) rg_flush(other);
    CHECK(reclaimed == 0, "the announcement of a pinned reader was taken back");
    rg_unpin(reader);
    for (unsigned i = 0; i < 4; i++) rg_flush(other);
    CHECK(reclaimed == 1, "kept for ever");
}

TESTS({ "a_late_look_proves_nothing", a_late_look_proves_nothing })
