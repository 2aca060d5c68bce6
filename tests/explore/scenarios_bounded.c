/* scenarios_bounded.c - a queue that is bounded, that is closed, and whose tasks are counted.
 *
 * A program is a string for each thread:
 *   p put, g get, t task_done; c close, d close and drain; j look whether all is done
 *   P get and put by one k-CAS, as a reaction does (of a queue that is full: room by the get's grace)
 *   f reclaim (rg_flush)
 * Values put are 10 * thread + position + 1, those of set-up 91, 92, ... */
#include "subject.h"

#include <stdio.h>

typedef struct program {
    const char *setup;
    const char *thread[X_THREADS];
    int64_t maxsize;
} program;

enum { B_PUT, B_GET, B_TASK, B_CLOSE, B_DRAIN, B_JOIN, B_MOVE };
/* Results beside values. */
enum { OK = 0, EMPTY = -1, FULL = -2, CLOSED = -3, TOO_OFTEN = -4, UNFINISHED = -5 };

static rg_queue *queue;
static size_t live_before;

static const program *prog(void) { return x_now->arg; }

/* ---- the model ---------------------------------------------------------------------------------- */

typedef struct model {
    int64_t at[12];
    unsigned n, unfinished;
    bool closed;
} model;

static void init(void *state) { memset(state, 0, sizeof(model)); }

static int64_t fold(const int64_t *at, unsigned n)
{
    int64_t sum = 0;
    for (unsigned i = 0; i < n; i++) sum = 100 * sum + at[i];
    return sum;
}

static int64_t answer(model *m, const x_op *op)
{
    int64_t v;
    switch (op->code) {
    case B_PUT:
        if (m->closed) return CLOSED;
        if (prog()->maxsize && m->n >= prog()->maxsize) return FULL;
        m->at[m->n++] = op->a;
        m->unfinished++;
        return OK;
    case B_GET:
    case B_MOVE:
        if (!m->n) return m->closed ? CLOSED : EMPTY;
        if (op->code == B_MOVE && m->closed) return CLOSED;
        v = m->at[0];
        memmove(m->at, m->at + 1, --m->n * sizeof v);
        if (op->code == B_MOVE) m->at[m->n++] = op->a, m->unfinished++;
        return v;
    case B_TASK: return m->unfinished ? (m->unfinished--, OK) : TOO_OFTEN;
    case B_JOIN: return m->unfinished ? UNFINISHED : OK;
    case B_CLOSE: m->closed = true; return OK;
    case B_DRAIN:
        m->closed = true;
        v = fold(m->at, m->n);
        m->unfinished -= m->n < m->unfinished ? m->n : m->unfinished;
        m->n = 0;
        return v;
    }
    return 0;
}

static bool apply(void *state, const x_op *op) { return answer(state, op) == op->result; }

static void print(const x_op *op, char *out, size_t room)
{
    static const char *const names[] = { "put", "get", "task_done", "shutdown", "drain", "join", "move" };
    snprintf(out, room, "name='%s', args=(%lld,), result=%lld", names[op->code], (long long)op->a, (long long)op->result);
}

static const x_model bounded_model = { sizeof(model), init, apply, print };

/* ---- the operations ------------------------------------------------------------------------------ */

static void expired(rg_slot *s, void *n) { rg_node_expired(s, n); }

static int64_t put(rg_slot *s, int64_t v)
{
    rg_node *n = rg_node_new(s, (uint64_t)v);
    rg_word *changed;
    rg_tried t = rg_queue_put(s, queue, n, &changed, RG_TRIED_BUSY);
    if (t == RG_TRIED_DONE) return OK;
    rg_node_free(s, n);
    return t == RG_TRIED_FULL ? FULL : CLOSED;
}

static int64_t get(rg_slot *s)
{
    rg_node *old = NULL;
    uint64_t v = 0;
    rg_tried t = rg_queue_get(s, queue, &old, &v, RG_TRIED_BUSY);
    if (t == RG_TRIED_DONE) rg_retire(s, old, expired);
    return t == RG_TRIED_DONE ? (int64_t)v : t == RG_TRIED_EMPTY ? EMPTY : CLOSED;
}

