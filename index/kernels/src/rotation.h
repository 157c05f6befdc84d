// Rotation: a random turn of vectors, so that no dimension is more important than another.
//
// Three rounds of random signs and Walsh-Hadamard transforms, O(n log n). Where the length is not
// a power of two, each round transforms the largest power of two from the front and from the back;
// the parts overlap. (The fast rotations of RaBitQ: Gao & Long 2024, arXiv 2405.12497.) The turn
// follows from the length alone, so codes outlive the process that made them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace weft {

class Rotation {
  public:
    // Vectors of `dimensions`, which become `length` >= dimensions values.
    Rotation(size_t dimensions, size_t length);

    // Keeps lengths and products. `out` has room for `length` values.
    void turn(const float* row, float* out) const;
    size_t length() const { return length_; }
    size_t memory_bytes() const { return signs_.size() * sizeof(float); }

  private:
    static constexpr size_t kRounds = 3;

    size_t dimensions_;
    size_t length_;
    size_t block_;
    std::vector<float> signs_;  // one a round and position
};

}  // namespace weft
