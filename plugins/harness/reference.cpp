// SPDX-License-Identifier: Apache-2.0

#include "harness/reference.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace harness
{
namespace
{

/// One map of a feature, read with borders repeated for one cell and zero beyond.
double bilinear(const double* map, int64_t height, int64_t width, double y, double x)
{
    if (y < -1 || y > static_cast<double>(height) || x < -1 || x > static_cast<double>(width))
    {
        return 0;
    }
    y = std::clamp(y, 0.0, static_cast<double>(height - 1));
    x = std::clamp(x, 0.0, static_cast<double>(width - 1));
    const auto top = static_cast<int64_t>(y);
    const auto left = static_cast<int64_t>(x);
    const int64_t bottom = std::min(top + 1, height - 1);
    const int64_t right = std::min(left + 1, width - 1);
    const double down = y - static_cast<double>(top);
    const double across = x - static_cast<double>(left);
    return (1 - down) * ((1 - across) * map[top * width + left] + across * map[top * width + right])
        + down * ((1 - across) * map[bottom * width + left] + across * map[bottom * width + right]);
}

size_t levelOf(const double* roi, const RoiAlignOptions& options)
{
    const double area = std::max(roi[2] - roi[0], 0.0) * std::max(roi[3] - roi[1], 0.0);
    const double ratio = std::sqrt(area) / options.canonicalSize + 1e-8;
    size_t level = 0;
    for (size_t i = 1; i < options.strides.size(); ++i)
    {
        const double threshold = static_cast<double>(options.strides[i]) / std::pow(2.0, options.canonicalLevel);
        level += ratio >= threshold ? 1 : 0;
    }
    return level;
}

double pooledBin(const double* map, const Shape& shape, const double* corner, const double* bin, int64_t samplesY,
    int64_t samplesX)
{
    double sum = 0;
    for (int64_t i = 0; i < samplesY; ++i)
    {
        for (int64_t j = 0; j < samplesX; ++j)
        {
            const double y = corner[0] + bin[0] * (static_cast<double>(i) + 0.5) / static_cast<double>(samplesY);
            const double x = corner[1] + bin[1] * (static_cast<double>(j) + 0.5) / static_cast<double>(samplesX);
            sum += bilinear(map, shape[2], shape[3], y, x);
        }
    }
    return sum / static_cast<double>(std::max<int64_t>(samplesY * samplesX, 1));
}

double cubic(double distance)
{
    const double x = std::fabs(distance);
    if (x >= 2)
    {
        return 0;
    }
    return x <= 1 ? (1.25 * x - 2.25) * x * x + 1 : ((x - 5) * x + 8) * x * -0.75 + 3;
}

double bicubic(const double* map, int64_t size, double y, double x)
{
    double sum = 0;
    for (auto row = static_cast<int64_t>(std::floor(y)) - 1; row <= std::floor(y) + 2; ++row)
    {
        for (auto column = static_cast<int64_t>(std::floor(x)) - 1; column <= std::floor(x) + 2; ++column)
        {
            const int64_t r = std::clamp<int64_t>(row, 0, size - 1);
            const int64_t c = std::clamp<int64_t>(column, 0, size - 1);
            sum += map[r * size + c] * cubic(y - static_cast<double>(row)) * cubic(x - static_cast<double>(column));
        }
    }
    return sum;
}

double overlap(const double* a, const double* b)
{
    const double width = std::max(std::min(a[2], b[2]) - std::max(a[0], b[0]), 0.0);
    const double height = std::max(std::min(a[3], b[3]) - std::max(a[1], b[1]), 0.0);
    const double both = width * height;
    const double either = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both;
    return either > 0 ? both / either : 0;
}

}  // namespace

Values referenceRoiAlign(const std::vector<Values>& inputs, const RoiAlignOptions& options)
{
    const int64_t count = inputs[0].shape[0];
    const int64_t channels = inputs[2].shape[1];
    const int64_t size = options.outputSize;
    Values out{{count, channels, size, size}, false, {}};
    for (int64_t n = 0; n < count; ++n)
    {
        const double* roi = inputs[0].numbers.data() + 4 * n;
        const size_t level = levelOf(roi, options);
        const Values& feature = inputs[2 + level];
        const auto stride = static_cast<double>(options.strides[level]);
        const double shift = options.aligned ? 0.5 : 0.0;
        double extent[2] = {(roi[3] - roi[1]) / stride, (roi[2] - roi[0]) / stride};
        for (double& side : extent)
        {
            side = options.aligned ? side : std::max(side, 1.0);
        }
        const double bin[2] = {extent[0] / static_cast<double>(size), extent[1] / static_cast<double>(size)};
        const int64_t samples[2]
            = {options.samplingRatio > 0 ? options.samplingRatio : static_cast<int64_t>(std::ceil(bin[0])),
                options.samplingRatio > 0 ? options.samplingRatio : static_cast<int64_t>(std::ceil(bin[1]))};
        const auto image = static_cast<int64_t>(inputs[1].numbers[static_cast<size_t>(n)]);
        const int64_t cells = feature.shape[2] * feature.shape[3];
        for (int64_t at = 0; at < channels * size * size; ++at)
        {
            const double* map = feature.numbers.data() + (image * channels + at / (size * size)) * cells;
            const double corner[2] = {roi[1] / stride - shift + bin[0] * static_cast<double>(at / size % size),
                roi[0] / stride - shift + bin[1] * static_cast<double>(at % size)};
            out.numbers.push_back(pooledBin(map, feature.shape, corner, bin, samples[0], samples[1]));
        }
    }
    return out;
}

Values referenceAttention(const std::vector<Values>& inputs, int64_t heads)
{
    const Shape& shape = inputs[0].shape;
    const int64_t height = shape[2];
    const int64_t width = shape[3];
    const int64_t cells = height * width;
    const int64_t depth = shape[1] / heads;
    const int64_t valueDepth = inputs[2].shape[1] / heads;
    Values out{inputs[2].shape, false, std::vector<double>(inputs[2].numbers.size())};
    std::vector<double> weights(static_cast<size_t>(cells));
    for (int64_t row = 0; row < shape[0] * heads * cells; ++row)
    {
        const int64_t query = row % cells;
        const int64_t head = row / cells;  // of all maps
        const double* q = inputs[0].numbers.data() + head * depth * cells + query;
        const double* k = inputs[1].numbers.data() + head * depth * cells;
        for (int64_t key = 0; key < cells; ++key)
        {
            const double* down = inputs[3].numbers.data() + (key / width - query / width + height - 1) * depth;
            const double* across = inputs[4].numbers.data() + (key % width - query % width + width - 1) * depth;
            double logit = 0;
            for (int64_t d = 0; d < depth; ++d)
            {
                logit += q[d * cells] * (k[d * cells + key] + down[d] + across[d]);
            }
            weights[static_cast<size_t>(key)] = logit / std::sqrt(static_cast<double>(depth));
        }
        const double largest = *std::max_element(weights.begin(), weights.end());
        double total = 0;
        for (double& weight : weights)
        {
            weight = std::exp(weight - largest);
            total += weight;
        }
        for (int64_t d = 0; d < valueDepth; ++d)
        {
            const double* v = inputs[2].numbers.data() + (head * valueDepth + d) * cells;
            const double sum = std::inner_product(weights.begin(), weights.end(), v, 0.0);
            out.numbers[static_cast<size_t>((head * valueDepth + d) * cells + query)] = sum / total;
        }
    }
    return out;
}

std::vector<Values> referenceNms(
    const std::vector<Values>& inputs, double iouThreshold, double scoreThreshold, int64_t maxOutputs)
{
    const int64_t batch = inputs[1].shape[0];
    const int64_t count = inputs[1].shape[1];
    Values indices{{batch, maxOutputs}, true, std::vector<double>(static_cast<size_t>(batch * maxOutputs), 0.0)};
    Values counts{{batch}, true, {}};
    for (int64_t b = 0; b < batch; ++b)
    {
        const double* boxes = inputs[0].numbers.data() + b * count * 4;
        const double* scores = inputs[1].numbers.data() + b * count;
        std::vector<int64_t> order(static_cast<size_t>(count));
        std::iota(order.begin(), order.end(), 0);
        std::stable_sort(order.begin(), order.end(), [&](int64_t i, int64_t j) { return scores[i] > scores[j]; });
        std::vector<int64_t> kept;
        for (const int64_t candidate : order)
        {
            bool keep = scores[candidate] > scoreThreshold;
            for (const int64_t other : kept)
            {
                const bool same = inputs[2].numbers[static_cast<size_t>(candidate)]
                    == inputs[2].numbers[static_cast<size_t>(other)];
                keep = keep && !(same && overlap(boxes + 4 * candidate, boxes + 4 * other) > iouThreshold);
            }
            if (keep)
            {
                kept.push_back(candidate);
            }
        }
        kept.resize(std::min(kept.size(), static_cast<size_t>(maxOutputs)));
        for (size_t i = 0; i < kept.size(); ++i)
        {
            indices.numbers[static_cast<size_t>(b * maxOutputs) + i] = static_cast<double>(kept[i]);
        }
        counts.numbers.push_back(static_cast<double>(kept.size()));
    }
    return {indices, counts};
}

Values referenceDecode(const std::vector<Values>& inputs, double scoreRadius)
{
    const Shape& shape = inputs[0].shape;
    const int64_t size = shape[2];
    Values out{{shape[0], shape[1], 3}, false, {}};
    for (int64_t n = 0; n < shape[0] * shape[1]; ++n)
    {
        const double* map = inputs[0].numbers.data() + n * size * size;
        const double* box = inputs[1].numbers.data() + n / shape[1] * 4;
        const double extent[2] = {std::max(box[3] - box[1], 1.0), std::max(box[2] - box[0], 1.0)};
        const double pixels[2] = {std::ceil(extent[0]), std::ceil(extent[1])};
        const auto cellOf = [&](int axis, double pixel) {
            return (pixel + 0.5) * static_cast<double>(size) / pixels[axis] - 0.5;
        };
        double best[3] = {0, 0, -std::numeric_limits<double>::infinity()};
        for (double y = 0; y < pixels[0]; ++y)
        {
            for (double x = 0; x < pixels[1]; ++x)
            {
                const double value = bicubic(map, size, cellOf(0, y), cellOf(1, x));
                if (value > best[2])
                {
                    best[0] = y;
                    best[1] = x;
                    best[2] = value;
                }
            }
        }
        double total = 0;
        double near = 0;
        for (int64_t i = 0; i < size * size; ++i)
        {
            const double mass = std::exp(map[i] - best[2]);
            const double apartY = std::fabs(cellOf(0, best[0]) - static_cast<double>(i / size));
            const double apartX = std::fabs(cellOf(1, best[1]) - static_cast<double>(i % size));
            total += mass;
            near += mass * std::clamp(scoreRadius + 0.5 - apartY, 0.0, 1.0)
                * std::clamp(scoreRadius + 0.5 - apartX, 0.0, 1.0);
        }
        out.numbers.push_back(box[0] + (best[1] + 0.5) * extent[1] / pixels[1]);
        out.numbers.push_back(box[1] + (best[0] + 0.5) * extent[0] / pixels[0]);
        out.numbers.push_back((scoreRadius > 0 ? near : 1.0) / total);
    }
    return out;
}

}  // namespace harness
