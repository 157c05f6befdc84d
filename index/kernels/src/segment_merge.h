// Merges sorted postings of runs and segments into one stream, without the dead docs.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "postings_roaring.h"
#include "segment.h"
#include "segment_run.h"

namespace weft {

// Sorted keys with postings, one after the other.
class PostingSource {
  public:
    virtual ~PostingSource() = default;
    virtual bool next() = 0;  // false at the end
    virtual std::string_view key() const = 0;
    virtual void append_to(Columns& out) = 0;
};

std::unique_ptr<PostingSource> source_of_run(std::shared_ptr<const Run> run);

// `blocks` of one segment by number; they must outlive the source.
std::unique_ptr<PostingSource> source_of_blocks(const std::vector<std::string_view>& blocks,
                                                bool is_scored);

// Docs in `dead` are left out, and keys that have no doc left.
void merge_postings(std::vector<std::unique_ptr<PostingSource>>& sources, const DocBits& dead,
                    PostingSink& sink);

}  // namespace weft
