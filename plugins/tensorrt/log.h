// SPDX-License-Identifier: Apache-2.0
// Messages to TensorRT's logger, and the border that no exception crosses.

#pragma once

#include "tensorrt/version.h"

#include <exception>
#include <stdexcept>
#include <string>
#include <utility>

namespace gcpose::trt
{

/// What is wrong with an attribute, a shape or a launch. The message says what would be right.
class PluginError : public std::runtime_error
{
public:
    using std::runtime_error::runtime_error;
};

#if GCPOSE_TENSORRT_LOADS_LIBRARIES
/// Set where messages go; TensorRT calls this, through the exported setLoggerFinder, when it loads the library.
void setLoggerFinder(nvinfer1::ILoggerFinder* finder) noexcept;
#endif

/// Log one line. Without a logger (TensorRT 8.5, or a program that registers the creators itself) it goes to stderr.
void log(nvinfer1::ILogger::Severity severity, const std::string& message) noexcept;

/// Run `body` and return its result; an exception becomes a logged error and `failure`.
///
/// TensorRT's methods are noexcept: an exception that got out would end the program.
template <typename Result, typename Body>
Result guarded(const char* plugin, const char* where, Result failure, Body&& body) noexcept
{
    try
    {
        return std::forward<Body>(body)();
    }
    catch (const std::exception& error)
    {
        try
        {
            log(nvinfer1::ILogger::Severity::kERROR, std::string(plugin) + "::" + where + ": " + error.what());
        }
        catch (const std::exception&)
        {
            log(nvinfer1::ILogger::Severity::kERROR, {});  // not even memory for the message
        }
    }
    catch (...)
    {
        log(nvinfer1::ILogger::Severity::kERROR, {});
    }
    return failure;
}

}  // namespace gcpose::trt
