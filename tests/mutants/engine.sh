# Mutants of csrc/objects; sourced by run.sh.
#
# engine_mutant NAME FILE SED NEEDS TEST REASON
# NEEDS: any, or the build of Python without which nobody can see it (gil, free).
#
# A change that no test can see, and therefore not in it:
# - rg_try (a direct call that may not wait) without the validation of what it has read: such a call is
#   one pop, get or peek, whose log holds one word when it blocks, and one read is one instant. The
#   validation is there for direct calls that will read more.

T=tests

# ---- opacity and choice
engine_mutant leave-unvalidated commit.c 's/if \(!r->validated && r->log\.n > 1\)/if (0)/' any $T/test_opacity.py \
    'a function is shown two states at once'
engine_mutant validate-nothing log.c '/^static bool holds_now/,/^}/s/if \(rg_read\(.*\) != .*\) return false;/;/' any $T/test_opacity.py \
    'a log whose words have changed is valid'
engine_mutant left-reads-dropped evaluate.c 's/^        rx_rollback\(r, c->mark\);/        rx_rollback(r, c->mark);\n        r->log.n = 0;\n        r->space = NULL;/' \
    any $T/test_honest_choice.py 'why the left branch could not is forgotten'
engine_mutant writes-survive-rollback log.c '/^void rx_rollback/,/^}/s/^        e->cur = u\.cur;//' any "$T/test_choice.py $T/test_choice_laws.py $T/test_log.py" \
    'what a branch not taken wrote is committed'
engine_mutant hard-choice evaluate.c 's/o = backtrack\(r, &s, base, nested\);/o = RX_BLOCK;/' any $T/test_choice.py 'a choice never tries the right side'
engine_mutant no-cut evaluate.c 's/^            pass\(r, \(size_t\)f\.previous, nested\);/            ;/' any $T/test_guard_attempt_computed.py \
    'attempt() gives its default although its reagent came through'
engine_mutant retry-blocks evaluate.c 's/if \(o == RX_BLOCK\) o = backtrack/if (o == RX_BLOCK || o == RX_RETRY) o = backtrack/' \
    any "$T/test_choice.py $T/test_guard_attempt_computed.py $T/test_honest_choice.py $T/test_linearizability.py $T/test_conservation.py" \
    'contention is reported as blocked'

# ---- commit
engine_mutant reads-not-compared commit.c '/^rx_outcome rx_commit/,/^}/s/for \(size_t i = 0; i < n; i\+\+\) c\[i\] = .*/{ size_t m = 0; for (size_t i = 0; i < n; i++) if (r->log.at[i].cur != r->log.at[i].old) c[m++] = (rg_cas_entry){ r->log.at[i].word, r->log.at[i].old, r->log.at[i].cur }; n = m; }/' \
    any $T/test_write_skew.py 'what was only read is not part of the commit'
engine_mutant last-word-forgotten commit.c 's/int k = rx_kcas\(r, c, n\);/int k = rx_kcas(r, c, n > 2 ? n - 1 : n);/' any "$T/test_conservation.py $T/test_log.py $T/test_pair.py" \
    'one of k words is not swapped'
engine_mutant any-value-equal log.c '/^bool rx_equal_by_value/,/^}/s/\|\| !rg_same\(was, is\)\) return false;/) return false;/' any "$T/test_ref.py $T/test_opacity.py $T/test_write_skew.py $T/test_conservation.py" \
    'a changed value is taken for the same'
engine_mutant own-write-unseen queue.c '/^bool rg_queue_next_of/,/^}/s/\*next = \(\*entry\)->cur;/*next = (*entry)->old;/' any "$T/test_queue.py $T/test_log.py" \
    'a get does not see the put of the same reaction'
engine_mutant tail-left-behind queue.c 's/^    o = move_tail\(r, q, dummy, next\);/    o = RX_DONE;/' any "$T/test_queue.py $T/test_log.py $T/test_conservation.py" \
    'tail falls behind head'
engine_mutant commit-wakes-nobody commit.c 's/if \(waiters\) wake_waiters\(r\);//' any $T/test_blocking.py 'a reaction that changes a word wakes nobody'
engine_mutant unlinked-kept commit.c 's/if \(u\.value\) rg_decref_late\(r->slot, u\.value\);//;s/^        rx_drop\(r, u\.value\);//' any $T/test_refleaks.py \
    'a popped item keeps one reference for ever'

