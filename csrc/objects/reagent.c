/* reagent.c - the Reagent type, the objects that stand for reagent methods, and composition.
 *
 * A reagent is an immutable tree of C structs; building one describes, running it is the engine's
 * (engine.c). Trees may be very deep: nothing here recurses over them but repr, which stops at
 * a depth.
 */
#include "engine.h"

/* ---- life ---------------------------------------------------------------------------------- */

/* Of the parts of a combinator. */
static bool any_swaps(PyObject *a, PyObject *b)
{
    if (!PyTuple_CheckExact(a)) return ((Reagent *)a)->swaps || ((Reagent *)b)->swaps;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(a); i++)
        if (((Reagent *)PyTuple_GET_ITEM(a, i))->swaps) return true;
    return false;
}

PyObject *rg_reagent_new(rg_state *st, const rg_op *op, PyObject *a, PyObject *b)
{
    Reagent *r = PyObject_GC_New(Reagent, st->reagent_type);
    if (!r) return NULL;
    r->vectorcall = op->bound ? op->bound : rg_reagent_call;
    r->st = st;
    r->op = op;
    r->a = Py_XNewRef(a);
    r->b = Py_XNewRef(b);
    r->swaps = op->swaps || (op->shape != SHAPE_LEAF && any_swaps(a, b));
    r->weakrefs = NULL;
    PyObject_GC_Track(r);
    return (PyObject *)r;
}

