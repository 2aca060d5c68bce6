/* log.c - see log.h. */
#include "explore.h"
#include "words.h"
#include "world_ops.h"

bool rx_grow(rx *r, void *array, size_t size, size_t more, void *first)
{
    struct {
        char *at;
        size_t n, cap;
    } *a = array;
    size_t cap = a->cap * 2;
    while (cap < a->n + more) cap *= 2;
    char *at = PyMem_RawMalloc(cap * size);
    if (!at) {
        PyErr_NoMemory();
        return false;
    }
    memcpy(at, a->at, a->n * size);
    if (a->at != first) PyMem_RawFree(a->at);
    a->at = at;
    a->cap = cap;
    r->grown = true;
    return true;
}

#define ARRAY_INIT(a) ((a).at = (a).first, (a).n = 0, (a).cap = sizeof(a).first / sizeof(a).first[0])
#define ARRAY_FREE(a) ((a).at != (a).first ? PyMem_RawFree((a).at) : (void)0)

void rx_init(rx *r, rg_state *st)
{
    r->st = st;
    r->slot = NULL;
    r->space = NULL;
    r->pinned = r->has_nodes = r->validated = r->exposed = r->over = r->grown = r->explored = false;
    r->many = r->passed = r->orphaned = false;
    r->mine = NULL;
    r->index = NULL;
    r->owes = NULL;
    r->old_traces = 0;
    ARRAY_INIT(r->log);
    ARRAY_INIT(r->undos);
    ARRAY_INIT(r->frames);
    ARRAY_INIT(r->choices);
    ARRAY_INIT(r->nodes);
    ARRAY_INIT(r->unlinked);
    ARRAY_INIT(r->actions);
    ARRAY_INIT(r->drops);
    ARRAY_INIT(r->kept);
    ARRAY_INIT(r->traces);
}

/* Those of the turn before go, and so, if they all are to, do those of this one. */
static void age_traces(rx *r, bool all)
{
    size_t go = all ? r->traces.n : r->old_traces;
    for (size_t i = 0; i < go; i++) rx_drop(r, r->traces.at[i]);
    memmove(r->traces.at, r->traces.at + go, (r->traces.n - go) * sizeof *r->traces.at);
    r->old_traces = r->traces.n -= go;
}

void rx_free(rx *r)
{
    rx_world_close(r, false); /* nothing is in it any more */
    age_traces(r, true);      /* nor are there any, but of one that had no turn */
    if (r->drops.n) { /* of a debt that was paid after the last turn, or such a trace */
        PyObject *type, *value, *traceback;
        PyErr_Fetch(&type, &value, &traceback);
        rx_flush_drops(r);
        PyErr_Restore(type, value, traceback);
    }
    if (!r->grown) return;
    ARRAY_FREE(r->log);
    ARRAY_FREE(r->undos);
    ARRAY_FREE(r->frames);
    ARRAY_FREE(r->choices);
    ARRAY_FREE(r->nodes);
    ARRAY_FREE(r->unlinked);
    ARRAY_FREE(r->actions);
    ARRAY_FREE(r->drops);
    ARRAY_FREE(r->kept);
    ARRAY_FREE(r->traces);
    PyMem_RawFree(r->index);
}

RG_SLOW bool rx_pin_slow(rx *r)
{
    r->slot = rg_here(r->st);
    if (!r->slot) return false;
    r->explored = rg_is_explored(r->st);
    /* Likewise the slot in a Segment: user code may have forked, and a child has none of its parent's. */
    if (r->space && !rx_private_space(r, r->space) && !rx_find_shared_slot(r)) return false;
    rg_pin(r->slot);
    return r->pinned = true;
}

