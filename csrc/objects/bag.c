/* bag.c - lockfree.Bag (core/bag.h) of objects: an unordered collection, as a few stacks; threads begin at different ones.
 *
 * A reaction that finds nothing has all heads in its log. One that takes something logs the head of the stack that it took it from, and no other: which
 * one it was is nobody's business. With the GIL there is one stack, for threads are not in each other's way.
 */
#include "containers.h"

#include "../core/bag.h"

#ifdef RG_EXCLUSIVE
#define STACKS 1u
#else
#define STACKS 4u
#endif

typedef struct shelf {
    rg_stack stack;
    char apart[RG_CACHE_LINE - sizeof(rg_stack)];
} shelf;

typedef struct BagObject {
    PyObject_HEAD
    rg_state *st;
    PyObject *weakrefs;
    rg_takers takers;
    shelf shelves[STACKS];
} BagObject;

static PyObject *payload(rg_node *n) { return (PyObject *)(uintptr_t)n->value; }
static rg_stack *shelf_of(BagObject *b, rg_slot *s, unsigned i) { return &b->shelves[(s->index + i) % STACKS].stack; }

/* All of them, this thread's first. */
static void shelves_of(BagObject *b, rg_slot *s, rg_stack **stacks)
{
    for (unsigned i = 0; i < STACKS; i++) stacks[i] = shelf_of(b, s, i);
}

/* All heads, at one instant. Pinned. */
static void heads_now(BagObject *b, rg_slot *s, uint64_t *heads)
{
    rg_stack *stacks[STACKS];
    shelves_of(b, s, stacks);
    rg_bag_heads(s, stacks, STACKS, heads);
}

/* ---- reagents ---------------------------------------------------------------------------------- */

static rx_entry *head_of(rx *r, BagObject *b, rg_stack *stack)
{
    rx_entry *e = rx_read_private(r, &stack->head, WORD_NODE, NULL);
    if (e) rx_is_part(e, &b->takers, PART_STACK_HEAD);
    return e;
}

static rx_outcome step_put(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    BagObject *b = (BagObject *)n->a;
    rx_entry *e = head_of(r, b, shelf_of(b, r->slot, 0));
    rg_node *node = e ? rx_new_node(r, x) : NULL;
    if (!node) return RX_ERROR;
    rg_stack_link(node, e->cur);
    if (!rx_write(r, e, rg_node_word(node))) return RX_ERROR;
    *y = Py_NewRef(Py_None);
    return RX_DONE;
}

/* As Stack.pop: head is in the log and not 0. */
static rx_outcome take_top(rx *r, rg_stack *stack, rx_entry *e, PyObject **y)
{
    rg_node *top = rg_node_of(e->cur);
    PyObject *v = NULL;
    if (rx_is_private(r, top)) {
        v = Py_NewRef(payload(top));
    } else {
        rg_look(&stack->lookers);
        if (rg_read(r->space, r->me, e->word) == e->old) v = Py_NewRef(payload(top));
        rg_looked(&stack->lookers);
        if (!v) return RX_RETRY;
    }
    if (!rx_unlink(r, top, v) || !rx_write(r, e, rg_load_rlx(&top->next))) { /* relaxed: never changes */
        rx_drop(r, v);
        return RX_ERROR;
    }
    *y = v;
    return RX_DONE;
}

static rx_outcome step_get(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    (void)x;
    BagObject *b = (BagObject *)n->a;
    for (unsigned i = 0; i < STACKS; i++) {
        rg_stack *stack = shelf_of(b, r->slot, i);
        rx_entry *e = rx_find(r, &stack->head);
        if (!e && rg_read(&r->st->domain->space, r->slot->index, &stack->head)) {
            e = head_of(r, b, stack);
            if (!e) return RX_ERROR;
        }
        if (e && e->cur) return take_top(r, stack, e, y);
    }
    bool vacant = true; /* else it is what this reaction has left of the bag that is empty */
    for (unsigned i = 0; i < STACKS; i++) {
        rx_entry *e = head_of(r, b, &b->shelves[i].stack);
        if (!e) return RX_ERROR;
        if (e->cur) return take_top(r, &b->shelves[i].stack, e, y);
        vacant &= !e->old;
    }
    for (unsigned i = 0; i < STACKS; i++) rx_find(r, &b->shelves[i].stack.head)->vacant |= vacant;
    return RX_BLOCK;
}

/* ---- direct calls -------------------------------------------------------------------------------- */

