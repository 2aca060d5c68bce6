/* engine.c - runs reagents: tries, commits, waits, and tries again.
 *
 * A run is a series of turns. A turn ends when the reaction has happened, or failed, or is registered
 * where something could let it happen; then its thread parks, or its coroutine is suspended (pending.c).
 *
 * Waiting. Register, validate, park: a writer that changed a word before the validation is found by it,
 * one that changes it later finds the registration. Where a side of a channel was read, an offer is registered
 * as well. When the validation fails, the reaction tries again *while it is registered*, its commit then
 * taking its own offer back: of two that registered at the same time and see each other one
 * finds the other, whoever commits first. After a wake-up it registers anew.
 *
 * A wake-up that was one of a list's (wait.h) is owed to the next one there unless it was used.
 *
 * Fairness. A reaction that has lost many races becomes the elder, to whom others give way (elder.h).
 */
#include "turn.h"
#include "../core/elder.h"
#include "evaluate.h"
#include "explore.h"

#include <sched.h>
#include <time.h>

/* ---- after the commit ---------------------------------------------------------------------- */

PyObject *rg_fetch_error(void)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    if (traceback) PyException_SetTraceback(value, traceback);
    Py_XDECREF(type);
    Py_XDECREF(traceback);
    return value;
}

/* A reaction has happened; what is left to do in its name. Offers are owned. */
typedef struct aftermath {
    rx_action *actions; /* in the reaction's own array */
    size_t n_actions;
    size_t n_parties;
    struct {
        Offer *offer; /* NULL: the caller, or a party that has no actions */
        PyObject *errors;
        bool untold; /* for some error there was no memory */
    } *party, alone;
} aftermath;

static void run_actions(aftermath *m)
{
    for (size_t i = 0; i < m->n_actions; i++) {
        rx_action a = m->actions[i];
        PyObject *y = PyObject_CallOneArg(a.f, a.x);
        Py_DECREF(a.f);
        Py_DECREF(a.x);
        if (y) {
            Py_DECREF(y);
            continue;
        }
        int whose = PyErr_ExceptionMatches(PyExc_Exception) ? a.party : 0; /* an interrupt is this thread's */
        PyObject *e = rg_fetch_error();
        PyObject **errors = &m->party[whose].errors;
        if (!*errors) *errors = PyList_New(0);
        if (!*errors || PyList_Append(*errors, e) < 0) {
            PyErr_Clear(); /* the next one must not find it */
            m->party[whose].untold = true;
        }
        Py_XDECREF(e);
    }
}

/* Of one party. New reference; NULL: there was none. Or NULL and *untold. */
static PyObject *group_of(PyObject *errors, bool *untold)
{
    PyObject *group = NULL;
    if (errors && !*untold) {
        group = PyObject_CallFunction(PyExc_BaseExceptionGroup, "sO",
                                      "post_commit actions failed after the reaction had happened", errors);
        if (!group) *untold = true, PyErr_Clear();
    }
    Py_XDECREF(errors);
    return group;
}

/* All run, in order; each party's errors are raised together, in its name. False: the caller's, set. */
static bool conclude(rg_state *st, aftermath *m)
{
    run_actions(m);
    for (size_t i = 1; i < m->n_parties; i++) {
        Offer *o = m->party[i].offer;
        if (!o) continue;
        PyObject *group = group_of(m->party[i].errors, &m->party[i].untold);
        if (o->catalyst) {
            if (group) rg_offer_fail(o, group);
        } else {
            o->error = group; /* without memory for it, it is not told */
            rg_store(&o->ready, 1);
            rg_slot *s = rg_here_quietly(st);
            rg_pin(s);
            rg_offer_notify(s, o);
            rg_unpin(s);
        }
        Py_DECREF(o);
    }
    bool untold = m->party[0].untold;
    PyObject *group = group_of(m->party[0].errors, &untold);
    if (m->party != (void *)&m->alone) PyMem_RawFree(m->party);
    if (untold) PyErr_NoMemory();
    if (group) {
        PyErr_SetObject((PyObject *)Py_TYPE(group), group);
        Py_DECREF(group);
    }
    return !group && !untold;
}

/* Before the commit: there must be memory for what comes after. */
static bool foresee(rx *r, aftermath *m)
{
    m->n_parties = r->many ? r->world.parties.n : 1;
    m->alone.offer = NULL;
    m->alone.errors = NULL;
    m->alone.untold = false;
    m->party = (void *)&m->alone;
    if (m->n_parties == 1 || !r->actions.n) return true;
    if (!(m->party = PyMem_RawCalloc(m->n_parties, sizeof *m->party))) {
        PyErr_NoMemory();
        return false;
    }
    return true;
}