void rx_drop_later(rx *r, PyObject *o)
{
    if (r->drops.n == r->drops.cap) {
        PyObject *type, *value, *traceback;
        PyErr_Fetch(&type, &value, &traceback); /* what this may be the end of */
        if (!RX_ROOM(r->drops, 1)) {
            PyErr_Clear();
            if (r->over) { /* make room the other way */
                rx_unpin(r);
                rx_flush_drops(r);
            }
        }
        PyErr_Restore(type, value, traceback);
        if (r->drops.n == r->drops.cap) return; /* past the room that was made: it is kept for ever */
    }
    r->drops.at[r->drops.n++] = o;
}

void rx_flush_drops(rx *r)
{
    /* A destructor may run another reaction, but not this one: the array is ours. */
    while (r->drops.n) Py_DECREF(r->drops.at[--r->drops.n]);
}

/* ---- the index of entries by word --------------------------------------------------------- */

#define INDEX_FROM 16 /* below, a linear search is faster */

static size_t hash_word(rg_word *w) { return (size_t)(((uintptr_t)w >> 3) * 0x9E3779B97F4A7C15ULL >> 20); }

static void index_put(rx *r, size_t i)
{
    size_t h = hash_word(r->log.at[i].word);
    while (r->index[h & r->index_mask]) h++;
    r->index[h & r->index_mask] = i + 1;
}

static bool index_build(rx *r)
{
    size_t size = 64;
    while (size < r->log.n * 4) size *= 2;
    PyMem_RawFree(r->index);
    r->index = PyMem_RawCalloc(size, sizeof *r->index);
    if (!r->index) {
        PyErr_NoMemory();
        return false;
    }
    r->index_mask = size - 1;
    for (size_t i = 0; i < r->log.n; i++) index_put(r, i);
    return true;
}

rx_entry *rx_find(rx *r, rg_word *w)
{
    if (!r->index) {
        for (size_t i = 0; i < r->log.n; i++)
            if (r->log.at[i].word == w) return &r->log.at[i];
        return NULL;
    }
    for (size_t h = hash_word(w); r->index[h & r->index_mask]; h++) {
        rx_entry *e = &r->log.at[r->index[h & r->index_mask] - 1];
        if (e->word == w) return e;
    }
    return NULL;
}

/* ---- reading and writing ------------------------------------------------------------------ */

rx_entry *rx_read(rx *r, const rg_space *space, unsigned me, rg_word *w, rx_kind kind, rg_node *home)
{
    rx_entry *e = rx_find(r, w);
    if (e) return e;
    if (r->space != space) {
        if (r->space) {
            PyErr_SetString(PyExc_RuntimeError,
                            "one reaction cannot span two memories: its words must all be private to this process, "
                            "or all in one Segment, because another process must be able to finish it");
            return NULL;
        }
        r->space = space;
        r->me = me;
    }
    if (!RX_ROOM(r->log, 1)) return NULL;
    e = &r->log.at[r->log.n];
    uint64_t v = rx_word_value(r, space, me, w);
    *e = (rx_entry){ .word = w, .old = v, .cur = v, .home = home, .kind = (uint8_t)kind, .private_ = home && rx_is_private(r, home) };
    r->log.n++;
    r->validated = r->log.n == 1; /* one read is one instant */
    r->has_nodes |= kind == WORD_NODE;
    if (r->log.n > INDEX_FROM) {
        if (!r->index || r->log.n * 2 > r->index_mask) {
            if (!index_build(r)) return NULL;
        } else {
            index_put(r, r->log.n - 1);
        }
    }
    return &r->log.at[r->log.n - 1];
}

rx_outcome rx_note(rx *r, rg_word *w, rx_kind kind, uint64_t value)
{
    rx_entry *e = rx_find(r, w);
    if (e) return e->old == value ? RX_DONE : RX_RETRY;
    if (!(e = rx_read_private(r, w, kind, NULL))) return RX_ERROR;
    if (e->old == value) return RX_DONE;
    return RX_RETRY;
}

