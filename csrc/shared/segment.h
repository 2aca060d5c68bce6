/* segment.h - a memory that processes share: words, their k-CAS descriptors, and named arrays.
 *
 * A segment is one POSIX shared memory object, mapped by each process wherever it likes: all that
 * is stored in it are offsets, slot numbers and values. Layout, in order:
 *   header      what it is, and the three words that change: high, count, used
 *   slots       RG_SEG_SLOTS descriptors (kcas.h), each with room for 32 entries
 *   directory   RG_SEG_ARRAYS entries
 *   room        the arrays, one after another, each on a cache line of its own
 *
 * No process can hold up another one, killed ones included: nothing here is ever locked in shared
 * memory. Arrays are made by one k-CAS (segment.c), slots are claimed by one CAS (slots.c), and an
 * operation that a process left behind is finished by whoever meets it.
 */
#ifndef RG_SEGMENT_H
#define RG_SEGMENT_H

#include "../core/kcas.h"

#define RG_SEG_MAGIC 0x0067655374676552ULL /* "RegtSeg": no tag bits, so a raw look sees it as it is */
#define RG_SEG_VERSION 1u
#define RG_SEG_SLOTS 128u
#define RG_SEG_ENTRIES 32u /* of one k-CAS: 8 in the descriptor, chunks of 8 and 16 behind it */
#define RG_SEG_ARRAYS 128u
#define RG_SEG_NAME_WORDS 12u
#define RG_SEG_NAME_MAX (7u * RG_SEG_NAME_WORDS) /* seven bytes a word: a word is a value, not a reference */
#define RG_SEG_LINE 64u

typedef struct rg_seg_slot {
    rg_desc desc;
    _Alignas(RG_SEG_LINE) rg_desc_entry more[RG_SEG_ENTRIES - RG_INLINE_ENTRIES];
} rg_seg_slot;

/* Entry i is complete and final if i < count. */
typedef struct rg_seg_array {
    rg_word name[RG_SEG_NAME_WORDS];
    rg_word type, length, offset, unused;
} rg_seg_array;

enum { RG_TYPE_INT64 = 1 };

typedef struct rg_seg_header {
    rg_word magic; /* stored last: who sees it sees the rest of the header and the descriptors */
    uint64_t version, layout, total, pids;
    _Alignas(RG_SEG_LINE) rg_word high; /* slots ever used */
    _Alignas(RG_SEG_LINE) rg_word count; /* arrays */
    rg_word used; /* offset of the first free byte of the room */
    _Alignas(RG_SEG_LINE) rg_seg_slot slots[RG_SEG_SLOTS];
    rg_seg_array arrays[RG_SEG_ARRAYS];
    char room[];
} rg_seg_header;

/* Both faces and all processes must agree on where things are. */
#define RG_SEG_LAYOUT                                                                                        \
    ((((((uint64_t)RG_SEG_VERSION * 31 + sizeof(rg_seg_slot)) * 31 + offsetof(rg_desc, entries)) * 31 +      \
       offsetof(rg_desc, chunks)) * 31 + offsetof(rg_seg_header, slots)) * 31 +                              \
     offsetof(rg_seg_header, arrays) * 31 * 31 + offsetof(rg_seg_header, room) * 31 + RG_SEQ_BITS)

/* One mapping in this process: there is at most one of a shared memory object, so that words of it
 * are the same however many times it was attached. Handles are never freed, only reused: a thread
 * that ends late may still look at one. */
typedef struct rg_segment {
    rg_space space; /* first: a space other than the process's own is a segment */
    uint64_t layout;
    int (*slot)(struct rg_segment *); /* rg_segment_slot, for code that is linked elsewhere */
    rg_word generation; /* grows when the slots that threads remember are theirs no more */
    rg_seg_header *head;
    size_t mapped;
    uint64_t dev, ino;
    unsigned refs;                       /* under the lock, as is what follows */
    uint64_t claimed[RG_SEG_SLOTS / 64]; /* slots taken through this handle by this process */
    struct rg_segment *next;
    /* Of all numbers that a reference can have: what some raw store left in a word must not lead
     * outside. Beyond the slots that there are they repeat the first block. */
    rg_word blocks[RG_MAX_BLOCKS];
} rg_segment;

/* Results: 0, an errno, or one of these. */
enum { RG_SEG_UNFINISHED = -1, RG_SEG_FOREIGN = -2, RG_SEG_OTHER_LAYOUT = -3, RG_SEG_OTHER_PIDS = -4 };

int rg_segment_create(const char *name, uint64_t room, rg_segment **out);
int rg_segment_attach(const char *name, rg_segment **out);
void rg_segment_close(rg_segment *);
/* Removes the name if it still is this object's: ENOENT if not. */
int rg_segment_unlink(const char *name, uint64_t dev, uint64_t ino);
static inline uint64_t rg_segment_room(const rg_segment *s) { return s->head->total - offsetof(rg_seg_header, room); }

/* The array of that name, made (all zeros) when there is none. 0; or RG_ARRAY_..., nothing done. */
enum { RG_ARRAY_OK, RG_ARRAY_DIFFERS, RG_ARRAY_NO_ENTRY, RG_ARRAY_NO_ROOM, RG_ARRAY_NO_SLOT };
typedef struct rg_array_info {
    uint64_t type, length, offset;
    uint64_t left; /* RG_ARRAY_NO_ROOM: bytes that there still are */
} rg_array_info;
/* type and length as wanted on entry, as found on return. name: 1 to RG_SEG_NAME_MAX bytes, none 0. */
int rg_segment_array(rg_segment *, const char *name, size_t name_len, rg_array_info *);

/* ---- slots.c ------------------------------------------------------------------------------- */

typedef struct rg_seg_cache {
    rg_segment *segment;
    uint64_t generation;
    int slot;
} rg_seg_cache;
extern _Thread_local rg_seg_cache rg_seg_tls __attribute__((tls_model("initial-exec")));

int rg_segment_slot_slow(rg_segment *); /* -1: all are taken, or out of memory */
/* This thread's slot; nobody else uses it until the thread ends. */
static inline int rg_segment_slot(rg_segment *s)
{
    /* relaxed: it changes in a fork, where this is the only thread, and while nobody uses it */
    if (__builtin_expect(rg_seg_tls.segment == s && rg_seg_tls.generation == rg_load_rlx(&s->generation), 1))
        return rg_seg_tls.slot;
    return rg_segment_slot_slow(s);
}
/* Slots whose processes are gone: what they had in flight is settled, and they are free. Needs no
 * slot of one's own. Returns how many. */
unsigned rg_segment_recover(rg_segment *);
void rg_segment_release_all(rg_segment *); /* the lock is held; nobody uses it any more */

void rg_seg_lock(void); /* of this process: opening, closing, claiming a first slot, thread exit, fork */
void rg_seg_unlock(void);
extern rg_segment *rg_segments; /* all handles, under the lock */

/* A word that holds neither a value nor a reference to an operation can only come from a store
 * around this interface (a numpy view), and nothing could ever finish it: false. Exact, because a
 * true reference is gone from its word once it was helped, and never comes back. */
static inline bool rg_word_sound(rg_segment *s, int me, rg_word *w)
{
    uint64_t v = rg_load(w);
    if (__builtin_expect(!rg_is_ref(v), 1)) return true;
    rg_help(&s->space, (unsigned)me, v);
    return rg_load(w) != v;
}

#endif
