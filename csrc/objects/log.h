/* log.h - a reaction: what it has read, what it would write, and what it owns meanwhile.
 *
 * An entry is made at the first read of a word. Invariants:
 *   old    what was read; never changes. The commit requires the word to hold it still.
 *   cur    what a later step sees. dirty: it was written; then, for objects, the reaction owns a
 *          reference to it.
 *   held   the reaction keeps `old` (and the node that the word lives in) alive by a reference of
 *          its own. Otherwise they are good only until the next unpin. Everything is held before
 *          user code runs and before parking, so that no address can come back while it counts.
 * Words whose node is private (allocated by this reaction) leave the log when that node does.
 */
#ifndef RG_LOG_H
#define RG_LOG_H

#include "state.h"

/* WORD_FLAG: 0 or 1, a bool. WORD_ARRIVALS: of a channel's side (channel.h), logged when nobody there was of use. */
typedef enum { WORD_OBJECT, WORD_INT, WORD_NODE, WORD_ARRIVALS, WORD_FLAG } rx_kind;

/* Of a structure: those who wait for an item, or those who wait for room for one; and the structure, which holds this. */
typedef struct rg_takers {
    rg_list list; /* first: the state of a waiter names it */
    PyObject *of;
} rg_takers;

/* Which word of a structure with takers: what its change says of the number of items. */
enum {
    PART_NONE,
    PART_STACK_HEAD,
    PART_QUEUE_HEAD,
    PART_QUEUE_LINK,
    PART_EVERYONE, /* all takers are to look */
    PART_PERMITS, /* sync.h: a number of permits */
    PART_OWNER,   /* of an RLock; 0: free */
    PART_COUNTED, /* chase_lev.h: the low bits say how many items */
    PART_SIGNALS, /* of a condition's group: what PART_SIGNALS_OF counts */
};
#define PART_SIGNALS_OF(w) ((int64_t)((w) & 0x7fffffff))

typedef struct rx_entry {
    rg_word *word;
    uint64_t old, cur;
    rg_node *home; /* node that the word is in, or NULL */
    rg_takers *takers; /* of the structure, where part says that there is one */
    rg_takers *room;   /* the same, of a bounded one: takers of the places that its items leave */
    uint8_t kind, dirty, held, private_, part;
    uint8_t vacant; /* `old` says that the structure was empty, and a step has blocked for that: waiting, it is one of
                     * the takers; who wrote to it or looked past its own gets waits for the word */
    uint8_t full;   /* the same of a full one, and `room`; several entries may say it together */
    uint8_t looked; /* a step wanted more of `old` than that: any change of it matters */
    int32_t gained; /* commit.c: items that its change added; less than 0: took */
} rx_entry;

typedef struct rx_undo {
    size_t entry;
    uint64_t cur;
    uint8_t dirty;
} rx_undo;

/* A node that the reaction unlinks, and a payload whose reference it gives up; either may be NULL. */
typedef struct rx_unlinked {
    rg_node *node;
    PyObject *value;
    rg_word *named; /* not NULL: the node is the one that this word names once the reaction has happened; or none */
} rx_unlinked;

typedef struct rx_action {
    PyObject *f, *x;
    int party; /* whose it is */
} rx_action;

enum { FRAME_SEQUENCE = -1, FRAME_CUT = -2, FRAME_JOIN = -3 };

/* A continuation frame; frames are immutable, so a choice keeps its own by index alone. */
typedef struct rx_frame {
    Reagent *node;
    Py_ssize_t next;  /* frame to go on with afterwards, or -1 */
    Py_ssize_t index;    /* together: which part is running; else FRAME_... */
    Py_ssize_t previous; /* together: frame whose `value` is the result before, or -1; cut: the choice;
                          * join: the join, and `next` is the part whose result comes here */
    PyObject *x, *value; /* owned */
} rx_frame;

/* Where to go back to. */
typedef struct rx_mark {
    size_t undos, frames, nodes, unlinked, actions, kept, log;
} rx_mark;

typedef enum { CHOICE_CUT, CHOICE_ALTERNATIVES, CHOICE_MATCH, CHOICE_RECRUIT } rx_choice_kind;

typedef struct rx_choice {
    rx_choice_kind kind; /* CHOICE_CUT: no alternative is left */
    int party;
    Reagent *node;
    Py_ssize_t index; /* next alternative; match: the next strand to look at; recruit: the strand that seeks */
    Py_ssize_t k;
    PyObject *x; /* owned */
    size_t passed; /* of attempt(), in company: how many choices there were when it came through; 0: it has not */
    struct rx_saved *saved; /* the strands as they were; NULL: there was one alone (world.h) */
    uint64_t seq, arrivals; /* recruit: the last offer looked at, and the side's arrivals before that */
    size_t from, to;        /* recruit: offers at hand, in world.recruits */
    rx_mark mark;
} rx_choice;

