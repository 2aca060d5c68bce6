/* evaluate.c - one try of a reaction: evaluate, backtrack.
 *
 * The evaluation is a machine, not a recursion, so that depth costs memory instead of stack. A
 * *strand* is what is being evaluated: a reagent, its input and a continuation `k` (an index into
 * the frames, which are immutable and shared by all who continue there). One strand runs at a
 * time; where no part of it may swap, `*` runs its parts in turn in the one strand there is, for
 * that is all the same then. Else it forks one for each part, and a swap parks its strand until
 * another matches it (rendezvous.c).
 *
 * Choice is chronological backtracking: a choice point keeps the strands and marks of all that
 * grows; on Block the latest one goes on with its next alternative. Entries of the log survive a
 * rollback with what was read (never what was written), so the commit of the right branch says
 * that the left one still could not happen, and waiting covers all alternatives.
 *
 * attempt() is a choice that its left branch ends: once that has come through, the default is no
 * alternative any more (Prolog's soft cut), or the default would say "blocked" of what was not. In
 * company that is provisional: a partner that it met on the way may not come to its end, and then it would
 * block after all. So there the cut is made once its own party blocks afterwards.
 *
 * Retry (another thread was faster) never chooses: the whole reaction starts again. So `+` and
 * attempt() cannot report contention as "blocked".
 *
 * An error in a function of a recruited offer is the end of that offer alone, and for this reaction
 * as if it had blocked.
 */
#include "evaluate.h"
#include "explore.h"
#include "offer.h"

static bool push_frame(rx *r, rx_strand *s, Reagent *node, Py_ssize_t index, Py_ssize_t previous, PyObject *x, PyObject *value)
{
    if (!RX_ROOM(r->frames, 1)) {
        rx_drop(r, x);
        rx_drop(r, value);
        return false;
    }
    r->frames.at[r->frames.n] = (rx_frame){ node, s->k, index, previous, x, value };
    s->k = (Py_ssize_t)r->frames.n++;
    return true;
}

static Reagent *part(Reagent *n, Py_ssize_t i)
{
    if (PyTuple_CheckExact(n->a)) return (Reagent *)PyTuple_GET_ITEM(n->a, i);
    return (Reagent *)(i ? n->b : n->a);
}

static Py_ssize_t parts(Reagent *n) { return PyTuple_CheckExact(n->a) ? PyTuple_GET_SIZE(n->a) : 2; }

/* ---- choice --------------------------------------------------------------------------------- */

rx_choice *rx_push_choice(rx *r, rx_choice_kind kind)
{
    struct rx_saved *saved;
    if (!RX_ROOM(r->choices, 1) || !rx_world_save(r, &saved)) return NULL;
    rx_choice *c = &r->choices.at[r->choices.n++];
    c->kind = kind;
    c->x = NULL;
    c->passed = 0;
    c->saved = saved;
    c->mark = rx_here(r);
    return c;
}

/* The first alternative of attempt() has come through. With what it met there another party may still block. */
static void pass(rx *r, size_t choice, bool nested)
{
    bool met = false;
    if (!nested && r->many)
        for (size_t i = choice + 1; i < r->choices.n; i++) met |= r->choices.at[i].kind == CHOICE_MATCH;
    if (met)
        r->choices.at[choice].passed = r->choices.n;
    else
        r->choices.at[choice].kind = CHOICE_CUT;
    r->passed |= met;
}

static bool has_forked(rx *r, int party)
{
    for (size_t i = 0; i < r->world.joins.n; i++)
        if (r->world.joins.at[i].party == party) return true;
    return false;
}

/* It blocked: s did, or, with s->x NULL, all strands wait. The parties of which that is true are to blame: what their
 * attempts came to counts, for it was not they that blocked. But where a party runs several strands it may be
 * another one that blocked, which the attempt has met; then the default stays an alternative. */
