/* record.c - see record.h. */
#include "record.h"

static rg_wide *record_of(RecordObject *q, rg_slot *s) { return rg_record_of(s, &q->root); }

/* ---- reagents ---------------------------------------------------------------------------------- */

/* A record's position is the size, as that of a stack's head. */
rx_entry *rg_record_entry(rx *r, RecordObject *q)
{
    rx_entry *e = rx_read_private(r, &q->root, WORD_NODE, NULL);
    if (!e) return NULL;
    rx_is_part(e, &q->items, PART_STACK_HEAD);
    rx_has_room(e, &q->room);
    return e;
}

/* No user code must see a mix of two states, and an exception is made by such. */
static rx_outcome shut_down(rx *r)
{
    rx_outcome o = rx_leave(r);
    if (o != RX_DONE) return o;
    PyErr_SetNone(r->st->shut_down);
    return rx_return(r, NULL);
}

rx_outcome rg_record_may_put(rx *r, RecordObject *q, rx_entry *e)
{
    (void)q;
    rg_wide *now = rg_record_seen(e), *was = rg_wide_of(e->old);
    if (rg_record_closed(now)) return shut_down(r);
    if (!rg_record_full(now)) {
        e->looked = 1;
        return RX_DONE;
    }
    e->full |= rg_record_full(was); /* else it is what this reaction has put there that leaves no room */
    return RX_BLOCK;
}

rx_outcome rg_record_may_get(rx *r, RecordObject *q, rx_entry *e)
{
    (void)q;
    rg_wide *now = rg_record_seen(e), *was = rg_wide_of(e->old);
    if (rg_record_size(now)) {
        e->looked = 1;
        return RX_DONE;
    }
    if (rg_record_closed(now)) return shut_down(r);
    e->vacant |= !rg_record_size(was);
    return RX_BLOCK;
}

bool rg_record_room(rx *r, size_t nodes, size_t unlinked)
{
    return RX_ROOM(r->nodes, nodes + 1) && RX_ROOM(r->unlinked, unlinked + 1);
}

rx_outcome rg_record_write(rx *r, RecordObject *q, rg_wide *now)
{
    if (!now) {
        PyErr_NoMemory();
        return RX_ERROR;
    }
    rg_record_own(r, &now->node);
    rx_entry *e = rx_find(r, &q->root);
    if (!rx_unlink(r, rg_node_of(e->cur), NULL) || !rx_write(r, e, rg_node_word(&now->node))) return RX_ERROR;
    return RX_DONE;
}

/* ---- direct calls ------------------------------------------------------------------------------ */

PyObject *rg_record_otherwise(RecordObject *q, rg_record_tried t, const rg_op *op, PyObject *x, rg_blocking how)
{
    rg_state *st = q->st;
    PyObject *late = t == RG_RECORD_FULL ? st->queue_full : t == RG_RECORD_EMPTY ? st->queue_empty : NULL;
    if (t == RG_RECORD_CLOSED) PyErr_SetNone(st->shut_down);
    if (!late) return NULL;
    if (!how.block) {
        PyErr_SetNone(late);
        return NULL;
    }
    Reagent *n = (Reagent *)rg_reagent_new(st, op, (PyObject *)q, NULL);
    if (!n) return NULL;
    bool blocked = false;
    PyObject *y = rg_run(st, n, x, how.timeout, &blocked);
    if (blocked) PyErr_SetNone(late);
    Py_DECREF(n);
    return y;
}

/* ---- sizes ------------------------------------------------------------------------------------- */

/* What there is to know of it, at one instant. False: an error is set. */
typedef struct facts {
    uint64_t size, puts, limit;
    bool full, closed;
} facts;

static bool look(RecordObject *q, const char *name, facts *f)
{
    rg_slot *s = rg_begin(q->st, q, name);
    if (!s) return false;
    rg_pin(s);
    rg_wide *now = record_of(q, s);
    *f = (facts){ rg_record_size(now), rg_record_puts(now), rg_record_limit(now), rg_record_full(now), rg_record_closed(now) };
    rg_unpin(s);
    return true;
}