static int reagent_traverse(PyObject *self, visitproc visit, void *arg)
{
    Reagent *r = (Reagent *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(r->a);
    Py_VISIT(r->b);
    return 0;
}

static void reagent_dealloc(PyObject *self)
{
    Reagent *r = (Reagent *)self;
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (r->weakrefs) PyObject_ClearWeakRefs(self);
    rg_release(r->a);
    rg_release(r->b);
    type->tp_free(self);
    Py_DECREF(type);
}

PyObject *rg_refuse_pickle(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    PyErr_Format(PyExc_TypeError, "cannot pickle '%.100s' object: it is shared by the threads of one process",
                 Py_TYPE(self)->tp_name);
    return NULL;
}

/* ---- composition --------------------------------------------------------------------------- */

static const rg_op op_sequence = { .name = ">>", .shape = SHAPE_SEQUENCE };
static const rg_op op_choice = { .name = "+", .shape = SHAPE_CHOICE };
static const rg_op op_attempt = { .name = "attempt", .shape = SHAPE_CHOICE, .commits_first = true };
static const rg_op op_together = { .name = "*", .shape = SHAPE_TOGETHER };

static rx_outcome step_const(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    (void)r, (void)x;
    *y = Py_NewRef(n->a);
    return RX_DONE;
}

static rx_outcome step_identity(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    (void)r, (void)n;
    *y = Py_NewRef(x);
    return RX_DONE;
}

static rx_outcome step_never(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    (void)r, (void)n, (void)x, (void)y;
    return RX_BLOCK;
}

static rx_outcome step_lift(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    PyObject *z;
    rx_outcome o = rx_call(r, n->a, &x, 1, &z);
    if (o != RX_DONE) return o;
    if (z == n->st->block) {
        rx_drop(r, z);
        return RX_BLOCK;
    }
    *y = z;
    return RX_DONE;
}

static rx_outcome step_guard(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    PyObject *z;
    rx_outcome o = rx_call(r, n->a, &x, 1, &z);
    if (o != RX_DONE) return o;
    int truth = 1;
    if (z == Py_False || z == Py_None) {
        truth = 0;
    } else if (z != Py_True) {
        /* Truth may be user code, too. */
        PyObject *t;
        o = rx_call(r, (PyObject *)&PyBool_Type, &z, 1, &t);
        if (o != RX_DONE) {
            rx_drop(r, z);
            return o;
        }
        truth = t == Py_True;
        Py_DECREF(t);
    }
    rx_drop(r, z);
    if (!truth) return RX_BLOCK;
    *y = Py_NewRef(x);
    return RX_DONE;
}

static rx_outcome step_computed(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    PyObject *z;
    rx_outcome o = rx_call(r, n->a, &x, 1, &z);
    if (o != RX_DONE) return o;
    if (z == n->st->block) {
        rx_drop(r, z);
        return RX_BLOCK;
    }
    if (!Py_IS_TYPE(z, n->st->reagent_type)) {
        rx_settle(r);
        PyErr_Format(PyExc_TypeError, "the function of %R must return a Reagent or BLOCK, not %.100s", n, Py_TYPE(z)->tp_name);
        rx_drop(r, z);
        return RX_ERROR;
    }
    *y = z;
    return RX_GOTO;
}

static rx_outcome step_post_commit(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    if (!RX_ROOM(r->actions, 1)) return RX_ERROR;
    r->actions.at[r->actions.n++] = (rx_action){ Py_NewRef(n->a), Py_NewRef(x), r->party };
    *y = Py_NewRef(x);
    return RX_DONE;
}

static const rg_op op_const = { .name = "const", .step = step_const };
static const rg_op op_identity = { .name = "identity", .step = step_identity };
static const rg_op op_never = { .name = "never", .step = step_never };
static const rg_op op_lift = { .name = "lift", .step = step_lift };
static const rg_op op_guard = { .name = "guard", .step = step_guard };
static const rg_op op_computed = { .name = "computed", .step = step_computed, .swaps = true };
static const rg_op op_post_commit = { .name = "post_commit", .step = step_post_commit };

PyObject *rg_lifted(rg_state *st, PyObject *o)
{
    if (Py_IS_TYPE(o, st->reagent_type)) return Py_NewRef(o);
    if (PyCallable_Check(o)) return rg_reagent_new(st, &op_lift, o, NULL);
    PyErr_Format(PyExc_TypeError, "cannot compose with %.100s: neither a Reagent nor callable", Py_TYPE(o)->tp_name);
    return NULL;
}

static rg_state *state_of_either(PyObject *a, PyObject *b)
{
    /* Reagent cannot be subclassed, so its type's name identifies it; the state comes along. */
    if (Py_TYPE(a)->tp_dealloc == reagent_dealloc) return ((Reagent *)a)->st;
    return ((Reagent *)b)->st;
}

static PyObject *compose(PyObject *a, PyObject *b, const rg_op *op)
{
    rg_state *st = state_of_either(a, b);
    PyObject *other = Py_IS_TYPE(a, st->reagent_type) ? b : a;
    if (!Py_IS_TYPE(other, st->reagent_type) && (op != &op_sequence || !PyCallable_Check(other))) {
        PyErr_Format(PyExc_TypeError, "%R %s %R: the %s operand, of type %.100s, is %s", a, op->name, b,
                     other == a ? "left" : "right", Py_TYPE(other)->tp_name,
                     op == &op_sequence ? "neither a Reagent nor callable" : "not a Reagent; only >> lifts callables, elsewhere use lift(f)");
        return NULL;
    }
    PyObject *l = rg_lifted(st, a), *r = l ? rg_lifted(st, b) : NULL;
    PyObject *result = r ? rg_reagent_new(st, op, l, r) : NULL;
    Py_XDECREF(l);
    Py_XDECREF(r);
    return result;
}

static PyObject *reagent_rshift(PyObject *a, PyObject *b) { return compose(a, b, &op_sequence); }
static PyObject *reagent_add(PyObject *a, PyObject *b) { return compose(a, b, &op_choice); }
static PyObject *reagent_multiply(PyObject *a, PyObject *b) { return compose(a, b, &op_together); }

/* ---- the functions ------------------------------------------------------------------------- */

static rg_state *state(PyObject *module) { return PyModule_GetState(module); }

static PyObject *of_callable(PyObject *m, PyObject *f, const rg_op *op)
{
    if (!PyCallable_Check(f)) {
        PyErr_Format(PyExc_TypeError, "%s() takes a callable, not %.100s", op->name, Py_TYPE(f)->tp_name);
        return NULL;
    }
    return rg_reagent_new(state(m), op, f, NULL);
}

static PyObject *f_const(PyObject *m, PyObject *v) { return rg_reagent_new(state(m), &op_const, v, NULL); }
static PyObject *f_lift(PyObject *m, PyObject *f) { return of_callable(m, f, &op_lift); }
static PyObject *f_guard(PyObject *m, PyObject *f) { return of_callable(m, f, &op_guard); }
static PyObject *f_computed(PyObject *m, PyObject *f) { return of_callable(m, f, &op_computed); }
static PyObject *f_post_commit(PyObject *m, PyObject *f) { return of_callable(m, f, &op_post_commit); }

static PyObject *n_ary(PyObject *m, PyObject *args, const rg_op *op, const char *name, bool lift)
{
    rg_state *st = state(m);
    Py_ssize_t n = PyTuple_GET_SIZE(args);
    if (n == 0 && op == &op_choice) return Py_NewRef(st->never);
    if (n == 0) {
        PyObject *empty = PyTuple_New(0), *r = empty ? rg_reagent_new(st, &op_const, empty, NULL) : NULL;
        Py_XDECREF(empty);
        return r;
    }
    PyObject *parts = PyTuple_New(n);
    if (!parts) return NULL;
    for (Py_ssize_t i = 0; i < n; i++) {
        PyObject *p = PyTuple_GET_ITEM(args, i);
        if (!Py_IS_TYPE(p, st->reagent_type) && !(lift && PyCallable_Check(p))) {
            PyErr_Format(PyExc_TypeError, "%s() argument %zd is %.100s, not a Reagent", name, i + 1, Py_TYPE(p)->tp_name);
            Py_DECREF(parts);
            return NULL;
        }
        p = rg_lifted(st, p);
        if (!p) {
            Py_DECREF(parts);
            return NULL;
        }
        PyTuple_SET_ITEM(parts, i, p);
    }
    PyObject *r;
    if (n == 1 && op == &op_choice)
        r = Py_NewRef(PyTuple_GET_ITEM(parts, 0));
    else
        r = rg_reagent_new(st, op, parts, NULL);
    Py_DECREF(parts);
    return r;
}

static PyObject *f_choice(PyObject *m, PyObject *args) { return n_ary(m, args, &op_choice, "choice", false); }
static PyObject *f_together(PyObject *m, PyObject *args) { return n_ary(m, args, &op_together, "together", false); }

static PyObject *f_attempt(PyObject *m, PyObject *args, PyObject *kw)
{
    static char *names[] = { "reagent", "default", NULL };
    PyObject *a, *fallback = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kw, "O|O:attempt", names, &a, &fallback)) return NULL;
    rg_state *st = state(m);
    if (!Py_IS_TYPE(a, st->reagent_type)) {
        PyErr_Format(PyExc_TypeError, "attempt() takes a Reagent, not %.100s", Py_TYPE(a)->tp_name);
        return NULL;
    }
    PyObject *d = rg_reagent_new(st, &op_const, fallback, NULL);
    PyObject *r = d ? rg_reagent_new(st, &op_attempt, a, d) : NULL;
    Py_XDECREF(d);
    return r;
}

