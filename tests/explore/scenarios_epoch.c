/* scenarios_epoch.c - reclamation beside a reader, and threads that begin and end.
 *
 * A shelf holds a block; a writer puts another one there and retires the first; a reader looks. The
 * look is an access to the block, so a block freed too early is a use after free. */
#include "subject.h"

static rg_word *shelf;
static struct {
    unsigned retired, freed; /* the checker's, not the program's: counted between steps */
} *tally;
static size_t live_before;

static void shelf_free(rg_slot *s, void *p)
{
    (void)s;
    tally->freed++;
    rg_free(p);
}

static void put_new(rg_slot *s)
{
    X_REQUIRE(rg_reserve(s, 1), "memory");
    rg_word *block = rg_alloc(sizeof *block);
    rg_store_rlx(block, 7); /* relaxed: private until the CAS */
    rg_pin(s);
    uint64_t old;
    do old = rg_read(SPACE, s->index, shelf);
    while (!rg_cas1(SPACE, s->index, shelf, old, (uint64_t)(uintptr_t)block));
    tally->retired++;
    rg_retire(s, (void *)(uintptr_t)old, shelf_free);
    rg_unpin(s);
}

static void look(rg_slot *s)
{
    rg_pin(s);
    uint64_t v = rg_load((rg_word *)(uintptr_t)rg_read(SPACE, s->index, shelf));
    rg_unpin(s);
    X_REQUIRE(v == 7, "the reader sees %llu", (unsigned long long)v);
}

static void glance(rg_slot *s)
{
    if (!rg_glance(s)) return;
    uint64_t v = rg_load((rg_word *)(uintptr_t)rg_read(SPACE, s->index, shelf));
    rg_glanced(s);
    X_REQUIRE(v == 7, "the reader sees %llu", (unsigned long long)v);
}

static void setup_with(unsigned n, unsigned more)
{
    s_open(n, more);
    shelf = x_new(8, "shelf");
    tally = x_new(sizeof *tally, "tally");
    live_before = x_live_blocks() + 1;
    rg_word *block = rg_alloc(sizeof *block);
    rg_store(block, 7);
    rg_store(shelf, (uint64_t)(uintptr_t)block);
}

static void setup(void) { setup_with(x_now->threads, 0); }
static void setup_asymmetric(void)
{
    setup();
    s_asymmetric();
}

static void after(void)
{
    s_reclaim_all();
    X_REQUIRE(x_live_blocks() == live_before, "%zu blocks are left, not %zu", x_live_blocks(), live_before);
}

/* ---- a writer, a reader ------------------------------------------------------------------------ */

static void write_and_reclaim(rg_slot *s)
{
    put_new(s);
    rg_flush(s);
}

static void run_reader(unsigned t) { t == 0 ? write_and_reclaim(s_slots[0]) : look(s_slots[1]); }
static void run_two_looks(unsigned t)
{
    if (t == 0) {
        write_and_reclaim(s_slots[0]);
    } else {
        look(s_slots[1]); /* leaves its announcement behind */
        look(s_slots[1]);
    }
}
static void run_glance(unsigned t)
{
    if (t == 0) {
        write_and_reclaim(s_slots[0]);
    } else {
        look(s_slots[1]);
        glance(s_slots[1]);
    }
}
static void run_writers(unsigned t) { write_and_reclaim(s_slots[t]); }
static void run_third(unsigned t)
{
    if (t == 0) put_new(s_slots[0]);
    else if (t == 1) look(s_slots[1]);
    else rg_flush(s_slots[2]); /* advances for the others */
}
/* One round at a time, between retirements. */
static void run_in_turn(unsigned t)
{
    if (t == 0) {
        put_new(s_slots[0]);
        rg_reclaim(s_slots[0]);
        put_new(s_slots[0]);
        rg_reclaim(s_slots[0]);
    } else {
        look(s_slots[1]);
    }
}

/* ---- threads begin and end ----------------------------------------------------------------------- */

static void setup_exit(void) { setup_with(x_now->threads, 1); }

/* A third has ended and left an orphan, which the others both find. */
static void setup_orphan(void)
{
    setup_with(3, 1);
    put_new(s_slots[2]);
    s_thread_ends(s_slots[2]);
}
static void run_adopt(unsigned t) { rg_flush(s_slots[t]); }

