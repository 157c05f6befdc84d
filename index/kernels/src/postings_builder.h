// DeltaBuilder: collects the fields of one write batch and writes them as one delta a side.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "postings_text.h"
#include "segment.h"

namespace weft {

// Distinct byte strings, numbered in the order they came.
class TermTable {
  public:
    uint32_t number_of(std::string_view term);
    size_t count() const { return ends_.size(); }
    std::string_view term(uint32_t number) const {
        size_t start = number == 0 ? 0 : ends_[number - 1];
        return std::string_view(bytes_).substr(start, ends_[number] - start);
    }

  private:
    void grow();

    std::string bytes_;
    std::vector<size_t> ends_;
    std::vector<uint32_t> slots_;  // number + 1, 0 is free
};

// The terms of one field. Docs may come in any order, and come again.
class FieldTerms {
  public:
    void start(uint32_t doc);  // the terms that follow are of this doc
    void add(std::string_view term);
    void write(std::string_view field, PostingSink& sink);  // once, at the end

    const std::vector<uint32_t>& docs() const { return docs_; }
    const std::vector<uint32_t>& lengths() const { return lengths_; }

  private:
    struct Occurrence {
        uint32_t term;
        uint32_t ordinal;
        uint32_t frequency;
    };
    void gather(const Occurrence* first, const Occurrence* last, Columns& out) const;

    TermTable terms_;
    std::vector<uint32_t> docs_;     // by ordinal
    std::vector<uint32_t> lengths_;  // by ordinal
    std::vector<size_t> latest_;     // by term: where its last occurrence lies
    std::vector<Occurrence> log_;
    std::map<uint32_t, uint32_t> ordinals_;  // filled once docs do not ascend
    uint32_t ordinal_ = 0;
};

class DeltaBuilder {
  public:
    DeltaBuilder() = default;
    DeltaBuilder(const DeltaBuilder&) = delete;
    DeltaBuilder& operator=(const DeltaBuilder&) = delete;

    FieldTerms& filterable(std::string_view field) { return field_of(filterable_, field); }
    FieldTerms& searchable(std::string_view field) { return field_of(searchable_, field); }
    const FieldTerms* find_searchable(std::string_view field) const;
    std::vector<std::string> searchable_fields() const;

    // The two deltas; empty bytes for a side with nothing in it. The builder is empty afterwards.
    std::pair<std::string, std::string> finish();

  private:
    using Fields = std::map<std::string, std::unique_ptr<FieldTerms>, std::less<>>;
    static FieldTerms& field_of(Fields& fields, std::string_view field);
    static std::string write(Fields& fields, bool is_scored);

    Fields filterable_;  // by field size and name, as `key_of` orders them
    Fields searchable_;
};

}  // namespace weft
