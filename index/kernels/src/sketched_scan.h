// SketchedScan: a scan of the allowed docs that measures only those whose sketches promise enough.
//
// First the coarse promises of a sample of runs from all over, and the vectors of those that
// promise most, for a bar to pass; then those of all runs, of which few pass the bar. Of these the
// fine promises count, and the vectors of those that pass again are measured, while the bar rises.
// Where few of a run are allowed their fine promises are asked for at once. What is returned is
// measured; what is missed has surpassed its promise (sketches.h says how seldom that is).
#pragma once

#include "graph.h"

namespace weft {

class SketchedScan {
  public:
    SketchedScan(const Graph& graph, const Sketches& sketches, const Measure& measure, size_t k,
                 Scratch& scratch)
        : graph_(graph),
          sketches_(sketches),
          measure_(measure),
          k_(k),
          scratch_(scratch),
          any_deleted_(graph.deleted() > 0) {}

    // Puts the nearest of the slots below `end`, a number of whole runs, into scratch.nearest.
    // False, and nothing is done, where the sketches cannot answer this query.
    [[nodiscard]] bool run(const AllowWords& allow, uint32_t end);

  private:
    void collect(uint32_t run, const AllowWords& allow);
    float bar() const;
    size_t choose(const float* promises, size_t count, size_t wanted);
    void raise();
    void settle();
    void look_closer(const uint32_t* slots, size_t count);
    void want(uint32_t slot);
    void measure_wanted();
    void measure_loaded();

    const Graph& graph_;
    const Sketches& sketches_;
    const Measure& measure_;
    size_t k_;
    Scratch& scratch_;
    const bool any_deleted_;
    float least_ = 0;    // what a coarse promise has to reach
    size_t count_ = 0;   // of the slots in scratch_.seen, and of their promises
    size_t closer_ = 0;  // of the slots in scratch_.closer
};

}  // namespace weft
