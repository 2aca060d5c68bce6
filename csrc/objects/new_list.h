/* new_list.h - a list of n items that the caller sets with PyList_SET_ITEM. */
#ifndef RG_NEW_LIST_H
#define RG_NEW_LIST_H

#include "state.h"

static inline PyObject *rg_new_list(Py_ssize_t n)
{
#if defined(Py_GIL_DISABLED) && PY_VERSION_HEX < 0x030e0000
    /* PyList_New of free-threaded 3.13 frees what it has not set yet when it finds no memory for the items. Appending
     * does not, and nobody owns a reference to the None that is overwritten: there it is immortal. */
    PyObject *list = PyList_New(0);
    for (Py_ssize_t i = 0; list && i < n; i++)
        if (PyList_Append(list, Py_None) < 0) Py_CLEAR(list);
    return list;
#else
    return PyList_New(n);
#endif
}

#endif
