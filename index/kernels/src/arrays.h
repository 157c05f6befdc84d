// NumPy arrays at the border: the forms that are taken, and results that hand over their memory.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <vector>

namespace weft {

using FloatRow =
    nanobind::ndarray<const float, nanobind::ndim<1>, nanobind::c_contig, nanobind::device::cpu>;
using FloatMatrix =
    nanobind::ndarray<const float, nanobind::ndim<2>, nanobind::c_contig, nanobind::device::cpu>;
using IdArray =
    nanobind::ndarray<const uint32_t, nanobind::ndim<1>, nanobind::c_contig, nanobind::device::cpu>;
using WordArray =
    nanobind::ndarray<const uint64_t, nanobind::ndim<1>, nanobind::c_contig, nanobind::device::cpu>;

// An array that is filled without the GIL and then becomes NumPy's without a copy.
template <class T>
class Owned {
  public:
    explicit Owned(size_t count) : values_(new T[count]) {}

    T* data() { return values_.get(); }

    nanobind::object to_numpy(std::initializer_list<size_t> shape) {
        T* values = values_.release();
        nanobind::capsule owner(values,
                                [](void* held) noexcept { delete[] static_cast<T*>(held); });
        return nanobind::cast(nanobind::ndarray<nanobind::numpy, T>(values, shape, owner));
    }

  private:
    std::unique_ptr<T[]> values_;
};

template <class T>
nanobind::object numpy_of(const std::vector<T>& values) {
    Owned<T> out(values.size());
    std::copy(values.begin(), values.end(), out.data());
    return out.to_numpy({values.size()});
}

}  // namespace weft
