/* thread_local.c - lockfree.ThreadLocal: a value for each thread.
 *
 * A value lives in a *cell*, which has two holders: the ThreadLocal that it is a value of, in whose list of cells
 * it is, and the thread whose value it is, in whose table of cells it is. Either may go first, in any thread:
 *   - who takes the value out of the cell by a CAS drops it;
 *   - who lets go of the cell last frees it. A cell that only its ThreadLocal holds serves the next thread, so
 *     there are as many as there were threads at once; one that only its thread holds goes when the table is next
 *     in want of room, so there are at most as many as were in use at once, times two.
 * No lock, and no grace period: while a ThreadLocal lives nobody but the thread itself takes values out of that
 * thread's cells, and nobody gives up cells that the ThreadLocal holds.
 *
 * A table is a hash table by the number of the ThreadLocal, which no other ever has again in this process. Numbers
 * are given in sequence, so nearly always the first place looked at, number modulo size, is it.
 * Tables change by their own thread only, or when that is no more, and another goes over it in its place (in
 * the child of a fork, or when the interpreter ends).
 *
 * What ends a thread's values is the end of its *thread state*, as for threading.local: the dictionary of the thread
 * state holds a capsule, and whoever clears that dictionary, which is the thread itself while it still can run
 * Python code, runs ended(). The memory of the table is shared by the capsule and the thread that `here`
 * is the variable of: the latter may look at it until it ends.
 */
#include "words.h"

#include <pthread.h>

typedef struct cell {
    rg_word value; /* an object, with a reference, or 0 */
    rg_word held;
    struct cell *next; /* in the list of the ThreadLocal; set before publication */
} cell;

enum { BY_OWNER = 1, BY_THREAD = 2 };

typedef struct place {
    uint64_t number; /* 0: empty */
    cell *cell;
} place;

/* One block, so that what a fork finds in the middle of a change is one or the other. */
typedef struct places {
    size_t mask, used; /* at least one place is empty */
    place at[];
} places;

typedef struct table {
    _Atomic(uintptr_t) in; /* places */
    struct table *next;    /* of this thread, in another interpreter */
    int64_t interpreter;
    uint64_t thread_state; /* 0: of none */
    bool ended; /* nothing is kept any more */
    _Atomic(int) holders;
} table;

typedef struct LocalObject {
    PyObject_HEAD
    uint64_t number;
    rg_word cells;
    PyObject *factory;
    PyObject *weakrefs;
} LocalObject;

#define FIRST_SIZE 16

/* The places of the table that this thread used last, or NULL. */
static _Thread_local places *here __attribute__((tls_model("initial-exec")));
static pthread_key_t thread_key; /* value: this thread's tables */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Atomic(uint64_t) numbers; /* of all interpreters */

/* ---- cells --------------------------------------------------------------------------------------- */

static PyObject *take(cell *c)
{
    uint64_t v;
    while ((v = rg_load(&c->value)) && !rg_cas(&c->value, v, 0)) {}
    return (PyObject *)(uintptr_t)v;
}

static void let_go(cell *c, uint64_t whose)
{
    if (rg_fetch_add(&c->held, (uint64_t)0 - whose) == whose) rg_free(c);
}

/* One that the ThreadLocal holds and no thread, now this thread's; NULL: no memory. */
static cell *claim(LocalObject *l)
{
    uint64_t first = rg_load(&l->cells);
    for (cell *c = (cell *)(uintptr_t)first; c; c = c->next)
        if (rg_load(&c->held) == BY_OWNER && rg_cas(&c->held, BY_OWNER, BY_OWNER | BY_THREAD)) return c;
    cell *c = rg_alloc(sizeof *c);
    if (!c) return NULL;
    rg_store_rlx(&c->value, 0); /* relaxed: private yet */
    rg_store_rlx(&c->held, BY_OWNER | BY_THREAD);
    do {
        c->next = (cell *)(uintptr_t)first;
        if (rg_cas(&l->cells, first, (uint64_t)(uintptr_t)c)) return c;
        first = rg_load(&l->cells);
    } while (true);
}

/* ---- tables -------------------------------------------------------------------------------------- */

static places *in(table *t) { return (places *)atomic_load_explicit(&t->in, memory_order_relaxed); } /* its own thread's */

