// SPDX-License-Identifier: MIT
// Domain tcp: docs/decisions/0004-tcp.md. The programs, and what each may reach: the control (struct_ops) runs the policy and
// acts; sock_ops and the iterators choose who is governed, by the name of a control; the guard only looks.
#include <linux/bpf.h>

#include "bpf/include/rmt/intf_tcp.h"
#include "verifier_ext/profile.h"

namespace rmt::verify {
namespace {

constexpr uint64_t kMostSegments = 1u << 20;
constexpr uint64_t kMostPacing = 125'000'000'000;  // bytes per second
constexpr uint64_t kSolTcp = 6, kTcpCongestion = 13;  // netinet/tcp.h

const std::vector<std::string> kControl = {"struct_ops/rmt_tcp_*"};
const std::vector<std::string> kChoosers = {"sockops", "iter/tcp"};

CallRule base(const std::string& name, double ns) {
    CallRule rule{name, {}, ns};
    rule.programs = kControl, rule.library = true;
    return rule;
}

CallRule chooser(const std::string& name, double ns) {
    CallRule rule{name, {}, ns};
    rule.programs = kChoosers, rule.library = true;
    return rule;
}

std::map<uint32_t, CallRule> helpers() {
    const std::vector<std::string> looked_up = {"rmt_ctl", "rmt_scope", "rmt_refused", "rmt_pass", "rmt_twin_sock", "rmt_table_*", "rmt_hits_*", "rmt_model_*", "rmt_act_*", "rmt_online_*"};
    std::map<uint32_t, CallRule> list = {
        {BPF_FUNC_map_lookup_elem, {"bpf_map_lookup_elem", {}, 2.0, 1, looked_up}},
        {BPF_FUNC_map_update_elem, {"bpf_map_update_elem", {}, 30.0, 1, {"rmt_refused"}, kChoosers, {}, true}},
        {BPF_FUNC_probe_read_kernel, {"bpf_probe_read_kernel", {1, 2}, 6.0, 0, {}, {}, {}, true}},
        {BPF_FUNC_ktime_get_ns, {"bpf_ktime_get_ns", {}, 24.0}},
        {BPF_FUNC_get_prandom_u32, {"bpf_get_prandom_u32", {}, 3.2}},
        {BPF_FUNC_get_smp_processor_id, {"bpf_get_smp_processor_id", {}, 0.2}},
        {BPF_FUNC_sk_storage_get, {"bpf_sk_storage_get", {}, 32.0, 1, {"rmt_socks", "rmt_prior"}, {}, {}, true}},
        {BPF_FUNC_sk_storage_delete, {"bpf_sk_storage_delete", {}, 60.0, 1, {"rmt_prior"}, kChoosers, {}, true}},
        {BPF_FUNC_ringbuf_output, {"bpf_ringbuf_output", {}, 30.0, 1, {"rmt_collect", "rmt_train"}}},
        {BPF_FUNC_get_current_ancestor_cgroup_id, {"bpf_get_current_ancestor_cgroup_id", {}, 2.0, 0, {}, {}, {}, true}},
        {BPF_FUNC_skc_to_tcp_sock, chooser("bpf_skc_to_tcp_sock", 2.0)},
        {BPF_FUNC_setsockopt, chooser("bpf_setsockopt", 500.0)},
        {BPF_FUNC_getsockopt, chooser("bpf_getsockopt", 30.0)},
        {BPF_FUNC_seq_write, chooser("bpf_seq_write", 20.0)},
    };
    // Of those that the policy's code calls: what else lies in the registers is not handed to it.
    list[BPF_FUNC_map_lookup_elem].args = 2, list[BPF_FUNC_ringbuf_output].args = 4;
    for (uint32_t plain : {BPF_FUNC_ktime_get_ns, BPF_FUNC_get_prandom_u32, BPF_FUNC_get_smp_processor_id}) list[plain].args = 0;
    list[BPF_FUNC_skc_to_tcp_sock].gives_kernel = true;
    list[BPF_FUNC_setsockopt].fixed = {{2, kSolTcp}, {3, kTcpCongestion}};  // the name of a control, and no other option
    list[BPF_FUNC_getsockopt].fixed = {{2, kSolTcp}, {3, kTcpCongestion}};
    list[BPF_FUNC_getsockopt].writes = {4, 5};
    return list;
}

// The kernel's own algorithms write what they always write: windows, thresholds, pacing, icsk_ca_priv. Times: facts measured on
// Linux 6.18 with cold caches, less the 20 ns of entering a program.
std::map<std::string, CallRule> kfuncs() {
    std::map<std::string, CallRule> list = {
        {"bpf_iter_num_new", {"bpf_iter_num_new", {}, 1.0}},
        {"bpf_iter_num_next", {"bpf_iter_num_next", {}, 1.0}},
        {"bpf_iter_num_destroy", {"bpf_iter_num_destroy", {}, 0.5}},
    };
    list["bpf_iter_num_new"].args = 3, list["bpf_iter_num_next"].args = list["bpf_iter_num_destroy"].args = 1;
    for (const CallRule& rule : {
             base("tcp_reno_ssthresh", 3), base("tcp_reno_cong_avoid", 12), base("tcp_reno_undo_cwnd", 3), base("tcp_slow_start", 5), base("tcp_cong_avoid_ai", 5),
             base("cubictcp_init", 10), base("cubictcp_recalc_ssthresh", 8), base("cubictcp_cong_avoid", 15), base("cubictcp_state", 8), base("cubictcp_acked", 35),
             base("cubictcp_cwnd_event", 10), base("cubictcp_cwnd_event_tx_start", 10), base("bbr_init", 30), base("bbr_main", 190), base("bbr_sndbuf_expand", 4),
             base("bbr_undo_cwnd", 5), base("bbr_ssthresh", 5), base("bbr_min_tso_segs", 24), base("bbr_set_state", 10), base("bbr_cwnd_event", 10),
             base("bbr_cwnd_event_tx_start", 10),
         })
        list[rule.name] = rule;
    return list;
}

Profile make_tcp() {
    Profile p;
    p.domain = "tcp";
    ProgramRule guard{"cgroup/setsockopt", false, true};
    guard.context_zero = "bpf_sockopt.optlen";  // then the kernel uses the application's own value, of any length
    p.programs = {{"struct_ops/rmt_tcp_*"}, {"sockops", false, true}, guard, {"iter/tcp", false, true}, {"syscall", true}};
    p.helpers = helpers();
    p.kfuncs = kfuncs();
    p.maps = {
        {"rmt_collect", BPF_MAP_TYPE_RINGBUF},
        {"rmt_train", BPF_MAP_TYPE_RINGBUF},
        {"rmt_ctl", BPF_MAP_TYPE_ARRAY, 0, sizeof(rmt_ctl)},
        {"rmt_scope", BPF_MAP_TYPE_HASH, 0, sizeof(rmt_cgroup)},
        {"rmt_socks", BPF_MAP_TYPE_SK_STORAGE},
        {"rmt_prior", BPF_MAP_TYPE_SK_STORAGE, 0, RMT_TCP_NAME_LEN},
        {"rmt_refused", BPF_MAP_TYPE_HASH, 0, 8},
        {"rmt_pass", BPF_MAP_TYPE_ARRAY, 0, sizeof(rmt_tcp_pass)},
        {"rmt_twin_sock", BPF_MAP_TYPE_ARRAY},
        {"rmt_table_*", BPF_MAP_TYPE_ARRAY_OF_MAPS, BPF_MAP_TYPE_ARRAY},
        {"rmt_hits_*", BPF_MAP_TYPE_PERCPU_ARRAY, 0, 8},
        {"rmt_model_*", BPF_MAP_TYPE_ARRAY_OF_MAPS, BPF_MAP_TYPE_ARRAY},
        {"rmt_act_*", BPF_MAP_TYPE_PERCPU_ARRAY},
        {"rmt_online_*", BPF_MAP_TYPE_PERCPU_ARRAY},
    };
    p.data = {".rodata", ".rodata.*", ".struct_ops.link"};
    p.controls = {"rmt_control", "rmt_control_tx"}, p.control_type = "tcp_congestion_ops";
    p.control_members = {{"init", false}, {"release", false}, {"set_state", false}, {"cong_control", false}, {"cwnd_event", false}, {"cwnd_event_tx_start", false},
                         {"pkts_acked", false}, {"ssthresh", true}, {"undo_cwnd", true}, {"min_tso_segs", true}, {"sndbuf_expand", true}};
    p.mode_function = "rmt_mode_now", p.control_map = "rmt_ctl";
    p.event_function = "rmt_show", p.act_function = "rmt_act";
    // 4 bytes of a window in segments, 8 of a rate; the base may say "not paced", ~0.
    p.writers = {
        {"rmt_write_cwnd", "tcp_sock.snd_cwnd", 4, Writer::Range::Window, 2, kMostSegments},
        {"rmt_write_ssthresh", "tcp_sock.snd_ssthresh", 4, Writer::Range::Window, 2, kMostSegments},
        {"rmt_write_pacing", "sock.sk_pacing_rate", 8, Writer::Range::Pacing, 1000, kMostPacing},
        {"rmt_base_cwnd", "tcp_sock.snd_cwnd", 4, Writer::Range::Fixed, 1, kMostSegments},
        {"rmt_base_pacing", "sock.sk_pacing_rate", 8, Writer::Range::Fixed, 1000, UINT64_MAX},
        {"rmt_base_paced", "sock.sk_pacing_status", 4, Writer::Range::Fixed, 0, 1},
    };
    p.handlers = {"rmt_on_established", "rmt_on_ack", "rmt_on_round", "rmt_on_loss", "rmt_on_rto"};
    p.max_acts = 3;  // one acknowledgement may begin a connection, be an event itself, and end a round
    p.mode_enforce = RMT_MODE_ENFORCE;
    p.max_insns = 200'000;  // of an acknowledgement
    p.max_tool_insns = 64'000'000;
    p.cost_ns = 10'000;
    p.hot_handler = "rmt_on_ack", p.hot_cost_ns = 2'000;
    return p;
}

}  // namespace

const Profile& tcp_profile() {
    static const Profile profile = make_tcp();
    return profile;
}

}  // namespace rmt::verify
