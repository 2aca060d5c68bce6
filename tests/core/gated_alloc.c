/* Out of memory, at each allocation in turn: the operation says so, nothing has changed, and the same
 * operation succeeds once there is memory again. (The address sanitizer adds: nothing has leaked.) */
#include "harness.h"

#include <string.h>

static unsigned fail_after; /* allocations until the one that fails; 0: none does */
static bool failed;

bool gate_alloc_fails(void)
{
    if (!fail_after || --fail_after) return false;
    failed = true;
    return true;
}

uint64_t gate_load(const rg_word *p) { return atomic_load(p); }
void gate_store(rg_word *p, uint64_t v, bool ordered)
{
    (void)ordered;
    atomic_store(p, v);
}
bool gate_cas(rg_word *p, uint64_t old, uint64_t new_) { return atomic_compare_exchange_strong(p, &old, new_); }
uint64_t gate_add(rg_word *p, uint64_t n) { return atomic_fetch_add(p, n); }
void gate_fence(void) { atomic_thread_fence(memory_order_seq_cst); }

/* Runs `does` with the first, second, ... allocation failing until none does; it returns whether it
 * succeeded. Returns how many failures were seen. */
static unsigned each_in_turn(bool (*does)(void), void (*unchanged)(void))
{
    for (unsigned n = 1;; n++) {
        fail_after = n;
        failed = false;
        bool ok = does();
        fail_after = 0;
        CHECK(ok != failed, "allocation %u %s and the operation %s", n, failed ? "failed" : "succeeded", ok ? "succeeded" : "failed");
        if (ok) return n - 1;
        unchanged();
    }
}

/* ---- a k-CAS of many words ----------------------------------------------------------------------- */

#define MANY 100
static rg_word words[MANY];

static bool swap_many(void)
{
    static rg_cas_entry e[MANY];
    for (unsigned i = 0; i < MANY; i++) e[i] = (rg_cas_entry){ &words[i], i, i + 1000 };
    int k = rg_kcas(SPACE, here()->index, e, MANY);
    CHECK(k == RG_SUCCEEDED || k == -1, "%d", k);
    return k == RG_SUCCEEDED;
}
static void words_unchanged(void)
{
    for (unsigned i = 0; i < MANY; i++) CHECK(atomic_load(&words[i]) == i, "word %u", i);
}
static void kcas_of_many(void)
{
    for (unsigned i = 0; i < MANY; i++) atomic_store(&words[i], i);
    here();
    unsigned n = each_in_turn(swap_many, words_unchanged);
    CHECK(n == 3, "only %u allocations for %u entries", n, MANY);
    for (unsigned i = 0; i < MANY; i++) CHECK(atomic_load(&words[i]) == i + 1000, "word %u", i);
}

/* ---- a retirement ring that grows ---------------------------------------------------------------- */

static uint64_t things[300];
static unsigned reclaimed;
static void count(rg_slot *s, void *p)
{
    (void)s, (void)p;
    reclaimed++;
}
static bool reserve_many(void) { return rg_reserve(here(), 200); }
static void ring_unchanged(void)
{
    rg_slot *s = here();
    CHECK(s->ring.tail - s->ring.head == 10, "%zu waiting", s->ring.tail - s->ring.head);
}
static void ring_grows(void)
{
    rg_slot *s = here(), *other = rg_slot_claim(dom);
    rg_pin(other);
    CHECK(rg_reserve(s, 10), "memory");
    rg_pin(s);
    for (unsigned i = 0; i < 10; i++) rg_retire(s, &things[i], count);
    rg_unpin(s);
    CHECK(each_in_turn(reserve_many, ring_unchanged) == 1, "one new ring");
    rg_pin(s);
    for (unsigned i = 10; i < 210; i++) rg_retire(s, &things[i], count);
    rg_unpin(s);
    rg_unpin(other);
    for (unsigned i = 0; i < 4; i++) rg_flush(s);
    CHECK(reclaimed == 210, "%u of 210 reclaimed", reclaimed);
}

/* ---- a node, a thread, a domain ------------------------------------------------------------------ */

static rg_node *made;
static bool make_node(void) { return (made = rg_node_new(here(), 7)) != NULL; }
static void nothing(void) {}
static void nodes(void)
{
    rg_free_node_cache(here());
    CHECK(each_in_turn(make_node, nothing) == 1 && made->value == 7, "one node");
    rg_node_free(here(), made);
    rg_free_node_cache(here());
}

static bool got;
static void *newcomer(void *p)
{
    (void)p;
    got = rg_slot_get(dom) != NULL;
    return NULL;
}
static bool new_thread(void)
{
    pthread_t t;
    CHECK(pthread_create(&t, NULL, newcomer, NULL) == 0, "pthread_create");
    pthread_join(t, NULL);
    return got;
}
static void no_slot_more(void) { CHECK(atomic_load(&dom->active) == 1, "%d slots in use", (int)atomic_load(&dom->active)); }
static void threads(void)
{
    here();
    CHECK(each_in_turn(new_thread, no_slot_more) == 1, "one lease");
    no_slot_more();
}

static rg_domain *opened;
static bool open_domain(void) { return (opened = rg_domain_open()) != NULL; }
static void domains(void)
{
    CHECK(each_in_turn(open_domain, nothing) >= 2, "a domain and its buckets");
    rg_domain_close(opened);
}

TESTS({ "kcas_of_many", kcas_of_many }, { "ring_grows", ring_grows }, { "nodes", nodes }, { "threads", threads },
      { "domains", domains })
