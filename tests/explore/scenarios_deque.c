/* scenarios_deque.c - the deque, with retirement and reclaiming.
 *
 * A program is a string for each thread:
 *   a append, b appendleft, c pop (at the right), d popleft
 *   t append two items at once, w append and appendleft at once, x append and then popleft at once: each leaves its links
 *   to be set by others, as a reaction does
 *   s snapshot; f reclaim; r one round of it when the next operation unpins
 * Values are 10 * thread + position + 1, second ones 5 more, those of set-up 91, 92, ... */
#include "deque.h"
#include "subject.h"

#include <stdio.h>

typedef struct program {
    const char *setup;
    const char *thread[X_THREADS];
} program;

static rg_deque *deque;
static size_t live_before;

static const program *prog(void) { return x_now->arg; }
static bool keeps_nodes(void) { return strstr(x_now->name, ".cached") != NULL; }

/* ---- the model -------------------------------------------------------------------------------- */

enum { APPEND, APPENDLEFT, POP, POPLEFT, APPEND_TWO, APPEND_BOTH, APPEND_POPLEFT, SNAPSHOT };

typedef struct items {
    unsigned n;
    int64_t at[12];
} items;

static void put_in(items *l, int side, int64_t v)
{
    if (side == RG_AT_LEFT) memmove(l->at + 1, l->at, l->n * sizeof *l->at);
    l->at[side == RG_AT_LEFT ? 0 : l->n] = v;
    l->n++;
}

static bool take_out(items *l, int side, int64_t result)
{
    if (l->n == 0) return result == S_NONE;
    if (l->at[side == RG_AT_LEFT ? 0 : l->n - 1] != result) return false;
    l->n--;
    if (side == RG_AT_LEFT) memmove(l->at, l->at + 1, l->n * sizeof *l->at);
    return true;
}

static int64_t digits(const int64_t *at, unsigned n)
{
    int64_t d = 0;
    for (unsigned i = 0; i < n; i++) d = 100 * d + at[i];
    return d;
}

static void init(void *state) { memset(state, 0, sizeof(items)); }

static bool apply(void *state, const x_op *op)
{
    items *l = state;
    switch (op->code) {
    case APPEND: return put_in(l, RG_AT_RIGHT, op->a), true;
    case APPENDLEFT: return put_in(l, RG_AT_LEFT, op->a), true;
    case POP: return take_out(l, RG_AT_RIGHT, op->result);
    case POPLEFT: return take_out(l, RG_AT_LEFT, op->result);
    case APPEND_TWO: return put_in(l, RG_AT_RIGHT, op->a), put_in(l, RG_AT_RIGHT, op->a + 5), true;
    case APPEND_BOTH: return put_in(l, RG_AT_RIGHT, op->a), put_in(l, RG_AT_LEFT, op->a + 5), true;
    case APPEND_POPLEFT: return put_in(l, RG_AT_RIGHT, op->a), take_out(l, RG_AT_LEFT, op->result);
    case SNAPSHOT: return op->result == digits(l->at, l->n);
    }
    return false;
}

static void print(const x_op *op, char *out, size_t room)
{
    static const char *const names[] = { "append", "appendleft", "pop", "popleft", "append_two", "append_both", "append_popleft", "snapshot" };
    bool takes = op->code <= APPENDLEFT || (op->code >= APPEND_TWO && op->code <= APPEND_POPLEFT);
    int n = snprintf(out, room, "name='%s', args=(", names[op->code]);
    if (takes) n += snprintf(out + n, room - (size_t)n, "%lld,", (long long)op->a);
    snprintf(out + n, room - (size_t)n, op->result == S_NONE ? "), result=None" : "), result=%lld", (long long)op->result);
}

static const x_model deque_model = { sizeof(items), init, apply, print };

/* ---- the operations ------------------------------------------------------------------------------ */

static void push(rg_slot *s, int side, int64_t v)
{
    x_op *op = x_call(side == RG_AT_RIGHT ? APPEND : APPENDLEFT, v, 0);
    rg_pin(s);
    X_REQUIRE(rg_deque_push(s, deque, rg_wide_new(s, (uint64_t)v), side, RG_TRIED_BUSY), "memory");
    rg_unpin(s);
    x_return(op, S_NONE);
}

static int64_t pop(rg_slot *s, int side)
{
    x_op *op = x_call(side == RG_AT_RIGHT ? POP : POPLEFT, 0, 0);
    rg_wide *spare = NULL;
    rg_deque_popped p;
    bool nomem;
    int64_t r = S_NONE;
    rg_pin(s);
    if (rg_deque_pop(s, deque, side, &spare, &p, &nomem, RG_TRIED_BUSY)) {
        r = (int64_t)p.value;
        rg_deque_let_go(s, side, &p);
    }
    rg_unpin(s);
    X_REQUIRE(!nomem, "memory");
    if (spare) rg_wide_free(s, spare);
    x_return(op, r);
    return r;
}