PyMethodDef rg_combinators[] = {
    { "const", f_const, METH_O, PyDoc_STR("const($module, value, /)\n--\n\n"
      "A reagent whose result is value, whatever its input. Never blocks.\n\n>>> const(7)()\n7") },
    { "lift", f_lift, METH_O, PyDoc_STR("lift($module, f, /)\n--\n\n"
      "A reagent whose result is f(input); blocks when f returns BLOCK. f may run several times and must\n"
      "have no effects. Raises TypeError when f is not callable.\n\n>>> lift(len)('abc')\n3") },
    { "guard", f_guard, METH_O, PyDoc_STR("guard($module, predicate, /)\n--\n\n"
      "Passes its input on if predicate(input) is true; blocks otherwise.\n\n>>> (const(3) >> guard(bool))()\n3") },
    { "computed", f_computed, METH_O, PyDoc_STR("computed($module, f, /)\n--\n\n"
      "Calls f(input), which returns the reagent to go on with (run on None) or BLOCK: a choice of what to do\n"
      "that is made inside the reaction (Turon, PLDI 2012).\n\n>>> computed(lambda n: const(n + 1))(1)\n2") },
    { "post_commit", f_post_commit, METH_O, PyDoc_STR("post_commit($module, f, /)\n--\n\n"
      "Passes its input on, and calls f(input) once, in the committing thread, after the reaction has happened.\n"
      "Errors of several actions are raised together, as an ExceptionGroup, after the last.\n\n"
      ">>> (const('hello') >> post_commit(print))()\nhello\n'hello'") },
    { "choice", f_choice, METH_VARARGS, PyDoc_STR("choice($module, /, *reagents)\n--\n\n"
      "The first of the reagents, from the left, that can happen together with all that follows; blocks while\n"
      "none can. choice() is never.\n\n>>> choice(never, const(1), const(2))()\n1") },
    { "together", f_together, METH_VARARGS, PyDoc_STR("together($module, /, *reagents)\n--\n\n"
      "All of the reagents on the same input, in one atomic step; the result is a flat tuple.\n\n"
      ">>> together(const(1), identity, const(3))(2)\n(1, 2, 3)") },
    { "attempt", (PyCFunction)(void (*)(void))f_attempt, METH_VARARGS | METH_KEYWORDS,
      PyDoc_STR("attempt($module, /, reagent, default=None)\n--\n\n"
      "A reagent that never blocks: its result is default where the given one would block. Losing a race to\n"
      "another thread is not blocking.\n\n>>> attempt(never, 'nothing')()\n'nothing'") },
    { NULL, NULL, 0, NULL },
};

/* ---- repr ---------------------------------------------------------------------------------- */

#define REPR_DEPTH 64

