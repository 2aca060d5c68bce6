/* The hash table: keys stay to be found while it grows, are bound once, counted exactly and met by walks; no node is
 * touched after it was freed (nodes are freed at once, and poisoned). */
#include "harness.h"
#include "hash.h"
static rg_hash table;
#define TABLE (&table)
#include "int_map.h"

#define KEYS 64
#define WORKERS 4

static _Atomic uint64_t reclaimed, bound[KEYS], unbound[KEYS];

static void gone(rg_slot *s, void *p)
{
    rg_quad *n = p;
    (void)s;
    atomic_fetch_add_explicit(&reclaimed, 1, memory_order_relaxed);
    if (rg_fetch_add(&n->node.meta, 1) & RG_HOLDERS) return; /* the last holder's */
    n->node.value = 0x00dead00dead00deULL;
    rg_store_rlx(&n->node.next, 0x00dead00dead00d8ULL);
    free(n);
}

static void open_table(void) { CHECK(rg_hash_init(here(), &table, ABSENT, DEAD, gone), "memory"); }

static void close_table(void)
{
    rg_flush(here());
    rg_hash_close(here(), &table);
    rg_flush(here());
}

/* Of hashes that differ in low bits, in high bits only, or not at all. */
static uint64_t few_hashes(uint64_t key) { return (key & 3) << (key & 16 ? 40 : 0) | (key & 8); }

static uint64_t number(rg_slot *s)
{
    uint64_t n = 0;
    bool no_memory;
    rg_pin(s);
    for (rg_quad *w = rg_hash_behind(s, &table, NULL, &no_memory); w; w = rg_hash_after(s, &table, w)) n++;
    rg_unpin(s);
    return n;
}

static void grows(void)
{
    rg_slot *s = here();
    for (unsigned shift = 0; shift < 60; shift += 12) {
        open_table();
        for (uint64_t k = 0; k < 5000; k++) {
            CHECK(map_get(s, k, rg_hash_mix(k << shift)) == ABSENT, "key %u is there", (unsigned)k);
            CHECK(map_put(s, k, rg_hash_mix(k << shift), 100 + k) == ABSENT, "key %u is there", (unsigned)k);
        }
        CHECK(map_len(s) == 5000 && number(s) == 5000, "%lld", (long long)map_len(s));
        CHECK(rg_hash_room(rg_load(&table.size)) >= 5000, "%u buckets", (unsigned)rg_load(&table.size));
        for (uint64_t k = 0; k < 5000; k++)
            CHECK(map_get(s, k, rg_hash_mix(k << shift)) == 100 + k, "key %u", (unsigned)k);
        for (uint64_t k = 0; k < 5000; k += 2) CHECK(map_remove(s, k, rg_hash_mix(k << shift), k & 4) == 100 + k, "key %u", (unsigned)k);
        CHECK(map_len(s) == 2500 && number(s) == 2500, "%lld", (long long)map_len(s));
        close_table();
    }
}

/* A reaction binds two keys at once: the count is odd whenever it is looked at. */
static void grows_by_twos(void)
{
    rg_slot *s = here();
    open_table();
    map_put(s, 1ULL << 40, rg_hash_mix(1ULL << 40), 100);
    for (uint64_t k = 0; k < 5000; k += 2) {
        rg_quad *n[2];
        rg_pin(s);
        for (uint64_t i = 0; i < 2; i++) {
            rg_place p;
            rg_hash_begin(s, &table, &p, rg_hash_mix(k + i));
            while (rg_hash_seek(s, &table, &p)) {}
            n[i] = rg_hash_node(s, &table, k + i, rg_hash_mix(k + i));
            CHECK(rg_hash_insert(&p, n[i]), "key %u", (unsigned)(k + i));
        }
        for (unsigned i = 0; i < 2; i++) CHECK(rg_hash_bind(s, &table, n[i], ABSENT, 100, 1), "key %u", (unsigned)(k + i));
        for (unsigned i = 0; i < 2; i++) rg_hash_grown_by(s, &table, n[i]);
        rg_unpin(s);
    }
    CHECK(map_len(s) == 5001, "%lld", (long long)map_len(s));
    CHECK(rg_hash_room(rg_load(&table.size)) >= 5000, "%u buckets", (unsigned)rg_load(&table.size));
    close_table();
}

