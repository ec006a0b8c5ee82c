// SPDX-License-Identifier: MIT
#include "models/dataset.h"

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "tests/rmt_test.h"

using namespace rmt::models;

namespace {

using Values = std::vector<int64_t>;

std::string npy(const std::string& descr, size_t rows, const std::string& records, char major = 1) {
    std::string header = "{'descr': " + descr + ", 'fortran_order': False, 'shape': (" + std::to_string(rows) + ",), }";
    size_t prefix = major == 1 ? 10 : 12;
    while ((prefix + header.size() + 1) % 64 != 0) header += ' ';
    header += '\n';
    std::string bytes = "\x93NUMPY";
    bytes += major;
    bytes += '\0';
    for (size_t i = 0; i < prefix - 8; i++) bytes += static_cast<char>(header.size() >> 8 * i);
    return bytes + header + records;
}

template <class T>
std::string raw(T value) {
    return {reinterpret_cast<const char*>(&value), sizeof value};
}

}  // namespace

TEST_CASE("data set: csv") {
    auto data = parse_csv("ts,deltas[0],comm,fault.page\r\n1, -5,bash,4503599627370496\r\n\r\n2,7,\"a,b\",0\n");
    REQUIRE((data ? "" : data.error().message) == "");
    CHECK(data->rows() == 2);
    CHECK(data->find("deltas[0]")->values == Values{-5, 7});
    CHECK(data->find("deltas[0]")->type == "i8");
    CHECK(data->find("fault.page")->values == Values{4503599627370496, 0});
    CHECK(data->find("fault.page")->type == "i64");
    CHECK(data->skipped == std::vector<std::string>{"comm"});
    CHECK(parse_csv("a,b\n")->rows() == 0);
}

TEST_CASE("data set: jsonl") {
    auto data = parse_jsonl(
        "{\"ts\":1,\"deltas\":[1,-2],\"comm\":\"a\",\"major\":true}\n\n{\"deltas\":[3,4],\"comm\":\"b\",\"ts\":2,\"major\":false}");
    REQUIRE((data ? "" : data.error().message) == "");
    CHECK(data->rows() == 2);
    CHECK(data->find("deltas[1]")->values == Values{-2, 4});
    CHECK(data->find("ts")->values == Values{1, 2});
    CHECK(data->find("major")->values == Values{1, 0});
    CHECK(data->skipped == std::vector<std::string>{"comm"});
}

TEST_CASE("data set: npy") {
    std::string records;
    for (int32_t i = 0; i < 3; i++)
        records += raw<uint64_t>(10 + i) + raw<int32_t>(-i) + raw<int32_t>(100 * i) + raw<int8_t>(static_cast<int8_t>(-1 - i)) +
                   raw<uint16_t>(65535) + std::string("comm\0\0\0\0", 8) + raw<uint8_t>(i & 1);
    for (char major : {1, 2, 3}) {
        auto data =
            parse_npy(npy("[('ts', '<u8'), ('deltas', '<i4', (2,)), ('kind', '|i1'), ('port', '<u2'), ('comm', '|S8'), ('major', "
                          "'?'.replace('?', '|b1'))]",
                          3, records, major));
        CHECK_FALSE(data);  // not a literal
        data =
            parse_npy(npy("[('ts', '<u8'), ('deltas', '<i4', (2,)), ('kind', '|i1'), ('port', '<u2'), ('comm', '|S8'), ('major', '|b1')]",
                          3, records, major));
        REQUIRE((data ? "" : data.error().message) == "");
        CHECK(data->find("ts")->values == Values{10, 11, 12});
        CHECK(data->find("ts")->type == "u64");
        CHECK(data->find("deltas[0]")->values == Values{0, -1, -2});
        CHECK(data->find("deltas[1]")->values == Values{0, 100, 200});
        CHECK(data->find("deltas[1]")->type == "i32");
        CHECK(data->find("kind")->values == Values{-1, -2, -3});
        CHECK(data->find("port")->values == Values{65535, 65535, 65535});
        CHECK(data->find("major")->values == Values{0, 1, 0});
        CHECK(data->find("major")->type == "bool");
        CHECK(data->skipped == std::vector<std::string>{"comm"});
    }
}

