/* priority.c - lockfree.PriorityQueue: a persistent leftist heap (core/heap.h) of objects.
 *
 * Comparing. What can run no code but the interpreter's own is compared on the spot (compare.h). For all else everything
 * is left: the two items are referred to and the record is held, nothing is pinned, `<` runs, and if the root then still
 * names the record the merge goes on, else it starts again. So `<` may do anything, use this queue included; if it
 * raises, nothing has been made or changed.
 *
 * References. The version owns one to each item, and a direct put or get moves them with the nodes that it copies. Whoever
 * merges looks at items of a version that may be history, so a got item's goes late, unless nobody can be looking. A
 * reaction may come to nothing, so its copies have references of their own, and if it comes to something those of
 * the nodes that they replace go.
 */
#include "compare.h"
#include "record.h"

static PyObject *object(uint64_t value) { return (PyObject *)(uintptr_t)value; }
static PyObject *payload(rg_wide *n) { return object(n->node.value); }

/* The two that `<` is to be asked of; references to them. */
static void question(rg_heap_merge *m, PyObject **x, PyObject **y)
{
    rg_wide *newer, *older;
    rg_heap_question(m, &newer, &older);
    *x = Py_NewRef(payload(newer));
    *y = Py_NewRef(payload(older));
}

/* ---- reagents ---------------------------------------------------------------------------------- */

static rx_outcome ask(rx *r, rg_heap_merge *m)
{
    PyObject *x, *y;
    question(m, &x, &y);
    rx_outcome o = rx_leave(r);
    if (o != RX_DONE) {
        rx_drop(r, x);
        rx_drop(r, y);
        return o;
    }
    int less = PyObject_RichCompareBool(x, y, Py_LT);
    Py_DECREF(x);
    Py_DECREF(y);
    PyObject *answer = less < 0 ? NULL : Py_NewRef(less ? Py_True : Py_False);
    o = rx_return(r, answer);
    if (o != RX_DONE) return o;
    Py_DECREF(answer);
    rg_heap_answer(m, less);
    return RX_DONE;
}

/* The merge is begun: ends it, and the reaction has the new version. */
static rx_outcome merge(rx *r, RecordObject *q, rg_heap_merge *m)
{
    while (!rg_heap_descend(m, rg_less_here)) {
        rx_outcome o = ask(r, m);
        if (o != RX_DONE) return o;
    }
    if (!rg_record_room(r, m->n + 1, m->n + 1)) return RX_ERROR; /* one more: the item at the end of a spine */
    if (!rg_heap_build(r->slot, m)) {
        PyErr_NoMemory();
        return RX_ERROR;
    }
    for (unsigned i = 0; i < m->n; i++) {
        rg_record_own(r, &m->made[i]->node);
        if (m->at[i] != &m->item) (void)rx_unlink(r, &m->at[i]->node, payload(m->at[i])); /* there is room */
    }
    if (m->root) (void)rx_unlink(r, &m->root->node, payload(m->root));
    return rg_record_write(r, q, rg_heap_record(r->slot, m));
}

static rx_outcome step_put(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    RecordObject *q = (RecordObject *)n->a;
    rx_entry *e = rg_record_entry(r, q);
    if (!e) return RX_ERROR;
    rx_outcome o = rg_record_may_put(r, q, e);
    if (o != RX_DONE) return o;
    rg_heap_merge m;
    rg_heap_begin_put(&m, rg_record_seen(e), (uint64_t)(uintptr_t)x, rg_hint_of(x));
    o = merge(r, q, &m);
    if (o == RX_DONE) *y = Py_NewRef(Py_None);
    return o;
}

static rx_outcome step_get(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    (void)x;
    RecordObject *q = (RecordObject *)n->a;
    rx_entry *e = rg_record_entry(r, q);
    if (!e) return RX_ERROR;
    rx_outcome o = rg_record_may_get(r, q, e);
    if (o != RX_DONE) return o;
    rg_heap_merge m;
    rg_heap_begin_get(&m, rg_record_seen(e));
    o = merge(r, q, &m);
    /* The version that it was in is still the one that the log has read, or was when we pinned: it is alive. */
    if (o == RX_DONE) *y = Py_NewRef(payload(m.root));
    return o;
}

static rx_outcome step_peek(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    (void)x;
    RecordObject *q = (RecordObject *)n->a;
    rx_entry *e = rg_record_entry(r, q);
    if (!e) return RX_ERROR;
    rx_outcome o = rg_record_may_get(r, q, e);
    if (o == RX_DONE) *y = Py_NewRef(payload(rg_wide_of(rg_record_top(rg_record_seen(e)))));
    return o;
}

/* ---- direct calls -------------------------------------------------------------------------------- */

/* Each has one try where nothing is in the way; what is in the way is the slow one's business. */

