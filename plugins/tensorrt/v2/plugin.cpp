// SPDX-License-Identifier: Apache-2.0

#include "tensorrt/v2/plugin.h"

#include "tensorrt/log.h"

#include <cstring>

namespace gcpose::trt::v2
{
namespace
{

constexpr int32_t kOk = 0;
constexpr int32_t kFailed = 1;

std::vector<nvinfer1::PluginTensorDesc> descriptions(const nvinfer1::DynamicPluginTensorDesc* tensors, int32_t count)
{
    std::vector<nvinfer1::PluginTensorDesc> result;
    for (int32_t i = 0; tensors != nullptr && i < count; ++i)
    {
        result.push_back(tensors[i].desc);
    }
    return result;
}

}  // namespace

Plugin::Plugin(std::unique_ptr<Operation> operation, std::string pluginNamespace)
    : mOperation(std::move(operation))
    , mNamespace(std::move(pluginNamespace))
    , mPacked(mOperation->attributes().pack())
{
}

const char* Plugin::getPluginType() const noexcept
{
    return mOperation->name();
}

const char* Plugin::getPluginVersion() const noexcept
{
    return kPluginVersion;
}

int32_t Plugin::getNbOutputs() const noexcept
{
    return mOperation->outputCount();
}

int32_t Plugin::initialize() noexcept
{
    return kOk;
}

void Plugin::terminate() noexcept {}

size_t Plugin::getSerializationSize() const noexcept
{
    return mPacked.size();
}

void Plugin::serialize(void* buffer) const noexcept
{
    std::memcpy(buffer, mPacked.data(), mPacked.size());
}

void Plugin::destroy() noexcept
{
    delete this;
}

void Plugin::setPluginNamespace(const char* pluginNamespace) noexcept
{
    guarded(mOperation->name(), "setPluginNamespace", false, [&] {
        mNamespace = pluginNamespace == nullptr ? "" : pluginNamespace;
        return true;
    });
}

const char* Plugin::getPluginNamespace() const noexcept
{
    return mNamespace.c_str();
}

nvinfer1::DataType Plugin::getOutputDataType(
    int32_t index, const nvinfer1::DataType* inputTypes, int32_t nbInputs) const noexcept
{
    return guarded(mOperation->name(), "getOutputDataType", nvinfer1::DataType::kFLOAT, [&] {
        mOperation->checkCounts(nbInputs, mOperation->outputCount());
        require(index >= 0 && index < mOperation->outputCount(), "asked for an output that there is not");
        return mOperation->outputType(index, inputTypes);
    });
}

nvinfer1::IPluginV2DynamicExt* Plugin::clone() const noexcept
{
    return guarded<nvinfer1::IPluginV2DynamicExt*>(
        mOperation->name(), "clone", nullptr, [&] { return new Plugin(mOperation->clone(), mNamespace); });
}

nvinfer1::DimsExprs Plugin::getOutputDimensions(int32_t outputIndex, const nvinfer1::DimsExprs* inputs,
    int32_t nbInputs, nvinfer1::IExprBuilder& exprBuilder) noexcept
{
    nvinfer1::DimsExprs invalid{};
    invalid.nbDims = -1;
    return guarded(mOperation->name(), "getOutputDimensions", invalid, [&] {
        mOperation->checkCounts(nbInputs, mOperation->outputCount());
        require(outputIndex >= 0 && outputIndex < mOperation->outputCount(), "asked for an output that there is not");
        return mOperation->outputShape(outputIndex, inputs, exprBuilder);
    });
}

bool Plugin::supportsFormatCombination(
    int32_t pos, const nvinfer1::PluginTensorDesc* inOut, int32_t nbInputs, int32_t nbOutputs) noexcept
{
    return guarded(mOperation->name(), "supportsFormatCombination", false, [&] {
        mOperation->checkCounts(nbInputs, nbOutputs);
        require(pos >= 0 && pos < nbInputs + nbOutputs, "asked for the format of a tensor that there is not");
        return mOperation->supportsFormat(pos, inOut, Indices::k32Only);
    });
}

void Plugin::configurePlugin(const nvinfer1::DynamicPluginTensorDesc* in, int32_t nbInputs,
    const nvinfer1::DynamicPluginTensorDesc* out, int32_t nbOutputs) noexcept
{
    // The interface has no way to say no here; the message tells why the engine will fail.
    guarded(mOperation->name(), "configurePlugin", false, [&] {
        const auto inputs = descriptions(in, nbInputs);
        const auto outputs = descriptions(out, nbOutputs);
        mOperation->check({inputs.data(), nbInputs, outputs.data(), nbOutputs});
        return true;
    });
}

size_t Plugin::getWorkspaceSize(const nvinfer1::PluginTensorDesc* inputs, int32_t nbInputs,
    const nvinfer1::PluginTensorDesc* outputs, int32_t nbOutputs) const noexcept
{
    return guarded(mOperation->name(), "getWorkspaceSize", size_t{0}, [&] {
        mOperation->checkCounts(nbInputs, nbOutputs);
        return mOperation->workspaceBytes({inputs, nbInputs, outputs, nbOutputs});
    });
}

int32_t Plugin::enqueue(const nvinfer1::PluginTensorDesc* inputDesc, const nvinfer1::PluginTensorDesc* outputDesc,
    const void* const* inputs, void* const* outputs, void* workspace, cudaStream_t stream) noexcept
{
    return guarded(mOperation->name(), "enqueue", kFailed, [&] {
        // Shapes are checked here, for nothing else tells this interface that they changed; it costs comparisons only.
        const Tensors tensors{inputDesc, mOperation->inputCount(), outputDesc, mOperation->outputCount()};
        mOperation->checkShapes(tensors);
        const cudaError_t error = mOperation->launch(tensors, {inputs, outputs, workspace}, stream);
        require(error == cudaSuccess, "the launch failed with CUDA error " + std::to_string(static_cast<int>(error)));
        return kOk;
    });
}

Creator::Creator(const OperationType& type) : mType(type), mNamespace(kPluginNamespace)
{
    for (const AttributeSpec& spec : mType.specs())
    {
        const bool real = spec.kind == AttributeKind::kReal;
        mFields.emplace_back(spec.name, nullptr,
            real ? nvinfer1::PluginFieldType::kFLOAT32 : nvinfer1::PluginFieldType::kINT32, 1);
    }
    mCollection.nbFields = static_cast<int32_t>(mFields.size());
    mCollection.fields = mFields.data();
}

const char* Creator::getPluginName() const noexcept
{
    return mType.name;
}

const char* Creator::getPluginVersion() const noexcept
{
    return kPluginVersion;
}

const nvinfer1::PluginFieldCollection* Creator::getFieldNames() noexcept
{
    return &mCollection;
}

nvinfer1::IPluginV2* Creator::createPlugin(
    const char* /*name*/, const nvinfer1::PluginFieldCollection* fc) noexcept
{
    return guarded<nvinfer1::IPluginV2*>(mType.name, "createPlugin", nullptr,
        [&] { return new Plugin(mType.create(Attributes(mType.specs(), fc)), mNamespace); });
}

nvinfer1::IPluginV2* Creator::deserializePlugin(
    const char* /*name*/, const void* serialData, size_t serialLength) noexcept
{
    return guarded<nvinfer1::IPluginV2*>(mType.name, "deserializePlugin", nullptr,
        [&] { return new Plugin(mType.create(Attributes(mType.specs(), serialData, serialLength)), mNamespace); });
}

void Creator::setPluginNamespace(const char* pluginNamespace) noexcept
{
    guarded(mType.name, "setPluginNamespace", false, [&] {
        mNamespace = pluginNamespace == nullptr ? "" : pluginNamespace;
        return true;
    });
}

const char* Creator::getPluginNamespace() const noexcept
{
    return mNamespace.c_str();
}

const std::vector<nvinfer1::IPluginCreator*>& creators()
{
    static const std::vector<std::unique_ptr<Creator>> owned = [] {
        std::vector<std::unique_ptr<Creator>> made;
        for (const OperationType& type : operationTypes())
        {
            made.push_back(std::make_unique<Creator>(type));
        }
        return made;
    }();
    static const std::vector<nvinfer1::IPluginCreator*> pointers = [] {
        std::vector<nvinfer1::IPluginCreator*> all;
        for (const auto& creator : owned)
        {
            all.push_back(creator.get());
        }
        return all;
    }();
    return pointers;
}

}  // namespace gcpose::trt::v2