static void forget(aftermath *m)
{
    if (m->party != (void *)&m->alone) PyMem_RawFree(m->party);
}

/* Just after it. Pinned. Partners without actions have their results. */
static void take_over(rx *r, aftermath *m)
{
    m->actions = r->actions.at;
    m->n_actions = r->actions.n;
    r->actions.n = 0;
    if (!m->n_actions) m->n_parties = 1;
    for (size_t i = 0; i < m->n_actions; i++) {
        int p = m->actions[i].party;
        if (p && !m->party[p].offer) m->party[p].offer = (Offer *)Py_NewRef((PyObject *)r->world.parties.at[p].offer);
    }
    for (size_t i = 1; r->many && i < r->world.parties.n; i++)
        if (!r->world.parties.at[i].offer->catalyst && !(m->n_actions && m->party[i].offer))
            rg_offer_notify(r->slot, r->world.parties.at[i].offer);
}

/* ---- giving way ------------------------------------------------------------------------------ */

#define YIELDS 16           /* before it sleeps */
#define NAP_NS 50000

void rg_give_way(rg_slot *s)
{
    rg_domain *d = s->domain;
    uint64_t elder = rg_load(&d->elder);
    int64_t until = rg_monotonic_ns() + (int64_t)rg_load(&d->elder_window);
    if (!elder) return;
    Py_BEGIN_ALLOW_THREADS
    for (unsigned i = 0; rg_load(&d->elder) == elder && rg_monotonic_ns() < until; i++) {
        if (i < YIELDS)
            sched_yield();
        else
            nanosleep(&(struct timespec){ 0, NAP_NS }, NULL);
    }
    Py_END_ALLOW_THREADS
}

/* ---- turns ----------------------------------------------------------------------------------- */

#define SIGNALS_EVERY 64 /* lost races between two looks at pending signals */

void rg_turn_begin(rg_turns *t, rg_state *st, Reagent *node, PyObject *x)
{
    *t = (rg_turns){ .st = st, .node = node, .x = x };
}

/* One try, to the end. Pinned before and after, unless it failed. */
static rx_outcome attempt_once(rx *r, rg_turns *t, PyObject **result, aftermath *m)
{
    rx_outcome o = rx_evaluate(r, t->node, t->x, false, result);
    if (o != RX_DONE) return o;
    if (__builtin_expect(r->explored, 0)) o = rx_before_commit(r);
    if (o == RX_DONE && __builtin_expect(r->many || r->mine, 0)) o = rx_add_offers(r);
    if (o == RX_DONE) {
        if (!foresee(r, m)) {
            o = RX_ERROR;
        } else {
            o = rx_commit(r);
            if (o != RX_DONE) forget(m);
        }
    }
    if (o == RX_DONE) {
        take_over(r, m);
    } else {
        rx_drop(r, *result);
        *result = NULL;
    }
    return o;
}

/* It blocked, as far as the search went. RX_GOTO: search on. */
static rx_outcome deepen(rx *r)
{
    rx_world *w = &r->world;
    if (!r->many || !w->cut || w->limit >= RX_LAST_LIMIT) return RX_BLOCK;
    const rx_mark start = { 0, 0, 0, 0, 0, 0, 0 };
    if (!rx_room_to_roll_back(r, start)) return RX_ERROR;
    rx_rollback(r, start);
    if (!RX_ROOM(r->drops, r->log.n)) return RX_ERROR;
    rx_unwrite(r); /* what was written before there was a choice */
    rx_world_clear(r);
    w->limit *= 2;
    w->budget = RX_DEEPER_BUDGET;
    w->cut = false;
    return RX_GOTO;
}

