// Python's door to the inverted index: batches of texts in, blocks and doc ids out.
#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <optional>

#include "arrays.h"
#include "bindings.h"
#include "postings_builder.h"
#include "postings_roaring.h"
#include "postings_side.h"
#include "segment_merge.h"

namespace nb = nanobind;

namespace weft {
namespace {

constexpr uint32_t kNotCut = UINT32_MAX;  // NOT_CUT of index/analysis.py

std::string_view view_of(const nb::bytes& bytes) {
    return {bytes.c_str(), bytes.size()};
}

nb::bytes bytes_of(const std::string& bytes) {
    return nb::bytes(bytes.data(), bytes.size());
}

nb::list list_of(const std::vector<std::string>& items) {
    nb::list out;
    for (const std::string& item : items) out.append(bytes_of(item));
    return out;
}

DocBits bits_of(const std::optional<nb::bytes>& roaring) {
    DocBits bits;
    if (roaring) add_roaring(view_of(*roaring), bits);
    return bits;
}

std::string_view utf8_of(nb::handle text) {
    Py_ssize_t size = 0;
    const char* bytes = PyUnicode_AsUTF8AndSize(text.ptr(), &size);
    if (bytes == nullptr) throw nb::python_error();
    return {bytes, static_cast<size_t>(size)};
}

void check_pairs(const std::vector<uint32_t>& doc_ids, size_t count) {
    if (doc_ids.size() != count) throw std::invalid_argument("doc_ids and values differ in length");
}

void add_values(DeltaBuilder& builder, const nb::bytes& field, const std::vector<uint32_t>& doc_ids,
                const nb::list& values) {
    check_pairs(doc_ids, values.size());
    FieldTerms& terms = builder.filterable(view_of(field));
    for (size_t at = 0; at < doc_ids.size(); ++at) {
        nb::handle value = values[at];
        if (!PyBytes_Check(value.ptr())) throw nb::type_error("values must be bytes");
        terms.start(doc_ids[at]);
        terms.add(
            {PyBytes_AS_STRING(value.ptr()), static_cast<size_t>(PyBytes_GET_SIZE(value.ptr()))});
    }
}

void add_terms(DeltaBuilder& builder, const nb::bytes& field, const std::vector<uint32_t>& doc_ids,
               const nb::list& terms_of_docs, bool searchable) {
    check_pairs(doc_ids, terms_of_docs.size());
    FieldTerms& terms =
        searchable ? builder.searchable(view_of(field)) : builder.filterable(view_of(field));
    for (size_t at = 0; at < doc_ids.size(); ++at) {
        terms.start(doc_ids[at]);
        for (nb::handle term : nb::cast<nb::list>(terms_of_docs[at]))
            terms.add(PyBytes_Check(term.ptr()) ? view_of(nb::borrow<nb::bytes>(term))
                                                : utf8_of(term));
    }
}

// Terms of each text; kNotCut where it is not plain ASCII or very long, which Python then cuts.
nb::object add_text(DeltaBuilder& builder, const nb::bytes& field, int tokenization,
                    const std::vector<uint32_t>& doc_ids, const nb::list& texts, bool searchable) {
    check_pairs(doc_ids, texts.size());
    if (tokenization < 0 || tokenization > 4) throw std::invalid_argument("unknown tokenization");
    // The tuple holds the texts while the GIL is given up.
    nb::tuple held = nb::steal<nb::tuple>(PyList_AsTuple(texts.ptr()));
    std::vector<std::string_view> views(doc_ids.size());
    for (size_t at = 0; at < views.size(); ++at) {
        PyObject* text = PyTuple_GET_ITEM(held.ptr(), static_cast<Py_ssize_t>(at));
        if (!PyUnicode_Check(text)) throw nb::type_error("texts must be str");
        if (PyUnicode_IS_COMPACT_ASCII(text))
            views[at] = {reinterpret_cast<const char*>(PyUnicode_1BYTE_DATA(text)),
                         static_cast<size_t>(PyUnicode_GET_LENGTH(text))};
    }
    Owned<uint32_t> counts(views.size());
    FieldTerms& terms =
        searchable ? builder.searchable(view_of(field)) : builder.filterable(view_of(field));
    {
        nb::gil_scoped_release free;
        std::string scratch;
        for (size_t at = 0; at < views.size(); ++at) {
            uint32_t& count = counts.data()[at];
            count = kNotCut;
            if (views[at].data() == nullptr || views[at].size() > kValueBytesMax) continue;
            if (!is_plain_ascii(views[at])) continue;
            count = 0;
            terms.start(doc_ids[at]);
            cut_text(static_cast<Tokenization>(tokenization), views[at], scratch,
                     [&](std::string_view term) {
                         terms.add(term);
                         ++count;
                     });
        }
    }
    return counts.to_numpy({views.size()});
}

nb::object numbers_of(const std::vector<uint32_t>& numbers) {
    Owned<uint32_t> out(numbers.size());
    std::copy(numbers.begin(), numbers.end(), out.data());
    return out.to_numpy({numbers.size()});
}

nb::object lengths_of(const DeltaBuilder& builder, const nb::bytes& field) {
    const FieldTerms* terms = builder.find_searchable(view_of(field));
    static const std::vector<uint32_t> kNone;
    return nb::make_tuple(numbers_of(terms ? terms->docs() : kNone),
                          numbers_of(terms ? terms->lengths() : kNone));
}

void bind_builder(nb::module_& m) {
    nb::class_<DeltaBuilder>(m, "DeltaBuilder", "Collects one write batch for the inverted index.")
        .def(nb::init<>())
        .def("add_values", &add_values, nb::arg("field"), nb::arg("doc_ids"), nb::arg("values"))
        .def("add_terms", &add_terms, nb::arg("field"), nb::arg("doc_ids"), nb::arg("terms"),
             nb::kw_only(), nb::arg("searchable") = true)
        .def("add_text", &add_text, nb::arg("field"), nb::arg("tokenization"), nb::arg("doc_ids"),
             nb::arg("texts"), nb::kw_only(), nb::arg("searchable") = true)
        .def("lengths", &lengths_of, nb::arg("field"))
        .def("searchable_fields",
             [](const DeltaBuilder& builder) { return list_of(builder.searchable_fields()); })
        .def("finish", [](DeltaBuilder& builder) {
            std::pair<std::string, std::string> deltas;
            {
                nb::gil_scoped_release free;
                deltas = builder.finish();
            }
            return nb::make_tuple(bytes_of(deltas.first), bytes_of(deltas.second));
        });
}

nb::list merge_blocks(const nb::list& segments, bool scored, const std::optional<nb::bytes>& dead) {
    std::vector<std::vector<std::string_view>> inputs;
    for (nb::handle segment : segments) {
        auto& blocks = inputs.emplace_back();
        for (nb::handle block : nb::cast<nb::list>(segment))
            blocks.push_back(view_of(nb::cast<nb::bytes>(block)));
    }
    std::vector<std::string> out;
    DocBits bits = bits_of(dead);
    {
        nb::gil_scoped_release free;
        std::vector<std::unique_ptr<PostingSource>> sources;
        for (const auto& blocks : inputs) sources.push_back(source_of_blocks(blocks, scored));
        SegmentWriter writer(SegmentWriter::Shape::segment, scored);
        merge_postings(sources, bits, writer);
        out = writer.finish();
    }
    return list_of(out);
}

void bind_side(nb::module_& m) {
    nb::class_<TermCache>(m, "TermCache", "Decoded postings, kept below a number of bytes.")
        .def(nb::init<size_t>(), nb::arg("bytes_max"))
        .def_prop_ro("bytes", &TermCache::bytes)
        .def_prop_ro("bytes_max", &TermCache::bytes_max)
        .def_prop_ro("hits", &TermCache::hits)
        .def_prop_ro("misses", &TermCache::misses);
    nb::class_<PostingSide>(m, "PostingSide", "One side of one shard's inverted index.")
        .def(nb::init<bool, std::shared_ptr<TermCache>>(), nb::arg("scored"), nb::arg("cache"))
        .def("load_segments", &PostingSide::load_segments, nb::arg("numbers"))
        .def(
            "publish",
            [](PostingSide& side, uint32_t first_doc, const nb::bytes& delta) {
                std::string_view bytes = view_of(delta);
                nb::gil_scoped_release free;
                side.publish(first_doc, bytes);
            },
            nb::arg("first_doc"), nb::arg("delta"))
        .def(
            "seal",
            [](PostingSide& side, const std::optional<nb::bytes>& dead) {
                Sealed sealed;
                DocBits bits = bits_of(dead);
                {
                    nb::gil_scoped_release free;
                    sealed = side.seal(bits);
                }
                return nb::make_tuple(list_of(sealed.blocks), sealed.deltas);
            },
            nb::arg("dead").none())
        .def("install_sealed", &PostingSide::install_sealed, nb::arg("segment"))
        .def("abandon", &PostingSide::abandon)
        .def("install_merged", &PostingSide::install_merged, nb::arg("merged"), nb::arg("segment"))
        .def_prop_ro("delta_count", &PostingSide::delta_count)
        .def_prop_ro("delta_postings", &PostingSide::delta_postings)
        .def_prop_ro("bytes", &PostingSide::bytes);
    m.def("merge_blocks", &merge_blocks, nb::arg("segments"), nb::arg("scored"),
          nb::arg("dead").none(), "The blocks of several segments as those of one.");
}

template <class Reader>
void feed(Reader& reader, uint32_t segment, uint32_t block, const nb::bytes& bytes) {
    std::string_view view = view_of(bytes);
    nb::gil_scoped_release free;
    reader.feed(segment, block, view);
}

std::unique_ptr<RangeScan> range_scan(std::shared_ptr<PostingSide> side, const nb::bytes& field,
                                      const std::optional<nb::bytes>& low,
                                      const std::optional<nb::bytes>& high, bool low_inclusive,
                                      bool high_inclusive, const nb::bytes& prefix, bool values) {
    RangeScan::Bounds bounds;
    bounds.prefix = key_of(view_of(field), view_of(prefix));
    if (low) bounds.low = key_of(view_of(field), view_of(*low));
    if (high) bounds.high = key_of(view_of(field), view_of(*high));
    bounds.is_low_inclusive = low_inclusive;
    bounds.is_high_inclusive = high_inclusive;
    nb::gil_scoped_release free;
    return std::make_unique<RangeScan>(std::move(side), std::move(bounds),
                                       values ? RangeScan::Mode::values : RangeScan::Mode::docs,
                                       2 + field.size());
}

std::unique_ptr<RangeScan> count_scan(std::shared_ptr<PostingSide> side, const nb::bytes& field,
                                      const WordArray& counted) {
    RangeScan::Bounds bounds;
    bounds.prefix = key_of(view_of(field), std::string_view());
    std::vector<uint64_t> words(counted.data(), counted.data() + counted.shape(0));
    nb::gil_scoped_release free;
    return std::make_unique<RangeScan>(std::move(side), std::move(bounds), RangeScan::Mode::counts,
                                       2 + field.size(), std::move(words));
}

// The values one behind the other, which takes that they have the same length.
nb::tuple counts_of(RangeScan& scan) {
    std::string joined;
    std::vector<uint64_t> counts;
    {
        nb::gil_scoped_release free;
        for (const auto& [value, count] : scan.counts()) {
            if (!counts.empty() && joined.size() != value.size() * counts.size())
                throw Damaged("values of a field differ in length");
            joined += value;
            counts.push_back(count);
        }
    }
    return nb::make_tuple(bytes_of(joined), numpy_of(counts));
}

void bind_readers(nb::module_& m) {
    nb::class_<Lookup>(m, "Lookup", "Postings of given values of one field.")
        .def(
            "__init__",
            [](Lookup* self, std::shared_ptr<PostingSide> side, const nb::bytes& field,
               const nb::list& values) {
                std::vector<std::string> keys;
                for (nb::handle value : values)
                    keys.push_back(key_of(view_of(field), view_of(nb::cast<nb::bytes>(value))));
                new (self) Lookup(std::move(side), std::move(keys));
            },
            nb::arg("side"), nb::arg("field"), nb::arg("values"))
        .def("missing", &Lookup::missing)
        .def("feed", &feed<Lookup>, nb::arg("segment"), nb::arg("block"), nb::arg("bytes"))
        .def(
            "docs",
            [](const Lookup& lookup) {
                std::vector<std::string> parts;
                for (size_t key = 0; key < lookup.key_count(); ++key)
                    for (std::string& part : lookup.roaring(key)) parts.push_back(std::move(part));
                return list_of(parts);
            },
            "Roaring bytes whose union is the docs of all values.");
    nb::class_<RangeScan>(m, "RangeScan", "Docs or values of a range of one field.")
        .def(nb::new_(&range_scan), nb::arg("side"), nb::arg("field"), nb::arg("low").none(),
             nb::arg("high").none(), nb::kw_only(), nb::arg("low_inclusive") = true,
             nb::arg("high_inclusive") = true, nb::arg("prefix") = nb::bytes("", 0),
             nb::arg("values") = false)
        .def("missing", &RangeScan::missing)
        .def("feed", &feed<RangeScan>, nb::arg("segment"), nb::arg("block"), nb::arg("bytes"))
        .def("docs", [](RangeScan& scan) { return bytes_of(scan.docs()); })
        .def("values", [](RangeScan& scan) { return list_of(scan.values()); })
        .def("counts", &counts_of,
             "Values that are all of one length, joined, and how many counted docs have each.");
    m.def("count_scan", &count_scan, nb::arg("side"), nb::arg("field"), nb::arg("counted"),
          "A RangeScan over all values of a field that counts docs of a dense bitset.");
}

nb::object bitset_from_roaring(const nb::bytes& roaring) {
    std::vector<uint64_t> words = bits_of(roaring).take_words();
    Owned<uint64_t> out(words.size());
    std::copy(words.begin(), words.end(), out.data());
    return out.to_numpy({words.size()});
}

nb::bytes roaring_from_bitset(const WordArray& words) {
    return bytes_of(roaring_of_words({words.data(), words.data() + words.shape(0)}));
}

}  // namespace

void bind_postings(nb::module_& m) {
    nb::exception<Damaged>(m, "Damaged", PyExc_ValueError);
    bind_builder(m);
    bind_side(m);
    bind_readers(m);
    m.def("bitset_from_roaring", &bitset_from_roaring, nb::arg("roaring"),
          "Words of a dense bitset, uint64[n], of a serialised roaring bitmap.");
    m.def("roaring_from_bitset", &roaring_from_bitset, nb::arg("words"),
          "The portable serialised form of a dense bitset.");
    m.def(
        "check_block", [](const nb::bytes& block) { open_block(view_of(block)); }, nb::arg("block"),
        "Raises Damaged if the bytes are not a whole block.");
}

}  // namespace weft
