/* rendezvous.c - how parked strands find partners.
 *
 * The search. A strand that parks is matched with a strand that is parked at the dual side, the one that
 * waits longest first; or stays unmatched. Strands that can run do so one after the other, up to where they
 * park or end, and in which order is not searched: if one blocks for want of what another would write after
 * it, they do not meet. When no strand can run, the first parked one that has not sought yet seeks: one of
 * the offers at the dual side is recruited, oldest first, and runs from its beginning as a party of this
 * reaction; or none is, and the strand waits for what others bring. Each "or" is a choice point, so the
 * search is complete but for the order of strands, up to its bound (world_ops.h):
 *
 *   Take a set of parties that can finish together, of whom all but the caller have registered, and of
 *   their matches the first that this search has not made. If one side of it is in the reaction, that
 *   strand is parked; the other is parked as well, or belongs to a party yet to be recruited, which has
 *   registered where it first parked. If neither is, it is a match among those who came before: the last of
 *   them made it in its own search, so it has registered wherever that led to, among others where they wait
 *   for a strand of this reaction (a reaction registers at every side that any party of its search has
 *   parked at). So it is found there.
 *
 * A strand seeks once: whoever it brings either matches it, or leads to who does by seeking in turn.
 *
 * The verdict "nobody at the dual side is of use" is in the log, as the number of arrivals there. Whoever
 * registers later changes it, and then looks for partners in turn; so of two that come at the same
 * time at least one sees the other.
 *
 * Linearization: the commit, for all parties at once. It is one k-CAS over the log and the states of all
 * offers (offer.c).
 */
#include "evaluate.h"
#include "channel.h"
#include "offer.h"

/* ---- scheduling ------------------------------------------------------------------------------ */

static rx_strand take_strand(rx_world *w, size_t i)
{
    rx_strand s = w->strands.at[i];
    memmove(&w->strands.at[i], &w->strands.at[i + 1], (--w->strands.n - i) * sizeof s);
    return s;
}

static rx_outcome seek(rx *r, size_t i, rx_strand *s);

rx_outcome rx_next_strand(rx *r, rx_strand *s)
{
    rx_world *w = &r->world;
    for (size_t i = 0; i < w->strands.n; i++)
        if (!w->strands.at[i].parked) {
            *s = take_strand(w, i);
            return RX_GOTO;
        }
    if (!w->strands.n) {
        if (!rx_is_lone(r)) {
            s->x = w->parties.at[0].result;
            w->parties.at[0].result = NULL;
            return RX_DONE;
        }
        w->met |= w->parties.n > 1; /* catalysts alone never react */
        return RX_BLOCK;
    }
    for (size_t i = 0; i < w->strands.n; i++) {
        if (w->strands.at[i].sought) continue;
        w->strands.at[i].sought = true;
        rx_outcome o = seek(r, i, s);
        if (o != RX_BLOCK) return o;
    }
    return RX_BLOCK;
}

/* ---- matching -------------------------------------------------------------------------------- */

/* Who waits, from `from` on, at the dual of the newest strand's side? False: nobody, or no budget for it. */
static bool dual_from(rx_world *w, size_t from, size_t *found)
{
    size_t newest = w->strands.n - 1;
    rg_side *dual = rx_side(&w->strands.at[newest])->dual;
    for (size_t i = from; i < newest; i++)
        if (w->strands.at[i].parked && rx_side(&w->strands.at[i]) == dual) {
            *found = i;
            w->cut |= !w->budget;
            return w->budget != 0;
        }
    return false;
}

/* The newest strand and strand i, its dual: they exchange what they have, and the newest goes on as *s. */
static void exchange(rx_world *w, size_t i, rx_strand *s)
{
    w->budget--;
    rx_strand *other = &w->strands.at[i];
    *s = w->strands.at[--w->strands.n];
    PyObject *x = s->x;
    s->x = other->x;
    other->x = x;
    s->node = other->node = NULL;
    s->parked = other->parked = false;
}

rx_outcome rx_park_strand(rx *r, rx_strand *s)
{
    rx_world_open(r);
    rx_world *w = &r->world;
    if (!RX_ROOM(w->strands, 1)) return RX_ERROR;
    if (s->party == 0 && w->own_side != rx_side(s)) {
        w->own_sides += 1;
        w->own_side = rx_side(s);
    }
    rx_strand parked = *s;
    parked.parked = true;
    parked.sought = false;
    w->strands.at[w->strands.n++] = parked;
    s->x = NULL;
    size_t i;
    if (!dual_from(w, 0, &i)) return rx_next_strand(r, s);
    rx_choice *c = rx_push_choice(r, CHOICE_MATCH);
    if (!c) return RX_ERROR;
    c->index = (Py_ssize_t)i + 1;
    exchange(w, i, s);
    return RX_GOTO;
}

