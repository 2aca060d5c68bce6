/* world.c - see world.h. */
#include "world_ops.h"

#define ARRAY_INIT(a) ((a).at = (a).first, (a).n = 0, (a).cap = sizeof(a).first / sizeof(a).first[0])
#define ARRAY_FREE(a) ((a).at != (a).first ? PyMem_RawFree((a).at) : (void)0)

void rx_world_open(rx *r)
{
    if (r->many) return;
    rx_world *w = &r->world;
    r->many = true;
    ARRAY_INIT(w->strands);
    ARRAY_INIT(w->joins);
    ARRAY_INIT(w->values);
    ARRAY_INIT(w->parties);
    ARRAY_INIT(w->recruits);
    w->parties.at[w->parties.n++] = (rx_party){ NULL, NULL };
    w->limit = RX_FIRST_LIMIT;
    w->budget = RX_BUDGET;
    w->cut = w->met = false;
    w->own_sides = 0;
    w->own_side = NULL;
}

size_t rx_world_refs(rx *r) { return r->many ? r->world.strands.n + r->world.values.n + r->world.parties.n : 0; }

static void empty(rx *r)
{
    rx_world *w = &r->world;
    while (w->strands.n) rx_drop(r, w->strands.at[--w->strands.n].x);
    while (w->values.n) rx_drop(r, w->values.at[--w->values.n]);
    while (w->parties.n) rx_drop(r, w->parties.at[--w->parties.n].result);
    w->joins.n = 0;
}

void rx_world_clear(rx *r)
{
    if (!r->many) return;
    empty(r);
    r->world.parties.at[r->world.parties.n++] = (rx_party){ NULL, NULL }; /* there was room before */
}

void rx_world_close(rx *r, bool keep_recruits)
{
    if (!r->many) return;
    rx_world *w = &r->world;
    rx_world_clear(r);
    w->limit = RX_FIRST_LIMIT;
    w->budget = RX_BUDGET;
    w->cut = w->met = false;
    w->own_sides = 0;
    w->own_side = NULL;
    if (keep_recruits) return;
    while (w->recruits.n) rx_drop(r, (PyObject *)w->recruits.at[--w->recruits.n]);
    ARRAY_FREE(w->strands);
    ARRAY_FREE(w->joins);
    ARRAY_FREE(w->values);
    ARRAY_FREE(w->parties);
    ARRAY_FREE(w->recruits);
    r->many = false;
}

/* ---- saving and restoring ------------------------------------------------------------------- */

struct rx_saved {
    size_t n_strands, n_joins, n_values, n_parties;
    rx_strand *strands;
    rx_join *joins;
    PyObject **values;
    rx_party *parties;
};

static bool trivial(const rx_world *w)
{
    return !w->strands.n && !w->joins.n && w->parties.n == 1 && !w->parties.at[0].result;
}

bool rx_world_save(rx *r, struct rx_saved **out)
{
    *out = NULL;
    const rx_world *w = &r->world;
    if (!r->many || trivial(w)) return true;
    size_t s = w->strands.n * sizeof(rx_strand), j = w->joins.n * sizeof(rx_join), v = w->values.n * sizeof(PyObject *),
           p = w->parties.n * sizeof(rx_party);
    struct rx_saved *c = PyMem_RawMalloc(sizeof *c + s + j + v + p);
    if (!c) {
        PyErr_NoMemory();
        return false;
    }
    char *at = (char *)(c + 1);
    c->n_strands = w->strands.n;
    c->n_joins = w->joins.n;
    c->n_values = w->values.n;
    c->n_parties = w->parties.n;
    c->strands = memcpy(at, w->strands.at, s);
    c->joins = memcpy(at + s, w->joins.at, j);
    c->values = memcpy(at + s + j, w->values.at, v);
    c->parties = memcpy(at + s + j + v, w->parties.at, p);
    for (size_t i = 0; i < c->n_strands; i++) Py_XINCREF(c->strands[i].x);
    for (size_t i = 0; i < c->n_values; i++) Py_XINCREF(c->values[i]);
    for (size_t i = 0; i < c->n_parties; i++) Py_XINCREF(c->parties[i].result);
    *out = c;
    return true;
}

/* What was there once fits again: arrays do not shrink. */
void rx_world_restore(rx *r, const struct rx_saved *c)
{
    if (!c) {
        rx_world_clear(r);
        return;
    }
    empty(r);
    rx_world *w = &r->world;
    memcpy(w->strands.at, c->strands, c->n_strands * sizeof(rx_strand));
    memcpy(w->joins.at, c->joins, c->n_joins * sizeof(rx_join));
    memcpy(w->values.at, c->values, c->n_values * sizeof(PyObject *));
    memcpy(w->parties.at, c->parties, c->n_parties * sizeof(rx_party));
    w->strands.n = c->n_strands;
    w->joins.n = c->n_joins;
    w->values.n = c->n_values;
    w->parties.n = c->n_parties;
    for (size_t i = 0; i < c->n_strands; i++) Py_XINCREF(c->strands[i].x);
    for (size_t i = 0; i < c->n_values; i++) Py_XINCREF(c->values[i]);
    for (size_t i = 0; i < c->n_parties; i++) Py_XINCREF(c->parties[i].result);
}

size_t rx_saved_refs(const struct rx_saved *c) { return c ? c->n_strands + c->n_values + c->n_parties : 0; }

void rx_saved_free(rx *r, struct rx_saved *c)
{
    if (!c) return;
    for (size_t i = 0; i < c->n_strands; i++) rx_drop(r, c->strands[i].x);
    for (size_t i = 0; i < c->n_values; i++) rx_drop(r, c->values[i]);
    for (size_t i = 0; i < c->n_parties; i++) rx_drop(r, c->parties[i].result);
    PyMem_RawFree(c);
}
