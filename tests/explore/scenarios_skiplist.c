/* scenarios_skiplist.c - the skip list of csrc/core/skiplist.h as a set of small integers.
 *
 * A program is a string for each thread, of pairs of an operation and a key:
 *   i insert, I with a tower of two levels; k as a reaction inserts: tower first, then a k-CAS, then the sweep
 *   d delete; g find; f find, unpinned at each comparison; m the smallest; p take it, by a k-CAS of all that was passed (their keys are not looked at)
 *   r a round of reclaiming at the next unpin */
#include "subject.h"
#include "../skiplist_ops.h"

#include <stdio.h>

enum { K_INSERT, K_DELETE, K_FIND, K_FIRST, K_TAKE };

typedef struct program {
    const char *setup;
    const char *thread[X_THREADS];
} program;

static rg_skiplist *list;
static size_t live_before;

static const program *prog(void) { return x_now->arg; }

static void gone(rg_slot *s, rg_tower *t)
{
    (void)s;
    X_REQUIRE(rg_load(&t->value) == SK_DEAD, "a tower goes that is not dead");
}

static void play(rg_slot *s, const char *what)
{
    for (; *what; what += 2) {
        uint64_t key = (uint64_t)(what[1] - '0');
        x_op *op;
        switch (*what) {
        case 'i':
        case 'I':
        case 'k':
            op = x_call(K_INSERT, (int64_t)key, 0);
            x_return(op, *what == 'k' ? sk_insert_by_kcas(s, list, key, 1) : sk_insert(s, list, key, *what == 'I' ? 2 : 1));
            break;
        case 'd':
            op = x_call(K_DELETE, (int64_t)key, 0);
            x_return(op, sk_delete(s, list, key));
            break;
        case 'g':
            op = x_call(K_FIND, (int64_t)key, 0);
            x_return(op, sk_find(s, list, key));
            break;
        case 'f':
            op = x_call(K_FIND, (int64_t)key, 0);
            x_return(op, sk_find_unpinning(s, list, key));
            break;
        case 'm':
        case 'p':
            op = x_call(*what == 'p' ? K_TAKE : K_FIRST, 0, 0);
            x_return(op, sk_first(s, list, *what == 'p'));
            break;
        case 'r': s_reclaim_soon(s); break;
        }
    }
}

static void setup(void)
{
    s_open(x_now->threads, 0);
    for (unsigned i = 0; i < x_now->threads; i++) s_slots[i]->free_wide_count = RG_NODE_CACHE; /* freed at once */
    list = x_new(sizeof *list, "list");
    rg_skip_open(list, gone);
    x_name(&list->head.node.next, 8, "head.next");
    x_name(&list->head.up[0], 8, "head.up");
    x_name(&list->top, 8, "top");
    live_before = x_live_blocks();
    play(s_slots[0], prog()->setup);
}

static void run(unsigned t) { play(s_slots[t], prog()->thread[t]); }

/* Keys grow; what is in is what the history says; nothing is left behind. */
static void after(void)
{
    rg_slot *s = s_slots[0];
    s_quiet((rg_word *[]){ &list->head.node.next }, 1);
    uint64_t last = 0;
    for (rg_tower *t = &list->head; rg_skip_next(s, t, &t) && t; last = t->node.value)
        X_REQUIRE(t->node.value > last, "key %llu after %llu", (unsigned long long)t->node.value, (unsigned long long)last);
    for (const char *k = "1234"; *k; k++) play(s, (char[]){ 'g', *k, 0 });
    sk_clear(s, list);
    s_reclaim_all();
    X_REQUIRE(x_live_blocks() == live_before, "%zu blocks are left, not %zu", x_live_blocks(), live_before);
}

/* ---- the model: a bit for each key ------------------------------------------------------------- */

static void init(void *state) { *(uint64_t *)state = 0; }

