#include "range_column.h"

namespace weft {
namespace {

// No key of postings begins so: it would be the size of a field name that is far too long.
std::string name_of(std::string_view field) {
    return std::string("\xff\xff").append(field);
}

}  // namespace

RangeColumn::RangeColumn(size_t first_at, const std::vector<std::vector<uint32_t>>& docs)
    : first_at_(first_at), starts_{0} {
    size_t count = 0;
    for (const auto& part : docs) count += part.size();
    docs_.reserve(count);
    starts_.reserve(docs.size() + 1);
    for (const auto& part : docs) {
        docs_.insert(docs_.end(), part.begin(), part.end());
        starts_.push_back(docs_.size());
    }
}

std::span<const uint32_t> RangeColumn::between(size_t first, size_t last) const {
    size_t start = starts_.at(first - first_at_);
    return std::span(docs_).subspan(start, starts_.at(last - first_at_) - start);
}

size_t RangeColumn::bytes() const {
    return sizeof(RangeColumn) + 4 * docs_.capacity() + sizeof(size_t) * starts_.capacity();
}

void RangeColumnBuilder::finish_one(TermCache& cache) {
    if (--left_ == 0)
        cache.put(segment_, name_of(field_), std::make_shared<const RangeColumn>(first_at_, docs_));
}

std::shared_ptr<const RangeColumn> find_range_column(TermCache& cache, uint64_t segment,
                                                     std::string_view field) {
    return std::dynamic_pointer_cast<const RangeColumn>(cache.find(segment, name_of(field)));
}

}  // namespace weft
