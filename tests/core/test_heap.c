/* The list and the heap below a record: order, shape and bounds against a model; conservation under stress, where what is
 * retired is really freed. */
#include "harness.h"
#include "heap.h"

#define ITEMS 400u
#define PER_PRODUCER (1u << 16)
#define PRODUCERS 4

static rg_word root;
static _Atomic unsigned char seen[PRODUCERS][PER_PRODUCER];

/* Items are key << 32 | what tells equal ones apart. */
static uint64_t key(uint64_t v) { return v >> 32; }
static int less(uint64_t x, uint64_t y) { return key(x) < key(y); }
static _Atomic uint64_t asked;
static int less_of_even(uint64_t x, uint64_t y) { return (x ^ y) & 1 ? (atomic_fetch_add_explicit(&asked, 1, memory_order_relaxed), -1) : less(x, y); }
static uint64_t hint(uint64_t v) { return v % 3 ? 1ULL << RG_HEAP_KIND_SHIFT | (key(v) & 0x3ffffff) / 2 : 0; }

static rg_slot *mine(void)
{
    rg_slot *s = here();
    s->free_count = s->free_wide_count = RG_NODE_CACHE; /* "full": so that the sanitizers see a late look */
    return s;
}

static void open_with(uint64_t limit)
{
    rg_store(&root, rg_node_word(&rg_record_new(mine(), 0, 0, 0, limit << 1)->node));
}

static rg_wide *record(rg_slot *s) { return rg_record_of(s, &root); }

/* As where `<` is user code, but that nothing is unpinned for it. */
static rg_record_tried ask(rg_slot *s, rg_heap_merge *m)
{
    rg_wide *x, *y;
    bool stands;
    rg_heap_hold(m);
    do {
        rg_heap_question(m, &x, &y);
        bool l = less(x->node.value, y->node.value);
        rg_unpin(s);
        rg_pin(s);
        if ((stands = rg_heap_stands(s, &root, m))) rg_heap_answer(m, l);
    } while (stands && !rg_heap_descend(m, less_of_even));
    return rg_heap_finish_held(s, &root, m, stands);
}

static rg_record_tried put_by(rg_slot *s, uint64_t v, uint64_t h, rg_heap_less by)
{
    rg_heap_merge m;
    rg_record_tried t = RG_RECORD_LOST;
    rg_backoff b = { 0 };
    rg_pin(s);
    while (t == RG_RECORD_LOST || t == RG_RECORD_BUSY) {
        t = rg_heap_try_put(s, &root, v, h, by, &m);
        if (t == RG_RECORD_ASK) t = ask(s, &m);
        if (t == RG_RECORD_LOST) rg_lost(s, &b);
        if (t == RG_RECORD_BUSY) (void)record(s);
    }
    rg_unpin(s);
    return t;
}

static rg_record_tried get_by(rg_slot *s, uint64_t *v, rg_heap_less by)
{
    rg_heap_merge m;
    rg_record_tried t = RG_RECORD_LOST;
    rg_backoff b = { 0 };
    rg_pin(s);
    while (t == RG_RECORD_LOST || t == RG_RECORD_BUSY) {
        t = rg_heap_try_get(s, &root, v, by, &m);
        if (t == RG_RECORD_ASK) t = ask(s, &m);
        if (t == RG_RECORD_LOST) rg_lost(s, &b);
        if (t == RG_RECORD_BUSY) (void)record(s);
    }
    rg_unpin(s);
    return t;
}

static void put(rg_slot *s, uint64_t v) { CHECK(put_by(s, v, hint(v), less) == RG_RECORD_DONE, "put"); }
static bool get(rg_slot *s, uint64_t *v) { return get_by(s, v, less) == RG_RECORD_DONE; }

static void close_all(void)
{
    uint64_t v;
    rg_slot *s = mine();
    while (get(s, &v)) {}
    free(rg_wide_of(rg_load(&root)));
    rg_store(&root, 0);
    rg_flush(s);
}

/* Weights, their bias, order. Returns the weight; not deep to the right, and the left is a loop. */
static void check_shape(rg_wide *n)
{
    for (; n; n = rg_heap_left(n)) {
        rg_wide *l = rg_heap_left(n), *r = rg_heap_right(n);
        CHECK(rg_heap_weight(l) >= rg_heap_weight(r), "the right child is the heavier one");
        CHECK(rg_heap_weight(n) == rg_heap_weight(l) + rg_heap_weight(r) + 1, "a wrong weight");
        CHECK((!l || !less(l->node.value, n->node.value)) && (!r || !less(r->node.value, n->node.value)), "a child before its parent");
        check_shape(r);
    }
}

