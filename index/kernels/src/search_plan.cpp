// SearchPlan: the decision. Constants are measured with `python -m benchmarks.filter_sweep`.
#include "search_plan.h"

#include <algorithm>
#include <limits>

namespace weft {
namespace {

// A plain walk meets about this many new nodes for each place in its beam.
constexpr double kVisitsPerPlace = 12.0;
// A two-hop walk meets fewer that it measures, but tests many: until it has seen enough allowed
// ones, or all within two hops. (Lists are filled to something above a half.)
constexpr double kTwoHopVisitsPerPlace = 10.0;
constexpr double kTestsPerRow = 10.0;
constexpr double kLinksFilled = 0.58;
constexpr double kEnoughFilled = 0.625;
// With fewer allowed nodes within two full lists the walk gets lost.
constexpr double kTwoHopAllowedMin = 20.0;
// Where nearly everything is allowed, what is not costs a sweeping walk less than passing through.
constexpr double kSweepingShareMin = 0.95;
// Where at least so much is allowed, around the query as well, a sweeping walk has places for the
// allowed ones among `ef` nodes, at least so many for each result: it finds what a plain walk
// would, and costs that much more.
constexpr double kSiftedShareMin = 0.15;
constexpr size_t kSiftedPlacesPerHit = 2;
constexpr double kSiftedCost = 1.15;
// A two-hop walk of the same `ef` finds less, and is taken where it costs so much less.
constexpr double kSiftedGain = 1.5;
// A walk that has cost so many times the exact scan goes on no more.
constexpr double kBudgetShare = 1.3;
// A sketched scan begins with what so many rows cost and measures a share of what is eligible;
// where it reads whole runs it looks more closely at another share.
constexpr double kSketchedRowsMin = 600.0;
constexpr double kSketchedRowsPerHit = 2.0;
constexpr double kSketchedRowShare = 0.001;
constexpr double kCloserShare = 0.04;
// Where a query has a crowd around it, all about as near, a sketched scan measures this share more.
constexpr double kCrowdShare = 0.004;
// Where much less is allowed around the query than elsewhere, a walk finds its way neither soon nor
// for certain. Of few allowed chance alone leaves less: the ratio falls with the share.
constexpr double kFarRatio = 0.75;
constexpr double kFarRatioMin = 0.25;
// The slow ones among walks take 1.5 times as long as the usual one, and looking around before
// them comes on top; scans differ less.
constexpr double kWalkSpread = 2.1;
constexpr size_t kBeamMax = 2048;  // beyond it, moving the sorted array costs more than heaps

struct Costs {
    double exact;
    double plain;
    double sweeping;
    double sifted;
    double two_hop;
    double sketched;

    double scan() const { return std::min(exact, sketched); }
    double crowd;