Py_ssize_t rg_record_len(PyObject *self)
{
    facts f;
    return look((RecordObject *)self, "qsize", &f) ? (Py_ssize_t)f.size : -1;
}

PyObject *rg_record_qsize(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    Py_ssize_t n = rg_record_len(self);
    return n < 0 ? NULL : PyLong_FromSsize_t(n);
}

PyObject *rg_record_empty(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    Py_ssize_t n = rg_record_len(self);
    return n < 0 ? NULL : PyBool_FromLong(n == 0);
}

PyObject *rg_record_is_full(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    facts f;
    return look((RecordObject *)self, "full", &f) ? PyBool_FromLong(f.full) : NULL;
}

PyObject *rg_record_repr(PyObject *self)
{
    const char *name = strrchr(Py_TYPE(self)->tp_name, '.');
    Py_ssize_t n = rg_record_len(self);
    return n < 0 ? NULL : PyUnicode_FromFormat("<%s at %p, %zd items>", name ? name + 1 : Py_TYPE(self)->tp_name, self, n);
}

/* ---- tasks ------------------------------------------------------------------------------------- */

PyObject *rg_record_task_done(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    RecordObject *q = (RecordObject *)self;
    rg_slot *s = rg_begin(q->st, q, "task_done");
    if (!s) return NULL;
    const rg_space *sp = &s->domain->space;
    rg_pin(s);
    uint64_t done, puts;
    bool is = false;
    for (;;) {
        done = rg_read(sp, s->index, &q->done);
        puts = rg_record_puts(record_of(q, s));
        if (done < puts) {
            if ((is = rg_cas1(sp, s->index, &q->done, done, done + 1))) break;
        } else if (rg_read(sp, s->index, &q->done) == done) { /* both held when puts was read: `done` only grows */
            break;
        }
    }
    if (is) rg_wake(s, &q->done);
    rg_unpin(s);
    if (is) Py_RETURN_NONE;
    PyErr_SetString(PyExc_ValueError, "task_done() called too many times");
    return NULL;
}

/* While there are unfinished tasks puts do not matter, and only `done` is read. */
static rx_outcome step_join(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    (void)x;
    RecordObject *q = (RecordObject *)n->a;
    rx_entry *done = rx_read_private(r, &q->done, WORD_INT, NULL), *e = done ? rx_find(r, &q->root) : NULL;
    if (!done) return RX_ERROR;
    uint64_t was = done->cur;
    if (was < rg_record_puts(e ? rg_record_seen(e) : record_of(q, r->slot))) return RX_BLOCK;
    if (!(e = rg_record_entry(r, q))) return RX_ERROR;
    if (was < rg_record_puts(rg_record_seen(e))) return RX_RETRY;
    e->looked = 1;
    *y = Py_NewRef(Py_None);
    return RX_DONE;
}

static const rg_op op_join = { .name = "join", .step = step_join, .doc = "join($self, /)\n--\n\n" };

PyObject *rg_record_join(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    rg_state *st = ((RecordObject *)self)->st;
    Reagent *n = (Reagent *)rg_reagent_new(st, &op_join, self, NULL);
    PyObject *y = n ? rg_run(st, n, Py_None, -1, NULL) : NULL;
    Py_XDECREF(n);
    return y;
}

static PyObject *unfinished_tasks(PyObject *self, void *Py_UNUSED(c))
{
    RecordObject *q = (RecordObject *)self;
    rg_slot *s = rg_here(q->st);
    if (!s) return NULL;
    uint64_t done, puts;
    rg_pin(s);
    do {
        done = rg_read(&s->domain->space, s->index, &q->done);
        puts = rg_record_puts(record_of(q, s));
    } while (rg_read(&s->domain->space, s->index, &q->done) != done);
    rg_unpin(s);
    return PyLong_FromUnsignedLongLong(puts - done);
}

/* ---- the whole of it --------------------------------------------------------------------------- */

