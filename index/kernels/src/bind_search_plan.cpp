// Search plans for Python: what bounds them, how they are explained, the planner itself for tests.
#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <stdexcept>
#include <string>

#include "bindings.h"
#include "search_batch.h"

namespace nb = nanobind;

namespace weft {
namespace {

FilterStrategy strategy_of(const std::string& name) {
    if (name.empty()) return FilterStrategy::free;
    if (name == "sweeping") return FilterStrategy::sweeping;
    if (name == "acorn") return FilterStrategy::acorn;
    throw std::invalid_argument("no such filter strategy: " + name);
}

}  // namespace

void bind_search_plan(nb::module_& m) {
    nb::class_<SearchBounds>(m, "SearchBounds")
        .def(
            "__init__",
            [](SearchBounds* self, std::optional<size_t> cutoff, const std::string& strategy) {
                new (self)
                    SearchBounds{cutoff.value_or(0), cutoff.has_value(), strategy_of(strategy)};
            },
            nb::arg("flat_search_cutoff").none(), nb::arg("filter_strategy"));
    nb::class_<Explanation>(m, "Explanation")
        .def_prop_ro("plan", [](const Explanation& self) { return name_of(self.plan.way); })
        .def_prop_ro("reason", [](const Explanation& self) { return self.plan.reason; })
        .def_prop_ro("overrides", [](const Explanation& self) { return self.plan.overrides; })
        .def_prop_ro("ef", [](const Explanation& self) { return self.plan.ef; })
        .def_prop_ro("gave_up", [](const Explanation& self) { return self.gave_up; })
        .def_prop_ro("visited", [](const Explanation& self) { return self.effort.visited; })
        .def_prop_ro("distances", [](const Explanation& self) { return self.effort.distances; })
        .def_prop_ro("tests", [](const Explanation& self) { return self.effort.tests; });
    nb::class_<Explanations>(m, "Explanations")
        .def("__len__", [](const Explanations& self) { return self.items.size(); })
        .def("__getitem__", [](const Explanations& self, size_t at) {
            if (at >= self.items.size()) throw nb::index_error();
            return self.items[at];
        });
    m.def(
        "plan_search",
        [](bool is_filtered, size_t eligible, size_t live, size_t slots, size_t linked, size_t k,
           size_t ef, size_t links, double random_ns, double sequential_ns, size_t sketched,
           double sketch_ns, double lone_sketch_ns, double around, const SearchBounds& bounds) {
            PlanInput input;
            input.is_filtered = is_filtered;
            input.eligible = eligible;
            input.live = live;
            input.slots = slots;
            input.linked = linked;
            input.k = k;
            input.ef = ef;
            input.links = links;
            input.sketched = sketched;
            input.around = around;
            input.costs = {random_ns, sequential_ns, sketch_ns, lone_sketch_ns};
            input.flat_search_cutoff = bounds.flat_search_cutoff;
            input.is_cutoff_set = bounds.is_cutoff_set;
            input.strategy = bounds.strategy;
            SearchPlan plan = plan_search(input);
            return nb::make_tuple(name_of(plan.way), plan.reason, plan.ef, plan.overrides,
                                  name_of(plan.fallback), plan.asks_around, plan.places);
        },
        nb::kw_only(), nb::arg("is_filtered"), nb::arg("eligible"), nb::arg("live"),
        nb::arg("slots"), nb::arg("linked"), nb::arg("k"), nb::arg("ef"), nb::arg("links"),
        nb::arg("random_ns"), nb::arg("sequential_ns"), nb::arg("sketched"), nb::arg("sketch_ns"),
        nb::arg("lone_sketch_ns"), nb::arg("around"), nb::arg("bounds"),
        "(plan, reason, ef, overridden setting, fallback, asks around, places) of a search; pure.");
}

}  // namespace weft