# ---- actions and errors
engine_mutant actions-survive-rollback log.c '/^void rx_rollback/,/^}/s/while \(r->actions\.n > m\.actions\)/while (0)/' any $T/test_post_commit.py \
    'the actions of a branch not taken run'
engine_mutant actions-stop engine.c 's/PyObject \*e = rg_fetch_error\(\);/PyObject *e = rg_fetch_error();\n        m->n_actions = i + 1;/' any $T/test_post_commit.py \
    'an action that fails stops the others'
engine_mutant stale-errors-raised engine.c 's/\(o == RX_ERROR && !rx_error_was_stale\(r\)\)/o == RX_ERROR/' any "$T/test_opacity.py $T/test_errors.py $T/test_log.py" \
    'an error out of a stale log reaches the caller'

# ---- waiting
engine_mutant park-unvalidated park.c '/rg_wait_register/,/rx_unpin/s/rx_outcome o = rx_validate\(r\);/rx_outcome o = RX_DONE;/' any $T/test_blocking.py \
    'a change between reading and registering wakes nobody'
# The window is open without the GIL only: with it nothing runs between the two. It is a few instructions wide, so
# the mutant takes its time there.
engine_mutant registers-late park.c '/^rx_outcome rx_register/,/^}/{s/bool offers = false;/bool offers = false;\n    rg_waiter *late = NULL;/;s/^        rg_wait_register\(r->slot, w\);/        late = w;/;s/^    rx_outcome o = rx_validate\(r\);/    rx_outcome o = rx_validate(r);\n    nanosleep(\&(struct timespec){ 0, 50000 }, NULL);\n    if (late) rg_wait_register(r->slot, late);/}' \
    free $T/test_blocking.py 'the waiter is registered after the validation'
engine_mutant parks-for-ever park.c 's/if \(!r->log\.n\) return refuse\(r, t\);//' any "$T/test_blocking.py $T/test_errors.py" \
    'a reaction that nothing can wake waits'
engine_mutant interrupt-ignored park.c 's/if \(Py_MakePendingCalls\(\) < 0 \|\| PyErr_CheckSignals\(\) < 0\) return RX_ERROR;//' any "$T/test_interrupt.py $T/test_signals.py" \
    'a blocked reaction cannot be interrupted'

engine_mutant waiter-left-behind park.c '/^rx_outcome rx_park/,/^}/s/^    rx_leave_waiter\(r, t\);/    if (o != RX_ERROR) rx_leave_waiter(r, t);/' any "$T/test_interrupted_waits.py $T/test_interrupt.py" \
    'a wait that ends with an exception stays registered'

engine_mutant not-passed-on park.c '/^void rx_pass_on/,/^}/s/if \(s\) rg_wake_some/if (0) rg_wake_some/' any $T/test_wake_one.py \
    'who was woken and takes nothing lets the others wait'
engine_mutant kept-by-waiting park.c '/^static void settle_debt/,/^}/s/if \(\(e->vacant .*\) rx_used_wakeup/if (e) rx_used_wakeup/' any $T/test_wake_one.py \
    'who waits again for something else keeps the wake-up'
engine_mutant kept-by-committing commit.c 's/\(e->vacant \|\| n < 0\)/1/' any $T/test_wake_one.py \
    'who has looked, or put, keeps the wake-up'
engine_mutant not-owed-unless-woken park.c '/^rx_outcome rx_park/,/^}/s/^        rx_pass_on\(r\);/        if (r->owes) rx_used_wakeup(r);/' any $T/test_wake_one.py \
    'a wait that ends otherwise just as it is woken keeps the wake-up'
engine_mutant own-empty-is-empty queue.c 's/e->vacant \|= !head;/e->vacant = 1;/' any $T/test_wake_one.py \
    'who has taken all there is waits as one who found nothing'
engine_mutant own-empty-stack stack.c 's/head->vacant \|= !head->old;/head->vacant = 1;/' any $T/test_wake_one.py \
    'who has taken all there is waits as one who found nothing'
engine_mutant own-empty-bag bag.c 's/vacant &= !e->old;//' any $T/test_wake_one.py \
    'the last item of a bag, which the reaction itself would take, counts as none to the others who wait'
engine_mutant putters-are-takers queue.c '/^bool rg_queue_next_of/,/^}/s/rx_is_part\(\*entry, &q->takers, PART_QUEUE_LINK\);/rx_is_part(*entry, \&q->takers, PART_QUEUE_LINK);\n    (*entry)->vacant |= !(*entry)->old;/' \
    any $T/test_wake_one.py 'who has put waits for an item'
