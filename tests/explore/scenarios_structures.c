/* scenarios_structures.c - queue, stack, and moves between two stacks, with retirement and reclaiming.
 *
 * A program is a string for each thread:
 *   p put, g get; as reactions do it: c put, which leaves tail to others; x put and get at once, of an empty queue; e its size
 *   u push, o pop (stack 1); U, O (stack 2); m move from 1 to 2;
 *   v push, l pop (stack 1) that begin as if they had lost their first CAS: by way of elimination
 *   h hold the top node of stack 1, and look at it unpinned
 *   f reclaim (rg_flush); r one round of it when the next operation unpins, which is due after some 32
 *   retirements otherwise
 * Values put are 10 * thread + position + 1, those of set-up 91, 92, ... */
#include "subject.h"

typedef struct program {
    const char *setup;
    const char *thread[X_THREADS];
} program;

static rg_queue *queue;
static rg_stack *stacks[2];
static size_t live_before;

static const program *prog(void) { return x_now->arg; }

/* Scenarios named so: expired nodes are used again at once, by the slot that reclaimed them; in all
 * others they are freed, so that a late look at one is an error. */
static bool keeps_nodes(void) { return strstr(x_now->name, ".cached") != NULL; }

static void expired(rg_slot *s, void *n) { rg_node_expired(s, n); }

static void put(rg_slot *s, int64_t v)
{
    x_op *op = x_call(S_PUT, v, 0);
    rg_pin(s);
    rg_word *changed;
    rg_queue_put(s, queue, rg_node_new(s, (uint64_t)v), &changed, RG_TRIED_BUSY);
    rg_unpin(s);
    x_return(op, 0);
}

static int64_t get(rg_slot *s)
{
    uint64_t v = 0;
    x_op *op = x_call(S_GET, 0, 0);
    X_REQUIRE(rg_reserve(s, 1), "memory");
    rg_pin(s);
    rg_node *old = NULL;
    bool any = rg_queue_get(s, queue, &old, &v, RG_TRIED_BUSY) == RG_TRIED_DONE;
    if (any) rg_retire(s, old, expired);
    rg_unpin(s);
    int64_t r = any ? (int64_t)v : S_NONE;
    x_return(op, r);
    return r;
}

static void put_composed(rg_slot *s, int64_t v)
{
    x_op *op = x_call(S_PUT, v, 0);
    rg_node *n = rg_node_new(s, (uint64_t)v);
    rg_pin(s);
    for (rg_node *last;;) {
        last = rg_queue_last(s, queue);
        rg_node_place(n, rg_node_position(last) + 1);
        if (rg_cas1(SPACE, s->index, &last->next, 0, rg_node_word(n))) break;
    }
    rg_unpin(s);
    x_return(op, 0);
}

/* What is put is what is got, past tail, which therefore comes along. Where there is something else, or it has lost,
 * nothing happens. */
static void put_and_get(rg_slot *s, int64_t v)
{
    rg_node *n = rg_node_new(s, (uint64_t)v);
    X_REQUIRE(rg_reserve(s, 1), "memory");
    rg_pin(s);
    rg_node *last = rg_queue_last(s, queue);
    uint64_t h = rg_read(SPACE, s->index, &queue->head);
    rg_node_place(n, rg_node_position(last) + 1);
    rg_cas_entry e[] = {
        { &last->next, 0, rg_node_word(n) },
        { &queue->head, h, rg_node_word(n) },
        { &queue->tail, h, rg_node_word(n) },
    };
    if (h == rg_node_word(last) && rg_kcas(SPACE, s->index, e, 3) == RG_SUCCEEDED)
        rg_retire(s, last, expired);
    else
        rg_retire(s, n, rg_node_reclaim); /* helpers may know it */
    rg_unpin(s);
}

static void push_from(rg_slot *s, unsigned which, int64_t v, rg_tried t)
{
    x_op *op = x_call(which ? S_PUSH2 : S_PUSH, v, 0);
    rg_pin(s);
    rg_stack_push(s, stacks[which], rg_node_new(s, (uint64_t)v), t);
    rg_unpin(s);
    x_return(op, 0);
}

