/* Red-black trees of objects, and the function that compares them. */
#include "objects.h"

struct node {
	long key;
	int data;
	struct bpf_rb_node node;
	struct bpf_rb_node node2;
};
struct other {
	struct bpf_rb_node node;
	long key;
};
struct counted {
	long key;
	struct bpf_rb_node node;
	struct bpf_list_node listed;
	struct bpf_refcount ref;
};

private(A) struct bpf_spin_lock lock;
private(A) struct bpf_rb_root root __contains(node, node);
private(B) struct bpf_spin_lock lock_b;
private(B) struct bpf_rb_root root_b __contains(other, node);
private(C) struct bpf_spin_lock lock_c;
private(C) struct bpf_rb_root root_c __contains(counted, node);
private(C) struct bpf_list_head head_c __contains(counted, listed);

struct value {
	struct bpf_spin_lock lock;
	struct bpf_rb_root root __contains(node, node);
};
MAP(values, ARRAY, struct value);

#define NEW(type, name)                                                                                                \
	type *name = bpf_obj_new(type);                                                                                \
	if (!name)                                                                                                     \
	return 0
#define NODE(found) container_of(found, struct node, node)

static _Bool less(struct bpf_rb_node *a, const struct bpf_rb_node *b)
{
	return NODE(a)->key < NODE(b)->key;
}

static _Bool less_other(struct bpf_rb_node *a, const struct bpf_rb_node *b)
{
	return container_of(a, struct other, node)->key < container_of(b, struct other, node)->key;
}

static _Bool less_counted(struct bpf_rb_node *a, const struct bpf_rb_node *b)
{
	return container_of(a, struct counted, node)->key < container_of(b, struct counted, node)->key;
}

SEC("tc")
ACCEPT int all_types(void *ctx)
{
	NEW(struct counted, c);
	bpf_obj_drop(c);
	NEW(struct other, o);
	bpf_obj_drop(o);
	return 0;
}

SEC("tc")
ACCEPT int add(void *ctx)
{
	NEW(struct node, n);
	n->key = 4;
	bpf_spin_lock(&lock);
	bpf_rbtree_add(&root, &n->node, less);
	bpf_spin_unlock(&lock);
	return 0;
}

SEC("tc")
ACCEPT int add_and_remove(void *ctx)
{
	NEW(struct node, n);
	bpf_spin_lock(&lock);
	bpf_rbtree_add(&root, &n->node, less);
	struct bpf_rb_node *r = bpf_rbtree_remove(&root, &n->node);
	bpf_spin_unlock(&lock);
	if (r)
		bpf_obj_drop(NODE(r));
	return 0;
}

SEC("tc")
REJECT("bpf_spin_lock at off=0 must be held for bpf_rb_root") int add_without_lock(void *ctx)
{
	NEW(struct node, n);
	bpf_rbtree_add(&root, &n->node, less);
	return 0;
}

SEC("tc")
REJECT("bpf_spin_lock at off=0 must be held for bpf_rb_root") int add_in_map_without_lock(void *ctx)
{
	int key = 0;
	struct value *v = bpf_map_lookup_elem(&values, &key);
	if (!v)
		return 0;
	NEW(struct node, n);
	bpf_rbtree_add(&v->root, &n->node, less);
	return 0;
}

SEC("tc")
REJECT("bpf_spin_lock at off=0 must be held for bpf_rb_root") int add_with_other_lock(void *ctx)
{
	NEW(struct node, n);
	bpf_spin_lock(&lock_b);
	bpf_rbtree_add(&root, &n->node, less);
	bpf_spin_unlock(&lock_b);
	return 0;
}

SEC("tc")
REJECT("operation on bpf_rb_root expects arg#1 bpf_rb_node at offset=0 in struct other, but arg is at offset=16 in struct node") int add_to_other_tree(void *ctx)
{
	NEW(struct node, n);
	bpf_spin_lock(&lock_b);
	bpf_rbtree_add(&root_b, &n->node, less);
	bpf_spin_unlock(&lock_b);
	return 0;
}

SEC("tc")
REJECT("arg#1 offset=48, but expected bpf_rb_node at offset=16 in struct node") int add_other_node(void *ctx)
{
	NEW(struct node, n);
	bpf_spin_lock(&lock);
	bpf_rbtree_add(&root, &n->node2, less);
	bpf_spin_unlock(&lock);
	return 0;
}

