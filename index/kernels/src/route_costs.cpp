// RouteCosts: learning.
#include "route_costs.h"

#include <algorithm>

namespace weft {
namespace {

constexpr double kRise = 0.05;  // of what is known, where a time was longer

}  // namespace

void RouteCosts::learn(std::atomic<float>& cell, double amount, double units) {
    if (units <= 0 || amount <= 0) return;
    const double fresh = amount / units;
    const double known = double(load(cell));
    double next = fresh;
    if (known > 0)
        next = fresh < known ? (fresh + known) / 2 : std::min(fresh, known * (1 + kRise));
    cell.store(float(next), std::memory_order_relaxed);
}

}  // namespace weft