engine_mutant one-for-three commit.c 's/case PART_QUEUE_LINK: return 1;/case PART_QUEUE_LINK: return !e->private_;/' any $T/test_wake_one.py \
    'three items wake one'
engine_mutant stack-growth commit.c 's/case PART_STACK_HEAD: return position\(e->cur\) - position\(e->old\);/case PART_STACK_HEAD: return 1;/' any $T/test_wake_one.py \
    'a push wakes one, however many items it adds'
engine_mutant put-wakes-no-taker queue.c 's/rg_wake_added\(s, &q->takers\.list, /rg_wake(s, /' any $T/test_wake_one.py 'a direct put wakes nobody'

# ---- bounded queues, their end, their tasks
B="$T/test_bounded_queue.py" E="$T/test_queue_shutdown.py"
engine_mutant get-wakes-no-putter queue.c 's/rg_wake_added\(s, &q->room\.list, /rg_wake(s, /' any $B 'a direct get wakes nobody'
engine_mutant commit-wakes-no-putter commit.c 's/if \(e->room && e->gained < 0\)/if (0)/' any $B 'a composed get wakes nobody'
engine_mutant three-places-for-one commit.c 's/\(size_t\)-e->gained/1/' any $B 'three gets wake one'
engine_mutant own-full-is-full queue.c 's/if \(head->dirty \|\| rx_is_private\(r, last\)\) return RX_BLOCK;.*//' any $B \
    'who has filled it itself waits as one who found no room'
engine_mutant looked-forgotten queue.c 's/^    head->looked = 1;//' any $B 'who wants another first item waits for room'
engine_mutant place-kept commit.c 's/\(e->full \|\| n > 0\)/1/' any $B 'who has looked keeps the wake-up'
engine_mutant own-gets-no-room queue.c '/^static rx_outcome room_behind/,/^}/s/rg_node_of\(head->cur\)/rg_node_of(head->old)/' any $B \
    'a get makes no room for the put after it'
engine_mutant growth-wakes-nobody queue_type.c '/^static int queue_set_maxsize/,/^}/s/rg_wake_some\(.*//' any $B 'room that a larger maxsize makes'
engine_mutant end-wakes-no-getter queue_tasks.c 's/rg_wake_some\(s, &q->takers\.list, ALL\);//' any $E 'who waits for an item sleeps through the end'
engine_mutant end-wakes-no-putter queue_tasks.c 's/rg_wake_some\(s, &q->room\.list, ALL\);//' any $E 'who waits for room sleeps through the end'
engine_mutant end-wakes-no-joiner queue_tasks.c '/^static void wake_all/,/^}/s/rg_wake_some\(s, &q->joiners\.list, ALL\);//' any $E 'who joins sleeps through the end'
engine_mutant end-of-a-stale-state queue.c '/^rx_outcome rg_queue_error/,/^}/s/rx_outcome o = rx_leave\(r\);/rx_settle(r);\n    rx_outcome o = RX_DONE;/;s/return rx_return\(r, NULL\);/return RX_ERROR;/' any $E \
    'the end is shown to a reaction whose reads do not hold'
engine_mutant joins-each-task queue_tasks.c 's/^        e->vacant \|= !e->dirty;.*//' any $E 'who joins is woken by each task'
engine_mutant refusal-of-a-stale-state work_stealing.c '/^static rx_outcome not_owner/,/^}/s/rx_outcome o = rx_leave\(r\);/rx_settle(r);\n    rx_outcome o = RX_DONE;/;s/return rx_return\(r, NULL\);/return RX_ERROR;/' any $T/test_work_stealing.py \
    'a thief is refused for what does not hold any more'
engine_mutant swap-of-a-stale-state evaluate.c 's/if \(\(o = rx_leave\(r\)\) != RX_DONE\) return o;.*/rx_settle(r);/' any $T/test_direct_style_races.py 'a swap is refused for what does not hold any more'
engine_mutant own-puts-are-done queue_tasks.c 's/if \(rg_ahead\(puts, done\) > 0\) return RX_BLOCK;//' any $E 'join does not see the put of its own reaction'

