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

/* ---- hints: 26 bits that do not decrease from item to item, and are the same of equals ---------------------------------------- */

enum { HINT_NONE, HINT_NUMBER, HINT_TUPLE, HINT_STR };
#define HINT(kind, bits) ((uint64_t)(kind) << RG_HEAP_KIND_SHIFT | (bits))

/* Sign, six bits of exponent (2^-16 to 2^48; what is beyond is as large or small as that), 19 of mantissa. */
static uint64_t bits_of_double(double d)
{
    const uint64_t least = (1023ULL - 16) << 52, most = (1023ULL + 48) << 52, all = (1ULL << 25) - 1;
    uint64_t u;
    d += 0.0; /* -0.0 is 0 */
    memcpy(&u, &d, sizeof u);
    uint64_t size = u & ~(1ULL << 63), n = size < least ? 0 : size >= most ? all : (size - least) >> 33;
    return u >> 63 ? all - n : all + 1 + n;
}

/* False: it is no number, or not a usual one. */
static bool number_hint(PyObject *o, uint64_t *bits)
{
    double d;
    if (PyFloat_CheckExact(o)) {
        d = PyFloat_AS_DOUBLE(o);
        if (d != d) return false; /* neither less nor greater than anything */
    } else if (is_integer(o)) {
        int overflow;
        long long v = PyLong_AsLongLongAndOverflow(o, &overflow);
        if (overflow) return false;
        d = (double)v; /* rounded, but in order */
    } else {
        return false;
    }
    *bits = bits_of_double(d);
    return true;
}

/* Three characters; from one that has no place in eight bits on, the greatest. */
static uint64_t bits_of_str(PyObject *o)
{
    Py_ssize_t n = PyUnicode_GET_LENGTH(o);
    uint64_t bits = 0;
    bool beyond = false;
    for (Py_ssize_t i = 0; i < 3; i++) {
        Py_UCS4 c = i < n ? PyUnicode_READ_CHAR(o, i) : 0;
        beyond |= c > 255;
        bits = bits << 8 | (beyond ? 255 : c);
    }
    return bits;
}

uint64_t rg_hint_of(PyObject *o)
{
    uint64_t bits;
    if (number_hint(o, &bits)) return HINT(HINT_NUMBER, bits);
#if PY_VERSION_HEX < 0x030c0000
    if (PyUnicode_CheckExact(o) && PyUnicode_IS_READY(o)) return HINT(HINT_STR, bits_of_str(o));
#else
    if (PyUnicode_CheckExact(o)) return HINT(HINT_STR, bits_of_str(o));
#endif
    if (PyTuple_CheckExact(o) && PyTuple_GET_SIZE(o) && number_hint(PyTuple_GET_ITEM(o, 0), &bits)) return HINT(HINT_TUPLE, bits);
    return HINT(HINT_NONE, 0);
}
