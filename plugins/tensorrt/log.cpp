// SPDX-License-Identifier: Apache-2.0

#include "tensorrt/log.h"

#include <atomic>
#include <cstdio>

namespace gcpose::trt
{
namespace
{

#if GCPOSE_TENSORRT_LOADS_LIBRARIES
std::atomic<nvinfer1::ILoggerFinder*> loggerFinder{nullptr};
#endif

nvinfer1::ILogger* findLogger()
{
#if GCPOSE_TENSORRT_LOADS_LIBRARIES
    nvinfer1::ILoggerFinder* finder = loggerFinder.load();
    return finder == nullptr ? nullptr : finder->findLogger();
#else
    return nullptr;
#endif
}

}  // namespace

#if GCPOSE_TENSORRT_LOADS_LIBRARIES
void setLoggerFinder(nvinfer1::ILoggerFinder* finder) noexcept
{
    loggerFinder.store(finder);
}
#endif

void log(nvinfer1::ILogger::Severity severity, const std::string& message) noexcept
{
    const char* text = message.empty() ? "gcpose: an error without a message" : message.c_str();
    try
    {
        if (nvinfer1::ILogger* logger = findLogger())
        {
            logger->log(severity, text);
            return;
        }
    }
    catch (...)  // ILoggerFinder::findLogger is not noexcept
    {
    }
    if (severity <= nvinfer1::ILogger::Severity::kWARNING)
    {
        std::fprintf(stderr, "%s\n", text);
    }
}

}  // namespace gcpose::trt
