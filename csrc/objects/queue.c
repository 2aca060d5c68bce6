/* queue.c - lockfree.Queue: the Michael-Scott queue (core/queue.h) of objects. put, get and peek.
 *
 * In a reaction, put logs the last node's `next`; get logs `head`, and, if the queue is empty,
 * the dummy's `next`. A `next` that is not 0 never changes and need not be logged; head need not
 * be compared when `next` is 0, because head cannot have passed the end.
 *
 * A get may pass nodes that a put of the same reaction has made, and so pass tail. tail must not
 * fall behind head (a node that head has passed is retired), so such a get writes tail as well.
 *
 * Bounded: that there is room need not be logged either, for it stays while the last node does: a put conflicts with
 * other puts only. That there is none is what `head` says, with the last node's `next` (still open) and `maxsize`: the
 * log has all three, and the reaction waits as one of the takers of room. A get of the same reaction makes room for the
 * puts after it; a put that has only that for a place depends on `head`, which that get has logged.
 *
 * Closed: the last `next` says so for ever, and is not logged. The error is the reaction's: validated, so that what led to
 * it is true at one instant.
 */
#include "queue.h"

/* ---- reagents ---------------------------------------------------------------------------------- */

bool rg_queue_next_of(rx *r, QueueObject *q, rg_node *n, uint64_t *next, rx_entry **entry)
{
    *entry = NULL;
    if (!rx_is_private(r, n) && (*next = rg_read(&r->st->domain->space, r->slot->index, &n->next))) return true;
    *entry = rx_read_private(r, &n->next, WORD_NODE, n);
    if (!*entry) return false;
    rx_is_part(*entry, &q->takers, PART_QUEUE_LINK);
    rx_has_room(*entry, &q->room);
    *next = (*entry)->cur;
    if (*next == RG_QUEUE_CLOSED) (*entry)->kind = WORD_INT; /* by now: no node to hold */
    return true;
}

static rx_entry *head_of(rx *r, QueueObject *q)
{
    rx_entry *head = rx_read_private(r, &q->q.head, WORD_NODE, NULL);
    if (!head) return NULL;
    rx_is_part(head, &q->takers, PART_QUEUE_HEAD);
    rx_has_room(head, &q->room);
    return head;
}

rx_outcome rg_queue_error(rx *r, PyObject *type, const char *text)
{
    rx_outcome o = rx_leave(r);
    if (o != RX_DONE) return o;
    if (text)
        PyErr_SetString(type, text);
    else
        PyErr_SetNone(type);
    return rx_return(r, NULL);
}

static rx_outcome shut_down(rx *r, QueueObject *q) { return rg_queue_error(r, q->st->shut_down, NULL); }

/* Of a reason to wait for room. */
static void is_full(rx_entry *e, QueueObject *q)
{
    rx_has_room(e, &q->room);
    e->full = 1;
}

/* May this reaction put a node of number p behind `last`? RX_DONE, RX_BLOCK, RX_ERROR. */
static rx_outcome room_behind(rx *r, QueueObject *q, rg_node *last, uint64_t p)
{
    if (rg_queue_has_room(r->slot, &q->q, p)) return RX_DONE;
    rx_entry *max = rx_read_private(r, &q->q.maxsize, WORD_INT, NULL);
    rx_entry *head = max ? head_of(r, q) : NULL;
    if (!head) return RX_ERROR;
    max = rx_find(r, &q->q.maxsize); /* the log may have moved */
    if (rg_ahead(p, rg_node_position(rg_node_of(head->cur))) <= (int64_t)rg_queue_limit(max->cur)) return RX_DONE;
    if (head->dirty || rx_is_private(r, last)) return RX_BLOCK; /* it is what this reaction has made of the queue that is full */
    is_full(max, q);
    is_full(head, q);
    is_full(rx_find(r, &last->next), q);
    return RX_BLOCK;
}

