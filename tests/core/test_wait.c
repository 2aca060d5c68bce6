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

/* n words, or if they are NULL n lists. */
static rg_waiter *waiter_of(rg_word **at, rg_list **lists, size_t n)
{
    rg_waiter *w = malloc(sizeof *w + n * sizeof w->recs[0]);
    rg_store(&w->state, RG_WAITING);
    w->later = NULL;
    w->wake = wake;
    w->done = done;
    w->arg = malloc(sizeof(sem_t));
    sem_init(w->arg, 0, 0);
    w->n = n;
    for (size_t i = 0; i < n; i++) {
        w->recs[i].word = at ? at[i] : NULL;
        w->recs[i].list = at ? NULL : lists[i];
    }
    atomic_fetch_add(&waiters, 1);
    return w;
}

static rg_waiter *waiter_new(rg_word **at, size_t n) { return waiter_of(at, NULL, n); }

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
    bool notified = rg_wait_leave(s, w) == RG_NOTIFIED;
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
    CHECK(rg_wait_count(dom) == 4 * WORDS + 1 && rg_load(&dom->waiting) == 4 * WORDS + 1, "registered");
    CHECK(rg_wake(other, &words[2]) == 0 && woken == 0, "woken for a word that nobody waits for");
    CHECK(rg_wake(other, &words[0]) == 4 && woken == 4, "all that wait for the word, each once: %llu", (unsigned long long)woken);
    CHECK(rg_wake(other, &words[0]) == 0, "they were woken before");
    CHECK(rg_wait_leave(s, w[2]) == RG_NOTIFIED, "it was notified");
    CHECK(rg_wait_count(dom) == 3 * WORDS + 1, "its records are out when it has left");
    CHECK(rg_wait_leave(s, w[4]) == RG_WAITING, "it was not notified");
    CHECK(rg_wake(other, &words[1]) == 0, "it has left");
    CHECK(freed < 2, "freed although another slot is in use and no grace period is over");
    rg_pin(other);
    for (unsigned i = 0; i < 4; i++)
        if (i != 2) CHECK(rg_wait_leave(s, w[i]) == RG_NOTIFIED, "notified");
    CHECK(rg_wait_count(dom) == 0 && rg_load(&dom->waiting) == 0, "all have left");
    rg_flush(s);
    CHECK(freed <= 2, "freed under a pin");
    rg_unpin(other);
    nothing_left();
}

/* ---- one of many --------------------------------------------------------------------------------------------- */

static rg_list takers, others;

static rg_waiter *registered(rg_slot *s, rg_list *a, rg_list *b)
{
    rg_list *at[] = { a, b };
    rg_waiter *w = waiter_of(NULL, at, b ? 2 : 1);
    rg_wait_register(s, w);
    return w;
}

static bool is_woken(rg_waiter *w) { return sem_trywait(w->arg) == 0; }

static size_t length(rg_slot *s, rg_list *l)
{
    size_t n = 0;
    rg_pin(s);
    for (rg_link *at = rg_list_first(s, l); at; at = rg_list_next(s, l, at)) n++;
    rg_unpin(s);
    return n;
}

#define BY(l) ((uint64_t)(uintptr_t)&(l))

static void the_oldest_first(void)
{
    rg_slot *s = here(), *other = rg_slot_claim(dom);
    rg_waiter *w[6];
    rg_list_init(&takers);
    CHECK(rg_wake_some(other, &takers, 1) == 0, "nobody is there");
    for (unsigned i = 0; i < 6; i++) w[i] = registered(s, &takers, NULL);
    CHECK(rg_wait_count(dom) == 6 && length(s, &takers) == 6, "registered");
    CHECK(rg_wake(other, &words[0]) == 0, "no word was waited for");
    CHECK(rg_wake_some(other, &takers, 1) == 1 && woken == 1 && is_woken(w[0]), "the oldest, and no other");
    CHECK(rg_wait_count(dom) == 5 && length(s, &takers) == 5, "its record is out before it has left");
    CHECK(rg_wait_leave(s, w[2]) == RG_WAITING && length(s, &takers) == 4, "out of the middle");
    CHECK(rg_wake_some(other, &takers, 2) == 2 && is_woken(w[1]) && is_woken(w[3]), "the next two");
    CHECK(rg_wait_leave(s, w[0]) == BY(takers) && rg_wait_leave(s, w[3]) == BY(takers), "they know by whom");
    CHECK(rg_wake_some(other, &takers, 9) == 2 && is_woken(w[4]) && is_woken(w[5]) && length(s, &takers) == 0, "all that are left");
    CHECK(rg_wake_some(other, &takers, 1) == 0 && woken == 5, "nobody is left");
    CHECK(freed < 2, "freed with a waiter that has not left, or before the grace period is over");
    for (unsigned i = 0; i < 6; i++)
        if (i == 1 || i > 3) CHECK(rg_wait_leave(s, w[i]) == BY(takers), "they leave later");
    rg_flush(other);
    nothing_left();
}

