/* Open-coded iterators: made, asked for elements, destroyed; and loops over them, whose rounds are not counted. */
#include "on_stack.h"

u64 global[8];
int sum;

SEC("raw_tp")
ACCEPT int made_and_destroyed(void *ctx)
{
	struct bpf_iter_num it;

	bpf_iter_num_new(&it, 0, 10);
	bpf_iter_num_destroy(&it);
	return 0;
}

SEC("raw_tp")
REJECT("BPF_EXIT instruction in main prog would lead to reference leak") int kept(void *ctx)
{
	struct bpf_iter_num it;

	bpf_iter_num_new(&it, 0, 10);
	return 0;
}

SEC("raw_tp")
REJECT("BPF_EXIT instruction in main prog would lead to reference leak") int kept_on_failure(void *ctx)
{
	struct bpf_iter_num it;

	if (bpf_iter_num_new(&it, 0, 10))
		return 0;
	bpf_iter_num_destroy(&it);
	return 0;
}

SEC("raw_tp")
REJECT("expected uninitialized iter_num as arg #0") int made_twice(void *ctx)
{
	struct bpf_iter_num it;

	bpf_iter_num_new(&it, 0, 10);
	bpf_iter_num_new(&it, 0, 10);
	bpf_iter_num_destroy(&it);
	return 0;
}

SEC("raw_tp")
REJECT("expected an initialized iter_num as arg #0") int destroyed_twice(void *ctx)
{
	struct bpf_iter_num it;

	bpf_iter_num_new(&it, 0, 10);
	bpf_iter_num_destroy(&it);
	bpf_iter_num_destroy(&it);
	return 0;
}

SEC("raw_tp")
ACCEPT int made_again_after_destroying(void *ctx)
{
	struct bpf_iter_num it;

	bpf_iter_num_new(&it, 0, 10);
	bpf_iter_num_destroy(&it);
	bpf_iter_num_new(&it, 0, 5);
	bpf_iter_num_destroy(&it);
	return 0;
}

SEC("raw_tp")
REJECT("expected an initialized iter_num as arg #0") int next_of_none(void *ctx)
{
	struct bpf_iter_num it;

	bpf_iter_num_next(&it);
	return 0;
}

SEC("raw_tp")
REJECT("expected an initialized iter_num as arg #0") int destroyed_without_making(void *ctx)
{
	struct bpf_iter_num it = {};

	bpf_iter_num_destroy(&it);
	return 0;
}

SEC("raw_tp")
REJECT("expected an initialized iter_num as arg #0") int next_after_destroying(void *ctx)
{
	struct bpf_iter_num it;

	bpf_iter_num_new(&it, 0, 10);
	bpf_iter_num_destroy(&it);
	bpf_iter_num_next(&it);
	return 0;
}

SEC("raw_tp")
ACCEPT int one_element(void *ctx)
{
	struct bpf_iter_num it;
	int *element;

	bpf_iter_num_new(&it, 0, 10);
	element = bpf_iter_num_next(&it);
	if (element)
		sum = *element;
	bpf_iter_num_destroy(&it);
	return 0;
}

SEC("raw_tp")
REJECT("R0 invalid mem access 'scalar'") int element_not_checked(void *ctx)
{
	struct bpf_iter_num it;

	bpf_iter_num_new(&it, 0, 10);
	sum = *bpf_iter_num_next(&it);
	bpf_iter_num_destroy(&it);
	return 0;
}

SEC("raw_tp")
REJECT("R0 cannot write into rdonly_mem") int element_written(void *ctx)
{
	struct bpf_iter_num it;
	int *element;

	bpf_iter_num_new(&it, 0, 10);
	element = bpf_iter_num_next(&it);
	if (element)
		*element = 1;
	bpf_iter_num_destroy(&it);
	return 0;
}