static rx_outcome step_put(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    QueueObject *q = (QueueObject *)n->a;
    rg_node *last = rg_queue_last(r->slot, &q->q);
    uint64_t next;
    rx_entry *e;
    for (;;) {
        if (!rg_queue_next_of(r, q, last, &next, &e)) return RX_ERROR;
        if (rg_queue_ends(next)) break;
        last = rg_node_of(next); /* put by others meanwhile, or by this reaction */
    }
    if (next) return shut_down(r, q);
    uint64_t p = rg_node_position(last) + 1;
    rx_outcome o = room_behind(r, q, last, p);
    if (o != RX_DONE) return o;
    rg_node *node = rx_new_node(r, x);
    if (!node) return RX_ERROR;
    rg_node_place(node, p);
    if (!rx_write(r, rx_find(r, &last->next), rg_node_word(node))) return RX_ERROR;
    *y = Py_NewRef(Py_None);
    return RX_DONE;
}

/* The first item's node, with head in the log; RX_BLOCK if there is none, with only the dummy's
 * next in the log: a reaction that waits for an item is not woken by gets. */
static rx_outcome first(rx *r, QueueObject *q, uint64_t *dummy, uint64_t *next)
{
    rx_entry *e, *head = rx_find(r, &q->q.head);
    *dummy = head ? head->cur : rg_read(&r->st->domain->space, r->slot->index, &q->q.head);
    if (!rg_queue_next_of(r, q, rg_node_of(*dummy), next, &e)) return RX_ERROR;
    if (!*next) {
        e->vacant |= !head; /* with head in the log, it is what this reaction has left of the queue that is empty */
        return RX_BLOCK;
    }
    if (*next == RG_QUEUE_CLOSED) return shut_down(r, q);
    head = head_of(r, q);
    if (!head) return RX_ERROR;
    head->looked = 1;
    return head->cur == *dummy ? RX_DONE : RX_RETRY;
}

static rx_outcome look(rx *r, QueueObject *q, uint64_t node, PyObject **y)
{
    rg_node *n = rg_node_of(node);
    if (rx_is_private(r, n)) {
        *y = Py_NewRef(rg_queue_payload(n));
        return RX_DONE;
    }
    rx_entry *head = rx_read_private(r, &q->q.head, WORD_NODE, NULL); /* in the log already */
    rg_look(&q->q.lookers);
    bool still = rg_read(r->space, r->me, &q->q.head) == head->old;
    if (still) *y = Py_NewRef(rg_queue_payload(n));
    rg_looked(&q->q.lookers);
    return still ? RX_DONE : RX_RETRY;
}

