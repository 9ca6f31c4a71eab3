/* Locks, lists and kept pointers in more places: callbacks, sleepable programs, packet loads, global functions. */
#include "objects.h"

struct foo {
	struct bpf_list_node node;
	int data;
};
struct value {
	struct bpf_spin_lock lock;
	int data;
	struct bpf_list_head head __contains(foo, node);
	struct foo __kptr *kept;
};
MAP(values, ARRAY, struct value);
MAP(hashed, HASH, struct value);
struct kept {
	struct foo __kptr *kept;
	int data;
};
MAP(percpu, PERCPU_ARRAY, struct kept);
MAP(percpu_hash, PERCPU_HASH, struct kept);
MAP(lru, LRU_HASH, struct kept);
MAP(unlockable, LRU_HASH, struct value);
struct foo2 {
	struct bpf_spin_lock lock;
	int data;
};
MAP(locked_percpu, PERCPU_ARRAY, struct foo2);
MAP_FLAGS(read_only, ARRAY, struct foo2, 1 << 7);

private(A) struct bpf_spin_lock lock;
private(A) struct bpf_list_head head __contains(foo, node);
private(F) struct foo __kptr *global_kept;
private(G) struct bpf_list_head unlocked_head __contains(foo, node);
typedef struct bpf_spin_lock hidden_lock;
private(H) hidden_lock typed_lock;

#define VALUE_OR_LEAVE                                                                                                 \
	int key = 0;                                                                                                   \
	struct value *v = bpf_map_lookup_elem(&values, &key);                                                          \
	if (!v)                                                                                                        \
	return 0
#define NEW(type, name)                                                                                                \
	type *name = bpf_obj_new(type);                                                                                \
	if (!name)                                                                                                     \
	return 0

SEC("tc")
ACCEPT int all_types(void *ctx)
{
	NEW(struct foo, f);
	bpf_obj_drop(f);
	return 0;
}

SEC("syscall")
ACCEPT int sleepable_locks(void *ctx)
{
	VALUE_OR_LEAVE;
	bpf_spin_lock(&v->lock);
	v->data++;
	bpf_spin_unlock(&v->lock);
	return 0;
}

SEC("syscall")
ACCEPT int sleepable_lists(void *ctx)
{
	NEW(struct foo, f);
	bpf_spin_lock(&lock);
	bpf_list_push_front(&head, &f->node);
	bpf_spin_unlock(&lock);
	return 0;
}

SEC("syscall")
REJECT("function calls are not allowed while holding a lock") int sleepable_sleeps_under_lock(void *ctx)
{
	int x = 0;
	bpf_spin_lock(&lock);
	bpf_copy_from_user(&x, 4, 0);
	bpf_spin_unlock(&lock);
	return 0;
}

static int each_locked(void *map, int *key, struct value *v, void *ctx)
{
	bpf_spin_lock(&v->lock);
	v->data++;
	bpf_spin_unlock(&v->lock);
	return 0;
}

SEC("tc")
ACCEPT int locked_for_each(void *ctx)
{
	bpf_for_each_map_elem(&values, each_locked, 0, 0);
	return 0;
}

static int each_left_locked(void *map, int *key, struct value *v, void *ctx)
{
	bpf_spin_lock(&v->lock);
	return 0;
}

SEC("tc")
REJECT("function calls are not allowed while holding a lock") int left_locked_for_each(void *ctx)
{
	bpf_for_each_map_elem(&values, each_left_locked, 0, 0);
	return 0;
}

static int each_kept(void *map, int *key, struct value *v, void *ctx)
{
	struct foo *f = bpf_kptr_xchg(&v->kept, 0);
	if (f)
		bpf_obj_drop(f);
	return 0;
}

SEC("tc")
ACCEPT int kept_for_each(void *ctx)
{
	bpf_for_each_map_elem(&values, each_kept, 0, 0);
	return 0;
}

static int each_leaks(void *map, int *key, struct value *v, void *ctx)
{
	struct foo *f = bpf_kptr_xchg(&v->kept, 0);
	return f != 0;
}

SEC("tc")
REJECT("BPF_EXIT instruction in main prog would lead to reference leak") int leaks_for_each(void *ctx)
{
	bpf_for_each_map_elem(&values, each_leaks, 0, 0);
	return 0;
}

struct argument {
	struct foo *foo;
};

