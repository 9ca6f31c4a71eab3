/* What a pointer in a kernel object leads to, if not to a structure: memory that may not be there. */
#include "objects.h"

#define PLACED __attribute__((preserve_access_index))

extern void *bpf_cast_to_kern_ctx(void *) __ksym;
extern void *bpf_rdonly_cast(const void *, u32) __ksym;
struct sk_buff {
	unsigned int len;
	unsigned char *head;
	unsigned char *data;
	struct sk_buff *next;
	struct net_device *dev;
	struct sock *sk;
} PLACED;
struct net_device {
	int ifindex;
	void *ml_priv;
	unsigned char *dev_addr;
	const char *ifalias;
} PLACED;
struct mm_struct {
	struct file *exe_file;
} PLACED;
struct file {
	void *private_data;
} PLACED;
struct task_struct {
	int pid;
	void *stack;
	char comm[16];
	struct mm_struct *mm;
	struct task_struct *parent, *real_parent;
	int *set_child_tid;
	void *journal_info;
	const struct cred *cred;
	struct nameidata *nameidata;
	void *security;
} PLACED;
struct task_struct *bpf_task_from_pid(int pid) __ksym;
void bpf_task_release(struct task_struct *) __ksym;
char kept;

SEC("tc")
ACCEPT int head_of_cast(struct __sk_buff *ctx)
{
	struct sk_buff *k = bpf_cast_to_kern_ctx(ctx);
	return *k->head;
}

SEC("tp_btf/consume_skb")
ACCEPT int head_of_tracepoint(u64 *ctx)
{
	struct sk_buff *k = (void *)ctx[0];
	kept = *k->head;
	return 0;
}

SEC("tp_btf/consume_skb")
ACCEPT int head_of_next(u64 *ctx)
{
	struct sk_buff *k = (void *)ctx[0];
	kept = *k->next->head;
	return 0;
}

SEC("tp_btf/consume_skb")
ACCEPT int priv_of_device(u64 *ctx)
{
	struct sk_buff *k = (void *)ctx[0];
	kept = *(char *)k->dev->ml_priv;
	return 0;
}

SEC("tp_btf/consume_skb")
ACCEPT int addr_of_device(u64 *ctx)
{
	struct sk_buff *k = (void *)ctx[0];
	kept = *k->dev->dev_addr;
	return 0;
}

SEC("tp_btf/sched_switch")
ACCEPT int stack_of_task(u64 *ctx)
{
	struct task_struct *t = (void *)ctx[1];
	kept = *(char *)t->stack;
	return 0;
}

SEC("tp_btf/sched_switch")
ACCEPT int user_pointer_of_task(u64 *ctx)
{
	struct task_struct *t = (void *)ctx[1];
	kept = *t->set_child_tid;
	return 0;
}

SEC("tp_btf/sched_switch")
ACCEPT int journal_of_parent(u64 *ctx)
{
	struct task_struct *t = (void *)ctx[1];
	kept = *(char *)t->parent->journal_info;
	return 0;
}

SEC("tp_btf/sched_switch")
ACCEPT int journal_of_real_parent(u64 *ctx)
{
	struct task_struct *t = (void *)ctx[1];
	kept = *(char *)t->real_parent->journal_info;
	return 0;
}

SEC("tp_btf/sched_switch")
ACCEPT int security_of_task(u64 *ctx)
{
	struct task_struct *t = (void *)ctx[1];
	kept = *(char *)t->security;
	return 0;
}

SEC("tp_btf/sched_switch")
ACCEPT int file_data(u64 *ctx)
{
	struct task_struct *t = (void *)ctx[1];
	kept = *(char *)t->mm->exe_file->private_data;
	return 0;
}

SEC("syscall")
ACCEPT int stack_of_found_task(u64 *ctx)
{
	struct task_struct *t = bpf_task_from_pid(1);
	int r;
	if (!t) return 0;
	r = 0;
	kept = *(char *)t->stack;
	bpf_task_release(t);
	return r;
}

SEC("syscall")
ACCEPT int stack_of_found_task_under_rcu(u64 *ctx)
{
	struct task_struct *t = bpf_task_from_pid(1);
	int r;
	if (!t) return 0;
	bpf_rcu_read_lock();
	r = 0;
	kept = *(char *)t->stack;
	bpf_rcu_read_unlock();
	bpf_task_release(t);
	return r;
}