SEC("tc")
REJECT("arg#1 expected pointer to allocated object") int add_twice(void *ctx)
{
	NEW(struct node, n);
	bpf_spin_lock(&lock);
	bpf_rbtree_add(&root, &n->node, less);
	bpf_rbtree_add(&root, &n->node, less);
	bpf_spin_unlock(&lock);
	return 0;
}

SEC("tc")
REJECT("arg#1 expected pointer to allocated object") int add_unchecked(void *ctx)
{
	struct node *n = bpf_obj_new(struct node);
	bpf_spin_lock(&lock);
	bpf_rbtree_add(&root, (void *)n, less);
	bpf_spin_unlock(&lock);
	return 0;
}

SEC("tc")
REJECT("arg#1 expected pointer to allocated object") int add_borrowed(void *ctx)
{
	bpf_spin_lock(&lock);
	struct bpf_rb_node *n = bpf_rbtree_first(&root);
	if (n)
		bpf_rbtree_add(&root, n, less);
	bpf_spin_unlock(&lock);
	return 0;
}

SEC("tc")
REJECT("arg2 expected pointer to func") int add_without_function(void *ctx)
{
	NEW(struct node, n);
	bpf_spin_lock(&lock);
	bpf_rbtree_add(&root, &n->node, 0);
	bpf_spin_unlock(&lock);
	return 0;
}

SEC("tc")
REJECT("BPF_EXIT instruction in main prog cannot be used inside bpf_spin_lock-ed region") int added_and_leaked_lock(void *ctx)
{
	NEW(struct node, n);
	bpf_spin_lock(&lock);
	bpf_rbtree_add(&root, &n->node, less);
	return 0;
}

SEC("tc")
ACCEPT int used_after_add(void *ctx)
{
	NEW(struct node, n);
	bpf_spin_lock(&lock);
	bpf_rbtree_add(&root, &n->node, less);
	n->data = 3;
	int x = n->key;
	bpf_spin_unlock(&lock);
	return x;
}

SEC("tc")
REJECT("R6 invalid mem access 'scalar'") int used_after_unlock(void *ctx)
{
	NEW(struct node, n);
	bpf_spin_lock(&lock);
	bpf_rbtree_add(&root, &n->node, less);
	bpf_spin_unlock(&lock);
	return n->key;
}

SEC("tc")
REJECT("bpf_rbtree_remove can only take non-owning or refcounted bpf_rb_node pointer") int removed_after_unlock(void *ctx)
{
	NEW(struct node, n);
	bpf_spin_lock(&lock);
	bpf_rbtree_add(&root, &n->node, less);
	bpf_spin_unlock(&lock);
	bpf_spin_lock(&lock);
	bpf_rbtree_remove(&root, &n->node);
	bpf_spin_unlock(&lock);
	return 0;
}

SEC("tc")
REJECT("BPF_EXIT instruction in main prog would lead to reference leak") int remove_leaks(void *ctx)
{
	NEW(struct node, n);
	bpf_spin_lock(&lock);
	bpf_rbtree_add(&root, &n->node, less);
	bpf_rbtree_remove(&root, &n->node);
	bpf_spin_unlock(&lock);
	return 0;
}

SEC("tc")
ACCEPT int remove_owned(void *ctx)
{
	NEW(struct node, n);
	bpf_spin_lock(&lock);
	struct bpf_rb_node *r = bpf_rbtree_remove(&root, &n->node);
	bpf_spin_unlock(&lock);
	if (r)
		bpf_obj_drop(NODE(r));
	bpf_obj_drop(n);
	return 0;
}

SEC("tc")
REJECT("bpf_rbtree_remove can only take non-owning or refcounted bpf_rb_node pointer") int remove_map_value(void *ctx)
{
	int key = 0;
	struct value *v = bpf_map_lookup_elem(&values, &key);
	if (!v)
		return 0;
	bpf_spin_lock(&v->lock);
	bpf_rbtree_remove(&v->root, (void *)v);
	bpf_spin_unlock(&v->lock);
	return 0;
}

SEC("tc")
REJECT("bpf_rbtree_remove can only take non-owning or refcounted bpf_rb_node pointer") int remove_null(void *ctx)
{
	bpf_spin_lock(&lock);
	bpf_rbtree_remove(&root, 0);
	bpf_spin_unlock(&lock);
	return 0;
}

