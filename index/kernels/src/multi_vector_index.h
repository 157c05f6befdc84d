// MultiVectorIndex: one multi-vector space of one shard; a doc is a matrix of rows (ColBERT).
//
// The distance is MaxSim (max_sim.h), whatever the metric; with cosine, the rows of a query are
// scaled to length one first and those of docs are taken as they are, as the reference does. The
// rows of all docs lie in one table (token_rows.h) and every returned distance is computed from
// them. Memory of deleted docs is given back by copying the live ones into a new table, once more
// is dead than alive: each deleted row pays for one copied row.
//
// Concurrency: writers take turns behind one mutex. Searches hold the table they began with; the
// only lock they touch guards the copy of that pointer.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "max_sim.h"
#include "token_rows.h"
#include "vector_index.h"

namespace weft {

struct MultiVectorRequest {
    const float* query = nullptr;  // [rows][dimensions]
    size_t rows = 0;
    size_t dimensions = 0;
    size_t k = 0;
    std::optional<AllowWords> allow;
    float distance_max = std::numeric_limits<float>::infinity();
};

class MultiVectorIndex {
  public:
    explicit MultiVectorIndex(Metric metric) : metric_(metric) {}

    // `docs` has one id a row: ascending, all new, the rows of a doc one after the other. Raises
    // DimensionError or std::invalid_argument before any change.
    void add(const uint32_t* docs, const float* rows, size_t count, size_t dimensions);
    size_t erase(const uint32_t* docs, size_t count);
    Found search(const MultiVectorRequest& request) const;
    void distances(const float* query, size_t rows, size_t dimensions, const uint32_t* docs,
                   size_t count, float* out) const;
    size_t dimensions() const;  // 0 while there are no docs
    size_t count() const;       // docs
    size_t row_count() const;
    size_t memory_bytes() const;
    void close();

  private:
    std::shared_ptr<TokenRows> table() const;
    void set_table(std::shared_ptr<TokenRows> table);
    void check_new(const TokenRows* table, const uint32_t* docs, const float* rows, size_t count,
                   size_t dimensions) const;
    MaxSimQuery prepared_query(const TokenRows& table, const float* query, size_t rows,
                               size_t dimensions) const;

    const Metric metric_;
    mutable std::mutex table_mutex_;
    std::shared_ptr<TokenRows> table_;  // null while there are no docs
    bool closed_ = false;
    std::mutex writer_mutex_;
};

}  // namespace weft
