/* sorted_iter.c - iterating over a SortedMap while it changes.
 *
 * The iterator holds the tower that it has come to and a reference to its key. As long as that tower is in, its
 * link leads on; once it is removed, the place is found again by the key. So keys come in their order, each at most once; a
 * binding that is there all the while is not missed; one that comes or goes meanwhile may be seen or not.
 * Backwards, each step is a search.
 */
#include "sorted.h"

typedef struct IteratorObject {
    PyObject_HEAD
    SortedMap *map; /* NULL: it is over */
    PyObject *lo, *hi, *last; /* or NULL */
    rg_tower *at;             /* held, the tower of `last`; NULL: not begun */
    rg_gives gives;
    bool with_lo, with_hi, backwards;
    rg_word busy;
} IteratorObject;

PyObject *rg_sorted_iterator(SortedMap *m, rg_gives gives, PyObject *lo, PyObject *hi, bool with_lo, bool with_hi, bool backwards)
{
    IteratorObject *it = PyObject_GC_New(IteratorObject, m->st->sorted_iterator_type);
    if (!it) return NULL;
    it->map = (SortedMap *)Py_NewRef((PyObject *)m);
    it->lo = lo == Py_None ? NULL : Py_XNewRef(lo);
    it->hi = hi == Py_None ? NULL : Py_XNewRef(hi);
    it->last = NULL;
    it->at = NULL;
    it->gives = gives;
    it->with_lo = with_lo;
    it->with_hi = with_hi;
    it->backwards = backwards;
    rg_store_rlx(&it->busy, 0); /* relaxed: private yet */
    PyObject_GC_Track(it);
    return (PyObject *)it;
}

/* What the iterator gives up, all at once: it is as it was before any destructor runs. */
static void finish(IteratorObject *it)
{
    SortedMap *m = it->map;
    rg_tower *t = it->at;
    PyObject *lo = it->lo, *hi = it->hi, *last = it->last;
    it->map = NULL;
    it->at = NULL;
    it->lo = it->hi = it->last = NULL;
    rg_slot *s = t ? rg_here_quietly(m->st) : NULL;
    if (s) rg_node_release(s, &t->node); /* else it is kept for ever */
    Py_XDECREF(lo);
    Py_XDECREF(hi);
    Py_XDECREF(last);
    if (m) rg_release((PyObject *)m);
}

/* The next tower, bound or not; NULL: the end. 1, or -1 with an error set and unpinned. q is to be closed; what was found
 * is good until the next unpin. */
static int next_tower(IteratorObject *it, SortedMap *m, rg_slot *s, rg_quest *q, rg_tower **next)
{
    rg_tower *at = it->at;
    PyObject *last = it->last;
    rg_quest_open(q, NULL, false);
    bool ok = true;
    if (it->backwards) {
        if (last)
            ok = rg_quest_open(q, last, false);
        else if (it->hi)
            ok = rg_quest_open(q, it->hi, it->with_hi);
        if (!ok) rg_unpin(s);
        if (!ok || !rg_quest_run(m, s, q, false)) return -1;
        *next = q->path.before[0] == &m->list.head ? NULL : q->path.before[0];
        return 1;
    }
    if (at ? rg_skip_next(s, at, next) : !it->lo && rg_skip_next(s, &m->list.head, next)) return 1;
    ok = last ? rg_quest_open(q, last, true) : rg_quest_open(q, it->lo, !it->with_lo);
    if (!ok) rg_unpin(s);
    if (!ok || !rg_quest_run(m, s, q, false)) return -1;
    *next = rg_tower_of(q->path.after[0]);
    return 1;
}

/* Is key within the bound at which the iteration ends? -1: an error is set. */
static int within(IteratorObject *it, PyObject *key)
{
    PyObject *end = it->backwards ? it->lo : it->hi;
    if (!end) return 1;
    bool with = it->backwards ? it->with_lo : it->with_hi;
    Py_INCREF(end);
    int c;
    if (it->backwards == with) /* ends are inside: not (key < lo); outside: key < hi */
        c = PyObject_RichCompareBool(key, end, Py_LT);
    else
        c = PyObject_RichCompareBool(end, key, Py_LT);
    Py_DECREF(end);
    return c < 0 ? -1 : with ? !c : c;
}

/* One step: `at` and `last` go on to the next binding, whose value is returned; NULL at the end, or with an error set. */
static PyObject *step(IteratorObject *it, SortedMap *m)
{
    rg_slot *s = rg_begin(m->st, m, "next");
    if (!s) return NULL;
    for (;;) {
        rg_quest q;
        rg_tower *t, *at = it->at;
        PyObject *value = NULL, *last = it->last;
        rg_pin(s);
        int ok = next_tower(it, m, s, &q, &t);
        if (ok < 0 || !t) {
            if (ok > 0) rg_unpin(s);
            rg_quest_close(s, &q);
            return NULL;
        }
        uint64_t w = rg_read(&s->domain->space, s->index, &t->value);
        if (w == RG_DEAD) { /* on its way out, and its key with it; once it is marked it is passed over */
            rg_tower_mark(s, t);
            rg_unpin(s);
            rg_quest_close(s, &q);
            continue;
        }
        it->last = Py_NewRef(rg_tower_key(t));
        it->at = t;
        rg_node_hold(&t->node);
        if (rg_is_bound(w)) value = Py_NewRef(rg_object_of(w));
        rg_unpin(s);
        rg_quest_close(s, &q);
        if (at) rg_node_release(s, &at->node);
        Py_XDECREF(last);
        if (value) return value;
    }
}

static PyObject *iterator_next(PyObject *self)
{
    IteratorObject *it = (IteratorObject *)self;
    if (!rg_cas(&it->busy, 0, 1)) {
        PyErr_SetString(PyExc_ValueError, "this iterator of a SortedMap is being advanced already: it is for one thread at a time");
        return NULL;
    }
    PyObject *out = NULL, *value = it->map ? step(it, it->map) : NULL;
    int in = value ? within(it, it->last) : PyErr_Occurred() ? -1 : 0;
    if (in > 0) {
        out = it->gives == GIVE_KEYS     ? Py_NewRef(it->last)
              : it->gives == GIVE_VALUES ? Py_NewRef(value)
                                         : PyTuple_Pack(2, it->last, value);
    } else if (in == 0) {
        finish(it);
    }
    rg_store(&it->busy, 0);
    Py_XDECREF(value);
    return out;
}

static int iterator_traverse(PyObject *self, visitproc visit, void *arg)
{
    IteratorObject *it = (IteratorObject *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(it->map);
    Py_VISIT(it->lo);
    Py_VISIT(it->hi);
    Py_VISIT(it->last);
    return 0;
}

static int iterator_clear(PyObject *self)
{
    finish((IteratorObject *)self);
    return 0;
}

static void iterator_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    finish((IteratorObject *)self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef methods[] = {
    { "__reduce__", rg_refuse_pickle, METH_NOARGS, NULL },
    { NULL },
};
static PyType_Slot slots[] = {
    { Py_tp_doc, "Iterates over a SortedMap in the order of its keys, while it may change." },
    { Py_tp_dealloc, iterator_dealloc },
    { Py_tp_traverse, iterator_traverse },
    { Py_tp_clear, iterator_clear },
    { Py_tp_iter, PyObject_SelfIter },
    { Py_tp_iternext, iterator_next },
    { Py_tp_methods, methods },
    { 0, NULL },
};
PyType_Spec rg_sorted_iterator_spec = {
    .name = "lockfree.SortedMapIterator",
    .basicsize = sizeof(IteratorObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = slots,
};
