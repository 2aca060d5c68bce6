/* queue_tasks.c - lockfree.Queue: the tasks that its items are, and its end.
 *
 * What is unfinished is the number of the last node less `done` (core/queue.h): put and get do nothing for it.
 *
 * In a reaction, task_done logs `done`, and where nothing is unfinished the last node's `next` as well; join logs both,
 * but as long as it blocks `done` alone: puts make it wait no less. So those who join are not woken by puts.
 * Nor, while they wait in a list of their own, by each task: a direct task_done wakes them all when it leaves
 * nothing unfinished. (It may have been otherwise for an instant that nobody was woken for.)
 */
#include "queue.h"

#define ALL SIZE_MAX

/* The number of the last node, as this reaction sees it, with its link in the log. False: error set. */
static bool puts_of(rx *r, QueueObject *q, uint64_t *puts)
{
    rg_node *last = rg_queue_last(r->slot, &q->q);
    uint64_t next;
    rx_entry *e;
    for (;; last = rg_node_of(next)) {
        if (!rg_queue_next_of(r, q, last, &next, &e)) return false;
        if (rg_queue_ends(next)) break;
    }
    *puts = rg_node_position(last);
    return true;
}

static rx_entry *done_of(rx *r, QueueObject *q)
{
    rx_entry *e = rx_read_private(r, &q->q.done, WORD_INT, NULL);
    if (e) rx_is_part(e, &q->joiners, PART_EVERYONE);
    return e;
}

/* Whatever else this reaction puts. */
static bool is_unfinished(rx *r, QueueObject *q, uint64_t done)
{
    return rg_ahead(rg_node_position(rg_queue_last(r->slot, &q->q)), done) > 0;
}

static const char too_often[] = "task_done() called too many times";

static rx_outcome step_task_done(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    (void)x;
    QueueObject *q = (QueueObject *)n->a;
    rx_entry *e = done_of(r, q);
    if (!e) return RX_ERROR;
    uint64_t puts, done = e->cur;
    if (!is_unfinished(r, q, done)) {
        if (!puts_of(r, q, &puts)) return RX_ERROR;
        if (rg_ahead(puts, done) <= 0) return rg_queue_error(r, PyExc_ValueError, too_often);
        e = rx_find(r, &q->q.done); /* the log may have moved */
    }
    if (!rx_write(r, e, done + 1)) return RX_ERROR;
    *y = Py_NewRef(Py_None);
    return RX_DONE;
}

static rx_outcome step_join(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    (void)x;
    QueueObject *q = (QueueObject *)n->a;
    rx_entry *e = done_of(r, q);
    if (!e) return RX_ERROR;
    uint64_t puts, done = e->cur;
    if (is_unfinished(r, q, done)) {
        e->vacant |= !e->dirty; /* else it is what this reaction has left of the tasks that is unfinished */
        return RX_BLOCK;
    }
    if (!puts_of(r, q, &puts)) return RX_ERROR;
    if (rg_ahead(puts, done) > 0) return RX_BLOCK;
    *y = Py_NewRef(Py_None);
    return RX_DONE;
}

static PyObject *direct_task_done(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kw)
{
    (void)args;
    QueueObject *q = (QueueObject *)self;
    rg_slot *s = rg_arity("task_done", nargs, kw, 0, 0) ? rg_begin(q->st, q, "task_done") : NULL;
    if (!s) return NULL;
    rg_backoff b = { 0 };
    uint64_t now;
    rg_tried t;
    rg_pin(s);
    while ((t = rg_queue_try_task_done(s, &q->q, &now)) == RG_TRIED_LOST) rg_lost(s, &b);
    if (t == RG_TRIED_DONE && rg_somebody_waits(s)) {
        rg_wake(s, &q->q.done);
        if (rg_ahead(rg_node_position(rg_queue_last(s, &q->q)), now) == 0) rg_wake_some(s, &q->joiners.list, ALL);
    }
    rg_unpin(s);
    if (t == RG_TRIED_DONE) Py_RETURN_NONE;
    PyErr_SetString(PyExc_ValueError, too_often);
    return NULL;
}

static PyObject *direct_join(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kw)
{
    (void)args;
    QueueObject *q = (QueueObject *)self;
    rg_slot *s = rg_arity("join", nargs, kw, 0, 0) ? rg_begin(q->st, q, "join") : NULL;
    if (!s) return NULL;
    rg_pin(s);
    int64_t n = rg_queue_unfinished(s, &q->q);
    rg_unpin(s);
    if (!n) Py_RETURN_NONE;
    return rg_wait_for(q->st, &rg_op_queue_join, self, (rg_blocking){ true, -1 }, NULL);
}