static PyObject *repr_at(Reagent *r, int depth);

static PyObject *repr_parts(Reagent *r, int depth)
{
    Py_ssize_t n = PyTuple_CheckExact(r->a) ? PyTuple_GET_SIZE(r->a) : 2;
    PyObject *list = PyList_New(0), *out = NULL;
    for (Py_ssize_t i = 0; list && i < n; i++) {
        PyObject *p = n > 20 && i == 20 ? PyUnicode_FromFormat("<%zd more>", n - i)
                                        : repr_at((Reagent *)(PyTuple_CheckExact(r->a) ? PyTuple_GET_ITEM(r->a, i) : i ? r->b : r->a), depth + 1);
        if (!p || PyList_Append(list, p) < 0) Py_CLEAR(list);
        Py_XDECREF(p);
        if (n > 20 && i == 20) break;
    }
    bool function = PyTuple_CheckExact(r->a);
    PyObject *glue = list ? (function ? PyUnicode_FromString(", ") : PyUnicode_FromFormat(" %s ", r->op->name)) : NULL;
    PyObject *joined = glue ? PyUnicode_Join(glue, list) : NULL;
    if (joined && function)
        out = PyUnicode_FromFormat("%s(%U)", r->op == &op_choice ? "choice" : "together", joined);
    else if (joined)
        out = PyUnicode_FromFormat(depth ? "(%U)" : "%U", joined);
    Py_XDECREF(list);
    Py_XDECREF(glue);
    Py_XDECREF(joined);
    return out;
}

/* A structure by its type and identity: its own repr would show all that is in it. */
static PyObject *repr_owner(PyObject *o)
{
    const char *name = strrchr(Py_TYPE(o)->tp_name, '.');
    return PyUnicode_FromFormat("<%s at %p>", name ? name + 1 : Py_TYPE(o)->tp_name, o);
}

static PyObject *repr_callable(PyObject *f)
{
    PyObject *name = PyObject_GetAttrString(f, "__qualname__");
    if (name && PyUnicode_Check(name)) return name;
    if (!name && !PyErr_ExceptionMatches(PyExc_AttributeError)) return NULL;
    Py_XDECREF(name);
    PyErr_Clear();
    return PyObject_Repr(f);
}

static PyObject *repr_at(Reagent *r, int depth)
{
    if (depth > REPR_DEPTH) return PyUnicode_FromString("...");
    if (r->op->shape == SHAPE_SEQUENCE) {
        /* A long chain leans to one side: print it flat. */
        PyObject *right = repr_at((Reagent *)r->b, depth + 1), *left = right ? repr_at((Reagent *)r->a, depth + 1) : NULL;
        PyObject *out = left ? PyUnicode_FromFormat("%U >> %U", left, right) : NULL;
        Py_XDECREF(left);
        Py_XDECREF(right);
        return out;
    }
    if (r->op == &op_attempt) {
        PyObject *of = repr_at((Reagent *)r->a, depth + 1);
        PyObject *out = of ? PyUnicode_FromFormat("attempt(%U, %R)", of, ((Reagent *)r->b)->a) : NULL;
        Py_XDECREF(of);
        return out;
    }
    if (r->op->shape != SHAPE_LEAF) return repr_parts(r, depth);
    if (!r->a) return PyUnicode_FromString(r->op->name);
    if (r->op == &op_const) return PyUnicode_FromFormat("const(%R)", r->a);
    bool method = r->op->doc != NULL;
    PyObject *what = method || !PyCallable_Check(r->a) ? repr_owner(r->a) : repr_callable(r->a), *out = NULL;
    if (what && method && r->b)
        out = PyUnicode_FromFormat("%U.%s%R", what, r->op->name, r->b);
    else if (what)
        out = method ? PyUnicode_FromFormat("%U.%s", what, r->op->name) : PyUnicode_FromFormat("%s(%U)", r->op->name, what);
    Py_XDECREF(what);
    return out;
}

static PyObject *reagent_repr(PyObject *self)
{
    PyObject *body = repr_at((Reagent *)self, 0);
    PyObject *out = body ? PyUnicode_FromFormat("<Reagent %U>", body) : NULL;
    Py_XDECREF(body);
    return out;
}

