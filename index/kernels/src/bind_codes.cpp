// Python's door to quantizers: settings, the codes of an index, and codes by themselves for tests.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>

#include <cstring>
#include <stdexcept>

#include "arrays.h"
#include "bindings.h"
#include "codes.h"
#include "index_handle.h"

namespace nb = nanobind;

namespace weft {
namespace {

using ByteMatrix = nb::ndarray<const uint8_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

CodeKind kind_of(const std::string& name) {
    if (name == "rq") return CodeKind::rotational;
    if (name == "sq") return CodeKind::scalar;
    if (name == "bq") return CodeKind::binary;
    if (name == "pq") return CodeKind::product;
    throw std::invalid_argument("unknown quantizer: " + name);
}

void init_settings(CodeSettings* self, const std::string& kind, uint32_t bits, uint32_t segments,
                   uint32_t centroids, bool tile, bool log_normal, uint64_t training_limit,
                   int64_t rescore_limit) {
    new (self) CodeSettings{kind_of(kind), bits,       segments,       centroids,
                            tile,          log_normal, training_limit, rescore_limit};
}

// Codes of one kind, outside any index.
struct CodesHandle {
    std::shared_ptr<const Codes> codes;

    size_t code_bytes() const { return codes->words() * sizeof(float); }
};

CodesHandle make_codes(const CodeSettings& settings, const std::string& metric,
                       const FloatMatrix& rows, const std::optional<std::string>& simd) {
    Simd chosen = simds_of_this_cpu().front();
    if (simd) {
        chosen = Simd::portable;
        for (Simd candidate : simds_of_this_cpu())
            if (*simd == name_of(candidate)) chosen = candidate;
        if (*simd != name_of(chosen))
            throw std::invalid_argument("this CPU does not have " + *simd);
    }
    uint32_t dimensions = uint32_t(rows.shape(1));
    std::vector<float> sample(rows.data(), rows.data() + rows.shape(0) * dimensions);
    nb::gil_scoped_release free;
    Metric space = metric_of(metric);
    auto training = CodeTraining::begin(settings, space, dimensions, std::move(sample));
    for (size_t step = 0; step < training->steps(); ++step) training->step(step);
    return {Codes::restore(settings, space, dimensions, std::move(training->learned), chosen)};
}

void check_dimensions(const CodesHandle& self, size_t given) {
    if (given != self.codes->dimensions())
        throw std::invalid_argument("the vectors have other dimensions than the codes");
}

nb::object encode(const CodesHandle& self, const FloatMatrix& rows) {
    check_dimensions(self, rows.shape(1));
    const size_t count = rows.shape(0);
    const size_t words = self.codes->words();
    Owned<uint8_t> out(count * self.code_bytes());
    {
        nb::gil_scoped_release free;
        CodeQuestion spare;
        std::vector<float> code(words);
        for (size_t at = 0; at < count; ++at) {
            self.codes->encode(rows.data() + at * rows.shape(1), code.data(), spare);
            std::memcpy(out.data() + at * self.code_bytes(), code.data(), self.code_bytes());
        }
    }
    return out.to_numpy({count, self.code_bytes()});
}

nb::object measure(const CodesHandle& self, const CodeQuestion& question, const ByteMatrix& codes) {
    if (codes.shape(1) != self.code_bytes())
        throw std::invalid_argument("the codes have another length");
    const size_t count = codes.shape(0);
    Owned<float> out(count);
    {
        nb::gil_scoped_release free;
        const size_t words = self.codes->words();
        std::vector<float> table(count * words);
        std::memcpy(table.data(), codes.data(), count * self.code_bytes());
        std::vector<const float*> rows(count);
        for (size_t at = 0; at < count; ++at) rows[at] = table.data() + at * words;
        self.codes->many(question, rows.data(), count, out.data());
    }
    return out.to_numpy({count});
}

nb::object distances(const CodesHandle& self, const FloatRow& query, const ByteMatrix& codes) {
    check_dimensions(self, query.shape(0));
    CodeQuestion question;
    self.codes->ask(query.data(), question);
    return measure(self, question, codes);
}

nb::object distances_of_code(const CodesHandle& self, const ByteMatrix& code,
                             const ByteMatrix& codes) {
    if (code.shape(0) != 1 || code.shape(1) != self.code_bytes())
        throw std::invalid_argument("one code of this kind is needed");
    std::vector<float> row(self.codes->words());
    std::memcpy(row.data(), code.data(), self.code_bytes());
    CodeQuestion question;
    self.codes->ask_code(row.data(), question);
    return measure(self, question, codes);
}

}  // namespace

void bind_codes(nb::module_& m) {
    nb::class_<CodeSettings>(m, "CodeSettings")
        .def("__init__", &init_settings, nb::arg("kind"), nb::arg("bits"), nb::arg("segments"),
             nb::arg("centroids"), nb::arg("tile"), nb::arg("log_normal"),
             nb::arg("training_limit"), nb::arg("rescore_limit"));
    nb::class_<CodesHandle>(m, "Codes")
        .def("encode", &encode, nb::arg("rows"))
        .def("distances", &distances, nb::arg("query"), nb::arg("codes"))
        .def("distances_of_code", &distances_of_code, nb::arg("code"), nb::arg("codes"))
        .def_prop_ro("code_bytes", &CodesHandle::code_bytes)
        .def_prop_ro("learned",
                     [](const CodesHandle& self) { return numpy_of(self.codes->learned()); });
    m.def("make_codes", &make_codes, nb::arg("settings"), nb::arg("metric"), nb::arg("rows"),
          nb::arg("simd").none());
    m.def(
        "set_codes",
        [](IndexHandle& self, const std::optional<CodeSettings>& settings) {
            nb::gil_scoped_release free;
            self.index->set_codes(settings);
        },
        nb::arg("index"), nb::arg("settings").none(),
        "Ask for codes of a kind, or for none; they are made in the background.");
    m.def(
        "set_row_directory",
        [](IndexHandle& self, const std::string& directory) {
            nb::gil_scoped_release free;
            self.index->set_row_directory(directory);
        },
        nb::arg("index"), nb::arg("directory"),
        "Where vectors lie while codes stand for them; nothing: in memory.");
    m.def(
        "code_bytes_of",
        [](const IndexHandle& self) -> size_t {
            std::shared_ptr<const Codes> codes = self.index->codes();
            return codes == nullptr ? 0 : codes->words() * sizeof(float);
        },
        nb::arg("index"), "Bytes of a code that searches use now; 0 where they use none.");
    m.def(
        "code_file_fault_of", [](const IndexHandle& self) { return self.index->code_file_fault(); },
        nb::arg("index"), "What was wrong with the code file when it was loaded, or nothing.");
    m.def(
        "unsaved_codes_of",
        [](const IndexHandle& self) {
            nb::gil_scoped_release free;
            return self.index->unsaved_codes();
        },
        nb::arg("index"), "Codes that were made since the last save, for another kind or graph.");
    m.def(
        "codes_fault_of", [](const IndexHandle& self) { return self.index->codes_fault(); },
        nb::arg("index"), "Why codes that were asked for could not be made, or nothing.");
}

}  // namespace weft
