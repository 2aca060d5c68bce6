/* k-CAS under schedules that stress does not find: helpers and owners that stall. */
#include "actors.h"

/* ---- the schedule that kcas.c tells ---------------------------------------------------------------- */

static void helper_stalls(unsigned skip, bool resolved)
{
    w[1] = 9; /* B is wrong */
    g = (actor){ .e = { { A, 0, 1 }, { B, 0, 1 }, { C, 0, 1 } } };
    h = (actor){ .e = { { A, 0, 0 } } };
    start(&g, 3);
    start(&h, 0);
    CHECK(run_to(&g, CAS, STATUS(g), 0), "G has installed A, seen a wrong B and is about to fail");
    w[1] = 0; /* B changes back */
    CHECK(run_to(&h, CAS, C, skip), "H has installed B and is about to change C");
    CHECK(rg_is_ref(w[0]) && rg_is_ref(w[1]) && rg_is_ref(w[2]) == (skip == 1), "as the schedule says");
    finish(&g);
    CHECK(g.result == RG_FAILED, "G says %d", g.result);
    g.e[0] = (rg_cas_entry){ D, 0, 1 };
    g.e[1] = (rg_cas_entry){ E, 0, 1 };
    start(&g, 2); /* the descriptor is used again */
    finish(&g);
    CHECK(g.result == RG_SUCCEEDED, "D and E");
    if (resolved) { /* now its RDCSS reference is on C: let somebody else resolve it */
        CHECK(run_to(&h, CAS, C, 0) && rg_is_ref(w[2]), "too late");
        rg_help(SPACE, g.slot->index, w[2]);
        CHECK(w[2] == 0, "resolved to a reference of an operation that is over");
    }
    finish(&h);
    for (unsigned i = 0; i < 5; i++) CHECK(!rg_is_ref(w[i]), "word %u holds a reference that nobody can resolve", i);
    CHECK(h.value == 0 && !w[0] && !w[1] && !w[2] && w[3] == 1 && w[4] == 1, "the values");
}

static void dangling_reference(void) { helper_stalls(1, false); } /* between its RDCSS reference and ours */
static void late_rdcss(void) { helper_stalls(0, true); } /* before its RDCSS reference, resolved by somebody else */
static void late_rdcss_alone(void) { helper_stalls(0, false); } /* the same, resolved by itself */

/* ---- helping ------------------------------------------------------------------------------------- */

static void owner_stalls_undecided(void)
{
    for (unsigned stop = 0; stop < 3; stop++) {
        memset((void *)w, 0, sizeof w);
        g = (actor){ .slot = g.slot, .e = { { A, 0, 1 }, { B, 0, 1 }, { C, 0, 0 } } };
        h = (actor){ .slot = h.slot, .e = { { A, 0, 0 } } };
        start(&g, 3);
        start(&h, 0);
        /* before B's RDCSS reference, before B's k-CAS reference, before the decision */
        CHECK(stop < 2 ? run_to(&g, CAS, B, stop) : run_to(&g, CAS, STATUS(g), 0), "G has begun");
        finish(&h); /* lock-free: or it hangs */
        CHECK(h.value == 1 && w[1] == 1, "the helper finished it, released it and went on");
        CHECK(rg_cas1(SPACE, h.slot->index, A, 1, 5), "and so may others");
        finish(&g);
        CHECK(g.result == RG_SUCCEEDED && w[0] == 5 && w[1] == 1, "the owner learns of it, and undoes nothing");
    }
}

/* The owner goes by its own list of entries, a helper by the descriptor, where the later ones are in chunks. */
static void owner_of_many_stalls(void)
{
    static rg_word many[32];
    g = (actor){ 0 };
    h = (actor){ .e = { { &many[0], 0, 0 } } };
    for (unsigned i = 0; i < 32; i++) g.e[i] = (rg_cas_entry){ &many[i], 0, i + 1 };
    start(&g, 32);
    start(&h, 0);
    CHECK(run_to(&g, CAS, &many[1], 0), "G has installed one word of 32");
    finish(&h);
    for (unsigned i = 0; i < 32; i++) CHECK(many[i] == i + 1, "word %u is %llu", i, (unsigned long long)many[i]);
    finish(&g);
    CHECK(h.value == 1 && g.result == RG_SUCCEEDED, "all of them");
}

