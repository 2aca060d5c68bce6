/* face.h - the extension's types over a Segment: Mapping, BaseArray (lockfree.shm.Array's base) and Word.
 *
 * These files are compiled with RG_SHARED_FACE: all their accesses are real atomics, with the GIL
 * too, because other processes touch the words. For the same reason none of them may use a slot of
 * the process's domain through the inline functions of epoch.h: with the GIL that domain has one
 * slot, and those functions would claim another. rg_wake_shared is the only contact.
 */
#ifndef RG_FACE_H
#define RG_FACE_H

#define RG_SHARED_FACE 1
#include "../objects/words.h"
#include "segment.h"

/* Keeps the segment mapped; whatever points into it has a reference to one. */
typedef struct MappingObject {
    PyObject_HEAD
    rg_segment *segment;
    PyObject *identity;
} MappingObject;

typedef struct ArrayObject {
    PyObject_HEAD
    rg_state *st;
    MappingObject *mapping;
    rg_segment *segment; /* the mapping's */
    rg_word *words;
    Py_ssize_t n;
    PyObject *name;
    PyObject *weakrefs;
} ArrayObject;

extern PyType_Spec rg_mapping_spec, rg_array_spec, rg_word_spec;
extern const rg_op *const rg_shared_word_ops[];

/* A Word of the array, which is kept alive. */
PyObject *rg_word_new(ArrayObject *, Py_ssize_t i);

/* ---- single operations: one C call, nothing given up; false: error set, nothing done ---------- */

/* This thread's slot, for an operation on w: -1 with RuntimeError or ValueError set. */
int rg_slot_for(rg_segment *, rg_word *w);
bool rg_shared_get(ArrayObject *, rg_word *w, uint64_t *value);
PyObject *rg_shared_swap(ArrayObject *, rg_word *w, uint64_t value); /* the value before */
PyObject *rg_shared_add(ArrayObject *, rg_word *w, uint64_t by);    /* the same */
int rg_shared_cas(ArrayObject *, rg_word *w, uint64_t old, uint64_t new_); /* 1, 0, or -1: error set */

/* Reactions of this process that wait for w need not wait for their next look at it. */
void rg_wake_shared(rg_state *, rg_word *w);

#endif