/* A growing array that begins in the reaction itself. */
#define RX_ARRAY(T, inline_n) \
    struct {                  \
        T *at;                \
        size_t n, cap;        \
        T first[inline_n];    \
    }

#include "world.h"

typedef struct rx {
    rg_state *st;
    rg_slot *slot;
    const rg_space *space; /* of the words in the log; NULL: none yet */
    unsigned me;           /* my slot in that space */
    bool pinned, has_nodes, validated;
    bool grown;   /* some array has left its place here */
    bool explored; /* the thread is: it hands over between steps (explore.h) */
    bool exposed; /* a k-CAS has named our words: helpers may know private nodes */
    bool over;    /* nothing that was read counts any more: whatever comes next, the log goes */
    bool many;    /* there are strands beside the one that runs, or parties: `world` is in use */
    bool passed;  /* some choice of attempt() was, see evaluate.c */
    bool orphaned; /* some endpoint's partner is gone for ever */
    int party;    /* whose strand runs */
    struct Offer *mine; /* the reaction's own offer, once it has waited; or the catalyst that it is */
    rg_takers *owes; /* a wake-up, which it got as one of these; with a reference to `of`. See park.c */
    size_t *index; /* hash of entries by word once they are many; 0: empty */
    size_t index_mask;
    RX_ARRAY(rx_entry, 8) log;
    RX_ARRAY(rx_undo, 8) undos;
    RX_ARRAY(rx_frame, 8) frames;
    RX_ARRAY(rx_choice, 4) choices;
    RX_ARRAY(rg_node *, 4) nodes; /* allocated here */
    RX_ARRAY(rx_unlinked, 4) unlinked;
    RX_ARRAY(rx_action, 4) actions;
    RX_ARRAY(PyObject *, 16) drops; /* references to give up once unpinned */
    RX_ARRAY(PyObject *, 4) kept;   /* reagents made on the way */
    RX_ARRAY(PyObject *, 4) traces; /* binding.h; first those of the turn before that this one has not met yet */
    size_t old_traces;              /* how many these are */
    rx_world world;
} rx;

/* Words private to the process (the interpreter, really), or in a Segment? With the GIL accesses to
 * the former are plain ones; words that other processes share need the real ones. */
static inline bool rx_private_space(rx *r, const rg_space *space) { return space == &r->st->domain->space; }
#ifdef RG_EXCLUSIVE
#define RX_PLAIN(r, space) rx_private_space(r, space)
/* Does who was faster run at the same time? Waiting for it with the GIL would be in its way. */
static inline bool rx_contended(rx *r) { return r->space && !rx_private_space(r, r->space); }
#else
#define RX_PLAIN(r, space) ((void)(r), (void)(space), true) /* there is one kind of access, and it is inline */
static inline bool rx_contended(rx *r) { return (void)r, true; }
#endif
static inline uint64_t rx_word_value(rx *r, const rg_space *space, unsigned me, rg_word *w)
{
    return RX_PLAIN(r, space) ? rg_read(space, me, w) : rg_shared_read(space, me, w);
}
static inline int rx_kcas(rx *r, rg_cas_entry *c, size_t n)
{
    return RX_PLAIN(r, r->space) ? rg_kcas(r->space, r->me, c, n) : rg_shared_kcas(r->space, r->me, c, n);
}
/* csrc/shared: this thread's slot in the Segment of r->space into r->me. False: RuntimeError, none is left. */
bool rx_find_shared_slot(rx *r);

bool rx_grow(rx *, void *array, size_t size, size_t more, void *first);
/* Room for more in an array of r; false with MemoryError set. */
#define RX_ROOM(arr, more) \
    (__builtin_expect((arr).n + (more) <= (arr).cap, 1) || rx_grow(r, &(arr), sizeof *(arr).at, more, (arr).first))

void rx_init(rx *, rg_state *);
void rx_free(rx *); /* everything was given back */
bool rx_pin_slow(rx *);
static inline bool rx_pin(rx *r)
{
    /* Looked up each time: a generator-based scheduler may carry a reaction to another thread. */
    r->slot = rg_at_hand(r->st);
    if (__builtin_expect(!r->slot || (r->space && !rx_private_space(r, r->space)), 0)) return rx_pin_slow(r);
    rg_pin(r->slot);
    return r->pinned = true;
}
static inline void rx_unpin(rx *r)
{
    if (!r->pinned) return;
    r->pinned = false;
    rg_unpin(r->slot);
}

