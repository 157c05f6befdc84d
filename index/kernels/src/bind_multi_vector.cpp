// Python's door to the multi-vector index and to MaxSim. Every call of some length releases the
// GIL.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>

#include <memory>
#include <tuple>

#include "arrays.h"
#include "bindings.h"
#include "index_handle.h"
#include "multi_vector_index.h"

namespace nb = nanobind;

namespace weft {
namespace {

Simd chosen(const std::optional<std::string>& name) {
    std::vector<Simd> known = simds_of_this_cpu();
    if (!name) return known.front();
    for (Simd simd : known)
        if (*name == name_of(simd)) return simd;
    throw std::invalid_argument("this CPU does not have " + *name);
}

// float[docs]; `counts` says how many of the rows, one after the other, are each doc's.
nb::object max_sim(const FloatMatrix& query, const FloatMatrix& rows, const IdArray& counts,
                   const std::optional<std::string>& simd) {
    if (query.shape(1) != rows.shape(1))
        throw std::invalid_argument("query and rows differ in their dimensions");
    if (query.shape(0) == 0) throw std::invalid_argument("the query has no rows");
    size_t total = 0;
    for (size_t at = 0; at < counts.shape(0); ++at) {
        if (counts.data()[at] == 0) throw std::invalid_argument("a doc has no rows");
        total += counts.data()[at];
    }
    if (total != rows.shape(0)) throw std::invalid_argument("the counts do not add up to the rows");
    size_t docs = counts.shape(0);
    size_t dimensions = rows.shape(1);
    Simd kind = chosen(simd);
    Owned<float> out(docs);
    {
        nb::gil_scoped_release free;
        MaxSimQuery packed(query.data(), query.shape(0), dimensions, kind);
        const float* first = rows.data();
        for (size_t at = 0; at < docs; ++at) {
            out.data()[at] = packed.distance(first, counts.data()[at]);
            first += counts.data()[at] * dimensions;
        }
    }
    return out.to_numpy({docs});
}

// `muvera` is (ksim, dprojections, repetitions).
std::shared_ptr<MultiVectorIndex> make_index(
    const std::string& metric, uint32_t links, uint32_t ef_construction,
    const std::optional<std::tuple<uint32_t, uint32_t, uint32_t>>& muvera,
    size_t candidate_docs_min, uint64_t owner) {
    MultiVectorSettings settings;
    settings.metric = metric_of(metric);
    settings.graph.graph.links = links;
    settings.graph.graph.ef_construction = ef_construction;
    settings.candidate_docs_min = candidate_docs_min;
    settings.graph.graph.seed = owner;
    if (muvera) settings.muvera = std::make_from_tuple<MuveraSettings>(*muvera);
    return std::make_shared<MultiVectorIndex>(settings);
}

Route route_of(const std::string& name) {
    if (name == "cheapest") return Route::cheapest;
    if (name == "exact") return Route::exact;
    if (name == "candidates") return Route::candidates;
    throw std::invalid_argument("unknown route: " + name);
}

// float[1, dimensions] of a doc or a query, for the tests.
nb::object encoded(const FloatMatrix& rows, const std::tuple<uint32_t, uint32_t, uint32_t>& muvera,
                   bool is_query) {
    if (rows.shape(0) == 0) throw std::invalid_argument("a matrix without rows");
    Muvera encoder(std::make_from_tuple<MuveraSettings>(muvera), rows.shape(1));
    Owned<float> out(encoder.dimensions());
    if (is_query)
        encoder.encode_query(rows.data(), rows.shape(0), out.data());
    else
        encoder.encode_doc(rows.data(), rows.shape(0), out.data());
    return out.to_numpy({encoder.dimensions()});
}

void add(MultiVectorIndex& self, const IdArray& docs, const FloatMatrix& rows) {
    if (docs.shape(0) != rows.shape(0))
        throw std::invalid_argument("doc ids and rows differ in number");
    nb::gil_scoped_release free;
    self.add(docs.data(), rows.data(), rows.shape(0), rows.shape(1));
}

size_t erase(MultiVectorIndex& self, const IdArray& docs) {
    nb::gil_scoped_release free;
    return self.erase(docs.data(), docs.shape(0));
}

nb::object search(const MultiVectorIndex& self, const FloatMatrix& query, size_t k, size_t ef,
                  bool is_ef_fixed, const std::optional<WordArray>& allow,
                  const SearchBounds& bounds, float distance_max, double recall,
                  const std::string& route) {
    MultiVectorRequest request;
    request.query = query.data();
    request.rows = query.shape(0);
    request.dimensions = query.shape(1);
    request.k = k;
    request.ef = ef;
    request.is_ef_fixed = is_ef_fixed;
    request.bounds = bounds;
    request.distance_max = distance_max;
    request.recall = recall;
    request.route = route_of(route);
    if (allow) request.allow = AllowWords{allow->data(), allow->shape(0), 0};
    MultiVectorFound found;
    {
        nb::gil_scoped_release free;
        if (request.allow) request.allow->allowed = count_bits(*request.allow);
        found = self.search(request);
    }
    return nb::make_tuple(numpy_of(found.docs), numpy_of(found.distances), found.explanation);
}

// The name of the graph's file, empty where there is none.
std::string save(MultiVectorIndex& self, const std::string& path) {
    try {
        nb::gil_scoped_release free;
        return self.save(path);
    } catch (const std::system_error& error) {
        raise_os_error(error, path);
    }
}

// The live docs that the files lack.
nb::object load(MultiVectorIndex& self, const std::string& path, const WordArray& live) {
    std::vector<uint32_t> missing;
    try {
        nb::gil_scoped_release free;
        missing = self.load(path, AllowWords{live.data(), live.shape(0), 0});
    } catch (const std::system_error& error) {
        raise_os_error(error, path);
    }
    return numpy_of(missing);
}

void bind_explanation(nb::module_& m) {
    using Said = MultiVectorExplanation;
    nb::class_<Said>(m, "MultiVectorExplanation")
        .def_ro("plan", &Said::plan)
        .def_ro("reason", &Said::reason)
        .def_ro("overrides", &Said::overrides)
        .def_ro("gave_up", &Said::gave_up)
        .def_ro("ef", &Said::ef)
        .def_ro("walks", &Said::walks)
        .def_ro("visited", &Said::visited)
        .def_ro("candidates", &Said::candidates)
        .def_ro("distances", &Said::measured)
        .def_ro("expected_recall", &Said::recall);
}

nb::object distances(const MultiVectorIndex& self, const FloatMatrix& query, const IdArray& docs) {
    size_t count = docs.shape(0);
    Owned<float> out(count);
    {
        nb::gil_scoped_release free;
        self.distances(query.data(), query.shape(0), query.shape(1), docs.data(), count,
                       out.data());
    }
    return out.to_numpy({count});
}

nb::tuple compaction_room(const MultiVectorIndex& self, double share) {
    VectorIndex::CompactionRoom room;
    {
        nb::gil_scoped_release free;
        room = self.compaction_room(share);
    }
    return nb::make_tuple(room.memory, room.disk);
}

}  // namespace

void bind_multi_vector(nb::module_& m) {
    bind_explanation(m);
    m.def("max_sim", &max_sim, nb::arg("query"), nb::arg("rows"), nb::arg("counts"),
          nb::arg("simd") = nb::none(),
          "MaxSim distances of a query to docs whose rows follow one another, float32[docs].");
    m.def("muvera_encoded", &encoded, nb::arg("rows"), nb::arg("muvera"), nb::arg("is_query"),
          "Fixed dimensional encoding of a doc's or a query's rows, float32[dimensions].");
    nb::class_<MultiVectorIndex>(m, "MultiVectorIndex")
        .def(nb::new_(&make_index), nb::arg("metric"), nb::arg("links"), nb::arg("ef_construction"),
             nb::arg("muvera").none(), nb::arg("candidate_docs_min"), nb::arg("owner") = 0)
        .def("add", &add, nb::arg("doc_ids"), nb::arg("rows"))
        .def("erase", &erase, nb::arg("doc_ids"))
        .def("search", &search, nb::arg("query"), nb::arg("k"), nb::arg("ef"),
             nb::arg("is_ef_fixed"), nb::arg("allow").none(), nb::arg("bounds"),
             nb::arg("distance_max"), nb::arg("recall"), nb::arg("route") = "cheapest")
        .def("distances", &distances, nb::arg("query"), nb::arg("doc_ids"))
        .def("set_codes", &MultiVectorIndex::set_codes, nb::arg("settings").none(),
             nb::call_guard<nb::gil_scoped_release>())
        .def_prop_ro("codes_fault", &MultiVectorIndex::codes_fault)
        .def("set_row_directory", &MultiVectorIndex::set_row_directory, nb::arg("directory"),
             nb::call_guard<nb::gil_scoped_release>())
        .def("save", &save, nb::arg("path"))
        .def("load", &load, nb::arg("path"), nb::arg("live"))
        .def("compact", &MultiVectorIndex::compact, nb::arg("share"),
             nb::call_guard<nb::gil_scoped_release>())
        .def("compaction_room", &compaction_room, nb::arg("share"))
        .def("set_own_compaction_max", &MultiVectorIndex::set_own_compaction_max, nb::arg("bytes"),
             nb::call_guard<nb::gil_scoped_release>())
        .def_prop_ro("compaction_bytes",
                     [](const MultiVectorIndex& self) {
                         const auto bytes = self.compaction_bytes();
                         return nb::make_tuple(bytes.held, bytes.coming);
                     })
        .def_prop_ro("code_bytes", &MultiVectorIndex::code_bytes)
        .def_prop_ro("code_file_fault", &MultiVectorIndex::code_file_fault)
        .def_prop_ro("unsaved_codes",
                     [](const MultiVectorIndex& self) {
                         nb::gil_scoped_release free;
                         return self.unsaved_codes();
                     })
        .def_prop_ro("docs_end", &MultiVectorIndex::docs_end)
        .def_prop_ro("load_fault", &MultiVectorIndex::load_fault)
        .def_prop_ro("deleted", &MultiVectorIndex::deleted)
        .def_prop_ro("compactions", &MultiVectorIndex::compactions)
        .def_prop_ro("log_bytes", &MultiVectorIndex::log_bytes)
        .def_prop_ro("link_fault", &MultiVectorIndex::link_fault)
        .def("retry_links", &MultiVectorIndex::retry_links)
        .def("wait_indexed", &MultiVectorIndex::wait_indexed, nb::arg("timeout_s"),
             nb::call_guard<nb::gil_scoped_release>())
        .def("close", &MultiVectorIndex::close, nb::call_guard<nb::gil_scoped_release>())
        .def_prop_ro("dimensions", &MultiVectorIndex::dimensions)
        .def_prop_ro("count", &MultiVectorIndex::count)
        .def_prop_ro("row_count", &MultiVectorIndex::row_count)
        .def_prop_ro("pending", &MultiVectorIndex::pending)
        .def_prop_ro("memory_bytes", &MultiVectorIndex::memory_bytes);
}

}  // namespace weft
