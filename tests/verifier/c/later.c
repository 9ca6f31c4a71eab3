/* Functions that timers call later: they set themselves and each other, loop, take stack, are called directly. */
#include "objects.h"

struct value {
	struct bpf_timer timer;
	int data;
};
MAP(values, ARRAY, struct value);

#define VALUE_OR_LEAVE                                                                                                 \
	int key = 0;                                                                                                   \
	struct value *v = bpf_map_lookup_elem(&values, &key);                                                          \
	if (!v)                                                                                                        \
	return 0

__noinline int global_function(void *map, int *key, struct value *v)
{
	return 0;
}

SEC("tc")
REJECT("callback function not static") int set_to_global_function(void *ctx)
{
	VALUE_OR_LEAVE;
	bpf_timer_set_callback(&v->timer, global_function);
	return 0;
}

static int ping(void *map, int *key, struct value *v);

static int pong(void *map, int *key, struct value *v)
{
	bpf_timer_set_callback(&v->timer, ping);
	return 0;
}

static int ping(void *map, int *key, struct value *v)
{
	if (v->data)
		bpf_timer_set_callback(&v->timer, pong);
	return 0;
}

SEC("tc")
ACCEPT int set_each_other(void *ctx)
{
	VALUE_OR_LEAVE;
	bpf_timer_set_callback(&v->timer, ping);
	return 0;
}

static int branches(void *map, int *key, struct value *v)
{
	if (v->data == 7)
		v->data = 8;
	if (v->data & 1)
		v->data = 3;
	bpf_timer_set_callback(&v->timer, branches);
	if (v->data & 2)
		v->data = 5;
	return 0;
}

SEC("tc")
ACCEPT int set_between_branches(void *ctx)
{
	VALUE_OR_LEAVE;
	bpf_timer_set_callback(&v->timer, branches);
	return 0;
}

static int large(void *map, int *key, struct value *v)
{
	char b[400];

	bpf_probe_read_kernel(b, 400, v);
	return b[5] & 0;
}

SEC("tc")
ACCEPT int stack_of_its_own(void *ctx)
{
	char c[300];

	bpf_probe_read_kernel(c, 300, 0);
	VALUE_OR_LEAVE;
	bpf_timer_set_callback(&v->timer, large);
	return c[5];
}

static int cancels(void *map, int *key, struct value *v)
{
	bpf_timer_cancel(&v->timer);
	return 0;
}

SEC("tc")
ACCEPT int one_of_two(struct __sk_buff *ctx)
{
	VALUE_OR_LEAVE;
	if (ctx->len)
		bpf_timer_set_callback(&v->timer, cancels);
	else
		bpf_timer_set_callback(&v->timer, large);
	bpf_timer_start(&v->timer, 5, 0);
	return 0;
}

static __noinline int set(struct value *v)
{
	return bpf_timer_set_callback(&v->timer, cancels);
}

SEC("tc")
ACCEPT int set_by_function(void *ctx)
{
	VALUE_OR_LEAVE;
	return set(v);
}

static int looks_up(void *map, int *key, struct value *v)
{
	int other = 3;
	struct value *w = bpf_map_lookup_elem(map, &other);

	if (w)
		bpf_timer_start(&w->timer, 1, 0);
	return 0;
}

SEC("tc")
ACCEPT int set_in_loop(void *ctx)
{
	for (int i = 0; i < 5; i++) {
		int key = i;
		struct value *v = bpf_map_lookup_elem(&values, &key);

		if (!v)
			return 0;
		bpf_timer_set_callback(&v->timer, looks_up);
	}
	return 0;
}

static int calls(void *map, int *key, struct value *v)
{
	return set(v) * 0;
}

SEC("tc")
ACCEPT int set_to_one_that_calls(void *ctx)
{
	VALUE_OR_LEAVE;
	return bpf_timer_set_callback(&v->timer, calls);
}

SEC("tc")
ACCEPT int called_directly_too(void *ctx)
{
	VALUE_OR_LEAVE;
	bpf_timer_set_callback(&v->timer, cancels);
	return cancels(&values, &key, v);
}

__noinline int sets(int x)
{
	int key = x;
	struct value *v = bpf_map_lookup_elem(&values, &key);

	return v ? bpf_timer_set_callback(&v->timer, cancels) : 0;
}

SEC("tc")
ACCEPT int set_by_global_function(struct __sk_buff *ctx)
{
	return sets(ctx->len);
}