engine_mutant kept-is-dropped log.c '/^void rx_rollback/,/^}/s/^    r->unlinked\.n = m\.unlinked;/    r->unlinked.n = m.unlinked;\n    while (r->kept.n) rx_drop(r, r->kept.at[--r->kept.n]);/' any $T/test_wake_one.py \
    'the log names words that are gone'

engine_mutant timeout-restarts park.c '/^static rx_outcome wait_for_lock/,/^}/{s/^    for \(;;\) \{/    int64_t whole = deadline - rg_monotonic_ns();\n    for (;;) {/;s/us = \(deadline - rg_monotonic_ns\(\) \+ 999\)/us = (whole + 999)/}' any $T/test_interrupted_waits.py \
    'each signal starts the time anew'

# ---- channels, catalysts, direct style
engine_mutant offer-left-behind engine.c 's/if \(o != RX_DONE && rg_offer_take_back\(mine\)\) \{/if (o == RX_BLOCK \&\& rg_offer_take_back(mine)) {/' any $T/test_channel.py \
    'an offer stays after an error'
engine_mutant partner-not-in-commit engine.c 's/if \(o == RX_DONE && __builtin_expect\(r->many \|\| r->mine, 0\)\) o = rx_add_offers\(r\);/if (0) o = RX_DONE;/' any "$T/test_channel.py $T/test_rendezvous.py $T/test_explored_rendezvous.py" \
    'partners are used without their states in the k-CAS'
engine_mutant own-offer-not-taken-back offer.c 's/if \(o == RX_DONE && r->mine\) o = add.*/if (0) o = RX_DONE;/' any "$T/test_channel.py $T/test_rendezvous.py $T/test_explored_rendezvous.py" \
    'who finds a partner while registered leaves its offer'
engine_mutant recruited-twice rendezvous.c 's/if \(r->world\.parties\.at\[i\]\.offer == o && !o->catalyst\) return true;/if (0) return true;/' any "$T/test_channel.py $T/test_rendezvous.py $T/test_explored_rendezvous.py" \
    'one offer is two parties'
engine_mutant own-offer-recruited rendezvous.c 's/if \(o == r->mine\) return true;/;/' any "$T/test_channel.py $T/test_rendezvous.py $T/test_explored_rendezvous.py $T/test_exchanger.py" \
    'a reaction meets its own offer'
engine_mutant one-match-only rendezvous.c '/^rx_outcome rx_choose_again/,/^}/s/if \(dual_from\(w, i, &i\)\) \{/if (0) {/' any "$T/test_channel.py $T/test_rendezvous.py $T/test_explored_rendezvous.py" \
    'the next match is not tried'
engine_mutant no-staying-unmatched rendezvous.c '/^rx_outcome rx_choose_again/,/^    rg_list \*offers/s/return rx_next_strand\(r, s\);/return RX_BLOCK;/' any "$T/test_channel.py $T/test_rendezvous.py $T/test_explored_rendezvous.py" \
    'a strand that could match never waits for another'
engine_mutant arrivals-not-logged rendezvous.c '/^static rx_outcome seek/,/^}/s/rx_outcome noted = .*/rx_outcome noted = RX_DONE;/' any "$T/test_channel.py $T/test_exchanger.py" \
    'nobody there, and the log does not say so'
engine_mutant arrivals-after-looking rendezvous.c '/^rx_outcome rx_choose_again/,/^}/s/rx_outcome noted = .*/rx_outcome noted = RX_DONE;/' any "$T/test_channel.py $T/test_rendezvous.py $T/test_explored_rendezvous.py" \
    'those who are of no use are the reason, and the log does not say so'
engine_mutant own-arrival-is-news park.c 's/if \(e && e->old \+ 1 == .*//' any "$T/test_exchanger.py $T/test_channel.py" \
    'its own arrival makes a log stale'
engine_mutant withdrawn-is-open offer.c 's/^bool rx_is_open\(rx \*r, Offer \*o\) \{ return .*/bool rx_is_open(rx *r, Offer *o) { PyObject *v = state_now(r->slot, o); return v == r->st->offered || v == r->st->withdrawn; }/;s/if \(\(PyObject \*\)\(uintptr_t\)e->old != r->st->offered\) return RX_RETRY;//' any "$T/test_channel.py $T/test_rendezvous.py $T/test_explored_rendezvous.py $T/test_catalyst.py" \
    'who has withdrawn is met'
