// Sketches for tests: what rows promise a query, on each instruction set.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <limits>
#include <stdexcept>

#include "arrays.h"
#include "bindings.h"
#include "sketches.h"

namespace nb = nanobind;

namespace weft {
namespace {

Simd simd_named(const std::string& name) {
    for (Simd simd : simds_of_this_cpu())
        if (name == name_of(simd)) return simd;
    throw std::invalid_argument("this CPU does not have " + name);
}

nb::object promises_of(const std::string& metric, const FloatRow& mean, const FloatMatrix& rows,
                       const FloatRow& query, const FloatRow& distances, const std::string& simd) {
    const size_t count = rows.shape(0);
    const size_t dimensions = rows.shape(1);
    if (!Sketches::has(metric_of(metric), uint32_t(dimensions)))
        throw std::invalid_argument("there are no sketches of such vectors");
    if (count % kSketchRun != 0 || mean.shape(0) != dimensions || query.shape(0) != dimensions ||
        distances.shape(0) != count)
        throw std::invalid_argument("rows come in runs of 64, all of the same dimensions");
    Sketches sketches(metric_of(metric), std::vector<float>(mean.data(), mean.data() + dimensions),
                      uint32_t(count), simd_named(simd));
    for (size_t first = 0; first < count; first += kSketchRun) {
        const float* run[kSketchRun];
        uint32_t docs[kSketchRun];
        for (size_t at = 0; at < kSketchRun; ++at) {
            run[at] = rows.data() + (first + at) * dimensions;
            docs[at] = uint32_t(first + at);
        }
        sketches.append_run(run, docs);
    }
    SketchQuestion question;
    if (!sketches.ask(query.data(), question))
        throw std::invalid_argument("the values of the query are too large");
    std::vector<uint32_t> slots(count + 16);
    Owned<float> out(3 * count + 16);
    for (size_t first = 0; first < count; first += kSketchRun)
        sketches.promise_run(question, uint32_t(first), ~uint64_t{0},
                             -std::numeric_limits<float>::infinity(), slots.data() + first,
                             out.data() + first);
    sketches.promise_finely(question, slots.data(), count, out.data() + count);
    for (size_t at = 0; at < count; ++at)
        out.data()[2 * count + at] = sketches.bar_of(question, distances.data()[at]);
    return out.to_numpy({3, count});
}

// What passes a bar: places told, and numbers moved to the front.
nb::tuple passing(const FloatRow& promises, float least, const std::string& simd) {
    constexpr size_t kSpare = 16;
    const size_t count = promises.shape(0);
    const SketchSums& sums = sketch_sums_for(simd_named(simd));
    std::vector<uint32_t> places(count + kSpare);
    places.resize(sums.not_below(promises.data(), count, least, places.data()));
    std::vector<float> left(promises.data(), promises.data() + count);
    std::vector<uint32_t> numbers(count + kSpare);
    left.resize(count + kSpare);
    for (size_t at = 0; at < count; ++at) numbers[at] = uint32_t(at);
    const size_t kept = sums.drop_below(left.data(), numbers.data(), count, least);
    numbers.resize(kept);
    left.resize(kept);
    return nb::make_tuple(places, numbers, left);
}

}  // namespace

void bind_sketches(nb::module_& m) {
    m.def("promises_of", &promises_of, nb::arg("metric"), nb::arg("mean"), nb::arg("rows"),
          nb::arg("query"), nb::arg("distances"), nb::arg("simd"),
          "float32[3, rows]: coarse promises, fine promises, and what has to be promised for each "
          "of the distances.");
    m.def("promises_passing", &passing, nb::arg("promises"), nb::arg("least"), nb::arg("simd"),
          "The places of promises not below `least`; the same, and those promises, moved to the "
          "front.");
}

}  // namespace weft