static places *places_new(size_t size)
{
    places *p = rg_calloc(sizeof *p + size * sizeof(place));
    if (p) p->mask = size - 1;
    return p;
}

static cell *find(places *p, uint64_t number)
{
    for (size_t i = number;; i++) {
        place *at = &p->at[i & p->mask];
        if (at->number == number) return at->cell;
        if (!at->number) return NULL;
    }
}

/* Its ThreadLocal is gone; then nobody else has it. */
static bool is_left(cell *c) { return rg_load(&c->held) == BY_THREAD; }

/* A cell for `number`, which has none. */
static void insert(places *p, uint64_t number, cell *c)
{
    size_t i = number;
    while (p->at[i & p->mask].number && !is_left(p->at[i & p->mask].cell)) i++;
    place *at = &p->at[i & p->mask];
    cell *left = at->number ? at->cell : NULL;
    p->used += !left;
    at->cell = c;
    rg_compiler_barrier(); /* a fork by another thread may find us here: a place that has a number has a cell */
    at->number = number;
    rg_free(left);
}

/* Room for one more; cells that were left are given up. False: no memory. */
static bool make_room(table *t)
{
    places *p = in(t);
    if ((p->used + 1) * 2 <= p->mask + 1) return true;
    size_t live = 1, size = FIRST_SIZE;
    for (size_t i = 0; i <= p->mask; i++) live += p->at[i].number && !is_left(p->at[i].cell);
    while (size < live * 4) size *= 2;
    places *new_ = places_new(size);
    if (!new_) return false;
    /* Which are left is asked once: a ThreadLocal may go meanwhile, in another thread. */
    for (size_t i = 0; i <= p->mask; i++) {
        if (!p->at[i].number || is_left(p->at[i].cell)) continue;
        insert(new_, p->at[i].number, p->at[i].cell);
        p->at[i].number = 0;
    }
    here = new_;
    atomic_store(&t->in, (uintptr_t)new_);
    for (size_t i = 0; i <= p->mask; i++)
        if (p->at[i].number) rg_free(p->at[i].cell);
    rg_free(p);
    return true;
}

static void give_up(table *t)
{
    if (atomic_fetch_sub(&t->holders, 1) != 1) return;
    rg_free(in(t));
    rg_free(t);
}

/* The destructor of thread_key: no thread state is there, nor needed. */
static void thread_gone(void *tables)
{
    here = NULL;
    for (table *t = tables, *next; t; t = next) {
        next = t->next;
        give_up(t);
    }
}

static void init_once(void) { pthread_key_create(&thread_key, thread_gone); }

/* Destructors run as we go, and may use this and any other ThreadLocal: the places may be others
 * after each. Were there any values? */
static bool drop_values(table *t)
{
    bool any = false;
    for (size_t i = 0; i <= in(t)->mask; i++) {
        place at = in(t)->at[i];
        PyObject *v = at.number ? take(at.cell) : NULL;
        any |= v != NULL;
        rg_release(v);
    }
    return any;
}

#define LAST_ROUNDS 8 /* of values that the destructors of values have made; PTHREAD_DESTRUCTOR_ITERATIONS is 4 */
#define CAPSULE "lockfree.ThreadLocal"

static void ended(PyObject *capsule)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    table *t = PyCapsule_GetPointer(capsule, CAPSULE);
    for (int i = 0; i < LAST_ROUNDS && drop_values(t); i++) {}
    t->ended = true;
    drop_values(t);
    places *p = in(t);
    for (size_t i = 0; i <= p->mask; i++) {
        uint64_t number = p->at[i].number;
        p->at[i].number = 0;
        if (number) let_go(p->at[i].cell, BY_THREAD);
    }
    give_up(t);
    PyErr_Restore(type, value, traceback);
}

/* The table of this thread in this interpreter, and out with those of thread states that are no more. */
static table *at_hand(void)
{
    int64_t interpreter = PyInterpreterState_GetID(PyInterpreterState_Get());
    uint64_t thread_state = PyThreadState_GetID(PyThreadState_Get());
    table *first = pthread_getspecific(thread_key), *t;
    for (table **at = &first; (t = *at);) {
        if (t->interpreter == interpreter && (!t->ended || t->thread_state == thread_state)) {
            here = in(t);
            break;
        }
        at = &t->next;
    }
    return t;
}

