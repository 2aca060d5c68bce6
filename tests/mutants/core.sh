# Mutants of csrc/core; sourced by run.sh.
#
# core_mutant NAME FILE SED MODE TEST REASON
# MODE: plain, tsan or asan with a test of tests/core; explore or weak with scenarios of tests/explore, weak also with
# one and a schedule
#
# Changes that no test can see, found while this list was made, and therefore not in it:
# - read_entry and release_helped without their check of the sequence number: references are unique,
#   so the CAS with what was read misses (the check saves touching words of a later operation).
# - resolve_rdcss without the check of rseq: likewise.
# - rg_wait_register counting itself after linking: the validation that follows sees the change.
# - rg_skip_link without the clock: a link that has changed so comes back to what it was only by a cut, which ticks.
# Orders of memory, each weakened to relaxed where the C says acquire or release (the others: order-* below):
# - fields of descriptors (kcas.c: status, counts, rseq, raddr, rold, rkref, the entries, chunks), one by one. A
#   reference comes from a word, by seq_cst CAS from behind the owner's stores, so whoever has one sees its operation's
#   fields or later ones. Who reads a later one must see that his operation was decided; else, in C11 though on no
#   machine that keeps an access behind the load of its address, a helper takes it for undecided and installs on a
#   word of the later one. That takes four rare choices in a window of a few steps, so no search finds it: order-entries
#   is told the schedule.
# - counts and raddr set back to 0: also read by rg_desc_abandon, in the child of a fork or by who has learnt of a
#   death, and no scenario forks.
# - rg_desc_at: who names a slot has its number from `high`, from a reference or from a claim of its own, all of them
#   seq_cst and after the block was published.
# - one of the two stores of rg_cas_once: the CAS releases the odd clock as well; the even one continues the release
#   sequence of the odd one. Both of them: order-clock.
# - rg_clock_begin and rg_clock_end: nothing but exclusive builds calls them.
# - the CAS with which a pusher learns that its offer was taken, which must be sequentially consistent even when it fails:
#   else, in C11, a load of head that follows may come before what the popper had done to head. Both are sequentially
#   consistent themselves, and the model of weak memory lets nobody read such a word's past.

# ---- k-CAS
core_mutant owner-keeps-rdcss kcas.c '/^static void release_owned/,/^}/s/if \(rg_is_ref\(v\) && rg_is_rdcss\(v\)\)/if (0)/' \
    plain gated_kcas.dangling_reference 'the owner leaves with an RDCSS reference to it on a word'
core_mutant rdcss-blind kcas.c '/^static bool install_by_rdcss/,/^}/s/bool undecided = status == .*/bool undecided = (status, true);/' \
    plain gated_kcas.late_rdcss_alone 'RDCSS installs without asking whether it is decided'
core_mutant resolve-blind kcas.c '/^static void resolve_rdcss/,/^}/s/bool undecided = status == .*/bool undecided = (status, true);/' \
    plain gated_kcas.late_rdcss 'likewise, when somebody else resolves it'
core_mutant no-help kcas.c '/^void rg_help/,/^}/s/if \(\(status & 3\) == RG_UNDECIDED\) \{/if (0) {/' \
    plain gated_kcas.owner_stalls_undecided 'nobody finishes an operation but its owner'
core_mutant no-help-release kcas.c '/^void rg_help/,/^}/s/^    release_helped\(.*//' \
    plain gated_kcas.owner_stalls_decided 'nobody releases but the owner'
core_mutant release-by-store kcas.c '/^static void release_owned/,/^}/s/if \(rg_cas\(e\[i\]\.word, kref, (.*)\)\) break;$/rg_store(e[i].word, \1);\n            break;/' \
    plain test_kcas 'the release is a store that asks nothing'
core_mutant release-check-then-store kcas.c '/^static void release_owned/,/^}/s/if \(rg_cas\(e\[i\]\.word, kref, (.*)\)\) break;$/if (rg_load(e[i].word) == kref) rg_store(e[i].word, \1);/' \
    plain gated_kcas.owner_stalls_decided 'the release looks, then stores'
core_mutant no-status-recheck kcas.c '/if \(rg_load\(&d->status\) != undecided\) return;/d' \
    plain gated_kcas 'installing goes on after the decision'
core_mutant no-verify kcas.c 's/installed < n \? verify\(.*\) : RG_SUCCEEDED/RG_SUCCEEDED/' \
    plain test_kcas.write_skew 'compares are not compared'
core_mutant verify-no-clocks kcas.c 's/if \(n - from == 1\) return RG_SUCCEEDED;/return RG_SUCCEEDED;/' \
    plain gated_compare.verify 'several compares, each at its own time'
core_mutant validate-no-clocks kcas.c '/^int rg_validate/,/^}/s/rg_clock_read\(sp, &after\) && after == before/(after = before, true)/' \
    plain gated_compare.snapshot 'a snapshot, each value at its own time'
core_mutant clock-odd-ignored kcas.c '/if \(c & 1\) return false;/d' \
    plain gated_compare.changes_under_way 'a change that has begun is not waited for'
core_mutant kcas-no-clock kcas.c 's/if \(state == RG_SUCCEEDED\)/if (0)/' \
    plain gated_compare.snapshot 'a k-CAS does not tick'
core_mutant cas-no-clock kcas.h '/^static inline bool rg_cas_once/,/^}/{/rg_store_rel\(&me->clock/d}' \
    plain gated_compare.verify 'a CAS of one word does not tick'
core_mutant compares-wait kcas.c '/^static bool read_settled/,/^}/s/return false;/continue;/' \
    plain gated_compare.read_only_cycle 'each waits for the other to decide'
core_mutant conflict-fails kcas.c 's/return RG_CONFLICT;$/return RG_FAILED;/' \
    plain test_kcas 'both give up though nobody changed anything'
core_mutant unsorted kcas.c 's/^    sort_entries\(e, (w|n)\);//' \
    plain gated_kcas.opposite_orders 'opposite orders help each other for ever'