SEC("tc")
REJECT("bpf_spin_lock at off=0 must be held for bpf_rb_root") int remove_without_lock(void *ctx)
{
	NEW(struct node, n);
	bpf_rbtree_remove(&root, &n->node);
	bpf_obj_drop(n);
	return 0;
}

SEC("tc")
ACCEPT int remove_twice(void *ctx)
{
	bpf_spin_lock(&lock);
	struct bpf_rb_node *n = bpf_rbtree_first(&root);
	if (!n) {
		bpf_spin_unlock(&lock);
		return 0;
	}
	struct bpf_rb_node *a = bpf_rbtree_remove(&root, n);
	struct bpf_rb_node *b = bpf_rbtree_remove(&root, n);
	bpf_spin_unlock(&lock);
	if (a)
		bpf_obj_drop(NODE(a));
	if (b)
		bpf_obj_drop(NODE(b));
	return 0;
}

SEC("tc")
ACCEPT int first(void *ctx)
{
	long x = 0;
	bpf_spin_lock(&lock);
	struct bpf_rb_node *n = bpf_rbtree_first(&root);
	if (n)
		x = NODE(n)->key;
	bpf_spin_unlock(&lock);
	return x;
}

SEC("tc")
REJECT("bpf_spin_lock at off=0 must be held for bpf_rb_root") int first_without_lock(void *ctx)
{
	return bpf_rbtree_first(&root) != 0;
}

SEC("tc")
REJECT("R0 invalid mem access 'ptr_or_null_'") int first_unchecked(void *ctx)
{
	bpf_spin_lock(&lock);
	struct bpf_rb_node *n = bpf_rbtree_first(&root);
	long x = NODE(n)->key;
	bpf_spin_unlock(&lock);
	return x;
}

SEC("tc")
ACCEPT int first_removed(void *ctx)
{
	bpf_spin_lock(&lock);
	struct bpf_rb_node *n = bpf_rbtree_first(&root);
	if (!n) {
		bpf_spin_unlock(&lock);
		return 0;
	}
	n = bpf_rbtree_remove(&root, n);
	bpf_spin_unlock(&lock);
	if (n)
		bpf_obj_drop(NODE(n));
	return 0;
}

SEC("tc")
REJECT("dereference of modified ptr_or_null_ ptr R2 off=16 disallowed") int first_removed_unchecked(void *ctx)
{
	bpf_spin_lock(&lock);
	struct bpf_rb_node *n = bpf_rbtree_first(&root);
	n = bpf_rbtree_remove(&root, n);
	bpf_spin_unlock(&lock);
	if (n)
		bpf_obj_drop(NODE(n));
	return 0;
}

SEC("tc")
REJECT("R6 invalid mem access 'scalar'") int first_used_after_unlock(void *ctx)
{
	bpf_spin_lock(&lock);
	struct bpf_rb_node *n = bpf_rbtree_first(&root);
	bpf_spin_unlock(&lock);
	return n ? NODE(n)->key : 0;
}

SEC("tc")
ACCEPT int walked(void *ctx)
{
	long x = 0;
	bpf_spin_lock(&lock);
	struct bpf_rb_node *n = bpf_rbtree_root(&root);
	for (int i = 0; i < 10; i++) {
		if (!n)
			break;
		x += NODE(n)->key;
		n = x & 1 ? bpf_rbtree_left(&root, n) : bpf_rbtree_right(&root, n);
	}
	bpf_spin_unlock(&lock);
	return x;
}

SEC("tc")
REJECT("dereference of modified ptr_or_null_ ptr R2 off=16 disallowed") int walked_unchecked(void *ctx)
{
	bpf_spin_lock(&lock);
	struct bpf_rb_node *n = bpf_rbtree_root(&root);
	n = bpf_rbtree_left(&root, n);
	bpf_spin_unlock(&lock);
	return 0;
}

SEC("tc")
ACCEPT int left_of_owned(void *ctx)
{
	NEW(struct node, n);
	bpf_spin_lock(&lock);
	bpf_rbtree_left(&root, &n->node);
	bpf_spin_unlock(&lock);
	bpf_obj_drop(n);
	return 0;
}

SEC("tc")
REJECT("bpf_rb_root not found at offset=0") int root_is_lock(void *ctx)
{
	bpf_spin_lock(&lock);
	bpf_rbtree_first((void *)&lock);
	bpf_spin_unlock(&lock);
	return 0;
}

