/* scenarios_hash.c - the hash table of csrc/core/hash.h, from two buckets on.
 *
 * A program is a string for each thread, of pairs of an operation and a key:
 *   + bind, - remove, ~ remove as a reaction does (absent, then dead), ? look, ! look, unpinned while keys are compared,
 *   # count (any key),
 *   ^ double the buckets (any key), f reclaim (any key)
 * A key 0 to 7 is its own hash; a, b, c have the hash 0. */
#define RG_HASH_FIRST_LOG 1
#define RG_HASH_STRIPES 2
#include "hash.h"
#include "subject.h"

#include <stdio.h>

static rg_hash *table;
#define TABLE table
#include "../core/int_map.h"

typedef struct program {
    const char *setup;
    const char *thread[X_THREADS];
} program;

static size_t live_before;
static const program *prog(void) { return x_now->arg; }

enum { BIND, REMOVE, LOOK, COUNT };

static void init(void *state) { memset(state, 0, sizeof(unsigned)); }

static bool apply(void *state, const x_op *op)
{
    unsigned *bound = state, bit = 1u << op->a;
    bool was = (*bound & bit) != 0;
    if (op->code == BIND) *bound |= bit;
    if (op->code == REMOVE) *bound &= ~bit;
    return op->result == (op->code == COUNT ? __builtin_popcount(*bound) : (int64_t)was);
}

static void print(const x_op *op, char *out, size_t room)
{
    static const char *const names[] = { "bind", "remove", "look", "len" };
    snprintf(out, room, "name='%s', args=(%lld,), result=%lld", names[op->code], (long long)op->a, (long long)op->result);
}

static const x_model model = { sizeof(unsigned), init, apply, print };

static void gone(rg_slot *s, void *n)
{
    rg_node_expired(s, n);
}

static void perform(rg_slot *s, char what, char name)
{
    uint64_t key = name >= 'a' ? 8 + (uint64_t)(name - 'a') : (uint64_t)(name - '0'), hash = name >= 'a' ? 0 : key;
    if (what == 'f') {
        rg_flush(s);
        return;
    }
    if (what == '^') {
        rg_pin(s);
        grow(table, rg_load(&table->size));
        rg_unpin(s);
        return;
    }
    unsigned code = what == '+' ? BIND : what == '?' || what == '!' ? LOOK : what == '#' ? COUNT : REMOVE;
    x_op *op = x_call(code, code == COUNT ? 0 : (int64_t)key, 0);
    X_REQUIRE(rg_reserve(s, 4), "memory");
    switch (code) {
    case BIND: x_return(op, map_put(s, key, hash, 100) != ABSENT); break;
    case REMOVE: x_return(op, map_remove(s, key, hash, what == '~') != ABSENT); break;
    case LOOK: x_return(op, (what == '!' ? map_ask(s, key, hash) : map_get(s, key, hash)) != ABSENT); break;
    default: x_return(op, map_len(s));
    }
}

static void play(rg_slot *s, const char *what)
{
    for (; *what; what += 2) perform(s, what[0], what[1]);
}

static void setup(void)
{
    s_open(x_now->threads, 0);
    for (unsigned i = 0; i < x_now->threads; i++) s_slots[i]->free_count = RG_NODE_CACHE; /* "full": nodes are freed */
    table = x_new(sizeof *table, "table");
    live_before = x_live_blocks();
    X_REQUIRE(rg_hash_init(s_slots[0], table, ABSENT, DEAD, gone), "memory");
    x_arena_dense(table->counts, RG_HASH_STRIPES * RG_CACHE_LINE); /* the final check frees it, which poisons it */
    x_name(&table->size, 8, "size");
    x_name(table->first, sizeof table->first, "bucket");
    play(s_slots[0], prog()->setup);
}

static void run(unsigned t) { play(s_slots[t], prog()->thread[t]); }

static void after(void)
{
    rg_slot *s = s_slots[0];
    s_quiet(NULL, 0);
    int64_t n = 0;
    bool nothing;
    rg_pin(s);
    for (rg_quad *w = rg_hash_behind(s, table, NULL, &nothing); w; w = rg_hash_after(s, table, w)) n += rg_load(&w->more) != ABSENT;
    rg_unpin(s);
    X_REQUIRE(n == map_len(s), "a walk meets %lld nodes, and %lld keys are bound", (long long)n, (long long)map_len(s));
    perform(s, '#', '0');
    for (const char *k = "01246abc"; *k; k++) perform(s, '?', *k);
    for (uint64_t key = 0; key < 11; key++) map_remove(s, key, key < 8 ? key : 0, false);
    bool no_memory;
    rg_pin(s);
    X_REQUIRE(!rg_hash_behind(s, table, NULL, &no_memory), "a node is left");
    rg_unpin(s);
    s_reclaim_all();
    rg_hash_close(s, table);
    s_reclaim_all();
    X_REQUIRE(x_live_blocks() == live_before, "%zu blocks are left, not %zu", x_live_blocks(), live_before);
}

#define HASH(n, title, ...) \
    .name = "hash." title, .threads = n, .model = &model, .setup = setup, .run = run, .after = after, \
    .arg = &(const program){ __VA_ARGS__ }

const x_scenario s_hash[] = {
    { HASH(2, "bind-bind", "+1", { "+0", "+0" }), .large = true },
    { HASH(2, "bind-look", "+1-0", { "+0", "?0" }) },
    { HASH(2, "remove-remove", "+0", { "-0", "-0" }) },
    { HASH(2, "remove-look", "+0", { "-0", "?0" }) },
    { HASH(2, "remove-sweep", "+0", { "-0", "~0" }) },
    { HASH(2, "bind-remove", "+0", { "+0", "-0" }), .bound = 2 },
    { HASH(2, "revive-sweep", "+0", { "~0", "+0" }), .bound = 2 },
    { HASH(2, "neighbours", "+0+4", { "-0", "-4" }) },
    { HASH(2, "behind-the-removed", "+0", { "-0", "+4" }) },
    { HASH(2, "one-hash", "+a", { "+b", "-a" }), .large = true },
    { HASH(2, "one-hash-bind", "+a", { "+b", "+c" }), .bound = 2 },
    { HASH(2, "again-look", "+a+b", { "-a+a", "?a" }), .bound = 2 },
    { HASH(2, "bucket-bind", "+0^0", { "+2", "+6" }), .bound = 2 },
    { HASH(2, "bucket-remove", "+0+2^0", { "?2", "-2" }), .bound = 2 },
    { HASH(2, "bucket-bucket", "+2^0", { "?2", "?6" }), .bound = 2 },
    { HASH(2, "bucket-link", "+0+6^0", { "?6", "-0+2" }), .bound = 2 },
    { HASH(2, "grow-look", "+0+2", { "^0?2", "?2" }), .bound = 2 },
    { HASH(2, "grow-bind", "+0+2", { "^0?6", "+6" }), .bound = 2 },
    { HASH(2, "free-look", "+0+4", { "-0f0", "?4" }), .bound = 2 },
    { HASH(2, "free-remove", "+0+4", { "-0f0", "-4" }), .bound = 2 },
    { HASH(2, "free-ask", "+a+b", { "-af0", "!b" }), .bound = 3 },
    { HASH(2, "ask", "+a+b", { "-a+a", "!a" }), .bound = 2 },
    { HASH(2, "count", "+0", { "-0+1", "#0" }), .bound = 2 },
    { HASH(3, "bind-remove-look", "+0", { "+0", "-0", "?0" }), .bound = 2 },
    { .name = NULL },
};
