/* What must happen before what, without the luck of a stress: two threads that know of each other by
 * relaxed flags only, so that whatever ThreadSanitizer takes for ordered was ordered by the core. */
#include "harness.h"

static rg_word shelf;
static _Atomic unsigned stage;
static unsigned reclaimed;

static void reach(unsigned s) { atomic_store_explicit(&stage, s, memory_order_relaxed); }
static void await(unsigned s)
{
    while (atomic_load_explicit(&stage, memory_order_relaxed) != s) sched_yield();
}

static void scribble(rg_slot *s, void *p)
{
    (void)s;
    *(uint64_t *)p = 0;
    free(p);
    reclaimed++;
}

/* How the section ends that holds the last look, as far as others can tell. */
typedef enum { UNPINS, ANNOUNCES_ANEW, WITHDRAWS } ending;

static void *look(void *p)
{
    ending how = *(ending *)p;
    rg_slot *s = here();
    rg_pin(s);
    uint64_t *thing = (uint64_t *)(uintptr_t)rg_read(SPACE, s->index, &shelf);
    CHECK(*thing == 7, "a plain read, of what was written before it was published");
    rg_unpin(s);
    reach(1);
    await(2);
    if (how == ANNOUNCES_ANEW) {
        rg_pin(s);
        rg_unpin(s);
    }
    if (how == WITHDRAWS) rg_withdraw(s);
    reach(3);
    await(4);
    return NULL;
}

/* The last look of a pinned section is before the free that waited for its end. */
static void looks_before_free(ending how)
{
    rg_slot *s = here();
    uint64_t *thing = malloc(sizeof *thing);
    *thing = 7;
    CHECK(rg_cas1(SPACE, s->index, &shelf, 0, (uint64_t)(uintptr_t)thing), "publish");
    pthread_t t;
    CHECK(pthread_create(&t, NULL, look, &how) == 0, "pthread_create");
    await(1);
    CHECK(rg_reserve(s, 1), "memory");
    rg_pin(s);
    CHECK(rg_cas1(SPACE, s->index, &shelf, (uint64_t)(uintptr_t)thing, 0), "unlink");
    rg_retire(s, thing, scribble);
    rg_unpin(s);
    rg_reclaim(s); /* an epoch on: the other thread had announced this one */
    CHECK(reclaimed == 0, "the other thread has a slot");
    reach(2);
    await(3);
    rg_flush(s);
    CHECK(reclaimed == 1, "kept without a pin");
    reach(4);
    pthread_join(t, NULL);
}

static void unpinned_looks_before_free(void) { looks_before_free(UNPINS); }
static void announced_looks_before_free(void) { looks_before_free(ANNOUNCES_ANEW); }
static void withdrawn_looks_before_free(void) { looks_before_free(WITHDRAWS); }

/* What a thread did before it ended is before what is made of its slot. */
static void *leave(void *p)
{
    rg_slot *s = here();
    rg_node_free(s, rg_node_new(s, 1));
    CHECK(rg_reserve(s, 1), "memory");
    rg_retire_lazily(s, p, scribble);
    return NULL;
}

static void *arrive(void *p)
{
    (void)p;
    rg_slot *s = here();
    CHECK(s->index == 0 && s->free_count == 0 && s->ring.head == s->ring.tail, "as new");
    rg_flush(s);
    reach(3);
    return NULL;
}

static void slot_changes_hands(void)
{
    pthread_t t[2];
    pthread_create(&t[0], NULL, leave, calloc(1, sizeof(uint64_t)));
    while (rg_load_rlx(&dom->high) == 0 || rg_load_rlx(&((rg_slot *)rg_desc_at(SPACE, 0))->desc.owner)) sched_yield();
    pthread_create(&t[1], NULL, arrive, NULL);
    await(3);
    pthread_join(t[0], NULL);
    pthread_join(t[1], NULL);
    CHECK(reclaimed == 1, "the first one's garbage");
}

TESTS({ "unpinned_looks_before_free", unpinned_looks_before_free },
      { "announced_looks_before_free", announced_looks_before_free },
      { "withdrawn_looks_before_free", withdrawn_looks_before_free }, { "slot_changes_hands", slot_changes_hands })
