/* Timers, workqueues and task work in map values, and the functions that they call later. */
#include "objects.h"

struct task_struct {
	int pid;
} __attribute__((preserve_access_index));

extern int bpf_wq_init(struct bpf_wq *wq, void *map, unsigned int flags) __ksym;
extern int bpf_wq_start(struct bpf_wq *wq, unsigned int flags) __ksym;
extern int bpf_wq_set_callback_impl(struct bpf_wq *wq, int(callback)(void *map, int *key, void *value),
				    unsigned int flags, void *aux) __ksym;
#define bpf_wq_set_callback(wq, callback, flags) bpf_wq_set_callback_impl(wq, callback, flags, 0)
extern int bpf_task_work_schedule_signal_impl(struct task_struct *task, struct bpf_task_work *tw, void *map,
					      int(callback)(struct bpf_map *map, void *key, void *value),
					      void *aux) __ksym;
#define bpf_task_work_schedule_signal(task, tw, map, callback)                                                         \
	bpf_task_work_schedule_signal_impl(task, tw, map, (void *)callback, 0)

struct value {
	int data;
	struct bpf_timer timer;
	int more;
};
struct queued {
	int data;
	struct bpf_wq work;
};
struct tasked {
	int data;
	struct bpf_task_work work;
};
struct mixed {
	struct bpf_spin_lock lock;
	struct bpf_timer timer;
	int data;
};
MAP(values, ARRAY, struct value);
MAP(hashed, HASH, struct value);
MAP(queues, ARRAY, struct queued);
MAP(other_queues, ARRAY, struct queued);
MAP(tasks, ARRAY, struct tasked);
MAP(mixeds, ARRAY, struct mixed);
MAP(plains, ARRAY, long);
struct inner {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, int);
	__type(value, struct value);
} inner_map SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 2);
	__type(key, int);
	__array(values, struct inner);
} outer SEC(".maps") = { .values = { &inner_map } };
struct inner_queue {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, int);
	__type(value, struct queued);
} inner_queue_map SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 2);
	__type(key, int);
	__array(values, struct inner_queue);
} outer_queues SEC(".maps") = { .values = { &inner_queue_map } };

#define VALUE_OR_LEAVE                                                                                                 \
	int key = 0;                                                                                                   \
	struct value *v = bpf_map_lookup_elem(&values, &key);                                                          \
	if (!v)                                                                                                        \
	return 0
#define QUEUE_OR_LEAVE                                                                                                 \
	int key = 0;                                                                                                   \
	struct queued *v = bpf_map_lookup_elem(&queues, &key);                                                         \
	if (!v)                                                                                                        \
	return 0
#define TASKED_OR_LEAVE                                                                                                \
	int key = 0;                                                                                                   \
	struct tasked *v = bpf_map_lookup_elem(&tasks, &key);                                                          \
	if (!v)                                                                                                        \
	return 0

static int tick(void *map, int *key, struct value *v)
{
	v->data++;
	return 0;
}

SEC("tc")
ACCEPT int started(void *ctx)
{
	VALUE_OR_LEAVE;
	bpf_timer_init(&v->timer, &values, 1);
	bpf_timer_set_callback(&v->timer, tick);
	bpf_timer_start(&v->timer, 1000, 0);
	return bpf_timer_cancel(&v->timer);
}

SEC("tc")
REJECT("timer pointer in R1 map_uid=0 doesn't match map pointer in R2 map_uid=0") int init_with_other_map(void *ctx)
{
	VALUE_OR_LEAVE;
	bpf_timer_init(&v->timer, &hashed, 1);
	return 0;
}

SEC("tc")
REJECT("off 0 doesn't point to 'struct bpf_timer' that is at 8") int init_at_wrong_offset(void *ctx)
{
	VALUE_OR_LEAVE;
	bpf_timer_init((void *)v, &values, 1);
	return 0;
}

SEC("tc")
REJECT("R1 doesn't have constant offset. bpf_timer has to be at the constant offset") int init_at_variable_offset(struct __sk_buff *ctx)
{
	VALUE_OR_LEAVE;
	unsigned long at = ctx->len & 8;
	asm volatile("" : "+r"(at));
	bpf_timer_init((void *)((char *)v + at), &values, 1);
	return 0;
}