bool rx_write(rx *r, rx_entry *e, uint64_t value)
{
    if (r->choices.n) {
        if (!RX_ROOM(r->undos, 1)) {
            if (e->kind == WORD_OBJECT) rx_drop(r, (PyObject *)(uintptr_t)value);
            return false;
        }
        r->undos.at[r->undos.n++] = (rx_undo){ (size_t)(e - r->log.at), e->cur, e->dirty };
    } else if (e->kind == WORD_OBJECT && e->dirty) {
        rx_drop(r, (PyObject *)(uintptr_t)e->cur);
    }
    e->cur = value;
    e->dirty = 1;
    return true;
}

rg_node *rx_new_node(rx *r, PyObject *value)
{
    if (!RX_ROOM(r->nodes, 1)) return NULL;
    rg_node *n = rg_node_new(r->slot, (uint64_t)(uintptr_t)value);
    if (!n) {
        PyErr_NoMemory();
        return NULL;
    }
    Py_INCREF(value);
    r->nodes.at[r->nodes.n++] = n;
    return n;
}

rg_wide *rx_new_wide(rx *r, PyObject *value)
{
    if (!RX_ROOM(r->nodes, 1)) return NULL;
    rg_wide *w = rg_wide_new(r->slot, (uint64_t)(uintptr_t)value);
    if (!w) {
        PyErr_NoMemory();
        return NULL;
    }
    Py_XINCREF(value);
    r->nodes.at[r->nodes.n++] = &w->node;
    return w;
}

bool rx_is_private(rx *r, rg_node *n)
{
    for (size_t i = r->nodes.n; i-- > 0;)
        if (r->nodes.at[i] == n) return true;
    return false;
}

bool rx_unlink(rx *r, rg_node *n, PyObject *value)
{
    if (!RX_ROOM(r->unlinked, 1)) return false;
    r->unlinked.at[r->unlinked.n++] = (rx_unlinked){ n, value, NULL };
    return true;
}

bool rx_unlink_named(rx *r, rg_word *w)
{
    if (!RX_ROOM(r->unlinked, 1)) return false;
    r->unlinked.at[r->unlinked.n++] = (rx_unlinked){ NULL, NULL, w };
    return true;
}

/* ---- validating and holding ---------------------------------------------------------------- */

/* The whole log as compares. */
static rg_cas_entry *entries_for_cas(rx *r, rg_cas_entry *small, size_t small_n, size_t *n)
{
    rg_cas_entry *c = small;
    if (r->log.n > small_n && !(c = PyMem_RawMalloc(r->log.n * sizeof *c))) {
        PyErr_NoMemory();
        return NULL;
    }
    *n = 0;
    for (size_t i = 0; i < r->log.n; i++) {
        rx_entry *e = &r->log.at[i];
        c[(*n)++] = (rg_cas_entry){ e->word, e->old, e->old };
    }
    return c;
}

rx_outcome rx_outcome_of(rx *r, int k)
{
    if (k == RG_SUCCEEDED) return RX_DONE;
    if (k >= 0) return RX_RETRY;
    if (r->space->can_grow)
        PyErr_NoMemory();
    else
        PyErr_Format(PyExc_ValueError, "a reaction over %zu words of a Segment: its descriptors hold at most %zu", r->log.n,
                     r->space->max_entries);
    return RX_ERROR;
}

/* Some word does not hold the object that was read. Where it holds an equal one, of the types that
 * are compared by value, that is as good: go on from there. False: something really changed. */
bool rx_equal_by_value(rx *r)
{
    bool any = false;
    for (size_t i = 0; i < r->log.n; i++) {
        rx_entry *e = &r->log.at[i];
        uint64_t now = rx_word_value(r, r->space, r->me, e->word);
        if (now == e->old) continue;
#ifdef RG_EXCLUSIVE
        /* Held before others may run, except for a destructor that the collector runs while an error is
         * made (until 3.12): then what was read may have gone. */
        if (!e->held) return false;
#endif
        PyObject *was = (PyObject *)(uintptr_t)e->old, *is = (PyObject *)(uintptr_t)now;
        if (e->kind != WORD_OBJECT || !rg_same(was, is)) return false;
        if (e->held) {
            Py_INCREF(is);
            rx_drop(r, was);
        }
        e->old = now;
        if (!e->dirty) e->cur = now;
        any = true;
    }
    return any;
}