static int64_t pop_from(rg_slot *s, unsigned which, rg_tried t)
{
    x_op *op = x_call(which ? S_POP2 : S_POP, 0, 0);
    X_REQUIRE(rg_reserve(s, 1), "memory");
    rg_pin(s);
    rg_node *n;
    t = rg_stack_pop(s, stacks[which], &n, t);
    int64_t r = t == RG_TRIED_EMPTY ? S_NONE : (int64_t)n->value;
    if (t == RG_TRIED_DONE) rg_retire(s, n, expired);
    if (t == RG_TRIED_MET) rg_node_free(s, n);
    rg_unpin(s);
    x_return(op, r);
    return r;
}

static void push(rg_slot *s, unsigned which, int64_t v) { push_from(s, which, v, RG_TRIED_BUSY); }
static int64_t pop(rg_slot *s, unsigned which) { return pop_from(s, which, RG_TRIED_BUSY); }

/* Pop and push as one k-CAS of two heads; an empty stack is seen by one read. */
static void move(rg_slot *s)
{
    x_op *op = x_call(S_MOVE, 0, 0);
    int64_t r = S_NONE;
    X_REQUIRE(rg_reserve(s, 1), "memory");
    rg_pin(s);
    for (;;) {
        uint64_t from = rg_read(SPACE, s->index, &stacks[0]->head);
        if (!from) break;
        rg_node *n = rg_node_of(from);
        uint64_t below = rg_load_rlx(&n->next), to = rg_read(SPACE, s->index, &stacks[1]->head);
        rg_node *copy = rg_node_new(s, n->value);
        rg_stack_link(copy, to);
        rg_cas_entry e[2] = { { &stacks[0]->head, from, below }, { &stacks[1]->head, to, rg_node_word(copy) } };
        if (rg_kcas(SPACE, s->index, e, 2) == RG_SUCCEEDED) {
            r = (int64_t)n->value;
            rg_retire(s, n, expired);
            break;
        }
        rg_node_free(s, copy);
    }
    rg_unpin(s);
    x_return(op, r);
}

static void hold(rg_slot *s)
{
    X_REQUIRE(rg_reserve(s, 1), "memory");
    rg_pin(s);
    rg_node *n = rg_node_of(rg_read(SPACE, s->index, &stacks[0]->head));
    if (n) rg_node_hold(n);
    rg_unpin(s);
    if (!n) return;
    X_REQUIRE(n->value < 100 && rg_node_position(n) < 100, "a node that is held has changed");
    rg_node_release(s, n);
}

/* Where others only put and get in one step. */
static void size_is_none(rg_slot *s)
{
    rg_pin(s);
    uint64_t n = rg_queue_size(s, queue);
    rg_unpin(s);
    X_REQUIRE(n == 0, "%llu items in a queue that was empty at each instant", (unsigned long long)n);
}

static void play(rg_slot *s, const char *what, int64_t first)
{
    for (int64_t v = first; *what; what++, v++) {
        switch (*what) {
        case 'p': put(s, v); break;
        case 'g': get(s); break;
        case 'c': put_composed(s, v); break;
        case 'x': put_and_get(s, v); break;
        case 'e': size_is_none(s); break;
        case 'u': push(s, 0, v); break;
        case 'o': pop(s, 0); break;
        case 'U': push(s, 1, v); break;
        case 'O': pop(s, 1); break;
        case 'v': push_from(s, 0, v, RG_TRIED_LOST); break;
        case 'l': pop_from(s, 0, RG_TRIED_LOST); break;
        case 'm': move(s); break;
        case 'h': hold(s); break;
        case 'f': rg_flush(s); break;
        case 'r': s_reclaim_soon(s); break;
        }
    }
}

static void open_slots(void)
{
    s_open(x_now->threads, 0);
    if (!keeps_nodes()) s_free_nodes_at_once();
}

