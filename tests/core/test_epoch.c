/* Reclamation: nothing that a pinned thread can look at is reclaimed, and all that was retired is,
 * once; whatever threads come and go. */
#include "harness.h"

#define LIVE 0x600d600dU
#define DEAD 0xdeadU

typedef struct thing {
    rg_word state; /* stays readable, for the check */
    uint64_t plain; /* for ThreadSanitizer: a free that is not after the last look is a race */
    struct thing *next;
} thing;

static rg_word shelf[4];
static _Atomic uint64_t made, retired, reclaimed;

/* What is reclaimed is not given back during the test: so a late look sees DEAD, not a new thing.
 * Under AddressSanitizer it is given back at once, and a late look is its report. */
static _Atomic(thing *) grave;

static void bury(rg_slot *s, void *p)
{
    thing *t = p;
    (void)s;
    CHECK(rg_load(&t->state) == LIVE, "reclaimed twice");
    rg_store(&t->state, DEAD);
    t->plain = DEAD;
    atomic_fetch_add(&reclaimed, 1);
#ifdef __SANITIZE_ADDRESS__
    free(t);
#else
    t->next = atomic_load(&grave);
    while (!atomic_compare_exchange_weak(&grave, &t->next, t)) {}
#endif
}

static thing *thing_new(void)
{
    thing *t = malloc(sizeof *t);
    rg_store(&t->state, LIVE);
    t->plain = LIVE;
    atomic_fetch_add(&made, 1);
    return t;
}

static void empty_grave(void)
{
    for (thing *t = atomic_exchange(&grave, NULL), *next; t; t = next) {
        next = t->next;
        free(t);
    }
}

static void replace(rg_slot *s, rg_word *at, thing *new_)
{
    CHECK(rg_reserve(s, 1), "memory");
    rg_pin(s);
    uint64_t old;
    do old = rg_read(SPACE, s->index, at);
    while (!rg_cas1(SPACE, s->index, at, old, (uint64_t)(uintptr_t)new_));
    if (old) {
        atomic_fetch_add(&retired, 1);
        rg_retire(s, (void *)(uintptr_t)old, bury);
    }
    rg_unpin(s);
}

static void writer(worker *w)
{
    for (rg_slot *s = here(); running(); w->count[0]++) replace(s, &shelf[random_of(w) % 4], thing_new());
}

static void look(rg_slot *s, rg_word *at, unsigned times)
{
    rg_pin(s);
    thing *t = (thing *)(uintptr_t)rg_read(SPACE, s->index, at);
    for (unsigned i = 0; t && i < times; i++) {
        CHECK(rg_load(&t->state) == LIVE && t->plain == LIVE, "reclaimed while it was looked at");
        if (i % 8 == 7) sched_yield();
    }
    rg_unpin(s);
}

static void reader(worker *w)
{
    for (rg_slot *s = here(); running(); w->count[0]++) look(s, &shelf[w->count[0] % 4], (unsigned)(random_of(w) % 64));
}

static void all_is_reclaimed(void)
{
    for (unsigned i = 0; i < 4; i++) replace(here(), &shelf[i], NULL);
    rg_flush(here());
    CHECK(retired == made && reclaimed == retired, "%llu made, %llu retired, %llu reclaimed", (unsigned long long)made,
          (unsigned long long)retired, (unsigned long long)reclaimed);
    CHECK(rg_load(&dom->active) == 1, "%llu slots in use", (unsigned long long)rg_load(&dom->active));
    empty_grave();
}

static void readers_are_safe(void)
{
    worker w[4] = { 0 };
    void (*f[])(worker *) = { writer, reader, writer, reader };
    workers_run(w, 4, f, 4);
    CHECK(w[0].count[0] && w[1].count[0] && reclaimed > 0, "nothing happened");
    all_is_reclaimed();
}

/* ---- step by step, with slots of no thread ------------------------------------------------------ */

