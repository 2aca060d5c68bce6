/* lifo.c - lockfree.LifoQueue: a list below a record (core/record.h).
 *
 * A node's payload owns a reference, which a direct get hands to the caller; `lookers` is as in stack.h. In a reaction only
 * the root is logged.
 */
#include "record.h"

#define ROOM 3 /* retired by a get: the node, the record, the payload */

static PyObject *payload(rg_node *n) { return (PyObject *)(uintptr_t)n->value; }

/* ---- reagents ---------------------------------------------------------------------------------- */

static rx_outcome step_put(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    RecordObject *q = (RecordObject *)n->a;
    rx_entry *e = rg_record_entry(r, q);
    if (!e) return RX_ERROR;
    rx_outcome o = rg_record_may_put(r, q, e);
    if (o != RX_DONE) return o;
    rg_node *node = rg_record_room(r, 1, 0) ? rx_new_node(r, x) : NULL;
    if (!node) return RX_ERROR;
    rg_wide *was = rg_record_seen(e);
    rg_store_rlx(&node->next, rg_record_top(was)); /* relaxed: private until published */
    o = rg_record_write(r, q, rg_record_grown(r->slot, was, rg_node_word(node)));
    if (o == RX_DONE) *y = Py_NewRef(Py_None);
    return o;
}

/* The first payload, with a reference; RX_RETRY when the root changed under the look. */
static rx_outcome look(rx *r, RecordObject *q, rx_entry *e, rg_node **first, PyObject **y)
{
    rg_node *n = *first = rg_node_of(rg_record_top(rg_record_seen(e)));
    if (rx_is_private(r, n)) {
        *y = Py_NewRef(payload(n));
        return RX_DONE;
    }
    rg_look(&q->lookers);
    /* Counted in, look whether the root that we know is still the root: then nobody has taken the payload of any node
     * below it without seeing us. */
    bool still = rg_read(r->space, r->me, e->word) == e->old;
    if (still) *y = Py_NewRef(payload(n));
    rg_looked(&q->lookers);
    return still ? RX_DONE : RX_RETRY;
}

static rx_outcome step_get(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    (void)x;
    RecordObject *q = (RecordObject *)n->a;
    rx_entry *e = rg_record_entry(r, q);
    if (!e) return RX_ERROR;
    rx_outcome o = rg_record_may_get(r, q, e);
    rg_node *first;
    PyObject *v;
    if (o == RX_DONE) o = look(r, q, e, &first, &v);
    if (o != RX_DONE) return o;
    o = rg_record_room(r, 0, 1) && rx_unlink(r, first, v) ? RX_DONE : RX_ERROR;
    /* relaxed: never changes */
    if (o == RX_DONE) o = rg_record_write(r, q, rg_record_shrunk(r->slot, rg_record_seen(e), rg_load_rlx(&first->next)));
    if (o == RX_DONE)
        *y = v;
    else
        rx_drop(r, v);
    return o;
}

static rx_outcome step_peek(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    (void)x;
    RecordObject *q = (RecordObject *)n->a;
    rx_entry *e = rg_record_entry(r, q);
    if (!e) return RX_ERROR;
    rx_outcome o = rg_record_may_get(r, q, e);
    rg_node *first;
    return o == RX_DONE ? look(r, q, e, &first, y) : o;
}

/* ---- direct calls -------------------------------------------------------------------------------- */

/* Each has one try where nothing is in the way; what is in the way is the slow one's business, which `t` tells what it was. */

static void lost(RecordObject *q, rg_slot *s, rg_record_tried t, rg_backoff *b)
{
    if (t == RG_RECORD_LOST) rg_lost(s, b);
    if (t == RG_RECORD_BUSY) (void)rg_record_of(s, &q->root);
}

