/* cache.h - a cache that knows which of its entries was used longest ago: the parts of LRUCache and lru_cache in C.
 *
 * The rest is a composition of reagents (lockfree/lru.py): a Map of entries by key, and a PriorityQueue of as many
 * places as there may be entries, by the time of their last use. Here is what a hit needs, which moves nothing in any
 * order: it leaves a stamp on the entry. The queue knows each entry by an older stamp, perhaps; who takes it from
 * there to evict it sees that it has a newer one, and puts it back with that. So the one that goes is the one
 * with the oldest stamp.
 *
 * Stamps are given by clocks, one for the threads of some slots, so that hits of different threads do not meet.
 * A clock counts hits; of n clocks the i-th shows i modulo n, so no two ever give the same stamp, and each goes up, so
 * with one thread the order is exact. A miss sets all clocks to what the fastest shows: whatever was used before a
 * miss has an older stamp than what is used after it. Between two misses, uses by different threads are in no order.
 */
#ifndef RG_CACHE_H
#define RG_CACHE_H

#include "table.h"

/* An entry is a Ref to its value, and has a key that never changes. */
typedef struct EntryObject {
    WordObject value; /* first */
    rg_word stamp;
    PyObject *key;
    uint64_t hash;
} EntryObject;

typedef struct rg_clock {
    _Alignas(RG_CACHE_LINE) rg_word time;
    rg_word skipped; /* steps of it that were no hits */
} rg_clock;

typedef struct CacheObject {
    PyObject_HEAD
    rg_state *st;
    PyObject *weakrefs;
    PyObject *parts; /* a Ref to a tuple: the Map, first, and its order */
    PyObject *read;  /* parts.read */
    rg_clock *clocks;
    uint64_t n_clocks; /* a power of two */
    rg_word misses, hits_before, misses_before; /* since the last clearing: less so many */
    bool plain; /* unbounded: the Map has values, not entries, and no stamps are needed */
} CacheObject;

/* New reference to the value of the key, of which this was a use; NULL: a miss, or an error is set. */
PyObject *rg_cache_hit(CacheObject *, PyObject *key, uint64_t hash);
void rg_cache_missed(CacheObject *);
/* An entry that was used just now. */
PyObject *rg_cache_entry(CacheObject *, PyObject *key, uint64_t hash, PyObject *value);
/* Of a plain one. False: error set. */
bool rg_cache_set(CacheObject *, PyObject *key, uint64_t hash, PyObject *value);
void rg_cache_stats(CacheObject *, uint64_t *hits, uint64_t *misses);

#endif
