/* Functions of the kernel for some kinds of programs: attributes of groups, caches, packets pulled in, send times. */
#include "expect.h"

#define __noinline __attribute__((noinline))
#define PLACED __attribute__((preserve_access_index))

struct cgroup;
struct cgroup_subsys_state {
	struct cgroup *cgroup;
} PLACED;
struct cgroup {
	struct cgroup_subsys_state self;
} PLACED;
struct kmem_cache {
	unsigned int size;
	const char *name;
} PLACED;
struct bpf_iter_meta {
	void *seq;
} PLACED;
struct bpf_iter__kmem_cache {
	struct bpf_iter_meta *meta;
	struct kmem_cache *s;
} PLACED;
struct dma_buf {
	unsigned long size;
	const char *name;
} PLACED;
struct bpf_iter__dmabuf {
	struct bpf_iter_meta *meta;
	struct dma_buf *dmabuf;
} PLACED;
struct sk_buff {
	unsigned int len;
	unsigned char *head;
	unsigned int end;
} PLACED;
struct skb_shared_info {
	unsigned int tskey;
} PLACED;
struct sock;
struct bpf_sock_ops_kern {
	struct sock *sk;
	struct sk_buff *skb;
} PLACED;
struct bpf_iter_css {
	unsigned long long __opaque[3];
} __attribute__((aligned(8)));

extern int bpf_cgroup_read_xattr(struct cgroup *cgroup, const char *name, struct bpf_dynptr *value) __ksym;
extern struct cgroup *bpf_cgroup_from_id(unsigned long long id) __ksym;
extern struct cgroup *bpf_cgroup_ancestor(struct cgroup *cgroup, int level) __ksym;
extern void bpf_cgroup_release(struct cgroup *cgroup) __ksym;
extern int bpf_iter_css_new(struct bpf_iter_css *it, struct cgroup_subsys_state *start, unsigned int flags) __ksym;
extern struct cgroup_subsys_state *bpf_iter_css_next(struct bpf_iter_css *it) __ksym;
extern void bpf_iter_css_destroy(struct bpf_iter_css *it) __ksym;
extern void bpf_rcu_read_lock(void) __ksym;
extern void bpf_rcu_read_unlock(void) __ksym;
extern struct kmem_cache *bpf_get_kmem_cache(unsigned long long address) __ksym;
extern int bpf_xdp_pull_data(struct xdp_md *x, unsigned int length) __ksym;
extern int bpf_sock_ops_enable_tx_tstamp(struct bpf_sock_ops_kern *skops, unsigned long long flags) __ksym;
extern void *bpf_cast_to_kern_ctx(void *ctx) __ksym;
extern void *bpf_rdonly_cast(const void *obj, unsigned int btf_id) __ksym;
extern int bpf_sock_addr_set_sun_path(void *sa_kern, const unsigned char *path, unsigned int length) __ksym;

char value[64];
char variable[] = "user.name";
unsigned int chosen;

static inline int attribute(struct cgroup *group)
{
	struct bpf_dynptr d;

	bpf_dynptr_from_mem(value, sizeof(value), 0, &d);
	return bpf_cgroup_read_xattr(group, "user.name", &d);
}

SEC("syscall")
ACCEPT int attribute_of_own_group(void *ctx)
{
	struct cgroup *group = bpf_cgroup_from_id(chosen);
	int n;

	if (!group)
		return 0;
	n = attribute(group);
	bpf_cgroup_release(group);
	return n;
}

SEC("syscall")
REJECT("Possibly NULL pointer passed to trusted arg0") int attribute_unchecked(void *ctx)
{
	struct cgroup *group = bpf_cgroup_from_id(chosen);
	int n = attribute(group);

	if (group)
		bpf_cgroup_release(group);
	return n;
}

SEC("syscall")
REJECT("R2 does not point to a readonly map'") int attribute_by_variable_name(void *ctx)
{
	struct cgroup *group = bpf_cgroup_from_id(chosen);
	struct bpf_dynptr d;

	if (!group)
		return 0;
	bpf_dynptr_from_mem(value, sizeof(value), 0, &d);
	bpf_cgroup_read_xattr(group, variable, &d);
	bpf_cgroup_release(group);
	return 0;
}

SEC("syscall")
REJECT("Expected an initialized dynptr as arg #2") int attribute_into_nothing(void *ctx)
{
	struct cgroup *group = bpf_cgroup_from_id(chosen);
	struct bpf_dynptr d;

	if (!group)
		return 0;
	bpf_cgroup_read_xattr(group, "user.name", &d);
	bpf_cgroup_release(group);
	return 0;
}

SEC("syscall")
REJECT("arg#0 pointer type STRUCT cgroup must point to scalar, or struct with scalar") int attribute_of_released(void *ctx)
{
	struct cgroup *group = bpf_cgroup_from_id(chosen);

	if (!group)
		return 0;
	bpf_cgroup_release(group);
	return attribute(group);
}

