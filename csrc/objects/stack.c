/* stack.c - lockfree.Stack: Treiber's stack (core/stack.h) of objects.
 *
 * A node's payload owns a reference. In a reaction only `head` is logged: a node's link and
 * payload never change, so what hangs below a validated head is what was read.
 */
#include "containers.h"

typedef struct StackObject {
    PyObject_HEAD
    rg_state *st;
    PyObject *weakrefs;
    rg_stack stack;
    rg_takers takers;
} StackObject;

static PyObject *payload(rg_node *n) { return (PyObject *)(uintptr_t)n->value; }

/* ---- reagents ---------------------------------------------------------------------------------- */

static rx_entry *head_of(rx *r, StackObject *s)
{
    rx_entry *e = rx_read_private(r, &s->stack.head, WORD_NODE, NULL);
    if (e) rx_is_part(e, &s->takers, PART_STACK_HEAD);
    return e;
}

/* A step finds no item. */
static rx_outcome block(rx_entry *head)
{
    head->vacant |= !head->old; /* else it is what this reaction has left of the stack that is empty */
    return RX_BLOCK;
}

static rx_outcome step_push(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    StackObject *s = (StackObject *)n->a;
    rx_entry *e = head_of(r, s);
    rg_node *node = e ? rx_new_node(r, x) : NULL;
    if (!node) return RX_ERROR;
    rg_stack_link(node, e->cur);
    if (!rx_write(r, e, rg_node_word(node))) return RX_ERROR;
    *y = Py_NewRef(Py_None);
    return RX_DONE;
}

/* The payload of the top node, with a reference; RX_RETRY when the top changed under the look. */
static rx_outcome look(rx *r, StackObject *s, rx_entry *e, PyObject **y)
{
    rg_node *n = rg_node_of(e->cur);
    if (rx_is_private(r, n)) {
        *y = Py_NewRef(payload(n));
        return RX_DONE;
    }
    rg_look(&s->stack.lookers);
    /* Counted in, look whether the head that we know is still the head: then nobody has taken the
     * payload of any node under it without seeing us. */
    bool still = rg_read(r->space, r->me, e->word) == e->old;
    if (still) *y = Py_NewRef(payload(n));
    rg_looked(&s->stack.lookers);
    return still ? RX_DONE : RX_RETRY;
}

static rx_outcome step_pop(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    (void)x;
    StackObject *s = (StackObject *)n->a;
    rx_entry *e = head_of(r, s);
    if (!e) return RX_ERROR;
    if (!e->cur) return block(e);
    PyObject *v;
    rx_outcome o = look(r, s, e, &v);
    if (o != RX_DONE) return o;
    rg_node *top = rg_node_of(e->cur);
    if (!rx_unlink(r, top, v) || !rx_write(r, e, rg_load_rlx(&top->next))) { /* relaxed: never changes */
        rx_drop(r, v);
        return RX_ERROR;
    }
    *y = v;
    return RX_DONE;
}

static rx_outcome step_peek(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    (void)x;
    StackObject *s = (StackObject *)n->a;
    rx_entry *e = head_of(r, s);
    if (!e) return RX_ERROR;
    return e->cur ? look(r, s, e, y) : block(e);
}

/* ---- direct calls -------------------------------------------------------------------------------- */

/* Each has one try where nothing is in the way; what is in the way is the slow one's business. */

static RG_SLOW bool push_slow(StackObject *s, rg_node *n, PyObject *v, rg_tried t)
{
    rg_slot *slot = rg_begin(s->st, s, "push");
    if (!slot) return false;
    if (!n && !(n = rg_node_new(slot, (uint64_t)(uintptr_t)Py_NewRef(v)))) {
        Py_DECREF(v);
        PyErr_NoMemory();
        return false;
    }
    rg_pin(slot);
    if (rg_stack_push(slot, &s->stack, n, t) == RG_TRIED_DONE) /* met: nothing has changed */
        rg_wake_added(slot, &s->takers.list, &s->stack.head);
    rg_unpin(slot);
    return true;
}

static bool push(StackObject *s, PyObject *v)
{
    rg_slot *slot = rg_at_hand(s->st);
    rg_node *n = slot ? rg_node_kept(slot, (uint64_t)(uintptr_t)v) : NULL;
    if (__builtin_expect(!n, 0)) return push_slow(s, NULL, v, RG_TRIED_BUSY);
    Py_INCREF(v);
    if (__builtin_expect(!rg_glance(slot), 0)) return push_slow(s, n, v, RG_TRIED_BUSY);
    rg_tried t = rg_stack_try_push(slot, &s->stack, n);
    rg_glanced(slot);
    if (__builtin_expect(t != RG_TRIED_DONE, 0)) return push_slow(s, n, v, t);
    rg_wake_added(slot, &s->takers.list, &s->stack.head);
    return true;
}

