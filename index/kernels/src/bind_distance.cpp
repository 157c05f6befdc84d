// Python's door to the distances: whole arrays in and out, the GIL released meanwhile.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <optional>
#include <stdexcept>

#include "arrays.h"
#include "bindings.h"
#include "checksum.h"
#include "distance.h"

namespace nb = nanobind;

namespace weft {
namespace {

const Distance& chosen(const std::string& metric, const std::optional<std::string>& simd) {
    if (!simd) return distance_for(metric_of(metric));
    for (Simd candidate : simds_of_this_cpu())
        if (*simd == name_of(candidate)) return distance_for(metric_of(metric), candidate);
    throw std::invalid_argument("this CPU does not have " + *simd);
}

// float[queries, rows]. The rows of a block stay in cache while all queries pass over them.
nb::object distance_matrix(const FloatMatrix& queries, const FloatMatrix& rows,
                           const std::string& metric, const std::optional<std::string>& simd) {
    const Distance& distance = chosen(metric, simd);
    size_t dimensions = rows.shape(1);
    if (queries.shape(1) != dimensions)
        throw std::invalid_argument("queries and rows differ in their dimensions");
    size_t query_count = queries.shape(0);
    size_t row_count = rows.shape(0);
    Owned<float> out(query_count * row_count);
    {
        nb::gil_scoped_release free;
        constexpr size_t kBlock = 64;
        const float* block[kBlock];
        for (size_t first = 0; first < row_count; first += kBlock) {
            size_t count = std::min(kBlock, row_count - first);
            for (size_t at = 0; at < count; ++at)
                block[at] = rows.data() + (first + at) * dimensions;
            for (size_t query = 0; query < query_count; ++query)
                distance.many(queries.data() + query * dimensions, block, count, dimensions,
                              out.data() + query * row_count + first);
        }
    }
    return out.to_numpy({query_count, row_count});
}

nb::object normalised(const FloatMatrix& rows) {
    size_t count = rows.shape(0);
    size_t dimensions = rows.shape(1);
    Owned<float> out(count * dimensions);
    {
        nb::gil_scoped_release free;
        for (size_t at = 0; at < count; ++at)
            normalise(rows.data() + at * dimensions, dimensions, out.data() + at * dimensions);
    }
    return out.to_numpy({count, dimensions});
}

std::vector<std::string> simd_names() {
    std::vector<std::string> names;
    for (Simd simd : simds_of_this_cpu()) names.emplace_back(name_of(simd));
    return names;
}

}  // namespace

void bind_distance(nb::module_& m) {
    m.def("distance_matrix", &distance_matrix, nb::arg("queries"), nb::arg("rows"),
          nb::arg("metric"), nb::arg("simd") = nb::none(),
          "Distances of every query to every row, float32[queries, rows].");
    m.def("normalised", &normalised, nb::arg("rows"),
          "Copies with length one; zero vectors stay zero.");
    m.def(
        "checksum", [](nb::bytes bytes) { return checksum(bytes.data(), bytes.size()); },
        nb::arg("bytes"), "XXH64 with seed 0.");
    m.def("simd_names", &simd_names, "Instruction sets of this CPU, best first.");
}

}  // namespace weft
