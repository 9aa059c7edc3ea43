// Matrix products of a few rows with weights that are packed once and used at every step.
#pragma once
#include <algorithm>
#include <cstdint>
#include <cstring>

namespace lstm {

#if defined(__AVX512F__)
constexpr int kBytes = 64, kRegisters = 32;
#elif defined(__AVX__)
constexpr int kBytes = 32, kRegisters = 16;
#else
constexpr int kBytes = 16, kRegisters = 16;
#endif

template <typename T>
struct Lanes {
  typedef T Vector __attribute__((vector_size(kBytes)));
  static constexpr int kCount = kBytes / sizeof(T);
  static constexpr int kPanel = 2 * kCount;  // columns that a tile makes
};

constexpr int kTile = 6;  // rows that a tile makes: 6 x 2 sums, one row of weights and one factor fill 16 registers

template <typename T>
int64_t padded(int64_t columns) {
  return (columns + Lanes<T>::kPanel - 1) / Lanes<T>::kPanel * Lanes<T>::kPanel;
}

// Weights (depth, columns) cut into panels of kPanel columns, each contiguous, the last filled up with zeros.
template <typename T>
struct Panels {
  const T* data;
  int64_t depth, columns;

  static int64_t size(int64_t depth, int64_t columns) { return depth * padded<T>(columns); }
};

// Pack `source`, row-major with rows `stride` apart.
template <typename T>
Panels<T> pack(const T* source, int64_t depth, int64_t columns, int64_t stride, T* into) {
  constexpr int kPanel = Lanes<T>::kPanel;
  T* to = into;
  for (int64_t first = 0; first < columns; first += kPanel) {
    const int64_t width = std::min<int64_t>(kPanel, columns - first);
    for (int64_t k = 0; k < depth; ++k, to += kPanel) {
      const T* from = source + k * stride + first;
      if (width == kPanel) {
        std::memcpy(to, from, kPanel * sizeof(T));
      } else {
        for (int64_t j = 0; j < kPanel; ++j) to[j] = j < width ? from[j] : T(0);
      }
    }
  }
  return {into, depth, columns};
}

// Pack the transpose of `source` (columns, depth), row-major with rows `stride` apart.
template <typename T>
Panels<T> pack_transposed(const T* source, int64_t depth, int64_t columns, int64_t stride, T* into) {
  constexpr int kPanel = Lanes<T>::kPanel;
  T* to = into;
  for (int64_t first = 0; first < columns; first += kPanel) {
    const int64_t width = std::min<int64_t>(kPanel, columns - first);
    if (width < kPanel) std::memset(to, 0, depth * kPanel * sizeof(T));
    for (int64_t k = 0; k < depth; ++k, to += kPanel) {
      for (int64_t j = 0; j < width; ++j) to[j] = source[(first + j) * stride + k];
    }
  }
  return {into, depth, columns};
}

template <typename T>
inline typename Lanes<T>::Vector load(const T* from) {
  typename Lanes<T>::Vector vector;
  std::memcpy(&vector, from, sizeof(vector));
  return vector;
}

// One tile: sums[r][:] += sum_k rows[r][k * step] panel[k][:], over kPanels panels `apart`, their sums `across`.
template <typename T, int kRows, int kPanels>
inline void tile(int64_t depth, const T* const* rows, int64_t step, const T* panel, int64_t apart, T* sums,
                 int64_t stride, int64_t across) {
  using Vector = typename Lanes<T>::Vector;
  constexpr int kLanes = Lanes<T>::kCount, kWide = 2 * kPanels;
  Vector sum[kRows][kWide];
#pragma GCC unroll 6
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 12
    for (int j = 0; j < kWide; ++j) sum[r][j] = load<T>(sums + r * stride + j / 2 * across + j % 2 * kLanes);
  for (int64_t k = 0; k < depth; ++k) {
    if constexpr (kPanels == 1) {
      const Vector first = load<T>(panel + k * 2 * kLanes), second = load<T>(panel + k * 2 * kLanes + kLanes);
#pragma GCC unroll 6
      for (int r = 0; r < kRows; ++r) {
        const Vector factor = rows[r][k * step] - Vector{};
        sum[r][0] += factor * first;
        sum[r][1] += factor * second;
      }
    } else {
      Vector factor[kRows];
#pragma GCC unroll 6
      for (int r = 0; r < kRows; ++r) factor[r] = rows[r][k * step] - Vector{};
#pragma GCC unroll 12
      for (int j = 0; j < kWide; ++j) {
        const Vector weight = load<T>(panel + (j / 2) * apart + k * 2 * kLanes + (j % 2) * kLanes);
#pragma GCC unroll 6
        for (int r = 0; r < kRows; ++r) sum[r][j] += factor[r] * weight;
      }
    }
  }
#pragma GCC unroll 6
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 12
    for (int j = 0; j < kWide; ++j)
      std::memcpy(sums + r * stride + j / 2 * across + j % 2 * kLanes, &sum[r][j], sizeof(Vector));
}

template <typename T, int kPanels>
void one_pass(int64_t count, int64_t depth, const T* const* rows, int64_t step, const T* panel, int64_t apart, T* sums,
              int64_t stride, int64_t across) {
  switch (count) {
    case 2: return tile<T, 2, kPanels>(depth, rows, step, panel, apart, sums, stride, across);
    case 3: return tile<T, 3, kPanels>(depth, rows, step, panel, apart, sums, stride, across);
    case 4: return tile<T, 4, kPanels>(depth, rows, step, panel, apart, sums, stride, across);
    case 5: return tile<T, 5, kPanels>(depth, rows, step, panel, apart, sums, stride, across);
    default: return tile<T, 6, kPanels>(depth, rows, step, panel, apart, sums, stride, across);
  }
}

template <typename T, int kPanels>
void passes(int64_t count, int64_t depth, const T* const* rows, int64_t step, const T* panel, int64_t apart, T* sums,
            int64_t stride, int64_t across) {
  const int64_t tiles = (count + kTile - 1) / kTile;
  for (int64_t n = 0; n < tiles; ++n) {
    const int64_t from = count * n / tiles, to = count * (n + 1) / tiles;  // tiles of equal height
    one_pass<T, kPanels>(to - from, depth, rows + from, step, panel, apart, sums + from * stride, stride, across);
  }
}

constexpr int kWidest = 6;  // panels that a single row takes at once: 12 sums

template <typename T>
void wide_tile(int64_t width, int64_t depth, const T* const* row, int64_t step, const T* panel, int64_t apart, T* sums,
               int64_t stride, int64_t across) {
  switch (width) {
    case 1: return tile<T, 1, 1>(depth, row, step, panel, apart, sums, stride, across);
    case 2: return tile<T, 1, 2>(depth, row, step, panel, apart, sums, stride, across);
    case 3: return tile<T, 1, 3>(depth, row, step, panel, apart, sums, stride, across);
    case 4: return tile<T, 1, 4>(depth, row, step, panel, apart, sums, stride, across);
    case 5: return tile<T, 1, 5>(depth, row, step, panel, apart, sums, stride, across);
    default: return tile<T, 1, 6>(depth, row, step, panel, apart, sums, stride, across);
  }
}

// sums (count, columns), rows `stride` apart, += rows (count, depth) times the panels from `first` to `last`. Element k
// of a row stands at rows[r][k * step]. A panel stays near while all rows pass it; few rows take two panels at once, or
// more, for enough independent sums, and where there are registers for 6 x 4 sums all do, for fewer reads a product.
// Writes whole panels, their sums `across` apart: rows lie whole, `stride` at least padded(columns), or in panels
// themselves.
template <typename T>
void multiply_panels(int64_t count, const T* const* rows, int64_t step, const Panels<T>& weights, int64_t first,
                     int64_t last, T* sums, int64_t stride, int64_t across) {
  const int64_t panels = last - first, apart = weights.depth * Lanes<T>::kPanel;
  const T* panel = weights.data + first * apart;
  sums += first * across;
  int64_t n = 0;
  if (count == 1) {
    const int64_t groups = (panels + kWidest - 1) / kWidest;
    for (int64_t group = 0; group < groups; ++group) {  // of equal width: a narrow one takes as long as a wide one
      const int64_t end = panels * (group + 1) / groups, width = end - n;
      wide_tile(width, weights.depth, rows, step, panel, apart, sums, stride, across);
      n = end, panel += width * apart, sums += width * across;
    }
    return;
  }
  if (count <= 3 || kRegisters >= 32)
    for (; n + 2 <= panels; n += 2, panel += 2 * apart, sums += 2 * across)
      passes<T, 2>(count, weights.depth, rows, step, panel, apart, sums, stride, across);
  for (; n < panels; ++n, panel += apart, sums += across)
    passes<T, 1>(count, weights.depth, rows, step, panel, apart, sums, stride, across);
}

}  // namespace lstm