static bool apply(void *state, const x_op *op)
{
    uint64_t *set = state, bit = 1ULL << op->a;
    bool in = (*set & bit) != 0;
    int64_t first = *set ? __builtin_ctzll(*set) : SK_NONE;
    switch (op->code) {
    case K_INSERT: *set |= bit; return op->result == !in;
    case K_DELETE: *set &= ~bit; return op->result == in;
    case K_FIND: return op->result == in;
    case K_TAKE: *set &= *set - 1; return op->result == first;
    case K_FIRST: return op->result == first;
    }
    return false;
}

static void print(const x_op *op, char *out, size_t room)
{
    static const char *const names[] = { "insert", "delete", "find", "first", "take" };
    if (op->code >= K_FIRST)
        snprintf(out, room, "name='%s', args=(), result=%lld", names[op->code], (long long)op->result);
    else
        snprintf(out, room, "name='%s', args=(%lld,), result=%s", names[op->code], (long long)op->a, op->result ? "True" : "False");
}

static const x_model model = { sizeof(uint64_t), init, apply, print };

#define SKIP(n, title, ...) \
    .name = "skiplist." title, .threads = n, .model = &model, .setup = setup, .run = run, .after = after, \
    .arg = &(const program){ __VA_ARGS__ }

const x_scenario s_skiplist[] = {
    { SKIP(2, "insert-same", "", { "i1", "i1" }) },
    { SKIP(2, "insert-neighbours", "", { "i1", "i2" }) },
    { SKIP(2, "insert-between", "i1i3", { "i2", "i2" }) },
    { SKIP(2, "insert-delete", "i1", { "i2", "d1" }) },
    { SKIP(2, "insert-deleted", "i1", { "i1", "d1" }) },
    { SKIP(2, "delete-same", "i1", { "d1", "d1" }) },
    { SKIP(2, "delete-neighbours", "i1i2", { "d1", "d2" }) },
    { SKIP(2, "find-delete", "i1i2", { "g2", "r0d1r0d2" }) },
    { SKIP(2, "tall.insert-delete", "", { "I1", "d1" }), .large = true },
    { SKIP(2, "tall.insert-same", "", { "I1", "I1" }), .large = true },
    { SKIP(2, "tall.delete-same", "I1", { "d1", "d1" }) },
    { SKIP(2, "tall.neighbours", "I1", { "I2", "d1" }), .bound = 3 },
    { SKIP(2, "tall.find-delete", "I1I2", { "g2", "r0d1r0d2" }), .bound = 3 },
    { SKIP(2, "tall.again", "I1", { "d1I1", "d1" }), .bound = 3 },
    { SKIP(2, "unpinning", "i1i2", { "f2", "r0d1r0d2" }) },
    { SKIP(2, "unpinning.again", "i1", { "f2", "r0d1i1i2" }) },
    { SKIP(2, "tall.unpinning", "I1I2", { "f2", "r0d1r0d2" }), .bound = 3 },
    { SKIP(2, "first-smaller", "i2", { "m0", "i1d2" }) },
    { SKIP(2, "first-revived", "i2", { "m0", "k1d2" }), .bound = 3 },
    { SKIP(2, "first-taken", "i1", { "m0", "p0" }), .bound = 3 },
    { SKIP(2, "take-smaller", "i2", { "p0", "i1" }), .bound = 3 },
    { SKIP(2, "take-take", "i1i2", { "p0", "p0" }), .bound = 3 },
    { SKIP(2, "take-delete", "i1i2", { "p0", "d1" }), .bound = 3 },
    { SKIP(2, "kcas-kcas", "", { "k1", "k1" }), .bound = 3 },
    { SKIP(2, "kcas-insert", "", { "k1", "i1" }), .bound = 3 },
    { SKIP(2, "kcas-delete", "i1", { "k1", "d1" }), .bound = 3 },
    { SKIP(3, "three", "i2", { "i1", "d2", "g2" }), .bound = 2 },
    { .name = NULL },
};
