// PostingSide: one side (filterable or searchable) of one shard's inverted index.
//
// Its state is an immutable list of runs (what the deltas hold) and sealed segments; a writer puts
// a new list in place of the old, and readers keep the one they began with. Blocks are never read
// from here: a `Lookup` or `RangeScan` says what it misses and is fed.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "postings_cache.h"
#include "postings_roaring.h"
#include "range_column.h"
#include "segment.h"
#include "segment_run.h"

namespace weft {

// A sealed segment: its blocks lie in the store, the directory comes when it is first needed.
class Segment {
  public:
    explicit Segment(uint32_t number);

    const uint32_t number;
    const uint64_t identity;  // unique in this process, for the cache

    std::shared_ptr<const Directory> directory() const {
        std::lock_guard lock(mutex_);
        return directory_;
    }
    void set_directory(std::shared_ptr<const Directory> directory) {
        std::lock_guard lock(mutex_);
        directory_ = std::move(directory);
    }

  private:
    mutable std::mutex mutex_;
    std::shared_ptr<const Directory> directory_;
};

struct RunPart {
    std::shared_ptr<const Run> run;
    std::vector<uint32_t> deltas;  // first docs of the deltas inside
};

struct SideState {
    std::vector<RunPart> runs;
    std::vector<std::shared_ptr<Segment>> segments;
};

// Outcome of sealing: the blocks of the segment, and the deltas it takes the place of.
struct Sealed {
    std::vector<std::string> blocks;
    std::vector<uint32_t> deltas;
};

class PostingSide {
  public:
    PostingSide(bool is_scored, std::shared_ptr<TermCache> cache)
        : is_scored_(is_scored), cache_(std::move(cache)) {}

    bool is_scored() const { return is_scored_; }
    TermCache& cache() const { return *cache_; }
    std::shared_ptr<const SideState> state() const;

    void load_segments(const std::vector<uint32_t>& numbers);  // once, at opening
    void publish(uint32_t first_doc, std::string_view delta);

    // Between `seal` and `install_sealed` or `abandon` the runs that went in are left as they are.
    Sealed seal(const DocBits& dead);
    void install_sealed(uint32_t segment);
    void abandon();
    void install_merged(const std::vector<uint32_t>& merged, uint32_t segment);

    size_t delta_count() const;
    size_t delta_postings() const;
    size_t bytes() const;

  private:
    void replace(SideState state);

    const bool is_scored_;
    std::shared_ptr<TermCache> cache_;
    std::mutex writer_;  // one change at a time
    mutable std::mutex swap_;
    std::shared_ptr<const SideState> state_ = std::make_shared<SideState>();
    size_t frozen_ = 0;  // runs at the front that a seal is working on
};

// The postings of given keys in all parts of a side.
class Lookup {
  public:
    struct Part {
        PostingView view;                          // scored sides
        std::shared_ptr<const Postings> postings;  // of a segment, or null
    };

    Lookup(std::shared_ptr<const PostingSide> side, std::vector<std::string> keys);

    // Blocks that are still needed, as (segment, block); feed them all and ask again.
    std::vector<std::pair<uint32_t, uint32_t>> missing() const;
    void feed(uint32_t segment, uint32_t block, std::string_view bytes);

    size_t key_count() const { return keys_.size(); }
    const std::vector<Part>& parts(size_t key) const { return parts_[key]; }
    std::vector<std::string> roaring(size_t key) const;  // docs of each part

  private:
    struct Wanted {
        size_t key;
        std::shared_ptr<Segment> segment;
        uint32_t block;
        bool is_directory = false;
        uint32_t blocks_left = 0;  // overflow blocks, this one included
        Form form = Form::gaps;
        uint32_t docs = 0;
        uint32_t size = 0;
        std::string body = {};
    };

    void resolve(size_t key, const std::shared_ptr<Segment>& segment);
    void found(const Wanted& wanted, std::shared_ptr<const Postings> postings);
    bool feed_data(Wanted& wanted, std::string_view bytes);
    bool feed_overflow(Wanted& wanted, std::string_view bytes);

    std::shared_ptr<const PostingSide> side_;
    std::shared_ptr<const SideState> state_;
    std::vector<std::string> keys_;
    std::vector<std::vector<Part>> parts_;
    std::vector<Wanted> wanted_;
};

// Every key between two bounds: the union of their docs, their values, or how many docs each has.
class RangeScan {
  public:
    enum class Mode { docs, values, counts };
    struct Bounds {
        std::string prefix;  // keys must start with it
        std::string low;     // full keys; empty is open
        std::string high;
        bool is_low_inclusive = true;
        bool is_high_inclusive = true;

        std::string_view start() const { return low.empty() ? prefix : low; }
        bool is_before(std::string_view key) const;  // not there yet
        bool is_past(std::string_view key) const;    // and so are all that follow
    };

    // Counts are of the docs in `counted`.
    RangeScan(std::shared_ptr<const PostingSide> side, Bounds bounds, Mode mode, size_t value_start,
              std::vector<uint64_t> counted = {});

    std::vector<std::pair<uint32_t, uint32_t>> missing() const;
    void feed(uint32_t segment, uint32_t block, std::string_view bytes);

    std::string docs();                 // roaring bytes
    std::vector<std::string> values();  // ascending, distinct
    // Ascending, distinct, those of no counted doc left out.
    std::vector<std::pair<std::string, uint64_t>> counts();

  private:
    struct Wanted {
        std::shared_ptr<Segment> segment;
        uint32_t block;
        enum class Step { directory, data, overflow } step = Step::data;
        std::shared_ptr<RangeColumnBuilder> column = nullptr;  // takes the docs, too
        size_t at = 0;          // of the data block, in the directory
        bool is_inside = true;  // in the range, not only the column
        uint32_t blocks_left = 0;
        Form form = Form::gaps;
        uint32_t docs = 0;
        uint32_t size = 0;
        std::string body = {};
        std::string value = {};  // whose docs are counted
    };

    void scan_run(const Run& run);
    void want_blocks(const std::shared_ptr<Segment>& segment, const Directory& directory);
    bool use_column(const std::shared_ptr<Segment>& segment, const Directory& directory,
                    size_t first, size_t last);
    void scan_block(const Wanted& wanted, std::string_view bytes);
    bool take_overflow(Wanted& wanted, std::string_view bytes);
    void take(const Wanted& wanted, Form form, uint32_t docs, std::string_view body);
    void count(std::string_view value, std::span<const uint32_t> docs);

    std::shared_ptr<const PostingSide> side_;
    std::shared_ptr<const SideState> state_;
    Bounds bounds_;
    Mode mode_;
    size_t value_start_;
    DocBits bits_;
    Columns columns_;
    std::vector<std::string> values_;
    std::vector<uint64_t> counted_;
    std::vector<std::pair<std::string, uint64_t>> counts_;
    std::deque<Wanted> wanted_;  // in the order of their blocks, overflow blocks first
};

}  // namespace weft
