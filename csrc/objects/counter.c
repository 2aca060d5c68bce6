/* counter.c - lockfree.Counter: a sum that threads add to without meeting.
 *
 * The value is base + the sum of the cells. There are no cells until two threads collide on base;
 * then an array of them, each on a cache line of its own, is installed once and for ever, and a
 * thread adds to the cell of its slot (striped counters: java.util.concurrent's LongAdder; Dice,
 * Lev, Moir 2013). Each add linearizes at its CAS; value() reads all cells in one reaction, so it
 * is exact at one instant, as a sum of cells read one by one would not be.
 */
#include "words.h"

#include <unistd.h>

typedef struct cell {
    _Alignas(RG_CACHE_LINE) rg_word n;
} cell;

typedef struct CounterObject {
    PyObject_HEAD
    rg_state *st;
    PyObject *weakrefs;
    rg_word base;
    rg_word cells; /* pointer, 0: none yet */
} CounterObject;

static size_t cell_count(void)
{
    static _Atomic size_t known;
    size_t n = known;
    if (n) return n;
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    for (n = 4; n < 64 && n < 2 * (size_t)(cpus > 0 ? cpus : 1); n *= 2) {}
    return known = n;
}

static cell *cells_of(uint64_t w) { return (cell *)(uintptr_t)w; }

/* Does nothing when memory is short: base serves. */
static void inflate(CounterObject *c, rg_slot *s)
{
    cell *cells = aligned_alloc(RG_CACHE_LINE, cell_count() * sizeof(cell));
    if (!cells) return;
    for (size_t i = 0; i < cell_count(); i++) rg_store_rlx(&cells[i].n, 0); /* relaxed: private yet */
    if (!rg_cas1(&s->domain->space, s->index, &c->cells, 0, (uint64_t)(uintptr_t)cells)) free(cells);
}

/* The word that this thread adds to. */
static rg_word *my_cell(CounterObject *c, rg_slot *s)
{
    uint64_t cells = rg_read(&s->domain->space, s->index, &c->cells);
    return cells ? &cells_of(cells)[s->index & (cell_count() - 1)].n : &c->base;
}

static bool add_words(uint64_t a, uint64_t b, uint64_t *sum)
{
    int64_t s = (int64_t)(a + b); /* both within 2^62: no wrap */
    *sum = (uint64_t)s;
    if (s <= RG_INT_MAX && s >= RG_INT_MIN) return true;
    PyErr_SetString(PyExc_OverflowError, "the sum is out of the range of a word, -2**62 to 2**62 - 1");
    return false;
}

static bool add(CounterObject *c, uint64_t by)
{
    rg_slot *s = rg_begin(c->st, c, "add");
    if (!s) return false;
    const rg_space *sp = &s->domain->space;
    rg_backoff b = { 0 };
    rg_pin(s);
    for (;;) {
        rg_word *w = my_cell(c, s);
        uint64_t old = rg_read(sp, s->index, w), sum;
        if (!add_words(old, by, &sum)) {
            rg_unpin(s);
            return false;
        }
        if (rg_cas_once(&s->desc, w, old, sum)) {
            if (by) rg_wake(s, w);
            rg_unpin(s);
            return true;
        }
        if (w == &c->base) inflate(c, s);
        rg_lost(s, &b);
    }
}

static PyObject *direct_add(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kw)
{
    if (!rg_arity("add", nargs, kw, 0, 1)) return NULL;
    uint64_t by = 1;
    if (nargs && !rg_int_from(args[0], &by)) return NULL;
    if (!add((CounterObject *)self, by)) return NULL;
    Py_RETURN_NONE;
}

static rx_outcome step_add(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    uint64_t by = 1, sum;
    if (x != Py_None && !rg_int_of(x, &by)) return RX_ERROR;
    rx_entry *e = rx_read_private(r, my_cell((CounterObject *)n->a, r->slot), WORD_INT, NULL);
    if (!e || !add_words(e->cur, by, &sum) || !rx_write(r, e, sum)) return RX_ERROR;
    *y = Py_NewRef(Py_None);
    return RX_DONE;
}

static rx_outcome step_value(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    (void)x;
    CounterObject *c = (CounterObject *)n->a;
    rx_entry *e = rx_read_private(r, &c->cells, WORD_INT, NULL);
    if (!e) return RX_ERROR;
    uint64_t cells = e->cur;
    e = rx_read_private(r, &c->base, WORD_INT, NULL);
    if (!e) return RX_ERROR;
    uint64_t sum = e->cur;
    for (size_t i = 0; cells && i < cell_count(); i++) {
        e = rx_read_private(r, &cells_of(cells)[i].n, WORD_INT, NULL);
        if (!e || !add_words(sum, e->cur, &sum)) return RX_ERROR;
    }
    return (*y = rg_int_object(sum)) ? RX_DONE : RX_ERROR;
}

