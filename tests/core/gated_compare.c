/* Compares of a k-CAS under schedules that stress does not find. */
#include "actors.h"

/* [A: 1 to 2, B = 5] against [A = 1, B: 5 to 6], each having installed its write. */
static void read_only_cycle(void)
{
    w[0] = 1;
    w[1] = 5;
    g = (actor){ .e = { { A, 1, 2 }, { B, 5, 5 } } };
    h = (actor){ .e = { { A, 1, 1 }, { B, 5, 6 } } };
    start(&g, 2);
    start(&h, 2);
    CHECK(run_to(&g, LOAD, B, 0) && run_to(&h, LOAD, A, 0), "each is about to verify");
    CHECK(rg_is_ref(w[0]) && rg_is_ref(w[1]), "both have installed");
    finish(&g);
    finish(&h);
    CHECK(g.result + h.result == RG_SUCCEEDED + RG_FAILED, "%d and %d", g.result, h.result);
    CHECK(g.result == RG_SUCCEEDED ? w[0] == 2 && w[1] == 5 : w[0] == 1 && w[1] == 6, "the words");
}

static void set(rg_slot *s, rg_word *at, uint64_t old, uint64_t new_, bool by_kcas)
{
    uint64_t aside = atomic_load(D);
    rg_cas_entry e[2] = { { at, old, new_ }, { D, aside, aside + 1 } };
    CHECK(by_kcas ? rg_kcas(SPACE, s->index, e, 2) == RG_SUCCEEDED : rg_cas1(SPACE, s->index, at, old, new_), "alone");
}

/* B = 0 and C = 0, but never at once: B leaves before C comes. */
static void compares_at_one_instant(size_t writes)
{
    for (unsigned by_kcas = 0; by_kcas < 2; by_kcas++) {
        memset((void *)w, 0, sizeof w);
        w[2] = 1;
        g = (actor){ .slot = g.slot, .e = { { A, 0, 1 }, { B, 0, 0 }, { C, 0, 0 } } };
        memmove(g.e, g.e + 1 - writes, (2 + writes) * sizeof g.e[0]); /* keeps the order: B, then C */
        if (!h.slot) h.slot = rg_slot_claim(dom);
        start(&g, 2 + writes);
        CHECK(run_to(&g, LOAD, C, 0), "B was read");
        set(h.slot, B, 0, 1, by_kcas);
        set(h.slot, C, 1, 0, by_kcas);
        finish(&g);
        CHECK(g.result == RG_FAILED && w[0] == 0, "a state that never was, was seen");
    }
}

static void snapshot(void) { compares_at_one_instant(0); }
static void verify(void) { compares_at_one_instant(1); }

/* The same, both changes under way when the reader begins, and not over when it ends. */
static void changes_under_way(void)
{
    static actor k;
    w[2] = 1;
    g = (actor){ .e = { { B, 0, 0 }, { C, 0, 0 } } };
    h = (actor){ .e = { { B, 0, 1 } } };
    k = (actor){ .e = { { C, 1, 0 } } };
    start(&g, 2);
    start(&h, 1);
    start(&k, 1);
    CHECK(run_to(&h, CAS, B, 0) && run_to(&k, CAS, C, 0), "both clocks are odd");
    CHECK(run_to(&g, LOAD, C, 0), "B was read, or is held");
    run_to(&h, STORE, &h.slot->desc.clock, 0);
    bool left = atomic_load(B) == 1;
    run_to(&k, STORE, &k.slot->desc.clock, 0);
    finish(&g);
    CHECK(!left || g.result == RG_FAILED, "a state that never was, was seen");
    finish(&h);
    finish(&k);
}

TESTS({ "read_only_cycle", read_only_cycle }, { "snapshot", snapshot }, { "verify", verify },
      { "changes_under_way", changes_under_way })
