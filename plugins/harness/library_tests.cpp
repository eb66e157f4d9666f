// SPDX-License-Identifier: Apache-2.0
// The exported functions, against a registry in the place of TensorRT's.

#include "harness/behaviour.h"

#include "tensorrt/log.h"
#include "tensorrt/operation.h"

#include <cstring>
#include <set>

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"  // the registry still knows IPluginCreator

extern "C" nvinfer1::IPluginCreatorInterface* const* getCreators(int32_t& nbCreators);
extern "C" int32_t gcpose_register_creators(void* registry);

namespace harness
{
namespace
{

/// Keeps creators by name. (No `override`: later headers have methods more, earlier ones less.)
class FakeRegistry final : public nvinfer1::IPluginRegistry
{
public:
    bool refuses = false;
    std::set<std::string> names;
    int32_t calls = 0;

    bool registerCreator(nvinfer1::IPluginCreatorInterface& creator, const char* const pluginNamespace) noexcept
    {
        ++calls;
        const auto& v3 = static_cast<const nvinfer1::IPluginCreatorV3One&>(creator);
        return !refuses && std::strlen(pluginNamespace) == 0 && names.insert(v3.getPluginName()).second;
    }
    nvinfer1::IPluginCreatorInterface* getCreator(
        const char* const name, const char* const version, const char* const pluginNamespace) noexcept
    {
        const bool found = names.count(name) != 0 && std::strcmp(version, "1") == 0 && *pluginNamespace == 0;
        int32_t count = 0;
        return found ? getCreators(count)[0] : nullptr;
    }

    // Not asked for by our library.
    bool registerCreator(nvinfer1::IPluginCreator&, const char* const) noexcept { return false; }
    nvinfer1::IPluginCreator* const* getPluginCreatorList(int32_t* const) const noexcept { return nullptr; }
    nvinfer1::IPluginCreator* getPluginCreator(const char* const, const char* const, const char* const) noexcept
    {
        return nullptr;
    }
    void setErrorRecorder(nvinfer1::IErrorRecorder* const) noexcept {}
    nvinfer1::IErrorRecorder* getErrorRecorder() const noexcept { return nullptr; }
    bool deregisterCreator(const nvinfer1::IPluginCreator&) noexcept { return false; }
    bool isParentSearchEnabled() const { return false; }
    void setParentSearchEnabled(bool const) {}
    PluginLibraryHandle loadLibrary(const char*) noexcept { return nullptr; }
    void deregisterLibrary(PluginLibraryHandle) noexcept {}
    nvinfer1::IPluginCreatorInterface* const* getAllCreators(int32_t* const) const noexcept { return nullptr; }
    bool deregisterCreator(const nvinfer1::IPluginCreatorInterface&) noexcept { return false; }
    nvinfer1::IPluginResource* acquirePluginResource(const char*, nvinfer1::IPluginResource*) noexcept
    {
        return nullptr;
    }
    int32_t releasePluginResource(const char*) noexcept { return 0; }
    nvinfer1::IPluginCreatorInterface* const* getAllCreatorsRecursive(int32_t* const) noexcept { return nullptr; }
};

class ThrowingFinder final : public nvinfer1::ILoggerFinder
{
public:
    nvinfer1::ILogger* findLogger() override { throw std::runtime_error("no logger"); }
};

void registers()
{
    FakeRegistry registry;
    checkEqual(gcpose_register_creators(&registry), 4, "creators registered");
    checkEqual(registry.names.size(), size_t{4}, "creators in the registry");
    checkEqual(gcpose_register_creators(&registry), 4, "creators on a second call");
    checkEqual(registry.calls, 4, "calls of registerCreator");
    FakeRegistry unwilling;
    unwilling.refuses = true;
    checkEqual(gcpose_register_creators(&unwilling), -1, "a registry that refuses");
    checkEqual(gcpose_register_creators(nullptr), -1, "no registry");
}

void lists()
{
    int32_t count = 0;
    nvinfer1::IPluginCreatorInterface* const* first = getCreators(count);
    checkEqual(count, 4, "creators");
    int32_t again = 0;
    check(getCreators(again) == first && again == count, "the same list each time");
    std::set<std::string> names;
    for (const auto& type : gcpose::trt::operationTypes())
    {
        names.insert(type.name);
    }
    const std::set<std::string> expected{"GcmAttention", "KeypointDecode", "MultiLevelRoiAlign", "Nms"};
    check(names == expected, "the four operations by their ONNX names");
}

void survives(nvinfer1::ILoggerFinder* restore)
{
    // Without a logger lines go to stderr, and a finder that throws ends nothing.
    ThrowingFinder finder;
    gcpose::trt::setLoggerFinder(&finder);
    const int value = gcpose::trt::guarded("Harness", "throws", 7, []() -> int { throw std::runtime_error("expected"); });
    checkEqual(value, 7, "value on an exception");
    checkEqual(gcpose::trt::guarded("Harness", "throws", 7, []() -> int { throw 3; }), 7, "value on a thrown number");
    gcpose::trt::setLoggerFinder(nullptr);
    gcpose::trt::log(nvinfer1::ILogger::Severity::kWARNING, "Harness: a line on stderr, as expected");
    gcpose::trt::setLoggerFinder(restore);
}

}  // namespace

Tests libraryTests(nvinfer1::ILoggerFinder* finder)
{
    return {{"library: register", registers}, {"library: list", lists},
        {"library: logging", [finder] { survives(finder); }}};
}

}  // namespace harness
