// The two calls that lstm_jax/unroll/native.py makes: all steps forward, all steps back.
#include <algorithm>
#include <exception>
#include <string>
#include <thread>

#include "errors.h"
#include "sequences.h"
#include "xla/ffi/api/ffi.h"

namespace lstm {
namespace {

namespace ffi = xla::ffi;

thread_local Scratch shared_scratch, own_scratch;  // what all shares of a call read, and what one share works with

// Multiplications of a call: below, waking a thread takes longer than it saves; and waiting for it at every step.
constexpr double kWorthSharing = 1e6, kWorthJoining = 3e7;

Cell read_cell(ffi::Span<const int64_t> names) {  // in the order of `cell_record` in native.py
  Cell cell;
  const int64_t* next = names.begin();
  cell.inputs = *next++;
  cell.hidden = *next++;
  cell.size = *next++;
  cell.n = cell.hidden / cell.size;
  cell.gates = *next++;
  for (int64_t& at : cell.at) at = *next++;
  for (int64_t& at : cell.peep) at = *next++;
  cell.peepholes = *next++;
  cell.forget = static_cast<Kind>(*next++);
  cell.reset = static_cast<Kind>(*next++);
  cell.input = static_cast<Squash>(*next++);
  cell.output = static_cast<Squash>(*next++);
  cell.truncated = *next++;
  cell.fed_first = *next++;
  cell.fed_rows = *next++;
  return cell;
}

// Buffers in the order of the call; an empty one is what there is not.
struct Inputs {
  ffi::RemainingArgs& buffers;
  int64_t next = 0;
  ffi::AnyBuffer buffer() { return buffers.get<ffi::AnyBuffer>(next++).value(); }
  template <typename T>
  const T* take() {
    ffi::AnyBuffer taken = buffer();
    return taken.element_count() ? static_cast<const T*>(taken.untyped_data()) : nullptr;
  }
};

struct Outputs {
  ffi::RemainingRets& buffers;
  int64_t next = 0;
  template <typename T>
  T* take() {
    ffi::AnyBuffer taken = *buffers.get<ffi::AnyBuffer>(next++).value();
    expect_writes(taken.untyped_data(), taken.size_bytes());
    return taken.element_count() ? static_cast<T*>(taken.untyped_data()) : nullptr;
  }
};

template <typename T>
Problem<T> read_problem(Inputs& inputs, ffi::Span<const int64_t> names, bool reverse) {
  Problem<T> problem;
  problem.cell = read_cell(names);
  problem.reverse = reverse;
  for (const T** weights : {&problem.W, &problem.R, &problem.b, &problem.p, &problem.Q}) *weights = inputs.take<T>();
  ffi::AnyBuffer xs = inputs.buffer();
  problem.steps = xs.dimensions()[0];
  problem.batch = xs.dimensions()[1];
  problem.xs = static_cast<const T*>(xs.untyped_data());
  problem.lengths = inputs.take<int32_t>();
  problem.starts = inputs.take<uint8_t>();
  for (const T** part : {&problem.first.c, &problem.first.y, &problem.first.gates}) *part = inputs.take<T>();
  return problem;
}

struct Plan {
  int64_t processors, threads, parts;  // shares of the batch: one a thread, or one for all