/* Pinned, or in a glance; two places are reserved. */
static inline PyObject *taken(StackObject *s, rg_slot *slot, rg_node *n)
{
    PyObject *v = rg_take_payload(slot, &s->stack.lookers, n->value);
#ifdef RG_EXCLUSIVE
    rg_node_expired(slot, n);
#else
    rg_retire_lazily(slot, n, rg_node_expired);
#endif
    return v;
}

static RG_SLOW PyObject *pop_slow(StackObject *s, rg_tried t)
{
    rg_slot *slot = rg_begin(s->st, s, "pop");
    if (!slot) return NULL;
    if (!rg_reserve(slot, 2)) return PyErr_NoMemory();
    rg_pin(slot);
    rg_node *n;
    PyObject *v = NULL;
    t = rg_stack_pop(slot, &s->stack, &n, t);
    if (t == RG_TRIED_DONE) {
        v = taken(s, slot, n);
        rg_wake(slot, &s->stack.head);
    } else if (t == RG_TRIED_MET) { /* nobody else has ever seen the node */
        v = payload(n);
        rg_node_free(slot, n);
    }
    rg_unpin(slot);
    return v;
}

/* New reference, or NULL: empty, or an error is set. */
static PyObject *pop(StackObject *s)
{
    rg_slot *slot = rg_at_hand(s->st);
    if (__builtin_expect(!slot || !rg_has_room(slot, 2) || !rg_glance(slot), 0)) return pop_slow(s, RG_TRIED_BUSY);
    rg_node *n;
    rg_tried t = rg_stack_try_pop(slot, &s->stack, &n);
    PyObject *v = t == RG_TRIED_DONE ? taken(s, slot, n) : NULL;
    rg_glanced(slot);
    if (__builtin_expect(!v, 0)) return t == RG_TRIED_EMPTY ? NULL : pop_slow(s, t);
    rg_wake(slot, &s->stack.head);
    rg_reclaim_when_due(slot);
    return v;
}

static PyObject *direct_push(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kw)
{
    if (!rg_arity("push", nargs, kw, 1, 1) || !push((StackObject *)self, args[0])) return NULL;
    Py_RETURN_NONE;
}

extern const rg_op rg_op_pop, rg_op_peek;

static PyObject *direct_pop(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kw)
{
    StackObject *s = (StackObject *)self;
    rg_blocking how = { true, -1 };
    if ((nargs || kw) && !rg_parse_blocking(s->st, "pop", args, nargs, kw, 0, NULL, &how)) return NULL;
    PyObject *v = pop(s);
    if (v || PyErr_Occurred()) return v;
    return rg_wait_for(s->st, &rg_op_pop, self, how, s->st->stack_empty);
}

static PyObject *direct_peek(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kw)
{
    StackObject *s = (StackObject *)self;
    rg_blocking how = { true, -1 };
    if (!rg_parse_blocking(s->st, "peek", args, nargs, kw, 0, NULL, &how)) return NULL;
    return rg_wait_for(s->st, &rg_op_peek, self, how, s->st->stack_empty);
}

static PyObject *stack_pop_nowait(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    PyObject *v = pop((StackObject *)self);
    if (!v && !PyErr_Occurred()) PyErr_SetNone(((StackObject *)self)->st->stack_empty);
    return v;
}

RG_BOUND(push)
static const rg_op op_push = { .name = "push", .step = step_push, .direct = direct_push, .bound = direct_push_bound, .doc = "push($self, item, /)\n--\n\n"
    "Put item on top. A method and a reagent. Never blocks. Lock-free (Treiber 1986).\n\n"
    ">>> from lockfree import Stack\n>>> s = Stack()\n>>> s.push('a')\n>>> len(s)\n1" };
RG_BOUND(pop)
const rg_op rg_op_pop = { .name = "pop", .step = step_pop, .direct = direct_pop, .bound = direct_pop_bound,
    .doc = "pop($self, block=True, timeout=None)\n--\n\n"
    "Take the top item. Waits while there is none, at most timeout seconds; raises Empty (a queue.Empty and an\n"
    "IndexError) when it may not wait any longer. A method and a reagent. Lock-free but for the waiting\n"
    "(Treiber 1986).\n\n>>> from lockfree import Stack\n>>> Stack([1, 2]).pop()\n2" };
const rg_op rg_op_peek = { .name = "peek", .step = step_peek, .direct = direct_peek,
    .doc = "peek($self, block=True, timeout=None)\n--\n\n"
    "The top item, which stays. Waits and raises as pop. A method and a reagent. Lock-free.\n\n"
    ">>> from lockfree import Stack\n>>> Stack([1, 2]).peek()\n2" };