SEC("tc")
REJECT("map 'plains' has no valid bpf_timer") int init_where_none_is(void *ctx)
{
	int key = 0;
	long *v = bpf_map_lookup_elem(&plains, &key);
	if (v)
		bpf_timer_init((void *)v, &plains, 1);
	return 0;
}

SEC("tc")
REJECT("R1 type=fp expected=map_value") int init_on_stack(void *ctx)
{
	struct bpf_timer t = {};
	bpf_timer_init(&t, &values, 1);
	return 0;
}

SEC("tc")
REJECT("R1 type=map_value_or_null expected=map_value") int init_unchecked(void *ctx)
{
	int key = 0;
	struct value *v = bpf_map_lookup_elem(&hashed, &key);
	bpf_timer_init((void *)v, &hashed, 1);
	return 0;
}

SEC("tc")
REJECT("R2 type=scalar expected=func") int callback_is_no_function(void *ctx)
{
	VALUE_OR_LEAVE;
	bpf_timer_set_callback(&v->timer, (void *)0);
	return 0;
}

static int returns_one(void *map, int *key, struct value *v)
{
	return 1;
}

SEC("tc")
REJECT("At async callback return the register R0 has smin=1 smax=1 should have been in [0, 0]") int callback_returns_one(void *ctx)
{
	VALUE_OR_LEAVE;
	bpf_timer_set_callback(&v->timer, returns_one);
	return 0;
}

static int returns_unknown(void *map, int *key, struct value *v)
{
	return v->data;
}

SEC("tc")
REJECT("At async callback return the register R0 has smin=0 smax=4294967295 should have been in [0, 0]") int callback_returns_unknown(void *ctx)
{
	VALUE_OR_LEAVE;
	bpf_timer_set_callback(&v->timer, returns_unknown);
	return 0;
}

static int returns_pointer(void *map, int *key, struct value *v)
{
	return (long)v;
}

SEC("tc")
REJECT("At async callback return the register R0 is not a known value (map_value)") int callback_returns_pointer(void *ctx)
{
	VALUE_OR_LEAVE;
	bpf_timer_set_callback(&v->timer, returns_pointer);
	return 0;
}

static int reads_beyond(void *map, int *key, struct value *v)
{
	return *(volatile int *)((char *)v + 64);
}

SEC("tc")
REJECT("R3 min value is outside of the allowed memory range") int callback_reads_beyond(void *ctx)
{
	VALUE_OR_LEAVE;
	bpf_timer_set_callback(&v->timer, reads_beyond);
	return 0;
}

static int touches_timer(void *map, int *key, struct value *v)
{
	return *(volatile int *)&v->timer;
}

SEC("tc")
REJECT("bpf_timer cannot be accessed directly by load/store") int callback_touches_timer(void *ctx)
{
	VALUE_OR_LEAVE;
	bpf_timer_set_callback(&v->timer, touches_timer);
	return 0;
}

static int again(void *map, int *key, struct value *v)
{
	bpf_timer_set_callback(&v->timer, again);
	bpf_timer_start(&v->timer, 1000, 0);
	return 0;
}

SEC("tc")
ACCEPT int callback_sets_itself(void *ctx)
{
	VALUE_OR_LEAVE;
	bpf_timer_set_callback(&v->timer, again);
	return 0;
}

static int reads_key(void *map, int *key, struct value *v)
{
	int x = *key;
	struct value *w = bpf_map_lookup_elem(map, key);
	if (w)
		w->data = x;
	return 0;
}

SEC("tc")
ACCEPT int callback_looks_up(void *ctx)
{
	VALUE_OR_LEAVE;
	bpf_timer_set_callback(&v->timer, reads_key);
	return 0;
}

static int writes_key(void *map, int *key, struct value *v)
{
	*key = 1;
	return 0;
}

