/* Lists of objects: in map values, in globals and in objects themselves, each under its lock. */
#include "objects.h"

struct bar {
	struct bpf_list_node node;
	int data;
};
struct foo {
	struct bpf_list_node node;
	struct bpf_list_head head __contains(bar, node);
	struct bpf_spin_lock lock;
	int data;
	struct bpf_list_node node2;
};
struct counted {
	struct bpf_refcount ref;
	int data;
	struct bpf_list_node node;
};
struct value {
	struct bpf_spin_lock lock;
	int data;
	struct bpf_list_head head __contains(foo, node);
};
struct value2 {
	struct bpf_spin_lock lock;
	struct bpf_list_head head __contains(counted, node);
};
MAP(values, ARRAY, struct value);
MAP(hashed, HASH, struct value);
MAP(counteds, ARRAY, struct value2);

private(A) struct bpf_spin_lock lock;
private(A) struct bpf_list_head head __contains(foo, node);
private(A) int after;
private(B) struct bpf_spin_lock lock_b;
private(B) struct bpf_list_head head_b __contains(foo, node2);

#define VALUE_OR_LEAVE                                                                                                 \
	int key = 0;                                                                                                   \
	struct value *v = bpf_map_lookup_elem(&values, &key);                                                          \
	if (!v)                                                                                                        \
	return 0
#define NEW(type, name)                                                                                                \
	type *name = bpf_obj_new(type);                                                                                \
	if (!name)                                                                                                     \
	return 0
#define FOO(found) container_of(found, struct foo, node)

SEC("tc")
ACCEPT int all_types(void *ctx)
{
	NEW(struct counted, c);
	bpf_obj_drop(c);
	NEW(struct bar, b);
	bpf_obj_drop(b);
	return 0;
}

SEC("tc")
ACCEPT int push_and_pop(void *ctx)
{
	NEW(struct foo, f);
	bpf_spin_lock(&lock);
	bpf_list_push_front(&head, &f->node);
	struct bpf_list_node *n = bpf_list_pop_back(&head);
	bpf_spin_unlock(&lock);
	if (!n)
		return 0;
	f = container_of(n, struct foo, node);
	int x = f->data;
	bpf_obj_drop(f);
	return x;
}

SEC("tc")
ACCEPT int push_in_map(void *ctx)
{
	VALUE_OR_LEAVE;
	NEW(struct foo, f);
	f->data = 1;
	bpf_spin_lock(&v->lock);
	bpf_list_push_back(&v->head, &f->node);
	bpf_spin_unlock(&v->lock);
	return 0;
}

SEC("tc")
REJECT("bpf_spin_lock at off=0 must be held for bpf_list_head") int push_without_lock(void *ctx)
{
	NEW(struct foo, f);
	bpf_list_push_front(&head, &f->node);
	return 0;
}

SEC("tc")
REJECT("bpf_spin_lock at off=0 must be held for bpf_list_head") int push_in_map_without_lock(void *ctx)
{
	VALUE_OR_LEAVE;
	NEW(struct foo, f);
	bpf_list_push_front(&v->head, &f->node);
	return 0;
}

SEC("tc")
REJECT("bpf_spin_lock at off=40 must be held for bpf_list_head") int push_in_object_without_lock(void *ctx)
{
	NEW(struct foo, f);
	struct bar *b = bpf_obj_new(struct bar);
	if (b)
		bpf_list_push_front(&f->head, &b->node);
	bpf_obj_drop(f);
	return 0;
}

SEC("tc")
ACCEPT int push_in_object(void *ctx)
{
	NEW(struct foo, f);
	struct bar *b = bpf_obj_new(struct bar);
	if (!b) {
		bpf_obj_drop(f);
		return 0;
	}
	bpf_spin_lock(&f->lock);
	bpf_list_push_front(&f->head, &b->node);
	bpf_spin_unlock(&f->lock);
	bpf_obj_drop(f);
	return 0;
}

SEC("tc")
REJECT("bpf_spin_lock at off=0 must be held for bpf_list_head") int pop_without_lock(void *ctx)
{
	struct bpf_list_node *n = bpf_list_pop_front(&head);
	if (n)
		bpf_obj_drop(FOO(n));
	return 0;
}

SEC("tc")
REJECT("bpf_spin_lock at off=40 must be held for bpf_list_head") int pop_in_object_without_lock(void *ctx)
{
	NEW(struct foo, f);
	bpf_list_pop_front(&f->head);
	bpf_obj_drop(f);
	return 0;
}

