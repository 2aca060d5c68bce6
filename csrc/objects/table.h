/* table.h - a hash table (core/hash.h) of objects: what Map and Set are made of. A Set's values are None. */
#ifndef RG_TABLE_H
#define RG_TABLE_H

#include "binding.h"

#include "../core/hash.h"

typedef struct TableObject {
    PyObject_HEAD
    rg_state *st;
    PyObject *weakrefs;
    rg_word finger; /* where popitem looks first: a hash */
    rg_hash t;
} TableObject;

/* The hash of a key, mixed. False: TypeError, or whatever __hash__ raised. */
static inline bool rg_key_hash(PyObject *key, uint64_t *hash)
{
    Py_hash_t h = -1;
    /* relaxed: as the interpreter writes it, and it is one number or not there yet */
    if (PyUnicode_CheckExact(key)) h = __atomic_load_n(&((PyASCIIObject *)key)->hash, __ATOMIC_RELAXED);
#if PY_VERSION_HEX >= 0x030c0000
    else if (PyLong_CheckExact(key) && PyUnstable_Long_IsCompact((PyLongObject *)key))
        h = PyUnstable_Long_CompactValue((PyLongObject *)key); /* which is its hash, but for -1 */
#endif
    if (h == -1) h = PyObject_Hash(key);
    *hash = rg_hash_mix((uint64_t)h);
    return h != -1;
}

typedef enum {
    TABLE_SET,     /* the value, whatever there was */
    TABLE_DEFAULT, /* unless the key has one; *out: the one that it has then */
    TABLE_REPLACE, /* if it has `expected` */
    TABLE_REMOVE   /* *out, if not NULL: what it had */
} rg_table_change;

/* New reference; NULL: the key is missing, or an error is set. */
PyObject *rg_table_get(TableObject *, PyObject *key, uint64_t hash);
/* 1, 0, or -1 with an error set. */
int rg_table_contains(TableObject *, PyObject *key, uint64_t hash);
/* Whether it changed anything: 1, 0, or -1 with an error set. *out: a new reference. */
int rg_table_do(TableObject *, rg_table_change, PyObject *key, uint64_t hash, PyObject *expected, PyObject *value, PyObject **out);
/* Takes some key out. 1; 0: there is none; -1. */
int rg_table_pop(TableObject *, PyObject **key, PyObject **value);
void rg_table_clear(TableObject *); /* one after the other */
/* The first bound node behind all of a hash, or of all; *value is what it is bound to. Pinned. NULL: none. */
rg_quad *rg_table_behind(rg_slot *, rg_hash *, const uint64_t *after, uint64_t *value, bool *no_memory);
Py_ssize_t rg_table_len(TableObject *);
/* All keys and values at one instant: a tuple of keys and one of values. */
bool rg_table_snapshot(TableObject *, PyObject **keys, PyObject **values);

extern const rg_binder rg_table_binder;

typedef enum { TABLE_KEYS, TABLE_VALUES, TABLE_ITEMS } rg_table_kind;
PyObject *rg_table_iter(TableObject *, rg_table_kind);

/* tp_new, tp_traverse, tp_clear and tp_dealloc of both. */
PyObject *rg_table_new(PyTypeObject *, PyObject *args, PyObject *kw);
int rg_table_traverse(PyObject *, visitproc, void *);
int rg_table_tp_clear(PyObject *);
void rg_table_dealloc(PyObject *);

/* Two str. Most keys are a few letters, which take less time than a call. */
static inline int rg_str_same(PyObject *a, PyObject *b)
{
    Py_ssize_t length = PyUnicode_GET_LENGTH(a);
    int kind = PyUnicode_KIND(a);
    if (length != PyUnicode_GET_LENGTH(b) || kind != (int)PyUnicode_KIND(b)) return 0;
    const char *x = PyUnicode_DATA(a), *y = PyUnicode_DATA(b);
    size_t n = (size_t)(length * kind);
    uint64_t u, v;
    if (n < 8 || n > 64) return memcmp(x, y, n) == 0;
    for (size_t i = 0; i < n - 8; i += 8) {
        memcpy(&u, x + i, 8);
        memcpy(&v, y + i, 8);
        if (u != v) return 0;
    }
    memcpy(&u, x + n - 8, 8);
    memcpy(&v, y + n - 8, 8);
    return u == v;
}

/* table_walk.c and table.c: keys, compared where that takes no code of anybody's: 1, 0; -1: it might. */
int rg_key_same_slow(PyObject *, PyObject *);
static inline int rg_key_same(const void *key, const rg_quad *n)
{
    PyObject *a = (PyObject *)(uintptr_t)n->node.value, *b = (PyObject *)(uintptr_t)key;
    if (a == b) return 1;
#if PY_VERSION_HEX >= 0x030c0000
    if (PyLong_CheckExact(a) && PyLong_CheckExact(b) && PyUnstable_Long_IsCompact((PyLongObject *)a) &&
        PyUnstable_Long_IsCompact((PyLongObject *)b))
        return PyUnstable_Long_CompactValue((PyLongObject *)a) == PyUnstable_Long_CompactValue((PyLongObject *)b);
#endif
    if (PyUnicode_CheckExact(a) && PyUnicode_CheckExact(b)) return rg_str_same(a, b);
    return rg_key_same_slow(a, b);
}

#endif
