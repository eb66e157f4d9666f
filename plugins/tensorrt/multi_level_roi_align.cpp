// SPDX-License-Identifier: Apache-2.0

#include "multi_level_roi_align/kernel.h"

#include "tensorrt/log.h"
#include "tensorrt/operation.h"

#include <cmath>

namespace gcpose::trt
{
namespace
{

constexpr int32_t kRois = 0;
constexpr int32_t kBatchIndex = 1;
constexpr int32_t kFeatures = 2;  // the first of them
constexpr size_t kMostLevels = 5;

bool isFeatureFormat(const nvinfer1::PluginTensorDesc& tensor)
{
    const bool channelsLast
        = tensor.type == nvinfer1::DataType::kHALF && tensor.format == nvinfer1::TensorFormat::kHWC8;
    return channelsLast || (tensor.format == nvinfer1::TensorFormat::kLINEAR && isReal(tensor.type));
}

Layout layoutOf(const nvinfer1::PluginTensorDesc& tensor)
{
    return tensor.format == nvinfer1::TensorFormat::kHWC8 ? Layout::kChannelsLast8 : Layout::kLinear;
}

class MultiLevelRoiAlign final : public Operation
{
public:
    explicit MultiLevelRoiAlign(Attributes values)
        : Operation(std::move(values))
        , mOutputSize(attributes().integer("output_size"))
        , mStrides(attributes().integers("strides"))
        , mSamplingRatio(attributes().integer("sampling_ratio"))
        , mAligned(attributes().integer("aligned"))
        , mCanonicalLevel(attributes().integer("canonical_level"))
        , mCanonicalSize(attributes().real("canonical_size"))
    {
        require(mOutputSize >= 1, "output_size must be at least 1");
        require(mStrides.size() <= kMostLevels, "there may be one to five strides, one a feature level");
        int32_t last = 1;
        for (const int32_t stride : mStrides)
        {
            require(stride >= last, "strides must be at least 1 and none smaller than the one before");
            last = stride;
        }
        require(mSamplingRatio >= 0, "sampling_ratio must be at least 0; 0 adapts it to each region");
        require(mAligned == 0 || mAligned == 1, "aligned must be 0 or 1");
        require(std::isfinite(mCanonicalSize) && mCanonicalSize > 0.0F, "canonical_size must be above 0");
        MultiLevelRoiAlignParams nothing = fixedParams();
        nothing.channels = 1;
        requireInLimits(launchMultiLevelRoiAlign(nothing, nullptr));
    }

    const char* name() const override { return "MultiLevelRoiAlign"; }
    std::unique_ptr<Operation> clone() const override { return std::make_unique<MultiLevelRoiAlign>(*this); }
    int32_t inputCount() const override { return kFeatures + static_cast<int32_t>(mStrides.size()); }
    int32_t outputCount() const override { return 1; }

    nvinfer1::DataType outputType(int32_t /*index*/, const nvinfer1::DataType* inputTypes) const override
    {
        return inputTypes[kFeatures];
    }

    nvinfer1::DimsExprs outputShape(
        int32_t /*index*/, const nvinfer1::DimsExprs* inputs, nvinfer1::IExprBuilder& builder) const override
    {
        requireRank(inputs[kRois], 2, "rois");
        requireRank(inputs[kFeatures], 4, "a feature");
        nvinfer1::DimsExprs shape{};
        shape.nbDims = 4;
        shape.d[0] = inputs[kRois].d[0];
        shape.d[1] = inputs[kFeatures].d[1];
        shape.d[2] = builder.constant(mOutputSize);
        shape.d[3] = shape.d[2];
        return shape;
    }

    bool supportsFormat(
        int32_t position, const nvinfer1::PluginTensorDesc* tensors, Indices indices) const override
    {
        const nvinfer1::PluginTensorDesc& tensor = tensors[position];
        switch (position)
        {
        case kRois: return isLinear(tensor, nvinfer1::DataType::kFLOAT);
        case kBatchIndex: return isLinearIndex(tensor, indices);
        case kFeatures: return isFeatureFormat(tensor);
        default:  // the other features and the output are as the first feature
            return tensor.type == tensors[kFeatures].type && tensor.format == tensors[kFeatures].format;
        }
    }

