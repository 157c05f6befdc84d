// RangeScan: walks the keys between two bounds, in runs at once and in segments block by block.
#include <algorithm>

#include "postings_side.h"

namespace weft {
namespace {

// Blocks asked for at a time; bounds the memory of a long scan.
constexpr size_t kBlocksAtATime = 64;

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
                     size_t value_start)
    : side_(std::move(side)),
      state_(side_->state()),
      bounds_(std::move(bounds)),
      mode_(mode),
      value_start_(value_start) {
    for (const RunPart& part : state_->runs) scan_run(*part.run);
    for (const auto& segment : state_->segments) {
        if (auto directory = segment->directory())
            want_blocks(segment, *directory);
        else
            wanted_.push_back({segment, 0, Wanted::Step::directory});
    }
}

void RangeScan::scan_run(const Run& run) {
    for (size_t at = run.lower_bound(bounds_.start()); at < run.key_count(); ++at) {
        std::string_view key = run.key(at);
        if (bounds_.is_past(key)) return;
        if (bounds_.is_before(key)) continue;
        if (mode_ == Mode::values) {
            values_.emplace_back(key.substr(value_start_));
            continue;
        }
        ColumnsView columns = run.columns(at);
        for (size_t doc = 0; doc < columns.count; ++doc) bits_.add(columns.docs[doc]);
    }
}

void RangeScan::want_blocks(const std::shared_ptr<Segment>& segment, const Directory& directory) {
    if (directory.count() == 0) return;
    size_t at = directory.find(bounds_.start());
    if (at == directory.count()) at = 0;
    for (; at < directory.count() && !bounds_.is_past(directory.first_key(at)); ++at)
        wanted_.push_back({segment, directory.block(at), Wanted::Step::data});
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
    } else if (item.step == Wanted::Step::data) {
        scan_block(item.segment, bytes);
    } else {
        BlockView part = open_block(bytes);
        if (part.kind != BlockKind::overflow) throw Damaged("no overflow block");
        item.body += part.payload;
        ++item.block;
        if (--item.blocks_left > 0) {
            wanted_.insert(wanted_.begin(), std::move(item));
            return;
        }
        if (item.body.size() != item.size) throw Damaged("overflow blocks have the wrong size");
        take(item.form, item.docs, item.body);
    }
}

void RangeScan::scan_block(const std::shared_ptr<Segment>& segment, std::string_view bytes) {
    EntryCursor cursor(bytes);
    if (cursor.is_scored() != side_->is_scored()) throw Damaged("a block is of the other side");
    while (cursor.next()) {
        const Entry& entry = cursor.entry();
        if (bounds_.is_before(entry.key)) continue;
        if (bounds_.is_past(entry.key)) return;
        if (mode_ == Mode::values) {
            values_.push_back(entry.key.substr(value_start_));
        } else if (entry.is_overflow) {
            Wanted part{segment, entry.first_block, Wanted::Step::overflow};
            part.blocks_left = entry.overflow_blocks();
            part.form = entry.form;
            part.docs = entry.docs;
            part.size = entry.size;
            wanted_.insert(wanted_.begin(), std::move(part));
        } else {
            take(entry.form, entry.docs, entry.body);
        }
    }
}

void RangeScan::take(Form form, uint32_t docs, std::string_view body) {
    if (form == Form::roaring) return add_roaring(body, bits_);
    columns_.clear();
    decode_body(form, docs, body, columns_);
    for (uint32_t doc : columns_.docs) bits_.add(doc);
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
