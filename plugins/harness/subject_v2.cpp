// SPDX-License-Identifier: Apache-2.0

#include "harness/check.h"
#include "harness/fake_builder.h"
#include "harness/subject.h"

#include "tensorrt/v2/plugin.h"

namespace harness
{
namespace
{

nvinfer1::IPluginCreator* creatorOf(const std::string& name)
{
    for (nvinfer1::IPluginCreator* creator : gcpose::trt::v2::creators())
    {
        if (name == creator->getPluginName())
        {
            return creator;
        }
    }
    throw Failure("no V2 creator " + name);
}

class SubjectV2 final : public Subject
{
public:
    explicit SubjectV2(nvinfer1::IPluginV2* plugin) : mPlugin(static_cast<nvinfer1::IPluginV2DynamicExt*>(plugin))
    {
        check(plugin != nullptr, "there is a plugin");
        check(std::string(mPlugin->getPluginVersion()) == "1", "version 1");
        mPlugin->setPluginNamespace("a namespace");
        check(std::string(mPlugin->getPluginNamespace()) == "a namespace", "the namespace is kept");
        mPlugin->setPluginNamespace("");
        check(mPlugin->initialize() == 0, "initialises");
    }
    ~SubjectV2() override
    {
        mPlugin->terminate();
        mPlugin->destroy();
    }
    SubjectV2(const SubjectV2&) = delete;
    SubjectV2& operator=(const SubjectV2&) = delete;

    int32_t outputs() const override { return mPlugin->getNbOutputs(); }

    std::vector<nvinfer1::DataType> outputTypes(const std::vector<nvinfer1::DataType>& inputs) const override
    {
        std::vector<nvinfer1::DataType> types;
        for (int32_t i = 0; i < outputs(); ++i)
        {
            types.push_back(mPlugin->getOutputDataType(i, inputs.data(), static_cast<int32_t>(inputs.size())));
        }
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
        std::vector<Shape> shapes;
        for (int32_t i = 0; i < outputs(); ++i)
        {
            const nvinfer1::DimsExprs out
                = mPlugin->getOutputDimensions(i, in.data(), static_cast<int32_t>(in.size()), builder);
            if (out.nbDims < 0)
            {
                return {};
            }
            shapes.push_back(FakeBuilder::shape(out));
        }
        return shapes;
    }

    bool supports(int32_t position, const Descriptions& tensors, int32_t inputs, int32_t outputs) override
    {
        const Descriptions known(tensors.begin(), tensors.begin() + position + 1);
        return mPlugin->supportsFormatCombination(position, known.data(), inputs, outputs);
    }

    bool fits(const Descriptions& inputs, const Descriptions& outputs) override
    {
        // configurePlugin has no way to refuse but the log; enqueue must, before it touches an address.
        std::vector<nvinfer1::DynamicPluginTensorDesc> in(inputs.size());
        std::vector<nvinfer1::DynamicPluginTensorDesc> out(outputs.size());
        for (size_t i = 0; i < inputs.size(); ++i)
        {
            in[i].desc = inputs[i];
        }
        for (size_t i = 0; i < outputs.size(); ++i)
        {
            out[i].desc = outputs[i];
        }
        const size_t before = loggedErrors().size();
        mPlugin->configurePlugin(
            in.data(), static_cast<int32_t>(in.size()), out.data(), static_cast<int32_t>(out.size()));
        const bool good = loggedErrors().size() == before;
        // enqueue is not told how many tensors there are, so it cannot object to that.
        const bool counted = good || loggedErrors().back().find(" inputs and needs ") == std::string::npos;
        if (!good && counted)
        {
            const std::vector<const void*> inputData(inputs.size(), nullptr);
            const std::vector<void*> outputData(outputs.size(), nullptr);
            check(enqueue(inputs, outputs, inputData, outputData, nullptr) != 0, "enqueue refuses the shapes too");
        }
        return good;
    }

    size_t workspace(const Descriptions& inputs, const Descriptions& outputs) override
    {
        return mPlugin->getWorkspaceSize(inputs.data(), static_cast<int32_t>(inputs.size()), outputs.data(),
            static_cast<int32_t>(outputs.size()));
    }

    int32_t enqueue(const Descriptions& inputs, const Descriptions& outputs,
        const std::vector<const void*>& inputData, const std::vector<void*>& outputData, void* workspace) override
    {
        return mPlugin->enqueue(
            inputs.data(), outputs.data(), inputData.data(), outputData.data(), workspace, nullptr);
    }

    std::unique_ptr<Subject> clone() override { return std::make_unique<SubjectV2>(mPlugin->clone()); }

    std::unique_ptr<Subject> reborn() override
    {
        // Of the exact size, so that AddressSanitizer sees a byte too many; read back from an odd address.
        std::vector<uint8_t> bytes(mPlugin->getSerializationSize());
        mPlugin->serialize(bytes.data());
        auto* creator = creatorOf(mPlugin->getPluginType());
        checkRefusals(*creator, bytes);
        std::vector<uint8_t> odd(1, 0);
        odd.insert(odd.end(), bytes.begin(), bytes.end());
        return std::make_unique<SubjectV2>(creator->deserializePlugin("again", odd.data() + 1, bytes.size()));
    }

private:
    static void checkRefusals(nvinfer1::IPluginCreator& creator, const std::vector<uint8_t>& bytes)
    {
        for (size_t length = 0; length < bytes.size(); ++length)
        {
            const std::vector<uint8_t> shorter(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(length));
            check(creator.deserializePlugin("cut", shorter.data(), length) == nullptr, "what is cut short is refused");
        }
        std::vector<uint8_t> longer = bytes;
        longer.push_back(0);
        check(creator.deserializePlugin("long", longer.data(), longer.size()) == nullptr, "what is too long is refused");
        check(creator.deserializePlugin("null", nullptr, bytes.size()) == nullptr, "no bytes are refused");
        // Every byte changed, one by one: the plugin may be refused or come out different, but nothing may break.
        for (size_t i = 0; i < bytes.size(); ++i)
        {
            std::vector<uint8_t> damaged = bytes;
            damaged[i] ^= 0xff;
            if (nvinfer1::IPluginV2* plugin = creator.deserializePlugin("damaged", damaged.data(), damaged.size()))
            {
                plugin->destroy();
            }
        }
    }

    nvinfer1::IPluginV2DynamicExt* mPlugin;
};

class InterfaceV2 final : public Interface
{
public:
    const char* name() const override { return "v2"; }
    bool wideIndices() const override { return false; }

    std::vector<std::string> creatorNames() const override
    {
        std::vector<std::string> names;
        for (nvinfer1::IPluginCreator* creator : gcpose::trt::v2::creators())
        {
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
        nvinfer1::IPluginV2* plugin = creatorOf(creator)->createPlugin("node", fields);
        return plugin == nullptr ? nullptr : std::make_unique<SubjectV2>(plugin);
    }
};

}  // namespace

std::unique_ptr<Interface> makeV2()
{
    return std::make_unique<InterfaceV2>();
}

}  // namespace harness
