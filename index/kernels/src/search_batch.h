// SearchBatch: many queries for one index, answered on a few threads into tables of one row a
// query.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "vector_index.h"

namespace weft {

// How each search of a batch went; Python reads single ones out of it.
struct Explanations {
    std::vector<Explanation> items;
};

// Where the answers go: `width` places a query, of which its count says how many are filled.
struct BatchTables {
    size_t width = 0;
    uint32_t* docs = nullptr;
    float* distances = nullptr;
    uint32_t* counts = nullptr;
    Explanation* explanations = nullptr;  // one a query
};

// Searches for each of `count` rows of `queries`; `each` says what they have in common. The calling
// thread is one of `threads`. Places that are not filled hold kNoSlot and infinity. Raises what a
// search raises; the tables are worth nothing then.
void search_batch(const VectorIndex& index, const SearchRequest& each, const float* queries,
                  size_t count, size_t threads, const BatchTables& into);

}  // namespace weft
