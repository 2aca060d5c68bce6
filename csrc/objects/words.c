/* words.c - the reagents on one word, whatever the word holds and wherever it lies. */
#include "words.h"

bool rg_arity_slow(const char *name, Py_ssize_t nargs, PyObject *kwnames, Py_ssize_t lo, Py_ssize_t hi)
{
    if (kwnames && PyTuple_GET_SIZE(kwnames)) {
        PyErr_Format(PyExc_TypeError, "%s() takes no keyword arguments", name);
        return false;
    }
    if (nargs >= lo && nargs <= hi) return true;
    if (lo == hi)
        PyErr_Format(PyExc_TypeError, "%s() takes exactly %zd argument%s (%zd given)", name, lo, lo == 1 ? "" : "s", nargs);
    else
        PyErr_Format(PyExc_TypeError, "%s() takes from %zd to %zd arguments (%zd given)", name, lo, hi, nargs);
    return false;
}

bool rg_int_of(PyObject *o, uint64_t *out)
{
    /* __index__ could be user code, so only ints are looked at here: callers that may run it
     * convert first. */
    if (!PyLong_Check(o)) {
        PyErr_Format(PyExc_TypeError, "an integer is required, not %.100s", Py_TYPE(o)->tp_name);
        return false;
    }
    int overflow;
    long long v = PyLong_AsLongLongAndOverflow(o, &overflow);
    if (overflow || v > RG_INT_MAX || v < RG_INT_MIN) {
        PyErr_SetString(PyExc_OverflowError, "the integer is out of the range of a word, -2**62 to 2**62 - 1");
        return false;
    }
    *out = (uint64_t)v;
    return true;
}

bool rg_same(PyObject *a, PyObject *b)
{
    if (a == b) return true;
    PyTypeObject *t = Py_TYPE(a);
    if (t != Py_TYPE(b)) return false;
    if (t != &PyLong_Type && t != &PyUnicode_Type && t != &PyBytes_Type) return false; /* bools are singletons */
    return PyObject_RichCompareBool(a, b, Py_EQ) == 1;
}

static rx_entry *entry(rx *r, Reagent *n)
{
    WordObject *w = (WordObject *)n->a;
    if (!w->segment) return rx_read_private(r, w->at, w->kind, NULL);
    int slot = w->my_slot(w);
    return slot < 0 ? NULL : rx_read(r, w->space, (unsigned)slot, w->at, w->kind, NULL);
}

PyObject *rg_boxed(rx_kind kind, uint64_t v) { return kind == WORD_FLAG ? PyBool_FromLong(v != 0) : rg_int_object(v); }

static bool flag_of(PyObject *o, uint64_t *out)
{
    *out = o == Py_True;
    if (PyBool_Check(o)) return true;
    PyErr_Format(PyExc_TypeError, "a bool is required, not %.100s", Py_TYPE(o)->tp_name);
    return false;
}

bool rg_unboxed_of(rx_kind kind, PyObject *o, uint64_t *out) { return kind == WORD_FLAG ? flag_of(o, out) : rg_int_of(o, out); }
bool rg_unboxed_from(rx_kind kind, PyObject *o, uint64_t *out) { return kind == WORD_FLAG ? flag_of(o, out) : rg_int_from(o, out); }

static PyObject *boxed(rx_kind kind, uint64_t v)
{
    return kind == WORD_OBJECT ? Py_NewRef((PyObject *)(uintptr_t)v) : rg_boxed(kind, v);
}

static bool write_object(rx *r, rx_entry *e, PyObject *v)
{
    uint64_t w;
    if (e->kind == WORD_OBJECT)
        w = (uint64_t)(uintptr_t)Py_NewRef(v);
    else if (!rg_unboxed_of(e->kind, v, &w))
        return false;
    return rx_write(r, e, w);
}

rx_outcome rg_step_read(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    (void)x;
    rx_entry *e = entry(r, n);
    return e && (*y = boxed(e->kind, e->cur)) ? RX_DONE : RX_ERROR;
}

rx_outcome rg_step_write(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    rx_entry *e = entry(r, n);
    if (!e || !write_object(r, e, x)) return RX_ERROR;
    *y = Py_NewRef(x);
    return RX_DONE;
}

