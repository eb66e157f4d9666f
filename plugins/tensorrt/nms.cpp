// SPDX-License-Identifier: Apache-2.0

#include "nms/kernel.h"

#include "tensorrt/log.h"
#include "tensorrt/operation.h"

#include <cmath>

namespace gcpose::trt
{
namespace
{

constexpr int32_t kBoxes = 0;
constexpr int32_t kScores = 1;
constexpr int32_t kGroups = 2;
constexpr int32_t kInputs = 3;
constexpr int32_t kIndices = 0;
constexpr int32_t kCount = 1;
constexpr int32_t kOutputs = 2;

class Nms final : public Operation
{
public:
    explicit Nms(Attributes values)
        : Operation(std::move(values))
        , mIouThreshold(attributes().real("iou_threshold"))
        , mScoreThreshold(attributes().real("score_threshold"))
        , mMaxOutputs(attributes().integer("max_outputs"))
    {
        require(mIouThreshold >= 0.0F && mIouThreshold <= 1.0F, "iou_threshold must lie from 0 to 1");
        require(!std::isnan(mScoreThreshold), "score_threshold must be a number");
        require(mMaxOutputs >= 1, "max_outputs must be at least 1");
    }

    const char* name() const override { return "Nms"; }
    std::unique_ptr<Operation> clone() const override { return std::make_unique<Nms>(*this); }
    int32_t inputCount() const override { return kInputs; }
    int32_t outputCount() const override { return kOutputs; }

    nvinfer1::DataType outputType(int32_t /*index*/, const nvinfer1::DataType* inputTypes) const override
    {
        return inputTypes[kGroups];  // as wide as the indices that come in
    }

    nvinfer1::DimsExprs outputShape(
        int32_t index, const nvinfer1::DimsExprs* inputs, nvinfer1::IExprBuilder& builder) const override
    {
        requireRank(inputs[kScores], 2, "scores");
        nvinfer1::DimsExprs shape{};
        shape.nbDims = index == kIndices ? 2 : 1;
        shape.d[0] = inputs[kScores].d[0];
        if (index == kIndices)
        {
            shape.d[1] = builder.constant(mMaxOutputs);
        }
        return shape;
    }

    bool supportsFormat(
        int32_t position, const nvinfer1::PluginTensorDesc* tensors, Indices indices) const override
    {
        const nvinfer1::PluginTensorDesc& tensor = tensors[position];
        switch (position)
        {
        case kBoxes:
        case kScores: return isLinear(tensor, nvinfer1::DataType::kFLOAT);
        case kGroups: return isLinearIndex(tensor, indices);
        default: return isLinear(tensor, tensors[kGroups].type);  // indices and count
        }
    }

    void checkShapes(const Tensors& tensors) const override
    {
        const nvinfer1::Dims& boxes = tensors.inputs[kBoxes].dims;
        const nvinfer1::Dims& scores = tensors.inputs[kScores].dims;
        const nvinfer1::Dims& groups = tensors.inputs[kGroups].dims;
        const nvinfer1::Dims& indices = tensors.outputs[kIndices].dims;
        const nvinfer1::Dims& count = tensors.outputs[kCount].dims;
        requireRank(boxes, 3, "boxes");
        require(fits(boxes.d[2], 4), "boxes must have shape (B, N, 4)");
        requireRank(scores, 2, "scores");
        require(fits(scores.d[0], boxes.d[0]) && fits(scores.d[1], boxes.d[1]), "scores must have shape (B, N)");
        requireRank(groups, 1, "groups");
        require(fits(groups.d[0], boxes.d[1]), "groups must have shape (N)");
        requireRank(indices, 2, "indices");
        require(fits(indices.d[0], boxes.d[0]) && fits(indices.d[1], mMaxOutputs),
            "indices must have shape (B, max_outputs)");
        requireRank(count, 1, "count");
        require(fits(count.d[0], boxes.d[0]), "count must have shape (B)");
    }

    size_t workspaceBytes(const Tensors& largest) const override
    {
        const nvinfer1::Dims& scores = largest.inputs[kScores].dims;
        return nmsWorkspaceBytes(extent(scores, 0), extent(scores, 1), mMaxOutputs);
    }

    cudaError_t launch(const Tensors& tensors, const Addresses& addresses, cudaStream_t stream) const override
    {
        require(addresses.workspace != nullptr, "got no workspace");
        NmsParams params{};
        params.boxes = static_cast<const float*>(addresses.inputs[kBoxes]);
        params.scores = static_cast<const float*>(addresses.inputs[kScores]);
        params.groups = addresses.inputs[kGroups];
        params.index_bytes = indexBytes(tensors.inputs[kGroups]);
        params.batch = extent(tensors.inputs[kScores].dims, 0);
        params.num_boxes = extent(tensors.inputs[kScores].dims, 1);
        params.max_outputs = mMaxOutputs;
        params.iou_threshold = mIouThreshold;
        params.score_threshold = mScoreThreshold;
        params.indices = addresses.outputs[kIndices];
        params.count = addresses.outputs[kCount];
        params.workspace = addresses.workspace;
        return launchNms(params, stream);
    }

private:
    float mIouThreshold;
    float mScoreThreshold;
    int32_t mMaxOutputs;
};

const std::vector<AttributeSpec>& specs()
{
    static const std::vector<AttributeSpec> all{{"iou_threshold", AttributeKind::kReal},
        {"score_threshold", AttributeKind::kReal}, {"max_outputs", AttributeKind::kInteger}};
    return all;
}

std::unique_ptr<Operation> create(Attributes attributes)
{
    return std::make_unique<Nms>(std::move(attributes));
}

}  // namespace

OperationType nmsType()
{
    return {"Nms", &specs, &create};
}

}  // namespace gcpose::trt
