/* Compares hold at one instant, although values come and go (ABA). */
#include "harness.h"

static rg_word x, y, hits, aside[16], token[4];

/* Never x = y = 1; the states (1, 0), (0, 0), (0, 1) follow each other for ever. */
static void set(worker *w, rg_word *at, uint64_t old, uint64_t new_, bool by_kcas)
{
    rg_slot *s = here();
    if (!by_kcas) {
        CHECK(rg_cas1(SPACE, s->index, at, old, new_), "x and y are this thread's alone");
        return;
    }
    uint64_t n = rg_load(&aside[w->id]);
    rg_cas_entry e[2] = { { at, old, new_ }, { &aside[w->id], n, n + 1 } };
    CHECK(rg_kcas(SPACE, s->index, e, 2) == RG_SUCCEEDED, "x and y are this thread's alone");
}

static void alternate(worker *w, bool by_kcas)
{
    while (running()) {
        set(w, &x, 0, 1, by_kcas);
        set(w, &x, 1, 0, by_kcas);
        set(w, &y, 0, 1, by_kcas);
        set(w, &y, 1, 0, by_kcas);
        w->count[0]++;
    }
}

static void alternate_by_cas(worker *w) { alternate(w, false); }
static void alternate_by_kcas(worker *w) { alternate(w, true); }

static void never_both(worker *w)
{
    rg_slot *s = here();
    for (uint64_t t = 0; running(); t++) {
        /* mostly the state that never is, now and then one that is */
        uint64_t a = t % 16 ? 1 : 0, b = a, h = rg_read(SPACE, s->index, &hits);
        rg_cas_entry e[3] = { { &x, a, a }, { &y, b, b }, { &hits, h, h + 1 } };
        int r = RG_FAILED;
        if (w->id % 3 == 0) r = rg_validate(SPACE, s->index, e, 2);
        if (w->id % 3 == 1) r = rg_kcas(SPACE, s->index, e, 2);
        if (w->id % 3 == 2) r = rg_kcas(SPACE, s->index, e, 3);
        if (r != RG_SUCCEEDED) continue;
        CHECK(a == 0, "x and y were seen to be 1 at once");
        w->count[0]++;
    }
}

/* Readers 0, 1, 2: by rg_validate, by k-CAS of compares, by k-CAS of compares and a write. */
static void values_that_repeat(void (*writer)(worker *))
{
    worker w[4] = { 0 };
    void (*f[])(worker *) = { never_both, never_both, never_both, writer };
    workers_run(w, 4, f, 4);
    CHECK(w[3].count[0] > 0, "nothing was written");
    CHECK(w[0].count[0] + w[1].count[0] + w[2].count[0] > 0, "x = y = 0 was never seen: the test is void");
}

static void repeat_cas(void) { values_that_repeat(alternate_by_cas); }
static void repeat_kcas(void) { values_that_repeat(alternate_by_kcas); }

/* ---- a token that moves ------------------------------------------------------------------------ */

static void move_token(worker *w)
{
    rg_slot *s = here();
    while (running()) {
        unsigned i = (unsigned)(random_of(w) % 4), j = (i + 1 + (unsigned)(random_of(w) % 3)) % 4;
        rg_cas_entry e[2] = { { &token[i], 1, 0 }, { &token[j], 0, 1 } };
        w->count[0] += rg_kcas(SPACE, s->index, e, 2) == RG_SUCCEEDED;
    }
}

static void watch_token(worker *w)
{
    rg_slot *s = here();
    for (uint64_t t = 0; running(); t++) {
        uint64_t at = t % 5; /* 4: nowhere */
        uint64_t h = rg_read(SPACE, s->index, &hits);
        rg_cas_entry e[5];
        for (unsigned i = 0; i < 4; i++) e[i] = (rg_cas_entry){ &token[i], i == at, i == at };
        e[4] = (rg_cas_entry){ &hits, h, h + 1 };
        int r = t % 3 == 0 ? rg_validate(SPACE, s->index, e, 4) : rg_kcas(SPACE, s->index, e, t % 3 == 1 ? 4 : 5);
        if (r != RG_SUCCEEDED) continue;
        CHECK(at < 4, "the token was nowhere");
        w->count[t % 3]++;
    }
}

static void token_is_somewhere(void)
{
    worker w[4] = { 0 };
    void (*f[])(worker *) = { move_token, watch_token };
    rg_store(&token[0], 1);
    workers_run(w, 4, f, 2);
    CHECK(w[0].count[0] + w[2].count[0] > 0, "the token never moved");
    uint64_t seen = 0;
    for (unsigned i = 0; i < 3; i++) seen += w[1].count[i] + w[3].count[i];
    CHECK(seen > 0, "nobody saw it: the test is void");
}

/* An all-compare k-CAS tells even beside writers of other words that never rest. */
static void unrelated_writer(worker *w)
{
    rg_slot *s = here();
    for (uint64_t n = 0; running(); n++) CHECK(rg_cas1(SPACE, s->index, &aside[w->id], n, n + 1), "mine");
}

static void tell_always(worker *w)
{
    rg_slot *s = here();
    while (running()) {
        rg_cas_entry e[2] = { { &x, 0, 0 }, { &y, 0, 0 } };
        CHECK(rg_kcas(SPACE, s->index, e, 2) == RG_SUCCEEDED, "nobody writes x or y");
        rg_cas_entry z[3] = { { &x, 0, 0 }, { &y, 0, 0 }, { &hits, w->count[0], w->count[0] + 1 } };
        CHECK(rg_kcas(SPACE, s->index, z, 3) == RG_SUCCEEDED, "nobody else writes x, y or hits");
        w->count[0]++;
    }
}

static void busy_neighbours(void)
{
    worker w[3] = { 0 };
    void (*f[])(worker *) = { unrelated_writer, tell_always, unrelated_writer };
    workers_run(w, 3, f, 3);
    CHECK(w[1].count[0] > 0, "starved");
}

TESTS({ "repeat_cas", repeat_cas }, { "repeat_kcas", repeat_kcas }, { "token_is_somewhere", token_is_somewhere },
      { "busy_neighbours", busy_neighbours })
