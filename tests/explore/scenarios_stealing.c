/* scenarios_stealing.c - the work-stealing deque, with retirement and reclaiming. Thread 0 is the owner.
 *
 * A program is a string for each thread: u push, o pop; s steal; d steal two at once, as a reaction does, comparing their
 * slots; f reclaim. Values are 10 * thread + position + 1, those of set-up 91, 92, ... In "small" arrays have two
 * slots at first. */
#include "chase_lev.h"
#include "subject.h"

#include <stdio.h>

typedef struct program {
    const char *setup;
    const char *thread[X_THREADS];
} program;

static rg_chase_lev *deque;
static size_t live_before;

static bool *spent; /* a payload that whoever took it out may have dropped, nobody looking then */

static const program *prog(void) { return x_now->arg; }

enum { PUSH, POP, STEAL, STEAL_TWO };

typedef struct items {
    unsigned n;
    int64_t at[12];
} items;

static void init(void *state) { memset(state, 0, sizeof(items)); }

static bool apply(void *state, const x_op *op)
{
    items *l = state;
    unsigned from = op->code == STEAL_TWO ? 2 : 1;
    switch (op->code) {
    case PUSH: return l->at[l->n++] = op->a, true;
    case POP:
        if (l->n == 0) return op->result == S_NONE;
        return l->at[--l->n] == op->result;
    default:
        if (l->n < from) return op->result == S_NONE;
        if (op->result != (from == 1 ? l->at[0] : 100 * l->at[0] + l->at[1])) return false;
        l->n -= from;
        memmove(l->at, l->at + from, l->n * sizeof *l->at);
        return true;
    }
}

static void print(const x_op *op, char *out, size_t room)
{
    static const char *const names[] = { "push", "pop", "steal", "steal_two" };
    if (op->code == PUSH)
        snprintf(out, room, "name='push', args=(%lld,), result=None", (long long)op->a);
    else
        snprintf(out, room, op->result == S_NONE ? "name='%s', args=(), result=None" : "name='%s', args=(), result=%lld", names[op->code],
                 (long long)op->result);
}

static const x_model stealing_model = { sizeof(items), init, apply, print };

static void expired(rg_slot *s, void *n) { rg_node_expired(s, n); }

/* As rg_take_payload: the last look of who has taken it out. */
static void take_payload(int64_t v) { spent[v] = rg_load(&deque->lookers) == 0; }

static void push(rg_slot *s, int64_t v)
{
    x_op *op = x_call(PUSH, v, 0);
    rg_pin(s);
    X_REQUIRE(rg_cl_push(s, deque, rg_node_new(s, (uint64_t)v)), "memory");
    rg_unpin(s);
    x_return(op, S_NONE);
}

static int64_t take(rg_slot *s, bool steal)
{
    x_op *op = x_call(steal ? STEAL : POP, 0, 0);
    X_REQUIRE(rg_reserve(s, 1), "memory");
    rg_pin(s);
    rg_node *n = rg_cl_take(s, deque, steal);
    int64_t r = n ? (int64_t)n->value : S_NONE;
    if (n) take_payload(r);
    if (n) rg_retire(s, n, expired);
    rg_unpin(s);
    x_return(op, r);
    return r;
}

static void steal_two(rg_slot *s)
{
    x_op *op = x_call(STEAL_TWO, 0, 0);
    int64_t r = S_NONE;
    X_REQUIRE(rg_reserve(s, 2), "memory");
    rg_pin(s);
    for (;;) {
        uint64_t state = rg_read(SPACE, s->index, &deque->state);
        if (rg_cl_count(state) < 2) break;
        uint64_t array = rg_read(SPACE, s->index, &deque->array);
        rg_word *w[2] = { rg_cl_slot(s, deque, state, 0), rg_cl_slot(s, deque, state, 1) };
        uint64_t v[2] = { rg_read(SPACE, s->index, w[0]), rg_read(SPACE, s->index, w[1]) };
        /* the second is looked at, as a reaction would that shows it to a function */
        rg_fetch_add(&deque->lookers, 1);
        bool holds = rg_cl_holds(s, deque, state, array, w[1], v[1]);
        X_REQUIRE(!holds || !spent[rg_node_of(v[1])->value], "a payload is looked at that may be gone");
        rg_fetch_add(&deque->lookers, (uint64_t)-1);
        if (!holds) continue;
        rg_cas_entry e[4] = { { w[0], v[0], v[0] }, { w[1], v[1], v[1] }, { &deque->array, array, array },
                              { &deque->state, state, rg_cl_stolen(rg_cl_stolen(state)) } };
        if (rg_kcas(SPACE, s->index, e, 4) != RG_SUCCEEDED) continue;
        r = 100 * (int64_t)rg_node_of(v[0])->value + (int64_t)rg_node_of(v[1])->value;
        rg_retire(s, rg_node_of(v[0]), expired);
        rg_retire(s, rg_node_of(v[1]), expired);
        break;
    }
    rg_unpin(s);
    x_return(op, r);
}

