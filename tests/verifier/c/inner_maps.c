/* Objects in the values of inner maps and of storages, and user memory that a storage points to. */
#include "objects.h"

struct task_struct {
	int pid;
} __attribute__((preserve_access_index));
struct foo {
	struct bpf_list_node node;
	int data;
};
struct user {
	int a;
	int b;
};
struct value {
	struct bpf_spin_lock lock;
	int data;
	struct bpf_list_head head __contains(foo, node);
	struct foo __kptr *kept;
};
struct stored {
	struct bpf_spin_lock lock;
	int data;
	struct task_struct __kptr *task;
};
struct shared {
	int data;
	struct user __uptr *user;
};

struct inner {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, int);
	__type(value, struct value);
} inner_map SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 2);
	__type(key, int);
	__array(values, struct inner);
} outer SEC(".maps") = { .values = { &inner_map } };
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, 1);
	__type(key, int);
	__type(value, struct stored);
} tasks SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, 1);
	__type(key, int);
	__type(value, struct shared);
} shares SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, 1);
	__type(key, int);
	__type(value, struct stored);
} sockets SEC(".maps");
MAP(values, ARRAY, struct value);

#define INNER_OR_LEAVE                                                                                                 \
	int key = 0;                                                                                                   \
	struct inner *m = bpf_map_lookup_elem(&outer, &key);                                                           \
	if (!m)                                                                                                        \
		return 0;                                                                                              \
	struct value *v = bpf_map_lookup_elem(m, &key);                                                                \
	if (!v)                                                                                                        \
	return 0

SEC("tc")
ACCEPT int all_types(void *ctx)
{
	struct foo *f = bpf_obj_new(struct foo);
	if (f)
		bpf_obj_drop(f);
	struct user *u = bpf_obj_new(struct user);
	if (u)
		bpf_obj_drop(u);
	return 0;
}

SEC("tc")
ACCEPT int inner_locked(void *ctx)
{
	INNER_OR_LEAVE;
	bpf_spin_lock(&v->lock);
	v->data++;
	bpf_spin_unlock(&v->lock);
	return 0;
}

SEC("tc")
ACCEPT int inner_pushed(void *ctx)
{
	INNER_OR_LEAVE;
	struct foo *f = bpf_obj_new(struct foo);
	if (!f)
		return 0;
	bpf_spin_lock(&v->lock);
	bpf_list_push_front(&v->head, &f->node);
	bpf_spin_unlock(&v->lock);
	return 0;
}

SEC("tc")
REJECT("bpf_spin_lock at off=0 must be held for bpf_list_head") int inner_pushed_without_lock(void *ctx)
{
	INNER_OR_LEAVE;
	struct foo *f = bpf_obj_new(struct foo);
	if (!f)
		return 0;
	bpf_list_push_front(&v->head, &f->node);
	return 0;
}

SEC("tc")
REJECT("bpf_spin_lock at off=0 must be held for bpf_list_head") int inner_pushed_with_lock_of_plain(void *ctx)
{
	INNER_OR_LEAVE;
	struct value *w = bpf_map_lookup_elem(&values, &key);
	if (!w)
		return 0;
	bpf_spin_lock(&w->lock);
	bpf_list_pop_front(&v->head);
	bpf_spin_unlock(&w->lock);
	return 0;
}

SEC("tc")
REJECT("bpf_spin_unlock of different lock") int inner_other_element_unlocked(void *ctx)
{
	INNER_OR_LEAVE;
	struct value *w = bpf_map_lookup_elem(m, &key);
	if (!w)
		return 0;
	bpf_spin_lock(&w->lock);
	bpf_spin_unlock(&v->lock);
	return 0;
}

SEC("tc")
REJECT("bpf_spin_unlock of different lock") int inner_of_second_lookup_unlocked(void *ctx)
{
	INNER_OR_LEAVE;
	struct inner *n = bpf_map_lookup_elem(&outer, &key);
	if (!n)
		return 0;
	struct value *w = bpf_map_lookup_elem(n, &key);
	if (!w)
		return 0;
	bpf_spin_lock(&w->lock);
	bpf_spin_unlock(&v->lock);
	return 0;
}

SEC("tc")
ACCEPT int inner_kept(void *ctx)
{
	INNER_OR_LEAVE;
	struct foo *f = bpf_kptr_xchg(&v->kept, 0);
	if (f)
		bpf_obj_drop(f);
	return 0;
}

