/* Packets given to global functions, which may or may not move them; stacks of functions by kind of program. */
#include "objects.h"

struct chunk {
	u64 x;
	unsigned char rest[56];
};

__noinline int reads(struct chunk *p)
{
	return p ? p->x : 0;
}

__noinline int writes(struct chunk *p)
{
	if (p)
		p->x = 1;
	return 0;
}

__noinline int moves(struct __sk_buff *ctx, struct chunk *p)
{
	if (!p)
		return 0;
	bpf_skb_pull_data(ctx, 0);
	return p->x;
}

__noinline int moves_only(struct __sk_buff *ctx)
{
	return bpf_skb_pull_data(ctx, 0);
}

__noinline int does_not_move(struct __sk_buff *ctx)
{
	return ctx->len;
}

#define CHUNK_OR_LEAVE                                                                                                 \
	struct chunk *p = (void *)(long)ctx->data;                                                                     \
	if ((void *)(p + 1) > (void *)(long)ctx->data_end)                                                             \
	return 0

SEC("tc")
ACCEPT int read_there(struct __sk_buff *ctx)
{
	CHUNK_OR_LEAVE;
	return reads(p);
}

SEC("tc")
ACCEPT int written_there(struct __sk_buff *ctx)
{
	CHUNK_OR_LEAVE;
	return writes(p);
}

SEC("tc")
REJECT("Caller passes invalid args into func#1 ('reads')") int too_short(struct __sk_buff *ctx)
{
	struct chunk *p = (void *)(long)ctx->data;

	if ((void *)p + 60 > (void *)(long)ctx->data_end)
		return 0;
	return reads(p);
}

SEC("tc")
REJECT("Caller passes invalid args into func#1 ('reads')") int unchecked(struct __sk_buff *ctx)
{
	return reads((void *)(long)ctx->data);
}

SEC("tc")
ACCEPT int moved_there(struct __sk_buff *ctx)
{
	CHUNK_OR_LEAVE;
	return moves(ctx, p);
}

SEC("tc")
REJECT("R6 invalid mem access 'scalar'") int moved_and_used(struct __sk_buff *ctx)
{
	CHUNK_OR_LEAVE;
	moves_only(ctx);
	return p->x;
}

SEC("tc")
ACCEPT int not_moved_and_used(struct __sk_buff *ctx)
{
	CHUNK_OR_LEAVE;
	does_not_move(ctx);
	return p->x;
}

SEC("cgroup_skb/ingress")
ACCEPT int read_where_packets_are_read_only(struct __sk_buff *ctx)
{
	CHUNK_OR_LEAVE;
	return reads(p) & 1;
}

SEC("cgroup_skb/ingress")
ACCEPT int written_where_packets_are_read_only(struct __sk_buff *ctx)
{
	CHUNK_OR_LEAVE;
	return writes(p) & 1;
}

SEC("tc")
ACCEPT int constant_text(struct __sk_buff *ctx)
{
	static const struct chunk c = {};
	return writes((void *)&c);
}

SEC("tc")
REJECT("Caller passes invalid args into func#1 ('reads')") int context_for_memory(struct __sk_buff *ctx)
{
	return reads((void *)ctx);
}

SEC("tc")
ACCEPT int map_value_for_memory(struct __sk_buff *ctx)
{
	static struct chunk c;

	c.x = ctx->len;
	return writes(&c) + reads(&c);
}

SEC("tc")
ACCEPT int stack_for_memory(struct __sk_buff *ctx)
{
	struct chunk c;

	writes(&c);
	return c.rest[0] + reads(&c);
}

struct task_struct {
	int pid;
	int prio;
} __attribute__((preserve_access_index));

__noinline int writes_number(int *p)
{
	if (p)
		*p = 42;
	return 0;
}

SEC("tp_btf/task_newtask")
ACCEPT int member_of_a_task(void *ctx)
{
	struct task_struct *t = bpf_get_current_task_btf();

	return writes_number(&t->prio);
}

#define USES(bytes)                                                                                                    \
	do {                                                                                                           \
		char b[bytes];                                                                                         \
		asm volatile("*(u8 *)(%[b] + 0) = 1" ::[b] "r"(b) : "memory");                                          \
	} while (0)

static __noinline int small(void)
{
	USES(32);
	return 0;
}

static __noinline int large(void)
{
	USES(480);
	small();
	return 0;
}

static __noinline int largest(void)
{
	USES(500);
	small();
	return 0;
}

#define LARGE(calls, bytes) REJECT("combined stack size of " #calls " calls is " #bytes ". Too large")
#define STACKS(kind, section, one, two, three)                                                                        \
	SEC(section) one int kind##_large(void *ctx) { USES(40); return large(); }                                     \
	SEC(section) two int kind##_largest(void *ctx) { return largest(); }                                           \
	SEC(section) three int kind##_full(void *ctx) { USES(500); return small(); }

STACKS(tc, "tc", LARGE(2, 528), LARGE(3, 544), LARGE(2, 544))
STACKS(xdp, "xdp", LARGE(2, 528), LARGE(3, 544), LARGE(2, 544))
STACKS(kprobe, "kprobe/do_nanosleep", ACCEPT, ACCEPT, ACCEPT)
STACKS(tracepoint, "tp/syscalls/sys_enter_write", ACCEPT, ACCEPT, ACCEPT)
STACKS(event, "perf_event", ACCEPT, ACCEPT, ACCEPT)
STACKS(raw, "raw_tp/sys_enter", ACCEPT, ACCEPT, ACCEPT)
STACKS(typed, "tp_btf/sys_enter", ACCEPT, ACCEPT, ACCEPT)
STACKS(syscall, "syscall", LARGE(2, 528), LARGE(3, 544), LARGE(2, 544))
STACKS(socket, "socket", LARGE(2, 528), LARGE(3, 544), LARGE(2, 544))
STACKS(iterator, "iter/task", LARGE(2, 528), LARGE(3, 544), LARGE(2, 544))
STACKS(lookup, "sk_lookup", LARGE(2, 528), LARGE(3, 544), LARGE(2, 544))

static int each_round(unsigned i, void *data)
{
	USES(300);
	return small();
}

SEC("tc")
LARGE(3, 544) int loops_large(void *ctx)
{
	USES(200);
	bpf_loop(3, each_round, 0, 0);
	return 0;
}

SEC("kprobe/do_nanosleep")
ACCEPT int probe_loops_large(void *ctx)
{
	USES(400);
	bpf_loop(3, each_round, 0, 0);
	return 0;
}
