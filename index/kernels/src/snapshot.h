// Snapshot: a graph in one file, so that a start reads memory instead of linking again.
//
//   file    := header docs levels uppers upper_links base_links rows
//   header  := magic:"WEFTHNSW" version:u32 byte_order:u32 metric:u32 dimensions:u32 stride:u32
//              links:u32 ef_construction:u32 entry_slot:u32 entry_level:i32 slots:u32 linked:u32
//              upper_lists:u32 seed:u64                     -- names the vector space it belongs to
//              generation:u64                               -- names this snapshot to its log
//              checksum:u64                                 -- XXH64 of the header before it
//   docs    := section of u32[slots]
//   levels  := section of u8[slots]                         -- top bit: deleted
//   uppers  := section of u32[slots]                        -- first upper list + 1, or 0
//   upper_links := section of u32[upper_lists][links / 2]   -- slot + 1 each, 0 after the last
//   base_links  := section of u32[linked][links]
//   rows    := section of f32[slots][stride]                -- as in memory, padded with zeros
//   section := block*                                       -- its length follows from the header
//   block   := bytes[4 MiB, the last one less] checksum:u64 -- XXH64 of the bytes
//
// Numbers are in the byte order of the machine; `byte_order` tells. The file is derived data: what
// it lacks, or all of it, comes back from the object store.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "graph.h"

namespace weft {

// The file is not a snapshot that this build can take: damaged, cut, or of another kind.
struct SnapshotError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

class Snapshot {
  public:
    // What a log needs to know of the snapshot that it continues.
    struct Saved {
        uint64_t generation;
        uint32_t slots;
        uint64_t bytes;
    };

    // Writes beside `path`, syncs, renames. Runs beside writers and linkers: it holds what was
    // there when it began; nodes that changed since are marked. Raises std::system_error.
    static Saved save(Graph& graph, const std::string& path);

    // Reads a graph for `settings` (whose dimensions the file gives). Raises SnapshotError, or
    // std::system_error where the file cannot be read.
    static std::shared_ptr<Graph> load(const std::string& path, const GraphSettings& settings,
                                       Saved& saved);

    // Marks what is not in `live` as deleted; gives the live docs that the graph does not have.
    static std::vector<uint32_t> reconcile(Graph& graph, const AllowWords& live);

    // The node that a walk over the first `linked` slots begins with; kNoSlot where there is none.
    static uint32_t pick_entry(const Graph& graph, uint32_t linked);

  private:
    struct Header;
    class Writer;
    class Reader;

    static void save_sections(const Graph& graph, const Header& header, Writer& writer);
    static void load_sections(Graph& graph, const Header& header, const Reader& reader);
    static void check_links(const Graph& graph, const Header& header);
    static void clear_marks(Graph& graph, uint32_t linked);
    static void mark_shortened(Graph& graph, uint32_t linked);
};

}  // namespace weft