SEC("tc")
REJECT("bpf_spin_lock at off=0 must be held for bpf_list_head") int lock_of_other_value(void *ctx)
{
	VALUE_OR_LEAVE;
	NEW(struct foo, f);
	bpf_spin_lock(&lock);
	bpf_list_push_front(&v->head, &f->node);
	bpf_spin_unlock(&lock);
	return 0;
}

SEC("tc")
REJECT("bpf_spin_lock at off=0 must be held for bpf_list_head") int lock_of_other_global(void *ctx)
{
	NEW(struct foo, f);
	bpf_spin_lock(&lock_b);
	bpf_list_push_front(&head, &f->node);
	bpf_spin_unlock(&lock_b);
	return 0;
}

SEC("tc")
REJECT("bpf_spin_lock at off=0 must be held for bpf_list_head") int lock_of_other_element(void *ctx)
{
	VALUE_OR_LEAVE;
	struct value *w = bpf_map_lookup_elem(&values, &key);
	if (!w)
		return 0;
	NEW(struct foo, f);
	bpf_spin_lock(&w->lock);
	bpf_list_push_front(&v->head, &f->node);
	bpf_spin_unlock(&w->lock);
	return 0;
}

SEC("tc")
REJECT("bpf_spin_lock at off=40 must be held for bpf_list_head") int lock_of_other_object(void *ctx)
{
	NEW(struct foo, f);
	struct foo *g = bpf_obj_new(struct foo);
	if (!g) {
		bpf_obj_drop(f);
		return 0;
	}
	bpf_spin_lock(&g->lock);
	bpf_list_pop_front(&f->head);
	bpf_spin_unlock(&g->lock);
	bpf_obj_drop(f);
	bpf_obj_drop(g);
	return 0;
}

SEC("tc")
REJECT("BPF_EXIT instruction in main prog would lead to reference leak") int pop_leaks(void *ctx)
{
	bpf_spin_lock(&lock);
	struct bpf_list_node *n = bpf_list_pop_front(&head);
	bpf_spin_unlock(&lock);
	return n != 0;
}

SEC("tc")
REJECT("function calls are not allowed while holding a lock") int drop_under_lock(void *ctx)
{
	bpf_spin_lock(&lock);
	struct bpf_list_node *n = bpf_list_pop_front(&head);
	if (n)
		bpf_obj_drop(FOO(n));
	bpf_spin_unlock(&lock);
	return 0;
}

SEC("tc")
REJECT("function calls are not allowed while holding a lock") int new_under_lock(void *ctx)
{
	bpf_spin_lock(&lock);
	struct foo *f = bpf_obj_new(struct foo);
	bpf_spin_unlock(&lock);
	if (f)
		bpf_obj_drop(f);
	return 0;
}

SEC("tc")
REJECT("R1 must have zero offset when passed to release func or trusted arg to kfunc") int drop_of_node(void *ctx)
{
	bpf_spin_lock(&lock_b);
	struct bpf_list_node *n = bpf_list_pop_front(&head_b);
	bpf_spin_unlock(&lock_b);
	if (n)
		bpf_obj_drop(n);
	return 0;
}

SEC("tc")
ACCEPT int drop_of_second_node(void *ctx)
{
	bpf_spin_lock(&lock_b);
	struct bpf_list_node *n = bpf_list_pop_front(&head_b);
	bpf_spin_unlock(&lock_b);
	if (n)
		bpf_obj_drop(container_of(n, struct foo, node2));
	return 0;
}

SEC("tc")
ACCEPT int used_under_lock_after_push(void *ctx)
{
	NEW(struct foo, f);
	bpf_spin_lock(&lock);
	bpf_list_push_front(&head, &f->node);
	f->data = 5;
	int x = f->data;
	bpf_spin_unlock(&lock);
	return x;
}

SEC("tc")
REJECT("R6 invalid mem access 'scalar'") int used_after_unlock(void *ctx)
{
	NEW(struct foo, f);
	bpf_spin_lock(&lock);
	bpf_list_push_front(&head, &f->node);
	bpf_spin_unlock(&lock);
	return f->data;
}

SEC("tc")
REJECT("R1 must be referenced or trusted") int dropped_after_push(void *ctx)
{
	NEW(struct foo, f);
	bpf_spin_lock(&lock);
	bpf_list_push_front(&head, &f->node);
	bpf_spin_unlock(&lock);
	bpf_obj_drop(f);
	return 0;
}