SEC("tc")
REJECT("bpf_list_head cannot be accessed directly by load/store") int inner_touched(void *ctx)
{
	INNER_OR_LEAVE;
	return *(volatile int *)&v->head;
}

SEC("tc")
REJECT("store to referenced kptr disallowed") int inner_kept_stored(void *ctx)
{
	INNER_OR_LEAVE;
	v->kept = 0;
	return 0;
}

SEC("tc")
REJECT("R1 type=map_value_or_null expected=map_ptr") int inner_unchecked(void *ctx)
{
	int key = 0;
	struct inner *m = bpf_map_lookup_elem(&outer, &key);
	bpf_map_lookup_elem(m, &key);
	return 0;
}

SEC("tc")
ACCEPT int in_socket_storage(struct __sk_buff *ctx)
{
	struct bpf_sock *sk = ctx->sk;
	if (!sk)
		return 0;
	sk = bpf_sk_fullsock(sk);
	if (!sk)
		return 0;
	struct stored *v = bpf_sk_storage_get(&sockets, sk, 0, 0);
	if (!v)
		return 0;
	bpf_spin_lock(&v->lock);
	v->data++;
	bpf_spin_unlock(&v->lock);
	struct task_struct *t = v->task;
	return t ? t->pid : 0;
}

SEC("syscall")
ACCEPT int user_memory_read(void *ctx)
{
	struct task_struct *t = bpf_get_current_task_btf();
	struct shared *v = bpf_task_storage_get(&shares, (void *)t, 0, 0);
	if (!v)
		return 0;
	struct user *u = v->user;
	return u ? u->a : 0;
}

SEC("syscall")
ACCEPT int user_memory_written(void *ctx)
{
	struct task_struct *t = bpf_get_current_task_btf();
	struct shared *v = bpf_task_storage_get(&shares, (void *)t, 0, 0);
	if (!v)
		return 0;
	struct user *u = v->user;
	if (u)
		u->b = 4;
	return 0;
}

SEC("syscall")
REJECT("R1 min value is outside of the allowed memory range") int user_memory_beyond(void *ctx)
{
	struct task_struct *t = bpf_get_current_task_btf();
	struct shared *v = bpf_task_storage_get(&shares, (void *)t, 0, 0);
	if (!v)
		return 0;
	struct user *u = v->user;
	return u ? u[1].a : 0;
}

SEC("syscall")
REJECT("R1 invalid mem access 'mem_or_null'") int user_memory_unchecked(void *ctx)
{
	struct task_struct *t = bpf_get_current_task_btf();
	struct shared *v = bpf_task_storage_get(&shares, (void *)t, 0, 0);
	if (!v)
		return 0;
	return v->user->a;
}

SEC("syscall")
REJECT("store to uptr disallowed") int user_pointer_stored(void *ctx)
{
	struct task_struct *t = bpf_get_current_task_btf();
	struct shared *v = bpf_task_storage_get(&shares, (void *)t, 0, 0);
	if (!v)
		return 0;
	v->user = 0;
	return 0;
}

SEC("syscall")
REJECT("R1 has no valid kptr") int user_pointer_exchanged(void *ctx)
{
	struct task_struct *t = bpf_get_current_task_btf();
	struct shared *v = bpf_task_storage_get(&shares, (void *)t, 0, 0);
	if (!v)
		return 0;
	bpf_kptr_xchg(&v->user, 0);
	return 0;
}

SEC("syscall")
REJECT("uptr access size must be BPF_DW") int user_pointer_half(void *ctx)
{
	struct task_struct *t = bpf_get_current_task_btf();
	struct shared *v = bpf_task_storage_get(&shares, (void *)t, 0, 0);
	if (!v)
		return 0;
	return *(volatile int *)&v->user;
}

SEC("syscall")
REJECT("uptr cannot be accessed indirectly by helper") int user_pointer_by_helper(void *ctx)
{
	struct task_struct *t = bpf_get_current_task_btf();
	struct shared *v = bpf_task_storage_get(&shares, (void *)t, 0, 0);
	if (!v)
		return 0;
	bpf_probe_read_kernel(v, sizeof(*v), 0);
	return 0;
}

SEC("syscall")
ACCEPT int in_task_storage(void *ctx)
{
	struct task_struct *t = bpf_get_current_task_btf();
	struct stored *v = bpf_task_storage_get(&tasks, (void *)t, 0, 1);
	if (!v)
		return 0;
	bpf_spin_lock(&v->lock);
	v->data++;
	bpf_spin_unlock(&v->lock);
	return 0;
}
