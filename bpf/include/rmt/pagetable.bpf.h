/* SPDX-License-Identifier: GPL-2.0-only */
/* Reads the page-table entry of a user address of the current task, for kernels that refuse fentry (where do_swap_page
 * would hand it over). x86-64. The kernel does not export the address of its direct map to programs, so user space finds
 * it once with rmt_calibrate: the map begins at a multiple of 1 GiB, and a wrong guess cannot show the caller's magic. */
#ifndef RMT_PAGETABLE_BPF_H
#define RMT_PAGETABLE_BPF_H

#if !defined(__TARGET_ARCH_x86)
#error "page-table entries are decoded for x86-64 only"
#endif

#define RMT_PTE_ADDRESS 0x000ffffffffff000ull
#define RMT_PTE_PRESENT 0x101ull /* _PAGE_PRESENT | _PAGE_PROTNONE */
#define RMT_PTE_HUGE 0x80ull

static __always_inline __u64 rmt_read_entry(__u64 table, __u64 address, int shift)
{
	__u64 entry = 0;

	if (bpf_probe_read_kernel(&entry, sizeof(entry), (void *)(table + ((address >> shift) & 511) * 8)))
		return 0;
	return entry;
}

/* The entry of the last level, or 0 when there is none (nothing mapped, a huge page, or an unreadable table). */
static __always_inline __u64 rmt_read_pte(__u64 pgd, __u64 address, __u64 direct_map, __u32 levels)
{
	__u64 table = pgd, e;

	if (levels == 5) {
		e = rmt_read_entry(table, address, 48);
		if (!(e & 1))
			return 0;
		table = direct_map + (e & RMT_PTE_ADDRESS);
	}
	e = rmt_read_entry(table, address, 39);
	if (!(e & 1))
		return 0;
	e = rmt_read_entry(direct_map + (e & RMT_PTE_ADDRESS), address, 30);
	if (!(e & 1) || (e & RMT_PTE_HUGE))
		return 0;
	e = rmt_read_entry(direct_map + (e & RMT_PTE_ADDRESS), address, 21);
	if (!(e & 1) || (e & RMT_PTE_HUGE))
		return 0;
	return rmt_read_entry(direct_map + (e & RMT_PTE_ADDRESS), address, 12);
}

/* swp_entry_t (include/linux/swapops.h: type << 58 | offset) of a swapped page's entry, or 0. arch/x86 keeps the type in
 * bits 59..63 and the offset, inverted, in bits 9..58 (arch/x86/include/asm/pgtable_64.h). Types from 23 on are not swap
 * devices (migration, poison, markers). */
#define RMT_SWAP_TYPES 23
static __always_inline __u64 rmt_pte_to_slot(__u64 pte)
{
	__u64 type = pte >> 59;

	if (!pte || (pte & RMT_PTE_PRESENT) || type >= RMT_SWAP_TYPES)
		return 0;
	return type << 58 | (~pte << 5 >> 14);
}

#endif