SEC("tc")
REJECT("bpf_rb_root not found at offset=8") int list_as_tree(void *ctx)
{
	bpf_spin_lock(&lock_c);
	bpf_rbtree_first((void *)&head_c);
	bpf_spin_unlock(&lock_c);
	return 0;
}

static _Bool less_unlocks(struct bpf_rb_node *a, const struct bpf_rb_node *b)
{
	bpf_spin_unlock(&lock);
	return 0;
}

SEC("tc")
REJECT("can't spin_{lock,unlock} in rbtree cb") int comparison_unlocks(void *ctx)
{
	NEW(struct node, n);
	bpf_spin_lock(&lock);
	bpf_rbtree_add(&root, &n->node, less_unlocks);
	bpf_spin_unlock(&lock);
	return 0;
}

static _Bool less_locks(struct bpf_rb_node *a, const struct bpf_rb_node *b)
{
	bpf_spin_lock(&lock_b);
	return 0;
}

SEC("tc")
REJECT("function calls are not allowed while holding a lock") int comparison_locks(void *ctx)
{
	NEW(struct node, n);
	bpf_spin_lock(&lock);
	bpf_rbtree_add(&root, &n->node, less_locks);
	bpf_spin_unlock(&lock);
	return 0;
}

static _Bool less_adds(struct bpf_rb_node *a, const struct bpf_rb_node *b)
{
	bpf_rbtree_add(&root, a, less);
	return 0;
}

SEC("tc")
REJECT("arg#1 expected pointer to allocated object") int comparison_adds(void *ctx)
{
	NEW(struct node, n);
	bpf_spin_lock(&lock);
	bpf_rbtree_add(&root, &n->node, less_adds);
	bpf_spin_unlock(&lock);
	return 0;
}

static _Bool less_removes(struct bpf_rb_node *a, const struct bpf_rb_node *b)
{
	bpf_rbtree_remove(&root, a);
	return 0;
}

SEC("tc")
REJECT("bpf_rbtree_remove not allowed in rbtree cb") int comparison_removes(void *ctx)
{
	NEW(struct node, n);
	bpf_spin_lock(&lock);
	bpf_rbtree_add(&root, &n->node, less_removes);
	bpf_spin_unlock(&lock);
	return 0;
}

static _Bool less_looks(struct bpf_rb_node *a, const struct bpf_rb_node *b)
{
	struct bpf_rb_node *n = bpf_rbtree_first(&root);
	return n ? NODE(n)->key < NODE(a)->key : 0;
}

SEC("tc")
ACCEPT int comparison_looks(void *ctx)
{
	NEW(struct node, n);
	bpf_spin_lock(&lock);
	bpf_rbtree_add(&root, &n->node, less_looks);
	bpf_spin_unlock(&lock);
	return 0;
}

static _Bool less_drops(struct bpf_rb_node *a, const struct bpf_rb_node *b)
{
	bpf_obj_drop(NODE(a));
	return 0;
}

SEC("tc")
REJECT("function calls are not allowed while holding a lock") int comparison_drops(void *ctx)
{
	NEW(struct node, n);
	bpf_spin_lock(&lock);
	bpf_rbtree_add(&root, &n->node, less_drops);
	bpf_spin_unlock(&lock);
	return 0;
}

static _Bool less_helps(struct bpf_rb_node *a, const struct bpf_rb_node *b)
{
	return bpf_get_prandom_u32() & 1;
}

SEC("tc")
REJECT("function calls are not allowed while holding a lock") int comparison_calls_helper(void *ctx)
{
	NEW(struct node, n);
	bpf_spin_lock(&lock);
	bpf_rbtree_add(&root, &n->node, less_helps);
	bpf_spin_unlock(&lock);
	return 0;
}

static _Bool less_writes(struct bpf_rb_node *a, const struct bpf_rb_node *b)
{
	NODE(a)->data = 1;
	NODE(b)->data++;
	return 1;
}

SEC("tc")
ACCEPT int comparison_writes(void *ctx)
{
	NEW(struct node, n);
	bpf_spin_lock(&lock);
	bpf_rbtree_add(&root, &n->node, less_writes);
	bpf_spin_unlock(&lock);
	return 0;
}

static int less_many(struct bpf_rb_node *a, const struct bpf_rb_node *b)
{
	return NODE(a)->data;
}

