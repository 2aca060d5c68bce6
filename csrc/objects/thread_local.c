/* thread_local.c - lockfree.ThreadLocal: a value for each thread. Where values are, and who drops them when, is said in
 * thread_table.c.
 */
#include "thread_table.h"

typedef struct LocalObject {
    PyObject_HEAD
    uint64_t number;
    rg_word cells;
    PyObject *factory;
    PyObject *weakrefs;
} LocalObject;

/* ---- get and set --------------------------------------------------------------------------------- */

/* Borrowed; NULL: there is none, of this thread. */
static inline PyObject *value_in(rg_cell *c)
{
    return c ? (PyObject *)(uintptr_t)rg_load_rlx(&c->value) : NULL; /* relaxed: this thread wrote it */
}

/* Borrowed, or NULL: none that is at hand. */
static inline PyObject *value_here(LocalObject *l) { return value_in(rg_cell_here(l->number)); }

/* The value is not where it is first looked for, or there is none. Borrowed, without an error set. */
static PyObject *value_elsewhere(LocalObject *l) { return value_in(rg_cell_elsewhere(l->number)); }

/* This thread's cell. NULL: an error is set. */
static inline rg_cell *my_cell(LocalObject *l) { return rg_cell_mine(l->number, &l->cells); }

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
    rg_cell *c = my_cell(l); /* after the factory, which may have used others */
    PyObject *now = value_in(c);
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
    rg_cell *c = my_cell((LocalObject *)self);
    if (!c) return NULL;
    PyObject *old = value_in(c);
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
    LocalObject *l = (LocalObject *)type->tp_alloc(type, 0);
    if (!l) return NULL;
    l->number = rg_local_number();
    l->factory = Py_NewRef(factory);
    return (PyObject *)l;
}

static int local_traverse(PyObject *self, visitproc visit, void *arg)
{
    LocalObject *l = (LocalObject *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(l->factory);
    for (rg_cell *c = (rg_cell *)(uintptr_t)rg_load(&l->cells); c; c = c->next) Py_VISIT((PyObject *)(uintptr_t)rg_load(&c->value));
    return 0;
}

static int local_clear(PyObject *self)
{
    LocalObject *l = (LocalObject *)self;
    /* What a destructor makes anew goes with the ThreadLocal. */
    for (rg_cell *c = (rg_cell *)(uintptr_t)rg_load(&l->cells); c; c = c->next) rg_release(rg_cell_take(c));
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
    for (rg_cell *c = (rg_cell *)(uintptr_t)rg_load(&l->cells), *next; c; c = next) {
        next = c->next;
        rg_cell_disown(c);
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
