/* Litmus tests of the core's words on real processors: what sequential consistency forbids is not seen, however a
 * word is accessed. The same programs, with two steps of one thread exchanged, show that it would be seen; with
 * relaxed accesses the processor itself exchanges them, where it does: how often is printed and decides nothing.
 *
 * Threads run a round at a time, from a barrier that spins; worker 0 judges each round between two barriers. */
#include "harness.h"

typedef enum { RELAXED, PLAIN, CAS, KCAS } way; /* how a word is accessed */

typedef struct line {
    _Alignas(64) rg_word w; /* no two words of a program, nor what a thread has seen, on one cache line */
} line;

#define THREADS 4
static line x, y, own[THREADS]; /* own: a word of each thread, to make a k-CAS of an access */
static line seen[THREADS][2];
static line payload; /* accessed as if it were no atomic */
static way how;
static bool exchanged;
static spin_barrier gate;
static unsigned threads;

/* Mostly nothing: stores must still be in their buffer when the next load comes. Now and then others get into the
 * middle, on few processors too; often where that is all that is waited for. */
static _Thread_local worker *luck;
static void between(uint64_t spins)
{
    while (spins--) rg_compiler_barrier();
    if (random_of(luck) % (exchanged ? 3 : 32) == 0) sched_yield();
}

static void put(rg_slot *s, unsigned t, line *l, uint64_t v)
{
    rg_word *w = &l->w;
    if (how == RELAXED) rg_store_rlx(w, v);
    if (how == PLAIN) rg_store(w, v);
    if (how == CAS)
        while (!rg_cas1(SPACE, s->index, w, rg_read(SPACE, s->index, w), v)) {}
    if (how == KCAS) {
        rg_cas_entry e[2];
        do {
            uint64_t n = rg_read(SPACE, s->index, &own[t].w);
            e[0] = (rg_cas_entry){ w, rg_read(SPACE, s->index, w), v };
            e[1] = (rg_cas_entry){ &own[t].w, n, n + 1 };
        } while (rg_kcas(SPACE, s->index, e, 2) != RG_SUCCEEDED);
    }
}

static uint64_t get(rg_slot *s, line *l)
{
    if (how == RELAXED) return rg_load_rlx(&l->w);
    if (how == PLAIN) return rg_load(&l->w);
    return rg_read(SPACE, s->index, &l->w);
}

/* ---- programs: what thread t does, and what must not be seen ----------------------------------- */

typedef struct program {
    unsigned threads;
    void (*run)(rg_slot *, unsigned t);
    bool (*forbidden)(void);
} program;

/* For exchanged programs: the same two steps, the later one first. */
static line *first(line *a, line *b) { return exchanged ? b : a; }
static line *second(line *a, line *b) { return exchanged ? a : b; }
static void look(rg_slot *s, unsigned t, line *a, line *b)
{
    if (exchanged) {
        rg_store_rlx(&seen[t][1].w, get(s, b));
        between(0);
        rg_store_rlx(&seen[t][0].w, get(s, a));
    } else {
        rg_store_rlx(&seen[t][0].w, get(s, a));
        between(0);
        rg_store_rlx(&seen[t][1].w, get(s, b));
    }
}
static uint64_t saw(unsigned t, unsigned i) { return rg_load_rlx(&seen[t][i].w); }

/* Message passing:  x=1; y=1 | a=y; b=x  never a=1 b=0. */
static void message(rg_slot *s, unsigned t)
{
    if (t == 0) {
        put(s, t, first(&x, &y), 1);
        between(0);
        put(s, t, second(&x, &y), 1);
    } else {
        rg_store_rlx(&seen[t][0].w, get(s, &y));
        rg_store_rlx(&seen[t][1].w, get(s, &x));
    }
}
static bool message_lost(void) { return saw(1, 0) && !saw(1, 1); }

