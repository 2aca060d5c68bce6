/* explore.c - where a thread under exploration hands over (reagents.testing.explore).
 *
 * An explored thread has no slot at hand: without the GIL its cache stays empty, with the GIL the slot
 * that all share is hidden while anybody is explored. So every operation of such a thread comes by
 * here, where it calls back before its first access, and the paths of all other programs are what they
 * would be without this file. (Operations on words of a Segment need no such slot, and look at a counter.)
 *
 * Operations called directly, and the steps and the commit of a reaction, are the units between which
 * threads are switched: the algorithms below them are explored by themselves (csrc/core). Calling back is
 * calling user code: nothing is pinned, and what the log has read is held.
 */
#include "explore.h"
#include "words.h"

typedef struct rg_explored {
    rg_state *st;
    PyObject *callback; /* f(kind, object): returns when it is this thread's turn */
    Py_buffer woken;    /* one byte, not 0 once the reaction that waits here was woken */
    bool calling;       /* what the callback itself does is not explored */
} rg_explored;

static _Thread_local rg_explored *explored __attribute__((tls_model("initial-exec")));

_Atomic unsigned rg_explored_threads; /* relaxed: each thread asks about itself */

bool rg_is_explored(rg_state *st) { return explored && explored->st == st; }

/* ---- slots ----------------------------------------------------------------------------------- */

rg_slot *rg_slot_elsewhere(rg_state *st)
{
#ifdef RG_EXCLUSIVE
    return st->only ? st->only : st->hidden;
#else
    rg_slot *s = rg_slot_slow(st->domain);
    if (rg_is_explored(st)) rg_tls.domain = NULL;
    return s;
#endif
}

static void hide_slot(rg_state *st)
{
#ifdef RG_EXCLUSIVE
    if (st->n_explored++) return;
    st->hidden = st->only;
    st->only = NULL;
#else
    (void)st;
    rg_tls.domain = NULL;
#endif
}

static void show_slot(rg_state *st)
{
#ifdef RG_EXCLUSIVE
    if (--st->n_explored == 0) st->only = st->hidden;
#else
    (void)st; /* the next look fills the cache */
#endif
}

/* ---- handing over ---------------------------------------------------------------------------- */

/* False: an error is set, and nothing may be done. */
bool rg_hand_over(rg_state *st, PyObject *what, const char *kind)
{
    rg_explored *e = explored;
    if (!e || e->st != st || e->calling) return true;
    if (what && Py_REFCNT(what) == 0) return true; /* what is being deallocated is nobody else's */
    e->calling = true;
    PyObject *y = PyObject_CallFunction(e->callback, "sO", kind, what ? what : Py_None);
    e->calling = false;
    Py_XDECREF(y);
    return y != NULL;
}

rg_slot *rg_begin_slow(rg_state *st, PyObject *what, const char *name)
{
    return rg_hand_over(st, what, name) ? rg_here(st) : NULL;
}

/* As rx_leave and rx_return, but the log may be stale: here nobody sees what is in it. */
static rx_outcome hand_over_within(rx *r, PyObject *what, const char *kind)
{
    rx_hold_all(r);
    rx_unpin(r);
    rx_flush_drops(r);
    bool go_on = rg_hand_over(r->st, what, kind);
    if (!rx_pin(r) || !go_on) return RX_ERROR;
    return r->has_nodes ? rx_validate(r) : RX_DONE;
}

static bool is_word(rg_state *st, PyObject *o)
{
    return Py_IS_TYPE(o, st->ref_type) || Py_IS_TYPE(o, st->atomic_int_type) || Py_IS_TYPE(o, st->word_type);
}

rx_outcome rx_before_step(rx *r, Reagent *n)
{
    if (!n->op->doc) return RX_DONE; /* not a method of a structure: it touches no word */
    if (is_word(r->st, n->a) && rx_find(r, ((WordObject *)n->a)->at)) return RX_DONE; /* in the log already */
    return hand_over_within(r, n->a, n->op->name);
}

rx_outcome rx_before_commit(rx *r)
{
    /* A reaction that read one word and wrote none has happened at that read. */
    bool over = r->log.n == 0 || (r->log.n == 1 && r->log.at[0].cur == r->log.at[0].old);
    return over ? RX_DONE : hand_over_within(r, NULL, "commit");
}

/* ---- waiting --------------------------------------------------------------------------------- */

static void wake_explored(rg_waiter *w) { *(volatile char *)w->arg = 1; }

void rg_waiter_explored(rg_waiter *w)
{
    w->arg = explored->woken.buf;
    *(volatile char *)w->arg = 0;
    w->wake = wake_explored;
}

rx_outcome rx_wait_explored(rx *r, rg_waiter *w, bool timed)
{
    do {
        if (!rg_hand_over(r->st, NULL, timed ? "timed wait" : "wait")) return RX_ERROR;
        if (rg_load(&w->state) != RG_WAITING) return RX_RETRY;
    } while (!timed);
    return RX_BLOCK;
}

/* ---- Python's side --------------------------------------------------------------------------- */

static PyObject *f_begin(PyObject *m, PyObject *const *args, Py_ssize_t n)
{
    if (!rg_arity("_explore_begin", n, NULL, 2, 2)) return NULL;
    if (explored) {
        PyErr_SetString(PyExc_RuntimeError, "this thread is being explored already");
        return NULL;
    }
    rg_explored *e = PyMem_RawCalloc(1, sizeof *e);
    if (!e) return PyErr_NoMemory();
    if (PyObject_GetBuffer(args[1], &e->woken, PyBUF_WRITABLE) < 0) {
        PyMem_RawFree(e);
        return NULL;
    }
    if (e->woken.len < 1) {
        PyBuffer_Release(&e->woken);
        PyMem_RawFree(e);
        PyErr_SetString(PyExc_ValueError, "the flag needs a byte");
        return NULL;
    }
    e->st = PyModule_GetState(m);
    e->callback = Py_NewRef(args[0]);
    explored = e;
    atomic_fetch_add_explicit(&rg_explored_threads, 1, memory_order_relaxed);
    hide_slot(e->st);
    Py_RETURN_NONE;
}

static PyObject *f_end(PyObject *Py_UNUSED(m), PyObject *Py_UNUSED(ignored))
{
    rg_explored *e = explored;
    if (!e) Py_RETURN_NONE;
    explored = NULL;
    atomic_fetch_sub_explicit(&rg_explored_threads, 1, memory_order_relaxed);
    show_slot(e->st);
    PyBuffer_Release(&e->woken);
    Py_DECREF(e->callback);
    PyMem_RawFree(e);
    Py_RETURN_NONE;
}

PyMethodDef rg_explore_functions[] = {
    { "_explore_begin", (PyCFunction)(void (*)(void))f_begin, METH_FASTCALL, PyDoc_STR("_explore_begin($module, callback, woken, /)\n--\n\n"
      "From now on this thread calls callback(kind, object) before each operation, step and commit, and when a\n"
      "reaction of it waits; then the byte woken[0] becomes 1 once it may go on. What the callback raises, the\n"
      "operation raises, undone. Raises RuntimeError when this thread is explored already.") },
    { "_explore_end", f_end, METH_NOARGS, PyDoc_STR("_explore_end($module, /)\n--\n\nThis thread calls back no more.") },
    { NULL, NULL, 0, NULL },
};
