/* scenarios_kcas.c - k-CAS of words A, B, C (all 0 at first), helping each other.
 *
 * Each thread does a list of operations; each is a read, or compares and writes up to three words,
 * named in any order. */
#include "subject.h"

enum { A, B, C };

typedef struct program {
    s_words_op op[X_THREADS][3];
} program;

#define READ(w) { S_READ, 1, { { w, 0, 0 } } }
#define K1(a, o, n) { S_KCAS, 1, { { a, o, n } } }
#define K2(a, o, n, b, p, q) { S_KCAS, 2, { { a, o, n }, { b, p, q } } }
#define K3(a, o, n, b, p, q, c, r, s) { S_KCAS, 3, { { a, o, n }, { b, p, q }, { c, r, s } } }

static rg_word *words;
static const s_words_op read_op[S_WORDS] = { READ(A), READ(B), READ(C) };

static void setup(void)
{
    s_open(x_now->threads, 0);
    words = x_new(S_WORDS * 8, "words");
    for (unsigned i = 0; i < S_WORDS; i++) x_name(&words[i], 8, "%c", 'A' + i);
}

static void perform(rg_slot *s, const s_words_op *o)
{
    x_op *op = x_call(o->code, (int64_t)(intptr_t)o, 0);
    if (o->code == S_READ) {
        x_return(op, (int64_t)rg_read(SPACE, s->index, &words[o->e[0].word]));
        return;
    }
    rg_cas_entry e[S_WORDS];
    for (unsigned i = 0; i < o->n; i++) e[i] = (rg_cas_entry){ &words[o->e[i].word], o->e[i].old, o->e[i].new_ };
    x_return(op, rg_kcas(SPACE, s->index, e, o->n));
}

static void run(unsigned t)
{
    const program *p = x_now->arg;
    for (unsigned i = 0; i < 3 && p->op[t][i].n; i++) perform(s_slots[t], &p->op[t][i]);
}

static void after(void)
{
    s_quiet((rg_word *[]){ &words[A], &words[B], &words[C] }, 3);
    for (unsigned i = 0; i < S_WORDS; i++) perform(s_slots[0], &read_op[i]);
}

#define KCAS(n, title, ...) \
    .name = "kcas." title, .threads = n, .model = &s_words_model, .setup = setup, .run = run, .after = after, \
    .arg = &(const program){ { __VA_ARGS__ } }

const x_scenario s_kcas[] = {
    { KCAS(2, "cas-cas", { K1(A, 0, 1) }, { K1(A, 0, 2) }), .brute = true },
    { KCAS(2, "2-read", { K2(A, 0, 1, B, 0, 1) }, { READ(B) }) },
    { KCAS(2, "2-cas", { K2(A, 0, 1, B, 0, 1) }, { K1(B, 0, 2) }) },
    { KCAS(2, "same", { K2(A, 0, 1, B, 0, 1) }, { K2(A, 0, 2, B, 0, 2) }) },
    { KCAS(2, "opposite", { K2(A, 0, 1, B, 0, 1) }, { K2(B, 0, 2, A, 0, 2) }) },
    { KCAS(2, "same.in-turn", { K2(A, 0, 1, B, 0, 1) }, { K2(A, 1, 2, B, 1, 2) }) },
    { KCAS(2, "overlap", { K2(A, 0, 1, B, 0, 1) }, { K2(B, 0, 2, C, 0, 2) }) },
    { KCAS(2, "reads", { K2(A, 0, 1, B, 0, 1) }, { READ(A), READ(B) }) },
    { KCAS(2, "reads-back", { K2(A, 0, 1, B, 0, 1) }, { READ(B), READ(A) }) },
    /* each compares what the other writes */
    { KCAS(2, "compares", { K2(A, 0, 1, B, 0, 0) }, { K2(A, 0, 0, B, 0, 1) }), .large = true },
    { KCAS(2, "compares.opposite", { K2(B, 0, 0, A, 0, 1) }, { K2(A, 0, 0, B, 0, 1) }), .large = true },
    { KCAS(2, "compare-only", { K2(A, 0, 0, B, 0, 0) }, { K2(A, 0, 1, B, 0, 1) }) },
    /* B = 0 and C = 1 are never there at one instant */
    { KCAS(2, "compare-two", { K3(A, 0, 1, B, 0, 0, C, 1, 1) }, { K1(B, 0, 1), K1(C, 0, 1) }) },
    { KCAS(2, "snapshot", { K2(B, 0, 0, C, 1, 1) }, { K1(B, 0, 1), K1(C, 0, 1) }) },
    { KCAS(2, "snapshot-of-2", { K2(B, 0, 0, C, 1, 1) }, { K2(A, 0, 1, B, 0, 1), K1(C, 0, 1) }) },
    /* a descriptor is used again while a helper may hold on to its first use */
    { KCAS(2, "again", { K2(A, 0, 1, B, 0, 1), K2(A, 1, 2, B, 1, 2) }, { READ(A) }), .large = true },
    { KCAS(2, "again-fails", { K2(A, 0, 1, B, 1, 2), K2(A, 0, 3, C, 0, 3) }, { READ(A), READ(C) }) },
    { KCAS(3, "same.3", { K2(A, 0, 1, B, 0, 1) }, { K2(A, 0, 2, B, 0, 2) }, { K2(A, 0, 3, B, 0, 3) }), .large = true },
    { KCAS(3, "opposite.3", { K2(A, 0, 1, B, 0, 1) }, { K2(B, 0, 2, A, 0, 2) }, { K2(A, 0, 3, B, 0, 3) }), .large = true },
    { KCAS(3, "ring.3", { K2(A, 0, 1, B, 0, 1) }, { K2(B, 0, 2, C, 0, 2) }, { K2(C, 0, 3, A, 0, 3) }), .bound = 2 },
    { KCAS(3, "2-read-read", { K2(A, 0, 1, B, 0, 1) }, { READ(A) }, { READ(B) }) },
    { KCAS(3, "compares.3", { K2(A, 0, 1, B, 0, 0) }, { K2(A, 0, 0, B, 0, 1) }, { READ(A) }), .bound = 2 },
    /* The schedule that kcas.c tells: the owner sees a wrong B and is about to fail; B changes; a helper goes on
     * and stalls at C; the owner fails and uses its descriptor again; the helper resumes. */
    { KCAS(3, "dangling", { K3(A, 0, 1, B, 1, 2, C, 0, 1), K2(A, 0, 4, B, 1, 5) }, { READ(A) }, { K1(B, 0, 1) }), .bound = 2 },
    { .name = NULL },
};