static void forget_ended(void)
{
    table *first = pthread_getspecific(thread_key), *t;
    for (table **at = &first; (t = *at);) {
        if (!t->ended) {
            at = &t->next;
            continue;
        }
        *at = t->next;
        if (here == in(t)) here = NULL;
        give_up(t);
    }
    pthread_setspecific(thread_key, first); /* there was one: it does not fail */
}

static table *table_new(void)
{
    forget_ended();
    table *t = rg_calloc(sizeof *t);
    places *p = t ? places_new(FIRST_SIZE) : NULL;
    if (!p) {
        rg_free(t);
        return (table *)PyErr_NoMemory();
    }
    atomic_init(&t->in, (uintptr_t)p);
    atomic_init(&t->holders, 1);
    t->interpreter = PyInterpreterState_GetID(PyInterpreterState_Get());
    t->thread_state = PyThreadState_GetID(PyThreadState_Get());
    PyObject *dict = PyThreadState_GetDict(), *capsule = dict ? PyCapsule_New(t, CAPSULE, ended) : NULL;
    if (!capsule) {
        give_up(t);
        return PyErr_Occurred() ? NULL : (table *)PyErr_NoMemory();
    }
    /* The thread's hold comes before the capsule can go. Making that one may have run code that made a table
     * for this thread, which then is the older and never found again, but ends with it as well. */
    t->next = pthread_getspecific(thread_key);
    if (pthread_setspecific(thread_key, t) != 0) {
        Py_DECREF(capsule);
        return (table *)PyErr_NoMemory();
    }
    atomic_fetch_add(&t->holders, 1);
    here = p;
    int failed = PyDict_SetItem(dict, capsule, Py_None);
    if (failed < 0) t->thread_state = 0; /* ends below, and the thread goes on: the next look makes another */
    Py_DECREF(capsule);
    return failed < 0 ? NULL : t;
}

/* ---- get and set --------------------------------------------------------------------------------- */

/* Borrowed, or NULL: none that is at hand. */
static inline PyObject *value_here(LocalObject *l)
{
    places *p = here;
    if (__builtin_expect(!p, 0)) return NULL;
    place *at = &p->at[l->number & p->mask];
    if (__builtin_expect(at->number != l->number, 0)) return NULL;
    return (PyObject *)(uintptr_t)rg_load_rlx(&at->cell->value); /* relaxed: this thread wrote it */
}

/* The value is not where it is first looked for, or there is none. Borrowed, without an error set. */
static PyObject *value_elsewhere(LocalObject *l)
{
    table *t = at_hand();
    cell *c = t ? find(in(t), l->number) : NULL;
    return c ? (PyObject *)(uintptr_t)rg_load_rlx(&c->value) : NULL; /* relaxed: as above */
}

/* This thread's cell. NULL: an error is set. */
static cell *my_cell(LocalObject *l)
{
    table *t = at_hand();
    if (t && t->ended) {
        PyErr_SetString(PyExc_RuntimeError, "the values of this thread have ended with it");
        return NULL;
    }
    if (!t && !(t = table_new())) return NULL;
    cell *c = find(in(t), l->number);
    if (c) return c;
    if (!make_room(t) || !(c = claim(l))) return (cell *)PyErr_NoMemory();
    insert(in(t), l->number, c);
    return c;
}

/* Factories within factories. A factory in C that comes back to us, perhaps by way of a reaction, which takes a few
 * thousand bytes of stack, would come ten thousand deep before CPython 3.12 or 3.13 objects. */
#define MOST_NESTED 200
static _Thread_local unsigned nested __attribute__((tls_model("initial-exec")));

static PyObject *made(LocalObject *l)
{
    PyObject *factory = l->factory;
    if (!factory) {
        PyErr_SetString(PyExc_RuntimeError, "the factory of this ThreadLocal has been collected");
        return NULL;
    }
    if (nested >= MOST_NESTED) {
        PyErr_SetString(PyExc_RecursionError, "too many factories of ThreadLocals that ask each other, or themselves, for values");
        return NULL;
    }
    nested++;
    Py_INCREF(factory);
    PyObject *v = PyObject_CallNoArgs(factory);
    Py_DECREF(factory);
    nested--;
    return v;
}