static void cut(rx *r, const rx_strand *s)
{
    for (size_t i = 0; i < r->choices.n; i++) {
        rx_choice *c = &r->choices.at[i];
        if (!c->passed || has_forked(r, c->party)) continue;
        bool blame = s->x && s->party == c->party;
        for (size_t j = 0; !s->x && j < r->world.strands.n; j++) blame |= r->world.strands.at[j].party == c->party;
        if (blame) c->kind = CHOICE_CUT;
    }
}

/* Going back to the latest choice, which undoes what was passed since. */
static void undo_passed(rx *r)
{
    r->passed = false;
    for (size_t i = 0; i < r->choices.n; i++) {
        rx_choice *c = &r->choices.at[i];
        if (c->passed >= r->choices.n) c->passed = 0;
        r->passed |= c->passed != 0;
    }
}

/* Goes back to the latest choice above `base`. RX_GOTO: s is what to go on with; RX_BLOCK: there is none. */
static rx_outcome backtrack(rx *r, rx_strand *s, size_t base, bool nested)
{
    for (;;) {
        if (__builtin_expect(r->passed, 0) && !nested) cut(r, s);
        if (r->choices.n == base) return RX_BLOCK;
        rx_choice *c = &r->choices.at[r->choices.n - 1];
        if (!rx_room_to_roll_back(r, c->mark)) return RX_ERROR;
        if (c->kind == CHOICE_CUT) {
            rx_pop_choice(r);
            continue;
        }
        if (__builtin_expect(r->passed, 0) && !nested) undo_passed(r);
        rx_drop(r, s->x);
        s->x = NULL;
        rx_rollback(r, c->mark);
        if (!nested && r->many && r->world.parties.n > 1 && r->world.budget) r->world.budget--;
        if (!nested) rx_world_restore(r, c->saved);
        if (__builtin_expect(!nested && r->many && rx_too_far(r), 0)) {
            rx_pop_choice(r);
            continue;
        }
        if (c->kind != CHOICE_ALTERNATIVES) {
            rx_outcome o = rx_choose_again(r, s);
            if (o != RX_BLOCK) return o;
            continue;
        }
        s->node = part(c->node, c->index);
        s->k = c->k;
        s->party = c->party;
        s->x = Py_NewRef(c->x);
        if (++c->index == parts(c->node)) rx_pop_choice(r);
        return RX_GOTO;
    }
}

/* ---- together ------------------------------------------------------------------------------- */

/* Until 3.11 making a tuple may start the collector, and so user code. */
#define ALLOCATION_COLLECTS (PY_VERSION_HEX < 0x030c0000)

static rx_outcome new_tuple(rx *r, Py_ssize_t n, PyObject **t)
{
    rx_outcome o = ALLOCATION_COLLECTS ? rx_leave(r) : RX_DONE;
    *t = o == RX_DONE ? PyTuple_New(n) : NULL;
    if (ALLOCATION_COLLECTS && o == RX_DONE) o = rx_return(r, *t);
    return o == RX_DONE && !*t ? RX_ERROR : o;
}

static rx_outcome gather(rx *r, Py_ssize_t frame, Py_ssize_t n, PyObject *last, PyObject **out)
{
    PyObject *t;
    rx_outcome o = new_tuple(r, n, &t);
    if (o != RX_DONE) {
        rx_drop(r, last);
        *out = NULL;
        return o;
    }
    PyTuple_SET_ITEM(t, n - 1, last);
    for (Py_ssize_t i = n - 1; i-- > 0; frame = r->frames.at[frame].previous)
        PyTuple_SET_ITEM(t, i, Py_NewRef(r->frames.at[frame].value));
    *out = t;
    return RX_DONE;
}

/* A strand for each part of `n`, of which the first goes on as *s, and the others before all that can run: so parts
 * take their turns from left to right, however deep they lie, unless one parks. */