SEC("raw_tp")
REJECT("R0 min value is outside of the allowed memory range") int behind_an_element(void *ctx)
{
	struct bpf_iter_num it;
	int *element;

	bpf_iter_num_new(&it, 0, 10);
	element = bpf_iter_num_next(&it);
	if (element)
		sum = element[1];
	bpf_iter_num_destroy(&it);
	return 0;
}

SEC("raw_tp")
REJECT("R6 invalid mem access 'scalar'") int element_after_destroying(void *ctx)
{
	struct bpf_iter_num it;
	int *element;

	bpf_iter_num_new(&it, 0, 10);
	element = bpf_iter_num_next(&it);
	bpf_iter_num_destroy(&it);
	if (element)
		sum = *element;
	return 0;
}

SEC("raw_tp")
ACCEPT int element_after_the_next(void *ctx)
{
	struct bpf_iter_num it;
	int *element;

	bpf_iter_num_new(&it, 0, 10);
	element = bpf_iter_num_next(&it);
	bpf_iter_num_next(&it);
	if (element)
		sum = *element;
	bpf_iter_num_destroy(&it);
	return 0;
}

SEC("raw_tp")
ACCEPT int loop(void *ctx)
{
	struct bpf_iter_num it;
	int *element;

	bpf_iter_num_new(&it, 0, 10);
	while ((element = bpf_iter_num_next(&it)))
		sum += *element;
	bpf_iter_num_destroy(&it);
	return 0;
}

SEC("raw_tp")
ACCEPT int loop_left_early(void *ctx)
{
	struct bpf_iter_num it;
	int *element;

	bpf_iter_num_new(&it, 0, 10);
	while ((element = bpf_iter_num_next(&it))) {
		if (*element == 3)
			break;
		sum += *element;
	}
	bpf_iter_num_destroy(&it);
	return 0;
}

SEC("raw_tp")
REJECT("BPF_EXIT instruction in main prog would lead to reference leak") int loop_left_without_destroying(void *ctx)
{
	struct bpf_iter_num it;
	int *element;

	bpf_iter_num_new(&it, 0, 10);
	while ((element = bpf_iter_num_next(&it))) {
		if (*element == 3)
			return 0;
	}
	bpf_iter_num_destroy(&it);
	return 0;
}

SEC("raw_tp")
ACCEPT int loop_that_counts(void *ctx)
{
	struct bpf_iter_num it;
	int count = 0;

	bpf_iter_num_new(&it, 0, 10);
	while (bpf_iter_num_next(&it))
		count++;
	bpf_iter_num_destroy(&it);
	return count;
}

SEC("raw_tp")
REJECT("math between map_value pointer and register with unbounded min value is not allowed") int element_as_an_index(void *ctx)
{
	struct bpf_iter_num it;
	int *element;

	bpf_iter_num_new(&it, 0, 8);
	while ((element = bpf_iter_num_next(&it)))
		global[*element] = 1;
	bpf_iter_num_destroy(&it);
	return 0;
}

SEC("raw_tp")
ACCEPT int checked_element_as_an_index(void *ctx)
{
	struct bpf_iter_num it;
	int *element;

	bpf_iter_num_new(&it, 0, 8);
	while ((element = bpf_iter_num_next(&it))) {
		u32 at = *element;

		if (at < 8)
			global[at] = 1;
	}
	bpf_iter_num_destroy(&it);
	return 0;
}

SEC("raw_tp")
REJECT("R6 min value is outside of the allowed memory range") int count_as_an_index(void *ctx)
{
	struct bpf_iter_num it;
	u64 at = 0;

	bpf_iter_num_new(&it, 0, 8);
	while (bpf_iter_num_next(&it)) {
		global[at] = 1;
		at++;
	}
	bpf_iter_num_destroy(&it);
	return 0;
}

SEC("raw_tp")
ACCEPT int checked_count_as_an_index(void *ctx)
{
	struct bpf_iter_num it;
	u64 at = 0;

	bpf_iter_num_new(&it, 0, 100);
	while (bpf_iter_num_next(&it)) {
		if (at >= 8)
			break;
		global[at] = 1;
		at++;
	}
	bpf_iter_num_destroy(&it);
	return 0;
}

