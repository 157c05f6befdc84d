// BatchObject: reads an object of an import straight into Python's values.
//
// protobuf gives a Python object for every message, and one more for every value in it; this gives
// the values. The grammar is protobuf's own, of `BatchObject` (proto/v1/batch.proto), as protobuf
// writes it: every field once, texts checked.
#pragma once

#include <nanobind/nanobind.h>

#include <string_view>

namespace weft {

// (id as 16 bytes, properties, bytes of the unnamed vector, [(name, bytes, type)] of named ones),
// or None for an object with fields that are not known here, or an id in another form than
// 8-4-4-4-12: the caller then takes the long way.
nanobind::object read_batch_object(std::string_view message);

}  // namespace weft
