/* atomic.c - AtomicInt and AtomicFlag: words that hold no objects.
 *
 * Linearization: the load of the word (get), the successful CAS on it (all else), the failing look of
 * compare_and_set.
 */
#include "words.h"

static PyObject *value_of(PyObject *self)
{
    return rg_op_get.direct(self, NULL, 0, NULL);
}

static PyObject *compare_and_set(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    WordObject *w = (WordObject *)self;
    uint64_t old, new_;
    if (!rg_arity("compare_and_set", nargs, NULL, 2, 2) || !rg_unboxed_from(w->kind, args[0], &old) ||
        !rg_unboxed_from(w->kind, args[1], &new_))
        return NULL;
    rg_slot *s = rg_begin(w->st, w, "compare_and_set");
    if (!s) return NULL;
    rg_pin(s);
    bool ok = rg_cas1(&w->st->domain->space, s->index, w->at, old, new_);
    if (ok && old != new_) rg_wake(s, w->at);
    rg_unpin(s);
    return PyBool_FromLong(ok);
}

static PyObject *update(PyObject *self, PyObject *f)
{
    for (;;) {
        PyObject *current = value_of(self), *new_ = current ? PyObject_CallOneArg(f, current) : NULL;
        PyObject *args[2] = { current, new_ }, *ok = new_ ? compare_and_set(self, args, 2) : NULL;
        Py_XDECREF(current);
        if (!ok || ok == Py_True) {
            if (!ok) Py_CLEAR(new_);
            Py_XDECREF(ok);
            return new_;
        }
        Py_DECREF(ok);
        Py_DECREF(new_);
        if (PyErr_CheckSignals() < 0) return NULL;
    }
}

static PyObject *repr(PyObject *self)
{
    const char *kind = ((WordObject *)self)->kind == WORD_FLAG ? "AtomicFlag" : "AtomicInt";
    PyObject *v = value_of(self), *s = v ? PyUnicode_FromFormat("%s(%R)", kind, v) : NULL;
    Py_XDECREF(v);
    return s;
}

/* ---- AtomicInt ----------------------------------------------------------------------------------- */

static PyObject *atomic_int_new(PyTypeObject *type, PyObject *args, PyObject *kw)
{
    static char *names[] = { "value", NULL };
    PyObject *v = NULL;
    uint64_t n = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kw, "|O:AtomicInt", names, &v)) return NULL;
    if (v && !rg_int_from(v, &n)) return NULL;
    return rg_private_word_new(type, WORD_INT, n);
}

static PyMethodDef int_methods[] = {
    { "compare_and_set", (PyCFunction)(void (*)(void))compare_and_set, METH_FASTCALL,
      PyDoc_STR("compare_and_set($self, old, new, /)\n--\n\nReplaces old by new in one step; returns whether it did. Lock-free.\n\n"
      ">>> from lockfree import AtomicInt\n>>> AtomicInt(1).compare_and_set(1, 2)\nTrue") },
    { "update", update, METH_O, PyDoc_STR("update($self, f, /)\n--\n\n"
      "Replaces the value v by f(v) in one step and returns f(v). f may run several times. Lock-free.\n\n"
      ">>> from lockfree import AtomicInt\n>>> AtomicInt(3).update(lambda v: v * 2)\n6") },
    RG_WORD_METHODS,
    { NULL },
};

const rg_op *const rg_atomic_int_ops[] = { &rg_op_get, &rg_op_set, &rg_op_add, &rg_op_swap, &rg_op_read, &rg_op_write, NULL };

