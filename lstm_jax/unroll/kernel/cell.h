// One step of one sequence: lstm_jax/cell/step.py's `cell` and lstm_jax/cell/adjoint.py's `cell_adjoint`, whose
// letters these are. Cells lie as (block size, n), gates have n entries and serve the cells of their block.
#pragma once
#include <cstdint>

#include "squash.h"

namespace lstm {

enum Gate { kInput, kForget, kOutput, kReset, kGates };  // of Variant.learned_gates
enum Kind { kLearned, kOpen, kCoupled, kClosed };        // of CHOICES["forget_gate"] and the reset gate

struct Cell {
  int64_t inputs, hidden, size, n;  // I, H, block size, H / block size
  int64_t gates;                    // L, learned gates
  int64_t at[kGates], peep[kGates]; // place among the learned gates and among the peepholes, or -1
  int64_t peepholes;
  Kind forget, reset;
  Squash input, output;
  bool truncated;
  int64_t fed_first, fed_rows;      // rows that see the gates of the step before

  int64_t rows() const { return hidden + gates * n; }   // numbers in a row, G n; as many activations
  bool resets() const { return reset != kOpen; }
  int64_t row(Gate gate) const { return hidden + at[gate] * n; }
  bool has(Gate gate) const { return at[gate] >= 0; }
  bool sees(Gate gate) const { return peep[gate] >= 0; }
};

// to[j] += the sum over a block's cells of a[cell] b[cell].
template <typename T>
inline void gather(const Cell& cell, const T* a, const T* b, T* to) {
  for (int64_t s = 0; s < cell.size; ++s)
    for (int64_t j = 0; j < cell.n; ++j) to[j] += a[s * cell.n + j] * b[s * cell.n + j];
}

// Squash a row and move the cell. `x_rows`: input rows, with the recurrent ones where no gate resets them, else these
// come apart in `y_rows`. `c` may be `past`: then the cell moves in place.
template <typename T>
void forward(const Cell& cell, const T* p, const T* x_rows, const T* y_rows, const T* past, T* act, T* c, T* y) {
  const int64_t size = cell.size, n = cell.n, H = cell.hidden;
  auto open = [&](Gate gate, const T* seen) {
    if (!cell.has(gate)) return;
    T* a = act + cell.row(gate);
    const T* row = x_rows + cell.row(gate);
    for (int64_t j = 0; j < n; ++j) a[j] = row[j];
    if (y_rows) {
      const T* other = y_rows + cell.row(gate);
      for (int64_t j = 0; j < n; ++j) a[j] += other[j];
    }
    if (cell.sees(gate)) gather(cell, p + cell.peep[gate] * H, seen, a);
    squash(kLogistic, n, a, a);
  };
  open(kInput, past);
  open(kForget, past);
  open(kReset, past);
  const T* i = act + cell.row(kInput);
  const T* f = act + cell.row(kForget);
  if (y_rows) {
    const T* r = cell.reset == kCoupled ? i : act + cell.row(kReset);
    for (int64_t s = 0; s < size; ++s)
      for (int64_t j = 0; j < n; ++j) act[s * n + j] = x_rows[s * n + j] + r[j] * y_rows[s * n + j];
    squash(cell.input, H, act, act);
  } else {
    squash(cell.input, H, x_rows, act);
  }
  for (int64_t s = 0; s < size; ++s) {
    const T *z = act + s * n, *before = past + s * n;
    T* now = c + s * n;
    switch (cell.forget) {
      case kLearned:
        if (cell.has(kInput))
          for (int64_t j = 0; j < n; ++j) now[j] = z[j] * i[j] + before[j] * f[j];
        else
          for (int64_t j = 0; j < n; ++j) now[j] = z[j] + before[j] * f[j];
        break;
      case kOpen:
        if (cell.has(kInput))
          for (int64_t j = 0; j < n; ++j) now[j] = z[j] * i[j] + before[j];
        else
          for (int64_t j = 0; j < n; ++j) now[j] = z[j] + before[j];
        break;
      case kCoupled:
        for (int64_t j = 0; j < n; ++j) now[j] = z[j] * i[j] + before[j] * (T(1) - i[j]);
        break;
      case kClosed:
        if (cell.has(kInput))
          for (int64_t j = 0; j < n; ++j) now[j] = z[j] * i[j];
        else
          for (int64_t j = 0; j < n; ++j) now[j] = z[j];
        break;
    }
  }
  open(kOutput, c);
  squash(cell.output, H, c, y);
  if (!cell.has(kOutput)) return;
  const T* o = act + cell.row(kOutput);
  for (int64_t s = 0; s < size; ++s)
    for (int64_t j = 0; j < n; ++j) y[s * n + j] *= o[j];
}

// What a step's errors are made from and go to.
template <typename T>
struct Errors {
  const T* y;      // at y (H), the next step's part included
  T* c;            // at c (H); afterwards at the cells before
  const T* gates;  // at the gates (L n) from the next step, or null
  T* x_rows;       // to the input rows (G n)
  T* y_rows;       // to the recurrent rows (G n), where a gate resets them, or null
  T* p;            // peepholes' gradient (P, H), added to
  T* squashed;     // scratch (H)
};

// Carry errors back through the cell. `reset_row` (H): the recurrent part of the block input, or null.
template <typename T>
void backward(const Cell& cell, const T* p, const T* act, const T* reset_row, const T* before, const T* c,
              const Errors<T>& error) {
  const int64_t size = cell.size, n = cell.n, H = cell.hidden;
  const T *z = act, *i = act + cell.row(kInput), *f = act + cell.row(kForget), *o = act + cell.row(kOutput);
  T *h = error.squashed, *d_c = error.c, *d_z = error.x_rows;

  // The error of a gate's row from the errors of its uses, one a cell (a product a b), and of the next step's rows.
  auto begin = [&](Gate gate) {
    T* row = error.x_rows + cell.row(gate);
    const T* from = error.gates ? error.gates + cell.at[gate] * n : nullptr;
    for (int64_t j = 0; j < n; ++j) row[j] = from ? from[j] : T(0);
    return row;
  };
  auto finish = [&](Gate gate, const T* seen) {
    T* row = error.x_rows + cell.row(gate);
    slope(kLogistic, n, act + cell.row(gate), row);
    if (!cell.sees(gate)) return;
    T* gradient = error.p + cell.peep[gate] * H;
    for (int64_t s = 0; s < size; ++s)
      for (int64_t j = 0; j < n; ++j) gradient[s * n + j] += seen[s * n + j] * row[j];
  };
  auto peeped = [&](Gate gate) {  // the error that a gate's row sends to the cells it peeped at
    if (!cell.sees(gate)) return;
    const T *row = error.x_rows + cell.row(gate), *weights = p + cell.peep[gate] * H;
    for (int64_t s = 0; s < size; ++s)
      for (int64_t j = 0; j < n; ++j) d_c[s * n + j] += weights[s * n + j] * row[j];
  };

  squash(cell.output, H, c, h);
  if (cell.has(kOutput)) {
    T* row = begin(kOutput);
    gather(cell, error.y, h, row);
    finish(kOutput, c);
  }
  for (int64_t s = 0; s < size; ++s)  // d_z serves as scratch for what passes the output gate
    for (int64_t j = 0; j < n; ++j) d_z[s * n + j] = cell.has(kOutput) ? error.y[s * n + j] * o[j] : error.y[s * n + j];
  slope(cell.output, H, h, d_z);
  for (int64_t j = 0; j < H; ++j) d_c[j] += d_z[j];
  peeped(kOutput);

  for (int64_t s = 0; s < size; ++s)
    for (int64_t j = 0; j < n; ++j) d_z[s * n + j] = cell.has(kInput) ? d_c[s * n + j] * i[j] : d_c[s * n + j];
  slope(cell.input, H, z, d_z);
  if (cell.has(kInput)) {
    T* row = begin(kInput);
    gather(cell, d_c, z, row);
    if (cell.forget == kCoupled)
      for (int64_t s = 0; s < size; ++s)
        for (int64_t j = 0; j < n; ++j) row[j] -= d_c[s * n + j] * before[s * n + j];
    if (cell.reset == kCoupled) gather(cell, d_z, reset_row, row);
    finish(kInput, before);
  }
  if (cell.has(kForget)) {
    gather(cell, d_c, before, begin(kForget));
    finish(kForget, before);
  }
  if (cell.has(kReset)) {
    gather(cell, d_z, reset_row, begin(kReset));
    finish(kReset, before);
  }

  for (int64_t s = 0; s < size; ++s) {
    T* past = d_c + s * n;
    switch (cell.forget) {
      case kLearned:
        for (int64_t j = 0; j < n; ++j) past[j] *= f[j];
        break;
      case kOpen:
        break;
      case kCoupled:
        for (int64_t j = 0; j < n; ++j) past[j] *= T(1) - i[j];
        break;
      case kClosed:
        for (int64_t j = 0; j < n; ++j) past[j] = T(0);
        break;
    }
  }
  if (!cell.truncated) {
    peeped(kInput);
    peeped(kForget);
  }
  if (!error.y_rows) return;
  const T* r = cell.reset == kCoupled ? i : act + cell.row(kReset);
  for (int64_t s = 0; s < size; ++s)
    for (int64_t j = 0; j < n; ++j) error.y_rows[s * n + j] = d_z[s * n + j] * r[j];
  std::memcpy(error.y_rows + H, error.x_rows + H, cell.gates * n * sizeof(T));
}

}  // namespace lstm
