// SPDX-License-Identifier: MIT
// rmt-load as an unprivileged user: what works on own files works, what needs root says so.
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/kernel/cli_run.h"

using namespace rmt;
using namespace rmt::cli;
using namespace rmt::test;
namespace fs = std::filesystem;

namespace {

constexpr const char* kRows = "x,y,label\n1,2,0\n3,4,1\n5,6,0\n7,8,1\n9,10,0\n11,12,1\n13,14,0\n15,16,1\n17,18,0\n19,20,1\n";

// The program itself, by the user nobody, in a folder that is nobody's.
class Nobody {
public:
    Nobody() {
        char pattern[] = "/tmp/rmt-nobody-XXXXXX";
        root_ = mkdtemp(pattern);
        fs::copy_file(RMT_LOAD, root_ / "rmt-load");  // the build folder may be closed to others
        std::ofstream(root_ / "rows.csv") << kRows;
        fs::create_directory(root_ / "own");
        chmod(root_.c_str(), 0755);
        if (chown((root_ / "own").c_str(), 65534, 65534) != 0) problem_ = "cannot give a folder to nobody";
    }
    ~Nobody() { fs::remove_all(root_); }

    const std::string& problem() const { return problem_; }
    std::string own(const std::string& name) const { return (root_ / "own" / name).string(); }
    std::string rows() const { return (root_ / "rows.csv").string(); }

    Ran run(const std::string& arguments, const std::string& state = "own/state") const {
        const std::string command = "cd " + own("") + " && RMT_STATE_DIR=" + (root_ / state).string() +
                                    " setpriv --reuid=65534 --regid=65534 --clear-groups " + (root_ / "rmt-load").string() + " -j " + arguments + " 2>/dev/null";
        FILE* pipe = popen(command.c_str(), "r");
        REQUIRE(pipe);
        std::string text;
        char buffer[4096];
        for (size_t n; (n = fread(buffer, 1, sizeof(buffer), pipe)) > 0;) text.append(buffer, n);
        const int status = pclose(pipe);
        Ran ran{WIFEXITED(status) ? WEXITSTATUS(status) : -1, Json::parse(text, nullptr, false)};
        INFO(arguments << ": " << text);
        REQUIRE_FALSE(ran.json.is_discarded());
        return ran;
    }

private:
    fs::path root_;
    std::string problem_;
};

}  // namespace

TEST_CASE("unprivileged: own models are made, kept, compared and asked") {
    if (geteuid() != 0) RMT_SKIP("becoming another user needs root");
    if (std::system("setpriv --version >/dev/null 2>&1") != 0) RMT_SKIP("there is no setpriv (Debian: util-linux)");
    const Nobody nobody;
    if (!nobody.problem().empty()) RMT_SKIP(nobody.problem());
    const std::string rows = nobody.rows();
    for (const std::string& arguments : {
             "model train " + rows + " --inputs x,y --label label --min-leaf 1 --holdout 0 --name a",
             "model train " + rows + " --inputs x,y --label label --min-leaf 1 --holdout 0 --max-depth 1 -o b.json",
             std::string("model import b.json --name b"),
             std::string("model list"),
             std::string("model show a"),
             std::string("model show b.json"),
             "model predict a " + rows,
             std::string("model verify a"),  // all but the part in the kernel
             std::string("model diff a a@v1"),
             std::string("model alias a stable v1"),
             std::string("model export a@stable -o c.json"),
             std::string("model history p/m"),
             std::string("model rm a"),
         }) {
        INFO(arguments);
        CHECK(nobody.run(arguments).exit == kOk);
    }
    // A net is compared with its float form on rows that were collected.
    std::ofstream(nobody.own("net.json")) << R"({"rmt_float_net":1,"inputs":2,"steps":1,"layers":[{"kind":"dense","outputs":1,"weights":[1.5,-2],"bias":[0.25],"relu":false}]})";
    const Ran net = nobody.run("model import net.json --inputs x:0..20,y:0..20 --verify " + rows + " --name n");
    CHECK(net.exit == kOk);
    CHECK(net.json["verified"]["rows"] == 10);
    CHECK(net.json["verified"]["different"] == 0);
    CHECK(net.json["probe"]["rows"] > 1000);
    CHECK(nobody.run("model import net.json --inputs x:0..5,y:0..20 --verify " + rows + " --name n").json["verified"]["rows"] == 3);  // the others have no answer
    CHECK(nobody.run("model import net.json --inputs x:0..20,z:0..20 --verify " + rows + " --name n").exit == kInvalid);
    CHECK(nobody.run("model show b").json["used_by"].is_null());  // not known, not "by none"
    CHECK(fs::exists(nobody.own("c.json")));
}

TEST_CASE("unprivileged: what needs root says so") {
    if (geteuid() != 0) RMT_SKIP("becoming another user needs root");
    if (std::system("setpriv --version >/dev/null 2>&1") != 0) RMT_SKIP("there is no setpriv (Debian: util-linux)");
    const Nobody nobody;
    if (!nobody.problem().empty()) RMT_SKIP(nobody.problem());
    REQUIRE(nobody.run("model train " + nobody.rows() + " --inputs x,y --label label --min-leaf 1 --holdout 0 --name a").exit == kOk);
    struct stat root = {};
    const bool closed = stat("/sys/fs/bpf", &root) == 0 && (root.st_mode & 0007) == 0;
    std::vector<std::string> verbs = {"model bench a", "model predict a " + nobody.rows() + " --kernel"};
    if (closed)
        for (const char* verb : {"list", "model list p", "model show p/m", "model use p/m a", "model use p/m a --shadow", "model rollback p/m", "model promote p/m",
                                 "stats p", "mode p off", "table list p/t"})
            verbs.push_back(verb);
    for (const std::string& verb : verbs) {
        INFO(verb);
        const Ran ran = nobody.run(verb);
        INFO(ran.json.dump());
        CHECK(ran.exit == kPermission);
        CHECK(ran.json["error"]["kind"] == "permission");
        CHECK_THAT(ran.json["error"].value("hint", ""), ContainsSubstring("run as root"));
    }
    const Ran elsewhere = nobody.run("model import " + nobody.rows(), "nothing");  // a folder that is not ours
    CHECK(elsewhere.exit == kInvalid);
    const Ran denied = nobody.run("model train " + nobody.rows() + " --inputs x,y --label label --min-leaf 1 --holdout 0 --name a", "nothing");
    CHECK(denied.exit == kPermission);
    CHECK_THAT(denied.json["error"].value("hint", ""), ContainsSubstring("RMT_STATE_DIR"));
}