static int64_t drain(rg_slot *s)
{
    rg_node *n;
    uint64_t count;
    rg_word *changed;
    while (rg_queue_try_close_and_drain(s, queue, 12, &n, &count, &changed) != RG_TRIED_DONE) {}
    int64_t got[12];
    for (unsigned i = 0; i < count; i++) {
        rg_node *next = rg_node_of(rg_read(SPACE, s->index, &n->next));
        got[i] = (int64_t)next->value;
        rg_retire(s, n, expired);
        n = next;
    }
    return fold(got, (unsigned)count);
}

/* Of an item, not of the queue's end: where there is none it is as a get. */
static int64_t move(rg_slot *s, int64_t v)
{
    for (;;) {
        uint64_t h = rg_read(SPACE, s->index, &queue->head);
        rg_node *last = rg_queue_last(s, queue);
        uint64_t end = rg_read(SPACE, s->index, &last->next), next = rg_read(SPACE, s->index, &rg_node_of(h)->next);
        if (rg_queue_ends(next)) return next ? CLOSED : EMPTY;
        if (end == RG_QUEUE_CLOSED) return CLOSED;
        if (end) continue;
        rg_node *n = rg_node_new(s, (uint64_t)v);
        rg_node_place(n, rg_node_position(last) + 1);
        rg_queue_take_tail_along(s, queue, h, next);
        int64_t value = (int64_t)rg_node_of(next)->value;
        rg_cas_entry e[] = { { &queue->head, h, next }, { &last->next, 0, rg_node_word(n) } };
        if (rg_kcas(SPACE, s->index, e, 2) == RG_SUCCEEDED) {
            rg_retire(s, rg_node_of(h), expired);
            return value;
        }
        rg_node_free(s, n);
    }
}

static void play(rg_slot *s, const char *what, int64_t v)
{
    static const struct {
        char letter;
        unsigned code;
    } codes[] = { { 'p', B_PUT }, { 'g', B_GET }, { 't', B_TASK }, { 'c', B_CLOSE }, { 'd', B_DRAIN }, { 'j', B_JOIN }, { 'P', B_MOVE } };
    for (; *what; what++, v++) {
        if (*what == 'f') {
            rg_flush(s);
            continue;
        }
        x_op *op = NULL;
        for (unsigned i = 0; i < sizeof codes / sizeof *codes; i++)
            if (codes[i].letter == *what) op = x_call(codes[i].code, v, 0);
        X_REQUIRE(rg_reserve(s, 12), "memory");
        int64_t r = OK;
        uint64_t now;
        rg_pin(s);
        switch (*what) {
        case 'p': r = put(s, v); break;
        case 'g': r = get(s); break;
        case 'P': r = move(s, v); break;
        case 'd': r = drain(s); break;
        case 'c': rg_queue_close(s, queue); break;
        case 'j': r = rg_queue_unfinished(s, queue) ? UNFINISHED : OK; break;
        case 't':
            for (rg_tried t; (t = rg_queue_try_task_done(s, queue, &now)) != RG_TRIED_DONE;)
                if (t == RG_TRIED_EMPTY) {
                    r = TOO_OFTEN;
                    break;
                }
            break;
        }
        rg_unpin(s);
        x_return(op, r);
    }
}

/* ---- scenarios ------------------------------------------------------------------------------------ */

static void setup(void)
{
    s_open(x_now->threads, 0);
    s_free_nodes_at_once();
    queue = x_new(sizeof *queue, "queue");
    x_name(&queue->head, 8, "queue.head");
    x_name(&queue->tail, 8, "queue.tail");
    x_name(&queue->passed, 8, "queue.passed");
    x_name(&queue->done, 8, "queue.done");
    rg_queue_open(queue, rg_node_new(s_slots[0], 0), prog()->maxsize);
    live_before = x_live_blocks();
    play(s_slots[0], prog()->setup, 91);
}

static void run(unsigned t) { play(s_slots[t], prog()->thread[t], 10 * (int64_t)t + 1); }

