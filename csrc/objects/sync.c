/* sync.c - see sync.h. */
#include "sync.h"

#include "engine.h"
#include "explore.h"
#include "offer.h"

#include <sched.h>

bool sync_args(const char *function, const char *const *names, PyObject *const *args, Py_ssize_t nargs, PyObject *kw, PyObject **values)
{
    Py_ssize_t n = 0;
    bool given[SYNC_ARGS] = { false };
    while (names[n]) n++;
    if (nargs > n) {
        PyErr_Format(PyExc_TypeError, "%s() takes at most %zd argument%s (%zd given)", function, n, n == 1 ? "" : "s", nargs);
        return false;
    }
    for (Py_ssize_t i = 0; i < nargs; i++) values[i] = args[i], given[i] = true;
    for (Py_ssize_t k = 0; kw && k < PyTuple_GET_SIZE(kw); k++) {
        PyObject *key = PyTuple_GET_ITEM(kw, k);
        Py_ssize_t i = 0;
        while (i < n && PyUnicode_CompareWithASCIIString(key, names[i])) i++;
        if (i == n || given[i]) {
            PyErr_Format(PyExc_TypeError, "%s() got %s argument %R", function, i == n ? "an unexpected keyword" : "a second value for", key);
            return false;
        }
        values[i] = args[nargs + k];
        given[i] = true;
    }
    return true;
}

#define LONGEST 9223372036.0 /* threading.TIMEOUT_MAX */

bool sync_lock_wait(const char *function, PyObject *const *args, Py_ssize_t nargs, PyObject *kw, sync_wait *how)
{
    static const char *const names[] = { "blocking", "timeout", NULL };
    PyObject *v[SYNC_ARGS] = { NULL };
    *how = (sync_wait){ true, -1 };
    if (!sync_args(function, names, args, nargs, kw, v)) return false;
    int block = v[0] ? PyObject_IsTrue(v[0]) : 1;
    double t = v[1] ? PyFloat_AsDouble(v[1]) : -1;
    if (block < 0 || (t == -1 && PyErr_Occurred())) return false;
    how->block = block;
    if (t == -1) return true;
    if (!block) {
        PyErr_SetString(PyExc_ValueError, "can't specify a timeout for a non-blocking call");
        return false;
    }
    if (!(t >= 0)) {
        PyErr_SetString(PyExc_ValueError, "timeout value must be a non-negative number");
        return false;
    }
    if (t > LONGEST) {
        PyErr_SetString(PyExc_OverflowError, "timeout value is too large");
        return false;
    }
    how->timeout = t;
    return true;
}

bool sync_timeout(PyObject *o, sync_wait *how)
{
    *how = (sync_wait){ true, -1 };
    if (!o || o == Py_None) return true;
    double t = PyFloat_AsDouble(o);
    if (t == -1 && PyErr_Occurred()) return false;
    if (t > 0)
        how->timeout = t;
    else
        how->block = false;
    return true;
}

int sync_run(rg_state *st, const rg_op *op, PyObject *owner, PyObject *b, PyObject *x, sync_wait how, PyObject **y)
{
    if (how.block && how.timeout > LONGEST) { /* only of who has to wait, as in threading */
        PyErr_SetString(PyExc_OverflowError, "timeout value is too large");
        return -1;
    }
    Reagent *n = (Reagent *)rg_reagent_new(st, op, owner, b);
    if (!n) return -1;
    bool blocked = false;
    PyObject *result = how.block ? rg_run(st, n, x, how.timeout, &blocked) : rg_try(st, n, x, &blocked);
    Py_DECREF(n);
    if (!result) return blocked ? 0 : -1;
    if (y)
        *y = result;
    else
        Py_DECREF(result);
    return 1;
}

_Thread_local uint64_t sync_thread_number __attribute__((tls_model("initial-exec")));

RG_SLOW uint64_t sync_new_thread(void)
{
    static _Atomic uint64_t last;
    uint64_t n;
    do
        n = ++last & 0x7fffffff;
    while (!n);
    return sync_thread_number = n;
}

uint64_t rx_thread(rx *r)
{
    Offer *o = r->party > 0 ? r->world.parties.at[r->party].offer : r->mine;
    if (!o) return sync_thread();
    if (!o->catalyst) return o->thread;
    PyErr_SetString(PyExc_RuntimeError, "an RLock belongs to a thread, and a catalyst is none: use a Lock");
    return 0;
}