#define SMALL 16

/* rg_validate on the log as it stands; one try. */
static bool holds_now(rx *r)
{
    uint64_t before, after;
    if (!RX_PLAIN(r, r->space) || !rg_clock_read(r->space, &before)) return false;
    for (size_t i = 0; i < r->log.n; i++)
        if (rg_read(r->space, r->me, r->log.at[i].word) != r->log.at[i].old) return false;
    return rg_clock_read(r->space, &after) && after == before;
}

rx_outcome rx_validate(rx *r)
{
    size_t n = r->log.n;
    if (n == 0) return RX_DONE;
    if (holds_now(r)) {
        r->validated = true;
        return RX_DONE;
    }
    rg_cas_entry small[SMALL];
    int k;
    do {
        rg_cas_entry *c = entries_for_cas(r, small, SMALL, &n);
        if (!c) return RX_ERROR;
        k = RX_PLAIN(r, r->space) ? rg_validate(r->space, r->me, c, n) : rg_shared_validate(r->space, r->me, c, n);
        r->exposed |= k == RG_CONFLICT;
        if (k == RG_CONFLICT) k = rx_kcas(r, c, n);
        if (c != small) PyMem_RawFree(c);
    } while (k == RG_FAILED && rx_equal_by_value(r));
    if (k == RG_SUCCEEDED) r->validated = true;
    return rx_outcome_of(r, k);
}

void rx_hold_all(rx *r)
{
    for (size_t i = 0; i < r->log.n; i++) {
        rx_entry *e = &r->log.at[i];
        if (e->held) continue;
        e->held = 1;
        if (e->kind == WORD_OBJECT) Py_INCREF((PyObject *)(uintptr_t)e->old);
        if (e->kind == WORD_NODE && e->old) rg_node_hold(rg_node_of(e->old));
        if (e->home && !e->private_) rg_node_hold(e->home);
    }
}

static void unhold(rx *r, rx_entry *e)
{
    if (!e->held) return;
    e->held = 0;
    if (e->kind == WORD_OBJECT) rx_drop(r, (PyObject *)(uintptr_t)e->old);
    if (e->kind == WORD_NODE && e->old) rg_node_release(r->slot, rg_node_of(e->old));
    if (e->home && !e->private_) rg_node_release(r->slot, e->home);
}

/* ---- going back ---------------------------------------------------------------------------- */

rx_mark rx_here(rx *r)
{
    return (rx_mark){ r->undos.n, r->frames.n, r->nodes.n, r->unlinked.n, r->actions.n, r->kept.n, r->log.n };
}

bool rx_room_to_roll_back(rx *r, rx_mark m)
{
    /* A frame and an action have two references each. Entries that go are links of nodes. */
    size_t choice = r->choices.n ? 1 + rx_saved_refs(r->choices.at[r->choices.n - 1].saved) : 0;
    return RX_ROOM(r->drops, r->undos.n - m.undos + 2 * (r->frames.n - m.frames) + 2 * (r->actions.n - m.actions) +
                                 r->nodes.n - m.nodes + r->kept.n - m.kept + rx_world_refs(r) + choice + 2 * RX_STEP_DROPS);
}

static void forget_private_entries(rx *r, size_t nodes)
{
    size_t kept = 0;
    for (size_t i = 0; i < r->log.n; i++) {
        rx_entry *e = &r->log.at[i];
        bool goes = false;
        for (size_t j = nodes; e->private_ && j < r->nodes.n; j++) goes |= r->nodes.at[j] == e->home;
        if (goes)
            unhold(r, e);
        else
            r->log.at[kept++] = *e;
    }
    if (kept == r->log.n) return;
    r->log.n = kept;
    if (r->index) {
        memset(r->index, 0, (r->index_mask + 1) * sizeof *r->index);
        for (size_t i = 0; i < r->log.n; i++) index_put(r, i);
    }
}