SEC("tc")
REJECT("arg#1 expected pointer to allocated object") int pushed_twice(void *ctx)
{
	NEW(struct foo, f);
	bpf_spin_lock(&lock);
	bpf_list_push_front(&head, &f->node);
	bpf_list_push_front(&head, &f->node);
	bpf_spin_unlock(&lock);
	return 0;
}

SEC("tc")
REJECT("arg#1 expected pointer to allocated object") int pushed_unchecked(void *ctx)
{
	struct foo *f = bpf_obj_new(struct foo);
	bpf_spin_lock(&lock);
	bpf_list_push_front(&head, (void *)f);
	bpf_spin_unlock(&lock);
	return 0;
}

SEC("tc")
REJECT("arg#1 expected pointer to allocated object") int pushed_null(void *ctx)
{
	bpf_spin_lock(&lock);
	bpf_list_push_front(&head, 0);
	bpf_spin_unlock(&lock);
	return 0;
}

SEC("tc")
REJECT("arg#1 expected pointer to allocated object") int pushed_map_value(void *ctx)
{
	VALUE_OR_LEAVE;
	bpf_spin_lock(&lock);
	bpf_list_push_front(&head, (void *)v);
	bpf_spin_unlock(&lock);
	return 0;
}

SEC("tc")
REJECT("arg#1 expected pointer to allocated object") int pushed_stack(void *ctx)
{
	struct bpf_list_node n;
	bpf_spin_lock(&lock);
	bpf_list_push_front(&head, &n);
	bpf_spin_unlock(&lock);
	return 0;
}

SEC("tc")
REJECT("operation on bpf_list_head expects arg#1 bpf_list_node at offset=0 in struct foo, but arg is at offset=0 in struct bar") int pushed_other_type(void *ctx)
{
	NEW(struct bar, b);
	bpf_spin_lock(&lock);
	bpf_list_push_front(&head, &b->node);
	bpf_spin_unlock(&lock);
	return 0;
}

SEC("tc")
REJECT("arg#1 offset=48, but expected bpf_list_node at offset=0 in struct foo") int pushed_other_node(void *ctx)
{
	NEW(struct foo, f);
	bpf_spin_lock(&lock);
	bpf_list_push_front(&head, &f->node2);
	bpf_spin_unlock(&lock);
	return 0;
}

SEC("tc")
REJECT("bpf_list_node not found at offset=1") int pushed_at_wrong_offset(void *ctx)
{
	NEW(struct foo, f);
	bpf_spin_lock(&lock);
	bpf_list_push_front(&head, (void *)((char *)f + 1));
	bpf_spin_unlock(&lock);
	return 0;
}

SEC("tc")
REJECT("bpf_list_node not found at offset=40") int pushed_at_lock(void *ctx)
{
	NEW(struct foo, f);
	bpf_spin_lock(&lock);
	bpf_list_push_front(&head, (void *)&f->lock);
	bpf_spin_unlock(&lock);
	return 0;
}

SEC("tc")
REJECT("variable ptr_ access var_off=(0x0; 0x8) disallowed") int pushed_at_variable_offset(struct __sk_buff *ctx)
{
	NEW(struct foo, f);
	unsigned long at = ctx->len & 8;
	char *p = (char *)f;
	asm volatile("%0 += %1" : "+r"(p) : "r"(at));
	bpf_spin_lock(&lock);
	bpf_list_push_front(&head, (void *)p);
	bpf_spin_unlock(&lock);
	return 0;
}

SEC("tc")
REJECT("bpf_list_head not found at offset=9") int head_at_wrong_offset(void *ctx)
{
	NEW(struct foo, f);
	bpf_spin_lock(&lock);
	bpf_list_push_front((void *)((char *)&head + 1), &f->node);
	bpf_spin_unlock(&lock);
	return 0;
}

SEC("tc")
REJECT("bpf_list_head not found at offset=0") int head_is_lock(void *ctx)
{
	NEW(struct foo, f);
	bpf_spin_lock(&lock);
	bpf_list_push_front((void *)&lock, &f->node);
	bpf_spin_unlock(&lock);
	return 0;
}

SEC("tc")
REJECT("R1 doesn't have constant offset. bpf_list_head has to be at the constant offset") int head_at_variable_offset(struct __sk_buff *ctx)
{
	VALUE_OR_LEAVE;
	unsigned long at = ctx->len & 8;
	bpf_spin_lock(&v->lock);
	char *p = (char *)v;
	asm volatile("%0 += %1" : "+r"(p) : "r"(at));
	bpf_list_pop_front((void *)p);
	bpf_spin_unlock(&v->lock);
	return 0;
}