SEC("tc")
REJECT("write to change key R2 not allowed") int callback_writes_key(void *ctx)
{
	VALUE_OR_LEAVE;
	bpf_timer_set_callback(&v->timer, writes_key);
	return 0;
}

static int reads_callers(void *map, int *key, struct value *v)
{
	long x;
	asm volatile("%0 = r6" : "=r"(x));
	return x;
}

SEC("tc")
REJECT("R6 !read_ok") int callback_reads_unset_register(void *ctx)
{
	VALUE_OR_LEAVE;
	bpf_timer_set_callback(&v->timer, reads_callers);
	return 0;
}

struct foo {
	int a;
};

static int leaks(void *map, int *key, struct value *v)
{
	return bpf_obj_new(struct foo) ? 0 : 0;
}

SEC("tc")
REJECT("BPF_EXIT instruction in main prog would lead to reference leak") int callback_leaks(void *ctx)
{
	VALUE_OR_LEAVE;
	bpf_timer_set_callback(&v->timer, leaks);
	return 0;
}

SEC("tc")
ACCEPT int set_while_holding(void *ctx)
{
	VALUE_OR_LEAVE;
	struct foo *f = bpf_obj_new(struct foo);
	if (!f)
		return 0;
	bpf_timer_set_callback(&v->timer, tick);
	bpf_obj_drop(f);
	return 0;
}

SEC("tc")
REJECT("function calls are not allowed while holding a lock") int set_under_lock(void *ctx)
{
	int key = 0;
	struct mixed *v = bpf_map_lookup_elem(&mixeds, &key);
	if (!v)
		return 0;
	bpf_spin_lock(&v->lock);
	bpf_timer_start(&v->timer, 0, 0);
	bpf_spin_unlock(&v->lock);
	return 0;
}

SEC("tc")
REJECT("bpf_timer cannot be accessed directly by load/store") int touched(void *ctx)
{
	VALUE_OR_LEAVE;
	return *(volatile int *)&v->timer;
}

SEC("tc")
REJECT("bpf_timer cannot be accessed directly by load/store") int touched_by_helper(void *ctx)
{
	VALUE_OR_LEAVE;
	bpf_trace_printk((char *)&v->timer, 8);
	return 0;
}

SEC("tc")
REJECT("timer pointer in R1 map_uid=1 doesn't match map pointer in R2 map_uid=2") int inner_map_of_other_lookup(void *ctx)
{
	int key = 0, key2 = 1;
	struct inner *m1 = bpf_map_lookup_elem(&outer, &key);
	struct inner *m2 = bpf_map_lookup_elem(&outer, &key2);
	if (!m1 || !m2)
		return 0;
	struct value *v = bpf_map_lookup_elem(m1, &key);
	if (!v)
		return 0;
	bpf_timer_init(&v->timer, m2, 1);
	return 0;
}

SEC("tc")
ACCEPT int inner_map_of_same_lookup(void *ctx)
{
	int key = 0;
	struct inner *m1 = bpf_map_lookup_elem(&outer, &key);
	if (!m1)
		return 0;
	struct value *v = bpf_map_lookup_elem(m1, &key);
	if (!v)
		return 0;
	bpf_timer_init(&v->timer, m1, 1);
	return 0;
}

SEC("tc")
REJECT("timer pointer in R1 map_uid=1 doesn't match map pointer in R2 map_uid=0") int outer_map_for_inner_value(void *ctx)
{
	int key = 0;
	struct inner *m1 = bpf_map_lookup_elem(&outer, &key);
	if (!m1)
		return 0;
	struct value *v = bpf_map_lookup_elem(m1, &key);
	if (!v)
		return 0;
	bpf_timer_init(&v->timer, &inner_map, 1);
	return 0;
}

SEC("kprobe")
REJECT("tracing progs cannot use bpf_timer yet") int in_kprobe(void *ctx)
{
	VALUE_OR_LEAVE;
	bpf_timer_init(&v->timer, &values, 1);
	return 0;
}

SEC("xdp")
ACCEPT int in_xdp(void *ctx)
{
	VALUE_OR_LEAVE;
	bpf_timer_init(&v->timer, &values, 1);
	return 0;
}

