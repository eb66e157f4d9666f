// SPDX-License-Identifier: Apache-2.0
// An IExprBuilder that works on known numbers, in the place of TensorRT's.

#pragma once

#include "harness/check.h"
#include "harness/tensor.h"

#include <memory>
#include <vector>

namespace harness
{

class FakeExpr final : public nvinfer1::IDimensionExpr
{
public:
    explicit FakeExpr(int64_t value) : mCore(value) { mImpl = &mCore; }

private:
    struct Core final : nvinfer1::apiv::VDimensionExpr
    {
        explicit Core(int64_t number) : value(number) {}
        bool isConstant() const override { return true; }
        int64_t getConstantValue() const override { return value; }
        bool isSizeTensor() const override { return false; }
        int64_t value;
    };
    Core mCore;
};

class FakeBuilder final : public nvinfer1::IExprBuilder
{
public:
    FakeBuilder() : mCore(*this) { mImpl = &mCore; }

    nvinfer1::DimsExprs expressions(const Shape& shape)
    {
        nvinfer1::DimsExprs result{};
        result.nbDims = static_cast<int32_t>(shape.size());
        for (size_t i = 0; i < shape.size(); ++i)
        {
            result.d[i] = make(shape[i]);
        }
        return result;
    }

    static Shape shape(const nvinfer1::DimsExprs& expressions)
    {
        Shape result;
        for (int32_t i = 0; i < expressions.nbDims; ++i)
        {
            check(expressions.d[i] != nullptr, "an output dimension was left out");
            result.push_back(expressions.d[i]->getConstantValue());
        }
        return result;
    }

private:
    struct Core final : nvinfer1::apiv::VExprBuilder
    {
        explicit Core(FakeBuilder& builder) : owner(builder) {}
        const nvinfer1::IDimensionExpr* constant(int64_t value) override { return owner.make(value); }
        const nvinfer1::IDimensionExpr* operation(nvinfer1::DimensionOperation /*op*/,
            const nvinfer1::IDimensionExpr& /*first*/, const nvinfer1::IDimensionExpr& /*second*/) override
        {
            throw Failure("the plugins need no arithmetic on dimensions");
        }
        const nvinfer1::IDimensionExpr* declareSizeTensor(int32_t /*output*/,
            const nvinfer1::IDimensionExpr& /*opt*/, const nvinfer1::IDimensionExpr& /*upper*/) override
        {
            throw Failure("the plugins have no outputs whose size depends on data");
        }
        FakeBuilder& owner;
    };

    const nvinfer1::IDimensionExpr* make(int64_t value)
    {
        mMade.push_back(std::make_unique<FakeExpr>(value));
        return mMade.back().get();
    }

    Core mCore;
    std::vector<std::unique_ptr<FakeExpr>> mMade;
};

}  // namespace harness
