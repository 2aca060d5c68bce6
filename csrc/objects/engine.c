/* engine.c - one try of a reaction: evaluate, backtrack, commit.
 *
 * The evaluation is a machine, not a recursion, so that depth costs memory instead of stack. A
 * *strand* is what is being evaluated: a reagent, its input and a continuation `k` (an index into
 * the frames, which are immutable and shared by all who continue there). One strand runs at a
 * time; `*` and together() run their parts in turn in one log. A swap will park its strand here.
 *
 * Choice is chronological backtracking: a choice point keeps the strand and marks of all that
 * grows; on Block the latest one goes on with its next alternative. Entries of the log survive a
 * rollback with what was read (never what was written), so the commit of the right branch says
 * that the left one still could not happen, and waiting covers all alternatives.
 *
 * attempt() is a choice that its left branch ends: once that has come through, the default is no
 * alternative any more (Prolog's soft cut), or the default would say "blocked" of what was not.
 *
 * Retry (another thread was faster) never chooses: the whole reaction starts again. So `+` and
 * attempt() cannot report contention as "blocked".
 */
#include "explore.h"

typedef struct strand {
    Reagent *node;
    PyObject *x; /* owned */
    Py_ssize_t k;
} strand;

static bool push_frame(rx *r, strand *s, Reagent *node, Py_ssize_t index, Py_ssize_t previous, PyObject *x, PyObject *value)
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

static rx_outcome backtrack(rx *r, strand *s)
{
    while (r->choices.n && !r->choices.at[r->choices.n - 1].node) rx_drop(r, r->choices.at[--r->choices.n].x);
    if (!r->choices.n) return RX_BLOCK;
    rx_choice *c = &r->choices.at[r->choices.n - 1];
    if (!rx_room_to_roll_back(r, c->mark)) return RX_ERROR;
    rx_drop(r, s->x);
    s->x = NULL;
    rx_rollback(r, c->mark);
    s->node = part(c->node, c->index);
    s->k = c->k;
    if (++c->index == parts(c->node)) {
        s->x = c->x;
        r->choices.n--;
    } else {
        s->x = Py_NewRef(c->x);
    }
    return RX_DONE;
}

/* Until 3.11 making a tuple may start the collector, and so user code. */
#define ALLOCATION_COLLECTS (PY_VERSION_HEX < 0x030c0000)

