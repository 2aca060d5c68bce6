/* scenarios_bag.c - the bag of two stacks, with retirement and reclaiming.
 *
 * A program is a string for each thread: p put (thread t on stack t % 2), q put on the other, g get (from
 * the former first), n the number of items; f
 * reclaim. The items are alike: which one comes out is nobody's business, that there is none is. */
#include "bag.h"
#include "subject.h"

#include <stdio.h>

#define SHELVES 2u

typedef struct program {
    const char *setup;
    const char *thread[X_THREADS];
} program;

static rg_stack *shelves;
static size_t live_before;

static const program *prog(void) { return x_now->arg; }

enum { PUT, GET, SIZE };

static void init(void *state) { *(int64_t *)state = 0; }

static bool apply(void *state, const x_op *op)
{
    int64_t *n = state;
    switch (op->code) {
    case PUT: return ++*n, true;
    case GET: return *n ? (--*n, op->result == 1) : op->result == S_NONE;
    default: return op->result == *n;
    }
}

static void print(const x_op *op, char *out, size_t room)
{
    static const char *const names[] = { "put", "get", "size" };
    snprintf(out, room, op->result == S_NONE ? "name='%s', args=(), result=None" : "name='%s', args=(), result=%lld", names[op->code],
             (long long)op->result);
}

static const x_model bag_model = { sizeof(int64_t), init, apply, print };

static void put(rg_slot *s, unsigned t)
{
    x_op *op = x_call(PUT, 0, 0);
    rg_pin(s);
    (void)rg_stack_push(s, &shelves[t % SHELVES], rg_node_new(s, 1), RG_TRIED_BUSY);
    rg_unpin(s);
    x_return(op, S_NONE);
}

static int64_t get(rg_slot *s, unsigned t)
{
    x_op *op = x_call(GET, 0, 0);
    rg_stack *order[SHELVES] = { &shelves[t % SHELVES], &shelves[(t + 1) % SHELVES] };
    rg_node *n = NULL;
    unsigned from;
    X_REQUIRE(rg_reserve(s, 1), "memory");
    rg_pin(s);
    rg_tried done = rg_bag_get(s, order, SHELVES, &n, &from);
    int64_t r = done == RG_TRIED_EMPTY ? S_NONE : (int64_t)n->value;
    if (done == RG_TRIED_DONE) rg_retire(s, n, rg_node_expired);
    if (done == RG_TRIED_MET) rg_node_free(s, n);
    rg_unpin(s);
    x_return(op, r);
    return r;
}

static void size(rg_slot *s)
{
    x_op *op = x_call(SIZE, 0, 0);
    rg_stack *order[SHELVES] = { &shelves[0], &shelves[1] };
    uint64_t heads[SHELVES];
    rg_pin(s);
    rg_bag_heads(s, order, SHELVES, heads);
    int64_t n = 0;
    for (unsigned i = 0; i < SHELVES; i++) n += (int64_t)rg_stack_size_of(heads[i]);
    rg_unpin(s);
    x_return(op, n);
}

static void play(rg_slot *s, unsigned t, const char *what)
{
    for (; *what; what++) {
        switch (*what) {
        case 'p': put(s, t); break;
        case 'q': put(s, t + 1); break;
        case 'g': get(s, t); break;
        case 'n': size(s); break;
        case 'f': rg_flush(s); break;
        }
    }
}

static void setup(void)
{
    s_open(x_now->threads, 0);
    s_free_nodes_at_once();
    shelves = x_new(SHELVES * sizeof *shelves, "shelves");
    x_name(&shelves[0].head, 8, "head 0");
    x_name(&shelves[1].head, 8, "head 1");
    live_before = x_live_blocks();
    play(s_slots[0], 0, prog()->setup);
}

static void run(unsigned t) { play(s_slots[t], t, prog()->thread[t]); }

static void after(void)
{
    s_quiet((rg_word *[]){ &shelves[0].head, &shelves[1].head }, 2);
    while (get(s_slots[0], 0) != S_NONE) {}
    for (unsigned i = 0; i < SHELVES; i++) rg_stack_close(&shelves[i]);
    s_reclaim_all();
    X_REQUIRE(x_live_blocks() == live_before, "%zu blocks are left, not %zu", x_live_blocks(), live_before);
}

#define PROGRAM(...) &(const program){ __VA_ARGS__ }
#define BAG(n, title, ...) \
    .name = "bag." title, .threads = n, .model = &bag_model, .setup = setup, .run = run, .after = after, .arg = PROGRAM(__VA_ARGS__)

const x_scenario s_bag[] = {
    { BAG(2, "p-g", "", { "p", "g" }) },
    { BAG(2, "g-g", "p", { "g", "g" }) },
    { BAG(2, "pg-g", "", { "pg", "g" }), .large = true, .bound = 3 },
    { BAG(2, "g-qg", "q", { "g", "qg" }), .large = true, .bound = 3 }, /* there is always one, and it moves */
    { BAG(2, "n-qg", "q", { "n", "qg" }), .large = true, .bound = 3 },
    { BAG(2, "gf-pg", "pp", { "gf", "pg" }), .large = true, .bound = 2 },
    { BAG(3, "g-pg-p", "", { "g", "pg", "p" }), .large = true, .bound = 2 },
    { .name = NULL },
};