engine_mutant partner-not-told engine.c '/^static void take_over/,/^}/s/^            rg_offer_notify\(.*/            ;/' any "$T/test_channel.py $T/test_rendezvous.py $T/test_explored_rendezvous.py" \
    'an answered partner sleeps on'
engine_mutant actor-not-told engine.c '/^static bool conclude/,/^}/s/rg_offer_notify\(s, o\);/;/' any "$T/test_channel.py $T/test_rendezvous.py $T/test_explored_rendezvous.py" \
    'a partner whose actions have run sleeps on'
engine_mutant actions-before-ready engine.c '/^static bool conclude/,/^}/s/rg_store\(&o->ready, 1\);/;/;s/return !rg_load\(&t->mine->ready\);/return 0;/' any "$T/test_channel.py $T/test_rendezvous.py $T/test_explored_rendezvous.py" \
    'a partner waits for ever for its actions'
engine_mutant actions-of-partners-lost engine.c '/^static void run_actions/,/^}/s/PyObject \*y = PyObject_CallOneArg\(a\.f, a\.x\);/PyObject *y = a.party ? Py_NewRef(Py_None) : PyObject_CallOneArg(a.f, a.x);/' any "$T/test_channel.py $T/test_rendezvous.py $T/test_explored_rendezvous.py" \
    'actions of partners never run'
engine_mutant actions-of-partners-twice engine.c '/^static void run_actions/,/^}/s/PyObject \*y = PyObject_CallOneArg\(a\.f, a\.x\);/PyObject *y = PyObject_CallOneArg(a.f, a.x);\n        if (a.party) { Py_XDECREF(y); y = PyObject_CallOneArg(a.f, a.x); }/' any "$T/test_channel.py $T/test_rendezvous.py $T/test_explored_rendezvous.py" \
    'actions of partners run twice'
engine_mutant join-too-early evaluate.c 's/if \(--j->left\) return RX_BLOCK;/if (--j->left > 1) return RX_BLOCK;/' any "$T/test_channel.py $T/test_rendezvous.py $T/test_explored_rendezvous.py" \
    'a join goes on without its last part'
engine_mutant partner-error-is-ours evaluate.c 's/party > 0, 0\)\) o = rx_fail_party\(r, party\);/0, 0)) o = RX_ERROR;/' any "$T/test_channel.py $T/test_rendezvous.py $T/test_explored_rendezvous.py" \
    "a partner's error is raised here"
engine_mutant cut-by-a-match evaluate.c 's/r->choices\.at\[choice\]\.passed = r->choices\.n;/r->choices.at[choice].kind = CHOICE_CUT;/' any $T/test_channel.py \
    'attempt() waits where its partner could not end'
engine_mutant gone-unseen channel.c 's/if \(!last\) rg_list_disturb\(s, &side->offers\);//' any $T/test_channel.py \
    'who is about to wait is not told that nobody can come'
engine_mutant gone-untold channel.c 's/^            rg_wait_notify\(s, .*/            ;/' any "$T/test_channel.py $T/test_catalyst.py" \
    'who waits is not told that nobody can come'
engine_mutant catalyst-after-cancel offer.c '/^rx_outcome rx_add_offers/,/^}/s/o = add\(r, p->offer, p->offer->catalyst \? NULL : p->result\);/if (!p->offer->catalyst) o = add(r, p->offer, p->result);/' any "$T/test_catalyst.py $T/test_explored_rendezvous.py" \
    'a catalyst is used after it was cancelled'
engine_mutant catalyst-used-up offer.c '/^rx_outcome rx_add_offers/,/^}/s/p->offer->catalyst \? NULL : p->result/p->result/' any "$T/test_catalyst.py $T/test_explored_rendezvous.py" \
    'a catalyst is used once'
engine_mutant catalyst-not-refreshed catalyst.c 's/^static void woken\(rg_waiter \*w\) \{ .*/static void woken(rg_waiter *w) { (void)w; (void)give_turn; }/' any "$T/test_catalyst.py $T/test_explored_rendezvous.py" \
    'a catalyst does not see what changes'
engine_mutant turn-lost catalyst.c 's/rg_cas\(&c->turning, TURNING, AGAIN\)\) return;/1) return;/' any "$T/test_catalyst.py $T/test_explored_rendezvous.py" \
    'a change during its turn gives it no other'
engine_mutant catalysts-alone offer.h 's/if \(!r->mine \|\| !r->mine->catalyst\) return false;/return false;/' any "$T/test_catalyst.py $T/test_explored_rendezvous.py" \
    'catalysts react with each other'
