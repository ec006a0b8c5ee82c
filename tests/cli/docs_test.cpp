// SPDX-License-Identifier: MIT
// Every `rmt-load` and `rmt-agent` command of README.md and docs/*.md, in blocks and between backticks: its verb exists, and so
// does each option, as the program's own --help says. Nothing is executed but --help.
#include <sys/wait.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>
#include <vector>

#include "tests/rmt_test.h"

namespace fs = std::filesystem;

namespace {

std::string read_text(const fs::path& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

struct Help {
    int exit = -1;
    std::string text;
};

const Help& help_of(const std::string& verb) {
    static std::map<std::string, Help> known;
    if (const auto it = known.find(verb); it != known.end()) return it->second;
    Help& help = known[verb];
    FILE* pipe = popen((verb + " --help 2>&1").c_str(), "r");
    REQUIRE(pipe);
    char buffer[4096];
    for (size_t n; (n = fread(buffer, 1, sizeof(buffer), pipe)) > 0;) help.text.append(buffer, n);
    const int status = pclose(pipe);
    help.exit = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return help;
}

// Quotes hold words together; a comment, a pipe, a redirection or what follows ends the command.
std::vector<std::string> words_of(const std::string& line) {
    std::vector<std::string> words;
    std::string word;
    bool any = false;
    char quote = 0;
    for (const char c : line + " ") {
        if (quote) {
            if (c == quote) quote = 0; else word += c;
        } else if (c == '\'' || c == '"') {
            quote = c, any = true;
        } else if (c == ' ' || c == '\t') {
            if (word == "#" || word == "|" || word == "&&" || word == "&" || word == ">" || word == ";") return words;
            if (any) words.push_back(word);
            word.clear(), any = false;
        } else {
            word += c, any = true;
        }
    }
    return words;
}

std::vector<std::string> commands_of(const std::string& text) {
    std::vector<std::string> commands;
    bool block = false;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with("```")) block = !block && line == "```sh";
        for (std::string more; block && line.ends_with("\\") && std::getline(lines, more);) line = line.substr(0, line.size() - 1) + more;
        if (block) {
            for (const char* program : {"rmt-load ", "rmt-agent "})
                if (const size_t at = line.find(program); at != std::string::npos && line.find('#') > at) commands.push_back(line.substr(at));
            continue;
        }
        for (const char* program : {"`rmt-load ", "`rmt-agent "})
            for (size_t at = line.find(program); at != std::string::npos; at = line.find(program, at + 1))
                if (const size_t end = line.find('`', at + 1); end != std::string::npos) commands.push_back(line.substr(at + 1, end - at - 1));
    }
    return commands;
}

// Of a verb that is not there, CLI11 shows the help of what stands before it.
bool knows(const Help& help, const std::string& verb) {
    return help.text.find("Usage: " + verb + " ") != std::string::npos;
}

bool has_option(const std::string& help, const std::string& option) {
    for (size_t at = help.find(option); at != std::string::npos; at = help.find(option, at + 1)) {
        const char after = at + option.size() < help.size() ? help[at + option.size()] : ' ';
        if (after != '-' && !std::isalnum(static_cast<unsigned char>(after))) return true;
    }
    return false;
}

}  // namespace

TEST_CASE("documents: every command exists, with its options") {
    std::vector<fs::path> files = {fs::path(RMT_SOURCE_DIR) / "README.md"};
    for (const auto& entry : fs::directory_iterator(fs::path(RMT_SOURCE_DIR) / "docs"))
        if (entry.path().extension() == ".md") files.push_back(entry.path());
    size_t commands = 0, options = 0;
    for (const fs::path& file : files)
        for (const std::string& command : commands_of(read_text(file))) {
            INFO(file.filename().string() << ": " << command);
            const std::vector<std::string> words = words_of(command);
            const bool agent = words[0] == "rmt-agent";
            std::string verb = agent ? RMT_AGENT : RMT_LOAD;
            size_t at = 1;
            if (!agent && words.size() > 1 && !words[1].starts_with("-")) {
                verb += " " + words[at++];
                if ((words[1] == "model" || words[1] == "table") && words.size() > 2 && !words[2].starts_with("-")) verb += " " + words[at++];
            }
            const Help& help = help_of(verb);
            CHECK(help.exit == 0);
            CHECK(knows(help, verb));
            const std::string whole = help.text + help_of(RMT_LOAD).text;  // -j and --verifier-log are everybody's
            for (; at < words.size(); at++) {
                const std::string option = words[at].substr(0, words[at].find('='));
                if (option.size() < 2 || option[0] != '-' || std::isdigit(static_cast<unsigned char>(option[1]))) continue;
                INFO(option);
                CHECK(has_option(whole, option));
                options++;
            }
            commands++;
        }
    CHECK(commands > 40);
    CHECK(options > 20);
}

TEST_CASE("documents: a verb or an option that is not there would be seen") {
    for (const auto& [verb, known] : {std::pair{" model nonsense", false}, {" model use", true}, {" nonsense", false}, {" apply", true}}) {
        const std::string whole = std::string(RMT_LOAD) + verb;
        INFO(verb << "\n" << help_of(whole).text);
        CHECK(knows(help_of(whole), whole) == known);
    }
    CHECK_FALSE(has_option(help_of(std::string(RMT_LOAD) + " model use").text, "--shad"));
    CHECK(has_option(help_of(std::string(RMT_LOAD) + " model use").text, "--shadow"));
    CHECK(commands_of("```sh\nrmt-load a --b   # c\n```\n`rmt-load x` and `rmt-agent y`\n").size() == 3);
}
