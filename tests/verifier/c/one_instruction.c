/* One instruction that is reached with pointers of several kinds: what it can serve together. */
#include "expect.h"

struct task_struct {
	struct task_struct *real_parent;
} __attribute__((preserve_access_index));

void *bpf_rdonly_cast(const void *obj, unsigned int btf_id) __ksym;

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} ring SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, int);
	__type(value, long);
} values SEC(".maps");

#define SOURCES                                                                                                        \
	int key = 0;                                                                                                   \
	long got = 0, *value = bpf_map_lookup_elem(&values, &key), *record;                                            \
	struct task_struct *task = (void *)bpf_get_current_task_btf();                                                 \
	if (!value)                                                                                                    \
		return 0;                                                                                              \
	record = bpf_ringbuf_reserve(&ring, 8, 0);                                                                     \
	if (!record)                                                                                                   \
	return 0

/* The last is what the path that is followed first brings. */
#define TWO(one, two)                                                                                                  \
	void *p = two;                                                                                                 \
	asm volatile("" : "+r"(p));                                                                                    \
	if (bpf_get_prandom_u32() == 3)                                                                                \
		p = one;

#define THREE(one, two, three)                                                                                         \
	void *p;                                                                                                       \
	if (bpf_get_prandom_u32() == 3) {                                                                              \
		p = one;                                                                                               \
		goto there;                                                                                            \
	}                                                                                                              \
	if (bpf_get_prandom_u32() == 4) {                                                                              \
		p = two;                                                                                               \
		goto there;                                                                                            \
	}                                                                                                              \
	p = three;                                                                                                     \
	there:

#define LOADED asm volatile("%[got] = *(u64 *)(%[p] + 0)" : [got] "=r"(got) : [p] "r"(p))
#define LOADED_WITH_SIGN asm volatile("%[got] = *(s32 *)(%[p] + 0)" : [got] "=r"(got) : [p] "r"(p))
/* r0 = load_acquire((u64 *)(r1 + 0)), which this version of clang cannot assemble. */
#define LOADED_IN_ORDER asm volatile("r1 = %[p]; .8byte 0x00000100000010db" : : [p] "r"(p) : "r0", "r1")
#define ADDED asm volatile("r2 = 1; lock *(u64 *)(%[p] + 0) += r2" : : [p] "r"(p) : "r2", "memory")

#define LEAVE                                                                                                          \
	bpf_ringbuf_discard(record, 0);                                                                                \
	return got & 0

SEC("raw_tp")
ACCEPT int task_and_anywhere(void *ctx)
{
	SOURCES;
	TWO(task, bpf_rdonly_cast(ctx, 0))
	LOADED;
	LEAVE;
}

SEC("raw_tp")
ACCEPT int anywhere_and_task(void *ctx)
{
	SOURCES;
	TWO(bpf_rdonly_cast(ctx, 0), task)
	LOADED_WITH_SIGN;
	LEAVE;
}

SEC("raw_tp")
ACCEPT int task_and_record(void *ctx)
{
	SOURCES;
	TWO(task, record)
	LOADED;
	LEAVE;
}

SEC("raw_tp")
ACCEPT int task_and_its_parent(void *ctx)
{
	SOURCES;
	TWO(task, task->real_parent->real_parent)
	LOADED;
	LEAVE;
}

SEC("raw_tp")
REJECT("same insn cannot be used with different pointers") int task_and_its_parent_in_order(void *ctx)
{
	SOURCES;
	TWO(task, task->real_parent->real_parent)
	LOADED_IN_ORDER;
	LEAVE;
}

SEC("raw_tp")
REJECT("same insn cannot be used with different pointers") int task_and_record_in_order(void *ctx)
{
	SOURCES;
	TWO(task, record)
	LOADED_IN_ORDER;
	LEAVE;
}

SEC("raw_tp")
ACCEPT int value_and_record_in_order(void *ctx)
{
	SOURCES;
	TWO(value, record)
	LOADED_IN_ORDER;
	LEAVE;
}

SEC("raw_tp")
ACCEPT int value_and_record_added_to(void *ctx)
{
	SOURCES;
	TWO(value, record)
	ADDED;
	LEAVE;
}

SEC("raw_tp")
REJECT("same insn cannot be used with different pointers") int task_and_value(void *ctx)
{
	SOURCES;
	TWO(task, value)
	LOADED;
	LEAVE;
}

SEC("raw_tp")
REJECT("same insn cannot be used with different pointers") int anywhere_and_context(void *ctx)
{
	SOURCES;
	TWO(bpf_rdonly_cast(ctx, 0), ctx)
	LOADED;
	LEAVE;
}

/* With memory, the task is memory too, and goes with what memory goes with. */
SEC("raw_tp")
ACCEPT int value_behind_task_and_record(void *ctx)
{
	SOURCES;
	THREE(value, task, record)
	LOADED;
	LEAVE;
}

/* What came first was a value, and no memory. */
SEC("raw_tp")
REJECT("same insn cannot be used with different pointers") int task_behind_value_and_record(void *ctx)
{
	SOURCES;
	THREE(task, record, value)
	LOADED;
	LEAVE;
}
