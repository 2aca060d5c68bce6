/* thread_table.c - the values of a ThreadLocal, by thread.
 *
 * A value lives in a *cell*, which has two holders: the ThreadLocal that it is a value of, in whose list of cells
 * it is, and the thread whose value it is, in whose table of cells it is. Either may go first, in any thread:
 *   - who takes the value out of the cell by a CAS drops it;
 *   - who lets go of the cell last frees it. A cell that only its ThreadLocal holds serves the next thread, so
 *     there are as many as there were threads at once; one that only its thread holds goes when the table is next
 *     in want of room, so there are at most as many as were in use at once, times two.
 * No lock, and no grace period: while a ThreadLocal lives nobody but the thread itself takes values out of that
 * thread's cells, and nobody gives up cells that the ThreadLocal holds.
 *
 * A table is a hash table by the number of the ThreadLocal, which no other ever has again in this process. Numbers
 * are given in sequence, so nearly always the first place looked at, number modulo size, is it.
 * Tables change by their own thread only, or when that is no more, and another goes over it in its place (in
 * the child of a fork, or when the interpreter ends).
 *
 * What ends a thread's values is the end of its *thread state*, as for threading.local: the dictionary of the thread
 * state holds a capsule, and whoever clears that dictionary, which is the thread itself while it still can run
 * Python code, runs ended(). The memory of the table is shared by the capsule and the thread that `rg_places_here`
 * is the variable of: the latter may look at it until it ends.
 */
#include "thread_table.h"

#include <pthread.h>

enum { BY_OWNER = 1, BY_THREAD = 2 };

typedef struct table {
    _Atomic(uintptr_t) in; /* rg_places */
    struct table *next;    /* of this thread, in another interpreter */
    int64_t interpreter;
    uint64_t thread_state; /* 0: of none */
    bool ended; /* nothing is kept any more */
    _Atomic(int) holders;
} table;

#define FIRST_SIZE 16

_Thread_local rg_places *rg_places_here __attribute__((tls_model("initial-exec")));
static pthread_key_t thread_key; /* value: this thread's tables */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Atomic(uint64_t) numbers; /* of all interpreters */

/* ---- cells --------------------------------------------------------------------------------------- */

PyObject *rg_cell_take(rg_cell *c)
{
    uint64_t v;
    while ((v = rg_load(&c->value)) && !rg_cas(&c->value, v, 0)) {}
    return (PyObject *)(uintptr_t)v;
}

static void let_go(rg_cell *c, uint64_t whose)
{
    if (rg_fetch_add(&c->held, (uint64_t)0 - whose) == whose) rg_free(c);
}

void rg_cell_disown(rg_cell *c) { let_go(c, BY_OWNER); }

/* One that the ThreadLocal holds and no thread, now this thread's; NULL: no memory. */
static rg_cell *claim(rg_word *cells)
{
    uint64_t first = rg_load(cells);
    for (rg_cell *c = (rg_cell *)(uintptr_t)first; c; c = c->next)
        if (rg_load(&c->held) == BY_OWNER && rg_cas(&c->held, BY_OWNER, BY_OWNER | BY_THREAD)) return c;
    rg_cell *c = rg_alloc(sizeof *c);
    if (!c) return NULL;
    rg_store_rlx(&c->value, 0); /* relaxed: private yet */
    rg_store_rlx(&c->held, BY_OWNER | BY_THREAD);
    do {
        c->next = (rg_cell *)(uintptr_t)first;
        if (rg_cas(cells, first, (uint64_t)(uintptr_t)c)) return c;
        first = rg_load(cells);
    } while (true);
}

/* ---- tables -------------------------------------------------------------------------------------- */

static rg_places *in(table *t) { return (rg_places *)atomic_load_explicit(&t->in, memory_order_relaxed); } /* its own thread's */

static rg_places *places_new(size_t size)
{
    rg_places *p = rg_calloc(sizeof *p + size * sizeof(rg_place));
    if (p) p->mask = size - 1;
    return p;
}

static rg_cell *find(rg_places *p, uint64_t number)
{
    for (size_t i = number;; i++) {
        rg_place *at = &p->at[i & p->mask];
        if (at->number == number) return at->cell;
        if (!at->number) return NULL;
    }
}

/* Its ThreadLocal is gone; then nobody else has it. */
static bool is_left(rg_cell *c) { return rg_load(&c->held) == BY_THREAD; }

/* A cell for `number`, which has none. */
static void insert(rg_places *p, uint64_t number, rg_cell *c)
{
    size_t i = number;
    while (p->at[i & p->mask].number && !is_left(p->at[i & p->mask].cell)) i++;
    rg_place *at = &p->at[i & p->mask];
    rg_cell *left = at->number ? at->cell : NULL;
    p->used += !left;
    at->cell = c;
    rg_compiler_barrier(); /* a fork by another thread may find us here: a place that has a number has a cell */
    at->number = number;
    rg_free(left);
}

/* Room for one more; cells that were left are given up. False: no memory. */
static bool make_room(table *t)
{
    rg_places *p = in(t);
    if ((p->used + 1) * 2 <= p->mask + 1) return true;
    size_t live = 1, size = FIRST_SIZE;
    for (size_t i = 0; i <= p->mask; i++) live += p->at[i].number && !is_left(p->at[i].cell);
    while (size < live * 4) size *= 2;
    rg_places *new_ = places_new(size);
    if (!new_) return false;
    /* Which are left is asked once: a ThreadLocal may go meanwhile, in another thread. */
    for (size_t i = 0; i <= p->mask; i++) {
        if (!p->at[i].number || is_left(p->at[i].cell)) continue;
        insert(new_, p->at[i].number, p->at[i].cell);
        p->at[i].number = 0;
    }
    rg_places_here = new_;
    atomic_store(&t->in, (uintptr_t)new_);
    for (size_t i = 0; i <= p->mask; i++)
        if (p->at[i].number) rg_free(p->at[i].cell);
    rg_free(p);
    return true;
}