/* As a reaction would: a new record of what all of it comes to, and one CAS. */
static void several(rg_slot *s, unsigned code, int64_t v)
{
    x_op *op = x_call(code, v, 0);
    int64_t r = S_NONE;
    rg_wide *first = rg_wide_new(s, (uint64_t)v), *second = rg_wide_new(s, (uint64_t)v + 5), *record = rg_wide_new(s, 0);
    bool done = false;
    rg_pin(s);
    while (!done) {
        rg_deque_waste waste = { { NULL, NULL }, NULL };
        uint64_t a = rg_read(SPACE, s->index, &deque->anchor);
        rg_deque_view view = rg_deque_view_of(a);
        X_REQUIRE(rg_reserve(s, 2 * RG_DEQUE_ROOM), "memory");
        if (!rg_deque_set_links(s, deque, a, &view)) continue;
        rg_deque_view_push(&view, first, RG_AT_RIGHT);
        if (code == APPEND_TWO) rg_deque_view_push(&view, second, RG_AT_RIGHT);
        if (code == APPEND_BOTH) rg_deque_view_push(&view, second, RG_AT_LEFT);
        if (code == APPEND_POPLEFT) r = (int64_t)rg_deque_view_pop(&view, RG_AT_LEFT, &waste)->node.value;
        if (view.count) rg_deque_record(record, &view);
        rg_cas_entry e[1] = { { &deque->anchor, a, view.count ? rg_wide_word(record) : 0 } };
        done = rg_kcas(SPACE, s->index, e, 1) == RG_SUCCEEDED;
        if (!done) continue;
        rg_deque_retire_waste(s, &waste);
        if (a && !rg_deque_view_of(a).mark) rg_deque_retire(s, a);
        if (!view.count) rg_wide_free(s, record);
        if (code == APPEND_POPLEFT) rg_wide_free(s, second);
    }
    rg_unpin(s);
    x_return(op, r);
}

static void snapshot(rg_slot *s)
{
    x_op *op = x_call(SNAPSHOT, 0, 0);
    uint64_t at[12];
    int64_t values[12];
    rg_deque_view v;
    rg_pin(s);
    for (;;) {
        uint64_t a = rg_read(SPACE, s->index, &deque->anchor);
        v = rg_deque_view_of(a);
        if (rg_deque_set_links(s, deque, a, &v) && rg_deque_collect(s, deque, a, &v, at)) break;
    }
    for (uint64_t i = 0; i < v.count; i++) values[i] = (int64_t)rg_node_of(at[i])->value;
    rg_unpin(s);
    x_return(op, digits(values, (unsigned)v.count));
}

static void play(rg_slot *s, const char *what, int64_t first)
{
    for (int64_t v = first; *what; what++, v++) {
        switch (*what) {
        case 'a': push(s, RG_AT_RIGHT, v); break;
        case 'b': push(s, RG_AT_LEFT, v); break;
        case 'c': pop(s, RG_AT_RIGHT); break;
        case 'd': pop(s, RG_AT_LEFT); break;
        case 't': several(s, APPEND_TWO, v); break;
        case 'w': several(s, APPEND_BOTH, v); break;
        case 'x': several(s, APPEND_POPLEFT, v); break;
        case 's': snapshot(s); break;
        case 'f': rg_flush(s); break;
        case 'r': s_reclaim_soon(s); break;
        }
    }
}

static void setup(void)
{
    s_open(x_now->threads, 0);
    if (!keeps_nodes()) s_free_nodes_at_once();
    deque = x_new(sizeof *deque, "deque");
    x_name(&deque->anchor, 8, "anchor");
    live_before = x_live_blocks();
    play(s_slots[0], prog()->setup, 91);
}

static void run(unsigned t) { play(s_slots[t], prog()->thread[t], 10 * (int64_t)t + 1); }

static void after(void)
{
    rg_slot *s = s_slots[0];
    s_quiet((rg_word *[]){ &deque->anchor }, 1);
    snapshot(s);
    for (int side = RG_AT_LEFT; pop(s, side) != S_NONE; side = !side) {}
    X_REQUIRE(rg_deque_size(s, deque) == 0, "an empty deque of size %lld", (long long)rg_deque_size(s, deque));
    s_reclaim_all();
    if (!keeps_nodes())
        X_REQUIRE(x_live_blocks() == live_before, "%zu blocks are left, not %zu", x_live_blocks(), live_before);
}

#define PROGRAM(...) &(const program){ __VA_ARGS__ }
#define DEQUE(n, title, ...) \
    .name = "deque." title, .threads = n, .model = &deque_model, .setup = setup, .run = run, .after = after, .arg = PROGRAM(__VA_ARGS__)

