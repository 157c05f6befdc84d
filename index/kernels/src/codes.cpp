// Codes: the choice of the kind, and what every kind checks.
#include "codes.h"

#include <algorithm>
#include <stdexcept>

#include "codes_affine.h"
#include "codes_product.h"

namespace weft {

bool CodeSettings::makes_same_codes(const CodeSettings& other) const {
    if (kind != other.kind) return false;
    switch (kind) {
        case CodeKind::rotational: return bits == other.bits;
        case CodeKind::scalar: return training_limit == other.training_limit;
        case CodeKind::binary: return true;
        case CodeKind::product: break;
    }
    return segments == other.segments && centroids == other.centroids && tile == other.tile &&
           log_normal == other.log_normal && training_limit == other.training_limit;
}

size_t CodeSettings::sample_count() const {
    if (!is_trained()) return 0;
    if (kind == CodeKind::product && !tile)
        return std::min<uint64_t>(training_limit, ProductTraining::points_for(*this));
    return training_limit;
}

void Codes::encode_many(const float* const* rows, float* const* codes, size_t count,
                        CodeQuestion& spare) const {
    for (size_t at = 0; at < count; ++at) encode(rows[at], codes[at], spare);
}

void check_codes(const CodeSettings& settings, Metric metric, uint32_t dimensions) {
    if (metric == Metric::manhattan || metric == Metric::hamming)
        throw std::invalid_argument(
            "quantizers measure products and squares: they do not work with the distances "
            "manhattan and hamming");
    if (settings.kind == CodeKind::rotational && settings.bits != 8 && settings.bits != 4 &&
        settings.bits != 1)
        throw std::invalid_argument("RQ bits must be 8, 4 or 1");
    if (settings.is_trained() && settings.training_limit == 0)
        throw std::invalid_argument("trainingLimit must be positive");
    if (settings.kind == CodeKind::product && dimensions > 0)
        ProductCodes::segments_for(settings, dimensions);
}

std::shared_ptr<const Codes> Codes::restore(const CodeSettings& settings, Metric metric,
                                            uint32_t dimensions, std::vector<float> learned,
                                            Simd simd) {
    check_codes(settings, metric, dimensions);
    if (!is_finite(learned.data(), learned.size()))
        throw std::invalid_argument("what the codes have learned is not finite");
    if (settings.kind == CodeKind::product)
        return std::make_shared<ProductCodes>(settings, metric, dimensions, std::move(learned),
                                              code_sums_for(simd));
    return std::make_shared<AffineCodes>(settings, metric, dimensions, learned,
                                         code_sums_for(simd));
}

std::unique_ptr<CodeTraining> CodeTraining::begin(const CodeSettings& settings, Metric metric,
                                                  uint32_t dimensions, std::vector<float> rows) {
    check_codes(settings, metric, dimensions);
    if (settings.kind == CodeKind::product)
        return std::make_unique<ProductTraining>(settings, dimensions, std::move(rows));
    if (settings.kind == CodeKind::scalar) return std::make_unique<ScalarTraining>(std::move(rows));
    return std::make_unique<CodeTraining>();
}

}  // namespace weft
