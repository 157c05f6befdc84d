// Python's door to the replies: stored objects of one search in, serialized results out.
#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/vector.h>

#include <stdexcept>

#include "bindings.h"
#include "bytes_view.h"
#include "reply.h"
#include "stored_fields.h"

namespace nb = nanobind;

namespace weft {
namespace {

std::string text_of(nb::handle bytes) {
    return std::string(view_of(bytes));
}

std::vector<std::string> texts_of(const nb::list& items) {
    std::vector<std::string> out;
    for (nb::handle item : items) out.push_back(text_of(item));
    return out;
}

// All hits, each as a field `number` (0: without tag and length) of the message around them.
class Reply {
  public:
    Reply(const nb::bytes& head, std::shared_ptr<ReplySelection> selection, bool id, bool created,
          bool updated, bool distance, bool certainty, bool score)
        : writer_(text_of(head), std::move(selection),
                  {id, created, updated, distance, certainty, score}) {}

    nb::list results(const nb::list& stored, const std::optional<nb::list>& distances,
                     const std::optional<nb::list>& scores, const std::optional<nb::list>& rest,
                     bool has_certainty) {
        check(distances, stored.size());
        check(scores, stored.size());
        check(rest, stored.size());
        nb::list out;
        std::string body;
        for (size_t at = 0; at < stored.size(); ++at) {
            body.clear();
            write(stored, distances, scores, rest, has_certainty, at, body);
            out.append(nb::bytes(body.data(), body.size()));
        }
        return out;
    }

    // The results one behind the other, each with its tag (field 2 of SearchReply) and length.
    nb::bytes fields(const nb::bytes& before, const nb::list& stored,
                     const std::optional<nb::list>& distances,
                     const std::optional<nb::list>& scores, const std::optional<nb::list>& rest,
                     bool has_certainty) {
        check(distances, stored.size());
        check(scores, stored.size());
        check(rest, stored.size());
        std::string out = text_of(before);
        std::string body;
        for (size_t at = 0; at < stored.size(); ++at) {
            body.clear();
            write(stored, distances, scores, rest, has_certainty, at, body);
            out.push_back(0x12);
            size_t size = body.size();
            for (; size >= 0x80; size >>= 7) out.push_back(static_cast<char>((size & 0x7F) | 0x80));
            out.push_back(static_cast<char>(size));
            out.append(body);
        }
        return nb::bytes(out.data(), out.size());
    }

  private:
    static void check(const std::optional<nb::list>& column, size_t size) {
        if (column && column->size() != size)
            throw std::invalid_argument("columns of a reply differ in their length");
    }

    void write(const nb::list& stored, const std::optional<nb::list>& distances,
               const std::optional<nb::list>& scores, const std::optional<nb::list>& rest,
               bool has_certainty, size_t at, std::string& body) {
        ReplyHit hit{view_of(stored[at]), 0.0, 0.0, {}};
        if (distances) hit.distance = nb::cast<double>((*distances)[at]);
        if (scores) hit.score = nb::cast<double>((*scores)[at]);
        if (rest) hit.rest = view_of((*rest)[at]);
        writer_.write(hit, distances.has_value(), has_certainty, body);
    }

    ReplyWriter writer_;
};

}  // namespace

void bind_reply(nb::module_& m) {
    nb::exception<DamagedReply>(m, "DamagedReply");
    nb::class_<ReplySelection>(m, "ReplySelection")
        .def("__init__",
             [](ReplySelection* self, const nb::list& names, const nb::list& inner,
                const nb::list& nulls) {
                 std::vector<std::shared_ptr<ReplySelection>> selections;
                 for (nb::handle item : inner)
                     selections.push_back(item.is_none()
                                              ? nullptr
                                              : nb::cast<std::shared_ptr<ReplySelection>>(item));
                 if (nb::len(inner) != nb::len(names) || nb::len(nulls) != nb::len(names))
                     throw std::invalid_argument("names, inner and nulls differ in their length");
                 new (self) ReplySelection(texts_of(names), std::move(selections), texts_of(nulls));
             })
        .def("apply", [](const ReplySelection& self, const nb::bytes& properties) {
            std::string out;
            self.apply(view_of(properties), out);
            return nb::bytes(out.data(), out.size());
        });
    nb::class_<Reply>(m, "Reply")
        .def(nb::init<const nb::bytes&, std::shared_ptr<ReplySelection>, bool, bool, bool, bool,
                      bool, bool>(),
             nb::arg("head"), nb::arg("selection"), nb::kw_only(), nb::arg("id"),
             nb::arg("created"), nb::arg("updated"), nb::arg("distance"), nb::arg("certainty"),
             nb::arg("score"))
        .def("results", &Reply::results, nb::arg("stored"), nb::arg("distances").none(),
             nb::arg("scores").none(), nb::arg("rest").none(), nb::arg("has_certainty"))
        .def("fields", &Reply::fields, nb::arg("before"), nb::arg("stored"),
             nb::arg("distances").none(), nb::arg("scores").none(), nb::arg("rest").none(),
             nb::arg("has_certainty"));
}

}  // namespace weft