static PyMemberDef reagent_members[] = {
    { "__vectorcalloffset__", Py_T_PYSSIZET, offsetof(Reagent, vectorcall), Py_READONLY, NULL },
    { "__weaklistoffset__", Py_T_PYSSIZET, offsetof(Reagent, weakrefs), Py_READONLY, NULL },
    { NULL },
};
/* In Python: coroutines are its business. Borrowed. */
static PyObject *arun_of(rg_state *st)
{
    PyObject *f = __atomic_load_n(&st->arun, __ATOMIC_ACQUIRE), *none = NULL; /* whose it is was made before */
    if (f) return f;
    PyObject *module = PyImport_ImportModule("reagents.asynchronous");
    f = module ? PyObject_GetAttrString(module, "arun") : NULL;
    Py_XDECREF(module);
    if (!f || __atomic_compare_exchange_n(&st->arun, &none, f, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) return f;
    Py_DECREF(f);
    return none;
}

static PyObject *reagent_arun(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *f = arun_of(((Reagent *)self)->st), *bound = f ? PyMethod_New(f, self) : NULL;
    PyObject *y = bound ? PyObject_Vectorcall(bound, args, (size_t)nargs, kwnames) : NULL;
    Py_XDECREF(bound);
    return y;
}

static PyMethodDef reagent_methods[] = {
    { "arun", (PyCFunction)(void (*)(void))reagent_arun, METH_FASTCALL | METH_KEYWORDS, PyDoc_STR("arun($self, /, x=None)\n--\n\n"
      "A coroutine that runs it, from asyncio or trio or any scheduler of reagents.schedulers, without blocking the event\n"
      "loop. Cancelled, it has either not happened, or its result is returned first. Awaiting it raises RuntimeError\n"
      "where no event loop is running.\n\n"
      ">>> import asyncio\n>>> from lockfree import Queue\n>>> q = Queue()\n"
      ">>> async def main():\n...     task = asyncio.ensure_future(q.get.arun())\n...     await asyncio.sleep(0)\n"
      "...     q.put('job')\n...     return await task\n>>> asyncio.run(main())\n'job'") },
    { "__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, PyDoc_STR("Reagent[A, B], for annotations.") },
    { "__reduce__", rg_refuse_pickle, METH_NOARGS, NULL },
    { NULL },
};
static PyType_Slot reagent_slots[] = {
    { Py_tp_doc, "One atomic step from an input to an output (Turon, PLDI 2012): immutable, run as often as you like.\n\n"
      "a >> b is b after a, a + b the first that can happen, a * b both on one input; a(x=None, *, timeout=None)\n"
      "runs it, waiting as long as it blocks, and raises TimeoutError after timeout seconds, RuntimeError when\n"
      "nothing could ever wake it. Lock-free but for the waiting.\n\n"
      ">>> from reagents import Ref\n>>> a, b = Ref(1), Ref(0)\n>>> (a.swap >> b.write)(5)\n1\n>>> (a.read * b.read)()\n(5, 1)" },
    { Py_tp_dealloc, reagent_dealloc },
    { Py_tp_traverse, reagent_traverse },
    { Py_tp_call, PyVectorcall_Call },
    { Py_tp_repr, reagent_repr },
    { Py_nb_rshift, reagent_rshift },
    { Py_nb_add, reagent_add },
    { Py_nb_multiply, reagent_multiply },
    { Py_tp_members, reagent_members },
    { Py_tp_methods, reagent_methods },
    { 0, NULL },
};
PyType_Spec rg_reagent_spec = {
    .name = "reagents.Reagent",
    .basicsize = sizeof(Reagent),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_DISALLOW_INSTANTIATION |
             Py_TPFLAGS_IMMUTABLETYPE,
    .slots = reagent_slots,
};

/* ---- BLOCK --------------------------------------------------------------------------------- */

static PyObject *block_repr(PyObject *Py_UNUSED(self)) { return PyUnicode_FromString("BLOCK"); }
static PyObject *block_reduce(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(ignored))
{
    return PyUnicode_FromString("BLOCK");
}
static PyMethodDef block_methods[] = { { "__reduce__", block_reduce, METH_NOARGS, NULL }, { NULL } };
static PyType_Slot block_slots[] = { { Py_tp_repr, block_repr }, { Py_tp_methods, block_methods }, { 0, NULL } };
PyType_Spec rg_block_spec = {
    .name = "reagents.BlockType",
    .basicsize = sizeof(PyObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = block_slots,
};

int rg_reagent_init(rg_state *st, PyObject *module)
{
    st->identity = rg_reagent_new(st, &op_identity, NULL, NULL);
    st->never = rg_reagent_new(st, &op_never, NULL, NULL);
    st->block = st->block_type->tp_alloc(st->block_type, 0);
    if (!st->identity || !st->never || !st->block) return -1;
    if (PyModule_AddObjectRef(module, "identity", st->identity) < 0) return -1;
    if (PyModule_AddObjectRef(module, "never", st->never) < 0) return -1;
    return PyModule_AddObjectRef(module, "BLOCK", st->block);
}
