// File: a descriptor that closes itself, with reads and writes that are whole or raise.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace weft {

class File {
  public:
    static File open_to_read(const std::string& path);
    // Cuts the file to `length` bytes and appends after them.
    static File open_to_append(const std::string& path, uint64_t length);
    static File create(const std::string& path);
    File(File&& other) noexcept;
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    ~File();

    uint64_t size() const;
    // False where the file ends before `length` bytes. Any number of threads may read.
    bool read(uint64_t offset, void* into, size_t length) const;
    void append(const void* bytes, size_t length);
    void sync();

    // Puts `source` in the place of `target` and makes the change of the directory durable.
    static void replace(const std::string& source, const std::string& target);

  private:
    File(int descriptor, std::string path);
    [[noreturn]] void raise(const char* doing) const;

    int descriptor_;
    std::string path_;
};

}  // namespace weft
