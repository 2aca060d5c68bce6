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

static void free_poisoned(rg_slot *s, void *p)
{
    rg_node *n = p;
    (void)s;
    n->value = POISON;
    rg_store_rlx(&n->next, POISON);
    atomic_fetch_add_explicit(&reclaimed, 1, memory_order_relaxed);
    free(n);
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

static void push(rg_slot *s, uint64_t v)
{
    rg_node *n = rg_node_new(s, v);
    rg_pin(s);
    rg_stack_push(s, &stack, n);
    rg_unpin(s);
}

static bool pop(rg_slot *s, uint64_t *v)
{
    CHECK(rg_reserve(s, 1), "memory");
    rg_pin(s);
    rg_node *n = rg_stack_pop(s, &stack);
    if (n) {
        *v = n->value;
        retire(s, n);
    }
    rg_unpin(s);
    return n != NULL;
}

static void put(rg_slot *s, uint64_t v)
{
    rg_node *n = rg_node_new(s, v);
    rg_pin(s);
    rg_queue_put(s, &queue, n);
    rg_unpin(s);
}

static bool get(rg_slot *s, uint64_t *v)
{
    CHECK(rg_reserve(s, 1), "memory");
    rg_pin(s);
    rg_node *n = rg_queue_get(s, &queue, v);
    if (n) retire(s, n);
    rg_unpin(s);
    return n != NULL;
}

static void queue_open(void)
{
    rg_node *n = rg_node_new(here(), 0);
    rg_store(&queue.head, rg_node_word(n));
    rg_store(&queue.tail, rg_node_word(n));
}

static void close_all(void)
{
    uint64_t v;
    while (pop(here(), &v)) came_out(v);
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

TESTS({ "stack_conserves", stack_conserves }, { "pops_race", pops_race }, { "queue_is_fifo", queue_is_fifo },
      { "moves_conserve", moves_conserve }, { "tail_is_helped", tail_is_helped })
