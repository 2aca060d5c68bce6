/* A child of a threaded process goes on at once, on the very words that others were changing. */
#include "harness.h"

/* The sanitizers' own allocator keeps locked in the child what a lost thread was allocating (seen with
 * gcc 12's AddressSanitizer), so under them nobody allocates while others fork; and ThreadSanitizer
 * knows no new threads in the child of a threaded process. The plain build does it all. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

#define WORDS 6
#define FORKS 60

static rg_word words[WORDS], waited_for;
static rg_stack stack;

static void free_it(rg_slot *s, void *p)
{
    (void)s;
    free(p);
}

static bool add_to_all(rg_slot *s, unsigned first, unsigned n)
{
    rg_cas_entry e[WORDS];
    for (unsigned i = 0; i < n; i++) {
        rg_word *at = &words[(first + i) % WORDS];
        uint64_t v = rg_read(SPACE, s->index, at);
        e[i] = (rg_cas_entry){ at, v, i % 2 ? v - 1 : v + 1 };
    }
    return rg_kcas(SPACE, s->index, e, n) == RG_SUCCEEDED;
}

/* Pinned. */
static void pair_on_stack(rg_slot *s, rg_node *n, rg_tried first)
{
    rg_stack_push(s, &stack, n, first);
    rg_tried t = rg_stack_pop(s, &stack, &n, first);
    if (t == RG_TRIED_DONE) rg_retire(s, n, rg_node_expired);
    if (t == RG_TRIED_MET) rg_node_free(s, n);
}

static void load(worker *w)
{
    rg_slot *s = here();
    while (running()) {
        w->count[0] += add_to_all(s, (unsigned)(random_of(w) % WORDS), random_of(w) % 2 ? 2 : 6);
        if (SANITIZED) continue;
        CHECK(rg_reserve(s, 2), "memory");
        rg_node *n = rg_node_new(s, 7);
        rg_pin(s);
        pair_on_stack(s, n, RG_TRIED_LOST); /* as if both had lost a first try: forks find offers */
        rg_retire(s, malloc(8), free_it);
        rg_unpin(s);
    }
}

static void *lives_briefly(void *p)
{
    (void)p;
    rg_slot *s = here();
    if (rg_reserve(s, 1)) rg_retire(s, malloc(8), free_it);
    return NULL;
}

/* Threads that begin and end, so that a fork finds some half begun. */
static void churn(worker *w)
{
    pthread_t t[3];
    for (; running(); w->count[0]++) {
        for (unsigned i = 0; i < 3; i++) CHECK(pthread_create(&t[i], NULL, lives_briefly, NULL) == 0, "pthread_create");
        for (unsigned i = 0; i < 3; i++) pthread_join(t[i], NULL);
    }
}

static void registered_for_ever(worker *w)
{
    rg_slot *s = here();
    rg_waiter *x = calloc(1, sizeof *x + sizeof x->recs[0]);
    x->n = 1;
    x->recs[0].word = &waited_for;
    x->arg = x;
    w->arg = x;
    if (rg_reserve(s, 1)) rg_wait_register(s, x);
    while (running()) nap(0.001);
}

/* ---- in the child -------------------------------------------------------------------------------- */

static void child_load(worker *w)
{
    rg_slot *s = here();
    for (w->count[0] = 0; w->count[0] < 200;) w->count[0] += add_to_all(s, w->id, 6);
}

