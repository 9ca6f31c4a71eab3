/* What is called later runs in a place of its own: whether it may sleep, what it may return, what it holds. */
#include "objects.h"

struct task_struct {
	int pid;
} __attribute__((preserve_access_index));
struct timed {
	struct bpf_timer timer;
	long data;
};
struct queued {
	struct bpf_wq work;
	long data;
};
struct tasked {
	struct bpf_task_work work;
	long data;
};
MAP(timers, ARRAY, struct timed);
MAP(queues, ARRAY, struct queued);
MAP(works, ARRAY, struct tasked);
MAP(hashed, HASH, struct tasked);
MAP(lru, LRU_HASH, struct tasked);

extern int bpf_wq_init(struct bpf_wq *wq, void *map, unsigned int flags) __ksym;
extern int bpf_wq_start(struct bpf_wq *wq, unsigned int flags) __ksym;
extern int bpf_wq_set_callback_impl(struct bpf_wq *wq, int(callback)(void *map, int *key, void *value), unsigned int flags, void *aux) __ksym;
extern int bpf_task_work_schedule_signal_impl(struct task_struct *task, struct bpf_task_work *tw, void *map,
					      void *callback, void *aux) __ksym;
extern int bpf_task_work_schedule_resume_impl(struct task_struct *task, struct bpf_task_work *tw, void *map,
					      void *callback, void *aux) __ksym;
extern int bpf_copy_from_user_str(void *to, u32 size, const void *from, u64 flags) __ksym;

#define TIMED_OR_LEAVE                                                                                                 \
	int key = 0;                                                                                                   \
	struct timed *v = bpf_map_lookup_elem(&timers, &key);                                                          \
	if (!v)                                                                                                        \
	return 0
#define QUEUED_OR_LEAVE                                                                                                \
	int key = 0;                                                                                                   \
	struct queued *v = bpf_map_lookup_elem(&queues, &key);                                                         \
	if (!v)                                                                                                        \
	return 0
#define TASKED_OR_LEAVE                                                                                                \
	int key = 0;                                                                                                   \
	struct tasked *v = bpf_map_lookup_elem(&works, &key);                                                          \
	if (!v)                                                                                                        \
	return 0;                                                                                                      \
	struct task_struct *t = bpf_get_current_task_btf()

static int sleeps(void *map, int *key, void *value)
{
	int data;

	bpf_copy_from_user(&data, sizeof(data), 0);
	return 0;
}

static int sleeps_in_function(void *map, int *key, void *value)
{
	char text[8];

	bpf_copy_from_user_str(text, sizeof(text), 0, 0);
	return 0;
}

#define TIMER                                                                                                          \
	TIMED_OR_LEAVE;                                                                                                \
	bpf_timer_init(&v->timer, &timers, 0);                                                                         \
	bpf_timer_set_callback(&v->timer, sleeps);                                                                     \
	return 0
#define QUEUE                                                                                                          \
	QUEUED_OR_LEAVE;                                                                                               \
	if (bpf_wq_init(&v->work, &queues, 0))                                                                         \
		return 0;                                                                                              \
	bpf_wq_set_callback_impl(&v->work, sleeps, 0, 0);                                                              \
	return 0
#define WORK                                                                                                           \
	TASKED_OR_LEAVE;                                                                                               \
	bpf_task_work_schedule_resume_impl(t, &v->work, &works, sleeps, 0);                                            \
	return 0

SEC("tc")
REJECT("helper call might sleep in a non-sleepable prog") int timer_that_sleeps(void *ctx)
{
	TIMER;
}

SEC("syscall")
REJECT("helper call might sleep in a non-sleepable prog") int timer_that_sleeps_of_sleepable(void *ctx)
{
	TIMER;
}

SEC("lsm.s/file_open")
REJECT("helper call might sleep in a non-sleepable prog") int timer_that_sleeps_of_sleepable_hook(void *ctx)
{
	TIMER;
}

SEC("tc")
ACCEPT int queue_that_sleeps(void *ctx)
{
	QUEUE;
}

SEC("lsm.s/file_open")
ACCEPT int queue_that_sleeps_of_sleepable(void *ctx)
{
	QUEUE;
}

SEC("xdp")
ACCEPT int work_that_sleeps(void *ctx)
{
	WORK;
}

SEC("perf_event")
ACCEPT int work_that_sleeps_of_event(void *ctx)
{
	WORK;
}

SEC("tp_btf/sched_switch")
ACCEPT int work_that_sleeps_of_tracepoint(void *ctx)
{
	WORK;
}

SEC("lsm.s/file_open")
ACCEPT int work_that_sleeps_of_sleepable(void *ctx)
{
	WORK;
}