/* The item's reference changes from the version to the caller. Pinned; there is room for one more. */
static inline PyObject *taken(rg_slot *s, uint64_t value)
{
    PyObject *v = object(value);
#ifndef RG_EXCLUSIVE
    if (_Py_IsImmortal(v) || !rg_record_watched(s)) return v;
    Py_INCREF(v);
    rg_decref_late(s, v);
#else
    (void)s;
#endif
    return v;
}

static inline rg_record_tried try(RecordObject *q, rg_slot *s, PyObject *item, uint64_t *value, rg_heap_merge *m)
{
    return item ? rg_heap_try_put(s, &q->root, (uint64_t)(uintptr_t)item, rg_hint_of(item), rg_less_here, m)
                : rg_heap_try_get(s, &q->root, value, rg_less_here, m);
}

/* A try that had to ask. Pinned before and after, though maybe by another slot. ASK: an error is set. */
static rg_record_tried finish_asking(RecordObject *q, rg_slot **slot, rg_heap_merge *m)
{
    rg_slot *s = *slot;
    int less;
    bool still;
    rg_heap_hold(m);
    do {
        PyObject *x, *y;
        question(m, &x, &y);
        rg_unpin(s);
        less = PyObject_RichCompareBool(x, y, Py_LT);
        Py_DECREF(x);
        Py_DECREF(y);
        *slot = s = rg_here_quietly(q->st); /* there was one */
        rg_pin(s);
        still = less >= 0 && rg_heap_stands(s, &q->root, m);
        if (still) rg_heap_answer(m, less);
    } while (still && !rg_heap_descend(m, rg_less_here));
    rg_record_tried t = rg_heap_finish_held(s, &q->root, m, still);
    return less < 0 ? RG_RECORD_ASK : t;
}

/* `item` is owned, and still is if it was not put; NULL: a get, into *v. */
static RG_SLOW rg_record_tried slow(RecordObject *q, PyObject *item, PyObject **v, rg_record_tried t)
{
    rg_slot *s = rg_begin(q->st, q, item ? "put" : "get");
    if (!s) return RG_RECORD_MEMORY;
    rg_backoff b = { 0 };
    rg_heap_merge m;
    uint64_t value = 0;
    rg_pin(s);
    while (t == RG_RECORD_LOST || t == RG_RECORD_BUSY) {
#ifndef RG_EXCLUSIVE
        if (t == RG_RECORD_LOST) rg_lost(s, &b);
#else
        (void)b; /* who was faster does not run at the same time */
#endif
        if (t == RG_RECORD_BUSY) (void)rg_record_of(s, &q->root);
        t = try(q, s, item, &value, &m);
        if (t == RG_RECORD_ASK) t = finish_asking(q, &s, &m);
    }
    if (t == RG_RECORD_DONE && item) {
        rg_record_was_put(s, q);
    } else if (t == RG_RECORD_DONE) {
        *v = taken(s, value);
        rg_record_was_got(s, q);
    }
    rg_unpin(s);
    if (t == RG_RECORD_MEMORY) PyErr_NoMemory();
    return t;
}

static rg_record_tried put(RecordObject *q, PyObject *item)
{
    rg_slot *s = rg_at_hand(q->st);
    rg_heap_merge m;
    rg_record_tried t = RG_RECORD_BUSY;
    Py_INCREF(item);
    if (__builtin_expect(s && rg_glance(s), 1)) {
        t = rg_heap_try_put(s, &q->root, (uint64_t)(uintptr_t)item, rg_hint_of(item), rg_less_here, &m);
        rg_glanced(s);
        if (__builtin_expect(t == RG_RECORD_DONE, 1)) {
            rg_record_was_put(s, q);
            rg_reclaim_when_due(s);
            return t;
        }
    }
    t = slow(q, item, NULL, t == RG_RECORD_LOST ? t : RG_RECORD_BUSY);
    if (t != RG_RECORD_DONE) Py_DECREF(item);
    return t;
}

static rg_record_tried get(RecordObject *q, PyObject **v)
{
    rg_slot *s = rg_at_hand(q->st);
    rg_heap_merge m;
    rg_record_tried t = RG_RECORD_BUSY;
    if (__builtin_expect(s && rg_glance(s), 1)) {
        uint64_t value = 0;
        t = rg_heap_try_get(s, &q->root, &value, rg_less_here, &m);
        if (__builtin_expect(t == RG_RECORD_DONE, 1)) *v = taken(s, value);
        rg_glanced(s);
        if (__builtin_expect(t == RG_RECORD_DONE, 1)) {
            rg_record_was_got(s, q);
            rg_reclaim_when_due(s);
            return t;
        }
        if (t == RG_RECORD_EMPTY) return t;
    }
    return slow(q, NULL, v, t == RG_RECORD_LOST ? t : RG_RECORD_BUSY);
}

