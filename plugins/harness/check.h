// SPDX-License-Identifier: Apache-2.0
// A very small test framework: named tests, checks that throw.

#pragma once

#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

namespace harness
{

struct Failure : std::runtime_error
{
    using std::runtime_error::runtime_error;
};

inline void check(bool condition, const std::string& what)
{
    if (!condition)
    {
        throw Failure(what);
    }
}

template <typename A, typename B>
void checkEqual(const A& actual, const B& expected, const std::string& what)
{
    if (!(actual == expected))
    {
        throw Failure(what + ": " + std::to_string(actual) + " instead of " + std::to_string(expected));
    }
}

struct Test
{
    std::string name;
    std::function<void()> body;
};

using Tests = std::vector<Test>;

/// The errors that the plugins logged so far, through the logger finder that main() gave them.
const std::vector<std::string>& loggedErrors();

}  // namespace harness
