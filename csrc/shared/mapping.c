/* mapping.c - Mapping, and the single operations on shared words. See face.h. */
#include "face.h"
#include "../objects/explore.h"

#include <errno.h>

/* ---- operations ------------------------------------------------------------------------------ */

static int no_slot(void)
{
    PyErr_Format(PyExc_RuntimeError, "the Segment has no slot left for one more thread: %u threads of all processes use it",
                 RG_SEG_SLOTS);
    return -1;
}

bool rx_find_shared_slot(rx *r)
{
    int slot = rg_segment_slot((rg_segment *)r->space); /* space is its first member */
    if (slot >= 0) r->me = (unsigned)slot;
    return slot >= 0 || no_slot() == 0;
}

int rg_slot_for(rg_segment *s, rg_word *w)
{
    int slot = rg_segment_slot(s);
    if (slot < 0) return no_slot();
    if (rg_word_sound(s, slot, w)) return slot;
    PyErr_SetString(PyExc_ValueError, "a shared word holds what is no value: it was written through a buffer (numpy), with a "
                                      "number beyond -2**62 to 2**62 - 1");
    return -1;
}

void rg_wake_shared(rg_state *st, rg_word *w)
{
    if (__builtin_expect(!rg_load(&st->domain->waiting), 1)) return;
    rg_slot *s = rg_slot_elsewhere(st); /* with the GIL, the one of all threads */
    if (s) rg_wake_slow(s, w);
}

bool rg_shared_get(ArrayObject *a, rg_word *w, uint64_t *value)
{
    if (!rg_before_shared(a->st, a, "get")) return false;
    *value = rg_load(w);
    if (__builtin_expect(!rg_is_ref(*value), 1)) return true;
    int me = rg_slot_for(a->segment, w);
    if (me < 0) return false;
    *value = rg_read(&a->segment->space, (unsigned)me, w);
    return true;
}

/* The result is made first: where there is no memory for it nothing may have happened. */
PyObject *rg_shared_swap(ArrayObject *a, rg_word *w, uint64_t value)
{
    if (!rg_before_shared(a->st, a, "set")) return NULL;
    int me = rg_slot_for(a->segment, w);
    if (me < 0) return NULL;
    const rg_space *sp = &a->segment->space;
    rg_backoff b = RG_BACKOFF_INIT;
    uint64_t old;
    PyObject *y;
    for (;;) {
        old = rg_read(sp, (unsigned)me, w);
        if (!(y = rg_int_object(old)) || old == value || rg_cas_once(rg_desc_at(sp, (unsigned)me), w, old, value)) break;
        Py_DECREF(y);
        rg_backoff_wait(&b);
    }
    if (y && old != value) rg_wake_shared(a->st, w);
    return y;
}

PyObject *rg_shared_add(ArrayObject *a, rg_word *w, uint64_t by)
{
    if (!rg_before_shared(a->st, a, "add")) return NULL;
    int me = rg_slot_for(a->segment, w);
    if (me < 0) return NULL;
    const rg_space *sp = &a->segment->space;
    rg_backoff b = RG_BACKOFF_INIT;
    PyObject *y;
    for (;;) {
        uint64_t old = rg_read(sp, (unsigned)me, w);
        int64_t sum = (int64_t)(old + by); /* both within 2^62: no wrap */
        if (sum > RG_INT_MAX || sum < RG_INT_MIN) {
            PyErr_SetString(PyExc_OverflowError, "the sum is out of the range of a word, -2**62 to 2**62 - 1");
            return NULL;
        }
        if (!(y = rg_int_object(old)) || rg_cas_once(rg_desc_at(sp, (unsigned)me), w, old, (uint64_t)sum)) break;
        Py_DECREF(y);
        rg_backoff_wait(&b);
    }
    if (y && by) rg_wake_shared(a->st, w);
    return y;
}

