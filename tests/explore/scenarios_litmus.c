/* scenarios_litmus.c - what tests the model of weak memory (weak.h): small programs of which it is known
 * what C11 allows. Of each, what must never be seen; and, as an error that has to be found, what must be.
 *
 * Threads leave what they have read in `seen`, which is the test's and no part of the program. */
#include "subject.h"

typedef struct orders {
    int store, load;
    bool fences;
} orders;

static rg_word *words;
static uint64_t *seen; /* a pair for each thread */
static rg_word *shared_block;

static const orders *o(void) { return x_now->arg; }

static void setup(void)
{
    words = x_new(4 * 8, "words");
    for (unsigned i = 0; i < 4; i++) x_name(&words[i], 8, "%c", 'A' + i);
    seen = x_new(2 * X_THREADS * 8, "seen");
    shared_block = rg_calloc(8);
}

static void put(unsigned w, uint64_t v) { x_store(&words[w], v, o()->store); }
static uint64_t get(unsigned w) { return x_load(&words[w], o()->load); }
static void fence(void)
{
    if (o()->fences) rg_fence();
}

/* Message passing. */
static void run_message(unsigned t)
{
    if (t == 0) {
        rg_store_rlx(&words[0], 1);
        fence();
        put(1, 1);
    } else if (get(1)) {
        fence();
        X_REQUIRE(rg_load_rlx(&words[0]), "the message is not there");
    }
}

/* The same, and what is passed is plain. */
static void run_plain(unsigned t)
{
    uint64_t *message = (uint64_t *)shared_block;
    if (t == 0) {
        *message = 1;
        put(1, 1);
    } else if (get(1)) {
        X_REQUIRE(*message == 1, "the message is not there");
    }
}
/* It is read, and then written. */
static void run_plain_again(unsigned t)
{
    uint64_t *message = (uint64_t *)shared_block;
    if (t == 0) {
        X_REQUIRE(*message == 0, "the next message is there already");
        put(1, 1);
    } else if (get(1)) {
        *message = 1;
    }
}

/* Store buffering. */
static void run_buffering(unsigned t)
{
    put(t, 1);
    fence();
    seen[2 * t] = get(1 - t);
}
static void after_buffering(void) { X_REQUIRE(seen[0] || seen[2], "each missed the other"); }

/* Independent reads of independent writes. */
static void run_iriw(unsigned t)
{
    if (t < 2) {
        put(t, 1);
        return;
    }
    seen[2 * t] = get(t - 2);
    fence();
    seen[2 * t + 1] = get(3 - t);
}
static void after_iriw(void)
{
    X_REQUIRE(!(seen[4] && !seen[5] && seen[6] && !seen[7]), "two writes were seen in two orders");
}

/* Write to read causality, with fences between relaxed reads: what one saw before its fence, another
 * sees after a later one. */
static void run_causality(unsigned t)
{
    if (t == 0) put(0, 1);
    if (t == 1) seen[2] = get(0);
    if (t == 2) put(1, 1);
    if (t == 0) return;
    fence();
    seen[2 * t + 1] = get(t == 1 ? 1 : 0);
}
static void after_causality(void) { X_REQUIRE(!(seen[2] && !seen[3] && !seen[5]), "a write was seen, then not seen"); }

/* What thread 1 was told, it tells: release and acquire are transitive. */
static void run_told(unsigned t)
{
    if (t == 0) put(0, 1);
    if (t == 1 && get(0)) put(1, 1);
    if (t == 2 && get(1)) X_REQUIRE(get(0), "told of a write that is not there");
}

/* Coherence of one word, at the weakest. */
static void run_coherence(unsigned t)
{
    if (t == 0) {
        put(0, 1);
        put(0, 2);
    } else {
        uint64_t a = get(0), b = get(0);
        X_REQUIRE(a <= b, "a word went back");
        put(0, 3);
        X_REQUIRE(get(0) >= b, "an own write was not seen");
    }
}
static void run_late(unsigned t)
{
    if (t == 0) {
        put(0, 1);
        put(1, 1);
    } else {
        seen[2] = get(1);
        seen[3] = get(0);
    }
}
static void after_late(void) { X_REQUIRE(!(seen[2] && !seen[3]), "the later write was seen and the earlier not"); }

/* What is seq_cst orders nothing but itself: a relaxed write behind it may be seen before. */
static void run_behind(unsigned t)
{
    if (t == 0) {
        (void)x_cas(&words[0], 0, 1, X_SEQ_CST);
        put(1, 1);
    } else {
        run_late(1);
    }
}

/* Release sequences: the flag is written again, by an RMW of another thread, by another thread, by the
 * same thread. */