static void play(rg_slot *s, const char *what, int64_t first)
{
    for (int64_t v = first; *what; what++, v++) {
        switch (*what) {
        case 'u': push(s, v); break;
        case 'o': take(s, false); break;
        case 's': take(s, true); break;
        case 'd': steal_two(s); break;
        case 'f': rg_flush(s); break;
        }
    }
}

static void setup(void)
{
    s_open(x_now->threads, 0);
    if (!strstr(x_now->name, ".cached")) s_free_nodes_at_once();
    deque = x_new(sizeof *deque, "deque");
    spent = x_new(100 * sizeof *spent, "spent");
    x_name(&deque->state, 8, "state");
    x_name(&deque->array, 8, "array");
    live_before = x_live_blocks();
    if (strstr(x_now->name, ".small")) {
        rg_cl_array *a = rg_calloc(sizeof *a + 2 * sizeof *a->at);
        a->mask = 1;
        rg_store(&deque->array, (uint64_t)(uintptr_t)a);
    }
    play(s_slots[0], prog()->setup, 91);
}

static void run(unsigned t) { play(s_slots[t], prog()->thread[t], 10 * (int64_t)t + 1); }

static void after(void)
{
    s_quiet((rg_word *[]){ &deque->state, &deque->array }, 2);
    for (bool steal = true; take(s_slots[0], steal) != S_NONE; steal = !steal) {}
    s_reclaim_all();
    rg_cl_close(deque);
    if (!strstr(x_now->name, ".cached"))
        X_REQUIRE(x_live_blocks() == live_before, "%zu blocks are left, not %zu", x_live_blocks(), live_before);
}

#define PROGRAM(...) &(const program){ __VA_ARGS__ }
#define STEALING(n, title, ...) \
    .name = "stealing." title, .threads = n, .model = &stealing_model, .setup = setup, .run = run, .after = after, .arg = PROGRAM(__VA_ARGS__)

const x_scenario s_stealing[] = {
    { STEALING(2, "u-s", "", { "u", "s" }), .brute = true },
    { STEALING(2, "o-s", "u", { "o", "s" }), .brute = true },
    { STEALING(2, "o-s.2", "uu", { "o", "s" }) },
    { STEALING(2, "ou-ss", "u", { "ou", "ss" }) },
    { STEALING(2, "ouo-ss", "uu", { "ouo", "ss" }) },
    { STEALING(2, "uo-ss", "u", { "uo", "ss" }) },
    { STEALING(2, "oofu-s.cached", "uu", { "oofu", "s" }) },
    { STEALING(2, "ofu-s", "u", { "ofu", "s" }) },
    { STEALING(3, "o-s-s", "uu", { "o", "s", "s" }) },
    { STEALING(3, "ou-s-s", "u", { "ou", "s", "s" }), .large = true },
    { STEALING(2, "u-s.small", "uu", { "u", "s" }) },
    { STEALING(2, "uuu-ss.small", "u", { "uuu", "ss" }), .large = true },
    { STEALING(2, "uo-sf.small", "uu", { "uo", "sf" }), .large = true },
    { STEALING(3, "u-s-s.small", "uu", { "u", "s", "s" }), .large = true },
    { STEALING(2, "o-d", "uu", { "o", "d" }), .large = true, .bound = 2 },
    { STEALING(2, "ou-d", "uu", { "ou", "d" }), .large = true, .bound = 2 },
    { STEALING(2, "u-d.small", "uu", { "u", "d" }), .large = true, .bound = 2 },
    { STEALING(2, "uoou-d.small", "uu", { "uoou", "d" }), .large = true, .bound = 1 },
    { STEALING(3, "ou-d-s", "uu", { "ou", "d", "s" }), .large = true, .bound = 1 },
    { STEALING(2, "o-s.tso", "u", { "o", "s" }), .tso = true },
    { .name = NULL },
};
