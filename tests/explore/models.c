/* models.c - sequential specifications: a queue, two stacks, and words. */
#include "subject.h"

#include <stdio.h>

typedef struct list {
    unsigned n;
    int64_t at[8];
} list;

static void init_empty(void *state) { memset(state, 0, 2 * sizeof(list)); }

static bool push(list *l, int64_t v)
{
    l->at[l->n++] = v;
    return true;
}

static bool pop(list *l, int64_t result)
{
    if (l->n == 0) return result == S_NONE;
    return l->at[--l->n] == result;
}

static bool get(list *l, int64_t result)
{
    if (l->n == 0) return result == S_NONE;
    if (l->at[0] != result) return false;
    memmove(l->at, l->at + 1, --l->n * sizeof *l->at);
    return true;
}

static bool apply_lists(void *state, const x_op *op)
{
    list *l = state;
    switch (op->code) {
    case S_PUT:
    case S_PUSH: return push(&l[0], op->a);
    case S_PUSH2: return push(&l[1], op->a);
    case S_GET: return get(&l[0], op->result);
    case S_POP: return pop(&l[0], op->result);
    case S_POP2: return pop(&l[1], op->result);
    case S_SIZE: return op->result == (int64_t)l[0].n;
    case S_MOVE: return pop(&l[0], op->result) && (op->result == S_NONE || push(&l[1], op->result));
    }
    return false;
}

static void print_lists(const x_op *op, char *out, size_t room)
{
    static const char *const names[] = { [S_PUT] = "put",     [S_GET] = "get",     [S_PUSH] = "push", [S_POP] = "pop",
                                         [S_PUSH2] = "push2", [S_POP2] = "pop2", [S_MOVE] = "move", [S_SIZE] = "size" };
    const char *name = names[op->code];
    if (op->code == S_PUT || op->code == S_PUSH || op->code == S_PUSH2)
        snprintf(out, room, "name='%s', args=(%lld,), result=None", name, (long long)op->a);
    else if (op->result == S_NONE)
        snprintf(out, room, "name='%s', args=(), result=None", name);
    else
        snprintf(out, room, "name='%s', args=(), result=%lld", name, (long long)op->result);
}

const x_model s_queue_model = { 2 * sizeof(list), init_empty, apply_lists, print_lists };
const x_model s_stacks_model = { 2 * sizeof(list), init_empty, apply_lists, print_lists };

/* ---- words, 0 at the beginning ------------------------------------------------------------------ */

static void init_words(void *state) { memset(state, 0, S_WORDS * 8); }

static const s_words_op *words_op(const x_op *op) { return (const s_words_op *)(intptr_t)op->a; }

static bool apply_words(void *state, const x_op *op)
{
    uint64_t *w = state;
    const s_words_op *o = words_op(op);
    if (o->code == S_READ) return op->result == (int64_t)w[o->e[0].word];
    bool all = true;
    for (unsigned i = 0; i < o->n; i++) all &= w[o->e[i].word] == o->e[i].old;
    if (op->result != (all ? RG_SUCCEEDED : RG_FAILED)) return false;
    for (unsigned i = 0; all && i < o->n; i++) w[o->e[i].word] = o->e[i].new_;
    return true;
}

static void print_words(const x_op *op, char *out, size_t room)
{
    const s_words_op *o = words_op(op);
    if (o->code == S_READ) {
        snprintf(out, room, "name='read', args=(%u,), result=%lld", o->e[0].word, (long long)op->result);
        return;
    }
    size_t used = (size_t)snprintf(out, room, "name='kcas', args=(");
    for (unsigned i = 0; i < o->n && used < room; i++)
        used += (size_t)snprintf(out + used, room - used, "(%u, %llu, %llu), ", o->e[i].word, (unsigned long long)o->e[i].old,
                                 (unsigned long long)o->e[i].new_);
    if (used < room) snprintf(out + used, room - used, "), result=%s", op->result == RG_SUCCEEDED ? "True" : "False");
}

const x_model s_words_model = { S_WORDS * 8, init_words, apply_words, print_words };