static RG_SLOW bool put_slow(BagObject *b, rg_node *n, PyObject *v, rg_tried t)
{
    rg_slot *s = rg_begin(b->st, b, "put");
    if (!s) return false;
    if (!n && !(n = rg_node_new(s, (uint64_t)(uintptr_t)Py_NewRef(v)))) {
        Py_DECREF(v);
        PyErr_NoMemory();
        return false;
    }
    rg_stack *stack = shelf_of(b, s, 0);
    rg_pin(s);
    if (rg_stack_push(s, stack, n, t) == RG_TRIED_DONE) /* met: nothing has changed */
        rg_wake_added(s, &b->takers.list, &stack->head);
    rg_unpin(s);
    return true;
}

static bool put(BagObject *b, PyObject *v)
{
    rg_slot *s = rg_at_hand(b->st);
    rg_node *n = s ? rg_node_kept(s, (uint64_t)(uintptr_t)v) : NULL;
    if (__builtin_expect(!n, 0)) return put_slow(b, NULL, v, RG_TRIED_BUSY);
    rg_stack *stack = shelf_of(b, s, 0);
    Py_INCREF(v);
    if (__builtin_expect(!rg_glance(s), 0)) return put_slow(b, n, v, RG_TRIED_BUSY);
    rg_tried t = rg_stack_try_push(s, stack, n);
    rg_glanced(s);
    if (__builtin_expect(t != RG_TRIED_DONE, 0)) return put_slow(b, n, v, t);
    rg_wake_added(s, &b->takers.list, &stack->head);
    return true;
}

/* Pinned, or in a glance; two places are reserved. */
static inline PyObject *taken(rg_slot *s, rg_stack *stack, rg_node *n)
{
    PyObject *v = rg_take_payload(s, &stack->lookers, n->value);
#ifdef RG_EXCLUSIVE
    rg_node_expired(s, n);
#else
    rg_retire_lazily(s, n, rg_node_expired);
#endif
    return v;
}

static RG_SLOW PyObject *get_slow(BagObject *b)
{
    rg_slot *s = rg_begin(b->st, b, "get");
    if (!s) return NULL;
    if (!rg_reserve(s, 2)) return PyErr_NoMemory();
    PyObject *v = NULL;
    rg_stack *stacks[STACKS];
    rg_node *n;
    unsigned from;
    shelves_of(b, s, stacks);
    rg_pin(s);
    rg_tried t = rg_bag_get(s, stacks, STACKS, &n, &from);
    if (t == RG_TRIED_DONE) {
        v = taken(s, stacks[from], n);
        rg_wake(s, &stacks[from]->head);
    } else if (t == RG_TRIED_MET) { /* nobody else has ever seen the node */
        v = payload(n);
        rg_node_free(s, n);
    }
    rg_unpin(s);
    return v;
}

/* New reference, or NULL: empty, or an error is set. */
static PyObject *get(BagObject *b)
{
    rg_slot *s = rg_at_hand(b->st);
    if (__builtin_expect(!s || !rg_has_room(s, 2), 0)) return get_slow(b);
    rg_stack *stack = shelf_of(b, s, 0);
    if (__builtin_expect(!rg_glance(s), 0)) return get_slow(b);
    rg_node *n;
    PyObject *v = rg_stack_try_pop(s, stack, &n) == RG_TRIED_DONE ? taken(s, stack, n) : NULL;
    rg_glanced(s);
    if (__builtin_expect(!v, 0)) return get_slow(b);
    rg_wake(s, &stack->head);
    rg_reclaim_when_due(s);
    return v;
}

static PyObject *direct_put(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kw)
{
    BagObject *b = (BagObject *)self;
    PyObject *item = nargs ? args[0] : NULL;
    rg_blocking how;
    /* Unbounded: block and timeout are checked and have no effect. */
    if ((nargs != 1 || kw) && !rg_parse_blocking(b->st, "put", args, nargs, kw, 1, &item, &how)) return NULL;
    if (!put(b, item)) return NULL;
    Py_RETURN_NONE;
}

extern const rg_op rg_op_bag_get;

static PyObject *direct_get(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kw)
{
    BagObject *b = (BagObject *)self;
    rg_blocking how = { true, -1 };
    if ((nargs || kw) && !rg_parse_blocking(b->st, "get", args, nargs, kw, 0, NULL, &how)) return NULL;
    PyObject *v = get(b);
    if (v || PyErr_Occurred()) return v;
    return rg_wait_for(b->st, &rg_op_bag_get, self, how, b->st->queue_empty);
}

