// SPDX-License-Identifier: Apache-2.0

#include "harness/cases.h"

#include "harness/reference.h"

#include <cmath>
#include <cstring>
#include <random>

namespace harness
{
namespace
{

/// Numbers that are the same on every machine: the standard fixes the generator, not its distributions.
class Numbers
{
public:
    double between(double low, double high) { return low + (high - low) * (mEngine() >> 8) / 16777216.0; }
    Values normalish(Shape shape, double scale)
    {
        Values values{std::move(shape), false, {}};
        for (int64_t i = 0; i < elements(values.shape); ++i)
        {
            values.numbers.push_back(scale * (between(-1, 1) + between(-1, 1) + between(-1, 1)));
        }
        return values;
    }

private:
    std::mt19937 mEngine{20260901};
};

Attribute integer(double value)
{
    return {false, {value}};
}

Attribute real(double value)
{
    return {true, {value}};
}

Values boxes(Shape shape, Numbers& numbers, double width, double height)
{
    Values values{std::move(shape), false, {}};
    for (int64_t i = 0; i < elements(values.shape) / 4; ++i)
    {
        const double x = numbers.between(-0.1 * width, 0.9 * width);
        const double y = numbers.between(-0.1 * height, 0.9 * height);
        // Sixteenths are exact in FP32, so that ceil() of a size is the same here and in the kernels.
        for (const double value : {x, y, x + numbers.between(4, width), y + numbers.between(4, height)})
        {
            values.numbers.push_back(std::floor(value * 16) / 16);
        }
    }
    return values;
}

Case roiAlignCase(const std::string& what, std::vector<int64_t> strides, int64_t sampling, bool aligned)
{
    Numbers numbers;
    const double side = 128;
    Case one{"MultiLevelRoiAlign", what, {}, {}, {}, 1e-4, 2e-2};
    one.attributes = {{"output_size", integer(5)}, {"sampling_ratio", integer(static_cast<double>(sampling))},
        {"aligned", integer(aligned ? 1 : 0)}, {"canonical_level", integer(4)}, {"canonical_size", real(56.0)}};
    Attribute list{false, {}};
    one.inputs.push_back(boxes({4, 4}, numbers, side, side));
    one.inputs.push_back({{4}, true, {0, 1, 1, 0}});
    for (const int64_t stride : strides)
    {
        list.values.push_back(static_cast<double>(stride));
        const auto cells = static_cast<int64_t>(side) / stride;
        one.inputs.push_back(numbers.normalish({2, 9, cells, cells}, 1.0));  // 9: kHWC8 pads it to 16
    }
    one.attributes["strides"] = list;
    const RoiAlignOptions options{5, std::move(strides), sampling, aligned, 4, 56.0};
    one.reference = [options](const std::vector<Values>& inputs) {
        return std::vector<Values>{referenceRoiAlign(inputs, options)};
    };
    return one;
}

Case attentionCase(const std::string& what, Shape qk, int64_t valueChannels, int64_t heads)
{
    Numbers numbers;
    Case one{"GcmAttention", what, {}, {}, {}, 1e-4, 2e-2};
    one.attributes = {{"heads", integer(static_cast<double>(heads))},
        {"height", integer(static_cast<double>(qk[2]))}, {"width", integer(static_cast<double>(qk[3]))}};
    one.inputs = {numbers.normalish(qk, 1.0), numbers.normalish(qk, 1.0),
        numbers.normalish({qk[0], valueChannels, qk[2], qk[3]}, 1.0),
        numbers.normalish({2 * qk[2] - 1, qk[1] / heads}, 0.5), numbers.normalish({2 * qk[3] - 1, qk[1] / heads}, 0.5)};
    one.reference = [heads](const std::vector<Values>& inputs) {
        return std::vector<Values>{referenceAttention(inputs, heads)};
    };
    return one;
}

Case nmsCase(const std::string& what, int64_t count, int64_t maxOutputs)
{
    Numbers numbers;
    Case one{"Nms", what, {}, {}, {}, 0, 0};
    one.attributes = {{"iou_threshold", real(0.5)}, {"score_threshold", real(0.25)},
        {"max_outputs", integer(static_cast<double>(maxOutputs))}};
    Values scores{{2, count}, false, {}};
    Values groups{{count}, true, {}};
    for (int64_t i = 0; i < 2 * count; ++i)
    {
        scores.numbers.push_back(std::floor(numbers.between(0, 1) * 32) / 32);  // with many ties
    }
    for (int64_t i = 0; i < count; ++i)
    {
        groups.numbers.push_back(static_cast<double>(i % 3));
    }
    one.inputs = {boxes({2, count, 4}, numbers, 64, 64), scores, groups};
    one.reference = [maxOutputs](const std::vector<Values>& inputs) {
        return referenceNms(inputs, 0.5, 0.25, maxOutputs);
    };
    return one;
}

Case decodeCase(const std::string& what, int64_t size, double radius)
{
    Numbers numbers;
    Case one{"KeypointDecode", what, {}, {}, {}, 1e-3, 1e-3};
    one.attributes = {{"samples_per_cell", integer(4)}, {"score_radius", real(radius)}};
    const int64_t people = 2;
    const int64_t joints = 1;
    Values logits{{people, joints, size, size}, false, {}};
    for (int64_t n = 0; n < people * joints; ++n)
    {
        // A smooth bump off the cell centres, so that one pixel is the largest by a margin.
        const double y = numbers.between(1, static_cast<double>(size) - 2);
        const double x = numbers.between(1, static_cast<double>(size) - 2);
        for (int64_t i = 0; i < size * size; ++i)
        {
            const double apart = std::pow(static_cast<double>(i / size) - y, 2) + std::pow(static_cast<double>(i % size) - x, 2);
            logits.numbers.push_back(8 * std::exp(-apart / 3));
        }
    }
    one.inputs = {logits, boxes({people, 4}, numbers, 40, 60)};
    one.reference = [radius](const std::vector<Values>& inputs) {
        return std::vector<Values>{referenceDecode(inputs, radius)};
    };
    return one;
}

Case empty(Case one, const std::vector<size_t>& inputs)
{
    one.what = "nothing";
    for (const size_t index : inputs)
    {
        one.inputs[index].shape[0] = 0;
        one.inputs[index].numbers.clear();
    }
    return one;
}

}  // namespace

std::vector<Case> allCases()
{
    return {roiAlignCase("four levels, adaptive", {4, 8, 16, 32}, 0, true),
        roiAlignCase("one level, not aligned", {8}, 2, false),
        roiAlignCase("equal strides", {16, 16, 16}, 0, true),
        empty(roiAlignCase("", {4, 8}, 0, true), {0, 1}),
        attentionCase("5x7, two heads", {2, 32, 5, 7}, 32, 2),
        attentionCase("9x8, values of another depth", {1, 32, 9, 8}, 64, 2),
        empty(attentionCase("", {1, 32, 5, 7}, 32, 2), {0, 1, 2}),
        nmsCase("fewer outputs than boxes", 150, 20),
        nmsCase("more outputs than boxes", 30, 64),
        decodeCase("peak score", 16, 0.0),
        decodeCase("score radius", 16, 1.5),
        empty(decodeCase("", 16, 0.0), {0, 1})};
}

FieldSet::FieldSet(const AttributeMap& attributes, bool wide)
{
    for (const auto& [name, attribute] : attributes)
    {
        mNames.push_back(name);
        std::vector<uint8_t> bytes;
        const auto append = [&bytes](auto value) {
            const size_t at = bytes.size();
            bytes.resize(at + sizeof(value));
            std::memcpy(bytes.data() + at, &value, sizeof(value));
        };
        for (const double value : attribute.values)
        {
            if (attribute.real)
            {
                wide ? append(value) : append(static_cast<float>(value));
            }
            else
            {
                wide ? append(static_cast<int64_t>(value)) : append(static_cast<int32_t>(value));
            }
        }
        mData.push_back(std::move(bytes));
    }
    size_t index = 0;
    for (const auto& [name, attribute] : attributes)
    {
        using Type = nvinfer1::PluginFieldType;
        const Type type = attribute.real ? (wide ? Type::kFLOAT64 : Type::kFLOAT32) : (wide ? Type::kINT64 : Type::kINT32);
        mFields.emplace_back(
            mNames[index].c_str(), mData[index].data(), type, static_cast<int32_t>(attribute.values.size()));
        ++index;
    }
    update();
}

void FieldSet::update()
{
    mCollection = {static_cast<int32_t>(mFields.size()), mFields.data()};
}

}  // namespace harness