/* The same with a payload that is no atomic: ThreadSanitizer sees whether the word has ordered it. */
static void publish(rg_slot *s, unsigned t)
{
    uint64_t *plain = (uint64_t *)&payload.w;
    if (t == 0) {
        *plain = 7;
        put(s, t, &x, (uint64_t)(uintptr_t)plain);
    } else {
        uint64_t *found = (uint64_t *)(uintptr_t)get(s, &x);
        rg_store_rlx(&seen[t][0].w, found != NULL);
        rg_store_rlx(&seen[t][1].w, found ? *found : 0);
    }
}
static bool payload_lost(void) { return saw(1, 0) && saw(1, 1) != 7; }

/* Store buffering:  x=1; a=y | y=1; b=x  never a=0 b=0. */
static void buffering(rg_slot *s, unsigned t)
{
    line *mine = t ? &y : &x, *other = t ? &x : &y;
    if (!exchanged) put(s, t, mine, 1);
    between(0);
    rg_store_rlx(&seen[t][0].w, get(s, other));
    between(0);
    if (exchanged) put(s, t, mine, 1);
}
static bool each_missed(void) { return !saw(0, 0) && !saw(1, 0); }

/* Load buffering:  a=x; y=1 | b=y; x=1  never a=1 b=1. */
static void load_buffering(rg_slot *s, unsigned t)
{
    line *mine = t ? &x : &y, *other = t ? &y : &x;
    if (exchanged) put(s, t, mine, 1);
    between(0);
    rg_store_rlx(&seen[t][0].w, get(s, other));
    between(0);
    if (!exchanged) put(s, t, mine, 1);
}
static bool each_foresaw(void) { return saw(0, 0) && saw(1, 0); }

/* Independent reads of independent writes:  x=1 | y=1 | a=x; b=y | c=y; d=x  never a=1 b=0 c=1 d=0. */
static void iriw(rg_slot *s, unsigned t)
{
    if (t == 0) put(s, t, &x, 1);
    if (t == 1) put(s, t, &y, 1);
    if (t == 2) look(s, t, &x, &y);
    if (t == 3) look(s, t, &y, &x);
}
static bool two_orders(void) { return saw(2, 0) && !saw(2, 1) && saw(3, 0) && !saw(3, 1); }

/* Coherence:  x=1; x=2 | a=x; b=x  never a > b. */
static void coherence(rg_slot *s, unsigned t)
{
    if (t == 0) {
        put(s, t, &x, 1);
        put(s, t, &x, 2);
    } else {
        look(s, t, &x, &x);
    }
}
static bool went_back(void) { return saw(1, 0) > saw(1, 1); }

/* Both at once, by a k-CAS:  x=1, y=1 | a=x; b=y  never a=1 b=0; exchanged: x and y one after the other. */
static void both(rg_slot *s, unsigned t)
{
    if (t != 0) {
        rg_store_rlx(&seen[t][0].w, get(s, &x));
        rg_store_rlx(&seen[t][1].w, get(s, &y));
    } else if (exchanged) {
        put(s, t, &x, 1);
        between(0);
        put(s, t, &y, 1);
    } else {
        rg_cas_entry e[2] = { { &x.w, 0, 1 }, { &y.w, 0, 1 } };
        CHECK(rg_kcas(SPACE, s->index, e, 2) == RG_SUCCEEDED, "nobody else writes");
    }
}

static bool half(void) { return saw(1, 0) && !saw(1, 1); }

/* A snapshot, by a k-CAS that compares:  x=1; y=1 | a=x, b=y  never a=0 b=1; exchanged: one after the other. */
static void snapshot(rg_slot *s, unsigned t)
{
    if (t == 0) {
        put(s, t, &x, 1);
        between(0);
        put(s, t, &y, 1);
        return;
    }
    uint64_t a, b;
    rg_cas_entry e[2];
    do {
        a = rg_read(SPACE, s->index, &x.w);
        between(0);
        b = rg_read(SPACE, s->index, &y.w);
        e[0] = (rg_cas_entry){ &x.w, a, a };
        e[1] = (rg_cas_entry){ &y.w, b, b };
    } while (!exchanged && rg_kcas(SPACE, s->index, e, 2) != RG_SUCCEEDED);
    rg_store_rlx(&seen[t][0].w, a);
    rg_store_rlx(&seen[t][1].w, b);
}
static bool torn(void) { return !saw(1, 0) && saw(1, 1); }

