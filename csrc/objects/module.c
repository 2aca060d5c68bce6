/* module.c - the extension module reagents._core: state, types, statistics. */
#include "channel.h"
#include "explore.h"
#include "sync.h"
#include "turn.h"

#include <unistd.h>

static rg_state *state(PyObject *m) { return PyModule_GetState(m); }

rg_state *rg_state_of(PyTypeObject *type)
{
    PyObject *m = PyType_GetModuleByDef(type, &rg_module);
    return m ? state(m) : NULL;
}

static PyObject *f_stats(PyObject *m, PyObject *Py_UNUSED(ignored))
{
    rg_domain *d = state(m)->domain;
    rg_slot *mine = rg_here(state(m));
    if (!mine) return NULL;
    uint64_t sum[4] = { 0, 0, 0, 0 }, helps = 0;
    unsigned high = (unsigned)rg_load(&d->high);
    for (unsigned i = 0; i < high; i++) {
        rg_slot *s = (rg_slot *)rg_desc_at(&d->space, i);
        for (int k = 0; k < 4; k++) sum[k] += rg_load_rlx(&s->stat[k]); /* relaxed: a statistic */
        helps += rg_load_rlx(&s->desc.helps);
    }
    rg_pin(mine); /* who leaves gives its records back */
    Py_ssize_t waiting = (Py_ssize_t)rg_wait_count(d);
    rg_unpin(mine);
    return Py_BuildValue("{s:K,s:K,s:K,s:K,s:K,s:n}", "commits", sum[STAT_COMMITS], "retries", sum[STAT_RETRIES], "helps", helps,
                         "waits", sum[STAT_WAITS], "wakeups", sum[STAT_WAKEUPS], "waiting", waiting);
}

/* What was given up late goes when the collector runs, so that gc.collect() means what it says. */
static PyObject *f_collector(PyObject *m, PyObject *const *Py_UNUSED(args), Py_ssize_t Py_UNUSED(n))
{
    rg_slot *s = rg_here(state(m));
    if (!s) return NULL;
    rg_flush(s);
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    { "stats", f_stats, METH_NOARGS, PyDoc_STR("stats($module, /)\n--\n\n"
      "What this process (interpreter) has done so far, as a dict: reactions committed, transient retries, helps\n"
      "of other threads' operations, waits, wake-ups, and how many words are waited for right now.\n\n"
      ">>> from reagents import stats\n>>> stats()['waiting']\n0") },
    { "_collector", (PyCFunction)(void (*)(void))f_collector, METH_FASTCALL, NULL },
    { NULL },
};

static PyTypeObject *add_type(PyObject *m, PyType_Spec *spec)
{
    PyTypeObject *t = (PyTypeObject *)PyType_FromModuleAndSpec(m, spec, NULL);
    if (t && PyModule_AddType(m, t) < 0) Py_CLEAR(t);
    return t;
}

static int with_gc_callback(PyObject *m)
{
#ifdef RG_EXCLUSIVE
    (void)m; /* nothing is ever late */
    return 0;
#else
    PyObject *gc = PyImport_ImportModule("gc"), *list = gc ? PyObject_GetAttrString(gc, "callbacks") : NULL;
    PyObject *f = list ? PyObject_GetAttrString(m, "_collector") : NULL;
    int r = f ? PyList_Append(list, f) : -1;
    Py_XDECREF(f);
    Py_XDECREF(list);
    Py_XDECREF(gc);
    return r;
#endif
}

/* An object that is nothing but itself. */
static PyObject *mark(void) { return PyObject_CallNoArgs((PyObject *)&PyBaseObject_Type); }

