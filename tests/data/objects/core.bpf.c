/* Accesses that depend on the types of the running kernel: one of each kind of CO-RE relocation. */
#include "bpf.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct mm_struct {
	u64 start;
};

struct task_struct {
	int pid;
	struct mm_struct *mm;
	struct {
		u32 first : 3;
		u32 second : 9;
	};
	u64 list[4];
};
#pragma clang attribute pop

enum states { RUNNING = 0, SLEEPING = 7 };
enum large { HUGE = 0x1234567890 };

#define FIELD(field, what) __builtin_preserve_field_info(field, what)

SEC("raw_tp/sched_switch")
int reads(u64 *ctx)
{
	struct task_struct *task = (void *)ctx[1];
	u64 result = task->pid + task->list[2];

	result += FIELD(task->second, 0) + FIELD(task->second, 1) + FIELD(task->second, 2) + FIELD(task->second, 3);
	result += FIELD(task->second, 4) + FIELD(task->second, 5);
	result += __builtin_btf_type_id(*task, 0) + __builtin_btf_type_id(*task, 1);
	result += __builtin_preserve_type_info(*task, 0) + __builtin_preserve_type_info(*task, 1);
	result += __builtin_preserve_enum_value(*(enum states *)SLEEPING, 0);
	result += __builtin_preserve_enum_value(*(enum states *)SLEEPING, 1);
	return result;
}

char license_text[] SEC("license") = "GPL";