static PyType_Slot int_slots[] = {
    { Py_tp_doc, "AtomicInt(value=0)\n--\n\n"
      "An integer from -2**62 to 2**62 - 1 that threads share; beyond that, OverflowError and no change.\n"
      "get, set, add and swap are methods and reagents; cas(old, new), upd(f), read and write are reagents.\n"
      "Lock-free.\n\n>>> from lockfree import AtomicInt\n>>> a = AtomicInt(40)\n>>> a.add(2), a.get()\n(40, 42)" },
    { Py_tp_new, atomic_int_new },
    { Py_tp_dealloc, rg_word_dealloc },
    { Py_tp_traverse, rg_word_traverse },
    { Py_tp_repr, repr },
    { Py_nb_index, value_of },
    { Py_nb_int, value_of },
    { Py_tp_methods, int_methods },
    { Py_tp_members, rg_word_members },
    { 0, NULL },
};
PyType_Spec rg_atomic_int_spec = {
    .name = "lockfree.AtomicInt",
    .basicsize = sizeof(WordObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = int_slots,
};

/* ---- AtomicFlag ---------------------------------------------------------------------------------- */

static PyObject *atomic_flag_new(PyTypeObject *type, PyObject *args, PyObject *kw)
{
    static char *names[] = { "value", NULL };
    PyObject *v = Py_False;
    uint64_t n;
    if (!PyArg_ParseTupleAndKeywords(args, kw, "|O:AtomicFlag", names, &v) || !rg_unboxed_of(WORD_FLAG, v, &n)) return NULL;
    return rg_private_word_new(type, WORD_FLAG, n);
}

/* The old value; what the word was set to, if it changed, wakes who waits for it. */
static int swapped(PyObject *self, uint64_t v, const char *name)
{
    WordObject *w = (WordObject *)self;
    rg_slot *s = rg_begin(w->st, w, name);
    if (!s) return -1;
    uint64_t old;
    rg_pin(s);
    do old = rg_read(&w->st->domain->space, s->index, w->at);
    while (!rg_cas_once(&s->desc, w->at, old, v));
    if (old != v) rg_wake(s, w->at);
    rg_unpin(s);
    return old != 0;
}

static rx_outcome put(rx *r, Reagent *n, PyObject *x, uint64_t v, PyObject **y)
{
    rx_entry *e = rx_read_private(r, ((WordObject *)n->a)->at, WORD_FLAG, NULL);
    if (!e || !rx_write(r, e, v)) return RX_ERROR;
    *y = Py_NewRef(x);
    return RX_DONE;
}

static rx_outcome step_set(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    uint64_t v = 1;
    return x == Py_None || rg_unboxed_of(WORD_FLAG, x, &v) ? put(r, n, x, v, y) : RX_ERROR;
}
static rx_outcome step_clear(rx *r, Reagent *n, PyObject *x, PyObject **y) { return put(r, n, x, 0, y); }
static rx_outcome step_test_and_set(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    (void)x;
    rx_entry *e = rx_read_private(r, ((WordObject *)n->a)->at, WORD_FLAG, NULL);
    if (!e) return RX_ERROR;
    bool old = e->cur != 0;
    if (!rx_write(r, e, 1)) return RX_ERROR;
    *y = PyBool_FromLong(old);
    return RX_DONE;
}

static PyObject *direct_set(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kw)
{
    uint64_t v = 1;
    if (!rg_arity("set", nargs, kw, 0, 1) || (nargs && !rg_unboxed_of(WORD_FLAG, args[0], &v)) || swapped(self, v, "set") < 0) return NULL;
    Py_RETURN_NONE;
}
static PyObject *direct_clear(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kw)
{
    (void)args;
    if (!rg_arity("clear", nargs, kw, 0, 0) || swapped(self, 0, "clear") < 0) return NULL;
    Py_RETURN_NONE;
}
static PyObject *direct_test_and_set(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kw)
{
    (void)args;
    int old = rg_arity("test_and_set", nargs, kw, 0, 0) ? swapped(self, 1, "test_and_set") : -1;
    return old < 0 ? NULL : PyBool_FromLong(old);
}

static const rg_op op_set = { .name = "set", .step = step_set, .direct = direct_set, .doc = "set($self, value=True, /)\n--\n\n"
    "Set the flag, or clear it if value is False. As a reagent: the same by its input, None counting as True, which is\n"
    "passed on. Raises TypeError for what is no bool. Never blocks. Lock-free.\n\n"
    ">>> from lockfree import AtomicFlag\n>>> f = AtomicFlag()\n>>> f.set()\n>>> f.get()\nTrue" };
static const rg_op op_clear = { .name = "clear", .step = step_clear, .direct = direct_clear, .doc = "clear($self)\n--\n\n"
    "Clear the flag. A method and a reagent, which passes its input on. Never blocks. Lock-free.\n\n"
    ">>> from lockfree import AtomicFlag\n>>> f = AtomicFlag(True)\n>>> f.clear()\n>>> f.get()\nFalse" };
static const rg_op op_test_and_set = { .name = "test_and_set", .step = step_test_and_set, .direct = direct_test_and_set,
    .doc = "test_and_set($self)\n--\n\n"
    "Set the flag; the result is whether it was set before. A method and a reagent. Never blocks. Lock-free.\n\n"
    ">>> from lockfree import AtomicFlag\n>>> f = AtomicFlag()\n>>> f.test_and_set(), f.test_and_set()\n(False, True)" };
const rg_op *const rg_atomic_flag_ops[] = { &rg_op_get, &op_set, &op_clear, &op_test_and_set, &rg_op_swap, &rg_op_read, &rg_op_write, NULL };

static int flag_bool(PyObject *self)
{
    PyObject *v = value_of(self);
    int truth = v ? v == Py_True : -1;
    Py_XDECREF(v);
    return truth;
}

static PyMethodDef flag_methods[] = {
    { "compare_and_set", (PyCFunction)(void (*)(void))compare_and_set, METH_FASTCALL,
      PyDoc_STR("compare_and_set($self, old, new, /)\n--\n\nReplaces old by new in one step; returns whether it did. Lock-free.\n\n"
      ">>> from lockfree import AtomicFlag\n>>> AtomicFlag().compare_and_set(False, True)\nTrue") },
    { "update", update, METH_O, PyDoc_STR("update($self, f, /)\n--\n\n"
      "Replaces the value v by f(v) in one step and returns f(v). f may run several times. Lock-free.\n\n"
      ">>> from lockfree import AtomicFlag\n>>> AtomicFlag().update(lambda v: not v)\nTrue") },
    RG_WORD_METHODS,
    { NULL },
};

static PyType_Slot flag_slots[] = {
    { Py_tp_doc, "AtomicFlag(value=False)\n--\n\n"
      "A bool that threads share (C11's atomic_flag, Java's AtomicBoolean). True if it is set.\n"
      "get, set, clear, test_and_set and swap are methods and reagents; cas(old, new), upd(f), read and write are reagents:\n"
      "cas(True, False) waits until the flag is set, and clears it. Lock-free.\n\n"
      ">>> from lockfree import AtomicFlag\n>>> f = AtomicFlag()\n>>> f.set()\n>>> f.cas(True, False)()\n>>> bool(f)\nFalse" },
    { Py_tp_new, atomic_flag_new },
    { Py_tp_dealloc, rg_word_dealloc },
    { Py_tp_traverse, rg_word_traverse },
    { Py_tp_repr, repr },
    { Py_nb_bool, flag_bool },
    { Py_tp_methods, flag_methods },
    { Py_tp_members, rg_word_members },
    { 0, NULL },
};
PyType_Spec rg_atomic_flag_spec = {
    .name = "lockfree.AtomicFlag",
    .basicsize = sizeof(WordObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = flag_slots,
};
