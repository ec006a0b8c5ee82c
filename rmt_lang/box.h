// SPDX-License-Identifier: MIT
// A value on the heap with the manners of a value: deep copy, equality by content, never empty except moved-from. For
// types that contain themselves.
#pragma once

#include <memory>
#include <utility>

namespace rmt::lang {

template <class T>
class Box {
public:
    Box(T value) : value_(std::make_unique<T>(std::move(value))) {}
    Box(const Box& other) : value_(std::make_unique<T>(*other)) {}
    Box(Box&&) noexcept = default;
    Box& operator=(Box other) noexcept {
        value_ = std::move(other.value_);
        return *this;
    }
    T& operator*() { return *value_; }
    const T& operator*() const { return *value_; }
    T* operator->() { return value_.get(); }
    const T* operator->() const { return value_.get(); }
    bool operator==(const Box& other) const { return **this == *other; }

private:
    std::unique_ptr<T> value_;
};

}  // namespace rmt::lang