SEC("raw_tp")
ACCEPT int loop_in_a_loop(void *ctx)
{
	struct bpf_iter_num outer, inner;
	int *a, *b;

	bpf_iter_num_new(&outer, 0, 10);
	while ((a = bpf_iter_num_next(&outer))) {
		bpf_iter_num_new(&inner, 0, 10);
		while ((b = bpf_iter_num_next(&inner)))
			sum += *a * *b;
		bpf_iter_num_destroy(&inner);
	}
	bpf_iter_num_destroy(&outer);
	return 0;
}

SEC("raw_tp")
REJECT("BPF_EXIT instruction in main prog would lead to reference leak") int inner_one_kept(void *ctx)
{
	struct bpf_iter_num outer, inner;
	int *a, *b;

	bpf_iter_num_new(&outer, 0, 10);
	while ((a = bpf_iter_num_next(&outer))) {
		bpf_iter_num_new(&inner, 0, 10);
		while ((b = bpf_iter_num_next(&inner)))
			sum += *a * *b;
	}
	bpf_iter_num_destroy(&outer);
	return 0;
}

SEC("raw_tp")
REJECT("expected an initialized iter_num as arg #0") int wrong_one_destroyed(void *ctx)
{
	struct bpf_iter_num outer, inner;

	bpf_iter_num_new(&outer, 0, 10);
	bpf_iter_num_destroy(&inner);
	return 0;
}

SEC("raw_tp")
REJECT("expected an initialized iter_bits as arg #0") int of_another_kind(void *ctx)
{
	struct bpf_iter_num it;

	bpf_iter_num_new(&it, 0, 10);
	bpf_iter_bits_next((void *)&it);
	bpf_iter_num_destroy(&it);
	return 0;
}

SEC("raw_tp")
REJECT("expected an initialized iter_num as arg #0") int overwritten(void *ctx)
{
	struct bpf_iter_num it;

	bpf_iter_num_new(&it, 0, 10);
	*(volatile u64 *)&it = 0;
	bpf_iter_num_destroy(&it);
	return 0;
}

SEC("raw_tp")
REJECT("BPF_EXIT instruction in main prog would lead to reference leak") int overwritten_and_forgotten(void *ctx)
{
	struct bpf_iter_num it;

	bpf_iter_num_new(&it, 0, 10);
	*(volatile u64 *)&it = 0;
	return 0;
}

SEC("raw_tp")
REJECT("expected an initialized iter_bits as arg #0") int overwritten_in_part(void *ctx)
{
	struct bpf_iter_bits it;

	bpf_iter_bits_new(&it, global, 1);
	*((volatile char *)&it + 9) = 0;
	bpf_iter_bits_next(&it);
	bpf_iter_bits_destroy(&it);
	return 0;
}

SEC("raw_tp")
REJECT("invalid read from stack off -8+0 size 8") int read_directly(void *ctx)
{
	struct bpf_iter_num it;

	bpf_iter_num_new(&it, 0, 10);
	sum = *(volatile u64 *)&it;
	bpf_iter_num_destroy(&it);
	return 0;
}

SEC("raw_tp")
REJECT("expected an initialized iter_num as arg #0") int overwritten_somewhere(void *ctx)
{
	struct {
		struct bpf_iter_num it;
		u64 other;
	} both;

	bpf_iter_num_new(&both.it, 0, 10);
	*((volatile char *)&both + (bpf_get_prandom_u32() & 8)) = 0;
	bpf_iter_num_destroy(&both.it);
	return 0;
}

SEC("raw_tp")
REJECT("expected an initialized iter_num as arg #0") int filled_by_a_helper(void *ctx)
{
	struct bpf_iter_num it;

	bpf_iter_num_new(&it, 0, 10);
	bpf_get_current_comm(&it, sizeof(it));
	bpf_iter_num_destroy(&it);
	return 0;
}

