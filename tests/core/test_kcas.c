/* k-CAS conserves: random k-word transfers, and operations that compare what others write. */
#include "harness.h"

/* ---- conservation ------------------------------------------------------------------------- */

/* Low part of a word: money, moved by k-CAS with k > 1. High part: counts the k = 1. */
#define WORDS 48
#define EACH 1000u
#define UNIT (1ULL << 32)

static rg_word words[WORDS];
static const unsigned sizes[5] = { 1, 2, 3, 8, 40 };

static void pick(worker *w, unsigned *at, unsigned k)
{
    for (unsigned i = 0; i < WORDS; i++) at[i] = i;
    for (unsigned i = 0; i < k; i++) {
        unsigned j = i + (unsigned)(random_of(w) % (WORDS - i)), x = at[i];
        at[i] = at[j];
        at[j] = x;
    }
}

static void transfer(worker *w)
{
    rg_slot *s = here();
    rg_cas_entry e[WORDS];
    unsigned at[WORDS];
    while (running()) {
        unsigned which = (unsigned)(random_of(w) % 5), k = sizes[which];
        pick(w, at, k);
        for (unsigned i = 0; i < k; i++) {
            uint64_t v = rg_read(SPACE, s->index, &words[at[i]]);
            CHECK(!rg_is_ref(v), "a reference was read");
            e[i] = (rg_cas_entry){ &words[at[i]], v, v };
        }
        if (k == 1) e[0].new_ += UNIT;
        for (unsigned i = 0; i + 1 < k; i += 2) { /* an odd last one is compared only */
            uint64_t amount = random_of(w) % (e[i].old % UNIT / 2 + 1);
            e[i].new_ -= amount;
            e[i + 1].new_ += amount;
        }
        int r = rg_kcas(SPACE, s->index, e, k);
        CHECK(r == RG_SUCCEEDED || r == RG_FAILED, "rg_kcas says %d", r);
        w->count[which] += r == RG_SUCCEEDED;
    }
}

static void audit(worker *w)
{
    rg_slot *s = here();
    rg_cas_entry e[WORDS];
    for (uint64_t t = 0; running(); t++) {
        uint64_t sum = 0;
        for (unsigned i = 0; i < WORDS; i++) {
            uint64_t v = rg_read(SPACE, s->index, &words[i]);
            e[i] = (rg_cas_entry){ &words[i], v, v };
            sum += v % UNIT;
        }
        int r = t % 2 ? rg_validate(SPACE, s->index, e, WORDS) : rg_kcas(SPACE, s->index, e, WORDS);
        if (r != RG_SUCCEEDED) continue;
        w->count[t % 2]++;
        CHECK(sum == (uint64_t)WORDS * EACH, "a snapshot of %llu", (unsigned long long)sum);
    }
}

static void conservation(void)
{
    worker w[4] = { 0 };
    void (*f[])(worker *) = { transfer, transfer, transfer, audit };
    for (unsigned i = 0; i < WORDS; i++) rg_store(&words[i], EACH);
    workers_run(w, 4, f, 4);
    uint64_t money = 0, ones = 0, by_size[5] = { 0 };
    for (unsigned i = 0; i < WORDS; i++) {
        uint64_t v = rg_load(&words[i]);
        CHECK(!rg_is_ref(v), "word %u still holds a reference", i);
        money += v % UNIT;
        ones += v / UNIT;
    }
    for (unsigned i = 0; i < 3; i++)
        for (unsigned j = 0; j < 5; j++) by_size[j] += w[i].count[j];
    CHECK(money == (uint64_t)WORDS * EACH, "%llu", (unsigned long long)money);
    CHECK(ones == by_size[0], "%llu increments, %llu said so", (unsigned long long)ones, (unsigned long long)by_size[0]);
    for (unsigned j = 0; j < 5; j++) CHECK(by_size[j] > 0, "no k-CAS of %u words succeeded", sizes[j]);
}

/* ---- the same words, named in opposite orders ----------------------------------------------- */

static void increment_all(worker *w)
{
    rg_slot *s = here();
    while (running()) {
        rg_cas_entry e[4];
        for (unsigned i = 0; i < 4; i++) {
            rg_word *at = &words[w->id % 2 ? 3 - i : i];
            uint64_t v = rg_read(SPACE, s->index, at);
            e[i] = (rg_cas_entry){ at, v, v + 1 };
        }
        w->count[0] += rg_kcas(SPACE, s->index, e, 4) == RG_SUCCEEDED;
    }
}

static void opposite_orders(void)
{
    worker w[4] = { 0 };
    void (*f[])(worker *) = { increment_all };
    workers_run(w, 4, f, 1);
    uint64_t n = w[0].count[0] + w[1].count[0] + w[2].count[0] + w[3].count[0];
    for (unsigned i = 0; i < 4; i++) CHECK(rg_load(&words[i]) == n, "word %u", i);
    CHECK(w[0].count[0] && w[1].count[0] && w[2].count[0] && w[3].count[0], "somebody starved");
}

/* ---- each compares what the other writes ----------------------------------------------------- */

