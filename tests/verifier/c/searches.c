/* Trees walked down and lists looked at without taking anything out, in loops and under locks. */
#include "objects.h"

#define can_loop                                                                                                       \
	({                                                                                                             \
		__label__ enough, over;                                                                                \
		_Bool more = 1;                                                                                        \
		asm volatile goto("may_goto %l[enough]" ::: : enough);                                                 \
		goto over;                                                                                             \
	enough:                                                                                                        \
		more = 0;                                                                                              \
	over:;                                                                                                         \
		more;                                                                                                  \
	})

struct node {
	struct bpf_refcount count;
	struct bpf_rb_node tree;
	struct bpf_list_node list;
	int key;
	int other;
};
private(A) struct bpf_spin_lock lock;
private(A) struct bpf_rb_root root __contains(node, tree);
private(B) struct bpf_spin_lock list_lock;
private(B) struct bpf_list_head head __contains(node, list);
int wanted, zero, result;

#define entry(n) container_of(n, struct node, tree)
#define item(n) container_of(n, struct node, list)

static _Bool less(struct bpf_rb_node *a, const struct bpf_rb_node *b)
{
	return entry(a)->key < entry(b)->key;
}

SEC("tc")
ACCEPT int down_the_tree(void *ctx)
{
	struct bpf_rb_node *n;
	int found = 0;

	bpf_spin_lock(&lock);
	n = bpf_rbtree_root(&root);
	while (n && can_loop) {
		if (entry(n)->key == wanted) {
			found = entry(n)->other;
			break;
		}
		if (wanted < entry(n)->key)
			n = bpf_rbtree_left(&root, n);
		else
			n = bpf_rbtree_right(&root, n);
	}
	bpf_spin_unlock(&lock);
	return found;
}

SEC("tc")
ACCEPT int down_the_tree_and_out(void *ctx)
{
	struct bpf_rb_node *n, *taken = 0;

	bpf_spin_lock(&lock);
	n = bpf_rbtree_root(&root);
	while (n && can_loop) {
		if (entry(n)->key == wanted) {
			taken = bpf_rbtree_remove(&root, n);
			break;
		}
		n = wanted < entry(n)->key ? bpf_rbtree_left(&root, n) : bpf_rbtree_right(&root, n);
	}
	bpf_spin_unlock(&lock);
	if (taken)
		bpf_obj_drop(entry(taken));
	return 0;
}

SEC("tc")
REJECT("R6 invalid mem access 'scalar'") int found_and_used_behind_the_lock(void *ctx)
{
	struct bpf_rb_node *n;

	bpf_spin_lock(&lock);
	n = bpf_rbtree_root(&root);
	bpf_spin_unlock(&lock);
	return n ? entry(n)->key : 0;
}

SEC("tc")
ACCEPT int found_and_kept_by_reference(void *ctx)
{
	struct bpf_rb_node *n;
	struct node *m = 0;

	bpf_spin_lock(&lock);
	n = bpf_rbtree_root(&root);
	if (n)
		m = bpf_refcount_acquire(entry(n));
	bpf_spin_unlock(&lock);
	if (!m)
		return 0;
	result = m->key;
	bpf_obj_drop(m);
	return 0;
}

SEC("tc")
REJECT("function calls are not allowed while holding a lock") int found_and_dropped(void *ctx)
{
	struct bpf_rb_node *n;

	bpf_spin_lock(&lock);
	n = bpf_rbtree_root(&root);
	if (n)
		bpf_obj_drop(entry(n));
	bpf_spin_unlock(&lock);
	return 0;
}

SEC("tc")
REJECT("bpf_spin_lock at off=0 must be held for bpf_rb_root") int root_without_lock(void *ctx)
{
	return !!bpf_rbtree_root(&root);
}

SEC("tc")
REJECT("bpf_spin_lock at off=0 must be held for bpf_rb_root") int left_without_lock(void *ctx)
{
	struct node *n = bpf_obj_new(struct node);
	int there;

	if (!n)
		return 0;
	there = !!bpf_rbtree_left(&root, &n->tree);
	bpf_obj_drop(n);
	return there;
}