RG_BOUND(add)
static const rg_op op_add = { .name = "add", .step = step_add, .direct = direct_add, .bound = direct_add_bound, .doc = "add($self, n=1, /)\n--\n\n"
    "Add n; OverflowError, and no change, when a part of the sum would leave -2**62 to 2**62 - 1. A method and\n"
    "a reagent (an input of None counts as 1). Lock-free.\n\n"
    ">>> from lockfree import Counter\n>>> c = Counter()\n>>> c.add(); c.add(5)\n>>> c.value()\n6" };
extern const rg_op rg_op_counter_value;

static PyObject *direct_value(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kw)
{
    (void)args;
    CounterObject *c = (CounterObject *)self;
    if (!rg_arity("value", nargs, kw, 0, 0)) return NULL;
    rg_slot *s = rg_begin(c->st, c, "value");
    if (!s) return NULL;
    rg_pin(s);
    /* cells first: an add that goes to a cell after this read is concurrent with us. */
    uint64_t cells = rg_read(&s->domain->space, s->index, &c->cells), base = rg_read(&s->domain->space, s->index, &c->base);
    rg_unpin(s);
    if (!cells) return rg_int_object(base);
    PyObject *n = rg_reagent_new(c->st, &rg_op_counter_value, self, NULL);
    PyObject *y = n ? rg_run(c->st, (Reagent *)n, Py_None, -1, NULL) : NULL;
    Py_XDECREF(n);
    return y;
}

RG_BOUND(value)
const rg_op rg_op_counter_value = { .name = "value", .step = step_value, .direct = direct_value, .bound = direct_value_bound, .doc = "value($self)\n--\n\n"
    "The exact sum at one instant. A method and a reagent. Lock-free.\n\n"
    ">>> from lockfree import Counter\n>>> Counter(3).value()\n3" };
const rg_op *const rg_counter_ops[] = { &op_add, &rg_op_counter_value, NULL };

static PyObject *counter_new(PyTypeObject *type, PyObject *args, PyObject *kw)
{
    static char *names[] = { "initial", NULL };
    PyObject *initial = NULL;
    uint64_t v = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kw, "|O:Counter", names, &initial)) return NULL;
    if (initial && !rg_int_from(initial, &v)) return NULL;
    rg_state *st = rg_state_of(type);
    CounterObject *c = st ? (CounterObject *)type->tp_alloc(type, 0) : NULL;
    if (!c) return NULL;
    c->st = st;
    rg_store_rlx(&c->base, v); /* relaxed: private yet */
    return (PyObject *)c;
}

static int counter_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    return 0;
}

static void cells_expired(rg_slot *s, void *p)
{
    (void)s;
    free(p);
}

static void counter_dealloc(PyObject *self)
{
    CounterObject *c = (CounterObject *)self;
    PyObject_GC_UnTrack(self);
    if (c->weakrefs) PyObject_ClearWeakRefs(self);
    uint64_t cells = rg_last_value(c->st, &c->cells);
    rg_slot *s = rg_here_quietly(c->st);
    if (cells && s && rg_reserve(s, 1)) rg_retire_lazily(s, cells_of(cells), cells_expired);
    rg_free_late(c->st, self);
}

static PyObject *counter_repr(PyObject *self)
{
    PyObject *v = direct_value(self, NULL, 0, NULL), *s = v ? PyUnicode_FromFormat("Counter(%R)", v) : NULL;
    Py_XDECREF(v);
    return s;
}

static PyMethodDef methods[] = {
    { "__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, NULL },
    { "__reduce__", rg_refuse_pickle, METH_NOARGS, NULL },
    { NULL },
};
static PyMemberDef members[] = {
    { "__weaklistoffset__", Py_T_PYSSIZET, offsetof(CounterObject, weakrefs), Py_READONLY, NULL },
    { NULL },
};
static PyType_Slot slots[] = {
    { Py_tp_doc, "Counter(initial=0)\n--\n\n"
      "A sum that many threads add to: under contention each has a cell of its own, as java.util.concurrent's\n"
      "LongAdder, but value() is exact. add and value are methods and reagents. Lock-free.\n\n"
      ">>> from lockfree import Counter\n>>> c = Counter()\n>>> c.add(2)\n>>> c.value()\n2" },
    { Py_tp_new, counter_new },
    { Py_tp_dealloc, counter_dealloc },
    { Py_tp_traverse, counter_traverse },
    { Py_tp_repr, counter_repr },
    { Py_tp_methods, methods },
    { Py_tp_members, members },
    { 0, NULL },
};
PyType_Spec rg_counter_spec = {
    .name = "lockfree.Counter",
    .basicsize = sizeof(CounterObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .slots = slots,
};
