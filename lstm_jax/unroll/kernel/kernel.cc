// The two calls that lstm_jax/unroll/native.py makes: all steps forward, all steps back.
#include <atomic>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "errors.h"
#include "sequences.h"
#include "xla/ffi/api/ffi.h"

namespace lstm {
namespace {

namespace ffi = xla::ffi;

thread_local Scratch shared_scratch, own_scratch;  // what all shares of a call read, and what one share works with

constexpr double kWorthSharing = 1e6;  // multiplications: below, waking a thread takes longer than it saves

// Run work(0), .., work(parts - 1). Whoever is free takes the next, so that it ends even if no other thread ever comes.
template <typename F>
void run_parts(ffi::ThreadPool& pool, int64_t parts, const F& work) {
  struct Board {
    std::atomic<int64_t> next{0}, done{0};
    std::mutex lock;
    std::exception_ptr failure;
  };
  auto board = std::make_shared<Board>();
  auto join = [board, parts, &work] {  // `work` is gone when a late thread comes, which then finds nothing to take
    for (int64_t part; (part = board->next.fetch_add(1)) < parts;) {
      try {
        work(part);
      } catch (...) {
        std::lock_guard<std::mutex> held(board->lock);
        board->failure = std::current_exception();
      }
      board->done.fetch_add(1);
    }
  };
  for (int64_t n = 1; n < parts; ++n) pool.Schedule(decltype(join)(join));
  join();
  while (board->done.load() < parts) std::this_thread::yield();
  if (board->failure) std::rethrow_exception(board->failure);
}

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

template <typename T>
int64_t parts_of(const Problem<T>& problem, ffi::ThreadPool& pool) {
  int64_t steps = 0;
  for (int64_t row = 0; row < problem.batch; ++row) steps += problem.length(row);
  const Cell& cell = problem.cell;
  const double work = double(steps) * cell.rows() * (cell.inputs + cell.hidden);
  return work < kWorthSharing ? 1 : std::max<int64_t>(1, std::min(pool.num_threads(), problem.batch));
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
void forward_call(ffi::ThreadPool& pool, Inputs inputs, Outputs outputs, ffi::Span<const int64_t> names,
                  bool reverse) {
  const Problem<T> problem = read_problem<T>(inputs, names, reverse);
  Kept<T> kept;
  kept.ys = outputs.take<T>();
  const State<T> last = take_state<T>(outputs);
  for (T** part : {&kept.cs, &kept.act, &kept.reset_rows}) *part = outputs.take<T>();
  const Cell& cell = problem.cell;
  const int64_t I = cell.inputs, H = cell.hidden, G = cell.rows(), fed = problem.fed();
  shared_scratch.begin();
  const auto W = pack(problem.W, I, G, G, shared_scratch.take<T>(Panels<T>::size(I, G)));
  const auto R = pack(problem.R, H, G, G, shared_scratch.take<T>(Panels<T>::size(H, G)));
  const auto Q = pack(widened(problem, shared_scratch), fed, G, G, shared_scratch.take<T>(Panels<T>::size(fed, G)));
  copy_state(problem, problem.first, last);
  for (int64_t row = 0; row < problem.batch; ++row)
    if (problem.length(row) == 0) clear_past_end(problem, kept, row);  // the others belong to a share
  const auto shares = deal(problem, parts_of(problem, pool));
  run_parts(pool, shares.size(),
            [&](int64_t part) { run_forward(problem, W, R, Q, shares[part], kept, last, own_scratch); });
  shared_scratch.end();
}

// to (rows, columns) = or += the rows from `row` and the columns from `column` of sums in panels of `height` rows.
template <bool kFresh, typename T>
void gather_panels(int64_t rows, int64_t columns, const T* sums, int64_t height, int64_t row, int64_t column, T* to) {
  constexpr int kPanel = Lanes<T>::kPanel;
  for (int64_t done = 0; done < columns;) {
    const int64_t from = column + done, in = from % kPanel, width = std::min(columns - done, kPanel - in);
    const T* panel = sums + (from / kPanel * height + row) * kPanel + in;
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t j = 0; j < width; ++j)
        to[r * columns + done + j] = (kFresh ? T(0) : to[r * columns + done + j]) + panel[r * kPanel + j];
    done += width;
  }
}

template <typename T>
void backward_call(ffi::ThreadPool& pool, Inputs inputs, Outputs outputs, ffi::Span<const int64_t> names,
                   bool reverse) {
  WayBack<T> way;
  way.problem = read_problem<T>(inputs, names, reverse);
  for (const T** part : {&way.ys, &way.cs, &way.act, &way.reset_rows, &way.d_ys}) *part = inputs.take<T>();
  for (const T** part : {&way.d_last.c, &way.d_last.y, &way.d_last.gates}) *part = inputs.take<T>();
  T *d_W = outputs.take<T>(), *d_R = outputs.take<T>(), *d_b = outputs.take<T>(), *d_p = outputs.take<T>();
  T *d_Q = outputs.take<T>();
  way.d_xs = outputs.take<T>();
  way.d_first = take_state<T>(outputs);

  const Problem<T>& problem = way.problem;
  const Cell& cell = problem.cell;
  const int64_t I = cell.inputs, H = cell.hidden, G = cell.rows(), fed = problem.fed(), fan_in = I + H + fed;
  shared_scratch.begin();
  const auto W = way.d_xs ? pack_transposed(problem.W, G, I, G, shared_scratch.take<T>(Panels<T>::size(G, I)))
                          : Panels<T>{nullptr, G, 0};
  const auto R = pack_transposed(problem.R, G, H, G, shared_scratch.take<T>(Panels<T>::size(G, H)));
  const auto Q = pack_transposed(widened(problem, shared_scratch), G, fed, G,
                                 shared_scratch.take<T>(Panels<T>::size(G, fed)));
  copy_state(problem, way.d_last, way.d_first);
  if (way.d_xs) clear_unstepped(problem, I, way.d_xs);
  const auto shares = deal(problem, parts_of(problem, pool));
  std::vector<Gradients<T>> sums;
  for (std::size_t part = 0; part < shares.size(); ++part)
    sums.push_back({shared_scratch.take<T>(fan_in * padded<T>(G)), shared_scratch.take<T>(G),
                    shared_scratch.take<T>(cell.peepholes * H)});
  run_parts(pool, shares.size(),
            [&](int64_t part) { run_backward(way, W, R, Q, shares[part], sums[part], own_scratch); });

  std::memset(d_b, 0, G * sizeof(T));
  if (d_p) std::memset(d_p, 0, cell.peepholes * H * sizeof(T));
  const auto gather = [&](const Gradients<T>& share, auto into) {
    into(I, G, share.weights, fan_in, 0, 0, d_W);
    into(H, G, share.weights, fan_in, I, 0, d_R);
    if (d_Q) into(fed, cell.fed_rows * cell.n, share.weights, fan_in, I + H, cell.fed_first * cell.n, d_Q);
  };
  for (std::size_t part = 0; part < sums.size(); ++part) {  // always in this order: a run repeats to the bit
    const Gradients<T>& share = sums[part];
    part == 0 ? gather(share, gather_panels<true, T>) : gather(share, gather_panels<false, T>);
    for (int64_t j = 0; j < G; ++j) d_b[j] += share.b[j];
    for (int64_t j = 0; j < cell.peepholes * H; ++j) d_p[j] += share.p[j];
  }
  shared_scratch.end();
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
