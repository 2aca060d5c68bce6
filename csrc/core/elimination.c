/* elimination.c - see elimination.h. */
#include "elimination.h"

#if !defined(RG_EXCLUSIVE) && !defined(RG_NO_ELIMINATION)

static rg_elimination *places_at(uint64_t home) { return (rg_elimination *)(uintptr_t)home; }

/* relaxed: written before publication */
static bool of_now(rg_slot *s, rg_elimination *e) { return rg_load_rlx(&e->forks) == s->domain->forks; }

/* The stack's places; made if `make` and there are none of this side of a fork. NULL: none. */
static rg_elimination *places(rg_slot *s, rg_word *home, bool make)
{
    /* acquire: pairs with the CAS, so that all places are seen to be free */
    uint64_t was = rg_load_acq(home);
    if (was && of_now(s, places_at(was))) return places_at(was);
    rg_elimination *e = make ? rg_alloc_lines(sizeof *e) : NULL;
    if (!e) return NULL;
    rg_store_rlx(&e->forks, s->domain->forks); /* relaxed, all three: published by the CAS */
    rg_store_rlx(&e->older, was);
    for (unsigned i = 0; i < RG_PLACES; i++) rg_store_rlx(&e->at[i].offer, 0);
    if (rg_cas(home, was, (uint64_t)(uintptr_t)e)) return e;
    rg_free(e);
    /* relaxed: the CAS has seen it, and all that came before it */
    return places_at(rg_load_rlx(home));
}

void rg_eliminate_no_more(rg_word *home)
{
    for (rg_elimination *e = places_at(rg_load(home)), *older; e; e = older) {
        older = places_at(rg_load_rlx(&e->older)); /* relaxed: ours alone */
        rg_free(e);
    }
    rg_store_rlx(home, 0);
}

/* What a thread remembers: rg_slot.places, 0 being one. */
static unsigned width(rg_slot *s) { return s->places ? s->places : 1; }
static void crowded(rg_slot *s)
{
    if (width(s) < RG_PLACES) s->places = 2 * width(s);
}
static void deserted(rg_slot *s) { s->places = width(s) / 2; }

/* ---- push ---------------------------------------------------------------------------------------- */

typedef struct offer {
    rg_word *place;
    uint64_t node;
} offer;

/* relaxed: only whether to stop waiting. What has happened the CAS after it says. */
static bool answered(void *p)
{
    offer *o = p;
    return rg_load_rlx(o->place) != o->node;
}

bool rg_eliminate_push(rg_slot *s, rg_word *home, rg_node *n, rg_backoff *b)
{
    rg_elimination *e = places(s, home, true);
    if (!e) {
        rg_lost(s, b);
        return false;
    }
    /* By number, threads that are neighbours do not meet where there is room for both. */
    offer o = { &e->at[s->index & (width(s) - 1)].offer, rg_node_word(n) };
    if (!rg_cas(o.place, 0, o.node)) {
        crowded(s);
        rg_lost(s, b);
        return false;
    }
    rg_lost_until(s, b, answered, &o);
    /* Sequentially consistent when it fails too: what we do next comes after all that the popper did. */
    if (rg_cas(o.place, o.node, 0)) {
        deserted(s);
        return false;
    }
    /* relaxed: that a place is free says nothing about anything else */
    rg_store_rlx(o.place, 0);
    return true;
}

/* ---- pop ----------------------------------------------------------------------------------------- */

typedef struct search {
    rg_slot *slot;
    rg_elimination *e;
    unsigned next;
    bool met; /* somebody, if only to lose to another popper */
    uint64_t found;
} search;

/* One place after the other, one a call. */
static bool finds(void *p)
{
    search *f = p;
    rg_word *place = &f->e->at[f->next++ & (width(f->slot) - 1)].offer;
    /* relaxed: the CAS decides, and it is what makes the node's contents seen */
    uint64_t w = rg_load_rlx(place);
    if (w == 0 || w == RG_TAKEN) return false;
    f->met = true;
    if (!rg_cas(place, w, RG_TAKEN)) {
        crowded(f->slot);
        return false;
    }
    f->found = w;
    return true;
}

rg_node *rg_eliminate_pop(rg_slot *s, rg_word *home, rg_backoff *b)
{
    rg_elimination *e = places(s, home, false);
    if (!e) {
        rg_lost(s, b);
        return NULL;
    }
    search f = { s, e, s->index, false, 0 };
    rg_lost_until(s, b, finds, &f);
    if (!f.met) deserted(s);
    return rg_node_of(f.found);
}

#endif
