// SPDX-License-Identifier: Apache-2.0

#include "harness/check.h"
#include "harness/fake_builder.h"
#include "harness/subject.h"

#include "tensorrt/v3/plugin.h"

#include <cstring>

namespace harness
{
namespace
{

nvinfer1::IPluginCreatorV3One* creatorOf(const std::string& name)
{
    for (nvinfer1::IPluginCreatorInterface* one : gcpose::trt::v3::creators())
    {
        check(std::strcmp(one->getInterfaceInfo().kind, "PLUGIN CREATOR_V3ONE") == 0, "the creator is V3");
        auto* creator = static_cast<nvinfer1::IPluginCreatorV3One*>(one);
        if (name == creator->getPluginName())
        {
            return creator;
        }
    }
    throw Failure("no V3 creator " + name);
}

/// Fields whose values live here: what an engine file would bring back.
class StoredFields
{
public:
    explicit StoredFields(const nvinfer1::PluginFieldCollection& fields)
    {
        for (int32_t i = 0; i < fields.nbFields; ++i)
        {
            const nvinfer1::PluginField& field = fields.fields[i];
            const auto* bytes = static_cast<const uint8_t*>(field.data);
            // One byte in front, so that nothing is aligned by luck.
            mBytes.emplace_back(1, uint8_t{0});
            mBytes.back().insert(mBytes.back().end(), bytes, bytes + 4 * field.length);
            mNames.emplace_back(field.name);
            mTypes.push_back(field.type);
            mLengths.push_back(field.length);
        }
        for (size_t i = 0; i < mNames.size(); ++i)
        {
            mFields.emplace_back(mNames[i].c_str(), mBytes[i].data() + 1, mTypes[i], mLengths[i]);
        }
        mCollection = {static_cast<int32_t>(mFields.size()), mFields.data()};
    }
    const nvinfer1::PluginFieldCollection* get() const { return &mCollection; }

private:
    std::vector<std::vector<uint8_t>> mBytes;
    std::vector<std::string> mNames;
    std::vector<nvinfer1::PluginFieldType> mTypes;
    std::vector<int32_t> mLengths;
    std::vector<nvinfer1::PluginField> mFields;
    nvinfer1::PluginFieldCollection mCollection{};
};

std::vector<nvinfer1::DynamicPluginTensorDesc> dynamic(const Descriptions& tensors)
{
    std::vector<nvinfer1::DynamicPluginTensorDesc> result;
    for (const nvinfer1::PluginTensorDesc& tensor : tensors)
    {
        nvinfer1::DynamicPluginTensorDesc one{};
        one.desc = tensor;
        one.min = one.opt = one.max = tensor.dims;
        result.push_back(one);
    }
    return result;
}

class SubjectV3 final : public Subject
{
public:
    explicit SubjectV3(nvinfer1::IPluginV3* plugin) : mPlugin(plugin)
    {
        check(plugin != nullptr, "there is a plugin");
        mCore = part<nvinfer1::IPluginV3OneCore>(nvinfer1::PluginCapabilityType::kCORE, "PLUGIN_V3ONE_CORE");
        mBuild = part<nvinfer1::IPluginV3OneBuild>(nvinfer1::PluginCapabilityType::kBUILD, "PLUGIN_V3ONE_BUILD");
        mRun = part<nvinfer1::IPluginV3OneRuntime>(nvinfer1::PluginCapabilityType::kRUNTIME, "PLUGIN_V3ONE_RUNTIME");
        check(std::string(mCore->getPluginVersion()) == "1", "version 1");
        check(std::string(mCore->getPluginNamespace()).empty(), "the empty namespace");
        check(std::string(mBuild->getTimingCacheID()).find(mCore->getPluginName()) == 0, "the timing key has the name");
    }

    int32_t outputs() const override { return mBuild->getNbOutputs(); }

    std::vector<nvinfer1::DataType> outputTypes(const std::vector<nvinfer1::DataType>& inputs) const override
    {
        std::vector<nvinfer1::DataType> types(static_cast<size_t>(outputs()));
        const auto count = static_cast<int32_t>(inputs.size());
        check(mBuild->getOutputDataTypes(types.data(), outputs(), inputs.data(), count) == 0, "types are known");
        return types;
    }

    std::vector<Shape> outputShapes(const std::vector<Shape>& inputs) override
    {
        FakeBuilder builder;
        std::vector<nvinfer1::DimsExprs> in;
        for (const Shape& shape : inputs)
        {
            in.push_back(builder.expressions(shape));
        }
        std::vector<nvinfer1::DimsExprs> out(static_cast<size_t>(outputs()));
        std::vector<Shape> shapes;
        if (mBuild->getOutputShapes(
                in.data(), static_cast<int32_t>(in.size()), nullptr, 0, out.data(), outputs(), builder)
            == 0)
        {
            for (const nvinfer1::DimsExprs& expressions : out)
            {
                shapes.push_back(FakeBuilder::shape(expressions));
            }
        }
        return shapes;
    }