SEC("syscall")
ACCEPT int attributes_upwards(void *ctx)
{
	struct cgroup *group = bpf_cgroup_from_id(chosen);
	struct cgroup_subsys_state *css;
	struct bpf_iter_css it;
	int n = 0;

	if (!group)
		return 0;
	bpf_rcu_read_lock();
	bpf_iter_css_new(&it, &group->self, 3);
	while ((css = bpf_iter_css_next(&it)))
		n += attribute(css->cgroup);
	bpf_iter_css_destroy(&it);
	bpf_rcu_read_unlock();
	bpf_cgroup_release(group);
	return n;
}

SEC("syscall")
REJECT("kernel func bpf_iter_css_new requires RCU critical section protection") int attributes_upwards_outside(void *ctx)
{
	struct cgroup *group = bpf_cgroup_from_id(chosen);
	struct cgroup_subsys_state *css;
	struct bpf_iter_css it;
	int n = 0;

	if (!group)
		return 0;
	bpf_iter_css_new(&it, &group->self, 3);
	while ((css = bpf_iter_css_next(&it)))
		n += attribute(css->cgroup);
	bpf_iter_css_destroy(&it);
	bpf_cgroup_release(group);
	return n;
}

SEC("tp_btf/sched_switch")
ACCEPT int attributes_upwards_where_nothing_sleeps(void *ctx)
{
	struct cgroup *group = bpf_cgroup_from_id(chosen);
	struct cgroup_subsys_state *css;
	struct bpf_iter_css it;

	if (!group)
		return 0;
	bpf_iter_css_new(&it, &group->self, 3);
	while ((css = bpf_iter_css_next(&it)))
		attribute(css->cgroup);
	bpf_iter_css_destroy(&it);
	bpf_cgroup_release(group);
	return 0;
}

SEC("cgroup/sendmsg4")
ACCEPT int attribute_of_ancestor(void *ctx)
{
	struct cgroup *group = bpf_cgroup_from_id(chosen), *above;

	if (!group)
		return 0;
	above = bpf_cgroup_ancestor(group, 1);
	if (above) {
		attribute(above);
		bpf_cgroup_release(above);
	}
	bpf_cgroup_release(group);
	return 0;
}

SEC("socket")
REJECT("calling kernel function bpf_cgroup_from_id is not allowed") int attribute_for_filter(void *ctx)
{
	struct cgroup *group = bpf_cgroup_from_id(chosen);

	if (!group)
		return 0;
	attribute(group);
	bpf_cgroup_release(group);
	return 0;
}

SEC("iter/kmem_cache")
ACCEPT int each_cache(struct bpf_iter__kmem_cache *ctx)
{
	struct kmem_cache *s = ctx->s;

	return s ? s->size & 0 : 0;
}

SEC("iter/kmem_cache")
ACCEPT int each_cache_unchecked(struct bpf_iter__kmem_cache *ctx)
{
	return ctx->s->size & 0;
}

SEC("iter/kmem_cache")
ACCEPT int each_cache_by_name(struct bpf_iter__kmem_cache *ctx)
{
	struct kmem_cache *s = ctx->s;
	char name[32];

	if (!s)
		return 0;
	bpf_probe_read_kernel_str(name, sizeof(name), s->name);
	return *s->name & 0;
}

SEC("raw_tp/sys_enter")
ACCEPT int cache_of_an_address(void *ctx)
{
	struct kmem_cache *s = bpf_get_kmem_cache(bpf_get_current_task());

	return s ? s->size : 0;
}

SEC("raw_tp/sys_enter")
ACCEPT int cache_of_an_address_unchecked(void *ctx)
{
	return bpf_get_kmem_cache(bpf_get_current_task())->size;
}

SEC("raw_tp/sys_enter")
REJECT("R1 is not a scalar") int cache_of_a_pointer(void *ctx)
{
	struct kmem_cache *s = bpf_get_kmem_cache((unsigned long)ctx);

	return !!s;
}

SEC("iter/dmabuf")
ACCEPT int each_buffer(struct bpf_iter__dmabuf *ctx)
{
	struct dma_buf *d = ctx->dmabuf;

	return d ? d->size & 0 : 0;
}

SEC("xdp.frags")
ACCEPT int pulled_and_looked_again(struct xdp_md *ctx)
{
	unsigned char *p;

	if (bpf_xdp_pull_data(ctx, chosen))
		return 1;
	p = (void *)(long)ctx->data;
	if (p + 100 > (unsigned char *)(long)ctx->data_end)
		return 1;
	return p[99] ? 2 : 1;
}

SEC("xdp.frags")
REJECT("R7 invalid mem access 'scalar'") int pulled_and_not_looked_again(struct xdp_md *ctx)
{
	unsigned char *p = (void *)(long)ctx->data;

	if (p + 100 > (unsigned char *)(long)ctx->data_end)
		return 1;
	if (bpf_xdp_pull_data(ctx, chosen))
		return 1;
	return p[99] ? 2 : 1;
}