SEC("tc")
ACCEPT int left_of_own(void *ctx)
{
	struct node *n = bpf_obj_new(struct node);
	struct bpf_rb_node *l;

	if (!n)
		return 0;
	bpf_spin_lock(&lock);
	l = bpf_rbtree_left(&root, &n->tree);
	bpf_spin_unlock(&lock);
	bpf_obj_drop(n);
	return !!l;
}

SEC("tc")
ACCEPT int left_of_what_was_kept(void *ctx)
{
	struct bpf_rb_node *n;
	struct node *m = 0;

	bpf_spin_lock(&lock);
	n = bpf_rbtree_first(&root);
	if (n)
		m = bpf_refcount_acquire(entry(n));
	bpf_spin_unlock(&lock);
	if (!m)
		return 0;
	bpf_spin_lock(&lock);
	n = bpf_rbtree_left(&root, &m->tree);
	if (n)
		result = entry(n)->key;
	bpf_spin_unlock(&lock);
	bpf_obj_drop(m);
	return 0;
}

SEC("tc")
REJECT("dereference of modified rcu_ptr_or_null_ ptr R2 off=8 disallowed") int left_unchecked(void *ctx)
{
	struct bpf_rb_node *n;

	bpf_spin_lock(&lock);
	n = bpf_rbtree_left(&root, bpf_rbtree_root(&root));
	bpf_spin_unlock(&lock);
	return 0;
}

SEC("tc")
REJECT("R0 invalid mem access 'rcu_ptr_or_null_'") int left_read_unchecked(void *ctx)
{
	struct bpf_rb_node *n;

	bpf_spin_lock(&lock);
	n = bpf_rbtree_root(&root);
	if (n) {
		n = bpf_rbtree_left(&root, n);
		result = entry(n)->key;
	}
	bpf_spin_unlock(&lock);
	return 0;
}

SEC("tc")
ACCEPT int used_after_one_is_out(void *ctx)
{
	struct bpf_rb_node *n, *l, *taken;

	bpf_spin_lock(&lock);
	n = bpf_rbtree_root(&root);
	if (!n) {
		bpf_spin_unlock(&lock);
		return 0;
	}
	l = bpf_rbtree_left(&root, n);
	taken = bpf_rbtree_remove(&root, n);
	if (l)
		result = entry(l)->key;
	bpf_spin_unlock(&lock);
	if (taken)
		bpf_obj_drop(entry(taken));
	return 0;
}

SEC("tc")
ACCEPT int written_where_it_lies(void *ctx)
{
	struct bpf_rb_node *n;

	bpf_spin_lock(&lock);
	n = bpf_rbtree_root(&root);
	if (n)
		entry(n)->other = 5;
	bpf_spin_unlock(&lock);
	return 0;
}

SEC("tc")
REJECT("direct access to bpf_rb_node is disallowed") int its_node_written(void *ctx)
{
	struct bpf_rb_node *n;

	bpf_spin_lock(&lock);
	n = bpf_rbtree_root(&root);
	if (n)
		*(volatile long *)n = 5;
	bpf_spin_unlock(&lock);
	return 0;
}

SEC("tc")
ACCEPT int gathered_and_taken_out(void *ctx)
{
	struct bpf_rb_node *n, *all[4];
	int i, count = 0;

	bpf_spin_lock(&lock);
	n = bpf_rbtree_root(&root);
	while (n && can_loop) {
		if (count < 4)
			all[count++] = n;
		n = bpf_rbtree_left(&root, n);
	}
	for (i = 0; i < count && i < 4; i++)
		all[i] = bpf_rbtree_remove(&root, all[i]);
	bpf_spin_unlock(&lock);
	for (i = 0; i < count && i < 4; i++)
		if (all[i])
			bpf_obj_drop(entry(all[i]));
	return 0;
}