SEC("socket")
ACCEPT int work_of_filter(void *ctx)
{
	WORK;
}

static int timer_function_sleeps_last(void *map, int *key, struct timed *value)
{
	return sleeps_in_function(map, key, value);
}

SEC("syscall")
REJECT("program must be sleepable to call sleepable kfunc bpf_copy_from_user_str") int timer_that_calls_what_sleeps(void *ctx)
{
	TIMED_OR_LEAVE;
	bpf_timer_set_callback(&v->timer, timer_function_sleeps_last);
	return 0;
}

static int queue_sets_timer(void *map, int *its_key, void *value)
{
	TIMED_OR_LEAVE;
	bpf_timer_set_callback(&v->timer, sleeps);
	return 0;
}

SEC("tc")
REJECT("helper call might sleep in a non-sleepable prog") int timer_of_a_queue(void *ctx)
{
	QUEUED_OR_LEAVE;
	bpf_wq_set_callback_impl(&v->work, queue_sets_timer, 0, 0);
	return 0;
}

static int timer_sets_queue(void *map, int *its_key, void *value)
{
	QUEUED_OR_LEAVE;
	bpf_wq_set_callback_impl(&v->work, sleeps, 0, 0);
	return 0;
}

SEC("tc")
ACCEPT int queue_of_a_timer(void *ctx)
{
	TIMED_OR_LEAVE;
	bpf_timer_set_callback(&v->timer, timer_sets_queue);
	return 0;
}

SEC("tc")
REJECT("helper call might sleep in a non-sleepable prog") int timer_and_queue_of_one_function(void *ctx)
{
	QUEUED_OR_LEAVE;
	bpf_wq_set_callback_impl(&v->work, sleeps, 0, 0);
	struct timed *w = bpf_map_lookup_elem(&timers, &key);

	if (w)
		bpf_timer_set_callback(&w->timer, sleeps);
	return 0;
}

static int reads_section_needed(void *map, int *key, void *value)
{
	struct task_struct *t = bpf_get_current_task_btf();

	bpf_rcu_read_lock();
	bpf_rcu_read_unlock();
	return t->pid & 0;
}

SEC("tc")
ACCEPT int queue_with_section(void *ctx)
{
	QUEUED_OR_LEAVE;
	bpf_wq_set_callback_impl(&v->work, reads_section_needed, 0, 0);
	return 0;
}

static int leaves_section_open(void *map, int *key, void *value)
{
	bpf_rcu_read_lock();
	return 0;
}

SEC("tc")
REJECT("BPF_EXIT instruction in main prog cannot be used inside bpf_rcu_read_lock-ed region") int work_leaves_section_open(void *ctx)
{
	TASKED_OR_LEAVE;
	bpf_task_work_schedule_signal_impl(t, &v->work, &works, leaves_section_open, 0);
	return 0;
}

static int leaves_reference(void *map, int *key, void *value)
{
	return bpf_obj_new(struct tasked) ? 0 : 0;
}

SEC("tc")
REJECT("BPF_EXIT instruction in main prog would lead to reference leak") int work_leaves_reference(void *ctx)
{
	TASKED_OR_LEAVE;
	bpf_task_work_schedule_signal_impl(t, &v->work, &works, leaves_reference, 0);
	return 0;
}

static int value_is_there(void *map, int *key, struct tasked *value)
{
	value->data += *key;
	return 0;
}

SEC("tc")
ACCEPT int work_uses_value_and_key(void *ctx)
{
	TASKED_OR_LEAVE;
	bpf_task_work_schedule_signal_impl(t, &v->work, &works, value_is_there, 0);
	return 0;
}

static int writes_key(void *map, int *key, struct tasked *value)
{
	*key = 1;
	return 0;
}

SEC("tc")
REJECT("write to change key R2 not allowed") int work_writes_key(void *ctx)
{
	TASKED_OR_LEAVE;
	bpf_task_work_schedule_signal_impl(t, &v->work, &works, writes_key, 0);
	return 0;
}

static int beyond_value(void *map, int *key, struct tasked *value)
{
	return value[1].data & 0;
}

SEC("tc")
ACCEPT int work_reads_beyond_value(void *ctx)
{
	TASKED_OR_LEAVE;
	bpf_task_work_schedule_signal_impl(t, &v->work, &works, beyond_value, 0);
	return 0;
}

SEC("tc")
REJECT("bpf_task_work pointer in R2 map_uid=0 doesn't match map pointer in R3 map_uid=0") int work_of_another_map(void *ctx)
{
	TASKED_OR_LEAVE;
	bpf_task_work_schedule_resume_impl(t, &v->work, &hashed, value_is_there, 0);
	return 0;
}

