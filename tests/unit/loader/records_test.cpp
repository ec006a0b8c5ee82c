// SPDX-License-Identifier: MIT
// What `collect` writes is what the trainer reads: each format, round trip.
#include "loader/cli/records.h"

#include <unistd.h>

#include <cstring>
#include <fstream>
#include <sstream>

#include "models/dataset.h"
#include "tests/rmt_test.h"

using namespace rmt;

namespace {

struct Record {
    uint64_t ts;
    int32_t delta;
    int32_t deltas[3];
    uint8_t flag;
    char comm[16];
    uint8_t dst[16];
};

ManifestCollect layout() {
    ManifestCollect c;
    c.fields = {{"ts", "u64", 0, 8, 1}, {"fault.delta", "i32", 8, 4, 1}, {"deltas", "i32", 12, 4, 3}, {"flag", "u8", 24, 1, 1}, {"comm", "str", 25, 16, 1},
                {"tcp.dst", "address", 41, 16, 1}};
    c.record_size = sizeof(Record);
    return c;
}

}  // namespace

TEST_CASE("collected records are read back by the trainer, in every format") {
    for (const char* extension : {".npy", ".csv", ".jsonl"}) {
        const std::string path = "/tmp/rmt-records-" + std::to_string(getpid()) + extension;
        INFO(path);
        auto writer = cli::open_records(path, layout());
        REQUIRE(writer);
        for (int i = 0; i < 3; i++) {
            Record r = {};
            r.ts = 1000u + static_cast<unsigned>(i);
            r.delta = -5 * i;
            for (int k = 0; k < 3; k++) r.deltas[k] = 10 * i - k;
            r.flag = 200;
            std::strcpy(r.comm, "a \"b\\");
            const auto dst = parse_prefix(i ? "10.1.2.3" : "2001:db8::7");
            REQUIRE(dst);
            std::memcpy(r.dst, dst->address.data(), 16);
            REQUIRE((*writer)->write(reinterpret_cast<const uint8_t*>(&r)));
        }
        REQUIRE((*writer)->finish());
        if (std::string(extension) == ".csv") {
            std::stringstream text;
            text << std::ifstream(path).rdbuf();
            CHECK(text.str().find("\"2001:db8::7\"\n") != std::string::npos);
            CHECK(text.str().find("\"10.1.2.3\"\n") != std::string::npos);
        }
        auto data = models::read_dataset(path);
        unlink(path.c_str());
        REQUIRE(data);
        REQUIRE(data->rows() == 3);
        CHECK(data->find("ts")->values == std::vector<int64_t>{1000, 1001, 1002});
        CHECK(data->find("fault.delta")->values == std::vector<int64_t>{0, -5, -10});
        CHECK(data->find("deltas[2]")->values == std::vector<int64_t>{-2, 8, 18});
        CHECK(data->find("flag")->values == std::vector<int64_t>{200, 200, 200});
    }
}

TEST_CASE("a file whose format is not known is refused") {
    CHECK(cli::open_records("/tmp/x.parquet", layout()).error().kind == ErrorKind::Input);
    CHECK(cli::open_records("/nonexistent/x.csv", layout()).error().kind == ErrorKind::Environment);
}