static void setup_queue(void)
{
    open_slots();
    queue = x_new(sizeof *queue, "queue");
    x_name(&queue->head, 8, "queue.head");
    x_name(&queue->tail, 8, "queue.tail");
    rg_node *dummy = rg_node_new(s_slots[0], 0);
    rg_queue_open(queue, dummy, 0);
    live_before = x_live_blocks();
    play(s_slots[0], prog()->setup, 91);
}

static void setup_stacks(void)
{
    open_slots();
    for (unsigned i = 0; i < 2; i++) {
        stacks[i] = x_new(sizeof *stacks[i], i ? "stack2" : "stack1");
        x_name(&stacks[i]->head, 8, "stack%u.head", i + 1);
    }
    live_before = x_live_blocks();
    play(s_slots[0], prog()->setup, 91);
    rg_elimination *e = (rg_elimination *)(uintptr_t)stacks[0]->places;
    if (e) x_arena_dense(e, sizeof *e); /* the final check frees it, which poisons it */
    for (unsigned i = 0; e && i < RG_PLACES; i++) x_name(&e->at[i].offer, 8, "place%u", i);
}

static void run(unsigned t) { play(s_slots[t], prog()->thread[t], 10 * (int64_t)t + 1); }

static void nothing_leaks(void)
{
    s_reclaim_all();
    if (!keeps_nodes())
        X_REQUIRE(x_live_blocks() == live_before, "%zu blocks are left, not %zu", x_live_blocks(), live_before);
}

static void after_queue(void)
{
    rg_slot *s = s_slots[0];
    s_quiet((rg_word *[]){ &queue->head, &queue->tail }, 2);
    while (get(s) != S_NONE) {}
    X_REQUIRE(rg_queue_size(s, queue) == 0, "an empty queue of size %lld", (long long)rg_queue_size(s, queue));
    nothing_leaks();
}

static void after_stacks(void)
{
    s_quiet((rg_word *[]){ &stacks[0]->head, &stacks[1]->head }, 2);
    while (pop(s_slots[0], 0) != S_NONE) {}
    while (pop(s_slots[0], 1) != S_NONE) {}
    for (rg_elimination *e = (rg_elimination *)(uintptr_t)rg_load(&stacks[0]->places); e; e = NULL)
        for (unsigned i = 0; i < RG_PLACES; i++)
            X_REQUIRE(rg_load(&e->at[i].offer) == 0, "place %u is not free, and nobody is there", i);
    for (unsigned i = 0; i < 2; i++) rg_stack_close(stacks[i]);
    nothing_leaks();
}

#define PROGRAM(...) &(const program){ __VA_ARGS__ }
#define QUEUE(n, title, ...) \
    .name = "queue." title, .threads = n, .model = &s_queue_model, .setup = setup_queue, .run = run, .after = after_queue, \
    .arg = PROGRAM(__VA_ARGS__)
#define STACKS(n, title, ...) \
    .name = title, .threads = n, .model = &s_stacks_model, .setup = setup_stacks, .run = run, .after = after_stacks, \
    .arg = PROGRAM(__VA_ARGS__)