/* head is about to pass `dummy` on to `next`: keep tail from falling behind. */
static rx_outcome move_tail(rx *r, QueueObject *q, uint64_t dummy, uint64_t next)
{
    const rg_space *sp = &r->st->domain->space;
    rg_node *d = rg_node_of(dummy);
    uint64_t on = rx_is_private(r, d) ? 0 : rg_read(sp, r->slot->index, &d->next);
    if (on) {
        /* What this reaction would put there cannot be put any more. */
        if (on != next) return RX_RETRY;
        /* The list goes on for everybody: helping is enough, and tail only moves forward. */
        rg_queue_take_tail_along(r->slot, &q->q, dummy, next);
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

/* Each has one try where nothing is in the way; what is in the way is the slow one's business. That no node is at hand is
 * not in the way: see rg_node_bare. */

/* DONE, FULL or CLOSED; LOST: an error is set. */
static RG_SLOW rg_tried put_slow(QueueObject *q, rg_node *n, PyObject *v, rg_tried t)
{
    rg_slot *s = rg_begin(q->st, q, "put");
    if (!s) return RG_TRIED_LOST;
    if (!n && !(n = rg_node_new(s, (uint64_t)(uintptr_t)Py_NewRef(v)))) {
        Py_DECREF(v);
        PyErr_NoMemory();
        return RG_TRIED_LOST;
    }
    rg_pin(s);
    rg_word *changed = NULL;
    t = rg_queue_put(s, &q->q, n, &changed, t);
    if (t == RG_TRIED_DONE)
        rg_wake_added(s, &q->takers.list, changed);
    else
        rg_node_free(s, n); /* nobody has ever seen it */
    rg_unpin(s);
    if (t != RG_TRIED_DONE) Py_DECREF(v);
    return t;
}

static inline rg_tried put(QueueObject *q, PyObject *v)
{
    rg_slot *s = rg_at_hand(q->st);
    rg_node *n = s ? rg_node_bare(s, (uint64_t)(uintptr_t)v) : NULL;
    if (__builtin_expect(!n, 0)) return put_slow(q, NULL, v, RG_TRIED_BUSY);
    Py_INCREF(v);
    if (__builtin_expect(!rg_glance(s), 0)) return put_slow(q, n, v, RG_TRIED_BUSY);
    rg_word *changed;
    rg_tried t = rg_queue_try_put(s, &q->q, n, &changed);
    rg_glanced(s);
    if (__builtin_expect(t != RG_TRIED_DONE, 0)) return put_slow(q, n, v, t);
    rg_wake_added(s, &q->takers.list, changed);
    return RG_TRIED_DONE;
}

/* What else a put comes to. */
static RG_SLOW PyObject *not_put(QueueObject *q, PyObject *v, rg_tried t, rg_blocking how)
{
    if (t == RG_TRIED_FULL && how.block) return rg_wait_with(q->st, &rg_op_queue_put, (PyObject *)q, v, how, q->st->queue_full);
    if (t != RG_TRIED_LOST) PyErr_SetNone(t == RG_TRIED_FULL ? q->st->queue_full : q->st->shut_down);
    return NULL;
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

static RG_SLOW PyObject *get_slow(QueueObject *q, rg_tried *t)
{
    rg_slot *s = rg_begin(q->st, q, "get");
    if (!s || !rg_reserve(s, 2)) {
        *t = RG_TRIED_LOST;
        return s ? PyErr_NoMemory() : NULL;
    }
    rg_pin(s);
    rg_node *old = NULL;
    uint64_t value = 0;
    *t = rg_queue_get(s, &q->q, &old, &value, *t);
    PyObject *v = *t == RG_TRIED_DONE ? taken(q, s, old, value) : NULL;
    if (v) rg_wake_added(s, &q->room.list, &q->q.head);
    rg_unpin(s);
    return v;
}

/* rg_queue_take, to be inlined. */
static inline PyObject *get(QueueObject *q, rg_tried *t)
{
    rg_slot *s = rg_at_hand(q->st);
    *t = RG_TRIED_BUSY;
    if (__builtin_expect(!s || !rg_has_room(s, 2) || !rg_glance(s), 0)) return get_slow(q, t);
    rg_node *old;
    uint64_t value;
    *t = rg_queue_try_get(s, &q->q, &old, &value);
    PyObject *v = *t == RG_TRIED_DONE ? taken(q, s, old, value) : NULL;
    rg_glanced(s);
    if (__builtin_expect(!v, 0)) return *t == RG_TRIED_EMPTY || *t == RG_TRIED_CLOSED ? NULL : get_slow(q, t);
    rg_wake_added(s, &q->room.list, &q->q.head);
    rg_reclaim_when_due(s);
    return v;
}

PyObject *rg_queue_take(QueueObject *q, rg_tried *t) { return get(q, t); }

/* What else a get comes to. */
static RG_SLOW PyObject *not_got(QueueObject *q, rg_tried t, rg_blocking how)
{
    if (t == RG_TRIED_EMPTY && how.block) return rg_wait_for(q->st, &rg_op_queue_get, (PyObject *)q, how, q->st->stack_empty);
    if (t != RG_TRIED_LOST) PyErr_SetNone(t == RG_TRIED_EMPTY ? q->st->stack_empty : q->st->shut_down);
    return NULL;
}

static PyObject *direct_put(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kw)
{
    QueueObject *q = (QueueObject *)self;
    PyObject *item = nargs ? args[0] : NULL;
    rg_blocking how = { true, -1 };
    if ((nargs != 1 || kw) && !rg_parse_blocking(q->st, "put", args, nargs, kw, 1, &item, &how)) return NULL;
    rg_tried t = put(q, item);
    if (__builtin_expect(t != RG_TRIED_DONE, 0)) return not_put(q, item, t, how);
    Py_RETURN_NONE;
}

static PyObject *direct_get(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kw)
{
    QueueObject *q = (QueueObject *)self;
    rg_blocking how = { true, -1 };
    if ((nargs || kw) && !rg_parse_blocking(q->st, "get", args, nargs, kw, 0, NULL, &how)) return NULL;
    rg_tried t;
    PyObject *v = get(q, &t);
    return __builtin_expect(v != NULL, 1) ? v : not_got(q, t, how);
}

static PyObject *direct_peek(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kw)
{
    QueueObject *q = (QueueObject *)self;
    rg_blocking how;
    if (!rg_parse_blocking(q->st, "peek", args, nargs, kw, 0, NULL, &how)) return NULL;
    return rg_wait_for(q->st, &rg_op_queue_peek, self, how, q->st->stack_empty);
}

PyObject *rg_queue_put_nowait(PyObject *self, PyObject *item)
{
    QueueObject *q = (QueueObject *)self;
    rg_tried t = put(q, item);
    if (__builtin_expect(t != RG_TRIED_DONE, 0)) return not_put(q, item, t, (rg_blocking){ false, -1 });
    Py_RETURN_NONE;
}

PyObject *rg_queue_get_nowait(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    QueueObject *q = (QueueObject *)self;
    rg_tried t;
    PyObject *v = get(q, &t);
    return __builtin_expect(v != NULL, 1) ? v : not_got(q, t, (rg_blocking){ false, -1 });
}

RG_BOUND(put)
const rg_op rg_op_queue_put = { .name = "put", .step = step_put, .direct = direct_put, .bound = direct_put_bound,
    .doc = "put($self, item, block=True, timeout=None)\n--\n\n"
    "Put item at the end. Of a queue with a maxsize: waits while it is full, at most timeout seconds; raises queue.Full\n"
    "when it may not wait any longer. Raises ShutDown once the queue is shut down. A method and a reagent. Lock-free but\n"
    "for the waiting (Michael and Scott, PODC 1996).\n\n"
    ">>> from lockfree import Queue\n>>> q = Queue()\n>>> q.put('a')\n>>> q.qsize()\n1" };
RG_BOUND(get)
const rg_op rg_op_queue_get = { .name = "get", .step = step_get, .direct = direct_get, .bound = direct_get_bound,
    .doc = "get($self, block=True, timeout=None)\n--\n\n"
    "Take the first item. Waits while there is none, at most timeout seconds; raises queue.Empty when it may\n"
    "not wait any longer, and ShutDown when there is none and the queue is shut down. A method and a reagent. Lock-free\n"
    "but for the waiting (Michael and Scott, PODC 1996).\n\n"
    ">>> from lockfree import Queue\n>>> q = Queue()\n>>> q.put('a')\n>>> q.get()\n'a'" };
const rg_op rg_op_queue_peek = { .name = "peek", .step = step_peek, .direct = direct_peek,
    .doc = "peek($self, block=True, timeout=None)\n--\n\n"
    "The first item, which stays. Waits and raises as get. A method and a reagent. Lock-free.\n\n"
    ">>> from lockfree import Queue\n>>> q = Queue()\n>>> q.put('a')\n>>> q.peek(), q.qsize()\n('a', 1)" };
const rg_op *const rg_queue_ops[] = { &rg_op_queue_put,       &rg_op_queue_get,  &rg_op_queue_peek,
                                      &rg_op_queue_task_done, &rg_op_queue_join, NULL };
