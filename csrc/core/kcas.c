/* kcas.c - RDCSS and CASN of Harris, Fraser and Pratt ("A practical multi-word compare-and-swap
 * operation", DISC 2002), with the reused, sequence-numbered descriptors of Arbel-Raviv and Brown
 * ("Reuse, don't recycle", DISC 2017).
 *
 * How one k-CAS goes. (1) install: for each entry to be written, in address order, replace `old`
 * by a reference to the descriptor, through an RDCSS that refuses once the operation is decided.
 * (2) verify: each compare entry is read and must hold `old`. (3) decide: one CAS on `status`.
 * (4) release: each reference is replaced by `new` or, after failure, by `old`.
 *
 * Linearization point. Without compares: the CAS on status. With compares: the instant of the
 * verifying reads of whoever wins that CAS. From before that instant until the decision every
 * written word holds our reference, so all who read one first decide the operation: nobody can
 * have seen an old value of a written word after a compared word has moved on.
 *
 * Compares do not help. A verify that meets an undecided operation of somebody else decides
 * RG_CONFLICT, and the owner repeats with every entry installed. Interleaving that made it
 * necessary: [a: 1 to 2, b = 5] against [a = 1, b: 5 to 6]; both installed, each verify finds the
 * other's reference and helps it, whose verify finds ours, for ever. With every entry installed
 * the operation is the classical CASN, in address order, which is lock-free; a verify is bounded
 * and helps nobody undecided, so helping one ends too.
 *
 * Deviations from the papers.
 * - The owner installs its first entry by a plain CAS, without RDCSS: nobody can know of the
 *   operation before that reference is seen, so nobody can have decided it. Helpers begin with
 *   entry 1. Saves one CAS of 3k+1.
 * - release_owned resolves RDCSS references before it removes its own. Interleaving that made it
 *   necessary: owner G installs A, sees a wrong B and is about to fail; B changes back; helper H
 *   installs B, puts its RDCSS reference on C, reads "undecided" and stalls; G decides "failed",
 *   releases A and B (its CAS on C misses: C holds the RDCSS reference), returns and reuses the
 *   descriptor; H resumes, and its CAS puts a reference with the old number on C that nobody can
 *   ever resolve. With the cure: an RDCSS whose status was read before the decision is on its word
 *   from before that read until somebody resolves it; the owner, coming after the decision,
 *   resolves it, or finds it resolved; either way H's CAS, which expects the RDCSS reference with
 *   its unique number, fails.
 *
 * Descriptor fields are read with acquire and written with release: a helper that reads a field
 * of a later operation therefore also sees the later sequence number in the check that follows.
 * One of them alone made relaxed is seen by no test: who has a reference has it from a seq_cst CAS
 * behind the owner's stores, so only fields of a later operation can mislead him, read within a few
 * steps, and no processor known reads behind an address before the address. All of an entry's
 * relaxed, C11 allows the failure: tests/mutants, order-entries, tells the schedule.
 */
#include "kcas.h"

/* ---- descriptor access ------------------------------------------------------------------- */

static rg_word *word_at(const rg_space *sp, uint64_t offset) { return (rg_word *)((uintptr_t)sp->base + offset); }
static uint64_t offset_of(const rg_space *sp, rg_word *w) { return (uint64_t)((uintptr_t)w - (uintptr_t)sp->base); }

static rg_desc_entry *entry_at(const rg_space *sp, rg_desc *d, size_t i)
{
    if (i < RG_INLINE_ENTRIES) return &d->entries[i];
    unsigned j = 0;
    while ((RG_INLINE_ENTRIES << (j + 1)) <= i) j++;
    /* acquire: the chunk was allocated before its offset was released. (So it was before the reference
     * or the count was published by which a helper came here.) */
    rg_desc_entry *chunk = (rg_desc_entry *)((uintptr_t)sp->base + rg_load_acq(&d->chunks[j]));
    return chunk + (i - (RG_INLINE_ENTRIES << j));
}

