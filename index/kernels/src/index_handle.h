// IndexHandle: what a Python object holds of a vector index. Native threads hold the index itself,
// never the handle, so they need no GIL to let go of it.
#pragma once

#include <memory>
#include <utility>

#include "vector_index.h"

namespace weft {

struct IndexHandle {
    std::shared_ptr<VectorIndex> index;

    IndexHandle(std::shared_ptr<VectorIndex> held) : index(std::move(held)) {}
    IndexHandle(IndexHandle&&) = default;
    ~IndexHandle();
};

size_t count_bits(const AllowWords& allow);

}  // namespace weft
