/* Stack and queue: every value put comes out once, in order where order is promised, and no node
 * is touched after it was freed. Retired nodes are really freed here (no cache), and poisoned. */
#include "harness.h"

#define POISON 0x00dead00dead00deULL
#define PER_PRODUCER (1u << 16)
#define PRODUCERS 4

static rg_stack stack;
static rg_queue queue;
static _Atomic unsigned char seen[PRODUCERS][PER_PRODUCER];
static _Atomic uint64_t retired, reclaimed;

static void free_poisoned_now(rg_node *n)
{
    n->value = POISON;
    rg_store_rlx(&n->next, POISON);
    free(n);
}

static void free_poisoned(rg_slot *s, void *p)
{
    (void)s;
    atomic_fetch_add_explicit(&reclaimed, 1, memory_order_relaxed);
    free_poisoned_now(p);
}

static void retire(rg_slot *s, rg_node *n)
{
    atomic_fetch_add_explicit(&retired, 1, memory_order_relaxed);
    rg_retire(s, n, free_poisoned);
}

static uint64_t item(unsigned producer, uint64_t i) { return (uint64_t)(producer + 1) << 32 | i; }

static void came_out(uint64_t v)
{
    uint64_t producer = (v >> 32) - 1, i = v & 0xffffffff;
    CHECK(producer < PRODUCERS && i < PER_PRODUCER, "%llx came out", (unsigned long long)v);
    CHECK(atomic_fetch_add_explicit(&seen[producer][i], 1, memory_order_relaxed) == 0, "%llx twice", (unsigned long long)v);
}

static void all_came_out(unsigned producer, uint64_t n)
{
    for (uint64_t i = 0; i < PER_PRODUCER; i++)
        CHECK(seen[producer][i] == (i < n), "item %llu of %u came out %u times", (unsigned long long)i, producer, seen[producer][i]);
}

static rg_tried push_from(rg_slot *s, uint64_t v, rg_tried t)
{
    rg_node *n = rg_node_new(s, v);
    rg_pin(s);
    t = rg_stack_push(s, &stack, n, t);
    rg_unpin(s);
    return t;
}

static rg_tried pop_from(rg_slot *s, uint64_t *v, rg_tried t)
{
    rg_node *n;
    CHECK(rg_reserve(s, 1), "memory");
    rg_pin(s);
    t = rg_stack_pop(s, &stack, &n, t);
    if (t != RG_TRIED_EMPTY) *v = n->value;
    if (t == RG_TRIED_DONE) retire(s, n);
    if (t == RG_TRIED_MET) free_poisoned_now(n);
    rg_unpin(s);
    return t;
}

static void push(rg_slot *s, uint64_t v) { push_from(s, v, RG_TRIED_BUSY); }
static bool pop(rg_slot *s, uint64_t *v) { return pop_from(s, v, RG_TRIED_BUSY) != RG_TRIED_EMPTY; }

static void put(rg_slot *s, uint64_t v)
{
    rg_node *n = rg_node_new(s, v);
    rg_pin(s);
    rg_word *changed;
    CHECK(rg_queue_put(s, &queue, n, &changed, RG_TRIED_BUSY) == RG_TRIED_DONE, "there is room");
    rg_unpin(s);
}

static bool get(rg_slot *s, uint64_t *v)
{
    CHECK(rg_reserve(s, 1), "memory");
    rg_pin(s);
    rg_node *n = NULL;
    bool any = rg_queue_get(s, &queue, &n, v, RG_TRIED_BUSY) == RG_TRIED_DONE;
    if (any) retire(s, n);
    rg_unpin(s);
    return any;
}

static void queue_open(void)
{
    rg_node *n = rg_node_new(here(), 0);
    rg_queue_open(&queue, n, 0);
}

static void close_all(void)
{
    uint64_t v;
    while (pop(here(), &v)) came_out(v);
    rg_stack_close(&stack);
    while (rg_load(&queue.head) && get(here(), &v)) came_out(v);
    free((void *)(uintptr_t)rg_load(&queue.head));
    rg_store(&queue.head, 0);
    rg_flush(here());
    CHECK(retired == reclaimed, "%llu retired, %llu reclaimed", (unsigned long long)retired, (unsigned long long)reclaimed);
}

/* ---- the stack -------------------------------------------------------------------------------- */