bool rg_desc_reserve(const rg_space *sp, unsigned me, size_t n)
{
    if (n <= RG_INLINE_ENTRIES) return true;
    if (n > sp->max_entries) return false;
    rg_desc *d = rg_desc_at(sp, me);
    for (unsigned j = 0; (RG_INLINE_ENTRIES << j) < n; j++) {
        if (rg_load_rlx(&d->chunks[j])) continue; /* relaxed: only the owner writes it */
        if (!sp->can_grow) return false;
        void *chunk = rg_calloc((size_t)(RG_INLINE_ENTRIES << j) * sizeof(rg_desc_entry));
        if (!chunk) return false;
        rg_store_rel(&d->chunks[j], (uint64_t)((uintptr_t)chunk - (uintptr_t)sp->base));
    }
    return true;
}

/* What a helper must know of one entry; false when the operation is over. */
static bool read_entry(const rg_space *sp, rg_desc *d, uint64_t seq, size_t i, rg_cas_entry *out)
{
    rg_desc_entry *e = entry_at(sp, d, i);
    uint64_t off = rg_load_acq(&e->word);
    out->old = rg_load_acq(&e->old);
    out->new_ = rg_load_acq(&e->new_);
    if (rg_load(&d->status) >> 2 != seq) return false;
    out->word = word_at(sp, off);
    return true;
}

/* ---- clocks ------------------------------------------------------------------------------ */

bool rg_clock_read(const rg_space *sp, uint64_t *sum)
{
    uint64_t s = 0;
    unsigned high = (unsigned)rg_load(sp->high);
    for (unsigned i = 0; i < high; i++) {
        uint64_t c = rg_load(&rg_desc_at(sp, i)->clock);
        if (c & 1) return false;
        s += c;
    }
    /* Clocks only grow, so two equal sums are two equal vectors; `high` joins in because a new
     * slot may start with a clock of any value. */
    *sum = s + high;
    return true;
}

/* ---- RDCSS ------------------------------------------------------------------------------- */

/* Replace the RDCSS reference by what the status of its k-CAS says *now*, i.e. after the
 * reference was seen on the word. Anybody may do it, any number of times: the reference is
 * unique, so one CAS wins. */
static void resolve_rdcss(const rg_space *sp, uint64_t rref)
{
    rg_desc *o = rg_desc_at(sp, rg_ref_slot(rref));
    uint64_t off = rg_load_acq(&o->raddr), old = rg_load_acq(&o->rold), kref = rg_load_acq(&o->rkref);
    if ((rg_load(&o->rseq) & RG_SEQ_MASK) != rg_ref_seq(rref)) return; /* resolved long ago */
    if (!off) return; /* likewise: cleared since, with no later number yet */
    uint64_t status = rg_load(&rg_desc_at(sp, rg_ref_slot(kref))->status);
    bool undecided = status == (rg_ref_seq(kref) << 2 | RG_UNDECIDED);
    rg_cas(word_at(sp, off), rref, undecided ? kref : old);
}

/* d: the caller's own; of: the k-CAS's. Whether the word was seen to hold kref, now or before. */
static bool install_by_rdcss(const rg_space *sp, unsigned me, rg_desc *d, rg_desc *of, rg_word *w, uint64_t old, uint64_t kref)
{
    uint64_t rseq = (rg_load_rlx(&d->rseq) + 1) & RG_SEQ_MASK; /* relaxed: own field */
    rg_store_rel(&d->rseq, rseq);
    rg_store_rel(&d->raddr, offset_of(sp, w));
    rg_store_rel(&d->rold, old);
    rg_store_rel(&d->rkref, kref);
    uint64_t rref = rg_make_ref(RG_TAG_RDCSS, me, rseq);
    if (!rg_cas(w, old, rref)) return false;
    /* resolve_rdcss with what it would read; the status again after the reference was placed. */
    uint64_t status = rg_load(&of->status);
    bool undecided = status == (rg_ref_seq(kref) << 2 | RG_UNDECIDED);
    return rg_cas(w, rref, undecided ? kref : old) && undecided;
}

/* After the last of an operation: nothing is in flight, and a fork must not look at a word freed since. */
static void rdcss_over(rg_desc *mine) { rg_store_rel(&mine->raddr, 0); }

/* ---- the phases -------------------------------------------------------------------------- */

