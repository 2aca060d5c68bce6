/* The deque: every value comes out once, in order where order is promised, and no node is touched after it was freed:
 * retired nodes are really freed here, and poisoned first by the sanitizer. */
#include "harness.h"

#include "deque.h"

#define PER_PRODUCER (1u << 16)
#define PRODUCERS 4

static rg_deque deque;
static _Atomic unsigned char seen[PRODUCERS][PER_PRODUCER];

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

/* Nothing is kept: what is freed is gone. */
static rg_slot *careless(void)
{
    rg_slot *s = here();
    s->free_wide_count = RG_NODE_CACHE;
    return s;
}

static void push(rg_slot *s, int side, uint64_t v)
{
    rg_wide *n = rg_wide_new(s, v);
    rg_pin(s);
    CHECK(rg_deque_push(s, &deque, n, side, RG_TRIED_BUSY), "memory");
    rg_unpin(s);
}

static bool pop(rg_slot *s, int side, uint64_t *v)
{
    rg_wide *spare = NULL;
    rg_deque_popped p;
    bool nomem;
    rg_pin(s);
    bool got = rg_deque_pop(s, &deque, side, &spare, &p, &nomem, RG_TRIED_BUSY);
    if (got) {
        *v = p.value;
        rg_deque_let_go(s, side, &p);
    }
    rg_unpin(s);
    CHECK(!nomem, "memory");
    if (spare) rg_wide_free(s, spare);
    return got;
}

/* One from the left end to the right one, as a reaction would: its link is left unset. */
static bool turn(rg_slot *s)
{
    rg_wide *n = rg_wide_new(s, 0), *record = rg_wide_new(s, 0);
    bool done = false, empty = false;
    rg_pin(s);
    while (!done && !empty) {
        rg_deque_waste waste;
        uint64_t a = rg_read(SPACE, s->index, &deque.anchor);
        rg_deque_view v = rg_deque_view_of(a);
        CHECK(rg_reserve(s, 2 * RG_DEQUE_ROOM), "memory");
        if (!rg_deque_set_links(s, &deque, a, &v)) continue;
        if ((empty = v.count < 2)) break;
        bool of_record = !v.mark;
        n->node.value = rg_deque_view_pop(&v, RG_AT_LEFT, &waste)->node.value;
        rg_deque_view_push(&v, n, RG_AT_RIGHT);
        rg_deque_record(record, &v);
        rg_cas_entry e[1] = { { &deque.anchor, a, rg_wide_word(record) } };
        done = rg_kcas(SPACE, s->index, e, 1) == RG_SUCCEEDED;
        if (!done) continue;
        rg_deque_retire_waste(s, &waste);
        if (of_record) rg_deque_retire(s, a);
    }
    rg_unpin(s);
    if (!done) {
        rg_wide_free(s, n);
        rg_wide_free(s, record);
    }
    return done;
}

static void drain(void)
{
    uint64_t v;
    for (int side = RG_AT_LEFT; pop(here(), side, &v); side = !side) came_out(v);
    CHECK(rg_deque_size(here(), &deque) == 0 && rg_load(&deque.anchor) == 0, "empty, and not of size 0");
    rg_flush(here());
}

/* ---- stress -------------------------------------------------------------------------------------- */

static void anything(worker *w)
{
    uint64_t v;
    rg_slot *s = careless();
    while (running() && w->count[0] < PER_PRODUCER) {
        uint64_t r = random_of(w);
        if (r & 4)
            push(s, r & 1, item(w->id, w->count[0]++));
        else if (pop(s, r & 1, &v))
            came_out(v);
    }
}

static void push_pop_one_end(worker *w)
{
    uint64_t v;
    for (rg_slot *s = careless(); running() && w->count[0] < PER_PRODUCER;) {
        push(s, RG_AT_RIGHT, item(w->id, w->count[0]++));
        if (pop(s, RG_AT_RIGHT, &v)) came_out(v);
    }
}

static void turn_some(worker *w)
{
    for (rg_slot *s = careless(); running();) w->count[1] += turn(s);
}

static void conserves(void)
{
    worker w[4] = { 0 };
    void (*f[])(worker *) = { anything, push_pop_one_end, anything, turn_some };
    workers_run(w, 4, f, 4);
    drain();
    for (unsigned i = 0; i < 3; i++) all_came_out(i, w[i].count[0]);
}

static void put_left(worker *w)
{
    for (rg_slot *s = careless(); running() && w->count[0] < PER_PRODUCER; w->count[0]++) push(s, RG_AT_LEFT, item(w->id, w->count[0]));
}

static void get_right_in_order(worker *w)
{
    uint64_t v, next[PRODUCERS] = { 0 };
    for (rg_slot *s = careless(); running();) {
        if (!pop(s, RG_AT_RIGHT, &v)) continue;
        came_out(v);
        uint64_t producer = (v >> 32) - 1, i = v & 0xffffffff;
        CHECK(i >= next[producer], "item %llu of %llu after a later one", (unsigned long long)i, (unsigned long long)producer);
        next[producer] = i + 1;
        w->count[0]++;
    }
}

