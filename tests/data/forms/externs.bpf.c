// SPDX-License-Identifier: Apache-2.0
// What an object leaves to whoever loads it: kernel variables with and without a type, functions, configuration; weak
// and strong, there and not.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define __weak_symbol __attribute__((weak))

struct rq;
struct task_struct;

extern const void schedule __ksym;
extern const void no_such_symbol __ksym __weak_symbol;
extern const struct rq runqueues __ksym;
extern const int cpu_number __ksym __weak_symbol;
extern const struct rq no_such_variable __ksym __weak_symbol;

extern struct task_struct *bpf_task_acquire(struct task_struct *task) __ksym;
extern void bpf_task_release(struct task_struct *task) __ksym;
extern void bpf_rcu_read_lock(void) __ksym __weak_symbol;
extern void bpf_rcu_read_unlock(void) __ksym __weak_symbol;
extern int no_such_function(int value) __ksym __weak_symbol;
extern int bpf_cpumask_weight___flavour(const void *mask) __ksym __weak_symbol;

extern int LINUX_KERNEL_VERSION __kconfig;
extern _Bool LINUX_HAS_BPF_COOKIE __kconfig __weak_symbol;
extern _Bool LINUX_HAS_SYSCALL_WRAPPER __kconfig __weak_symbol;
extern unsigned long CONFIG_HZ __kconfig;
extern enum libbpf_tristate CONFIG_BPF_SYSCALL __kconfig;
extern _Bool CONFIG_NO_SUCH_OPTION __kconfig __weak_symbol;
extern char CONFIG_CC_VERSION_TEXT[64] __kconfig;

__u64 found[16];

SEC("raw_tp/sys_enter")
int look(void *ctx)
{
	int *number;

	found[0] = (__u64)&schedule;
	found[1] = (__u64)&no_such_symbol;
	found[2] = (__u64)&no_such_variable;
	if (&cpu_number) {
		number = bpf_per_cpu_ptr(&cpu_number, 0);
		if (number)
			found[3] = *number;
	}
	found[4] = (__u64)bpf_per_cpu_ptr(&runqueues, 1);
	return 0;
}

SEC("raw_tp/sys_enter")
int ask(void *ctx)
{
	found[5] = LINUX_KERNEL_VERSION;
	found[6] = CONFIG_HZ;
	found[7] = CONFIG_BPF_SYSCALL;
	found[8] = CONFIG_NO_SUCH_OPTION;
	found[9] = CONFIG_CC_VERSION_TEXT[0];
	found[10] = LINUX_HAS_BPF_COOKIE + LINUX_HAS_SYSCALL_WRAPPER;
	return 0;
}

SEC("tc")
int call(void *ctx)
{
	if (no_such_function)
		found[11] = no_such_function(3);
	if (bpf_cpumask_weight___flavour)
		found[12] = 1;
	if (bpf_rcu_read_lock && bpf_rcu_read_unlock) {
		bpf_rcu_read_lock();
		bpf_rcu_read_unlock();
	}
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