static void pinned_holds_back(void)
{
    rg_slot *me = here(), *other = rg_slot_claim(dom), *third = rg_slot_claim(dom);
    replace(me, &shelf[0], thing_new());
    rg_pin(other);
    rg_pin(other); /* nests */
    rg_unpin(other);
    thing *t = (thing *)(uintptr_t)rg_read(SPACE, other->index, &shelf[0]);
    replace(me, &shelf[0], thing_new());
    for (unsigned i = 0; i < 10; i++) rg_flush(me);
    CHECK(rg_load(&t->state) == LIVE, "reclaimed under a pin");
    rg_pin(third);
    rg_unpin(other);
    uint64_t e = rg_load(&dom->epoch);
    for (unsigned i = 0; i < 10; i++) rg_flush(me);
    CHECK(rg_load(&dom->epoch) <= e + 1, "the epoch left a pinned slot behind");
    rg_unpin(third);
    rg_flush(me);
    CHECK(reclaimed == 1, "kept without a pin");
    /* Two slots that never pin keep nobody waiting; nothing is reclaimed at once, though. */
    replace(me, &shelf[0], NULL);
    CHECK(reclaimed == 1, "reclaimed at once, although others are there");
    rg_flush(me);
    CHECK(reclaimed == 2, "kept without a pin");
    empty_grave();
}

static void alone_is_prompt(void)
{
    rg_slot *me = here();
    for (unsigned i = 0; i < 1000; i++) {
        replace(me, &shelf[0], thing_new());
        CHECK(reclaimed == i, "alone, an unpin reclaims");
    }
    rg_pin(me);
    uint64_t before = reclaimed;
    replace(me, &shelf[0], thing_new());
    rg_flush(me);
    CHECK(reclaimed == before, "reclaimed while pinned");
    rg_unpin(me);
    CHECK(reclaimed == before + 1, "alone, the last unpin reclaims");
    all_is_reclaimed();
}

/* ---- a callback that retires more ------------------------------------------------------------------ */

static unsigned chain_left = 1000;

static void chain(rg_slot *s, void *p)
{
    if (p) bury(s, p);
    if (chain_left-- == 0) return;
    CHECK(rg_reserve(s, 1), "memory");
    rg_pin(s);
    atomic_fetch_add(&retired, 1);
    rg_retire(s, thing_new(), chain);
    rg_unpin(s);
}

static void callbacks_retire(void)
{
    chain(here(), NULL);
    all_is_reclaimed();
}

/* ---- holds: a node that is read across a grace period ---------------------------------------------- */

static rg_word node_at;
static _Atomic uint64_t expired;

static void node_expired(rg_slot *s, void *n)
{
    atomic_fetch_add(&expired, 1);
    rg_node_expired(s, n);
}

static void replace_node(rg_slot *s, uint64_t value)
{
    rg_node *n = rg_node_new(s, value);
    rg_node_place(n, value);
    CHECK(rg_reserve(s, 1), "memory");
    rg_pin(s);
    uint64_t old;
    do old = rg_read(SPACE, s->index, &node_at);
    while (!rg_cas1(SPACE, s->index, &node_at, old, rg_node_word(n)));
    if (old) rg_retire(s, rg_node_of(old), node_expired);
    rg_unpin(s);
}

static void node_writer(worker *w)
{
    for (rg_slot *s = here(); running();) replace_node(s, ++w->count[0]);
}

static void node_holder(worker *w)
{
    for (rg_slot *s = here(); running(); w->count[0]++) {
        rg_pin(s);
        rg_node *n = rg_node_of(rg_read(SPACE, s->index, &node_at));
        rg_node_hold(n);
        uint64_t value = n->value;
        rg_unpin(s);
        CHECK(rg_node_position(n) == value, "torn");
        if (w->count[0] % 16 == 0) nap(0.0005);
        CHECK(n->value == value && rg_node_position(n) == value, "freed while it was held");
        rg_node_release(s, n);
    }
}

static void holds(void)
{
    worker w[4] = { 0 };
    void (*f[])(worker *) = { node_writer, node_holder, node_holder, node_writer };
    replace_node(here(), 1);
    workers_run(w, 4, f, 4);
    CHECK(w[1].count[0] && expired > 0, "nothing happened");
    rg_slot *s = here();
    rg_flush(s);
    rg_free_node_cache(s);
    rg_node *n = rg_node_of(rg_load(&node_at));
    rg_node_hold(n);
    rg_node_hold(n);
    CHECK(rg_reserve(s, 1), "memory");
    rg_retire(s, n, node_expired);
    rg_flush(s);
    rg_node_release(s, n);
    rg_flush(s);
    CHECK(s->free_count == 0, "freed with a holder");
    rg_slot *other = rg_slot_claim(dom);
    rg_pin(other);
    rg_node_release(s, n);
    rg_flush(s);
    CHECK(s->free_count == 0, "freed at once: a helper may still aim at it");
    rg_unpin(other);
    rg_flush(s);
    CHECK(s->free_count == 1, "the last holder gives it back");
    rg_free_node_cache(s);
}

