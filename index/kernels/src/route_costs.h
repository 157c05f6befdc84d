// RouteCosts: what the two routes of a multi-vector search take on this machine and these docs,
// learned from the searches themselves.
//
// A search measures docs in any case, which gives the time of a product; one among candidates gives
// the time of a walk for each place in its beam. A shorter time counts for half at once, a longer
// one only a little: other processes make a search slower, never faster. Nothing is known before
// the first search; that one takes candidates.
//
// Concurrency: any number of threads; a lost update does no harm.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace weft {

struct RouteWork {
    double places = 0;    // in the beams of all walks
    double products = 0;  // of two floats, in MaxSim
    bool is_filtered = false;
};

class RouteCosts {
  public:
    // Nanoseconds; 0 before anything was learned.
    double scan_ns(double products) const { return double(load(product_ns_)) * products; }
    double candidates_ns(const RouteWork& work) const {
        return double(load(place_ns_[work.is_filtered])) * work.places + scan_ns(work.products);
    }

    void note_products(double products, double ns) { learn(product_ns_, ns, products); }
    void note_places(const RouteWork& work, double ns) {
        learn(place_ns_[work.is_filtered], ns, work.places);
    }
    // Whether a search that would measure everything should look at candidates all the same: costs
    // may have changed since somebody did.
    bool is_look_due() { return looks_.fetch_add(1, std::memory_order_relaxed) % 64 == 63; }

  private:
    static float load(const std::atomic<float>& cell) {
        return cell.load(std::memory_order_relaxed);
    }
    static void learn(std::atomic<float>& cell, double amount, double units);

    std::atomic<float> product_ns_{0};
    std::atomic<float> place_ns_[2] = {0, 0};
    std::atomic<uint32_t> looks_{0};
};

}  // namespace weft
