/* batch.h - many operations on shared words in one call that gives up the GIL (lockfree._shared).
 *
 * What is between the two markers is what cffi parses. A segment is named by its handle
 * (Mapping.handle), an array by the address of its first word and its length: the caller keeps the
 * array alive. All arguments are checked before anything is done. The slot is that of the
 * extension, through the pointer in the handle, so that a thread has one however it works.
 */
#ifndef RG_BATCH_H
#define RG_BATCH_H

#include <stdint.h>

/* cdef { */
enum { RGS_OK, RGS_INDEX, RGS_RANGE, RGS_OVERFLOW, RGS_NO_SLOT, RGS_UNSOUND, RGS_OTHER_LAYOUT, RGS_TWICE, RGS_LONG };

typedef struct rgs_array {
    uintptr_t segment, start;
    int64_t length;
} rgs_array;

typedef struct rgs_result {
    int error;
    int64_t at; /* which item it is about; add_many: those before it have been done */
} rgs_result;

rgs_result rgs_add_many(rgs_array a, int64_t n, int64_t *indices, int64_t *amounts);

/* n k-CASes; the i-th has counts[i] entries, the next ones of the three arrays. done[i]: whether it
 * happened. With an error nothing was done, but for RGS_UNSOUND: those before `at` were. */
rgs_result rgs_kcas_many(rgs_array a, int64_t n, int64_t *counts, int64_t *indices, int64_t *olds, int64_t *news, char *done);
/* } cdef */

#endif
