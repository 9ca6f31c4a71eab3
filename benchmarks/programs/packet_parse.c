/* Ethernet, up to two VLAN tags, IPv4 or IPv6, TCP with its options, or UDP: 32 packets of 128 bytes. */
#include "program.h"

static inline u32 swap16(u32 x)
{
	return (x & 0xff) << 8 | (x >> 8 & 0xff);
}

PROGRAM
{
	u64 digest = 0;

	for (u64 base = 0; base + 128 <= size; base += 128) {
		u8 *packet = mem + base;
		u32 at = 12, protocol, next, options;
		u32 type = swap16(READ16(packet + at));

		at += 2;
		for (u32 tags = 0; tags < 2; tags++) {
			if (type != 0x8100 && type != 0x88a8)
				break;
			type = swap16(READ16(packet + at + 2));
			digest += swap16(READ16(packet + at)) & 0xfff;
			at += 4;
		}
		if (type == 0x0800) {
			u32 length = (packet[at] & 15) * 4;

			if (packet[at] >> 4 != 4 || length < 20)
				continue;
			next = packet[at + 9];
			digest ^= (u64)READ32(packet + at + 12) << 32 | READ32(packet + at + 16);
			at += length;
		} else if (type == 0x86dd) {
			next = packet[at + 6];
			digest ^= READ64(packet + at + 8) + READ64(packet + at + 24);
			at += 40;
		} else {
			continue;
		}
		at &= 127;
		if (at > 108)
			continue;
		protocol = next;
		digest = digest * 31 + (swap16(READ16(packet + at)) << 16 | swap16(READ16(packet + at + 2)));
		if (protocol == 17)
			continue;
		if (protocol != 6)
			continue;
		options = (packet[at + 12] >> 4) * 4;
		options = at + options > 127 ? 127 : at + options;
		at += 20;
		for (u32 i = 0; i < 12 && at + 1 < options; i++) {
			u32 kind = packet[at & 127], length = packet[(at + 1) & 127];

			if (kind == 0)
				break;
			if (kind == 1) {
				at++;
				continue;
			}
			if (kind == 2)
				digest += swap16(READ16(packet + (at & 63) + 2));
			else if (kind == 3)
				digest += packet[(at + 2) & 127];
			else if (kind == 8)
				digest ^= READ32(packet + (at & 63) + 2);
			if (length < 2)
				break;
			at += length;
		}
	}
	return digest;
}
