// SPDX-License-Identifier: MIT
#include "tests/kernel/twin.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>


namespace rmt::test {

namespace {

constexpr uint64_t kCgroup = 4242;  // no cgroup of this host: only a key of the test's own map
constexpr size_t kLogBytes = 1 << 22;

int quiet(libbpf_print_level, const char*, va_list) { return 0; }

bool starts_with(const std::string& s, const char* prefix) { return s.rfind(prefix, 0) == 0; }

template <class T>
int append(void* to, void* data, size_t size) {
    T item{};
    std::memcpy(&item, data, std::min(size, sizeof(item)));
    static_cast<std::vector<T>*>(to)->push_back(item);
    return 0;
}

int append_record(void* to, void* data, size_t size) {
    const auto* p = static_cast<const uint8_t*>(data);
    static_cast<std::vector<Record>*>(to)->push_back({std::vector<uint8_t>(p, p + size)});
    return 0;
}

// Which of the two controls this kernel can register: the event before a transmission has its own member since Linux 7.2.
bool has_event_tx() {
    btf* kernel = btf__load_vmlinux_btf();
    bool found = false;
    const int id = btf__find_by_name_kind(kernel, "tcp_congestion_ops", BTF_KIND_STRUCT);
    const btf_type* type = id > 0 ? btf__type_by_id(kernel, static_cast<uint32_t>(id)) : nullptr;
    for (uint32_t i = 0; type && i < btf_vlen(type); i++)
        found |= std::string("cwnd_event_tx_start") == btf__name_by_offset(kernel, btf_members(type)[i].name_off);
    btf__free(kernel);
    return found;
}

void choose_control(bpf_object* object) {
    const bool tx = has_event_tx();
    bpf_map__set_autocreate(bpf_object__find_map_by_name(object, tx ? "rmt_control" : "rmt_control_tx"), false);
    bpf_program__set_autoload(bpf_object__find_program_by_name(object, tx ? "rmt_tcp_event" : "rmt_tcp_event_tx"), false);
}

void drain(int fd, ring_buffer_sample_fn f, void* to) {
    ring_buffer* ring = fd < 0 ? nullptr : ring_buffer__new(fd, f, to, nullptr);
    if (!ring) return;
    ring_buffer__consume(ring);
    ring_buffer__free(ring);
}

}  // namespace

int64_t Record::number(const ManifestCollect& layout, const std::string& field, uint32_t element) const {
    for (const ManifestField& f : layout.fields) {
        if (f.name != field) continue;
        RMT_BUG_IF(element >= f.count || f.offset + f.size * (element + 1) > bytes.size(), "read behind a record");
        uint64_t raw = 0;
        std::memcpy(&raw, bytes.data() + f.offset + f.size * element, f.size);
        const unsigned unused = 64 - 8 * f.size;
        return f.type[0] == 'i' ? static_cast<int64_t>(raw << unused) >> unused : static_cast<int64_t>(raw);
    }
    RMT_BUG_IF(true, "no such field in the record");
    return 0;
}

std::string Record::text(const ManifestCollect& layout, const std::string& field) const {
    for (const ManifestField& f : layout.fields)
        if (f.name == field) {
            const char* p = reinterpret_cast<const char*>(bytes.data()) + f.offset;
            return std::string(p, strnlen(p, f.size));
        }
    return "?";
}

struct Twin::Data {
    bpf_object* object = nullptr;
    Manifest manifest;
    std::vector<std::pair<std::string, std::vector<char>>> logs;
    ~Data() { bpf_object__close(object); }
};

Twin::Twin(std::unique_ptr<Data> data) : data_(std::move(data)) {}
Twin::Twin(Twin&&) noexcept = default;
Twin& Twin::operator=(Twin&&) noexcept = default;
Twin::~Twin() = default;

Result<Twin> Twin::load(const lang::Compiled& compiled) {
    libbpf_set_print(quiet);
    auto data = std::make_unique<Data>();
    data->manifest = compiled.manifest;
    data->object = bpf_object__open_mem(compiled.object.data(), compiled.object.size(), nullptr);
    if (!data->object) return fail(ErrorKind::Kernel, "libbpf cannot open the object", "", errno);
    if (compiled.manifest.domain == "tcp") choose_control(data->object);
    bpf_program* program = nullptr;
    bpf_object__for_each_program(program, data->object) {
        if (!bpf_program__autoload(program)) continue;
        // Not every kernel offers the functions that fentry needs; the code is the same in all programs.
        if (starts_with(bpf_program__section_name(program), "fe")) {
            bpf_program__set_autoload(program, false);
            continue;
        }
        data->logs.emplace_back(bpf_program__name(program), std::vector<char>(kLogBytes));
        bpf_program__set_log_level(program, 4);
        bpf_program__set_log_buf(program, data->logs.back().second.data(), kLogBytes);
    }
    if (const int err = bpf_object__load(data->object)) {
        Error error{-err == EPERM ? ErrorKind::Permission : ErrorKind::Kernel, std::string("the kernel refused: ") + std::strerror(-err), "", -err, ""};
        for (const auto& [name, log] : data->logs)
            if (log[0]) error.detail += name + ":\n" + log.data() + "\n";
        return fail(std::move(error));
    }
    Twin twin(std::move(data));
    const uint64_t key = kCgroup;
    const rmt_cgroup cgroup{};
    bpf_map_update_elem(twin.map("rmt_scope"), &key, &cgroup, BPF_ANY);
    rmt_ctl ctl{};
    ctl.mode = RMT_MODE_SHADOW;
    const uint32_t zero = 0;
    bpf_map_update_elem(twin.map("rmt_ctl"), &zero, &ctl, BPF_ANY);
    for (const ManifestTable& t : compiled.manifest.tables) RMT_CHECK(twin.set_entries(t.name, t.entries));
    return twin;
}

int Twin::map(const std::string& name) const { return bpf_object__find_map_fd_by_name(data_->object, name.c_str()); }

Result<rmt_twin> Twin::run(rmt_twin event) {
    event.cgroup = kCgroup;
    if (!event.kind) event.kind = RMT_PAGE_ANON;
    RMT_CHECK(run_twin(&event, sizeof(event)));
    return event;
}

Result<rmt_tcp_twin> Twin::run(rmt_tcp_twin event) {
    RMT_CHECK(run_twin(&event, sizeof(event)));
    return event;
}

Result<void> Twin::run_twin(void* context, uint32_t size) {
    LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = context, .ctx_size_in = size);
    bpf_program* program = bpf_object__find_program_by_name(data_->object, "rmt_twin");
    if (const int err = bpf_prog_test_run_opts(bpf_program__fd(program), &opts))
        return fail(ErrorKind::Kernel, std::string("rmt_twin did not run: ") + std::strerror(-err), "", -err);
    if (opts.retval) return fail(ErrorKind::Kernel, "rmt_twin found no storage or scope");
    return {};
}