SEC("syscall")
ACCEPT int stack_of_current(u64 *ctx)
{
	struct task_struct *t = bpf_get_current_task_btf();
	return *(char *)t->stack;
}

SEC("syscall")
ACCEPT int stack_of_real_parent(u64 *ctx)
{
	struct task_struct *t = bpf_get_current_task_btf();
	int r;
	bpf_rcu_read_lock();
	r = *(char *)t->real_parent->stack;
	bpf_rcu_read_unlock();
	return r;
}

SEC("iter/task")
ACCEPT int stack_of_iterated(u64 *ctx)
{
	struct task_struct *t = (void *)ctx[1];
	if (t) kept = *(char *)t->stack;
	return 0;
}

SEC("iter.s/task")
ACCEPT int stack_of_iterated_sleeping(u64 *ctx)
{
	struct task_struct *t = (void *)ctx[1];
	if (t) kept = *(char *)t->stack;
	return 0;
}

SEC("kprobe/do_nanosleep")
ACCEPT int stack_of_current_in_probe(u64 *ctx)
{
	struct task_struct *t = bpf_get_current_task_btf();
	return *(char *)t->stack;
}

SEC("tc")
ACCEPT int stack_of_current_in_tc(u64 *ctx)
{
	struct task_struct *t = bpf_get_current_task_btf();
	return *(char *)t->stack;
}

SEC("tc")
ACCEPT int cast_read_only(struct __sk_buff *ctx)
{
	struct sk_buff *k = bpf_rdonly_cast(bpf_cast_to_kern_ctx(ctx), __builtin_btf_type_id(*(struct sk_buff *)0, 1));
	return *k->head;
}
struct sock {
	void *sk_user_data;
} PLACED;

SEC("tc")
ACCEPT int data_of_socket(struct __sk_buff *ctx)
{
	struct bpf_sock *s = ctx->sk;
	struct sock *t;
	if (!s) return 0;
	t = (void *)bpf_skc_to_tcp_sock(s);
	if (!t) return 0;
	return !!((struct sock *)t)->sk_user_data;
}

SEC("tc")
ACCEPT int data_of_socket_read(struct __sk_buff *ctx)
{
	struct bpf_sock *s = ctx->sk;
	struct sock *t;
	if (!s) return 0;
	t = (void *)bpf_skc_to_tcp_sock(s);
	if (!t) return 0;
	return *(char *)((struct sock *)t)->sk_user_data;
}

struct files_struct {
	struct fdtable *fdt;
} PLACED;
struct fdtable {
	struct file **fd;
	unsigned long *open_fds;
} PLACED;
struct task_struct___f {
	struct files_struct *files;
	const struct sched_class *sched_class;
	struct callback_head *task_works;
	struct pid *thread_pid;
} PLACED;
struct sched_class {
	void (*enqueue_task)(void);
} PLACED;

SEC("tp_btf/sched_switch")
ACCEPT int pointer_to_pointer(u64 *ctx)
{
	struct task_struct___f *t = (void *)ctx[1];
	kept = *(char *)t->files->fdt->fd;
	return 0;
}

SEC("tp_btf/sched_switch")
REJECT("R1 invalid mem access 'scalar'") int pointer_to_pointer_followed(u64 *ctx)
{
	struct task_struct___f *t = (void *)ctx[1];
	kept = *(char *)t->files->fdt->fd[0];
	return 0;
}

SEC("tp_btf/sched_switch")
ACCEPT int pointer_to_long(u64 *ctx)
{
	struct task_struct___f *t = (void *)ctx[1];
	kept = *t->files->fdt->open_fds;
	return 0;
}

SEC("tp_btf/sched_switch")
ACCEPT int pointer_to_function(u64 *ctx)
{
	struct task_struct___f *t = (void *)ctx[1];
	kept = *(char *)t->sched_class->enqueue_task;
	return 0;
}
struct net_device___g {
	void *rx_handler;
	unsigned int *nested_level;
	void *priv;
	const unsigned char *dev_addr;
	void *lstats;
} PLACED;
struct sk_buff___g {
	void (*destructor)(void *);
	struct net_device___g *dev;
	void *extensions;
	unsigned long _skb_refdst;
} PLACED;