/* A wide node goes back to its own kind, by each of the ways that a node goes; and is new when it comes again. */
static void wide_nodes_stay_apart(void)
{
    rg_slot *s = here();
    rg_flush(s);
    rg_free_node_cache(s);
    rg_wide *w[3];
    for (int i = 0; i < 3; i++) CHECK((w[i] = rg_wide_new(s, 1)) != NULL, "memory");
    rg_wide_place(w[1], 5);
    CHECK(rg_node_position(&w[1]->node) == 5, "placed");
    rg_store(&w[1]->more[1], 9);
    rg_node_hold(&w[2]->node);
    CHECK(rg_reserve(s, 2), "memory");
    rg_node_free(s, &w[0]->node);
    rg_retire(s, w[1], node_expired);
    rg_retire(s, w[2], node_expired);
    rg_flush(s);
    CHECK(s->free_wide_count == 2 && s->free_count == 0, "unpublished, and after its grace period");
    rg_node_release(s, &w[2]->node);
    rg_flush(s);
    CHECK(s->free_wide_count == 3 && s->free_count == 0, "by its last holder");
    while (s->free_wide) {
        rg_wide *again = rg_wide_new(s, 2);
        CHECK(rg_load(&again->more[0]) == 0 && rg_load(&again->more[1]) == 0 && rg_load(&again->node.meta) == RG_WIDE &&
                  again->node.value == 2, "as new");
        rg_free(again);
    }
    CHECK(s->free_wide_count == 0, "all came out");
}

static _Atomic int quads_out;
static pthread_t quads_thread;
static void *take_quad(size_t n)
{
    CHECK(n == sizeof(rg_quad), "%zu bytes", n);
    atomic_fetch_add(&quads_out, 1);
    return malloc(n);
}
static void give_quad(void *p)
{
    CHECK(pthread_equal(pthread_self(), quads_thread), "given back by a thread that has ended");
    atomic_fetch_sub(&quads_out, 1);
    free(p);
}
static void *leaves_nodes(void *d)
{
    rg_slot *s = rg_slot_get(d);
    rg_node *n[3];
    for (int i = 0; i < 3; i++) CHECK((n[i] = i ? rg_node_new(s, 1) : rg_node_bare(s, 1)) != NULL, "memory");
    for (int i = 0; i < 3; i++) rg_node_free(s, n[i]);
    return s;
}

/* Nodes of a domain's own allocator go back to it, never by a thread that has ended: its slot keeps them for the next. */
static void nodes_of_an_own_allocator(void)
{
    rg_domain *d = rg_domain_open();
    CHECK(d && !d->quad_alloc && !d->quad_free, "of nobody's");
    quads_thread = pthread_self();
    d->quad_alloc = take_quad;
    d->quad_free = give_quad;
    CHECK(rg_slot_get(d) != NULL, "memory"); /* ours, before theirs */
    void *first = NULL, *second = NULL;
    pthread_t t;
    CHECK(pthread_create(&t, NULL, leaves_nodes, d) == 0 && pthread_join(t, &first) == 0, "thread");
    CHECK(quads_out == 3 && ((rg_slot *)first)->free_count == 3, "%d are out", (int)quads_out);
    CHECK(pthread_create(&t, NULL, leaves_nodes, d) == 0 && pthread_join(t, &second) == 0, "thread");
    CHECK(quads_out == 3 && first == second, "the next owner of the slot has them");
    rg_domain_close(d);
    CHECK(quads_out == 0 && !d->quad_alloc && !d->quad_free, "%d are left", (int)quads_out);
}

/* A slot that lags behind, because its thread does something else, is asked about as soon as something is retired that
 * somebody may wait for; for memory alone not until there is a lot, and then there is not more. */
