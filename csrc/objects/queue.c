/* queue.c - lockfree.Queue: the Michael-Scott queue (core/queue.h) of objects.
 *
 * In a reaction, put logs the last node's `next`; get logs `head`, and, if the queue is empty,
 * the dummy's `next`. A `next` that is not 0 never changes and need not be logged; head need not
 * be compared when `next` is 0, because head cannot have passed the end.
 *
 * A get may pass nodes that a put of the same reaction has made, and so pass tail. tail must not
 * fall behind head (a node that head has passed is retired), so such a get writes tail as well.
 */
#include "containers.h"

typedef struct QueueObject {
    PyObject_HEAD
    rg_state *st;
    PyObject *weakrefs;
    rg_queue q;
    rg_takers takers;
} QueueObject;

static PyObject *payload(rg_node *n) { return (PyObject *)(uintptr_t)n->value; }

/* ---- reagents ---------------------------------------------------------------------------------- */

/* The link of a node as this reaction sees it: from the log, or for good once it is not 0. */
static bool next_of(rx *r, QueueObject *q, rg_node *n, uint64_t *next, rx_entry **entry)
{
    *entry = NULL;
    if (!rx_is_private(r, n) && (*next = rg_read(&r->st->domain->space, r->slot->index, &n->next))) return true;
    *entry = rx_read_private(r, &n->next, WORD_NODE, n);
    if (!*entry) return false;
    rx_is_part(*entry, &q->takers, PART_QUEUE_LINK);
    *next = (*entry)->cur;
    return true;
}

static rx_outcome step_put(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    QueueObject *q = (QueueObject *)n->a;
    rg_node *last = rg_queue_last(r->slot, &q->q);
    uint64_t next;
    rx_entry *e;
    for (;;) {
        if (!next_of(r, q, last, &next, &e)) return RX_ERROR;
        if (!next) break;
        last = rg_node_of(next); /* put by others meanwhile, or by this reaction */
    }
    rg_node *node = rx_new_node(r, x);
    if (!node) return RX_ERROR;
    rg_node_place(node, rg_node_position(last) + 1);
    if (!rx_write(r, e, rg_node_word(node))) return RX_ERROR;
    *y = Py_NewRef(Py_None);
    return RX_DONE;
}

/* The first item's node, with head in the log; RX_BLOCK if there is none, with only the dummy's
 * next in the log: a reaction that waits for an item is not woken by gets. */
static rx_outcome first(rx *r, QueueObject *q, uint64_t *dummy, uint64_t *next)
{
    rx_entry *e, *head = rx_find(r, &q->q.head);
    *dummy = head ? head->cur : rg_read(&r->st->domain->space, r->slot->index, &q->q.head);
    if (!next_of(r, q, rg_node_of(*dummy), next, &e)) return RX_ERROR;
    if (!*next) {
        e->vacant |= !head; /* with head in the log, it is what this reaction has left of the queue that is empty */
        return RX_BLOCK;
    }
    head = rx_read_private(r, &q->q.head, WORD_NODE, NULL);
    if (!head) return RX_ERROR;
    rx_is_part(head, &q->takers, PART_QUEUE_HEAD);
    return head->cur == *dummy ? RX_DONE : RX_RETRY;
}

static rx_outcome look(rx *r, QueueObject *q, uint64_t node, PyObject **y)
{
    rg_node *n = rg_node_of(node);
    if (rx_is_private(r, n)) {
        *y = Py_NewRef(payload(n));
        return RX_DONE;
    }
    rx_entry *head = rx_read_private(r, &q->q.head, WORD_NODE, NULL); /* in the log already */
    rg_look(&q->q.lookers);
    bool still = rg_read(r->space, r->me, &q->q.head) == head->old;
    if (still) *y = Py_NewRef(payload(n));
    rg_looked(&q->q.lookers);
    return still ? RX_DONE : RX_RETRY;
}

