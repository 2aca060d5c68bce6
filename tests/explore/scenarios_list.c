/* scenarios_list.c - the list of csrc/core/list.h: who appends, who removes, who walks. Whoever removes a
 * link retires it, so a walk that leaves the list finds freed memory. */
#include "subject.h"
#include "list.h"

typedef struct item {
    rg_link link;
    unsigned by;
} item;

static rg_list *list;
static struct {
    item *at[6];
    unsigned removed[6], n; /* the checker's: counted between steps */
} *items;
static size_t live_before;

static void item_expired(rg_slot *s, void *p)
{
    (void)s;
    rg_free(p);
}

static item *append(unsigned t)
{
    rg_slot *s = s_slots[t];
    item *n = rg_alloc(sizeof *n);
    n->by = t;
    items->at[items->n++] = n;
    rg_pin(s);
    rg_list_append(s, list, &n->link);
    rg_unpin(s);
    return n;
}

static bool take(unsigned t, item *n)
{
    rg_slot *s = s_slots[t];
    unsigned i = 0;
    while (items->at[i] != n) i++;
    if (!rg_list_remove(s, &n->link)) return false;
    X_REQUIRE(++items->removed[i] == 1, "taken out twice");
    rg_retire(s, n, item_expired);
    return true;
}

/* One that was in at the beginning. For where nobody else takes it, or nothing is reclaimed before the end. */
static bool take_initial(unsigned t, unsigned i)
{
    rg_slot *s = s_slots[t];
    rg_pin(s);
    bool mine = take(t, items->at[i]);
    rg_unpin(s);
    return mine;
}

/* The oldest, as a waker takes it. */
static bool take_first(unsigned t)
{
    rg_slot *s = s_slots[t];
    rg_pin(s);
    rg_link *first;
    bool mine = false;
    while (!mine && (first = rg_list_first(s, list))) mine = take(t, (item *)first);
    rg_unpin(s);
    return mine;
}

static void walk(unsigned t)
{
    rg_slot *s = s_slots[t];
    uint64_t seq = 0;
    rg_pin(s);
    for (rg_link *at = rg_list_first(s, list); at; at = rg_list_next(s, list, at)) {
        X_REQUIRE(at->seq > seq, "a walk leads back");
        seq = at->seq;
        (void)rg_link_is_in(s, at);
    }
    rg_unpin(s);
}

static void setup_with(unsigned n)
{
    s_open(x_now->threads, 0);
    list = x_new(sizeof *list, "list");
    x_name(&list->next, 8, "first");
    x_name(&list->prev, 8, "last");
    x_name(&list->arrivals, 8, "arrivals");
    items = x_new(sizeof *items, "items");
    rg_list_init(list);
    live_before = x_live_blocks();
    for (unsigned i = 0; i < n; i++) append(0);
}
static void setup_empty(void) { setup_with(0); }
static void setup_one(void) { setup_with(1); }
static void setup_two(void) { setup_with(2); }
static void setup_three(void) { setup_with(3); }

static void run_appends(unsigned t) { append(t); }
static void run_append_and_take(unsigned t)
{
    if (t == 0) append(0);
    else take_first(t);
}
static void run_append_and_leave(unsigned t)
{
    if (t == 0) append(0);
    else take_initial(1, 0);
}
static void run_same(unsigned t) { take_initial(t, 0); }
static void run_neighbours(unsigned t) { take_initial(t, t); }
static void run_first_and_last(unsigned t)
{
    if (t == 0) take_first(0);
    else take_initial(t, 1);
}
static void run_walk_and_takes(unsigned t)
{
    if (t == 0) walk(0);
    else {
        s_reclaim_soon(s_slots[1]);
        take_initial(1, 0);
        s_reclaim_soon(s_slots[1]);
        take_initial(1, 1);
    }
}
static void run_walk_and_append(unsigned t)
{
    if (t == 0) walk(0);
    else {
        s_reclaim_soon(s_slots[1]);
        take_first(1);
        append(1);
    }
}
static void run_three(unsigned t)
{
    if (t == 0) append(0);
    else if (t == 1) take_first(1);
    else take_initial(2, 0);
}

/* What is in is linked both ways, in order, and is all that nobody took out. */
static void after(void)
{
    rg_slot *s = s_slots[0];
    unsigned there = 0, expected = 0;
    uint64_t seq = 0;
    rg_pin(s);
    rg_link *before = (rg_link *)list;
    for (rg_link *at = rg_list_first(s, list); at; before = at, at = rg_list_next(s, list, at), there++) {
        X_REQUIRE(rg_link_of(rg_load(&at->prev)) == before, "prev is not the inverse of next");
        X_REQUIRE(at->seq > seq, "out of order");
        seq = at->seq;
    }
    X_REQUIRE(rg_link_of(rg_load(&list->prev)) == before, "the last is not the last");
    for (unsigned i = 0; i < items->n; i++) expected += !items->removed[i];
    X_REQUIRE(there == expected, "%u are in, not %u", there, expected);
    X_REQUIRE(rg_load(&list->arrivals) == items->n, "arrivals");
    for (rg_link *at; (at = rg_list_first(s, list));) X_REQUIRE(take(0, (item *)at), "nobody else is left");
    rg_unpin(s);
    s_quiet((rg_word *[]){ &list->next, &list->prev, &list->arrivals }, 3);
    s_reclaim_all();
    X_REQUIRE(x_live_blocks() == live_before, "%zu blocks are left, not %zu", x_live_blocks(), live_before);
}

#define LIST(n, title, s, f) .name = "list." title, .threads = n, .setup = s, .run = f, .after = after

const x_scenario s_list[] = {
    { LIST(2, "append-append", setup_empty, run_appends), .bound = 3 },
    { LIST(2, "append-take", setup_empty, run_append_and_take), .large = true },
    { LIST(2, "append-leave", setup_one, run_append_and_leave), .bound = 3 },
    { LIST(2, "same", setup_one, run_same) },
    { LIST(2, "neighbours", setup_three, run_neighbours), .bound = 3 },
    { LIST(2, "first-and-last", setup_two, run_first_and_last), .bound = 3 },
    { LIST(2, "walk-takes", setup_two, run_walk_and_takes), .bound = 3 },
    { LIST(2, "walk-append", setup_one, run_walk_and_append), .bound = 3 },
    { LIST(3, "three", setup_one, run_three), .bound = 2 },
    { .name = NULL },
};
