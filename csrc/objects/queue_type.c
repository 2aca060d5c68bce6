/* queue_type.c - lockfree.Queue: sizes, life, the type. */
#include "queue.h"

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

/* Linearizes where the size does: maxsize was the same before and after. */
static PyObject *queue_full(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    QueueObject *q = (QueueObject *)self;
    rg_slot *s = rg_begin(q->st, q, "full");
    if (!s) return NULL;
    rg_pin(s);
    const rg_space *sp = &q->st->domain->space;
    int64_t max, n;
    do {
        max = (int64_t)rg_read(sp, s->index, &q->q.maxsize);
        n = (int64_t)rg_queue_size(s, &q->q);
    } while ((int64_t)rg_read(sp, s->index, &q->q.maxsize) != max);
    rg_unpin(s);
    return PyBool_FromLong(max > 0 && n >= max);
}

/* ---- what it is ------------------------------------------------------------------------------------ */

static PyObject *queue_maxsize(PyObject *self, void *Py_UNUSED(c))
{
    QueueObject *q = (QueueObject *)self;
    rg_slot *s = rg_begin(q->st, q, "maxsize");
    if (!s) return NULL;
    rg_pin(s);
    int64_t n = (int64_t)rg_read(&q->st->domain->space, s->index, &q->q.maxsize);
    rg_unpin(s);
    return rg_maxsize_object(n);
}

static int queue_set_maxsize(PyObject *self, PyObject *o, void *Py_UNUSED(c))
{
    QueueObject *q = (QueueObject *)self;
    int64_t n;
    if (!o) {
        PyErr_SetString(PyExc_AttributeError, "maxsize cannot be deleted");
        return -1;
    }
    if (!rg_maxsize(o, &n)) return -1;
    rg_slot *s = rg_begin(q->st, q, "maxsize");
    if (!s) return -1;
    rg_pin(s);
    rg_queue_set_maxsize(s, &q->q, n);
    rg_wake(s, &q->q.maxsize);
    rg_wake_some(s, &q->room.list, SIZE_MAX);
    rg_unpin(s);
    return 0;
}

static PyObject *queue_unfinished(PyObject *self, void *Py_UNUSED(c))
{
    QueueObject *q = (QueueObject *)self;
    rg_slot *s = rg_begin(q->st, q, "unfinished_tasks");
    if (!s) return NULL;
    rg_pin(s);
    int64_t n = rg_queue_unfinished(s, &q->q);
    rg_unpin(s);
    return PyLong_FromLongLong(n);
}

static PyObject *queue_is_shutdown(PyObject *self, void *Py_UNUSED(c))
{
    QueueObject *q = (QueueObject *)self;
    rg_slot *s = rg_begin(q->st, q, "is_shutdown");
    if (!s) return NULL;
    rg_pin(s);
    uint64_t next = rg_read(&q->st->domain->space, s->index, &rg_queue_last(s, &q->q)->next);
    rg_unpin(s);
    return PyBool_FromLong(next == RG_QUEUE_CLOSED);
}

static PyGetSetDef getset[] = {
    { "maxsize", queue_maxsize, queue_set_maxsize, PyDoc_STR("How many items there may be; 0 or less: any number. Of a change puts that are under way may not know yet."), NULL },
    { "unfinished_tasks", queue_unfinished, NULL, PyDoc_STR("How many items were put and not yet dealt with, by task_done()."), NULL },
    { "is_shutdown", queue_is_shutdown, NULL, PyDoc_STR("Whether the queue was shut down."), NULL },
    { NULL },
};

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
    rg_takers *all[] = { &q->takers, &q->room, &q->joiners };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        rg_list_init(&all[i]->list);
        all[i]->of = (PyObject *)q;
    }
    rg_node *dummy = rg_node_new(slot, 0);
    if (!dummy) {
        Py_DECREF(q);
        return PyErr_NoMemory();
    }
    rg_queue_open(&q->q, dummy, 0);
    return (PyObject *)q;
}

