// Lookup: finds keys in runs at once, in segments through the cache or the blocks it is fed.
#include <algorithm>

#include "postings_side.h"

namespace weft {

Lookup::Lookup(std::shared_ptr<const PostingSide> side, std::vector<std::string> keys)
    : side_(std::move(side)), state_(side_->state()), keys_(std::move(keys)), parts_(keys_.size()) {
    for (size_t key = 0; key < keys_.size(); ++key) {
        for (const auto& segment : state_->segments) resolve(key, segment);
        for (const RunPart& part : state_->runs) {
            size_t at = part.run->find(keys_[key]);
            if (at != part.run->key_count()) parts_[key].push_back({part.run->view(at), nullptr});
        }
    }
}

void Lookup::resolve(size_t key, const std::shared_ptr<Segment>& segment) {
    Wanted wanted{};
    wanted.key = key;
    wanted.segment = segment;
    if (auto postings = side_->cache().get(segment->identity, keys_[key])) {
        if (!postings->is_empty()) found(wanted, std::move(postings));
        return;
    }
    auto directory = segment->directory();
    if (!directory) {
        wanted.is_directory = true;
    } else {
        size_t at = directory->find(keys_[key]);
        if (at == directory->count()) return;
        wanted.block = directory->block(at);
    }
    wanted_.push_back(std::move(wanted));
}

void Lookup::found(const Wanted& wanted, std::shared_ptr<const Postings> postings) {
    PostingView view;
    if (side_->is_scored()) view = postings->view();
    parts_[wanted.key].push_back({view, std::move(postings)});
}

std::vector<std::pair<uint32_t, uint32_t>> Lookup::missing() const {
    std::vector<std::pair<uint32_t, uint32_t>> blocks;
    for (const Wanted& item : wanted_) blocks.emplace_back(item.segment->number, item.block);
    std::sort(blocks.begin(), blocks.end());
    blocks.erase(std::unique(blocks.begin(), blocks.end()), blocks.end());
    return blocks;
}

void Lookup::feed(uint32_t segment, uint32_t block, std::string_view bytes) {
    std::vector<Wanted> before = std::move(wanted_);
    wanted_.clear();
    for (Wanted& item : before) {
        if (item.segment->number != segment || item.block != block) {
            wanted_.push_back(std::move(item));
        } else if (item.is_directory) {
            if (!item.segment->directory())
                item.segment->set_directory(std::make_shared<Directory>(bytes));
            resolve(item.key, item.segment);
        } else if (item.blocks_left > 0 ? feed_overflow(item, bytes) : feed_data(item, bytes)) {
            wanted_.push_back(std::move(item));
        }
    }
}

// True if the postings lie in overflow blocks, which are wanted now.
bool Lookup::feed_data(Wanted& wanted, std::string_view bytes) {
    const std::string& key = keys_[wanted.key];
    EntryCursor cursor(bytes);
    if (cursor.is_scored() != side_->is_scored()) throw Damaged("a block is of the other side");
    while (cursor.next()) {
        const Entry& entry = cursor.entry();
        if (entry.key < key) continue;
        if (entry.key != key) break;
        if (entry.is_overflow) {
            wanted.block = entry.first_block;
            wanted.blocks_left = entry.overflow_blocks();
            wanted.form = entry.form;
            wanted.docs = entry.docs;
            wanted.size = entry.size;
            return true;
        }
        auto postings = std::make_shared<const Postings>(entry.form, entry.docs, entry.body);
        side_->cache().put(wanted.segment->identity, key, postings);
        found(wanted, std::move(postings));
        return false;
    }
    side_->cache().put(wanted.segment->identity, key, std::make_shared<const Postings>());
    return false;
}

bool Lookup::feed_overflow(Wanted& wanted, std::string_view bytes) {
    BlockView block = open_block(bytes);
    if (block.kind != BlockKind::overflow) throw Damaged("no overflow block");
    wanted.body += block.payload;
    ++wanted.block;
    if (--wanted.blocks_left > 0) return true;
    if (wanted.body.size() != wanted.size) throw Damaged("overflow blocks have the wrong size");
    auto postings = std::make_shared<const Postings>(wanted.form, wanted.docs, wanted.body);
    side_->cache().put(wanted.segment->identity, keys_[wanted.key], postings);
    found(wanted, std::move(postings));
    return false;
}

std::vector<std::string> Lookup::roaring(size_t key) const {
    std::vector<std::string> parts;
    for (const Part& part : parts_[key])
        parts.push_back(part.postings ? part.postings->roaring()
                                      : roaring_of_docs(part.view.docs, part.view.count));
    return parts;
}

}  // namespace weft
