// Python's door to keyword search.
#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <optional>

#include "arrays.h"
#include "bindings.h"
#include "bm25.h"

namespace nb = nanobind;

namespace weft {
namespace {

std::string string_of(nb::handle bytes) {
    nb::bytes held = nb::cast<nb::bytes>(bytes);
    return {held.c_str(), held.size()};
}

// [([(field, boost, mean length)...], [(term, count)...])...]
std::vector<KeywordGroup> groups_of(const nb::list& groups) {
    std::vector<KeywordGroup> out;
    for (nb::handle item : groups) {
        nb::tuple pair = nb::cast<nb::tuple>(item);
        KeywordGroup& group = out.emplace_back();
        for (nb::handle each : nb::cast<nb::list>(pair[0])) {
            nb::tuple field = nb::cast<nb::tuple>(each);
            group.fields.push_back(
                {string_of(field[0]), nb::cast<float>(field[1]), nb::cast<float>(field[2])});
            if (!(group.fields.back().length_mean > 0))
                throw std::invalid_argument("a mean length must be positive");
        }
        for (nb::handle each : nb::cast<nb::list>(pair[1])) {
            nb::tuple term = nb::cast<nb::tuple>(each);
            group.terms.push_back({string_of(term[0]), nb::cast<float>(term[1])});
        }
    }
    return out;
}

const uint64_t kNothing = 0;

LiveDocs live_of(uint32_t end, const std::optional<WordArray>& live,
                 const std::optional<IdArray>& dead, uint32_t version) {
    LiveDocs alive;
    alive.end = end;
    if (live && dead && version != 0) {
        alive.mask = {live->data() ? live->data() : &kNothing, live->shape(0)};
        alive.dead = dead->data();
        alive.dead_count = dead->shape(0);
        alive.version = version;
    }
    return alive;
}

nb::object search(const KeywordQuery& query, size_t k, float k1, float b, uint64_t live_count,
                  uint32_t end, int combine, uint32_t terms_min,
                  const std::optional<WordArray>& allow, const std::optional<WordArray>& live,
                  const std::optional<IdArray>& dead, uint32_t version,
                  std::optional<std::vector<uint64_t>> frequencies) {
    if (combine < 0 || combine > 2) throw std::invalid_argument("unknown operator");
    if (!(k1 >= 0) || !(b >= 0 && b <= 1)) throw std::invalid_argument("k1 or b out of range");
    KeywordSettings settings{k, k1, b, live_count, static_cast<TermOperator>(combine), terms_min};
    DocMask allowed;
    if (allow) allowed = {allow->data(), allow->shape(0)};
    settings.frequencies = std::move(frequencies);
    if (allow && allowed.words == nullptr) allowed.words = &kNothing;
    LiveDocs alive = live_of(end, live, dead, version);
    ScoredDocs found;
    {
        nb::gil_scoped_release free;
        found = query.search(settings, allowed, alive);
    }
    size_t count = found.docs.size();
    Owned<uint32_t> docs(count);
    Owned<float> scores(count);
    std::copy(found.docs.begin(), found.docs.end(), docs.data());
    std::copy(found.scores.begin(), found.scores.end(), scores.data());
    return nb::make_tuple(docs.to_numpy({count}), scores.to_numpy({count}));
}

std::vector<uint64_t> frequencies(const KeywordQuery& query, uint32_t end,
                                  const std::optional<WordArray>& live,
                                  const std::optional<IdArray>& dead, uint32_t version) {
    LiveDocs alive = live_of(end, live, dead, version);
    nb::gil_scoped_release free;
    return query.frequencies(alive);
}

nb::list explain(const KeywordQuery& query, uint32_t doc) {
    nb::list out;
    for (const TermMatch& match : query.explain(doc))
        out.append(nb::make_tuple(match.frequency, match.length));
    return out;
}

}  // namespace

void bind_bm25(nb::module_& m) {
    nb::class_<KeywordQuery>(m, "KeywordQuery", "Terms of a keyword search and their postings.")
        .def(
            "__init__",
            [](KeywordQuery* self, std::shared_ptr<PostingSide> side, const nb::list& groups) {
                if (!side->is_scored()) throw std::invalid_argument("this side only filters");
                new (self) KeywordQuery(std::move(side), groups_of(groups));
            },
            nb::arg("side"), nb::arg("groups"))
        .def("missing", [](KeywordQuery& query) { return query.lookup().missing(); })
        .def(
            "feed",
            [](KeywordQuery& query, uint32_t segment, uint32_t block, const nb::bytes& bytes) {
                std::string_view view(bytes.c_str(), bytes.size());
                nb::gil_scoped_release free;
                query.lookup().feed(segment, block, view);
            },
            nb::arg("segment"), nb::arg("block"), nb::arg("bytes"))
        .def("search", &search, nb::arg("k"), nb::arg("k1"), nb::arg("b"), nb::arg("live_count"),
             nb::arg("end"), nb::arg("combine"), nb::arg("terms_min"), nb::arg("allow").none(),
             nb::arg("live").none(), nb::arg("dead").none(), nb::arg("version"),
             nb::arg("frequencies").none() = nb::none())
        .def("frequencies", &frequencies, nb::arg("end"), nb::arg("live").none(),
             nb::arg("dead").none(), nb::arg("version"),
             "Live docs with each term in each field, by group, term, field.")
        .def("explain", &explain, nb::arg("doc"),
             "(frequency, length) of each term in a doc; frequency 0 is no match.");
}

}  // namespace weft
