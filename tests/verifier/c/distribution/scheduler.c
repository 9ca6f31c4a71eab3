/* Members of a scheduler: what they see, which may sleep, what of a task they may write, and what they may call. */
#include "objects.h"

struct cpumask {
	u64 bits[1];
} __attribute__((preserve_access_index));

struct sched_ext_entity {
	u64 slice;
	u64 dsq_vtime;
	_Bool disallow;
	u32 weight;
} __attribute__((preserve_access_index));

struct cgroup;

struct task_struct {
	int pid;
	int nr_cpus_allowed;
	const struct cpumask *cpus_ptr;
	struct task_struct *real_parent;
	struct sched_ext_entity scx;
} __attribute__((preserve_access_index));

struct rq {
	struct task_struct *curr;
	int cpu;
} __attribute__((preserve_access_index));

enum scx_exit_kind { SCX_EXIT_NONE };

struct scx_exit_info {
	enum scx_exit_kind kind;
	const char *reason;
} __attribute__((preserve_access_index));

struct scx_init_task_args {
	_Bool fork;
	struct cgroup *cgroup;
} __attribute__((preserve_access_index));

struct scx_event_stats {
	long long counts[16];
};
struct bpf_iter_scx_dsq {
	u64 __opaque[6];
} __attribute__((aligned(8)));

struct scx_dump_ctx;

struct sched_ext_ops {
	int (*select_cpu)(struct task_struct *p, int prev_cpu, u64 wake_flags);
	void (*enqueue)(struct task_struct *p, u64 enq_flags);
	void (*dispatch)(int cpu, struct task_struct *prev);
	void (*tick)(struct task_struct *p);
	void (*running)(struct task_struct *p);
	void (*stopping)(struct task_struct *p, _Bool runnable);
	_Bool (*yield)(struct task_struct *from, struct task_struct *to);
	void (*set_cpumask)(struct task_struct *p, const struct cpumask *cpumask);
	int (*init_task)(struct task_struct *p, struct scx_init_task_args *args);
	void (*dump)(struct scx_dump_ctx *ctx);
	int (*cgroup_prep_move)(struct task_struct *p, struct cgroup *from, struct cgroup *to);
	int (*init)(void);
	void (*exit)(struct scx_exit_info *info);
	u64 flags;
	char name[128];
};

extern int scx_bpf_select_cpu_dfl(struct task_struct *p, int prev_cpu, u64 wake_flags, _Bool *is_idle) __ksym;
extern void scx_bpf_dsq_insert(struct task_struct *p, u64 dsq_id, u64 slice, u64 enq_flags) __ksym;
extern void scx_bpf_dsq_insert_vtime(struct task_struct *p, u64 dsq_id, u64 slice, u64 vtime, u64 flags) __ksym;
extern _Bool scx_bpf_dsq_move_to_local(u64 dsq_id) __ksym;
extern int scx_bpf_create_dsq(u64 dsq_id, int node) __ksym;
extern void scx_bpf_destroy_dsq(u64 dsq_id) __ksym;
extern const struct cpumask *scx_bpf_get_online_cpumask(void) __ksym;
extern const struct cpumask *scx_bpf_get_idle_cpumask(void) __ksym;
extern void scx_bpf_put_cpumask(const struct cpumask *cpumask) __ksym;
extern void scx_bpf_put_idle_cpumask(const struct cpumask *cpumask) __ksym;
extern int scx_bpf_pick_idle_cpu(const struct cpumask *cpus_allowed, u64 flags) __ksym;
extern int scx_bpf_task_cpu(const struct task_struct *p) __ksym;
extern struct cgroup *scx_bpf_task_cgroup(struct task_struct *p) __ksym;
extern struct rq *scx_bpf_cpu_rq(int cpu) __ksym;
extern struct rq *scx_bpf_locked_rq(void) __ksym;
extern struct task_struct *scx_bpf_cpu_curr(int cpu) __ksym;
extern void scx_bpf_events(struct scx_event_stats *events, u64 events__sz) __ksym;
extern void scx_bpf_error_bstr(char *fmt, u64 *data, u32 data__sz) __ksym;
extern int bpf_iter_scx_dsq_new(struct bpf_iter_scx_dsq *it, u64 dsq_id, u64 flags) __ksym;
extern struct task_struct *bpf_iter_scx_dsq_next(struct bpf_iter_scx_dsq *it) __ksym;
extern void bpf_iter_scx_dsq_destroy(struct bpf_iter_scx_dsq *it) __ksym;
extern _Bool scx_bpf_dsq_move(struct bpf_iter_scx_dsq *it__iter, struct task_struct *p, u64 dsq, u64 flags) __ksym;
extern struct task_struct *bpf_task_acquire(struct task_struct *p) __ksym;
extern void bpf_task_release(struct task_struct *p) __ksym;
extern void bpf_cgroup_release(struct cgroup *cgroup) __ksym;
extern void bpf_rcu_read_lock(void) __ksym;
extern void bpf_rcu_read_unlock(void) __ksym;
extern struct rq runqueues __ksym;

