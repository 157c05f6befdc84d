// Python's door to the vector index. Every call of some length releases the GIL.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <system_error>

#include "arrays.h"
#include "bindings.h"
#include "index_handle.h"
#include "search_batch.h"
#include "snapshot.h"

namespace nb = nanobind;

namespace weft {
namespace {

IndexHandle make_index(const std::string& metric, uint32_t links, uint32_t ef_construction,
                       uint64_t seed, uint32_t link_min, uint32_t flat_until) {
    IndexSettings settings;
    settings.graph.metric = metric_of(metric);
    settings.graph.links = links;
    settings.graph.ef_construction = ef_construction;
    settings.graph.seed = seed;
    settings.link_min = link_min;
    settings.flat_until = flat_until;
    if (links < 4 || links > 4096) throw std::invalid_argument("links must be in 4..4096");
    if (ef_construction < 4) throw std::invalid_argument("ef_construction must be at least 4");
    return {std::make_shared<VectorIndex>(settings)};
}

void add(IndexHandle& self, const IdArray& docs, const FloatMatrix& rows) {
    if (docs.shape(0) != rows.shape(0))
        throw std::invalid_argument("doc ids and rows differ in number");
    nb::gil_scoped_release free;
    self.index->add(docs.data(), rows.data(), rows.shape(0), rows.shape(1));
}

size_t erase(IndexHandle& self, const IdArray& docs) {
    nb::gil_scoped_release free;
    return self.index->erase(docs.data(), docs.shape(0));
}

nb::object search(const IndexHandle& self, const FloatRow& query, size_t k, size_t ef,
                  const std::optional<WordArray>& allow, const SearchBounds& bounds,
                  float distance_max) {
    SearchRequest request;
    request.query = query.data();
    request.dimensions = query.shape(0);
    request.k = k;
    request.ef = ef;
    request.bounds = bounds;
    request.distance_max = distance_max;
    if (allow) request.allow = AllowWords{allow->data(), allow->shape(0), 0};
    Found found;
    {
        nb::gil_scoped_release free;
        if (request.allow) request.allow->allowed = count_bits(*request.allow);
        found = self.index->search(request);
    }
    return nb::make_tuple(numpy_of(found.docs), numpy_of(found.distances), found.explanation);
}

// All queries in one call: doc ids and distances, a row of equal width each, the number of places
// that are filled in each row, and the explanations.
nb::object search_many(const IndexHandle& self, const FloatMatrix& queries, size_t k, size_t ef,
                       const std::optional<WordArray>& allow, const SearchBounds& bounds,
                       float distance_max, size_t threads) {
    const size_t count = queries.shape(0);
    if (threads == 0) throw std::invalid_argument("a batch needs at least one thread");
    SearchRequest each;
    each.dimensions = queries.shape(1);
    each.k = k;
    each.ef = ef;
    each.bounds = bounds;
    each.distance_max = distance_max;
    if (allow) each.allow = AllowWords{allow->data(), allow->shape(0), 0};
    // A search finds no more than there is; what comes later need not be found.
    const size_t width = std::min(k, self.index->count());
    Owned<uint32_t> docs(count * width);
    Owned<float> distances(count * width);
    Owned<uint32_t> counts(count);
    Explanations explanations{std::vector<Explanation>(count)};
    {
        nb::gil_scoped_release free;
        if (each.allow) each.allow->allowed = count_bits(*each.allow);
        const BatchTables into{width, docs.data(), distances.data(), counts.data(),
                               explanations.items.data()};
        search_batch(*self.index, each, queries.data(), count, threads, into);
    }
    return nb::make_tuple(docs.to_numpy({count, width}), distances.to_numpy({count, width}),
                          counts.to_numpy({count}), std::move(explanations));
}

nb::object distances(const IndexHandle& self, const FloatRow& query, const IdArray& docs) {
    size_t count = docs.shape(0);
    Owned<float> out(count);
    {
        nb::gil_scoped_release free;
        self.index->distances(query.data(), query.shape(0), docs.data(), count, out.data());
    }
    return out.to_numpy({count});
}

nb::object vector(const IndexHandle& self, uint32_t doc) {
    std::vector<float> row;
    if (!self.index->copy_vector(doc, row)) return nb::none();
    return numpy_of(row);
}

void save(IndexHandle& self, const std::string& path) {
    try {
        nb::gil_scoped_release free;
        self.index->save(path);
    } catch (const std::system_error& error) {
        raise_os_error(error, path);
    }
}

nb::object load(IndexHandle& self, const std::string& path, const WordArray& live) {
    std::vector<uint32_t> missing;
    try {
        nb::gil_scoped_release free;
        missing = self.index->load(path, AllowWords{live.data(), live.shape(0), 0});
    } catch (const std::system_error& error) {
        raise_os_error(error, path);
    }
    return numpy_of(missing);
}

void compact(IndexHandle& self, double share) {
    nb::gil_scoped_release free;
    self.index->compact(share);
}

nb::tuple compaction_room(const IndexHandle& self, double share) {
    VectorIndex::CompactionRoom room;
    {
        nb::gil_scoped_release free;
        room = self.index->compaction_room(share);
    }
    return nb::make_tuple(room.memory, room.disk);
}

bool wait_indexed(const IndexHandle& self, double timeout_s) {
    nb::gil_scoped_release free;
    return self.index->wait_indexed(timeout_s);
}

void set_flat_until(IndexHandle& self, uint32_t live) {
    nb::gil_scoped_release free;
    self.index->set_flat_until(live);
}

void close(IndexHandle& self) {
    nb::gil_scoped_release free;
    self.index->close();
}

}  // namespace

IndexHandle::~IndexHandle() {
    // A running slice ends within milliseconds; without the close, the pool would go on linking.
    if (index) index->close();
}

[[noreturn]] void raise_os_error(const std::system_error& error, const std::string& path) {
    errno = error.code().value();
    PyErr_SetFromErrnoWithFilename(PyExc_OSError, path.c_str());
    throw nb::python_error();
}

size_t count_bits(const AllowWords& allow) {
    size_t count = 0;
    for (size_t at = 0; at < allow.word_count; ++at) count += std::popcount(allow.words[at]);
    return count;
}

// Whoever asks a closed index anything gets the engine's own error: readers that are overtaken by a
// drop (chores, metrics) need not know what is native.
void bind_closed_error(nb::module_& m) {
    nb::object closed = nb::module_::import_("weftdb.core.errors").attr("Closed");
    m.attr("ClosedError") = closed;
    nb::register_exception_translator(
        [](const std::exception_ptr& thrown, void* type) {
            try {
                std::rethrow_exception(thrown);
            } catch (const ClosedError& error) {
                PyErr_SetString(static_cast<PyObject*>(type), error.what());
            }
        },
        closed.release().ptr());
}

void bind_vector_index(nb::module_& m) {
    nb::exception<DimensionError>(m, "DimensionError", PyExc_ValueError);
    nb::exception<SnapshotError>(m, "SnapshotError", PyExc_ValueError);
    bind_closed_error(m);
    nb::class_<IndexHandle>(m, "VectorIndex")
        .def("add", &add, nb::arg("doc_ids"), nb::arg("rows"))
        .def("erase", &erase, nb::arg("doc_ids"))
        .def("search", &search, nb::arg("query"), nb::arg("k"), nb::arg("ef"),
             nb::arg("allow").none(), nb::arg("bounds"), nb::arg("distance_max"))
        .def("search_many", &search_many, nb::arg("queries"), nb::arg("k"), nb::arg("ef"),
             nb::arg("allow").none(), nb::arg("bounds"), nb::arg("distance_max"),
             nb::arg("threads") = 1)
        .def("distances", &distances, nb::arg("query"), nb::arg("doc_ids"))
        .def("vector", &vector, nb::arg("doc_id"))
        .def("wait_indexed", &wait_indexed, nb::arg("timeout_s"))
        .def("save", &save, nb::arg("path"))
        .def("load", &load, nb::arg("path"), nb::arg("live"))
        .def("compact", &compact, nb::arg("share"))
        .def("compaction_room", &compaction_room, nb::arg("share"))
        .def(
            "set_own_compaction_max",
            [](IndexHandle& self, size_t bytes) { self.index->set_own_compaction_max(bytes); },
            nb::arg("bytes"))
        .def("close", &close)
        .def("set_flat_until", &set_flat_until, nb::arg("live"))
        .def_prop_ro("flat_until", [](const IndexHandle& self) { return self.index->flat_until(); })
        .def_prop_ro("dimensions", [](const IndexHandle& self) { return self.index->dimensions(); })
        .def_prop_ro("count", [](const IndexHandle& self) { return self.index->count(); })
        .def_prop_ro("deleted", [](const IndexHandle& self) { return self.index->deleted(); })
        .def_prop_ro("compactions",
                     [](const IndexHandle& self) { return self.index->compactions(); })
        .def_prop_ro("log_bytes", [](const IndexHandle& self) { return self.index->log_bytes(); })
        .def_prop_ro("link_fault", [](const IndexHandle& self) { return self.index->link_fault(); })
        .def("retry_links", [](IndexHandle& self) { self.index->retry_links(); })
        .def_prop_ro("log_fault", [](const IndexHandle& self) { return self.index->log_fault(); })
        .def_prop_ro("docs_end", [](const IndexHandle& self) { return self.index->docs_end(); })
        .def_prop_ro("pending", [](const IndexHandle& self) { return self.index->pending(); })
        .def_prop_ro("compaction_bytes",
                     [](const IndexHandle& self) {
                         const auto bytes = self.index->compaction_bytes();
                         return nb::make_tuple(bytes.held, bytes.coming);
                     })
        .def_prop_ro("memory_bytes",
                     [](const IndexHandle& self) { return self.index->memory_bytes(); });
    m.def("make_vector_index", &make_index, nb::arg("metric"), nb::arg("links"),
          nb::arg("ef_construction"), nb::arg("seed"), nb::arg("link_min"),
          nb::arg("flat_until") = 0);
    m.def(
        "set_link_threads", [](size_t threads) { LinkPool::shared().resize(threads); },
        nb::arg("threads"), "Size the pool that links vectors, for the whole process.");
    m.def(
        "set_link_niceness", [](int niceness) { LinkPool::shared().set_niceness(niceness); },
        nb::arg("niceness"), "Priority of linking threads that start from now on.");
}

}  // namespace weft