static RG_SLOW PyObject *get_slow(LocalObject *l)
{
    PyObject *v = value_elsewhere(l);
    if (v) return Py_NewRef(v);
    if (!my_cell(l) || !(v = made(l))) return NULL;
    cell *c = my_cell(l); /* after the factory, which may have used others */
    PyObject *now = c ? (PyObject *)(uintptr_t)rg_load_rlx(&c->value) : NULL; /* relaxed: as above */
    if (c && !now) {
        rg_store(&c->value, (uint64_t)(uintptr_t)Py_NewRef(v));
        return v;
    }
    /* There is one that the factory, or a handler of a signal, has set or made meanwhile. */
    Py_XINCREF(now);
    Py_DECREF(v);
    return now;
}

static inline PyObject *get(LocalObject *l)
{
    PyObject *v = value_here(l);
    return __builtin_expect(v != NULL, 1) ? Py_NewRef(v) : get_slow(l);
}

static PyObject *direct_get(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kw)
{
    (void)args;
    if (!rg_arity("get", nargs, kw, 0, 0)) return NULL;
    return get((LocalObject *)self);
}

static PyObject *local_set(PyObject *self, PyObject *v)
{
    cell *c = my_cell((LocalObject *)self);
    if (!c) return NULL;
    PyObject *old = (PyObject *)(uintptr_t)rg_load_rlx(&c->value); /* relaxed: as above */
    rg_store(&c->value, (uint64_t)(uintptr_t)Py_NewRef(v));
    Py_XDECREF(old);
    Py_RETURN_NONE;
}

/* Nothing is logged: no other thread can change what this one sees. */
static rx_outcome step_get(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    (void)x;
    LocalObject *l = (LocalObject *)n->a;
    PyObject *v = value_here(l);
    if (!v) v = value_elsewhere(l);
    if (v) {
        *y = Py_NewRef(v);
        return RX_DONE;
    }
    rx_outcome o = rx_leave(r);
    return o == RX_DONE ? rx_return(r, *y = get_slow(l)) : o;
}

static void local_dealloc(PyObject *);

static PyObject *get_bound(PyObject *self, PyObject *const *args, size_t nargsf, PyObject *kw)
{
    PyObject *v;
    if (__builtin_expect(!PyVectorcall_NARGS(nargsf) && !kw && (v = value_here((LocalObject *)((Reagent *)self)->a)), 1))
        return Py_NewRef(v);
    return direct_get(((Reagent *)self)->a, args, PyVectorcall_NARGS(nargsf), kw);
}

static PyObject *get_unbound(PyObject *self, PyObject *const *args, size_t nargsf, PyObject *kw)
{
    PyObject *v;
    /* The destructor says that it is a ThreadLocal, and of no subclass. */
    if (__builtin_expect(PyVectorcall_NARGS(nargsf) == 1 && !kw && Py_TYPE(args[0])->tp_dealloc == local_dealloc &&
                             (v = value_here((LocalObject *)args[0])), 1))
        return Py_NewRef(v);
    return rg_method_call(self, args, nargsf, kw);
}

static const rg_op op_get = { .name = "get", .step = step_get, .direct = direct_get, .bound = get_bound, .unbound = get_unbound,
    .doc = "get($self)\n--\n\n"
    "The value of the thread that asks; factory() makes it when there is none. Raises what the factory raises, and\n"
    "the next get tries again; RecursionError where factories ask each other for values without end. If the factory\n"
    "itself gets or sets a value, that one stays. Raises RuntimeError in\n"
    "a destructor that runs when the thread has ended and its values have gone. A method, and a\n"
    "reagent: in a reaction it is the value of the thread that runs it, which with partners may be one of\n"
    "theirs. Never blocks; wait-free but for the factory.\n\n"
    ">>> from lockfree import ThreadLocal\n>>> seen = ThreadLocal(list)\n>>> seen.get().append(1)\n>>> seen.get()\n[1]" };
const rg_op *const rg_local_ops[] = { &op_get, NULL };

/* ---- life ---------------------------------------------------------------------------------------- */