    bool supports(int32_t position, const Descriptions& tensors, int32_t inputs, int32_t outputs) override
    {
        // No more than TensorRT promises: nothing after `position` may be looked at.
        const auto known = dynamic({tensors.begin(), tensors.begin() + position + 1});
        return mBuild->supportsFormatCombination(position, known.data(), inputs, outputs);
    }

    bool fits(const Descriptions& inputs, const Descriptions& outputs) override
    {
        const auto in = dynamic(inputs);
        const auto out = dynamic(outputs);
        const auto inCount = static_cast<int32_t>(inputs.size());
        const auto outCount = static_cast<int32_t>(outputs.size());
        const bool build = mBuild->configurePlugin(in.data(), inCount, out.data(), outCount) == 0;
        const bool run = mRun->onShapeChange(inputs.data(), inCount, outputs.data(), outCount) == 0;
        check(build == run, "build and run agree on what fits");
        return run;
    }

    size_t workspace(const Descriptions& inputs, const Descriptions& outputs) override
    {
        auto in = dynamic(inputs);
        const auto out = dynamic(outputs);
        for (auto& one : in)
        {
            one.desc.dims.d[0] = -1;  // in the build phase only `max` is a promise
        }
        return mBuild->getWorkspaceSize(
            in.data(), static_cast<int32_t>(in.size()), out.data(), static_cast<int32_t>(out.size()));
    }

    int32_t enqueue(const Descriptions& inputs, const Descriptions& outputs,
        const std::vector<const void*>& inputData, const std::vector<void*>& outputData, void* workspace) override
    {
        return mRun->enqueue(inputs.data(), outputs.data(), inputData.data(), outputData.data(), workspace, nullptr);
    }

    std::unique_ptr<Subject> clone() override
    {
        // The way into an execution context is a clone as well.
        const std::unique_ptr<nvinfer1::IPluginV3> attached(mRun->attachToContext(nullptr));
        check(attached != nullptr && attached.get() != mPlugin.get(), "attachToContext gives a new plugin");
        return std::make_unique<SubjectV3>(attached->clone());
    }

    std::unique_ptr<Subject> reborn() override
    {
        const StoredFields stored(*mRun->getFieldsToSerialize());
        auto* creator = creatorOf(mCore->getPluginName());
        return std::make_unique<SubjectV3>(
            creator->createPlugin("again", stored.get(), nvinfer1::TensorRTPhase::kRUNTIME));
    }

private:
    template <typename Part>
    Part* part(nvinfer1::PluginCapabilityType type, const char* kind)
    {
        auto* found = static_cast<Part*>(mPlugin->getCapabilityInterface(type));
        check(found != nullptr && std::strcmp(found->getInterfaceInfo().kind, kind) == 0, kind);
        return found;
    }

    std::unique_ptr<nvinfer1::IPluginV3> mPlugin;
    nvinfer1::IPluginV3OneCore* mCore;
    nvinfer1::IPluginV3OneBuild* mBuild;
    nvinfer1::IPluginV3OneRuntime* mRun;
};

class InterfaceV3 final : public Interface
{
public:
    const char* name() const override { return "v3"; }
    bool wideIndices() const override { return true; }

    std::vector<std::string> creatorNames() const override
    {
        std::vector<std::string> names;
        for (nvinfer1::IPluginCreatorInterface* one : gcpose::trt::v3::creators())
        {
            auto* creator = static_cast<nvinfer1::IPluginCreatorV3One*>(one);
            check(std::string(creator->getPluginVersion()) == "1", "version 1");
            check(std::string(creator->getPluginNamespace()).empty(), "the empty namespace");
            names.emplace_back(creator->getPluginName());
        }
        return names;
    }

    std::vector<std::string> fieldNames(const std::string& creator) const override
    {
        std::vector<std::string> names;
        const nvinfer1::PluginFieldCollection* fields = creatorOf(creator)->getFieldNames();
        for (int32_t i = 0; i < fields->nbFields; ++i)
        {
            names.emplace_back(fields->fields[i].name);
        }
        return names;
    }

    std::unique_ptr<Subject> create(
        const std::string& creator, const nvinfer1::PluginFieldCollection* fields) override
    {
        auto* plugin = creatorOf(creator)->createPlugin("node", fields, nvinfer1::TensorRTPhase::kBUILD);
        return plugin == nullptr ? nullptr : std::make_unique<SubjectV3>(plugin);
    }
};

}  // namespace

std::unique_ptr<Interface> makeV3()
{
    return std::make_unique<InterfaceV3>();
}

}  // namespace harness
