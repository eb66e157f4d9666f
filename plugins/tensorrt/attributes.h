// SPDX-License-Identifier: Apache-2.0
// A plugin's attributes: read from TensorRT's fields, handed back as fields (V3) or packed into bytes (V2).

#pragma once

#include "tensorrt/version.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace gcpose::trt
{

enum class AttributeKind : int32_t
{
    kInteger = 0,   // one int32
    kIntegers = 1,  // one or more
    kReal = 2       // one float32
};

struct AttributeSpec
{
    const char* name;  // as in the ONNX graph
    AttributeKind kind;
};

/// The values of all attributes of one plugin, in the order of its specs. Copies own their values.
class Attributes
{
public:
    /// Read `fields`. Integers may come as INT32 or INT64, reals as FLOAT32 or FLOAT64 (parsers differ).
    ///
    /// Throws PluginError: an attribute is missing, unknown, given twice, of another type or length, or out of range.
    Attributes(const std::vector<AttributeSpec>& specs, const nvinfer1::PluginFieldCollection* fields);

    /// Read what pack() wrote. Throws PluginError where the bytes are cut short, too long or of another layout.
    Attributes(const std::vector<AttributeSpec>& specs, const void* bytes, size_t length);

    int32_t integer(const char* name) const;
    float real(const char* name) const;
    const std::vector<int32_t>& integers(const char* name) const;

    /// Fields that point into this object; they hold until it is destroyed.
    std::vector<nvinfer1::PluginField> fields() const;

    /// The values in a self-describing layout, the same on every machine TensorRT runs on (all are little-endian).
    std::vector<uint8_t> pack() const;

    /// "output_size=14, strides=4 8 16 32": for the engine inspector and the key of the timing cache.
    std::string text() const;

private:
    struct Value
    {
        bool given = false;
        std::vector<int32_t> integers;
        float real = 0.0F;
    };

    void read(const nvinfer1::PluginField& field);
    const Value& value(const char* name, AttributeKind kind) const;

    const std::vector<AttributeSpec>* mSpecs;  // static storage, see OperationType
    std::vector<Value> mValues;
};

}  // namespace gcpose::trt
