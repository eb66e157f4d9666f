// SPDX-License-Identifier: Apache-2.0
// What each plugin does, apart from the interface (V2 or V3) through which TensorRT asks for it.
//
// An Operation knows TensorRT's tensors and our kernels' Params, and nothing of plugin classes, phases or life cycles.
// Its methods throw PluginError; the interfaces turn that into a logged error and a status.

#pragma once

#include "tensorrt/attributes.h"
#include "tensorrt/version.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace gcpose::trt
{

/// The tensors of one call, inputs and outputs as TensorRT describes them.
struct Tensors
{
    const nvinfer1::PluginTensorDesc* inputs;
    int32_t inputCount;
    const nvinfer1::PluginTensorDesc* outputs;
    int32_t outputCount;
};

/// The addresses of one call, all on the device.
struct Addresses
{
    const void* const* inputs;
    void* const* outputs;
    void* workspace;
};

/// How wide indices may be: IPluginV2 knows no INT64.
enum class Indices
{
    k32Only,
    k32Or64
};

class Operation
{
public:
    explicit Operation(Attributes attributes) : mAttributes(std::move(attributes)) {}
    virtual ~Operation() = default;

    const Attributes& attributes() const { return mAttributes; }

    /// The operation's name, which is the ONNX op type and the creator's name.
    virtual const char* name() const = 0;
    virtual std::unique_ptr<Operation> clone() const = 0;
    virtual int32_t inputCount() const = 0;
    virtual int32_t outputCount() const = 0;

    /// The type of output `index`. `inputTypes` has inputCount() entries.
    virtual nvinfer1::DataType outputType(int32_t index, const nvinfer1::DataType* inputTypes) const = 0;

    /// The shape of output `index`. `inputs` has inputCount() entries.
    virtual nvinfer1::DimsExprs outputShape(
        int32_t index, const nvinfer1::DimsExprs* inputs, nvinfer1::IExprBuilder& builder) const = 0;

    /// Whether tensor `position` (inputs first, then outputs) may have its type and format, given those before it.
    virtual bool supportsFormat(
        int32_t position, const nvinfer1::PluginTensorDesc* tensors, Indices indices) const = 0;

    /// Throw where shapes do not fit each other or the attributes. Dimensions of -1 are not known yet and fit.
    virtual void checkShapes(const Tensors& tensors) const = 0;

    /// Scratch memory for at most these shapes.
    virtual size_t workspaceBytes(const Tensors& /*largest*/) const { return 0; }

    /// Launch on `stream` and do nothing else: TensorRT may be capturing it into a CUDA graph.
    virtual cudaError_t launch(const Tensors& tensors, const Addresses& addresses, cudaStream_t stream) const = 0;

    /// Throw unless there are as many tensors as the operation has.
    void checkCounts(int32_t inputs, int32_t outputs) const;

    /// checkCounts, checkShapes.
    void check(const Tensors& tensors) const;

private:
    Attributes mAttributes;
};

/// One kind of plugin: what its creator is registered as and takes.
struct OperationType
{
    const char* name;
    const std::vector<AttributeSpec>& (*specs)();
    std::unique_ptr<Operation> (*create)(Attributes attributes);  // throws PluginError on values out of range
};

constexpr const char* kPluginVersion = "1";
constexpr const char* kPluginNamespace = "";  // where TensorRT's ONNX parser looks for a node of any domain

OperationType multiLevelRoiAlignType();
OperationType gcmAttentionType();
OperationType nmsType();
OperationType keypointDecodeType();

/// All of them.
const std::vector<OperationType>& operationTypes();

// What the operations share.

/// Throw PluginError(message) unless `condition`.
void require(bool condition, const std::string& message);

/// Throw if a launch without work was refused: then an attribute is beyond what the kernel takes. So limits are known
/// when a plugin is made, and to the kernel alone.
void requireInLimits(cudaError_t emptyLaunch);

/// Dimension `axis` as int32. Throws where it is unknown or does not fit.
int32_t extent(const nvinfer1::Dims& dims, int32_t axis);

/// Whether the dimension is unknown (-1) or equal to `expected`.
bool fits(int64_t dimension, int64_t expected);

/// Throw unless `dims` has `rank` dimensions; `what` names the tensor.
void requireRank(const nvinfer1::Dims& dims, int32_t rank, const char* what);
void requireRank(const nvinfer1::DimsExprs& dims, int32_t rank, const char* what);

bool isLinear(const nvinfer1::PluginTensorDesc& tensor, nvinfer1::DataType type);
bool isLinearIndex(const nvinfer1::PluginTensorDesc& tensor, Indices indices);

/// FLOAT or HALF.
bool isReal(nvinfer1::DataType type);

/// Bytes of one index: 4 or 8.
int32_t indexBytes(const nvinfer1::PluginTensorDesc& tensor);

}  // namespace gcpose::trt
