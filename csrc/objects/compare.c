/* compare.c - see compare.h. Exact numbers, str and bytes are compared by the interpreter's own code, which allocates
 * nothing that the collector counts; tuples are looked through here, as far as their items are such. */
#include "compare.h"

static bool is_integer(PyObject *o) { return PyLong_CheckExact(o) || PyBool_Check(o); }
static bool is_number(PyObject *o) { return is_integer(o) || PyFloat_CheckExact(o); }

static bool comparable(PyObject *x, PyObject *y)
{
    return (is_number(x) && is_number(y)) || (PyUnicode_CheckExact(x) && PyUnicode_CheckExact(y)) ||
           (PyBytes_CheckExact(x) && PyBytes_CheckExact(y));
}

static int compare(PyObject *x, PyObject *y, int op)
{
    if (!comparable(x, y)) return -1;
    int l = PyObject_RichCompareBool(x, y, op);
    if (l < 0) PyErr_Clear(); /* no memory to compare a float with a long integer */
    return l;
}

static int scalar_less(PyObject *x, PyObject *y)
{
#if PY_VERSION_HEX >= 0x030c0000
    if (PyUnicode_CheckExact(x) && PyUnicode_CheckExact(y)) return PyUnicode_Compare(x, y) < 0; /* cannot fail any more */
#else
    if (PyLong_CheckExact(x) && PyLong_CheckExact(y) && Py_ABS(Py_SIZE(x)) <= 1 && Py_ABS(Py_SIZE(y)) <= 1)
        return Py_SIZE(x) * (sdigit)((PyLongObject *)x)->ob_digit[0] < Py_SIZE(y) * (sdigit)((PyLongObject *)y)->ob_digit[0];
#endif
    if (PyFloat_CheckExact(x) && PyFloat_CheckExact(y)) return PyFloat_AS_DOUBLE(x) < PyFloat_AS_DOUBLE(y);
    return compare(x, y, Py_LT);
}

/* As tuples compare: by the first items that differ, identity being equality. Tuples in tuples are left to the
 * interpreter, which minds the depth. */
static int tuple_less(PyObject *x, PyObject *y)
{
    Py_ssize_t n = PyTuple_GET_SIZE(x), m = PyTuple_GET_SIZE(y);
    for (Py_ssize_t i = 0; i < n && i < m; i++) {
        PyObject *a = PyTuple_GET_ITEM(x, i), *b = PyTuple_GET_ITEM(y, i);
        if (a == b) continue;
        int l = scalar_less(a, b);
        if (l) return l;
        l = compare(a, b, Py_EQ);
        if (l <= 0) return l; /* not less, nor equal: greater, or a NaN is in the way */
    }
    return n < m;
}

int rg_less_slow(PyObject *x, PyObject *y)
{
    if (PyTuple_CheckExact(x) && PyTuple_CheckExact(y)) return tuple_less(x, y);
    return scalar_less(x, y);
}