static RG_SLOW uint64_t word_slow(rg_state *st, rg_word *w)
{
    rg_slot *s = rg_here_quietly(st);
    if (!s) return 0;
    rg_pin(s);
    uint64_t v = rg_read(&s->domain->space, s->index, w);
    rg_unpin(s);
    return v;
}

uint64_t sync_word(rg_state *st, rg_word *w)
{
    uint64_t v = rg_load(w);
    return __builtin_expect(rg_is_ref(v), 0) ? word_slow(st, w) : v;
}

void sync_store(rg_state *st, rg_word *w, uint64_t v)
{
    rg_slot *s = rg_here_quietly(st);
    if (!s) return;
    rg_pin(s);
    while (!rg_cas1(&s->domain->space, s->index, w, rg_read(&s->domain->space, s->index, w), v)) {}
    rg_unpin(s);
}

PyObject *sync_type_name(PyObject *o)
{
    PyObject *type = (PyObject *)Py_TYPE(o), *name = PyObject_GetAttrString(type, "__qualname__");
    PyObject *module = name ? PyObject_GetAttrString(type, "__module__") : NULL;
    PyObject *both = module ? PyUnicode_FromFormat("%S.%U", module, name) : NULL;
    Py_XDECREF(name);
    Py_XDECREF(module);
    return both;
}

/* ---- either lock -------------------------------------------------------------------------------- */

static bool is_rlock(rg_state *st, PyObject *lock) { return PyObject_TypeCheck(lock, st->rlock_type); }
bool sync_is_lock(rg_state *st, PyObject *o) { return is_rlock(st, o) || PyObject_TypeCheck(o, st->lock_type); }
static rg_state *state_of(PyObject *lock) { return ((Permits *)lock)->st; } /* in the same place in both */
_Static_assert(offsetof(Permits, st) == offsetof(RLock, st), "state_of");

rx_outcome rx_lock_take(rx *r, PyObject *lock, uint64_t times)
{
    return is_rlock(r->st, lock) ? rx_rlock_take(r, (RLock *)lock, times) : rx_permits_take(r, (Permits *)lock, 1);
}

rx_outcome rx_lock_give(rx *r, PyObject *lock, bool wholly)
{
    return is_rlock(r->st, lock) ? rx_rlock_give(r, (RLock *)lock, wholly) : rx_permits_give(r, (Permits *)lock, 1);
}

bool rx_lock_is_mine(rx *r, PyObject *lock, bool *mine)
{
    if (is_rlock(r->st, lock)) return rx_rlock_is_mine(r, (RLock *)lock, mine);
    rx_entry *e = rx_read_private(r, &((Permits *)lock)->free, WORD_INT, NULL);
    if (!e) return false;
    *mine = e->cur == 0;
    return true;
}

PyObject *sync_lock_acquire(PyObject *lock, PyObject *const *args, Py_ssize_t nargs, PyObject *kw)
{
    return is_rlock(state_of(lock), lock) ? rg_rlock_acquire(lock, args, nargs, kw) : rg_lock_acquire(lock, args, nargs, kw);
}

bool sync_lock_restore(PyObject *lock, uint64_t times)
{
    return is_rlock(state_of(lock), lock) ? sync_rlock_restore((RLock *)lock, times) : sync_permits_try((Permits *)lock);
}

static rx_outcome step_restore(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    uint64_t times;
    if (!rg_int_of(x, &times)) return RX_ERROR;
    rx_outcome o = rx_lock_take(r, n->a, times);
    if (o == RX_DONE) *y = Py_NewRef(Py_None);
    return o;
}
static const rg_op op_restore = { .name = "restore", .step = step_restore, .doc = "a step of Condition" };

bool sync_lock_retake(PyObject *lock, PyObject *times)
{
    rg_state *st = state_of(lock);
    uint64_t n;
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    bool sound = rg_int_of(times, &n), taken = sound && sync_lock_restore(lock, n);
    while (sound && !taken) {
        taken = sync_run(st, &op_restore, lock, NULL, times, (sync_wait){ true, -1 }, NULL) > 0;
        if (taken || PyErr_ExceptionMatches(PyExc_OverflowError) || rg_is_explored(st)) break; /* or it is explored, and abandoned */
        if (PyErr_ExceptionMatches(PyExc_MemoryError)) { /* whoever has the lock may give memory back with it */
            Py_BEGIN_ALLOW_THREADS
            sched_yield();
            Py_END_ALLOW_THREADS
        }
        Py_XDECREF(type);
        Py_XDECREF(value);
        Py_XDECREF(traceback);
        PyErr_Fetch(&type, &value, &traceback);
        taken = sync_lock_restore(lock, n);
    }
    if (taken) {
        PyErr_Restore(type, value, traceback);
    } else {
        Py_XDECREF(type);
        Py_XDECREF(value);
        Py_XDECREF(traceback);
    }
    return taken;
}

