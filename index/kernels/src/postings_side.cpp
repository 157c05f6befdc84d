// The state of a side and its changes.
#include "postings_side.h"

#include <algorithm>
#include <atomic>
#include <stdexcept>

#include "segment_merge.h"

namespace weft {
namespace {

// Runs are merged when this many of one size have come together.
constexpr size_t kRunsOfSize = 8;

std::atomic<uint64_t> next_identity{1};

int size_class(const Run& run) {
    int level = 0;
    for (size_t postings = run.postings(); postings >= kRunsOfSize; postings /= kRunsOfSize)
        ++level;
    return level;
}

RunPart merged(const std::vector<RunPart>& parts, bool is_scored) {
    std::vector<std::unique_ptr<PostingSource>> sources;
    RunPart made;
    for (const RunPart& part : parts) {
        sources.push_back(source_of_run(part.run));
        made.deltas.insert(made.deltas.end(), part.deltas.begin(), part.deltas.end());
    }
    auto run = std::make_shared<Run>(is_scored);
    merge_postings(sources, DocBits(), *run);
    run->seal();
    made.run = std::move(run);
    return made;
}

}  // namespace

Segment::Segment(uint32_t number) : number(number), identity(next_identity++) {}

std::shared_ptr<const SideState> PostingSide::state() const {
    std::lock_guard lock(swap_);
    return state_;
}

void PostingSide::replace(SideState state) {
    auto next = std::make_shared<const SideState>(std::move(state));
    std::lock_guard lock(swap_);
    state_.swap(next);
}

void PostingSide::load_segments(const std::vector<uint32_t>& numbers) {
    std::lock_guard lock(writer_);
    SideState next = *state();
    for (uint32_t number : numbers) next.segments.push_back(std::make_shared<Segment>(number));
    replace(std::move(next));
}

void PostingSide::publish(uint32_t first_doc, std::string_view delta) {
    auto run = Run::of_delta(delta, is_scored_);
    std::lock_guard lock(writer_);
    SideState next = *state();
    for (const RunPart& part : next.runs)
        for (uint32_t known : part.deltas)
            if (known == first_doc) throw std::invalid_argument("this delta is there already");
    next.runs.push_back({std::move(run), {first_doc}});
    while (true) {
        int level = size_class(*next.runs.back().run);
        size_t first = next.runs.size();
        while (first > frozen_ && size_class(*next.runs[first - 1].run) <= level) --first;
        if (next.runs.size() - first < kRunsOfSize) break;
        auto begin = next.runs.begin() + static_cast<std::ptrdiff_t>(first);
        RunPart joined = merged({begin, next.runs.end()}, is_scored_);
        next.runs.erase(begin, next.runs.end());
        next.runs.push_back(std::move(joined));
    }
    replace(std::move(next));
}

Sealed PostingSide::seal(const DocBits& dead) {
    std::shared_ptr<const SideState> now;
    {
        std::lock_guard lock(writer_);
        if (frozen_ != 0) throw std::logic_error("a seal is under way already");
        now = state();
        frozen_ = now->runs.size();
    }
    Sealed sealed;
    std::vector<std::unique_ptr<PostingSource>> sources;
    for (const RunPart& part : now->runs) {
        sources.push_back(source_of_run(part.run));
        sealed.deltas.insert(sealed.deltas.end(), part.deltas.begin(), part.deltas.end());
    }
    try {
        SegmentWriter writer(SegmentWriter::Shape::segment, is_scored_);
        merge_postings(sources, dead, writer);
        sealed.blocks = writer.finish();
    } catch (...) {
        abandon();
        throw;
    }
    return sealed;
}

void PostingSide::install_sealed(uint32_t segment) {
    std::lock_guard lock(writer_);
    SideState next = *state();
    next.runs.erase(next.runs.begin(), next.runs.begin() + static_cast<std::ptrdiff_t>(frozen_));
    next.segments.push_back(std::make_shared<Segment>(segment));
    frozen_ = 0;
    replace(std::move(next));
}

void PostingSide::abandon() {
    std::lock_guard lock(writer_);
    frozen_ = 0;
}

void PostingSide::install_merged(const std::vector<uint32_t>& merged_numbers, uint32_t segment) {
    std::lock_guard lock(writer_);
    SideState next = *state();
    std::vector<std::shared_ptr<Segment>> kept;
    bool is_placed = false;
    for (const auto& held : next.segments) {
        bool is_merged = std::find(merged_numbers.begin(), merged_numbers.end(), held->number) !=
                         merged_numbers.end();
        if (!is_merged) {
            kept.push_back(held);
        } else if (!is_placed) {
            kept.push_back(std::make_shared<Segment>(segment));
            is_placed = true;
        }
    }
    next.segments = std::move(kept);
    replace(std::move(next));
}

size_t PostingSide::delta_count() const {
    size_t count = 0;
    // Held by a name: a range-for lets go of what it calls before its first round.
    const std::shared_ptr<const SideState> state = this->state();
    for (const RunPart& part : state->runs) count += part.deltas.size();
    return count;
}

size_t PostingSide::delta_postings() const {
    size_t count = 0;
    // Held by a name: a range-for lets go of what it calls before its first round.
    const std::shared_ptr<const SideState> state = this->state();
    for (const RunPart& part : state->runs) count += part.run->postings();
    return count;
}

size_t PostingSide::bytes() const {
    auto now = state();
    size_t total = 0;
    for (const RunPart& part : now->runs) total += part.run->bytes();
    for (const auto& segment : now->segments)
        if (auto directory = segment->directory()) total += directory->bytes();
    return total;
}

}  // namespace weft