SEC("tc")
REJECT("Possibly NULL pointer passed to trusted arg1") int work_is_null(void *ctx)
{
	TASKED_OR_LEAVE;
	bpf_task_work_schedule_resume_impl(t, 0, &hashed, value_is_there, 0);
	return v->data & 0;
}

SEC("tc")
REJECT("Possibly NULL pointer passed to trusted arg2") int work_of_no_map(void *ctx)
{
	TASKED_OR_LEAVE;
	bpf_task_work_schedule_resume_impl(t, &v->work, 0, value_is_there, 0);
	return 0;
}

SEC("tc")
REJECT("Possibly NULL pointer passed to trusted arg0") int work_of_no_task(void *ctx)
{
	TASKED_OR_LEAVE;
	bpf_task_work_schedule_resume_impl(0, &v->work, &works, value_is_there, 0);
	return t->pid & 0;
}

SEC("tc")
REJECT("arg#1 doesn't point to a map value") int work_of_a_number(void *ctx)
{
	TASKED_OR_LEAVE;
	bpf_task_work_schedule_resume_impl(t, (void *)8, &works, value_is_there, 0);
	return v->data & 0;
}

SEC("tc")
REJECT("bpf_task_work pointer in R2 map_uid=0 doesn't match map pointer in R3 map_uid=0") int work_on_global_data(void *ctx)
{
	static struct bpf_task_work work;
	TASKED_OR_LEAVE;
	bpf_task_work_schedule_resume_impl(t, &work, &works, value_is_there, 0);
	return v->data & 0;
}

SEC("tc")
ACCEPT int work_in_hash(void *ctx)
{
	int key = 0;
	struct tasked *v = bpf_map_lookup_elem(&hashed, &key);

	if (!v)
		return 0;
	bpf_task_work_schedule_resume_impl(bpf_get_current_task_btf(), &v->work, &hashed, value_is_there, 0);
	return 0;
}

SEC("tc")
ACCEPT int work_in_least_recently_used(void *ctx)
{
	int key = 0;
	struct tasked *v = bpf_map_lookup_elem(&lru, &key);

	if (!v)
		return 0;
	bpf_task_work_schedule_resume_impl(bpf_get_current_task_btf(), &v->work, &lru, value_is_there, 0);
	return 0;
}

SEC("tc")
REJECT("R2 doesn't have constant offset. bpf_task_work has to be at the constant offset") int work_at_unknown_place(void *ctx)
{
	TASKED_OR_LEAVE;
	bpf_task_work_schedule_resume_impl(t, (void *)v + (bpf_get_prandom_u32() & 8), &works, value_is_there, 0);
	return 0;
}

static int sets_itself(void *map, int *key, struct tasked *value)
{
	bpf_task_work_schedule_signal_impl(bpf_get_current_task_btf(), &value->work, &works, sets_itself, 0);
	return 0;
}

SEC("tc")
ACCEPT int work_sets_itself(void *ctx)
{
	TASKED_OR_LEAVE;
	bpf_task_work_schedule_signal_impl(t, &v->work, &works, sets_itself, 0);
	return 0;
}

static int tasks_map_unknown(void *map, int *key, struct tasked *value)
{
	bpf_task_work_schedule_signal_impl(bpf_get_current_task_btf(), &value->work, map, tasks_map_unknown, 0);
	return 0;
}

SEC("tc")
ACCEPT int work_of_the_map_it_got(void *ctx)
{
	TASKED_OR_LEAVE;
	bpf_task_work_schedule_signal_impl(t, &v->work, &works, tasks_map_unknown, 0);
	return 0;
}

SEC("tc")
ACCEPT int work_under_lock_of_preemption(void *ctx)
{
	TASKED_OR_LEAVE;
	bpf_preempt_disable();
	bpf_task_work_schedule_signal_impl(t, &v->work, &works, sleeps, 0);
	bpf_preempt_enable();
	return 0;
}

SEC("tc")
ACCEPT int queue_in_read_section(void *ctx)
{
	QUEUED_OR_LEAVE;
	bpf_rcu_read_lock();
	bpf_wq_set_callback_impl(&v->work, sleeps, 0, 0);
	bpf_rcu_read_unlock();
	return 0;
}

SEC("tc")
REJECT("helper call might sleep in a non-sleepable prog") int timer_while_holding(void *ctx)
{
	TIMED_OR_LEAVE;
	void *held = bpf_obj_new(struct queued);

	if (!held)
		return 0;
	bpf_timer_set_callback(&v->timer, queue_sets_timer);
	bpf_obj_drop(held);
	return 0;
}
