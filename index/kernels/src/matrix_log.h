// MatrixLog: the matrices of one multi-vector space, in a file that grows as they come.
//
//   file   := header block*
//   header := magic:"WEFTMATS" version:u32 byte_order:u32 dimensions:u32
//             ksim:u32 dprojections:u32 repetitions:u32   -- of the encoding, zeros without one
//             generation:u64                              -- names the graph of the candidates
//             checksum:u64                                -- XXH64 of the header before it and
//                                                         -- the space's owner, by exclusive or
//   block  := docs:u32 rows:u32 doc{docs} values:f32[rows][dimensions]
//             checksum:u64                                -- XXH64 of the block before it
//   doc    := doc:u32 rows:u32 first_token:u32            -- tokens ascend through the whole file
//
// The graph of the candidates lies beside it, as a snapshot and its log (snapshot.h, commit_log.h),
// under a name that has the generation in it: tokens mean nothing to a graph of another one.
// Deletions are not written; who loads says what is live. Where most of the file is dead, it is
// written anew. Numbers are in the byte order of the machine. The file is derived data and appends
// are not synced: what is cut off or damaged at its end comes back from the object store.
//
// Concurrency: one thread; beside it a writer and searches of the table.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "muvera.h"
#include "token_rows.h"

namespace weft {

// Whose matrices a file holds: `owner` tells a vector space from all others.
struct MatrixSpace {
    MuveraSettings encoding{0, 0, 0};  // zeros without one
    uint64_t owner = 0;
};

class MatrixLog {
  public:
    // A log that has nothing yet.
    MatrixLog(const std::string& path, const MatrixSpace& space, uint64_t generation);

    // Fills `table` with the live docs of a file, up to the first block that is damaged, cut off or
    // makes no sense. Raises SnapshotError where nothing of it can be used, std::system_error.
    static std::unique_ptr<MatrixLog> load(const std::string& path, const MatrixSpace& space,
                                           const AllowWords& live,
                                           std::shared_ptr<TokenRows>& table);

    // Appends what a table has and the file lacks; writes the file anew where most of it is dead.
    // Another table must be a copy of the one before, with the same tokens. Raises
    // std::system_error; the log must not be used after that.
    void save(const std::shared_ptr<TokenRows>& table);

    const std::string& path() const { return path_; }
    uint64_t generation() const { return generation_; }
    // Where the graph of a generation lies.
    static std::string graph_path(const std::string& path, uint64_t generation);
    std::string graph_path() const { return graph_path(path_, generation_); }
    // Tokens from here on are in no block.
    uint32_t token_end() const { return token_end_; }
    // One more than the largest doc id in the file that was loaded, dead or not; 0 without.
    uint64_t docs_end() const { return docs_end_; }
    // Why loading stopped before the end of the file; empty where it did not.
    const std::string& fault() const { return fault_; }

  private:
    struct Header;
    class Reader;

    Header header(uint32_t dimensions) const;
    void put_block(const TokenRows& table, uint32_t& slot, uint32_t end, std::vector<char>& block);
    void write_anew(const TokenRows& table, uint32_t end);

    std::string path_;
    MatrixSpace space_;
    uint64_t generation_;
    std::weak_ptr<TokenRows> table_;
    uint32_t slots_ = 0;  // of the table that are in the file
    uint64_t rows_ = 0;   // in the file, dead ones too
    uint64_t bytes_ = 0;  // of the file that are good; 0: there is no file
    uint32_t token_end_ = 0;
    uint64_t docs_end_ = 0;
    std::string fault_;
};

}  // namespace weft