SEC("tc")
REJECT("arg#0 expected pointer to map value or allocated object") int head_on_stack(void *ctx)
{
	struct bpf_list_head h = {};
	bpf_list_pop_front(&h);
	return 0;
}

SEC("tc")
REJECT("arg#0 expected pointer to map value or allocated object") int head_is_null(void *ctx)
{
	bpf_list_pop_front(0);
	return 0;
}

SEC("tc")
REJECT("arg#0 expected pointer to map value or allocated object") int head_unchecked(void *ctx)
{
	int key = 0;
	struct value *v = bpf_map_lookup_elem(&hashed, &key);
	bpf_list_pop_front((void *)v);
	return 0;
}

SEC("tc")
REJECT("arg#0 expected pointer to map value or allocated object") int head_in_borrowed_object(void *ctx)
{
	bpf_spin_lock(&lock);
	struct bpf_list_node *n = bpf_list_front(&head);
	if (n)
		bpf_list_pop_front(&FOO(n)->head);
	bpf_spin_unlock(&lock);
	return 0;
}

SEC("tc")
ACCEPT int looked_at(void *ctx)
{
	int x = 0;
	bpf_spin_lock(&lock);
	struct bpf_list_node *n = bpf_list_front(&head);
	if (n)
		x = FOO(n)->data;
	n = bpf_list_back(&head);
	if (n)
		FOO(n)->data = x;
	bpf_spin_unlock(&lock);
	return x;
}

SEC("tc")
REJECT("R0 invalid mem access 'ptr_or_null_'") int looked_at_unchecked(void *ctx)
{
	bpf_spin_lock(&lock);
	struct bpf_list_node *n = bpf_list_front(&head);
	int x = FOO(n)->data;
	bpf_spin_unlock(&lock);
	return x;
}

SEC("tc")
REJECT("R6 invalid mem access 'scalar'") int looked_at_and_used_after_unlock(void *ctx)
{
	bpf_spin_lock(&lock);
	struct bpf_list_node *n = bpf_list_front(&head);
	bpf_spin_unlock(&lock);
	return n ? FOO(n)->data : 0;
}

SEC("tc")
REJECT("R1 must be referenced or trusted") int looked_at_and_dropped(void *ctx)
{
	bpf_spin_lock(&lock);
	struct bpf_list_node *n = bpf_list_front(&head);
	bpf_spin_unlock(&lock);
	if (n)
		bpf_obj_drop(FOO(n));
	return 0;
}

SEC("tc")
REJECT("bpf_spin_lock at off=0 must be held for bpf_list_head") int looked_at_without_lock(void *ctx)
{
	return bpf_list_front(&head) != 0;
}

SEC("tc")
REJECT("bpf_list_head cannot be accessed directly by load/store") int touched(void *ctx)
{
	VALUE_OR_LEAVE;
	return *(volatile int *)&v->head;
}

SEC("tc")
REJECT("bpf_list_head cannot be accessed directly by load/store") int overwritten(void *ctx)
{
	VALUE_OR_LEAVE;
	*(volatile long *)((char *)&v->head + 8) = 0;
	return 0;
}

SEC("tc")
REJECT("bpf_list_head cannot be accessed directly by load/store") int global_touched(void *ctx)
{
	return *(volatile int *)&head;
}

SEC("tc")
ACCEPT int beside_touched(void *ctx)
{
	return *(volatile int *)&after;
}

SEC("tc")
REJECT("bpf_list_head cannot be accessed directly by load/store") int copied_by_helper(void *ctx)
{
	VALUE_OR_LEAVE;
	bpf_trace_printk((char *)&v->head, 8);
	return 0;
}

SEC("tc")
ACCEPT int borrowed_count_taken(void *ctx)
{
	int key = 0;
	struct value2 *v = bpf_map_lookup_elem(&counteds, &key);
	if (!v)
		return 0;
	NEW(struct counted, c);
	bpf_spin_lock(&v->lock);
	bpf_list_push_front(&v->head, &c->node);
	struct counted *d = bpf_refcount_acquire(c);
	bpf_spin_unlock(&v->lock);
	if (!d)
		return 0;
	bpf_obj_drop(d);
	return 0;
}

SEC("tc")
REJECT("Possibly NULL pointer passed to trusted arg0") int borrowed_count_taken_unchecked(void *ctx)
{
	int key = 0;
	struct value2 *v = bpf_map_lookup_elem(&counteds, &key);
	if (!v)
		return 0;
	NEW(struct counted, c);
	bpf_spin_lock(&v->lock);
	bpf_list_push_front(&v->head, &c->node);
	struct counted *d = bpf_refcount_acquire(c);
	bpf_spin_unlock(&v->lock);
	bpf_obj_drop(d);
	return 0;
}