static int each_drops(void *map, int *key, struct value *v, struct argument *a)
{
	bpf_obj_drop(a->foo);
	return 1;
}

SEC("tc")
REJECT("BPF_EXIT instruction in main prog would lead to reference leak") int drops_for_each(void *ctx)
{
	struct argument a;
	a.foo = bpf_obj_new(struct foo);
	if (!a.foo)
		return 0;
	bpf_for_each_map_elem(&values, each_drops, &a, 0);
	return 0;
}

static int pops(int i, void *ctx)
{
	bpf_spin_lock(&lock);
	struct bpf_list_node *n = bpf_list_pop_front(&head);
	bpf_spin_unlock(&lock);
	if (!n)
		return 1;
	bpf_obj_drop(container_of(n, struct foo, node));
	return 0;
}

SEC("tc")
ACCEPT int popped_in_loop(void *ctx)
{
	bpf_loop(10, pops, 0, 0);
	return 0;
}

SEC("tc")
REJECT("function calls are not allowed while holding a lock") int loop_under_lock(void *ctx)
{
	bpf_spin_lock(&lock);
	bpf_loop(10, pops, 0, 0);
	bpf_spin_unlock(&lock);
	return 0;
}

extern int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end) __ksym;
extern int *bpf_iter_num_next(struct bpf_iter_num *it) __ksym;
extern void bpf_iter_num_destroy(struct bpf_iter_num *it) __ksym;
struct bpf_iter_num {
	u64 __opaque[1];
} __attribute__((aligned(8)));

SEC("tc")
ACCEPT int iterated_under_lock(void *ctx)
{
	struct bpf_iter_num it;
	int *i, sum = 0;
	bpf_spin_lock(&lock);
	bpf_iter_num_new(&it, 0, 10);
	while ((i = bpf_iter_num_next(&it)))
		sum += *i;
	bpf_iter_num_destroy(&it);
	bpf_spin_unlock(&lock);
	return sum;
}

SEC("tc")
ACCEPT int lists_iterated(void *ctx)
{
	struct bpf_iter_num it;
	int *i;
	bpf_iter_num_new(&it, 0, 100);
	while ((i = bpf_iter_num_next(&it))) {
		struct foo *f = bpf_obj_new(struct foo);
		if (!f)
			break;
		f->data = *i;
		bpf_spin_lock(&lock);
		bpf_list_push_back(&head, &f->node);
		bpf_spin_unlock(&lock);
	}
	bpf_iter_num_destroy(&it);
	return 0;
}

SEC("tc")
REJECT("BPF_EXIT instruction in main prog would lead to reference leak") int leaked_iterated(void *ctx)
{
	struct bpf_iter_num it;
	int *i;
	bpf_iter_num_new(&it, 0, 100);
	while ((i = bpf_iter_num_next(&it)))
		bpf_obj_new(struct foo);
	bpf_iter_num_destroy(&it);
	return 0;
}

SEC("tc")
REJECT("BPF_LD_[ABS|IND] cannot be used inside bpf_spin_lock-ed region") int packet_load_under_lock(struct __sk_buff *ctx)
{
	long x;
	VALUE_OR_LEAVE;
	bpf_spin_lock(&v->lock);
	asm volatile("r6 = %1; r0 = *(u8 *)skb[0]; %0 = r0" : "=r"(x) : "r"(ctx) : "r0", "r1", "r2", "r3", "r4", "r5", "r6");
	bpf_spin_unlock(&v->lock);
	return x;
}

SEC("tc")
REJECT("BPF_LD_[ABS|IND] would lead to reference leak") int packet_load_holding(struct __sk_buff *ctx)
{
	long x;
	NEW(struct foo, f);
	asm volatile("r6 = %1; r0 = *(u8 *)skb[0]; %0 = r0" : "=r"(x) : "r"(ctx) : "r0", "r1", "r2", "r3", "r4", "r5", "r6");
	bpf_obj_drop(f);
	return x;
}

SEC("tc")
ACCEPT int global_pointer(void *ctx)
{
	struct foo *f = bpf_kptr_xchg(&global_kept, 0);
	if (f)
		bpf_obj_drop(f);
	return 0;
}

SEC("tc")
REJECT("store to referenced kptr disallowed") int global_pointer_stored(void *ctx)
{
	global_kept = 0;
	return 0;
}