SEC("tp_btf/consume_skb")
ACCEPT int function_in_union(u64 *ctx)
{
	struct sk_buff___g *k = (void *)ctx[0];
	kept = *(char *)k->destructor;
	return 0;
}

SEC("tp_btf/consume_skb")
ACCEPT int handler(u64 *ctx)
{
	struct sk_buff___g *k = (void *)ctx[0];
	kept = *(char *)k->dev->rx_handler;
	return 0;
}

SEC("tp_btf/neigh_create")
ACCEPT int handler_of_device(u64 *ctx)
{
	struct net_device___g *d = (void *)ctx[1];
	kept = *(char *)d->rx_handler;
	return 0;
}

SEC("tp_btf/neigh_create")
ACCEPT int address_of_device(u64 *ctx)
{
	struct net_device___g *d = (void *)ctx[1];
	kept = *(char *)d->dev_addr;
	return 0;
}

SEC("tp_btf/neigh_create")
ACCEPT int percpu_of_device(u64 *ctx)
{
	struct net_device___g *d = (void *)ctx[1];
	kept = *(char *)d->lstats;
	return 0;
}

SEC("tp_btf/cgroup_mkdir")
REJECT("R1 invalid mem access 'scalar'") int path_of_group(u64 *ctx)
{
	kept = *(char *)ctx[1];
	return 0;
}
struct kmem_cache {
	const char *name;
} PLACED;
struct bpf_iter__kmem_cache {
	void *meta;
	struct kmem_cache *s;
} PLACED;

SEC("iter/kmem_cache")
ACCEPT int name_of_cache(struct bpf_iter__kmem_cache *ctx)
{
	struct kmem_cache *s = ctx->s;
	if (s) kept = *s->name;
	return 0;
}

SEC("tc")
REJECT("R1 cannot write into rdonly_untrusted_mem") int head_written(struct __sk_buff *ctx)
{
	struct sk_buff *k = bpf_cast_to_kern_ctx(ctx);
	*k->head = 1;
	return 0;
}

SEC("tc")
REJECT("R1 type=rdonly_untrusted_mem expected=fp, pkt, pkt_meta, map_key, map_value, mem, ringbuf_mem, buf, trusted_ptr_") int head_given_to_helper(struct __sk_buff *ctx)
{
	struct sk_buff *k = bpf_cast_to_kern_ctx(ctx);
	return bpf_strncmp((char *)k->head, 4, "abc");
}

SEC("tc")
ACCEPT int head_given_to_probe(struct __sk_buff *ctx)
{
	char a;
	struct sk_buff *k = bpf_cast_to_kern_ctx(ctx);
	bpf_probe_read_kernel(&a, 1, k->head);
	return a;
}

SEC("tc")
REJECT("R0 32-bit pointer arithmetic prohibited") int head_as_number(struct __sk_buff *ctx)
{
	struct sk_buff *k = bpf_cast_to_kern_ctx(ctx);
	return (long)k->head & 1;
}

SEC("tc")
ACCEPT int head_difference(struct __sk_buff *ctx)
{
	struct sk_buff *k = bpf_cast_to_kern_ctx(ctx);
	return k->data - k->head;
}

SEC("tc")
ACCEPT int head_shifted(struct __sk_buff *ctx)
{
	struct sk_buff *k = bpf_cast_to_kern_ctx(ctx);
	return (long)k->head >> 12;
}

SEC("tc")
ACCEPT int head_compared(struct __sk_buff *ctx)
{
	struct sk_buff *k = bpf_cast_to_kern_ctx(ctx);
	return k->data > k->head;
}

SEC("tc")
ACCEPT int head_stored(struct __sk_buff *ctx)
{
	struct sk_buff *k = bpf_cast_to_kern_ctx(ctx);
	static long place;
	place = (long)k->head;
	return 0;
}

SEC("tc")
REJECT("R1 32-bit pointer arithmetic prohibited") int head_multiplied(struct __sk_buff *ctx)
{
	struct sk_buff *k = bpf_cast_to_kern_ctx(ctx);
	return (long)k->head * 3 + ((long)k->data ^ 5);
}