/* head is about to pass `dummy` on to `next`: keep tail from falling behind. */
static rx_outcome move_tail(rx *r, QueueObject *q, uint64_t dummy, uint64_t next)
{
    const rg_space *sp = &r->st->domain->space;
    rg_node *d = rg_node_of(dummy);
    if (!rx_is_private(r, d) && rg_read(sp, r->slot->index, &d->next)) {
        /* The list goes on for everybody: helping is enough, and tail only moves forward. */
        if (rg_read(sp, r->slot->index, &q->q.tail) == dummy) rg_cas(&q->q.tail, dummy, next);
        return RX_DONE;
    }
    rx_entry *tail = rx_read_private(r, &q->q.tail, WORD_NODE, NULL);
    if (!tail) return RX_ERROR;
    /* `dummy` ends the published list or is ours, so tail is at it, unless it lags: put brought it
     * up before it logged, so this reaction is stale. */
    if (tail->cur != dummy) return RX_RETRY;
    return rx_write(r, tail, next) ? RX_DONE : RX_ERROR;
}

static rx_outcome step_get(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    (void)x;
    QueueObject *q = (QueueObject *)n->a;
    uint64_t dummy, next;
    PyObject *v;
    rx_outcome o = first(r, q, &dummy, &next);
    if (o == RX_DONE) o = look(r, q, next, &v);
    if (o != RX_DONE) return o;
    o = move_tail(r, q, dummy, next);
    if (o == RX_DONE) {
        /* The old dummy goes, and the reference of the new one to its payload, now spent. */
        rx_entry *head = rx_read_private(r, &q->q.head, WORD_NODE, NULL);
        if (head && rx_unlink(r, rg_node_of(dummy), v) && rx_write(r, head, next)) {
            *y = v;
            return RX_DONE;
        }
        o = RX_ERROR;
    }
    rx_drop(r, v);
    return o;
}

static rx_outcome step_peek(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    (void)x;
    uint64_t dummy, next;
    rx_outcome o = first(r, (QueueObject *)n->a, &dummy, &next);
    return o == RX_DONE ? look(r, (QueueObject *)n->a, next, y) : o;
}

/* ---- direct calls -------------------------------------------------------------------------------- */

/* Each has one try where nothing is in the way; what is in the way is the slow one's business. */

static RG_SLOW bool put_slow(QueueObject *q, rg_node *n, PyObject *v, rg_tried t)
{
    rg_slot *s = rg_begin(q->st, q, "put");
    if (!s) return false;
    if (!n && !(n = rg_node_new(s, (uint64_t)(uintptr_t)Py_NewRef(v)))) {
        Py_DECREF(v);
        PyErr_NoMemory();
        return false;
    }
    rg_pin(s);
    rg_backoff b = { 0 };
    if (t == RG_TRIED_LOST) rg_lost(s, &b);
    rg_wake_added(s, &q->takers.list, rg_queue_put(s, &q->q, n));
    rg_unpin(s);
    return true;
}

static bool put(QueueObject *q, PyObject *v)
{
    rg_slot *s = rg_at_hand(q->st);
    rg_node *n = s ? rg_node_kept(s, (uint64_t)(uintptr_t)v) : NULL;
    if (__builtin_expect(!n, 0)) return put_slow(q, NULL, v, RG_TRIED_BUSY);
    Py_INCREF(v);
    if (__builtin_expect(!rg_glance(s), 0)) return put_slow(q, n, v, RG_TRIED_BUSY);
    rg_word *changed;
    rg_tried t = rg_queue_try_put(s, &q->q, n, &changed);
    rg_glanced(s);
    if (__builtin_expect(t != RG_TRIED_DONE, 0)) return put_slow(q, n, v, t);
    rg_wake_added(s, &q->takers.list, changed);
    return true;
}

/* Pinned, or in a glance; two places are reserved. */
static inline PyObject *taken(QueueObject *q, rg_slot *s, rg_node *old, uint64_t value)
{
    PyObject *v = rg_take_payload(s, &q->q.lookers, value);
#ifdef RG_EXCLUSIVE
    rg_node_expired(s, old);
#else
    rg_retire_lazily(s, old, rg_node_expired);
#endif
    return v;
}