int sync_lock_release(PyObject *lock)
{
    return is_rlock(state_of(lock), lock) ? rg_rlock_release((RLock *)lock) : rg_permits_give((Permits *)lock, 1);
}

int sync_lock_is_mine(PyObject *lock)
{
    if (is_rlock(state_of(lock), lock)) return sync_rlock_is_mine((RLock *)lock);
    return sync_word(state_of(lock), &((Permits *)lock)->free) == 0;
}

uint64_t sync_lock_count(PyObject *lock) { return is_rlock(state_of(lock), lock) ? sync_rlock_count((RLock *)lock) : 1; }

void sync_lock_reset(PyObject *lock)
{
    rg_state *st = state_of(lock);
    if (is_rlock(st, lock))
        sync_store(st, &((RLock *)lock)->word, 0);
    else
        sync_store(st, &((Permits *)lock)->free, 1);
}

/* ---- types made in Python ------------------------------------------------------------------------- */

/* What a call of the reagent does stands beside it: the sequence of the reagent and of a step that passes its input on and
 * knows the function. */
static rx_outcome step_function(rx *r, Reagent *n, PyObject *x, PyObject **y)
{
    (void)r, (void)n;
    *y = Py_NewRef(x);
    return RX_DONE;
}
static const rg_op op_function = { .name = "called", .step = step_function };

static PyObject *call_function(PyObject *self, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    return PyObject_Vectorcall(((Reagent *)((Reagent *)self)->b)->a, args, PyVectorcall_NARGS(nargsf), kwnames);
}
static const rg_op op_called_as = { .name = ">>", .shape = SHAPE_SEQUENCE, .bound = call_function };

static PyObject *f_called_as(PyObject *m, PyObject *const *args, Py_ssize_t nargs)
{
    rg_state *st = PyModule_GetState(m);
    if (!rg_arity("_called_as", nargs, NULL, 2, 2)) return NULL;
    if (!Py_IS_TYPE(args[0], st->reagent_type)) {
        PyErr_SetString(PyExc_TypeError, "_called_as() takes a Reagent and a function");
        return NULL;
    }
    PyObject *f = rg_reagent_new(st, &op_function, args[1], NULL), *n = f ? rg_reagent_new(st, &op_called_as, args[0], f) : NULL;
    Py_XDECREF(f);
    return n;
}

static PyObject *f_with_methods_of_its_own(PyObject *Py_UNUSED(m), PyObject *cls)
{
    PyTypeObject *type = (PyTypeObject *)cls;
    if (!PyType_Check(cls) || !type->tp_base || !type->tp_base->tp_methods) {
        PyErr_SetString(PyExc_TypeError, "_with_methods_of_its_own() takes a subclass of a type in C");
        return NULL;
    }
    for (PyMethodDef *d = type->tp_base->tp_methods; d->ml_name; d++) {
        if (strcmp(d->ml_name, "__enter__") != 0 && strcmp(d->ml_name, "__exit__") != 0) continue;
        PyObject *method = PyDescr_NewMethod(type, d);
        int failed = method ? PyObject_SetAttrString(cls, d->ml_name, method) : -1;
        Py_XDECREF(method);
        if (failed < 0) return NULL;
    }
    return Py_NewRef(cls);
}

PyMethodDef rg_sync_functions[] = {
    { "_with_methods_of_its_own", f_with_methods_of_its_own, METH_O, PyDoc_STR("_with_methods_of_its_own($module, class, /)\n--\n\n"
      "The class, a subclass of a type in C, with __enter__ and __exit__ of that as its own: the interpreter specializes calls of\n"
      "methods of exactly the object's type only.") },
    { "_called_as", (PyCFunction)(void (*)(void))f_called_as, METH_FASTCALL, PyDoc_STR("_called_as($module, reagent, function, /)\n--\n\n"
      "The reagent, but for what calling it does: that is the function's business.") },
    { NULL, NULL, 0, NULL },
};
