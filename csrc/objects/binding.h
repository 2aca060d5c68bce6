/* binding.h - keys bound to values, one word a binding: what maps have in common, whatever their table looks like.
 *
 * The word of a key's node holds the value, or one of two marks, which no user ever sees:
 *   ABSENT  the key has no value now. Somebody may give it one, and reactions may wait for that.
 *   DEAD    nor will it ever have one here: the node is on its way out, and who wants the key makes another.
 * A word never changes again once it is DEAD. Of the nodes of one key at most one is not DEAD at any instant. So the
 * key is bound iff one of its nodes holds neither mark; and a reaction that read ABSENT, with the word in its log,
 * commits only if the key was unbound all the while, for to bind it elsewhere the word had to become DEAD.
 *
 * The marks are objects, so that to a log such a word is a WORD_OBJECT like any other. They are static: from 3.12 on
 * immortal, and free of counting.
 *
 * A node that holds ABSENT is there for the sake of reactions. Each that made or met one, or removed a value, keeps
 * a trace of it; as the reaction ends (not when it starts again) its traces go, and each that finds ABSENT still there makes
 * it DEAD. Who waits for the word then is woken, and makes a new node. So this costs others one turn for each reaction that ends.
 */
#ifndef RG_BINDING_H
#define RG_BINDING_H

#include "words.h"

typedef struct rg_mark {
    PyObject_HEAD
    int unused;
} rg_mark;
extern rg_mark rg_absent_mark, rg_dead_mark;
#define RG_ABSENT ((uint64_t)(uintptr_t)&rg_absent_mark)
#define RG_DEAD ((uint64_t)(uintptr_t)&rg_dead_mark)
static inline bool rg_is_bound(uint64_t value) { return value != RG_ABSENT && value != RG_DEAD; }

/* What a kind of map does for the bindings of its keys. `hash` is what rg_binding_new was given. */
typedef struct rg_binder {
    /* The log's entry of the key's word, of a node made for it (ABSENT) where it has none; never DEAD when it was read.
     * Pinned, and pinned again when it is RX_DONE; user code may have run between. Calls rg_trace where it met ABSENT. */
    rx_outcome (*locate)(rx *, PyObject *owner, PyObject *key, Py_hash_t hash, rx_entry **);
    /* The reaction adds `by` to the number of bound keys. Runs no user code. False: error set. */
    bool (*count)(rx *, PyObject *owner, int by);
    /* Nothing is pinned: makes the node's word DEAD if it is ABSENT, wakes who waits for it, and takes the node out.
     * The node is held. Without memory it may stay. */
    void (*sweep)(PyObject *owner, rg_node *node);
    /* At once. get: new reference; NULL, without an error when the key is missing. replace: 1, 0 or -1; values are
     * compared as by rg_same. */
    PyObject *(*get)(PyObject *owner, PyObject *key, Py_hash_t hash);
    bool (*set)(PyObject *owner, PyObject *key, Py_hash_t hash, PyObject *value);
    int (*replace)(PyObject *owner, PyObject *key, Py_hash_t hash, PyObject *old, PyObject *new_);
} rg_binder;

/* What m.at(key) returns. */
PyObject *rg_binding_new(rg_state *, const rg_binder *, PyObject *owner, PyObject *key, Py_hash_t hash);

/* The reaction keeps a trace of a node of owner's, until it ends. Pinned. False: MemoryError. */
bool rg_trace(rx *, const rg_binder *, PyObject *owner, rg_node *);
/* A new reaction goes on for one that parked and left these: traces among them are its own. */
void rg_traces_resume(rx *, PyObject *keeps);

#endif