rx_outcome rg_step_swap(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    rx_entry *e = entry(r, n);
    PyObject *old = e ? boxed(e->kind, e->cur) : NULL;
    if (!old) return RX_ERROR;
    if (!write_object(r, e, x)) {
        rx_drop(r, old);
        return RX_ERROR;
    }
    *y = old;
    return RX_DONE;
}

/* Numbers whose addition is ours, not the user's. */
static bool plain_number(PyObject *o) { return PyLong_CheckExact(o) || PyFloat_CheckExact(o) || PyBool_Check(o); }

rx_outcome rg_step_add(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    rx_entry *e = entry(r, n);
    PyObject *old = e ? boxed(e->kind, e->cur) : NULL;
    if (!old) return RX_ERROR;
    PyObject *sum = NULL;
    rx_outcome o = RX_DONE;
    if (e->kind == WORD_INT) {
        uint64_t by;
        if (rg_int_of(x, &by)) sum = rg_int_object(e->cur + by); /* both within 2^62: no wrap */
    } else if (plain_number(old) && plain_number(x)) {
        sum = PyNumber_Add(old, x);
    } else {
        o = rx_leave(r);
        if (o == RX_DONE) {
            sum = PyNumber_Add(old, x);
            o = rx_return(r, sum);
            if (o != RX_DONE) sum = NULL;
            e = entry(r, n);
        }
    }
    if (!sum || !e || !write_object(r, e, sum)) {
        rx_drop(r, old);
        rx_drop(r, sum);
        return o == RX_DONE ? RX_ERROR : o;
    }
    rx_drop(r, sum);
    *y = old;
    return RX_DONE;
}

static rx_outcome step_cas(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    (void)x;
    rx_entry *e = entry(r, n);
    if (!e) return RX_ERROR;
    PyObject *old = PyTuple_GET_ITEM(n->b, 0), *new_ = PyTuple_GET_ITEM(n->b, 1);
    uint64_t v = 0;
    if (e->kind == WORD_OBJECT ? !rg_same((PyObject *)(uintptr_t)e->cur, old) : (rg_unboxed_of(e->kind, old, &v), v != e->cur)) return RX_BLOCK;
    if (!write_object(r, e, new_)) return RX_ERROR;
    *y = Py_NewRef(Py_None);
    return RX_DONE;
}

static rx_outcome step_upd(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    rx_entry *e = entry(r, n);
    /* An object is kept alive by the log while the function runs: held, or, if dirty, owned. */
    bool object = e && e->kind == WORD_OBJECT;
    PyObject *current = object ? (PyObject *)(uintptr_t)e->cur : e ? rg_boxed(e->kind, e->cur) : NULL, *pair;
    if (!current) return RX_ERROR;
    PyObject *args[2] = { current, x };
    size_t at = (size_t)(e - r->log.at);
    rx_outcome o = rx_call(r, n->b, args, 2, &pair);
    if (!object) rx_drop(r, current);
    if (o != RX_DONE) return o;
    if (pair == n->st->block) {
        rx_drop(r, pair);
        return RX_BLOCK;
    }
    if (!PyTuple_Check(pair) || PyTuple_GET_SIZE(pair) != 2) {
        rx_settle(r);
        PyErr_Format(PyExc_TypeError, "the function of %R must return a pair (new value, result) or BLOCK, not %.100s", n,
                     Py_TYPE(pair)->tp_name);
        rx_drop(r, pair);
        return RX_ERROR;
    }
    bool ok = write_object(r, &r->log.at[at], PyTuple_GET_ITEM(pair, 0)); /* the log may have moved */
    if (ok) *y = Py_NewRef(PyTuple_GET_ITEM(pair, 1));
    if (ok && PyTuple_CheckExact(pair))
        Py_DECREF(pair); /* what is in it stays, so nothing runs */
    else
        rx_drop(r, pair);
    return ok ? RX_DONE : RX_ERROR;
}

static const rg_op op_cas = { .name = "cas", .step = step_cas, .doc = "cas($self, old, new, /)\n--\n\n" };
static const rg_op op_upd = { .name = "upd", .step = step_upd, .doc = "upd($self, f, /)\n--\n\n" };

