/* record.h - what LifoQueue and PriorityQueue share: the object, and all that is said of its record (core/record.h) alone.
 *
 * Unfinished tasks are the puts so far, which the record has, less `done`. done <= puts; both only grow.
 */
#ifndef RG_RECORD_OBJECT_H
#define RG_RECORD_OBJECT_H

#include "containers.h"

#include "../core/heap.h"

typedef struct RecordObject {
    PyObject_HEAD
    rg_state *st;
    PyObject *weakrefs;
    rg_word root; /* 0 until it is made */
    rg_word lookers; /* list: as in core/stack.h */
    rg_word done;
    rg_takers items, room;
    bool heap; /* else a list */
} RecordObject;

/* ---- reagents ---------------------------------------------------------------------------------- */

/* The root in the log; NULL: an error is set. */
rx_entry *rg_record_entry(rx *, RecordObject *);
static inline rg_wide *rg_record_seen(const rx_entry *e) { return rg_wide_of(e->cur); }

/* May a step put, or take? Else what it comes to. The entry stays where it is only if it may. */
rx_outcome rg_record_may_put(rx *, RecordObject *, rx_entry *);
rx_outcome rg_record_may_get(rx *, RecordObject *, rx_entry *);
/* Before anything is made: room for so many nodes that come, and go, and the record with each. */
bool rg_record_room(rx *, size_t nodes, size_t unlinked);
/* The reaction owns the node, which has a reference of its own to its payload. Room was made. */
static inline void rg_record_own(rx *r, rg_node *n)
{
    Py_XINCREF((PyObject *)(uintptr_t)n->value);
    r->nodes.at[r->nodes.n++] = n;
}
/* The new record (NULL: no memory) takes the old one's place in the log. */
rx_outcome rg_record_write(rx *, RecordObject *, rg_wide *now);

/* ---- direct calls ------------------------------------------------------------------------------ */

/* After the change, pinned or no longer. */
static inline void rg_record_was_put(rg_slot *s, RecordObject *q) { rg_wake_added(s, &q->items.list, &q->root); }
static inline void rg_record_was_got(rg_slot *s, RecordObject *q) { rg_wake_added(s, &q->room.list, &q->root); }

/* What a direct call that was not DONE comes to: an error, or the reagent `op` run on x as `how` says. */
PyObject *rg_record_otherwise(RecordObject *, rg_record_tried, const rg_op *, PyObject *x, rg_blocking how);

/* ---- the type ---------------------------------------------------------------------------------- */

PyObject *rg_record_object_new(PyTypeObject *, bool heap);
int rg_record_init(PyObject *, PyObject *args, PyObject *kw);
int rg_record_traverse(PyObject *, visitproc, void *);
int rg_record_clear(PyObject *);
void rg_record_dealloc(PyObject *);
PyObject *rg_record_repr(PyObject *);
Py_ssize_t rg_record_len(PyObject *);
PyObject *rg_record_qsize(PyObject *, PyObject *);
PyObject *rg_record_empty(PyObject *, PyObject *);
PyObject *rg_record_is_full(PyObject *, PyObject *);
PyObject *rg_record_shutdown(PyObject *, PyObject *args, PyObject *kw);
PyObject *rg_record_task_done(PyObject *, PyObject *);
PyObject *rg_record_join(PyObject *, PyObject *);
extern PyGetSetDef rg_record_getset[];
extern PyMemberDef rg_record_members[];

/* The methods that the types share. Their examples name either. */
#define RG_RECORD_METHODS(Name)                                                                                       \
    { "qsize", rg_record_qsize, METH_NOARGS, PyDoc_STR("qsize($self, /)\n--\n\n"                                      \
      "How many items there are, at one instant. The same as len(). Wait-free in practice.\n\n"                       \
      ">>> from lockfree import " Name "\n>>> " Name "().qsize()\n0") },                                              \
    { "empty", rg_record_empty, METH_NOARGS, PyDoc_STR("empty($self, /)\n--\n\nWhether qsize() is 0.\n\n"             \
      ">>> from lockfree import " Name "\n>>> " Name "().empty()\nTrue") },                                           \
    { "full", rg_record_is_full, METH_NOARGS, PyDoc_STR("full($self, /)\n--\n\n"                                      \
      "Whether there is no room for one more item: maxsize and qsize() at one instant.\n\n"                           \
      ">>> from lockfree import " Name "\n>>> q = " Name "(1)\n>>> q.put(0)\n>>> q.full()\nTrue") },                  \
    { "shutdown", (PyCFunction)(void (*)(void))rg_record_shutdown, METH_VARARGS | METH_KEYWORDS,                      \
      PyDoc_STR("shutdown($self, /, immediate=False)\n--\n\n"                                                         \
      "From now on put raises ShutDown, and get does once the queue is empty; those who wait are woken. immediate:\n" \
      "the items that are there are dropped and their tasks count as done, in the same instant. Lock-free.\n\n"       \
      ">>> from lockfree import " Name "\n>>> q = " Name "()\n>>> q.put(0)\n>>> q.shutdown()\n"                \
      ">>> q.get(), q.is_shutdown\n(0, True)") },                                                                     \
    { "task_done", rg_record_task_done, METH_NOARGS, PyDoc_STR("task_done($self, /)\n--\n\n"                          \
      "An item that was got has been worked on. Raises ValueError when called more often than there were puts.\n"     \
      "Lock-free.\n\n"                                                                                                \
      ">>> from lockfree import " Name "\n>>> q = " Name "()\n>>> q.put(0)\n>>> q.get()\n0\n>>> q.task_done()") },    \
    { "join", rg_record_join, METH_NOARGS, PyDoc_STR("join($self, /)\n--\n\n"                                         \
      "Waits until task_done was called for each item that was put.\n\n"                                              \
      ">>> from lockfree import " Name "\n>>> " Name "().join()") },                                                  \
    { "__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, NULL },                                              \
    { "__reduce__", rg_refuse_pickle, METH_NOARGS, NULL },                                                            \
    { NULL }

#endif