/* ---- rounds ------------------------------------------------------------------------------------- */

#define ROUNDS 200 /* at least: where others want the processors, a barrier may take milliseconds */
static uint64_t rounds, forbidden;
static bool until_seen; /* or until the alarm */

static bool last_round; /* worker 0 decides, between the barriers: all leave after the same round */

static void in_rounds(worker *w)
{
    const program *p = w->arg;
    rg_slot *s = here();
    luck = w;
    do {
        between(random_of(w) % 64);
        p->run(s, w->id);
        spin_barrier_wait(&gate, threads);
        if (w->id == 0) {
            rounds++;
            forbidden += p->forbidden();
            last_round = until_seen ? forbidden != 0 : !running() && rounds >= ROUNDS;
            *(uint64_t *)&payload.w = 0;
        }
        /* Each word into the cache of the thread that is to read it: the store of the other one then waits in its
         * buffer while the load is served at once, as store buffering needs it. */
        if (w->id == 0) rg_store(&y.w, 0);
        if (w->id == 1) rg_store(&x.w, 0);
        spin_barrier_wait(&gate, threads);
    } while (!last_round);
}

static uint64_t run(const program *p, way h, bool exchange)
{
    worker w[THREADS] = { 0 };
    void (*f[])(worker *) = { in_rounds };
    how = h, exchanged = exchange, threads = p->threads, rounds = forbidden = 0;
    for (unsigned t = 0; t < threads; t++) w[t].arg = (void *)p;
    workers_start(w, threads, f, 1);
    if (!until_seen) {
        nap(test_seconds() / 3);
        atomic_store(&stopped, true);
    }
    workers_join(w, threads);
    return forbidden;
}

/* Never, whichever way; and seen soon if two steps are exchanged (no_exchange: it would be a plain race). */
static void never_seen(const program *p, way from, bool no_exchange)
{
    for (way h = from; h <= KCAS; h++) {
        uint64_t n = run(p, h, false);
        CHECK(n == 0, "seen %lu times in %lu rounds", (unsigned long)n, (unsigned long)rounds);
    }
    until_seen = !no_exchange;
    for (way h = from; h <= KCAS && !no_exchange; h++) CHECK(run(p, h, true) > 0, "not even if exchanged");
}

#define PROGRAM(name, n, f, never, from, no_exchange)                       \
    static const program p_##name = { n, f, never };                        \
    static void name(void) { never_seen(&p_##name, from, no_exchange); }
PROGRAM(mp, 2, message, message_lost, PLAIN, false)
PROGRAM(mp_payload, 2, publish, payload_lost, PLAIN, true)
PROGRAM(sb, 2, buffering, each_missed, PLAIN, false)
PROGRAM(lb, 2, load_buffering, each_foresaw, PLAIN, false)
PROGRAM(corr, 2, coherence, went_back, PLAIN, false)
PROGRAM(iriw_, 4, iriw, two_orders, PLAIN, false)
PROGRAM(both_or_neither, 2, both, half, CAS, false)
PROGRAM(snapshot_, 2, snapshot, torn, CAS, false)

/* What the orders are for. */
static void relaxed(void)
{
    const struct { const char *name; const program *p; } all[] = {
        { "store buffering", &p_sb }, { "message passing", &p_mp }, { "load buffering", &p_lb },
        { "coherence", &p_corr }, { "IRIW", &p_iriw_ },
    };
    for (unsigned i = 0; i < sizeof all / sizeof *all; i++) {
        uint64_t n = run(all[i].p, RELAXED, false);
        printf("     relaxed %s: seen %lu times in %lu rounds\n", all[i].name, (unsigned long)n, (unsigned long)rounds);
        CHECK(all[i].p != &p_corr || n == 0, "coherence holds at the weakest");
    }
}

TESTS({ "mp", mp }, { "mp_payload", mp_payload }, { "sb", sb }, { "lb", lb }, { "corr", corr }, { "iriw", iriw_ },
      { "both_or_neither", both_or_neither }, { "snapshot", snapshot_ }, { "relaxed", relaxed })
