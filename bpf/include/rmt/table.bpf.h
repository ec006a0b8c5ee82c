/* SPDX-License-Identifier: GPL-2.0-only */
/* Tables: maps and matching. A table is one value of an inner array behind ARRAY_OF_MAPS, swapped whole by user space
 * (rmt_table_header, then the entries; layout in rmt/intf.h): a lookup that took the pointer once sees one generation.
 * The loader makes and fills the first generation before it attaches; until then every lookup is a miss.
 * Entries are tried in order, the first match wins; the loop is in the generated code, because an entry's layout is its
 * table's own. Counters are per CPU, one for each entry and the last for the default. */
#ifndef RMT_TABLE_BPF_H
#define RMT_TABLE_BPF_H

/* Needs struct rmt_entry_<name>. The inner map is declared by sizes, not types: clang leaves an inner map's value type a
 * mere forward declaration in BTF, which libbpf refuses. */
#define RMT_TABLE(name, most)                                               \
	struct rmt_value_##name {                                           \
		struct rmt_table_header head;                               \
		struct rmt_entry_##name entry[most];                        \
	};                                                                  \
	struct rmt_inner_##name {                                           \
		__uint(type, BPF_MAP_TYPE_ARRAY);                           \
		__uint(max_entries, 1);                                     \
		__uint(key_size, sizeof(__u32)); /* sizes: clang leaves an inner map's value type a mere forward declaration */ \
		__uint(value_size, sizeof(struct rmt_value_##name));        \
	};                                                                  \
	struct {                                                            \
		__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);                   \
		__uint(max_entries, 1);                                     \
		__type(key, __u32);                                         \
		__array(values, struct rmt_inner_##name);                   \
	} rmt_table_##name SEC(".maps");                                    \
	struct {                                                            \
		__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);                    \
		__uint(max_entries, (most) + 1);                            \
		__type(key, __u32);                                         \
		__type(value, __u64);                                       \
	} rmt_hits_##name SEC(".maps")

/* The value in force, or NULL before the first generation. Valid until the program ends (RCU). */
static __always_inline void *rmt_table_now(void *outer)
{
	__u32 first = 0;
	void *inner = bpf_map_lookup_elem(outer, &first);

	return inner ? bpf_map_lookup_elem(inner, &first) : NULL;
}

static __always_inline void rmt_table_hit(void *hits, __u32 slot)
{
	__u64 *count = (__u64 *)bpf_map_lookup_elem(hits, &slot);

	if (count)
		*count += 1;
}

static __always_inline __u64 rmt_key(__s64 x)
{
	return (__u64)x ^ RMT_KEY_BIAS;
}

static __always_inline int rmt_in_range(const struct rmt_range *range, __u64 key)
{
	return key >= range->lo && key <= range->hi;
}

static __always_inline int rmt_is_text(const struct rmt_text *text, const __u64 words[2])
{
	return (words[0] & text->mask[0]) == text->value[0] && (words[1] & text->mask[1]) == text->value[1];
}

#endif