static RG_SLOW PyObject *get_slow(QueueObject *q, rg_tried t)
{
    rg_slot *s = rg_begin(q->st, q, "get");
    if (!s) return NULL;
    if (!rg_reserve(s, 2)) return PyErr_NoMemory();
    rg_pin(s);
    rg_backoff b = { 0 };
    if (t == RG_TRIED_LOST) rg_lost(s, &b);
    uint64_t value;
    rg_node *old = rg_queue_get(s, &q->q, &value);
    PyObject *v = old ? taken(q, s, old, value) : NULL;
    if (v) rg_wake(s, &q->q.head);
    rg_unpin(s);
    return v;
}

/* New reference, or NULL: empty, or an error is set. */
static PyObject *get(QueueObject *q)
{
    rg_slot *s = rg_at_hand(q->st);
    if (__builtin_expect(!s || !rg_has_room(s, 2) || !rg_glance(s), 0)) return get_slow(q, RG_TRIED_BUSY);
    rg_node *old;
    uint64_t value;
    rg_tried t = rg_queue_try_get(s, &q->q, &old, &value);
    PyObject *v = t == RG_TRIED_DONE ? taken(q, s, old, value) : NULL;
    rg_glanced(s);
    if (__builtin_expect(!v, 0)) return t == RG_TRIED_EMPTY ? NULL : get_slow(q, t);
    rg_wake(s, &q->q.head);
    rg_reclaim_when_due(s);
    return v;
}

static PyObject *direct_put(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kw)
{
    QueueObject *q = (QueueObject *)self;
    PyObject *item = nargs ? args[0] : NULL;
    rg_blocking how;
    /* Unbounded: block and timeout are checked and have no effect. */
    if ((nargs != 1 || kw) && !rg_parse_blocking(q->st, "put", args, nargs, kw, 1, &item, &how)) return NULL;
    if (!put(q, item)) return NULL;
    Py_RETURN_NONE;
}

extern const rg_op rg_op_queue_get, rg_op_queue_peek;

static PyObject *direct_get(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kw)
{
    QueueObject *q = (QueueObject *)self;
    rg_blocking how = { true, -1 };
    if ((nargs || kw) && !rg_parse_blocking(q->st, "get", args, nargs, kw, 0, NULL, &how)) return NULL;
    PyObject *v = get(q);
    if (v || PyErr_Occurred()) return v;
    return rg_wait_for(q->st, &rg_op_queue_get, self, how, q->st->queue_empty);
}

static PyObject *direct_peek(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kw)
{
    QueueObject *q = (QueueObject *)self;
    rg_blocking how;
    if (!rg_parse_blocking(q->st, "peek", args, nargs, kw, 0, NULL, &how)) return NULL;
    return rg_wait_for(q->st, &rg_op_queue_peek, self, how, q->st->queue_empty);
}

static PyObject *queue_put_nowait(PyObject *self, PyObject *item)
{
    if (!put((QueueObject *)self, item)) return NULL;
    Py_RETURN_NONE;
}

static PyObject *queue_get_nowait(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    PyObject *v = get((QueueObject *)self);
    if (!v && !PyErr_Occurred()) PyErr_SetNone(((QueueObject *)self)->st->queue_empty);
    return v;
}

RG_BOUND(put)
static const rg_op op_put = { .name = "put", .step = step_put, .direct = direct_put, .bound = direct_put_bound,
    .doc = "put($self, item, block=True, timeout=None)\n--\n\n"
    "Put item at the end. Never blocks, the queue being unbounded; block and timeout are there for\n"
    "queue.Queue's sake. A method and a reagent. Lock-free (Michael and Scott, PODC 1996).\n\n"
    ">>> from lockfree import Queue\n>>> q = Queue()\n>>> q.put('a')\n>>> q.qsize()\n1" };
