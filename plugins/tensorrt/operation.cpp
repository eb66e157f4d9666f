// SPDX-License-Identifier: Apache-2.0

#include "tensorrt/operation.h"

#include "tensorrt/log.h"

#include <limits>

namespace gcpose::trt
{

void Operation::checkCounts(int32_t inputs, int32_t outputs) const
{
    require(inputs == inputCount(),
        "has " + std::to_string(inputs) + " inputs and needs " + std::to_string(inputCount()));
    require(outputs == outputCount(),
        "has " + std::to_string(outputs) + " outputs and gives " + std::to_string(outputCount()));
}

void Operation::check(const Tensors& tensors) const
{
    require(tensors.inputs != nullptr && tensors.outputs != nullptr, "got no tensor descriptions");
    checkCounts(tensors.inputCount, tensors.outputCount);
    checkShapes(tensors);
}

const std::vector<OperationType>& operationTypes()
{
    static const std::vector<OperationType> types{
        multiLevelRoiAlignType(), gcmAttentionType(), nmsType(), keypointDecodeType()};
    return types;
}

void require(bool condition, const std::string& message)
{
    if (!condition)
    {
        throw PluginError(message);
    }
}

void requireInLimits(cudaError_t emptyLaunch)
{
    require(emptyLaunch == cudaSuccess, "an attribute is beyond what the kernel takes; its README lists the limits");
}

int32_t extent(const nvinfer1::Dims& dims, int32_t axis)
{
    require(axis < dims.nbDims, "a tensor has too few dimensions");
    const int64_t value = dims.d[axis];
    require(value >= 0 && value <= std::numeric_limits<int32_t>::max(),
        "a dimension is " + std::to_string(value) + "; it must be known and fit 32 bits");
    return static_cast<int32_t>(value);
}

bool fits(int64_t dimension, int64_t expected)
{
    return dimension == -1 || expected == -1 || dimension == expected;
}

void requireRank(const nvinfer1::Dims& dims, int32_t rank, const char* what)
{
    require(dims.nbDims == rank,
        std::string(what) + " has " + std::to_string(dims.nbDims) + " dimensions and needs " + std::to_string(rank));
}

void requireRank(const nvinfer1::DimsExprs& dims, int32_t rank, const char* what)
{
    require(dims.nbDims == rank,
        std::string(what) + " has " + std::to_string(dims.nbDims) + " dimensions and needs " + std::to_string(rank));
}

bool isLinear(const nvinfer1::PluginTensorDesc& tensor, nvinfer1::DataType type)
{
    return tensor.format == nvinfer1::TensorFormat::kLINEAR && tensor.type == type;
}

bool isLinearIndex(const nvinfer1::PluginTensorDesc& tensor, [[maybe_unused]] Indices indices)
{
#if GCPOSE_TENSORRT_10
    if (indices == Indices::k32Or64 && isLinear(tensor, nvinfer1::DataType::kINT64))
    {
        return true;
    }
#endif
    return isLinear(tensor, nvinfer1::DataType::kINT32);
}

bool isReal(nvinfer1::DataType type)
{
    return type == nvinfer1::DataType::kFLOAT || type == nvinfer1::DataType::kHALF;
}

int32_t indexBytes([[maybe_unused]] const nvinfer1::PluginTensorDesc& tensor)
{
#if GCPOSE_TENSORRT_10
    return tensor.type == nvinfer1::DataType::kINT64 ? 8 : 4;
#else
    return 4;
#endif
}

}  // namespace gcpose::trt