core_mutant decide-any kcas.c 's/^        rg_cas_once\(mine, &d->status, seq << 2 \| RG_UNDECIDED, seq << 2 \| state\);/        { if (!rg_cas_once(mine, \&d->status, seq << 2, seq << 2 | state)) rg_cas(\&d->status, rg_load(\&d->status) \& ~3ULL, (rg_load(\&d->status) \& ~3ULL) | state); }/' \
    explore kcas.compares 'a late helper decides the next operation'
core_mutant same-number kcas.c 's/uint64_t seq = \(\(rg_load_rlx\(&d->status\) >> 2\) \+ 1\) & RG_SEQ_MASK;/uint64_t seq = ((rg_load_rlx(\&d->status) >> 2) | 1) \& RG_SEQ_MASK;/' \
    plain gated_kcas.stale_decision 'the sequence number is not new'
core_mutant help-skips-entry kcas.c '/^static void install_and_decide/,/^}/s/for \(size_t i = 1; i < installed/for (size_t i = own ? 1 : 2; i < installed/' \
    plain gated_kcas.owner_stalls_undecided 'a helper forgets one word'
core_mutant undo-writes-new kcas.c 's/succeeded \? e\[i\]\.new_ : e\[i\]\.old/(succeeded, e[i].new_)/' \
    plain test_kcas.conservation 'a failed operation leaves its new values'
core_mutant cas-not-atomic access.h '/^static inline bool rg_cas\(/,/^}/s/return atomic_compare_exchange_strong_explicit.*/if (rg_load(p) != old) return false; rg_store(p, new_); return true;/' \
    plain test_kcas.conservation 'compare, then swap'
core_mutant chunk-overlap kcas.c 's/return chunk \+ \(i - \(RG_INLINE_ENTRIES << j\)\);/return chunk + (i % RG_INLINE_ENTRIES);/' \
    plain gated_kcas.owner_of_many_stalls 'entries past the first chunk fall on each other'

# ---- reclamation
core_mutant free-at-once epoch.c '/it\.epoch \+ RG_GRACE > rg_load/d' plain test_epoch.pinned_holds_back 'no grace period'
core_mutant one-epoch epoch.c 's/it\.epoch \+ RG_GRACE > rg_load/it.epoch + 1 > rg_load/' plain test_epoch.pinned_holds_back 'half a grace period'
core_mutant advance-blind epoch.c '/if \(!quiesce\(o, p\)\) return false;/d' plain test_epoch.pinned_holds_back 'pins do not count'
core_mutant nobody-asked epoch.c 's/reclaim\(s, worth_asking\(s\)\)/reclaim(s, false)/' \
    plain test_epoch.memory_alone_can_wait 'an idle thread keeps for ever what others retire'
core_mutant asked-about-nothing epoch.c 's/reclaim\(s, worth_asking\(s\)\)/reclaim(s, true)/' \
    plain test_epoch.memory_alone_can_wait 'threads are interrupted for a handful of nodes'
core_mutant urgent-forgotten epoch.h 's/^    s->urgent = s->ring.tail;//' \
    plain test_epoch.memory_alone_can_wait 'a destructor waits for a thousand nodes'
core_mutant always-alone epoch.c 's/return rg_load\(&s->domain->active\) == 1;/return s != NULL;/' plain test_epoch.pinned_holds_back 'alone, it thinks'
core_mutant never-prompt epoch.h '/s->due = 1;/d' plain test_epoch.alone_is_prompt 'alone, yet it waits for company'
core_mutant reclaim-pinned epoch.c 's/^    if \(s->pins\) return;//' plain test_epoch.alone_is_prompt 'reclaims under its own pin'
core_mutant pin-no-fence epoch.h '/^static inline void rg_pin/,/^}/s/^        rg_fence\(\);/        rg_compiler_barrier();/' \
    plain gated_fence.a_pin_at_an_announced_epoch_too 'the pin stays in the store buffer'
core_mutant announce-no-fence epoch.h '/^static inline void rg_pin/,/^}/s/^    rg_fence\(\);/    rg_compiler_barrier();/' \
    plain gated_fence.a_pin_is_seen_before_what_follows 'the announcement stays in the store buffer'
core_mutant glance-no-fence epoch.h '/^static inline bool rg_glance\(/,/^}/s/^        rg_fence\(\);/        rg_compiler_barrier();/' \
    plain gated_fence.a_glance_too 'a glance stays in the store buffer'
core_mutant glance-announces-nothing epoch.h '/^static inline bool rg_glance\(/,/^}/s/if \(__builtin_expect\(s->pins \|\| .*, 0\)\) \{/if (s->pins) {/' \
    plain test_epoch.glances_need_an_announcement 'a glance at an epoch that was not announced'
core_mutant stays-announced epoch.c '/^static bool quiesce/,/^}/s/return .*/return !rg_load_acq(\&o->pinned);/' \
    plain test_membarrier 'who was seen unpinned need not announce anew'
core_mutant ahead-is-behind epoch.c '/if \(p > now\) return true;/d' plain gated_advance 'an epoch that has moved on proves something about later pins'
core_mutant waits-pinned epoch.c '/^void rg_lost_until/,/^}/s/if \(pins <= 1\)/if (0)/' plain test_epoch.losers_hold_nothing_back 'who waits after a loss holds the epoch back'
core_mutant advance-no-membarrier epoch.c 's/if \(!rg_asymmetric \|\| syscall\(SYS_membarrier, MEMBARRIER_PRIVATE, 0, 0\) != 0\) rg_fence\(\);/rg_fence();/' \
    plain test_membarrier 'nobody pays for the fence that pins do not have'
core_mutant unpin-relaxed epoch.h 's/rg_store_rel\(&s->pinned, 0\);/rg_store_rlx(\&s->pinned, 0);/' \
    tsan test_order.unpinned_looks_before_free 'reads of the pinned section may come after it'
core_mutant scan-relaxed epoch.c 's/return !rg_load_acq\(&o->pinned\)/return !rg_load_rlx(\&o->pinned)/' \
    tsan test_order.unpinned_looks_before_free 'the free may come before what it waited for'