static void push_some(worker *w)
{
    for (rg_slot *s = here(); running() && w->count[0] < PER_PRODUCER; w->count[0]++) push(s, item(w->id, w->count[0]));
}

static void pop_some(worker *w)
{
    uint64_t v;
    for (rg_slot *s = here(); running();)
        if (pop(s, &v)) came_out(v), w->count[0]++;
}

static void push_pop(worker *w)
{
    uint64_t v;
    for (rg_slot *s = here(); running() && w->count[0] < PER_PRODUCER;) {
        push(s, item(w->id, w->count[0]++));
        if (pop(s, &v)) came_out(v);
    }
}

static void stack_conserves(void)
{
    worker w[4] = { 0 };
    void (*f[])(worker *) = { push_some, push_pop, push_some, pop_some };
    workers_run(w, 4, f, 4);
    close_all();
    for (unsigned i = 0; i < 3; i++) all_came_out(i, w[i].count[0]);
}

static void pop_all(worker *w)
{
    uint64_t v, last = item(1, 0);
    for (rg_slot *s = here(); pop(s, &v); last = v) {
        came_out(v);
        CHECK(v < last, "a stack gives its oldest first");
        w->count[0]++;
    }
}

static void pops_race(void)
{
    for (unsigned round = 0; round < 20; round++) {
        worker w[4] = { 0 };
        void (*f[])(worker *) = { pop_all };
        memset((void *)seen, 0, sizeof seen);
        for (unsigned i = 0; i < 2000; i++) push(here(), item(0, i));
        CHECK(rg_stack_size(here(), &stack) == 2000, "size");
        workers_start(w, 4, f, 1);
        workers_join(w, 4);
        CHECK(rg_stack_size(here(), &stack) == 0, "size");
        all_came_out(0, 2000);
    }
    close_all();
}

/* ---- elimination: pushes and pops that begin as if they had lost their first CAS -------------------- */

static void push_lost(worker *w)
{
    for (rg_slot *s = here(); running() && w->count[0] < PER_PRODUCER; w->count[0]++)
        w->count[1] += push_from(s, item(w->id, w->count[0]), RG_TRIED_LOST) == RG_TRIED_MET;
}

static void pop_lost(worker *w)
{
    uint64_t v;
    for (rg_slot *s = here(); running();) {
        rg_tried t = pop_from(s, &v, RG_TRIED_LOST);
        if (t != RG_TRIED_EMPTY) came_out(v);
        w->count[2] += t == RG_TRIED_MET;
    }
}

static void push_pop_from(worker *w, rg_tried first)
{
    uint64_t v;
    for (rg_slot *s = here(); running() && w->count[0] < PER_PRODUCER;) {
        w->count[1] += push_from(s, item(w->id, w->count[0]++), first) == RG_TRIED_MET;
        rg_tried t = pop_from(s, &v, first);
        if (t != RG_TRIED_EMPTY) came_out(v);
        w->count[2] += t == RG_TRIED_MET;
    }
}
static void push_pop_lost(worker *w) { push_pop_from(w, RG_TRIED_LOST); }
static void push_pop_as_usual(worker *w) { push_pop_from(w, RG_TRIED_BUSY); }

/* One of them as usual: what is on the stack and what is offered must not mix. */
static void elimination_conserves(void)
{
    worker w[4] = { 0 };
    void (*f[])(worker *) = { push_lost, push_pop_lost, push_pop_as_usual, pop_lost };
    workers_run(w, 4, f, 4);
    uint64_t pushes = 0, pops = 0;
    for (unsigned i = 0; i < 4; i++) pushes += w[i].count[1], pops += w[i].count[2];
    CHECK(pushes == pops, "%llu pushes were met by %llu pops", (unsigned long long)pushes, (unsigned long long)pops);
    close_all();
    for (unsigned i = 0; i < 3; i++) all_came_out(i, w[i].count[0]);
}

/* Over as soon as a push and a pop have met: that they can. */
static _Atomic bool met;

static void push_until_met(worker *w)
{
    for (rg_slot *s = here(); !atomic_load(&met) && w->count[0] < PER_PRODUCER; w->count[0]++)
        if (push_from(s, item(w->id, w->count[0]), RG_TRIED_LOST) == RG_TRIED_MET) w->count[1] = 1;
}

