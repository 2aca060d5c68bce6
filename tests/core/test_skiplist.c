/* The skip list: what was bound and not unbound is there, in order; and no tower is touched after it was freed.
 * Towers are really freed here (none is kept), which the sanitizers watch. */
#include "harness.h"

#include "../skiplist_ops.h"

#define KEYS 48u
#define FIXED 100u /* and its multiples: never removed */

static rg_skiplist list;
static _Atomic int64_t net[FIXED];
static _Atomic uint64_t went;

static void gone(rg_slot *s, rg_tower *t)
{
    (void)s;
    CHECK(rg_load(&t->value) == SK_DEAD, "a tower goes that is not dead");
    atomic_fetch_add(&went, 1);
}

static rg_slot *sparing(void)
{
    rg_slot *s = here();
    s->free_wide_count = RG_NODE_CACHE;
    return s;
}

static void open_list(void)
{
    rg_skip_open(&list, gone);
    for (uint64_t k = FIXED; k < 6 * FIXED; k += FIXED) CHECK(sk_insert(sparing(), &list, k, k == 3 * FIXED ? 6 : 1), "new");
}

static unsigned height_of(worker *w)
{
    unsigned h = 1;
    while (h < 5 && random_of(w) % 2) h++;
    return h;
}

static uint64_t key_of(worker *w) { return 1 + random_of(w) % (KEYS - 1); }

static void change(worker *w)
{
    for (rg_slot *s = sparing(); running(); w->count[0]++) {
        uint64_t k = key_of(w), r = random_of(w) % 16;
        int64_t first;
        if (r < 5) net[k] += sk_insert(s, &list, k, height_of(w));
        else if (r < 10) net[k] -= sk_delete(s, &list, k);
        else if (r < 12) net[k] += sk_insert_by_kcas(s, &list, k, height_of(w));
        else if (r < 13) (void)sk_find_unpinning(s, &list, k);
        else if (r < 14 && (first = sk_first(s, &list, false)) >= 0) CHECK((uint64_t)first <= FIXED, "%lld first", (long long)first);
        else if (r < 15 && (first = sk_first(s, &list, true)) >= 0) {
            CHECK((uint64_t)first <= FIXED, "%lld first", (long long)first);
            if (first == FIXED) CHECK(sk_insert(s, &list, FIXED, 1), "it was taken");
            else net[first]--;
        } else (void)sk_find(s, &list, k);
    }
}

static void look(worker *w)
{
    for (rg_slot *s = sparing(); running(); w->count[0]++) {
        for (uint64_t k = 2 * FIXED; k < 6 * FIXED; k += FIXED) CHECK(sk_find(s, &list, k), "%llu", (unsigned long long)k);
        CHECK(sk_find_unpinning(s, &list, 4 * FIXED), "unpinning");
        uint64_t last = 0;
        unsigned fixed = 0;
        rg_pin(s);
        for (rg_tower *t = &list.head; t;) {
            rg_tower *next;
            if (!rg_skip_next(s, t, &next)) break; /* it was removed under us */
            if ((t = next) == NULL) continue;
            CHECK(t->node.value > last, "%llu after %llu", (unsigned long long)t->node.value, (unsigned long long)last);
            last = t->node.value;
            fixed += last >= 2 * FIXED;
            CHECK(fixed == 0 || last / FIXED == fixed + 1, "%llu is the one after %u", (unsigned long long)last, fixed);
        }
        rg_unpin(s);
    }
}

static void close_list(void)
{
    rg_slot *s = sparing();
    for (uint64_t k = 1; k < KEYS; k++)
        CHECK(net[k] == (int64_t)sk_find(s, &list, k), "key %llu: %lld", (unsigned long long)k, (long long)net[k]);
    sk_clear(s, &list);
    for (unsigned l = 0; l < RG_LEVELS; l++) CHECK(rg_load(rg_tower_link(&list.head, l)) == 0, "something is left at level %u", l);
    rg_flush(s);
}

static void conserves(void)
{
    worker w[4] = { 0 };
    void (*f[])(worker *) = { change, change, look, change };
    open_list();
    workers_run(w, 4, f, 4);
    close_list();
    CHECK(went > 0, "nothing was ever removed");
}

static void alone(void)
{
    rg_slot *s = sparing();
    open_list();
    CHECK(!sk_find(s, &list, 5) && sk_insert(s, &list, 5, RG_LEVELS) && sk_find(s, &list, 5) && !sk_insert(s, &list, 5, 1), "5");
    CHECK(rg_load(&list.top) == RG_LEVELS, "a tower as high as any");
    CHECK(sk_first(s, &list, false) == 5 && sk_first(s, &list, true) == 5 && !sk_find(s, &list, 5), "5 is the first");
    CHECK(sk_insert_by_kcas(s, &list, 7, 3) && !sk_insert_by_kcas(s, &list, 7, 1) && sk_delete(s, &list, 7) && !sk_delete(s, &list, 7), "7");
    uint64_t before = went;
    rg_tower *t;
    rg_pin(s);
    CHECK(sk_insert_at(s, &list, 9, SK_ABSENT, 2, &t), "a tower that is absent");
    rg_node_hold(&t->node);
    rg_unpin(s);
    CHECK(!sk_find(s, &list, 9) && sk_first(s, &list, false) == FIXED, "absent, so not there");
    sk_sweep(s, &list, t);
    CHECK(went == before + 1, "the sweep takes it out");
    close_list();
}

/* Memory: a churn leaves nothing but what is in. */
static void churn_leaves_nothing(void)
{
    rg_slot *s = sparing();
    worker w = { .seed = 7 };
    open_list();
    uint64_t before = went, removed = 0;
    for (unsigned i = 0; i < 20000; i++) {
        uint64_t k = key_of(&w);
        if (!sk_insert(s, &list, k, height_of(&w))) removed += sk_delete(s, &list, k);
    }
    CHECK(went - before == removed, "%llu of %llu are linked still", (unsigned long long)(went - before), (unsigned long long)removed);
    for (uint64_t k = 1; k < KEYS; k++) (void)sk_delete(s, &list, k);
    close_list();
}

TESTS({ "alone", alone }, { "conserves", conserves }, { "churn_leaves_nothing", churn_leaves_nothing })
