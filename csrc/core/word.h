/* word.h - what the 64 bits of a word mean.
 *
 * Top two bits equal (00 or 11): a value: a user-space pointer, or an integer within 2^62 of
 * zero, as it is. Top two bits 01: a reference to an RDCSS descriptor; 10: to a k-CAS
 * descriptor. A reference is  tag:2 | slot:12 | sequence number:50 . A sequence number is never
 * used twice by a slot (50 bits at 10^8 operations a second: 130 days of nothing else in one
 * thread before it could wrap, and then only a helper stalled for exactly that long could see
 * it), so a reference names one operation for ever.
 */
#ifndef RG_WORD_H
#define RG_WORD_H

#include "access.h"

#define RG_TAG_RDCSS (1ULL << 62)
#define RG_TAG_KCAS (2ULL << 62)
#define RG_TAG_MASK (3ULL << 62)
#define RG_SEQ_BITS 50
#define RG_SEQ_MASK ((1ULL << RG_SEQ_BITS) - 1)
#define RG_SLOT_BITS 12
#define RG_MAX_SLOTS (1u << RG_SLOT_BITS)

#define RG_INT_MAX ((int64_t)((1ULL << 62) - 1))
#define RG_INT_MIN (-(int64_t)(1ULL << 62))

static inline bool rg_is_ref(uint64_t w) { return ((w ^ (w << 1)) >> 63) != 0; }
static inline bool rg_is_rdcss(uint64_t w) { return (w & RG_TAG_MASK) == RG_TAG_RDCSS; }
static inline unsigned rg_ref_slot(uint64_t w) { return (unsigned)(w >> RG_SEQ_BITS) & (RG_MAX_SLOTS - 1); }
static inline uint64_t rg_ref_seq(uint64_t w) { return w & RG_SEQ_MASK; }
static inline uint64_t rg_make_ref(uint64_t tag, unsigned slot, uint64_t seq)
{
    return tag | ((uint64_t)slot << RG_SEQ_BITS) | (seq & RG_SEQ_MASK);
}

#endif