static void memory_alone_can_wait(void)
{
    rg_slot *me = here(), *other = rg_slot_claim(dom);
    rg_flush(me);
    rg_pin(other);
    rg_unpin(other); /* announced */
    rg_flush(me);
    rg_pin(other);
    rg_unpin(other);
    size_t most = 0;
    for (int i = 0; i < 100; i++) {
        CHECK(rg_reserve(me, 1), "memory");
        rg_retire_lazily(me, rg_node_new(me, 1), node_expired);
        rg_reclaim_when_due(me);
    }
    for (int i = 0; i < 4; i++) rg_reclaim(me);
    CHECK(rg_load(&other->epoch) && me->ring.tail - me->ring.head == 100, "it was asked about for 100 nodes");
    CHECK(rg_reserve(me, 1), "memory");
    rg_retire(me, rg_node_new(me, 1), node_expired);
    for (int i = 0; i <= RG_GRACE; i++) rg_reclaim(me);
    CHECK(!rg_load(&other->epoch) && me->ring.tail == me->ring.head, "what was urgent is there still");
    for (int i = 0; i < 20000; i++) {
        rg_pin(other);
        rg_unpin(other);
        CHECK(rg_reserve(me, 1), "memory");
        rg_retire_lazily(me, rg_node_new(me, 1), node_expired);
        rg_reclaim_when_due(me);
        if (me->ring.tail - me->ring.head > most) most = me->ring.tail - me->ring.head;
    }
    CHECK(most < 250, "%zu are kept though nobody lags behind", most);
    for (int i = 0; i < 20000; i++) {
        CHECK(rg_reserve(me, 1), "memory");
        rg_retire_lazily(me, rg_node_new(me, 1), node_expired);
        rg_reclaim_when_due(me);
        if (me->ring.tail - me->ring.head > most) most = me->ring.tail - me->ring.head;
    }
    CHECK(most < 2000, "%zu are kept though it could be asked about", most);
    rg_flush(me);
    rg_free_node_cache(me);
}

/* Who waits after a loss is not pinned meanwhile: afterwards it has announced the epoch of now. */
static void losers_hold_nothing_back(void)
{
    rg_slot *me = here(), *loser = rg_slot_claim(dom);
    rg_pin(loser);
    uint64_t e = rg_load(&dom->epoch);
    rg_flush(me);
    CHECK(rg_load(&dom->epoch) == e + 1, "an epoch ahead of a pin, not more");
    rg_backoff b = { 0 };
    rg_lost(loser, &b);
    CHECK(b.spin && loser->pins == 1 && rg_load(&loser->pinned), "pinned again");
    rg_flush(me);
    CHECK(rg_load(&dom->epoch) == e + 2, "held back at the epoch before the wait");
    rg_pin(loser); /* nested: somebody outside relies on the pin */
    rg_lost(loser, &b);
    rg_unpin(loser);
    rg_flush(me);
    CHECK(rg_load(&dom->epoch) == e + 2, "the wait gave up a pin that was not its own");
    rg_unpin(loser);
}

static void glances_need_an_announcement(void)
{
    rg_slot *me = here(), *other = rg_slot_claim(dom);
    CHECK(!rg_glance(other) && !rg_load(&other->pinned), "a glance of a slot that has announced nothing");
    rg_pin(other);
    CHECK(!rg_glance(other) && rg_load(&other->pinned), "a glance inside of a pin");
    rg_unpin(other);
    CHECK(rg_glance(other), "announced");
    uint64_t e = rg_load(&dom->epoch);
    for (unsigned i = 0; i < 4; i++) rg_flush(me);
    CHECK(rg_load(&dom->epoch) == e + 1, "the epoch left a glance behind");
    rg_glanced(other);
    rg_flush(me);
    CHECK(!rg_glance(other), "the epoch has moved on");
}

TESTS({ "memory_alone_can_wait", memory_alone_can_wait }, { "losers_hold_nothing_back", losers_hold_nothing_back },
      { "glances_need_an_announcement", glances_need_an_announcement }, { "readers_are_safe", readers_are_safe }, { "pinned_holds_back", pinned_holds_back },
      { "alone_is_prompt", alone_is_prompt }, { "callbacks_retire", callbacks_retire }, { "holds", holds },
      { "wide_nodes_stay_apart", wide_nodes_stay_apart }, { "nodes_of_an_own_allocator", nodes_of_an_own_allocator })
