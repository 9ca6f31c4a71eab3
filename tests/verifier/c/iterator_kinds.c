/* Iterators over the kernel's objects: tasks, control groups, caches; where each may be made, and of what. */
#include "on_stack.h"

struct cgroup {
	struct cgroup_subsys_state self;
} CORE;
struct dma_buf {
	u64 size;
} CORE;
struct bpf_iter_dmabuf {
	u64 __opaque[1];
} __attribute__((aligned(8)));

extern struct cgroup *bpf_cgroup_from_id(u64 id) __ksym;
extern void bpf_cgroup_release(struct cgroup *group) __ksym;
extern int bpf_iter_css_task_new(struct bpf_iter_css_task *it, struct cgroup_subsys_state *css, u32 flags) __ksym;
extern struct task_struct *bpf_iter_css_task_next(struct bpf_iter_css_task *it) __ksym;
extern void bpf_iter_css_task_destroy(struct bpf_iter_css_task *it) __ksym;
extern int bpf_iter_dmabuf_new(struct bpf_iter_dmabuf *it) __ksym;
extern struct dma_buf *bpf_iter_dmabuf_next(struct bpf_iter_dmabuf *it) __ksym;
extern void bpf_iter_dmabuf_destroy(struct bpf_iter_dmabuf *it) __ksym;

int sum;

SEC("syscall")
ACCEPT int groups(void *ctx)
{
	struct cgroup *group = bpf_cgroup_from_id(1);
	struct cgroup_subsys_state *css;
	struct bpf_iter_css it;

	if (!group)
		return 0;
	bpf_rcu_read_lock();
	bpf_iter_css_new(&it, &group->self, 1);
	while ((css = bpf_iter_css_next(&it)))
		sum += css->id;
	bpf_iter_css_destroy(&it);
	bpf_rcu_read_unlock();
	bpf_cgroup_release(group);
	return 0;
}

SEC("syscall")
REJECT("kernel func bpf_iter_css_new requires RCU critical section protection") int groups_outside_of_rcu(void *ctx)
{
	struct cgroup *group = bpf_cgroup_from_id(1);
	struct bpf_iter_css it;

	if (!group)
		return 0;
	bpf_iter_css_new(&it, &group->self, 1);
	bpf_iter_css_destroy(&it);
	bpf_cgroup_release(group);
	return 0;
}

SEC("syscall")
REJECT("Possibly NULL pointer passed to trusted arg1") int groups_of_none(void *ctx)
{
	struct bpf_iter_css it;

	bpf_rcu_read_lock();
	bpf_iter_css_new(&it, 0, 1);
	bpf_iter_css_destroy(&it);
	bpf_rcu_read_unlock();
	return 0;
}

SEC("syscall")
REJECT("Possibly NULL pointer passed to trusted arg1") int groups_not_checked(void *ctx)
{
	struct cgroup *group = bpf_cgroup_from_id(1);
	struct bpf_iter_css it;

	bpf_rcu_read_lock();
	bpf_iter_css_new(&it, (void *)group, 1);
	bpf_iter_css_destroy(&it);
	bpf_rcu_read_unlock();
	return 0;
}

SEC("syscall")
ACCEPT int tasks_of_a_group(void *ctx)
{
	struct cgroup *group = bpf_cgroup_from_id(1);
	struct bpf_iter_css_task it;
	struct task_struct *task;

	if (!group)
		return 0;
	bpf_iter_css_task_new(&it, &group->self, 1);
	while ((task = bpf_iter_css_task_next(&it)))
		sum += task->pid;
	bpf_iter_css_task_destroy(&it);
	bpf_cgroup_release(group);
	return 0;
}

SEC("tc")
REJECT("css_task_iter is only allowed in bpf_lsm, bpf_iter and sleepable progs") int tasks_of_a_group_in_tc(struct __sk_buff *skb)
{
	struct cgroup *group = bpf_cgroup_from_id(1);
	struct bpf_iter_css_task it;

	if (!group)
		return 0;
	bpf_iter_css_task_new(&it, &group->self, 1);
	bpf_iter_css_task_destroy(&it);
	bpf_cgroup_release(group);
	return 0;
}

SEC("tp_btf/sys_enter")
REJECT("css_task_iter is only allowed in bpf_lsm, bpf_iter and sleepable progs") int tasks_of_a_group_in_tracing(void *ctx)
{
	struct cgroup *group = bpf_cgroup_from_id(1);
	struct bpf_iter_css_task it;

	if (!group)
		return 0;
	bpf_iter_css_task_new(&it, &group->self, 1);
	bpf_iter_css_task_destroy(&it);
	bpf_cgroup_release(group);
	return 0;
}

