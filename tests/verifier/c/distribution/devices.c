/* Members of a table that changes what a device sends (HID): the data of an event, reports of the device, what of the
 * device may be written. */
#include "objects.h"

struct device;

struct hid_driver {
	char *name;
} __attribute__((preserve_access_index));

struct hid_device {
	u32 vendor;
	char name[128];
	char uniq[64];
	void *driver_data;
	struct hid_driver *driver;
} __attribute__((preserve_access_index));

struct hid_bpf_ctx {
	struct hid_device *hid;
	u32 allocated_size;
	union {
		int retval;
		int size;
	};
} __attribute__((preserve_access_index));

struct hid_bpf_ops {
	int hid_id;
	u32 flags;
	int (*hid_device_event)(struct hid_bpf_ctx *ctx, int report_type, u64 source);
	int (*hid_rdesc_fixup)(struct hid_bpf_ctx *ctx);
	int (*hid_hw_request)(struct hid_bpf_ctx *ctx, unsigned char n, int rtype, int req, u64 source);
	int (*hid_hw_output_report)(struct hid_bpf_ctx *ctx, u64 source);
};

extern unsigned char *hid_bpf_get_data(struct hid_bpf_ctx *ctx, u32 offset, const u64 rdwr_buf_size) __ksym;
extern struct hid_bpf_ctx *hid_bpf_allocate_context(u32 hid_id) __ksym;
extern void hid_bpf_release_context(struct hid_bpf_ctx *ctx) __ksym;
extern int hid_bpf_hw_output_report(struct hid_bpf_ctx *ctx, unsigned char *buf, u64 buf__sz) __ksym;
extern int hid_bpf_input_report(struct hid_bpf_ctx *ctx, int type, unsigned char *buf, const u64 buf__sz) __ksym;
extern int hid_bpf_try_input_report(struct hid_bpf_ctx *ctx, int type, unsigned char *buf, const u64 buf__sz) __ksym;

#define MEMBER(member, function) SEC(".struct_ops") struct hid_bpf_ops t_##function = {.member = (void *)function}

SEC("struct_ops/hid_device_event")
ACCEPT int inverts(u64 *ctx)
{
	unsigned char *data = hid_bpf_get_data((void *)ctx[0], 0, 9);
	if (!data)
		return 0;
	data[8] = -data[8];
	return 9;
}
MEMBER(hid_device_event, inverts);

SEC("struct_ops/hid_device_event")
REJECT("R0 invalid mem access 'mem_or_null'")
int unchecked(u64 *ctx)
{
	unsigned char *data = hid_bpf_get_data((void *)ctx[0], 0, 9);
	data[8] = 1;
	return 9;
}
MEMBER(hid_device_event, unchecked);

SEC("struct_ops/hid_device_event")
REJECT("R0 min value is outside of the allowed memory range")
int beyond(u64 *ctx)
{
	unsigned char *data = hid_bpf_get_data((void *)ctx[0], 0, 9);
	if (!data)
		return 0;
	data[9] = 1;
	return 9;
}
MEMBER(hid_device_event, beyond);

SEC("struct_ops/hid_device_event")
REJECT("R3 is not a const")
int variable(u64 *ctx)
{
	unsigned char *data = hid_bpf_get_data((void *)ctx[0], 0, ctx[1] & 7);
	return data != 0;
}
MEMBER(hid_device_event, variable);

SEC("struct_ops.s/hid_device_event")
REJECT("attach to unsupported member hid_device_event of struct hid_bpf_ops")
int sleeps(u64 *ctx)
{
	return 0;
}
MEMBER(hid_device_event, sleeps);

SEC("struct_ops/hid_rdesc_fixup")
ACCEPT int renames(u64 *ctx)
{
	struct hid_bpf_ctx *device = (void *)ctx[0];
	device->hid->name[0] = 'x';
	device->retval = 1;
	return device->allocated_size;
}
MEMBER(hid_rdesc_fixup, renames);

SEC("struct_ops/hid_rdesc_fixup")
REJECT("write access at off 8 with size 4 on read-only part of hid_bpf_ctx")
int enlarges(u64 *ctx)
{
	struct hid_bpf_ctx *device = (void *)ctx[0];
	device->allocated_size = 1;
	return 0;
}
MEMBER(hid_rdesc_fixup, enlarges);

SEC("struct_ops/hid_rdesc_fixup")
REJECT("write access at off 60 with size 4 on read-only part of hid_device")
int reassigns(u64 *ctx)
{
	struct hid_bpf_ctx *device = (void *)ctx[0];
	device->hid->vendor = 1;
	return 0;
}
MEMBER(hid_rdesc_fixup, reassigns);

SEC("struct_ops/hid_rdesc_fixup")
REJECT("write access at off 7407 with size 1 on read-only part of hid_device")
int ends_name(u64 *ctx)
{
	struct hid_bpf_ctx *device = (void *)ctx[0];
	device->hid->name[127] = 'x';
	return 0;
}
MEMBER(hid_rdesc_fixup, ends_name);

SEC("struct_ops/hid_rdesc_fixup")
REJECT("write access for struct hid_bpf_ctx at off 16 with size 4")
int writes_behind(u64 *ctx)
{
	((int *)ctx[0])[4] = 1;
	return 0;
}
MEMBER(hid_rdesc_fixup, writes_behind);

SEC("struct_ops/hid_rdesc_fixup")
REJECT("write access to this struct is not supported")
int writes_elsewhere(u64 *ctx)
{
	struct hid_bpf_ctx *device = (void *)ctx[0];
	device->hid->driver->name = 0;
	return 0;
}
MEMBER(hid_rdesc_fixup, writes_elsewhere);

SEC("struct_ops.s/hid_hw_request")
ACCEPT int answers(u64 *ctx)
{
	unsigned char buffer[8] = {1};
	return hid_bpf_hw_output_report((void *)ctx[0], buffer, sizeof(buffer));
}
MEMBER(hid_hw_request, answers);

SEC("struct_ops/hid_hw_request")
REJECT("program must be sleepable to call sleepable kfunc hid_bpf_hw_output_report")
int answers_awake(u64 *ctx)
{
	unsigned char buffer[8] = {1};
	return hid_bpf_hw_output_report((void *)ctx[0], buffer, sizeof(buffer));
}
MEMBER(hid_hw_request, answers_awake);

SEC("struct_ops/hid_device_event")
ACCEPT int tries(u64 *ctx)
{
	unsigned char buffer[8] = {1};
	return hid_bpf_try_input_report((void *)ctx[0], 0, buffer, sizeof(buffer));
}
MEMBER(hid_device_event, tries);

SEC("syscall")
ACCEPT int opens(void *ctx)
{
	unsigned char buffer[8] = {1};
	struct hid_bpf_ctx *device = hid_bpf_allocate_context(5);
	if (!device)
		return 1;
	hid_bpf_input_report(device, 0, buffer, sizeof(buffer));
	hid_bpf_release_context(device);
	return 0;
}

SEC("syscall")
REJECT("BPF_EXIT instruction in main prog would lead to reference leak")
int opens_only(void *ctx)
{
	struct hid_bpf_ctx *device = hid_bpf_allocate_context(5);
	return device == 0;
}

SEC("syscall")
REJECT("calling kernel function hid_bpf_get_data is not allowed")
int reads_without_event(void *ctx)
{
	struct hid_bpf_ctx *device = hid_bpf_allocate_context(5);
	if (!device)
		return 1;
	unsigned char *data = hid_bpf_get_data(device, 0, 9);
	hid_bpf_release_context(device);
	return data != 0;
}