const x_scenario s_deque[] = {
    /* each pair of operations on none, one and two items */
    { DEQUE(2, "a-a", "", { "a", "a" }) },
    { DEQUE(2, "a-b", "", { "a", "b" }) },
    { DEQUE(2, "a-c", "", { "a", "c" }) },
    { DEQUE(2, "a-d", "", { "a", "d" }) },
    { DEQUE(2, "a-a.1", "a", { "a", "a" }) },
    { DEQUE(2, "a-b.1", "a", { "a", "b" }) },
    { DEQUE(2, "a-c.1", "a", { "a", "c" }) },
    { DEQUE(2, "a-d.1", "a", { "a", "d" }) },
    { DEQUE(2, "b-c.1", "a", { "b", "c" }) },
    { DEQUE(2, "c-c.1", "a", { "c", "c" }) },
    { DEQUE(2, "c-d.1", "a", { "c", "d" }) },
    { DEQUE(2, "a-a.2", "aa", { "a", "a" }) },
    { DEQUE(2, "a-b.2", "aa", { "a", "b" }) },
    { DEQUE(2, "a-c.2", "ab", { "a", "c" }) },
    { DEQUE(2, "a-d.2", "aa", { "a", "d" }) },
    { DEQUE(2, "b-c.2", "aa", { "b", "c" }) },
    { DEQUE(2, "c-c.2", "aa", { "c", "c" }) },
    { DEQUE(2, "c-d.2", "aa", { "c", "d" }) },
    { DEQUE(2, "d-d.2", "aa", { "d", "d" }) },
    /* back to a base, and on from there */
    { DEQUE(2, "ac-ac", "a", { "ac", "ac" }), .large = true },
    { DEQUE(2, "ac-ad", "a", { "ac", "ad" }), .large = true },
    { DEQUE(2, "ac-bd", "a", { "ac", "bd" }), .large = true },
    { DEQUE(2, "aca-c", "aa", { "aca", "c" }), .large = true },
    { DEQUE(2, "aca-d", "aa", { "aca", "d" }), .large = true },
    { DEQUE(2, "bc-ad", "ab", { "bc", "ad" }), .large = true },
    { DEQUE(2, "cc-dd", "aaa", { "cc", "dd" }) },
    { DEQUE(2, "cd-dc", "aba", { "cd", "dc" }) },
    { DEQUE(3, "a-c-d", "a", { "a", "c", "d" }), .large = true },
    { DEQUE(3, "a-b-c", "", { "a", "b", "c" }), .large = true },
    { DEQUE(3, "a-c-a", "a", { "a", "c", "a" }), .large = true },
    /* memory that comes back: what is popped, and what replaces it */
    { DEQUE(2, "rca-rc", "aa", { "rca", "rc" }), .large = true },
    { DEQUE(2, "cfa-a", "aa", { "cfa", "a" }), .large = true },
    { DEQUE(2, "caf-c", "aa", { "caf", "c" }), .large = true },
    { DEQUE(2, "cfaca-a.cached", "aa", { "cfaca", "a" }), .large = true, .bound = 3 },
    { DEQUE(3, "cfa-ac-c.cached", "aa", { "cfa", "ac", "c" }), .large = true, .bound = 2 },
    { DEQUE(2, "df-d", "aaa", { "df", "d" }), .large = true },
    /* several at once, links left unset */
    { DEQUE(2, "t-t", "", { "t", "t" }) },
    { DEQUE(2, "t-c", "a", { "t", "c" }) },
    { DEQUE(2, "t-d", "a", { "t", "d" }) },
    { DEQUE(2, "td-cc", "a", { "td", "cc" }), .large = true },
    { DEQUE(2, "w-c", "a", { "w", "c" }) },
    { DEQUE(2, "w-d", "", { "w", "d" }) },
    { DEQUE(2, "w-a", "", { "w", "a" }) },
    { DEQUE(2, "x-x", "aa", { "x", "x" }), .large = true },
    { DEQUE(2, "x-c", "a", { "x", "c" }) },
    { DEQUE(2, "x-d", "", { "x", "d" }) },
    { DEQUE(2, "xx-b", "a", { "xx", "b" }), .large = true },
    { DEQUE(2, "xc-d", "ac", { "xc", "d" }) },
    /* all at one instant */
    { DEQUE(2, "s-a", "a", { "s", "a" }) },
    { DEQUE(2, "s-ca", "aa", { "s", "ca" }) },
    { DEQUE(2, "s-db", "aa", { "s", "db" }) },
    { DEQUE(2, "s-cda", "aaa", { "s", "cda" }), .large = true },
    { DEQUE(2, "s-dcbf", "aaa", { "s", "dcbf" }), .large = true },
    { DEQUE(3, "s-ca-db", "aaa", { "s", "ca", "db" }), .large = true, .bound = 2 },
    { DEQUE(2, "s-caf.cached", "aa", { "s", "caf" }), .large = true },
    { DEQUE(2, "a-c.2.tso", "ab", { "a", "c" }), .tso = true },
    { .name = NULL },
};