static rx_outcome fork_strands(rx *r, rx_strand *s, Reagent *n)
{
    rx_world_open(r);
    rx_world *w = &r->world;
    size_t count = (size_t)parts(n);
    if (!RX_ROOM(w->joins, 1) || !RX_ROOM(w->values, count) || !RX_ROOM(w->strands, count) || !RX_ROOM(r->frames, count)) return RX_ERROR;
    size_t join = w->joins.n++;
    memmove(&w->strands.at[count - 1], &w->strands.at[0], w->strands.n * sizeof w->strands.at[0]);
    w->strands.n += count - 1;
    w->joins.at[join] = (rx_join){ n, s->k, (Py_ssize_t)w->values.n, (Py_ssize_t)count, s->party };
    for (size_t i = 0; i < count; i++) {
        w->values.at[w->values.n++] = NULL;
        r->frames.at[r->frames.n] = (rx_frame){ n, (Py_ssize_t)i, FRAME_JOIN, (Py_ssize_t)join, NULL, NULL };
        rx_strand fork = { part(n, (Py_ssize_t)i), s->x, (Py_ssize_t)r->frames.n++, s->party, false, false };
        if (i) w->strands.at[i - 1] = fork, Py_INCREF(s->x);
    }
    s->node = part(n, 0);
    s->k = (Py_ssize_t)(r->frames.n - count);
    return RX_GOTO;
}

/* The strand has brought its part of a join. RX_DONE: it goes on with the tuple; RX_BLOCK: others are missing. */
static rx_outcome join_strands(rx *r, rx_strand *s, const rx_frame *f)
{
    rx_world *w = &r->world;
    rx_join *j = &w->joins.at[f->previous];
    w->values.at[j->first + f->next] = s->x;
    s->x = NULL;
    if (--j->left) return RX_BLOCK;
    Py_ssize_t n = parts(j->node);
    PyObject *t;
    rx_outcome o = new_tuple(r, n, &t);
    if (o != RX_DONE) return o;
    for (Py_ssize_t i = 0; i < n; i++) {
        PyTuple_SET_ITEM(t, i, w->values.at[j->first + i]);
        w->values.at[j->first + i] = NULL;
    }
    s->x = t;
    s->k = j->k;
    return RX_DONE;
}

/* ---- the machine ---------------------------------------------------------------------------- */

/* Give s->x to the continuation. RX_GOTO: evaluate on, RX_DONE: the evaluation's result is s->x. */
static rx_outcome resume(rx *r, rx_strand *s, bool nested)
{
    while (s->k >= 0) {
        rx_frame f = r->frames.at[s->k];
        Py_ssize_t at = s->k;
        if (f.index == FRAME_CUT) {
            pass(r, (size_t)f.previous, nested);
            s->k = f.next;
            continue;
        }
        if (f.index == FRAME_SEQUENCE) {
            s->node = f.node;
            s->k = f.next;
            return RX_GOTO;
        }
        if (f.index == FRAME_JOIN) {
            rx_outcome o = join_strands(r, s, &f);
            if (o == RX_BLOCK) return rx_next_strand(r, s);
            if (o != RX_DONE) return o;
            continue;
        }
        /* together, in turn: f.value is the result of part index - 1, s->x that of part index */
        Py_ssize_t n = parts(f.node), i = f.index;
        s->k = f.next;
        if (i + 1 < n) {
            PyObject *x = Py_NewRef(f.x), *value = s->x;
            s->x = x;
            s->node = part(f.node, i + 1);
            if (!push_frame(r, s, f.node, i + 1, at, Py_NewRef(x), value)) return RX_ERROR;
            return RX_GOTO;
        }
        rx_outcome o = gather(r, at, n, s->x, &s->x);
        if (o != RX_DONE) return o;
    }
    if (nested) return RX_DONE;
    if (!r->many) return rx_is_lone(r) ? RX_BLOCK : RX_DONE;
    r->world.parties.at[s->party].result = s->x;
    s->x = NULL;
    return rx_next_strand(r, s);
}

