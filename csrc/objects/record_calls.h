/* record_calls.h - the direct calls and the reagents of a type of record.h: read once by each, after it has
 *   put, get, peek             rg_record_tried (RecordObject *, item or where to): DONE; EMPTY, FULL, CLOSED; else an error is set
 *   step_put, step_get, step_peek
 *   NAME, PUT_TEXT, GET_TEXT, PEEK_TEXT, SOURCE     for the docstrings
 */
static const rg_op op_put, op_get, op_peek;

static PyObject *direct_put(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kw)
{
    RecordObject *q = (RecordObject *)self;
    PyObject *item = nargs ? args[0] : NULL;
    rg_blocking how = { true, -1 };
    if (__builtin_expect(nargs != 1 || kw, 0) && !rg_parse_blocking(q->st, "put", args, nargs, kw, 1, &item, &how)) return NULL;
    rg_record_tried t = put(q, item);
    if (__builtin_expect(t != RG_RECORD_DONE, 0)) return rg_record_otherwise(q, t, &op_put, item, how);
    Py_RETURN_NONE;
}

static PyObject *direct_get(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kw)
{
    RecordObject *q = (RecordObject *)self;
    rg_blocking how = { true, -1 };
    PyObject *v;
    if (__builtin_expect(nargs || kw, 0) && !rg_parse_blocking(q->st, "get", args, nargs, kw, 0, NULL, &how)) return NULL;
    rg_record_tried t = get(q, &v);
    return __builtin_expect(t == RG_RECORD_DONE, 1) ? v : rg_record_otherwise(q, t, &op_get, Py_None, how);
}

static PyObject *direct_peek(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kw)
{
    RecordObject *q = (RecordObject *)self;
    rg_blocking how = { true, -1 };
    PyObject *v;
    if ((nargs || kw) && !rg_parse_blocking(q->st, "peek", args, nargs, kw, 0, NULL, &how)) return NULL;
    rg_record_tried t = peek(q, &v);
    return t == RG_RECORD_DONE ? v : rg_record_otherwise(q, t, &op_peek, Py_None, how);
}

static PyObject *put_nowait(PyObject *self, PyObject *item)
{
    rg_record_tried t = put((RecordObject *)self, item);
    if (t != RG_RECORD_DONE) return rg_record_otherwise((RecordObject *)self, t, NULL, NULL, (rg_blocking){ false, -1 });
    Py_RETURN_NONE;
}

static PyObject *get_nowait(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    PyObject *v;
    rg_record_tried t = get((RecordObject *)self, &v);
    return t == RG_RECORD_DONE ? v : rg_record_otherwise((RecordObject *)self, t, NULL, NULL, (rg_blocking){ false, -1 });
}

#define PUT_NOWAIT_DOC "put_nowait($self, item, /)\n--\n\n"                                                 \
    "As put, but never waits: raises queue.Full at once when there is no room. Lock-free.\n\n"              \
    ">>> from lockfree import " NAME "\n>>> " NAME "().put_nowait(1)"
#define GET_NOWAIT_DOC "get_nowait($self, /)\n--\n\n"                                                       \
    "As get, but never waits: raises queue.Empty at once when there is no item. Lock-free.\n\n"             \
    ">>> from lockfree import " NAME "\n>>> q = " NAME "()\n>>> q.put(1)\n>>> q.get_nowait()\n1"

RG_BOUND(put)
static const rg_op op_put = { .name = "put", .step = step_put, .direct = direct_put, .bound = direct_put_bound,
    .doc = "put($self, item, block=True, timeout=None)\n--\n\n"
    PUT_TEXT " Waits while there are maxsize items, at most timeout seconds; raises\n"
    "queue.Full when it may not wait any longer, ShutDown after shutdown(). A method and a reagent. Lock-free but for\n"
    "the waiting " SOURCE ".\n\n"
    ">>> from lockfree import " NAME "\n>>> q = " NAME "()\n>>> q.put('a')\n>>> q.qsize()\n1" };
RG_BOUND(get)
static const rg_op op_get = { .name = "get", .step = step_get, .direct = direct_get, .bound = direct_get_bound,
    .doc = "get($self, block=True, timeout=None)\n--\n\n"
    GET_TEXT " Waits while there is none, at most timeout seconds; raises\n"
    "queue.Empty when it may not wait any longer, ShutDown when it is empty after shutdown(). A method and a reagent.\n"
    "Lock-free but for the waiting " SOURCE ".\n\n"
    ">>> from lockfree import " NAME "\n>>> q = " NAME "()\n>>> q.put('a')\n>>> q.get()\n'a'" };
static const rg_op op_peek = { .name = "peek", .step = step_peek, .direct = direct_peek,
    .doc = "peek($self, block=True, timeout=None)\n--\n\n"
    PEEK_TEXT " Waits and raises as get. A method and a reagent. Lock-free.\n\n"
    ">>> from lockfree import " NAME "\n>>> q = " NAME "()\n>>> q.put('a')\n>>> q.peek(), q.qsize()\n('a', 1)" };
