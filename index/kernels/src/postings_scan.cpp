// RangeScan: walks the keys between two bounds, in runs at once and in segments block by block.
#include <algorithm>

#include "postings_side.h"

namespace weft {
namespace {

// Blocks asked for at a time; bounds the memory of a long scan.
constexpr size_t kBlocksAtATime = 64;

// A range over fewer data blocks of a segment is read as it is.
constexpr size_t kColumnBlocksMin = 8;

// A column takes up to half of the bytes of its blocks. No column may fill the cache alone.
constexpr size_t kColumnBlockBytes = 8 * 1024;

}  // namespace

bool RangeScan::Bounds::is_before(std::string_view key) const {
    if (low.empty()) return key < std::string_view(prefix);
    int order = key.compare(low);
    return order < 0 || (order == 0 && !is_low_inclusive);
}

bool RangeScan::Bounds::is_past(std::string_view key) const {
    if (!key.starts_with(prefix)) return key > std::string_view(prefix);
    if (high.empty()) return false;
    int order = key.compare(high);
    return order > 0 || (order == 0 && !is_high_inclusive);
}

RangeScan::RangeScan(std::shared_ptr<const PostingSide> side, Bounds bounds, Mode mode,
                     size_t value_start, std::vector<uint64_t> counted)
    : side_(std::move(side)),
      state_(side_->state()),
      bounds_(std::move(bounds)),
      mode_(mode),
      value_start_(value_start),
      counted_(std::move(counted)) {
    for (const RunPart& part : state_->runs) scan_run(*part.run);
    for (const auto& segment : state_->segments) {
        if (auto directory = segment->directory())
            want_blocks(segment, *directory);
        else
            wanted_.push_back({segment, 0, Wanted::Step::directory});
    }
}

void RangeScan::scan_run(const Run& run) {
    size_t first = run.lower_bound(bounds_.start());
    if (first < run.key_count() && bounds_.is_before(run.key(first))) ++first;
    size_t last = first, end = run.key_count();
    while (last < end) {
        size_t middle = (last + end) / 2;
        if (bounds_.is_past(run.key(middle)))
            end = middle;
        else
            last = middle + 1;
    }
    if (mode_ == Mode::docs)
        for (uint32_t doc : run.docs(first, last)) bits_.add(doc);
    else if (mode_ == Mode::counts)
        for (size_t at = first; at < last; ++at)
            count(run.key(at).substr(value_start_), run.docs(at, at + 1));
    else
        for (size_t at = first; at < last; ++at)
            values_.emplace_back(run.key(at).substr(value_start_));
}

void RangeScan::want_blocks(const std::shared_ptr<Segment>& segment, const Directory& directory) {
    if (directory.count() == 0) return;
    size_t first = directory.find(bounds_.start());
    if (first == directory.count()) first = 0;
    size_t last = first;
    while (last < directory.count() && !bounds_.is_past(directory.first_key(last))) ++last;
    if (use_column(segment, directory, first, last)) return;
    for (size_t at = first; at < last; ++at) wanted_.push_back({segment, directory.block(at)});
}

// Wants only the blocks at the ends if the column is there, the whole field if it should be.
bool RangeScan::use_column(const std::shared_ptr<Segment>& segment, const Directory& directory,
                           size_t first, size_t last) {
    if (mode_ != Mode::docs || side_->is_scored() || last - first < kColumnBlocksMin) return false;
    if (bounds_.prefix.size() != value_start_) return false;
    // Blocks between the ends hold nothing but values of the field that are in the range: the keys
    // of each lie between its first key, past the low end, and the next one's, not past the high.
    if (auto column = find_range_column(side_->cache(), segment->identity, bounds_.prefix)) {
        for (uint32_t doc : column->between(first + 1, last - 1)) bits_.add(doc);
        wanted_.push_back({segment, directory.block(first)});
        wanted_.push_back({segment, directory.block(last - 1)});
        return true;
    }
    size_t begin = directory.find(bounds_.prefix);
    if (begin == directory.count()) begin = 0;
    size_t end = last;
    while (end < directory.count() && directory.first_key(end).starts_with(bounds_.prefix)) ++end;
    if ((end - begin) * kColumnBlockBytes > side_->cache().bytes_max() / 2) return false;
    auto column =
        std::make_shared<RangeColumnBuilder>(segment->identity, bounds_.prefix, begin, end - begin);
    for (size_t at = begin; at < end; ++at)
        wanted_.push_back({segment, directory.block(at), Wanted::Step::data, column, at});
    return true;
}

std::vector<std::pair<uint32_t, uint32_t>> RangeScan::missing() const {
    std::vector<std::pair<uint32_t, uint32_t>> blocks;
    for (size_t at = 0; at < std::min(wanted_.size(), kBlocksAtATime); ++at)
        blocks.emplace_back(wanted_[at].segment->number, wanted_[at].block);
    std::sort(blocks.begin(), blocks.end());
    blocks.erase(std::unique(blocks.begin(), blocks.end()), blocks.end());
    return blocks;
}

void RangeScan::feed(uint32_t segment, uint32_t block, std::string_view bytes) {
    auto found = std::find_if(wanted_.begin(), wanted_.end(), [&](const Wanted& item) {
        return item.segment->number == segment && item.block == block;
    });
    if (found == wanted_.end()) return;
    Wanted item = std::move(*found);
    wanted_.erase(found);
    if (item.step == Wanted::Step::directory) {
        auto directory = std::make_shared<const Directory>(bytes);
        item.segment->set_directory(directory);
        want_blocks(item.segment, *directory);
        return;
    }
    if (item.step == Wanted::Step::data) {
        scan_block(item, bytes);
    } else if (!take_overflow(item, bytes)) {
        wanted_.insert(wanted_.begin(), std::move(item));
        return;
    }
    if (item.column) item.column->finish_one(side_->cache());
}

// True after the last block of a body.
bool RangeScan::take_overflow(Wanted& wanted, std::string_view bytes) {
    BlockView part = open_block(bytes);
    if (part.kind != BlockKind::overflow) throw Damaged("no overflow block");
    wanted.body += part.payload;
    ++wanted.block;
    if (--wanted.blocks_left > 0) return false;
    if (wanted.body.size() != wanted.size) throw Damaged("overflow blocks have the wrong size");
    take(wanted, wanted.form, wanted.docs, wanted.body);
    return true;
}

void RangeScan::scan_block(const Wanted& wanted, std::string_view bytes) {
    EntryCursor cursor(bytes);
    if (cursor.is_scored() != side_->is_scored()) throw Damaged("a block is of the other side");
    Wanted part = wanted;
    part.step = Wanted::Step::overflow;
    while (cursor.next()) {
        const Entry& entry = cursor.entry();
        part.is_inside = !bounds_.is_before(entry.key) && !bounds_.is_past(entry.key);
        if (!part.is_inside && !wanted.column) {
            if (bounds_.is_past(entry.key)) return;
            continue;
        }
        if (!std::string_view(entry.key).starts_with(bounds_.prefix)) continue;
        if (mode_ == Mode::counts) part.value = entry.key.substr(value_start_);
        if (mode_ == Mode::values) {
            values_.push_back(entry.key.substr(value_start_));
        } else if (entry.is_overflow) {
            part.block = entry.first_block;
            part.blocks_left = entry.overflow_blocks();
            part.form = entry.form;
            part.docs = entry.docs;
            part.size = entry.size;
            if (part.column) part.column->expect_one_more();
            wanted_.insert(wanted_.begin(), part);
        } else {
            take(part, entry.form, entry.docs, entry.body);
        }
    }
}

void RangeScan::take(const Wanted& wanted, Form form, uint32_t docs, std::string_view body) {
    if (form == Form::roaring && !wanted.column && mode_ == Mode::docs)
        return add_roaring(body, bits_);
    columns_.clear();
    decode_body(form, docs, body, columns_);
    if (mode_ == Mode::counts) return count(wanted.value, columns_.docs);
    if (wanted.column) wanted.column->add(wanted.at, columns_.docs);
    if (wanted.is_inside)
        for (uint32_t doc : columns_.docs) bits_.add(doc);
}

void RangeScan::count(std::string_view value, std::span<const uint32_t> docs) {
    uint64_t found = 0;
    for (uint32_t doc : docs) {
        const size_t word = doc / 64;
        if (word < counted_.size()) found += (counted_[word] >> (doc % 64)) & 1;
    }
    if (found > 0) counts_.emplace_back(value, found);
}

std::vector<std::pair<std::string, uint64_t>> RangeScan::counts() {
    std::sort(counts_.begin(), counts_.end());
    size_t kept = 0;
    for (size_t at = 0; at < counts_.size(); ++at) {
        if (kept > 0 && counts_[kept - 1].first == counts_[at].first)
            counts_[kept - 1].second += counts_[at].second;
        else if (kept++ != at)
            counts_[kept - 1] = std::move(counts_[at]);
    }
    counts_.resize(kept);
    return std::move(counts_);
}

std::string RangeScan::docs() {
    return roaring_of_words(bits_.take_words());
}

std::vector<std::string> RangeScan::values() {
    std::sort(values_.begin(), values_.end());
    values_.erase(std::unique(values_.begin(), values_.end()), values_.end());
    return std::move(values_);
}

}  // namespace weft