SEC("tc")
REJECT("At callback return the register R0 has smin=0 smax=4294967295 should have been in [0, 1]") int comparison_returns_number(void *ctx)
{
	NEW(struct node, n);
	bpf_spin_lock(&lock);
	bpf_rbtree_add(&root, &n->node, (void *)less_many);
	bpf_spin_unlock(&lock);
	return 0;
}

static _Bool less_beyond(struct bpf_rb_node *a, const struct bpf_rb_node *b)
{
	return *(int *)((char *)a + 80);
}

SEC("tc")
REJECT("access beyond struct node at off 96 size 4") int comparison_reads_beyond(void *ctx)
{
	NEW(struct node, n);
	bpf_spin_lock(&lock);
	bpf_rbtree_add(&root, &n->node, less_beyond);
	bpf_spin_unlock(&lock);
	return 0;
}

static _Bool less_touches(struct bpf_rb_node *a, const struct bpf_rb_node *b)
{
	return *(volatile int *)a;
}

SEC("tc")
REJECT("direct access to bpf_rb_node is disallowed") int comparison_touches_node(void *ctx)
{
	NEW(struct node, n);
	bpf_spin_lock(&lock);
	bpf_rbtree_add(&root, &n->node, less_touches);
	bpf_spin_unlock(&lock);
	return 0;
}

SEC("tc")
ACCEPT int counted_in_both(void *ctx)
{
	NEW(struct counted, c);
	struct counted *d = bpf_refcount_acquire(c);
	bpf_spin_lock(&lock_c);
	bpf_rbtree_add(&root_c, &c->node, less_counted);
	bpf_list_push_front(&head_c, &d->listed);
	bpf_spin_unlock(&lock_c);
	return 0;
}

SEC("tc")
ACCEPT int counted_removed_from_both(void *ctx)
{
	bpf_spin_lock(&lock_c);
	struct bpf_list_node *l = bpf_list_pop_front(&head_c);
	if (!l) {
		bpf_spin_unlock(&lock_c);
		return 0;
	}
	struct counted *c = container_of(l, struct counted, listed);
	struct bpf_rb_node *r = bpf_rbtree_remove(&root_c, &c->node);
	bpf_spin_unlock(&lock_c);
	if (r)
		bpf_obj_drop(container_of(r, struct counted, node));
	bpf_obj_drop(c);
	return 0;
}

SEC("tc")
ACCEPT int counted_taken_from_tree(void *ctx)
{
	bpf_spin_lock(&lock_c);
	struct bpf_rb_node *r = bpf_rbtree_first(&root_c);
	if (!r) {
		bpf_spin_unlock(&lock_c);
		return 0;
	}
	struct counted *c = bpf_refcount_acquire(container_of(r, struct counted, node));
	bpf_spin_unlock(&lock_c);
	if (!c)
		return 0;
	long x = c->key;
	bpf_obj_drop(c);
	return x;
}

SEC("tc")
ACCEPT int three_added(void *ctx)
{
	NEW(struct node, a);
	struct node *b = bpf_obj_new(struct node);
	if (!b) {
		bpf_obj_drop(a);
		return 0;
	}
	bpf_spin_lock(&lock);
	bpf_rbtree_add(&root, &a->node, less);
	bpf_rbtree_add(&root, &b->node, less);
	struct bpf_rb_node *r = bpf_rbtree_remove(&root, &a->node);
	bpf_spin_unlock(&lock);
	if (!r)
		return 0;
	bpf_obj_drop(NODE(r));
	bpf_spin_lock(&lock);
	r = bpf_rbtree_first(&root);
	int x = r ? NODE(r)->data : 0;
	bpf_spin_unlock(&lock);
	return x;
}

SEC("tc")
ACCEPT int added_in_loop(void *ctx)
{
	for (int i = 0; i < 6; i++) {
		NEW(struct other, o);
		o->key = i;
		bpf_spin_lock(&lock_b);
		bpf_rbtree_add(&root_b, &o->node, less_other);
		bpf_spin_unlock(&lock_b);
	}
	return 0;
}

SEC("tc")
REJECT("bpf_rb_root cannot be accessed directly by load/store") int touched(void *ctx)
{
	return *(volatile int *)&root;
}

SEC("tracepoint")
REJECT("tracing progs cannot use bpf_{list_head,rb_root} yet") int in_tracepoint(void *ctx)
{
	bpf_spin_lock(&lock);
	bpf_rbtree_first(&root);
	bpf_spin_unlock(&lock);
	return 0;
}
