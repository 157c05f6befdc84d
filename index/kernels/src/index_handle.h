// IndexHandle: what a Python object holds of a vector index. Native threads hold the index itself,
// never the handle, so they need no GIL to let go of it.
#pragma once

#include <memory>
#include <string>
#include <system_error>
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

// Raises Python's OSError with its number, so that a full disk can be told from the rest.
[[noreturn]] void raise_os_error(const std::system_error& error, const std::string& path);

}  // namespace weft