rx_outcome rg_turn(rx *r, rg_turns *t, bool may_park, PyObject **result)
{
    aftermath m;
    rx_outcome o;
    bool answered = false, elder = false;
    *result = NULL;
    for (;;) {
        if (!rx_pin(r)) {
            o = RX_ERROR;
            break;
        }
        r->mine = t->mine;
        while ((o = attempt_once(r, t, result, &m)) == RX_BLOCK && (o = deepen(r)) == RX_GOTO) {}
        if (o == RX_DONE || (o == RX_ERROR && !rx_error_was_stale(r))) break;
        if (o == RX_BLOCK) {
            if (!may_park) {
                /* Not on contention: what was read must hold at one instant. */
                o = rx_validate(r);
                if (o == RX_DONE) o = RX_BLOCK;
            } else {
                const rx_mark start = { 0, 0, 0, 0, 0, 0, 0 };
                o = rx_room_to_roll_back(r, start) ? RX_DONE : RX_ERROR;
                if (o == RX_DONE) {
                    rx_rollback(r, start);
                    rx_world_clear(r);
                    o = rx_register(r, t);
                    if (o == RX_DONE) {
                        if (elder) rg_elder_resign(r->slot);
                        rx_unpin(r);
                        rx_flush_drops(r);
                        return RX_PARK;
                    }
                }
            }
            if (o == RX_BLOCK || o == RX_ERROR) break;
        }
        rg_count(r->slot, STAT_RETRIES);
        bool contended = rx_contended(r), ours = rx_private_space(r, r->space);
        rx_restart(r, t->waiter != NULL);
        rx_unpin(r);
        rx_flush_drops(r);
        if (t->mine && rg_offer_is_over(t->mine)) {
            answered = true;
            break;
        }
        if (++t->lost % SIGNALS_EVERY == 0 && PyErr_CheckSignals() < 0) {
            o = RX_ERROR;
            break;
        }
        if (__builtin_expect(t->lost >= RG_ELDER_AFTER && !r->explored && ours, 0)) {
            if (elder)
                rg_elder_widen(r->slot);
            else
                elder = rg_elder_claim(r->slot, t);
        }
        if (contended && !elder) rg_lost(r->slot, &t->backoff);
    }
    if (elder) rg_elder_resign(rg_here_quietly(t->st));
    bool happened = o == RX_DONE;
    if (happened) rg_count(r->slot, STAT_COMMITS);
    PyObject *type = NULL, *value = NULL, *traceback = NULL;
    if (!happened) PyErr_Fetch(&type, &value, &traceback);
    rx_leave_waiter(r, t);
    rx_pass_on(r);
    rx_reset(r);
    rx_unpin(r);
    rx_flush_drops(r);
    if (type) PyErr_Restore(type, value, traceback);
    if (happened) {
        if (t->mine && !t->mine->catalyst) Py_CLEAR(t->mine); /* the commit took it back */
        if (m.n_actions && !conclude(t->st, &m)) Py_CLEAR(*result);
    }
    return answered ? RX_DONE : o;
}

void rg_put_off_interrupt(void)
{
    PyObject *type = PyErr_Occurred();
    if (!type) return;
    Py_INCREF(type);
    bool interrupt = !PyErr_ExceptionMatches(PyExc_Exception);
    PyErr_Clear();
    if (interrupt) PyThreadState_SetAsyncExc(PyThread_get_thread_ident(), type);
    Py_DECREF(type);
}

bool rg_turns_end(rg_turns *t, rx_outcome o, PyObject **result)
{
    Offer *mine = t->mine;
    if (!mine) return true;
    if (o != RX_DONE && rg_offer_take_back(mine)) {
        Py_CLEAR(t->mine);
        return true;
    }
    /* It happened, in somebody else's thread: the result comes, and what was the matter here is forgotten, but for an
     * interrupt, which this thread raises where it runs code of its own next. */
    if (o != RX_DONE) rg_put_off_interrupt();
    if (!rg_offer_take_answer(mine, result)) return false;
    Py_CLEAR(t->mine);
    return true;
}

/* deadline: monotonic ns; INT64_MAX for none; INT64_MIN: do not park. NULL with *blocked set and no
 * error: it blocked until the deadline. */
static PyObject *run(rg_state *st, Reagent *node, PyObject *x, int64_t deadline, bool *blocked)
{
    rx r;
    rx_init(&r, st);
    rg_turns t;
    rg_turn_begin(&t, st, node, x);
    PyObject *result;
    rx_outcome o;
    while ((o = rg_turn(&r, &t, deadline != INT64_MIN, &result)) == RX_PARK) {
        o = rx_park(&r, &t, deadline);
        if (o == RX_BLOCK || o == RX_ERROR) break;
    }
    bool late = o == RX_BLOCK;
    while (!rg_turns_end(&t, o, &result)) {
        o = RX_DONE;
        late = false;
        rx_await_actions(&r, &t);
    }
    rx_free(&r);
    *blocked = late && !result && !PyErr_Occurred();
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