/* Ends with things retired: its ring becomes an orphan, which others adopt. */
static void run_exit(unsigned t)
{
    if (t == 0) {
        put_new(s_slots[0]);
        s_thread_ends(s_slots[0]);
    } else {
        look(s_slots[1]);
        rg_flush(s_slots[1]);
    }
}

/* The last but one goes, so the other is alone and reclaims at once; meanwhile a new one comes and
 * looks. */
static void run_come_and_go(unsigned t)
{
    if (t == 0) {
        s_thread_ends(s_slots[0]);
        rg_slot *s = rg_slot_claim(s_dom);
        X_REQUIRE(s, "no slot");
        look(s);
        s_thread_ends(s);
    } else {
        put_new(s_slots[1]);
        rg_flush(s_slots[1]);
    }
}

/* Two new threads; none may get the other's slot. */
static void run_claims(unsigned t)
{
    s_thread_ends(s_slots[t]);
    rg_slot *s = rg_slot_claim(s_dom);
    X_REQUIRE(s && !s->pins, "no slot, or one in use");
    rg_word *owner = &s->desc.helps; /* a word of the slot to write on: nobody else may */
    rg_store(owner, t + 1);
    X_REQUIRE(rg_load(owner) == t + 1, "two threads have one slot");
    s_thread_ends(s);
}

static void after_exit(void)
{
    unsigned owned = 0, high = (unsigned)rg_load(&s_dom->high);
    for (unsigned i = 0; i < high; i++) {
        rg_slot *o = (rg_slot *)rg_desc_at(SPACE, i);
        owned += rg_load(&o->desc.owner) != 0;
        X_REQUIRE(!rg_load(&o->pinned), "slot %u is still pinned", i);
    }
    X_REQUIRE(rg_load(&s_dom->active) == owned, "%llu slots count as in use, %u are", (unsigned long long)rg_load(&s_dom->active), owned);
    for (unsigned i = 0; i < high; i++) {
        rg_slot *o = (rg_slot *)rg_desc_at(SPACE, i);
        if (rg_load(&o->desc.owner)) s_thread_ends(o);
    }
    rg_slot *s = rg_slot_claim(s_dom);
    X_REQUIRE(s, "no slot");
    rg_flush(s);
    X_REQUIRE(!rg_load(&s_dom->orphans), "orphans that nobody adopts");
    X_REQUIRE(tally->freed == tally->retired, "%u blocks retired, %u freed", tally->retired, tally->freed);
}

#define EPOCH(n, title) .name = "epoch." title, .threads = n

const x_scenario s_epoch[] = {
    { EPOCH(2, "reader"), .setup = setup, .run = run_reader, .after = after },
    { EPOCH(2, "two-looks"), .setup = setup, .run = run_two_looks, .after = after },
    { EPOCH(2, "glance"), .setup = setup, .run = run_glance, .after = after },
    { EPOCH(2, "writers"), .setup = setup, .run = run_writers, .after = after },
    { EPOCH(2, "in-turn"), .setup = setup, .run = run_in_turn, .after = after },
    { EPOCH(3, "third"), .setup = setup, .run = run_third, .after = after },
    { EPOCH(2, "reader.tso"), .setup = setup, .run = run_reader, .after = after, .tso = true },
    { EPOCH(2, "two-looks.tso"), .setup = setup, .run = run_two_looks, .after = after, .tso = true },
    { EPOCH(2, "glance.tso"), .setup = setup, .run = run_glance, .after = after, .tso = true },
    { EPOCH(2, "reader.membarrier"), .setup = setup_asymmetric, .run = run_reader, .after = after, .weak = true },
    { EPOCH(2, "two-looks.membarrier"), .setup = setup_asymmetric, .run = run_two_looks, .after = after, .weak = true },
    { EPOCH(2, "glance.membarrier"), .setup = setup_asymmetric, .run = run_glance, .after = after, .weak = true },
    { EPOCH(3, "third.membarrier"), .setup = setup_asymmetric, .run = run_third, .after = after, .weak = true },
    { EPOCH(2, "exit"), .setup = setup_exit, .run = run_exit, .after = after_exit },
    { EPOCH(2, "come-and-go"), .setup = setup_exit, .run = run_come_and_go, .after = after_exit },
    { EPOCH(2, "adopt"), .setup = setup_orphan, .run = run_adopt, .after = after_exit },
    { EPOCH(2, "claims"), .setup = setup_exit, .run = run_claims, .after = after_exit },
    { .name = NULL },
};
