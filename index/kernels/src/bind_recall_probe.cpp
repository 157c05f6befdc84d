// Python's door to recall probes.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/vector.h>

#include "arrays.h"
#include "bindings.h"
#include "index_handle.h"
#include "recall_probe.h"

namespace nb = nanobind;

namespace weft {
namespace {

struct ProbeHandle {
    std::shared_ptr<RecallProbe> probe;
};

ProbeHandle start_probe(const IndexHandle& index, const FloatMatrix& queries, size_t k,
                        std::vector<uint32_t> efs) {
    if (k == 0) throw std::invalid_argument("k must be at least 1");
    auto probe = std::make_shared<RecallProbe>(index.index, queries.data(), queries.shape(0),
                                               queries.shape(1), k, std::move(efs));
    probe->start();
    return {std::move(probe)};
}

// (recalls by ef, queries, seconds, slices), or None while it runs.
nb::object result(const ProbeHandle& self) {
    const std::optional<ProbeResult> found = self.probe->result();
    if (!found) return nb::none();
    nb::list recalls;
    for (double recall : found->recalls) recalls.append(recall);
    return nb::make_tuple(recalls, found->queries, found->seconds, found->slices);
}

}  // namespace

void bind_recall_probe(nb::module_& m) {
    nb::class_<ProbeHandle>(m, "RecallProbe").def("result", &result);
    m.def("start_recall_probe", &start_probe, nb::arg("index"), nb::arg("queries"), nb::arg("k"),
          nb::arg("efs"));
}

}  // namespace weft