/* Rounds from the same state. Thread i of n: [w(i): 0 to 1, w(i+1) = 0, and `more` still words].
 * The first in the order of linearization succeeds, and thread i fails only after i + 1 succeeded. */
static rg_word still[4];
static int result[4];
static spin_barrier barrier;
static unsigned parties;
static atomic_bool last_round;

static void ring_round(worker *w)
{
    rg_slot *s = here();
    for (uint64_t round = 0;; round++) {
        if (w->id == 0) {
            atomic_store(&last_round, !running());
            for (unsigned i = 0; i < parties; i++) rg_store(&words[i], 0);
        }
        spin_barrier_wait(&barrier, parties);
        if (atomic_load(&last_round)) return;
        size_t more = round % 3;
        rg_cas_entry e[4] = { { &words[w->id], 0, 1 }, { &words[(w->id + 1) % parties], 0, 0 } };
        for (size_t i = 0; i < more; i++) e[2 + i] = (rg_cas_entry){ &still[i], 0, 0 };
        result[w->id] = rg_kcas(SPACE, s->index, e, 2 + more);
        spin_barrier_wait(&barrier, parties);
        if (w->id == 0) {
            unsigned won = 0;
            for (unsigned i = 0; i < parties; i++) {
                won += result[i] == RG_SUCCEEDED;
                CHECK((rg_load(&words[i]) == 1) == (result[i] == RG_SUCCEEDED), "word %u after %d", i, result[i]);
                CHECK(result[i] == RG_SUCCEEDED || result[(i + 1) % parties] == RG_SUCCEEDED, "%u failed without cause", i);
            }
            CHECK(won > 0 && won < parties, "%u of %u succeeded: write skew", won, parties);
            w->count[0]++;
        }
        spin_barrier_wait(&barrier, parties);
    }
}

static void rounds_of(unsigned n)
{
    worker w[4] = { 0 };
    void (*f[])(worker *) = { ring_round };
    parties = n;
    workers_run(w, n, f, 1);
    CHECK(w[0].count[0] > 10, "only %llu rounds", (unsigned long long)w[0].count[0]);
}

static void compare_ring_of_two(void) { rounds_of(2); }
static void compare_ring_of_three(void) { rounds_of(3); }

/* Without rounds: at most one of the words is ever 1. */
static void at_most_one(worker *w)
{
    rg_slot *s = here();
    rg_word *mine = &words[w->id % 2], *other = &words[1 - w->id % 2];
    while (running()) {
        rg_cas_entry e[3] = { { other, 0, 0 }, { mine, 0, 1 }, { &still[0], 0, 0 } };
        if (rg_kcas(SPACE, s->index, e, 2 + w->count[0] % 2) != RG_SUCCEEDED) continue;
        w->count[0]++;
        uint64_t v = rg_read(SPACE, s->index, other);
        CHECK(v == 0, "both words are set: write skew");
        CHECK(rg_cas1(SPACE, s->index, mine, 1, 0), "my word was changed");
    }
}

static void write_skew(void)
{
    worker w[2] = { 0 };
    void (*f[])(worker *) = { at_most_one };
    workers_run(w, 2, f, 1);
    CHECK(w[0].count[0] && w[1].count[0], "somebody starved");
}

/* ---- limits ------------------------------------------------------------------------------------ */

static void limits(void)
{
    rg_slot *s = here();
    static rg_word many[3000];
    static rg_cas_entry e[3000];
    for (unsigned i = 0; i < 3000; i++) e[i] = (rg_cas_entry){ &many[2999 - i], 0, i + 1 };
    CHECK(rg_kcas(SPACE, s->index, e, 0) == RG_SUCCEEDED, "nothing");
    CHECK(rg_kcas(SPACE, s->index, e, 3000) == RG_SUCCEEDED, "3000 words");
    for (unsigned i = 0; i < 3000; i++) CHECK(rg_load(&many[2999 - i]) == i + 1, "word %u", i);
    CHECK(rg_kcas(SPACE, s->index, e, 3000) == RG_FAILED, "old values");
    CHECK(!rg_desc_reserve(SPACE, s->index, SPACE->max_entries + 1), "more than fits");
    rg_word x = (uint64_t)RG_INT_MIN, y = (uint64_t)RG_INT_MAX;
    rg_cas_entry ends[2] = { { &x, (uint64_t)RG_INT_MIN, (uint64_t)RG_INT_MAX }, { &y, (uint64_t)RG_INT_MAX, (uint64_t)-1 } };
    CHECK(rg_kcas(SPACE, s->index, ends, 2) == RG_SUCCEEDED, "the ends of the range");
    CHECK(rg_load(&x) == (uint64_t)RG_INT_MAX && rg_load(&y) == (uint64_t)-1, "the ends of the range");
}

TESTS({ "conservation", conservation }, { "opposite_orders", opposite_orders },
      { "compare_ring_of_two", compare_ring_of_two }, { "compare_ring_of_three", compare_ring_of_three },
      { "write_skew", write_skew }, { "limits", limits })
