#!/usr/bin/env bash
# Breaks csrc/core on purpose, one way at a time, on copies, and says which test notices.
#
#   tests/core/mutants.sh [NAME]...
#
# A line each: killed by what, or SURVIVED. A mutant that changes nothing or does not build is an
# error, not a kill. Exits non-zero unless all were killed.
#
# Changes that no test can see, found while this list was made, and therefore not in it:
# - read_entry and release_helped without their check of the sequence number: references are unique,
#   so the CAS with what was read misses (the check saves touching words of a later operation).
# - resolve_rdcss without the check of rseq: likewise.
# - rg_wait_register counting itself after linking: the validation that follows sees the change.
# - rg_wake_slow without the check of the mark: a waiter that leaves has changed its state first.
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
export RG_WARNINGS='' RG_HANG_SECONDS=${RG_HANG_SECONDS:-10} RG_TEST_SECONDS=${RG_TEST_SECONDS:-0.5}
wanted=("$@") killed=0 survived=0 errors=0

cp -r "$here/../../csrc/core" "$work/base"
# What fails on the core as it is would count as a kill.
if ! RG_CORE=$work/base "$here/run.sh" --mode plain >"$work/log" 2>&1; then
    grep -v '^ok' "$work/log"
    echo "the tests fail without any mutant"
    exit 2
fi