SEC("raw_tp")
REJECT("BPF_EXIT instruction in main prog would lead to reference leak") int filled_and_read(void *ctx)
{
	struct bpf_iter_num it;

	bpf_iter_num_new(&it, 0, 10);
	bpf_get_current_comm(&it, sizeof(it));
	return *(volatile u64 *)&it;
}

SEC("raw_tp")
REJECT("arg#0 expected pointer to an iterator on stack") int in_a_map(void *ctx)
{
	bpf_iter_num_new((void *)global, 0, 10);
	bpf_iter_num_destroy((void *)global);
	return 0;
}

SEC("raw_tp")
REJECT("expected uninitialized iter_num as arg #0") int not_aligned(void *ctx)
{
	struct bpf_iter_num two[2];

	bpf_iter_num_new((void *)two + 4, 0, 10);
	bpf_iter_num_destroy((void *)two + 4);
	return 0;
}

SEC("raw_tp")
REJECT("expected uninitialized iter_num as arg #0") int at_a_varying_place(void *ctx)
{
	struct bpf_iter_num two[2];
	u32 at = bpf_get_prandom_u32() & 1;

	bpf_iter_num_new(&two[at], 0, 10);
	bpf_iter_num_destroy(&two[at]);
	return 0;
}

SEC("raw_tp")
REJECT("expected an initialized iter_num as arg #0") int destroyed_at_a_varying_place(void *ctx)
{
	struct bpf_iter_num two[2];
	u32 at = bpf_get_prandom_u32() & 1;

	bpf_iter_num_new(&two[0], 0, 10);
	bpf_iter_num_new(&two[1], 0, 10);
	bpf_iter_num_destroy(&two[at]);
	bpf_iter_num_destroy(&two[!at]);
	return 0;
}

SEC("raw_tp")
ACCEPT int over_a_dynptr(void *ctx)
{
	union {
		struct bpf_dynptr local;
		struct bpf_iter_num it;
	} either;

	bpf_dynptr_from_mem(global, sizeof(global), 0, &either.local);
	bpf_iter_num_new(&either.it, 0, 10);
	bpf_iter_num_destroy(&either.it);
	return 0;
}

SEC("raw_tp")
REJECT("expected an initialized iter_num as arg #0") int under_a_dynptr(void *ctx)
{
	union {
		struct bpf_dynptr local;
		struct bpf_iter_num it;
	} either;

	bpf_iter_num_new(&either.it, 0, 10);
	bpf_dynptr_from_mem(global, sizeof(global), 0, &either.local);
	bpf_iter_num_destroy(&either.it);
	return 0;
}

SEC("raw_tp")
ACCEPT int bits(void *ctx)
{
	struct bpf_iter_bits it;
	int *bit;

	bpf_iter_bits_new(&it, global, 8);
	while ((bit = bpf_iter_bits_next(&it)))
		sum += *bit;
	bpf_iter_bits_destroy(&it);
	return 0;
}

SEC("raw_tp")
ACCEPT int bits_of_one_word(void *ctx)
{
	struct bpf_iter_bits it;
	int *bit;
	u64 word = 10;

	bpf_iter_bits_new(&it, &word, 1);
	while ((bit = bpf_iter_bits_next(&it)))
		sum += *bit;
	bpf_iter_bits_destroy(&it);
	return 0;
}

SEC("raw_tp")
ACCEPT int bits_of_null(void *ctx)
{
	struct bpf_iter_bits it;

	bpf_iter_bits_new(&it, 0, 1);
	bpf_iter_bits_destroy(&it);
	return 0;
}

SEC("raw_tp")
REJECT("expected an initialized iter_bits as arg #0") int next_bit_of_none(void *ctx)
{
	struct bpf_iter_bits it = {};

	bpf_iter_bits_next(&it);
	return 0;
}