RG_BOUND(get)
const rg_op rg_op_queue_get = { .name = "get", .step = step_get, .direct = direct_get, .bound = direct_get_bound,
    .doc = "get($self, block=True, timeout=None)\n--\n\n"
    "Take the first item. Waits while there is none, at most timeout seconds; raises queue.Empty when it may\n"
    "not wait any longer. A method and a reagent. Lock-free but for the waiting (Michael and Scott, 1996).\n\n"
    ">>> from lockfree import Queue\n>>> q = Queue()\n>>> q.put('a')\n>>> q.get()\n'a'" };
const rg_op rg_op_queue_peek = { .name = "peek", .step = step_peek, .direct = direct_peek,
    .doc = "peek($self, block=True, timeout=None)\n--\n\n"
    "The first item, which stays. Waits and raises as get. A method and a reagent. Lock-free.\n\n"
    ">>> from lockfree import Queue\n>>> q = Queue()\n>>> q.put('a')\n>>> q.peek(), q.qsize()\n('a', 1)" };
const rg_op *const rg_queue_ops[] = { &op_put, &rg_op_queue_get, &rg_op_queue_peek, NULL };

/* ---- sizes --------------------------------------------------------------------------------------- */

static Py_ssize_t queue_len(PyObject *self)
{
    QueueObject *q = (QueueObject *)self;
    rg_slot *s = rg_begin(q->st, q, "qsize");
    if (!s) return -1;
    rg_pin(s);
    Py_ssize_t n = (Py_ssize_t)rg_queue_size(s, &q->q);
    rg_unpin(s);
    return n;
}

static PyObject *queue_qsize(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    Py_ssize_t n = queue_len(self);
    return n < 0 ? NULL : PyLong_FromSsize_t(n);
}

static PyObject *queue_empty(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    Py_ssize_t n = queue_len(self);
    return n < 0 ? NULL : PyBool_FromLong(n == 0);
}

static PyObject *queue_full(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(ignored)) { Py_RETURN_FALSE; }

static PyObject *queue_repr(PyObject *self)
{
    const char *name = strrchr(Py_TYPE(self)->tp_name, '.');
    Py_ssize_t n = queue_len(self);
    return n < 0 ? NULL : PyUnicode_FromFormat("<%s at %p, %zd items>", name ? name + 1 : Py_TYPE(self)->tp_name, self, n);
}

/* ---- life ---------------------------------------------------------------------------------------- */

static PyObject *queue_new(PyTypeObject *type, PyObject *args, PyObject *kw)
{
    (void)args, (void)kw;
    rg_state *st = rg_state_of(type);
    rg_slot *slot = st ? rg_here(st) : NULL;
    QueueObject *q = slot ? (QueueObject *)type->tp_alloc(type, 0) : NULL;
    if (!q) return NULL;
    q->st = st;
    rg_list_init(&q->takers.list);
    q->takers.of = (PyObject *)q;
    rg_node *dummy = rg_node_new(slot, 0);
    if (!dummy) {
        Py_DECREF(q);
        return PyErr_NoMemory();
    }
    rg_store_rlx(&q->q.head, rg_node_word(dummy)); /* relaxed: private yet */
    rg_store_rlx(&q->q.tail, rg_node_word(dummy));
    return (PyObject *)q;
}

static int queue_init(PyObject *self, PyObject *args, PyObject *kw)
{
    (void)self;
    static char *names[] = { "maxsize", NULL };
    PyObject *maxsize = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, kw, "|O:Queue", names, &maxsize)) return -1;
    if (!maxsize) return 0;
    Py_ssize_t n = PyNumber_AsSsize_t(maxsize, PyExc_OverflowError);
    if (n == -1 && PyErr_Occurred()) return -1;
    if (n > 0) {
        PyErr_Format(PyExc_ValueError, "maxsize must be 0 (or negative): this Queue is unbounded, not %zd", n);
        return -1;
    }
    return 0;
}

static int queue_traverse(PyObject *self, visitproc visit, void *arg)
{
    QueueObject *q = (QueueObject *)self;
    Py_VISIT(Py_TYPE(self));
    rg_node *n = rg_node_of(rg_load(&q->q.head));
    if (!n) return 0;
    while ((n = rg_node_of(rg_load(&n->next)))) Py_VISIT(payload(n));
    return 0;
}

