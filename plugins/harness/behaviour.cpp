// SPDX-License-Identifier: Apache-2.0
// A plugin's whole life, in every combination of types and formats that it says it takes.

#include "harness/behaviour.h"

#include "harness/cases.h"

#include <algorithm>
#include <cmath>

namespace harness
{
namespace
{

using nvinfer1::DataType;
using nvinfer1::TensorFormat;

struct Kind
{
    DataType type;
    TensorFormat format;
};
using Combination = std::vector<Kind>;

const std::vector<DataType> kTypes{DataType::kFLOAT, DataType::kHALF, DataType::kINT8, DataType::kINT32,
    DataType::kBOOL, DataType::kUINT8, DataType::kINT64};
const std::vector<TensorFormat> kFormats{TensorFormat::kLINEAR, TensorFormat::kCHW2, TensorFormat::kHWC8,
    TensorFormat::kCHW4, TensorFormat::kCHW32, TensorFormat::kHWC};

/// Everything that the plugin accepts, found position by position as TensorRT does.
void explore(Subject& subject, int32_t inputs, int32_t outputs, Descriptions& known, std::vector<Combination>& found)
{
    const auto position = static_cast<int32_t>(known.size());
    if (position == inputs + outputs)
    {
        Combination combination;
        for (const nvinfer1::PluginTensorDesc& one : known)
        {
            combination.push_back({one.type, one.format});
        }
        found.push_back(combination);
        return;
    }
    for (const DataType type : kTypes)
    {
        for (const TensorFormat format : kFormats)
        {
            nvinfer1::PluginTensorDesc one{};
            one.type = type;
            one.format = format;
            known.push_back(one);
            if (subject.supports(position, known, inputs, outputs))
            {
                explore(subject, inputs, outputs, known, found);
            }
            known.pop_back();
        }
    }
}

size_t expectedCombinations(const std::string& operation, bool wideIndices)
{
    const size_t indexTypes = wideIndices ? 2 : 1;
    return operation == "MultiLevelRoiAlign" ? 3 * indexTypes  // FP32, FP16, FP16 kHWC8
        : operation == "Nms"                 ? indexTypes
                                             : 2;  // FP32, FP16
}

struct Call
{
    std::vector<Tensor> inputs;
    std::vector<Tensor> outputs;
    Descriptions inputDescriptions;
    Descriptions outputDescriptions;
    std::vector<const void*> inputData;
    std::vector<void*> outputData;
};

Call makeCall(const std::vector<Values>& inputs, const std::vector<Shape>& outputShapes, const Combination& kinds)
{
    Call call;
    for (size_t i = 0; i < inputs.size(); ++i)
    {
        call.inputs.emplace_back(inputs[i], kinds[i].type, kinds[i].format);
    }
    for (size_t i = 0; i < outputShapes.size(); ++i)
    {
        const Kind& kind = kinds[inputs.size() + i];
        call.outputs.emplace_back(outputShapes[i], kind.type, kind.format);
    }
    for (Tensor& tensor : call.inputs)
    {
        call.inputDescriptions.push_back(tensor.description());
        call.inputData.push_back(tensor.data());
    }
    for (Tensor& tensor : call.outputs)
    {
        call.outputDescriptions.push_back(tensor.description());
        call.outputData.push_back(tensor.data());
    }
    return call;
}

void compare(const Tensor& actual, const Values& expected, double tolerance, const std::string& where)
{
    const std::vector<double> numbers = actual.numbers();
    checkEqual(numbers.size(), expected.numbers.size(), where + ": number of values");
    for (size_t i = 0; i < numbers.size(); ++i)
    {
        const double apart = std::fabs(numbers[i] - expected.numbers[i]);
        if (!(apart <= tolerance * std::max(1.0, std::fabs(expected.numbers[i]))))  // also NaN
        {
            throw Failure(where + ": value " + std::to_string(i) + " is " + std::to_string(numbers[i]) + " instead of "
                + std::to_string(expected.numbers[i]));
        }
    }
}

std::vector<Shape> shapesOf(const std::vector<Values>& values)
{
    std::vector<Shape> shapes;
    for (const Values& one : values)
    {
        shapes.push_back(one.shape);
    }
    return shapes;
}

void runCombination(Subject& subject, const Case& one, const Combination& kinds)
{
    const auto inputCount = static_cast<int32_t>(one.inputs.size());
    std::vector<Values> inputs;
    std::vector<DataType> inputTypes;
    bool half = false;
    std::string where = one.operation;
    for (size_t i = 0; i < kinds.size(); ++i)
    {
        half = half || kinds[i].type == DataType::kHALF;
        where += (static_cast<int32_t>(i) == inputCount ? " -> " : " ") + nameOf(kinds[i].type, kinds[i].format);
        if (static_cast<int32_t>(i) < inputCount)
        {
            inputs.push_back(rounded(one.inputs[i], kinds[i].type));
            inputTypes.push_back(kinds[i].type);
        }
    }
    const std::vector<Values> expected = one.reference(inputs);
    const std::vector<Shape> shapes = subject.outputShapes(shapesOf(inputs));
    checkEqual(shapes.size(), expected.size(), where + ": number of outputs");
    const std::vector<DataType> types = subject.outputTypes(inputTypes);
    for (size_t i = 0; i < shapes.size(); ++i)
    {
        check(shapes[i] == expected[i].shape, where + ": output shape");
        check(types[i] == kinds[inputs.size() + i].type, where + ": output type");
    }
    Call call = makeCall(inputs, shapes, kinds);
    check(subject.fits(call.inputDescriptions, call.outputDescriptions), where + ": takes the shapes");
    // Of the exact size, so that AddressSanitizer sees one byte too many.
    std::vector<uint8_t> workspace(subject.workspace(call.inputDescriptions, call.outputDescriptions), 0xff);
    // Twice: nothing may depend on what an earlier run left behind.
    for (int run = 0; run < 2; ++run)
    {
        const int32_t status = subject.enqueue(call.inputDescriptions, call.outputDescriptions, call.inputData,
            call.outputData, workspace.empty() ? nullptr : workspace.data());
        checkEqual(status, 0, where + ": status of enqueue");
        for (size_t i = 0; i < expected.size(); ++i)
        {
            compare(call.outputs[i], expected[i], half ? one.tolerance16 : one.tolerance32, where);
        }
    }
}

void runCase(Interface& interface, const Case& one)
{
    const FieldSet fields(one.attributes);
    std::unique_ptr<Subject> subject = interface.create(one.operation, fields.get());
    check(subject != nullptr, "the creator makes a plugin");
    const auto inputs = static_cast<int32_t>(one.inputs.size());
    std::vector<Combination> combinations;
    Descriptions known;
    explore(*subject, inputs, subject->outputs(), known, combinations);
    checkEqual(combinations.size(), expectedCombinations(one.operation, interface.wideIndices()), "combinations");
    check(!subject->supports(0, Descriptions(1), inputs + 1, subject->outputs()), "one input too many is refused");

    for (const Combination& kinds : combinations)
    {
        // Each time a plugin made from what another serialised, then cloned; those before it are gone.
        subject = subject->reborn();
        subject = subject->clone();
        runCombination(*subject, one, kinds);
    }
}

}  // namespace

Tests behaviourTests(Interface& interface)
{
    Tests tests;
    for (const Case& one : allCases())
    {
        tests.push_back({std::string(interface.name()) + " " + one.operation + ": " + one.what,
            [&interface, one] { runCase(interface, one); }});
    }
    return tests;
}

}  // namespace harness