SEC("tc")
ACCEPT int counted_and_pushed(void *ctx)
{
	int key = 0;
	struct value2 *v = bpf_map_lookup_elem(&counteds, &key);
	if (!v)
		return 0;
	NEW(struct counted, c);
	struct counted *d = bpf_refcount_acquire(c);
	bpf_spin_lock(&v->lock);
	bpf_list_push_front(&v->head, &c->node);
	bpf_list_push_front(&v->head, &d->node);
	c->data = 4;
	bpf_spin_unlock(&v->lock);
	return 0;
}

SEC("tc")
REJECT("R8 invalid mem access 'scalar'") int counted_and_used_after(void *ctx)
{
	int key = 0;
	struct value2 *v = bpf_map_lookup_elem(&counteds, &key);
	if (!v)
		return 0;
	NEW(struct counted, c);
	struct counted *d = bpf_refcount_acquire(c);
	bpf_spin_lock(&v->lock);
	bpf_list_push_front(&v->head, &c->node);
	bpf_spin_unlock(&v->lock);
	int x = d->data;
	bpf_obj_drop(d);
	return x + c->data;
}

SEC("tc")
ACCEPT int counted_and_looked_at(void *ctx)
{
	int key = 0;
	struct value2 *v = bpf_map_lookup_elem(&counteds, &key);
	if (!v)
		return 0;
	bpf_spin_lock(&v->lock);
	struct bpf_list_node *n = bpf_list_front(&v->head);
	int x = n ? container_of(n, struct counted, node)->data : 0;
	bpf_spin_unlock(&v->lock);
	return x;
}

SEC("tc")
ACCEPT int in_loop(void *ctx)
{
	for (int i = 0; i < 8; i++) {
		NEW(struct foo, f);
		bpf_spin_lock(&lock);
		bpf_list_push_front(&head, &f->node);
		bpf_spin_unlock(&lock);
	}
	for (int i = 0; i < 8; i++) {
		bpf_spin_lock(&lock);
		struct bpf_list_node *n = bpf_list_pop_front(&head);
		bpf_spin_unlock(&lock);
		if (!n)
			return 0;
		bpf_obj_drop(FOO(n));
	}
	return 0;
}

SEC("tc")
ACCEPT int moved_between(void *ctx)
{
	VALUE_OR_LEAVE;
	bpf_spin_lock(&lock);
	struct bpf_list_node *n = bpf_list_pop_front(&head);
	bpf_spin_unlock(&lock);
	if (!n)
		return 0;
	bpf_spin_lock(&v->lock);
	bpf_list_push_back(&v->head, n);
	bpf_spin_unlock(&v->lock);
	return 0;
}

SEC("tc")
REJECT("R1 must be referenced or trusted") int pushed_in_branch(struct __sk_buff *ctx)
{
	NEW(struct foo, f);
	bpf_spin_lock(&lock);
	if (ctx->len)
		bpf_list_push_front(&head, &f->node);
	bpf_spin_unlock(&lock);
	if (!ctx->mark)
		bpf_obj_drop(f);
	return 0;
}

static __noinline int push(struct foo *f)
{
	bpf_spin_lock(&lock);
	bpf_list_push_front(&head, &f->node);
	bpf_spin_unlock(&lock);
	return 0;
}

SEC("tc")
ACCEPT int pushed_by_function(void *ctx)
{
	NEW(struct foo, f);
	return push(f);
}

SEC("kprobe")
REJECT("tracing progs cannot use bpf_{list_head,rb_root} yet") int in_kprobe(void *ctx)
{
	VALUE_OR_LEAVE;
	bpf_spin_lock(&v->lock);
	bpf_list_pop_front(&v->head);
	bpf_spin_unlock(&v->lock);
	return 0;
}

SEC("tc")
ACCEPT int value_updated(void *ctx)
{
	struct value v = {};
	int key = 0;
	bpf_map_update_elem(&hashed, &key, &v, 0);
	return 0;
}

SEC("tc")
REJECT("bpf_list_head not found at offset=4294967292") int head_before_value(void *ctx)
{
	struct foo *f = bpf_obj_new(struct foo);
	VALUE_OR_LEAVE;
	if (!f)
		return 0;
	bpf_spin_lock(&v->lock);
	bpf_list_push_front((void *)((char *)v - 4), &f->node);
	bpf_spin_unlock(&v->lock);
	return 0;
}