static void flag_read(void)
{
    if (rg_load_acq(&words[1]) == 2) X_REQUIRE(rg_load_rlx(&words[0]), "the message is not there");
}
static void run_sequence(unsigned t)
{
    if (t == 0) {
        rg_store_rlx(&words[0], 1);
        rg_store_rel(&words[1], 1);
    } else if (t == 1) {
        (void)x_cas(&words[1], 1, 2, X_RELAXED);
    } else {
        flag_read();
    }
}
static void run_sequence_broken(unsigned t)
{
    if (t != 1) run_sequence(t);
    else if (rg_load_rlx(&words[1])) rg_store_rlx(&words[1], 2);
}
static void run_sequence_own(unsigned t)
{
    if (t) flag_read();
    else {
        run_sequence(0);
        rg_store_rlx(&words[1], 2);
    }
}

/* A CAS that fails may have read what was there before, seq_cst or not, unless it was told of what is
 * there now; one that succeeds has read the last. */
static void run_cas(unsigned t)
{
    if (t == 0) {
        put(0, 1);
        put(1, 1);
    } else if (get(1)) {
        X_REQUIRE(x_cas(&words[0], 1, 2, X_SEQ_CST), "a CAS that should find 1 fails");
    }
}
static void run_count(unsigned t)
{
    (void)t;
    x_add(&words[0], 1, X_RELAXED);
    for (uint64_t v = rg_load_rlx(&words[0]); !x_cas(&words[0], v, v + 1, X_RELAXED); v = rg_load_rlx(&words[0])) {}
}
static void after_count(void) { X_REQUIRE(rg_load(&words[0]) == 2 * x_now->threads, "an update is lost"); }

/* Waiting for a relaxed write ends. */
static void run_spin(unsigned t)
{
    if (t == 0) put(0, 1);
    else
        while (!get(0)) rg_checked_pause();
}

/* A node's contents, by the CAS that publishes it. */
static void run_publish(unsigned t)
{
    if (t == 0) {
        rg_word *node = rg_alloc(16);
        rg_store_rlx(node, 7);
        (void)x_cas(&words[0], 0, (uint64_t)(uintptr_t)node, o()->store);
        return;
    }
    rg_word *node = (rg_word *)(uintptr_t)get(0);
    if (node) X_REQUIRE(rg_load_rlx(node) == 7, "a node without its contents");
}
/* Published first, written afterwards. */
static void run_publish_early(unsigned t)
{
    if (t) {
        run_publish(t);
        return;
    }
    rg_word *node = rg_alloc(16);
    rg_store_rel(&words[0], (uint64_t)(uintptr_t)node);
    rg_store_rel(node, 7);
}
/* One that is used again: its contents as they were. */
static void run_publish_again(unsigned t)
{
    if (t == 0) {
        rg_store_rlx(shared_block, 7);
        put(0, (uint64_t)(uintptr_t)shared_block);
        return;
    }
    rg_word *node = (rg_word *)(uintptr_t)get(0);
    if (node) X_REQUIRE(rg_load_rlx(node) == 7, "a node without its contents");
}

/* A look at a block, then word that it is over; and the free. */
static void run_free(unsigned t)
{
    if (t == 1) {
        (void)rg_load_rlx(shared_block);
        put(0, 1);
    } else if (get(0)) {
        fence();
        rg_free(shared_block);
    }
}

#define ORDERS(s, l, f) .arg = &(const orders){ X_##s, X_##l, f }, .weak = true
#define LITMUS(n, title, f) .name = "litmus." title, .threads = n, .setup = setup, .run = f
#define SEEN .must_fail = true

