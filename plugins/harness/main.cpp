// SPDX-License-Identifier: Apache-2.0
// Drives the TensorRT glue without TensorRT and without a GPU: kernels through the CPU shim, interfaces called as
// TensorRT calls them. Prints one line a test; the exit code is the number of failures. An argument picks tests whose
// name contains it.

#include "harness/behaviour.h"

#include <cstdio>

extern "C" void setLoggerFinder(nvinfer1::ILoggerFinder* finder);

namespace harness
{
namespace
{

std::vector<std::string> errors;

class RecordingLogger final : public nvinfer1::ILogger
{
public:
    void log(Severity severity, const char* message) noexcept override
    {
        if (severity <= Severity::kERROR)
        {
            errors.emplace_back(message);
        }
    }
};

class Finder final : public nvinfer1::ILoggerFinder
{
public:
    nvinfer1::ILogger* findLogger() override { return &mLogger; }

private:
    RecordingLogger mLogger;
};

int runAll(const Tests& tests, const std::string& wanted)
{
    int failures = 0;
    for (const Test& test : tests)
    {
        if (test.name.find(wanted) == std::string::npos)
        {
            continue;
        }
        try
        {
            test.body();
            std::printf("ok      %s\n", test.name.c_str());
        }
        catch (const std::exception& error)
        {
            std::printf("FAILED  %s: %s\n", test.name.c_str(), error.what());
            ++failures;
        }
        std::fflush(stdout);
    }
    return failures;
}

}  // namespace

const std::vector<std::string>& loggedErrors()
{
    return errors;
}

}  // namespace harness

int main(int argc, char** argv)
{
    const std::string wanted = argc > 1 ? argv[1] : "";
    harness::Finder finder;
    setLoggerFinder(&finder);
    int failures = harness::runAll(harness::libraryTests(&finder), wanted);
    for (const auto& make : {harness::makeV3, harness::makeV2})
    {
        const auto interface = make();
        const std::vector<std::string> expected{"MultiLevelRoiAlign", "GcmAttention", "Nms", "KeypointDecode"};
        if (interface->creatorNames() != expected)
        {
            std::printf("FAILED  %s: creators\n", interface->name());
            ++failures;
        }
        failures += harness::runAll(harness::behaviourTests(*interface), wanted);
        failures += harness::runAll(harness::refusalTests(*interface), wanted);
    }
    setLoggerFinder(nullptr);
    return failures;
}
