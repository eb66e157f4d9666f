// SPDX-License-Identifier: Apache-2.0

#include "gcm_attention/kernel.h"

#include "tensorrt/log.h"
#include "tensorrt/operation.h"

namespace gcpose::trt
{
namespace
{

constexpr int32_t kQ = 0;
constexpr int32_t kK = 1;
constexpr int32_t kV = 2;
constexpr int32_t kRelHeight = 3;
constexpr int32_t kRelWidth = 4;
constexpr int32_t kInputs = 5;

class GcmAttention final : public Operation
{
public:
    explicit GcmAttention(Attributes values)
        : Operation(std::move(values))
        , mHeads(attributes().integer("heads"))
        , mHeight(attributes().integer("height"))
        , mWidth(attributes().integer("width"))
    {
        require(mHeads >= 1 && mHeight >= 1 && mWidth >= 1, "heads, height and width must be at least 1");
        GcmAttentionParams nothing{};
        nothing.heads = mHeads;
        nothing.height = mHeight;
        nothing.width = mWidth;
        nothing.dim = 1;
        nothing.value_dim = 1;
        requireInLimits(launchGcmAttention(nothing, nullptr));
    }

    const char* name() const override { return "GcmAttention"; }
    std::unique_ptr<Operation> clone() const override { return std::make_unique<GcmAttention>(*this); }
    int32_t inputCount() const override { return kInputs; }
    int32_t outputCount() const override { return 1; }

    nvinfer1::DataType outputType(int32_t /*index*/, const nvinfer1::DataType* inputTypes) const override
    {
        return inputTypes[kQ];
    }

    nvinfer1::DimsExprs outputShape(
        int32_t /*index*/, const nvinfer1::DimsExprs* inputs, nvinfer1::IExprBuilder& builder) const override
    {
        requireRank(inputs[kV], 4, "v");
        nvinfer1::DimsExprs shape{};
        shape.nbDims = 4;
        shape.d[0] = inputs[kV].d[0];
        shape.d[1] = inputs[kV].d[1];
        shape.d[2] = builder.constant(mHeight);
        shape.d[3] = builder.constant(mWidth);
        return shape;
    }

    bool supportsFormat(
        int32_t position, const nvinfer1::PluginTensorDesc* tensors, Indices /*indices*/) const override
    {
        const nvinfer1::PluginTensorDesc& tensor = tensors[position];
        return isReal(tensor.type) && isLinear(tensor, tensors[kQ].type);
    }

    void checkShapes(const Tensors& tensors) const override
    {
        for (int32_t i = kQ; i <= kV; ++i)
        {
            const nvinfer1::Dims& dims = tensors.inputs[i].dims;
            requireRank(dims, 4, i == kQ ? "q" : i == kK ? "k" : "v");
            require(fits(dims.d[2], mHeight) && fits(dims.d[3], mWidth),
                "q, k and v must have " + std::to_string(mHeight) + " rows and " + std::to_string(mWidth) + " columns");
            require(fits(dims.d[0], tensors.inputs[kQ].dims.d[0]), "q, k and v must have the same number of maps");
            require(dims.d[1] == -1 || (dims.d[1] > 0 && dims.d[1] % mHeads == 0),
                "the channels of q, k and v must be a multiple of heads");
        }
        const int64_t channels = tensors.inputs[kQ].dims.d[1];
        require(fits(tensors.inputs[kK].dims.d[1], channels), "q and k must have the same channels");
        const int64_t depth = channels == -1 ? -1 : channels / mHeads;
        checkTable(tensors.inputs[kRelHeight].dims, mHeight, depth, "rel_height");
        checkTable(tensors.inputs[kRelWidth].dims, mWidth, depth, "rel_width");
        requireRank(tensors.outputs[0].dims, 4, "the output");
        for (int32_t axis = 0; axis < 4; ++axis)
        {
            require(fits(tensors.outputs[0].dims.d[axis], tensors.inputs[kV].dims.d[axis]),
                "the output must have the shape of v");
        }
    }

    cudaError_t launch(const Tensors& tensors, const Addresses& addresses, cudaStream_t stream) const override
    {
        GcmAttentionParams params{};
        params.q = addresses.inputs[kQ];
        params.k = addresses.inputs[kK];
        params.v = addresses.inputs[kV];
        params.rel_height = addresses.inputs[kRelHeight];
        params.rel_width = addresses.inputs[kRelWidth];
        params.output = addresses.outputs[0];
        params.num = extent(tensors.inputs[kQ].dims, 0);
        params.heads = mHeads;
        params.height = mHeight;
        params.width = mWidth;
        params.dim = extent(tensors.inputs[kQ].dims, 1) / mHeads;
        params.value_dim = extent(tensors.inputs[kV].dims, 1) / mHeads;
        params.type
            = tensors.inputs[kQ].type == nvinfer1::DataType::kHALF ? DataType::kFloat16 : DataType::kFloat32;
        return launchGcmAttention(params, stream);
    }

private:
    static void checkTable(const nvinfer1::Dims& table, int32_t length, int64_t depth, const char* what)
    {
        requireRank(table, 2, what);
        require(fits(table.d[0], 2 * static_cast<int64_t>(length) - 1) && fits(table.d[1], depth),
            std::string(what) + " must have one row an offset (2 x length - 1) and the depth of one head");
    }

    int32_t mHeads;
    int32_t mHeight;
    int32_t mWidth;
};

const std::vector<AttributeSpec>& specs()
{
    static const std::vector<AttributeSpec> all{{"heads", AttributeKind::kInteger},
        {"height", AttributeKind::kInteger}, {"width", AttributeKind::kInteger}};
    return all;
}

std::unique_ptr<Operation> create(Attributes attributes)
{
    return std::make_unique<GcmAttention>(std::move(attributes));
}

}  // namespace

OperationType gcmAttentionType()
{
    return {"GcmAttention", &specs, &create};
}

}  // namespace gcpose::trt