static RG_SLOW rg_record_tried put_slow(RecordObject *q, rg_node *n, PyObject *v, rg_record_tried t)
{
    rg_slot *s = rg_begin(q->st, q, "put");
    if (!s) return RG_RECORD_MEMORY;
    if ((!n && !(n = rg_node_new(s, (uint64_t)(uintptr_t)Py_NewRef(v)))) || !rg_reserve(s, ROOM)) {
        if (n) rg_node_free(s, n);
        Py_DECREF(v);
        PyErr_NoMemory();
        return RG_RECORD_MEMORY;
    }
    rg_pin(s);
    rg_backoff b = { 0 };
    while (t == RG_RECORD_LOST || t == RG_RECORD_BUSY) {
        lost(q, s, t, &b);
        t = rg_lifo_try_put(s, &q->root, n);
    }
    if (t == RG_RECORD_DONE)
        rg_record_was_put(s, q);
    else
        rg_node_free(s, n);
    rg_unpin(s);
    if (t == RG_RECORD_MEMORY) PyErr_NoMemory();
    if (t != RG_RECORD_DONE) Py_DECREF(v);
    return t;
}

static rg_record_tried put(RecordObject *q, PyObject *v)
{
    rg_slot *s = rg_at_hand(q->st);
    rg_node *n = s && rg_has_room(s, ROOM) ? rg_node_kept(s, (uint64_t)(uintptr_t)v) : NULL;
    if (__builtin_expect(!n, 0)) return put_slow(q, NULL, v, RG_RECORD_BUSY);
    rg_store_rlx(&n->meta, 0); /* relaxed: private */
    Py_INCREF(v);
    if (__builtin_expect(!rg_glance(s), 0)) return put_slow(q, n, v, RG_RECORD_BUSY);
    rg_record_tried t = rg_lifo_try_put(s, &q->root, n);
    rg_glanced(s);
    if (__builtin_expect(t != RG_RECORD_DONE, 0)) return put_slow(q, n, v, t);
    rg_record_was_put(s, q);
    rg_reclaim_when_due(s);
    return t;
}

static RG_SLOW rg_record_tried get_slow(RecordObject *q, PyObject **v, rg_record_tried t)
{
    rg_slot *s = rg_begin(q->st, q, "get");
    if (!s) return RG_RECORD_MEMORY;
    if (!rg_reserve(s, ROOM)) {
        PyErr_NoMemory();
        return RG_RECORD_MEMORY;
    }
    rg_pin(s);
    rg_backoff b = { 0 };
    uint64_t value = 0;
    while (t == RG_RECORD_LOST || t == RG_RECORD_BUSY) {
        lost(q, s, t, &b);
        t = rg_lifo_try_get(s, &q->root, &value);
    }
    if (t == RG_RECORD_DONE) {
        *v = rg_take_payload(s, &q->lookers, value);
        rg_record_was_got(s, q);
    }
    rg_unpin(s);
    if (t == RG_RECORD_MEMORY) PyErr_NoMemory();
    return t;
}

static rg_record_tried get(RecordObject *q, PyObject **v)
{
    rg_slot *s = rg_at_hand(q->st);
    if (__builtin_expect(!s || !rg_has_room(s, ROOM) || !rg_glance(s), 0)) return get_slow(q, v, RG_RECORD_BUSY);
    uint64_t value = 0;
    rg_record_tried t = rg_lifo_try_get(s, &q->root, &value);
    if (__builtin_expect(t == RG_RECORD_DONE, 1)) *v = rg_take_payload(s, &q->lookers, value);
    rg_glanced(s);
    if (__builtin_expect(t != RG_RECORD_DONE, 0)) return t == RG_RECORD_EMPTY ? t : get_slow(q, v, t);
    rg_record_was_got(s, q);
    rg_reclaim_when_due(s);
    return t;
}

