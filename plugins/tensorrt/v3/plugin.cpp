// SPDX-License-Identifier: Apache-2.0

#include "tensorrt/v3/plugin.h"

#include "tensorrt/log.h"


namespace gcpose::trt::v3
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

/// The tensors at the largest shapes of the profile.
std::vector<nvinfer1::PluginTensorDesc> largest(const nvinfer1::DynamicPluginTensorDesc* tensors, int32_t count)
{
    std::vector<nvinfer1::PluginTensorDesc> result = descriptions(tensors, count);
    for (size_t i = 0; i < result.size(); ++i)
    {
        result[i].dims = tensors[i].max;
    }
    return result;
}

}  // namespace

Plugin::Plugin(std::unique_ptr<Operation> operation)
    : mOperation(std::move(operation))
    , mDescription(std::string(mOperation->name()) + " " + kPluginVersion + ": " + mOperation->attributes().text())
    , mFields(mOperation->attributes().fields())
    , mCollection{static_cast<int32_t>(mFields.size()), mFields.data()}
{
}

nvinfer1::IPluginCapability* Plugin::getCapabilityInterface(nvinfer1::PluginCapabilityType type) noexcept
{
    switch (type)
    {
    case nvinfer1::PluginCapabilityType::kCORE: return static_cast<nvinfer1::IPluginV3OneCore*>(this);
    case nvinfer1::PluginCapabilityType::kBUILD: return static_cast<nvinfer1::IPluginV3OneBuild*>(this);
    case nvinfer1::PluginCapabilityType::kRUNTIME: return static_cast<nvinfer1::IPluginV3OneRuntime*>(this);
    }
    return nullptr;  // a capability that a later TensorRT added
}

nvinfer1::IPluginV3* Plugin::clone() noexcept
{
    return guarded<nvinfer1::IPluginV3*>(
        mOperation->name(), "clone", nullptr, [&] { return new Plugin(mOperation->clone()); });
}

const char* Plugin::getPluginName() const noexcept
{
    return mOperation->name();
}

const char* Plugin::getPluginVersion() const noexcept
{
    return kPluginVersion;
}

const char* Plugin::getPluginNamespace() const noexcept
{
    return kPluginNamespace;
}

int32_t Plugin::configurePlugin(const nvinfer1::DynamicPluginTensorDesc* in, int32_t nbInputs,
    const nvinfer1::DynamicPluginTensorDesc* out, int32_t nbOutputs) noexcept
{
    return guarded(mOperation->name(), "configurePlugin", kFailed, [&] {
        const auto inputs = descriptions(in, nbInputs);
        const auto outputs = descriptions(out, nbOutputs);
        mOperation->check({inputs.data(), nbInputs, outputs.data(), nbOutputs});
        return kOk;
    });
}

int32_t Plugin::getOutputDataTypes(nvinfer1::DataType* outputTypes, int32_t nbOutputs,
    const nvinfer1::DataType* inputTypes, int32_t nbInputs) const noexcept
{
    return guarded(mOperation->name(), "getOutputDataTypes", kFailed, [&] {
        mOperation->checkCounts(nbInputs, nbOutputs);
        for (int32_t i = 0; i < nbOutputs; ++i)
        {
            outputTypes[i] = mOperation->outputType(i, inputTypes);
        }
        return kOk;
    });
}

int32_t Plugin::getOutputShapes(const nvinfer1::DimsExprs* inputs, int32_t nbInputs,
    const nvinfer1::DimsExprs* /*shapeInputs*/, int32_t /*nbShapeInputs*/, nvinfer1::DimsExprs* outputs,
    int32_t nbOutputs, nvinfer1::IExprBuilder& exprBuilder) noexcept
{
    return guarded(mOperation->name(), "getOutputShapes", kFailed, [&] {
        mOperation->checkCounts(nbInputs, nbOutputs);
        for (int32_t i = 0; i < nbOutputs; ++i)
        {
            outputs[i] = mOperation->outputShape(i, inputs, exprBuilder);
        }
        return kOk;
    });
}

bool Plugin::supportsFormatCombination(int32_t pos, const nvinfer1::DynamicPluginTensorDesc* inOut, int32_t nbInputs,
    int32_t nbOutputs) noexcept
{
    return guarded(mOperation->name(), "supportsFormatCombination", false, [&] {
        mOperation->checkCounts(nbInputs, nbOutputs);
        require(pos >= 0 && pos < nbInputs + nbOutputs, "asked for the format of a tensor that there is not");
        const auto tensors = descriptions(inOut, pos + 1);  // those after it say nothing yet
        return mOperation->supportsFormat(pos, tensors.data(), Indices::k32Or64);
    });
}