RG_BOUND(task_done)
const rg_op rg_op_queue_task_done = { .name = "task_done", .step = step_task_done, .direct = direct_task_done,
    .bound = direct_task_done_bound,
    .doc = "task_done($self)\n--\n\n"
    "Say that an item that was got is dealt with: join() waits for as many of these as there were puts. Raises ValueError\n"
    "when there were more. Never blocks. A method and a reagent. Lock-free.\n\n"
    ">>> from lockfree import Queue\n>>> q = Queue()\n>>> q.put('a')\n>>> q.get(), q.unfinished_tasks\n('a', 1)\n"
    ">>> q.task_done()\n>>> q.unfinished_tasks\n0" };
const rg_op rg_op_queue_join = { .name = "join", .step = step_join, .direct = direct_join,
    .doc = "join($self)\n--\n\n"
    "Wait until task_done() has been called for each item that was put. A method and a reagent: `q.join >> f` acts at an\n"
    "instant at which nothing is unfinished, and takes a timeout as any reagent. Lock-free but for the waiting.\n\n"
    ">>> from lockfree import Queue\n>>> Queue().join()" };

/* ---- the end ------------------------------------------------------------------------------------- */

/* Everybody who waits is to look again: at what, is up to them. Pinned. */
static void wake_all(rg_slot *s, QueueObject *q, rg_word *link, bool drained)
{
    if (!rg_somebody_waits(s)) return;
    if (link) rg_wake(s, link);
    if (drained) {
        rg_wake(s, &q->q.head);
        rg_wake(s, &q->q.done);
        rg_wake_some(s, &q->joiners.list, ALL);
    }
    rg_wake_some(s, &q->takers.list, ALL);
    rg_wake_some(s, &q->room.list, ALL);
}

/* n nodes from `first` on are ours: their memory goes, and the references of the payloads behind them to `values`.
 * Pinned; room is reserved. */
static void take_apart(rg_slot *s, QueueObject *q, rg_node *first, uint64_t n, PyObject **values)
{
    for (uint64_t i = 0; i < n; i++) {
        rg_node *next = rg_node_of(rg_read(&s->domain->space, s->index, &first->next));
        values[i] = rg_take_payload(s, &q->q.lookers, next->value);
#ifdef RG_EXCLUSIVE
        rg_node_expired(s, first);
#else
        rg_retire_lazily(s, first, rg_node_expired);
#endif
        first = next;
    }
}

static PyObject *shut_down_at_once(QueueObject *q, rg_slot *s)
{
    PyObject **values = NULL;
    rg_backoff b = { 0 };
    rg_node *first;
    rg_word *link;
    uint64_t n, most = 0;
    rg_pin(s);
    while (rg_queue_try_close_and_drain(s, &q->q, most, &first, &n, &link) != RG_TRIED_DONE) {
        rg_lost(s, &b);
        n = rg_queue_size(s, &q->q);
        rg_unpin(s); /* making room may reclaim, and so run destructors */
        if (n > most) {
            most = n + n / 2; /* puts go on meanwhile */
            PyMem_RawFree(values);
            values = PyMem_RawMalloc(most * sizeof *values);
        }
        if ((most && !values) || !rg_reserve(s, 2 * most)) {
            PyMem_RawFree(values);
            return PyErr_NoMemory();
        }
        rg_pin(s);
    }
    take_apart(s, q, first, n, values);
    wake_all(s, q, link, true);
    rg_unpin(s);
    for (uint64_t i = 0; i < n; i++) Py_DECREF(values[i]);
    PyMem_RawFree(values);
    Py_RETURN_NONE;
}

PyObject *rg_queue_shutdown(PyObject *self, PyObject *args, PyObject *kw)
{
    static char *names[] = { "immediate", NULL };
    QueueObject *q = (QueueObject *)self;
    int immediate = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kw, "|p:shutdown", names, &immediate)) return NULL;
    rg_slot *s = rg_begin(q->st, q, "shutdown");
    if (!s) return NULL;
    if (immediate) return shut_down_at_once(q, s);
    rg_pin(s);
    rg_word *link = rg_queue_close(s, &q->q);
    if (link) wake_all(s, q, link, false);
    rg_unpin(s);
    Py_RETURN_NONE;
}