    void checkShapes(const Tensors& tensors) const override
    {
        const nvinfer1::Dims& rois = tensors.inputs[kRois].dims;
        const nvinfer1::Dims& batchIndex = tensors.inputs[kBatchIndex].dims;
        const nvinfer1::Dims& first = tensors.inputs[kFeatures].dims;
        const nvinfer1::Dims& output = tensors.outputs[0].dims;
        requireRank(rois, 2, "rois");
        require(fits(rois.d[1], 4), "rois must have shape (N, 4)");
        requireRank(batchIndex, 1, "batch_index");
        require(fits(batchIndex.d[0], rois.d[0]), "batch_index must have one entry a region");
        for (int32_t i = kFeatures; i < tensors.inputCount; ++i)
        {
            const nvinfer1::Dims& feature = tensors.inputs[i].dims;
            requireRank(feature, 4, "a feature");
            require(fits(feature.d[0], first.d[0]) && fits(feature.d[1], first.d[1]),
                "all features must have the same batch and channels");
        }
        requireRank(output, 4, "the output");
        require(fits(output.d[0], rois.d[0]) && fits(output.d[1], first.d[1]) && fits(output.d[2], mOutputSize)
                && fits(output.d[3], mOutputSize),
            "the output must have shape (N, C, output_size, output_size)");
    }

    cudaError_t launch(const Tensors& tensors, const Addresses& addresses, cudaStream_t stream) const override
    {
        MultiLevelRoiAlignParams params = fixedParams();
        for (int32_t level = 0; level < params.levels; ++level)
        {
            const nvinfer1::Dims& dims = tensors.inputs[kFeatures + level].dims;
            params.features[level] = addresses.inputs[kFeatures + level];
            params.heights[level] = extent(dims, 2);
            params.widths[level] = extent(dims, 3);
        }
        const nvinfer1::PluginTensorDesc& first = tensors.inputs[kFeatures];
        params.batch = extent(first.dims, 0);
        params.channels = extent(first.dims, 1);
        params.rois = static_cast<const float*>(addresses.inputs[kRois]);
        params.batch_index = addresses.inputs[kBatchIndex];
        params.index_bytes = indexBytes(tensors.inputs[kBatchIndex]);
        params.num_rois = extent(tensors.inputs[kRois].dims, 0);
        params.type = first.type == nvinfer1::DataType::kHALF ? DataType::kFloat16 : DataType::kFloat32;
        params.feature_layout = layoutOf(first);
        params.output_layout = layoutOf(tensors.outputs[0]);
        params.output = addresses.outputs[0];
        return launchMultiLevelRoiAlign(params, stream);
    }

private:
    /// What does not depend on a call.
    MultiLevelRoiAlignParams fixedParams() const
    {
        MultiLevelRoiAlignParams params{};
        params.levels = static_cast<int32_t>(mStrides.size());
        for (size_t level = 0; level < mStrides.size(); ++level)
        {
            params.strides[level] = mStrides[level];
        }
        params.index_bytes = 4;
        params.output_size = mOutputSize;
        params.sampling_ratio = mSamplingRatio;
        params.aligned = mAligned;
        params.canonical_level = mCanonicalLevel;
        params.canonical_size = mCanonicalSize;
        return params;
    }

    int32_t mOutputSize;
    std::vector<int32_t> mStrides;
    int32_t mSamplingRatio;
    int32_t mAligned;
    int32_t mCanonicalLevel;
    float mCanonicalSize;
};

const std::vector<AttributeSpec>& specs()
{
    static const std::vector<AttributeSpec> all{{"output_size", AttributeKind::kInteger},
        {"strides", AttributeKind::kIntegers}, {"sampling_ratio", AttributeKind::kInteger},
        {"aligned", AttributeKind::kInteger}, {"canonical_level", AttributeKind::kInteger},
        {"canonical_size", AttributeKind::kReal}};
    return all;
}

std::unique_ptr<Operation> create(Attributes attributes)
{
    return std::make_unique<MultiLevelRoiAlign>(std::move(attributes));
}

}  // namespace

OperationType multiLevelRoiAlignType()
{
    return {"MultiLevelRoiAlign", &specs, &create};
}

}  // namespace gcpose::trt