static int queue_clear(PyObject *self)
{
    PyObject *v, *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback); /* of whoever let go of us */
    /* Whoever is called by a destructor may put more: the next look sees it. */
    while ((v = get((QueueObject *)self))) rg_release(v);
    PyErr_Restore(type, value, traceback);
    return 0;
}

static void queue_dealloc(PyObject *self)
{
    QueueObject *q = (QueueObject *)self;
    PyObject_GC_UnTrack(self);
    if (q->weakrefs) PyObject_ClearWeakRefs(self);
    rg_node *dummy = rg_node_of(rg_load(&q->q.head));
    if (dummy) {
        queue_clear(self);
        dummy = rg_node_of(rg_load(&q->q.head));
        rg_slot *s = rg_here_quietly(q->st);
        if (s && rg_reserve(s, 1)) rg_retire_lazily(s, dummy, rg_node_expired);
    }
    rg_free_late(q->st, self);
}

static PyMethodDef methods[] = {
    { "put_nowait", queue_put_nowait, METH_O, PyDoc_STR("put_nowait($self, item, /)\n--\n\n"
      "The same as put(item). Lock-free.\n\n>>> from lockfree import Queue\n>>> Queue().put_nowait(1)") },
    { "get_nowait", queue_get_nowait, METH_NOARGS, PyDoc_STR("get_nowait($self, /)\n--\n\n"
      "Take the first item; raises queue.Empty at once when there is none. Lock-free.\n\n"
      ">>> from lockfree import Queue\n>>> q = Queue()\n>>> q.put(1)\n>>> q.get_nowait()\n1") },
    { "qsize", queue_qsize, METH_NOARGS, PyDoc_STR("qsize($self, /)\n--\n\n"
      "How many items there are; exact when no other thread is using the queue. Wait-free in practice.\n\n"
      ">>> from lockfree import Queue\n>>> Queue().qsize()\n0") },
    { "empty", queue_empty, METH_NOARGS, PyDoc_STR("empty($self, /)\n--\n\nWhether qsize() is 0.\n\n"
      ">>> from lockfree import Queue\n>>> Queue().empty()\nTrue") },
    { "full", queue_full, METH_NOARGS, PyDoc_STR("full($self, /)\n--\n\nFalse: the queue is unbounded.\n\n"
      ">>> from lockfree import Queue\n>>> Queue().full()\nFalse") },
    { "__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, NULL },
    { "__reduce__", rg_refuse_pickle, METH_NOARGS, NULL },
    { NULL },
};
static PyMemberDef members[] = {
    { "__weaklistoffset__", Py_T_PYSSIZET, offsetof(QueueObject, weakrefs), Py_READONLY, NULL },
    { NULL },
};
static PyType_Slot slots[] = {
    { Py_tp_doc, "Queue(maxsize=0)\n--\n\n"
      "A first-in, first-out queue that threads share without locks: Michael and Scott, PODC 1996.\n\n"
      "The interface of queue.SimpleQueue; put, get and peek are methods and reagents. Unbounded: a positive\n"
      "maxsize raises ValueError. Blocked getters are woken in the order of their arrival;\n"
      "who comes later may still be faster.\n\n"
      ">>> from lockfree import Queue\n>>> q = Queue()\n>>> q.put(1); q.put(2)\n>>> q.get(), q.qsize()\n(1, 1)" },
    { Py_tp_new, queue_new },
    { Py_tp_init, queue_init },
    { Py_tp_dealloc, queue_dealloc },
    { Py_tp_traverse, queue_traverse },
    { Py_tp_clear, queue_clear },
    { Py_tp_repr, queue_repr },
    { Py_sq_length, queue_len },
    { Py_tp_methods, methods },
    { Py_tp_members, members },
    { 0, NULL },
};
PyType_Spec rg_queue_spec = {
    .name = "lockfree.Queue",
    .basicsize = sizeof(QueueObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .slots = slots,
};