__noinline int pulls_deep(struct xdp_md *x, unsigned int length)
{
	return bpf_xdp_pull_data(x, length);
}

__noinline int pulls(struct xdp_md *x, unsigned int length)
{
	return pulls_deep(x, length);
}

SEC("xdp")
REJECT("R6 invalid mem access 'scalar'") int pulled_by_global_function(struct xdp_md *ctx)
{
	unsigned char *p = (void *)(long)ctx->data;

	if (p + 4 > (unsigned char *)(long)ctx->data_end)
		return 1;
	pulls(ctx, 0);
	*p = 1;
	return 2;
}

extern int bpf_dynptr_from_xdp(struct xdp_md *x, unsigned long long flags, struct bpf_dynptr *d) __ksym;
extern void *bpf_dynptr_slice(const struct bpf_dynptr *d, unsigned int offset, void *buffer, unsigned int size) __ksym;

SEC("xdp")
REJECT("R7 invalid mem access 'scalar'") int slice_and_pulled(struct xdp_md *ctx)
{
	struct bpf_dynptr d;
	char buffer[8], *p;

	bpf_dynptr_from_xdp(ctx, 0, &d);
	p = bpf_dynptr_slice(&d, 0, buffer, 8);
	if (!p)
		return 1;
	bpf_xdp_pull_data(ctx, chosen);
	return p[1] & 1;
}

SEC("xdp")
ACCEPT int pulled_and_slice(struct xdp_md *ctx)
{
	struct bpf_dynptr d;
	char buffer[8], *p;

	bpf_dynptr_from_xdp(ctx, 0, &d);
	bpf_xdp_pull_data(ctx, chosen);
	p = bpf_dynptr_slice(&d, 0, buffer, 8);
	return p ? p[1] & 1 : 1;
}

SEC("tc")
REJECT("calling kernel function bpf_xdp_pull_data is not allowed") int pulled_from_another_kind(struct __sk_buff *ctx)
{
	return bpf_xdp_pull_data((void *)ctx, chosen);
}

SEC("sockops")
ACCEPT int send_times(struct bpf_sock_ops *ctx)
{
	struct bpf_sock_ops_kern *kern = bpf_cast_to_kern_ctx(ctx);
	struct sk_buff *skb = kern->skb;
	struct skb_shared_info *info = bpf_rdonly_cast(skb->head + skb->end, __builtin_btf_type_id(*(struct skb_shared_info *)0, 1));

	bpf_sock_ops_enable_tx_tstamp(kern, 0);
	return info->tskey ? 1 : 1;
}

SEC("sockops")
REJECT("arg#0 pointer type STRUCT bpf_sock_ops_kern must point to scalar, or struct with scalar") int send_times_of_plain_context(struct bpf_sock_ops *ctx)
{
	bpf_sock_ops_enable_tx_tstamp((void *)ctx, 0);
	return 1;
}

SEC("tc")
REJECT("calling kernel function bpf_sock_ops_enable_tx_tstamp is not allowed") int send_times_of_packet(struct __sk_buff *ctx)
{
	bpf_sock_ops_enable_tx_tstamp((void *)ctx, 0);
	return 1;
}

SEC("cgroup/connect_unix")
REJECT("arg#1 arg#2 memory, len pair leads to invalid memory access") int path_set(struct bpf_sock_addr *ctx)
{
	static const unsigned char path[] = "path";

	bpf_sock_addr_set_sun_path(bpf_cast_to_kern_ctx(ctx), path, sizeof(path) - 1);
	return 1;
}

SEC("cgroup/connect_unix")
REJECT("arg#1 arg#2 memory, len pair leads to invalid memory access") int path_set_too_long(struct bpf_sock_addr *ctx)
{
	static const unsigned char path[] = "path";

	bpf_sock_addr_set_sun_path(bpf_cast_to_kern_ctx(ctx), path, 60);
	return 1;
}

SEC("sk_skb")
ACCEPT int tail_changed(struct __sk_buff *ctx)
{
	char *p;

	bpf_skb_pull_data(ctx, 1);
	p = (void *)(long)ctx->data;
	if (p + 1 > (char *)(long)ctx->data_end)
		return 1;
	if (*p == 'a')
		bpf_skb_change_tail(ctx, ctx->len - 1, 0);
	else if (*p == 'b')
		bpf_skb_change_tail(ctx, 65535, 0);
	return 1;
}

SEC("sk_skb")
REJECT("R6 invalid mem access 'scalar'") int tail_changed_and_read(struct __sk_buff *ctx)
{
	char *p = (void *)(long)ctx->data;

	if (p + 1 > (char *)(long)ctx->data_end)
		return 1;
	bpf_skb_change_tail(ctx, ctx->len - 1, 0);
	return *p & 1;
}

SEC("sk_skb/stream_parser")
ACCEPT int tail_changed_while_parsing(struct __sk_buff *ctx)
{
	bpf_skb_change_tail(ctx, ctx->len - 1, 0);
	return ctx->len;
}
