/* The list: first in, first out, each link taken out once, and a reader that stands on a removed link goes on. */
#include "harness.h"
#include "list.h"

typedef struct item {
    rg_link link; /* first: an item is its link */
    uint64_t by, number; /* of the worker that appended it */
    _Atomic unsigned taken;
} item;

static rg_list list;
static _Atomic uint64_t live;

static item *item_new(uint64_t by, uint64_t number)
{
    item *n = calloc(1, sizeof *n);
    n->by = by;
    n->number = number;
    atomic_fetch_add(&live, 1);
    return n;
}

static void item_expired(rg_slot *s, void *p)
{
    (void)s;
    memset(p, 0xdd, sizeof(item));
    free(p);
    atomic_fetch_sub(&live, 1);
}

static bool take(rg_slot *s, item *n)
{
    CHECK(rg_reserve(s, 1), "memory");
    if (!rg_list_remove(s, &n->link)) return false;
    CHECK(atomic_fetch_add(&n->taken, 1) == 0, "taken out twice");
    rg_retire_lazily(s, n, item_expired);
    return true;
}

static void require_whole(rg_slot *s, uint64_t n)
{
    uint64_t there = 0, seq = 0;
    rg_link *before = (rg_link *)&list;
    for (rg_link *at = rg_list_first(s, &list); at; before = at, at = rg_list_next(s, &list, at), there++) {
        CHECK(rg_link_of(rg_load(&at->prev)) == before, "prev is not the inverse of next");
        CHECK(at->seq > seq && rg_link_is_in(s, at), "out of order");
        seq = at->seq;
    }
    CHECK(rg_link_of(rg_load(&list.prev)) == before, "the last is not the last");
    CHECK(there == n, "%llu are in, not %llu", (unsigned long long)there, (unsigned long long)n);
    CHECK(!rg_is_ref(rg_load(&list.next)) && rg_load(&list.arrivals) >= n, "the sentinel");
}

/* ---- step by step --------------------------------------------------------------------------------------- */

static void by_hand(void)
{
    rg_slot *s = here();
    item *n[5];
    rg_list_init(&list);
    rg_pin(s);
    require_whole(s, 0);
    for (unsigned i = 0; i < 5; i++) {
        n[i] = item_new(0, i);
        CHECK(!rg_link_is_in(s, &n[i]->link), "not yet");
        rg_list_append(s, &list, &n[i]->link);
        CHECK(n[i]->link.seq == i + 1 && rg_load(&list.arrivals) == i + 1, "arrivals");
        require_whole(s, i + 1);
    }
    CHECK(take(s, n[2]) && !rg_link_is_in(s, &n[2]->link) && !take(s, n[2]), "one out of the middle, once");
    require_whole(s, 4);
    CHECK(take(s, n[3]), "its neighbour");
    CHECK(rg_list_next(s, &list, &n[2]->link) == &n[3]->link, "what it had is what it has");
    CHECK(rg_list_next(s, &list, &n[3]->link) == &n[4]->link, "and leads back into the list");
    CHECK(take(s, n[4]) && take(s, n[0]), "both ends");
    CHECK(!rg_list_next(s, &list, &n[4]->link), "the end");
    require_whole(s, 1);
    CHECK(take(s, n[1]), "the only one");
    require_whole(s, 0);
    CHECK(rg_load(&list.arrivals) == 5, "leaving is no arrival");
    rg_unpin(s);
    rg_flush(s);
    CHECK(live == 0, "all have gone");
}

/* "Nobody has arrived": a compare in any k-CAS. */
static void arrivals(void)
{
    rg_slot *s = here();
    static rg_word word;
    rg_list_init(&list);
    rg_pin(s);
    item *a = item_new(0, 0), *b = item_new(0, 1);
    rg_list_append(s, &list, &a->link);
    uint64_t seen = rg_read(SPACE, s->index, &list.arrivals);
    CHECK(take(s, a), "the only one");
    rg_cas_entry e[] = { { &word, 0, 1 }, { &list.arrivals, seen, seen } };
    CHECK(rg_kcas(SPACE, s->index, e, 2) == RG_SUCCEEDED, "somebody left, nobody came");
    rg_list_append(s, &list, &b->link);
    rg_cas_entry f[] = { { &word, 1, 2 }, { &list.arrivals, seen, seen } };
    CHECK(rg_kcas(SPACE, s->index, f, 2) == RG_FAILED, "somebody came");
    CHECK(take(s, b), "the only one");
    rg_unpin(s);
}

/* ---- threads -------------------------------------------------------------------------------------------- */

