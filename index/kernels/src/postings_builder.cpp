// Collects terms and sorts them into deltas.
#include "postings_builder.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <stdexcept>

namespace weft {

uint32_t TermTable::number_of(std::string_view term) {
    if (2 * (ends_.size() + 1) > slots_.size()) grow();
    size_t mask = slots_.size() - 1;
    size_t slot = std::hash<std::string_view>()(term) & mask;
    for (; slots_[slot] != 0; slot = (slot + 1) & mask)
        if (this->term(slots_[slot] - 1) == term) return slots_[slot] - 1;
    bytes_ += term;
    ends_.push_back(bytes_.size());
    slots_[slot] = static_cast<uint32_t>(ends_.size());
    return static_cast<uint32_t>(ends_.size() - 1);
}

void TermTable::grow() {
    slots_.assign(std::max<size_t>(16, slots_.size() * 2), 0);
    size_t mask = slots_.size() - 1;
    for (uint32_t number = 0; number < ends_.size(); ++number) {
        size_t slot = std::hash<std::string_view>()(term(number)) & mask;
        while (slots_[slot] != 0) slot = (slot + 1) & mask;
        slots_[slot] = number + 1;
    }
}

void FieldTerms::start(uint32_t doc) {
    if (doc >= kDocMax) throw std::invalid_argument("a doc id is too large");
    if (!docs_.empty() && docs_[ordinal_] == doc) return;
    bool ascends = ordinals_.empty() && (docs_.empty() || docs_.back() < doc);
    if (!ascends) {
        if (ordinals_.empty())
            for (uint32_t at = 0; at < docs_.size(); ++at) ordinals_[docs_[at]] = at;
        auto [found, is_new] = ordinals_.try_emplace(doc, static_cast<uint32_t>(docs_.size()));
        ordinal_ = found->second;
        if (!is_new) return;
    }
    ordinal_ = static_cast<uint32_t>(docs_.size());
    docs_.push_back(doc);
    lengths_.push_back(0);
}

void FieldTerms::add(std::string_view term) {
    if (term.size() > kValueBytesMax) throw std::invalid_argument("a value is longer than 32 KiB");
    uint32_t number = terms_.number_of(term);
    if (number == latest_.size()) latest_.push_back(SIZE_MAX);
    ++lengths_[ordinal_];
    size_t& latest = latest_[number];
    if (latest != SIZE_MAX && log_[latest].ordinal == ordinal_) {
        ++log_[latest].frequency;
        return;
    }
    latest = log_.size();
    log_.push_back({number, ordinal_, 1});
}

void FieldTerms::gather(const Occurrence* first, const Occurrence* last, Columns& out) const {
    out.clear();
    bool ascends = true;
    for (const Occurrence* at = first; at != last; ++at) {
        out.docs.push_back(docs_[at->ordinal]);
        out.frequencies.push_back(at->frequency);
        out.lengths.push_back(lengths_[at->ordinal]);
        if (at != first && out.docs[out.docs.size() - 2] >= out.docs.back()) ascends = false;
    }
    if (ascends) return;
    std::map<uint32_t, std::pair<uint32_t, uint32_t>> by_doc;
    for (size_t at = 0; at < out.docs.size(); ++at) {
        auto& [frequency, length] = by_doc[out.docs[at]];
        frequency += out.frequencies[at];
        length = out.lengths[at];
    }
    out.clear();
    for (const auto& [doc, numbers] : by_doc) {
        out.docs.push_back(doc);
        out.frequencies.push_back(numbers.first);
        out.lengths.push_back(numbers.second);
    }
}

void FieldTerms::write(std::string_view field, PostingSink& sink) {
    // A counting sort keeps the order of docs inside each term.
    std::vector<size_t> starts(terms_.count() + 1, 0);
    for (const Occurrence& item : log_) ++starts[item.term + 1];
    std::partial_sum(starts.begin(), starts.end(), starts.begin());
    std::vector<Occurrence> sorted(log_.size());
    std::vector<size_t> next(starts.begin(), starts.end() - 1);
    for (const Occurrence& item : log_) sorted[next[item.term]++] = item;
    std::vector<uint32_t> order(terms_.count());
    std::iota(order.begin(), order.end(), 0);
    std::sort(order.begin(), order.end(), [&](uint32_t left, uint32_t right) {
        return terms_.term(left) < terms_.term(right);
    });
    Columns columns;
    for (uint32_t term : order) {
        gather(sorted.data() + starts[term], sorted.data() + starts[term + 1], columns);
        sink.add(key_of(field, terms_.term(term)), {columns.docs.data(), columns.frequencies.data(),
                                                    columns.lengths.data(), columns.docs.size()});
    }
}

const FieldTerms* DeltaBuilder::find_searchable(std::string_view field) const {
    auto found = searchable_.find(key_of(field, {}));
    return found == searchable_.end() ? nullptr : found->second.get();
}

std::vector<std::string> DeltaBuilder::searchable_fields() const {
    std::vector<std::string> names;
    for (const auto& [name, terms] : searchable_) names.push_back(name.substr(2));
    return names;
}

std::pair<std::string, std::string> DeltaBuilder::finish() {
    std::pair<std::string, std::string> deltas{write(filterable_, false), write(searchable_, true)};
    filterable_.clear();
    searchable_.clear();
    return deltas;
}

FieldTerms& DeltaBuilder::field_of(Fields& fields, std::string_view field) {
    std::string name = key_of(field, {});
    auto& terms = fields[name];
    if (!terms) terms = std::make_unique<FieldTerms>();
    return *terms;
}

std::string DeltaBuilder::write(Fields& fields, bool is_scored) {
    if (fields.empty()) return {};
    SegmentWriter writer(SegmentWriter::Shape::delta, is_scored);
    for (auto& [name, terms] : fields) terms->write(std::string_view(name).substr(2), writer);
    if (writer.is_empty()) return {};
    return std::move(writer.finish().front());
}

}  // namespace weft
