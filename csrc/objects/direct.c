/* direct.c - reagents in direct style: @reagent def f(tx, x), a function that reads and writes as it goes.
 *
 * The function is a leaf of the reaction, and tx its handle on the log. Each thing that it asks for is done in the
 * log at once; what it gets back was there at one instant with all it has seen before (a stale log unwinds it). So
 * it needs no care. tx(r, x) evaluates a reagent in the same log, and keeps what comes of it: Python
 * code cannot be gone back into, so when what follows blocks, the function as a whole has blocked.
 *
 * Unwinding is an exception that is none of Exception. A function that swallows it gains nothing: the outcome is
 * kept here.
 */
#include "evaluate.h"
#include "turn.h"
#include "words.h"

typedef struct Transaction {
    PyObject_HEAD
    rg_state *st;
    rx *r; /* NULL: the function has returned */
    unsigned long thread;
    rx_outcome fate; /* RX_DONE until it is unwound */
} Transaction;

/* Not pinned. *tx unwinds, or fails: NULL. */
static PyObject *unwind(Transaction *tx, rx_outcome o)
{
    if (o == RX_ERROR) return NULL;
    tx->fate = o;
    PyErr_SetNone(tx->st->unwinding);
    return NULL;
}

/* Pinned on success. */
static rx *enter(Transaction *tx)
{
    if (!tx->r) {
        PyErr_SetString(PyExc_RuntimeError, "this transaction is over: tx is good only while its function runs");
        return NULL;
    }
    if (tx->thread != PyThread_get_thread_ident()) {
        PyErr_SetString(PyExc_RuntimeError, "a transaction belongs to the thread that runs its function");
        return NULL;
    }
    if (tx->fate != RX_DONE) {
        unwind(tx, tx->fate); /* it was told, and went on */
        return NULL;
    }
    rx *r = tx->r;
    if (!rx_pin(r)) return NULL;
    rx_outcome o = r->has_nodes ? rx_validate(r) : RX_DONE;
    if (o == RX_DONE && !RX_ROOM(r->drops, RX_STEP_DROPS)) o = RX_ERROR;
    if (o == RX_DONE) return r;
    rx_settle(r);
    unwind(tx, o);
    return NULL;
}

/* After a step came to o with y. Unpinned afterwards. */
static PyObject *leave(Transaction *tx, rx_outcome o, PyObject *y)
{
    rx *r = tx->r;
    if (o == RX_DONE) {
        o = rx_leave(r); /* validates: the function is about to see y */
        if (o == RX_DONE) return y;
        rx_drop(r, y);
    }
    if (o == RX_ERROR) {
        if (r->pinned && rx_error_was_stale(r)) o = RX_RETRY;
    }
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    rx_settle(r);
    rx_flush_drops(r);
    PyErr_Restore(type, value, traceback);
    return unwind(tx, o);
}

/* Those above `base` are not gone back to. False: no memory for what they hold, so they stay. */
static bool forget_choices(rx *r, size_t base)
{
    size_t refs = 0;
    for (size_t i = base; i < r->choices.n; i++) refs += 1 + rx_saved_refs(r->choices.at[i].saved);
    if (refs && !RX_ROOM(r->drops, refs + RX_STEP_DROPS)) {
        for (size_t i = base; i < r->choices.n; i++) r->choices.at[i].kind = CHOICE_CUT;
        return false;
    }
    while (r->choices.n > base) rx_pop_choice(r);
    return true;
}

static PyObject *run_nested(Transaction *tx, Reagent *n, PyObject *x)
{
    rx *r = enter(tx);
    if (!r) return NULL;
    size_t base = r->choices.n, words = r->log.n, kept = r->kept.n;
    PyObject *y = NULL;
    rx_outcome o = RX_ERROR;
    /* What it reads may live in objects that nothing else keeps alive once the function has returned. */
    if (RX_ROOM(r->kept, 1)) {
        r->kept.at[r->kept.n++] = Py_NewRef((PyObject *)n);
        o = rx_evaluate(r, n, x, true, &y);
        if (r->log.n == words && r->kept.n == kept + 1) {
            r->kept.n = kept;
            Py_DECREF(n); /* the caller has it */
        }
    }
    if (!forget_choices(r, base)) {
        if (o == RX_DONE) rx_drop(r, y);
        o = RX_ERROR;
    }
    return leave(tx, o, y);
}

/* On a word; on anything else that has such a reagent, with that. */
static PyObject *on_word(Transaction *tx, PyObject *ref, PyObject *x, const rg_op *op, const char *name)
{
    rg_state *st = tx->st;
    bool word = PyObject_TypeCheck(ref, st->ref_type) || PyObject_TypeCheck(ref, st->atomic_int_type) ||
                PyObject_TypeCheck(ref, st->atomic_flag_type) ||
                PyObject_TypeCheck(ref, st->word_type);
    PyObject *n = word ? rg_reagent_new(st, op, ref, NULL) : PyObject_GetAttrString(ref, name);
    if (!n && !word && !PyErr_ExceptionMatches(PyExc_AttributeError)) return NULL;
    if (!n && word) return NULL;
    PyObject *y = NULL;
    if (n && Py_IS_TYPE(n, st->reagent_type)) {
        y = run_nested(tx, (Reagent *)n, x);
    } else {
        PyErr_Format(PyExc_TypeError, "tx.%s() takes a Ref, or what has a reagent `%s` as a Ref has, not %.100s", name, name,
                     Py_TYPE(ref)->tp_name);
    }
    Py_XDECREF(n);
    return y;
}