/* Nobody can look at the version any more: its items are given up, and its nodes. Somebody may hold the record. */
static void node_gone(rg_slot *s, rg_node *n)
{
    PyObject *value = (PyObject *)(uintptr_t)n->value;
    rg_node_free(s, n);
    rg_release(value);
}
static void heap_gone(rg_slot *s, void *was)
{
    rg_heap_walk w;
    rg_heap_walk_from(&w, was);
    rg_node_expired(s, was);
    for (rg_wide *n; (n = rg_heap_walk_next(&w));) node_gone(s, &n->node);
}
static void list_gone(rg_slot *s, void *was)
{
    rg_node *n = rg_node_of(rg_record_top(was)), *next;
    rg_node_expired(s, was);
    for (; n; n = next) {
        next = rg_node_of(rg_load_rlx(&n->next));
        node_gone(s, n);
    }
}

/* One place is reserved. With the GIL destructors run here and now, so nothing must be pinned. */
static void give_up(RecordObject *q, rg_slot *s, rg_wide *was)
{
    rg_reclaim_fn gone = q->heap ? heap_gone : list_gone;
#ifdef RG_EXCLUSIVE
    gone(s, was);
#else
    rg_pin(s);
    rg_retire(s, was, gone);
    rg_unpin(s);
#endif
}

/* The record becomes another, with other rules; with `drop` all items go, and their tasks count as done if `done`. All
 * who wait for anything of it look again. False: an error is set. */
static bool reform(RecordObject *q, const char *name, uint64_t keep, uint64_t add, bool drop, bool done)
{
    rg_slot *s = rg_begin(q->st, q, name);
    if (!s) return false;
    const rg_space *sp = &s->domain->space;
    if (!rg_reserve(s, 2)) {
        PyErr_NoMemory();
        return false;
    }
    rg_pin(s);
    rg_wide *was, *now;
    bool whole;
    for (;;) {
        uint64_t finished = rg_read(sp, s->index, &q->done);
        was = record_of(q, s);
        uint64_t size = rg_record_size(was), puts = rg_record_puts(was);
        whole = drop && size;
        now = rg_record_new(s, drop ? 0 : rg_record_top(was), drop ? 0 : size, puts, (rg_record_rules(was) & keep) | add);
        if (!now) break;
        uint64_t then = done && drop ? (finished + size < puts ? finished + size : puts) : finished;
        rg_cas_entry e[] = { { &q->root, rg_node_word(&was->node), rg_node_word(&now->node) }, { &q->done, finished, then } };
        if (rg_kcas(sp, s->index, e, then == finished ? 1 : 2) == RG_SUCCEEDED) break;
        rg_wide_free(s, now); /* entries name words of the structure alone: no helper knows the record */
    }
    if (now) {
        if (!whole) rg_record_retire(s, &was->node, rg_record_watched(s));
#ifndef RG_EXCLUSIVE
        if (whole) give_up(q, s, was);
#endif
        rg_wake(s, &q->root);
        rg_wake(s, &q->done);
        rg_wake_some(s, &q->items.list, SIZE_MAX);
        rg_wake_some(s, &q->room.list, SIZE_MAX);
    }
    rg_unpin(s);
    if (!now) {
        PyErr_NoMemory();
        return false;
    }
#ifdef RG_EXCLUSIVE
    if (whole) give_up(q, s, was);
#endif
    return true;
}

PyObject *rg_record_shutdown(PyObject *self, PyObject *args, PyObject *kw)
{
    static char *names[] = { "immediate", NULL };
    int immediate = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kw, "|p:shutdown", names, &immediate)) return NULL;
    if (!reform((RecordObject *)self, "shutdown", ~0ULL, 1, immediate, true)) return NULL;
    Py_RETURN_NONE;
}

static bool set_limit(RecordObject *q, PyObject *maxsize)
{
    int64_t n;
    if (!rg_maxsize(maxsize, &n)) return false;
    return reform(q, "maxsize", 1, n > 0 ? (uint64_t)n << 1 : 0, false, false);
}

static PyObject *get_maxsize(PyObject *self, void *Py_UNUSED(c))
{
    facts f;
    return look((RecordObject *)self, "maxsize", &f) ? rg_maxsize_object((int64_t)f.limit) : NULL;
}

