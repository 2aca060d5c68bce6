/* Threads that end give back their slot and what they had retired; domains are used again. */
#include "harness.h"

static rg_word word, pair[2];
static _Atomic uint64_t retired, reclaimed;

static void count_reclaimed(rg_slot *s, void *p)
{
    (void)s;
    atomic_fetch_add(&reclaimed, 1);
    free(p);
}

static void work_a_little(unsigned n)
{
    rg_slot *s = here();
    for (unsigned i = 0; i < n; i++) {
        CHECK(rg_reserve(s, 1), "memory");
        rg_pin(s);
        uint64_t v;
        do v = rg_read(SPACE, s->index, &word);
        while (!rg_cas1(SPACE, s->index, &word, v, v + 1));
        atomic_fetch_add(&retired, 1);
        if (i % 2)
            rg_retire(s, malloc(8), count_reclaimed);
        else
            rg_retire_lazily(s, malloc(8), count_reclaimed);
        rg_unpin(s);
        rg_cas_entry e[12]; /* more than fit into the descriptor itself */
        static rg_word many[12];
        for (unsigned j = 0; j < 12; j++) {
            v = rg_read(SPACE, s->index, &many[j]);
            e[j] = (rg_cas_entry){ &many[j], v, v + 1 };
        }
        rg_kcas(SPACE, s->index, e, 12);
    }
}

static void *short_life(void *p)
{
    work_a_little((unsigned)(uintptr_t)p);
    return NULL;
}

static void short_lives(void)
{
    pthread_t t[8];
    for (unsigned round = 0; round < 150; round++) {
        for (unsigned i = 0; i < 8; i++)
            CHECK(pthread_create(&t[i], NULL, short_life, (void *)(uintptr_t)(i * 9)) == 0, "pthread_create");
        if (round % 2) work_a_little(5);
        for (unsigned i = 0; i < 8; i++) pthread_join(t[i], NULL);
        uint64_t high = rg_load(&dom->high), active = rg_load(&dom->active);
        CHECK(high <= 9, "%llu slots for at most nine threads", (unsigned long long)high);
        CHECK(active <= 1, "%llu slots in use by one thread", (unsigned long long)active);
    }
    rg_flush(here());
    CHECK(retired == reclaimed, "%llu retired, %llu reclaimed", (unsigned long long)retired, (unsigned long long)reclaimed);
    CHECK(rg_load(&dom->orphans) == 0, "rings were left behind");
    uint64_t sum;
    CHECK(rg_clock_read(SPACE, &sum), "a clock was left odd");
}

/* A thread that ends leaves its garbage to those that live, who do nothing special. */
static void orphans_are_adopted(void)
{
    here();
    pthread_t t;
    for (unsigned i = 0; i < 4; i++) {
        pthread_create(&t, NULL, short_life, (void *)(uintptr_t)50);
        pthread_join(t, NULL);
    }
    CHECK(reclaimed < retired, "nothing was left behind: the test is void");
    work_a_little(2);
    CHECK(reclaimed == retired, "%llu retired, %llu reclaimed", (unsigned long long)retired, (unsigned long long)reclaimed);
}

/* ---- all slots ------------------------------------------------------------------------------------ */

static void slots_run_out(void)
{
    static rg_slot *all[RG_MAX_SLOTS];
    for (unsigned i = 0; i < RG_MAX_SLOTS; i++) {
        all[i] = rg_slot_claim(dom);
        CHECK(all[i] && all[i]->index == i, "slot %u", i);
    }
    CHECK(!rg_slot_claim(dom) && !rg_slot_get(dom), "a slot too many");
    rg_slot *last = all[RG_MAX_SLOTS - 1];
    rg_cas_entry e[2] = { { &pair[0], 0, 1 }, { &pair[1], 0, 1 } };
    CHECK(rg_kcas(SPACE, last->index, e, 2) == RG_SUCCEEDED && rg_load(&pair[1]) == 1, "the last slot works");
}

/* ---- domains --------------------------------------------------------------------------------------- */

static spin_barrier barrier;
static rg_slot *of_thread[2];

static void *outlives_a_domain(void *p)
{
    (void)p;
    of_thread[0] = here();
    spin_barrier_wait(&barrier, 2);
    spin_barrier_wait(&barrier, 2); /* closed and opened again */
    of_thread[1] = here();
    for (unsigned i = 0; i < 20000; i++) {
        rg_cas_entry e[2];
        for (unsigned j = 0; j < 2; j++) {
            uint64_t v = rg_read(SPACE, of_thread[1]->index, &pair[j]);
            e[j] = (rg_cas_entry){ &pair[j], v, v + 1 };
        }
        rg_kcas(SPACE, of_thread[1]->index, e, 2);
    }
    spin_barrier_wait(&barrier, 2);
    spin_barrier_wait(&barrier, 2); /* counted */
    return NULL;
}

static void domain_opened_again(void)
{
    pthread_t t;
    rg_domain *first = dom;
    pthread_create(&t, NULL, outlives_a_domain, NULL);
    spin_barrier_wait(&barrier, 2);
    rg_slot *s = here();
    CHECK(s != of_thread[0], "two threads, one slot");
    CHECK(rg_reserve(s, 1), "memory");
    atomic_fetch_add(&retired, 1);
    rg_retire_lazily(s, malloc(8), count_reclaimed);
    rg_domain_close(dom);
    CHECK(retired == reclaimed, "closing reclaims everything");
    dom = rg_domain_open();
    CHECK(dom == first, "pooled: else the test is void");
    s = here();
    spin_barrier_wait(&barrier, 2);
    for (unsigned i = 0; i < 20000; i++) {
        rg_cas_entry e[2];
        for (unsigned j = 0; j < 2; j++) {
            uint64_t v = rg_read(SPACE, s->index, &pair[j]);
            e[j] = (rg_cas_entry){ &pair[j], v, v + 1 };
        }
        rg_kcas(SPACE, s->index, e, 2);
    }
    spin_barrier_wait(&barrier, 2);
    CHECK(s != of_thread[1], "two threads, one slot, after the domain was opened again");
    CHECK(rg_load(&dom->active) == 2, "%llu slots in use by two threads", (unsigned long long)rg_load(&dom->active));
    CHECK(rg_load(&pair[0]) == rg_load(&pair[1]), "torn");
    spin_barrier_wait(&barrier, 2);
    pthread_join(t, NULL);
    CHECK(rg_load(&dom->active) == 1 && rg_load(&s->desc.owner), "the other thread's end took my slot away");
    CHECK(rg_slot_get(dom) == s, "my slot");
}

static void many_domains(void)
{
    rg_domain *first = dom, *d[20];
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 20; i++) {
            dom = d[i] = rg_domain_open();
            CHECK(dom && dom != first, "domain");
            work_a_little(3);
        }
        for (unsigned i = 0; i < 20; i++) {
            dom = d[i];
            work_a_little(3);
            rg_domain_close(d[i]);
        }
    }
    dom = first;
    work_a_little(3);
    rg_flush(here());
    CHECK(retired == reclaimed, "%llu retired, %llu reclaimed", (unsigned long long)retired, (unsigned long long)reclaimed);
}

TESTS({ "short_lives", short_lives }, { "orphans_are_adopted", orphans_are_adopted }, { "slots_run_out", slots_run_out },
      { "domain_opened_again", domain_opened_again }, { "many_domains", many_domains })
