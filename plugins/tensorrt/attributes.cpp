// SPDX-License-Identifier: Apache-2.0

#include "tensorrt/attributes.h"

#include "tensorrt/log.h"

#include <cstring>
#include <limits>
#include <sstream>

namespace gcpose::trt
{
namespace
{

constexpr uint32_t kMagic = 0x31504347;  // "GCP1"
constexpr int32_t kMostIntegers = 1024;  // none of our lists comes near; keeps a corrupt length from allocating

#if GCPOSE_TENSORRT_10  // before, integers came as INT32 only
int32_t narrow(int64_t value, const std::string& name)
{
    if (value < std::numeric_limits<int32_t>::min() || value > std::numeric_limits<int32_t>::max())
    {
        throw PluginError("attribute " + name + " is " + std::to_string(value) + ", which does not fit 32 bits");
    }
    return static_cast<int32_t>(value);
}
#endif

template <typename T>
T element(const nvinfer1::PluginField& field, int32_t index)
{
    T value;  // fields come without a promise of alignment
    std::memcpy(&value, static_cast<const uint8_t*>(field.data) + sizeof(T) * static_cast<size_t>(index), sizeof(T));
    return value;
}

std::vector<int32_t> readIntegers(const nvinfer1::PluginField& field)
{
    std::vector<int32_t> values;
    for (int32_t i = 0; i < field.length; ++i)
    {
        if (field.type == nvinfer1::PluginFieldType::kINT32)
        {
            values.push_back(element<int32_t>(field, i));
        }
#if GCPOSE_TENSORRT_10
        else if (field.type == nvinfer1::PluginFieldType::kINT64)
        {
            values.push_back(narrow(element<int64_t>(field, i), field.name));
        }
#endif
        else
        {
            throw PluginError(std::string("attribute ") + field.name + " must be an integer, INT32 or INT64");
        }
    }
    return values;
}

float readReal(const nvinfer1::PluginField& field)
{
    if (field.type == nvinfer1::PluginFieldType::kFLOAT32)
    {
        return element<float>(field, 0);
    }
    if (field.type == nvinfer1::PluginFieldType::kFLOAT64)
    {
        return static_cast<float>(element<double>(field, 0));
    }
    throw PluginError(std::string("attribute ") + field.name + " must be a real number, FLOAT32 or FLOAT64");
}

/// Reads a packed buffer without ever passing its end.
class Reader
{
public:
    Reader(const void* bytes, size_t length) : mNext(static_cast<const uint8_t*>(bytes)), mLeft(length) {}

    template <typename T>
    T take()
    {
        if (mNext == nullptr || mLeft < sizeof(T))
        {
            throw PluginError("the serialised attributes are cut short; build the engine again");
        }
        T value;
        std::memcpy(&value, mNext, sizeof(T));
        mNext += sizeof(T);
        mLeft -= sizeof(T);
        return value;
    }

