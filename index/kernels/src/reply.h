// Puts the results of a search together from stored objects; server/grpc/reply.py is the twin in
// Python, storage/object_codec.py the grammar of what comes in, proto/v1/search.proto of what goes
// out. Nothing is decoded: stored properties are copied, whole or in part.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weft {

// Which properties are kept, and in objects inside of objects which of theirs.
class ReplySelection {
  public:
    ReplySelection(std::vector<std::string> names,
                   std::vector<std::shared_ptr<ReplySelection>> inner,
                   std::vector<std::string> nulls);

    // Appends the kept properties of a `Properties` message. Throws DamagedReply.
    void apply(std::string_view properties, std::string& out) const;
    bool is_empty() const { return names_.empty(); }

  private:
    size_t find(std::string_view name, size_t first) const;

    std::vector<std::string> names_;
    std::vector<std::shared_ptr<ReplySelection>> inner_;  // Null keeps the property whole.
    std::vector<std::string> nulls_;  // Entries for what is missing; empty where none is wanted.
};

// What a reply shows of each hit beside its properties.
struct ReplyFields {
    bool id, created, updated, distance, certainty, score;
};

// One hit, as the engine gives it. `rest` is metadata that Python wrote already.
struct ReplyHit {
    std::string_view stored;
    double distance;
    double score;
    std::string_view rest;
};

// Appends the `SearchResult` of a hit. `scratch` is working space that is kept between hits.
class ReplyWriter {
  public:
    ReplyWriter(std::string head, std::shared_ptr<ReplySelection> selection, ReplyFields fields)
        : head_(std::move(head)), selection_(std::move(selection)), fields_(fields) {}

    void write(const ReplyHit& hit, bool has_distance, bool has_certainty, std::string& out);

  private:
    void write_metadata(const ReplyHit& hit, bool has_distance, bool has_certainty);

    std::string head_;
    std::shared_ptr<ReplySelection> selection_;
    ReplyFields fields_;
    std::string properties_, metadata_, kept_;
};

}  // namespace weft
