// SPDX-License-Identifier: Apache-2.0
// A plugin as the tests see it, whichever of TensorRT's interfaces it was made through.

#pragma once

#include "harness/tensor.h"

#include <memory>
#include <string>
#include <vector>

namespace harness
{

using Descriptions = std::vector<nvinfer1::PluginTensorDesc>;

class Subject
{
public:
    virtual ~Subject() = default;  // gives the plugin back as TensorRT would
    virtual int32_t outputs() const = 0;
    virtual std::vector<nvinfer1::DataType> outputTypes(const std::vector<nvinfer1::DataType>& inputs) const = 0;
    /// By way of an expression builder; empty if the plugin refuses.
    virtual std::vector<Shape> outputShapes(const std::vector<Shape>& inputs) = 0;
    virtual bool supports(int32_t position, const Descriptions& tensors, int32_t inputs, int32_t outputs) = 0;
    /// Whether the plugin takes these shapes, by every method that is told of them.
    virtual bool fits(const Descriptions& inputs, const Descriptions& outputs) = 0;
    virtual size_t workspace(const Descriptions& inputs, const Descriptions& outputs) = 0;
    virtual int32_t enqueue(const Descriptions& inputs, const Descriptions& outputs,
        const std::vector<const void*>& inputData, const std::vector<void*>& outputData, void* workspace) = 0;
    virtual std::unique_ptr<Subject> clone() = 0;
    /// Serialised, and made again from what that gave.
    virtual std::unique_ptr<Subject> reborn() = 0;
};

class Interface
{
public:
    virtual ~Interface() = default;
    virtual const char* name() const = 0;
    virtual bool wideIndices() const = 0;
    virtual std::vector<std::string> creatorNames() const = 0;
    virtual std::vector<std::string> fieldNames(const std::string& creator) const = 0;
    /// Null if the creator refuses.
    virtual std::unique_ptr<Subject> create(
        const std::string& creator, const nvinfer1::PluginFieldCollection* fields) = 0;
};

std::unique_ptr<Interface> makeV3();
std::unique_ptr<Interface> makeV2();

}  // namespace harness
