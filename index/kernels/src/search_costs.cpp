// CostMeter: the measurement.
#include "search_costs.h"

#include <algorithm>
#include <chrono>

#include "graph.h"

namespace weft {
namespace {

constexpr uint32_t kRows = 128;  // a round
constexpr uint32_t kRounds = 4;
constexpr uint32_t kLinkedMin = 1024;

uint32_t scattered(uint32_t number, uint32_t rows) {
    // Golden ratio steps: no two near each other, no hardware prefetcher follows.
    return uint32_t(uint64_t(number * 2654435769u) * rows >> 32);
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

double CostMeter::of(const Sketches& sketches, const float* query) {
    using Clock = std::chrono::steady_clock;
    const uint32_t end = sketches.end();
    if (sketched_for_.load(std::memory_order_acquire) >= end / 2 && end > 0)
        return sketch_ns_.load(std::memory_order_relaxed);
    constexpr uint32_t kRuns = 16;
    SketchQuestion question;
    sketches.ask(query, question);
    uint32_t slots[kSketchRun + 16];
    float promises[kSketchRun + 16];
    double least = 1e9;
    for (uint32_t round = 0; round < kRounds; ++round) {
        const uint32_t runs = end / uint32_t(kSketchRun);
        const uint32_t start = scattered(round, runs - kRuns);
        auto begun = Clock::now();
        for (uint32_t run = start; run < start + kRuns; ++run)
            sketches.promise_run(question, run * uint32_t(kSketchRun), ~uint64_t{0}, 0.0f, slots,
                                 promises);
        const double taken = std::chrono::duration<double, std::nano>(Clock::now() - begun).count();
        least = std::min(least, taken / (kRuns * kSketchRun));
    }
    sketch_ns_.store(float(least), std::memory_order_relaxed);
    sketched_for_.store(end, std::memory_order_release);
    return least;
}

void CostMeter::measure(const Graph& graph, const Measure& with, uint32_t linked) {
    using Clock = std::chrono::steady_clock;
    Scratch& scratch = Scratch::of_this_thread();
    auto time_rows = [&](auto row_of) {
        scratch.slots.clear();
        for (uint32_t at = 0; at < kRows; ++at) scratch.slots.push_back(row_of(at));
        auto begun = Clock::now();
        graph.measure_slots(with, scratch);
        return std::chrono::duration<double, std::nano>(Clock::now() - begun).count() / kRows;
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