    // What the slow ones of each cost.
    double slow_walk() const { return kWalkSpread * std::min({two_hop, sweeping, sifted}); }
    double slow_scan() const { return std::min(exact, sketched + crowd); }
};

bool is_known(const PlanInput& input) {
    return input.around >= 0.0;
}

double share_of(const PlanInput& input) {
    return double(input.eligible) / double(std::max<size_t>(input.slots, 1));
}

// Whether what the query meets is allowed often enough to walk as if there was no filter.
bool may_sift(const PlanInput& input) {
    const double share = share_of(input);
    if (input.strategy != FilterStrategy::free || share < kSiftedShareMin) return false;
    if (!is_known(input)) return input.sketched > 0 && !input.is_cutoff_set;  // It will be.
    return input.around >= share * kFarRatio;
}

size_t sifted_places(const PlanInput& input, size_t ef) {
    const double met = std::max(share_of(input), input.around);
    return std::min(ef, std::max(kSiftedPlacesPerHit * input.k, size_t(double(ef) * met)));
}

double sketched_cost(const PlanInput& input) {
    if (input.sketched == 0) return std::numeric_limits<double>::infinity();
    const double share = share_of(input);
    const double sketched = double(input.sketched);
    const double rest = double(input.slots - std::min(input.slots, input.sketched));
    const double lone_ns = input.costs.lone_sketch_ns;
    const double in_runs = sketched * (input.costs.sketch_ns + kCloserShare * share * lone_ns);
    const double rows = kSketchedRowsMin + kSketchedRowsPerHit * double(input.k) +
                        kSketchedRowShare * double(input.eligible) + rest * share;
    return std::min(in_runs, sketched * share * lone_ns) + rows * input.costs.random_ns;
}

Costs costs_of(const PlanInput& input, size_t ef) {
    const double share = share_of(input);
    const double row = input.costs.random_ns;
    Costs costs{};
    costs.exact = double(input.eligible) *
                  (input.is_filtered ? input.costs.random_ns : input.costs.sequential_ns);
    costs.sketched = sketched_cost(input);
    costs.crowd = kCrowdShare * double(input.eligible) * row;
    costs.plain = double(ef) * kVisitsPerPlace * row;
    const double links = double(input.links);
    const double met = std::max(is_known(input) ? input.around : share, 1e-9);
    costs.sweeping = costs.plain / std::min(met, std::max(share, 1e-9));
    costs.sifted = std::numeric_limits<double>::infinity();
    if (may_sift(input))
        costs.sifted = kSiftedCost * double(sifted_places(input, ef)) * kVisitsPerPlace * row /
                       std::max(share, input.around);
    const double tests =
        std::min(links * links * kLinksFilled * kLinksFilled, links * kEnoughFilled / met);
    costs.two_hop =
        double(two_hop_places(ef, share)) * (kTwoHopVisitsPerPlace + tests / kTestsPerRow) * row;
    return costs;
}

SearchPlan walk(Way way, const char* reason, const PlanInput& input, size_t ef) {
    SearchPlan plan;
    plan.way = way;
    plan.reason = reason;
    plan.ef = ef;
    plan.places = ef;
    plan.visits_max = input.eligible;
    plan.budget = double(input.eligible) * kBudgetShare;
    // A cutoff that is set says what is scanned; it goes on walking as long as it can.
    if (input.is_cutoff_set || !input.is_filtered) return plan;
    const Costs costs = costs_of(input, ef);
    if (costs.sketched >= costs.exact) return plan;
    plan.fallback = Way::sketched;
    plan.budget = kBudgetShare * std::max(costs.sketched, costs.plain) / input.costs.random_ns;
    return plan;
}

SearchPlan scan(const char* reason, size_t ef, const char* overrides = "") {
    SearchPlan plan;
    plan.reason = reason;
    plan.ef = ef;
    plan.overrides = overrides;
    return plan;
}

// The cheaper of the two scans of what is allowed.
SearchPlan scan_allowed(const Costs& costs, const char* exact_reason, size_t ef) {
    if (costs.exact <= costs.sketched) return scan(exact_reason, ef);
    SearchPlan plan = scan("looking through sketches costs least", ef);
    plan.way = Way::sketched;
    return plan;
}

// A walk that sketches could stand in for is taken where something of what it looks for is near.
SearchPlan asking(SearchPlan plan, const PlanInput& input) {
    plan.asks_around = !is_known(input) && plan.fallback == Way::sketched;
    return plan;
}

SearchPlan plan_filtered(const PlanInput& input, size_t ef) {
    const Costs costs = costs_of(input, ef);
    const double share = share_of(input);
    const bool may_scan = !input.is_cutoff_set;
    const bool may_hop = input.strategy != FilterStrategy::sweeping && ef <= kBeamMax;
    if (!may_hop) {
        if (may_scan && costs.scan() <= costs.sweeping)
            return scan_allowed(costs, "scanning what is allowed costs less than sweeping", ef);
        return walk(Way::sweeping,
                    input.strategy == FilterStrategy::sweeping ? "filterStrategy is sweeping"
                                                               : "ef is too large for two hops",
                    input, ef);
    }
    if (may_scan && is_known(input) && costs.sketched < costs.exact &&
        input.around < share * std::max(share * kFarRatio, kFarRatioMin)) {
        SearchPlan plan = scan_allowed(costs, "", ef);
        plan.reason = "what is allowed lies far from the query";
        return plan;
    }
    if (may_scan && costs.slow_scan() <= costs.slow_walk())
        return scan_allowed(costs, "scanning what is allowed costs less than a walk", ef);
    if (input.strategy == FilterStrategy::free && share >= kSweepingShareMin)
        return asking(walk(Way::sweeping, "nearly everything is allowed", input, ef), input);
    if (may_sift(input) && costs.sifted <= kSiftedGain * costs.two_hop) {
        SearchPlan plan = asking(walk(Way::sweeping, "", input, ef), input);
        plan.reason = "what is met is allowed often enough to walk as without a filter";
        plan.places = sifted_places(input, ef);
        plan.visits_max = std::min(plan.visits_max, size_t(plan.budget));
        return plan;
    }
    if (may_scan && share * double(input.links) * double(input.links) < kTwoHopAllowedMin)
        return scan_allowed(costs, "too few are allowed to walk from one to the next", ef);
    return asking(walk(Way::two_hop, "walking among what is allowed costs least", input, ef),
                  input);
}

}  // namespace

size_t two_hop_places(size_t ef, double share) {
    // Where few are allowed, two hops see fewer of them than one hop sees without a filter. What
    // that loses in recall more places bring back, and the walk still measures less than a plain
    // one.
    constexpr double kThinShare = 0.25;
    constexpr double kThinFactor = 0.5;
    if (share >= kThinShare) return ef;
    return ef + size_t(double(ef) * kThinFactor * (1.0 - share / kThinShare));
}

const char* name_of(Way way) {
    switch (way) {
        case Way::plain: return "plain";
        case Way::sweeping: return "sweeping";
        case Way::two_hop: return "two-hop";
        case Way::sketched: return "sketched";
        case Way::exact: break;
    }
    return "exact";
}

SearchPlan plan_search(const PlanInput& input) {
    const size_t ef = std::max(input.ef, input.k);
    if (input.eligible == 0) return scan("nothing is allowed", ef);
    if (input.linked == 0) return scan("nothing is linked yet", ef);
    if (input.eligible <= input.k) return scan("everything allowed is asked for", ef);
    if (input.is_filtered && input.is_cutoff_set && input.eligible < input.flat_search_cutoff)
        return scan("fewer docs are allowed than flatSearchCutoff", ef);
    if (input.is_filtered && input.eligible < input.live) return plan_filtered(input, ef);
    const Costs costs = costs_of(input, ef);
    if (costs.exact <= costs.plain) return scan("scanning costs less than a walk", ef);
    return walk(Way::plain, input.is_filtered ? "everything is allowed" : "no filter", input, ef);
}

}  // namespace weft