static void is_fifo_across(void)
{
    worker w[4] = { 0 };
    void (*f[])(worker *) = { put_left, put_left, get_right_in_order, get_right_in_order };
    workers_run(w, 4, f, 4);
    uint64_t left = w[0].count[0] + w[1].count[0] - w[2].count[0] - w[3].count[0];
    CHECK(rg_deque_size(here(), &deque) == left, "size");
    drain();
    for (unsigned i = 0; i < 2; i++) all_came_out(i, w[i].count[0]);
}

/* Items 0..n-1 stand in a row that others turn: each copy is a rotation of it. */
#define ROW 50
static void look_around(worker *w)
{
    rg_slot *s = careless();
    uint64_t at[ROW];
    while (running()) {
        rg_pin(s);
        uint64_t a = rg_read(SPACE, s->index, &deque.anchor);
        rg_deque_view v = rg_deque_view_of(a);
        CHECK(v.count == ROW, "%llu items", (unsigned long long)v.count);
        bool ok = rg_deque_set_links(s, &deque, a, &v) && rg_deque_collect(s, &deque, a, &v, at);
        uint64_t first = ok ? rg_node_of(at[0])->value : 0;
        for (uint64_t i = 0; ok && i < ROW; i++)
            CHECK(rg_node_of(at[i])->value == (first + i) % ROW, "item %llu is %llu after %llu", (unsigned long long)i,
                  (unsigned long long)rg_node_of(at[i])->value, (unsigned long long)first);
        w->count[0] += ok;
        rg_unpin(s);
    }
}

static void copies_are_of_one_instant(void)
{
    worker w[3] = { 0 };
    uint64_t v;
    void (*f[])(worker *) = { look_around, turn_some, turn_some };
    for (uint64_t i = 0; i < ROW; i++) push(here(), RG_AT_RIGHT, i);
    workers_run(w, 3, f, 3);
    CHECK(w[0].count[0] > 0 && w[1].count[1] + w[2].count[1] > 0, "%llu copies of %llu turns", (unsigned long long)w[0].count[0],
          (unsigned long long)(w[1].count[1] + w[2].count[1]));
    while (pop(here(), RG_AT_LEFT, &v)) {}
    rg_flush(here());
}

/* ---- one at a time -------------------------------------------------------------------------------- */

static uint64_t anchor(void) { return rg_load(&deque.anchor); }

/* A push and the pop that undoes it make one node, and come back to the record before. */
static void a_pop_goes_back(void)
{
    rg_slot *s = here();
    uint64_t v;
    for (uint64_t i = 0; i < 3; i++) push(s, RG_AT_RIGHT, i);
    uint64_t before = anchor();
    for (int side = RG_AT_LEFT; side <= RG_AT_RIGHT; side++) {
        push(s, side, 9);
        CHECK(pop(s, side, &v) && v == 9 && anchor() == before, "another record");
    }
    push(s, RG_AT_LEFT, 8);
    push(s, RG_AT_RIGHT, 9);
    CHECK(pop(s, RG_AT_RIGHT, &v) && v == 9, "what was pushed");
    CHECK(pop(s, RG_AT_LEFT, &v) && v == 8 && anchor() == before, "another record");
    /* What was popped in between may have come back as another node: then no. */
    push(s, RG_AT_RIGHT, 9);
    CHECK(pop(s, RG_AT_LEFT, &v) && v == 0, "the leftmost");
    push(s, RG_AT_LEFT, 0);
    CHECK(pop(s, RG_AT_RIGHT, &v) && v == 9 && anchor() != before, "a record of what is no more");
    for (uint64_t i = 0; i < 3; i++) CHECK(pop(s, RG_AT_LEFT, &v) && v == i, "in order");
    CHECK(!pop(s, RG_AT_LEFT, &v) && !anchor(), "empty");
    rg_flush(s);
}

static void many_links_unset(void)
{
    rg_slot *s = here();
    uint64_t v;
    for (uint64_t n = 2; n < 40; n++) {
        for (uint64_t i = 0; i < n; i++) push(s, RG_AT_RIGHT, i);
        for (uint64_t i = 0; i < 3 * n; i++) CHECK(turn(s), "nobody disturbs");
        for (uint64_t i = 0; i < n; i++) CHECK(pop(s, i & 1, &v) && v == (i & 1 ? n - 1 - i / 2 : i / 2), "in order");
    }
    rg_flush(s);
}

TESTS({ "conserves", conserves }, { "is_fifo_across", is_fifo_across }, { "copies_are_of_one_instant", copies_are_of_one_instant },
      { "a_pop_goes_back", a_pop_goes_back }, { "many_links_unset", many_links_unset })