static void after(void)
{
    rg_slot *s = s_slots[0];
    s_quiet((rg_word *[]){ &queue->head, &queue->tail, &queue->done }, 3);
    X_REQUIRE(!prog()->maxsize || rg_queue_size(s, queue) <= (uint64_t)prog()->maxsize, "more items than there is room for");
    uint64_t done = rg_read(SPACE, s->index, &queue->done);
    X_REQUIRE(rg_ahead(rg_node_position(rg_queue_last(s, queue)), done) >= 0, "more is done than was put");
    while (rg_queue_size(s, queue)) play(s, "g", 0);
    play(s, "g", 0); /* none; or closed */
    s_reclaim_all();
    X_REQUIRE(x_live_blocks() == live_before, "%zu blocks are left, not %zu", x_live_blocks(), live_before);
}

#define BOUNDED(n, size, title, before, ...) \
    .name = "bounded." title, .threads = n, .model = &bounded_model, .setup = setup, .run = run, .after = after, \
    .arg = &(const program){ .maxsize = size, .setup = before, .thread = __VA_ARGS__ }

const x_scenario s_bounded[] = {
    { BOUNDED(2, 1, "p-p", "", { "p", "p" }) },
    { BOUNDED(2, 1, "p-g", "p", { "p", "g" }), .brute = true },
    { BOUNDED(2, 1, "pp-g", "p", { "pp", "g" }) },
    { BOUNDED(2, 1, "pg-pg", "", { "pg", "pg" }) },
    { BOUNDED(2, 1, "gp-p", "p", { "gp", "p" }) },
    { BOUNDED(2, 2, "pp-gg", "pp", { "pp", "gg" }) },
    { BOUNDED(2, 2, "gpp-p", "pp", { "gpp", "p" }) },
    { BOUNDED(2, 1, "gf-p", "p", { "gf", "p" }) },
    { BOUNDED(2, 1, "P-p", "p", { "P", "p" }) },
    { BOUNDED(2, 1, "P-g", "p", { "P", "g" }) },
    { BOUNDED(3, 1, "p-p-g", "p", { "p", "p", "g" }) },
    { BOUNDED(2, 0, "shutdown.c-p", "", { "c", "p" }), .brute = true },
    { BOUNDED(2, 0, "shutdown.c-g", "p", { "c", "g" }) },
    { BOUNDED(2, 0, "shutdown.c-gg", "p", { "c", "gg" }) },
    { BOUNDED(2, 0, "shutdown.c-c", "p", { "c", "c" }) },
    { BOUNDED(2, 1, "shutdown.c-p.full", "p", { "c", "p" }) },
    { BOUNDED(2, 1, "shutdown.cg-p.full", "p", { "cg", "p" }) },
    { BOUNDED(2, 0, "shutdown.cp-pg", "", { "cp", "pg" }) },
    { BOUNDED(2, 0, "drain.d-p", "p", { "d", "p" }) },
    { BOUNDED(2, 0, "drain.d-g", "pp", { "d", "g" }) },
    { BOUNDED(2, 0, "drain.d-t", "p", { "d", "t" }) },
    { BOUNDED(2, 0, "drain.d-gt", "pp", { "d", "gt" }), .bound = 2 },
    { BOUNDED(2, 0, "drain.d-c", "p", { "d", "c" }) },
    { BOUNDED(2, 0, "drain.d-d", "pp", { "d", "d" }), .bound = 2 },
    { BOUNDED(2, 0, "drain.df-g", "pp", { "df", "g" }), .large = true },
    { BOUNDED(3, 0, "drain.d-p-g", "p", { "d", "p", "g" }), .bound = 2 },
    { BOUNDED(2, 0, "tasks.t-t", "pg", { "t", "t" }), .brute = true },
    { BOUNDED(2, 0, "tasks.pt-t", "pg", { "pt", "t" }) },
    { BOUNDED(2, 0, "tasks.pt-j", "pg", { "pt", "j" }) },
    { BOUNDED(2, 0, "tasks.p-tj", "pg", { "p", "tj" }) },
    { .name = NULL },
};