TEST_CASE("data set: what cannot be read is said with its place") {
    struct Case {
        rmt::Result<Dataset> data;
        const char* message;
    };
    const Case cases[] = {
        {parse_csv(""), "M0301: at line 1"},
        {parse_csv("a,b\n1\n"), "M0301: at line 2: 1 cells, the header names 2 columns"},
        {parse_csv("a,b\n1,2\n3,x\n"), "M0303: at line 3: column 'b' holds 'x'"},
        {parse_csv("a\n1\n9223372036854775808\n"), "M0303: at line 3"},
        {parse_jsonl("[1]\n"), "M0301: at line 1"},
        {parse_jsonl("{\"a\":1}\n{\"a\":\n"), "M0301: at line 2"},
        {parse_jsonl("{\"a\":1}\n{\"b\":1}\n"), "M0301: at line 2: number 'b' where the first line has 'a'"},
        {parse_jsonl("{\"a\":[1,2]}\n{\"a\":[1]}\n"), "M0301: at line 2: 1 numbers, the first line has 2"},
        {parse_jsonl("{\"a\":18446744073709551615}\n"), "M0303: at line 1"},
        {parse_npy("PK"), "M0301: this is not a .npy file"},
        {parse_npy(npy("'<i8'", 2, std::string(16, '\0'))), "a structured array"},
        {parse_npy(npy("[('a', '>i4')]", 1, "1234")), "field 'a' is big-endian"},
        {parse_npy(npy("[('a', '<i4')]", 2, "1234567")), "M0301: 2 records of 4 bytes announced, 7 bytes present"},
        {parse_npy(npy("[('a', '<u8')]", 1, std::string(8, '\xff'))), "M0303: at row 0: column 'a'"},
        {parse_npy(npy("[('a', '<i4', (2,3))]", 0, "")), "not an array of one dimension"},
    };
    for (const Case& c : cases) {
        INFO(c.message);
        REQUIRE_FALSE(c.data);
        CHECK_THAT(c.data.error().message, ContainsSubstring(c.message));
    }
}

TEST_CASE("data set: files by their extension") {
    auto folder = std::filesystem::temp_directory_path() / ("rmt-dataset-test-" + std::to_string(std::hash<std::string>{}(__FILE__)));
    std::filesystem::create_directories(folder);
    std::ofstream(folder / "a.csv") << "x\n1\n";
    std::ofstream(folder / "a.jsonl") << "{\"x\":1}\n";
    std::ofstream(folder / "a.npy", std::ios::binary) << npy("[('x', '<i4')]", 1, raw<int32_t>(1));
    std::ofstream(folder / "a.txt") << "x\n1\n";
    for (const char* name : {"a.csv", "a.jsonl", "a.npy"}) {
        auto data = read_dataset(folder / name);
        REQUIRE(data);
        CHECK(data->find("x")->values == Values{1});
    }
    CHECK_THAT(read_dataset(folder / "a.txt").error().message, ContainsSubstring("M0301"));
    CHECK(read_dataset(folder / "b.csv").error().kind == rmt::ErrorKind::NotFound);
    std::filesystem::remove_all(folder);
}

TEST_CASE("data set: what came next, for each task by itself") {
    Dataset data = *parse_csv("tgid,d\n1,10\n2,20\n1,11\n1,12\n2,21\n3,30\n");
    REQUIRE(add_next_column(data, "d", "tgid", "next"));
    CHECK(data.find("tgid")->values == Values{1, 2, 1});
    CHECK(data.find("d")->values == Values{10, 20, 11});
    CHECK(data.find("next")->values == Values{11, 21, 12});

    Dataset single = *parse_csv("d\n1\n2\n3\n");
    REQUIRE(add_next_column(single, "d", "", "next"));
    CHECK(single.find("next")->values == Values{2, 3});
    CHECK_FALSE(add_next_column(single, "e", "", "x"));
    CHECK_FALSE(add_next_column(single, "d", "tgid", "x"));
}