SEC("tc")
ACCEPT int global_pointer_loaded(void *ctx)
{
	struct foo *f = global_kept;
	return f ? f->data : 0;
}

SEC("tc")
REJECT("bpf_list_head not found at offset=0") int global_list_without_lock(void *ctx)
{
	bpf_list_pop_front(&unlocked_head);
	return 0;
}

SEC("tc")
REJECT("map '.data.H' has no valid bpf_spin_lock") int global_lock_behind_typedef(void *ctx)
{
	bpf_spin_lock(&typed_lock);
	bpf_spin_unlock(&typed_lock);
	return 0;
}

SEC("tc")
ACCEPT int in_percpu_map(void *ctx)
{
	int key = 0;
	struct kept *v = bpf_map_lookup_elem(&percpu, &key);
	if (!v)
		return 0;
	struct foo *f = bpf_kptr_xchg(&v->kept, 0);
	if (f)
		bpf_obj_drop(f);
	return 0;
}

SEC("tc")
REJECT("kptr access size must be BPF_DW") int in_percpu_hash(void *ctx)
{
	int key = 0;
	struct kept *v = bpf_map_lookup_elem(&percpu_hash, &key);
	return v ? *(volatile int *)&v->kept : 0;
}

SEC("tc")
ACCEPT int in_lru_map(void *ctx)
{
	int key = 0;
	struct kept *v = bpf_map_lookup_elem(&lru, &key);
	if (!v)
		return 0;
	NEW(struct foo, f);
	f = bpf_kptr_xchg(&v->kept, f);
	if (f)
		bpf_obj_drop(f);
	return 0;
}

SEC("tc")
ACCEPT int of_another_cpu(void *ctx)
{
	int key = 0;
	struct kept *v = bpf_map_lookup_percpu_elem(&percpu, &key, 1);
	if (!v)
		return 0;
	struct foo *f = bpf_kptr_xchg(&v->kept, 0);
	if (f)
		bpf_obj_drop(f);
	return 0;
}

SEC("tc")
REJECT("map 'unlockable' has to have BTF in order to use bpf_spin_lock") int lock_where_maps_have_none(void *ctx)
{
	int key = 0;
	struct value *v = bpf_map_lookup_elem(&unlockable, &key);
	if (!v)
		return 0;
	bpf_spin_lock(&v->lock);
	bpf_spin_unlock(&v->lock);
	return 0;
}

SEC("tc")
REJECT("map 'locked_percpu' has to have BTF in order to use bpf_spin_lock") int lock_for_each_cpu(void *ctx)
{
	int key = 0;
	struct foo2 *v = bpf_map_lookup_elem(&locked_percpu, &key);
	if (!v)
		return 0;
	bpf_spin_lock(&v->lock);
	bpf_spin_unlock(&v->lock);
	return 0;
}

SEC("tc")
REJECT("map 'read_only' has to have BTF in order to use bpf_spin_lock") int lock_in_read_only_map(void *ctx)
{
	int key = 0;
	struct foo2 *v = bpf_map_lookup_elem(&read_only, &key);
	if (!v)
		return 0;
	bpf_spin_lock(&v->lock);
	bpf_spin_unlock(&v->lock);
	return 0;
}

SEC("tc")
REJECT("map 'unlockable' has to have BTF in order to use bpf_kptr_xchg") int kept_where_maps_have_none(void *ctx)
{
	int key = 0;
	struct value *v = bpf_map_lookup_elem(&unlockable, &key);
	if (!v)
		return 0;
	bpf_kptr_xchg(&v->kept, 0);
	return 0;
}

SEC("tc")
ACCEPT int read_where_maps_have_none(void *ctx)
{
	int key = 0;
	struct value *v = bpf_map_lookup_elem(&unlockable, &key);
	return v ? *(int *)&v->lock : 0;
}

__noinline int takes_pointer(struct value *v)
{
	if (!v)
		return 0;
	v->data++;
	return 0;
}

SEC("tc")
REJECT("Caller passes invalid args into func#1 ('takes_pointer')") int value_to_global_function(void *ctx)
{
	VALUE_OR_LEAVE;
	return takes_pointer(v);
}

__noinline int allocates(struct __sk_buff *ctx)
{
	NEW(struct foo, f);
	bpf_obj_drop(f);
	return 0;
}

