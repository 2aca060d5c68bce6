/* sorted_find.c - where a key lies: the search of core/skiplist.h with Python's comparison. */
#include "sorted.h"

static bool int_value(PyObject *o, int64_t *n)
{
#if PY_VERSION_HEX >= 0x030c0000
    if (PyUnstable_Long_IsCompact((PyLongObject *)o)) {
        *n = PyUnstable_Long_CompactValue((PyLongObject *)o);
        return true;
    }
#endif
    int overflow;
    long long v = PyLong_AsLongLongAndOverflow(o, &overflow);
    *n = v;
    return !overflow;
}

bool rg_quest_open(rg_quest *q, PyObject *key, bool upper)
{
    q->key = key;
    q->upper = upper;
    q->held = q->first;
    q->n_held = 0;
    q->cap = sizeof q->first / sizeof *q->first;
    q->kind = KEY_ANY;
    if (!key) return true;
    if (PyLong_CheckExact(key)) {
        if (int_value(key, &q->n)) q->kind = KEY_INT;
    } else if (PyUnicode_CheckExact(key)) {
        q->kind = KEY_STR;
    } else if (PyFloat_CheckExact(key)) {
        q->kind = KEY_FLOAT;
        q->d = PyFloat_AS_DOUBLE(key);
        if (q->d != q->d) {
            PyErr_SetString(PyExc_ValueError, "NaN cannot be a key of a SortedMap: it is neither less than another number nor not");
            return false;
        }
    } else if (PyBytes_CheckExact(key)) {
        q->kind = KEY_BYTES;
    }
    return true;
}

static int order_of_bytes(PyObject *a, PyObject *b)
{
    Py_ssize_t n = PyBytes_GET_SIZE(a), m = PyBytes_GET_SIZE(b);
    int c = memcmp(PyBytes_AS_STRING(a), PyBytes_AS_STRING(b), (size_t)(n < m ? n : m));
    return c ? c : n < m ? -1 : n > m;
}

#define UNTOLD 2

/* The order of a tower's key and the one that is sought: less than 0, 0, or more; UNTOLD: it takes Python code. */
static inline int order(const rg_quest *q, rg_tower *t)
{
    PyObject *k = rg_tower_key(t);
    int64_t n;
    switch (q->kind) {
    case KEY_INT:
        if (PyLong_CheckExact(k) && int_value(k, &n)) return (n > q->n) - (n < q->n);
        break;
    case KEY_STR:
        if (PyUnicode_CheckExact(k)) {
            int c = k == q->key ? 0 : PyUnicode_Compare(k, q->key);
            return c < 0 ? -1 : c > 0;
        }
        break;
    case KEY_FLOAT:
        if (PyFloat_CheckExact(k)) return (PyFloat_AS_DOUBLE(k) > q->d) - (PyFloat_AS_DOUBLE(k) < q->d);
        break;
    case KEY_BYTES:
        if (PyBytes_CheckExact(k)) {
            int c = order_of_bytes(k, q->key);
            return c < 0 ? -1 : c > 0;
        }
        break;
    case KEY_ANY: break;
    }
    return UNTOLD;
}

static inline __attribute__((always_inline)) int below(const void *sought, rg_tower *t)
{
    const rg_quest *q = sought;
    if (!q->key) return 1;
    int c = order(q, t);
    return c == UNTOLD ? -1 : q->upper ? c <= 0 : c < 0;
}

/* ---- Python code ------------------------------------------------------------------------------- */

static bool hold(SortedMap *m, rg_quest *q, rg_tower *t)
{
    if (!t || t == &m->list.head) return true;
    if (q->n_held == q->cap) {
        rg_tower **at = PyMem_RawMalloc(2 * q->cap * sizeof *at);
        if (!at) return false;
        memcpy(at, q->held, q->n_held * sizeof *at);
        if (q->held != q->first) PyMem_RawFree(q->held);
        q->held = at;
        q->cap *= 2;
    }
    rg_node_hold(&t->node);
    q->held[q->n_held++] = t;
    return true;
}

bool rg_quest_hold(SortedMap *m, rg_quest *q)
{
    rg_path *p = &q->path;
    while (p->held > p->level + 1) { /* of a search that is over the level is -1 */
        unsigned l = p->held - 1;
        if (!hold(m, q, p->before[l]) || !hold(m, q, rg_tower_of(p->after[l]))) return false;
        p->held = l;
    }
    return p->level >= RG_LEVELS || (hold(m, q, p->pred) && hold(m, q, rg_tower_of(p->cur)));
}

/* Whether t's key is less than ours, or, swapped, ours less than it. 1, 0; -1 with an error set and unpinned. */
static int ask(SortedMap *m, rg_slot *s, rg_quest *q, rg_tower *t, bool swapped)
{
    if (!rg_quest_hold(m, q)) {
        rg_unpin(s);
        PyErr_NoMemory();
        return -1;
    }
    PyObject *k = Py_NewRef(rg_tower_key(t));
    rg_unpin(s);
    int c = swapped ? PyObject_RichCompareBool(q->key, k, Py_LT) : PyObject_RichCompareBool(k, q->key, Py_LT);
    Py_DECREF(k);
    if (c >= 0) rg_pin(s);
    return c;
}

static rg_sought search(SortedMap *m, rg_slot *s, rg_quest *q, bool cuts, int answer)
{
    return cuts ? rg_skip_search(s, &m->list, &q->path, below, q, true, answer)
                : rg_skip_search(s, &m->list, &q->path, below, q, false, answer);
}

bool rg_quest_run(SortedMap *m, rg_slot *s, rg_quest *q, bool cuts)
{
    for (int answer = -1;;) {
        rg_sought r = search(m, s, q, cuts, answer);
        if (r == RG_SOUGHT) return true;
        if (r == RG_NO_ROOM) {
            rg_unpin(s);
            PyErr_NoMemory();
            return false;
        }
        answer = ask(m, s, q, rg_tower_of(q->path.cur), q->upper);
        if (answer < 0) return false;
        if (q->upper) answer = !answer;
    }
}

int rg_quest_equal(SortedMap *m, rg_slot *s, rg_quest *q)
{
    rg_tower *t = rg_tower_of(q->path.after[0]);
    if (!t) return 0;
    int c = order(q, t);
    if (c != UNTOLD) return c == 0;
    c = ask(m, s, q, t, true);
    return c < 0 ? -1 : !c;
}

rg_sought rg_quest_try(SortedMap *m, rg_slot *s, rg_quest *q, bool cuts, int *equal)
{
    rg_sought r = search(m, s, q, cuts, -1);
    if (!equal) return r;
    rg_tower *t = r == RG_SOUGHT ? rg_tower_of(q->path.after[0]) : NULL;
    int c = t ? order(q, t) : 1;
    *equal = c == 0;
    return c == UNTOLD ? RG_UNSURE : r;
}

void rg_quest_close(rg_slot *s, rg_quest *q)
{
    while (q->n_held) rg_node_release(s, &q->held[--q->n_held]->node);
    if (q->held != q->first) PyMem_RawFree(q->held);
    q->held = q->first;
}