static rg_record_tried peek(RecordObject *q, PyObject **v)
{
    rg_slot *s = rg_begin(q->st, q, "peek");
    if (!s) return RG_RECORD_MEMORY;
    rg_pin(s);
    rg_look(&q->lookers);
    rg_wide *now = rg_record_of(s, &q->root);
    bool some = rg_record_size(now) != 0, closed = rg_record_closed(now);
    if (some) *v = Py_NewRef(payload(rg_node_of(rg_record_top(now))));
    rg_looked(&q->lookers);
    rg_unpin(s);
    return some ? RG_RECORD_DONE : closed ? RG_RECORD_CLOSED : RG_RECORD_EMPTY;
}

#define NAME "LifoQueue"
#define PUT_TEXT "Put item on top."
#define GET_TEXT "Take the item that was put last."
#define PEEK_TEXT "The item that was put last, which stays."
#define SOURCE "(Treiber 1986, with a root that is replaced as a whole)"
#include "record_calls.h"

/* ---- the whole of it ----------------------------------------------------------------------------- */

static PyObject *snapshot(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    RecordObject *q = (RecordObject *)self;
    rg_slot *s = rg_begin(q->st, q, "snapshot");
    PyObject *list = NULL;
    if (!s) return NULL;
    /* A list long enough first: nothing may be allocated by the collector's leave while pinned. */
    for (;;) {
        rg_pin(s);
        uint64_t n = rg_record_size(rg_record_of(s, &q->root));
        rg_unpin(s);
        Py_XDECREF(list);
        if (!(list = rg_new_list((Py_ssize_t)n))) return NULL;
        rg_pin(s);
        rg_look(&q->lookers);
        rg_wide *now = rg_record_of(s, &q->root); /* linearizes here: what hangs below it does not change */
        bool fits = rg_record_size(now) == n;
        Py_ssize_t i = 0;
        for (rg_node *at = fits ? rg_node_of(rg_record_top(now)) : NULL; at; at = rg_node_of(rg_load_rlx(&at->next)))
            PyList_SET_ITEM(list, i++, Py_NewRef(payload(at)));
        rg_looked(&q->lookers);
        rg_unpin(s);
        if (fits) return list;
    }
}

static PyObject *new(PyTypeObject *type, PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(kw))
{
    return rg_record_object_new(type, false);
}

static PyMethodDef methods[] = {
    { "put_nowait", put_nowait, METH_O, PyDoc_STR(PUT_NOWAIT_DOC) },
    { "get_nowait", get_nowait, METH_NOARGS, PyDoc_STR(GET_NOWAIT_DOC) },
    { "snapshot", snapshot, METH_NOARGS, PyDoc_STR("snapshot($self, /)\n--\n\n"
      "A list of all items at one instant, the one to be got first in front. Never blocks; repeats while others put\n"
      "and get.\n\n"
      ">>> from lockfree import LifoQueue\n>>> q = LifoQueue()\n>>> q.put(1); q.put(2)\n>>> q.snapshot()\n[2, 1]") },
    RG_RECORD_METHODS("LifoQueue"),
};
static PyType_Slot slots[] = {
    { Py_tp_doc, "LifoQueue(maxsize=0)\n--\n\n"
      "A last-in, first-out queue that threads share without locks: queue.LifoQueue's interface, and more.\n\n"
      "put, get and peek are methods and reagents. With maxsize > 0 put waits while there are so many items. All that it\n"
      "says of itself (its size, whether it is full or shut down) is of one instant. Who waits is woken one by one, in the\n"
      "order of arrival; who comes later may still be faster. Unbounded and with nobody joining, a Stack is faster.\n\n"
      ">>> from lockfree import LifoQueue\n>>> q = LifoQueue(2)\n>>> q.put('a'); q.put('b')\n>>> q.full(), q.get()\n(True, 'b')" },
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
PyType_Spec rg_lifo_spec = {
    .name = "lockfree.LifoQueue",
    .basicsize = sizeof(RecordObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .slots = slots,
};
const rg_op *const rg_lifo_ops[] = { &op_put, &op_get, &op_peek, NULL };