int32_t Plugin::getNbOutputs() const noexcept
{
    return mOperation->outputCount();
}

size_t Plugin::getWorkspaceSize(const nvinfer1::DynamicPluginTensorDesc* inputs, int32_t nbInputs,
    const nvinfer1::DynamicPluginTensorDesc* outputs, int32_t nbOutputs) const noexcept
{
    return guarded(mOperation->name(), "getWorkspaceSize", size_t{0}, [&] {
        mOperation->checkCounts(nbInputs, nbOutputs);
        const auto in = largest(inputs, nbInputs);
        const auto out = largest(outputs, nbOutputs);
        return mOperation->workspaceBytes({in.data(), nbInputs, out.data(), nbOutputs});
    });
}

const char* Plugin::getTimingCacheID() noexcept
{
    return mDescription.c_str();
}

const char* Plugin::getMetadataString() noexcept
{
    return mDescription.c_str();
}

int32_t Plugin::onShapeChange(const nvinfer1::PluginTensorDesc* in, int32_t nbInputs,
    const nvinfer1::PluginTensorDesc* out, int32_t nbOutputs) noexcept
{
    return guarded(mOperation->name(), "onShapeChange", kFailed, [&] {
        mOperation->check({in, nbInputs, out, nbOutputs});
        return kOk;
    });
}

int32_t Plugin::enqueue(const nvinfer1::PluginTensorDesc* inputDesc, const nvinfer1::PluginTensorDesc* outputDesc,
    const void* const* inputs, void* const* outputs, void* workspace, cudaStream_t stream) noexcept
{
    return guarded(mOperation->name(), "enqueue", kFailed, [&] {
        const Tensors tensors{inputDesc, mOperation->inputCount(), outputDesc, mOperation->outputCount()};
        const cudaError_t error = mOperation->launch(tensors, {inputs, outputs, workspace}, stream);
        require(error == cudaSuccess, "the launch failed with CUDA error " + std::to_string(static_cast<int>(error)));
        return kOk;
    });
}

nvinfer1::IPluginV3* Plugin::attachToContext(nvinfer1::IPluginResourceContext* /*context*/) noexcept
{
    return clone();  // the plugins hold no resources
}

const nvinfer1::PluginFieldCollection* Plugin::getFieldsToSerialize() noexcept
{
    return &mCollection;
}

Creator::Creator(const OperationType& type) : mType(type)
{
    for (const AttributeSpec& spec : mType.specs())
    {
        const bool real = spec.kind == AttributeKind::kReal;
        mFields.emplace_back(spec.name, nullptr,
            real ? nvinfer1::PluginFieldType::kFLOAT32 : nvinfer1::PluginFieldType::kINT32, 1);
    }
    mCollection = {static_cast<int32_t>(mFields.size()), mFields.data()};
}

nvinfer1::IPluginV3* Creator::createPlugin(
    const char* /*name*/, const nvinfer1::PluginFieldCollection* fc, nvinfer1::TensorRTPhase /*phase*/) noexcept
{
    // The fields of the run-time phase are those that getFieldsToSerialize gave, of the same names and types.
    return guarded<nvinfer1::IPluginV3*>(mType.name, "createPlugin", nullptr,
        [&] { return new Plugin(mType.create(Attributes(mType.specs(), fc))); });
}

const nvinfer1::PluginFieldCollection* Creator::getFieldNames() noexcept
{
    return &mCollection;
}

const char* Creator::getPluginName() const noexcept
{
    return mType.name;
}

const char* Creator::getPluginVersion() const noexcept
{
    return kPluginVersion;
}

const char* Creator::getPluginNamespace() const noexcept
{
    return kPluginNamespace;
}

const std::vector<nvinfer1::IPluginCreatorInterface*>& creators()
{
    static const std::vector<std::unique_ptr<Creator>> owned = [] {
        std::vector<std::unique_ptr<Creator>> made;
        for (const OperationType& type : operationTypes())
        {
            made.push_back(std::make_unique<Creator>(type));
        }
        return made;
    }();
    static const std::vector<nvinfer1::IPluginCreatorInterface*> pointers = [] {
        std::vector<nvinfer1::IPluginCreatorInterface*> all;
        for (const auto& creator : owned)
        {
            all.push_back(creator.get());
        }
        return all;
    }();
    return pointers;
}

}  // namespace gcpose::trt::v3