/* Not freed by the waker, be it ever so alone, before its owner has left. */
static void a_woken_waiter_is_its_owners(void)
{
    rg_slot *s = here();
    rg_list_init(&takers);
    rg_waiter *w = registered(s, &takers, NULL);
    CHECK(rg_wake_some(s, &takers, 1) == 1, "woken");
    rg_flush(s);
    CHECK(freed == 0 && is_woken(w) && rg_wait_leave(s, w) == BY(takers), "still there");
    nothing_left();
}

static void who_was_woken_otherwise_is_passed_over(void)
{
    rg_slot *s = here();
    rg_list_init(&takers);
    rg_list_init(&others);
    rg_waiter *both = registered(s, &takers, &others), *one = registered(s, &takers, NULL), *two = registered(s, &others, NULL);
    CHECK(rg_wake_some(s, &others, 1) == 1 && is_woken(both), "the oldest of these");
    CHECK(length(s, &takers) == 2, "the record in the other list stays");
    CHECK(rg_wake_some(s, &takers, 1) == 1 && is_woken(one), "passed over, and not counted");
    CHECK(length(s, &takers) == 0 && rg_wait_count(dom) == 1, "but taken out");
    CHECK(rg_wait_leave(s, both) == BY(others) && rg_wait_leave(s, one) == BY(takers), "by whom");
    CHECK(rg_wake_some(s, &others, 2) == 1 && is_woken(two) && rg_wait_leave(s, two) == BY(others), "the next");
    rg_waiter *last = registered(s, &takers, NULL);
    rg_pin(s);
    CHECK(rg_wait_notify(s, last, 77) && !rg_wait_notify(s, last, 78), "once");
    rg_unpin(s);
    CHECK(rg_wake_some(s, &takers, 1) == 0 && rg_wait_leave(s, last) == 77, "for a reason of the caller's");
    nothing_left();
}

/* A child spends nothing on those who are gone; who forked, from within its wait, leaves as usual. */
static void the_child_wakes_its_own(void)
{
    rg_slot *s = here();
    rg_list_init(&takers);
    rg_waiter *lost = registered(s, &takers, NULL);
    rg_word *at[] = { &words[0], NULL };
    rg_list *list[] = { NULL, &takers };
    rg_waiter *mine = waiter_of(NULL, list, 2);
    mine->recs[0].word = at[0];
    rg_wait_register(s, mine);
    pid_t pid = fork();
    if (pid == 0) {
        CHECK(rg_wait_forgotten(s, mine) && rg_wait_count(dom) == 0, "forgotten");
        rg_waiter *anew = registered(s, &takers, NULL);
        CHECK(rg_wait_count(dom) == 1 && length(s, &takers) == 3, "behind those of the parent");
        CHECK(rg_wake_some(s, &takers, 1) == 1 && is_woken(anew) && woken == 1, "spent on somebody who is gone");
        CHECK(rg_wait_count(dom) == 0 && length(s, &takers) == 0, "they were taken out, and had not been counted");
        CHECK(rg_wait_leave(s, mine) == RG_WAITING && rg_wait_leave(s, anew) == BY(takers) && rg_wait_count(dom) == 0, "leaving");
        CHECK(rg_wait_leave(s, lost) == RG_WAITING, "so does the other, to be counted");
        nothing_left();
        rg_waiter *again = registered(s, &takers, NULL);
        pid = fork();
        if (pid == 0) {
            CHECK(rg_wait_leave(s, again) == RG_WAITING && length(s, &takers) == 0, "leaves a list that nobody looked at");
            nothing_left();
            _exit(0);
        }
        int status;
        waitpid(pid, &status, 0);
        _exit(status != 0);
    }
    int status;
    waitpid(pid, &status, 0);
    CHECK(status == 0, "the child ended with %d", status);
    CHECK(rg_wake_some(s, &takers, 2) == 2, "the parent has both");
    CHECK(rg_wait_leave(s, lost) == BY(takers) && rg_wait_leave(s, mine) == BY(takers), "leaving");
    nothing_left();
}

/* ---- called later ---------------------------------------------------------------------------------------------- */

static unsigned called[8], n_called, depth, deepest;

static void done_called(rg_waiter *w)
{
    memset(w, 0xdd, sizeof *w);
    free(w);
    atomic_fetch_add(&freed, 1);
}

/* Changes another word itself. */
static void call(rg_waiter *w)
{
    rg_slot *s = here();
    CHECK(s->pins == 0, "called while pinned");
    deepest = ++depth > deepest ? depth : deepest;
    called[n_called++] = (unsigned)(uintptr_t)w->arg;
    if (w->arg == (void *)1) rg_wake(s, &words[1]);
    depth--;
}