static PyObject *bag_put_nowait(PyObject *self, PyObject *item)
{
    if (!put((BagObject *)self, item)) return NULL;
    Py_RETURN_NONE;
}

static PyObject *bag_get_nowait(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    PyObject *v = get((BagObject *)self);
    if (!v && !PyErr_Occurred()) PyErr_SetNone(((BagObject *)self)->st->queue_empty);
    return v;
}

RG_BOUND(put)
static const rg_op op_put = { .name = "put", .step = step_put, .direct = direct_put, .bound = direct_put_bound,
    .doc = "put($self, item, block=True, timeout=None)\n--\n\n"
    "Put item in. Never blocks; block and timeout are there for queue.Queue's sake. A method and a reagent. Lock-free\n"
    "(Treiber 1986).\n\n>>> from lockfree import Bag\n>>> b = Bag()\n>>> b.put('a')\n>>> len(b)\n1" };
RG_BOUND(get)
const rg_op rg_op_bag_get = { .name = "get", .step = step_get, .direct = direct_get, .bound = direct_get_bound,
    .doc = "get($self, block=True, timeout=None)\n--\n\n"
    "Take some item. Waits while there is none, at most timeout seconds; raises queue.Empty when it may not wait any\n"
    "longer. A method and a reagent. Lock-free but for the waiting (Treiber 1986).\n\n"
    ">>> from lockfree import Bag\n>>> Bag(['a']).get()\n'a'" };
const rg_op *const rg_bag_ops[] = { &op_put, &rg_op_bag_get, NULL };

/* ---- all of it at one instant ------------------------------------------------------------------- */

static uint64_t items_in(const uint64_t *heads)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < STACKS; i++) n += heads[i] ? rg_node_position(rg_node_of(heads[i])) : 0;
    return n;
}

static PyObject *bag_snapshot(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    BagObject *b = (BagObject *)self;
    rg_slot *s = rg_begin(b->st, b, "snapshot");
    PyObject *list = NULL;
    uint64_t heads[STACKS];
    if (!s) return NULL;
    /* A list long enough first: nothing may be allocated by the collector's leave while pinned. */
    for (;;) {
        rg_pin(s);
        heads_now(b, s, heads);
        uint64_t n = items_in(heads);
        rg_unpin(s);
        Py_XDECREF(list);
        if (!(list = rg_new_list((Py_ssize_t)n))) return NULL;
        rg_pin(s);
        for (unsigned i = 0; i < STACKS; i++) rg_look(&b->shelves[i].stack.lookers);
        heads_now(b, s, heads);
        Py_ssize_t at = 0;
        bool fits = items_in(heads) == n;
        for (unsigned i = 0; fits && i < STACKS; i++)
            for (rg_node *node = rg_node_of(heads[i]); node; node = rg_node_of(rg_load_rlx(&node->next)))
                PyList_SET_ITEM(list, at++, Py_NewRef(payload(node)));
        for (unsigned i = 0; i < STACKS; i++) rg_looked(&b->shelves[i].stack.lookers);
        rg_unpin(s);
        if (fits) return list;
    }
}

static PyObject *bag_iter(PyObject *self)
{
    PyObject *list = bag_snapshot(self, NULL), *it = list ? PyObject_GetIter(list) : NULL;
    Py_XDECREF(list);
    return it;
}

static Py_ssize_t bag_len(PyObject *self)
{
    BagObject *b = (BagObject *)self;
    rg_slot *s = rg_begin(b->st, b, "len");
    uint64_t heads[STACKS];
    if (!s) return -1;
    rg_pin(s);
    heads_now(b, s, heads);
    Py_ssize_t n = (Py_ssize_t)items_in(heads);
    rg_unpin(s);
    return n;
}

static PyObject *bag_repr(PyObject *self)
{
    const char *name = strrchr(Py_TYPE(self)->tp_name, '.');
    Py_ssize_t n = bag_len(self);
    return n < 0 ? NULL : PyUnicode_FromFormat("<%s at %p, %zd items>", name ? name + 1 : Py_TYPE(self)->tp_name, self, n);
}

/* ---- life ---------------------------------------------------------------------------------------- */

static PyObject *bag_new(PyTypeObject *type, PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(kw))
{
    rg_state *st = rg_state_of(type);
    BagObject *b = st ? (BagObject *)type->tp_alloc(type, 0) : NULL;
    if (!b) return NULL;
    b->st = st;
    rg_list_init(&b->takers.list);
    b->takers.of = (PyObject *)b;
    return (PyObject *)b;
}

