// SPDX-License-Identifier: Apache-2.0
// One worked example an operation: attributes, inputs, and what a plain reference says comes out.

#pragma once

#include "harness/tensor.h"

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace harness
{

/// Attributes by name; a list has several values.
struct Attribute
{
    bool real;
    std::vector<double> values;
};
using AttributeMap = std::map<std::string, Attribute>;

struct Case
{
    std::string operation;
    std::string what;
    AttributeMap attributes;
    std::vector<Values> inputs;
    /// Takes inputs as the plugin gets them (rounded to FP16 where they are), returns all outputs.
    std::function<std::vector<Values>(const std::vector<Values>&)> reference;
    /// Largest difference between an output and its reference.
    double tolerance32;
    double tolerance16;
};

std::vector<Case> allCases();

/// Owns what the PluginFields of an AttributeMap point to. 64-bit fields where `wide`.
class FieldSet
{
public:
    explicit FieldSet(const AttributeMap& attributes, bool wide = false);
    const nvinfer1::PluginFieldCollection* get() const { return &mCollection; }
    std::vector<nvinfer1::PluginField>& fields() { return mFields; }
    /// After a change of fields().
    void update();

private:
    std::vector<std::string> mNames;
    std::vector<std::vector<uint8_t>> mData;
    std::vector<nvinfer1::PluginField> mFields;
    nvinfer1::PluginFieldCollection mCollection{};
};

}  // namespace harness
