/* method.c - reagent methods: one attribute, two uses.
 *
 * `stack.push(x)` calls the C function without making anything: the descriptor says it behaves
 * like a method (Py_TPFLAGS_METHOD_DESCRIPTOR), so the interpreter passes the owner along.
 * `stack.push` alone asks the descriptor for a value and gets a Reagent bound to the stack.
 *
 * Without the GIL the interpreter specializes `stack.push(x)` only where looking up the descriptor
 * moves no count of references: it must be counted by the collector alone ("deferred"), hence the
 * collected type. Left out, a call costs half as much again.
 */
#include "engine.h"

typedef struct MethodObject {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    rg_state *st;
    const rg_op *op;
    PyObject *(*direct)(PyObject *owner, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames); /* op's */
    PyTypeObject *owner; /* the type that it belongs to; the type owns us, so this is no reference */
} MethodObject;

static bool check_owner(MethodObject *m, PyObject *o)
{
    if (Py_IS_TYPE(o, m->owner) || PyType_IsSubtype(Py_TYPE(o), m->owner)) return true;
    PyErr_Format(PyExc_TypeError, "'%s' of %.100s objects doesn't apply to a %.100s object", m->op->name, m->owner->tp_name,
                 Py_TYPE(o)->tp_name);
    return false;
}

static RG_SLOW PyObject *method_call_slow(MethodObject *m, PyObject *const *args, Py_ssize_t n, PyObject *kwnames)
{
    if (n < 1) {
        PyErr_Format(PyExc_TypeError, "%.100s.%s() needs an object to work on", m->owner->tp_name, m->op->name);
        return NULL;
    }
    if (!check_owner(m, args[0])) return NULL;
    if (m->op->direct) return m->op->direct(args[0], args + 1, n - 1, kwnames);
    PyObject *r = rg_reagent_new(m->st, m->op, args[0], NULL);
    if (!r) return NULL;
    PyObject *y = rg_reagent_call(r, args + 1, (size_t)(n - 1), kwnames);
    Py_DECREF(r);
    return y;
}

PyObject *rg_method_call(PyObject *self, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    MethodObject *m = (MethodObject *)self;
    Py_ssize_t n = PyVectorcall_NARGS(nargsf);
    if (__builtin_expect(n >= 1 && m->direct && (Py_IS_TYPE(args[0], m->owner) || PyType_IsSubtype(Py_TYPE(args[0]), m->owner)), 1))
        return m->direct(args[0], args + 1, n - 1, kwnames);
    return method_call_slow(m, args, n, kwnames);
}

static PyObject *method_get(PyObject *self, PyObject *owner, PyObject *Py_UNUSED(type))
{
    MethodObject *m = (MethodObject *)self;
    if (!owner || owner == Py_None) return Py_NewRef(self);
    if (!check_owner(m, owner)) return NULL;
    return rg_reagent_new(m->st, m->op, owner, NULL);
}

static void method_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static int method_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    return 0;
}

static PyObject *method_repr(PyObject *self)
{
    MethodObject *m = (MethodObject *)self;
    return PyUnicode_FromFormat("<reagent method '%s' of '%s' objects>", m->op->name, m->owner->tp_name);
}

static PyObject *method_name(PyObject *self, void *Py_UNUSED(c)) { return PyUnicode_FromString(((MethodObject *)self)->op->name); }
static PyObject *method_qualname(PyObject *self, void *Py_UNUSED(c))
{
    MethodObject *m = (MethodObject *)self;
    const char *dot = strrchr(m->owner->tp_name, '.');
    return PyUnicode_FromFormat("%s.%s", dot ? dot + 1 : m->owner->tp_name, m->op->name);
}
static PyObject *method_doc(PyObject *self, void *Py_UNUSED(c))
{
    const char *d = strstr(((MethodObject *)self)->op->doc, "--\n\n");
    return PyUnicode_FromString(d + 4);
}
static PyObject *method_signature(PyObject *self, void *Py_UNUSED(c))
{
    const char *doc = ((MethodObject *)self)->op->doc, *open = strchr(doc, '('), *end = strstr(doc, "\n--");
    return PyUnicode_FromStringAndSize(open, end - open);
}
static PyObject *method_objclass(PyObject *self, void *Py_UNUSED(c)) { return Py_NewRef(((MethodObject *)self)->owner); }

static PyGetSetDef method_getset[] = {
    { "__name__", method_name, NULL, NULL, NULL },
    { "__qualname__", method_qualname, NULL, NULL, NULL },
    { "__doc__", method_doc, NULL, NULL, NULL },
    { "__text_signature__", method_signature, NULL, NULL, NULL },
    { "__objclass__", method_objclass, NULL, NULL, NULL },
    { NULL },
};
static PyMemberDef method_members[] = {
    { "__vectorcalloffset__", Py_T_PYSSIZET, offsetof(MethodObject, vectorcall), Py_READONLY, NULL },
    { NULL },
};
static PyType_Slot method_slots[] = {
    { Py_tp_dealloc, method_dealloc },
    { Py_tp_traverse, method_traverse },
    { Py_tp_call, PyVectorcall_Call },
    { Py_tp_descr_get, method_get },
    { Py_tp_repr, method_repr },
    { Py_tp_getset, method_getset },
    { Py_tp_members, method_members },
    { 0, NULL },
};
PyType_Spec rg_method_spec = {
    .name = "reagents.ReagentMethod",
    .basicsize = sizeof(MethodObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_METHOD_DESCRIPTOR |
             Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = method_slots,
};

int rg_add_methods(rg_state *st, PyTypeObject *owner, const rg_op *const *ops)
{
    for (; *ops; ops++) {
        MethodObject *m = PyObject_GC_New(MethodObject, st->method_type);
        if (!m) return -1;
        m->vectorcall = (*ops)->unbound ? (*ops)->unbound : rg_method_call;
        m->st = st;
        m->op = *ops;
        m->direct = (*ops)->direct;
        m->owner = owner;
        PyObject_GC_Track(m);
#if PY_VERSION_HEX >= 0x030e0000
        PyUnstable_Object_EnableDeferredRefcount((PyObject *)m);
#endif
        int failed = PyObject_SetAttrString((PyObject *)owner, (*ops)->name, (PyObject *)m);
        Py_DECREF(m);
        if (failed < 0) return -1;
    }
    return 0;
}
