// Threads that work at one call: on sequences of their own, or, where there are few of those, on parts of products.
#pragma once
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>

#include "product.h"

namespace lstm {

// A leader cuts work into pieces and takes them one by one, and so does whoever helps: it ends even if no helper ever
// comes. What comes out does not depend on who took what.
class Team {
 public:
  explicit Team(int64_t threads) : threads_(threads) {}  // the leader included

  int64_t threads() const { return threads_; }

  // work(0), .., work(pieces - 1); for the leader. The first exception is thrown when all have ended.
  template <typename F>
  void each(int64_t pieces, const F& work) {
    if (pieces <= 1) {
      if (pieces == 1) work(0);
      return;
    }
    call_ = [](const void* work, int64_t piece) { (*static_cast<const F*>(work))(piece); };
    work_ = &work;
    done_.store(0, std::memory_order_relaxed);
    ticket_.store(pieces * kPieces, std::memory_order_release);  // whoever sees it sees `call_` and `work_`
    while (take()) {
    }
    for (int64_t spins = 0; done_.load(std::memory_order_acquire) < pieces; ++spins) wait(spins);
    if (failure_) std::rethrow_exception(failure_);
  }

  // Take pieces until the leader dismisses, while `wanted()`; for everybody else.
  template <typename F>
  void help(const F& wanted) {
    for (int64_t spins = 0; wanted();) {
      const int64_t ticket = ticket_.load(std::memory_order_acquire);
      if (ticket < 0) return;
      if (next(ticket) < pieces(ticket) && take()) {
        spins = 0;
      } else {
        wait(spins++);
      }
    }
  }

  void dismiss() { ticket_.store(-kPieces, std::memory_order_release); }

 private:
  // How many pieces there are and which is the next are one number, read and counted up in one step.
  static constexpr int64_t kPieces = int64_t{1} << 32;
  static int64_t next(int64_t ticket) { return ticket % kPieces; }
  static int64_t pieces(int64_t ticket) { return ticket / kPieces; }

  bool take() {
    const int64_t ticket = ticket_.fetch_add(1, std::memory_order_acquire);
    if (ticket < 0 || next(ticket) >= pieces(ticket)) return false;
    try {
      call_(work_, next(ticket));
    } catch (...) {
      std::lock_guard<std::mutex> held(lock_);
      failure_ = std::current_exception();
    }
    done_.fetch_add(1, std::memory_order_release);
    return true;
  }

  static void wait(int64_t spins) {
    constexpr int64_t kPatience = 1000;  // some ten microseconds: the leader's own part of a step
    if (spins >= kPatience) return std::this_thread::yield();
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("isb");
#endif
  }

  const int64_t threads_;
  void (*call_)(const void*, int64_t) = nullptr;
  const void* work_ = nullptr;
  std::mutex lock_;
  std::exception_ptr failure_;
  alignas(64) std::atomic<int64_t> ticket_{0};
  alignas(64) std::atomic<int64_t> done_{0};
};

inline std::atomic<int64_t> led{0};  // calls of this process that have a team, at this moment

// work(team) with a team of so many threads, of which this one leads. Calls at the same time divide the processors: a
// helper whose place belongs to another call leaves.
template <typename Pool, typename F>
void lead(Pool& pool, int64_t processors, int64_t threads, const F& work) {
  const auto team = std::make_shared<Team>(threads);  // a helper may come when all is over
  if (threads <= 1) return work(*team);
  struct End {
    Team& team;
    ~End() {
      team.dismiss();
      led.fetch_sub(1);
    }
  } end{*team};
  led.fetch_add(1);
  const auto leader = std::this_thread::get_id();
  for (int64_t place = 1; place < threads; ++place)
    pool.Schedule([team, leader, place, processors] {
      if (std::this_thread::get_id() == leader) return;  // a full pool runs tasks at once, where they are scheduled
      team->help([&] { return place * led.load(std::memory_order_relaxed) < processors; });
    });
  work(*team);
}

constexpr int64_t kWorthPiece = 1 << 16;  // multiplications: below, a piece is done before it is handed over

// work(first, last) for ranges that together are 0 .. `count`, as many as `multiplications` are worth.
template <typename F>
void share_range(Team& team, int64_t count, int64_t multiplications, const F& work) {
  const int64_t worth = std::max<int64_t>(1, multiplications / kWorthPiece);
  const int64_t pieces = std::min({team.threads(), count, worth});
  team.each(pieces, [&](int64_t piece) { work(count * piece / pieces, count * (piece + 1) / pieces); });
}

// The same for the panels of a product (count, depth) (depth, columns).
template <typename T, typename F>
void share_panels(Team& team, int64_t count, int64_t depth, int64_t columns, const F& work) {
  share_range(team, padded<T>(columns) / Lanes<T>::kPanel, count * depth * columns, work);
}

// `how` is `pack` or `pack_transposed`; the source's columns lie `apart`.
template <typename T, typename F>
Panels<T> pack_all(Team& team, const F& how, const T* source, int64_t apart, int64_t depth, int64_t columns,
                   int64_t stride, T* into) {
  share_panels<T>(team, 1, depth, columns, [&](int64_t first, int64_t last) {
    const int64_t from = first * Lanes<T>::kPanel, to = std::min(last * Lanes<T>::kPanel, columns);
    how(source + from * apart, depth, to - from, stride, into + from * depth);
  });
  return {into, depth, columns};
}

// As `multiply_panels`, all of them, by as many of the team as are worth it.
template <typename T>
void multiply(Team& team, int64_t count, const T* const* rows, int64_t step, const Panels<T>& weights, T* sums,
              int64_t stride, int64_t across = Lanes<T>::kPanel) {
  share_panels<T>(team, count, weights.depth, weights.columns, [&](int64_t first, int64_t last) {
    multiply_panels(count, rows, step, weights, first, last, sums, stride, across);
  });
}

}  // namespace lstm