SEC("syscall")
ACCEPT int in_syscall(void *ctx)
{
	VALUE_OR_LEAVE;
	bpf_timer_init(&v->timer, &values, 1);
	bpf_timer_set_callback(&v->timer, tick);
	return 0;
}

static int sleeps(void *map, int *key, void *value)
{
	bpf_copy_from_user(value, 4, 0);
	return 0;
}

SEC("tc")
REJECT("helper call might sleep in a non-sleepable prog") int timer_callback_sleeps(void *ctx)
{
	VALUE_OR_LEAVE;
	bpf_timer_set_callback(&v->timer, sleeps);
	return 0;
}

SEC("syscall")
REJECT("helper call might sleep in a non-sleepable prog") int timer_callback_sleeps_in_sleepable(void *ctx)
{
	VALUE_OR_LEAVE;
	bpf_timer_set_callback(&v->timer, sleeps);
	return 0;
}

static int work(void *map, int *key, void *value)
{
	((struct queued *)value)->data++;
	return 0;
}

SEC("tc")
ACCEPT int queue_started(void *ctx)
{
	QUEUE_OR_LEAVE;
	if (bpf_wq_init(&v->work, &queues, 0))
		return 0;
	if (bpf_wq_set_callback(&v->work, work, 0))
		return 0;
	bpf_wq_start(&v->work, 0);
	return 0;
}

SEC("tc")
REJECT("workqueue pointer in R1 map_uid=0 doesn't match map pointer in R2 map_uid=0") int queue_of_other_map(void *ctx)
{
	QUEUE_OR_LEAVE;
	bpf_wq_init(&v->work, &other_queues, 0);
	return 0;
}

SEC("tc")
REJECT("pointer in R2 isn't map pointer") int queue_without_map(void *ctx)
{
	QUEUE_OR_LEAVE;
	bpf_wq_init(&v->work, &key, 0);
	return 0;
}

SEC("tc")
REJECT("off 0 doesn't point to 'struct bpf_wq' that is at 8") int queue_at_wrong_offset(void *ctx)
{
	QUEUE_OR_LEAVE;
	bpf_wq_init((void *)v, &queues, 0);
	return 0;
}

SEC("tc")
REJECT("arg#0 doesn't point to a map value") int queue_on_stack(void *ctx)
{
	struct bpf_wq w = {};
	bpf_wq_init(&w, &queues, 0);
	return 0;
}

SEC("tc")
REJECT("map 'plains' has no valid bpf_wq") int queue_where_none_is(void *ctx)
{
	int key = 0;
	long *v = bpf_map_lookup_elem(&plains, &key);
	if (v)
		bpf_wq_init((void *)v, &plains, 0);
	return 0;
}

SEC("tc")
REJECT("off 0 doesn't point to 'struct bpf_wq' that is at 8") int queue_started_at_wrong_offset(void *ctx)
{
	QUEUE_OR_LEAVE;
	bpf_wq_start((void *)v, 0);
	return 0;
}

SEC("tc")
ACCEPT int queue_callback_sleeps(void *ctx)
{
	QUEUE_OR_LEAVE;
	bpf_wq_set_callback(&v->work, sleeps, 0);
	return 0;
}

static int work_returns(void *map, int *key, void *value)
{
	return ((struct queued *)value)->data;
}

SEC("tc")
REJECT("At async callback return the register R0 has smin=0 smax=4294967295 should have been in [0, 0]") int queue_callback_returns_unknown(void *ctx)
{
	QUEUE_OR_LEAVE;
	bpf_wq_set_callback(&v->work, work_returns, 0);
	return 0;
}

SEC("tc")
REJECT("arg1 expected pointer to func") int queue_callback_is_null(void *ctx)
{
	QUEUE_OR_LEAVE;
	bpf_wq_set_callback(&v->work, 0, 0);
	return 0;
}

