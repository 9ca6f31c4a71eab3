/* What the programs in C share that work on the kernel's objects. */
#include "objects.h"

#undef ACCEPT
#undef REJECT

struct bpf_iter_num {
	u64 __opaque[1];
} __attribute__((aligned(8)));

extern int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end) __ksym;
extern int *bpf_iter_num_next(struct bpf_iter_num *it) __ksym;
extern void bpf_iter_num_destroy(struct bpf_iter_num *it) __ksym;

struct task_struct {
	int pid;
} __attribute__((preserve_access_index));
extern struct task_struct *bpf_task_from_pid(int pid) __ksym;
extern struct task_struct *bpf_task_acquire(struct task_struct *task) __ksym;
extern void bpf_task_release(struct task_struct *task) __ksym;

struct owner {
	struct task_struct __kptr *task;
};

MAP(owners, ARRAY, struct owner);

struct waiting {
	struct bpf_timer timer;
	u64 rounds;
};

MAP(timers, ARRAY, struct waiting);
MAP(other_timers, ARRAY, struct waiting);

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} records SEC(".maps");