/* The order of the list is that of the bits from the lowest on, and mixing keeps hashes apart. */
static void order(void)
{
    for (uint64_t i = 0; i < 3000; i++) {
        uint64_t a = rg_hash_mix(i * 0x10001), b = rg_hash_mix((i ^ 1) * 0x10001), ra = 0, rb = 0;
        CHECK(a != b, "%u", (unsigned)i);
        for (unsigned k = 0; k < 64; k++) {
            ra |= (a >> k & 1) << (63 - k);
            rb |= (b >> k & 1) << (63 - k);
        }
        CHECK(rg_hash_before(a, b) == (ra < rb) && !rg_hash_before(a, a), "%u", (unsigned)i);
    }
}

/* Whatever bits of it a hash has: numbers, their multiples, and fractions, whose hashes have high bits alone. */
static void mixing_spreads(void)
{
    static unsigned char met[4096];
    for (unsigned shift = 0; shift <= 48; shift++) {
        unsigned buckets = 0;
        memset(met, 0, sizeof met);
        for (uint64_t i = 0; i < 4096; i++) {
            uint64_t h = rg_hash_mix(i << shift);
            CHECK(h >> RG_HASH_BITS == 0, "%u bits", RG_HASH_BITS);
            buckets += !met[h & 4095]++;
        }
        CHECK(buckets > 2000, "%u buckets of 4096 for as many multiples of 2^%u", buckets, shift);
    }
}

static void churn(worker *w)
{
    rg_slot *s = here();
    while (running()) {
        uint64_t r = random_of(w), key = r % KEYS, hash = few_hashes(key);
        if (r >> 8 & 1) {
            if (map_put(s, key, hash, 100 + key) == ABSENT) atomic_fetch_add(&bound[key], 1);
        } else if (map_remove(s, key, hash, r >> 9 & 1) != ABSENT) {
            atomic_fetch_add(&unbound[key], 1);
        }
        uint64_t v = r >> 10 & 3 ? map_get(s, key, hash) : map_ask(s, key, hash);
        CHECK(v == ABSENT || v == 100 + key, "key %u has %llu", (unsigned)key, (unsigned long long)v);
    }
}

static void keys_come_and_go(void)
{
    worker w[WORKERS] = { 0 };
    void (*f[])(worker *) = { churn };
    open_table();
    workers_run(w, WORKERS, f, 1);
    int64_t present = 0;
    for (uint64_t k = 0; k < KEYS; k++) {
        bool is = map_get(here(), k, few_hashes(k)) != ABSENT;
        CHECK(bound[k] - unbound[k] == (uint64_t)is, "key %u: bound %u times, unbound %u", (unsigned)k, (unsigned)bound[k],
              (unsigned)unbound[k]);
        present += is;
    }
    CHECK(map_len(here()) == present, "%lld, not %lld", (long long)map_len(here()), (long long)present);
    for (uint64_t k = 0; k < KEYS; k++) map_remove(here(), k, few_hashes(k), false);
    CHECK(number(here()) == 0, "%u nodes are left", (unsigned)number(here()));
    close_table();
}

static void insert_own(worker *w)
{
    rg_slot *s = here();
    uint64_t n = 0, own = (uint64_t)w->id << 40;
    for (; running() && n < 200000; n++) {
        CHECK(map_put(s, own | n, rg_hash_mix(own | n), 100 + n) == ABSENT, "key %u", (unsigned)n);
        uint64_t k = random_of(w) % (n + 1);
        CHECK(map_get(s, own | k, rg_hash_mix(own | k)) == 100 + k, "key %u of %u is lost", (unsigned)k, (unsigned)n);
    }
    w->count[0] = n;
}