SEC("tc")
REJECT("workqueue pointer in R1 map_uid=1 doesn't match map pointer in R2 map_uid=2") int inner_queue_of_other_lookup(void *ctx)
{
	int key = 0, key2 = 1;
	struct inner_queue *m1 = bpf_map_lookup_elem(&outer_queues, &key);
	struct inner_queue *m2 = bpf_map_lookup_elem(&outer_queues, &key2);
	if (!m1 || !m2)
		return 0;
	struct queued *v = bpf_map_lookup_elem(m1, &key);
	if (!v)
		return 0;
	bpf_wq_init(&v->work, m2, 0);
	return 0;
}

SEC("kprobe")
REJECT("tracing progs cannot use bpf_wq yet") int queue_in_kprobe(void *ctx)
{
	QUEUE_OR_LEAVE;
	bpf_wq_start(&v->work, 0);
	return 0;
}

static int task_work(struct bpf_map *map, void *key, void *value)
{
	((struct tasked *)value)->data++;
	return 0;
}

static int task_work_returns(struct bpf_map *map, void *key, void *value)
{
	return ((struct tasked *)value)->data;
}

SEC("tc")
ACCEPT int task_scheduled(void *ctx)
{
	TASKED_OR_LEAVE;
	struct task_struct *t = bpf_get_current_task_btf();
	bpf_task_work_schedule_signal(t, &v->work, &tasks, task_work);
	return t->pid;
}

SEC("kprobe")
ACCEPT int task_scheduled_in_kprobe(void *ctx)
{
	TASKED_OR_LEAVE;
	struct task_struct *t = bpf_get_current_task_btf();
	bpf_task_work_schedule_signal(t, &v->work, &tasks, task_work);
	return 0;
}

SEC("syscall")
ACCEPT int task_scheduled_in_syscall(void *ctx)
{
	TASKED_OR_LEAVE;
	struct task_struct *t = bpf_get_current_task_btf();
	bpf_task_work_schedule_signal(t, &v->work, &tasks, task_work);
	return 0;
}

SEC("kprobe")
REJECT("off 0 doesn't point to 'struct bpf_task_work' that is at 8") int task_at_wrong_offset(void *ctx)
{
	TASKED_OR_LEAVE;
	struct task_struct *t = bpf_get_current_task_btf();
	bpf_task_work_schedule_signal(t, (void *)v, &tasks, task_work);
	return 0;
}

SEC("kprobe")
REJECT("tracing progs cannot use bpf_wq yet") int task_of_queue_map(void *ctx)
{
	TASKED_OR_LEAVE;
	struct task_struct *t = bpf_get_current_task_btf();
	bpf_task_work_schedule_signal(t, &v->work, &queues, task_work);
	return 0;
}

SEC("kprobe")
REJECT("arg#1 doesn't point to a map value") int task_on_stack(void *ctx)
{
	struct bpf_task_work w = {};
	struct task_struct *t = bpf_get_current_task_btf();
	bpf_task_work_schedule_signal(t, &w, &tasks, task_work);
	return 0;
}

SEC("kprobe")
REJECT("Possibly NULL pointer passed to trusted arg3") int task_callback_is_null(void *ctx)
{
	TASKED_OR_LEAVE;
	struct task_struct *t = bpf_get_current_task_btf();
	bpf_task_work_schedule_signal(t, &v->work, &tasks, 0);
	return 0;
}

SEC("kprobe")
REJECT("bpf_task_work cannot be accessed directly by load/store") int task_touched(void *ctx)
{
	TASKED_OR_LEAVE;
	return *(volatile int *)&v->work;
}

SEC("kprobe")
ACCEPT int task_callback_sleeps(void *ctx)
{
	TASKED_OR_LEAVE;
	struct task_struct *t = bpf_get_current_task_btf();
	bpf_task_work_schedule_signal(t, &v->work, &tasks, (void *)sleeps);
	return 0;
}

SEC("kprobe")
REJECT("At async callback return the register R0 has smin=0 smax=4294967295 should have been in [-2147483648, 2147483647]") int task_callback_returns_unknown(void *ctx)
{
	TASKED_OR_LEAVE;
	struct task_struct *t = bpf_get_current_task_btf();
	bpf_task_work_schedule_signal(t, &v->work, &tasks, task_work_returns);
	return 0;
}
