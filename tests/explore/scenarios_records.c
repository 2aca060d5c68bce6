/* scenarios_records.c - the list and the heap below a record: record.h, heap.h; with retirement and reclaiming.
 *
 * A program is a string for each thread:
 *   p put, g get; P, G: the same where each comparison has to be asked for, unpinned, with the record held
 *   n how many there are; c close (nobody puts any more)
 *   f reclaim (rg_flush); r one round of it when the next operation unpins
 *   a arrive: this thread takes its slot only now, so that the others may have been alone; e end
 * Values put are 10 * thread + position + 1, those of set-up 51, 52, ...; in the heap they are ordered by their tens, so that
 * those of one thread are equal. */
#include "subject.h"
#include "heap.h"

#include <stdio.h>

typedef struct program {
    const char *setup;
    const char *thread[X_THREADS];
    unsigned limit;
    bool heap;
} program;

static rg_word *root;
static rg_heap_merge *merges[X_THREADS + 1]; /* where accesses are seen; each its slot's */
static size_t live_before;

static const program *prog(void) { return x_now->arg; }
static bool keeps_nodes(void) { return strstr(x_now->name, ".cached") != NULL; }

enum { R_FULL = -2, R_CLOSED = -3 };

/* ---- the model ------------------------------------------------------------------------------------- */

typedef struct model {
    unsigned n;
    bool closed;
    int64_t at[8]; /* in the order of their puts */
} model;

static void init(void *state) { memset(state, 0, sizeof(model)); }

static unsigned first_of(const model *m)
{
    unsigned best = prog()->heap ? 0 : m->n - 1;
    for (unsigned i = 1; prog()->heap && i < m->n; i++)
        if (m->at[i] / 10 < m->at[best] / 10) best = i;
    return best;
}

static bool apply(void *state, const x_op *op)
{
    model *m = state;
    switch (op->code) {
    case S_PUT:
        if (m->closed) return op->result == R_CLOSED;
        if (prog()->limit && m->n >= prog()->limit) return op->result == R_FULL;
        m->at[m->n++] = op->a;
        return op->result == 0;
    case S_GET: {
        if (!m->n) return op->result == (m->closed ? R_CLOSED : S_NONE);
        unsigned i = first_of(m);
        if (m->at[i] != op->result) return false;
        memmove(&m->at[i], &m->at[i + 1], (--m->n - i) * sizeof *m->at);
        return true;
    }
    case S_SIZE: return op->result == (int64_t)m->n;
    case S_MOVE: return m->closed = true; /* close */
    }
    return false;
}

static void print(const x_op *op, char *out, size_t room)
{
    const char *name = op->code == S_PUT ? "put" : op->code == S_GET ? "get" : op->code == S_SIZE ? "size" : "close";
    snprintf(out, room, "name='%s', args=(%lld,), result=%lld", name, (long long)op->a, (long long)op->result);
}

static const x_model records_model = { sizeof(model), init, apply, print };

/* ---- operations ------------------------------------------------------------------------------------ */

static int less(uint64_t x, uint64_t y) { return x / 10 < y / 10; }
static int cannot_tell(uint64_t x, uint64_t y) { return (void)x, (void)y, -1; }
/* Of every other value, so that there are some without. */
static uint64_t hint(uint64_t v) { return v % 2 ? 1ULL << RG_HEAP_KIND_SHIFT | v / 10 : 0; }

/* As a comparison by user code goes. */
static rg_record_tried asked(rg_slot *s, rg_heap_merge *m)
{
    rg_wide *x, *y;
    rg_heap_hold(m);
    bool still;
    do {
        rg_heap_question(m, &x, &y);
        uint64_t a = x->node.value, b = y->node.value;
        rg_unpin(s);
        bool l = less(a, b) == 1;
        rg_pin(s);
        still = rg_heap_stands(s, root, m);
        if (still) rg_heap_answer(m, l);
    } while (still && !rg_heap_descend(m, cannot_tell));
    return rg_heap_finish_held(s, root, m, still);
}

static int64_t outcome(rg_record_tried t, uint64_t v)
{
    return t == RG_RECORD_DONE ? (int64_t)v : t == RG_RECORD_EMPTY ? S_NONE : t == RG_RECORD_FULL ? R_FULL : R_CLOSED;
}