const rg_op *const rg_stack_ops[] = { &op_push, &rg_op_pop, &rg_op_peek, NULL };

/* ---- the whole stack at one instant -------------------------------------------------------------- */

static PyObject *stack_snapshot(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    StackObject *s = (StackObject *)self;
    rg_slot *slot = rg_begin(s->st, s, "snapshot");
    PyObject *list = NULL;
    if (!slot) return NULL;
    /* A list long enough first: nothing may be allocated by the collector's leave while pinned. */
    for (;;) {
        rg_pin(slot);
        uint64_t n = rg_stack_size(slot, &s->stack);
        rg_unpin(slot);
        Py_XDECREF(list);
        if (!(list = rg_new_list((Py_ssize_t)n))) return NULL;
        rg_pin(slot);
        rg_look(&s->stack.lookers);
        uint64_t head = rg_read(&s->st->domain->space, slot->index, &s->stack.head);
        Py_ssize_t i = 0;
        bool fits = rg_stack_size_of(head) == n;
        /* Linearizes at the read of head: what hangs below it does not change. */
        for (rg_node *at = fits ? rg_node_of(head) : NULL; at; at = rg_node_of(rg_load_rlx(&at->next)))
            PyList_SET_ITEM(list, i++, Py_NewRef(payload(at)));
        rg_looked(&s->stack.lookers);
        rg_unpin(slot);
        if (fits) return list;
    }
}

/* Linearizes at the CAS of head to 0, which makes all that hung below it ours. */
static PyObject *stack_clear_all(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    StackObject *s = (StackObject *)self;
    rg_slot *slot = rg_begin(s->st, s, "clear");
    if (!slot) return NULL;
    const rg_space *sp = &s->st->domain->space;
    PyObject **values = NULL;
    rg_backoff b = { 0 };
    uint64_t head, n, most = 0;
    rg_pin(slot);
    for (;;) {
        n = rg_stack_size_of(head = rg_read(sp, slot->index, &s->stack.head));
        if (n <= most) {
            if (!head || rg_cas_once(&slot->desc, &s->stack.head, head, 0)) break;
            rg_lost(slot, &b);
            continue;
        }
        rg_unpin(slot); /* making room may reclaim, and so run destructors */
        most = n + n / 2; /* others push meanwhile */
        PyMem_RawFree(values);
        values = PyMem_RawMalloc(most * sizeof *values);
        if (!values || !rg_reserve(slot, 2 * most)) {
            PyMem_RawFree(values);
            return PyErr_NoMemory();
        }
        rg_pin(slot);
    }
    uint64_t i = 0;
    for (rg_node *at = rg_node_of(head), *below; at; at = below) {
        below = rg_node_of(rg_load_rlx(&at->next)); /* relaxed: never changes */
        values[i++] = taken(s, slot, at);
    }
    if (n) rg_wake(slot, &s->stack.head);
    rg_unpin(slot);
    while (i) Py_DECREF(values[--i]);
    PyMem_RawFree(values);
    Py_RETURN_NONE;
}

static PyObject *stack_iter(PyObject *self)
{
    PyObject *list = stack_snapshot(self, NULL), *it = list ? PyObject_GetIter(list) : NULL;
    Py_XDECREF(list);
    return it;
}

static PyObject *stack_repr(PyObject *self)
{
    const char *name = strrchr(Py_TYPE(self)->tp_name, '.');
    name = name ? name + 1 : Py_TYPE(self)->tp_name;
    int depth = Py_ReprEnter(self);
    if (depth) return depth > 0 ? PyUnicode_FromFormat("%s(...)", name) : NULL;
    PyObject *list = stack_snapshot(self, NULL), *out = NULL;
    /* As the constructor takes it: bottom first. */
    if (list && PyList_Reverse(list) == 0) out = PyUnicode_FromFormat("%s(%R)", name, list);
    Py_XDECREF(list);
    Py_ReprLeave(self);
    return out;
}

static Py_ssize_t stack_len(PyObject *self)
{
    StackObject *s = (StackObject *)self;
    rg_slot *slot = rg_begin(s->st, s, "len");
    if (!slot) return -1;
    rg_pin(slot);
    Py_ssize_t n = (Py_ssize_t)rg_stack_size(slot, &s->stack);
    rg_unpin(slot);
    return n;
}

/* ---- life ---------------------------------------------------------------------------------------- */