SEC("tc")
ACCEPT int gathered_three_by_hand(void *ctx)
{
	struct bpf_rb_node *a, *b = 0, *c = 0;

	bpf_spin_lock(&lock);
	a = bpf_rbtree_root(&root);
	if (a) {
		b = bpf_rbtree_left(&root, a);
		c = bpf_rbtree_right(&root, a);
	}
	if (b)
		b = bpf_rbtree_remove(&root, b);
	bpf_spin_unlock(&lock);
	if (b)
		bpf_obj_drop(entry(b));
	return !!c;
}

SEC("tc")
ACCEPT int added_to_the_tree_from_a_loop(void *ctx)
{
	for (int i = zero; i < 16 && can_loop; i++) {
		struct node *n = bpf_obj_new(struct node), *m;

		if (!n)
			return 0;
		m = bpf_refcount_acquire(n);
		n->key = i;
		bpf_spin_lock(&lock);
		bpf_rbtree_add(&root, &n->tree, less);
		bpf_spin_unlock(&lock);
		if (!m)
			continue;
		bpf_spin_lock(&list_lock);
		bpf_list_push_back(&head, &m->list);
		bpf_spin_unlock(&list_lock);
	}
	return 0;
}

SEC("tc")
ACCEPT int looked_at_first(void *ctx)
{
	struct bpf_list_node *l;

	bpf_spin_lock(&list_lock);
	l = bpf_list_front(&head);
	if (l)
		result = item(l)->key;
	bpf_spin_unlock(&list_lock);
	return 0;
}

SEC("tc")
ACCEPT int looked_at_last_and_taken(void *ctx)
{
	struct bpf_list_node *l;

	bpf_spin_lock(&list_lock);
	l = bpf_list_back(&head);
	if (l && item(l)->key == wanted)
		l = bpf_list_pop_back(&head);
	else
		l = 0;
	bpf_spin_unlock(&list_lock);
	if (l)
		bpf_obj_drop(item(l));
	return 0;
}

SEC("tc")
REJECT("bpf_spin_lock at off=0 must be held for bpf_list_head") int looked_at_without_lock(void *ctx)
{
	return !!bpf_list_front(&head);
}

SEC("tc")
REJECT("bpf_spin_lock at off=0 must be held for bpf_list_head") int looked_at_under_another_lock(void *ctx)
{
	struct bpf_list_node *l;

	bpf_spin_lock(&lock);
	l = bpf_list_front(&head);
	bpf_spin_unlock(&lock);
	return !!l;
}

SEC("tc")
REJECT("arg#1 expected pointer to allocated object") int looked_at_and_pushed_again(void *ctx)
{
	struct bpf_list_node *l;

	bpf_spin_lock(&list_lock);
	l = bpf_list_front(&head);
	if (l)
		bpf_list_push_back(&head, l);
	bpf_spin_unlock(&list_lock);
	return 0;
}

SEC("tc")
ACCEPT int looked_at_and_removed_from_tree(void *ctx)
{
	struct bpf_list_node *l;
	struct bpf_rb_node *n = 0;
	struct node *m = 0;

	bpf_spin_lock(&list_lock);
	l = bpf_list_front(&head);
	if (l)
		m = bpf_refcount_acquire(item(l));
	bpf_spin_unlock(&list_lock);
	if (!m)
		return 0;
	bpf_spin_lock(&lock);
	n = bpf_rbtree_remove(&root, &m->tree);
	bpf_spin_unlock(&lock);
	bpf_obj_drop(m);
	if (n)
		bpf_obj_drop(entry(n));
	return 0;
}

SEC("tc")
REJECT("function calls are not allowed while holding a lock") int helper_while_looking(void *ctx)
{
	struct bpf_rb_node *n;
	u64 now = 0;

	bpf_spin_lock(&lock);
	n = bpf_rbtree_root(&root);
	if (n)
		now = bpf_ktime_get_ns();
	bpf_spin_unlock(&lock);
	return !!now;
}

SEC("tc")
REJECT("function calls are not allowed while holding a lock") int helper_that_is_not_for_locks(void *ctx)
{
	struct bpf_rb_node *n;
	u64 now = 0;

	bpf_spin_lock(&lock);
	n = bpf_rbtree_root(&root);
	if (n)
		now = bpf_get_current_pid_tgid();
	bpf_spin_unlock(&lock);
	return !!now;
}