core_mutant announce-relaxed epoch.h 's/rg_store_rel\(&s->epoch, e\);/rg_store_rlx(\&s->epoch, e);/' \
    tsan test_order.announced_looks_before_free 'reads of earlier sections may come after the announcement'
core_mutant announced-relaxed epoch.c 's/uint64_t p = rg_load_acq\(&o->epoch\);/uint64_t p = rg_load_rlx(\&o->epoch);/' \
    tsan test_order.announced_looks_before_free 'the free may come before what announced a new epoch'
core_mutant withdraw-relaxed epoch.h 's/rg_store_rel\(&s->epoch, 0\);/rg_store_rlx(\&s->epoch, 0);/' \
    tsan test_order.withdrawn_looks_before_free 'reads may come after the announcement is taken back'
core_mutant holders-ignored node.h 's/if \(\(rg_load_acq\(meta\) & RG_HOLDERS\) == 0 \|\| .*\) rg_node_free/(void)meta;\n    rg_node_free/' \
    plain test_epoch.holds 'the grace period frees what is held'
core_mutant wide-taken-for-narrow node.h 's/if \(__builtin_expect\(\(rg_load_rlx\(&n->meta\) & RG_WIDE\) != 0, 0\)\) \{/if (0) {/' \
    plain test_epoch.wide_nodes_stay_apart 'wide nodes end among the narrow ones'
core_mutant last-holder-keeps node.h 's/& RG_HOLDERS\) == 3 &&/\& RG_HOLDERS) == 2 \&\&/' \
    plain test_epoch.holds 'who frees: the last holder'

core_mutant last-holder-frees node.h 's/rg_retire_lazily\(s, n, rg_node_reclaim\);/rg_node_free(s, n);/' \
    plain test_epoch.holds 'the last holder asks nobody'

# ---- threads and forks
core_mutant orphans-forgotten epoch.c '/^static void slot_release/,/^}/s/orphan_ring\(s\);//' plain test_threads.orphans_are_adopted 'garbage of threads that ended'
core_mutant slot-kept epoch.c '/^static void slot_release/,/^}/s/rg_store\(&s->desc\.owner, 0\);//' plain test_threads.short_lives 'slots of threads that ended'
core_mutant not-counted-out epoch.c '/^static void slot_release/,/^}/s/rg_fetch_add\(&d->active, .*//' plain test_threads.short_lives 'threads that ended still count'
core_mutant stale-slot epoch.h 's/rg_tls\.domain == d && rg_tls\.generation == rg_load_rlx\(&d->generation\)/rg_tls.domain == d/' \
    plain test_threads.domain_opened_again 'a slot of a domain that was closed'
core_mutant stale-lease epoch.c 's/return rg_load\(&l->domain->generation\) == l->generation;/return l != NULL;/' \
    plain test_threads.domain_opened_again 'a lease of a domain that was closed'
core_mutant fork-abandons-nothing epoch.c '/rg_desc_abandon\(&d->space/d' plain test_fork 'operations of lost threads'
core_mutant fork-clock-odd kcas.c '/if \(rg_load\(&d->clock\) & 1\) rg_store/d' plain test_fork.half_begun_and_half_ended 'a change under way for ever'
core_mutant fork-miscounts epoch.c 's/rg_store\(&d->active, active\);//' plain test_fork.half_begun_and_half_ended 'threads that the fork found half begun'
core_mutant fork-keeps-waiters epoch.c '/^void rg_domains_after_fork/,/^}/s/rg_buckets_reset\(d\);//' plain test_fork.amid_kcas 'waiters that are gone'

# ---- stack and queue
core_mutant pop-by-store stack.h 's/rg_cas_once\(&s->desc, &st->head, h, below\)/(rg_store(\&st->head, below), 1)/' \
    plain test_structures.pops_race 'two pops take one node'
core_mutant put-by-store queue.h 's/!rg_cas_once\(&s->desc, &t->next, 0, rg_node_word\(n\)\)/(rg_store(\&t->next, rg_node_word(n)), 0)/' \
    plain test_structures.queue_is_fifo 'two puts on one node'
core_mutant get-leaves-tail queue.h 's/ 0\)\) rg_queue_take_tail_along\(.*/ 0)) {}/' plain test_structures.tail_is_helped 'tail falls behind head'
core_mutant size-of-two-instants queue.h '/^static inline uint64_t rg_queue_size/,/^}/s/if \(\(now = .*\) == head\)/now = head;/' explore queue.x-e \
    'an item is counted that was never there'
core_mutant get-tries-tail-once queue.h '/^static inline void rg_queue_take_tail_along/,/^}/s/    while \((.*) && !(rg_cas.*)\) \{\}/    if (\1) \2;/' \
    explore queue.cgf-x 'the same, where a reaction that fails has its reference on tail'
core_mutant value-of-dummy queue.h 's/\*value = rg_node_of\(next\)->value;/*value = rg_node_of(h)->value;/' plain test_structures.queue_is_fifo 'the payload of the node before'

core_mutant room-for-one-more queue.h 's/return rg_ahead\(head \+ rg_load_rlx\(&q->limit\), p\) >= 0;/return rg_ahead(head + rg_load_rlx(\&q->limit), p) >= -1;/' \
    explore bounded.p-p 'one more than maxsize'
core_mutant passed-too-far queue.h 's/rg_store_rlx\(&q->passed, head\);/rg_store_rlx(\&q->passed, head + 1);/' explore bounded.pp-g 'room that is not there yet'
core_mutant close-by-store queue.h 's/if \(rg_cas1\(&s->domain->space, s->index, link, 0, RG_QUEUE_CLOSED\)\) return link;/rg_store(link, RG_QUEUE_CLOSED);\n        return link;/' \
    explore bounded.shutdown.c-p 'an item that was put is cut off by the end'