#define MEMBER(member, function) SEC(".struct_ops") struct sched_ext_ops t_##function = {.member = (void *)function}

SEC("struct_ops/select_cpu")
ACCEPT int selects(u64 *ctx)
{
	struct task_struct *task = (void *)ctx[0];
	_Bool idle = 0;
	int cpu = scx_bpf_select_cpu_dfl(task, ctx[1], ctx[2], &idle);
	if (idle)
		scx_bpf_dsq_insert(task, 0x8000000000000002, 20000000, 0);
	return cpu;
}
MEMBER(select_cpu, selects);

SEC("struct_ops/enqueue")
ACCEPT void enqueues(u64 *ctx)
{
	struct task_struct *task = (void *)ctx[0];
	scx_bpf_dsq_insert_vtime(task, 0, 20000000, task->scx.dsq_vtime, ctx[1]);
}
MEMBER(enqueue, enqueues);

SEC("struct_ops/dispatch")
ACCEPT void dispatches(u64 *ctx)
{
	scx_bpf_dsq_move_to_local(0);
}
MEMBER(dispatch, dispatches);

SEC("struct_ops/dispatch")
REJECT("R1 invalid mem access 'trusted_ptr_or_null_'")
void reads_previous(u64 *ctx)
{
	struct task_struct *task = (void *)ctx[1];
	scx_bpf_dsq_move_to_local(task->pid);
}
MEMBER(dispatch, reads_previous);

SEC("struct_ops/dispatch")
ACCEPT void checks_previous(u64 *ctx)
{
	struct task_struct *task = (void *)ctx[1];
	if (task)
		task->scx.slice = 5;
}
MEMBER(dispatch, checks_previous);

SEC("struct_ops/stopping")
ACCEPT void charges(u64 *ctx)
{
	struct task_struct *task = (void *)ctx[0];
	task->scx.dsq_vtime += (20000000 - task->scx.slice) * 100 / task->scx.weight;
}
MEMBER(stopping, charges);

SEC("struct_ops/tick")
REJECT("")
int writes_weight(u64 *ctx)
{
	struct task_struct *task = (void *)ctx[0];
	task->scx.weight = 5;
	return 0;
}
MEMBER(tick, writes_weight);

SEC("struct_ops.s/init")
ACCEPT int inits(u64 *ctx)
{
	return scx_bpf_create_dsq(0, -1);
}
MEMBER(init, inits);

SEC("struct_ops/init")
REJECT("program must be sleepable to call sleepable kfunc scx_bpf_create_dsq")
int inits_awake(u64 *ctx)
{
	return scx_bpf_create_dsq(0, -1);
}
MEMBER(init, inits_awake);

SEC("struct_ops.s/tick")
REJECT("attach to unsupported member tick of struct sched_ext_ops")
void sleeps_in_tick(u64 *ctx)
{
}
MEMBER(tick, sleeps_in_tick);

