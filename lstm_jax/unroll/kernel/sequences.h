// All steps of some sequences of a batch, forward and back, at the cost of their valid steps.
#pragma once
#include <algorithm>
#include <cstdint>
#include <numeric>
#include <vector>

#include "cell.h"
#include "memory.h"
#include "team.h"

namespace lstm {

template <typename T>
struct State {
  T *c, *y, *gates;  // (B, H), (B, H), (B, L n) or null
};

constexpr std::size_t kCached = std::size_t{16} << 20;  // bytes of weights

// What both directions read. Null where there is none: `starts`, p, Q; `lengths`: all sequences are whole.
template <typename T>
struct Problem {
  Cell cell;
  int64_t steps, batch;
  bool reverse;
  const T *W, *R, *b, *p, *Q;
  const T* xs;             // (T, B, I)
  const int32_t* lengths;  // (B,)
  const uint8_t* starts;   // (T, B)
  State<const T> first;

  int64_t length(int64_t row) const { return lengths ? lengths[row] : steps; }
  int64_t at(int64_t t, int64_t row) const { return t * batch + row; }
  bool starting(int64_t t, int64_t row) const { return starts && starts[at(t, row)]; }
  int64_t fed() const { return Q ? cell.gates * cell.n : 0; }

  // Rows that wait for one product: more where the weights, or the sums of their gradients, fit into no cache.
  int64_t gathered(int64_t usual) const {
    return cell.rows() * (cell.inputs + cell.hidden) * sizeof(T) > kCached ? 256 : usual;
  }
};

// Rows of the batch, the longest first: the ones that are valid at a step stand in front.
struct Share {
  std::vector<int64_t> rows, lengths;

  int64_t active(int64_t t) const {  // rows with a valid step t
    return std::partition_point(lengths.begin(), lengths.end(), [t](int64_t n) { return n > t; }) - lengths.begin();
  }
  int64_t longest() const { return lengths.empty() ? 0 : lengths[0]; }
};

// Deal the rows that have any step at all to `parts` shares of nearly equal work, always in the same way.
template <typename T>
std::vector<Share> deal(const Problem<T>& problem, int64_t parts) {
  std::vector<int64_t> order(problem.batch);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t a, int64_t b) { return problem.length(a) > problem.length(b); });
  std::vector<Share> shares(parts);
  for (int64_t n = 0; n < problem.batch && problem.length(order[n]) > 0; ++n) {
    shares[n % parts].rows.push_back(order[n]);
    shares[n % parts].lengths.push_back(problem.length(order[n]));
  }
  return shares;
}

// Q (L n, fed rows) in columns of all rows: zeros where a row sees no gate.
template <typename T>
const T* widened(const Problem<T>& problem, Scratch& scratch) {
  const Cell& cell = problem.cell;
  const int64_t width = cell.fed_rows * cell.n, rows = cell.rows();
  T* wide = scratch.zeros<T>(problem.fed() * rows);
  for (int64_t k = 0; k < problem.fed(); ++k)
    std::memcpy(wide + k * rows + cell.fed_first * cell.n, problem.Q + k * width, width * sizeof(T));
  return wide;
}

// Where a run keeps its states: all of them for the way back, or none.
template <typename T>
struct Kept {
  T *ys, *cs, *act, *reset_rows;  // (T, B, H), (T, B, H), (T, B, G n), (T, B, H); cs null: nothing but ys is kept
};

// 0 past the end of a row, in what is kept too: old memory may hold a NaN, which jax_debug_nans reports.
template <typename T>
void clear_past_end(const Problem<T>& problem, const Kept<T>& kept, int64_t row) {
  const int64_t H = problem.cell.hidden, G = problem.cell.rows();
  for (int64_t t = problem.length(row); t < problem.steps; ++t) {
    const int64_t place = problem.at(t, row);
    std::memset(kept.ys + place * H, 0, H * sizeof(T));
    if (!kept.cs) continue;
    std::memset(kept.cs + place * H, 0, H * sizeof(T));
    std::memset(kept.act + place * G, 0, G * sizeof(T));
    if (problem.cell.resets()) std::memset(kept.reset_rows + place * H, 0, H * sizeof(T));
  }
}

