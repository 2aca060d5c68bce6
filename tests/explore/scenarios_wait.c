/* scenarios_wait.c - register, validate, park, beside a writer. Parking is waiting for a word that the
 * wake-up sets; a wake-up that is lost leaves the thread waiting for ever, which is a deadlock. */
#include "subject.h"

static rg_word *words, *permits; /* a permit for each thread */
static size_t live_before;

static void wake(rg_waiter *w) { rg_store(w->arg, 1); }
static void done(rg_waiter *w) { rg_free(w); }

static void setup(void)
{
    s_open(x_now->threads, 0);
    words = x_new(16, "words");
    x_name(&words[0], 8, "A");
    x_name(&words[1], 8, "B");
    permits = x_new(X_THREADS * 8, "permits");
    live_before = x_live_blocks();
}

static rg_waiter *waiter_new(unsigned t, rg_word *const *at, size_t n)
{
    rg_waiter *w = rg_alloc(sizeof *w + n * sizeof w->recs[0]);
    rg_store_rlx(&w->state, RG_WAITING); /* relaxed: registering publishes it */
    w->later = NULL;
    w->wake = wake;
    w->done = done;
    w->arg = &permits[t];
    w->n = n;
    for (size_t i = 0; i < n; i++) w->recs[i].list = NULL, w->recs[i].word = at[i];
    return w;
}

/* Until one of the words is not 0. In the `late` order, which is wrong, what was read is validated
 * before the waiter is registered. */
static void await_any(unsigned t, rg_word *const *at, size_t n, bool late)
{
    rg_slot *s = s_slots[t];
    X_REQUIRE(rg_reserve(s, n), "memory");
    rg_waiter *w = waiter_new(t, at, n);
    bool stands = true;
    rg_pin(s);
    if (!late) rg_wait_register(s, w);
    for (size_t i = 0; i < n; i++) stands &= rg_read(SPACE, s->index, at[i]) == 0;
    if (late) rg_wait_register(s, w);
    rg_unpin(s);
    if (stands) x_await_change(&permits[t], 0);
    bool notified = rg_wait_leave(s, w);
    X_REQUIRE(notified || !stands, "woken by nobody");
}

static void change(unsigned t, rg_word *w)
{
    rg_slot *s = s_slots[t];
    rg_pin(s);
    X_REQUIRE(rg_cas1(SPACE, s->index, w, 0, 1), "nobody else writes");
    rg_unpin(s);
    rg_wake(s, w);
}

static void change_both(unsigned t)
{
    rg_slot *s = s_slots[t];
    rg_cas_entry e[2] = { { &words[0], 0, 1 }, { &words[1], 0, 1 } };
    rg_pin(s);
    X_REQUIRE(rg_kcas(SPACE, s->index, e, 2) == RG_SUCCEEDED, "nobody else writes");
    rg_unpin(s);
    rg_wake(s, &words[0]);
    rg_wake(s, &words[1]);
}

static void run_one(unsigned t)
{
    if (t == 0) await_any(0, (rg_word *[]){ &words[0] }, 1, false);
    else change(1, &words[0]);
}
static void run_late(unsigned t)
{
    if (t == 0) await_any(0, (rg_word *[]){ &words[0] }, 1, true);
    else change(1, &words[0]);
}
static void run_any_of_two(unsigned t)
{
    if (t == 0) await_any(0, (rg_word *[]){ &words[0], &words[1] }, 2, false);
    else change(1, &words[1]);
}
static void run_both(unsigned t)
{
    if (t == 0) await_any(0, (rg_word *[]){ &words[0], &words[1] }, 2, false);
    else change_both(1);
}
static void run_two_waiters(unsigned t)
{
    if (t < 2) await_any(t, (rg_word *[]){ &words[0] }, 1, false);
    else change(2, &words[0]);
}
static void run_two_writers(unsigned t)
{
    if (t == 0) await_any(0, (rg_word *[]){ &words[0], &words[1] }, 2, false);
    else change(t, &words[t - 1]);
}
/* Each waits for the other's change, having made its own. */
static void run_handshake(unsigned t)
{
    change(t, &words[t]);
    await_any(t, (rg_word *[]){ &words[1 - t] }, 1, false);
}

static void after(void)
{
    X_REQUIRE(rg_wait_count(s_dom) == 0, "%zu records are left", rg_wait_count(s_dom));
    X_REQUIRE(rg_load(&s_dom->waiting) == 0, "%lld still count as waiting", (long long)rg_load(&s_dom->waiting));
    s_reclaim_all();
    X_REQUIRE(x_live_blocks() == live_before, "%zu blocks are left, not %zu", x_live_blocks(), live_before);
}

#define WAIT(n, title, f) .name = "wait." title, .threads = n, .setup = setup, .run = f, .after = after

const x_scenario s_wait[] = {
    { WAIT(2, "one", run_one) },
    { WAIT(2, "any-of-two", run_any_of_two) },
    { WAIT(2, "both", run_both) },
    { WAIT(2, "handshake", run_handshake) },
    { WAIT(3, "two-waiters", run_two_waiters) },
    { WAIT(3, "two-writers", run_two_writers) },
    { WAIT(2, "one.tso", run_one), .tso = true },
    { WAIT(2, "validated-too-early", run_late), .must_fail = true },
    { .name = NULL },
};