core_mutant drain-leaves-open queue.h 's/\{ &last->next, end, RG_QUEUE_CLOSED \}/{ \&last->next, end, end }/' explore bounded.drain.d-p 'drained, and not closed'
core_mutant drain-leaves-tasks queue.h 's/\{ &q->done, done, done \+ finished \}/{ \&q->done, done, done }/' explore bounded.drain.d-t 'what was drained stays unfinished'
core_mutant drain-all-tasks queue.h 's/uint64_t finished = .*/uint64_t finished = *n;/' explore bounded.drain.d-t 'what was done with is done with again'
core_mutant task-by-add queue.h 's/return rg_cas_once\(&s->desc, &q->done, done, \*now\)/return rg_fetch_add(\&q->done, 1) + 1/' \
    explore bounded.tasks.t-t 'more done than were put'
core_mutant value-after-node queue.h '/^static inline rg_tried rg_queue_try_get/,/^}/{/^    \*value = /d;s/^    return (__builtin_expect\(rg_cas_once.*, 1\)) \? RG_TRIED_DONE : RG_TRIED_LOST;/    if (!\1) return RG_TRIED_LOST;\n    rg_unpin(s);\n    rg_pin(s);\n    *value = rg_node_of(next)->value;\n    return RG_TRIED_DONE;/}' \
    explore queue.gf-g 'the value is read when the node may have gone'

# ---- the work-stealing deque
core_mutant outgrown-is-looked-at chase_lev.h 's/ && rg_read\(sp, s->index, &d->array\) == array//' explore stealing.uoou-d.small 'what stands in an array that was outgrown passes for an item'
core_mutant last-popped-below chase_lev.h 's/return rg_cl_count\(state\) > 1 \? state - 1 : .*/return state - 1;/' explore stealing. 'the last item goes and top stays, so that what was read there may be another'

# ---- the bag
core_mutant bag-empty-in-turn bag.h 's/for \(unsigned i = 0; i < n; i\+\+\) any \|= heads\[i\];//' explore bag. 'its stacks were empty one after the other'
core_mutant bag-heads-in-turn bag.h 's/k = n == 1 \? RG_SUCCEEDED : .*/k = RG_SUCCEEDED;/' explore bag. 'what is counted was never there at once'

# ---- the skip list
core_mutant skip-down-marked skiplist.h '/if \(p->cur & RG_MARK\) goto again;/d' explore skiplist 'a search goes down from a removed tower'
core_mutant skip-resumes-blindly skiplist.h '/answered:/,/^            }/s/if \(next & RG_MARK\) goto again;//' \
    explore skiplist 'who has unpinned goes on from a tower that was removed'
core_mutant skip-upper-unmarked skiplist.h '/^static inline bool rg_tower_mark/,/^}/s/--l > 0;\) \{/l > RG_LEVELS;) {/' \
    plain test_skiplist 'only level 0 is marked'
core_mutant skip-tie-forgotten skiplist.h '/^static inline bool rg_skip_link/,/^}/s/^        rg_fetch_add\(&t->node.meta, RG_TIE\);//' \
    asan test_skiplist 'a tower is given back while it is linked above'
core_mutant skip-builder-untied skiplist.h 's/2 \* RG_TIE \| RG_WIDE/RG_TIE | RG_WIDE/' explore skiplist 'nobody waits for the builder'
core_mutant skip-never-tied skiplist.h '/^static inline bool rg_skip_link/,/^}/s/if \(rg_reserve\(s, 2\)\) rg_tower_untie\(s, sl, t\);//' \
    plain test_skiplist 'removed towers are kept for ever'
core_mutant skip-next-of-removed skiplist.h '/^static inline rg_sought rg_skip_next_cut/,/^}/s/if \(w & RG_MARK\) return RG_UNSURE;//' \
    explore skiplist.first-taken 'who stands on a tower that is swept goes on from there'
core_mutant skip-dead-unmarked skiplist.h '/^static inline bool rg_tower_mark/,/^}/s/v \| RG_MARK\)\) break;/v)) break;/' \
    plain test_skiplist 'a removed tower looks as one that is in'

# ---- the list
core_mutant list-no-mark list.h 's/next \| RG_REMOVED \}/next }/' plain test_list.by_hand 'a removed link is removed again'
core_mutant list-no-prev list.h '/rg_link_of\(next\)->prev, rg_link_word\(n\), prev \}/s/, prev \}/, rg_link_word(n) }/' \
    plain test_list.by_hand 'the neighbour still names the removed link'
core_mutant list-no-next list.h '/rg_link_of\(prev\)->next, rg_link_word\(n\), next \}/s/, next \}/, rg_link_word(n) }/' \
    plain test_list.by_hand 'the list still leads to the removed link'
core_mutant list-seq-early list.h '/^static inline void rg_list_append/,/^}/{s/^        n->seq = arrivals \+ 1;//;s/^    for \(;;\) \{/    n->seq = rg_read(sp, s->index, \&l->arrivals) + 1;\n    for (;;) {/}' \
    explore list.append-append 'a number from before the list was as it is'
core_mutant list-no-arrival list.h 's/arrivals, arrivals, arrivals \+ 1 \}/arrivals, arrivals, arrivals }/' plain test_list.by_hand 'nobody has arrived'
core_mutant list-next-by-plain-load list.h '/^static inline rg_link \*rg_list_next/,/^}/s/rg_read\(&s->domain->space, s->index, &n->next\)/((void)s, rg_load(\&n->next))/' \
    explore list.walk-append 'a descriptor is taken for a link'
core_mutant list-remove-unlinks-apart list.h '/^static inline bool rg_list_remove/,/^}/s/if \(rg_kcas\(sp, s->index, e, 3\) == RG_SUCCEEDED\) return true;/if (rg_kcas(sp, s->index, e, 1) == RG_SUCCEEDED) return rg_kcas(sp, s->index, e + 1, 2), true;/' \
    explore list.neighbours 'marked, then unlinked from neighbours that have changed'

# ---- elimination
core_mutant met-twice elimination.c 's/if \(!rg_cas\(place, w, RG_TAKEN\)\) \{/if (rg_store(place, RG_TAKEN), false) {/' \
    explore elimination.v-l-l 'two poppers take one offer'
