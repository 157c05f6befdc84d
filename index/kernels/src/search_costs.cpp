// CostMeter: the measurement.
#include "search_costs.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "graph.h"

namespace weft {
namespace {

constexpr uint32_t kRows = 128;  // a round
constexpr uint32_t kRounds = 4;
constexpr uint32_t kLinkedMin = 1024;
// So much of the sketches is read, so often; the first time it comes from memory.
constexpr size_t kStreamBytes = 4 << 20;
constexpr uint32_t kStreams = 3;

uint32_t scattered(uint32_t number, uint32_t rows) {
    // Golden ratio steps: no two near each other, no hardware prefetcher follows.
    return uint32_t(uint64_t(number * 2654435769u) * rows >> 32);
}

// Has the pages of rows in memory: what an index that was just opened waits for them, once, is no
// part of a distance. Reads beside the rows where it can, because lines of theirs that are at hand
// would be; of rows one after the other, once a page.
void load_pages(const Measure& with, const std::vector<uint32_t>& slots, uint32_t linked) {
    constexpr uint32_t kPageFloats = 1024;
    const uint32_t stride = with.stride();
    const uint32_t rows = kPageFloats / stride;  // on a page
    uint32_t last = 0;
    float sum = 0;
    for (const uint32_t slot : slots) {
        if (slot > last && slot - last < rows) continue;
        last = slot;
        for (uint32_t at = kPageFloats; at < stride; at += kPageFloats) sum += with.row(slot)[at];
        if (slot > 0) sum += with.row(slot - 1)[stride - 1];
        if (slot + 1 < linked) sum += with.row(slot + 1)[0];
    }
    [[maybe_unused]] volatile float read = sum;
}

template <class Work>
double nanoseconds_of(const Work& work) {
    using Clock = std::chrono::steady_clock;
    const auto begun = Clock::now();
    work();
    return std::chrono::duration<double, std::nano>(Clock::now() - begun).count();
}

}  // namespace

RowCosts CostMeter::of(const Graph& graph, const Measure& with, uint32_t linked) {
    uint32_t measured = measured_for_.load(std::memory_order_acquire);
    bool due = linked >= kLinkedMin &&
               (measured == 0 || linked / 2 >= measured || is_exact_.load() != with.is_exact());
    if (due && !measuring_.exchange(true)) {
        measure(graph, with, linked);
        measuring_.store(false);
        measured = measured_for_.load(std::memory_order_acquire);
    }
    if (measured == 0) return {};
    return {random_ns_.load(std::memory_order_relaxed),
            sequential_ns_.load(std::memory_order_relaxed)};
}

void CostMeter::of(const Sketches& sketches, const float* query, RowCosts& costs) {
    if (sketched_for_.load(std::memory_order_acquire) < sketches.end() / 2)
        measure(sketches, query);
    costs.sketch_ns = sketch_ns_.load(std::memory_order_relaxed);
    costs.lone_sketch_ns = lone_sketch_ns_.load(std::memory_order_relaxed);
}

void CostMeter::measure(const Sketches& sketches, const float* query) {
    const uint32_t end = sketches.end();
    SketchQuestion question;
    if (!sketches.ask(query, question)) return;
    uint32_t slots[kRows];
    float promises[kRows];
    static_assert(kRows >= kSketchRun + 16);
    const uint32_t runs = uint32_t(std::min(kStreamBytes / sketches.run_bytes(), end / kSketchRun));
    // Scans that follow each other find them in the cache. Measured from memory they look twice as
    // dear as they are, are not chosen, and stay where they were.
    double run = 1e9;
    for (uint32_t stream = 0; stream < kStreams; ++stream)
        run = std::min(run, nanoseconds_of([&] {
                                for (uint32_t at = 0; at < runs; ++at)
                                    sketches.promise_run(question, at * uint32_t(kSketchRun),
                                                         ~uint64_t{0}, 0.0f, slots, promises);
                            }) / double(runs * kSketchRun));
    double lone = 1e9;
    for (uint32_t at = 0; at < kRows; ++at) slots[at] = scattered(at, end);
    for (uint32_t round = 0; round < kRounds; ++round)
        lone = std::min(lone, nanoseconds_of([&] {
                                  sketches.promise_finely(question, slots, kRows, promises);
                              }) / kRows);
    sketch_ns_.store(float(run), std::memory_order_relaxed);
    lone_sketch_ns_.store(float(lone), std::memory_order_relaxed);
    sketched_for_.store(end, std::memory_order_release);
}

void CostMeter::measure(const Graph& graph, const Measure& with, uint32_t linked) {
    Scratch& scratch = Scratch::of_this_thread();
    auto time_rows = [&](auto row_of) {
        scratch.slots.clear();
        for (uint32_t at = 0; at < kRows; ++at) scratch.slots.push_back(row_of(at));
        load_pages(with, scratch.slots, linked);
        return nanoseconds_of([&] { graph.measure_slots(with, scratch); }) / kRows;
    };
    double random = 1e9;
    double sequential = 1e9;
    for (uint32_t round = 0; round < kRounds; ++round) {
        const uint32_t first = round * kRows;
        const uint32_t start = scattered(first, linked - kRows);
        random =
            std::min(random, time_rows([&](uint32_t at) { return scattered(first + at, linked); }));
        sequential = std::min(sequential, time_rows([&](uint32_t at) { return start + at; }));
    }
    random_ns_.store(float(random), std::memory_order_relaxed);
    sequential_ns_.store(float(sequential), std::memory_order_relaxed);
    is_exact_.store(with.is_exact());
    measured_for_.store(linked, std::memory_order_release);
}

}  // namespace weft