template <typename T>
void run_forward(const Problem<T>& problem, const Panels<T>& W, const Panels<T>& R, const Panels<T>& Q,
                 const Share& share, const Kept<T>& kept, const State<T>& last, Team& team, Scratch& scratch) {
  const Cell& cell = problem.cell;
  const int64_t m = share.rows.size(), H = cell.hidden, G = cell.rows(), wide = padded<T>(G), fed = problem.fed();
  const int64_t longest = share.longest();
  const int64_t chunk = std::max<int64_t>(1, problem.gathered(48) / std::max<int64_t>(m, 1));  // input products of so many steps at once
  const bool keep = kept.cs != nullptr;
  scratch.begin();
  T* made = scratch.take<T>(chunk * m * wide);
  T* apart = cell.resets() ? scratch.take<T>(m * wide) : nullptr;
  const T* zeros = scratch.zeros<T>(std::max(H, fed));
  T *own_c = scratch.take<T>(m * H), *own_act = scratch.take<T>(m * G);
  const T** x = scratch.take<const T*>(chunk * m);
  const T** y = scratch.take<const T*>(m);
  const T** c = scratch.take<const T*>(m);
  const T** gates = scratch.take<const T*>(m);
  for (int64_t r = 0; r < m; ++r) {
    y[r] = problem.first.y + share.rows[r] * H;
    c[r] = problem.first.c + share.rows[r] * H;
    gates[r] = fed ? problem.first.gates + share.rows[r] * fed : nullptr;
  }
  auto time = [&](int64_t k) { return problem.reverse ? longest - 1 - k : k; };
  for (int64_t begin = 0; begin < longest; begin += chunk) {
    const int64_t end = std::min(longest, begin + chunk);
    int64_t count = 0;
    for (int64_t k = begin; k < end; ++k)
      for (int64_t r = 0, valid = share.active(time(k)); r < valid; ++r, ++count) {
        x[count] = problem.xs + problem.at(time(k), share.rows[r]) * cell.inputs;
        std::memcpy(made + count * wide, problem.b, G * sizeof(T));
        std::memset(made + count * wide + G, 0, (wide - G) * sizeof(T));
      }
    multiply(team, count, x, 1, W, made, wide);
    T* rows = made;
    for (int64_t k = begin; k < end; ++k) {
      const int64_t t = time(k), valid = share.active(t);
      for (int64_t r = 0; r < valid; ++r)
        if (problem.starting(t, share.rows[r])) y[r] = c[r] = gates[r] = zeros;
      T* recurrent = rows;
      if (apart) recurrent = static_cast<T*>(std::memset(apart, 0, valid * wide * sizeof(T)));
      multiply(team, valid, y, 1, R, recurrent, wide);
      if (fed) multiply(team, valid, gates, 1, Q, recurrent, wide);
      for (int64_t r = 0; r < valid; ++r, rows += wide) {
        const int64_t place = problem.at(t, share.rows[r]);
        T* act = keep ? kept.act + place * G : own_act + r * G;
        T* now = keep ? kept.cs + place * H : own_c + r * H;
        forward(cell, problem.p, rows, apart ? apart + r * wide : nullptr, c[r], act, now, kept.ys + place * H);
        if (keep && apart) std::memcpy(kept.reset_rows + place * H, apart + r * wide, H * sizeof(T));
        y[r] = kept.ys + place * H;
        c[r] = now;
        gates[r] = act + H;
      }
    }
  }
  for (int64_t r = 0; r < m; ++r) {
    const int64_t row = share.rows[r];
    std::memcpy(last.y + row * H, y[r], H * sizeof(T));
    std::memcpy(last.c + row * H, c[r], H * sizeof(T));
    if (fed) std::memcpy(last.gates + row * fed, gates[r], fed * sizeof(T));
    clear_past_end(problem, kept, row);
  }
  scratch.end();
}

}  // namespace lstm