/* Appends, and takes its own ones out again, in any order. */
static void owner(worker *w)
{
    rg_slot *s = here();
    item *mine[8] = { 0 };
    while (running()) {
        item **at = &mine[random_of(w) % 8];
        rg_pin(s);
        if (*at) {
            CHECK(take(s, *at), "nobody else takes it");
            *at = NULL;
        } else {
            *at = item_new(w->id, w->count[0]++);
            rg_list_append(s, &list, &(*at)->link);
        }
        rg_unpin(s);
    }
    rg_pin(s);
    for (unsigned i = 0; i < 8; i++)
        if (mine[i]) CHECK(take(s, mine[i]), "nobody else takes it");
    rg_unpin(s);
}

/* The oldest first: of one producer's items each consumer sees growing numbers. */
static void produce(worker *w)
{
    rg_slot *s = here();
    while (running()) {
        rg_pin(s);
        rg_list_append(s, &list, &item_new(w->id, w->count[0]++)->link);
        rg_unpin(s);
        if (w->count[0] % 64 == 0) sched_yield();
    }
}

static void consume(worker *w)
{
    rg_slot *s = here();
    uint64_t last[MAX_WORKERS] = { 0 }, seq = 0;
    bool on;
    do {
        on = running();
        rg_pin(s);
        for (rg_link *at; (at = rg_list_first(s, &list));) {
            item *n = (item *)at;
            uint64_t by = n->by, number = n->number + 1;
            if (!take(s, n)) continue;
            CHECK(number > last[by] && at->seq > seq, "out of order");
            last[by] = number;
            seq = at->seq;
            w->count[0]++;
            on = true;
        }
        rg_unpin(s);
    } while (on);
}

/* Over all, again and again: order holds, and an end is reached. */
static void walk(worker *w)
{
    rg_slot *s = here();
    while (running()) {
        uint64_t seq = 0;
        rg_pin(s);
        for (rg_link *at = rg_list_first(s, &list); at; at = rg_list_next(s, &list, at)) {
            CHECK(at->seq > seq && ((item *)at)->by < MAX_WORKERS, "a walk leads back, or out of the list");
            seq = at->seq;
            w->count[1]++;
        }
        rg_unpin(s);
        w->count[0]++;
    }
}

static void nothing_left(void)
{
    rg_slot *s = here();
    rg_pin(s);
    require_whole(s, 0);
    rg_unpin(s);
    rg_flush(s);
    CHECK(live == 0, "%llu were not reclaimed", (unsigned long long)live);
}

static void owners_and_walkers(void)
{
    worker w[4] = { 0 };
    void (*f[])(worker *) = { owner, walk, owner, owner };
    rg_list_init(&list);
    workers_run(w, 4, f, 4);
    CHECK(rg_load(&list.arrivals) == w[0].count[0] + w[2].count[0] + w[3].count[0], "each arrival counts");
    CHECK(w[1].count[0] && w[1].count[1], "nothing was seen");
    nothing_left();
}

static void producers_and_consumers(void)
{
    worker w[5] = { 0 };
    void (*f[])(worker *) = { produce, consume, produce, consume, walk };
    rg_list_init(&list);
    workers_run(w, 5, f, 5);
    rg_slot *s = here();
    uint64_t rest = 0;
    rg_pin(s);
    for (rg_link *at; (at = rg_list_first(s, &list)); rest++) CHECK(take(s, (item *)at), "nobody else is left");
    rg_unpin(s);
    CHECK(w[0].count[0] + w[2].count[0] == w[1].count[0] + w[3].count[0] + rest, "each was taken out once");
    nothing_left();
}

/* Two that want the same one: one gets it. */
static item *_Atomic target;
static spin_barrier line;

static void fight(worker *w)
{
    rg_slot *s = here();
    for (unsigned i = 0; i < 3000; i++) {
        if (w->id == 0) {
            rg_pin(s);
            item *n = item_new(0, i);
            rg_list_append(s, &list, &n->link);
            rg_list_append(s, &list, &item_new(0, i)->link);
            rg_unpin(s);
            atomic_store(&target, n);
        }
        rg_pin(s); /* before the line, for who wins it retires it */
        spin_barrier_wait(&line, 2);
        item *n = atomic_load(&target);
        rg_link *first = rg_list_first(s, &list);
        w->count[0] += take(s, n);
        if (first && w->id == 1) w->count[1] += take(s, (item *)rg_list_first(s, &list));
        spin_barrier_wait(&line, 2);
        rg_unpin(s);
        spin_barrier_wait(&line, 2);
    }
}

static void one_winner(void)
{
    worker w[2] = { 0 };
    void (*f[])(worker *) = { fight };
    rg_list_init(&list);
    workers_start(w, 2, f, 1);
    workers_join(w, 2);
    CHECK(w[0].count[0] + w[1].count[0] + w[1].count[1] == 6000, "each is taken once");
    nothing_left();
}

TESTS({ "by_hand", by_hand }, { "arrivals", arrivals }, { "owners_and_walkers", owners_and_walkers },
      { "producers_and_consumers", producers_and_consumers }, { "one_winner", one_winner })
