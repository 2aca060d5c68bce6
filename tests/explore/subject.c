/* subject.c - see subject.h. */
#include "subject.h"

#include <stdio.h>

rg_domain *s_dom;
rg_slot *s_slots[X_THREADS + 1];
static unsigned n_slots;

static void name_slot(rg_slot *s, unsigned i)
{
    x_name(s, sizeof *s, "slot%u", i);
#define NAME(field, text) x_name(&s->field, sizeof s->field, "slot%u." text, i)
    NAME(desc.clock, "clock");
    NAME(desc.status, "status");
    NAME(desc.counts, "counts");
    NAME(desc.rseq, "rseq");
    NAME(desc.raddr, "raddr");
    NAME(desc.rold, "rold");
    NAME(desc.rkref, "rkref");
    NAME(desc.owner, "owner");
    NAME(desc.helps, "helps");
    NAME(desc.entries, "entries");
    NAME(epoch, "epoch");
    NAME(pinned, "pinned");
#undef NAME
}

void s_open(unsigned n, unsigned more)
{
    s_forget_domains();
    rg_asymmetric = false;
    s_dom = rg_domain_open();
    X_REQUIRE(s_dom, "no domain");
    x_name(&s_dom->epoch, 8, "epoch");
    x_name(&s_dom->active, 8, "active");
    x_name(&s_dom->generation, 8, "generation");
    x_name(&s_dom->high, 8, "high");
    x_name(&s_dom->waiting, 8, "waiting");
    x_name(&s_dom->orphans, 8, "orphans");
    n_slots = n;
    for (unsigned i = 0; i < n; i++) {
        rg_slot *s = s_slots[i] = rg_slot_claim(s_dom);
        X_REQUIRE(s && rg_reserve(s, 4), "no slot");
        name_slot(s, i);
    }
    for (unsigned i = n; i < n + more; i++) name_slot((rg_slot *)rg_desc_at(SPACE, i), i);
    x_arena_dense(s_slots[0], (n + more) * sizeof(rg_slot));
}

void s_asymmetric(void) { rg_asymmetric = true; }

void s_free_nodes_at_once(void)
{
    for (unsigned i = 0; i < n_slots; i++) s_slots[i]->free_count = s_slots[i]->free_wide_count = RG_NODE_CACHE; /* "full" */
}

void s_reclaim_all(void)
{
    for (unsigned i = 0; i < n_slots; i++) {
        rg_slot *s = s_slots[i];
        X_REQUIRE(!s->pins && !rg_load(&s->pinned), "slot %u is still pinned", i);
        for (unsigned tries = 0; s->ring.head != s->ring.tail; tries++) {
            X_REQUIRE(tries < 3, "slot %u keeps what it retired for ever", i);
            rg_flush(s);
        }
    }
}

void s_quiet(rg_word *const *words, unsigned n)
{
    for (unsigned i = 0; i < n_slots; i++) {
        X_REQUIRE(!(rg_load(&s_slots[i]->desc.clock) & 1), "the clock of slot %u is left odd", i);
        X_REQUIRE(!rg_load(&s_slots[i]->desc.counts) && !rg_load(&s_slots[i]->desc.raddr), "slot %u has something in flight", i);
    }
    for (unsigned i = 0; i < n; i++) X_REQUIRE(!rg_is_ref(rg_load(words[i])), "word %u holds a reference that nobody resolves", i);
}