SEC("raw_tp")
REJECT("expected an initialized iter_bits as arg #0") int bits_destroyed_without_making(void *ctx)
{
	struct bpf_iter_bits it = {};

	bpf_iter_bits_destroy(&it);
	return 0;
}

static __noinline int takes(struct bpf_iter_num *it)
{
	int *element = bpf_iter_num_next(it);

	return element ? *element : -1;
}

SEC("raw_tp")
ACCEPT int next_in_a_function(void *ctx)
{
	struct bpf_iter_num it;
	int element;

	bpf_iter_num_new(&it, 0, 10);
	element = takes(&it);
	bpf_iter_num_destroy(&it);
	return element;
}

SEC("raw_tp")
ACCEPT int next_in_a_function_in_a_loop(void *ctx)
{
	struct bpf_iter_num it;

	bpf_iter_num_new(&it, 0, 10);
	while (takes(&it) >= 0)
		sum++;
	bpf_iter_num_destroy(&it);
	return 0;
}

static __noinline int adds(int to)
{
	struct bpf_iter_num it;
	int *element;
	int result = 0;

	bpf_iter_num_new(&it, 0, to);
	while ((element = bpf_iter_num_next(&it)))
		result += *element;
	bpf_iter_num_destroy(&it);
	return result;
}

SEC("raw_tp")
ACCEPT int loop_in_a_function(void *ctx)
{
	return adds(10) + adds(20);
}

SEC("raw_tp")
ACCEPT int loop_that_calls_a_loop(void *ctx)
{
	struct bpf_iter_num it;
	int *element;

	bpf_iter_num_new(&it, 0, 10);
	while ((element = bpf_iter_num_next(&it)))
		sum += adds(*element);
	bpf_iter_num_destroy(&it);
	return 0;
}

SEC("raw_tp")
ACCEPT int loop_fills_an_array(void *ctx)
{
	struct bpf_iter_num it;
	volatile u64 array[8];
	int *element;
	u64 result = 0;

	bpf_iter_num_new(&it, 0, 8);
	while ((element = bpf_iter_num_next(&it))) {
		u32 at = *element;

		if (at >= 8)
			break;
		array[at] = at;
	}
	bpf_iter_num_destroy(&it);
	bpf_iter_num_new(&it, 0, 8);
	while ((element = bpf_iter_num_next(&it))) {
		u32 at = *element;

		if (at >= 8)
			break;
		result += array[at];
	}
	bpf_iter_num_destroy(&it);
	return result;
}

SEC("raw_tp")
ACCEPT int loop_with_a_bounded_loop(void *ctx)
{
	struct bpf_iter_num it;
	int *element;
	int i;

	bpf_iter_num_new(&it, 0, 10);
	while ((element = bpf_iter_num_next(&it))) {
		for (i = 0; i < 5; i++)
			sum += bpf_get_prandom_u32() & 1;
	}
	bpf_iter_num_destroy(&it);
	return 0;
}

SEC("raw_tp")
REJECT("infinite loop detected at insn 9") int endless_loop_in_a_loop(void *ctx)
{
	struct bpf_iter_num it;

	bpf_iter_num_new(&it, 0, 10);
	while (bpf_iter_num_next(&it)) {
		for (;;)
			asm volatile("" ::: "memory");
	}
	bpf_iter_num_destroy(&it);
	return 0;
}

SEC("raw_tp")
ACCEPT int state_kept_over_rounds(void *ctx)
{
	struct bpf_iter_num it;
	int *element, state = 0;

	bpf_iter_num_new(&it, 0, 10);
	while ((element = bpf_iter_num_next(&it))) {
		switch (state) {
		case 0:
			state = 1;
			break;
		case 1:
			state = 2;
			break;
		default:
			state = 0;
		}
		sum += state;
	}
	bpf_iter_num_destroy(&it);
	return 0;
}

