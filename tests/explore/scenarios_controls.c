/* scenarios_controls.c - what tests the explorer: errors that it has to find, and programs without any
 * structure on which DPOR must see every history that brute force sees. */
#include "subject.h"
#include "controls.h"

static rg_word *words;

static void setup(void)
{
    words = x_new(8 * 8, "words");
    for (unsigned i = 0; i < 8; i++) x_name(&words[i], 8, "%c", 'A' + i);
}

/* ---- errors ------------------------------------------------------------------------------------- */

static void run_lost_update(unsigned t)
{
    (void)t;
    rg_store(&words[0], rg_load(&words[0]) + 1);
}
static void after_lost_update(void) { X_REQUIRE(rg_load(&words[0]) == 2, "an update is lost"); }

/* Store buffering: without fences both may miss the other's store. */
static void run_buffering(unsigned t)
{
    rg_store_rel(&words[t], 1);
    rg_store_rlx(&words[4 + t], rg_load(&words[1 - t]));
}
static void run_buffering_fenced(unsigned t)
{
    rg_store_rel(&words[t], 1);
    rg_fence();
    rg_store_rlx(&words[4 + t], rg_load(&words[1 - t]));
}
static void after_buffering(void) { X_REQUIRE(rg_load(&words[4]) || rg_load(&words[5]), "each missed the other"); }
/* Message passing needs no fence under TSO: stores leave in order. */
static void run_message(unsigned t)
{
    if (t == 0) {
        rg_store_rlx(&words[0], 1);
        rg_store_rel(&words[1], 1);
    } else if (rg_load_acq(&words[1])) {
        X_REQUIRE(rg_load_rlx(&words[0]), "the message is not there");
    }
}

static rg_word *block;
static void setup_block(void)
{
    setup();
    block = rg_calloc(8);
}
static void run_use_after_free(unsigned t)
{
    if (t == 0) {
        rg_store(&words[0], 1);
        rg_free(block);
    } else if (!rg_load(&words[0])) {
        (void)rg_load(block);
    }
}
static void run_double_free(unsigned t)
{
    (void)t;
    if (rg_load(&words[0])) return;
    rg_store(&words[0], 1);
    rg_free(block);
}
static void run_spin(unsigned t)
{
    if (t == 0) rg_store(&words[0], 1);
    else
        while (!rg_load(&words[0])) {}
}
static void run_wait_for_ever(unsigned t)
{
    if (t == 0 && rg_load(&words[1])) rg_store(&words[0], 1);
    if (t == 1) {
        rg_store(&words[1], 1);
        x_await_change(&words[0], 0);
    }
}

/* ABA: a stack whose nodes come back while somebody still compares with their addresses. */
static rg_word *nodes[3]; /* a node is its link */
static void setup_aba(void)
{
    setup();
    for (unsigned i = 0; i < 3; i++) nodes[i] = x_new(8, "node");
    rg_store(nodes[1], (uint64_t)(uintptr_t)nodes[0]);
    rg_store(nodes[2], (uint64_t)(uintptr_t)nodes[1]);
    rg_store(&words[0], (uint64_t)(uintptr_t)nodes[2]);
}
static rg_word *aba_pop(void)
{
    uint64_t h;
    do {
        if (!(h = rg_load(&words[0]))) return NULL;
    } while (!rg_cas(&words[0], h, rg_load((rg_word *)(uintptr_t)h)));
    return (rg_word *)(uintptr_t)h;
}
static void run_aba(unsigned t)
{
    rg_word *n = aba_pop();
    if (t == 0) return;
    (void)aba_pop();
    uint64_t h;
    do rg_store(n, h = rg_load(&words[0]));
    while (!rg_cas(&words[0], h, (uint64_t)(uintptr_t)n));
}
static void after_aba(void)
{
    unsigned left = 0;
    while (aba_pop()) left++;
    X_REQUIRE(left == 1, "%u nodes are left of the one", left);
}

/* ---- random programs ---------------------------------------------------------------------------- */

static struct {
    unsigned kind, word, value;
} program[X_THREADS][CONTROL_STEPS];
static unsigned steps, n_words;

void control_program(uint64_t seed, unsigned threads, unsigned n, unsigned of_words)
{
    steps = n;
    n_words = of_words;
    for (unsigned t = 0; t < threads; t++)
        for (unsigned i = 0; i < n; i++) {
            seed = seed * 6364136223846793005ULL + 1442695040888963407ULL; /* Knuth's MMIX */
            program[t][i].kind = (unsigned)(seed >> 33) % 6;
            program[t][i].word = (unsigned)(seed >> 40) % of_words;
            program[t][i].value = 1 + (unsigned)(seed >> 50) % 2;
        }
}

static void run_program(unsigned t)
{
    x_op *op = x_call(t, 0, 0);
    uint64_t seen = 1;
    for (unsigned i = 0; i < steps; i++) {
        rg_word *w = &words[program[t][i].word];
        uint64_t v = program[t][i].value;
        switch (program[t][i].kind) {
        case 0:
        case 1: seen = seen * 8 + rg_load(w); break;
        case 2: rg_store_rel(w, v); break;
        case 3: rg_store(w, v); break;
        case 4: seen = seen * 2 + rg_cas(w, v - 1, v); break;
        case 5: seen = seen * 8 + (rg_fetch_add(w, 1) & 7); break;
        }
    }
    x_return(op, (int64_t)seen);
}

static void after_program(void)
{
    for (unsigned i = 0; i < n_words; i++) x_return(x_call(9, i, 0), (int64_t)rg_load(&words[i]));
}

const x_scenario control_random[] = {
    { .name = "random.2", .threads = 2, .setup = setup, .run = run_program, .after = after_program },
    { .name = "random.3", .threads = 3, .setup = setup, .run = run_program, .after = after_program },
    { .name = "random.2.tso", .threads = 2, .tso = true, .setup = setup, .run = run_program, .after = after_program },
};

#define CONTROL(title, f) .name = "control." title, .threads = 2, .setup = setup, .run = f
#define BLOCK(title, f) .name = "control." title, .threads = 2, .setup = setup_block, .run = f

const x_scenario s_controls[] = {
    { CONTROL("lost-update", run_lost_update), .after = after_lost_update, .must_fail = true },
    { CONTROL("buffering", run_buffering), .after = after_buffering, .strong = true },
    { CONTROL("buffering.tso", run_buffering), .after = after_buffering, .tso = true, .must_fail = true },
    { CONTROL("buffering-fenced.tso", run_buffering_fenced), .after = after_buffering, .tso = true },
    { CONTROL("message.tso", run_message), .tso = true },
    { BLOCK("use-after-free", run_use_after_free), .must_fail = true },
    { BLOCK("double-free", run_double_free), .must_fail = true },
    { CONTROL("not-lock-free", run_spin), .must_fail = true },
    { CONTROL("waits-for-ever", run_wait_for_ever), .must_fail = true },
    { .name = "control.aba", .threads = 2, .setup = setup_aba, .run = run_aba, .after = after_aba, .must_fail = true },
    { .name = NULL },
};
