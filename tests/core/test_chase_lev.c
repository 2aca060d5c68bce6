/* The work-stealing deque: every value comes out once, thieves get them in order, the owner in reverse. */
#include "harness.h"

#include "chase_lev.h"

#define MOST (1u << 18)

static rg_chase_lev deque;
static _Atomic unsigned char seen[MOST];

static void came_out(uint64_t v)
{
    CHECK(v < MOST && atomic_fetch_add_explicit(&seen[v], 1, memory_order_relaxed) == 0, "%llu twice", (unsigned long long)v);
}

static rg_slot *careless(void)
{
    rg_slot *s = here();
    s->free_count = RG_NODE_CACHE; /* "full": what is freed is gone */
    return s;
}

static void push(rg_slot *s, uint64_t v)
{
    rg_pin(s);
    CHECK(rg_cl_push(s, &deque, rg_node_new(s, v)), "memory");
    rg_unpin(s);
}

static bool take(rg_slot *s, bool steal, uint64_t *v)
{
    CHECK(rg_reserve(s, 1), "memory");
    rg_pin(s);
    rg_node *n = rg_cl_take(s, &deque, steal);
    if (n) {
        *v = n->value;
        rg_retire_lazily(s, n, rg_node_expired);
    }
    rg_unpin(s);
    return n != NULL;
}

static void own(worker *w)
{
    uint64_t v, last;
    for (rg_slot *s = careless(); running() && w->count[0] + 64 < MOST;) {
        for (uint64_t n = random_of(w) % 64; n > 0; n--) push(s, w->count[0]++);
        last = MOST;
        for (uint64_t n = random_of(w) % 48; n > 0 && take(s, false, &v); n--) {
            CHECK(v < last, "%llu after %llu", (unsigned long long)v, (unsigned long long)last);
            came_out(last = v);
        }
    }
}

static void rob(worker *w)
{
    uint64_t v, next = 0;
    for (rg_slot *s = careless(); running();) {
        if (!take(s, true, &v)) continue;
        CHECK(v >= next, "%llu after %llu", (unsigned long long)v, (unsigned long long)next);
        next = v + 1;
        came_out(v);
        w->count[0]++;
    }
}

static void conserves(void)
{
    worker w[4] = { 0 };
    uint64_t v;
    void (*f[])(worker *) = { own, rob, rob, rob };
    workers_run(w, 4, f, 4);
    while (take(here(), true, &v)) came_out(v);
    for (uint64_t i = 0; i < MOST; i++) CHECK(seen[i] == (i < w[0].count[0]), "item %llu came out %u times", (unsigned long long)i, seen[i]);
    rg_flush(here());
    rg_cl_close(&deque);
}

static void grows_and_wraps(void)
{
    rg_slot *s = here();
    uint64_t v, in = 0, out = 0;
    rg_store(&deque.state, rg_cl_state(RG_CL_TOPS - 100, 0)); /* top is about to wrap around */
    for (unsigned round = 1; round < 200; round++) {
        for (unsigned i = 0; i < round; i++) push(s, in++);
        for (unsigned i = 0; i < round / 2 + 1; i++) CHECK(take(s, true, &v) && v == out++, "in order");
        CHECK(rg_cl_count(rg_load(&deque.state)) == in - out, "count");
    }
    for (; in > out; in--) CHECK(take(s, false, &v) && v == in - 1, "in reverse");
    CHECK(!take(s, false, &v) && !take(s, true, &v), "empty");
    rg_flush(s);
    rg_cl_close(&deque);
}

TESTS({ "conserves", conserves }, { "grows_and_wraps", grows_and_wraps })