PyObject *rg_word_cas(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    WordObject *w = (WordObject *)self;
    if (!rg_arity("cas", nargs, NULL, 2, 2)) return NULL;
    uint64_t v;
    if (w->kind != WORD_OBJECT && (!rg_unboxed_of(w->kind, args[0], &v) || !rg_unboxed_of(w->kind, args[1], &v))) return NULL;
    PyObject *pair = PyTuple_Pack(2, args[0], args[1]);
    PyObject *r = pair ? rg_reagent_new(w->st, &op_cas, self, pair) : NULL;
    Py_XDECREF(pair);
    return r;
}

PyObject *rg_word_upd(PyObject *self, PyObject *f)
{
    if (!PyCallable_Check(f)) {
        PyErr_Format(PyExc_TypeError, "upd() takes a callable f(current, x) -> (new, result), not %.100s", Py_TYPE(f)->tp_name);
        return NULL;
    }
    return rg_reagent_new(((WordObject *)self)->st, &op_upd, self, f);
}

/* ---- direct calls ---------------------------------------------------------------------------- */

/* These are for words private to the process; shared words have their own (csrc/shared). */

/* On an object, whose references the engine knows how to hand over. */
static PyObject *run_on(PyObject *self, const rg_op *op, PyObject *x)
{
    WordObject *w = (WordObject *)self;
    PyObject *r = rg_reagent_new(w->st, op, self, NULL);
    PyObject *y = r ? rg_run(w->st, (Reagent *)r, x, -1, NULL) : NULL;
    Py_XDECREF(r);
    return y;
}

/* An argument of a direct call, which may run user code: __index__ counts as an integer. */
bool rg_int_from(PyObject *o, uint64_t *out)
{
#if PY_VERSION_HEX >= 0x030c0000
    if (PyLong_CheckExact(o) && PyUnstable_Long_IsCompact((PyLongObject *)o)) {
        *out = (uint64_t)PyUnstable_Long_CompactValue((PyLongObject *)o); /* well within the range */
        return true;
    }
#endif
    if (PyLong_Check(o)) return rg_int_of(o, out);
    PyObject *n = PyNumber_Index(o);
    bool ok = n && rg_int_of(n, out);
    Py_XDECREF(n);
    return ok;
}

static PyObject *direct_swap(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kw)
{
    WordObject *w = (WordObject *)self;
    if (!rg_arity("swap", nargs, kw, 1, 1)) return NULL;
    uint64_t v = 0;
    if (w->kind == WORD_OBJECT) return run_on(self, &rg_op_swap, args[0]);
    if (!rg_unboxed_from(w->kind, args[0], &v)) return NULL;
    rg_slot *s = rg_begin(w->st, w, "swap");
    if (!s) return NULL;
    const rg_space *sp = &w->st->domain->space;
    rg_pin(s);
    uint64_t old;
    PyObject *y;
    for (;;) {
        old = rg_read(sp, s->index, w->at);
        /* The result first: where there is no memory for it nothing may have happened. */
        if (!(y = rg_boxed(w->kind, old)) || rg_cas_once(&s->desc, w->at, old, v)) break;
        Py_DECREF(y);
    }
    if (y && old != v) rg_wake(s, w->at);
    rg_unpin(s);
    return y;
}

/* Whether both are within the range of a word; then their sum does not wrap. */
static bool sum_of(uint64_t old, uint64_t by, uint64_t *sum)
{
    *sum = old + by;
    return (int64_t)*sum <= RG_INT_MAX && (int64_t)*sum >= RG_INT_MIN;
}

static RG_SLOW PyObject *add_int_slow(WordObject *w, uint64_t by)
{
    rg_slot *s = rg_begin(w->st, w, "add");
    if (!s) return NULL;
    const rg_space *sp = &w->st->domain->space;
    rg_backoff b = { 0 };
    rg_pin(s);
    PyObject *y;
    for (;;) {
        uint64_t old = rg_read(sp, s->index, w->at), sum;
        if (!sum_of(old, by, &sum)) {
            rg_unpin(s);
            PyErr_SetString(PyExc_OverflowError, "the sum is out of the range of a word, -2**62 to 2**62 - 1");
            return NULL;
        }
        if (!(y = rg_int_object(old)) || rg_cas_once(&s->desc, w->at, old, sum)) break;
        Py_DECREF(y);
        rg_lost(s, &b);
    }
    if (y && by) rg_wake(s, w->at);
    rg_unpin(s);
    return y;
}

