/* Pinning against store buffers. One thread plays a reader and a writer; each has a buffer in which
 * its plain stores wait until it fences, does a sequentially consistent store or a read-modify-write
 * (x86-TSO: Sewell and others, CACM 2010). Stress on a real machine does not find a missing fence. */
#include "harness.h"

#define ROOM 64

typedef struct buffer {
    rg_word *at[ROOM];
    uint64_t value[ROOM];
    size_t n;
} buffer;

static buffer buffers[2], *now; /* NULL: no buffer */

static void drain(buffer *b)
{
    for (size_t i = 0; i < b->n; i++) atomic_store(b->at[i], b->value[i]);
    b->n = 0;
}

void gate_fence(void)
{
    if (now) drain(now);
}
uint64_t gate_load(const rg_word *p)
{
    if (now)
        for (size_t i = now->n; i-- > 0;)
            if (now->at[i] == p) return now->value[i];
    return atomic_load(p);
}
void gate_store(rg_word *p, uint64_t v, bool ordered)
{
    if (!now || ordered || now->n == ROOM) {
        gate_fence();
        atomic_store(p, v);
    } else {
        now->at[now->n] = p;
        now->value[now->n++] = v;
    }
}
bool gate_cas(rg_word *p, uint64_t old, uint64_t new_)
{
    gate_fence();
    return atomic_compare_exchange_strong(p, &old, new_);
}
uint64_t gate_add(rg_word *p, uint64_t n)
{
    gate_fence();
    return atomic_fetch_add(p, n);
}

static unsigned reclaimed;
static rg_word shelf;
static uint64_t things[4];

static void count(rg_slot *s, void *p)
{
    (void)s, (void)p;
    reclaimed++;
}

/* announced: the reader has been pinned at this epoch before. */
static void pin_against_reclaim(bool announced, bool glances)
{
    rg_slot *reader = rg_slot_claim(dom), *writer = rg_slot_claim(dom);
    rg_store(&shelf, (uint64_t)(uintptr_t)&things[0]);
    if (announced) {
        rg_pin(reader);
        rg_unpin(reader);
    }
    now = &buffers[0];
    if (!glances)
        rg_pin(reader);
    else
        CHECK(rg_glance(reader), "announced");
    uint64_t seen = rg_read(SPACE, reader->index, &shelf);
    now = &buffers[1];
    CHECK(rg_reserve(writer, 1), "memory");
    rg_pin(writer);
    CHECK(rg_cas1(SPACE, writer->index, &shelf, seen, (uint64_t)(uintptr_t)&things[1]), "unlink");
    rg_retire(writer, &things[0], count);
    rg_unpin(writer);
    for (unsigned i = 0; i < 4; i++) rg_flush(writer);
    CHECK(reclaimed == 0, "the reader looked, its pin still in its store buffer");
    now = &buffers[0];
    if (!glances)
        rg_unpin(reader);
    else
        rg_glanced(reader);
    drain(now);
    now = &buffers[1];
    for (unsigned i = 0; i < 4; i++) rg_flush(writer);
    CHECK(reclaimed == 1, "kept for ever");
}

static void a_pin_is_seen_before_what_follows(void) { pin_against_reclaim(false, false); }
static void a_pin_at_an_announced_epoch_too(void) { pin_against_reclaim(true, false); }
static void a_glance_too(void) { pin_against_reclaim(true, true); }

/* The writers' side of the same: a change is seen before the look for waiters. */
static void woke(rg_waiter *w) { rg_store(&w->state, 100); }

static void a_change_is_seen_before_the_look_for_waiters(void)
{
    rg_slot *waiting = rg_slot_claim(dom), *writer = rg_slot_claim(dom);
    static struct {
        rg_waiter w;
        rg_waitrec rec;
    } x;
    x.w.n = 1;
    x.w.wake = woke;
    x.w.recs[0].word = &shelf;
    now = &buffers[0];
    rg_wait_register(waiting, &x.w);
    uint64_t validated = rg_read(SPACE, waiting->index, &shelf);
    now = &buffers[1];
    CHECK(rg_cas1(SPACE, writer->index, &shelf, 0, 1), "change");
    unsigned woken = rg_wake(writer, &shelf);
    CHECK(validated == 1 || woken == 1, "both missed each other");
}

TESTS({ "a_pin_is_seen_before_what_follows", a_pin_is_seen_before_what_follows },
      { "a_pin_at_an_announced_epoch_too", a_pin_at_an_announced_epoch_too }, { "a_glance_too", a_glance_too },
      { "a_change_is_seen_before_the_look_for_waiters", a_change_is_seen_before_the_look_for_waiters })
