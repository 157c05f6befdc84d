// Builds runs and finds keys in them.
#include "segment_run.h"

#include <algorithm>
#include <bit>
#include <functional>

namespace weft {

void append_impacts(const ColumnsView& postings, std::vector<Impact>& out) {
    for (size_t first = 0; first < postings.count; first += kImpactPostings) {
        size_t end = std::min(first + kImpactPostings, postings.count);
        Impact impact{postings.docs[end - 1], 0, UINT32_MAX};
        for (size_t at = first; at < end; ++at) {
            impact.frequency_max = std::max(impact.frequency_max, postings.frequencies[at]);
            impact.length_min = std::min(impact.length_min, postings.lengths[at]);
        }
        out.push_back(impact);
    }
}

void Run::add(std::string_view key, const ColumnsView& postings) {
    if (postings.count == 0) return;
    keys_ += key;
    key_ends_.push_back(keys_.size());
    docs_.insert(docs_.end(), postings.docs, postings.docs + postings.count);
    if (is_scored_) {
        frequencies_.insert(frequencies_.end(), postings.frequencies,
                            postings.frequencies + postings.count);
        lengths_.insert(lengths_.end(), postings.lengths, postings.lengths + postings.count);
        append_impacts(postings, impacts_);
    }
    posting_ends_.push_back(docs_.size());
    impact_ends_.push_back(impacts_.size());
}

void Run::seal() {
    slots_.assign(std::bit_ceil(2 * key_count() + 1), 0);
    size_t mask = slots_.size() - 1;
    for (size_t at = 0; at < key_count(); ++at) {
        size_t slot = std::hash<std::string_view>()(key(at)) & mask;
        while (slots_[slot] != 0) slot = (slot + 1) & mask;
        slots_[slot] = static_cast<uint32_t>(at + 1);
    }
}

std::shared_ptr<Run> Run::of_delta(std::string_view bytes, bool is_scored) {
    auto run = std::make_shared<Run>(is_scored);
    EntryCursor cursor(bytes);
    if (cursor.is_scored() != is_scored) throw Damaged("a delta is of the other side");
    Columns columns;
    while (cursor.next()) {
        const Entry& entry = cursor.entry();
        if (entry.is_overflow) throw Damaged("a delta refers to another block");
        columns.clear();
        decode_body(entry.form, entry.docs, entry.body, columns);
        run->add(entry.key, {columns.docs.data(), columns.frequencies.data(),
                             columns.lengths.data(), columns.docs.size()});
    }
    run->seal();
    return run;
}

size_t Run::find(std::string_view wanted) const {
    size_t mask = slots_.size() - 1;
    size_t slot = std::hash<std::string_view>()(wanted) & mask;
    for (; slots_[slot] != 0; slot = (slot + 1) & mask)
        if (key(slots_[slot] - 1) == wanted) return slots_[slot] - 1;
    return key_count();
}

size_t Run::lower_bound(std::string_view wanted) const {
    size_t low = 0, high = key_count();
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (key(middle) < wanted)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

std::span<const uint32_t> Run::docs(size_t first, size_t last) const {
    if (first >= last) return {};
    size_t start = first == 0 ? 0 : posting_ends_[first - 1];
    return std::span(docs_).subspan(start, posting_ends_[last - 1] - start);
}

ColumnsView Run::columns(size_t at) const {
    size_t start = at == 0 ? 0 : posting_ends_[at - 1];
    size_t count = posting_ends_[at] - start;
    if (!is_scored_) return {docs_.data() + start, nullptr, nullptr, count};
    return {docs_.data() + start, frequencies_.data() + start, lengths_.data() + start, count};
}

PostingView Run::view(size_t at) const {
    ColumnsView columns = this->columns(at);
    PostingView view;
    view.docs = columns.docs;
    view.frequencies = columns.frequencies;
    view.lengths = columns.lengths;
    view.impacts = impacts_.data() + (at == 0 ? 0 : impact_ends_[at - 1]);
    view.count = static_cast<uint32_t>(columns.count);
    view.is_wide = true;
    return view;
}

size_t Run::bytes() const {
    return keys_.capacity() + 8 * (key_ends_.capacity() * 3) +
           4 * (docs_.capacity() + frequencies_.capacity() + lengths_.capacity()) +
           sizeof(Impact) * impacts_.capacity() + 4 * slots_.capacity();
}

}  // namespace weft
