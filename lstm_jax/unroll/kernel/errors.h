// The way back over the sequences of a share: errors through time, weight gradients of many steps in one product.
#pragma once
#include "sequences.h"

namespace lstm {

// Gradients that a share adds up by itself.
template <typename T>
struct Gradients {
  T* weights;  // (I + H + L n, G n) in panels: of W, of R, of Q in the columns of all rows
  T *b, *p;    // (G n); (P, H)
};

template <typename T>
struct WayBack {
  Problem<T> problem;
  const T *ys, *cs, *act, *reset_rows, *d_ys;
  State<const T> d_last;
  T* d_xs;  // (T, B, I), or null where nobody asks
  State<T> d_first;
};

template <typename T>
void run_backward(const WayBack<T>& way, const Panels<T>& W, const Panels<T>& R, const Panels<T>& Q,
                  const Share& share, const Gradients<T>& sums, Team& team, Scratch& scratch) {
  const Problem<T>& problem = way.problem;
  const Cell& cell = problem.cell;
  const int64_t m = share.rows.size(), I = cell.inputs, H = cell.hidden, G = cell.rows(), fed = problem.fed();
  const int64_t wide = padded<T>(G), wide_y = padded<T>(H), wide_gates = padded<T>(fed), wide_x = padded<T>(I);
  const int64_t longest = share.longest(), room = std::max(problem.gathered(128), m), fan_in = I + H + fed;
  const int64_t apart = fan_in + Lanes<T>::kCount;  // a column of `left` at a power of two would share a few cache sets
  const bool resets = cell.resets();
  scratch.begin();
  T* x_rows = scratch.take<T>(room * wide);
  T* y_rows = resets ? scratch.take<T>(room * wide) : x_rows;
  T* packed = scratch.take<T>(Panels<T>::size(room, G));
  T* left = scratch.take<T>(room * apart);
  T* d_x = scratch.take<T>(way.d_xs ? room * wide_x : 0);
  const T* zeros = scratch.zeros<T>(std::max(H, fed));
  T* squashed = scratch.take<T>(H);
  T *d_c = scratch.take<T>(m * H), *d_y = scratch.zeros<T>(m * wide_y), *d_gates = scratch.zeros<T>(m * wide_gates);
  int64_t* places = scratch.take<int64_t>(room);
  const T** rows = scratch.take<const T*>(std::max(room, fan_in));
  share_panels<T>(team, 1, fan_in, G, [&](int64_t first, int64_t last) {
    const int64_t panel = fan_in * Lanes<T>::kPanel;
    std::memset(sums.weights + first * panel, 0, (last - first) * panel * sizeof(T));
  });
  std::memset(sums.b, 0, G * sizeof(T));
  std::memset(sums.p, 0, cell.peepholes * H * sizeof(T));
  for (int64_t r = 0; r < m; ++r) {
    std::memcpy(d_c + r * H, way.d_last.c + share.rows[r] * H, H * sizeof(T));
    std::memcpy(d_y + r * wide_y, way.d_last.y + share.rows[r] * H, H * sizeof(T));
    if (fed) std::memcpy(d_gates + r * wide_gates, way.d_last.gates + share.rows[r] * fed, fed * sizeof(T));
  }

  int64_t gathered = 0;
  auto each_row = [&](const T* first, int64_t count, int64_t stride) {
    for (int64_t n = 0; n < count; ++n) rows[n] = first + n * stride;
    return rows;
  };
  auto learn = [&](int64_t begin, int64_t end, const T* errors) {  // of weights from inputs `begin` .. `end`
    constexpr int kPanel = Lanes<T>::kPanel;
    const auto panels = pack_all(team, pack<T>, errors, 1, gathered, G, wide, packed);
    multiply(team, end - begin, each_row(left + begin, end - begin, 1), apart, panels, sums.weights + begin * kPanel,
             kPanel, fan_in * kPanel);
  };
  auto flush = [&] {
    if (way.d_xs && gathered) {
      std::memset(d_x, 0, gathered * wide_x * sizeof(T));
      multiply(team, gathered, each_row(x_rows, gathered, wide), 1, W, d_x, wide_x);
      for (int64_t n = 0; n < gathered; ++n)
        std::memcpy(way.d_xs + places[n] * I, d_x + n * wide_x, I * sizeof(T));
    }
    learn(0, resets ? I : fan_in, x_rows);
    if (resets) learn(I, fan_in, y_rows);
    gathered = 0;
  };

  for (int64_t k = longest - 1; k >= 0; --k) {
    const int64_t t = problem.reverse ? longest - 1 - k : k, earlier = problem.reverse ? t + 1 : t - 1;
    const int64_t valid = share.active(t);
    if (gathered + valid > room) flush();
    for (int64_t r = 0; r < valid; ++r) {
      const int64_t row = share.rows[r], place = problem.at(t, row), n = gathered + r;
      const bool starting = problem.starting(t, row);
      const bool first = problem.reverse ? earlier >= share.lengths[r] : earlier < 0;
      const int64_t before = problem.at(earlier, row);
      const T* c = starting ? zeros : first ? problem.first.c + row * H : way.cs + before * H;
      const T* y = starting ? zeros : first ? problem.first.y + row * H : way.ys + before * H;
      const T* d_now = way.d_ys + place * H;
      T* error = d_y + r * wide_y;
      for (int64_t j = 0; j < H; ++j) error[j] += d_now[j];
      const Errors<T> errors{error, d_c + r * H, fed ? d_gates + r * wide_gates : nullptr, x_rows + n * wide,
                             resets ? y_rows + n * wide : nullptr, sums.p, squashed};
      backward(cell, problem.p, way.act + place * G, resets ? way.reset_rows + place * H : nullptr, c,
               way.cs + place * H, errors);
      for (int64_t j = 0; j < G; ++j) sums.b[j] += errors.x_rows[j];
      T* from = left + n * apart;
      std::memcpy(from, problem.xs + place * I, I * sizeof(T));
      std::memcpy(from + I, y, H * sizeof(T));
      if (fed) {
        const T* gates = starting ? zeros : first ? problem.first.gates + row * fed : way.act + before * G + H;
        std::memcpy(from + I + H, gates, fed * sizeof(T));
      }
      places[n] = place;
    }
    std::memset(d_y, 0, valid * wide_y * sizeof(T));
    std::memset(d_gates, 0, valid * wide_gates * sizeof(T));
    if (!cell.truncated) {
      each_row(y_rows + gathered * wide, valid, wide);
      multiply(team, valid, rows, 1, R, d_y, wide_y);
      if (fed) multiply(team, valid, rows, 1, Q, d_gates, wide_gates);
    }
    for (int64_t r = 0; r < valid; ++r)
      if (problem.starting(t, share.rows[r])) {
        std::memset(d_c + r * H, 0, H * sizeof(T));
        std::memset(d_y + r * wide_y, 0, H * sizeof(T));
        std::memset(d_gates + r * wide_gates, 0, fed * sizeof(T));
      }
    gathered += valid;
  }
  flush();
  for (int64_t r = 0; r < m; ++r) {
    const int64_t row = share.rows[r];
    std::memcpy(way.d_first.c + row * H, d_c + r * H, H * sizeof(T));
    std::memcpy(way.d_first.y + row * H, d_y + r * wide_y, H * sizeof(T));
    if (fed) std::memcpy(way.d_first.gates + row * fed, d_gates + r * wide_gates, fed * sizeof(T));
    if (way.d_xs)
      for (int64_t late = share.lengths[r]; late < problem.steps; ++late)
        std::memset(way.d_xs + problem.at(late, row) * I, 0, I * sizeof(T));
  }
  scratch.end();
}

template <typename T>
struct Weights {
  T *W, *R, *b, *p, *Q;  // (I, G n), (H, G n), (G n), (P, H) or null, (L n, fed rows) or null
};

// to (rows, columns) = or += the rows from `row` and the columns from `column` of sums in panels of `height` rows.
template <typename T>
void add_panels(int64_t rows, int64_t columns, const T* sums, int64_t height, int64_t row, int64_t column, bool fresh,
                T* to) {
  constexpr int kPanel = Lanes<T>::kPanel;
  for (int64_t done = 0; done < columns;) {
    const int64_t from = column + done, in = from % kPanel, width = std::min(columns - done, kPanel - in);
    const T* panel = sums + (from / kPanel * height + row) * kPanel + in;
    for (int64_t r = 0; r < rows; ++r) {
      T* sum = to + r * columns + done;
      if (fresh) {
        for (int64_t j = 0; j < width; ++j) sum[j] = panel[r * kPanel + j];
      } else {
        for (int64_t j = 0; j < width; ++j) sum[j] += panel[r * kPanel + j];
      }
    }
    done += width;
  }
}

// What one share has summed, to the gradient or, where that is `fresh`, in its place.
template <typename T>
void add_up(const Problem<T>& problem, const Gradients<T>& share, bool fresh, const Weights<T>& gradient, Team& team) {
  const Cell& cell = problem.cell;
  const int64_t I = cell.inputs, H = cell.hidden, G = cell.rows(), fed = problem.fed(), fan_in = I + H + fed;
  const auto weights = [&](int64_t rows, int64_t columns, int64_t row, int64_t column, T* to) {
    share_range(team, rows, rows * columns, [&](int64_t first, int64_t last) {
      add_panels(last - first, columns, share.weights, fan_in, row + first, column, fresh, to + first * columns);
    });
  };
  weights(I, G, 0, 0, gradient.W);
  weights(H, G, I, 0, gradient.R);
  weights(fed, cell.fed_rows * cell.n, I + H, cell.fed_first * cell.n, gradient.Q);
  const auto sums = [&](int64_t count, const T* from, T* to) {
    for (int64_t j = 0; j < count; ++j) to[j] = fresh ? from[j] : to[j] + from[j];
  };
  sums(G, share.b, gradient.b);
  sums(cell.peepholes * H, share.p, gradient.p);
}

}  // namespace lstm
