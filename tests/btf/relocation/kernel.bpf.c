// The kernel that program.bpf.c meets: the same names, laid out in another way, some missing, some new.

typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;

struct inner {
	long before;
	int b;
	long long between;
	int list[4];
	int a;
};

enum color { UNKNOWN, GREEN = 20, RED = 10 };
enum large { TINY = 7, HUGE = 0xabcdef0123456789ULL };

struct outer {
	char before[24];
	struct {
		struct inner in;
		union {
			u64 *pointer;
			long as_number;
		};
	};
	long widened;
	u64 number;
	int sign_widened;
	u32 a : 1, bits2 : 9, bits1 : 7;
	short signed_bits : 6;
	long or;
	int first;
	int either;
	u8 bytes[8];
	enum color color;
	struct inner many[5];
	int only_new;
	char rest[];
};

struct matches {
	u32 b;
	int a;
	long more;
};

struct differs {
	int a;
	u32 b;
};

typedef struct {
	long q, r;
} nameless;

struct outer *outer;
enum large large;
struct matches matches;
struct differs differs;
nameless named;
enum color color;