static PyObject *tx_read(PyObject *self, PyObject *ref) { return on_word((Transaction *)self, ref, Py_None, &rg_op_read, "read"); }

static PyObject *tx_write(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (!rg_arity("write", nargs, NULL, 2, 2)) return NULL;
    PyObject *y = on_word((Transaction *)self, args[0], args[1], &rg_op_write, "write");
    if (!y) return NULL;
    Py_DECREF(y);
    Py_RETURN_NONE;
}

static PyObject *tx_block(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    Transaction *tx = (Transaction *)self;
    if (!enter(tx)) return NULL;
    return leave(tx, RX_BLOCK, NULL);
}

static PyObject *tx_call(PyObject *self, PyObject *args, PyObject *kw)
{
    static char *names[] = { "reagent", "x", NULL };
    Transaction *tx = (Transaction *)self;
    PyObject *n, *x = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kw, "O|O:tx", names, &n, &x)) return NULL;
    if (!Py_IS_TYPE(n, tx->st->reagent_type)) {
        PyErr_Format(PyExc_TypeError, "tx(reagent, x) takes a Reagent, not %.100s", Py_TYPE(n)->tp_name);
        return NULL;
    }
    return run_nested(tx, (Reagent *)n, x);
}

static void tx_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef methods[] = {
    { "read", tx_read, METH_O, PyDoc_STR("read($self, ref, /)\n--\n\nThe value of a Ref, as of this reaction.") },
    { "write", (PyCFunction)(void (*)(void))tx_write, METH_FASTCALL,
      PyDoc_STR("write($self, ref, value, /)\n--\n\nvalue becomes the value of a Ref when the reaction commits; read() sees it at once.") },
    { "block", tx_block, METH_NOARGS, PyDoc_STR("block($self, /)\n--\n\nNot now: the function has blocked, and runs again when what it has read changes.") },
    { "__reduce__", rg_refuse_pickle, METH_NOARGS, NULL },
    { NULL },
};
static PyType_Slot slots[] = {
    { Py_tp_doc, "What a function in direct style reads and writes with: see reagent(). tx(r, x) runs the reagent r on x in it." },
    { Py_tp_dealloc, tx_dealloc },
    { Py_tp_call, tx_call },
    { Py_tp_methods, methods },
    { 0, NULL },
};
PyType_Spec rg_transaction_spec = {
    .name = "reagents.Transaction",
    .basicsize = sizeof(Transaction),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = slots,
};

/* ---- the reagent ---------------------------------------------------------------------------------- */

static rx_outcome step_direct(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    rg_state *st = n->st;
    rx_outcome o = rx_leave(r);
    if (o != RX_DONE) return o;
    Transaction *tx = (Transaction *)st->transaction_type->tp_alloc(st->transaction_type, 0);
    PyObject *z = NULL;
    rx_outcome fate = RX_DONE;
    if (tx) {
        tx->st = st;
        tx->r = r;
        tx->thread = PyThread_get_thread_ident();
        tx->fate = RX_DONE;
        PyObject *args[] = { (PyObject *)tx, x };
        z = PyObject_Vectorcall(n->a, args, 2, NULL);
        tx->r = NULL;
        fate = tx->fate;
        Py_DECREF(tx);
    }
    if (z && fate == RX_DONE && z == st->block) fate = RX_BLOCK;
    if (fate != RX_DONE) {
        if (!z) PyErr_Clear();
        Py_CLEAR(z);
        if (!rx_pin(r)) return RX_ERROR;
        o = r->has_nodes ? rx_validate(r) : RX_DONE; /* as after any call: another alternative may follow them */
        return o == RX_DONE ? fate : o;
    }
    o = rx_return(r, z);
    if (o == RX_DONE) *y = z;
    return o;
}

static const rg_op op_direct = { .name = "reagent", .step = step_direct };

static PyObject *f_reagent(PyObject *m, PyObject *f)
{
    if (!PyCallable_Check(f)) {
        PyErr_Format(PyExc_TypeError, "reagent() takes a callable f(tx, x), not %.100s", Py_TYPE(f)->tp_name);
        return NULL;
    }
    if (PyFunction_Check(f) &&
        ((PyCodeObject *)PyFunction_GET_CODE(f))->co_flags & (CO_GENERATOR | CO_COROUTINE | CO_ASYNC_GENERATOR)) {
        PyErr_Format(PyExc_TypeError, "reagent() takes a plain function, and %R would only make a coroutine or generator, not run", f);
        return NULL;
    }
    return rg_reagent_new(PyModule_GetState(m), &op_direct, f, NULL);
}

PyMethodDef rg_direct_functions[] = {
    { "reagent", f_reagent, METH_O, PyDoc_STR("reagent($module, f, /)\n--\n\n"
      "A reagent in direct style, as a decorator: f(tx, x) reads with tx.read(ref), writes with tx.write(ref, v), runs\n"
      "another reagent with tx(r, x), and says \"not now\" with tx.block(); what it returns is the result. It may run\n"
      "several times, sees one state of all that it reads, and must have no effects. A swap in it raises\n"
      "RuntimeError: Python code cannot be gone back into, so it cannot wait for a partner. (As kcas' Xt.)\n\n"
      ">>> from reagents import Ref, reagent\n>>> a, b = Ref(1), Ref(2)\n>>> @reagent\n... def exchange(tx, x):\n"
      "...     old = tx.read(a)\n...     tx.write(a, tx.read(b))\n...     tx.write(b, old)\n"
      ">>> exchange()\n>>> a.get(), b.get()\n(2, 1)") },
    { NULL, NULL, 0, NULL },
};
