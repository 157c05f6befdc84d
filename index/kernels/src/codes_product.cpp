// ProductCodes: cutting, tables, and how centroids are found.
#include "codes_product.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>

namespace weft {
namespace {

constexpr size_t kCentroidsMax = 256;  // a number is a byte
constexpr size_t kEncodedAtOnce = 64;  // vectors: their segments and the centroids stay close
constexpr size_t kRounds = 10;
constexpr size_t kMovedShare = 512;  // fewer points than one in so many move: the rounds end
// Sample vectors a centroid that k-means looks at; more do not move the centroids.
constexpr size_t kPointsPerCentroid = 96;

uint32_t words_for(uint32_t segments) {
    return (segments + 15) / 16 * 4;
}

// Axis by axis instead of centroid by centroid.
std::vector<float> turned_over(const float* centroids, size_t count, size_t width) {
    std::vector<float> out(count * width);
    for (size_t number = 0; number < count; ++number)
        for (size_t axis = 0; axis < width; ++axis)
            out[axis * count + number] = centroids[number * width + axis];
    return out;
}

// The value below which a share of the normal distribution lies (Acklam's rational functions,
// relative error below 1.2e-9).
double normal_quantile(double share) {
    static const double a[] = {-39.69683028665376, 220.9460984245205,  -275.9285104469687,
                               138.3577518672690,  -30.66479806614716, 2.506628277459239};
    static const double b[] = {-54.47609879822406, 161.5858368580409, -155.6989798598866,
                               66.80131188771972, -13.28068155288572};
    static const double c[] = {-0.007784894002430293, -0.3223964580411365, -2.400758277161838,
                               -2.549732539343734,    4.374664141464968,   2.938163982698783};
    static const double d[] = {0.007784695709041462, 0.3224671290700398, 2.445134137142996,
                               3.754408661907416};
    constexpr double kLow = 0.02425;
    if (share < kLow || share > 1 - kLow) {
        double q = std::sqrt(-2 * std::log(share < kLow ? share : 1 - share));
        double value = (((((c[0] * q + c[1]) * q + c[2]) * q + c[3]) * q + c[4]) * q + c[5]) /
                       ((((d[0] * q + d[1]) * q + d[2]) * q + d[3]) * q + 1);
        return share < kLow ? value : -value;
    }
    double q = share - 0.5;
    double r = q * q;
    return (((((a[0] * r + a[1]) * r + a[2]) * r + a[3]) * r + a[4]) * r + a[5]) * q /
           (((((b[0] * r + b[1]) * r + b[2]) * r + b[3]) * r + b[4]) * r + 1);
}

}  // namespace

uint32_t ProductCodes::segments_for(const CodeSettings& settings, uint32_t dimensions) {
    if (settings.centroids < 1 || settings.centroids > kCentroidsMax)
        throw std::invalid_argument("PQ centroids must be between 1 and 256");
    if (settings.tile) {
        if (settings.segments != 0 && settings.segments != dimensions)
            throw std::invalid_argument(
                "the tile encoder of PQ needs as many segments as dimensions");
        return dimensions;
    }
    if (settings.segments == 0) {
        for (uint32_t width : {4u, 3u, 2u, 5u})
            if (dimensions % width == 0) return dimensions / width;
        return dimensions;
    }
    if (dimensions % settings.segments != 0)
        throw std::invalid_argument(
            "PQ segments must divide the vector's length: " + std::to_string(settings.segments) +
            " do not divide " + std::to_string(dimensions));
    return settings.segments;
}

ProductCodes::ProductCodes(const CodeSettings& settings, Metric metric, uint32_t dimensions,
                           std::vector<float> learned, const CodeSums& sums)
    : Codes(settings, metric, dimensions, words_for(segments_for(settings, dimensions))),
      segments_(segments_for(settings, dimensions)),
      width_(dimensions / segments_),
      centroids_(std::move(learned)),
      sums_(&sums) {
    if (centroids_.size() != size_t(dimensions) * settings.centroids)
        throw std::invalid_argument("product codes with these settings have other centroids");
    const size_t cells = size_t(settings.centroids) * width_;
    for (size_t segment = 0; segment < segments_; ++segment) {
        std::vector<float> part =
            turned_over(centroids_.data() + segment * cells, settings.centroids, width_);
        by_axis_.insert(by_axis_.end(), part.begin(), part.end());
    }
}

size_t ProductCodes::memory_bytes() const {
    return sizeof(ProductCodes) + 2 * centroids_.size() * sizeof(float);
}

bool ProductCodes::accepts(const float* code) const {
    const uint8_t* numbers = reinterpret_cast<const uint8_t*>(code);
    return settings().centroids == kCentroidsMax ||
           std::all_of(numbers, numbers + segments_,
                       [this](uint8_t number) { return number < settings().centroids; });
}

void ProductCodes::encode(const float* row, float* code, CodeQuestion& spare) const {
    encode_many(&row, &code, 1, spare);
}

void ProductCodes::encode_many(const float* const* rows, float* const* codes, size_t count,
                               CodeQuestion&) const {
    uint32_t nearest[kEncodedAtOnce];
    for (size_t done = 0; done < count; done += kEncodedAtOnce) {
        const size_t size = std::min(kEncodedAtOnce, count - done);
        float* const* block = codes + done;
        for (size_t at = 0; at < size; ++at) std::fill(block[at], block[at] + words(), 0.0f);
        for (size_t segment = 0; segment < segments_; ++segment) {
            sums_->nearest(rows + done, size, segment * width_, axes(segment), settings().centroids,
                           width_, nearest);
            for (size_t at = 0; at < size; ++at)
                reinterpret_cast<uint8_t*>(block[at])[segment] = uint8_t(nearest[at]);
        }
    }
}

void ProductCodes::ask(const float* query, CodeQuestion& out) const {
    const size_t count = settings().centroids;
    out.is_code = false;
    out.values.resize(segments_ * count);
    auto fill = metric() == Metric::l2_squared ? sums_->squares : sums_->products;
    for (size_t segment = 0; segment < segments_; ++segment)
        fill(query + segment * width_, axes(segment), count, width_,
             out.values.data() + segment * count);
}

void ProductCodes::decode(const float* code, float* out) const {
    const uint8_t* numbers = reinterpret_cast<const uint8_t*>(code);
    for (size_t segment = 0; segment < segments_; ++segment) {
        const float* centre = centroid(segment, numbers[segment]);
        std::copy(centre, centre + width_, out + segment * width_);
    }
}

void ProductCodes::ask_code(const float* code, CodeQuestion& out) const {
    // A table would cost more than the few measurements that are made from a node.
    out.is_code = true;
    out.values.resize(2 * size_t(dimensions()));
    decode(code, out.values.data());
}

void ProductCodes::many(const CodeQuestion& question, const float* const* codes, size_t count,
                        float* out) const {
    if (question.is_code) {
        const Distance& distance = distance_for(metric());
        std::vector<float> row(dimensions());
        for (size_t at = 0; at < count; ++at) {
            decode(codes[at], row.data());
            out[at] = distance.one(question.values.data(), row.data(), dimensions());
        }
        return;
    }
    sums_->tables(question.values.data(), settings().centroids, codes, count, segments_, out);
    if (metric() == Metric::cosine)
        for (size_t at = 0; at < count; ++at) out[at] += 1.0f;
}

ProductTraining::ProductTraining(const CodeSettings& settings, uint32_t dimensions,
                                 std::vector<float> rows)
    : settings_(settings),
      dimensions_(dimensions),
      segments_(ProductCodes::segments_for(settings, dimensions)),
      rows_(std::move(rows)) {
    learned.resize(size_t(dimensions) * settings.centroids);
}

size_t ProductTraining::points_for(const CodeSettings& settings) {
    return kPointsPerCentroid * settings.centroids;
}

void ProductTraining::step(size_t segment) {
    const size_t width = dimensions_ / segments_;
    const size_t count = rows_.size() / dimensions_;
    // Rows are a random sample, but in order: take them at even distances.
    const size_t taken = settings_.tile ? count : std::min(count, points_for(settings_));
    std::vector<float> points(taken * width);
    for (size_t at = 0; at < taken; ++at) {
        const float* row = rows_.data() + at * count / taken * dimensions_ + segment * width;
        std::copy(row, row + width, points.data() + at * width);
    }
    float* centroids = learned.data() + segment * settings_.centroids * width;
    if (settings_.tile)
        find_tiles(points, centroids);
    else
        find_means(points, centroids);
}

// Lloyd's rounds from points at even distances in the sample, until hardly a point changes its
// centroid. A centroid that nobody is nearest to takes over half of the largest group.
void ProductTraining::find_means(const std::vector<float>& points, float* centroids) const {
    const size_t width = dimensions_ / segments_;
    const size_t count = points.size() / width;
    const size_t wanted = settings_.centroids;
    if (count == 0) return;
    for (size_t number = 0; number < wanted; ++number) {
        const float* point = points.data() + number * count / wanted * width;
        std::copy(point, point + width, centroids + number * width);
    }
    if (count <= wanted) return;
    const CodeSums& kernel = code_sums_for(simds_of_this_cpu().front());
    std::vector<const float*> places(count);
    for (size_t at = 0; at < count; ++at) places[at] = points.data() + at * width;
    std::vector<uint32_t> groups(count, 0);
    std::vector<uint32_t> before;
    for (size_t round = 0; round < kRounds; ++round) {
        const std::vector<float> by_axis = turned_over(centroids, wanted, width);
        before = groups;
        kernel.nearest(places.data(), count, 0, by_axis.data(), wanted, width, groups.data());
        move_centroids(points, groups, centroids);
        size_t moved = 0;
        for (size_t at = 0; at < count; ++at) moved += groups[at] != before[at] ? 1 : 0;
        if (moved <= count / kMovedShare) break;
    }
}

// Puts every centroid in the middle of its group of points.
void ProductTraining::move_centroids(const std::vector<float>& points,
                                     const std::vector<uint32_t>& groups, float* centroids) const {
    const size_t width = dimensions_ / segments_;
    const size_t wanted = settings_.centroids;
    std::vector<double> sums(wanted * width);
    std::vector<size_t> sizes(wanted);
    for (size_t at = 0; at < groups.size(); ++at) {
        const float* point = points.data() + at * width;
        double* sum = sums.data() + groups[at] * width;
        ++sizes[groups[at]];
        for (size_t axis = 0; axis < width; ++axis) sum[axis] += double(point[axis]);
    }
    for (size_t number = 0; number < wanted; ++number)
        for (size_t axis = 0; axis < width && sizes[number] > 0; ++axis)
            centroids[number * width + axis] =
                float(sums[number * width + axis] / double(sizes[number]));
    for (size_t number = 0; number < wanted; ++number) {
        if (sizes[number] > 0) continue;
        size_t largest = size_t(std::max_element(sizes.begin(), sizes.end()) - sizes.begin());
        for (size_t axis = 0; axis < width; ++axis) {
            float centre = centroids[largest * width + axis];
            centroids[number * width + axis] = centre + 1e-4f * (std::fabs(centre) + 1e-6f);
        }
        sizes[number] = sizes[largest] / 2;
        sizes[largest] -= sizes[number];
    }
}

void ProductTraining::find_tiles(const std::vector<float>& points, float* centroids) const {
    const size_t count = points.size();
    if (count == 0) return;
    // The log-normal distribution begins at the least value of the sample.
    const float least = *std::min_element(points.begin(), points.end());
    const double origin = double(least) - 1e-6 * (1.0 + std::fabs(double(least)));
    auto before = [&](float value) {
        return settings_.log_normal ? std::log(double(value) - origin) : double(value);
    };
    double mean = 0;
    for (float value : points) mean += before(value) / double(count);
    double variance = 0;
    for (float value : points) {
        double gap = before(value) - mean;
        variance += gap * gap / double(count);
    }
    for (size_t number = 0; number < settings_.centroids; ++number) {
        double share = (double(number) + 0.5) / double(settings_.centroids);
        double value = mean + std::sqrt(variance) * normal_quantile(share);
        centroids[number] = float(settings_.log_normal ? std::exp(value) + origin : value);
    }
}

}  // namespace weft
