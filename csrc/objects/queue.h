/* queue.h - lockfree.Queue, for the files that make it: queue.c (put, get, peek), queue_tasks.c (task_done, join,
 * shutdown) and queue_type.c (sizes, life, the type). */
#ifndef RG_OBJECTS_QUEUE_H
#define RG_OBJECTS_QUEUE_H

#include "containers.h"

typedef struct QueueObject {
    PyObject_HEAD
    rg_state *st;
    PyObject *weakrefs;
    rg_queue q;
    rg_takers takers, room, joiners; /* who wait for an item, for a place, and for `done` to reach the puts */
} QueueObject;

static inline PyObject *rg_queue_payload(rg_node *n) { return (PyObject *)(uintptr_t)n->value; }

/* New reference; or NULL: *t says whether it was EMPTY, CLOSED (and empty), or an error is set. */
PyObject *rg_queue_take(QueueObject *, rg_tried *t);
/* The link of a node as this reaction sees it: from the log (*entry), or for good once it is not 0. False: error set. */
bool rg_queue_next_of(rx *, QueueObject *, rg_node *, uint64_t *next, rx_entry **entry);
/* The step ends with this error, if what the reaction has read holds at one instant. */
rx_outcome rg_queue_error(rx *, PyObject *type, const char *text);

extern const rg_op rg_op_queue_put, rg_op_queue_get, rg_op_queue_peek, rg_op_queue_task_done, rg_op_queue_join;
PyObject *rg_queue_put_nowait(PyObject *self, PyObject *item);
PyObject *rg_queue_get_nowait(PyObject *self, PyObject *unused);
PyObject *rg_queue_shutdown(PyObject *self, PyObject *args, PyObject *kw);

#endif
