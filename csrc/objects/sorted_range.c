/* sorted_range.c - the first, the last and all bindings of a range of a SortedMap, in reactions and called directly.
 *
 * A range is seen as a chain in the log: the level-0 link of the last tower below it, then value and link of each tower
 * that was passed, up to the link that names the first tower above. While none of these words changes, no
 * binding comes or goes within (core/skiplist.h, invariant 4). The two ends are found by comparing keys; then the chain
 * is followed by address, and where it does not meet the ends as they were found, the reaction starts again.
 *
 * A binding that is taken holds ABSENT at the commit; the trace that the reaction keeps makes the tower DEAD and takes
 * it out when all is over (binding.h).
 */
#include "new_list.h"
#include "sorted.h"

static SortedMap *map_of(Reagent *n) { return (SortedMap *)n->a; }

/* The ends of a range: `from` is the last tower below, `first` the one after it; `last` and `beyond` likewise at the
 * other end. Without a lower bound from is the head, and first NULL; without an upper one beyond is NULL. */
typedef struct ends {
    rg_quest lo, hi;
    bool with_lo, with_hi;
    rg_tower *from, *first, *last, *beyond;
} ends;

static void ends_close(rx *r, ends *e)
{
    rg_quest_close(r->slot, &e->lo);
    rg_quest_close(r->slot, &e->hi);
}

/* Whether a < b, as this range has it; else nothing lies between. */
static rx_outcome in_order(rx *r, PyObject *a, PyObject *b, int *less)
{
    rx_outcome o = rx_leave(r);
    if (o != RX_DONE) return o;
    *less = PyObject_RichCompareBool(a, b, Py_LT);
    if (*less < 0) return rx_return(r, NULL);
    o = rx_return(r, Py_NewRef(Py_None));
    if (o == RX_DONE) Py_DECREF(Py_None);
    return o;
}

/* bounds is NULL or (lo, hi): lo <= key < hi, None being no bound. To be closed in any case. *empty: nothing lies between. */
static rx_outcome ends_find(rx *r, SortedMap *m, PyObject *bounds, bool backwards, ends *e, int *empty)
{
    PyObject *lo = Py_None, *hi = Py_None;
    rx_outcome o = RX_DONE;
    *empty = 0;
    rg_quest_open(&e->lo, NULL, false);
    rg_quest_open(&e->hi, NULL, false);
    if (bounds) {
        lo = PyTuple_GET_ITEM(bounds, 0);
        hi = PyTuple_GET_ITEM(bounds, 1);
    }
    e->from = &m->list.head;
    e->first = e->last = e->beyond = NULL;
    if (lo != Py_None && hi != Py_None) {
        int less = 0;
        o = in_order(r, lo, hi, &less);
        *empty = !less;
        if (o != RX_DONE || !less) return o;
    }
    if (lo != Py_None) o = rg_sorted_seek(r, m, &e->lo, lo, false, NULL, NULL);
    if (o == RX_DONE && (hi != Py_None || backwards))
        o = rg_sorted_seek(r, m, &e->hi, hi == Py_None ? NULL : hi, false, NULL, lo == Py_None ? NULL : &e->lo);
    if (o != RX_DONE) return o;
    if ((e->with_lo = lo != Py_None)) {
        e->from = e->lo.path.before[0];
        e->first = rg_tower_of(e->lo.path.after[0]);
    }
    e->with_hi = hi != Py_None;
    if (e->with_hi || backwards) {
        e->last = e->hi.path.before[0];
        e->beyond = rg_tower_of(e->hi.path.after[0]);
    }
    return o;
}

/* The successor of t, its link in the log. */
static rx_outcome follow(rx *r, SortedMap *m, rg_tower *t, rg_tower **next)
{
    if (!rx_find(r, &t->node.next)) {
        rg_sought sought = rg_skip_next_cut(r->slot, &m->list, t, next);
        if (sought == RG_UNSURE) return RX_RETRY;
        if (sought == RG_NO_ROOM) {
            PyErr_NoMemory();
            return RX_ERROR;
        }
    }
    rx_entry *e;
    rx_outcome o = rg_sorted_link_entry(r, m, t, &e);
    if (o == RX_DONE) *next = rg_tower_of(e->old);
    return o;
}

/* Steps from t to the next tower within the range, NULL at its end. */
static rx_outcome advance(rx *r, SortedMap *m, ends *e, rg_tower *t, rg_tower **next)
{
    rx_outcome o = follow(r, m, t, next);
    if (o != RX_DONE) return o;
    if (e->with_lo && t == e->from && *next != e->first) return RX_RETRY;
    if (!e->with_hi) return RX_DONE;
    if (t == e->last) {
        if (*next != e->beyond) return RX_RETRY;
        *next = NULL;
    } else if (!*next || *next == e->beyond) {
        return RX_RETRY; /* the other end is not as it was found */
    }
    return RX_DONE;
}

