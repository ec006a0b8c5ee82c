// SPDX-License-Identifier: MIT
// Result<T>: a value or an Error, for everything that is not a fault of the user's text (that goes to Diagnostics).
// Spelled like std::expected, which C++20 lacks. No exception crosses a folder.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace rmt {

enum class ErrorKind {
    Input,        // a file, policy, model or entry is not valid          exit 3
    Unsupported,  // this host or kernel cannot                           exit 5
    Kernel,       // the kernel refused                                   exit 4
    Environment,  // I/O, a missing tool, a run-time failure              exit 1
    Permission,   // not permitted                                        exit 6
    NotFound,     // no such policy, table, cgroup, file                  exit 7
    Conflict,     // exists already, or somebody else holds it            exit 8
};

// message: what was given, what was expected, what to do next; lower case, no full stop.
// detail: raw text for a person who looks deeper (a kernel verifier log), never parsed by position.
struct Error {
    ErrorKind kind = ErrorKind::Environment;
    std::string message;
    std::string hint;      // what to do next, when it is not part of the message
    int sys_errno = 0;
    std::string detail;
};

template <class E>
struct Unexpected {
    E error;
};

inline Unexpected<Error> fail(ErrorKind kind, std::string message, std::string hint = {}, int sys_errno = 0) {
    return {Error{kind, std::move(message), std::move(hint), sys_errno, {}}};
}
inline Unexpected<Error> fail(Error error) { return {std::move(error)}; }

template <class T>
class [[nodiscard]] Result {
public:
    Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
    Result(Unexpected<Error> unexpected) : state_(std::in_place_index<1>, std::move(unexpected.error)) {}

    bool has_value() const { return state_.index() == 0; }
    explicit operator bool() const { return has_value(); }
    T& value() & { return std::get<0>(state_); }
    const T& value() const& { return std::get<0>(state_); }
    T&& value() && { return std::get<0>(std::move(state_)); }
    T& operator*() & { return value(); }
    const T& operator*() const& { return value(); }
    T&& operator*() && { return std::move(*this).value(); }
    T* operator->() { return &value(); }
    const T* operator->() const { return &value(); }
    Error& error() { return std::get<1>(state_); }
    const Error& error() const { return std::get<1>(state_); }

private:
    std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
public:
    Result() = default;
    Result(Unexpected<Error> unexpected) : error_(std::move(unexpected.error)) {}

    bool has_value() const { return !error_; }
    explicit operator bool() const { return has_value(); }
    Error& error() { return *error_; }
    const Error& error() const { return *error_; }

private:
    std::optional<Error> error_;
};

#define RMT_CONCAT_(a, b) a##b
#define RMT_CONCAT(a, b) RMT_CONCAT_(a, b)

// RMT_TRY(auto x, f()): the value of f(), or return its error from this function.
#define RMT_TRY(decl, expr)                                       \
    auto RMT_CONCAT(rmt_try_, __LINE__) = (expr);                 \
    if (!RMT_CONCAT(rmt_try_, __LINE__))                          \
        return ::rmt::fail(std::move(RMT_CONCAT(rmt_try_, __LINE__).error())); \
    decl = std::move(*RMT_CONCAT(rmt_try_, __LINE__))

// RMT_CHECK(f()): nothing, or return its error from this function.
#define RMT_CHECK(expr)                                           \
    do {                                                          \
        auto rmt_check_ = (expr);                                 \
        if (!rmt_check_) return ::rmt::fail(std::move(rmt_check_.error())); \
    } while (0)

// Our own bugs end the program with the place.
#define RMT_BUG_IF(cond, what)                                                              \
    do {                                                                                    \
        if (cond) {                                                                         \
            std::fprintf(stderr, "bug: %s (%s) at %s:%d\n", what, #cond, __FILE__, __LINE__); \
            std::abort();                                                                   \
        }                                                                                   \
    } while (0)

}  // namespace rmt