SEC("struct_ops/exit")
ACCEPT void exits(u64 *ctx)
{
	struct scx_exit_info *info = (void *)ctx[0];
	char text[16];
	bpf_probe_read_kernel_str(text, sizeof(text), info->reason);
	bpf_printk("%s %d", text, info->kind);
}
MEMBER(exit, exits);

SEC("struct_ops/tick")
ACCEPT void asks_masks(u64 *ctx)
{
	const struct cpumask *online = scx_bpf_get_online_cpumask();
	scx_bpf_pick_idle_cpu(online, 0);
	scx_bpf_put_cpumask(online);
}
MEMBER(tick, asks_masks);

SEC("struct_ops/init")
REJECT("BPF_EXIT instruction in main prog would lead to reference leak")
int keeps_mask(u64 *ctx)
{
	const struct cpumask *online = scx_bpf_get_online_cpumask();
	return online->bits[0] & 1;
}
MEMBER(init, keeps_mask);

SEC("struct_ops/init")
ACCEPT unsigned long returns_mask(u64 *ctx)
{
	return (unsigned long)scx_bpf_get_online_cpumask();
}
MEMBER(init, returns_mask);

SEC("struct_ops/tick")
ACCEPT void picks_for_task(u64 *ctx)
{
	struct task_struct *task = (void *)ctx[0];
	scx_bpf_pick_idle_cpu(task->cpus_ptr, 0);
}
MEMBER(tick, picks_for_task);

SEC("struct_ops/set_cpumask")
ACCEPT void sees_mask(u64 *ctx)
{
	scx_bpf_pick_idle_cpu((void *)ctx[1], 0);
}
MEMBER(set_cpumask, sees_mask);

SEC("struct_ops/tick")
ACCEPT void asks_parent(u64 *ctx)
{
	struct task_struct *task = (void *)ctx[0];
	scx_bpf_task_cpu(task->real_parent);
}
MEMBER(tick, asks_parent);

SEC("struct_ops/tick")
REJECT("R1 must be a rcu pointer")
void asks_current_of_queue(u64 *ctx)
{
	scx_bpf_task_cpu(scx_bpf_cpu_rq(0)->curr);
}
MEMBER(tick, asks_current_of_queue);

SEC("struct_ops/tick")
ACCEPT void reads_queue(u64 *ctx)
{
	struct rq *queue = scx_bpf_locked_rq();
	if (queue)
		bpf_printk("%d %d", queue->cpu, queue->curr->pid);
}
MEMBER(tick, reads_queue);

SEC("struct_ops/tick")
REJECT("R0 invalid mem access 'ptr_or_null_'")
void reads_queue_unchecked(u64 *ctx)
{
	bpf_printk("%d", scx_bpf_locked_rq()->cpu);
}
MEMBER(tick, reads_queue_unchecked);

SEC("struct_ops/tick")
ACCEPT void asks_current(u64 *ctx)
{
	struct task_struct *task;
	bpf_rcu_read_lock();
	task = scx_bpf_cpu_curr(0);
	if (task)
		scx_bpf_task_cpu(task);
	bpf_rcu_read_unlock();
}
MEMBER(tick, asks_current);

SEC("struct_ops.s/init")
REJECT("kernel func scx_bpf_cpu_curr requires RCU critical section protection")
int asks_current_unprotected(u64 *ctx)
{
	return scx_bpf_cpu_curr(0) != 0;
}
MEMBER(init, asks_current_unprotected);

SEC("struct_ops/tick")
ACCEPT void asks_cgroup(u64 *ctx)
{
	struct cgroup *cgroup = scx_bpf_task_cgroup((void *)ctx[0]);
	bpf_cgroup_release(cgroup);
}
MEMBER(tick, asks_cgroup);

SEC("struct_ops/dispatch")
ACCEPT void walks(u64 *ctx)
{
	struct bpf_iter_scx_dsq it;
	struct task_struct *task;
	bpf_iter_scx_dsq_new(&it, 0, 0);
	while ((task = bpf_iter_scx_dsq_next(&it)))
		scx_bpf_dsq_move(&it, task, 1, 0);
	bpf_iter_scx_dsq_destroy(&it);
}
MEMBER(dispatch, walks);

