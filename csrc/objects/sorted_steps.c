/* sorted_steps.c - SortedMap in reactions: the word of one key, in a tower that is made for it where there is none.
 *
 * A removed binding's word holds ABSENT at the commit; the trace that the reaction keeps makes the tower DEAD and
 * takes it out when all is over (binding.h).
 */
#include "sorted.h"

rx_outcome rg_sorted_seek(rx *r, SortedMap *m, rg_quest *q, PyObject *key, bool upper, int *equal, rg_quest *other)
{
    if (!rg_quest_open(q, key, upper)) return RX_ERROR;
    rg_sought sought = rg_quest_try(m, r->slot, q, true, equal);
    if (sought == RG_SOUGHT) return RX_DONE;
    if (sought == RG_NO_ROOM || (other && !rg_quest_hold(m, other))) {
        PyErr_NoMemory();
        return RX_ERROR;
    }
    rx_outcome o = rx_leave(r);
    if (o != RX_DONE) return o;
    rg_slot *s = rg_here(r->st);
    if (!s) return rx_return(r, NULL);
    rg_pin(s);
    bool ok = rg_quest_run(m, s, q, true) && (!equal || (*equal = rg_quest_equal(m, s, q)) >= 0);
    if (ok) {
        ok = rg_quest_hold(m, q);
        rg_unpin(s);
        if (!ok) PyErr_NoMemory();
    }
    if (!ok) return rx_return(r, NULL);
    o = rx_return(r, Py_NewRef(Py_None));
    if (o == RX_DONE) Py_DECREF(Py_None);
    return o;
}

rx_outcome rg_sorted_value_entry(rx *r, SortedMap *m, rg_tower *t, rx_entry **e)
{
    /* Looked at before it is logged. Who was unpinned while keys were compared may come with a tower that went long ago, and
     * that is there only because it is held: the log, which would hold it later, must not learn of it. One that is not
     * dead now stays while we are pinned. */
    bool dead = rg_read(&r->st->domain->space, r->slot->index, &t->value) == RG_DEAD;
    if (!dead && !(*e = rx_read_private(r, &t->value, WORD_OBJECT, &t->node))) return RX_ERROR;
    if (dead || (*e)->old == RG_DEAD) {
        rg_tower_mark(r->slot, t); /* who comes next cuts it */
        return RX_RETRY;
    }
    return (*e)->old == RG_ABSENT && !rg_trace(r, &rg_sorted_binder, (PyObject *)m, &t->node) ? RX_ERROR : RX_DONE;
}

rx_outcome rg_sorted_link_entry(rx *r, SortedMap *m, rg_tower *t, rx_entry **e)
{
    rg_node *home = m && t == &m->list.head ? NULL : &t->node;
    uint64_t w = rg_tower_next(r->slot, t, 0); /* a marked link names no node that could be held */
    if (w & RG_MARK) return RX_RETRY;
    if (!(*e = rx_read_private(r, &t->node.next, WORD_NODE, home))) return RX_ERROR;
    if ((*e)->old == w) return RX_DONE;
    if ((*e)->old & RG_MARK) (*e)->kind = WORD_INT; /* marked a moment ago: the entry is there to fail */
    return RX_RETRY;
}

/* The reaction has put an absent tower into a gap that it may have logged, which says the same about the gap: so that
 * it does not stand in its own way, the log follows. (It would for ever: starting again it takes the tower out.) */
static rx_outcome joined(rx *r, rg_quest *q)
{
    rg_word *link = &q->path.before[0]->node.next;
    uint64_t after = q->path.after[0];
    rx_entry *e = rx_find(r, link), *beyond;
    if (!e || e->old != after) return RX_DONE;
    rx_outcome o = rg_sorted_link_entry(r, NULL, q->made, &beyond);
    if (o != RX_DONE) return o;
    e = rx_find(r, link); /* the log may have moved */
    if (e->held) {
        rg_node_hold(&q->made->node);
        if (after) rg_node_release(r->slot, &rg_tower_of(after)->node);
    }
    e->old = e->cur = rg_tower_word(q->made);
    return beyond->old == after ? RX_DONE : RX_RETRY;
}

static rx_outcome locate(rx *r, PyObject *owner, PyObject *key, Py_hash_t hash, rx_entry **e)
{
    (void)hash;
    SortedMap *m = (SortedMap *)owner;
    rg_quest q;
    int equal;
    rx_outcome o = rg_sorted_seek(r, m, &q, key, false, &equal, NULL);
    if (o == RX_DONE && !equal) {
        int linked = rg_sorted_link(m, r->slot, &q, RG_ABSENT);
        o = linked > 0 ? joined(r, &q) : linked < 0 ? RX_ERROR : RX_RETRY;
        if (linked > 0 && o != RX_ERROR) {
            rx_outcome v = rg_sorted_value_entry(r, m, q.made, e);
            if (o == RX_DONE || v == RX_ERROR) o = v;
        }
    } else if (o == RX_DONE) {
        o = rg_sorted_value_entry(r, m, rg_tower_of(q.path.after[0]), e);
    }
    rg_quest_close(r->slot, &q);
    return o;
}

static bool count(rx *r, PyObject *owner, int by)
{
    rx_entry *e = rx_read_private(r, rg_sorted_cell((SortedMap *)owner, r->slot), WORD_INT, NULL);
    return e && rx_write(r, e, e->cur + (uint64_t)(int64_t)by);
}

static PyObject *get(PyObject *owner, PyObject *key, Py_hash_t hash)
{
    (void)hash;
    return rg_sorted_get((SortedMap *)owner, key);
}

static bool set(PyObject *owner, PyObject *key, Py_hash_t hash, PyObject *value)
{
    (void)hash;
    PyObject *was;
    return rg_sorted_set((SortedMap *)owner, key, value, false, &was);
}

static int replace(PyObject *owner, PyObject *key, Py_hash_t hash, PyObject *old, PyObject *new_)
{
    (void)hash;
    return rg_sorted_replace((SortedMap *)owner, key, old, new_);
}

const rg_binder rg_sorted_binder = { locate, count, rg_sorted_sweep, get, set, replace };
