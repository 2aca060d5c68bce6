/* containers.c - see containers.h. */
#include "containers.h"

bool rg_parse_blocking(rg_state *st, const char *name, PyObject *const *args, Py_ssize_t nargs, PyObject *kw, Py_ssize_t lead,
                       PyObject **first, rg_blocking *how)
{
    PyObject *values[3] = { NULL, NULL, NULL }; /* item, block, timeout */
    if (nargs > lead + 2) {
        PyErr_Format(PyExc_TypeError, "%s() takes at most %zd arguments (%zd given)", name, lead + 2, nargs);
        return false;
    }
    for (Py_ssize_t i = 0; i < nargs; i++) values[i + 1 - lead] = args[i];
    for (Py_ssize_t i = 0; kw && i < PyTuple_GET_SIZE(kw); i++) {
        PyObject *key = PyTuple_GET_ITEM(kw, i);
        int k = PyUnicode_Compare(key, st->str_block) == 0     ? 1
                : PyUnicode_Compare(key, st->str_timeout) == 0 ? 2
                : lead && PyUnicode_Compare(key, st->str_item) == 0 ? 0
                                                                    : -1;
        if (k < 0 || values[k]) {
            PyErr_Format(PyExc_TypeError, "%s() got %s keyword argument %R", name, k < 0 ? "an unexpected" : "a second value for", key);
            return false;
        }
        values[k] = args[nargs + i];
    }
    if (lead && !values[0]) {
        PyErr_Format(PyExc_TypeError, "%s() missing its argument 'item'", name);
        return false;
    }
    int block = values[1] ? PyObject_IsTrue(values[1]) : 1;
    if (block < 0) return false;
    how->block = block != 0;
    how->timeout = -1;
    if (block && !rg_timeout(values[2], &how->timeout)) return false; /* not blocking ignores it, as queue does */
    if (first) *first = values[0];
    return true;
}

PyObject *rg_wait_with(rg_state *st, const rg_op *op, PyObject *owner, PyObject *x, rg_blocking how, PyObject *exception)
{
    Reagent *n = (Reagent *)rg_reagent_new(st, op, owner, NULL);
    if (!n) return NULL;
    PyObject *y;
    bool blocked = false;
    if (how.block) {
        y = rg_run(st, n, x, how.timeout, &blocked);
    } else {
        y = rg_try(st, n, x, &blocked);
    }
    if (blocked) PyErr_SetNone(exception);
    Py_DECREF(n);
    return y;
}

PyObject *rg_wait_for(rg_state *st, const rg_op *op, PyObject *owner, rg_blocking how, PyObject *empty)
{
    return rg_wait_with(st, op, owner, Py_None, how, empty);
}

#define MAXSIZE_MOST ((int64_t)1 << 61) /* stands for all that a word cannot hold */

bool rg_maxsize(PyObject *o, int64_t *n)
{
    if (!PyIndex_Check(o)) {
        PyErr_Format(PyExc_TypeError, "maxsize must be an integer, not '%.100s'", Py_TYPE(o)->tp_name);
        return false;
    }
    *n = PyNumber_AsSsize_t(o, NULL); /* clips */
    if (*n == -1 && PyErr_Occurred()) return false;
    if (*n > MAXSIZE_MOST) *n = MAXSIZE_MOST;
    if (*n < -MAXSIZE_MOST) *n = -MAXSIZE_MOST;
    return true;
}

PyObject *rg_maxsize_object(int64_t n) { return PyLong_FromSsize_t(n == MAXSIZE_MOST ? PY_SSIZE_T_MAX : (Py_ssize_t)n); }
