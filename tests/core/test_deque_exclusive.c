/* The deque where nothing interleaves: what is done in place, between operations that leave records, unset links and
 * nodes that were popped, and while somebody holds a record. Nodes are really freed here, so what comes too early is seen. */
#define RG_EXCLUSIVE 1
#include "harness.h"

#include "deque_exclusive.h"

#define MOST 64
#define HELD 4

static rg_deque deque;

typedef struct items {
    unsigned n;
    uint64_t at[MOST];
} items;

static items model;
static struct {
    uint64_t anchor;
    items were;
} held[HELD];

static void put_in(int side, uint64_t v)
{
    if (side == RG_AT_LEFT) memmove(model.at + 1, model.at, model.n * sizeof *model.at);
    model.at[side == RG_AT_LEFT ? 0 : model.n] = v;
    model.n++;
}

static uint64_t take_out(int side)
{
    uint64_t v = model.at[side == RG_AT_LEFT ? 0 : --model.n];
    if (side == RG_AT_LEFT) memmove(model.at, model.at + 1, --model.n * sizeof *model.at);
    return v;
}

static void check_all(rg_slot *s)
{
    uint64_t at[MOST], a = rg_load(&deque.anchor);
    rg_deque_view v = rg_deque_view_of(a);
    CHECK(v.count == model.n && rg_deque_size(s, &deque) == model.n, "%llu items, not %u", (unsigned long long)v.count, model.n);
    if (!a) return;
    CHECK(rg_deque_set_links(s, &deque, a, &v) && rg_deque_collect(s, &deque, a, &v, at), "nobody disturbs");
    for (unsigned i = 0; i < model.n; i++)
        CHECK(rg_node_of(at[i])->value == model.at[i], "item %u is %llu", i, (unsigned long long)rg_node_of(at[i])->value);
    rg_wide *n = v.end[RG_AT_RIGHT];
    for (unsigned i = model.n; i-- > 0; n = i ? rg_deque_next(n, RG_AT_LEFT) : n)
        CHECK(n->node.value == model.at[i], "item %u from the right is %llu", i, (unsigned long long)n->node.value);
    /* Who holds an anchor and finds it again finds all as it was. */
    for (unsigned i = 0; i < HELD; i++)
        CHECK(held[i].anchor != a || (held[i].were.n == model.n && !memcmp(held[i].were.at, model.at, model.n * sizeof *model.at)),
              "a record that is held says something else");
}

static void push_own(rg_slot *s, int side, uint64_t v)
{
    rg_wide *n = rg_wide_new(s, v);
    if (!rg_deque_try_push_own(&deque, n, side))
        CHECK(rg_deque_make_own(s, &deque) && rg_deque_try_push_own(&deque, n, side), "still in the way");
    put_in(side, v);
}

static void pop_own(rg_slot *s, int side)
{
    if (!model.n) {
        CHECK(!rg_deque_try_pop_own(&deque, side), "something in an empty one");
        return;
    }
    rg_wide *n = rg_deque_try_pop_own(&deque, side);
    if (!n) CHECK(rg_deque_make_own(s, &deque) && (n = rg_deque_try_pop_own(&deque, side)), "still in the way");
    uint64_t v = take_out(side);
    CHECK(n->node.value == v, "%llu, not %llu", (unsigned long long)n->node.value, (unsigned long long)v);
    if (rg_deque_keeps(s, n))
        rg_deque_keep(s, n);
    else
        rg_node_expired(s, &n->node);
}

static void push_plainly(rg_slot *s, int side, uint64_t v)
{
    CHECK(rg_deque_push(s, &deque, rg_wide_new(s, v), side, RG_TRIED_BUSY), "memory");
    put_in(side, v);
}

static void pop_plainly(rg_slot *s, int side)
{
    rg_wide *spare = NULL;
    rg_deque_popped p;
    bool nomem;
    if (rg_deque_pop(s, &deque, side, &spare, &p, &nomem, RG_TRIED_BUSY)) {
        uint64_t v = take_out(side);
        CHECK(p.value == v, "%llu, not %llu", (unsigned long long)p.value, (unsigned long long)v);
        rg_deque_let_go(s, side, &p);
    } else {
        CHECK(!model.n, "nothing, of %u", model.n);
    }
    if (spare) rg_wide_free(s, spare);
}

