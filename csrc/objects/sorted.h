/* sorted.h - what the files of SortedMap share: the map, and the search for a key.
 *
 * Keys are ordered by `<` alone; two of which neither is less are the same key. Exact int, float, str and bytes of one
 * type are compared while pinned; all else is Python code, so the search lets go of everything but holds on the towers
 * that it still needs, and looks afterwards whether they are still in (core/skiplist.h says why that is enough).
 */
#ifndef RG_SORTED_H
#define RG_SORTED_H

#include "../core/skiplist.h"
#include "words.h"

typedef struct SortedMap {
    PyObject_HEAD
    rg_state *st;
    PyObject *weakrefs;
    rg_skiplist list;
} SortedMap;

typedef enum { KEY_ANY, KEY_INT, KEY_FLOAT, KEY_STR, KEY_BYTES } rg_key_kind;

/* A search under way. `upper`: the towers that are below include those with the key itself. */
typedef struct rg_quest {
    PyObject *key; /* borrowed; NULL: all towers are below */
    bool upper;
    rg_key_kind kind;
    int64_t n;
    double d;
    rg_path path;
    rg_tower **held;
    size_t n_held, cap;
    rg_tower *first[32];
} rg_quest;

static inline PyObject *rg_tower_key(rg_tower *t) { return (PyObject *)(uintptr_t)t->node.value; }
static inline PyObject *rg_object_of(uint64_t w) { return (PyObject *)(uintptr_t)w; }
static inline uint64_t rg_word_of(PyObject *o) { return (uint64_t)(uintptr_t)o; }

/* False: ValueError, a NaN. */
bool rg_quest_open(rg_quest *, PyObject *key, bool upper);
/* Pinned before, and after if true; else an error is set. path.before and path.after are good until the next unpin, or,
 * if it had to unpin, until it is closed. */
bool rg_quest_run(SortedMap *, rg_slot *, rg_quest *, bool cuts);
/* Is path.after[0] the key's? 1, 0, or -1 with an error set and unpinned. */
int rg_quest_equal(SortedMap *, rg_slot *, rg_quest *);
/* Gives up what it holds. */
void rg_quest_close(rg_slot *, rg_quest *);
/* The same search without Python code: RG_UNSURE where it would take some. Pinned. */
rg_sought rg_quest_try(SortedMap *, rg_slot *, rg_quest *, int *equal);

static inline bool rg_is_present(SortedMap *m, uint64_t v) { return v != m->list.absent && v != m->list.dead; }

/* Dropped after a grace period, at once where nobody can be looking, and never while pinned. One place is reserved. */
void rg_sorted_late(rg_slot *, PyObject *);
/* Bindings that came, or went. */
static inline void rg_sorted_count(SortedMap *m, int64_t n) { rg_fetch_add(&m->list.count, (uint64_t)n); }
/* A tower whose value has just become dead: marks it and cuts it where that takes no Python code. Pinned. */
void rg_sorted_bury(SortedMap *, rg_slot *, rg_tower *);
/* A new reference to the value of a key, or NULL: no such key, or an error. */
PyObject *rg_sorted_get(SortedMap *, PyObject *key);
/* Binds; keep: not if it is bound. *was: what it was bound to, a new reference, or NULL. */
bool rg_sorted_set(SortedMap *, PyObject *key, PyObject *value, bool keep, PyObject **was);
/* Unbinds; *was as above. */
bool rg_sorted_delete(SortedMap *, PyObject *key, PyObject **was);

extern PyMethodDef rg_sorted_methods[];

#endif
