// SketchedScan: a scan of the allowed docs that measures only those whose sketches promise enough.
//
// Window by window: the promises of all allowed slots; the vectors of those that promise most, for
// a bar to pass; then the finer promises of all that pass the coarse bar, and the vectors of those
// that pass it again. The bar rises meanwhile. What is returned is measured; what is missed has
// surpassed its promise (sketches.h says how seldom that is).
#pragma once

#include "graph.h"

namespace weft {

class SketchedScan {
  public:
    // Puts the nearest into scratch.nearest. Slots from sketches.end() on are left to the caller.
    SketchedScan(const Graph& graph, const Sketches& sketches, const Measure& measure, size_t k,
                 Scratch& scratch)
        : graph_(graph), sketches_(sketches), measure_(measure), k_(k), scratch_(scratch) {}

    void run(const AllowWords& allow);

  private:
    void collect(uint32_t begin, uint32_t end, const AllowWords& allow);
    float bar() const;
    void sow(size_t seeds);
    void harvest();
    void refine();
    void want(uint32_t slot);
    void measure_wanted();

    const Graph& graph_;
    const Sketches& sketches_;
    const Measure& measure_;
    size_t k_;
    Scratch& scratch_;
    size_t count_ = 0;  // of the slots in scratch_.seen, of their promises
};

}  // namespace weft