const x_scenario s_structures[] = {
    { QUEUE(2, "put-get", "", { "p", "g" }), .brute = true },
    { QUEUE(2, "put-put", "", { "p", "p" }) },
    { QUEUE(2, "get-get", "p", { "g", "g" }), .brute = true },
    { QUEUE(2, "pp-g", "", { "pp", "g" }), .brute = true },
    { QUEUE(2, "pg-p", "", { "pg", "p" }) },
    { QUEUE(2, "gp-g", "p", { "gp", "g" }), .brute = true },
    { QUEUE(2, "pp-gg", "", { "pp", "gg" }), .brute = true },
    { QUEUE(2, "pg-pg", "", { "pg", "pg" }) },
    { QUEUE(2, "pg-gp", "", { "pg", "gp" }) },
    { QUEUE(2, "gg-pg", "p", { "gg", "pg" }) },
    { QUEUE(2, "pp-pp", "", { "pp", "pp" }) },
    { QUEUE(2, "rg-rg", "pp", { "rg", "rg" }) },
    { QUEUE(2, "rgp-rg", "p", { "rgp", "rg" }) },
    { QUEUE(2, "gf-g", "pp", { "gf", "g" }) },
    { QUEUE(2, "gf-gp", "pp", { "gf", "gp" }), .large = true },
    { QUEUE(2, "gf-gf", "pp", { "gf", "gf" }), .large = true },
    { QUEUE(2, "gfp-gp.cached", "pp", { "rgfp", "rgp" }), .large = true },
    { QUEUE(3, "p-p-g", "", { "p", "p", "g" }) },
    { QUEUE(3, "p-g-g", "p", { "p", "g", "g" }) },
    /* a put that stalls before it moves tail, a get that passes it, a put that begins at the old tail */
    { QUEUE(3, "p-gf-p", "", { "p", "gf", "p" }) },
    /* a get that finds tail behind, and a reaction about to fail that has its reference on tail */
    { QUEUE(2, "cgf-x", "", { "cgf", "x" }) },
    { QUEUE(2, "c-xg", "", { "c", "xg" }) },
    /* the size while a reaction puts and gets in one step */
    { QUEUE(2, "x-e", "", { "x", "e" }) },
    { STACKS(2, "stack.push-pop", "", { "u", "o" }), .brute = true },
    { STACKS(2, "stack.push-push", "", { "u", "u" }), .brute = true },
    { STACKS(2, "stack.pop-pop", "uu", { "o", "o" }), .brute = true },
    { STACKS(2, "stack.uo-o", "u", { "uo", "o" }), .brute = true },
    { STACKS(2, "stack.uo-uo", "", { "uo", "uo" }) },
    { STACKS(2, "stack.ou-ou", "u", { "ou", "ou" }) },
    { STACKS(2, "stack.oo-uo", "u", { "oo", "uo" }), .brute = true },
    { STACKS(2, "stack.ro-ro", "uu", { "ro", "ro" }) },
    { STACKS(2, "stack.rou-rou", "u", { "rou", "rou" }) },
    { STACKS(2, "stack.of-o", "uu", { "of", "o" }) },
    { STACKS(2, "stack.of-ou", "uu", { "of", "ou" }), .large = true },
    { STACKS(2, "stack.oofu-o.cached", "uu", { "oofu", "o" }) },
    { STACKS(3, "stack.u-o-o", "u", { "u", "o", "o" }) },
    { STACKS(2, "stack.of-h", "u", { "of", "h" }) },
    { STACKS(2, "stack.of-hh", "uu", { "of", "hh" }), .large = true },
    { STACKS(2, "stack.of-o.tso", "uu", { "of", "o" }), .tso = true },
    /* places are made in set-up, but for the first */
    { STACKS(2, "elimination.make", "", { "v", "v" }) },
    { STACKS(2, "elimination.v-l", "vo", { "v", "l" }), .brute = true },
    { STACKS(2, "elimination.v-l.full", "v", { "v", "l" }) },
    { STACKS(2, "elimination.vo-l", "vo", { "vo", "l" }) },
    { STACKS(2, "elimination.vo-ul", "vo", { "vo", "ul" }) },
    { STACKS(2, "elimination.v-lv.cached", "vo", { "v", "lv" }) },
    { STACKS(2, "elimination.vl-vl", "vo", { "vl", "vl" }), .large = true },
    { STACKS(3, "elimination.v-l-l", "vo", { "v", "l", "l" }) },
    { STACKS(3, "elimination.v-v-l", "vo", { "v", "v", "l" }), .large = true },
    { STACKS(3, "elimination.v-l-u", "vo", { "v", "l", "u" }) },
    { STACKS(3, "elimination.v-lv-l.cached", "vo", { "v", "lv", "l" }), .large = true },
    { STACKS(2, "move.m-m", "uu", { "m", "m" }) },
    { STACKS(2, "move.m-o", "u", { "m", "o" }) },
    { STACKS(2, "move.m-O", "u", { "m", "O" }) },
    { STACKS(2, "move.m-uO", "", { "m", "uO" }) },
    { STACKS(2, "move.mf-o", "uu", { "mf", "o" }), .large = true },
    { .name = NULL },
};
