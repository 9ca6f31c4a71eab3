// SPDX-License-Identifier: Apache-2.0
// What the processes of a cgroup may do: where they connect and bind to, which sockets they make, which devices and
// settings they touch, and how much they send.
#include "headers.h"

/* What the C library's headers say, which do not go with this target. */
#define SOCK_STREAM 1
#define SOCK_DGRAM 2
#define SOCK_RAW 3
#define AF_INET 2
#define AF_INET6 10
#define SOL_SOCKET 1
#define SO_MARK 36

struct target {
	__u32 length;
	__be32 address;
};

struct allowance {
	struct bpf_spin_lock lock;
	__u64 tokens;
	__u64 filled;
};

struct decision {
	__u64 time;
	__u64 cgroup;
	__u32 process;
	__u32 what;
	__be32 address[4];
	__be16 port;
	__u16 allowed;
	char command[16];
};

enum { CONNECT4, CONNECT6, BIND4, BIND6, SEND4, SOCKET, DEVICE, SETTING, OPTION };

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct target);
	__type(value, __u64[16]);
} targets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_CGROUP_STORAGE);
	__type(key, struct bpf_cgroup_storage_key);
	__type(value, struct allowance);
} allowances SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct decision);
} decided SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 65536);
} decisions SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u64);
	__type(value, __u32);
} devices SEC(".maps");

const volatile _Bool may_listen;
const volatile __be32 proxy_address;
const volatile __be16 proxy_port;
const volatile __u64 bytes_per_second = 1 << 20;

static __noinline void tell(__u32 what, __be32 address, __be16 port, _Bool allowed)
{
	struct decision *decision = bpf_ringbuf_reserve(&decisions, sizeof(*decision), 0);

	if (!decision)
		return;
	__builtin_memset(decision, 0, sizeof(*decision));
	decision->time = bpf_ktime_get_ns();
	decision->cgroup = bpf_get_current_cgroup_id();
	decision->process = bpf_get_current_pid_tgid() >> 32;
	decision->what = what;
	decision->address[0] = address;
	decision->port = port;
	decision->allowed = allowed;
	bpf_get_current_comm(decision->command, sizeof(decision->command));
	bpf_ringbuf_submit(decision, 0);
}

static __always_inline _Bool may_reach(__be32 address, __be16 port)
{
	struct target key = {.length = 32, .address = address};
	__u64 *ports = bpf_map_lookup_elem(&targets, &key);
	__u16 number = bpf_ntohs(port);

	if (!ports)
		return 0;
	if (number >= 1024)
		return 1;
	return ports[number / 64] >> (number & 63) & 1;
}

