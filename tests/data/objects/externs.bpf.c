/* What only the kernel can provide: functions and variables of its own, and values of its configuration. */
#include "bpf.h"

enum tristate { NO, YES, MODULE };
struct task_struct;

extern u32 LINUX_KERNEL_VERSION KCONFIG;
extern _Bool CONFIG_BPF_SYSCALL KCONFIG WEAK;
extern enum tristate CONFIG_IPV6 KCONFIG WEAK;
extern char CONFIG_CC_VERSION_TEXT[32] KCONFIG WEAK;
extern u64 CONFIG_HZ KCONFIG WEAK;

extern const void untyped_variable KSYM;
extern const int typed_variable KSYM;
extern struct task_struct *task_acquire(struct task_struct *task) KSYM;
extern void rcu_lock(void) KSYM WEAK;

SEC("tp_btf/task_newtask")
int uses_kernel(u64 *ctx)
{
	struct task_struct *task;

	if (&rcu_lock)
		rcu_lock();
	task = task_acquire((struct task_struct *)ctx[0]);
	return task && CONFIG_BPF_SYSCALL && CONFIG_IPV6 == YES && LINUX_KERNEL_VERSION > 0x60000 &&
	       CONFIG_CC_VERSION_TEXT[0] && CONFIG_HZ && (u64)&untyped_variable > ctx[1] && typed_variable;
}

char license_text[] SEC("license") = "GPL";