static PyObject *local_new(PyTypeObject *type, PyObject *args, PyObject *kw)
{
    static char *names[] = { "factory", NULL };
    PyObject *factory;
    if (!PyArg_ParseTupleAndKeywords(args, kw, "O:ThreadLocal", names, &factory)) return NULL;
    if (!PyCallable_Check(factory)) {
        PyErr_Format(PyExc_TypeError, "the factory of a ThreadLocal must be callable, not %.100s", Py_TYPE(factory)->tp_name);
        return NULL;
    }
    pthread_once(&once, init_once);
    LocalObject *l = (LocalObject *)type->tp_alloc(type, 0);
    if (!l) return NULL;
    l->number = atomic_fetch_add(&numbers, 1) + 1;
    l->factory = Py_NewRef(factory);
    return (PyObject *)l;
}

static int local_traverse(PyObject *self, visitproc visit, void *arg)
{
    LocalObject *l = (LocalObject *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(l->factory);
    for (cell *c = (cell *)(uintptr_t)rg_load(&l->cells); c; c = c->next) Py_VISIT((PyObject *)(uintptr_t)rg_load(&c->value));
    return 0;
}

static int local_clear(PyObject *self)
{
    LocalObject *l = (LocalObject *)self;
    /* What a destructor makes anew goes with the ThreadLocal. */
    for (cell *c = (cell *)(uintptr_t)rg_load(&l->cells); c; c = c->next) rg_release(take(c));
    PyObject *factory = l->factory;
    l->factory = NULL;
    rg_release(factory);
    return 0;
}

static void local_dealloc(PyObject *self)
{
    LocalObject *l = (LocalObject *)self;
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (l->weakrefs) PyObject_ClearWeakRefs(self);
    PyObject *t, *value, *traceback;
    PyErr_Fetch(&t, &value, &traceback);
    local_clear(self);
    for (cell *c = (cell *)(uintptr_t)rg_load(&l->cells), *next; c; c = next) {
        next = c->next;
        let_go(c, BY_OWNER);
    }
    PyErr_Restore(t, value, traceback);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *local_repr(PyObject *self)
{
    const char *name = strrchr(Py_TYPE(self)->tp_name, '.');
    return PyUnicode_FromFormat("<%s at %p>", name ? name + 1 : Py_TYPE(self)->tp_name, self);
}

static PyMethodDef methods[] = {
    { "set", local_set, METH_O, PyDoc_STR("set($self, value, /)\n--\n\n"
      "value becomes the value of the thread that calls, which need not have one. Raises RuntimeError as get does.\n"
      "Never blocks; wait-free.\n\n"
      ">>> from lockfree import ThreadLocal\n>>> name = ThreadLocal(str)\n>>> name.set('a')\n>>> name.get()\n'a'") },
    { "__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, NULL },
    { "__reduce__", rg_refuse_pickle, METH_NOARGS, NULL },
    { NULL },
};
static PyMemberDef members[] = {
    { "__weaklistoffset__", Py_T_PYSSIZET, offsetof(LocalObject, weakrefs), Py_READONLY, NULL },
    { NULL },
};
static PyType_Slot slots[] = {
    { Py_tp_doc, "ThreadLocal(factory)\n--\n\n"
      "A value for each thread, made by factory() when the thread first asks for it; threading.local for one value,\n"
      "an array index away. A value goes when its thread ends, in that thread, and with the ThreadLocal, in\n"
      "whichever thread lets go of that last; a cycle through a value back to the ThreadLocal is collected.\n"
      "A thread is what it is to threading.local, a thread state of the interpreter: greenlets and tasks of one\n"
      "thread share its value (contextvars is for those). Raises TypeError if factory is not callable. Wait-free.\n\n"
      ">>> from lockfree import ThreadLocal\n>>> buffer = ThreadLocal(bytearray)\n>>> buffer.get() is buffer.get()\nTrue" },
    { Py_tp_new, local_new },
    { Py_tp_dealloc, local_dealloc },
    { Py_tp_traverse, local_traverse },
    { Py_tp_clear, local_clear },
    { Py_tp_repr, local_repr },
    { Py_tp_methods, methods },
    { Py_tp_members, members },
    { 0, NULL },
};
PyType_Spec rg_local_spec = {
    .name = "lockfree.ThreadLocal",
    .basicsize = sizeof(LocalObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
    .slots = slots,
};