SEC("raw_tp")
REJECT("R1 min value is outside of the allowed memory range") int index_wrong_in_the_third_round(void *ctx)
{
	struct bpf_iter_num it;
	int *element;
	u64 at = 0, before = 0, later = 0;

	bpf_iter_num_new(&it, 0, 10);
	while ((element = bpf_iter_num_next(&it))) {
		later = before;
		before = at;
		at = 100;
	}
	bpf_iter_num_destroy(&it);
	global[later] = 1;
	return 0;
}

SEC("raw_tp")
REJECT("R1 invalid mem access 'scalar'") int pointer_lost_in_the_second_round(void *ctx)
{
	struct bpf_iter_num it;
	int *element;
	u64 *volatile pointer = global;

	bpf_iter_num_new(&it, 0, 10);
	while ((element = bpf_iter_num_next(&it))) {
		*pointer = 1;
		pointer = (void *)1;
	}
	bpf_iter_num_destroy(&it);
	return 0;
}

static int in_callback(u32 index, void *data)
{
	struct bpf_iter_num it;
	int *element;

	bpf_iter_num_new(&it, 0, 10);
	while ((element = bpf_iter_num_next(&it)))
		sum += *element;
	bpf_iter_num_destroy(&it);
	return 0;
}

SEC("raw_tp")
ACCEPT int loop_in_a_callback(void *ctx)
{
	bpf_loop(10, in_callback, 0, 0);
	return 0;
}

static int nothing(u32 index, void *data)
{
	return 0;
}

SEC("raw_tp")
ACCEPT int callback_in_a_loop(void *ctx)
{
	struct bpf_iter_num it;

	bpf_iter_num_new(&it, 0, 10);
	while (bpf_iter_num_next(&it))
		bpf_loop(10, nothing, 0, 0);
	bpf_iter_num_destroy(&it);
	return 0;
}

static int takes_in_callback(u32 index, struct bpf_iter_num *it)
{
	return bpf_iter_num_next(it) == 0;
}

SEC("raw_tp")
ACCEPT int next_in_a_callback(void *ctx)
{
	struct bpf_iter_num it;

	bpf_iter_num_new(&it, 0, 10);
	bpf_loop(10, takes_in_callback, &it, 0);
	bpf_iter_num_destroy(&it);
	return 0;
}

SEC("raw_tp")
REJECT("calling kernel function bpf_throw is not allowed") int thrown_while_iterating(void *ctx)
{
	struct bpf_iter_num it;

	bpf_iter_num_new(&it, 0, 10);
	if (bpf_get_prandom_u32())
		bpf_throw(0);
	bpf_iter_num_destroy(&it);
	return 0;
}

SEC("syscall")
ACCEPT int tasks(void *ctx)
{
	struct bpf_iter_task it;
	struct task_struct *task;

	bpf_rcu_read_lock();
	bpf_iter_task_new(&it, 0, 0);
	while ((task = bpf_iter_task_next(&it)))
		sum += task->pid;
	bpf_iter_task_destroy(&it);
	bpf_rcu_read_unlock();
	return 0;
}

SEC("syscall")
REJECT("kernel func bpf_iter_task_new requires RCU critical section protection") int tasks_outside_of_rcu(void *ctx)
{
	struct bpf_iter_task it;
	struct task_struct *task;

	bpf_iter_task_new(&it, 0, 0);
	while ((task = bpf_iter_task_next(&it)))
		sum += task->pid;
	bpf_iter_task_destroy(&it);
	return 0;
}

SEC("syscall")
REJECT("expected an RCU CS when using bpf_iter_task_next") int tasks_over_the_end_of_rcu(void *ctx)
{
	struct bpf_iter_task it;

	bpf_rcu_read_lock();
	bpf_iter_task_new(&it, 0, 0);
	bpf_rcu_read_unlock();
	bpf_iter_task_next(&it);
	bpf_iter_task_destroy(&it);
	return 0;
}