static uint64_t next_random(uint64_t *x) { return *x ^= *x << 13, *x ^= *x >> 7, *x ^= *x << 17; }

/* Against a list of all that is in, in the order of the puts. */
static void like_a_model(void)
{
    rg_slot *s = mine();
    uint64_t model[ITEMS], x = 88172645463325252ULL;
    for (unsigned keys = 1; keys < 1000; keys *= 7) {
        size_t n = 0;
        uint64_t puts = 0, v;
        open_with(0);
        for (unsigned step = 0; step < 4 * ITEMS; step++) {
            rg_heap_less by = step % 3 ? less : less_of_even;
            if (n < ITEMS && next_random(&x) % 5 < (step < 2 * ITEMS ? 3 : 2)) {
                v = (next_random(&x) % keys) << 32 | puts++;
                CHECK(put_by(s, v, hint(v), by) == RG_RECORD_DONE, "put");
                model[n++] = v;
            } else if (n) {
                size_t best = 0;
                for (size_t i = 1; i < n; i++)
                    if (key(model[i]) < key(model[best])) best = i;
                CHECK(get_by(s, &v, by) == RG_RECORD_DONE && v == model[best], "%llx came out", (unsigned long long)v);
                memmove(&model[best], &model[best + 1], (--n - best) * sizeof *model);
            } else {
                CHECK(get_by(s, &v, by) == RG_RECORD_EMPTY, "it is empty");
            }
            CHECK(rg_record_size(record(s)) == n && rg_record_puts(record(s)) == puts, "size and puts");
            check_shape(rg_wide_of(rg_record_top(record(s))));
        }
        close_all();
    }
    CHECK(asked, "nothing was ever asked");
}

/* Items in order make one long spine to the left; a walk meets each once, and needs no more room than it has. */
static void walk_meets_each_once(void)
{
    rg_slot *s = mine();
    for (int down = 0; down < 3; down++) {
        uint64_t n = 20000, sum = 0, count = 0, x = 1;
        open_with(0);
        for (uint64_t i = 0; i < n; i++) put(s, (down == 2 ? next_random(&x) % n : down ? n - i : i) << 32 | i);
        rg_heap_walk w;
        rg_heap_walk_from(&w, record(s));
        for (rg_wide *at; (at = rg_heap_walk_next(&w)); count++) {
            sum += at->node.value & 0xffffffff;
            CHECK(w.n <= 15, "%u left children pending: not biased", w.n); /* log2 of n */
        }
        CHECK(count == n && sum == n * (n - 1) / 2, "%llu nodes", (unsigned long long)count);
        close_all();
    }
}

/* Numbers are compared by their difference: also where their 44 bits begin anew. */
static void numbers_wrap(void)
{
    rg_slot *s = mine();
    uint64_t v;
    open_with(0);
    rg_store_rlx(&record(s)->more[0], (1ULL << 44) - 3);
    for (uint64_t i = 0; i < 6; i++) put(s, i); /* all equal */
    rg_heap_walk w;
    rg_heap_walk_from(&w, record(s));
    for (rg_wide *at; (at = rg_heap_walk_next(&w));)
        CHECK(rg_heap_age(at, record(s)) == 5 - at->node.value, "age %llu", (unsigned long long)rg_heap_age(at, record(s)));
    for (uint64_t i = 0; i < 6; i++) CHECK(get(s, &v) && v == i, "%llu before %llu", (unsigned long long)v, (unsigned long long)i);
    close_all();
}

static void bounds_and_rules(void)
{
    rg_slot *s = mine();
    uint64_t v;
    open_with(2);
    for (unsigned round = 0; round < 3; round++) {
        put(s, 2), put(s, 1);
        CHECK(put_by(s, 3, 0, less) == RG_RECORD_FULL, "it is full");
        CHECK(rg_record_size(record(s)) == 2, "size");
        get(s, &v), get(s, &v);
    }
    put(s, 5);
    rg_store_rlx(&record(s)->more[1], rg_record_rules(record(s)) | 1);
    CHECK(put_by(s, 3, 0, less) == RG_RECORD_CLOSED, "it is closed");
    CHECK(get(s, &v) && v == 5, "what is in comes out");
    CHECK(get_by(s, &v, less) == RG_RECORD_CLOSED, "it is closed and empty");
    close_all();
}