static PyObject *stack_new(PyTypeObject *type, PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(kw))
{
    rg_state *st = rg_state_of(type);
    StackObject *s = st ? (StackObject *)type->tp_alloc(type, 0) : NULL;
    if (!s) return NULL;
    s->st = st;
    rg_list_init(&s->takers.list);
    s->takers.of = (PyObject *)s;
    return (PyObject *)s;
}

static int stack_init(PyObject *self, PyObject *args, PyObject *kw)
{
    static char *names[] = { "iterable", NULL };
    PyObject *items = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, kw, "|O:Stack", names, &items)) return -1;
    if (!items) return 0;
    PyObject *it = PyObject_GetIter(items), *v;
    if (!it) return -1;
    while ((v = PyIter_Next(it))) {
        bool ok = push((StackObject *)self, v);
        Py_DECREF(v);
        if (!ok) break;
    }
    Py_DECREF(it);
    return PyErr_Occurred() ? -1 : 0;
}

static int stack_traverse(PyObject *self, visitproc visit, void *arg)
{
    StackObject *s = (StackObject *)self;
    Py_VISIT(Py_TYPE(self));
    for (rg_node *n = rg_node_of(rg_load(&s->stack.head)); n; n = rg_node_of(rg_load(&n->next))) Py_VISIT(payload(n));
    return 0;
}

static int stack_clear(PyObject *self)
{
    PyObject *v, *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback); /* of whoever let go of us */
    /* Whoever is called by a destructor may put more: the next look sees it. */
    while ((v = pop((StackObject *)self))) rg_release(v);
    PyErr_Restore(type, value, traceback);
    return 0;
}

static void stack_dealloc(PyObject *self)
{
    StackObject *s = (StackObject *)self;
    PyObject_GC_UnTrack(self);
    if (s->weakrefs) PyObject_ClearWeakRefs(self);
    stack_clear(self);
    rg_stack_close(&s->stack);
    rg_free_late(s->st, self);
}

static PyMethodDef methods[] = {
    { "pop_nowait", stack_pop_nowait, METH_NOARGS, PyDoc_STR("pop_nowait($self, /)\n--\n\n"
      "Take the top item; raises Empty (a queue.Empty and an IndexError) at once when there is none. Lock-free.\n\n"
      ">>> from lockfree import Stack\n>>> Stack([1, 2]).pop_nowait()\n2") },
    { "snapshot", stack_snapshot, METH_NOARGS, PyDoc_STR("snapshot($self, /)\n--\n\n"
      "A list of all items at one instant, top first. Never blocks; repeats while others push and pop.\n\n"
      ">>> from lockfree import Stack\n>>> Stack([1, 2]).snapshot()\n[2, 1]") },
    { "clear", stack_clear_all, METH_NOARGS, PyDoc_STR("clear($self, /)\n--\n\n"
      "Drop all items in one atomic step. Never blocks. Lock-free.\n\n"
      ">>> from lockfree import Stack\n>>> s = Stack([1, 2])\n>>> s.clear()\n>>> len(s)\n0") },
    { "__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, NULL },
    { "__reduce__", rg_refuse_pickle, METH_NOARGS, NULL },
    { NULL },
};
static PyMemberDef members[] = {
    { "__weaklistoffset__", Py_T_PYSSIZET, offsetof(StackObject, weakrefs), Py_READONLY, NULL },
    { NULL },
};
static PyType_Slot slots[] = {
    { Py_tp_doc, "Stack(iterable=())\n--\n\n"
      "A last-in, first-out stack that threads share without locks: Treiber, IBM RJ 5118, 1986.\n\n"
      "push, pop and peek are methods and reagents; len, iteration (from the top), `in` and repr see one instant; bool asks\n"
      "whether there is an item. The iterable is pushed item by item, so its last one is on top. Blocking pops are\n"
      "woken in the order of their arrival; who comes later may still be faster. Without the GIL, a push and a pop that\n"
      "have both lost a race for the top may meet and leave the stack alone (elimination: Hendler, Shavit and Yerushalmi,\n"
      "SPAA 2004).\n\n"
      ">>> from lockfree import Stack\n>>> s = Stack('ab')\n>>> s.push('c')\n>>> s.pop(), len(s)\n('c', 2)" },
    { Py_tp_new, stack_new },
    { Py_tp_init, stack_init },
    { Py_tp_dealloc, stack_dealloc },
    { Py_tp_traverse, stack_traverse },
    { Py_tp_clear, stack_clear },
    { Py_tp_repr, stack_repr },
    { Py_tp_iter, stack_iter },
    { Py_sq_length, stack_len },
    { Py_tp_methods, methods },
    { Py_tp_members, members },
    { 0, NULL },
};
PyType_Spec rg_stack_spec = {
    .name = "lockfree.Stack",
    .basicsize = sizeof(StackObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .slots = slots,
};