core_mutant gives-up-by-store elimination.c 's/if \(rg_cas\(o\.place, o\.node, 0\)\) \{/if (rg_load(o.place) == o.node ? (rg_store(o.place, 0), true) : false) {/' \
    explore elimination.v-l 'an offer is taken back after it was taken'
core_mutant gives-up-for-good elimination.c '/^bool rg_eliminate_push/,/^}/s/^        deserted\(s\);\n?//;/^bool rg_eliminate_push/,/^}/s/if \(rg_cas\(o\.place, o\.node, 0\)\) \{/if (rg_cas(o.place, o.node, 0)) {\n        deserted(s);\n        return true;/' \
    plain test_structures.nobody_comes 'an offer taken back is never pushed'
core_mutant pushed-as-well elimination.c '/^bool rg_eliminate_push/,/^}/s/^    return true;/    return false;/' \
    explore elimination.v-l 'what a popper has is pushed too'
core_mutant popper-frees-place elimination.c 's/if \(!rg_cas\(place, w, RG_TAKEN\)\) \{/if (!rg_cas(place, w, 0)) {/' \
    explore elimination.v-lv.cached 'the address comes back to the place, and its first pusher takes it for its own'
core_mutant place-kept elimination.c '/^    rg_store_rlx\(o\.place, 0\);/d' explore elimination.v-l 'a place is never used again'
core_mutant offer-by-store elimination.c 's/if \(!rg_cas\(o\.place, 0, o\.node\)\) \{/if (rg_store(o.place, o.node), false) {/' \
    explore elimination.v-v-l 'two offers at one place'
core_mutant met-node-retired-too elimination.c '/^rg_node \*rg_eliminate_pop/,/^}/s/^    if \(!f\.met\) deserted\(s\);/    if (f.found \&\& rg_reserve(s, 1)) rg_retire_lazily(s, rg_node_of(f.found), rg_node_reclaim);/' \
    explore elimination.v-l 'a node that was taken is freed twice'
core_mutant met-node-lost elimination.c 's/^    return rg_node_of\(f\.found\);/    if (f.found) {\n        rg_node *n = rg_alloc(sizeof *n);\n        n->value = rg_node_of(f.found)->value;\n        return n;\n    }\n    return NULL;/' \
    explore elimination.v-l 'a node that was taken is never freed'
core_mutant taken-is-offered elimination.c 's/if \(w == 0 \|\| w == RG_TAKEN\) return false;/if (w == 0) return false;/' \
    explore elimination.v-l-l 'what has been taken is taken for a node'
core_mutant places-by-store elimination.c 's/if \(rg_cas\(home, was, \(uint64_t\)\(uintptr_t\)e\)\) return e;/rg_store(home, (uint64_t)(uintptr_t)e);\n    return e;/' \
    explore elimination.make 'two make places, and one lot is lost'
core_mutant places-of-the-parent elimination.c 's/if \(was && of_now\(s, places_at\(was\)\)\)/if (was)/' \
    plain test_structures.offers_of_before_a_fork 'a child takes what nobody answers for'
core_mutant old-places-lost elimination.c 's/older = places_at\(rg_load_rlx\(&e->older\)\);/older = NULL;/' \
    asan test_structures.offers_of_before_a_fork 'the places of before a fork are never freed'
core_mutant looked-without-a-loss stack.h '/^static inline rg_tried rg_stack_push/,/^}/s/if \(t == RG_TRIED_LOST && /if (/' \
    plain test_structures.without_a_loss_nothing 'who has lost nothing waits'
core_mutant places-never-fewer elimination.c 's/^static void deserted.*/static void deserted(rg_slot *s) { (void)s; }/' \
    plain test_structures.places_follow_the_crowd 'spread for ever, where nobody looks'
core_mutant places-never-more elimination.c '/^static void crowded/,/^}/s/^    if .*/    (void)s;/' \
    plain test_structures.places_follow_the_crowd 'all at one place'

# ---- waiters
core_mutant not-counted-in wait.c '/^void rg_wait_register/,/^}/s/rg_fetch_add\(&s->domain->waiting, w->n\);//' plain test_wait.ball_of_two 'writers do not look'
core_mutant counted-for-ever wait.c 's/rg_fetch_add\(&s->domain->waiting, \(uint64_t\)-1\);/{}/' plain test_wait.each_is_woken_once 'writers look for ever'
core_mutant wake-first-only wait.c '/^unsigned rg_wake_slow/,/^}/s/if \(r->word == word\) woken/if (r->word == word \&\& !woken) woken/' plain test_wait.each_is_woken_once 'only the first waiter is woken'
core_mutant never-taken-out wait.c '/^uint64_t rg_wait_leave/,/^}/s/rg_list_remove\(s, &r->link\)/false/' plain test_wait.each_is_woken_once 'records stay'
core_mutant waiter-freed-early wait.c 's/rg_fetch_add\(&w->linked, -n\) == n\)/rg_fetch_add(\&w->linked, -n) > 0)/' \
    asan test_wait.each_is_woken_once 'freed with records still linked'
core_mutant not-the-owners wait.c 's/linked, w->n \+ 1\)/linked, w->n)/;s/uint64_t mine = 1;/uint64_t mine = 0;/' plain test_wait.a_woken_waiter_is_its_owners 'freed by the waker while its owner waits'
core_mutant woken-stays-in wait.c '/^size_t rg_wake_some_slow/,/^}/s/if \(rg_reserve\(s, 1\)\)/if (0)/' plain test_wait.the_oldest_first 'who was woken is still in the way'
core_mutant wakes-all wait.c 's/ && woken < n;/;/' plain test_wait.the_oldest_first 'an item wakes everybody'
core_mutant passed-over-counts wait.c '/^size_t rg_wake_some_slow/,/^}/s/if \(!gone\) woken \+= rg_wait_notify\(([^;]*)\);/if (!gone) { rg_wait_notify(\1); woken++; }/' \
    plain test_wait.who_was_woken_otherwise_is_passed_over 'a wake-up is spent on who was woken already'