static rx_outcome gather(rx *r, Py_ssize_t frame, Py_ssize_t n, PyObject *last, PyObject **out)
{
    rx_outcome o = ALLOCATION_COLLECTS ? rx_leave(r) : RX_DONE;
    PyObject *t = o == RX_DONE ? PyTuple_New(n) : NULL;
    if (ALLOCATION_COLLECTS && o == RX_DONE) o = rx_return(r, t);
    if (o == RX_DONE && !t) o = RX_ERROR;
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

/* Give s->x to the continuation. RX_DONE: the reaction's result is s->x; RX_GOTO: evaluate on. */
static rx_outcome resume(rx *r, strand *s)
{
    while (s->k >= 0) {
        rx_frame f = r->frames.at[s->k];
        Py_ssize_t at = s->k;
        if (f.index == FRAME_CUT) {
            r->choices.at[f.previous].node = NULL;
            s->k = f.next;
            continue;
        }
        if (f.index == FRAME_SEQUENCE) {
            s->node = f.node;
            s->k = f.next;
            return RX_GOTO;
        }
        /* together: f.value is the result of part index - 1, s->x that of part index */
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
    return RX_DONE;
}

/* Pinned. RX_DONE with *result, RX_BLOCK, RX_RETRY or RX_ERROR. */
static rx_outcome evaluate(rx *r, Reagent *node, PyObject *x, PyObject **result)
{
    strand s = { node, Py_NewRef(x), -1 };
    rx_outcome o;
    for (unsigned steps = 1;; steps++) {
        if (!RX_ROOM(r->drops, RX_STEP_DROPS)) {
            r->over = true;
            o = RX_ERROR;
            break;
        }
        Reagent *n = s.node;
        o = RX_GOTO;
        switch (n->op->shape) {
        case SHAPE_SEQUENCE:
            s.node = (Reagent *)n->a;
            if (!push_frame(r, &s, (Reagent *)n->b, FRAME_SEQUENCE, -1, NULL, NULL)) o = RX_ERROR;
            break;
        case SHAPE_CHOICE:
            if (!RX_ROOM(r->choices, 1)) {
                o = RX_ERROR;
                break;
            }
            r->choices.at[r->choices.n++] = (rx_choice){ n, 1, s.k, Py_NewRef(s.x), rx_here(r) };
            s.node = part(n, 0);
            if (n->op->commits_first &&
                !push_frame(r, &s, n, FRAME_CUT, (Py_ssize_t)r->choices.n - 1, NULL, NULL))
                o = RX_ERROR;
            break;
        case SHAPE_TOGETHER:
            s.node = part(n, 0);
            if (!push_frame(r, &s, n, 0, -1, Py_NewRef(s.x), NULL)) o = RX_ERROR;
            break;
        case SHAPE_LEAF: {
            PyObject *y = NULL;
            if (__builtin_expect(r->explored, 0) && (o = rx_before_step(r, n)) != RX_DONE) break;
            o = n->op->step(r, n, s.x, &y);
            if (o == RX_DONE) {
                rx_drop(r, s.x);
                s.x = y;
                o = resume(r, &s);
                if (o == RX_DONE) {
                    *result = s.x;
                    return RX_DONE;
                }
            } else if (o == RX_GOTO) {
                rx_drop(r, s.x);
                s.x = Py_NewRef(Py_None);
                if (RX_ROOM(r->kept, 1)) {
                    r->kept.at[r->kept.n++] = y;
                    s.node = (Reagent *)y;
                } else {
                    rx_drop(r, y);
                    o = RX_ERROR;
                }
            } else if (o == RX_BLOCK) {
                o = backtrack(r, &s);
                if (o == RX_DONE) o = RX_GOTO;
            }
            break;
        }
        }
        if (o != RX_GOTO) break;
        /* A reagent may loop for ever through computed(): stay interruptible. */
        if ((steps & 0xfff) == 0) {
            rx_hold_all(r);
            rx_unpin(r);
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

/* ---- after the commit ---------------------------------------------------------------------- */

static PyObject *fetch_error(void)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    if (traceback) PyException_SetTraceback(value, traceback);
    Py_XDECREF(type);
    Py_XDECREF(traceback);
    return value;
}

/* All run, in order; errors are raised together. Takes over the actions. */
static int run_actions(rx_action *a, size_t n)
{
    PyObject *errors = NULL;
    bool untold = false; /* for some error there was no memory */
    for (size_t i = 0; i < n; i++) {
        PyObject *y = PyObject_CallOneArg(a[i].f, a[i].x);
        Py_DECREF(a[i].f);
        Py_DECREF(a[i].x);
        if (y) {
            Py_DECREF(y);
            continue;
        }
        PyObject *e = fetch_error();
        if (!errors) errors = PyList_New(0);
        if (!errors || PyList_Append(errors, e) < 0) {
            PyErr_Clear(); /* the next one must not find it */
            untold = true;
        }
        Py_XDECREF(e);
    }
    if (untold) {
        Py_XDECREF(errors);
        PyErr_NoMemory();
        return -1;
    }
    if (!errors) return 0;
    PyObject *group = PyObject_CallFunction(PyExc_BaseExceptionGroup, "sO",
                                            "post_commit actions failed after the reaction had happened", errors);
    Py_DECREF(errors);
    if (group) {
        PyErr_SetObject((PyObject *)Py_TYPE(group), group);
        Py_DECREF(group);
    }
    return -1;
}

/* ---- running ------------------------------------------------------------------------------- */

/* An error that came out of a stale log is nobody's fault: true, and cleared, if that is the case.
 * An interrupt is never swallowed. */
static bool error_was_stale(rx *r)
{
    if (!r->pinned || !r->log.n || !PyErr_ExceptionMatches(PyExc_Exception)) return false;
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    rx_outcome o = rx_validate(r);
    if (o == RX_RETRY) {
        r->over = true;
        rx_drop(r, type);
        rx_drop(r, value);
        rx_drop(r, traceback);
        return true;
    }
    if (o == RX_ERROR) PyErr_Clear();
    PyErr_Restore(type, value, traceback);
    return false;
}

#define SIGNALS_EVERY 64 /* lost races between two looks at pending signals */

/* deadline: monotonic ns; INT64_MAX for none; INT64_MIN: do not park. NULL with *blocked set and no
 * error: it blocked until the deadline. */
static PyObject *run(rg_state *st, Reagent *node, PyObject *x, int64_t deadline, bool *blocked)
{
    rx r;
    rx_init(&r, st);
    rg_backoff backoff = { 0 };
    PyObject *result = NULL;
    rx_outcome o;
    for (unsigned lost = 0;;) {
        if (!rx_pin(&r)) {
            o = RX_ERROR;
            break;
        }
        o = evaluate(&r, node, x, &result);
        if (o == RX_DONE) {
            if (__builtin_expect(r.explored, 0)) o = rx_before_commit(&r);
            if (o == RX_DONE) o = rx_commit(&r);
            if (o == RX_DONE) break;
            rx_drop(&r, result);
        }
        result = NULL;
        if (o == RX_ERROR && !error_was_stale(&r)) break;
        if (o == RX_BLOCK) {
            if (deadline == INT64_MIN) {
                /* Not on contention: what was read must hold at one instant. */
                o = rx_validate(&r);
                if (o == RX_DONE) {
                    *blocked = true;
                    break;
                }
            } else {
                const rx_mark start = { 0, 0, 0, 0, 0, 0 };
                if (rx_room_to_roll_back(&r, start)) {
                    rx_rollback(&r, start);
                    o = rx_park(&r, deadline, node);
                } else {
                    o = RX_ERROR;
                }
                rx_unpin(&r);
                if (o == RX_BLOCK) *blocked = true;
                if (o != RX_RETRY) break;
                rx_reset(&r);
                rx_unpin(&r);
                rx_flush_drops(&r);
                continue;
            }
            if (o == RX_ERROR) break;
        }
        rg_count(r.slot, STAT_RETRIES);
        bool contended = rx_contended(&r);
        rx_reset(&r);
        rx_unpin(&r);
        rx_flush_drops(&r);
        if (++lost % SIGNALS_EVERY == 0 && PyErr_CheckSignals() < 0) {
            o = RX_ERROR;
            break;
        }
        if (contended) rg_lost(r.slot, &backoff);
    }
    size_t n_actions = 0;
    rx_action *actions = NULL;
    if (o == RX_DONE && result) {
        rg_count(r.slot, STAT_COMMITS);
        actions = r.actions.at;
        n_actions = r.actions.n;
        r.actions.n = 0;
    }
    PyObject *type = NULL, *value = NULL, *traceback = NULL;
    if (o == RX_ERROR || o == RX_BLOCK) PyErr_Fetch(&type, &value, &traceback);
    rx_reset(&r);
    rx_unpin(&r);
    rx_flush_drops(&r);
    if (type) PyErr_Restore(type, value, traceback);
    if (n_actions && run_actions(actions, n_actions) < 0) Py_CLEAR(result);
    rx_free(&r);
    return result;
}

PyObject *rg_run(rg_state *st, Reagent *node, PyObject *x, double timeout, bool *timed_out)
{
    int64_t deadline = INT64_MAX;
    if (timeout >= 0 && timeout < 9e9) deadline = rg_monotonic_ns() + (int64_t)(timeout * 1e9);
    bool late = false;
    PyObject *y = run(st, node, x, deadline, &late);
    if (late && !timed_out) PyErr_Format(PyExc_TimeoutError, "%R did not happen within its timeout", node);
    if (timed_out) *timed_out = late;
    return y;
}

PyObject *rg_try(rg_state *st, Reagent *node, PyObject *x, bool *blocked)
{
    *blocked = false;
    return run(st, node, x, INT64_MIN, blocked);
}

bool rg_timeout(PyObject *arg, double *seconds)
{
    *seconds = -1;
    if (!arg || arg == Py_None) return true;
    double t = PyFloat_AsDouble(arg);
    if (t == -1.0 && PyErr_Occurred()) {
        if (!PyErr_ExceptionMatches(PyExc_TypeError)) return false; /* it was one, and had another problem */
        PyErr_Format(PyExc_TypeError, "timeout must be a number of seconds or None, not %.100s", Py_TYPE(arg)->tp_name);
        return false;
    }
    if (!(t >= 0)) {
        PyErr_Format(PyExc_ValueError, "'timeout' must be a non-negative number of seconds, not %R", arg);
        return false;
    }
    *seconds = t;
    return true;
}

PyObject *rg_reagent_call(PyObject *self, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    Reagent *n = (Reagent *)self;
    Py_ssize_t nargs = PyVectorcall_NARGS(nargsf);
    if (n->op->direct) return n->op->direct(n->a, args, nargs, kwnames);
    PyObject *x = nargs ? args[0] : Py_None, *timeout = NULL;
    if (nargs > 1) {
        PyErr_Format(PyExc_TypeError, "%R takes one input, got %zd arguments", self, nargs);
        return NULL;
    }
    for (Py_ssize_t i = 0; kwnames && i < PyTuple_GET_SIZE(kwnames); i++) {
        PyObject *name = PyTuple_GET_ITEM(kwnames, i);
        if (PyUnicode_CompareWithASCIIString(name, "timeout") == 0) {
            timeout = args[nargs + i];
        } else if (PyUnicode_CompareWithASCIIString(name, "x") == 0 && !nargs) {
            x = args[i];
        } else {
            PyErr_Format(PyExc_TypeError, "%R got an unexpected keyword argument %R", self, name);
            return NULL;
        }
    }
    double seconds;
    if (!rg_timeout(timeout, &seconds)) return NULL;
    return rg_run(n->st, n, x, seconds, NULL);
}
