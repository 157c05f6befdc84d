// RowFile: room on disk for rows that need not be in memory.
//
// The file has no name: it is gone with the process, whatever ends it. What it holds is derived and
// comes back from the object store.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace weft {

class RowFile {
  public:
    // Raises std::system_error where the directory takes no file, or the system has none of this.
    static std::shared_ptr<RowFile> create(const std::string& directory);
    RowFile(const RowFile&) = delete;
    RowFile& operator=(const RowFile&) = delete;
    ~RowFile();

    // Takes blocks of the disk, so that no later write can fail for want of them; none where the
    // disk has no room. The offset is that of a page.
    std::optional<uint64_t> reserve(size_t bytes);
    void give_back(uint64_t offset, size_t bytes) noexcept;
    // False where the disk refuses.
    bool write(uint64_t offset, const void* bytes, size_t length) noexcept;
    // Puts the file's bytes in the place of memory that begins on a page; the contents are equal,
    // so threads that read there notice nothing. False where the system refuses.
    bool map_over(void* begin, uint64_t offset, size_t bytes) noexcept;

  private:
    explicit RowFile(int descriptor) : descriptor_(descriptor) {}

    int descriptor_;
    uint64_t end_ = 0;
};

// Puts fresh memory with the same contents in the place of a mapped part of a file. False where the
// system refuses; nothing has changed then.
bool map_memory_over(void* begin, size_t bytes) noexcept;

}  // namespace weft