mutant() { # mutant NAME FILE SED MODE TEST REASON
    local name=$1 file=$2 edit=$3 mode=$4 test=$5 reason=$6 core=$work/core output by
    if [ ${#wanted[@]} -gt 0 ]; then [[ " ${wanted[*]} " = *" $name "* ]] || return; fi
    rm -rf "$core" && cp -r "$work/base" "$core"
    sed -i -E "$edit" "$core/$file"
    if cmp -s "$core/$file" "$work/base/$file"; then
        printf 'ERROR    %-24s the edit changes nothing\n' "$name"
        errors=$((errors + 1))
        return
    fi
    output=$(RG_CORE=$core "$here/run.sh" --mode "$mode" --only "$test" 2>&1)
    if [[ $output != *"does not build"* && $output != *librgcore.a* && $output = *" 0 failed" ]]; then
        output=$(RG_CORE=$core "$here/run.sh" 2>&1) # not that test: any of them?
    fi
    if [[ $output = *"does not build"* || $output = *librgcore.a* ]]; then
        printf 'ERROR    %-24s does not build\n%s\n' "$name" "$output"
        errors=$((errors + 1))
        return
    fi
    by=$(sed -n 's/^FAIL //p' <<<"$output" | head -3 | paste -sd ';')
    if [ -n "$by" ]; then
        printf 'killed   %-24s by %s (%s)\n' "$name" "$by" "$reason"
        killed=$((killed + 1))
    else
        printf 'SURVIVED %-24s (%s)\n' "$name" "$reason"
        survived=$((survived + 1))
    fi
}

# ---- k-CAS
mutant owner-keeps-rdcss kcas.c '/^static void release_owned/,/^}/s/if \(rg_is_ref\(v\) && rg_is_rdcss\(v\)\)/if (0)/' \
    plain gated_kcas.dangling_reference 'the owner leaves with an RDCSS reference to it on a word'
mutant rdcss-blind kcas.c 's/status == \(rg_ref_seq\(kref\) << 2 \| RG_UNDECIDED\) \? kref : old/(status, kref)/' \
    plain gated_kcas.late_rdcss 'RDCSS installs without asking whether it is decided'
mutant resolve-blind kcas.c 's/bool undecided = status == .*/bool undecided = (status, true);/' \
    plain gated_kcas.late_rdcss 'likewise, when somebody else resolves it'
mutant no-help kcas.c '/if \(\(status & 3\) == RG_UNDECIDED\) install_and_decide/d' \
    plain gated_kcas.owner_stalls_undecided 'nobody finishes an operation but its owner'
mutant no-help-release kcas.c '/^void rg_help/,/^}/s/^    release_helped\(.*//' \
    plain gated_kcas.owner_stalls_decided 'nobody releases but the owner'
mutant release-by-store kcas.c '/^static void release_owned/,/^}/s/rg_cas\(e\[i\]\.word, kref, (.*)\);$/rg_store(e[i].word, \1);/;/^static void release_owned/,/^}/s/if \(v == kref\) rg_store/rg_store/' \
    plain test_kcas 'the release is a store that asks nothing'
mutant release-check-then-store kcas.c '/^static void release_owned/,/^}/s/rg_cas\(e\[i\]\.word, kref, (.*)\);$/rg_store(e[i].word, \1);/' \
    plain gated_kcas.owner_stalls_decided 'the release looks, then stores'
mutant no-status-recheck kcas.c '/if \(rg_load\(&d->status\) != undecided\) return;/d' \
    plain gated_kcas 'installing goes on after the decision'
mutant no-verify kcas.c 's/installed < n \? verify\(.*\) : RG_SUCCEEDED/RG_SUCCEEDED/' \
    plain test_kcas.write_skew 'compares are not compared'
mutant verify-no-clocks kcas.c 's/if \(n - from == 1\) return RG_SUCCEEDED;/return RG_SUCCEEDED;/' \
    plain gated_compare.verify 'several compares, each at its own time'
mutant validate-no-clocks kcas.c '/^int rg_validate/,/^}/s/rg_clock_read\(sp, &after\) && after == before/(after = before, true)/' \
    plain gated_compare.snapshot 'a snapshot, each value at its own time'
mutant clock-odd-ignored kcas.c '/if \(c & 1\) return false;/d' \
    plain gated_compare.changes_under_way 'a change that has begun is not waited for'
mutant kcas-no-clock kcas.c 's/bool change = state == RG_SUCCEEDED;/bool change = false;/' \
    plain gated_compare.snapshot 'a k-CAS does not tick'
mutant cas-no-clock kcas.h '/^static inline bool rg_cas_once/,/^}/{/rg_clock_(begin|end)\(me\);/d}' \
    plain gated_compare.verify 'a CAS of one word does not tick'
mutant compares-wait kcas.c '/^static bool read_settled/,/^}/s/return false;/continue;/' \
    plain gated_compare.read_only_cycle 'each waits for the other to decide'
mutant conflict-fails kcas.c 's/return RG_CONFLICT;$/return RG_FAILED;/' \
    plain test_kcas 'both give up though nobody changed anything'
mutant unsorted kcas.c 's/^    sort_entries\(e, (w|n)\);//' \
    plain gated_kcas.opposite_orders 'opposite orders help each other for ever'
mutant decide-any kcas.c 's/^    rg_cas\(&d->status, seq << 2 \| RG_UNDECIDED, seq << 2 \| state\);/    if (!rg_cas(\&d->status, seq << 2, seq << 2 | state)) rg_cas(\&d->status, rg_load(\&d->status) \& ~3ULL, (rg_load(\&d->status) \& ~3ULL) | state);/' \
    plain gated_kcas.stale_decision 'a late helper decides the next operation'
mutant same-number kcas.c 's/uint64_t seq = \(\(rg_load_rlx\(&d->status\) >> 2\) \+ 1\) & RG_SEQ_MASK;/uint64_t seq = ((rg_load_rlx(\&d->status) >> 2) | 1) \& RG_SEQ_MASK;/' \
    plain gated_kcas.stale_decision 'the sequence number is not new'
mutant help-skips-entry kcas.c '/^static void install_and_decide/,/^}/s/for \(size_t i = 1; i < installed/for (size_t i = own ? 1 : 2; i < installed/' \
    plain gated_kcas.owner_stalls_undecided 'a helper forgets one word'
mutant undo-writes-new kcas.c 's/succeeded \? e\[i\]\.new_ : e\[i\]\.old/(succeeded, e[i].new_)/' \
    plain test_kcas.conservation 'a failed operation leaves its new values'
mutant cas-not-atomic access.h '/^static inline bool rg_cas\(/,/^}/s/return atomic_compare_exchange_strong_explicit.*/if (rg_load(p) != old) return false; rg_store(p, new_); return true;/' \
    plain test_kcas.conservation 'compare, then swap'
mutant chunk-overlap kcas.c 's/return chunk \+ \(i - \(RG_INLINE_ENTRIES << j\)\);/return chunk + (i % RG_INLINE_ENTRIES);/' \
    plain test_kcas.limits 'entries past the first chunk fall on each other'

# ---- reclamation
mutant free-at-once epoch.c '/it\.epoch \+ 2 > rg_load/d' plain test_epoch.pinned_holds_back 'no grace period'
mutant one-epoch epoch.c 's/it\.epoch \+ 2 > rg_load/it.epoch + 1 > rg_load/' plain test_epoch.pinned_holds_back 'half a grace period'
mutant advance-blind epoch.c '/if \(p && p != \(e << 1 \| 1\)\) return;/d' plain test_epoch.pinned_holds_back 'pins do not count'
mutant always-alone epoch.c 's/return rg_load\(&s->domain->active\) == 1;/return s != NULL;/' plain test_epoch.pinned_holds_back 'alone, it thinks'
mutant never-prompt epoch.h '/s->due = 1;/d' plain test_epoch.alone_is_prompt 'alone, yet it waits for company'
mutant reclaim-pinned epoch.c 's/if \(!s->reclaiming && !s->pins\)/if (!s->reclaiming)/' plain test_epoch.alone_is_prompt 'reclaims under its own pin'
mutant pin-no-fence epoch.h '/^static inline void rg_pin/,/^}/s/^        rg_fence\(\);/        rg_compiler_barrier();/' \
    plain gated_fence.a_pin_is_seen_before_what_follows 'the pin stays in the store buffer'
mutant advance-no-membarrier epoch.c 's/if \(!rg_asymmetric \|\| syscall\(SYS_membarrier, MEMBARRIER_PRIVATE, 0, 0\) != 0\) rg_fence\(\);/rg_fence();/' \
    plain test_membarrier 'nobody pays for the fence that pins do not have'
mutant unpin-relaxed epoch.h 's/rg_store_rel\(&s->epoch, 0\);/rg_store_rlx(\&s->epoch, 0);/' \
    tsan test_order.looks_before_free 'reads of the pinned section may come after it'
mutant scan-relaxed epoch.c 's/uint64_t p = rg_load_acq\(&o->epoch\);/uint64_t p = rg_load_rlx(\&o->epoch);/' \
    tsan test_order.looks_before_free 'the free may come before what it waited for'
mutant holders-ignored node.h 's/if \(\(rg_load_acq\(meta\) & RG_HOLDERS\) == 0 \|\| .*\) rg_node_free/(void)meta;\n    rg_node_free/' \
    plain test_epoch.holds 'the grace period frees what is held'
mutant last-holder-keeps node.h 's/& RG_HOLDERS\) == 3 &&/\& RG_HOLDERS) == 2 \&\&/' \
    plain test_epoch.holds 'who frees: the last holder'

mutant last-holder-frees node.h 's/rg_retire_lazily\(s, n, rg_node_reclaim\);/rg_node_free(s, n);/' \
    plain test_epoch.holds 'the last holder asks nobody'

# ---- threads and forks
mutant orphans-forgotten epoch.c '/^static void slot_release/,/^}/s/orphan_ring\(s\);//' plain test_threads.orphans_are_adopted 'garbage of threads that ended'
mutant slot-kept epoch.c '/^static void slot_release/,/^}/s/rg_store\(&s->desc\.owner, 0\);//' plain test_threads.short_lives 'slots of threads that ended'
mutant not-counted-out epoch.c '/^static void slot_release/,/^}/s/rg_fetch_add\(&d->active, .*//' plain test_threads.short_lives 'threads that ended still count'
mutant stale-slot epoch.h 's/rg_tls\.domain == d && rg_tls\.generation == rg_load_rlx\(&d->generation\)/rg_tls.domain == d/' \
    plain test_threads.domain_opened_again 'a slot of a domain that was closed'
mutant stale-lease epoch.c 's/return rg_load\(&l->domain->generation\) == l->generation;/return l != NULL;/' \
    plain test_threads.domain_opened_again 'a lease of a domain that was closed'
mutant fork-abandons-nothing epoch.c '/rg_desc_abandon\(&d->space/d' plain test_fork 'operations of lost threads'
mutant fork-clock-odd kcas.c '/if \(rg_load\(&d->clock\) & 1\) rg_store/d' plain test_fork.half_begun_and_half_ended 'a change under way for ever'
mutant fork-miscounts epoch.c 's/rg_store\(&d->active, active\);//' plain test_fork.half_begun_and_half_ended 'threads that the fork found half begun'
mutant fork-keeps-waiters epoch.c '/^void rg_domains_after_fork/,/^}/s/rg_buckets_reset\(d\);//' plain test_fork.amid_kcas 'waiters that are gone'

# ---- stack and queue
mutant pop-by-store stack.h 's/if \(rg_cas_once\(&s->desc, &st->head, h, (rg_load_rlx\(&n->next\))\)\)/if (rg_store(\&st->head, \1), true)/' \
    plain test_structures.pops_race 'two pops take one node'
mutant put-by-store queue.h 's/if \(rg_cas_once\(&s->desc, &t->next, 0, rg_node_word\(n\)\)\)/if (rg_store(\&t->next, rg_node_word(n)), true)/' \
    plain test_structures.queue_is_fifo 'two puts on one node'
mutant get-leaves-tail queue.h '/if \(rg_read\(sp, s->index, &q->tail\) == h\) rg_cas/d' plain test_structures.tail_is_helped 'tail falls behind head'
mutant value-of-dummy queue.h 's/\*value = rg_node_of\(next\)->value;/*value = rg_node_of(h)->value;/' plain test_structures.queue_is_fifo 'the payload of the node before'

# ---- waiters
mutant not-counted-in wait.c '/^void rg_wait_register/,/^}/s/rg_fetch_add\(&s->domain->waiting, 1\);//' plain test_wait.ball_of_two 'writers do not look'
mutant counted-for-ever wait.c '/rg_fetch_add\(&s->domain->waiting, \(uint64_t\)-1\);/d' plain test_wait.each_is_woken_once 'writers look for ever'
mutant wake-one wait.c 's/^            woken\+\+;/            woken++;\n            break;/' plain test_wait.each_is_woken_once 'only the first waiter is woken'
mutant no-sweep wait.c '/^bool rg_wait_leave/,/^}/s/sweep\(s, bucket\(s->domain, r->word\)\);//' plain test_wait.each_is_woken_once 'records stay'
mutant sweep-by-store wait.c 's/if \(!rg_cas\(at, cur, next & ~1ULL\)\) goto again;/rg_store(at, next \& ~1ULL);/' plain test_wait.crowd 'an unlink undoes another'
mutant register-by-store wait.c 's/\} while \(!rg_cas\(head, h, \(uint64_t\)\(uintptr_t\)r\)\);/} while (rg_store(head, (uint64_t)(uintptr_t)r), false);/' \
    plain test_wait.crowd 'two registrations, one record'
mutant waiter-freed-early wait.c 's/rg_fetch_add\(&w->linked, \(uint64_t\)-1\) == 1\)/rg_fetch_add(\&w->linked, (uint64_t)-1) > 0)/' \
    asan test_wait.each_is_woken_once 'freed with records still linked'

echo "$killed killed, $survived survived, $errors errors"
[ $survived = 0 ] && [ $errors = 0 ]
