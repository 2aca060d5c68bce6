/* history.c - see history.h. */
#include "history.h"

#include <stdio.h>
#include <stdlib.h>

x_op *x_history_call(x_history *h, unsigned thread, unsigned code, int64_t a, int64_t b)
{
    if (h->n[thread] == X_OPS) abort();
    x_op *op = &h->op[thread][h->n[thread]++];
    *op = (x_op){ .thread = (uint8_t)thread, .code = (uint8_t)code, .a = a, .b = b };
    for (unsigned t = 0; t <= X_THREADS; t++) op->seen[t] = (uint8_t)h->returned[t];
    return op;
}

void x_history_return(x_history *h, x_op *op, int64_t result)
{
    op->result = result;
    op->returned = true;
    h->returned[op->thread]++;
}

static uint64_t mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) * 0x9E3779B97F4A7C15ULL; /* as the finalizer of splitmix64 */
    h = (h ^ h >> 32) * 0xD6E8FEB86659FD93ULL;
    return h ^ h >> 29;
}

uint64_t x_history_hash(const x_history *h)
{
    uint64_t x = 1;
    for (unsigned t = 0; t <= X_THREADS; t++)
        for (unsigned i = 0; i < h->n[t]; i++) {
            const x_op *op = &h->op[t][i];
            uint64_t seen = op->code | (uint64_t)t << 8 | (uint64_t)op->returned << 16;
            for (unsigned u = 0; u <= X_THREADS; u++) seen |= (uint64_t)op->seen[u] << (24 + 8 * u);
            x = mix(mix(mix(mix(x, seen), (uint64_t)op->a), (uint64_t)op->b), (uint64_t)op->result);
        }
    return x ? x : 1;
}

static bool search(const x_history *h, const x_model *m, const char *state, const unsigned *taken)
{
    bool all = true;
    for (unsigned t = 0; t <= X_THREADS; t++) {
        if (taken[t] == h->n[t]) continue;
        const x_op *op = &h->op[t][taken[t]];
        if (op->returned) all = false; /* one that never returned need not have happened */
        bool minimal = true;
        for (unsigned u = 0; u <= X_THREADS; u++) minimal &= taken[u] >= op->seen[u];
        if (!minimal) continue;
        char next[X_STATE];
        memcpy(next, state, m->size);
        if (!m->apply(next, op)) continue;
        unsigned then[X_THREADS + 1];
        memcpy(then, taken, sizeof then);
        then[t]++;
        if (search(h, m, next, then)) return true;
    }
    return all;
}

bool x_linearizable(const x_history *h, const x_model *m)
{
    char state[X_STATE];
    unsigned taken[X_THREADS + 1] = { 0 };
    m->init(state);
    return search(h, m, state, taken);
}

/* Times of calls and returns that say the same as `seen`. The operations that had returned at one call are all among
 * those that had at a later one, so calls in the order of how many these are is an order in time. */
typedef struct times {
    unsigned call[X_THREADS + 1][X_OPS], ret[X_THREADS + 1][X_OPS];
} times;

static unsigned seen_by(const x_op *op)
{
    unsigned n = 0;
    for (unsigned u = 0; u <= X_THREADS; u++) n += op->seen[u];
    return n;
}

static void times_of(const x_history *h, times *at)
{
    unsigned now = 1;
    memset(at, 0, sizeof *at);
    for (unsigned n = 0; n <= (X_THREADS + 1) * X_OPS; n++)
        for (unsigned t = 0; t <= X_THREADS; t++)
            for (unsigned i = 0; i < h->n[t]; i++) {
                const x_op *op = &h->op[t][i];
                if (seen_by(op) != n) continue;
                for (unsigned u = 0; u <= X_THREADS; u++)
                    for (unsigned k = 0; k < op->seen[u]; k++)
                        if (!at->ret[u][k]) at->ret[u][k] = now++;
                at->call[t][i] = now++;
            }
    for (unsigned t = 0; t <= X_THREADS; t++)
        for (unsigned i = 0; i < h->n[t]; i++)
            if (h->op[t][i].returned && !at->ret[t][i]) at->ret[t][i] = now++;
}

void x_history_print(const x_history *h, const x_model *m)
{
    times at;
    times_of(h, &at);
    puts("  history");
    for (unsigned t = 0; t <= X_THREADS; t++)
        for (unsigned i = 0; i < h->n[t]; i++) {
            char what[128], ret[16];
            m->print(&h->op[t][i], what, sizeof what);
            snprintf(ret, sizeof ret, "%u", at.ret[t][i]);
            printf("    Operation(client=%u, %s, call=%u, ret=%s),\n", t, what, at.call[t][i], at.ret[t][i] ? ret : "None");
        }
}

/* ---- sets: open addressing; 0 is an empty place ------------------------------------------- */

static size_t place(const x_set *s, uint64_t h)
{
    size_t i = h & (s->room - 1);
    while (s->at[i] && s->at[i] != h) i = (i + 1) & (s->room - 1);
    return i;
}

static void grow(x_set *s)
{
    x_set wider = { NULL, s->n, s->room ? 2 * s->room : 1024 };
    wider.at = calloc(wider.room, sizeof *wider.at);
    if (!wider.at) abort();
    for (size_t i = 0; i < s->room; i++)
        if (s->at[i]) wider.at[place(&wider, s->at[i])] = s->at[i];
    free(s->at);
    *s = wider;
}

bool x_set_add(x_set *s, uint64_t h)
{
    if (2 * (s->n + 1) > s->room) grow(s);
    size_t i = place(s, h);
    if (s->at[i]) return false;
    s->at[i] = h;
    s->n++;
    return true;
}

bool x_set_has(const x_set *s, uint64_t h) { return s->room && s->at[place(s, h)] != 0; }

void x_set_clear(x_set *s)
{
    free(s->at);
    *s = (x_set){ NULL, 0, 0 };
}