/* The first binding of the range, with the entry of its value; *found NULL: none. */
static rx_outcome first_of(rx *r, SortedMap *m, ends *e, rg_tower **found, rx_entry **value)
{
    for (rg_tower *t = e->from;; t = *found) {
        rx_outcome o = advance(r, m, e, t, found);
        if (o == RX_DONE && *found) o = rg_sorted_value_entry(r, m, *found, value);
        if (o != RX_DONE || !*found || rg_is_bound((*value)->cur)) return o;
    }
}

/* The same from the other end. What lies before a tower is found by its key, so it may take Python code. */
static rx_outcome last_of(rx *r, SortedMap *m, ends *e, rg_tower **found, rx_entry **value)
{
    rg_tower *t = e->last, *after = e->beyond, *next;
    rg_quest q;
    rg_quest_open(&q, NULL, false);
    rx_outcome o;
    for (;;) {
        o = follow(r, m, t, &next);
        if (o == RX_DONE && next != after) o = RX_RETRY;
        if (o != RX_DONE) break;
        *found = NULL;
        if (t == &m->list.head || (e->with_lo && t == e->from)) break;
        *found = t;
        o = rg_sorted_value_entry(r, m, t, value);
        if (o != RX_DONE || rg_is_bound((*value)->cur)) break;
        after = t; /* in the log: there until the end */
        PyObject *key = Py_NewRef(rg_tower_key(t));
        rg_quest before;
        o = rg_sorted_seek(r, m, &before, key, false, NULL, e->with_lo ? &e->lo : NULL);
        rx_drop(r, key);
        rg_quest_close(r->slot, &q);
        q = before; /* kept open: its path is good until then */
        if (before.held == before.first) q.held = q.first;
        if (o != RX_DONE) break;
        t = q.path.before[0];
        if (e->with_lo && after == e->first && t != e->from) o = RX_RETRY;
        if (o != RX_DONE) break;
    }
    rg_quest_close(r->slot, &q);
    return o;
}

static rx_outcome one(rx *r, Reagent *n, PyObject **y, bool backwards, bool remove)
{
    SortedMap *m = map_of(n);
    ends e;
    int empty;
    rg_tower *t = NULL;
    rx_entry *value = NULL;
    rx_outcome o = ends_find(r, m, n->b, backwards, &e, &empty);
    if (o == RX_DONE && !empty) o = backwards ? last_of(r, m, &e, &t, &value) : first_of(r, m, &e, &t, &value);
    if (o == RX_DONE && !t) o = RX_BLOCK;
    if (o == RX_DONE) {
        PyObject *k = Py_NewRef(rg_tower_key(t)), *v = Py_NewRef(rg_object_of(value->cur));
        if (remove && !(rg_trace(r, &rg_sorted_binder, (PyObject *)m, &t->node) && rx_write(r, value, rg_word_of(Py_NewRef((PyObject *)&rg_absent_mark))) &&
                        rg_sorted_binder.count(r, (PyObject *)m, -1)))
            o = RX_ERROR;
        /* A tuple is of a collected type: it is made while nothing is pinned. */
        if (o == RX_DONE) o = rx_leave(r);
        if (o == RX_DONE) {
            *y = PyTuple_Pack(2, k, v);
            o = rx_return(r, *y);
        }
        rx_drop(r, k);
        rx_drop(r, v);
    }
    ends_close(r, &e);
    return o;
}

#define STEP(NAME, BACKWARDS, REMOVE)                                           \
    static rx_outcome step_##NAME(rx *r, Reagent *n, PyObject *x, PyObject **y) \
    {                                                                           \
        return (void)x, one(r, n, y, BACKWARDS, REMOVE);                        \
    }
STEP(min, false, false)
STEP(max, true, false)
STEP(pop_min, false, true)
STEP(pop_max, true, true)

/* What a snapshot has seen: references, made into pairs once nothing is pinned. */
typedef struct seen {
    PyObject **at; /* key, value, key, ... */
    size_t n, cap;
} seen;

static bool see(seen *s, PyObject *k, PyObject *v)
{
    if (s->n == s->cap) {
        size_t cap = s->cap ? 2 * s->cap : 64;
        PyObject **at = PyMem_RawRealloc(s->at, cap * sizeof *at);
        if (!at) {
            PyErr_NoMemory();
            return false;
        }
        s->at = at;
        s->cap = cap;
    }
    s->at[s->n++] = Py_NewRef(k);
    s->at[s->n++] = Py_NewRef(v);
    return true;
}