engine_mutant cancel-stays-registered catalyst.c '/^static PyObject \*catalyst_cancel/,/^}/s/give_turn\(c\);/;/' any "$T/test_catalyst.py $T/test_explored_rendezvous.py" \
    'a cancelled catalyst stays registered'
engine_mutant unwinding-swallowed direct.c 's/^    if \(fate != RX_DONE\) \{/    if (fate != RX_DONE \&\& !z) {/' any $T/test_direct_style.py \
    'who swallows the unwinding commits'
engine_mutant unwound-goes-on direct.c 's/^    if \(tx->fate != RX_DONE\) \{/    if (0) {/' any $T/test_direct_style.py \
    'a transaction goes on after it was unwound'
engine_mutant tx-outlives direct.c 's/if \(tx->thread != PyThread_get_thread_ident\(\)\) \{/if (0) {/' any $T/test_direct_style.py \
    'another thread uses a transaction'
engine_mutant direct-unvalidated direct.c 's/o = rx_leave\(r\); \/\* validates.*/rx_settle(r); rx_flush_drops(r);/' any $T/test_direct_style_races.py \
    'a function in direct style sees two states'
engine_mutant direct-keeps-nothing direct.c 's/^        if \(r->log\.n == words && r->kept/        if (r->kept/' any $T/test_direct_style_races.py \
    'words in the log are gone'
engine_mutant elder-never-resigns engine.c 's/^    if \(elder\) rg_elder_resign\(rg_here_quietly\(t->st\)\);//' any $T/test_fairness.py \
    'an elder stays one for ever'
engine_mutant no-elder engine.c 's/elder = rg_elder_claim\(r->slot, t\);/elder = false;/' any $T/test_fairness.py \
    'a long reaction starves'

# ---- lockfree.sync
engine_mutant release-wakes-one sync_permits.c 's/rg_wake_some\(s, &p->takers\.list, \(size_t\)n\)/rg_wake_some(s, \&p->takers.list, 1)/' any $T/test_sync.py \
    'n permits wake one'
engine_mutant permits-wake-nobody commit.c 's/case PART_PERMITS: return .*/case PART_PERMITS: return 0;/' any "$T/test_sync.py $T/test_sync_explored.py" \
    'a composed release wakes nobody'
engine_mutant owner-wakes-nobody commit.c 's/case PART_OWNER: return .*/case PART_OWNER: return 0;/' any "$T/test_sync.py $T/test_sync_cpython.py" \
    'an RLock that a wait gives back wakes nobody'
engine_mutant few-is-none sync_permits.c 's/e->vacant \|= !e->old && !e->dirty;.*/e->vacant = 1;/' any "$T/test_sync.py $T/test_sync_explored.py" \
    'who found some permits, but too few, waits as if there were none'
engine_mutant owner-is-who-runs sync.c 's/Offer \*o = r->party > 0 .*/Offer *o = NULL;/' any $T/test_sync.py \
    'an RLock belongs to the thread that carried the reaction out'
engine_mutant release-unchecked sync_permits.c '/^rx_outcome rx_permits_give/,/^}/s/if \(n > p->bound - e->cur\)/if (0)/' any "$T/test_sync.py $T/test_sync_linearizability.py" \
    'a composed release of what is not held'
engine_mutant group-stays-open sync_groups.c 's/if \(at == &c->open && UNSERVED\(w\)\)/if (0)/' any $T/test_sync_explored.py \
    'who comes after the notify takes its signal'
engine_mutant timed-out-untold sync_groups.c '/^static rx_outcome step_give_up/,/^}/s/if \(SIGNALS\(e->cur\)\) return/if (0) return/' any $T/test_sync_explored.py \
    'who gives up leaves a signal that nobody can take'
engine_mutant interrupted-keeps-signal sync_groups.c 's/rx_outcome o = over \? signal\(.*/rx_outcome o = RX_DONE;/' any $T/test_sync_threads.py \
    'the signal of who is interrupted is lost'
engine_mutant late-interrupt-keeps-signal sync_condition.c 's/^ +pass_signal_on\(c\);/            (void)pass_signal_on;/' any $T/test_sync_threads.py \
    'who is interrupted when it takes the lock again takes its signal along'
engine_mutant child-waits-in-vain sync_groups.c '/^static rx_outcome step_take/,/^}/s/if \(\(\(Group \*\)n->a\)->forks != r->slot->domain->forks\)/if (0)/' any $T/test_sync_threads.py \
    'a child that a handler forks waits in a group of its parent'