static int module_exec(PyObject *m)
{
    rg_state *st = state(m);
    st->domain = rg_domain_open();
#ifdef RG_EXCLUSIVE
    st->only = st->domain ? rg_slot_claim(st->domain) : NULL;
    if (st->only) st->only->detached = true;
    if (!st->only) {
#else
    if (!st->domain) {
#endif
        PyErr_NoMemory();
        return -1;
    }
    st->domain->give_way = rg_give_way;
#ifndef __SANITIZE_ADDRESS__ /* which sees no more of the interpreter's own allocator than its pages */
    /* 32 bytes of the interpreter's are 32, and within one cache line; malloc's are 48. */
    st->domain->quad_alloc = PyMem_Malloc;
    st->domain->quad_free = PyMem_Free;
#endif
    st->processors = sysconf(_SC_NPROCESSORS_ONLN);
    PyObject *queue = PyImport_ImportModule("queue");
    st->queue_empty = queue ? PyObject_GetAttrString(queue, "Empty") : NULL;
    st->queue_full = queue ? PyObject_GetAttrString(queue, "Full") : NULL;
#if PY_VERSION_HEX >= 0x030d0000
    st->shut_down = queue ? PyObject_GetAttrString(queue, "ShutDown") : NULL;
#else
    st->shut_down = PyErr_NewExceptionWithDoc("lockfree.ShutDown",
        "Raised when put/get with shut-down queue. From Python 3.13 on this is queue.ShutDown.", NULL, NULL);
#endif
    Py_XDECREF(queue);
    if (!st->queue_empty || !st->queue_full || !st->shut_down || PyModule_AddObjectRef(m, "Full", st->queue_full) < 0 ||
        PyModule_AddObjectRef(m, "ShutDown", st->shut_down) < 0)
        return -1;
    PyObject *bases = PyTuple_Pack(2, st->queue_empty, PyExc_IndexError);
    st->stack_empty = bases ? PyErr_NewExceptionWithDoc("lockfree.Empty",
        "Raised when a structure is empty: a queue.Empty, as of queue.Queue, and an IndexError, as of list.", bases, NULL) : NULL;
    Py_XDECREF(bases);
    if (!st->stack_empty || PyModule_AddObjectRef(m, "Empty", st->stack_empty) < 0) return -1;
    if (!(st->str_block = PyUnicode_InternFromString("block")) || !(st->str_timeout = PyUnicode_InternFromString("timeout")) ||
        !(st->str_item = PyUnicode_InternFromString("item")))
        return -1;
    struct {
        PyTypeObject **at;
        PyType_Spec *spec;
        const rg_op *const *ops;
    } types[] = {
#define RG_TYPE(name) { &st->name##_type, &rg_##name##_spec, NULL },
#define RG_METHODS(name) { &st->name##_type, &rg_##name##_spec, rg_##name##_ops },
#include "types.h"
    };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (!(*types[i].at = add_type(m, types[i].spec))) return -1;
        if (types[i].ops && rg_add_methods(st, *types[i].at, types[i].ops) < 0) return -1;
    }
    if (PyModule_AddFunctions(m, rg_combinators) < 0 || PyModule_AddFunctions(m, rg_explore_functions) < 0 ||
        PyModule_AddFunctions(m, rg_channel_functions) < 0 || PyModule_AddFunctions(m, rg_catalyst_functions) < 0 ||
        PyModule_AddFunctions(m, rg_direct_functions) < 0 || PyModule_AddFunctions(m, rg_sync_functions) < 0 ||
        !(st->unwinding = PyErr_NewExceptionWithDoc("reagents.Unwinding",
            "Leaves a function in direct style whose reaction blocks or starts again. Not to be caught.",
            PyExc_BaseException, NULL)) ||
        !(st->offered = mark()) || !(st->withdrawn = mark()) ||
        rg_reagent_init(st, m) < 0 || rg_shared_init(st, m) < 0) return -1;
    return with_gc_callback(m);
}

static PyObject **objects_of(rg_state *st, size_t i)
{
    PyObject **all[] = {
#define RG_TYPE(name) (PyObject **)&st->name##_type,
#define RG_METHODS RG_TYPE
#include "types.h"
                         (PyObject **)&st->word_type, (PyObject **)&st->mapping_type, &st->unwinding, &st->offered, &st->withdrawn,
                         &st->block, &st->identity, &st->never, &st->queue_empty, &st->stack_empty, &st->arun,
                         &st->queue_full, &st->shut_down,
                         &st->str_block, &st->str_timeout, &st->str_item };
    return i < sizeof all / sizeof *all ? all[i] : NULL;
}

static int module_traverse(PyObject *m, visitproc visit, void *arg)
{
    PyObject **o;
    for (size_t i = 0; (o = objects_of(state(m), i)); i++) Py_VISIT(*o);
    return 0;
}

static int module_clear(PyObject *m)
{
    PyObject **o;
    for (size_t i = 0; (o = objects_of(state(m), i)); i++) Py_CLEAR(*o);
    return 0;
}

static void module_free(void *m)
{
    module_clear(m);
    rg_state *st = state(m);
    if (st->domain) rg_domain_close(st->domain);
    st->domain = NULL;
}

static PyModuleDef_Slot module_slots[] = {
    { Py_mod_exec, module_exec },
#if PY_VERSION_HEX >= 0x030c0000
    { Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED },
#endif
#if PY_VERSION_HEX >= 0x030d0000
    { Py_mod_gil, Py_MOD_GIL_NOT_USED },
#endif
    { 0, NULL },
};

struct PyModuleDef rg_module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "reagents._core",
    .m_doc = "The C face of reagents and lockfree: object words and the reaction engine.",
    .m_size = sizeof(rg_state),
    .m_slots = module_slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
    .m_free = module_free,
    .m_methods = functions,
};

PyMODINIT_FUNC PyInit__core(void) { return PyModuleDef_Init(&rg_module); }