static void pop_until_met(worker *w)
{
    uint64_t v;
    for (rg_slot *s = here(); !atomic_load(&met);) {
        rg_tried t = pop_from(s, &v, RG_TRIED_LOST);
        if (t != RG_TRIED_EMPTY) came_out(v);
        if (t == RG_TRIED_MET) atomic_store(&met, true);
    }
    w->count[0] = 1;
}

static void a_pair_meets(void)
{
    worker w[2] = { 0 };
    void (*f[])(worker *) = { push_until_met, pop_until_met };
    workers_start(w, 2, f, 2);
    workers_join(w, 2);
    CHECK(w[0].count[1] == 1, "a pop has met nobody");
    close_all();
    all_came_out(0, w[0].count[0]);
}

/* With nobody else there is nobody to meet: both give up and go to the stack. */
static void nobody_comes(void)
{
    rg_slot *s = here();
    uint64_t v;
    CHECK(pop_from(s, &v, RG_TRIED_LOST) == RG_TRIED_EMPTY, "there is nothing");
    CHECK(!stack.places, "a pop needs no places");
    for (unsigned i = 0; i < 3; i++) CHECK(push_from(s, item(0, i), RG_TRIED_LOST) == RG_TRIED_DONE, "met whom?");
    CHECK(rg_stack_size(s, &stack) == 3, "an offer that was taken back was not pushed");
    for (unsigned i = 0; i < 3; i++) {
        CHECK(pop_from(s, &v, RG_TRIED_LOST) == RG_TRIED_DONE && v == item(0, 2 - i), "the stack's order");
        came_out(v);
    }
    close_all();
    all_came_out(0, 3);
}

/* Who has won his first CAS does not so much as look. */
static void without_a_loss_nothing(void)
{
    rg_slot *s = here();
    uint64_t v;
    push(s, item(0, 0));
    CHECK(pop(s, &v), "it is there");
    came_out(v);
    CHECK(!stack.places && !s->places, "places without a loss");
    close_all();
}

static rg_elimination *places_now(void) { return (rg_elimination *)(uintptr_t)rg_load(&stack.places); }

/* A thread learns how many places it takes: occupied ones make it spread, and waiting in vain makes it draw in. */
static void places_follow_the_crowd(void)
{
    rg_slot *s = here();
    uint64_t v, n = 0;
    push_from(s, item(0, n++), RG_TRIED_LOST);
    CHECK(s->places <= 1, "alone: %u places", s->places);
    rg_elimination *e = places_now();
    for (unsigned i = 0; i < RG_PLACES; i++) rg_store(&e->at[i].offer, RG_TAKEN); /* by others */
    for (unsigned want = 2; want <= 2 * RG_PLACES; want *= 2) {
        CHECK(push_from(s, item(0, n++), RG_TRIED_LOST) == RG_TRIED_DONE, "met whom?");
        CHECK(s->places == (want < RG_PLACES ? want : RG_PLACES), "%u places", s->places);
    }
    for (unsigned i = 0; i < RG_PLACES; i++) CHECK(rg_load(&e->at[i].offer) == RG_TAKEN, "a place of somebody else was changed");
    CHECK(pop_from(s, &v, RG_TRIED_LOST) == RG_TRIED_DONE, "took what was taken");
    came_out(v);
    CHECK(s->places == RG_PLACES / 2, "met nobody: %u places", s->places);
    close_all();
    all_came_out(0, n);
}

/* What a fork leaves at the places belongs to nobody in the child, for good. The fork itself: test_fork. */
static void offers_of_before_a_fork(void)
{
    rg_slot *s = here();
    uint64_t v;
    push_from(s, item(0, 0), RG_TRIED_LOST);
    rg_elimination *before = places_now();
    rg_node *lost = rg_node_new(s, item(0, 1));
    for (unsigned i = 0; i < RG_PLACES; i++) rg_store(&before->at[i].offer, i % 2 ? RG_TAKEN : rg_node_word(lost));
    dom->forks++;
    CHECK(pop_from(s, &v, RG_TRIED_LOST) == RG_TRIED_DONE && v == item(0, 0), "took what nobody answers for");
    came_out(v);
    CHECK(push_from(s, item(0, 2), RG_TRIED_LOST) == RG_TRIED_DONE, "met whom?");
    CHECK(places_now() != before, "no places of its own");
    for (unsigned i = 0; i < RG_PLACES; i++) CHECK(rg_load(&places_now()->at[i].offer) == 0, "place %u", i);
    CHECK(pop_from(s, &v, RG_TRIED_LOST) == RG_TRIED_DONE && v == item(0, 2), "took what nobody answers for");
    came_out(v);
    free(lost);
    close_all(); /* the old places too: the sanitizers look for leaks */
}

