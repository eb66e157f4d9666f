// SPDX-License-Identifier: Apache-2.0
// What the library exports for TensorRT. It needs nothing of libnvinfer to load: every call comes from TensorRT.

#include "tensorrt/log.h"

#if GCPOSE_PLUGIN_INTERFACE == 3
#include "tensorrt/v3/plugin.h"
#else
#include "tensorrt/v2/plugin.h"
#endif

#include <dlfcn.h>

#include <cstdlib>

#define GCPOSE_EXPORT extern "C" __attribute__((visibility("default")))

namespace
{

#if GCPOSE_PLUGIN_INTERFACE == 3
const std::vector<nvinfer1::IPluginCreatorInterface*>& registered()
{
    return gcpose::trt::v3::creators();
}

bool isRegistered(nvinfer1::IPluginRegistry& registry, const nvinfer1::IPluginCreatorInterface& creator)
{
    const auto& ours = static_cast<const nvinfer1::IPluginCreatorV3One&>(creator);
    return registry.getCreator(ours.getPluginName(), ours.getPluginVersion(), ours.getPluginNamespace()) != nullptr;
}
#else
const std::vector<nvinfer1::IPluginCreator*>& registered()
{
    return gcpose::trt::v2::creators();
}

bool isRegistered(nvinfer1::IPluginRegistry& registry, const nvinfer1::IPluginCreator& creator)
{
    return registry.getPluginCreator(creator.getPluginName(), creator.getPluginVersion(), creator.getPluginNamespace())
        != nullptr;
}
#endif

}  // namespace

#if GCPOSE_TENSORRT_LOADS_LIBRARIES
/// TensorRT tells where its loggers are found.
GCPOSE_EXPORT void setLoggerFinder(nvinfer1::ILoggerFinder* finder)
{
    gcpose::trt::setLoggerFinder(finder);
}
#endif

#if GCPOSE_TENSORRT_10
/// IPluginRegistry::loadLibrary of TensorRT 10.0 and later asks for the creators by this name.
GCPOSE_EXPORT nvinfer1::IPluginCreatorInterface* const* getCreators(int32_t& nbCreators)
{
#if GCPOSE_PLUGIN_INTERFACE == 3
    const auto& creators = registered();
#else
    static const std::vector<nvinfer1::IPluginCreatorInterface*> creators(registered().begin(), registered().end());
#endif
    nbCreators = static_cast<int32_t>(creators.size());
    return creators.data();
}
#endif

#if GCPOSE_PLUGIN_INTERFACE == 2
/// loadLibrary of TensorRT 8.6 asks by this one.
GCPOSE_EXPORT nvinfer1::IPluginCreator* const* getPluginCreators(int32_t& nbCreators)
{
    nbCreators = static_cast<int32_t>(registered().size());
    return registered().data();
}
#endif

/// For TensorRT 8.5, which cannot load a library itself: hand over what its getPluginRegistry() returns.
///
/// Returns the number of creators that are in the registry afterwards, or -1 where one could not be registered or
/// `registry` is null. A creator that is there already counts, so that a second call does no harm.
GCPOSE_EXPORT int32_t gcpose_register_creators(void* registry)
{
    if (registry == nullptr)
    {
        return -1;
    }
    auto& plugins = *static_cast<nvinfer1::IPluginRegistry*>(registry);
    int32_t count = 0;
    for (auto* creator : registered())
    {
        if (!isRegistered(plugins, *creator) && !plugins.registerCreator(*creator, gcpose::trt::kPluginNamespace))
        {
            return -1;
        }
        ++count;
    }
    return count;
}

#define GCPOSE_TEXT_OF(value) #value
#define GCPOSE_TEXT(value) GCPOSE_TEXT_OF(value)

namespace
{

/// Returns what gives this process's plugin registry, null where it has no TensorRT in it.
void* findGetPluginRegistry()
{
    if (void* found = dlsym(RTLD_DEFAULT, "getPluginRegistry"))
    {
        return found;
    }
    // A server's backends keep their libraries out of sight, but the name of one that is loaded still finds it.
    void* nvinfer = dlopen("libnvinfer.so." GCPOSE_TEXT(NV_TENSORRT_MAJOR), RTLD_LAZY | RTLD_NOLOAD);
    return nvinfer == nullptr ? nullptr : dlsym(nvinfer, "getPluginRegistry");
}

/// For programs that only open the library: trtexec and DeepStream of TensorRT 8.5, and Triton with any TensorRT.
///
/// Where TensorRT loads libraries itself, it registers what it loads, and would find it there already: so Triton must
/// ask, by GCPOSE_REGISTER_ON_LOAD=1. Where there is no TensorRT in sight, as with 8.5 in Python on a Jetson,
/// gcpose_register_creators does it later.
__attribute__((constructor)) void registerOnLoad()
{
#if GCPOSE_TENSORRT_LOADS_LIBRARIES
    if (std::getenv("GCPOSE_REGISTER_ON_LOAD") == nullptr)
    {
        return;
    }
#endif
    if (void* found = findGetPluginRegistry())
    {
        gcpose_register_creators(reinterpret_cast<void* (*)()>(found)());
    }
}

}  // namespace