SEC("iter/task")
ACCEPT int tasks_of_a_group_in_an_iterator(void *ctx)
{
	struct cgroup *group = bpf_cgroup_from_id(1);
	struct bpf_iter_css_task it;

	if (!group)
		return 0;
	bpf_iter_css_task_new(&it, &group->self, 1);
	bpf_iter_css_task_destroy(&it);
	bpf_cgroup_release(group);
	return 0;
}

SEC("syscall")
ACCEPT int buffers(void *ctx)
{
	struct bpf_iter_dmabuf it;
	struct dma_buf *buffer;

	bpf_iter_dmabuf_new(&it);
	while ((buffer = bpf_iter_dmabuf_next(&it)))
		sum += buffer->size;
	bpf_iter_dmabuf_destroy(&it);
	return 0;
}

SEC("tc")
REJECT("program must be sleepable to call sleepable kfunc bpf_iter_kmem_cache_new") int caches_in_tc(struct __sk_buff *skb)
{
	struct bpf_iter_kmem_cache it;

	bpf_iter_kmem_cache_new(&it);
	bpf_iter_kmem_cache_destroy(&it);
	return 0;
}

SEC("syscall")
ACCEPT int element_of_a_group_after_destroying(void *ctx)
{
	struct cgroup *group = bpf_cgroup_from_id(1);
	struct cgroup_subsys_state *css;
	struct bpf_iter_css it;

	if (!group)
		return 0;
	bpf_rcu_read_lock();
	bpf_iter_css_new(&it, &group->self, 1);
	css = bpf_iter_css_next(&it);
	bpf_iter_css_destroy(&it);
	if (css)
		sum += css->id;
	bpf_rcu_read_unlock();
	bpf_cgroup_release(group);
	return 0;
}

SEC("syscall")
ACCEPT int cache_after_destroying(void *ctx)
{
	struct bpf_iter_kmem_cache it;
	struct kmem_cache *cache;

	bpf_iter_kmem_cache_new(&it);
	cache = bpf_iter_kmem_cache_next(&it);
	bpf_iter_kmem_cache_destroy(&it);
	if (cache)
		sum += cache->size;
	return 0;
}

SEC("syscall")
ACCEPT int group_given_up_while_iterating(void *ctx)
{
	struct cgroup *group = bpf_cgroup_from_id(1);
	struct bpf_iter_css it;

	if (!group)
		return 0;
	bpf_rcu_read_lock();
	bpf_iter_css_new(&it, &group->self, 1);
	bpf_cgroup_release(group);
	bpf_iter_css_next(&it);
	bpf_iter_css_destroy(&it);
	bpf_rcu_read_unlock();
	return 0;
}

SEC("syscall")
ACCEPT int tasks_with_flags_unknown(void *ctx)
{
	struct bpf_iter_task it;

	bpf_rcu_read_lock();
	bpf_iter_task_new(&it, 0, bpf_get_prandom_u32());
	bpf_iter_task_destroy(&it);
	bpf_rcu_read_unlock();
	return 0;
}

SEC("syscall")
REJECT("R3 is not a scalar") int tasks_with_a_pointer_as_flags(void *ctx)
{
	struct bpf_iter_task it;

	bpf_rcu_read_lock();
	bpf_iter_task_new(&it, 0, (u64)&sum);
	bpf_iter_task_destroy(&it);
	bpf_rcu_read_unlock();
	return 0;
}

SEC("syscall")
ACCEPT int bits_of_uninitialised_words(void *ctx)
{
	struct bpf_iter_bits it;
	u64 words[2];

	bpf_iter_bits_new(&it, words, 2);
	bpf_iter_bits_destroy(&it);
	return 0;
}

SEC("syscall")
ACCEPT int bits_of_too_many_words(void *ctx)
{
	struct bpf_iter_bits it;
	u64 words[2] = {};

	bpf_iter_bits_new(&it, words, 300);
	bpf_iter_bits_destroy(&it);
	return 0;
}

SEC("syscall")
ACCEPT int bits_of_a_number(void *ctx)
{
	struct bpf_iter_bits it;

	bpf_iter_bits_new(&it, (void *)8, 1);
	bpf_iter_bits_destroy(&it);
	return 0;
}
