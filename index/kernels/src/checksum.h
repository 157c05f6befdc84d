// XXH64, as its specification says (xxHash fast digest algorithm, version 0.1.1), seed 0.
//
// Chosen for snapshots because it runs at memory speed in portable code; it finds damage, it does
// not keep out forgers.
#pragma once

#include <cstddef>
#include <cstdint>

namespace weft {

uint64_t checksum(const void* bytes, size_t length);

}  // namespace weft
