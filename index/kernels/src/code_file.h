// CodeFile: the codes of a graph in a file beside its snapshot, and what was learned for them, so
// that a start neither learns nor encodes again.
//
//   file    := header learned block*
//   header  := magic:"WEFTCODE" version:u32 byte_order:u32 metric:u32 dimensions:u32 kind:u32
//              bits:u32 segments:u32 centroids:u32 tile:u32 log_normal:u32 words:u32 zero:u32
//              training_limit:u64 learned_from:u64     -- vectors there were when it learned
//              learned_count:u64 checksum:u64          -- XXH64 of the header before it
//   learned := f32[learned_count] checksum:u64         -- XXH64 of the numbers
//   block   := first_slot:u32 count:u32 docs:u64 codes:f32[count][words] checksum:u64
//              -- slots follow each other; docs: XXH64 of their doc ids, u32 each, and the seed of
//              -- the graph, which names its vector space, by exclusive or; checksum: XXH64 of all
//              -- before it in the block, whose codes take 4 MiB at most
//
// Numbers are in the byte order of the machine; `kind` and `metric` as in codes.h and distance.h.
// A doc never gets another vector, so `docs` tells whether codes belong to the graph at hand,
// whatever became of its snapshot and its log. The file is derived data: new slots are appended
// without a sync, and what is damaged, cut or of other vectors is made again.
//
// Concurrency: one thread; beside it writers, linkers and searches of the graph.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "graph.h"

namespace weft {

// What was learned for codes, as it comes from a file.
struct LearnedCodes {
    CodeSettings settings;
    Metric metric = Metric::cosine;
    uint32_t dimensions = 0;
    size_t from = 0;
    std::vector<float> values;

    bool serves(const CodeSettings& wanted, const GraphSettings& graph) const;
};

class CodeFile {
  public:
    explicit CodeFile(const std::string& snapshot_path) : path_(path_for(snapshot_path)) {}
    static std::string path_for(const std::string& snapshot_path) {
        return snapshot_path + ".codes";
    }

    const std::string& path() const { return path_; }
    // Why the file, or its end, was not used; empty where it was, or there is none.
    const std::string& fault() const { return fault_; }

    // Reads what was learned. None where there is no file, or its beginning is damaged.
    std::optional<LearnedCodes> open();
    // Reads the codes of a graph into a table that was made of what `open` gave. Returns how many
    // slots, from the first, have their code. Requires: nobody else has the table.
    uint32_t read(const Graph& graph, const std::shared_ptr<CodeTable>& table);
    // Whether it is about the codes of this table, though perhaps not the latest.
    bool has(const std::shared_ptr<CodeTable>& table) const {
        return bytes_ > 0 && table_.lock() == table;
    }
    // Brings the file up to date with the codes of a graph. Raises std::system_error.
    void save(const Graph& graph, const std::shared_ptr<CodeTable>& table);

  private:
    struct Header;
    struct Block;

    std::vector<Block> find_blocks(const class File& file, uint32_t slots, uint32_t words);
    static bool read_block(const File& file, const Block& block, const Graph& graph,
                           CodeTable& table, std::vector<char>& spare, std::string& fault);
    static uint64_t put_blocks(File& file, const Graph& graph, const CodeTable& table,
                               uint32_t begin, uint32_t end);
    void write(const Graph& graph, const CodeTable& table, uint32_t count);

    std::string path_;
    std::string fault_;
    std::weak_ptr<CodeTable> table_;  // whose codes the file has
    uint32_t slots_ = 0;              // of them
    uint64_t bytes_ = 0;              // of the file that are good; 0: it is written anew
    uint64_t blocks_at_ = 0;          // where they begin
};

}  // namespace weft