/* ---- the queue -------------------------------------------------------------------------------- */

static void put_some(worker *w)
{
    for (rg_slot *s = here(); running() && w->count[0] < PER_PRODUCER; w->count[0]++) put(s, item(w->id, w->count[0]));
}

static void get_in_order(worker *w)
{
    uint64_t v, next[PRODUCERS] = { 0 };
    for (rg_slot *s = here(); running();) {
        if (!get(s, &v)) continue;
        came_out(v);
        uint64_t producer = (v >> 32) - 1, i = v & 0xffffffff;
        CHECK(i >= next[producer], "item %llu of %llu after a later one", (unsigned long long)i, (unsigned long long)producer);
        next[producer] = i + 1;
        w->count[0]++;
    }
}

static void queue_is_fifo(void)
{
    worker w[4] = { 0 };
    void (*f[])(worker *) = { put_some, put_some, get_in_order, get_in_order };
    queue_open();
    workers_run(w, 4, f, 4);
    uint64_t left = w[0].count[0] + w[1].count[0] - w[2].count[0] - w[3].count[0];
    CHECK(rg_queue_size(here(), &queue) == left, "size");
    close_all();
    for (unsigned i = 0; i < 2; i++) all_came_out(i, w[i].count[0]);
}

/* ---- both, by k-CAS --------------------------------------------------------------------------- */

/* As a reaction puts: the node is linked by a k-CAS, and nobody moves the tail. */
static bool move_one(rg_slot *s)
{
    CHECK(rg_reserve(s, 1), "memory");
    rg_pin(s);
    bool moved = false;
    uint64_t h = rg_read(SPACE, s->index, &stack.head);
    if (h) {
        rg_node *top = rg_node_of(h), *n = rg_node_new(s, top->value), *last = rg_queue_last(s, &queue);
        rg_node_place(n, rg_node_position(last) + 1);
        rg_cas_entry e[2] = { { &stack.head, h, rg_load(&top->next) }, { &last->next, 0, rg_node_word(n) } };
        moved = rg_kcas(SPACE, s->index, e, 2) == RG_SUCCEEDED;
        if (moved) retire(s, top);
        else rg_node_free(s, n);
    }
    rg_unpin(s);
    return moved;
}

static void move_some(worker *w)
{
    for (rg_slot *s = here(); running();) w->count[0] += move_one(s);
}

static void moves_conserve(void)
{
    worker w[4] = { 0 };
    uint64_t v;
    void (*f[])(worker *) = { push_pop, move_some, put_some, move_some };
    queue_open();
    workers_run(w, 4, f, 4);
    while (get(here(), &v)) came_out(v);
    close_all();
    all_came_out(0, w[0].count[0]);
    all_came_out(2, w[2].count[0]);
}

static void tail_is_helped(void)
{
    rg_slot *s = here();
    uint64_t v;
    queue_open();
    for (unsigned i = 0; i < 3; i++) push(s, item(0, i));
    for (unsigned i = 0; i < 3; i++) CHECK(move_one(s), "nobody disturbs");
    for (unsigned i = 0; i < 3; i++) {
        CHECK(get(s, &v) && v == item(0, 2 - i), "the queue's order");
        came_out(v);
    }
    /* Alone: the nodes that head has passed are freed by now. */
    CHECK(rg_load(&queue.tail) == rg_load(&queue.head), "tail was left on a node that is freed");
    put(s, item(0, 3));
    close_all();
    all_came_out(0, 4);
}

TESTS({ "stack_conserves", stack_conserves }, { "pops_race", pops_race },
      { "elimination_conserves", elimination_conserves }, { "a_pair_meets", a_pair_meets }, { "nobody_comes", nobody_comes },
      { "without_a_loss_nothing", without_a_loss_nothing }, { "places_follow_the_crowd", places_follow_the_crowd },
      { "offers_of_before_a_fork", offers_of_before_a_fork }, { "queue_is_fifo", queue_is_fifo },
      { "moves_conserve", moves_conserve }, { "tail_is_helped", tail_is_helped })