  template <typename Pool, typename F>
  void run(Pool& pool, const F& work) const {
    lead(pool, processors, threads, [&](Team& team) { work(parts, team); });
  }
};

constexpr int64_t kFew = 4;  // sequences: the leader alone moves the cells of all that stay together

// A few sequences stay together, if there is enough to do at a step and in all: otherwise threads would have none, or
// one more than another, and each would read all weights for itself.
template <typename T>
Plan plan_for(const Problem<T>& problem, ffi::ThreadPool& pool) {
  int64_t steps = 0;
  for (int64_t row = 0; row < problem.batch; ++row) steps += problem.length(row);
  const Cell& cell = problem.cell;
  const double work = double(steps) * cell.rows() * (cell.inputs + cell.hidden);
  // XLA has a thread for each device, also where there are more devices than processors, which nobody should wait for.
  const int64_t there = std::max<int64_t>(1, std::thread::hardware_concurrency()), waiting = pool.num_threads();
  const int64_t processors = std::clamp<int64_t>(waiting, 1, there), threads = work < kWorthSharing ? 1 : processors;
  const int64_t recurrent = cell.hidden * cell.rows();
  if (work >= kWorthJoining && recurrent >= 2 * kWorthPiece && problem.batch < std::min(2 * threads, kFew + 1))
    return {processors, std::min(threads, problem.batch * recurrent / kWorthPiece), 1};
  const int64_t parts = std::min(threads, std::max<int64_t>(1, problem.batch));
  return {processors, parts, parts};
}

// run(part, team): several shares each by one thread alone, a single one by all.
template <typename F>
void run_shares(Team& team, int64_t shares, const F& run) {
  if (shares == 1) return run(0, team);
  team.each(shares, [&](int64_t part) {
    Team alone(1);
    run(part, alone);
  });
}

// (B, H), (B, H), (B, L n) from one state to another, for the rows that take no step.
template <typename T>
void copy_state(const Problem<T>& problem, const State<const T>& from, const State<T>& to) {
  const int64_t bytes = problem.batch * problem.cell.hidden * sizeof(T);
  std::memcpy(to.c, from.c, bytes);
  std::memcpy(to.y, from.y, bytes);
  if (problem.fed()) std::memcpy(to.gates, from.gates, problem.batch * problem.fed() * sizeof(T));
}

template <typename T>
void clear_unstepped(const Problem<T>& problem, int64_t width, T* sequences) {
  for (int64_t row = 0; row < problem.batch; ++row)
    if (problem.length(row) == 0)
      for (int64_t t = 0; t < problem.steps; ++t)
        std::memset(sequences + problem.at(t, row) * width, 0, width * sizeof(T));
}

template <typename T>
State<T> take_state(Outputs& outputs) {
  T* c = outputs.take<T>();
  T* y = outputs.take<T>();
  return {c, y, outputs.take<T>()};
}

template <typename T>
void forward_all(const Problem<T>& problem, const Kept<T>& kept, const State<T>& last, int64_t parts, Team& team) {
  const int64_t I = problem.cell.inputs, H = problem.cell.hidden, G = problem.cell.rows(), fed = problem.fed();
  shared_scratch.begin();
  const auto packed = [&](const T* weights, int64_t depth) {
    return pack_all(team, pack<T>, weights, 1, depth, G, G, shared_scratch.take<T>(Panels<T>::size(depth, G)));
  };
  const auto W = packed(problem.W, I), R = packed(problem.R, H), Q = packed(widened(problem, shared_scratch), fed);
  copy_state(problem, problem.first, last);
  for (int64_t row = 0; row < problem.batch; ++row)
    if (problem.length(row) == 0) clear_past_end(problem, kept, row);  // the others belong to a share
  const auto shares = deal(problem, parts);
  run_shares(team, parts, [&](int64_t part, Team& team) {
    run_forward(problem, W, R, Q, shares[part], kept, last, team, own_scratch);
  });
  shared_scratch.end();
}

template <typename T>
void forward_call(ffi::ThreadPool& pool, Inputs inputs, Outputs outputs, ffi::Span<const int64_t> names,
                  bool reverse) {
  const Problem<T> problem = read_problem<T>(inputs, names, reverse);
  Kept<T> kept;
  kept.ys = outputs.take<T>();
  const State<T> last = take_state<T>(outputs);
  for (T** part : {&kept.cs, &kept.act, &kept.reset_rows}) *part = outputs.take<T>();
  plan_for(problem, pool).run(pool, [&](int64_t parts, Team& team) { forward_all(problem, kept, last, parts, team); });
}

template <typename T>
void backward_all(const WayBack<T>& way, const Weights<T>& gradient, int64_t parts, Team& team) {
  const Problem<T>& problem = way.problem;
  const Cell& cell = problem.cell;
  const int64_t I = cell.inputs, H = cell.hidden, G = cell.rows(), fed = problem.fed();
  shared_scratch.begin();
  const auto packed = [&](const T* weights, int64_t columns) {
    T* into = shared_scratch.take<T>(Panels<T>::size(G, columns));
    return pack_all(team, pack_transposed<T>, weights, G, G, columns, G, into);
  };
  const auto W = packed(problem.W, way.d_xs ? I : 0), R = packed(problem.R, H);
  const auto Q = packed(widened(problem, shared_scratch), fed);
  copy_state(problem, way.d_last, way.d_first);
  if (way.d_xs) clear_unstepped(problem, I, way.d_xs);
  const auto shares = deal(problem, parts);
  std::vector<Gradients<T>> sums;
  for (int64_t part = 0; part < parts; ++part)
    sums.push_back({shared_scratch.take<T>((I + H + fed) * padded<T>(G)), shared_scratch.take<T>(G),
                    shared_scratch.take<T>(cell.peepholes * H)});
  run_shares(team, parts, [&](int64_t part, Team& team) {
    run_backward(way, W, R, Q, shares[part], sums[part], team, own_scratch);
  });
  for (int64_t part = 0; part < parts; ++part)  // always in this order: a run repeats to the bit
    add_up(problem, sums[part], part == 0, gradient, team);
  shared_scratch.end();
}

template <typename T>
void backward_call(ffi::ThreadPool& pool, Inputs inputs, Outputs outputs, ffi::Span<const int64_t> names,
                   bool reverse) {
  WayBack<T> way;
  way.problem = read_problem<T>(inputs, names, reverse);
  for (const T** part : {&way.ys, &way.cs, &way.act, &way.reset_rows, &way.d_ys}) *part = inputs.take<T>();
  for (const T** part : {&way.d_last.c, &way.d_last.y, &way.d_last.gates}) *part = inputs.take<T>();
  Weights<T> gradient;
  for (T** part : {&gradient.W, &gradient.R, &gradient.b, &gradient.p, &gradient.Q}) *part = outputs.take<T>();
  way.d_xs = outputs.take<T>();
  way.d_first = take_state<T>(outputs);
  plan_for(way.problem, pool).run(pool, [&](int64_t parts, Team& team) { backward_all(way, gradient, parts, team); });
}

template <auto call>
ffi::Error guarded(ffi::ThreadPool pool, ffi::RemainingArgs args, ffi::RemainingRets rets,
                   ffi::Span<const int64_t> names, bool reverse) {
  try {
    call(pool, Inputs{args}, Outputs{rets}, names, reverse);
    return ffi::Error::Success();
  } catch (const std::exception& error) {
    return ffi::Error::Internal(std::string("lstm_jax native kernel: ") + error.what());
  }
}

}  // namespace
}  // namespace lstm

#define LSTM_CALL(name, call)                                                    \
  XLA_FFI_DEFINE_HANDLER_SYMBOL(name, lstm::guarded<lstm::call>,                 \
                                xla::ffi::Ffi::Bind()                            \
                                    .Ctx<xla::ffi::ThreadPool>()                 \
                                    .RemainingArgs()                             \
                                    .RemainingRets()                             \
                                    .Attr<xla::ffi::Span<const int64_t>>("cell") \
                                    .Attr<bool>("reverse"))

LSTM_CALL(lstm_forward_float32, forward_call<float>);
LSTM_CALL(lstm_forward_float64, forward_call<double>);
LSTM_CALL(lstm_backward_float32, backward_call<float>);
LSTM_CALL(lstm_backward_float64, backward_call<double>);