int rg_shared_cas(ArrayObject *a, rg_word *w, uint64_t old, uint64_t new_)
{
    if (!rg_before_shared(a->st, a, "compare_and_set")) return -1;
    int me = rg_slot_for(a->segment, w);
    if (me < 0) return -1;
    bool ok = rg_cas1(&a->segment->space, (unsigned)me, w, old, new_);
    if (ok && old != new_) rg_wake_shared(a->st, w);
    return ok;
}

/* ---- Mapping ----------------------------------------------------------------------------------- */

static PyObject *failed(int error, PyObject *name)
{
    switch (error) {
    case RG_SEG_UNFINISHED: /* an OSError that says: try again */
        errno = EAGAIN;
        return PyErr_SetFromErrno(PyExc_OSError);
    case RG_SEG_FOREIGN:
        return PyErr_Format(PyExc_ValueError, "the shared memory %R is not a Segment", name);
    case RG_SEG_OTHER_LAYOUT:
        return PyErr_Format(PyExc_ValueError, "the Segment %R was made by another version of this library", name);
    case RG_SEG_OTHER_PIDS:
        return PyErr_Format(PyExc_ValueError, "the Segment %R was made in another pid namespace (container): its processes and "
                                              "this one cannot tell of each other whether they live", name);
    default:
        errno = error;
        return PyErr_SetFromErrnoWithFilenameObject(PyExc_OSError, name);
    }
}

/* "/name", as shm_open wants it: new reference to bytes. The name was checked by lockfree.shm. */
static PyObject *path_of(PyObject *name)
{
    const char *utf8 = PyUnicode_AsUTF8(name);
    return utf8 ? PyBytes_FromFormat("/%s", utf8) : NULL;
}

/* Mapping(name, room): room None attaches. */
static PyObject *mapping_new(PyTypeObject *type, PyObject *args, PyObject *kw)
{
    static char *names[] = { "name", "room", NULL };
    PyObject *name, *room;
    if (!PyArg_ParseTupleAndKeywords(args, kw, "UO:Mapping", names, &name, &room)) return NULL;
    unsigned long long bytes = room == Py_None ? 0 : PyLong_AsUnsignedLongLong(room);
    PyObject *path = PyErr_Occurred() ? NULL : path_of(name);
    MappingObject *m = path ? (MappingObject *)type->tp_alloc(type, 0) : NULL;
    if (m) {
        int error;
        Py_BEGIN_ALLOW_THREADS /* takes pages, and may wait for the process's lock while a process forks */
        error = room == Py_None ? rg_segment_attach(PyBytes_AS_STRING(path), &m->segment)
                                : rg_segment_create(PyBytes_AS_STRING(path), bytes, &m->segment);
        Py_END_ALLOW_THREADS
        if (error) {
            m->segment = NULL;
            failed(error, name);
            Py_CLEAR(m);
        } else if (!(m->identity = Py_BuildValue("(KK)", (unsigned long long)m->segment->dev, (unsigned long long)m->segment->ino))) {
            /* Nobody would learn that it was made. */
            if (room != Py_None) rg_segment_unlink(PyBytes_AS_STRING(path), m->segment->dev, m->segment->ino);
            Py_CLEAR(m);
        } else {
            rg_segment_recover(m->segment);
        }
    }
    Py_XDECREF(path);
    return (PyObject *)m;
}

static void mapping_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    Py_XDECREF(((MappingObject *)self)->identity);
    if (((MappingObject *)self)->segment) rg_segment_close(((MappingObject *)self)->segment);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *mapping_unlink(PyObject *Py_UNUSED(type), PyObject *args)
{
    PyObject *name;
    unsigned long long dev, ino;
    if (!PyArg_ParseTuple(args, "U(KK):unlink", &name, &dev, &ino)) return NULL;
    PyObject *path = path_of(name);
    int error = path ? rg_segment_unlink(PyBytes_AS_STRING(path), dev, ino) : 0;
    if (error) failed(error, name);
    if (!path || error) {
        Py_XDECREF(path);
        return NULL;
    }
    Py_DECREF(path);
    Py_RETURN_NONE;
}