static void decide(rg_desc *mine, rg_desc *d, uint64_t seq, unsigned state)
{
    if (state == RG_SUCCEEDED)
        rg_cas_once(mine, &d->status, seq << 2 | RG_UNDECIDED, seq << 2 | state);
    else
        rg_cas(&d->status, seq << 2 | RG_UNDECIDED, seq << 2 | state);
}

/* A helper's release: replaces the references it finds. */
static void release_helped(const rg_space *sp, rg_desc *d, uint64_t kref)
{
    uint64_t seq = rg_ref_seq(kref), status = rg_load(&d->status);
    size_t installed = rg_load_acq(&d->counts) >> 32;
    if (status >> 2 != seq || rg_load(&d->status) != status) return;
    bool succeeded = (status & 3) == RG_SUCCEEDED;
    for (size_t i = 0; i < installed; i++) {
        rg_cas_entry e;
        if (!read_entry(sp, d, seq, i, &e)) return;
        rg_cas(e.word, kref, succeeded ? e.new_ : e.old);
    }
}

/* Read the value of a compared word without helping an undecided operation: false if one is there. */
static bool read_settled(const rg_space *sp, rg_word *w, uint64_t *out)
{
    for (;;) {
        uint64_t v = rg_load(w);
        if (!rg_is_ref(v)) {
            *out = v;
            return true;
        }
        if (rg_is_rdcss(v)) {
            resolve_rdcss(sp, v);
            continue;
        }
        rg_desc *d = rg_desc_at(sp, rg_ref_slot(v));
        if (rg_load(&d->status) == (rg_ref_seq(v) << 2 | RG_UNDECIDED)) return false;
        release_helped(sp, d, v);
    }
}

#define RG_VERIFY_TRIES 4

static unsigned verify(const rg_space *sp, rg_desc *d, uint64_t seq, size_t from, size_t n)
{
    for (int t = 0; t < RG_VERIFY_TRIES; t++) {
        uint64_t before = 0, after = 0, v;
        /* One compare is one atomic read and needs no clock. */
        if (n - from > 1 && !rg_clock_read(sp, &before)) {
            rg_pause();
            continue;
        }
        for (size_t i = from; i < n; i++) {
            rg_cas_entry e;
            if (!read_entry(sp, d, seq, i, &e)) return RG_FAILED; /* over: the CAS to decide will miss */
            if (!read_settled(sp, e.word, &v)) return RG_CONFLICT;
            if (v != e.old) return RG_FAILED;
        }
        if (n - from == 1) return RG_SUCCEEDED;
        if (rg_clock_read(sp, &after) && after == before) return RG_SUCCEEDED;
    }
    return RG_CONFLICT;
}

/* Phases 1 to 3, from entry 1; by the owner, who has the entries at hand, and by every helper (own
 * is NULL). */
static void install_and_decide(const rg_space *sp, unsigned me, rg_desc *mine, rg_desc *d, uint64_t kref,
                               const rg_cas_entry *own, size_t installed, size_t n)
{
    uint64_t seq = rg_ref_seq(kref), undecided = seq << 2 | RG_UNDECIDED;
    for (size_t i = 1; i < installed; i++) {
        rg_cas_entry e;
        if (own)
            e = own[i];
        else if (!read_entry(sp, d, seq, i, &e))
            return;
        for (;;) {
            uint64_t v = rg_load(e.word);
            if (v == kref) break;
            if (rg_is_ref(v)) {
                rg_help(sp, me, v);
            } else if (v != e.old) {
                decide(mine, d, seq, RG_FAILED);
                return;
            } else if (install_by_rdcss(sp, me, mine, d, e.word, e.old, kref)) {
                break;
            }
            if (rg_load(&d->status) != undecided) return;
        }
    }
    decide(mine, d, seq, installed < n ? verify(sp, d, seq, installed, n) : RG_SUCCEEDED);
}