static PyObject *pairs(const seen *s)
{
    PyObject *list = rg_new_list((Py_ssize_t)(s->n / 2));
    for (size_t i = 0; list && i < s->n; i += 2) {
        PyObject *pair = PyTuple_Pack(2, s->at[i], s->at[i + 1]);
        if (!pair)
            Py_CLEAR(list);
        else
            PyList_SET_ITEM(list, (Py_ssize_t)(i / 2), pair);
    }
    return list;
}

static rx_outcome step_snapshot(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    (void)x;
    SortedMap *m = map_of(n);
    ends e;
    int empty;
    seen s = { NULL, 0, 0 };
    rx_outcome o = ends_find(r, m, n->b, false, &e, &empty);
    for (rg_tower *t = e.from; o == RX_DONE && !empty;) {
        rx_entry *value;
        o = advance(r, m, &e, t, &t);
        if (o != RX_DONE || !t) break;
        o = rg_sorted_value_entry(r, m, t, &value);
        if (o == RX_DONE && rg_is_bound(value->cur) && !see(&s, rg_tower_key(t), rg_object_of(value->cur))) o = RX_ERROR;
    }
    ends_close(r, &e);
    if (o == RX_DONE) o = rx_leave(r);
    if (o == RX_DONE) {
        *y = pairs(&s);
        while (s.n) Py_DECREF(s.at[--s.n]);
        o = rx_return(r, *y);
    }
    while (s.n) rx_drop(r, s.at[--s.n]);
    PyMem_RawFree(s.at);
    return o;
}

/* ---- direct calls -------------------------------------------------------------------------------------- */

/* The same within bounds, as reagents alone: m.between(lo, hi).min. */
static const rg_op within[] = { { .name = "min", .step = step_min },
                                { .name = "max", .step = step_max },
                                { .name = "pop_min", .step = step_pop_min },
                                { .name = "pop_max", .step = step_pop_max },
                                { .name = "snapshot", .step = step_snapshot } };
enum { MIN, MAX, POP_MIN, POP_MAX, SNAPSHOT };

static PyObject *reagent_within(PyObject *self, unsigned which, PyObject *lo, PyObject *hi)
{
    rg_quest q;
    if ((lo != Py_None && !rg_quest_open(&q, lo, false)) || (hi != Py_None && !rg_quest_open(&q, hi, false))) return NULL;
    PyObject *bounds = PyTuple_Pack(2, lo, hi);
    PyObject *n = bounds ? rg_reagent_new(((SortedMap *)self)->st, &within[which], self, bounds) : NULL;
    Py_XDECREF(bounds);
    return n;
}

PyObject *rg_sorted_within(PyObject *self, PyObject *args)
{
    unsigned which;
    PyObject *lo, *hi;
    if (!PyArg_ParseTuple(args, "IOO:_within", &which, &lo, &hi)) return NULL;
    if (which <= SNAPSHOT) return reagent_within(self, which, lo, hi);
    PyErr_SetString(PyExc_ValueError, "no such reagent");
    return NULL;
}

static PyObject *nothing(const char *name)
{
    PyErr_Format(PyExc_KeyError, "%s(): there is no such binding", name);
    return NULL;
}

/* (lo=None, hi=None), of a direct call. */
static PyObject *at_once(PyObject *self, unsigned which, PyObject *const *args, Py_ssize_t nargs, PyObject *kw)
{
    PyObject *ends[2] = { Py_None, Py_None };
    const char *name = within[which].name;
    if (nargs > 2) {
        PyErr_Format(PyExc_TypeError, "%s() takes at most 2 arguments (%zd given)", name, nargs);
        return NULL;
    }
    for (Py_ssize_t i = 0; i < nargs; i++) ends[i] = args[i];
    for (Py_ssize_t i = 0; kw && i < PyTuple_GET_SIZE(kw); i++) {
        PyObject *k = PyTuple_GET_ITEM(kw, i);
        int at = PyUnicode_CompareWithASCIIString(k, "lo") == 0 ? 0 : PyUnicode_CompareWithASCIIString(k, "hi") == 0 ? 1 : -1;
        if (at < nargs) {
            PyErr_Format(PyExc_TypeError, "%s() got %s keyword argument %R", name, at < 0 ? "an unexpected" : "a second value for", k);
            return NULL;
        }
        ends[at] = args[nargs + i];
    }
    bool blocked = false;
    PyObject *n = reagent_within(self, which, ends[0], ends[1]);
    PyObject *y = n ? rg_try(((SortedMap *)self)->st, (Reagent *)n, Py_None, &blocked) : NULL;
    if (blocked) nothing(name);
    Py_XDECREF(n);
    return y;
}

