/* types.h - every type of the extension, in the order in which they are made. Read with
 *   RG_TYPE(name)     a type of its own
 *   RG_METHODS(name)  one that has reagent methods
 * defined; of each there are rg_NAME_spec, rg_NAME_ops where it has methods, and state->NAME_type.
 */
RG_TYPE(reagent)
RG_TYPE(method)
RG_TYPE(block)
RG_METHODS(ref)
RG_METHODS(stack)
RG_METHODS(queue)
RG_METHODS(lifo)
RG_METHODS(priority)
RG_METHODS(deque)
RG_TYPE(trace)
RG_METHODS(binding)
RG_TYPE(table_iter)
RG_TYPE(map)
RG_TYPE(set)
RG_METHODS(sorted_map)
RG_TYPE(sorted_iterator)
RG_METHODS(work_stealing)
RG_METHODS(counter)
RG_METHODS(atomic_int)
RG_METHODS(endpoint)
RG_METHODS(exchanger)
RG_METHODS(lock)
RG_METHODS(rlock)
RG_METHODS(semaphore)
RG_METHODS(bounded_semaphore)
RG_METHODS(event)
RG_METHODS(condition)
RG_TYPE(wait_group)
RG_TYPE(offer)
RG_TYPE(pending)
RG_TYPE(catalyst)
RG_TYPE(transaction)
#undef RG_TYPE
#undef RG_METHODS