core_mutant child-spends wait.c 's/bool gone = rg_wait_forgotten\(s, r->waiter\);/bool gone = false;/' plain test_wait.the_child_wakes_its_own 'a wake-up is spent on who is gone'
core_mutant child-counts-down wait.c 's/if \(!rg_wait_forgotten\(s, r->waiter\)\) rg_fetch_add/rg_fetch_add/' plain test_wait.the_child_wakes_its_own 'records are counted out that are not in the count'
core_mutant called-pinned wait.c 's/^        s->due = 0; .*/        rg_call_woken(s);/' plain test_wait.later 'user code runs while something is pinned'
core_mutant never-called wait.c 's/^        s->due = 0; .*//' plain test_wait.later 'nobody looks whom to call'
core_mutant called-in-calls wait.c 's/if \(calling\) return;//' plain test_wait.later 'depth grows with the number of those who were woken'
core_mutant called-freed wait.c '/^bool rg_wait_notify/,/^}/s/rg_fetch_add\(&w->linked, 1\);.*//' asan test_wait.later 'it leaves, and is called when it is gone'
core_mutant newest-first wait.c 's/rg_list_first\(s, l\); (at && at->seq <= last && woken < n)/rg_list_at(l, rg_read(\&s->domain->space, s->index, \&l->prev)); \1/' \
    plain test_wait.the_oldest_first 'who came last is woken first'
core_mutant wake-some-looks-first wait.h '/^static inline size_t rg_wake_some/,/^}/s/rg_somebody_waits\(s\)/rg_load_rlx(\&s->domain->waiting)/' \
    weak wait.take 'the writer may look for waiters before it writes'

# ---- orders of memory
core_mutant order-unpin epoch.h 's/rg_store_rel\(&s->pinned, 0\);/rg_store_rlx(\&s->pinned, 0);/' \
    weak epoch.reader 'reads of the pinned section may come after it'
core_mutant order-quiesce epoch.c 's/return !rg_load_acq\(&o->pinned\)/return !rg_load_rlx(\&o->pinned)/' \
    weak epoch.reader 'the free may come before what it waited for'
core_mutant order-announce epoch.h 's/rg_store_rel\(&s->epoch, e\);/rg_store_rlx(\&s->epoch, e);/' \
    weak epoch.two-looks.membarrier 'reads of earlier sections may come after the announcement'
core_mutant order-announced epoch.c 's/uint64_t p = rg_load_acq\(&o->epoch\);/uint64_t p = rg_load_rlx(\&o->epoch);/' \
    weak epoch.two-looks 'the free may come before what announced a new epoch'
core_mutant order-withdraw epoch.h 's/rg_store_rel\(&s->epoch, 0\);/rg_store_rlx(\&s->epoch, 0);/' \
    weak stack.of-o 'reads may come after the announcement is taken back'
core_mutant order-expired node.h 's/\(rg_load_acq\(meta\) & RG_HOLDERS\)/(rg_load_rlx(meta) \& RG_HOLDERS)/' \
    weak stack.of-h 'the free may come before what the last holder did'
core_mutant order-clock kcas.h '/^static inline bool rg_cas_once/,/^}/s/rg_store_rel\(&me->clock/rg_store_rlx(\&me->clock/' \
    weak kcas.compare-two 'a clock is even again, and the change behind it not there'
core_mutant order-clock-read kcas.c 's/uint64_t c = rg_load\(/uint64_t c = rg_load_rlx(/' \
    weak kcas.compare-two 'likewise, at the reader'
core_mutant order-read kcas.h '/^static inline uint64_t rg_read/,/^}/s/rg_load\(w\)/rg_load_acq(w)/' \
    weak kcas.2-read 'reads that are not in one order with the CAS'
core_mutant order-settled kcas.c '/^static bool read_settled/,/^}/s/rg_load\(w\)/rg_load_acq(w)/' \
    weak kcas.compares 'likewise, of what is compared'
core_mutant order-status kcas.c '/^static bool install_by_rdcss/,/^}/s/rg_load\(&of->status\)/rg_load_acq(\&of->status)/' \
    weak kcas.dangling 'an RDCSS that does not see the decision before it'
core_mutant order-entries kcas.c '/^static bool read_entry/,/^}/s/rg_load_acq/rg_load_rlx/' \
    weak 'kcas.again-fails w,1,0*12,1*6,0*22,1*5,r2,1*7,e,1,r2,1*15,0*60' 'a helper installs an operation that is over, on a word of the next'
core_mutant order-scan-fence epoch.c '/^static bool advance/,/^}/s/^    rg_fence\(\);//' \
    weak epoch.reader 'the scan looks at announcements of before the unlinking'
core_mutant order-heavy-fence epoch.c 's/if \(!heavy\) heavy_fence\(\);//' \
    weak epoch.two-looks.membarrier 'a pin without a fence, and nobody makes it'
core_mutant order-pin-fence epoch.h '/^static inline void rg_pin/,/^}/s/^        rg_fence\(\);/        rg_compiler_barrier();/' \
    weak epoch.two-looks 'reads of the pinned section may come before it'
core_mutant order-announce-fence epoch.h '/^static inline void rg_pin/,/^}/s/^    rg_fence\(\);/    rg_compiler_barrier();/' \
    weak epoch.reader 'likewise, before the announcement'
core_mutant order-glance-fence epoch.h '/^static inline bool rg_glance\(/,/^}/s/^        rg_fence\(\);/        rg_compiler_barrier();/' \
    weak epoch.glance 'likewise, before a glance'
core_mutant order-alone epoch.c 's/return rg_load\(&s->domain->active\) == 1/return rg_load_rlx(\&s->domain->active) == 1/' \
    weak epoch.come-and-go 'alone, and what the others did may come after the free'
core_mutant order-owner epoch.c '/^static void slot_release/,/^}/s/rg_store\(&s->desc\.owner/rg_store_rlx(\&s->desc.owner/' \
    weak epoch.claims 'a slot is taken over without what its owner left in it'
