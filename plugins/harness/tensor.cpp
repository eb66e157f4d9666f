// SPDX-License-Identifier: Apache-2.0

#include "harness/tensor.h"

#include "harness/check.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace harness
{
namespace
{

constexpr int64_t kPack = 8;  // channels of kHWC8 come in groups of eight

size_t widthOf(nvinfer1::DataType type)
{
    switch (type)
    {
    case nvinfer1::DataType::kHALF: return 2;
    case nvinfer1::DataType::kINT64: return 8;
    default: return 4;
    }
}

}  // namespace

int64_t elements(const Shape& shape)
{
    int64_t count = 1;
    for (const int64_t side : shape)
    {
        count *= side;
    }
    return count;
}

nvinfer1::Dims toDims(const Shape& shape)
{
    nvinfer1::Dims dims{};
    dims.nbDims = static_cast<int32_t>(shape.size());
    for (size_t i = 0; i < shape.size(); ++i)
    {
        dims.d[i] = shape[i];
    }
    return dims;
}

std::string nameOf(nvinfer1::DataType type, nvinfer1::TensorFormat format)
{
    const char* kind = type == nvinfer1::DataType::kFLOAT ? "FP32"
        : type == nvinfer1::DataType::kHALF               ? "FP16"
        : type == nvinfer1::DataType::kINT32              ? "INT32"
        : type == nvinfer1::DataType::kINT64              ? "INT64"
                                                          : "other";
    return std::string(kind) + (format == nvinfer1::TensorFormat::kHWC8 ? ":hwc8" : ":linear");
}

uint16_t toHalf(float value)
{
    const uint16_t sign = std::signbit(value) ? 0x8000 : 0;
    const float magnitude = std::fabs(value);
    if (std::isnan(value))
    {
        return 0x7e00;
    }
    if (magnitude >= 65520.0F)
    {
        return sign | 0x7c00;
    }
    if (magnitude == 0.0F)
    {
        return sign;  // frexp gives zero the exponent of one half
    }
    // Below 2^-14 the spacing is 2^-24; above, 11 bits count. nearbyint rounds ties to even, as FP16 does.
    int exponent = 0;
    std::frexp(magnitude, &exponent);
    const int spacing = std::max(exponent - 11, -24);
    const auto steps = static_cast<uint32_t>(std::nearbyint(std::ldexp(magnitude, -spacing)));
    if (spacing == -24)
    {
        return sign | static_cast<uint16_t>(steps);  // subnormal, or the first normal if it rounded up
    }
    return sign | static_cast<uint16_t>(((spacing + 24) << 10) + steps);
}

float fromHalf(uint16_t bits)
{
    const int exponent = (bits >> 10) & 31;
    const int fraction = bits & 1023;
    const float sign = (bits & 0x8000) != 0 ? -1.0F : 1.0F;
    if (exponent == 31)
    {
        return fraction != 0 ? std::nanf("") : sign * INFINITY;
    }
    return exponent == 0 ? sign * std::ldexp(static_cast<float>(fraction), -24)
                         : sign * std::ldexp(static_cast<float>(1024 + fraction), exponent - 25);
}

Tensor::Tensor(Shape shape, nvinfer1::DataType type, nvinfer1::TensorFormat format)
    : mShape(std::move(shape)), mType(type), mFormat(format)
{
    int64_t count = elements(mShape);
    if (mFormat == nvinfer1::TensorFormat::kHWC8)
    {
        check(mShape.size() == 4, "kHWC8 is for four dimensions here");
        count = mShape[0] * mShape[2] * mShape[3] * ((mShape[1] + kPack - 1) / kPack * kPack);
    }
    // All ones: NaN as a real, -1 as an integer.
    mBytes.assign(static_cast<size_t>(count) * widthOf(mType), 0xff);
}

Tensor::Tensor(const Values& values, nvinfer1::DataType type, nvinfer1::TensorFormat format)
    : Tensor(values.shape, type, format)
{
    check(static_cast<int64_t>(values.numbers.size()) == elements(mShape), "as many numbers as the shape says");
    for (int64_t i = 0; i < elements(mShape); ++i)
    {
        set(i, values.numbers[static_cast<size_t>(i)]);
    }
}

nvinfer1::PluginTensorDesc Tensor::description() const
{
    nvinfer1::PluginTensorDesc description{};
    description.dims = toDims(mShape);
    description.type = mType;
    description.format = mFormat;
    description.scale = -1.0F;
    return description;
}

std::vector<double> Tensor::numbers() const
{
    std::vector<double> all;
    for (int64_t i = 0; i < elements(mShape); ++i)
    {
        all.push_back(get(i));
    }
    return all;
}

size_t Tensor::offset(int64_t index) const
{
    if (mFormat != nvinfer1::TensorFormat::kHWC8)
    {
        return static_cast<size_t>(index);
    }
    const int64_t cells = mShape[2] * mShape[3];
    const int64_t cell = index % cells;
    const int64_t channel = index / cells % mShape[1];
    const int64_t map = index / cells / mShape[1];
    const int64_t padded = (mShape[1] + kPack - 1) / kPack * kPack;
    return static_cast<size_t>((map * cells + cell) * padded + channel);
}

void Tensor::set(int64_t index, double value)
{
    uint8_t* place = mBytes.data() + offset(index) * widthOf(mType);
    if (mType == nvinfer1::DataType::kHALF)
    {
        const uint16_t bits = toHalf(static_cast<float>(value));
        std::memcpy(place, &bits, sizeof(bits));
    }
    else if (mType == nvinfer1::DataType::kFLOAT)
    {
        const auto real = static_cast<float>(value);
        std::memcpy(place, &real, sizeof(real));
    }
    else if (mType == nvinfer1::DataType::kINT64)
    {
        const auto integer = static_cast<int64_t>(value);
        std::memcpy(place, &integer, sizeof(integer));
    }
    else
    {
        const auto integer = static_cast<int32_t>(value);
        std::memcpy(place, &integer, sizeof(integer));
    }
}

double Tensor::get(int64_t index) const
{
    const uint8_t* place = mBytes.data() + offset(index) * widthOf(mType);
    if (mType == nvinfer1::DataType::kHALF)
    {
        uint16_t bits = 0;
        std::memcpy(&bits, place, sizeof(bits));
        return fromHalf(bits);
    }
    if (mType == nvinfer1::DataType::kFLOAT)
    {
        float real = 0;
        std::memcpy(&real, place, sizeof(real));
        return real;
    }
    if (mType == nvinfer1::DataType::kINT64)
    {
        int64_t integer = 0;
        std::memcpy(&integer, place, sizeof(integer));
        return static_cast<double>(integer);
    }
    int32_t integer = 0;
    std::memcpy(&integer, place, sizeof(integer));
    return integer;
}

Values rounded(const Values& values, nvinfer1::DataType type)
{
    return {values.shape, values.integral, Tensor(values, type, nvinfer1::TensorFormat::kLINEAR).numbers()};
}

}  // namespace harness
