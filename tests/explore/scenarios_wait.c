/* scenarios_wait.c - register, validate, park, beside a writer. Parking is waiting for a word that the
 * wake-up sets; a wake-up that is lost leaves the thread waiting for ever, which is a deadlock. */
#include "subject.h"

static rg_word *words, *permits; /* PERMITS for each thread: a waker may be late with one */
#define PERMITS 8u
static rg_list *takers; /* of a structure whose items words[0] counts */
static size_t live_before;

static void wake(rg_waiter *w) { rg_store(w->arg, 1); }
static void done(rg_waiter *w) { rg_free(w); }

static void setup(void)
{
    s_open(x_now->threads, 0);
    words = x_new(16, "words");
    x_name(&words[0], 8, "A");
    x_name(&words[1], 8, "B");
    permits = x_new(X_THREADS * PERMITS * 8, "permits");
    takers = x_new(sizeof *takers, "takers");
    rg_list_init(takers);
    live_before = x_live_blocks();
}

static rg_waiter *waiter_new(unsigned t, rg_word *const *at, size_t n)
{
    rg_waiter *w = rg_alloc(sizeof *w + n * sizeof w->recs[0]);
    rg_store_rlx(&w->state, RG_WAITING); /* relaxed: registering publishes it */
    w->later = NULL;
    w->wake = wake;
    w->done = done;
    w->arg = &permits[t * PERMITS];
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
    if (stands) x_await_change(&permits[t * PERMITS], 0);
    bool notified = rg_wait_leave(s, w) == RG_NOTIFIED;
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

/* ---- one of many ------------------------------------------------------------------------------------ */

static void give(unsigned t, uint64_t n)
{
    rg_slot *s = s_slots[t];
    rg_pin(s);
    uint64_t v;
    do v = rg_read(SPACE, s->index, &words[0]);
    while (!rg_cas1(SPACE, s->index, &words[0], v, v + n));
    rg_unpin(s);
    rg_wake_some(s, takers, n);
}

static bool take(rg_slot *s)
{
    rg_pin(s);
    uint64_t v;
    do v = rg_read(SPACE, s->index, &words[0]);
    while (v && !rg_cas1(SPACE, s->index, &words[0], v, v - 1));
    rg_unpin(s);
    return v != 0;
}

/* One wait for an item; `impatient` does not park. Returns whether it was woken, and so owes. */
static bool await_item(unsigned t, unsigned time, bool impatient)
{
    rg_slot *s = s_slots[t];
    X_REQUIRE(rg_reserve(s, 1), "memory");
    rg_waiter *w = waiter_new(t, (rg_word *[]){ NULL }, 1);
    rg_word *permit = w->arg = &permits[t * PERMITS + time];
    w->recs[0].list = takers;
    X_REQUIRE(time < PERMITS, "too many waits");
    rg_pin(s);
    rg_wait_register(s, w);
    bool empty = rg_read(SPACE, s->index, &words[0]) == 0;
    rg_unpin(s);
    if (empty && !impatient) x_await_change(permit, 0);
    uint64_t before = rg_wait_leave(s, w);
    X_REQUIRE(before == RG_WAITING || before == (uint64_t)(uintptr_t)takers, "woken by another");
    X_REQUIRE(before != RG_WAITING || !empty || impatient, "woken by nobody");
    return before != RG_WAITING;
}

/* From its wait number `time` on; returns the next one. */
static unsigned take_one(unsigned t, unsigned time)
{
    while (!take(s_slots[t])) (void)await_item(t, time++, false);
    return time;
}

static void run_take(unsigned t)
{
    if (t == 0) take_one(0, 0);
    else give(1, 1);
}
static void run_take_two(unsigned t)
{
    if (t < 2) take_one(t, 0);
    else give(2, 2);
}
static void run_take_twice(unsigned t)
{
    if (t == 0) {
        take_one(0, take_one(0, 0));
    } else {
        give(t, 1);
    }
}
/* The wake-up may meet thread 1 as it leaves: then it is passed on. */
static void run_pass_on(unsigned t)
{
    if (t == 0) take_one(0, 0);
    else if (t == 2) give(2, 1);
    else if (await_item(1, 0, true)) rg_wake_some(s_slots[1], takers, 1);
}
static void run_kept(unsigned t)
{
    if (t == 0) take_one(0, 0);
    else if (t == 2) give(2, 1);
    else (void)await_item(1, 0, true);
}

static void after(void)
{
    X_REQUIRE(rg_wait_count(s_dom) == 0, "%zu records are left", rg_wait_count(s_dom));
    X_REQUIRE(rg_load(&s_dom->waiting) == 0, "%lld still count as waiting", (long long)rg_load(&s_dom->waiting));
    s_reclaim_all();
    X_REQUIRE(x_live_blocks() == live_before, "%zu blocks are left, not %zu", x_live_blocks(), live_before);
}

static void after_taking(void)
{
    X_REQUIRE(rg_read(SPACE, s_slots[0]->index, &words[0]) == 0, "items are left");
    rg_pin(s_slots[0]);
    X_REQUIRE(!rg_list_first(s_slots[0], takers), "a record is left in the list");
    rg_unpin(s_slots[0]);
    after();
}

#define TAKE(n, title, f) .name = "wait." title, .threads = n, .setup = setup, .run = f, .after = after_taking
#define WAIT(n, title, f) .name = "wait." title, .threads = n, .setup = setup, .run = f, .after = after

/* A record is linked by a k-CAS of three words, which is more steps than DPOR comes to the end of. */
const x_scenario s_wait[] = {
    { WAIT(2, "one", run_one), .bound = 3 },
    { WAIT(2, "any-of-two", run_any_of_two), .bound = 3 },
    { WAIT(2, "both", run_both), .bound = 3 },
    { WAIT(2, "handshake", run_handshake), .bound = 2 },
    { WAIT(3, "two-waiters", run_two_waiters), .bound = 2 },
    { WAIT(3, "two-writers", run_two_writers), .bound = 2 },
    { WAIT(2, "one.tso", run_one), .tso = true, .bound = 1 },
    { WAIT(2, "validated-too-early", run_late), .must_fail = true, .bound = 2 },
    { TAKE(2, "take", run_take), .bound = 3 },
    { TAKE(3, "take-two", run_take_two), .bound = 2 },
    { TAKE(3, "take-twice", run_take_twice), .bound = 2 },
    { TAKE(3, "pass-on", run_pass_on), .bound = 2 },
    { TAKE(3, "not-passed-on", run_kept), .must_fail = true, .bound = 2 },
    { .name = NULL },
};
