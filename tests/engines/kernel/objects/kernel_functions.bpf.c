// Calls functions of the kernel by name, one of which no kernel has. Built like kernel_types.bpf.c.

#define KSYM __attribute__((section(".ksyms")))
#define WEAK __attribute__((weak))

extern void bpf_rcu_read_lock(void) KSYM WEAK;
extern void bpf_rcu_read_unlock(void) KSYM;
extern int bpf_never_was(int number, void *context) KSYM WEAK;

char _license[] __attribute__((section("license"), used)) = "GPL";

__attribute__((section("xdp"), used))
int call_what_is_there(void *context)
{
	int result = 2;

	if (bpf_rcu_read_lock) {
		bpf_rcu_read_lock();
		bpf_rcu_read_unlock();
		result += 1;
	}
	if (bpf_never_was)
		result += bpf_never_was(1, context);
	return result;
}