/* Without bounds. */
static PyObject *end_at_once(PyObject *self, unsigned which, bool last, bool remove)
{
    PyObject *k, *v, *pair = PyTuple_New(2); /* first: where there is no memory for it nothing may have happened */
    int found = pair ? rg_sorted_end((SortedMap *)self, last, remove, &k, &v) : -1;
    if (found == 1) {
        PyTuple_SET_ITEM(pair, 0, k);
        PyTuple_SET_ITEM(pair, 1, v);
        return pair;
    }
    Py_XDECREF(pair);
    return found == 0 ? nothing(within[which].name) : found == 2 ? at_once(self, which, NULL, 0, NULL) : NULL;
}

#define DIRECT(NAME, WHICH, FAST)                                                                                 \
    static PyObject *direct_##NAME(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kw)         \
    {                                                                                                             \
        return nargs || kw ? at_once(self, WHICH, args, nargs, kw) : FAST;                                        \
    }
DIRECT(min, MIN, end_at_once(self, MIN, false, false))
DIRECT(max, MAX, end_at_once(self, MAX, true, false))
DIRECT(pop_min, POP_MIN, end_at_once(self, POP_MIN, false, true))
DIRECT(pop_max, POP_MAX, end_at_once(self, POP_MAX, true, true))
DIRECT(snapshot, SNAPSHOT, at_once(self, SNAPSHOT, NULL, 0, NULL))

#define RANGE "lo and hi bound the keys: lo <= key < hi, None being no bound. "
#define INPUT "As a reagent it\nhas no bounds (between(lo, hi) has such reagents) and blocks while there is none. "
static const rg_op op_min = { .name = "min", .step = step_min, .direct = direct_min, .doc = "min($self, lo=None, hi=None)\n--\n\n"
    "The binding (key, value) with the smallest key; called directly, KeyError if there is none. A method and a reagent.\n"
    RANGE INPUT "Lock-free.\n\n"
    ">>> from lockfree import SortedMap\n>>> SortedMap({2: 'b', 1: 'a'}).min()\n(1, 'a')" };
static const rg_op op_max = { .name = "max", .step = step_max, .direct = direct_max, .doc = "max($self, lo=None, hi=None)\n--\n\n"
    "The binding (key, value) with the largest key; called directly, KeyError if there is none. A method and a reagent.\n"
    RANGE INPUT "Lock-free.\n\n"
    ">>> from lockfree import SortedMap\n>>> SortedMap({2: 'b', 1: 'a'}).max(hi=2)\n(1, 'a')" };
static const rg_op op_pop_min = { .name = "pop_min", .step = step_pop_min, .direct = direct_pop_min,
    .doc = "pop_min($self, lo=None, hi=None)\n--\n\n"
    "Take out the binding (key, value) with the smallest key; called directly, KeyError if there is none. A method and a\n"
    "reagent. " RANGE "\n" INPUT "Lock-free.\n\n"
    ">>> from lockfree import Queue, SortedMap\n>>> m, q = SortedMap({2: 'b', 1: 'a'}), Queue()\n"
    ">>> (m.pop_min >> q.put)()\n>>> q.get(), len(m)\n((1, 'a'), 1)" };
static const rg_op op_pop_max = { .name = "pop_max", .step = step_pop_max, .direct = direct_pop_max,
    .doc = "pop_max($self, lo=None, hi=None)\n--\n\n"
    "Take out the binding (key, value) with the largest key; called directly, KeyError if there is none. A method and a\n"
    "reagent. " RANGE "\n" INPUT "Lock-free.\n\n"
    ">>> from lockfree import SortedMap\n>>> m = SortedMap({2: 'b', 1: 'a'})\n>>> m.pop_max(), len(m)\n((2, 'b'), 1)" };
static const rg_op op_snapshot = { .name = "snapshot", .step = step_snapshot, .direct = direct_snapshot,
    .doc = "snapshot($self, lo=None, hi=None)\n--\n\n"
    "A list of all bindings (key, value) at one instant, smallest key first. A method and a reagent, which has no bounds:\n"
    "between(lo, hi) has one. " RANGE "Never blocks.\n"
    "Lock-free; but each binding costs two words of the log, and it starts again when one of them has changed.\n\n"
    ">>> from lockfree import SortedMap\n>>> SortedMap({3: 'c', 2: 'b', 1: 'a'}).snapshot(2)\n[(2, 'b'), (3, 'c')]" };

const rg_op *const rg_sorted_map_ops[] = { &op_min, &op_max, &op_pop_min, &op_pop_max, &op_snapshot, NULL };
