// SketchedScan: its steps.
#include "sketched_scan.h"

#include <algorithm>
#include <bit>
#include <functional>
#include <limits>

namespace weft {
namespace {

constexpr size_t kWindow = 1u << 15;  // slots with promises to keep, before the bar is raised
constexpr uint32_t kSampleStride = 16;
constexpr uint32_t kSampleRuns = 256;  // or a few more
constexpr size_t kSeeds = 48;
constexpr size_t kSeedsTried = 4;  // times as many, of which the best are measured
constexpr size_t kSeedsMost = 2;   // times as many, where many promise the same
constexpr size_t kSample = 512;
constexpr size_t kPart = 16384;  // slots that are looked at more closely with the same bar
constexpr size_t kBlock = 64;
constexpr size_t kSpare = 16;  // what kernels may write behind the end

// Whether more than three of a run are allowed: then all of it is worth reading.
bool is_dense(uint64_t mask) {
    mask &= mask - 1;
    mask &= mask - 1;
    return (mask & (mask - 1)) != 0;
}

}  // namespace

bool SketchedScan::run(const AllowWords& allow, uint32_t end) {
    if (!sketches_.ask(measure_.query(), scratch_.sketch_question)) return false;
    const size_t room = kWindow + kSpare;
    if (scratch_.seen.size() < room) {
        scratch_.seen.resize(room);
        scratch_.closer.resize(room);
        scratch_.places.resize(room);
        scratch_.promises.resize(room);
    }
    scratch_.slots.clear();
    scratch_.passed.clear();
    scratch_.effort.tests += end;
    scratch_.effort.visited += std::min<size_t>(allow.allowed, end);
    const uint32_t runs = end / uint32_t(kSketchRun);
    const uint32_t stride = std::max(kSampleStride, runs / kSampleRuns);
    least_ = bar();
    for (uint32_t run = 0; run < runs; run += stride) collect(run, allow);
    raise();
    for (uint32_t run = 0; run < runs; ++run) {
        if (run % stride == 0) continue;
        collect(run, allow);
        if (count_ + closer_ + kSketchRun <= kWindow) continue;
        raise();
        if (count_ + closer_ > kWindow / 2) settle();
    }
    settle();
    return true;
}

// Makes the coarse promises of the allowed slots of a run and keeps those that pass the bar.
void SketchedScan::collect(uint32_t run, const AllowWords& allow) {
    const uint32_t first = run * uint32_t(kSketchRun);
    uint64_t mask = sketches_.allowed_in_run(first, allow);
    if (mask == 0) return;
    if (is_dense(mask)) {
        count_ +=
            sketches_.promise_run(scratch_.sketch_question, first, mask, least_,
                                  scratch_.seen.data() + count_, scratch_.promises.data() + count_);
        return;
    }
    for (; mask != 0; mask &= mask - 1)
        scratch_.closer[closer_++] = first + uint32_t(std::countr_zero(mask));
}

float SketchedScan::bar() const {
    return sketches_.bar_of(scratch_.sketch_question, scratch_.nearest.bar());
}

// The places of about `wanted` of the promises, the greatest, into scratch_.places; how many.
size_t SketchedScan::choose(const float* promises, size_t count, size_t wanted) {
    const size_t stride = std::max<size_t>(1, count / kSample);
    std::vector<float>& sample = scratch_.distances;
    sample.clear();
    for (size_t at = 0; at < count; at += stride) sample.push_back(promises[at]);
    const size_t rank = std::min(sample.size() - 1, sample.size() * wanted / count);
    std::nth_element(sample.begin(), sample.begin() + ptrdiff_t(rank), sample.end(),
                     std::greater<float>());
    const float least = std::max(sample[rank], bar());
    const size_t found = sketches_.not_below(promises, count, least, scratch_.places.data());
    return std::min(found, wanted * kSeedsMost);
}

// Raises the bar: measures the best of those whose coarse promises are the greatest, and drops
// whatever does not pass any more.
void SketchedScan::raise() {
    const size_t seeds = std::max(kSeeds, 2 * k_);
    if (count_ <= 2 * seeds) return;
    const size_t tried = choose(scratch_.promises.data(), count_, seeds * kSeedsTried);
    scratch_.tried.resize(tried);
    scratch_.fine.resize(tried);
    for (size_t at = 0; at < tried; ++at) scratch_.tried[at] = scratch_.seen[scratch_.places[at]];
    sketches_.promise_finely(scratch_.sketch_question, scratch_.tried.data(), tried,
                             scratch_.fine.data());
    std::vector<float>& best = scratch_.distances;
    best.assign(scratch_.fine.begin(), scratch_.fine.end());
    const size_t rank = std::min(tried, seeds) - 1;
    std::nth_element(best.begin(), best.begin() + ptrdiff_t(rank), best.end(),
                     std::greater<float>());
    const float least = std::max(best[rank], bar());
    for (size_t at = 0; at < tried; ++at) {
        if (!(scratch_.fine[at] >= least)) continue;
        want(scratch_.tried[at]);
        // Not below anything: what is measured is not met again.
        scratch_.promises[scratch_.places[at]] = std::numeric_limits<float>::quiet_NaN();
    }
    measure_wanted();
    least_ = bar();
    sketches_.tighten(scratch_.sketch_question, least_);
    count_ = sketches_.drop_below(scratch_.promises.data(), scratch_.seen.data(), count_, least_);
}

// Measures whatever of the kept slots may be among the nearest. By parts: the bar rises meanwhile.
void SketchedScan::settle() {
    raise();
    const size_t kept = count_;
    for (size_t begin = 0; begin < kept; begin += kPart) {
        uint32_t* slots = scratch_.seen.data() + begin;
        const size_t left = sketches_.drop_below(scratch_.promises.data() + begin, slots,
                                                 std::min(kPart, kept - begin), bar());
        look_closer(slots, left);
    }
    for (size_t begin = 0; begin < closer_; begin += kPart)
        look_closer(scratch_.closer.data() + begin, std::min(kPart, closer_ - begin));
    count_ = closer_ = 0;
    least_ = bar();
}

// Measures those of the slots whose fine promises pass the bar, first those that promise most.
void SketchedScan::look_closer(const uint32_t* slots, size_t count) {
    std::vector<float>& fine = scratch_.fine;
    if (fine.size() < count) fine.resize(count);
    sketches_.promise_finely(scratch_.sketch_question, slots, count, fine.data());
    const size_t seeds = std::max(kSeeds, 2 * k_);
    if (count > 2 * seeds) {
        const size_t found = choose(fine.data(), count, seeds);
        for (size_t at = 0; at < found; ++at) {
            want(slots[scratch_.places[at]]);
            // Not below anything: what is measured is not met again.
            fine[scratch_.places[at]] = std::numeric_limits<float>::quiet_NaN();
        }
        measure_wanted();
        sketches_.tighten(scratch_.sketch_question, bar());
    }
    for (size_t done = 0; done < count; done += kBlock) {
        const float least = bar();
        const size_t end = std::min(count, done + kBlock);
        for (size_t at = done; at < end; ++at)
            if (fine[at] >= least) want(slots[at]);
    }
    measure_wanted();
}

// Has a vector loaded, and measured while the next ones are loaded.
void SketchedScan::want(uint32_t slot) {
    if (any_deleted_ && graph_.is_deleted(slot)) return;
    measure_.prefetch(measure_.row(slot));
    scratch_.passed.push_back(slot);
    if (scratch_.passed.size() < kBlock) return;
    measure_loaded();
    scratch_.slots.swap(scratch_.passed);
}

void SketchedScan::measure_wanted() {
    measure_loaded();
    scratch_.slots.swap(scratch_.passed);
    measure_loaded();
}

void SketchedScan::measure_loaded() {
    graph_.measure_slots(measure_, scratch_);
    for (size_t at = 0; at < scratch_.slots.size(); ++at)
        scratch_.nearest.push(scratch_.distances[at], scratch_.slots[at]);
    scratch_.effort.distances += scratch_.slots.size();
    scratch_.slots.clear();
}

}  // namespace weft