std::vector<std::string> Twin::programs() const {
    std::vector<std::string> names;
    bpf_program* program = nullptr;
    bpf_object__for_each_program(program, data_->object)
        if (bpf_program__autoload(program)) names.push_back(bpf_program__name(program));
    return names;
}

std::vector<Record> Twin::collected() {
    std::vector<Record> all;
    drain(map("rmt_collect"), append_record, &all);
    return all;
}

std::vector<rmt_sample> Twin::samples() {
    std::vector<rmt_sample> all;
    drain(map("rmt_train"), append<rmt_sample>, &all);
    return all;
}

void Twin::set_training(bool on) {
    rmt_ctl ctl{};
    ctl.mode = RMT_MODE_SHADOW;
    ctl.train = on;
    const uint32_t zero = 0;
    bpf_map_update_elem(map("rmt_ctl"), &zero, &ctl, BPF_ANY);
}

uint64_t Twin::stat(rmt_stat stat) {
    const uint64_t key = kCgroup;
    rmt_cgroup cgroup{};
    bpf_map_lookup_elem(map("rmt_scope"), &key, &cgroup);
    return cgroup.stat[stat];
}

uint64_t Twin::hits(const std::string& table, uint32_t slot) {
    std::vector<uint64_t> of_cpu(static_cast<size_t>(libbpf_num_possible_cpus()));
    if (bpf_map_lookup_elem(map("rmt_hits_" + table), &slot, of_cpu.data())) return ~0ull;
    uint64_t sum = 0;
    for (const uint64_t n : of_cpu) sum += n;
    return sum;
}

Result<void> Twin::set_entries(const std::string& table, const std::vector<ManifestEntry>& entries) {
    const ManifestTable* t = data_->manifest.find_table(table);
    RMT_TRY(const std::vector<uint8_t> value, encode_table(data_->manifest, *t, entries, 1));
    return set_value(table, value);
}

Result<void> Twin::set_value(const std::string& table, const std::vector<uint8_t>& value) {
    const int inner = bpf_map_create(BPF_MAP_TYPE_ARRAY, "rmt_test_inner", 4, static_cast<uint32_t>(value.size()), 1, nullptr);
    if (inner < 0) return fail(ErrorKind::Kernel, "no inner map", "", errno);
    const uint32_t zero = 0;
    int err = bpf_map_update_elem(inner, &zero, value.data(), BPF_ANY);
    if (!err) err = bpf_map_update_elem(map("rmt_table_" + table), &zero, &inner, BPF_ANY);
    close(inner);
    if (err) return fail(ErrorKind::Kernel, "the table's generation cannot be set", "", -err);
    return {};
}

uint32_t Twin::instructions(const std::string& program) const {
    for (const auto& [name, log] : data_->logs) {
        const char* at = std::strstr(log.data(), "processed ");
        if (name == program && at) return static_cast<uint32_t>(std::strtoul(at + 10, nullptr, 10));
    }
    return 0;
}

}  // namespace rmt::test