SEC("syscall")
REJECT("expected an RCU CS when using bpf_iter_task_next") int tasks_over_the_end_of_rcu_and_back(void *ctx)
{
	struct bpf_iter_task it;

	bpf_rcu_read_lock();
	bpf_iter_task_new(&it, 0, 0);
	bpf_rcu_read_unlock();
	bpf_rcu_read_lock();
	bpf_iter_task_next(&it);
	bpf_iter_task_destroy(&it);
	bpf_rcu_read_unlock();
	return 0;
}

SEC("syscall")
REJECT("expected an RCU CS when using bpf_iter_task_destroy") int tasks_destroyed_after_the_end_of_rcu(void *ctx)
{
	struct bpf_iter_task it;

	bpf_rcu_read_lock();
	bpf_iter_task_new(&it, 0, 0);
	bpf_rcu_read_unlock();
	bpf_iter_task_destroy(&it);
	return 0;
}

SEC("syscall")
ACCEPT int task_after_the_end_of_rcu(void *ctx)
{
	struct bpf_iter_task it;
	struct task_struct *task;

	bpf_rcu_read_lock();
	bpf_iter_task_new(&it, 0, 0);
	task = bpf_iter_task_next(&it);
	bpf_iter_task_destroy(&it);
	bpf_rcu_read_unlock();
	return task ? task->pid : 0;
}

SEC("syscall")
ACCEPT int task_of_an_iterator_acquired(void *ctx)
{
	struct bpf_iter_task it;
	struct task_struct *task;

	bpf_rcu_read_lock();
	bpf_iter_task_new(&it, 0, 0);
	task = bpf_iter_task_next(&it);
	if (task)
		task = bpf_task_acquire(task);
	bpf_iter_task_destroy(&it);
	bpf_rcu_read_unlock();
	if (task)
		bpf_task_release(task);
	return 0;
}

SEC("raw_tp")
ACCEPT int tasks_where_nothing_sleeps(void *ctx)
{
	struct bpf_iter_task it;
	struct task_struct *task;

	bpf_iter_task_new(&it, 0, 0);
	while ((task = bpf_iter_task_next(&it)))
		sum += task->pid;
	bpf_iter_task_destroy(&it);
	return 0;
}

SEC("syscall")
ACCEPT int caches(void *ctx)
{
	struct bpf_iter_kmem_cache it;
	struct kmem_cache *cache;

	bpf_iter_kmem_cache_new(&it);
	while ((cache = bpf_iter_kmem_cache_next(&it)))
		sum += cache->size;
	bpf_iter_kmem_cache_destroy(&it);
	return 0;
}

__noinline int adds_globally(int to)
{
	struct bpf_iter_num it;
	int *element;
	int result = 0;

	bpf_iter_num_new(&it, 0, to);
	while ((element = bpf_iter_num_next(&it)))
		result += *element;
	bpf_iter_num_destroy(&it);
	return result;
}

SEC("raw_tp")
ACCEPT int loop_in_a_global_function(void *ctx)
{
	return adds_globally(10);
}

SEC("raw_tp")
REJECT("arg#0 expected pointer to an iterator on stack") int number_passed(void *ctx)
{
	bpf_iter_num_new((void *)8, 0, 1);
	return 0;
}

SEC("raw_tp")
ACCEPT int range_unknown(void *ctx)
{
	struct bpf_iter_num it;

	bpf_iter_num_new(&it, bpf_get_prandom_u32(), bpf_get_prandom_u32());
	bpf_iter_num_destroy(&it);
	return 0;
}

SEC("raw_tp")
ACCEPT int dynptr_in_a_loop(void *ctx)
{
	struct bpf_iter_num it;
	struct bpf_dynptr local;
	int *element;

	bpf_dynptr_from_mem(global, sizeof(global), 0, &local);
	bpf_iter_num_new(&it, 0, 8);
	while ((element = bpf_iter_num_next(&it))) {
		u64 value = *element;

		bpf_dynptr_write(&local, value * 8, &value, sizeof(value), 0);
	}
	bpf_iter_num_destroy(&it);
	return 0;
}
