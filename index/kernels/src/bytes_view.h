// Bytes of Python as views: nothing is copied, the object keeps them alive.
#pragma once

#include <nanobind/nanobind.h>

#include <string_view>

namespace weft {

// Raises TypeError for what is not `bytes`.
inline std::string_view view_of(nanobind::handle bytes) {
    char* data = nullptr;
    Py_ssize_t size = 0;
    if (PyBytes_AsStringAndSize(bytes.ptr(), &data, &size) != 0) throw nanobind::python_error();
    return {data, static_cast<size_t>(size)};
}

}  // namespace weft
