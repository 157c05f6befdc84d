// SketchedScan: its windows.
#include "sketched_scan.h"

#include <algorithm>
#include <bit>
#include <functional>
#include <limits>

namespace weft {
namespace {

constexpr uint32_t kWindow = 1u << 16;  // slots whose promises stay in the second cache
constexpr size_t kDenseRun = 20;        // allowed in a run, for which all of it is worth reading
constexpr size_t kSeeds = 96;
constexpr size_t kSeedsMost = 8;  // times as many, where many promise the same
constexpr size_t kSample = 1024;
constexpr size_t kBlock = 64;
constexpr size_t kSpare = 16;  // what kernels may write behind the end

}  // namespace

void SketchedScan::run(const AllowWords& allow) {
    sketches_.ask(measure_.query(), scratch_.sketch_question);
    const size_t room = kWindow + kSpare;
    if (scratch_.seen.size() < room) {
        scratch_.seen.resize(room);
        scratch_.promises.resize(room);
        scratch_.places.resize(room);
    }
    scratch_.slots.clear();
    const uint32_t end = sketches_.end();
    for (uint32_t begin = 0; begin < end; begin += kWindow) {
        collect(begin, std::min(begin + kWindow, end), allow);
        if (count_ == 0) continue;
        sow(std::max(kSeeds, 2 * k_));
        harvest();
    }
}

// Makes the promises of the allowed slots of a window and leaves those that pass the bar.
void SketchedScan::collect(uint32_t begin, uint32_t end, const AllowWords& allow) {
    const float least = bar();
    size_t lone = 0;
    count_ = 0;
    for (uint32_t first = begin; first < end; first += uint32_t(kSketchRun)) {
        uint64_t mask = sketches_.allowed_in_run(first, allow);
        if (mask == 0) continue;
        const size_t allowed = size_t(std::popcount(mask));
        scratch_.effort.visited += allowed;
        if (allowed >= kDenseRun) {
            count_ += sketches_.promise_run(scratch_.sketch_question, first, mask, least,
                                            scratch_.seen.data() + count_,
                                            scratch_.promises.data() + count_);
            continue;
        }
        for (; mask != 0; mask &= mask - 1)
            scratch_.places[lone++] = first + uint32_t(std::countr_zero(mask));
    }
    // After the runs: in order no more, which nothing depends on.
    sketches_.promise_coarsely(scratch_.sketch_question, scratch_.places.data(), lone,
                               scratch_.promises.data() + count_);
    std::copy_n(scratch_.places.begin(), lone, scratch_.seen.begin() + ptrdiff_t(count_));
    count_ += lone;
    scratch_.effort.tests += end - begin;
}

float SketchedScan::bar() const {
    return sketches_.bar_of(scratch_.sketch_question, scratch_.nearest.bar());
}

// Measures what promises most, about `seeds` of it, for a bar.
void SketchedScan::sow(size_t seeds) {
    if (count_ <= 2 * seeds) return;
    const size_t stride = std::max<size_t>(1, count_ / kSample);
    std::vector<float>& sample = scratch_.distances;
    sample.clear();
    for (size_t at = 0; at < count_; at += stride) sample.push_back(scratch_.promises[at]);
    const size_t rank = std::min(sample.size() - 1, sample.size() * seeds / count_);
    std::nth_element(sample.begin(), sample.begin() + ptrdiff_t(rank), sample.end(),
                     std::greater<float>());
    const float least = std::max(sample[rank], bar());
    size_t found =
        sketches_.not_below(scratch_.promises.data(), count_, least, scratch_.places.data());
    found = std::min(found, seeds * kSeedsMost);
    for (size_t at = 0; at < found; ++at) {
        const uint32_t place = scratch_.places[at];
        want(scratch_.seen[place]);
        // Not below anything: what is measured is not met again.
        scratch_.promises[place] = std::numeric_limits<float>::quiet_NaN();
    }
    measure_wanted();
}

// Measures whatever passes the bar, those first that promise most.
void SketchedScan::harvest() {
    refine();
    sow(kBlock);
    for (size_t done = 0; done < count_; done += kBlock) {
        const float least = bar();
        const size_t end = std::min(count_, done + kBlock);
        for (size_t at = done; at < end; ++at)
            if (scratch_.promises[at] >= least) want(scratch_.seen[at]);
        if (scratch_.slots.size() >= kBlock) measure_wanted();
    }
    measure_wanted();
}

// Leaves the slots that pass the bar, with their fine promises.
void SketchedScan::refine() {
    const size_t found =
        sketches_.not_below(scratch_.promises.data(), count_, bar(), scratch_.places.data());
    // Places ascend: no slot is overwritten before it is read.
    for (size_t at = 0; at < found; ++at) scratch_.seen[at] = scratch_.seen[scratch_.places[at]];
    count_ = found;
    sketches_.promise_finely(scratch_.sketch_question, scratch_.seen.data(), found,
                             scratch_.promises.data());
}

void SketchedScan::want(uint32_t slot) {
    if (graph_.is_deleted(slot)) return;
    measure_.prefetch(measure_.row(slot));
    scratch_.slots.push_back(slot);
}

void SketchedScan::measure_wanted() {
    graph_.measure_slots(measure_, scratch_);
    for (size_t at = 0; at < scratch_.slots.size(); ++at)
        scratch_.nearest.push(scratch_.distances[at], scratch_.slots[at]);
    scratch_.effort.distances += scratch_.slots.size();
    scratch_.slots.clear();
}

}  // namespace weft
