// SPDX-License-Identifier: Apache-2.0
// Ways to lay out code and data: sections with several programs, functions that are static, global, weak and hidden,
// functions that are tagged, data in sections of their own, strings, callbacks, exceptions.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define __tag(text) __attribute__((btf_decl_tag(text)))

extern void bpf_throw(__u64 cookie) __ksym;

int plain = 3;
static volatile int internal;
const volatile int fixed = 7;
int hidden __hidden = 1;
int own SEC(".data.own") = 5;
const volatile int own_fixed SEC(".rodata.own") = 6;
int own_zero SEC(".bss.own");
__attribute__((weak)) int overridden = 8;
const char names[2][8] = {"first", "second"};
int *pointer;

static __noinline int in_text(int value)
{
	internal += value;
	return internal + fixed;
}

__noinline int global_function(int value)
{
	return in_text(value) * 2;
}

__attribute__((weak)) __noinline int weak_function(struct __sk_buff *ctx __tag("arg:ctx"))
{
	return ctx->len;
}

__hidden __noinline int hidden_function(int *value)
{
	return value ? *value : 0;
}

__noinline int nonnull_function(int *value __tag("arg:nonnull"))
{
	return *value;
}

__noinline int when_thrown(__u64 cookie)
{
	return cookie > 3;
}

static long step(__u32 index, void *context)
{
	*(int *)context += index;
	return 0;
}

SEC("tc")
int first(struct __sk_buff *skb)
{
	return global_function(skb->len) & 1;
}

SEC("tc")
int second(struct __sk_buff *skb)
{
	int number = 4;

	bpf_loop(3, step, &number, 0);
	number += own + own_fixed + own_zero + hidden + overridden + plain;
	return hidden_function(&number) + nonnull_function(&number) + weak_function(skb);
}

SEC("tc")
__tag("exception_callback:when_thrown")
int third(struct __sk_buff *skb)
{
	if (skb->len > 1000)
		bpf_throw(5);
	return 0;
}

SEC("socket")
int text(struct __sk_buff *skb)
{
	char line[32] = {};

	BPF_SNPRINTF(line, sizeof(line), "%s %d", names[skb->len & 1], skb->len);
	bpf_printk("%d is the length", skb->len);
	return line[0];
}

char LICENSE[] SEC("license") = "GPL";
__u32 _version SEC("version") = 0x060000;