static void give_up(table *t)
{
    if (atomic_fetch_sub(&t->holders, 1) != 1) return;
    rg_free(in(t));
    rg_free(t);
}

/* The destructor of thread_key: no thread state is there, nor needed. */
static void thread_gone(void *tables)
{
    rg_places_here = NULL;
    for (table *t = tables, *next; t; t = next) {
        next = t->next;
        give_up(t);
    }
}

static void init_once(void) { pthread_key_create(&thread_key, thread_gone); }

/* Destructors run as we go, and may use this and any other ThreadLocal: the places may be others
 * after each. Were there any values? */
static bool drop_values(table *t)
{
    bool any = false;
    for (size_t i = 0; i <= in(t)->mask; i++) {
        rg_place at = in(t)->at[i];
        PyObject *v = at.number ? rg_cell_take(at.cell) : NULL;
        any |= v != NULL;
        rg_release(v);
    }
    return any;
}

#define LAST_ROUNDS 8 /* of values that the destructors of values have made; PTHREAD_DESTRUCTOR_ITERATIONS is 4 */
#define CAPSULE "lockfree.ThreadLocal"

static void ended(PyObject *capsule)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    table *t = PyCapsule_GetPointer(capsule, CAPSULE);
    for (int i = 0; i < LAST_ROUNDS && drop_values(t); i++) {}
    t->ended = true;
    drop_values(t);
    rg_places *p = in(t);
    for (size_t i = 0; i <= p->mask; i++) {
        uint64_t number = p->at[i].number;
        p->at[i].number = 0;
        if (number) let_go(p->at[i].cell, BY_THREAD);
    }
    give_up(t);
    PyErr_Restore(type, value, traceback);
}

/* The table of this thread in this interpreter, and out with those of thread states that are no more. */
static table *at_hand(void)
{
    int64_t interpreter = PyInterpreterState_GetID(PyInterpreterState_Get());
    uint64_t thread_state = PyThreadState_GetID(PyThreadState_Get());
    table *first = pthread_getspecific(thread_key), *t;
    for (table **at = &first; (t = *at);) {
        if (t->interpreter == interpreter && (!t->ended || t->thread_state == thread_state)) {
            rg_places_here = in(t);
            break;
        }
        at = &t->next;
    }
    return t;
}

static void forget_ended(void)
{
    table *first = pthread_getspecific(thread_key), *t;
    for (table **at = &first; (t = *at);) {
        if (!t->ended) {
            at = &t->next;
            continue;
        }
        *at = t->next;
        if (rg_places_here == in(t)) rg_places_here = NULL;
        give_up(t);
    }
    pthread_setspecific(thread_key, first); /* there was one: it does not fail */
}

static table *table_new(void)
{
    forget_ended();
    table *t = rg_calloc(sizeof *t);
    rg_places *p = t ? places_new(FIRST_SIZE) : NULL;
    if (!p) {
        rg_free(t);
        return (table *)PyErr_NoMemory();
    }
    atomic_init(&t->in, (uintptr_t)p);
    atomic_init(&t->holders, 1);
    t->interpreter = PyInterpreterState_GetID(PyInterpreterState_Get());
    t->thread_state = PyThreadState_GetID(PyThreadState_Get());
    PyObject *dict = PyThreadState_GetDict(), *capsule = dict ? PyCapsule_New(t, CAPSULE, ended) : NULL;
    if (!capsule) {
        give_up(t);
        return PyErr_Occurred() ? NULL : (table *)PyErr_NoMemory();
    }
    /* The thread's hold comes before the capsule can go. Making that one may have run code that made a table
     * for this thread, which then is the older and never found again, but ends with it as well. */
    t->next = pthread_getspecific(thread_key);
    if (pthread_setspecific(thread_key, t) != 0) {
        Py_DECREF(capsule);
        return (table *)PyErr_NoMemory();
    }
    atomic_fetch_add(&t->holders, 1);
    rg_places_here = p;
    int failed = PyDict_SetItem(dict, capsule, Py_None);
    if (failed < 0) t->thread_state = 0; /* ends below, and the thread goes on: the next look makes another */
    Py_DECREF(capsule);
    return failed < 0 ? NULL : t;
}

/* ---- for ThreadLocals ---------------------------------------------------------------------------- */

uint64_t rg_local_number(void)
{
    pthread_once(&once, init_once);
    return atomic_fetch_add(&numbers, 1) + 1;
}

rg_cell *rg_cell_elsewhere(uint64_t number)
{
    table *t = at_hand();
    return t ? find(in(t), number) : NULL;
}

rg_cell *rg_cell_mine(uint64_t number, rg_word *cells)
{
    table *t = at_hand();
    if (t && t->ended) {
        PyErr_SetString(PyExc_RuntimeError, "the values of this thread have ended with it");
        return NULL;
    }
    if (!t && !(t = table_new())) return NULL;
    rg_cell *c = find(in(t), number);
    if (c) return c;
    if (!make_room(t) || !(c = claim(cells))) return (rg_cell *)PyErr_NoMemory();
    insert(in(t), number, c);
    return c;
}
