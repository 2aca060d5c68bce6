/* k-CAS under schedules that stress does not find: threads are stopped before chosen accesses. */
#include "harness.h"

#include <semaphore.h>

enum { NOWHERE, LOAD, CAS };

typedef struct actor {
    pthread_t thread;
    rg_slot *slot;
    sem_t go, stopped;
    int kind; /* where to stop: before the access of this kind to this word, after `skip` of them */
    const rg_word *at;
    unsigned skip;
    bool finished;
    rg_cas_entry e[4];
    size_t n;
    int result;
    uint64_t value;
} actor;

static _Thread_local actor *self;

static void gate(int kind, const rg_word *p)
{
    actor *a = self;
    if (!a || a->kind != kind || a->at != p || a->skip-- > 0) return;
    a->kind = NOWHERE;
    sem_post(&a->stopped);
    while (sem_wait(&a->go) != 0) {}
}

uint64_t gate_load(const rg_word *p)
{
    gate(LOAD, p);
    return atomic_load(p);
}
void gate_store(rg_word *p, uint64_t v, bool ordered)
{
    (void)ordered;
    atomic_store(p, v);
}
bool gate_cas(rg_word *p, uint64_t old, uint64_t new_)
{
    gate(CAS, p);
    return atomic_compare_exchange_strong(p, &old, new_);
}
uint64_t gate_add(rg_word *p, uint64_t n) { return atomic_fetch_add(p, n); }
void gate_fence(void) { atomic_thread_fence(memory_order_seq_cst); }

/* An actor with entries does a k-CAS, one without reads the word e[0].word. */
static void *act(void *p)
{
    actor *a = self = p;
    while (sem_wait(&a->go) != 0) {}
    if (a->n)
        a->result = rg_kcas(SPACE, a->slot->index, a->e, a->n);
    else
        a->value = rg_read(SPACE, a->slot->index, a->e[0].word);
    a->finished = true;
    sem_post(&a->stopped);
    return NULL;
}

/* Lets it go on until it is about to do that; false when it has finished instead. */
static bool run_to(actor *a, int kind, const rg_word *at, unsigned skip)
{
    a->kind = kind;
    a->at = at;
    a->skip = skip;
    sem_post(&a->go);
    while (sem_wait(&a->stopped) != 0) {}
    return !a->finished;
}

static void finish(actor *a)
{
    CHECK(!run_to(a, NOWHERE, NULL, 0), "stopped");
    pthread_join(a->thread, NULL);
}

static void start(actor *a, size_t n)
{
    if (!a->slot) a->slot = rg_slot_claim(dom);
    a->n = n;
    a->finished = false;
    sem_init(&a->go, 0, 0);
    sem_init(&a->stopped, 0, 0);
    CHECK(pthread_create(&a->thread, NULL, act, a) == 0, "pthread_create");
}

static rg_word w[5]; /* A, B, C, D, E: in address order */
#define A (&w[0])
#define B (&w[1])
#define C (&w[2])
#define D (&w[3])
#define E (&w[4])
#define STATUS(a) (&(a).slot->desc.status)

static actor g, h;

/* ---- the schedule of anchors.md ------------------------------------------------------------------ */

static void helper_stalls(unsigned skip)
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
    finish(&h);
    for (unsigned i = 0; i < 5; i++) CHECK(!rg_is_ref(w[i]), "word %u holds a reference that nobody can resolve", i);
    CHECK(h.value == 0 && !w[0] && !w[1] && !w[2] && w[3] == 1 && w[4] == 1, "the values");
}

static void dangling_reference(void) { helper_stalls(1); } /* between its RDCSS reference and ours */
static void late_rdcss(void) { helper_stalls(0); } /* before its RDCSS reference */

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

/* ---- compares ------------------------------------------------------------------------------------ */

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
        g = (actor){ .slot = g.slot, .e = { { B, 0, 0 }, { C, 0, 0 }, { A, 0, 1 } } };
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
    run_to(&h, LOAD, &h.slot->desc.clock, 0);
    bool left = atomic_load(B) == 1;
    run_to(&k, LOAD, &k.slot->desc.clock, 0);
    finish(&g);
    CHECK(!left || g.result == RG_FAILED, "a state that never was, was seen");
    finish(&h);
    finish(&k);
}

TESTS({ "dangling_reference", dangling_reference }, { "late_rdcss", late_rdcss },
      { "owner_stalls_undecided", owner_stalls_undecided }, { "owner_stalls_decided", owner_stalls_decided },
      { "stale_decision", stale_decision }, { "read_only_cycle", read_only_cycle }, { "snapshot", snapshot },
      { "verify", verify },
      { "changes_under_way", changes_under_way })