const x_scenario s_litmus[] = {
    { LITMUS(2, "message", run_message), ORDERS(RELEASE, ACQUIRE, false) },
    { LITMUS(2, "message.rlx-store", run_message), ORDERS(RELAXED, ACQUIRE, false), SEEN },
    { LITMUS(2, "message.rlx-load", run_message), ORDERS(RELEASE, RELAXED, false), SEEN },
    { LITMUS(2, "message.fences", run_message), ORDERS(RELAXED, RELAXED, true) },
    { LITMUS(2, "plain", run_plain), ORDERS(RELEASE, ACQUIRE, false) },
    { LITMUS(2, "plain.rlx-store", run_plain), ORDERS(RELAXED, ACQUIRE, false), SEEN },
    { LITMUS(2, "plain.rlx-load", run_plain), ORDERS(RELEASE, RELAXED, false), SEEN },
    { LITMUS(2, "plain.again", run_plain_again), ORDERS(RELEASE, ACQUIRE, false) },
    { LITMUS(2, "plain.again.rlx-store", run_plain_again), ORDERS(RELAXED, ACQUIRE, false), SEEN },
    { LITMUS(2, "buffering", run_buffering), ORDERS(SEQ_CST, SEQ_CST, false), .after = after_buffering },
    { LITMUS(2, "buffering.rel-acq", run_buffering), ORDERS(RELEASE, ACQUIRE, false), .after = after_buffering, SEEN },
    { LITMUS(2, "buffering.rel-sc", run_buffering), ORDERS(RELEASE, SEQ_CST, false), .after = after_buffering, SEEN },
    { LITMUS(2, "buffering.sc-acq", run_buffering), ORDERS(SEQ_CST, ACQUIRE, false), .after = after_buffering, SEEN },
    { LITMUS(2, "buffering.fences", run_buffering), ORDERS(RELAXED, RELAXED, true), .after = after_buffering },
    { LITMUS(4, "iriw", run_iriw), ORDERS(SEQ_CST, SEQ_CST, false), .after = after_iriw },
    { LITMUS(4, "iriw.rel-acq", run_iriw), ORDERS(RELEASE, ACQUIRE, false), .after = after_iriw, SEEN },
    { LITMUS(4, "iriw.fences", run_iriw), ORDERS(RELAXED, RELAXED, true), .after = after_iriw },
    { LITMUS(3, "causality.rel-acq", run_causality), ORDERS(RELEASE, ACQUIRE, false), .after = after_causality, SEEN },
    { LITMUS(3, "causality.fences", run_causality), ORDERS(RELAXED, RELAXED, true), .after = after_causality },
    { LITMUS(3, "told", run_told), ORDERS(RELEASE, ACQUIRE, false) },
    { LITMUS(3, "told.rlx", run_told), ORDERS(RELAXED, ACQUIRE, false), SEEN },
    { LITMUS(2, "coherence", run_coherence), ORDERS(RELAXED, RELAXED, false) },
    { LITMUS(2, "two-words", run_late), ORDERS(RELEASE, ACQUIRE, false), .after = after_late },
    { LITMUS(2, "two-words.rlx", run_late), ORDERS(RELAXED, RELAXED, false), .after = after_late, SEEN },
    { LITMUS(2, "two-words.sc-rlx", run_late), ORDERS(SEQ_CST, RELAXED, false), .after = after_late, SEEN },
    { LITMUS(2, "behind-sc", run_behind), ORDERS(RELEASE, SEQ_CST, false), .after = after_late },
    { LITMUS(2, "behind-sc.rlx", run_behind), ORDERS(RELAXED, SEQ_CST, false), .after = after_late, SEEN },
    { LITMUS(3, "sequence.rmw", run_sequence), ORDERS(RELAXED, RELAXED, false) },
    { LITMUS(3, "sequence.broken", run_sequence_broken), ORDERS(RELAXED, RELAXED, false), SEEN },
    { LITMUS(2, "sequence.own", run_sequence_own), ORDERS(RELAXED, RELAXED, false) },
    { LITMUS(2, "cas.sc", run_cas), ORDERS(SEQ_CST, SEQ_CST, false) },
    { LITMUS(2, "cas.told", run_cas), ORDERS(RELEASE, ACQUIRE, false) },
    { LITMUS(2, "cas.rlx", run_cas), ORDERS(SEQ_CST, RELAXED, false), SEEN },
    { LITMUS(3, "count", run_count), ORDERS(RELAXED, RELAXED, false), .after = after_count },
    { LITMUS(2, "spin", run_spin), ORDERS(RELAXED, RELAXED, false) },
    { LITMUS(2, "publish", run_publish), ORDERS(RELEASE, ACQUIRE, false) },
    { LITMUS(2, "publish.rlx-cas", run_publish), ORDERS(RELAXED, ACQUIRE, false), SEEN },
    { LITMUS(2, "publish.rlx-load", run_publish), ORDERS(SEQ_CST, RELAXED, false), SEEN },
    { LITMUS(2, "publish.early", run_publish_early), ORDERS(RELEASE, ACQUIRE, false), SEEN },
    { LITMUS(2, "publish.again", run_publish_again), ORDERS(RELEASE, ACQUIRE, false) },
    { LITMUS(2, "publish.again.rlx", run_publish_again), ORDERS(RELAXED, ACQUIRE, false), SEEN },
    { LITMUS(2, "free", run_free), ORDERS(RELEASE, ACQUIRE, false) },
    { LITMUS(2, "free.rlx-store", run_free), ORDERS(RELAXED, ACQUIRE, false), SEEN },
    { LITMUS(2, "free.rlx-load", run_free), ORDERS(RELEASE, RELAXED, false), SEEN },
    { LITMUS(2, "free.rlx-load-fence", run_free), ORDERS(RELEASE, RELAXED, true) },
    { .name = NULL },
};