/* One step of *s. RX_GOTO: there is a next one. */
static rx_outcome step(rx *r, rx_strand *s, bool nested)
{
    Reagent *n = s->node;
    if (!n) return resume(r, s, nested);
    switch (n->op->shape) {
    case SHAPE_SEQUENCE:
        s->node = (Reagent *)n->a;
        return push_frame(r, s, (Reagent *)n->b, FRAME_SEQUENCE, -1, NULL, NULL) ? RX_GOTO : RX_ERROR;
    case SHAPE_CHOICE: {
        rx_choice *c = rx_push_choice(r, CHOICE_ALTERNATIVES);
        if (!c) return RX_ERROR;
        c->node = n;
        c->index = 1;
        c->k = s->k;
        c->party = s->party;
        c->x = Py_NewRef(s->x);
        s->node = part(n, 0);
        if (n->op->commits_first && !push_frame(r, s, n, FRAME_CUT, (Py_ssize_t)r->choices.n - 1, NULL, NULL)) return RX_ERROR;
        return RX_GOTO;
    }
    case SHAPE_TOGETHER:
        if (n->swaps && !nested) return fork_strands(r, s, n);
        s->node = part(n, 0);
        return push_frame(r, s, n, 0, -1, Py_NewRef(s->x), NULL) ? RX_GOTO : RX_ERROR;
    default:;
    }
    PyObject *y = NULL;
    rx_outcome o = RX_DONE;
    if (__builtin_expect(r->explored, 0) && (o = rx_before_step(r, n)) != RX_DONE) return o;
    o = n->op->step(r, n, s->x, &y);
    if (o == RX_DONE) {
        rx_drop(r, s->x);
        s->x = y;
        return resume(r, s, nested);
    }
    if (o == RX_GOTO) {
        rx_drop(r, s->x);
        s->x = Py_NewRef(Py_None);
        if (!RX_ROOM(r->kept, 1)) {
            rx_drop(r, y);
            return RX_ERROR;
        }
        r->kept.at[r->kept.n++] = y;
        s->node = (Reagent *)y;
    } else if (o == RX_PARK) {
        if (nested) {
            if ((o = rx_leave(r)) != RX_DONE) return o; /* that nobody is there is true at one instant */
            PyErr_Format(PyExc_RuntimeError, "%R inside a function in direct style: a swap would have to wait there for its partner, "
                         "and Python code cannot go back; compose it with >> + * instead", n);
            return RX_ERROR;
        }
        o = rx_park_strand(r, s);
    }
    return o;
}

rx_outcome rx_evaluate(rx *r, Reagent *node, PyObject *x, bool nested, PyObject **result)
{
    rx_strand s = { node, Py_NewRef(x), -1, 0, false, false };
    size_t base = nested ? r->choices.n : 0;
    rx_outcome o;
    for (unsigned steps = 1;; steps++) {
        if (!RX_ROOM(r->drops, RX_STEP_DROPS)) {
            r->over = true;
            o = RX_ERROR;
            break;
        }
        int party = s.party;
        if (!nested) r->party = party;
        o = step(r, &s, nested);
        if (__builtin_expect(o == RX_ERROR && party > 0, 0)) o = rx_fail_party(r, party);
        if (o == RX_BLOCK) o = backtrack(r, &s, base, nested);
        if (o == RX_DONE) {
            *result = s.x;
            return RX_DONE;
        }
        if (o != RX_GOTO) break;
        /* A reagent may loop for ever through computed(): stay interruptible, and let others have the GIL, or stop us. */
        if ((steps & 0xfff) == 0) {
            rx_hold_all(r);
            rx_unpin(r);
            Py_BEGIN_ALLOW_THREADS
            Py_END_ALLOW_THREADS
            bool stop = PyErr_CheckSignals() < 0;
            if (stop || !rx_pin(r)) { /* left unpinned: what a handler raised is no error of a stale log */
                o = RX_ERROR;
                break;
            }
            if (r->has_nodes && (o = rx_validate(r)) != RX_DONE) break;
        }
    }
    rx_drop(r, s.x);
    return o;
}