engine_mutant gone-unsaid sync_groups.c 's/^    if \(!over \|\| anyway\) rg_wake\(s, &g->word\);.*//' any $T/test_sync_threads.py \
    'a blocked notify is not woken when who would get its signal leaves'
engine_mutant first-wait-unsaid sync_groups.c 's/^    if \(ours\) rg_wake\(s, &c->composed\);.*/    (void)ours;/' any $T/test_sync.py \
    'a blocked notify is not woken by the first composed wait'
engine_mutant closed-overlooked sync_condition.c 's/none = !rg_is_ref\(closed\) && .*/none = true; if (closed \&\& w == 1)/;s/^ +rg_load\(&c->composed\) == .*/ none = false;/' any "$T/test_sync.py $T/test_sync_cpython.py" \
    'notify overlooks those who waited before'
engine_mutant numberless-owns sync_rlock.h 's/me && OWNER/OWNER/;s/!s \|\| !me \|\| OWNER/!s || OWNER/' any "$T/test_sync.py" \
    'a thread without a number owns what nobody has'
engine_mutant given-back-wholly sync_rlock.h 's/COUNT\(w\) == 1 \? 0 : w - 1/0/' any "$T/test_sync.py" \
    'a lock that was taken twice is free when it is given back once'
engine_mutant enlist-keeps-lock sync_groups.c 's/o = rx_lock_give\(r, c->lock, true\);/o = rx_lock_give(r, c->lock, false);/' any "$T/test_sync.py" \
    'a wait gives a recursive lock back only once'
engine_mutant sets-uncounted sync_event.c 's/flag \? 3 : -1/flag ? 1 : -1/g' any $T/test_sync_cpython.py \
    'an event that was set and cleared at once was not set for those who wait'

# ---- references without the GIL
engine_mutant dropped-at-once life.c '/^void rg_decref_late/,/^}/s/^    if \(o == Py_None\) return;/    Py_DECREF(o);\n    return;/' free $T/test_payloads.py \
    'a displaced object goes while another thread takes a reference'
# A few instructions again: the looker takes its time.
engine_mutant lookers-ignored stack.c 's/rg_take_payload\(slot, &s->stack\.lookers, n->value\)/(PyObject *)(uintptr_t)n->value/;s/^    if \(still\) \*y = /    if (still) nanosleep(\&(struct timespec){ 0, 20000 }, NULL);\n    if (still) *y = /' \
    free $T/test_payloads.py 'the payload goes while another thread looks at it'
engine_mutant nothing-held log.c '/^void rx_hold_all/,/^}/s/if \(e->held\) continue;/continue;/' any "$T/test_aba.py $T/test_reentrancy.py $T/test_conservation.py" \
    'the log holds nothing while a function runs: addresses come back'

# ---- PriorityQueue and LifoQueue
engine_mutant copies-own-nothing record.h 's/^    Py_XINCREF\(\(PyObject \*\)\(uintptr_t\)n->value\);//' any $T/test_priority_queue.py::test_references \
    'a node that a reaction has copied gives up a reference that it never had'
engine_mutant stale-comparison priority.c 's/still = less >= 0 && rg_heap_stands\(s, &q->root, m\);/still = less >= 0;/' any $T/test_priority_queue.py::test_a_comparison_after_which_nothing_is_as_it_was \
    'a comparison has changed the queue, and its operation goes on'
engine_mutant zeros-differ compare.c 's/^    d \+= 0\.0;.*//' any $T/test_priority_queue.py::test_the_order_of_special_items 'equal items with different hints'
engine_mutant first-items-decide compare.c '/^static int tuple_less/,/^}/s/if \(l <= 0\) return l;.*/return l < 0 ? l : 0;/' any $T/test_priority_queue.py::test_the_order_of_special_items \
    'tuples are compared by their first items alone'
engine_mutant drained-undone record.c 's/done && drop \? \(finished.*/finished;/' any $T/test_priority_queue.py::test_shutdown_wakes_everybody \
    'tasks whose items were dropped are waited for'
engine_mutant items-newest-first priority.c 's/return x > y \? -1 : x < y;/return x < y ? -1 : x > y;/' any $T/test_priority_queue.py::test_user_objects_are_in_order_too \
    'a snapshot turns equal items round'