/* As a reaction would: links are left unset. */
static void several(rg_slot *s, int side, uint64_t v, bool pops)
{
    rg_deque_waste waste = { { NULL, NULL }, NULL };
    uint64_t a = rg_load(&deque.anchor);
    rg_deque_view view = rg_deque_view_of(a);
    CHECK(!a || rg_deque_set_links(s, &deque, a, &view), "nobody disturbs");
    rg_deque_view_push(&view, rg_wide_new(s, v), side);
    rg_deque_view_push(&view, rg_wide_new(s, v + 1), !side);
    put_in(side, v);
    put_in(!side, v + 1);
    if (pops) CHECK(rg_deque_view_pop(&view, side, &waste)->node.value == take_out(side), "another");
    rg_wide *record = rg_wide_new(s, 0);
    rg_deque_record(record, &view);
    CHECK(rg_cas_once(&s->desc, &deque.anchor, a, rg_wide_word(record)), "nobody disturbs");
    rg_deque_retire_waste(s, &waste);
    if (a && !rg_deque_view_of(a).mark) rg_deque_retire(s, a);
}

static void hold(rg_slot *s, unsigned i)
{
    if (held[i].anchor) rg_node_release(s, rg_node_of(held[i].anchor));
    if ((held[i].anchor = rg_load(&deque.anchor))) rg_node_hold(rg_node_of(held[i].anchor));
    held[i].were = model;
    rg_flush(s);
}

static void like_a_model(void)
{
    rg_slot *s = here();
    worker w = { .seed = 88172645463325252ULL };
    uint64_t value = 1, in_place = 0, total = 400000;
    CHECK(rg_reserve(s, 1024), "memory");
    for (uint64_t i = 0; i < total; i++, value += 2) {
        uint64_t r = random_of(&w);
        int side = r & 1;
        /* Now nothing is kept: what is freed is gone. Now it comes again soon. */
        if (i == total / 2) rg_free_node_cache(s);
        if (i < total / 2) s->free_wide_count = RG_NODE_CACHE;
        bool full = model.n > MOST - 4, grow = (i >> 6 & 1) != 0;
        uint64_t before = rg_load(&deque.anchor);
        switch (r >> 1 & 15) {
        case 0: full ? pop_plainly(s, side) : push_plainly(s, side, value); break;
        case 1: pop_plainly(s, side); break;
        case 2: full ? pop_own(s, side) : several(s, side, value, (r & 32) != 0); break;
        case 3: hold(s, r >> 5 & (HELD - 1)); break;
        default:
            if (!full && (r >> 5 & 3) < (grow ? 3 : 1))
                push_own(s, side, value);
            else
                pop_own(s, side);
            in_place += rg_load(&deque.anchor) == before;
        }
        check_all(s);
    }
    CHECK(in_place > total / 16, "%llu of %llu in place", (unsigned long long)in_place, (unsigned long long)total);
    for (unsigned i = 0; i < HELD; i++) {
        hold(s, i);
        if (held[i].anchor) rg_node_release(s, rg_node_of(held[i].anchor));
        held[i].anchor = 0;
    }
    while (model.n) pop_own(s, RG_AT_LEFT);
    rg_deque_give_up_own(s, &deque);
    rg_flush(s);
    rg_free_node_cache(s);
}

/* It takes one record for ever, whatever comes and goes, but when somebody holds that. */
static void makes_one_record(void)
{
    rg_slot *s = here();
    CHECK(rg_reserve(s, 64), "memory");
    push_own(s, RG_AT_RIGHT, 1);
    uint64_t record = rg_load(&deque.anchor);
    for (uint64_t i = 0; i < 100; i++) {
        push_own(s, i & 1, i);
        CHECK(rg_load(&deque.anchor) == record, "another record");
        if (i % 3) pop_own(s, i >> 1 & 1);
    }
    while (model.n) pop_own(s, RG_AT_RIGHT);
    CHECK(!rg_load(&deque.anchor) && rg_load(&deque.own) == record, "the record of none");
    push_plainly(s, RG_AT_LEFT, 7);
    push_own(s, RG_AT_LEFT, 8);
    CHECK(rg_load(&deque.anchor) == record, "its own record is not used");
    hold(s, 0);
    push_own(s, RG_AT_LEFT, 9);
    CHECK(rg_load(&deque.anchor) != record, "a record that is held");
    while (model.n) pop_own(s, RG_AT_RIGHT);
    hold(s, 0);
    rg_deque_give_up_own(s, &deque);
    rg_flush(s);
    rg_free_node_cache(s);
}

TESTS({ "like_a_model", like_a_model }, { "makes_one_record", makes_one_record })
