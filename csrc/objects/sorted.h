/* sorted.h - what the files of SortedMap share: the map, and the search for a key.
 *
 * Keys are ordered by `<` alone; two of which neither is less are the same key. Exact int, float, str and bytes of one
 * type are compared while pinned; all else is Python code, so the search lets go of everything but holds on the towers
 * that it still needs, and looks afterwards whether they are still in (core/skiplist.h says why that is enough).
 */
#ifndef RG_SORTED_H
#define RG_SORTED_H

#include "binding.h"

#include "../core/skiplist.h"

#define RG_SORTED_CELLS 8u /* a power of two */

/* How many bindings there are is the sum of the cells; a thread counts in that of its slot. What is called directly
 * counts after the fact, so the sum is exact when nobody is in the middle of a change. */
typedef struct rg_cell {
    rg_word n;
    char apart[RG_CACHE_LINE - sizeof(rg_word)];
} rg_cell;

typedef struct SortedMap {
    PyObject_HEAD
    rg_state *st;
    PyObject *weakrefs;
    rg_skiplist list;
    rg_cell cells[RG_SORTED_CELLS];
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
    rg_tower *made; /* by rg_sorted_link */
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
/* Holds what path says, so that it stays good when the caller unpins. Pinned. False: no memory. */
bool rg_quest_hold(SortedMap *, rg_quest *);
/* The same search without Python code: RG_UNSURE where it would take some. equal: if not NULL, as rg_quest_equal. Pinned. */
rg_sought rg_quest_try(SortedMap *, rg_slot *, rg_quest *, bool cuts, int *equal);

/* Dropped after a grace period, at once where nobody can be looking, and never while pinned. One place is reserved. */
void rg_sorted_late(rg_slot *, PyObject *);
/* rg_skiplist's. */
void rg_sorted_gone(rg_slot *, rg_tower *);
/* Bindings that came, or went. Pinned. */
void rg_sorted_count(SortedMap *, rg_slot *, int64_t by);
static inline rg_word *rg_sorted_cell(SortedMap *m, rg_slot *s) { return &m->cells[s->index & (RG_SORTED_CELLS - 1)].n; }
/* Links a new tower for the key where the quest has led to, with a value whose reference it takes if it succeeds. 1, 0:
 * something came between, or -1: no memory, MemoryError set. Pinned all the while. */
int rg_sorted_link(SortedMap *, rg_slot *, rg_quest *, uint64_t value);
/* A new reference to the value of a key, or NULL: no such key, or an error. */
PyObject *rg_sorted_get(SortedMap *, PyObject *key);
/* Binds; keep: not if it is bound. *was: what it was bound to, a new reference, or NULL. */
bool rg_sorted_set(SortedMap *, PyObject *key, PyObject *value, bool keep, PyObject **was);
/* Unbinds; *was as above. */
bool rg_sorted_delete(SortedMap *, PyObject *key, PyObject **was);
/* Replaces the value old by new_: 1, 0 or -1. */
int rg_sorted_replace(SortedMap *, PyObject *key, PyObject *old, PyObject *new_);
/* rg_binder's. */
void rg_sorted_sweep(PyObject *m, rg_node *);
bool rg_sorted_clear(SortedMap *);
/* The first binding, or the last, out of the map if so: 1 with new references; 0, there is none; -1, an error is set; or 2,
 * nothing was done, this takes a reaction. */
int rg_sorted_end(SortedMap *, bool last, bool remove, PyObject **key, PyObject **value);

/* sorted_steps.c */
/* Pinned again if it is RX_DONE; equal as rg_quest_equal, if not NULL. `other`: a quest whose path is to stay good, or NULL.
 * To be closed in any case. */
rx_outcome rg_sorted_seek(rx *, SortedMap *, rg_quest *, PyObject *key, bool upper, int *equal, rg_quest *other);
/* The entry of a tower's value; RX_RETRY: it is DEAD. */
rx_outcome rg_sorted_value_entry(rx *, SortedMap *, rg_tower *, rx_entry **);
/* The entry of a tower's level-0 link; RX_RETRY: it is marked, or has changed since it was logged. */
rx_outcome rg_sorted_link_entry(rx *, SortedMap *, rg_tower *, rx_entry **);
extern const rg_binder rg_sorted_binder;

/* sorted_range.c: (which, lo, hi), a reagent of between(lo, hi). */
PyObject *rg_sorted_within(PyObject *self, PyObject *args);

/* sorted_iter.c */
typedef enum { GIVE_KEYS, GIVE_VALUES, GIVE_ITEMS } rg_gives;
/* From lo to hi, NULL or None being no bound; with those keys themselves if so. Backwards if so. */
PyObject *rg_sorted_iterator(SortedMap *, rg_gives, PyObject *lo, PyObject *hi, bool with_lo, bool with_hi, bool backwards);

#endif
