// SPDX-License-Identifier: Apache-2.0
// Tensors in host memory, in the types and formats that TensorRT hands to plugins.

#pragma once

#include <NvInferRuntime.h>

#include <cstdint>
#include <string>
#include <vector>

namespace harness
{

using Shape = std::vector<int64_t>;

int64_t elements(const Shape& shape);
nvinfer1::Dims toDims(const Shape& shape);
std::string nameOf(nvinfer1::DataType type, nvinfer1::TensorFormat format);

uint16_t toHalf(float value);
float fromHalf(uint16_t bits);

/// What a test gives or expects, as plain numbers in row-major order.
struct Values
{
    Shape shape;
    bool integral = false;
    std::vector<double> numbers;
};

/// The same as TensorRT would lay it out. Memory starts poisoned, so that what a plugin does not write shows.
class Tensor
{
public:
    Tensor(Shape shape, nvinfer1::DataType type, nvinfer1::TensorFormat format);
    Tensor(const Values& values, nvinfer1::DataType type, nvinfer1::TensorFormat format);

    nvinfer1::PluginTensorDesc description() const;
    std::vector<double> numbers() const;
    void* data() { return mBytes.data(); }

private:
    size_t offset(int64_t index) const;  // in elements
    void set(int64_t index, double value);
    double get(int64_t index) const;

    Shape mShape;
    nvinfer1::DataType mType;
    nvinfer1::TensorFormat mFormat;
    std::vector<uint8_t> mBytes;
};

/// Values after a trip through `type`: what a reference must start from.
Values rounded(const Values& values, nvinfer1::DataType type);

}  // namespace harness