static void put(rg_slot *s, uint64_t v, rg_heap_less with)
{
    x_op *op = x_call(S_PUT, (int64_t)v, 0);
    X_REQUIRE(rg_reserve(s, RG_HEAP_ROOM), "memory");
    rg_node *n = prog()->heap ? NULL : rg_node_new(s, v);
    rg_heap_merge *m = merges[s->index];
    rg_record_tried t;
    rg_pin(s);
    do {
        (void)rg_record_of(s, root);
        t = n ? rg_lifo_try_put(s, root, n) : rg_heap_try_put(s, root, v, with == cannot_tell ? 0 : hint(v), with, m);
        if (t == RG_RECORD_ASK) t = asked(s, m);
    } while (t == RG_RECORD_LOST || t == RG_RECORD_BUSY);
    if (n && t != RG_RECORD_DONE) rg_node_free(s, n);
    rg_unpin(s);
    x_return(op, outcome(t, 0));
}

static int64_t get(rg_slot *s, rg_heap_less with)
{
    x_op *op = x_call(S_GET, 0, 0);
    X_REQUIRE(rg_reserve(s, RG_HEAP_ROOM), "memory");
    uint64_t v = 0;
    rg_heap_merge *m = merges[s->index];
    rg_record_tried t;
    rg_pin(s);
    do {
        (void)rg_record_of(s, root);
        t = prog()->heap ? rg_heap_try_get(s, root, &v, with, m) : rg_lifo_try_get(s, root, &v);
        if (t == RG_RECORD_ASK) t = asked(s, m);
    } while (t == RG_RECORD_LOST || t == RG_RECORD_BUSY);
    rg_unpin(s);
    x_return(op, outcome(t, v));
    return outcome(t, v);
}

static void size(rg_slot *s)
{
    x_op *op = x_call(S_SIZE, 0, 0);
    rg_pin(s);
    uint64_t n = rg_record_size(rg_record_of(s, root));
    rg_unpin(s);
    x_return(op, (int64_t)n);
}

static void close_it(rg_slot *s)
{
    x_op *op = x_call(S_MOVE, 0, 0);
    X_REQUIRE(rg_reserve(s, 1), "memory");
    rg_pin(s);
    rg_record_tried t;
    rg_wide *was;
    do {
        was = rg_record_of(s, root);
        t = rg_record_follow(s, root, was,
                             rg_record_new(s, rg_record_top(was), rg_record_size(was), rg_record_puts(was), rg_record_rules(was) | 1));
    } while (t == RG_RECORD_LOST);
    rg_record_retire(s, &was->node, rg_record_watched(s));
    rg_unpin(s);
    x_return(op, 0);
}

static bool arrives(unsigned t) { return t < X_THREADS && prog()->thread[t] && prog()->thread[t][0] == 'a'; }

static rg_slot *arrive(unsigned t)
{
    rg_slot *s = s_slots[t] = rg_slot_claim(s_dom);
    X_REQUIRE(s, "no slot");
    if (!keeps_nodes()) s->free_count = s->free_wide_count = RG_NODE_CACHE;
    return s;
}

/* What the slot keeps for its next owner goes too, so that what is left can be counted. */
static void end(rg_slot *s)
{
    s_thread_ends(s);
    if (s->ring.items) rg_free(s->ring.items);
    memset(&s->ring, 0, sizeof s->ring);
}

static void play(rg_slot *s, const char *what, uint64_t first)
{
    for (uint64_t v = first; *what; what++, v++) {
        switch (*what) {
        case 'p': put(s, v, less); break;
        case 'g': get(s, less); break;
        case 'P': put(s, v, cannot_tell); break;
        case 'G': get(s, cannot_tell); break;
        case 'n': size(s); break;
        case 'c': close_it(s); break;
        case 'f': rg_flush(s); break;
        case 'r': s_reclaim_soon(s); break;
        case 'a': s = arrive((unsigned)(first / 10)); break;
        case 'e': end(s); break;
        }
    }
}

static void setup(void)
{
    unsigned late = 0; /* the last ones */
    while (arrives(x_now->threads - 1 - late)) late++;
    s_open(x_now->threads - late, late);
    if (!keeps_nodes()) s_free_nodes_at_once();
    root = x_new(sizeof *root, "root");
    for (unsigned i = 0; i <= x_now->threads && i <= X_THREADS; i++) merges[i] = x_new(sizeof *merges[i], "merge");
    live_before = x_live_blocks();
    rg_store(root, rg_node_word(&rg_record_new(s_slots[0], 0, 0, 0, prog()->limit << 1)->node));
    play(s_slots[0], prog()->setup, 51);
}

static void run(unsigned t) { play(arrives(t) ? NULL : s_slots[t], prog()->thread[t], 10 * (uint64_t)t + 1); }