static PyObject *mapping_recover(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    return PyLong_FromUnsignedLong(rg_segment_recover(((MappingObject *)self)->segment));
}

static PyObject *mapping_room(PyObject *self, void *Py_UNUSED(c))
{
    return PyLong_FromUnsignedLongLong(rg_segment_room(((MappingObject *)self)->segment));
}

static PyObject *mapping_identity(PyObject *self, void *Py_UNUSED(c))
{
    return Py_NewRef(((MappingObject *)self)->identity);
}

static PyObject *mapping_handle(PyObject *self, void *Py_UNUSED(c))
{
    return PyLong_FromVoidPtr(((MappingObject *)self)->segment);
}

static PyObject *mapping_address(PyObject *self, void *Py_UNUSED(c))
{
    return PyLong_FromVoidPtr(((MappingObject *)self)->segment->head);
}

static PyObject *mapping_slots(PyObject *self, void *Py_UNUSED(c))
{
    rg_segment *s = ((MappingObject *)self)->segment;
    PyObject *owners = PyList_New(0);
    for (unsigned i = 0; owners && i < RG_SEG_SLOTS; i++) {
        uint64_t o = rg_load(&s->head->slots[i].desc.owner);
        PyObject *pid = o ? PyLong_FromLong((long)(o >> 32)) : NULL;
        if (o && (!pid || PyList_Append(owners, pid) < 0)) Py_CLEAR(owners);
        Py_XDECREF(pid);
    }
    return owners;
}

static PyMethodDef mapping_methods[] = {
    { "unlink", mapping_unlink, METH_VARARGS | METH_STATIC, PyDoc_STR("unlink(name, identity, /)\n--\n\n"
      "Remove the name, if it still is that memory's.") },
    { "recover", mapping_recover, METH_NOARGS, PyDoc_STR("recover($self, /)\n--\n\n"
      "Free the slots of processes that are gone, and finish what they left; returns how many.") },
    { "__reduce__", rg_refuse_pickle, METH_NOARGS, NULL },
    { NULL },
};
static PyGetSetDef mapping_getset[] = {
    { "room", mapping_room, NULL, PyDoc_STR("Bytes for arrays."), NULL },
    { "identity", mapping_identity, NULL, PyDoc_STR("Device and inode."), NULL },
    { "handle", mapping_handle, NULL, PyDoc_STR("The rg_segment, for lockfree._shared."), NULL },
    { "address", mapping_address, NULL, PyDoc_STR("Where this process has it."), NULL },
    { "slots", mapping_slots, NULL, PyDoc_STR("The pids of the owners of the slots that are taken."), NULL },
    { NULL },
};
static PyType_Slot mapping_slot_list[] = {
    { Py_tp_doc, "A shared memory in this process's address space; lockfree.shm.Segment is its face." },
    { Py_tp_new, mapping_new },
    { Py_tp_dealloc, mapping_dealloc },
    { Py_tp_methods, mapping_methods },
    { Py_tp_getset, mapping_getset },
    { 0, NULL },
};
PyType_Spec rg_mapping_spec = {
    .name = "lockfree.shm.Mapping",
    .basicsize = sizeof(MappingObject),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = mapping_slot_list,
};

int rg_shared_init(rg_state *st, PyObject *m)
{
    st->mapping_type = (PyTypeObject *)PyType_FromModuleAndSpec(m, &rg_mapping_spec, NULL);
    if (!st->mapping_type || PyModule_AddType(m, st->mapping_type) < 0) return -1;
    st->word_type = (PyTypeObject *)PyType_FromModuleAndSpec(m, &rg_word_spec, NULL);
    if (!st->word_type || PyModule_AddType(m, st->word_type) < 0) return -1;
    if (rg_add_methods(st, st->word_type, rg_shared_word_ops) < 0) return -1;
    PyObject *array = PyType_FromModuleAndSpec(m, &rg_array_spec, NULL);
    int r = array ? PyModule_AddType(m, (PyTypeObject *)array) : -1;
    Py_XDECREF(array);
    return r;
}
