// SPDX-License-Identifier: MIT
// collect: the records that a policy's `collect` emits, into a file.
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <signal.h>

#include <atomic>
#include <cerrno>
#include <cstring>

#include "loader/agent/actuator.h"
#include "loader/cli/commands.h"
#include "loader/cli/records.h"
#include "loader/live.h"

namespace rmt::cli {

namespace {

std::atomic<bool> g_stop{false};

struct Sink {
    RecordWriter* writer;
    uint32_t record_size;
    uint64_t count = 0, most = 0;
    std::optional<Error> error;
};

int on_record(void* context, void* data, size_t size) {
    auto* sink = static_cast<Sink*>(context);
    if (size < sink->record_size || (sink->most && sink->count >= sink->most)) return 0;
    if (auto done = sink->writer->write(static_cast<const uint8_t*>(data)); !done) {
        sink->error = done.error();
        return -EIO;
    }
    sink->count++;
    return 0;
}

}  // namespace

int cmd_collect(const Output& out, const CollectArgs& args) {
    RMT_CLI_TRY(const load::LivePolicy live, load::LivePolicy::open(args.policy));
    const auto& layout = live.manifest().collect;
    if (!layout)
        return out.error(Error{ErrorKind::Input, "policy '" + args.policy + "' collects nothing", "add `collect { ... } sample 1/N;` to a handler", 0, {}});
    RMT_CLI_TRY(const int map, live.map("rmt_collect"));
    RMT_CLI_TRY(const std::unique_ptr<RecordWriter> writer, open_records(args.output, *layout));
    Sink sink{writer.get(), layout->record_size, 0, args.count, std::nullopt};
    std::unique_ptr<ring_buffer, decltype(&ring_buffer__free)> ring(ring_buffer__new(map, on_record, &sink, nullptr), ring_buffer__free);
    if (!ring) return out.error(Error{ErrorKind::Environment, std::string("cannot read the records: ") + std::strerror(errno), {}, errno, {}});
    struct sigaction action = {};
    action.sa_handler = [](int) { g_stop = true; };
    sigaction(SIGINT, &action, nullptr);
    sigaction(SIGTERM, &action, nullptr);
    out.say("collecting from '" + args.policy + "' into " + args.output + "; end with Ctrl-C");
    const uint64_t end = args.seconds > 0 ? load::monotonic_ns() + static_cast<uint64_t>(args.seconds * 1e9) : UINT64_MAX;
    // The programs wake nobody: a look ten times a second costs them nothing and us little.
    while (!g_stop && load::monotonic_ns() < end && !(args.count && sink.count >= args.count) && !sink.error) {
        ring_buffer__consume(ring.get());
        usleep(100'000);
    }
    if (!sink.error) ring_buffer__consume(ring.get());
    if (sink.error) return out.error(*sink.error);
    RMT_CLI_CHECK(writer->finish());
    if (out.json && args.output != "-") out.document("collect", {{"policy", args.policy}, {"records", sink.count}, {"file", args.output}});
    out.say(fmt::format("{} records in {}", sink.count, args.output));
    return kOk;
}

}  // namespace rmt::cli