core_mutant order-waiting wait.h 's/rg_load\(&s->domain->waiting\)/rg_load_acq(\&s->domain->waiting)/' \
    weak wait.one 'the writer may look for waiters before it writes'
core_mutant order-push stack.h '/^static inline rg_tried rg_stack_try_push/,/^}/s/rg_load\(&st->head\)/rg_load_rlx(\&st->head)/' \
    weak stack.push-push 'a node without its contents'
core_mutant order-pop stack.h '/^static inline rg_tried rg_stack_try_pop/,/^}/s/rg_load\(&st->head\)/rg_load_rlx(\&st->head)/' \
    weak stack.push-pop 'a node without its contents'
core_mutant order-offered elimination.c 's/if \(!rg_cas\(o\.place, 0, o\.node\)\) \{/if (rg_load_rlx(o.place) != 0 || (rg_store_rlx(o.place, o.node), false)) {/' \
    weak elimination.v-l 'a node without its contents'
core_mutant order-places elimination.c 's/uint64_t was = rg_load_acq\(home\);/uint64_t was = rg_load_rlx(home);/' \
    weak elimination.make 'places without their contents'
core_mutant order-put-tail queue.h 's/uint64_t tail = rg_load\(&q->tail\);$/uint64_t tail = rg_load_rlx(\&q->tail);/' \
    weak queue.put-put 'a node without its contents'
core_mutant order-get-head queue.h 's/uint64_t h = rg_load\(&q->head\)/uint64_t h = rg_load_rlx(\&q->head)/' \
    weak queue.pg-pg 'an old head: items that are long gone'
core_mutant order-get-next queue.h 's/uint64_t next = rg_load\(&\(\*old\)->next\)/uint64_t next = rg_load_rlx(\&(*old)->next)/' \
    weak queue.put-get 'a node without its contents'

# ---- the list and the heap below a record
core_mutant record-freed-at-once record.h '/^static inline bool rg_record_watched/,/^}/s/return rg_load\(.*/return (void)s, false;/' \
    explore heap.g-g 'a version is freed while another thread looks at it'
core_mutant order-record record.h '/^static inline rg_wide \*rg_record_glimpse/,/^}/s/rg_load\(root\)/rg_load_rlx(root)/' \
    weak heap.p-p 'a record without its contents'
core_mutant record-watched-before heap.h '/^static inline rg_record_tried rg_heap_finish\(/,/^}/{s/^    if \(__builtin_expect\(!rg_heap_build/    bool watched = rg_record_watched(s);\n&/;s/^    bool watched = rg_record_watched\(s\);$//}' \
    explore heap.gp-age 'a thread that arrives amid a get finds what is freed'
core_mutant order-record-watched record.h '/^static inline bool rg_record_watched/,/^}/s/rg_load\(/rg_load_rlx(/' \
    weak heap.gp-age 'who has arrived before the swap is not seen after it'
core_mutant record-limit-ignored record.h '/^static inline bool rg_record_full/,/^}/s/rg_record_size\(r\) >= limit/rg_record_size(r) > limit/' \
    plain test_heap.bounds_and_rules 'one item too many'
core_mutant heap-unstable heap.h 's/bool a = rg_heap_is_newer\(m->a, m->b\);/bool a = true;/' \
    plain test_heap.like_a_model 'equals come out in any order'
core_mutant heap-numbers-unwrapped heap.h 's/return \(int64_t\)\(\(rg_node_position.*/return rg_node_position(\&n->node) > rg_node_position(\&than->node);/' \
    plain test_heap.numbers_wrap 'numbers that begin anew are taken for older'
core_mutant heap-unbiased heap.h 's/\(l >= r \? left : below\)/(left)/;s/\(l >= r \? below : left\)/(below)/' \
    plain test_heap.like_a_model 'spines as long as the heap'
core_mutant heap-kinds-mixed heap.h 's/ && x >> RG_HEAP_KIND_SHIFT == y >> RG_HEAP_KIND_SHIFT && x >> RG_HEAP_KIND_SHIFT\)/)/' \
    plain test_heap.like_a_model 'a hint is compared with none'
core_mutant heap-lost-kept heap.h '/^static inline rg_record_tried rg_heap_finish\(/,/^}/s/rg_heap_unmake\(s, m, 0\);//' \
    explore heap.g-g 'what a try that has lost has made is left'
core_mutant heap-path-kept heap.h '/^static inline rg_record_tried rg_heap_finish\(/,/^}/s/if \(m->at\[i\] != &m->item\) rg_record_retire.*/;/' \
    explore heap.pp-pg 'the nodes that were replaced stay'
core_mutant heap-goes-on heap.h 's/return rg_record_of\(s, root\) == m->record;/return (void)rg_record_of(s, root), true;/' \
    explore heap.G-gf 'a merge goes on in a version that has gone'
core_mutant heap-unheld heap.h 's/\{ rg_node_hold\(&m->record->node\); \}/{ (void)m; }/;s/^    rg_node_release\(s, &m->record->node\);.*//' \
    explore heap.G-gfp.cached "the record's address comes back while it is asked"
# ---- the deque
core_mutant deque-links-unset deque.h '/^static inline bool rg_deque_set_links/,/^}/s/if \(!rg_deque_set_link\(.*\)\) return false;/(void)s, (void)d, (void)a;/' \
    explore deque.t-d 'links that a reaction has left are set by nobody'
core_mutant deque-settled-blind deque.h 's/^    return __builtin_expect\(set, 1\) \|\| rg_deque_settle.*/    return (void)s, (void)d, (void)set, true;/' \
    explore deque.a-d.1 'built on a record whose link is not set yet'
core_mutant deque-link-store deque.h 's/if \(rg_cas\(link, x, rg_wide_word\(to\)\) && x/if ((rg_store(link, rg_wide_word(to)), true) \&\& x/' \
    explore deque. 'a late helper overwrites a newer link'