/* ---- recruiting ------------------------------------------------------------------------------ */

static bool takes_part(rx *r, Offer *o)
{
    if (o == r->mine) return true;
    for (size_t i = 1; i < r->world.parties.n; i++)
        if (r->world.parties.at[i].offer == o && !o->catalyst) return true;
    return false;
}

/* The offer's first step as a party. */
static rx_outcome recruit(rx *r, Offer *o, rx_strand *s)
{
    rx_world *w = &r->world;
    if (!RX_ROOM(w->parties, 1)) return RX_ERROR;
    *s = (rx_strand){ o->node, Py_NewRef(o->x), -1, (int)w->parties.n, false, false };
    w->parties.at[w->parties.n++] = (rx_party){ o, NULL };
    w->budget--;
    return RX_GOTO;
}

/* The next offer at c's side that may be of use, or NULL. More are fetched when those at hand are used up, and more
 * at a time: the first match should not pay for a crowd. *error: MemoryError. */
static Offer *next_offer(rx *r, rx_choice *c, rg_list *offers, bool *error)
{
    rx_world *w = &r->world;
    for (;;) {
        while (c->from < c->to) {
            Offer *o = w->recruits.at[c->from++];
            if (!rx_is_open(r, o) || takes_part(r, o)) continue;
            if (w->parties.n < w->limit && w->budget) return o;
            w->cut = true;
            return NULL;
        }
        size_t most = c->seq ? 32 : 2;
        if (!RX_ROOM(w->recruits, most)) {
            *error = true;
            return NULL;
        }
        c->from = w->recruits.n;
        for (rg_link *l = rg_list_first(r->slot, offers); l && w->recruits.n - c->from < most; l = rg_list_next(r->slot, offers, l)) {
            if (l->seq <= c->seq) continue;
            Offer *o = rx_offer_of(r, l);
            if (o) w->recruits.at[w->recruits.n++] = (Offer *)Py_NewRef((PyObject *)o);
            c->seq = l->seq;
        }
        c->to = w->recruits.n;
        if (c->from == c->to) return NULL;
    }
}

/* On behalf of strand i. RX_GOTO: *s is a recruit's first strand. RX_BLOCK: there is nobody; the log says so. */
static rx_outcome seek(rx *r, size_t i, rx_strand *s)
{
    rx_world *w = &r->world;
    rg_list *offers = &rx_side(&w->strands.at[i])->dual->offers;
    /* before looking: who comes after that will see us, or be seen by the commit */
    uint64_t arrivals = rg_read(&r->st->domain->space, r->slot->index, &offers->arrivals);
    if (rg_load(&rx_side(&w->strands.at[i])->dual->gone)) { /* after the arrivals, which change after it: see close_side() */
        r->orphaned = true;
        return RX_BLOCK;
    }
    rx_choice first = { .seq = 0, .from = 0, .to = 0 };
    bool error = false;
    Offer *o = next_offer(r, &first, offers, &error);
    if (error) return RX_ERROR;
    if (!o) {
        rx_outcome noted = rx_note(r, &offers->arrivals, WORD_ARRIVALS, arrivals);
        return noted == RX_DONE ? RX_BLOCK : noted;
    }
    rx_choice *c = rx_push_choice(r, CHOICE_RECRUIT);
    if (!c) return RX_ERROR;
    c->index = (Py_ssize_t)i;
    c->arrivals = arrivals;
    c->seq = first.seq;
    c->from = first.from;
    c->to = first.to;
    return recruit(r, o, s);
}

/* ---- going back ------------------------------------------------------------------------------ */

rx_outcome rx_choose_again(rx *r, rx_strand *s)
{
    rx_world *w = &r->world;
    rx_choice *c = &r->choices.at[r->choices.n - 1];
    size_t i = (size_t)c->index;
    if (c->kind == CHOICE_MATCH) {
        if (dual_from(w, i, &i)) {
            c->index = (Py_ssize_t)i + 1;
            exchange(w, i, s);
            return RX_GOTO;
        }
        rx_pop_choice(r);
        return rx_next_strand(r, s);
    }
    rg_list *offers = &rx_side(&w->strands.at[i])->dual->offers;
    bool error = false;
    Offer *o = next_offer(r, c, offers, &error);
    if (error) return RX_ERROR;
    if (o) return recruit(r, o, s);
    rx_outcome noted = rx_note(r, &offers->arrivals, WORD_ARRIVALS, c->arrivals);
    if (noted != RX_DONE) return noted;
    rx_pop_choice(r);
    return rx_next_strand(r, s);
}