void rx_rollback(rx *r, rx_mark m)
{
    while (r->undos.n > m.undos) {
        rx_undo u = r->undos.at[--r->undos.n];
        rx_entry *e = &r->log.at[u.entry];
        if (e->kind == WORD_OBJECT && e->dirty) rx_drop(r, (PyObject *)(uintptr_t)e->cur);
        e->cur = u.cur;
        e->dirty = u.dirty;
    }
    while (r->frames.n > m.frames) {
        rx_frame *f = &r->frames.at[--r->frames.n];
        rx_drop(r, f->x);
        rx_drop(r, f->value);
    }
    r->unlinked.n = m.unlinked;
    while (r->actions.n > m.actions) {
        rx_action *a = &r->actions.at[--r->actions.n];
        rx_drop(r, a->f);
        rx_drop(r, a->x);
    }
    if (r->nodes.n > m.nodes) {
        forget_private_entries(r, m.nodes);
        while (r->nodes.n > m.nodes) {
            rg_node *n = r->nodes.at[--r->nodes.n];
            rx_drop(r, (PyObject *)(uintptr_t)n->value);
            /* Never published, but a k-CAS that failed may have named its link: then a helper may
             * still aim a (failing) CAS at it. Without room it is kept for ever. */
            if (!r->exposed)
                rg_node_free(r->slot, n);
            else if (rg_reserve(r->slot, 1))
                rg_retire_lazily(r->slot, n, rg_node_reclaim);
        }
    }
    /* Words in the log may belong to objects that only these keep alive. */
    while (r->kept.n > m.kept && r->log.n <= m.log) rx_drop(r, r->kept.at[--r->kept.n]);
}

void rx_unwrite(rx *r)
{
    for (size_t i = 0; i < r->log.n; i++) {
        rx_entry *e = &r->log.at[i];
        if (e->kind == WORD_OBJECT && e->dirty) rx_drop(r, (PyObject *)(uintptr_t)e->cur);
        e->cur = e->old;
        e->dirty = 0;
    }
}

void rx_pop_choice(rx *r)
{
    rx_choice *c = &r->choices.at[--r->choices.n];
    rx_drop(r, c->x);
    rx_saved_free(r, c->saved);
}

static void give_up(rx *r, bool keep, bool again)
{
    r->over = true;
    while (r->choices.n) rx_pop_choice(r);
    /* Written values that undo records still own. */
    for (size_t i = 0; i < r->undos.n; i++) {
        rx_undo *u = &r->undos.at[i];
        if (u->dirty && r->log.at[u->entry].kind == WORD_OBJECT) rx_drop(r, (PyObject *)(uintptr_t)u->cur);
    }
    r->undos.n = 0;
    for (size_t i = 0; i < r->log.n; i++) {
        rx_entry *e = &r->log.at[i];
        if (e->kind == WORD_OBJECT && e->dirty) rx_drop(r, (PyObject *)(uintptr_t)e->cur);
        unhold(r, e);
    }
    r->log.n = 0;
    r->space = NULL;
    r->has_nodes = r->validated = false;
    if (r->index) {
        PyMem_RawFree(r->index);
        r->index = NULL;
    }
    rx_world_close(r, keep);
    rx_rollback(r, (rx_mark){ 0, 0, 0, 0, 0, keep ? r->kept.n : 0, 0 });
    age_traces(r, !again);
    r->exposed = r->over = r->passed = r->orphaned = false;
}

void rx_reset(rx *r) { give_up(r, false, false); }
void rx_restart(rx *r, bool registered) { give_up(r, registered, true); }
