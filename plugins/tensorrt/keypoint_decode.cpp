// SPDX-License-Identifier: Apache-2.0

#include "keypoint_decode/kernel.h"

#include "tensorrt/log.h"
#include "tensorrt/operation.h"

#include <cmath>

namespace gcpose::trt
{
namespace
{

constexpr int32_t kLogits = 0;
constexpr int32_t kBoxes = 1;
constexpr int32_t kInputs = 2;
constexpr int32_t kValues = 3;  // x, y, score

class KeypointDecode final : public Operation
{
public:
    explicit KeypointDecode(Attributes values)
        : Operation(std::move(values))
        , mSamplesPerCell(attributes().integer("samples_per_cell"))
        , mScoreRadius(attributes().real("score_radius"))
    {
        require(mSamplesPerCell >= 1, "samples_per_cell must be at least 1");
        require(std::isfinite(mScoreRadius) && mScoreRadius >= 0.0F, "score_radius must be 0 or more");
        KeypointDecodeParams nothing{};
        nothing.size = 1;
        nothing.samples_per_cell = mSamplesPerCell;
        nothing.score_radius = mScoreRadius;
        requireInLimits(launchKeypointDecode(nothing, nullptr));
    }

    const char* name() const override { return "KeypointDecode"; }
    std::unique_ptr<Operation> clone() const override { return std::make_unique<KeypointDecode>(*this); }
    int32_t inputCount() const override { return kInputs; }
    int32_t outputCount() const override { return 1; }

    nvinfer1::DataType outputType(int32_t /*index*/, const nvinfer1::DataType* /*inputTypes*/) const override
    {
        return nvinfer1::DataType::kFLOAT;  // half a pixel at x = 1500 does not fit FP16
    }

    nvinfer1::DimsExprs outputShape(
        int32_t /*index*/, const nvinfer1::DimsExprs* inputs, nvinfer1::IExprBuilder& builder) const override
    {
        requireRank(inputs[kLogits], 4, "logits");
        nvinfer1::DimsExprs shape{};
        shape.nbDims = 3;
        shape.d[0] = inputs[kLogits].d[0];
        shape.d[1] = inputs[kLogits].d[1];
        shape.d[2] = builder.constant(kValues);
        return shape;
    }

    bool supportsFormat(
        int32_t position, const nvinfer1::PluginTensorDesc* tensors, Indices /*indices*/) const override
    {
        const nvinfer1::PluginTensorDesc& tensor = tensors[position];
        if (position == kLogits)
        {
            return tensor.format == nvinfer1::TensorFormat::kLINEAR && isReal(tensor.type);
        }
        return isLinear(tensor, nvinfer1::DataType::kFLOAT);
    }

    void checkShapes(const Tensors& tensors) const override
    {
        const nvinfer1::Dims& logits = tensors.inputs[kLogits].dims;
        const nvinfer1::Dims& boxes = tensors.inputs[kBoxes].dims;
        const nvinfer1::Dims& output = tensors.outputs[0].dims;
        requireRank(logits, 4, "logits");
        require(fits(logits.d[2], logits.d[3]), "logits must be square maps, (N, K, S, S)");
        require(logits.d[2] <= kLargestKeypointMap,
            "the maps may have at most " + std::to_string(kLargestKeypointMap) + " cells a side");
        requireRank(boxes, 2, "boxes");
        require(fits(boxes.d[0], logits.d[0]) && fits(boxes.d[1], 4), "boxes must have shape (N, 4)");
        requireRank(output, 3, "the output");
        require(fits(output.d[0], logits.d[0]) && fits(output.d[1], logits.d[1]) && fits(output.d[2], kValues),
            "the output must have shape (N, K, 3)");
    }

    cudaError_t launch(const Tensors& tensors, const Addresses& addresses, cudaStream_t stream) const override
    {
        const nvinfer1::PluginTensorDesc& logits = tensors.inputs[kLogits];
        KeypointDecodeParams params{};
        params.logits = addresses.inputs[kLogits];
        params.type = logits.type == nvinfer1::DataType::kHALF ? DataType::kFloat16 : DataType::kFloat32;
        params.boxes = static_cast<const float*>(addresses.inputs[kBoxes]);
        params.num = extent(logits.dims, 0);
        params.joints = extent(logits.dims, 1);
        params.size = extent(logits.dims, 2);
        params.samples_per_cell = mSamplesPerCell;
        params.score_radius = mScoreRadius;
        params.output = static_cast<float*>(addresses.outputs[0]);
        return launchKeypointDecode(params, stream);
    }

private:
    int32_t mSamplesPerCell;
    float mScoreRadius;
};

const std::vector<AttributeSpec>& specs()
{
    static const std::vector<AttributeSpec> all{
        {"samples_per_cell", AttributeKind::kInteger}, {"score_radius", AttributeKind::kReal}};
    return all;
}

std::unique_ptr<Operation> create(Attributes attributes)
{
    return std::make_unique<KeypointDecode>(std::move(attributes));
}

}  // namespace

OperationType keypointDecodeType()
{
    return {"KeypointDecode", &specs, &create};
}

}  // namespace gcpose::trt