static void child(rg_slot *mine, bool had_slot)
{
    alarm(HANG_SECONDS / 2);
    uint64_t sum, total = 0;
    CHECK(rg_clock_read(SPACE, &sum), "a clock was left odd");
    for (unsigned i = 0; i < WORDS; i++) {
        uint64_t v = rg_load(&words[i]);
        CHECK(!rg_is_ref(v), "word %u holds a reference of a thread that is gone", i);
        total += v;
    }
    CHECK(total == 0, "torn: %lld", (long long)total);
    CHECK(rg_load(&dom->active) == had_slot, "%lld slots in use by %d threads", (long long)rg_load(&dom->active), had_slot);
    for (unsigned i = 0; rg_load(&dom->blocks[0]) && i < RG_BLOCK_SLOTS; i++) {
        rg_slot *o = (rg_slot *)rg_desc_at(SPACE, i);
        CHECK(!rg_load(&o->desc.owner) == !(had_slot && o == mine), "slot %u", i);
        CHECK(o == mine || (!rg_load(&o->epoch) && !rg_load(&o->pinned)), "slot %u is pinned for ever", i);
    }
    CHECK(rg_load(&dom->waiting) == 0 && rg_wait_count(dom) == 0, "somebody waits who is gone");
    rg_slot *s = here();
    CHECK(!had_slot || s == mine, "the slot of the thread that forked");
    for (unsigned i = 0; i < 50; i++) CHECK(add_to_all(s, i, 6), "alone, a k-CAS succeeds");
    for (unsigned i = 0; i < 300; i++) {
        CHECK(rg_reserve(s, 1), "memory");
        rg_pin(s);
        pair_on_stack(s, rg_node_new(s, 7), i < 10 ? RG_TRIED_LOST : RG_TRIED_BUSY);
        rg_unpin(s);
    }
    rg_wake(s, &waited_for);
    CHECK(s->ring.head == s->ring.tail, "alone, all is reclaimed");
    worker w[3] = { 0 };
    void (*f[])(worker *) = { child_load };
    if (!SANITIZED) {
        workers_start(w, 3, f, 1);
        workers_join(w, 3);
    }
    total = 0;
    for (unsigned i = 0; i < WORDS; i++) total += rg_load(&words[i]);
    CHECK(total == 0, "torn by the child's threads");
    _exit(0);
}

static void fork_under(void (**f)(worker *), unsigned n, bool with_slot)
{
    worker w[4] = { 0 };
    rg_slot *mine = with_slot ? here() : NULL;
    workers_start(w, n, f, n);
    nap(0.002);
    for (unsigned i = 0; i < FORKS; i++) {
        if (mine) add_to_all(mine, i, 2);
        pid_t pid = fork();
        if (pid == 0) child(mine, with_slot);
        CHECK(pid > 0, "fork");
        int status;
        waitpid(pid, &status, 0);
        CHECK(status == 0, "child %u ended with %d", i, status);
    }
    atomic_store(&stopped, true);
    workers_join(w, n);
    uint64_t total = 0;
    for (unsigned i = 0; i < WORDS; i++) total += rg_load(&words[i]);
    CHECK(total == 0, "the parent's words");
    for (unsigned i = 0; i < n; i++) free(w[i].arg);
    for (rg_node *x = rg_node_of(rg_load(&stack.head)), *next; x; x = next) {
        next = rg_node_of(rg_load(&x->next));
        free(x);
    }
    rg_stack_close(&stack);
    rg_flush(here());
}

static void amid_kcas(void)
{
    void (*f[])(worker *) = { load, load, registered_for_ever };
    fork_under(f, 3, true);
}

static void by_a_stranger(void)
{
    void (*f[])(worker *) = { load, load };
    fork_under(f, 2, false);
}

static void amid_births_and_deaths(void)
{
    if (SANITIZED) return;
    void (*f[])(worker *) = { load, churn, churn };
    fork_under(f, 3, true);
}

/* What a fork finds for a few nanoseconds only, made by hand. */
static void half_begun_and_half_ended(void)
{
    rg_slot *mine = here(), *begun = rg_slot_claim(dom), *ended = rg_slot_claim(dom), *beyond = rg_slot_claim(dom);
    begun->domain = NULL; /* owned, and nothing more */
    rg_fetch_add(&dom->active, (uint64_t)-1);
    rg_fetch_add(&dom->active, (uint64_t)-1); /* counted out, not yet given back */
    ended->pins = 0;
    rg_fetch_add(&dom->active, (uint64_t)-1); /* owned, while `high` does not know it yet */
    rg_store(&dom->high, beyond->index);
    rg_clock_begin(&ended->desc);
    rg_pin(ended);
    pid_t pid = fork();
    if (pid == 0) child(mine, true);
    int status;
    waitpid(pid, &status, 0);
    CHECK(status == 0, "child ended with %d", status);
}

TESTS({ "half_begun_and_half_ended", half_begun_and_half_ended }, { "amid_kcas", amid_kcas }, { "by_a_stranger", by_a_stranger }, { "amid_births_and_deaths", amid_births_and_deaths })
