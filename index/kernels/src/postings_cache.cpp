// Decodes postings for the cache, and keeps it below its bound.
#include "postings_cache.h"

#include <algorithm>

#include "postings_roaring.h"

namespace weft {
namespace {

constexpr size_t kItemBytes = 200;  // list node, map node, string and shared_ptr around an item

}  // namespace

Postings::Postings(Form form, uint32_t docs, std::string_view body) {
    Columns columns;
    decode_body(form, docs, body, columns);
    if (form != Form::scored) {
        roaring_ = form == Form::roaring
                       ? std::string(body)
                       : roaring_of_docs(columns.docs.data(), columns.docs.size());
        return;
    }
    append_impacts({columns.docs.data(), columns.frequencies.data(), columns.lengths.data(),
                    columns.docs.size()},
                   impacts_);
    uint32_t largest = 0;
    for (uint32_t number : columns.frequencies) largest = std::max(largest, number);
    for (uint32_t number : columns.lengths) largest = std::max(largest, number);
    auto fill = [&](auto& numbers) {
        numbers.reserve(2 * columns.docs.size());
        numbers.insert(numbers.end(), columns.frequencies.begin(), columns.frequencies.end());
        numbers.insert(numbers.end(), columns.lengths.begin(), columns.lengths.end());
    };
    if (largest > UINT16_MAX)
        fill(wide_);
    else
        fill(narrow_);
    docs_ = std::move(columns.docs);
}

std::string Postings::roaring() const {
    return docs_.empty() ? roaring_ : roaring_of_docs(docs_.data(), docs_.size());
}

PostingView Postings::view() const {
    PostingView view;
    view.docs = docs_.data();
    view.is_wide = !wide_.empty();
    view.count = static_cast<uint32_t>(docs_.size());
    if (view.is_wide) {
        view.frequencies = wide_.data();
        view.lengths = wide_.data() + docs_.size();
    } else {
        view.frequencies = narrow_.data();
        view.lengths = narrow_.data() + docs_.size();
    }
    view.impacts = impacts_.data();
    return view;
}

size_t Postings::bytes() const {
    return sizeof(Postings) + roaring_.capacity() + 4 * docs_.capacity() + 2 * narrow_.capacity() +
           4 * wide_.capacity() + sizeof(Impact) * impacts_.capacity();
}

std::shared_ptr<const Postings> TermCache::get(uint64_t segment, std::string_view key) {
    return std::static_pointer_cast<const Postings>(find(segment, key));
}

std::shared_ptr<const Cached> TermCache::find(uint64_t segment, std::string_view key) {
    std::lock_guard lock(mutex_);
    auto found = places_.find(Name{segment, key});
    if (found == places_.end()) {
        ++misses_;
        return nullptr;
    }
    ++hits_;
    items_.splice(items_.begin(), items_, found->second);
    return found->second->held;
}

void TermCache::put(uint64_t segment, std::string_view key, std::shared_ptr<const Cached> item) {
    size_t size = item->bytes() + key.size() + kItemBytes;
    std::lock_guard lock(mutex_);
    if (size > bytes_max_ || places_.count(Name{segment, key})) return;
    items_.push_front({segment, std::string(key), std::move(item), size});
    places_[Name{segment, items_.front().key}] = items_.begin();
    bytes_ += size;
    while (bytes_ > bytes_max_) {
        Item& last = items_.back();
        bytes_ -= last.bytes;
        places_.erase(Name{last.segment, last.key});
        items_.pop_back();
    }
}

size_t TermCache::bytes() const {
    std::lock_guard lock(mutex_);
    return bytes_;
}

}  // namespace weft
