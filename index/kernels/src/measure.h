// Measure: what a walk compares: the rows of one table, vectors or codes, with one question.
//
// Chosen once a search or a link. The choice costs one branch for each list of neighbours, which
// is foreseen, so a walk over vectors is as fast as one that knows nothing of codes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "chunks.h"
#include "codes.h"
#include "distance.h"
#include "prefetch.h"

namespace weft {

// The codes of all slots of a graph, by slot.
struct CodeTable {
    explicit CodeTable(std::shared_ptr<const Codes> made)
        : codes(std::move(made)), rows(codes->words()) {}

    std::shared_ptr<const Codes> codes;
    Chunks<float> rows;
    size_t learned_from = 0;  // vectors there were when it learned; set before it is shared
};

class Measure {
  public:
    // Vectors of `dimensions`, `stride` floats apart.
    Measure(const Chunks<float>& rows, uint32_t stride, const Distance& distance,
            uint32_t dimensions, const float* query)
        : rows_(&rows),
          stride_(stride),
          dimensions_(dimensions),
          distance_(&distance),
          query_(query) {}
    Measure(const CodeTable& table, const CodeQuestion& question)
        : rows_(&table.rows),
          stride_(table.codes->words()),
          codes_(table.codes.get()),
          question_(&question) {}

    const float* row(uint32_t slot) const { return rows_->row(slot); }
    uint32_t stride() const { return stride_; }  // floats from one row to the next
    void prefetch(const float* row) const { prefetch_row(row, stride_); }
    bool is_exact() const { return codes_ == nullptr; }
    // The vector that rows are compared with; null where it is a question to codes.
    const float* query() const { return query_; }

    void many(const float* const* rows, size_t count, float* out) const {
        if (codes_ == nullptr)
            distance_->many(query_, rows, count, dimensions_, out);
        else
            codes_->many(*question_, rows, count, out);
    }

    float one(const float* row) const {
        if (codes_ == nullptr) return distance_->one(query_, row, dimensions_);
        float out;
        codes_->many(*question_, &row, 1, &out);
        return out;
    }

  private:
    const Chunks<float>* rows_;
    uint32_t stride_;
    uint32_t dimensions_ = 0;
    const Distance* distance_ = nullptr;
    const float* query_ = nullptr;
    const Codes* codes_ = nullptr;
    const CodeQuestion* question_ = nullptr;
};

}  // namespace weft