static rg_record_tried peek(RecordObject *q, PyObject **v)
{
    rg_slot *s = rg_begin(q->st, q, "peek");
    if (!s) return RG_RECORD_MEMORY;
    rg_pin(s);
    rg_wide *now = rg_record_of(s, &q->root);
    bool some = rg_record_size(now) != 0, closed = rg_record_closed(now);
    if (some) *v = Py_NewRef(payload(rg_wide_of(rg_record_top(now))));
    rg_unpin(s);
    return some ? RG_RECORD_DONE : closed ? RG_RECORD_CLOSED : RG_RECORD_EMPTY;
}

#define NAME "PriorityQueue"
#define PUT_TEXT "Put item in its place."
#define GET_TEXT "Take the least item, among equals the one put first."
#define PEEK_TEXT "The least item, which stays."
#define SOURCE "(leftist heaps: Crane 1972, Okasaki 1998)"
#include "record_calls.h"

/* ---- the whole of it ----------------------------------------------------------------------------- */

typedef struct aged {
    uint64_t age;
    PyObject *item; /* owned */
} aged;

static int oldest_first(const void *a, const void *b)
{
    uint64_t x = ((const aged *)a)->age, y = ((const aged *)b)->age;
    return x > y ? -1 : x < y;
}

/* In the order of their puts; list.sort is stable, so equals stay so. */
static PyObject *snapshot(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    RecordObject *q = (RecordObject *)self;
    rg_slot *s = rg_begin(q->st, q, "snapshot");
    if (!s) return NULL;
    rg_pin(s);
    rg_wide *now = rg_record_of(s, &q->root);
    size_t n = (size_t)rg_record_size(now), i = 0;
    aged *all = PyMem_RawMalloc((n + 1) * sizeof *all);
    rg_heap_walk w;
    rg_heap_walk_from(&w, now);
    for (rg_wide *at; all && (at = rg_heap_walk_next(&w));) all[i++] = (aged){ rg_heap_age(at, now), Py_NewRef(payload(at)) };
    rg_unpin(s);
    if (!all) return PyErr_NoMemory();
    qsort(all, n, sizeof *all, oldest_first);
    PyObject *list = rg_new_list((Py_ssize_t)n);
    for (i = 0; i < n; i++) {
        if (list)
            PyList_SET_ITEM(list, (Py_ssize_t)i, all[i].item);
        else
            Py_DECREF(all[i].item);
    }
    PyMem_RawFree(all);
    if (list && PyList_Sort(list) < 0) Py_CLEAR(list);
    return list;
}

static PyObject *new(PyTypeObject *type, PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(kw))
{
    return rg_record_object_new(type, true);
}

static PyMethodDef methods[] = {
    { "put_nowait", put_nowait, METH_O, PyDoc_STR(PUT_NOWAIT_DOC) },
    { "get_nowait", get_nowait, METH_NOARGS, PyDoc_STR(GET_NOWAIT_DOC) },
    { "snapshot", snapshot, METH_NOARGS, PyDoc_STR("snapshot($self, /)\n--\n\n"
      "A list of all items at one instant, in the order in which they would be got. Never blocks; wait-free in practice,\n"
      "but for what comparing the items takes.\n\n"
      ">>> from lockfree import PriorityQueue\n>>> q = PriorityQueue()\n>>> q.put(2); q.put(1)\n>>> q.snapshot()\n[1, 2]") },
    RG_RECORD_METHODS("PriorityQueue"),
};
static PyType_Slot slots[] = {
    { Py_tp_doc, "PriorityQueue(maxsize=0)\n--\n\n"
      "A queue that gives the least item first, which threads share without locks: queue.PriorityQueue's interface, and more.\n\n"
      "put, get and peek are methods and reagents. Items are compared by <, O(log n) times an operation, and equal ones come\n"
      "out in the order of their puts. A __lt__ may do anything, and if it raises, the operation raises and nothing has\n"
      "changed; an operation that finds the queue changed after it starts again. With maxsize > 0 put waits while there are\n"
      "so many items. All that it says of itself (its size, whether it is full or shut down) is of one instant. Who waits is\n"
      "woken one by one, in the order of arrival; who comes later may still be faster.\n\n"
      ">>> from lockfree import PriorityQueue\n>>> q = PriorityQueue()\n>>> q.put((2, 'b')); q.put((1, 'a'))\n"
      ">>> q.get(), len(q)\n((1, 'a'), 1)" },
    { Py_tp_new, new },
    { Py_tp_init, rg_record_init },
    { Py_tp_dealloc, rg_record_dealloc },
    { Py_tp_traverse, rg_record_traverse },
    { Py_tp_clear, rg_record_clear },
    { Py_tp_repr, rg_record_repr },
    { Py_sq_length, rg_record_len },
    { Py_tp_methods, methods },
    { Py_tp_members, rg_record_members },
    { Py_tp_getset, rg_record_getset },
    { 0, NULL },
};
PyType_Spec rg_priority_spec = {
    .name = "lockfree.PriorityQueue",
    .basicsize = sizeof(RecordObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .slots = slots,
};
const rg_op *const rg_priority_ops[] = { &op_put, &op_get, &op_peek, NULL };