/* Right children are the lighter ones, and nobody comes before its parent. */
static uint64_t check_heap(rg_wide *n)
{
    if (!n) return 0;
    rg_wide *child[] = { rg_heap_left(n), rg_heap_right(n) };
    uint64_t w[2];
    for (unsigned i = 0; i < 2; i++) {
        w[i] = check_heap(child[i]);
        X_REQUIRE(!child[i] || !less(child[i]->node.value, n->node.value), "a child comes before its parent");
    }
    X_REQUIRE(w[0] >= w[1], "the right child is the heavier one");
    X_REQUIRE(rg_heap_weight(n) == w[0] + w[1] + 1, "a wrong weight");
    return w[0] + w[1] + 1;
}

static void after(void)
{
    rg_slot *s = s_slots[0];
    s_quiet((rg_word *[]){ root }, 1);
    rg_wide *r = rg_wide_of(rg_load(root));
    if (prog()->heap) X_REQUIRE(check_heap(rg_wide_of(rg_record_top(r))) == rg_record_size(r), "a wrong size");
    while (get(s, less) >= 0) {}
    rg_wide_free(s, rg_wide_of(rg_load(root)));
    s_reclaim_all();
    while (rg_load(&s_dom->orphans)) rg_flush(s); /* of those who have ended */
    if (!keeps_nodes())
        X_REQUIRE(x_live_blocks() == live_before, "%zu blocks are left, not %zu", x_live_blocks(), live_before);
}

#define RECORD(n, title, is_heap, most, before, ...)                                                               \
    .name = title, .threads = n, .model = &records_model, .setup = setup, .run = run, .after = after,              \
    .arg = &(const program) { .setup = before, .thread = __VA_ARGS__, .limit = most, .heap = is_heap }
#define LIFO(n, title, ...) RECORD(n, "lifo." title, false, 0, __VA_ARGS__)
#define HEAP(n, title, ...) RECORD(n, "heap." title, true, 0, __VA_ARGS__)

#define T(...) { __VA_ARGS__ }
const x_scenario s_records[] = {
    { LIFO(2, "p-g", "", T("p", "g")), .brute = true },
    { LIFO(2, "pg-pg", "", T("pg", "pg")) },
    { LIFO(2, "gp-gn", "pp", T("gp", "gn")) },
    { LIFO(2, "rgp-rg", "pp", T("rgp", "rg")), .large = true },
    { LIFO(2, "gf-gp.cached", "pp", T("gf", "gp")), .large = true },
    { RECORD(2, "lifo.bounded.pp-g", false, 1, "", T("pp", "g")) },
    { RECORD(3, "lifo.bounded.p-p-g", false, 1, "", T("p", "p", "g")) },
    { LIFO(2, "c-pg", "", T("c", "pg")) },
    { LIFO(2, "gp-age", "pp", T("gp", "age")), .large = true },
    { LIFO(2, "gpg-agpe.cached", "pp", T("gpg", "agpe")), .large = true },
    { HEAP(2, "p-g", "", T("p", "g")), .brute = true },
    { HEAP(2, "p-p", "p", T("p", "p")) },
    { HEAP(2, "g-g", "pp", T("g", "g")) },
    { HEAP(2, "pp-pg", "p", T("pp", "pg")) },
    { HEAP(2, "pg-gp", "pp", T("pg", "gp")) },
    { HEAP(2, "rgp-rg", "ppp", T("rgp", "rg")), .large = true },
    { HEAP(2, "gf-gp", "pppp", T("gf", "gp")), .large = true },
    { HEAP(2, "gf-gp.cached", "pppp", T("gf", "gp")), .large = true },
    { HEAP(3, "p-p-g", "", T("p", "p", "g")) },
    { HEAP(2, "P-p", "p", T("P", "p")) },
    { HEAP(2, "G-gf", "ppp", T("G", "gf")) },
    { HEAP(2, "G-gfp.cached", "ppp", T("G", "gfp")), .large = true },
    { HEAP(2, "PG-Gf", "pp", T("PG", "Gf")), .large = true },
    { RECORD(2, "heap.bounded.pp-gg", true, 1, "", T("pp", "gg")) },
    { HEAP(2, "c-pg", "p", T("c", "pg")) },
    { HEAP(2, "gf-gp.tso", "ppp", T("gf", "gp")), .tso = true, .large = true },
    { HEAP(2, "gp-age", "ppp", T("gp", "age")), .large = true },
    { HEAP(2, "gp-aGe", "ppp", T("gp", "aGe")), .large = true },
    { HEAP(2, "gpg-agpe.cached", "pp", T("gpg", "agpe")), .large = true },
    { .name = NULL },
};