static int bag_init(PyObject *self, PyObject *args, PyObject *kw)
{
    static char *names[] = { "iterable", NULL };
    PyObject *items = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, kw, "|O:Bag", names, &items)) return -1;
    if (!items) return 0;
    PyObject *it = PyObject_GetIter(items), *v;
    if (!it) return -1;
    while ((v = PyIter_Next(it))) {
        bool ok = put((BagObject *)self, v);
        Py_DECREF(v);
        if (!ok) break;
    }
    Py_DECREF(it);
    return PyErr_Occurred() ? -1 : 0;
}

static int bag_traverse(PyObject *self, visitproc visit, void *arg)
{
    BagObject *b = (BagObject *)self;
    Py_VISIT(Py_TYPE(self));
    for (unsigned i = 0; i < STACKS; i++)
        for (rg_node *n = rg_node_of(rg_load(&b->shelves[i].stack.head)); n; n = rg_node_of(rg_load(&n->next))) Py_VISIT(payload(n));
    return 0;
}

static int bag_clear(PyObject *self)
{
    PyObject *v, *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback); /* of whoever let go of us */
    /* Whoever is called by a destructor may put more: the next look sees it. */
    while ((v = get((BagObject *)self))) rg_release(v);
    PyErr_Restore(type, value, traceback);
    return 0;
}

static void bag_dealloc(PyObject *self)
{
    BagObject *b = (BagObject *)self;
    PyObject_GC_UnTrack(self);
    if (b->weakrefs) PyObject_ClearWeakRefs(self);
    bag_clear(self);
    for (unsigned i = 0; i < STACKS; i++) rg_stack_close(&b->shelves[i].stack);
    rg_free_late(b->st, self);
}

static PyMethodDef methods[] = {
    { "put_nowait", bag_put_nowait, METH_O, PyDoc_STR("put_nowait($self, item, /)\n--\n\n"
      "The same as put(item). Lock-free.\n\n>>> from lockfree import Bag\n>>> Bag().put_nowait(1)") },
    { "get_nowait", bag_get_nowait, METH_NOARGS, PyDoc_STR("get_nowait($self, /)\n--\n\n"
      "Take some item; raises queue.Empty at once when there is none. Lock-free.\n\n"
      ">>> from lockfree import Bag\n>>> Bag([1]).get_nowait()\n1") },
    { "snapshot", bag_snapshot, METH_NOARGS, PyDoc_STR("snapshot($self, /)\n--\n\n"
      "A list of all items at one instant, in no order. Never blocks; repeats while others put and get.\n\n"
      ">>> from lockfree import Bag\n>>> sorted(Bag([2, 1]).snapshot())\n[1, 2]") },
    { "__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, NULL },
    { "__reduce__", rg_refuse_pickle, METH_NOARGS, NULL },
    { NULL },
};
static PyMemberDef members[] = {
    { "__weaklistoffset__", Py_T_PYSSIZET, offsetof(BagObject, weakrefs), Py_READONLY, NULL },
    { NULL },
};
static PyType_Slot slots[] = {
    { Py_tp_doc, "Bag(iterable=())\n--\n\n"
      "An unordered collection for producers and consumers: several of Treiber's stacks (IBM RJ 5118, 1986), which threads\n"
      "begin at different ones of; with the GIL, one.\n\n"
      "put and get are methods and reagents. len, iteration and `in` see one instant, and a get that finds nothing says so\n"
      "of one instant. A thread that gets what it has put itself meets nobody; where one thread puts and another gets, a\n"
      "Bag is no faster than a Stack or a Queue, and an empty one takes longer to be sure.\n\n"
      ">>> from lockfree import Bag\n>>> b = Bag('ab')\n>>> b.put('c')\n>>> sorted(b), len(b)\n(['a', 'b', 'c'], 3)" },
    { Py_tp_new, bag_new },
    { Py_tp_init, bag_init },
    { Py_tp_dealloc, bag_dealloc },
    { Py_tp_traverse, bag_traverse },
    { Py_tp_clear, bag_clear },
    { Py_tp_repr, bag_repr },
    { Py_tp_iter, bag_iter },
    { Py_sq_length, bag_len },
    { Py_tp_methods, methods },
    { Py_tp_members, members },
    { 0, NULL },
};
PyType_Spec rg_bag_spec = {
    .name = "lockfree.Bag",
    .basicsize = sizeof(BagObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .slots = slots,
};