static rg_waiter *to_be_called(rg_slot *s, unsigned id, rg_word *word, rg_list *list)
{
    rg_waiter *w = calloc(1, sizeof *w + sizeof w->recs[0]);
    w->later = call;
    w->done = done_called;
    w->arg = (void *)(uintptr_t)id;
    w->n = 1;
    w->recs[0].word = word;
    w->recs[0].list = list;
    atomic_fetch_add(&waiters, 1);
    rg_wait_register(s, w);
    return w;
}

static void later(void)
{
    rg_slot *s = here();
    CHECK(rg_slot_claim(dom), "no slot"); /* else each retirement makes rg_unpin look */
    rg_list_init(&takers);
    rg_waiter *w[5];
    for (unsigned i = 0; i < 3; i++) w[i] = to_be_called(s, i, NULL, &takers);
    w[3] = to_be_called(s, 3, &words[1], NULL);
    w[4] = to_be_called(s, 4, &words[1], NULL);
    rg_pin(s);
    CHECK(rg_wake_some(s, &takers, 3) == 3 && n_called == 0, "not while pinned");
    CHECK(rg_wait_leave(s, w[2]) == BY(takers) && freed == 0, "it leaves, and is still to be called");
    rg_unpin(s);
    CHECK(n_called == 5, "%u were called", n_called);
    for (unsigned i = 0; i < 5; i++) CHECK(called[i] == i, "the oldest first");
    CHECK(deepest == 1, "a call within a call");
    rg_flush(s);
    CHECK(freed == 1, "the one that has left");
    for (unsigned i = 0; i < 5; i++)
        if (i != 2) CHECK(rg_wait_leave(s, w[i]) == (i < 3 ? BY(takers) : RG_NOTIFIED), "the others");
    CHECK(!s->woken && s->due, "nobody is to be called any more");
    w[0] = to_be_called(s, 7, NULL, &takers);
    CHECK(rg_wake_some(s, &takers, 1) == 1 && n_called == 6, "at once where nothing is pinned");
    rg_wait_leave(s, w[0]);
    nothing_left();
}

/* ---- an item for each ------------------------------------------------------------------------------------------ */

static rg_word items;

static bool take_item(rg_slot *s)
{
    for (;;) {
        uint64_t v = rg_read(SPACE, s->index, &items);
        if (!v) return false;
        if (rg_cas1(SPACE, s->index, &items, v, v - 1)) return true;
    }
}

static void give(worker *w)
{
    rg_slot *s = here();
    for (uint64_t i = 0; i < w->count[0]; i++) {
        uint64_t v;
        do v = rg_read(SPACE, s->index, &items);
        while (!rg_cas1(SPACE, s->index, &items, v, v + 1));
        rg_wake_some(s, &takers, 1);
        if (i % 16 == 0) sched_yield();
    }
}

/* Takes its share; some lose patience, and pass on what they got with it. */
static void want(worker *w)
{
    rg_slot *s = here();
    while (w->count[1] < w->count[0]) {
        if (take_item(s)) {
            w->count[1]++;
            continue;
        }
        rg_waiter *x = registered(s, &takers, NULL);
        if (rg_read(SPACE, s->index, &items) == 0 && random_of(w) % 4)
            while (sem_wait(x->arg) != 0) {}
        if (rg_wait_leave(s, x) == BY(takers)) {
            if (random_of(w) % 4 && take_item(s))
                w->count[1]++;
            else
                rg_wake_some(s, &takers, 1);
        }
    }
}

static void an_item_for_each(void)
{
    worker w[5] = { 0 };
    void (*f[])(worker *) = { give, want, want, give, want };
    uint64_t n = 6000;
#ifdef __SANITIZE_THREAD__
    n = 900;
#endif
    rg_list_init(&takers);
    atomic_store(&stopped, false);
    pthread_barrier_init(&start_line, NULL, 5);
    for (unsigned i = 0; i < 5; i++) {
        w[i] = (worker){ .run = f[i], .id = i, .seed = 0x9E3779B97F4A7C15ULL * (i + 1), .count = { f[i] == give ? n / 2 : n / 3 } };
        CHECK(pthread_create(&w[i].thread, NULL, worker_main, &w[i]) == 0, "pthread_create");
    }
    workers_join(w, 5); /* a wake-up that is lost leaves one waiting */
    CHECK(rg_load(&items) == 0 && length(here(), &takers) == 0, "all are served");
    nothing_left();
}

TESTS({ "the_oldest_first", the_oldest_first }, { "a_woken_waiter_is_its_owners", a_woken_waiter_is_its_owners },
      { "who_was_woken_otherwise_is_passed_over", who_was_woken_otherwise_is_passed_over },
      { "the_child_wakes_its_own", the_child_wakes_its_own }, { "later", later }, { "an_item_for_each", an_item_for_each },
      { "ball_of_two", ball_of_two }, { "ball_of_five", ball_of_five }, { "crowd", crowd },
      { "each_is_woken_once", each_is_woken_once })