SEC("tc")
REJECT("Caller passes invalid args into func#1 ('allocates')") int global_function_allocates(struct __sk_buff *ctx)
{
	NEW(struct foo, f);
	allocates(ctx);
	bpf_obj_drop(f);
	return 0;
}

__noinline int leaks(struct __sk_buff *ctx)
{
	NEW(struct foo, f);
	return f->data;
}

SEC("tc")
REJECT("BPF_EXIT instruction in main prog would lead to reference leak") int global_function_leaks(struct __sk_buff *ctx)
{
	return leaks(ctx);
}

static __noinline struct bpf_list_node *pop(struct value *v)
{
	bpf_spin_lock(&v->lock);
	struct bpf_list_node *n = bpf_list_pop_front(&v->head);
	bpf_spin_unlock(&v->lock);
	return n;
}

SEC("tc")
ACCEPT int popped_by_function(struct __sk_buff *ctx)
{
	VALUE_OR_LEAVE;
	struct bpf_list_node *n = pop(v);
	if (n)
		bpf_obj_drop(container_of(n, struct foo, node));
	return 0;
}

static __noinline struct bpf_list_node *front(struct value *v)
{
	return bpf_list_front(&v->head);
}

SEC("tc")
ACCEPT int looked_at_by_function(struct __sk_buff *ctx)
{
	VALUE_OR_LEAVE;
	bpf_spin_lock(&v->lock);
	struct bpf_list_node *n = front(v);
	if (n)
		v->data = container_of(n, struct foo, node)->data;
	bpf_spin_unlock(&v->lock);
	return 0;
}

SEC("tc")
REJECT("R1 invalid mem access 'scalar'") int spilled_borrowed(struct __sk_buff *ctx)
{
	VALUE_OR_LEAVE;
	struct bpf_list_node *volatile kept;
	bpf_spin_lock(&v->lock);
	kept = bpf_list_front(&v->head);
	bpf_spin_unlock(&v->lock);
	struct bpf_list_node *n = kept;
	return n ? container_of(n, struct foo, node)->data : 0;
}

SEC("tc")
ACCEPT int spilled_unchecked(struct __sk_buff *ctx)
{
	struct foo *volatile kept = bpf_obj_new(struct foo);
	struct foo *f = kept;
	if (!f)
		return 0;
	kept->data = 5;
	bpf_obj_drop(kept);
	return 0;
}

SEC("tc")
REJECT("R1 pointer arithmetic with >>= operator prohibited") int written_to_map(struct __sk_buff *ctx)
{
	VALUE_OR_LEAVE;
	NEW(struct foo, f);
	*(struct foo **)&v->data = f;
	bpf_obj_drop(f);
	return 0;
}

SEC("tc")
REJECT("BPF_EXIT instruction in main prog would lead to reference leak") int object_in_object(struct __sk_buff *ctx)
{
	NEW(struct foo, f);
	NEW(struct foo, g);
	bpf_obj_drop(f);
	bpf_obj_drop(g);
	return 0;
}

SEC("xdp")
ACCEPT int compared_with_null_twice(void *ctx)
{
	struct foo *f = bpf_obj_new(struct foo);
	if (f)
		f->data = 1;
	if (f)
		bpf_obj_drop(f);
	return 0;
}

SEC("tc")
REJECT("R1 bitwise operator |= on pointer prohibited") int pointer_arithmetic(struct __sk_buff *ctx)
{
	NEW(struct foo, f);
	long x = (long)f;
	x |= 1;
	asm volatile("%0 |= 1" : "+r"(f));
	bpf_obj_drop(f);
	return x;
}

SEC("tc")
REJECT("R0 pointer arithmetic on ptr_or_null_ prohibited, null-check it first") int unchecked_arithmetic(struct __sk_buff *ctx)
{
	char *f = bpf_obj_new(struct foo);
	asm volatile("%0 += 8" : "+r"(f));
	if (f)
		bpf_obj_drop(f - 8);
	return 0;
}

SEC("tc")
ACCEPT int subtracted_and_added(struct __sk_buff *ctx)
{
	char *f = bpf_obj_new(struct foo);
	if (!f)
		return 0;
	asm volatile("%0 += 8; %0 -= 8" : "+r"(f));
	bpf_obj_drop(f);
	return 0;
}