core_mutant deque-link-no-recheck deque.h '/if \(rg_load\(&d->anchor\) != a\) return false;/d' \
    explore deque. 'a helper sets the link of a node that was popped meanwhile'
core_mutant deque-tomb-early deque.h '/^static inline void rg_deque_let_go/,/^}/s/if \(p->last\) \{/rg_deque_retire(s, rg_wide_word(p->node));\n    if (0) {/' \
    explore deque. 'a popped node is freed while its neighbour still names it'
core_mutant deque-tomb-kept deque.h 's/if \(rg_cas\(link, x, rg_wide_word\(n\)\)\) rg_deque_retire\(s, x\);/(void)rg_cas(link, x, rg_wide_word(n));/' \
    explore deque.aca-c 'what a link has named is never freed'
core_mutant deque-base-wrong deque.h 's/unsigned base = !e\.mark \? RG_BASE_NONE : /unsigned base = /' \
    explore deque. 'back to a node that is not the record of what was'
core_mutant deque-record-kept deque.h 's/^    rg_deque_retire\(s, p->record\);//' \
    explore deque. 'records are never freed'
core_mutant deque-walk-one-way deque.h 's/if \(at\[i\] == rg_wide_word\(w\)\) return true;/if (at[i] == rg_wide_word(w) || i == 0) return true;/;s/^    w = v->end\[RG_AT_RIGHT\];$/    return true;/' \
    explore deque.s- 'a copy of several instants'
core_mutant deque-own-held deque_exclusive.h 's/\(meta & RG_HOLDERS\) == 2/(meta \& RG_HOLDERS) >= 2/' \
    plain test_deque_exclusive.like_a_model 'a record that somebody holds is changed in place'
core_mutant deque-own-replaced deque_exclusive.h 's/if \(__builtin_expect\(a != own, 0\)\) return false;//' \
    plain test_deque_exclusive.like_a_model 'a record that is not the anchor is changed'
core_mutant deque-own-link-kept deque_exclusive.h '/^        rg_store_rlx\(rg_deque_link\(in, side\), 0\);/d' \
    plain test_deque_exclusive.like_a_model 'a link at an end names what has gone'
core_mutant deque-own-released deque_exclusive.h 's/^    rg_node_hold\(&record->node\);//' \
    plain test_deque_exclusive.makes_one_record 'the deque does not hold its own record'
core_mutant deque-own-links-unset deque_exclusive.h 's/\(void\)rg_deque_set_links\(s, d, a, &v\);//' \
    plain test_deque_exclusive.like_a_model 'a record with links that are not set is changed in place'
core_mutant order-deque-push deque.h '/ rg_deque_try_push\(/,/^}/s/uint64_t a = rg_load\(&d->anchor\)/uint64_t a = rg_load_rlx(\&d->anchor)/' \
    weak deque.a-a.1 'a node without its contents'
core_mutant order-deque-pop deque.h '/ rg_deque_try_pop\(/,/^}/s/uint64_t a = rg_load\(&d->anchor\)/uint64_t a = rg_load_rlx(\&d->anchor)/' \
    weak deque.a-c 'a node without its contents'
# ---- the hash table
core_mutant hash-size-unread hash.h '/^static inline __attribute__\(\(always_inline\)\) rg_sight/,/^}/s/return rg_load\(&t->size\) == size \? RG_SIGHT_MISSING : RG_SIGHT_BLURRED;/return RG_SIGHT_MISSING;/' \
    explore hash.grow-look 'a look ends at a bucket that has split off meanwhile'
core_mutant hash-insert-anywhere hash_body.h '/^rg_quad \*rg_hash_seek/,/^}/s/if \(rg_load\(&t->size\) == p->size\) return NULL;/return NULL;/' \
    explore hash.grow-bind 'a node goes in behind the bucket of another'
core_mutant hash-unmarked-unlink hash_body.h '/^static void mark/,/^}/s/w \| RG_UNLINKING\)\) return;/w)) return;/' \
    explore hash.behind-the-removed 'a node goes out while another goes in behind it'
core_mutant hash-count-late hash_body.h '/^bool rg_hash_bind/,/^}/s/if \(rg_kcas\(space_of\(s\), s->index, e, 2\) == RG_SUCCEEDED\) return true;/if (rg_kcas(space_of(s), s->index, e, 1) == RG_SUCCEEDED) { rg_fetch_add(count, (uint64_t)(int64_t)by); return true; }/' \
    explore hash.count 'the count comes after the binding'
core_mutant hash-half-a-bucket hash_body.h '/^static rg_word \*made/,/^}/s/rg_kcas\(space_of\(s\), s->index, e, 2\);/{ if (rg_cas(bucket, 0, w)) rg_cas(link, w, link_to(bucket)); (void)e; }/' \
    explore hash.bucket 'a bucket is in use before it is in the list'
core_mutant hash-free-at-once hash_body.h 's/if \(rg_cas\(link, \(uint64_t\)\(uintptr_t\)n, next\)\) rg_retire\(s, n, t->gone\);/if (rg_cas(link, (uint64_t)(uintptr_t)n, next)) t->gone(s, n);/;s/^            rg_retire\(s, n, t->gone\);/            t->gone(s, n);/' \
    explore hash.remove 'a node is freed as it leaves the list'
core_mutant hash-resumes-blindly hash.h '/^static inline bool rg_hash_resume/,/^}/s/if \(!\(rg_read.*return true;/return true;/' \
    explore hash.free-ask 'who has unpinned goes on from a node that was removed'
core_mutant hash-grows-by-count hash_body.h 's/grow_in_turn\(s, t, rg_hash_of\(n\)\)/(void)n, rg_hash_grown(s, t)/' \
    plain test_hash 'a count that goes up by twos is never looked at'
core_mutant hash-front-of-run hash_body.h '/^rg_quad \*rg_hash_seek/,/^}/s/if \(hash == p->hash\) \{/if (hash == p->hash \&\& 0) {/' \
    explore hash.bind-bind 'nobody looks whether the key is there'
