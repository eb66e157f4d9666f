// SPDX-License-Identifier: Apache-2.0
// What must be refused: a null result or an error status, and a line in the log that names the plugin.

#include "harness/behaviour.h"
#include "harness/cases.h"

#include <cmath>
#include <limits>

namespace harness
{
namespace
{

/// Run `body` and check that it logged an error that contains `text`.
void expectLogged(const std::string& text, const std::function<void()>& body)
{
    const size_t before = loggedErrors().size();
    body();
    for (size_t i = before; i < loggedErrors().size(); ++i)
    {
        if (loggedErrors()[i].find(text) != std::string::npos)
        {
            return;
        }
    }
    throw Failure("no logged error says \"" + text + "\""
        + (loggedErrors().size() > before ? ", but: " + loggedErrors().back() : ""));
}

void refuse(Interface& interface, const std::string& operation, const nvinfer1::PluginFieldCollection* fields,
    const std::string& message)
{
    expectLogged(operation + "::createPlugin", [&] {
        expectLogged(message, [&] {
            check(interface.create(operation, fields) == nullptr, "a plugin was made in spite of: " + message);
        });
    });
}

void wrongFields(Interface& interface, const Case& one)
{
    using Type = nvinfer1::PluginFieldType;
    const std::string& name = one.operation;
    refuse(interface, name, nullptr, "no attributes");
    const nvinfer1::PluginFieldCollection none{};
    refuse(interface, name, &none, "is missing");
    for (size_t i = 0; i < one.attributes.size(); ++i)
    {
        FieldSet missing(one.attributes);
        const std::string gone = missing.fields()[i].name;
        missing.fields().erase(missing.fields().begin() + static_cast<std::ptrdiff_t>(i));
        missing.update();
        refuse(interface, name, missing.get(), gone + " is missing");

        FieldSet changed(one.attributes);
        nvinfer1::PluginField& field = changed.fields()[i];
        const nvinfer1::PluginField good = field;
        field.type = good.type == Type::kFLOAT32 ? Type::kINT32 : Type::kFLOAT32;
        refuse(interface, name, changed.get(), "must be");
        field.type = Type::kUNKNOWN;
        refuse(interface, name, changed.get(), "must be");
        field = good;
        field.length = 0;
        refuse(interface, name, changed.get(), "must have");
        field.length = -1;
        refuse(interface, name, changed.get(), "must have");
        field.length = 1 << 30;
        refuse(interface, name, changed.get(), "must have");
        field = good;
        field.data = nullptr;
        refuse(interface, name, changed.get(), "must have");
        field = good;
        field.name = "no_such_attribute";
        refuse(interface, name, changed.get(), "no attribute \"no_such_attribute\"");
        field.name = nullptr;
        refuse(interface, name, changed.get(), "no attribute");
        field = changed.fields()[i == 0 ? 1 : 0];
        refuse(interface, name, changed.get(), "given twice");
    }
}

void wrongValues(Interface& interface, const Case& one)
{
    const double nan = std::nan("");
    const double infinity = std::numeric_limits<double>::infinity();
    const std::map<std::string, std::vector<double>> bad{{"output_size", {0, -7}}, {"strides", {0, -8}},
        {"sampling_ratio", {-1}}, {"aligned", {2, -1}}, {"canonical_size", {0, -56, nan, infinity}},
        {"heads", {0, -1}}, {"height", {0}}, {"width", {-3}}, {"iou_threshold", {-0.1, 1.5, nan}},
        {"score_threshold", {nan}}, {"max_outputs", {0, -5}}, {"samples_per_cell", {0, -4}},
        {"score_radius", {-1, nan, infinity}}};
    for (const auto& [attribute, original] : one.attributes)
    {
        const auto values = bad.find(attribute);
        for (const double value : values == bad.end() ? std::vector<double>{} : values->second)
        {
            AttributeMap changed = one.attributes;
            changed[attribute].values = {value};
            refuse(interface, one.operation, FieldSet(changed).get(), attribute);
        }
        if (!original.real)
        {
            AttributeMap large = one.attributes;
            large[attribute].values = {4294967297.0};
            refuse(interface, one.operation, FieldSet(large, true).get(), "does not fit 32 bits");
        }
    }
    // Beyond the kernels' limits, which the glue asks them for.
    const std::map<std::string, double> huge{
        {"output_size", 4096}, {"sampling_ratio", 4096}, {"samples_per_cell", 4096}, {"height", 100000000}};
    for (const auto& [attribute, value] : huge)
    {
        AttributeMap changed = one.attributes;
        if (changed.count(attribute) != 0)
        {
            changed[attribute].values = {value};
            refuse(interface, one.operation, FieldSet(changed).get(), "beyond what the kernel takes");
        }
    }
    if (one.attributes.count("strides") != 0)
    {
        AttributeMap falling = one.attributes;
        falling["strides"].values = {8, 4};
        refuse(interface, one.operation, FieldSet(falling).get(), "none smaller than the one before");
        AttributeMap many = one.attributes;
        many["strides"].values = {4, 8, 16, 32, 64, 128};
        refuse(interface, one.operation, FieldSet(many).get(), "one to five strides");
    }
}

void wideFields(Interface& interface, const Case& one)
{
    const FieldSet fields(one.attributes, true);
    const std::unique_ptr<Subject> subject = interface.create(one.operation, fields.get());
    check(subject != nullptr, "INT64 and FLOAT64 fields are taken");
    std::vector<std::string> names = interface.fieldNames(one.operation);
    checkEqual(names.size(), one.attributes.size(), "number of field names");
    for (const std::string& name : names)
    {
        check(one.attributes.count(name) == 1, "the creator's field " + name + " is an attribute of the ONNX op");
    }
}

/// Shapes with one dimension changed, one missing and one more: none may pass.
void wrongShapes(Interface& interface, const Case& one)
{
    const FieldSet fields(one.attributes);
    const std::unique_ptr<Subject> subject = interface.create(one.operation, fields.get());
    check(subject != nullptr, "the creator makes a plugin");
    Descriptions inputs;
    std::vector<Shape> shapes;
    for (const Values& values : one.inputs)
    {
        const auto type = values.integral ? nvinfer1::DataType::kINT32 : nvinfer1::DataType::kFLOAT;
        inputs.push_back(Tensor(values.shape, type, nvinfer1::TensorFormat::kLINEAR).description());
        shapes.push_back(values.shape);
    }
    Descriptions outputs;
    for (const Shape& shape : subject->outputShapes(shapes))
    {
        outputs.push_back(
            Tensor(shape, nvinfer1::DataType::kFLOAT, nvinfer1::TensorFormat::kLINEAR).description());
    }
    check(subject->fits(inputs, outputs), "the right shapes pass");
    const size_t before = loggedErrors().size();
    size_t refused = 0;
    const auto expectRefusal = [&](const std::string& what) {
        check(!subject->fits(inputs, outputs), what + " passed");
        ++refused;
    };
    for (size_t t = 0; t < inputs.size() + outputs.size(); ++t)
    {
        nvinfer1::PluginTensorDesc& tensor = t < inputs.size() ? inputs[t] : outputs[t - inputs.size()];
        const nvinfer1::Dims good = tensor.dims;
        tensor.dims.nbDims = good.nbDims + 1;
        tensor.dims.d[good.nbDims] = 1;
        expectRefusal("tensor " + std::to_string(t) + " with one dimension more");
        tensor.dims.nbDims = good.nbDims - 1;
        expectRefusal("tensor " + std::to_string(t) + " with one dimension less");
        tensor.dims = good;
        for (int32_t axis = 0; axis < good.nbDims; ++axis)
        {
            const bool freeMap = one.operation == "MultiLevelRoiAlign" && t >= 2 && t < inputs.size()
                && (axis >= 2 || inputs.size() == 3);  // any size of map; any batch of an only feature
            const bool freeOutput = freeMap && axis != 1;
            tensor.dims.d[axis] = good.d[axis] + 1;
            if (!freeMap || (axis == 1 && !freeOutput))
            {
                expectRefusal("tensor " + std::to_string(t) + " with another dimension " + std::to_string(axis));
            }
            tensor.dims = good;
        }
    }
    check(loggedErrors().size() >= before + refused, "every refusal is logged");
    const Descriptions fewer(inputs.begin(), inputs.end() - 1);
    check(!subject->fits(fewer, outputs), "an input less is refused");
    std::vector<Shape> lowRank(shapes.size(), Shape{1});
    check(subject->outputShapes(lowRank).empty(), "no output shape from inputs of another rank");
    shapes.pop_back();
    check(subject->outputShapes(shapes).empty(), "no output shape from an input less");
}

}  // namespace

Tests refusalTests(Interface& interface)
{
    Tests tests;
    std::string last;
    for (const Case& one : allCases())
    {
        if (one.operation == last)
        {
            continue;  // one example of each
        }
        last = one.operation;
        const std::string prefix = std::string(interface.name()) + " " + one.operation + ": ";
        tests.push_back({prefix + "wrong fields", [&interface, one] { wrongFields(interface, one); }});
        tests.push_back({prefix + "wrong values", [&interface, one] { wrongValues(interface, one); }});
        tests.push_back({prefix + "wide fields", [&interface, one] { wideFields(interface, one); }});
        tests.push_back({prefix + "wrong shapes", [&interface, one] { wrongShapes(interface, one); }});
    }
    return tests;
}

}  // namespace harness
