// SPDX-License-Identifier: MIT
// Verbs of rmt-load called as the program calls them: a state folder and files of their own, and what a verb says.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>

#include "loader/cli/commands.h"
#include "tests/rmt_test.h"

namespace rmt::test {

using cli::Json;
using cli::Output;

// RMT_STATE_DIR and files of a test; they go with it.
class Scratch {
public:
    Scratch() {
        char pattern[] = "/tmp/rmt-cli-XXXXXX";
        root_ = mkdtemp(pattern);
        setenv("RMT_STATE_DIR", (root_ / "state").c_str(), 1);
    }
    ~Scratch() {
        unsetenv("RMT_STATE_DIR");
        std::filesystem::remove_all(root_);
    }
    std::string file(const std::string& name, const std::string& text) const {
        std::ofstream(root_ / name) << text << std::flush;
        return path(name);
    }
    std::string path(const std::string& name) const { return (root_ / name).string(); }

    // Rows of a walk with a constant step, of the steps lo..hi: what comes next is the step; `wrong` is added to it.
    std::string walks(const std::string& name, int lo, int hi, int wrong = 0) const {
        std::string text = "deltas[0],deltas[1],deltas[2],deltas[3],next\n";
        for (int step = lo; step <= hi; step++)
            for (int i = 0; i < 20; i++) {
                const std::string d = std::to_string(step) + ",";
                text += d + d + d + d + std::to_string(step + wrong) + "\n";
            }
        return file(name, text);
    }

private:
    std::filesystem::path root_;
};

struct Ran {
    int exit = -1;
    Json json;
};

// A verb with -j; what it prints is one JSON document, also when it fails.
inline Ran run(const std::function<int(const Output&)>& verb) {
    FILE* file = tmpfile();
    REQUIRE(file);
    fflush(stdout);
    const int saved = dup(STDOUT_FILENO);
    dup2(fileno(file), STDOUT_FILENO);
    Output out;
    out.json = true;
    Ran ran;
    ran.exit = verb(out);
    fflush(stdout);
    dup2(saved, STDOUT_FILENO);
    close(saved);
    rewind(file);
    std::string text;
    char buffer[4096];
    for (size_t n; (n = fread(buffer, 1, sizeof(buffer), file)) > 0;) text.append(buffer, n);
    fclose(file);
    ran.json = Json::parse(text, nullptr, false);
    INFO(text);
    REQUIRE_FALSE(ran.json.is_discarded());
    CHECK(ran.json["schema"] == 1);
    return ran;
}

}  // namespace rmt::test
