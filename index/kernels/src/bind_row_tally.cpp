// Python's door to tallies: stored objects in, values and how often they occur out.
#include <nanobind/nanobind.h>
#include <nanobind/stl/vector.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "arrays.h"
#include "bindings.h"
#include "bytes_view.h"
#include "row_tally.h"

namespace nb = nanobind;

namespace weft {
namespace {

nb::bytes bytes_of(std::string_view bytes) {
    return nb::bytes(bytes.data(), bytes.size());
}

void add_rows(RowTally& tally, const nb::list& rows) {
    // The list holds the rows while the interpreter's lock is free.
    std::vector<std::string_view> views;
    views.reserve(rows.size());
    for (nb::handle row : rows) views.push_back(view_of(row));
    nb::gil_scoped_release free;
    for (std::string_view row : views) tally.add(row);
}

nb::list groups_of(const RowTally& tally) {
    nb::list out;
    for (const auto& [value, group] : tally.groups())
        out.append(nb::make_tuple(bytes_of(value), group.objects));
    return out;
}

nb::list top_of(const RowTally& tally, const nb::bytes& group, size_t name, size_t count) {
    std::vector<std::pair<std::string, uint64_t>> found;
    const std::string key(view_of(group));
    {
        nb::gil_scoped_release free;
        found = tally.top(key, name, count);
    }
    nb::list out;
    for (const auto& [value, occurs] : found) out.append(nb::make_tuple(bytes_of(value), occurs));
    return out;
}

nb::tuple counts_of(const RowTally& tally, const nb::bytes& group, size_t name) {
    const std::string key(view_of(group));
    std::string joined;
    std::vector<uint64_t> counts;
    {
        nb::gil_scoped_release free;
        for (const auto& [value, occurs] : tally.counts(key, name)) {
            joined += value;
            counts.push_back(occurs);
        }
    }
    return nb::make_tuple(bytes_of(joined), numpy_of(counts));
}

void take_values(RowTally& tally, size_t name, const nb::bytes& joined, size_t width,
                 const WordArray& counts, bool group) {
    const std::string_view values = view_of(joined);
    const std::vector<uint64_t> occurs(counts.data(), counts.data() + counts.shape(0));
    nb::gil_scoped_release free;
    tally.take_values(name, values, width, occurs, group);
}

nb::object dumped(const RowTally& tally, size_t bytes_max) {
    std::optional<std::string> out;
    {
        nb::gil_scoped_release free;
        out = tally.dump(bytes_max);
    }
    return out ? nb::object(bytes_of(*out)) : nb::none();
}

}  // namespace

void bind_row_tally(nb::module_& m) {
    nb::class_<RowTally>(m, "RowTally", "Counts the values of properties over stored objects.")
        .def(
            "__init__",
            [](RowTally* self, const nb::list& names, bool grouped) {
                std::vector<std::string> texts;
                for (nb::handle name : names) texts.emplace_back(view_of(name));
                if (grouped && texts.empty())
                    throw std::invalid_argument("the property that makes the groups is missing");
                new (self) RowTally(std::move(texts), grouped);
            },
            nb::arg("names"), nb::kw_only(), nb::arg("grouped"))
        .def("add", &add_rows, nb::arg("rows"))
        .def(
            "take",
            [](RowTally& self, const nb::bytes& bytes) {
                const std::string_view tally = view_of(bytes);
                nb::gil_scoped_release free;
                self.take(tally);
            },
            nb::arg("tally"), "Count what another tally has counted.")
        .def("take_values", &take_values, nb::arg("name"), nb::arg("joined"), nb::arg("width"),
             nb::arg("counts"), nb::kw_only(), nb::arg("group"),
             "Count values of one length; as groups, or of a tally without groups as values.")
        .def("dump", &dumped, nb::arg("bytes_max"), "The tally to be taken elsewhere; None above.")
        .def("groups", &groups_of, "Each group's value and its objects, in no order.")
        .def("total", [](const RowTally& self, const nb::bytes& group,
                         size_t name) { return self.total(std::string(view_of(group)), name); })
        .def("top", &top_of, nb::arg("group"), nb::arg("name"), nb::arg("count"),
             "The most frequent values, equal ones in the order of their bytes.")
        .def("counts", &counts_of, nb::arg("group"), nb::arg("name"),
             "Values of one length, joined, and how often each occurs; in no order.")
        .def("clear", &RowTally::clear, nb::call_guard<nb::gil_scoped_release>(),
             "Give the memory back without the interpreter's lock, which many values take long "
             "for.");
}

}  // namespace weft