/* ---- stress --------------------------------------------------------------------------------------- */

static uint64_t item(unsigned producer, uint64_t i) { return i % 8 << 32 | (uint64_t)producer << 24 | i; }

static void came_out(uint64_t v)
{
    unsigned producer = v >> 24 & 0xff, i = v & 0xffffff;
    CHECK(producer < PRODUCERS && i < PER_PRODUCER, "%llx came out", (unsigned long long)v);
    CHECK(atomic_fetch_add_explicit(&seen[producer][i], 1, memory_order_relaxed) == 0, "%llx twice", (unsigned long long)v);
}

static void put_get(worker *w)
{
    uint64_t v;
    for (rg_slot *s = mine(); running() && w->count[0] < PER_PRODUCER;) {
        for (unsigned i = 0; i < 3 && w->count[0] < PER_PRODUCER; i++) put(s, item(w->id, w->count[0]++));
        for (unsigned i = 0; i < 3; i++)
            if (get_by(s, &v, w->id % 2 ? less_of_even : less) == RG_RECORD_DONE) came_out(v);
    }
}

static void heap_conserves(void)
{
    worker w[4] = { 0 };
    void (*f[])(worker *) = { put_get };
    uint64_t v, last = 0;
    open_with(0);
    workers_run(w, 4, f, 1);
    check_shape(rg_wide_of(rg_record_top(record(mine()))));
    for (; get(mine(), &v); last = v) {
        CHECK(key(last) <= key(v), "out of order");
        came_out(v);
    }
    close_all();
    for (unsigned p = 0; p < 4; p++)
        for (uint64_t i = 0; i < PER_PRODUCER; i++) CHECK(seen[p][i] == (i < w[p].count[0]), "item %llu of %u", (unsigned long long)i, p);
}

static bool lifo_put(rg_slot *s, uint64_t v)
{
    rg_backoff b = { 0 };
    rg_record_tried t = RG_RECORD_BUSY;
    rg_node *n = rg_node_new(s, v);
    CHECK(rg_reserve(s, 2), "memory");
    rg_pin(s);
    while (t == RG_RECORD_LOST || t == RG_RECORD_BUSY) {
        if (t == RG_RECORD_LOST) rg_lost(s, &b);
        (void)record(s);
        t = rg_lifo_try_put(s, &root, n);
    }
    rg_unpin(s);
    if (t != RG_RECORD_DONE) free(n);
    return t == RG_RECORD_DONE;
}

static bool lifo_get(rg_slot *s, uint64_t *v)
{
    rg_backoff b = { 0 };
    rg_record_tried t = RG_RECORD_BUSY;
    CHECK(rg_reserve(s, 2), "memory");
    rg_pin(s);
    while (t == RG_RECORD_LOST || t == RG_RECORD_BUSY) {
        if (t == RG_RECORD_LOST) rg_lost(s, &b);
        (void)record(s);
        t = rg_lifo_try_get(s, &root, v);
    }
    rg_unpin(s);
    return t == RG_RECORD_DONE;
}

static void lifo_put_get(worker *w)
{
    uint64_t v;
    for (rg_slot *s = mine(); running() && w->count[0] < PER_PRODUCER;) {
        w->count[0] += lifo_put(s, item(w->id, w->count[0]));
        rg_pin(s);
        CHECK(rg_record_size(record(s)) <= 3, "more than there is room for");
        rg_unpin(s);
        if (lifo_get(s, &v)) came_out(v);
    }
}

static void lifo_conserves(void)
{
    worker w[4] = { 0 };
    void (*f[])(worker *) = { lifo_put_get };
    uint64_t v;
    open_with(3);
    workers_run(w, 4, f, 1);
    while (lifo_get(mine(), &v)) came_out(v);
    CHECK(rg_record_puts(record(mine())) == w[0].count[0] + w[1].count[0] + w[2].count[0] + w[3].count[0], "puts");
    close_all();
    for (unsigned p = 0; p < 4; p++)
        for (uint64_t i = 0; i < PER_PRODUCER; i++) CHECK(seen[p][i] == (i < w[p].count[0]), "item %llu of %u", (unsigned long long)i, p);
}

TESTS({ "like_a_model", like_a_model }, { "walk_meets_each_once", walk_meets_each_once }, { "numbers_wrap", numbers_wrap },
      { "bounds_and_rules", bounds_and_rules }, { "heap_conserves", heap_conserves }, { "lifo_conserves", lifo_conserves })