SEC("struct_ops.s/init")
REJECT("kernel func bpf_iter_scx_dsq_new requires RCU critical section protection")
int walks_unprotected(u64 *ctx)
{
	struct bpf_iter_scx_dsq it;
	bpf_iter_scx_dsq_new(&it, 0, 0);
	bpf_iter_scx_dsq_destroy(&it);
	return 0;
}
MEMBER(init, walks_unprotected);

SEC("struct_ops/dispatch")
REJECT("BPF_EXIT instruction in main prog would lead to reference leak")
void walks_on(u64 *ctx)
{
	struct bpf_iter_scx_dsq it;
	bpf_iter_scx_dsq_new(&it, 0, 0);
}
MEMBER(dispatch, walks_on);

SEC("struct_ops/tick")
ACCEPT void counts(u64 *ctx)
{
	struct scx_event_stats events;
	scx_bpf_events(&events, sizeof(events));
}
MEMBER(tick, counts);

SEC("struct_ops/tick")
ACCEPT void complains(u64 *ctx)
{
	static char text[] = "no %d";
	u64 data[1] = {5};
	scx_bpf_error_bstr(text, data, sizeof(data));
}
MEMBER(tick, complains);

SEC("struct_ops.s/init_task")
ACCEPT int forbids(u64 *ctx)
{
	struct task_struct *task = (void *)ctx[0];
	task->scx.disallow = 1;
	return 0;
}
MEMBER(init_task, forbids);

SEC("struct_ops.s/init_task")
REJECT("")
int writes_args(u64 *ctx)
{
	struct scx_init_task_args *args = (void *)ctx[1];
	args->fork = 1;
	return 0;
}
MEMBER(init_task, writes_args);

SEC("struct_ops/cgroup_prep_move")
ACCEPT int reads_result(u64 *ctx)
{
	return ctx[3];
}
MEMBER(cgroup_prep_move, reads_result);

SEC("struct_ops/yield")
REJECT("invalid bpf_context access off=16 size=8")
int reads_no_result(u64 *ctx)
{
	return ctx[2];
}
MEMBER(yield, reads_no_result);

SEC("struct_ops/yield")
ACCEPT int yields(u64 *ctx)
{
	struct task_struct *to = (void *)ctx[1];
	return to && to->pid == 1;
}
MEMBER(yield, yields);

SEC("struct_ops/running")
ACCEPT void remembers(u64 *ctx)
{
	struct task_struct *task = bpf_task_acquire((void *)ctx[0]);
	if (task)
		bpf_task_release(task);
}
MEMBER(running, remembers);

SEC("struct_ops/running")
ACCEPT unsigned long leaks(u64 *ctx)
{
	return (unsigned long)bpf_task_acquire((void *)ctx[0]);
}
MEMBER(running, leaks);

SEC("struct_ops/tick")
ACCEPT void reads_every_cpu(u64 *ctx)
{
	struct rq *queue = bpf_per_cpu_ptr(&runqueues, 0);
	if (queue)
		bpf_printk("%d", queue->cpu);
}
MEMBER(tick, reads_every_cpu);

SEC("tp_btf/sched_switch")
REJECT("calling kernel function scx_bpf_dsq_insert is not allowed")
int inserts_elsewhere(u64 *ctx)
{
	scx_bpf_dsq_insert((void *)ctx[1], 0, 0, 0);
	return 0;
}

SEC("tp_btf/sched_switch")
ACCEPT int asks_elsewhere(u64 *ctx)
{
	return scx_bpf_task_cpu((void *)ctx[1]);
}

SEC("xdp")
REJECT("calling kernel function scx_bpf_cpu_rq is not allowed")
int asks_for_packets(struct xdp_md *ctx)
{
	return scx_bpf_cpu_rq(0) ? 1 : 2;
}