void rg_help(const rg_space *sp, unsigned me, uint64_t ref)
{
    if (rg_is_rdcss(ref)) {
        resolve_rdcss(sp, ref);
        return;
    }
    rg_desc *d = rg_desc_at(sp, rg_ref_slot(ref));
    uint64_t counts = rg_load_acq(&d->counts), status = rg_load(&d->status);
    if (status >> 2 != rg_ref_seq(ref)) return; /* over, and no reference to it is left */
    rg_desc *mine = rg_desc_at(sp, me);
    rg_store_rlx(&mine->helps, rg_load_rlx(&mine->helps) + 1); /* relaxed: a statistic */
    if ((status & 3) == RG_UNDECIDED) {
        install_and_decide(sp, me, mine, d, ref, NULL, counts >> 32, counts & 0xffffffffu);
        rdcss_over(mine);
    }
    release_helped(sp, d, ref);
}

/* The owner's release; afterwards no word holds, or can ever get, our reference. See the top. */
static void release_owned(const rg_space *sp, rg_desc *d, uint64_t kref, const rg_cas_entry *e, size_t installed)
{
    bool succeeded = (rg_load(&d->status) & 3) == RG_SUCCEEDED;
    for (size_t i = 0; i < installed; i++) {
        for (;;) {
            if (rg_cas(e[i].word, kref, succeeded ? e[i].new_ : e[i].old)) break;
            uint64_t v = rg_load(e[i].word);
            if (rg_is_ref(v) && rg_is_rdcss(v))
                resolve_rdcss(sp, v);
            else if (v != kref)
                break;
        }
    }
}

/* One attempt with the first `installed` entries (sorted) installed, the others verified. */
static unsigned attempt(const rg_space *sp, unsigned me, const rg_cas_entry *e, size_t n, size_t installed)
{
    rg_desc *d = rg_desc_at(sp, me);
    uint64_t seq = ((rg_load_rlx(&d->status) >> 2) + 1) & RG_SEQ_MASK; /* relaxed: own field, settled */
    uint64_t kref = rg_make_ref(RG_TAG_KCAS, me, seq);
    rg_store_rel(&d->status, seq << 2 | RG_UNDECIDED);
    for (size_t i = 0; i < n; i++) {
        rg_desc_entry *de = entry_at(sp, d, i);
        rg_store_rel(&de->word, offset_of(sp, e[i].word));
        rg_store_rel(&de->old, e[i].old);
        rg_store_rel(&de->new_, e[i].new_);
    }
    /* Not 0 only while something can be in flight, so that after a fork the child touches no word
     * of an operation that was over, whose memory may be gone. */
    rg_store_rel(&d->counts, (uint64_t)installed << 32 | n);
    /* The first reference, by plain CAS: before it is seen nobody can have decided anything. */
    while (!rg_cas(e[0].word, e[0].old, kref)) {
        uint64_t v = rg_read(sp, me, e[0].word);
        if (v != e[0].old) {
            /* Nothing was installed, nobody can know the number: settle it for the next one. */
            rg_store_rel(&d->status, seq << 2 | RG_FAILED);
            rg_store_rel(&d->counts, 0);
            return RG_FAILED;
        }
    }
    install_and_decide(sp, me, d, d, kref, e, installed, n);
    release_owned(sp, d, kref, e, installed);
    rdcss_over(d);
    rg_store_rel(&d->counts, 0); /* release: a fork that finds 0 finds no reference on a word */
    return (unsigned)(rg_load_rlx(&d->status) & 3); /* relaxed: decided, only we may change it again */
}

/* ---- public ------------------------------------------------------------------------------ */

static int by_address(const void *a, const void *b)
{
    uintptr_t x = (uintptr_t)((const rg_cas_entry *)a)->word, y = (uintptr_t)((const rg_cas_entry *)b)->word;
    return (x > y) - (x < y);
}

static void sort_entries(rg_cas_entry *e, size_t n)
{
    if (n > 16) {
        qsort(e, n, sizeof *e, by_address);
        return;
    }
    for (size_t i = 1; i < n; i++) {
        if (e[i - 1].word < e[i].word) continue;
        rg_cas_entry x = e[i];
        size_t j = i;
        for (; j > 0 && e[j - 1].word > x.word; j--) e[j] = e[j - 1];
        e[j] = x;
    }
}