    size_t left() const { return mLeft; }

private:
    const uint8_t* mNext;
    size_t mLeft;
};

template <typename T>
void append(std::vector<uint8_t>& bytes, T value)
{
    const size_t at = bytes.size();
    bytes.resize(at + sizeof(T));
    std::memcpy(bytes.data() + at, &value, sizeof(T));
}

}  // namespace

Attributes::Attributes(const std::vector<AttributeSpec>& specs, const nvinfer1::PluginFieldCollection* fields)
    : mSpecs(&specs), mValues(specs.size())
{
    if (fields == nullptr || fields->nbFields < 0 || (fields->nbFields > 0 && fields->fields == nullptr))
    {
        throw PluginError("no attributes were given");
    }
    for (int32_t i = 0; i < fields->nbFields; ++i)
    {
        read(fields->fields[i]);
    }
    for (size_t i = 0; i < specs.size(); ++i)
    {
        if (!mValues[i].given)
        {
            throw PluginError(std::string("attribute ") + specs[i].name + " is missing");
        }
    }
}

void Attributes::read(const nvinfer1::PluginField& field)
{
    const std::string name = field.name == nullptr ? "" : field.name;
    size_t index = 0;
    while (index < mSpecs->size() && name != (*mSpecs)[index].name)
    {
        ++index;
    }
    if (index == mSpecs->size())
    {
        throw PluginError("there is no attribute \"" + name + "\"");
    }
    Value& value = mValues[index];
    if (value.given)
    {
        throw PluginError("attribute " + name + " is given twice");
    }
    const AttributeKind kind = (*mSpecs)[index].kind;
    const bool single = kind != AttributeKind::kIntegers;
    if (field.data == nullptr || field.length < 1 || field.length > kMostIntegers || (single && field.length != 1))
    {
        throw PluginError("attribute " + name + " must have " + (single ? "one value" : "at least one value"));
    }
    if (kind == AttributeKind::kReal)
    {
        value.real = readReal(field);
    }
    else
    {
        value.integers = readIntegers(field);
    }
    value.given = true;
}

Attributes::Attributes(const std::vector<AttributeSpec>& specs, const void* bytes, size_t length)
    : mSpecs(&specs), mValues(specs.size())
{
    Reader reader(bytes, length);
    if (reader.take<uint32_t>() != kMagic || reader.take<int32_t>() != static_cast<int32_t>(specs.size()))
    {
        throw PluginError("the serialised attributes are of another version of the plugins; build the engine again");
    }
    for (size_t i = 0; i < specs.size(); ++i)
    {
        const int32_t kind = reader.take<int32_t>();
        const int32_t count = reader.take<int32_t>();
        const bool single = specs[i].kind != AttributeKind::kIntegers;
        if (kind != static_cast<int32_t>(specs[i].kind) || count < 1 || count > kMostIntegers || (single && count != 1))
        {
            throw PluginError("the serialised attributes are damaged; build the engine again");
        }
        for (int32_t k = 0; k < count; ++k)
        {
            if (specs[i].kind == AttributeKind::kReal)
            {
                mValues[i].real = reader.take<float>();
            }
            else
            {
                mValues[i].integers.push_back(reader.take<int32_t>());
            }
        }
        mValues[i].given = true;
    }
    if (reader.left() != 0)
    {
        throw PluginError("the serialised attributes are too long; build the engine again");
    }
}

const Attributes::Value& Attributes::value(const char* name, AttributeKind kind) const
{
    for (size_t i = 0; i < mSpecs->size(); ++i)
    {
        if (std::strcmp((*mSpecs)[i].name, name) == 0 && (*mSpecs)[i].kind == kind)
        {
            return mValues[i];
        }
    }
    throw PluginError(std::string("the plugin asked for an attribute it has not: ") + name);
}

int32_t Attributes::integer(const char* name) const
{
    return value(name, AttributeKind::kInteger).integers.front();
}

float Attributes::real(const char* name) const
{
    return value(name, AttributeKind::kReal).real;
}

const std::vector<int32_t>& Attributes::integers(const char* name) const
{
    return value(name, AttributeKind::kIntegers).integers;
}

std::vector<nvinfer1::PluginField> Attributes::fields() const
{
    std::vector<nvinfer1::PluginField> fields;
    for (size_t i = 0; i < mSpecs->size(); ++i)
    {
        const Value& value = mValues[i];
        if ((*mSpecs)[i].kind == AttributeKind::kReal)
        {
            fields.emplace_back((*mSpecs)[i].name, &value.real, nvinfer1::PluginFieldType::kFLOAT32, 1);
        }
        else
        {
            fields.emplace_back((*mSpecs)[i].name, value.integers.data(), nvinfer1::PluginFieldType::kINT32,
                static_cast<int32_t>(value.integers.size()));
        }
    }
    return fields;
}

std::vector<uint8_t> Attributes::pack() const
{
    std::vector<uint8_t> bytes;
    append(bytes, kMagic);
    append(bytes, static_cast<int32_t>(mSpecs->size()));
    for (size_t i = 0; i < mSpecs->size(); ++i)
    {
        append(bytes, static_cast<int32_t>((*mSpecs)[i].kind));
        if ((*mSpecs)[i].kind == AttributeKind::kReal)
        {
            append(bytes, int32_t{1});
            append(bytes, mValues[i].real);
            continue;
        }
        append(bytes, static_cast<int32_t>(mValues[i].integers.size()));
        for (const int32_t integer : mValues[i].integers)
        {
            append(bytes, integer);
        }
    }
    return bytes;
}

std::string Attributes::text() const
{
    std::ostringstream out;
    for (size_t i = 0; i < mSpecs->size(); ++i)
    {
        out << (i == 0 ? "" : ", ") << (*mSpecs)[i].name << '=';
        if ((*mSpecs)[i].kind == AttributeKind::kReal)
        {
            out << mValues[i].real;
            continue;
        }
        for (size_t k = 0; k < mValues[i].integers.size(); ++k)
        {
            out << (k == 0 ? "" : " ") << mValues[i].integers[k];
        }
    }
    return out.str();
}

}  // namespace gcpose::trt
