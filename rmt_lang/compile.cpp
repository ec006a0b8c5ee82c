// SPDX-License-Identifier: MIT
#include "rmt_lang/compile.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "rmt_lang/emit.h"
#include "rmt_lang/emit_text.h"

extern char** environ;

namespace rmt::lang {

namespace {

namespace fs = std::filesystem;

#if defined(__x86_64__)
constexpr const char* kArch = "-D__TARGET_ARCH_x86";
#elif defined(__aarch64__)
constexpr const char* kArch = "-D__TARGET_ARCH_arm64";
#elif defined(__riscv)
constexpr const char* kArch = "-D__TARGET_ARCH_riscv";
#elif defined(__powerpc__)
constexpr const char* kArch = "-D__TARGET_ARCH_powerpc";
#elif defined(__s390x__)
constexpr const char* kArch = "-D__TARGET_ARCH_s390";
#else
#error "name this architecture as libbpf's bpf_tracing.h does"
#endif

std::string from_environment(const char* name, const std::string& fallback) {
    const char* value = std::getenv(name);
    return value && *value ? value : fallback;
}

// A folder that exists as long as this object does.
class WorkFolder {
public:
    static Result<WorkFolder> make() {
        std::error_code ignored;
        std::string path = (fs::temp_directory_path(ignored) / "rmt-compile-XXXXXX").string();
        if (ignored) path = "/tmp/rmt-compile-XXXXXX";
        if (!mkdtemp(path.data())) {
            const int err = errno;
            return fail(ErrorKind::Environment, "cannot make the folder '" + path + "' to compile in: " + std::strerror(err),
                        "set TMPDIR to a folder that can be written", err);
        }
        return WorkFolder(path);
    }
    WorkFolder(WorkFolder&& other) noexcept : path_(std::exchange(other.path_, {})) {}
    WorkFolder& operator=(WorkFolder&& other) noexcept {
        std::swap(path_, other.path_);
        return *this;
    }
    ~WorkFolder() {
        std::error_code ignored;
        if (!path_.empty()) fs::remove_all(path_, ignored);
    }
    std::string file(const std::string& name) const { return path_ + "/" + name; }
    const std::string& path() const { return path_; }

private:
    explicit WorkFolder(std::string path) : path_(std::move(path)) {}
    std::string path_;
};

Result<void> write_file(const std::string& path, const std::string& text) {
    std::ofstream out(path, std::ios::binary);
    out << text;
    out.close();
    if (!out) return fail(ErrorKind::Environment, "cannot write '" + path + "': " + std::strerror(errno), {}, errno);
    return {};
}

Result<std::string> read_file(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    if (!in) return fail(ErrorKind::Environment, "cannot read '" + path + "': " + std::strerror(errno), {}, errno);
    return std::string(std::istreambuf_iterator<char>(in), {});
}

// Runs clang in `folder` with its words going to the file `log`; its exit code, or 128 + the signal that ended it.
Result<int> run_clang(const std::string& clang, const std::vector<std::string>& flags, const WorkFolder& folder) {
    std::vector<char*> argv{const_cast<char*>(clang.c_str())};
    for (const std::string& f : flags) argv.push_back(const_cast<char*>(f.c_str()));
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, folder.file("log").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
    posix_spawn_file_actions_addchdir_np(&actions, folder.path().c_str());
    pid_t child = 0;
    const int err = posix_spawnp(&child, clang.c_str(), &actions, nullptr, argv.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    if (err == ENOENT || err == EACCES)
        return fail(ErrorKind::NotFound, "cannot run the compiler '" + clang + "': " + std::strerror(err),
                    "install clang 16 or later, or name it in RMT_CLANG; a package made by `rmt-load compile` elsewhere needs none", err);
    if (err) return fail(ErrorKind::Environment, "cannot start '" + clang + "': " + std::strerror(err), {}, err);
    int status = 0;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR) return fail(ErrorKind::Environment, "lost '" + clang + "': " + std::strerror(errno), {}, errno);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

// The text, the policy beside it, and our headers below relative names.
Result<void> furnish(const WorkFolder& folder, const std::string& base, const std::string& c_text, const CompileOptions& options) {
    for (const char* part : {"bpf", "vmlinux"}) {
        std::error_code err;
        const fs::path from = fs::absolute(fs::path(base) / part, err);
        if (err || !fs::is_directory(from, err))
            return fail(ErrorKind::NotFound, "there is no folder '" + from.string() + "' with the headers of generated programs",
                        "name the folder that holds bpf/ and vmlinux/ in RMT_BPF_DIR");
        fs::create_directory_symlink(from, folder.file(part), err);
        if (err) return fail(ErrorKind::Environment, "cannot make '" + folder.file(part) + "': " + err.message(), {}, err.value());
    }
    const std::string name = base_name(options.name);
    if (!options.policy.empty()) RMT_CHECK(write_file(folder.file(name), options.policy));
    return write_file(folder.file(name + ".c"), c_text);
}

}  // namespace

Result<std::vector<uint8_t>> compile_bpf(const std::string& c_text, const CompileOptions& options) {
    const std::string name = base_name(options.name);
    // These names are the folder's own; a leading dash would be a flag, an empty or dotted name no file.
    if (name.empty() || name[0] == '-' || name[0] == '.' || name == "bpf" || name == "vmlinux" || name == "log" || name == "object")
        return fail(ErrorKind::Input, "a policy's file cannot be called '" + name + "'", "give it a name such as 'my_policy.rmt'");
    const std::string clang = options.clang.empty() ? from_environment("RMT_CLANG", RMT_BPF_CLANG) : options.clang;
    const std::string base = options.base.empty() ? from_environment("RMT_BPF_DIR", RMT_SOURCE_DIR) : options.base;

    RMT_TRY(const WorkFolder folder, WorkFolder::make());
    RMT_CHECK(furnish(folder, base, c_text, options));
    std::vector<std::string> flags = {"-target", "bpf", "-mcpu=v4", "-std=gnu11", "-O2", "-g", "-Wall", "-Wno-unused-function",
                                      "-Wno-unused-variable", kArch, "-fdebug-compilation-dir=.", "-fno-ident", "-Ibpf/include", "-Ibpf",
                                      "-Ivmlinux"};
    flags.insert(flags.end(), options.extra_flags.begin(), options.extra_flags.end());
    flags.insert(flags.end(), {"-c", name + ".c", "-o", "object"});
    RMT_TRY(const int code, run_clang(clang, flags, folder));
    if (code != 0) {
        Error error{ErrorKind::Input, "clang refused the program generated for '" + name + "'", "", 0, ""};
        if (code >= 128) error = {ErrorKind::Environment, "'" + clang + "' was ended by signal " + std::to_string(code - 128), "", 0, ""};
        if (const auto log = read_file(folder.file("log"))) error.detail = *log;
        return fail(std::move(error));
    }
    RMT_TRY(const std::string object, read_file(folder.file("object")));
    return std::vector<uint8_t>(object.begin(), object.end());
}

Result<Compiled> compile_policy(const CheckedIr& checked, const Source& source, CompileOptions options) {
    Compiled compiled;
    RMT_TRY(compiled.c_text, emit_bpf_c(checked, source));
    RMT_TRY(compiled.manifest, make_manifest(checked, source));
    options.name = base_name(source.name());
    options.policy = std::string(source.text());
    auto object = compile_bpf(compiled.c_text, options);
    if (!object) {
        Error error = std::move(object.error());
        if (error.kind == ErrorKind::Input && !error.detail.empty())
            error.hint = "this is a bug in rmt-load, not in your policy; please report it with the policy and clang's words";
        return fail(std::move(error));
    }
    compiled.object = std::move(*object);
    return compiled;
}

}  // namespace rmt::lang
