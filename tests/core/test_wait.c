/* The waiter table: no wake-up is lost, nobody is woken for nothing, and no trace is left. */
#include "harness.h"

#include <semaphore.h>

#define WORDS 3

static rg_word words[WORDS];
static _Atomic uint64_t waiters, freed, woken;

static void wake(rg_waiter *w)
{
    atomic_fetch_add(&woken, 1);
    sem_post(w->arg);
}

static void done(rg_waiter *w)
{
    sem_destroy(w->arg);
    free(w->arg);
    memset(w, 0xdd, sizeof *w);
    free(w);
    atomic_fetch_add(&freed, 1);
}

static rg_waiter *waiter_new(rg_word **at, size_t n)
{
    rg_waiter *w = malloc(sizeof *w + n * sizeof w->recs[0]);
    rg_store(&w->state, RG_WAITING);
    rg_store(&w->linked, n);
    w->wake = wake;
    w->done = done;
    w->arg = malloc(sizeof(sem_t));
    sem_init(w->arg, 0, 0);
    w->n = n;
    for (size_t i = 0; i < n; i++) w->recs[i].word = at[i];
    atomic_fetch_add(&waiters, 1);
    return w;
}

/* Waits until one of the words is no longer as in e; a lost wake-up hangs, and the alarm tells. */
static void await_change(rg_slot *s, rg_cas_entry *e, size_t n)
{
    rg_word *at[WORDS];
    for (size_t i = 0; i < n; i++) at[i] = e[i].word;
    rg_waiter *w = waiter_new(at, n);
    CHECK(rg_reserve(s, n), "memory");
    rg_pin(s);
    rg_wait_register(s, w);
    int r;
    do r = rg_kcas(SPACE, s->index, e, n);
    while (r == RG_CONFLICT);
    rg_unpin(s);
    if (r == RG_SUCCEEDED)
        while (sem_wait(w->arg) != 0) {}
    bool notified = rg_wait_leave(s, w);
    CHECK(notified || r == RG_FAILED, "woken by nobody");
}

static void add_one(rg_slot *s, rg_word *w)
{
    uint64_t v;
    do v = rg_read(SPACE, s->index, w);
    while (!rg_cas1(SPACE, s->index, w, v, v + 1));
    rg_wake(s, w);
}

static void nothing_left(void)
{
    CHECK(rg_wait_count(dom) == 0, "%zu records left", rg_wait_count(dom));
    CHECK(rg_load(&dom->waiting) == 0, "%lld still count as waiting", (long long)rg_load(&dom->waiting));
    rg_flush(here());
    CHECK(freed == waiters, "%llu waiters, %llu freed", (unsigned long long)waiters, (unsigned long long)freed);
}

/* ---- a ball between threads: a lost wake-up stops it for ever --------------------------------------- */

static unsigned players;

static void play(worker *w)
{
    rg_slot *s = here();
    uint64_t n = 3000;
#ifdef __SANITIZE_THREAD__
    n = 500;
#endif
    while (w->count[0] < n) {
        rg_cas_entry e[WORDS];
        for (unsigned i = 0; i < WORDS; i++) {
            uint64_t v = rg_read(SPACE, s->index, &words[i]);
            e[i] = (rg_cas_entry){ &words[i], v, v };
        }
        if (e[0].old % players == w->id) {
            add_one(s, &words[0]);
            w->count[0]++;
        } else {
            await_change(s, e, 1 + w->id % WORDS);
        }
    }
}

static void ball(unsigned n)
{
    worker w[8] = { 0 };
    void (*f[])(worker *) = { play };
    players = n;
    workers_start(w, n, f, 1);
    workers_join(w, n);
    CHECK(rg_load(&words[0]) == n * w[0].count[0], "the ball");
    nothing_left();
}

static void ball_of_two(void) { ball(2); }
static void ball_of_five(void) { ball(5); }

/* ---- many waiters, many words, many writers ---------------------------------------------------------- */

static void wait_again(worker *w)
{
    rg_slot *s = here();
    while (running()) {
        rg_cas_entry e[WORDS];
        for (unsigned i = 0; i < WORDS; i++) {
            uint64_t v = rg_read(SPACE, s->index, &words[i]);
            e[i] = (rg_cas_entry){ &words[i], v, v };
        }
        await_change(s, e, WORDS);
        w->count[0]++;
    }
}

static void write_and_wake(worker *w)
{
    rg_slot *s = here();
    for (; running(); w->count[0]++) {
        add_one(s, &words[random_of(w) % WORDS]);
        if (w->count[0] % 32 == 0) sched_yield();
    }
    for (unsigned i = 0; i < 50; i++) { /* the last ones, until everybody has seen the end */
        add_one(s, &words[0]);
        nap(0.001);
    }
}

static void crowd(void)
{
    worker w[6] = { 0 };
    void (*f[])(worker *) = { wait_again, write_and_wake, wait_again };
    workers_run(w, 6, f, 3);
    CHECK(w[0].count[0] && w[2].count[0], "nobody woke");
    nothing_left();
}

/* ---- step by step --------------------------------------------------------------------------------------- */

static void each_is_woken_once(void)
{
    rg_slot *s = here(), *other = rg_slot_claim(dom);
    rg_waiter *w[5];
    rg_word *at[WORDS] = { &words[0], &words[1], &words[0] }; /* one word twice */
    for (unsigned i = 0; i < 5; i++) {
        CHECK(rg_reserve(s, WORDS), "memory");
        w[i] = waiter_new(i == 4 ? &at[1] : at, i == 4 ? 1 : WORDS); /* the last waits for words[1] only */
        rg_wait_register(s, w[i]);
    }
    CHECK(rg_wait_count(dom) == 4 * WORDS + 1 && rg_load(&dom->waiting) == 5, "registered");
    CHECK(rg_wake(other, &words[2]) == 0 && woken == 0, "woken for a word that nobody waits for");
    CHECK(rg_wake(other, &words[0]) == 4 && woken == 4, "all that wait for the word, each once: %llu", (unsigned long long)woken);
    CHECK(rg_wake(other, &words[0]) == 0, "they were woken before");
    CHECK(rg_wait_leave(s, w[2]), "it was notified");
    CHECK(rg_wait_count(dom) == 3 * WORDS + 1, "its records are out when it has left");
    CHECK(!rg_wait_leave(s, w[4]), "it was not notified");
    CHECK(rg_wake(other, &words[1]) == 0, "it has left");
    CHECK(freed < 2, "freed although another slot is in use and no grace period is over");
    rg_pin(other);
    for (unsigned i = 0; i < 4; i++)
        if (i != 2) CHECK(rg_wait_leave(s, w[i]), "notified");
    CHECK(rg_wait_count(dom) == 0 && rg_load(&dom->waiting) == 0, "all have left");
    rg_flush(s);
    CHECK(freed <= 2, "freed under a pin");
    rg_unpin(other);
    nothing_left();
}

TESTS({ "ball_of_two", ball_of_two }, { "ball_of_five", ball_of_five }, { "crowd", crowd },
      { "each_is_woken_once", each_is_woken_once })
