// A program's view of types that kernel.bpf.c lays out differently. Every relocation here was compared with libbpf 1.1.
// The objects beside them are checked in; they are built by
//   clang -O2 -g -target bpf -mcpu=v3 -fdebug-compilation-dir=. -c NAME.bpf.c -o NAME.bpf.o && llvm-strip -g NAME.bpf.o

typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;

#define SEC(name) __attribute__((section(name), used))
#define KERNEL __attribute__((preserve_access_index))

struct inner {
	int a;
	int b;
	int list[4];
} KERNEL;

enum color { RED = 1, GREEN = 2, BLUE = 3 };
enum large { HUGE = 0x1234567890ULL, TINY = 1 };

struct outer {
	int first;
	struct inner in;
	u64 *pointer;
	u32 number;
	int widened;
	short sign_widened;
	u32 bits1 : 3, bits2 : 12;
	int signed_bits : 5;
	union {
		int either;
		long or;
	};
	u8 bytes[16];
	enum color color;
	struct inner many[3];
	int gone;
	char rest[];
} KERNEL;

struct outer___other {
	int renamed;
	int only_new;
	u32 number;
} KERNEL;

struct missing {
	int x;
} KERNEL;

typedef struct {
	int q;
} nameless;

struct matches {
	int a;
	u32 b;
} KERNEL;

struct differs {
	int a;
	u64 b;
} KERNEL;

#define OFFSET(access) __builtin_preserve_field_info(access, 0)
#define SIZE(access) __builtin_preserve_field_info(access, 1)
#define EXISTS(access) __builtin_preserve_field_info(access, 2)
#define SIGNED(access) __builtin_preserve_field_info(access, 3)
#define LEFT(access) __builtin_preserve_field_info(access, 4)
#define RIGHT(access) __builtin_preserve_field_info(access, 5)
#define TYPE_EXISTS(type) __builtin_preserve_type_info(*(type *)0, 0)
#define TYPE_SIZE(type) __builtin_preserve_type_info(*(type *)0, 1)
#define TYPE_MATCHES(type) __builtin_preserve_type_info(*(type *)0, 2)
#define LOCAL_ID(type) __builtin_btf_type_id(*(type *)0, 0)
#define TARGET_ID(type) __builtin_btf_type_id(*(type *)0, 1)
#define ENUM_EXISTS(type, name) __builtin_preserve_enum_value(*(type *)name, 0)
#define ENUM_VALUE(type, name) __builtin_preserve_enum_value(*(type *)name, 1)

u64 out[32];

SEC("raw_tp")
int fields(u64 *context)
{
	struct outer *o = (void *)context[0];
	struct outer___other *other = (void *)context[0];
	struct missing *missing = (void *)context[0];

	out[0] = OFFSET(o->first);
	out[1] = OFFSET(o->in.b);
	out[2] = OFFSET(o->in.list[2]);
	out[3] = OFFSET(o->pointer);
	out[4] = OFFSET(o->bits2);
	out[5] = OFFSET(o->or);
	out[6] = OFFSET(o->bytes[3]);
	out[7] = OFFSET(o->many[1].list[1]);
	out[8] = SIZE(o->number);
	out[9] = SIZE(o->bits1);
	out[10] = SIZE(o->in);
	out[11] = SIZE(o->bytes);
	out[12] = SIGNED(o->number);
	out[13] = SIGNED(o->widened);
	out[14] = SIGNED(o->signed_bits);
	out[15] = LEFT(o->bits2);
	out[16] = RIGHT(o->bits2);
	out[17] = LEFT(o->widened);
	out[18] = RIGHT(o->signed_bits);
	out[19] = EXISTS(o->gone);
	out[20] = EXISTS(other->only_new);
	out[21] = EXISTS(other->renamed);
	out[22] = EXISTS(missing->x);
	out[23] = OFFSET(other->only_new);
	out[24] = OFFSET(o->gone);
	out[25] = OFFSET(other->number);
	out[26] = OFFSET(o->rest[5]);
	return 0;
}

SEC("raw_tp")
int types(u64 *context)
{
	out[0] = TYPE_EXISTS(struct outer);
	out[1] = TYPE_EXISTS(struct missing);
	out[2] = TYPE_SIZE(struct outer);
	out[3] = TYPE_SIZE(struct missing);
	out[4] = TYPE_MATCHES(struct matches);
	out[5] = TYPE_MATCHES(struct differs);
	out[6] = LOCAL_ID(struct outer);
	out[7] = TARGET_ID(struct outer);
	out[8] = TARGET_ID(struct missing);
	out[9] = TYPE_EXISTS(nameless);
	out[10] = TYPE_SIZE(nameless);
	out[11] = TYPE_EXISTS(enum color);
	out[12] = TYPE_MATCHES(enum color);
	out[13] = TYPE_SIZE(struct outer___other);
	return 0;
}

SEC("raw_tp")
int enumerators(u64 *context)
{
	out[0] = ENUM_EXISTS(enum color, RED);
	out[1] = ENUM_VALUE(enum color, GREEN);
	out[2] = ENUM_EXISTS(enum color, BLUE);
	out[3] = ENUM_VALUE(enum color, BLUE);
	out[4] = ENUM_VALUE(enum large, HUGE);
	return 0;
}

SEC("raw_tp")
int accesses(u64 *context)
{
	struct outer *o = (void *)context[0];

	out[0] = o->number;
	out[1] = (u64)o->pointer;
	out[2] = o->sign_widened;
	o->first = 7;
	out[3] = o->bytes[5];
	return 0;
}
