/* compare.h - `x < y` of items, where that runs no code but ours: it may be asked while pinned. */
#ifndef RG_COMPARE_H
#define RG_COMPARE_H

#include "state.h"

#include "../core/heap.h"

/* 1, 0; -1, with no error set: it would run user code, or raise. */
int rg_less_slow(PyObject *x, PyObject *y);

static inline int rg_less_here(uint64_t a, uint64_t b)
{
    PyObject *x = (PyObject *)(uintptr_t)a, *y = (PyObject *)(uintptr_t)b;
#if PY_VERSION_HEX >= 0x030c0000
    if (__builtin_expect(PyLong_CheckExact(x) && PyLong_CheckExact(y), 1) && PyUnstable_Long_IsCompact((PyLongObject *)x) &&
        PyUnstable_Long_IsCompact((PyLongObject *)y))
        return PyUnstable_Long_CompactValue((PyLongObject *)x) < PyUnstable_Long_CompactValue((PyLongObject *)y);
#endif
    return rg_less_slow(x, y);
}

/* What few bits say of an item, for the heap (core/heap.h). Runs nothing, raises nothing. */
uint64_t rg_hint_of(PyObject *);

#endif