static int set_maxsize(PyObject *self, PyObject *value, void *Py_UNUSED(c))
{
    if (value) return set_limit((RecordObject *)self, value) ? 0 : -1;
    PyErr_SetString(PyExc_AttributeError, "maxsize cannot be deleted");
    return -1;
}

static PyObject *is_shutdown(PyObject *self, void *Py_UNUSED(c))
{
    facts f;
    return look((RecordObject *)self, "is_shutdown", &f) ? PyBool_FromLong(f.closed) : NULL;
}

/* ---- life -------------------------------------------------------------------------------------- */

PyObject *rg_record_object_new(PyTypeObject *type, bool heap)
{
    rg_state *st = rg_state_of(type);
    rg_slot *slot = st ? rg_here(st) : NULL;
    RecordObject *q = slot ? (RecordObject *)type->tp_alloc(type, 0) : NULL;
    if (!q) return NULL;
    q->st = st;
    q->heap = heap;
    rg_list_init(&q->items.list);
    rg_list_init(&q->room.list);
    q->items.of = q->room.of = (PyObject *)q;
    rg_wide *first = rg_record_new(slot, 0, 0, 0, 0);
    if (!first) {
        Py_DECREF(q);
        return PyErr_NoMemory();
    }
    rg_store_rlx(&q->root, rg_node_word(&first->node)); /* relaxed: private yet */
    return (PyObject *)q;
}

int rg_record_init(PyObject *self, PyObject *args, PyObject *kw)
{
    static char *names[] = { "maxsize", NULL };
    PyObject *maxsize = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, kw, "|O", names, &maxsize)) return -1;
    return !maxsize || set_limit((RecordObject *)self, maxsize) ? 0 : -1;
}

/* While the collector runs nothing else does; a word that is amid an operation all the same is passed over, which keeps
 * alive what it may name. */
int rg_record_traverse(PyObject *self, visitproc visit, void *arg)
{
    RecordObject *q = (RecordObject *)self;
    Py_VISIT(Py_TYPE(self));
    rg_wide *now = rg_record_glimpse(&q->root);
    if (!now) return 0;
    if (!q->heap) {
        for (rg_node *n = rg_node_of(rg_record_top(now)); n; n = rg_node_of(rg_load_rlx(&n->next)))
            Py_VISIT((PyObject *)(uintptr_t)n->value);
        return 0;
    }
    rg_heap_walk w;
    rg_heap_walk_from(&w, now);
    for (rg_wide *n; (n = rg_heap_walk_next(&w));) Py_VISIT((PyObject *)(uintptr_t)n->node.value);
    return 0;
}

int rg_record_clear(PyObject *self)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback); /* of whoever let go of us */
    /* Without memory it is for the next collection. */
    if (!reform((RecordObject *)self, "clear", ~0ULL, 0, true, false)) PyErr_Clear();
    PyErr_Restore(type, value, traceback);
    return 0;
}

void rg_record_dealloc(PyObject *self)
{
    RecordObject *q = (RecordObject *)self;
    PyObject_GC_UnTrack(self);
    if (q->weakrefs) PyObject_ClearWeakRefs(self);
    rg_wide *last = rg_wide_of(rg_last_value(q->st, &q->root));
    rg_slot *s = last ? rg_here_quietly(q->st) : NULL;
    if (s && rg_reserve(s, 1)) {
        PyObject *type, *value, *traceback;
        PyErr_Fetch(&type, &value, &traceback);
        give_up(q, s, last);
        PyErr_Restore(type, value, traceback);
    }
    rg_free_late(q->st, self);
}

PyGetSetDef rg_record_getset[] = {
    { "maxsize", get_maxsize, set_maxsize, PyDoc_STR("How many items it may hold; 0: any number. May be set: who waits looks again."), NULL },
    { "is_shutdown", is_shutdown, NULL, PyDoc_STR("Whether shutdown() was called."), NULL },
    { "unfinished_tasks", unfinished_tasks, NULL, PyDoc_STR("Puts so far, less the tasks done."), NULL },
    { NULL },
};
PyMemberDef rg_record_members[] = {
    { "__weaklistoffset__", Py_T_PYSSIZET, offsetof(RecordObject, weakrefs), Py_READONLY, NULL },
    { NULL },
};