/* To be dropped when no Python code can hurt. Room for RX_STEP_DROPS is made before each step, and for
 * all that going back gives up before it goes. */
#define RX_STEP_DROPS 4
void rx_drop_later(rx *, PyObject *);
/* What is inert goes at once. */
static inline void rx_drop(rx *r, PyObject *o)
{
    if (!o) return;
    if (rg_is_inert(o))
        Py_DECREF(o);
    else
        rx_drop_later(r, o);
}
void rx_flush_drops(rx *);

/* The entry of a word, read now if it is new. NULL: error set (a word of another space; memory). */
rx_entry *rx_read(rx *, const rg_space *, unsigned me, rg_word *, rx_kind, rg_node *home);
/* The entry of a word that is in the log, or NULL. */
rx_entry *rx_find(rx *, rg_word *);
/* A word of the process held `value` when it was looked at before: RX_DONE, or RX_RETRY if the log knows better. */
rx_outcome rx_note(rx *, rg_word *, rx_kind, uint64_t value);
/* Process-private words. */
static inline rx_entry *rx_read_private(rx *r, rg_word *w, rx_kind kind, rg_node *home)
{
    return rx_read(r, &r->st->domain->space, r->slot->index, w, kind, home);
}
/* A later step sees `value`; takes over a reference for objects. False: MemoryError. */
bool rx_write(rx *, rx_entry *, uint64_t value);
rg_node *rx_new_node(rx *, PyObject *value); /* owns a new reference to value */
rg_wide *rx_new_wide(rx *, PyObject *value); /* the same; value may be NULL */
bool rx_is_private(rx *, rg_node *);
bool rx_unlink(rx *, rg_node *, PyObject *value);
bool rx_unlink_named(rx *, rg_word *);
/* The entry is of this part of a structure. */
static inline void rx_is_part(rx_entry *e, rg_takers *t, int part)
{
    e->takers = t;
    e->part = (uint8_t)part;
}
/* And the structure is bounded: what its change takes away is room for those who wait for that. */
static inline void rx_has_room(rx_entry *e, rg_takers *room) { e->room = room; }

/* What a k-CAS over the log came to; RX_ERROR with an error set if it did not fit. */
rx_outcome rx_outcome_of(rx *, int k);
/* Do all entries hold at one instant what was read? RX_DONE, RX_RETRY, RX_ERROR. Pinned. */
rx_outcome rx_validate(rx *);
bool rx_equal_by_value(rx *);
void rx_hold_all(rx *);
/* park.c: the wake-up that it owes has served: an item was taken, or there is none. */
void rx_used_wakeup(rx *);
/* Before an error message is made, which may run user code (a repr): what follows is RX_ERROR. Of an error that what was read
 * has led to, not the answer of user code: rx_leave instead, or stay pinned (rx_error_was_stale), for the log may be stale. */
static inline void rx_settle(rx *r)
{
    rx_hold_all(r);
    rx_unpin(r);
}

rx_mark rx_here(rx *);
bool rx_room_to_roll_back(rx *, rx_mark); /* for what the rollback will drop, and the latest choice if it goes then */
void rx_rollback(rx *, rx_mark);
/* Rolled back to the start: a step sees what was read, again. There is room to drop what was written. */
void rx_unwrite(rx *);
void rx_pop_choice(rx *);
/* Gives up everything but drops; the reads too. */
void rx_reset(rx *);
/* The same, to try again: the traces of this turn stay for one more (binding.h); and if its waiter is registered, what
 * that is registered with stays alive. */
void rx_restart(rx *, bool registered);
/* RX_DONE: it happened, and writers' waiters were woken, those too whom the reaction owed it if it used that up. RX_RETRY: nothing happened. Pinned. */
rx_outcome rx_commit(rx *);

/* Around whatever may run Python code: leave, do it, come back with its result (or NULL). Other
 * than RX_DONE from rx_leave means: do not do it; from rx_return: y was given back. */
rx_outcome rx_leave(rx *);
rx_outcome rx_return(rx *, PyObject *y);
/* Call user code from a step: f(args). RX_DONE with *result, RX_RETRY (the log was stale: the
 * result is dropped) or RX_ERROR. */
rx_outcome rx_call(rx *, PyObject *f, PyObject *const *args, size_t nargs, PyObject **result);

#endif
