// SPDX-License-Identifier: MIT
// Every id that the code gives is documented, once; nothing is documented that no code gives.
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>

#include "tests/rmt_test.h"

namespace {

std::string read_text(const std::filesystem::path& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::multiset<std::string> find_all(const std::string& text, const char* pattern) {
    const std::regex regex(pattern);
    std::multiset<std::string> found;
    for (std::sregex_iterator it(text.begin(), text.end(), regex), end; it != end; ++it) found.insert((*it)[1]);
    return found;
}

}  // namespace

TEST_CASE("errors of models: the list is complete") {
    std::filesystem::path root = RMT_SOURCE_DIR;
    std::set<std::string> used;
    for (const auto& entry : std::filesystem::directory_iterator(root / "models"))
        if (entry.path().extension() == ".cpp" || entry.path().extension() == ".h")
            for (const std::string& id : find_all(read_text(entry.path()), "\"(M0[0-9]{3})\"")) used.insert(id);
    auto documented = find_all(read_text(root / "docs/errors-models.md"), "### (M0[0-9]{3}) ");
    REQUIRE(used.size() > 20);
    CHECK(std::multiset<std::string>(used.begin(), used.end()) == documented);
}
