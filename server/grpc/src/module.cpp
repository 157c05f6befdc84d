// Python's door to the sessions (bytes in, tuples out), to objects of imports and to who goes
// first.
#include <nanobind/nanobind.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/vector.h>

#include "batch_object.h"
#include "right_of_way.h"
#include "session.h"

namespace nb = nanobind;

namespace weft {
namespace {

std::string_view view_of(const nb::bytes& bytes) {
    return {bytes.c_str(), bytes.size()};
}

nb::tuple tuple_of(const SessionEvent& event) {
    return nb::make_tuple(static_cast<int>(event.kind), event.stream, event.method,
                          nb::bytes(event.message.data(), event.message.size()), event.compressed);
}

nb::list receive(Session& session, const nb::bytes& bytes) {
    nb::list out;
    for (const SessionEvent& event :
         session.receive(reinterpret_cast<const uint8_t*>(bytes.c_str()), bytes.size()))
        out.append(tuple_of(event));
    return out;
}

void bind_right_of_way(nb::module_& m) {
    nb::class_<RightOfWay>(m, "RightOfWay")
        .def(
            "__init__",
            [](RightOfWay* self, double wait_s_max, double look_s, double ration_s,
               double ration_of_several_s) {
                auto ns = [](double seconds) { return static_cast<int64_t>(seconds * 1e9); };
                new (self)
                    RightOfWay({ns(wait_s_max), ns(look_s), ns(ration_s), ns(ration_of_several_s)});
            },
            nb::kw_only(), nb::arg("wait_s_max"), nb::arg("look_s"), nb::arg("ration_s"),
            nb::arg("ration_of_several_s"))
        .def("watch", &RightOfWay::watch, nb::arg("descriptor"))
        .def("forget", &RightOfWay::forget, nb::arg("descriptor"))
        .def("close", &RightOfWay::close)
        .def("search_begins", &RightOfWay::search_begins)
        .def("search_ends", &RightOfWay::search_ends)
        .def("loop_works", &RightOfWay::loop_works)
        .def("loop_rests", &RightOfWay::loop_rests)
        .def("give_way", &RightOfWay::give_way)
        .def("end_turn", &RightOfWay::end_turn)
        .def_prop_ro("is_wanted", &RightOfWay::is_wanted)
        .def_prop_ro("sleeping", &RightOfWay::sleeping);
}

}  // namespace
}  // namespace weft

NB_MODULE(_session, m) {
    using weft::Session;
    using weft::SessionEvent;
    m.doc() = "The server's side of gRPC connections, without sockets.";
    nb::set_leak_warnings(false);
    nb::exception<weft::SessionError>(m, "SessionError");
    m.attr("CALL") = static_cast<int>(SessionEvent::Kind::call);
    m.attr("OPENED") = static_cast<int>(SessionEvent::Kind::opened);
    m.attr("MESSAGE") = static_cast<int>(SessionEvent::Kind::message);
    m.attr("ENDED") = static_cast<int>(SessionEvent::Kind::ended);
    m.attr("GONE") = static_cast<int>(SessionEvent::Kind::gone);
    nb::class_<Session>(m, "Session")
        .def(
            "__init__",
            [](Session* self, const std::vector<std::pair<std::string, bool>>& methods,
               size_t message_bytes_max, uint32_t calls_max, uint32_t header_bytes_max) {
                std::vector<Session::Method> table;
                for (const auto& [path, streaming] : methods) table.push_back({path, streaming});
                new (self)
                    Session(std::move(table), {message_bytes_max, calls_max, header_bytes_max});
            },
            nb::arg("methods"), nb::kw_only(), nb::arg("message_bytes_max"), nb::arg("calls_max"),
            nb::arg("header_bytes_max"))
        .def("receive", &weft::receive, nb::arg("received"))
        .def(
            "outgoing",
            [](Session& self, size_t size_max) {
                std::string_view bytes = self.outgoing(size_max);
                return nb::bytes(bytes.data(), bytes.size());
            },
            nb::arg("size_max"))
        .def_prop_ro("is_finished", &Session::is_finished)
        .def_prop_ro("calls", &Session::calls)
        .def(
            "reply",
            [](Session& self, int32_t stream, const nb::bytes& message) {
                self.reply(stream, weft::view_of(message));
            },
            nb::arg("stream"), nb::arg("message"))
        .def(
            "send",
            [](Session& self, int32_t stream, const nb::bytes& message) {
                self.send(stream, weft::view_of(message));
            },
            nb::arg("stream"), nb::arg("message"))
        .def("finish", &Session::finish, nb::arg("stream"), nb::arg("code"), nb::arg("details"))
        .def("consumed", &Session::consumed, nb::arg("stream"), nb::arg("size"))
        .def(
            "header",
            [](const Session& self, int32_t stream, std::string_view name) {
                std::string_view value = self.header(stream, name);
                return nb::steal<nb::str>(PyUnicode_DecodeLatin1(
                    value.data(), static_cast<Py_ssize_t>(value.size()), ""));
            },
            nb::arg("stream"), nb::arg("name"))
        .def("go_away", &Session::go_away);
    m.def(
        "read_batch_object",
        [](const nb::bytes& message) { return weft::read_batch_object(weft::view_of(message)); },
        nb::arg("message"));
    weft::bind_right_of_way(m);
}