static void nothing_is_lost_in_growth(void)
{
    worker w[WORKERS] = { 0 };
    void (*f[])(worker *) = { insert_own };
    open_table();
    workers_run(w, WORKERS, f, 1);
    uint64_t all = 0;
    for (unsigned i = 0; i < WORKERS; i++) {
        all += w[i].count[0];
        for (uint64_t k = 0; k < w[i].count[0]; k++)
            CHECK(map_get(here(), (uint64_t)i << 40 | k, rg_hash_mix((uint64_t)i << 40 | k)) == 100 + k, "key %u", (unsigned)k);
    }
    CHECK(map_len(here()) == (int64_t)all && number(here()) == all, "%lld, not %llu", (long long)map_len(here()), (unsigned long long)all);
    close_table();
}

static void walk(worker *w)
{
    rg_slot *s = here();
    while (running()) {
        unsigned met[KEYS] = { 0 };
        uint64_t last = 0;
        bool first = true, no_memory;
        rg_pin(s);
        rg_quad *n = rg_hash_behind(s, &table, NULL, &no_memory);
        for (; n; n = rg_hash_after(s, &table, n)) {
            CHECK(first || !rg_hash_before(rg_hash_of(n), last), "out of order");
            last = rg_hash_of(n);
            first = false;
            if (n->node.value < KEYS) met[n->node.value]++;
        }
        rg_unpin(s);
        for (unsigned k = 0; k < KEYS; k += 2) CHECK(met[k] == 1, "key %u was met %u times", k, met[k]);
        w->count[0]++;
    }
}

static void churn_odd(worker *w)
{
    rg_slot *s = here();
    for (uint64_t more = KEYS; running(); more++) {
        uint64_t key = random_of(w) % KEYS | 1;
        map_put(s, key, few_hashes(key), 100);
        map_remove(s, key, few_hashes(key), random_of(w) & 1);
        if (more < 5000) map_put(s, more << 8 | w->id, rg_hash_mix(more << 8 | w->id), 100); /* and it grows */
    }
}

static void walks_meet_what_stays(void)
{
    worker w[WORKERS] = { 0 };
    void (*f[])(worker *) = { walk, churn_odd };
    open_table();
    for (uint64_t k = 0; k < KEYS; k += 2) map_put(here(), k, few_hashes(k), 100);
    workers_run(w, WORKERS, f, 2);
    CHECK(w[0].count[0] > 0, "nobody walked");
    close_table();
}

static void look_at_len(worker *w)
{
    while (running()) {
        int64_t n = map_len(here());
        CHECK(n == 10 || n == 11, "%lld", (long long)n);
        w->count[0]++;
    }
}

/* Ten keys at each instant, or eleven: the count is neither late nor early, whatever stripes it is in. */
static void rotate(worker *w)
{
    rg_slot *s = here();
    static _Atomic unsigned turn;
    while (running()) {
        if (atomic_load(&turn) % 3 != w->id % 3) {
            sched_yield();
            continue;
        }
        unsigned t = atomic_load(&turn);
        map_put(s, 10 + t, 10 + t, 100);
        map_remove(s, t, t, t & 1);
        atomic_fetch_add(&turn, 1);
    }
}

static void the_count_is_exact(void)
{
    worker w[WORKERS] = { 0 };
    void (*f[])(worker *) = { rotate, rotate, rotate, look_at_len };
    open_table();
    for (uint64_t k = 0; k < 10; k++) map_put(here(), k, k, 100);
    workers_run(w, WORKERS, f, WORKERS);
    CHECK(w[3].count[0] > 0, "nobody looked");
    close_table();
}

TESTS({ "order", order }, { "mixing_spreads", mixing_spreads }, { "grows", grows }, { "grows_by_twos", grows_by_twos }, { "keys_come_and_go", keys_come_and_go },
      { "nothing_is_lost_in_growth", nothing_is_lost_in_growth }, { "walks_meet_what_stays", walks_meet_what_stays },
      { "the_count_is_exact", the_count_is_exact })