/* One try, where there is nothing to wait for, to help or to wake. */
static PyObject *add_int(WordObject *w, uint64_t by)
{
    rg_slot *s = rg_at_hand(w->st);
    if (__builtin_expect(s && rg_glance(s), 1)) {
        uint64_t old = rg_load(&w->word), sum;
        PyObject *y = !rg_is_ref(old) && sum_of(old, by, &sum) ? rg_int_object(old) : NULL; /* first, as above */
        if (y && rg_cas_once(&s->desc, &w->word, old, sum)) {
            rg_glanced(s);
            if (by) rg_wake(s, &w->word);
            return y;
        }
        rg_glanced(s);
        if (y)
            Py_DECREF(y);
        else if (PyErr_Occurred())
            return NULL;
    }
    return add_int_slow(w, by);
}

static PyObject *direct_add(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kw)
{
    WordObject *w = (WordObject *)self;
    if (!rg_arity("add", nargs, kw, w->kind == WORD_INT ? 0 : 1, 1)) return NULL;
    if (w->kind == WORD_INT) {
        uint64_t by = 1;
        return nargs && !rg_int_from(args[0], &by) ? NULL : add_int(w, by);
    }
    return run_on(self, &rg_op_add, args[0]);
}

static PyObject *direct_get(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kw)
{
    (void)args;
    WordObject *w = (WordObject *)self;
    if (!rg_arity("get", nargs, kw, 0, 0)) return NULL;
    rg_slot *s = rg_begin(w->st, w, "get");
    if (!s) return NULL;
    rg_pin(s);
    uint64_t v = rg_read(&w->st->domain->space, s->index, w->at);
    rg_unpin(s);
    return rg_boxed(w->kind, v);
}

static PyObject *direct_set(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kw)
{
    if (!rg_arity("set", nargs, kw, 1, 1)) return NULL;
    PyObject *old = direct_swap(self, args, nargs, NULL);
    if (!old) return NULL;
    Py_DECREF(old);
    Py_RETURN_NONE;
}

const rg_op rg_op_read = { .name = "read", .step = rg_step_read, .doc = "read($self)\n--\n\n"
    "A reagent: the value. Never blocks. Lock-free.\n\n>>> from reagents import Ref\n>>> Ref(3).read()\n3" };
const rg_op rg_op_write = { .name = "write", .step = rg_step_write, .doc = "write($self, x)\n--\n\n"
    "A reagent: the input becomes the value, and is passed on. Never blocks. Lock-free.\n\n"
    ">>> from reagents import Ref\n>>> r = Ref(1)\n>>> r.write(2)\n2\n>>> r.get()\n2" };
RG_BOUND(swap)
const rg_op rg_op_swap = { .name = "swap", .step = rg_step_swap, .direct = direct_swap, .bound = direct_swap_bound, .doc = "swap($self, x, /)\n--\n\n"
    "The input becomes the value; the result is the old one. A method and a reagent. Lock-free.\n\n"
    ">>> from reagents import Ref\n>>> Ref(1).swap(2)\n1" };
RG_BOUND(add)
const rg_op rg_op_add = { .name = "add", .step = rg_step_add, .direct = direct_add, .bound = direct_add_bound, .doc = "add($self, n, /)\n--\n\n"
    "Adds n to the value; the result is the old one. A method and a reagent. Lock-free.\n\n"
    ">>> from reagents import Ref\n>>> r = Ref(1)\n>>> r.add(2)\n1\n>>> r.get()\n3" };
RG_BOUND(get)
const rg_op rg_op_get = { .name = "get", .step = rg_step_read, .direct = direct_get, .bound = direct_get_bound, .doc = "get($self)\n--\n\n"
    "The value. A method and a reagent. Never blocks. Wait-free while no composed operation is under way.\n\n"
    ">>> from lockfree import AtomicInt\n>>> AtomicInt(5).get()\n5" };
RG_BOUND(set)
const rg_op rg_op_set = { .name = "set", .step = rg_step_write, .direct = direct_set, .bound = direct_set_bound, .doc = "set($self, v, /)\n--\n\n"
    "v becomes the value. A method (returns None) and a reagent (passes v on). Lock-free.\n\n"
    ">>> from lockfree import AtomicInt\n>>> a = AtomicInt()\n>>> a.set(4)\n>>> a.get()\n4" };
