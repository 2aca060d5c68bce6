/* batch.c - see batch.h. */
#include "batch.h"

#include "segment.h"

static bool in_range(int64_t v) { return v >= RG_INT_MIN && v <= RG_INT_MAX; }

/* Negative indices count from the end, as everywhere in Python. */
static bool settle_index(rgs_array a, int64_t *i)
{
    if (*i < 0) *i += a.length;
    return *i >= 0 && *i < a.length;
}

static rg_word *words_of(rgs_array a) { return (rg_word *)a.start; }

/* The segment and this thread's slot in it, or an error. */
static int enter(rgs_array a, rg_segment **s, unsigned *me)
{
    *s = (rg_segment *)a.segment;
    if ((*s)->layout != RG_SEG_LAYOUT) return RGS_OTHER_LAYOUT;
    int slot = (*s)->slot(*s);
    *me = (unsigned)slot;
    return slot < 0 ? RGS_NO_SLOT : RGS_OK;
}

static bool add(const rg_space *sp, unsigned me, rg_word *w, int64_t by)
{
    rg_backoff b = RG_BACKOFF_INIT;
    for (;;) {
        uint64_t old = rg_read(sp, me, w);
        int64_t sum = (int64_t)(old + (uint64_t)by); /* both within 2^62: no wrap */
        if (!in_range(sum)) return false;
        if (rg_cas_once(rg_desc_at(sp, me), w, old, (uint64_t)sum)) return true;
        rg_backoff_wait(&b);
    }
}

rgs_result rgs_add_many(rgs_array a, int64_t n, int64_t *indices, int64_t *amounts)
{
    rg_segment *s;
    unsigned me;
    for (int64_t i = 0; i < n; i++) {
        if (!settle_index(a, &indices[i])) return (rgs_result){ RGS_INDEX, i };
        if (!in_range(amounts[i])) return (rgs_result){ RGS_RANGE, i };
    }
    int error = enter(a, &s, &me);
    if (error) return (rgs_result){ error, 0 };
    for (int64_t i = 0; i < n; i++) {
        rg_word *w = &words_of(a)[indices[i]];
        if (!rg_word_sound(s, (int)me, w)) return (rgs_result){ RGS_UNSOUND, i };
        if (!add(&s->space, me, w, amounts[i])) return (rgs_result){ RGS_OVERFLOW, i };
    }
    return (rgs_result){ RGS_OK, n };
}

static int check_entries(rgs_array a, int64_t k, int64_t *indices, const int64_t *olds, const int64_t *news)
{
    if (k > (int64_t)RG_SEG_ENTRIES) return RGS_LONG;
    for (int64_t i = 0; i < k; i++) {
        if (!settle_index(a, &indices[i])) return RGS_INDEX;
        if (!in_range(olds[i]) || !in_range(news[i])) return RGS_RANGE;
        for (int64_t j = 0; j < i; j++)
            if (indices[j] == indices[i]) return RGS_TWICE;
    }
    return RGS_OK;
}

rgs_result rgs_kcas_many(rgs_array a, int64_t n, int64_t *counts, int64_t *indices, int64_t *olds, int64_t *news, char *done)
{
    rg_segment *s;
    unsigned me;
    for (int64_t i = 0, at = 0; i < n; at += counts[i++]) {
        int error = check_entries(a, counts[i], indices + at, olds + at, news + at);
        if (error) return (rgs_result){ error, i };
    }
    int error = enter(a, &s, &me);
    if (error) return (rgs_result){ error, 0 };
    for (int64_t i = 0, at = 0; i < n; at += counts[i++]) {
        rg_cas_entry e[RG_SEG_ENTRIES];
        for (int64_t j = 0; j < counts[i]; j++) {
            rg_word *w = &words_of(a)[indices[at + j]];
            if (!rg_word_sound(s, (int)me, w)) return (rgs_result){ RGS_UNSOUND, i };
            e[j] = (rg_cas_entry){ w, (uint64_t)olds[at + j], (uint64_t)news[at + j] };
        }
        done[i] = rg_kcas(&s->space, me, e, (size_t)counts[i]) == RG_SUCCEEDED;
    }
    return (rgs_result){ RGS_OK, n };
}