SEC("cgroup/connect4")
int connect4(struct bpf_sock_addr *ctx)
{
	_Bool allowed = may_reach(ctx->user_ip4, ctx->user_port);
	struct decision *decision;

	if (ctx->type != SOCK_STREAM && ctx->type != SOCK_DGRAM)
		return 1;
	tell(CONNECT4, ctx->user_ip4, ctx->user_port, allowed);
	if (ctx->sk) {
		decision = bpf_sk_storage_get(&decided, ctx->sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
		if (decision) {
			decision->address[0] = ctx->user_ip4;
			decision->port = ctx->user_port;
		}
	}
	if (!allowed && proxy_address) {
		ctx->user_ip4 = proxy_address;
		ctx->user_port = proxy_port;
		return 1;
	}
	return allowed;
}

SEC("cgroup/connect6")
int connect6(struct bpf_sock_addr *ctx)
{
	if (ctx->user_ip6[0] == 0 && ctx->user_ip6[1] == 0 && ctx->user_ip6[2] == bpf_htonl(0xffff))
		return may_reach(ctx->user_ip6[3], ctx->user_port);
	tell(CONNECT6, ctx->user_ip6[3], ctx->user_port, 0);
	return ctx->user_ip6[0] == 0 && ctx->user_ip6[3] == bpf_htonl(1);
}

SEC("cgroup/bind4")
int bind4(struct bpf_sock_addr *ctx)
{
	if (bpf_ntohs(ctx->user_port) && !may_listen) {
		tell(BIND4, ctx->user_ip4, ctx->user_port, 0);
		return 0;
	}
	/* Bit 1 asks the kernel not to check the right to a low port. */
	return bpf_ntohs(ctx->user_port) < 1024 ? 3 : 1;
}

SEC("cgroup/sendmsg4")
int send4(struct bpf_sock_addr *ctx)
{
	struct allowance *allowance = bpf_get_local_storage(&allowances, 0);
	__u64 now = bpf_ktime_get_ns();
	_Bool allowed = 0;

	bpf_spin_lock(&allowance->lock);
	if (now - allowance->filled > 1000000000) {
		allowance->tokens = bytes_per_second;
		allowance->filled = now;
	}
	if (allowance->tokens > 512) {
		allowance->tokens -= 512;
		allowed = 1;
	}
	bpf_spin_unlock(&allowance->lock);
	if (allowed && ctx->user_port == bpf_htons(53) && proxy_address)
		ctx->user_ip4 = proxy_address;
	return allowed;
}

SEC("cgroup/sock_create")
int socket_made(struct bpf_sock *ctx)
{
	if (ctx->type == SOCK_RAW || (ctx->family != AF_INET && ctx->family != AF_INET6))
		return 0;
	ctx->mark = 0x1234;
	ctx->priority = 3;
	return 1;
}

SEC("cgroup/dev")
int device(struct bpf_cgroup_dev_ctx *ctx)
{
	__u64 key = (__u64)ctx->major << 32 | ctx->minor;
	__u32 *access = bpf_map_lookup_elem(&devices, &key);
	__u32 wanted = ctx->access_type >> 16;

	if (access)
		return (wanted & *access) == wanted;
	/* null, zero, full, random, urandom, tty */
	if ((ctx->access_type & 0xffff) == BPF_DEVCG_DEV_CHAR && ctx->major == 1)
		return ctx->minor == 3 || ctx->minor == 5 || ctx->minor == 7 || ctx->minor == 8 || ctx->minor == 9;
	return 0;
}

SEC("cgroup/sysctl")
int setting(struct bpf_sysctl *ctx)
{
	static const char wanted[] = "net/ipv4/tcp_mem";
	unsigned long numbers[3] = {};
	char name[64], value[64];
	int length, at = 0;

	if (!ctx->write)
		return 1;
	length = bpf_sysctl_get_name(ctx, name, sizeof(name), 0);
	if (length < 0 || length != sizeof(wanted) - 1)
		return 0;
	for (int i = 0; i < (int)sizeof(wanted); i++)
		if (name[i] != wanted[i])
			return 0;
	length = bpf_sysctl_get_new_value(ctx, value, sizeof(value));
	if (length < 0 || length >= (int)sizeof(value))
		return 0;
	for (int i = 0; i < 3; i++) {
		int used = bpf_strtoul(value + at, sizeof(value) - at, 0, numbers + i);

		if (used <= 0 || used > 20)
			return 0;
		at += used;
		asm volatile("%0 &= 31" : "+r"(at));
	}
	return numbers[0] < numbers[1] && numbers[1] < numbers[2];
}

SEC("cgroup/getsockopt")
int option_read(struct bpf_sockopt *ctx)
{
	__u8 *value = ctx->optval, *end = ctx->optval_end;

	if (ctx->level != SOL_SOCKET || ctx->optname != SO_MARK)
		return 1;
	if (value + sizeof(int) > end)
		return 0;
	*(int *)value = 0;
	ctx->optlen = sizeof(int);
	asm volatile("");
	ctx->retval = 0;
	return 1;
}

SEC("cgroup_skb/egress")
int egress(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;
	struct iphdr ip;

	if (bpf_skb_load_bytes(skb, 0, &ip, sizeof(ip)) || ip.version != 4)
		return 1;
	if (!sk)
		return may_reach(ip.daddr, 0);
	sk = bpf_sk_fullsock(sk);
	if (!sk)
		return 1;
	skb->priority = sk->priority;
	if (bpf_ntohl(ip.daddr) >> 28 == 14)
		return sk->mark == 0x1234;
	return ip.protocol == IPPROTO_TCP ? may_reach(ip.daddr, sk->dst_port) : 1;
}

char LICENSE[] SEC("license") = "GPL";