/* Writes to the front, sorted; returns how many. */
static size_t writes_first(rg_cas_entry *e, size_t n)
{
    size_t w = 0;
    for (size_t i = 0; i < n; i++) {
        if (e[i].old == e[i].new_) continue;
        if (i != w) {
            rg_cas_entry x = e[i];
            e[i] = e[w];
            e[w] = x;
        }
        w++;
    }
    sort_entries(e, w);
    return w;
}

int rg_validate(const rg_space *sp, unsigned me, const rg_cas_entry *e, size_t n)
{
    if (n == 1) return rg_read(sp, me, e[0].word) == e[0].old ? RG_SUCCEEDED : RG_FAILED;
    for (int t = 0; t < RG_VERIFY_TRIES; t++) {
        uint64_t before, after;
        if (rg_clock_read(sp, &before)) {
            for (size_t i = 0; i < n; i++)
                if (rg_read(sp, me, e[i].word) != e[i].old) return RG_FAILED;
            if (rg_clock_read(sp, &after) && after == before) return RG_SUCCEEDED;
        }
        rg_pause();
    }
    return RG_CONFLICT;
}

int rg_kcas(const rg_space *sp, unsigned me, rg_cas_entry *e, size_t n)
{
    if (n == 0) return RG_SUCCEEDED;
    size_t writes = writes_first(e, n);
    if (n == 1 && writes == 1) return rg_cas1(sp, me, e[0].word, e[0].old, e[0].new_) ? RG_SUCCEEDED : RG_FAILED;
    if (writes == 0) {
        int r = rg_validate(sp, me, e, n);
        if (r != RG_CONFLICT) return r;
    }
    if (!rg_desc_reserve(sp, me, n)) return -1;
    if (writes > 0) {
        unsigned r = attempt(sp, me, e, n, writes);
        if (r != RG_CONFLICT) return (int)r;
    }
    sort_entries(e, n);
    return (int)attempt(sp, me, e, n, n);
}

void rg_desc_abandon(const rg_space *sp, unsigned me, unsigned dead)
{
    rg_desc *d = rg_desc_at(sp, dead);
    uint64_t status = rg_load(&d->status), seq = status >> 2;
    if (rg_load(&d->clock) & 1) rg_store(&d->clock, rg_load(&d->clock) + 1);
    /* Its RDCSS first: the word may hold it, and only rseq's current number can still be live. */
    uint64_t rref = rg_make_ref(RG_TAG_RDCSS, dead, rg_load(&d->rseq));
    resolve_rdcss(sp, rref);
    /* Undecided: nobody waits for its result, so failing it is always right. */
    decide(rg_desc_at(sp, me), d, seq, RG_FAILED);
    uint64_t kref = rg_make_ref(RG_TAG_KCAS, dead, seq);
    size_t installed = rg_load_acq(&d->counts) >> 32;
    for (size_t i = 0; i < installed; i++) {
        rg_cas_entry e;
        if (!read_entry(sp, d, seq, i, &e)) return;
        uint64_t v;
        /* As release_owned, and for the same reason: a helper that had read "undecided" may turn
         * the RDCSS reference into ours between the load and the resolution, so look again. */
        while (rg_is_ref(v = rg_load(e.word)) && rg_is_rdcss(v)) resolve_rdcss(sp, v);
        if (v == kref) release_helped(sp, d, kref);
    }
    /* As after any operation: nothing is in flight. */
    rg_store_rel(&d->counts, 0);
    rg_store_rel(&d->raddr, 0);
}

/* ---- for words in shared memory; this file never sees RG_EXCLUSIVE ------------------------- */

#ifdef RG_EXCLUSIVE
#error "csrc/core is compiled with real atomics"
#endif

uint64_t rg_shared_read(const rg_space *sp, unsigned me, rg_word *w) { return rg_read(sp, me, w); }
int rg_shared_kcas(const rg_space *sp, unsigned me, rg_cas_entry *e, size_t n) { return rg_kcas(sp, me, e, n); }
int rg_shared_validate(const rg_space *sp, unsigned me, const rg_cas_entry *e, size_t n)
{
    return rg_validate(sp, me, e, n);
}