static void owner_stalls_decided(void)
{
    g = (actor){ .e = { { A, 0, 1 }, { B, 0, 1 } } };
    h = (actor){ .e = { { B, 0, 0 } } };
    start(&g, 2);
    start(&h, 0);
    CHECK(run_to(&g, CAS, A, 1), "G has succeeded and is about to release A");
    finish(&h);
    CHECK(h.value == 1 && w[0] == 1, "the helper released all words");
    CHECK(rg_cas1(SPACE, h.slot->index, A, 1, 5), "A is free");
    finish(&g);
    CHECK(g.result == RG_SUCCEEDED && w[0] == 5, "the owner's release took a later value away");
}

/* H, late, decides "failed" for an operation that has succeeded; the next one is under way. */
static void stale_decision(void)
{
    g = (actor){ .e = { { A, 0, 1 }, { B, 0, 1 } } };
    h = (actor){ .e = { { A, 0, 0 } } };
    start(&g, 2);
    start(&h, 0);
    CHECK(run_to(&g, LOAD, B, 0), "G has installed A");
    w[1] = 9;
    CHECK(run_to(&h, CAS, STATUS(g), 0), "H has seen a wrong B");
    w[1] = 0;
    finish(&g);
    CHECK(g.result == RG_SUCCEEDED, "B is right again");
    g.e[0] = (rg_cas_entry){ A, 1, 2 };
    g.e[1] = (rg_cas_entry){ B, 1, 2 };
    start(&g, 2);
    CHECK(run_to(&g, CAS, STATUS(g), 0), "the second is installed");
    finish(&h);
    CHECK(h.value == 2, "H helps the second: %llu", (unsigned long long)h.value);
    finish(&g);
    CHECK(g.result == RG_SUCCEEDED && w[0] == 2 && w[1] == 2, "decided by a helper of the first");
}

/* G names A before B, H names B before A, each having begun. */
static void opposite_orders(void)
{
    g = (actor){ .e = { { A, 0, 1 }, { B, 0, 1 } } };
    h = (actor){ .e = { { B, 0, 2 }, { A, 0, 2 } } };
    start(&g, 2);
    start(&h, 2);
    CHECK(run_to(&g, LOAD, B, 0) && run_to(&h, LOAD, A, 0), "each meets the other");
    finish(&g);
    finish(&h);
    CHECK(g.result + h.result == RG_SUCCEEDED + RG_FAILED, "%d and %d", g.result, h.result);
    CHECK(w[0] == w[1] && w[0] == (g.result == RG_SUCCEEDED ? 1 : 2), "the words");
}

/* A child must be able to go on wherever the fork found the others: here, an owner and its helper. */
static void abandoned(void)
{
    static actor lost[4][2]; /* stopped for good */
    for (unsigned stop = 0; stop < 4; stop++) {
        actor *o = &lost[stop][0], *p = &lost[stop][1];
        memset((void *)w, 0, sizeof w);
        *o = (actor){ .e = { { A, 0, 1 }, { B, 0, 1 }, { C, 0, 1 } } };
        *p = (actor){ .e = { { A, 0, 0 } } };
        start(o, 3);
        start(p, 0);
        CHECK(stop % 2 ? run_to(o, CAS, STATUS(*o), 0) : run_to(o, LOAD, B, 0), "the owner has begun");
        CHECK(stop == 1 || (stop == 0 ? run_to(p, CAS, C, 1) : run_to(p, CAS, STATUS(*o), 0)), "the helper too");
        rg_slot *me = here();
        rg_desc_abandon(SPACE, me->index, o->slot->index);
        rg_desc_abandon(SPACE, me->index, p->slot->index);
        for (unsigned i = 0; i < 3; i++) CHECK(!rg_is_ref(w[i]), "word %u holds a reference", i);
        CHECK(w[0] == w[1] && w[1] == w[2], "torn");
        uint64_t sum;
        CHECK(rg_clock_read(SPACE, &sum), "a clock was left odd");
    }
}

TESTS({ "dangling_reference", dangling_reference }, { "late_rdcss", late_rdcss },
      { "late_rdcss_alone", late_rdcss_alone },
      { "owner_stalls_undecided", owner_stalls_undecided }, { "owner_of_many_stalls", owner_of_many_stalls },
      { "owner_stalls_decided", owner_stalls_decided },
      { "stale_decision", stale_decision }, { "opposite_orders", opposite_orders }, { "abandoned", abandoned })
