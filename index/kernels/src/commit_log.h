// CommitLog: what has changed in a graph since its snapshot, in a file that only grows.
//
//   file    := header commit*
//   header  := magic:"WEFTHLOG" version:u32 byte_order:u32 generation:u64 dimensions:u32 links:u32
//              checksum:u64                       -- XXH64 of the header before it
//   commit  := (nodes | lists | deleted)* end     -- takes effect as a whole
//   record  := length:u32 type:u32 payload:bytes[length] checksum:u64  -- XXH64 of all before it
//   nodes   := 1: first_slot:u32 count:u32 docs:u32[count] levels:u32[count]
//              rows:f32[count][dimensions]        -- slots follow those that are known
//   lists   := 2: (slot:u32 lists:u32 (used:u32 links:u32[used]){lists})*
//              -- layer 0 first; the final links of a slot, slot + 1 each
//   deleted := 3: slot:u32*
//   end     := 4: slots:u32 linked:u32 entry_slot:u32 entry_level:i32
//
// `generation` is that of the snapshot which the log continues; with another one it is worth
// nothing. Numbers are in the byte order of the machine. What a linker changes is only marked at
// the node; a commit writes each marked node once, with its lists as they are then. The log is
// derived data and not synced: whatever a crash or damage takes from its end comes back from the
// object store.
//
// Concurrency: one thread; beside it writers, linkers and searches of the graph.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "graph.h"

namespace weft {

class CommitLog {
  public:
    // A log that has nothing yet, for a graph that was saved with all that is not marked.
    CommitLog(const std::shared_ptr<Graph>& graph, const std::string& snapshot_path,
              uint64_t generation, uint32_t slots);

    // Plays the log of a snapshot back into its graph, up to the first record that is damaged, cut
    // off or makes no sense. Requires: nobody else has the graph.
    static std::unique_ptr<CommitLog> replay(const std::shared_ptr<Graph>& graph,
                                             const std::string& snapshot_path, uint64_t generation);
    static std::string path_for(const std::string& snapshot_path) { return snapshot_path + ".log"; }

    bool continues(const std::shared_ptr<Graph>& graph, const std::string& snapshot_path) const;
    // Bytes of the log after the next commit, about.
    uint64_t bytes_after(const Graph& graph) const;
    uint64_t bytes() const { return bytes_; }
    // Why replay stopped before the end of the file; empty where it did not.
    const std::string& fault() const { return fault_; }
    // Appends one commit with what has changed. Raises std::system_error; the log must not be used
    // after that.
    void commit(Graph& graph);

  private:
    class Writer;
    class Reader;

    void create() const;
    void put_nodes(const Graph& graph, uint32_t count, Writer& writer) const;
    static void put_changes(Graph& graph, uint32_t linked, Writer& writer);
    static bool put_lists(const Graph& graph, uint32_t slot, uint32_t linked, Writer& writer);

    std::weak_ptr<Graph> graph_;
    std::string snapshot_path_;
    uint64_t generation_;
    uint32_t slots_;      // that the snapshot and the log know
    uint64_t bytes_ = 0;  // of the file that are good; 0: there is no file
    std::string fault_;
};

}  // namespace weft