static int queue_init(PyObject *self, PyObject *args, PyObject *kw)
{
    static char *names[] = { "maxsize", NULL };
    PyObject *maxsize = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, kw, "|O:Queue", names, &maxsize)) return -1;
    return maxsize ? queue_set_maxsize(self, maxsize, NULL) : 0;
}

static int queue_traverse(PyObject *self, visitproc visit, void *arg)
{
    QueueObject *q = (QueueObject *)self;
    Py_VISIT(Py_TYPE(self));
    rg_node *n = rg_node_of(rg_load(&q->q.head));
    if (!n) return 0;
    for (uint64_t next; !rg_queue_ends(next = rg_load(&n->next));) {
        n = rg_node_of(next);
        Py_VISIT(rg_queue_payload(n));
    }
    return 0;
}

static int queue_clear(PyObject *self)
{
    rg_tried t;
    PyObject *v, *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback); /* of whoever let go of us */
    /* Whoever is called by a destructor may put more: the next look sees it. */
    while ((v = rg_queue_take((QueueObject *)self, &t))) rg_release(v);
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
        dummy = rg_node_of(rg_last_value(q->st, &q->q.head));
        rg_slot *s = rg_here_quietly(q->st);
        if (s && rg_reserve(s, 1)) rg_retire_lazily(s, dummy, rg_node_expired);
    }
    rg_free_late(q->st, self);
}

static PyMethodDef methods[] = {
    { "put_nowait", rg_queue_put_nowait, METH_O, PyDoc_STR("put_nowait($self, item, /)\n--\n\n"
      "put(item, block=False): raises queue.Full at once when there is no room. Lock-free.\n\n"
      ">>> from lockfree import Full, Queue\n>>> q = Queue(maxsize=1)\n>>> q.put_nowait(1)\n"
      ">>> try:\n...     q.put_nowait(2)\n... except Full:\n...     print('full')\nfull") },
    { "get_nowait", rg_queue_get_nowait, METH_NOARGS, PyDoc_STR("get_nowait($self, /)\n--\n\n"
      "get(block=False): take the first item; raises queue.Empty at once when there is none. Lock-free.\n\n"
      ">>> from lockfree import Queue\n>>> q = Queue()\n>>> q.put(1)\n>>> q.get_nowait()\n1") },
    { "shutdown", (PyCFunction)(void (*)(void))rg_queue_shutdown, METH_VARARGS | METH_KEYWORDS,
      PyDoc_STR("shutdown($self, immediate=False)\n--\n\n"
      "From now on put raises ShutDown, and so does get when nothing is left: to those who wait, too. With immediate=True\n"
      "what is left goes in the same atomic step, and counts as dealt with for join(). For ever; as often as you like.\n"
      "Never blocks. Lock-free.\n\n"
      ">>> from lockfree import Queue, ShutDown\n>>> q = Queue()\n>>> q.put('last')\n>>> q.shutdown()\n>>> q.get()\n'last'\n"
      ">>> try:\n...     q.get()\n... except ShutDown:\n...     print('over')\nover") },
    { "qsize", queue_qsize, METH_NOARGS, PyDoc_STR("qsize($self, /)\n--\n\n"
      "How many items there were at one instant of the call. Lock-free.\n\n"
      ">>> from lockfree import Queue\n>>> Queue().qsize()\n0") },
    { "empty", queue_empty, METH_NOARGS, PyDoc_STR("empty($self, /)\n--\n\nWhether qsize() is 0.\n\n"
      ">>> from lockfree import Queue\n>>> Queue().empty()\nTrue") },
    { "full", queue_full, METH_NOARGS, PyDoc_STR("full($self, /)\n--\n\nWhether there is a maxsize, and qsize() has reached it.\n\n"
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
      "The interface of queue.Queue, and so of queue.SimpleQueue; put, get, peek, task_done and join are methods and\n"
      "reagents. maxsize is how many items there may be, 0 or less: any number. Those who wait for an item, or for room\n"
      "for one, are woken in the order of their arrival; who comes later may still be faster.\n\n"
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
    { Py_tp_getset, getset },
    { 0, NULL },
};
PyType_Spec rg_queue_spec = {
    .name = "lockfree.Queue",
    .basicsize = sizeof(QueueObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .slots = slots,
};
