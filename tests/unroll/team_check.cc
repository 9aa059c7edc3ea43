// Laws of kernel/team.h, for test_team.py: 0 is returned where all hold, otherwise the line that does not.
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <stdexcept>
#include <vector>

#include "team.h"

using lstm::lead;
using lstm::Team;

#define EXPECT(condition) \
  if (!(condition)) return __LINE__

struct Threads {  // a pool of its own
  std::mutex lock;
  std::condition_variable come;
  std::deque<std::function<void()>> tasks;
  std::vector<std::thread> threads;
  bool over = false;

  explicit Threads(int count) {
    for (int n = 0; n < count; ++n) threads.emplace_back([this] { work(); });
  }
  ~Threads() {
    {
      std::lock_guard<std::mutex> held(lock);
      over = true;
    }
    come.notify_all();
    for (auto& thread : threads) thread.join();
  }
  void Schedule(std::function<void()> task) {
    {
      std::lock_guard<std::mutex> held(lock);
      tasks.push_back(std::move(task));
    }
    come.notify_one();
  }
  void work() {
    std::unique_lock<std::mutex> held(lock);
    for (;;) {
      come.wait(held, [this] { return over || !tasks.empty(); });
      if (tasks.empty()) return;
      const auto task = std::move(tasks.front());
      tasks.pop_front();
      held.unlock();
      task();
      held.lock();
    }
  }
};

struct AtOnce {  // a pool whose queue is full
  void Schedule(const std::function<void()>& task) { task(); }
};

struct Never {  // a pool whose threads are busy until all is over
  std::vector<std::function<void()>> late;
  void Schedule(std::function<void()> task) { late.push_back(std::move(task)); }
};

// Every piece is taken once, whatever their number, in jobs that follow each other.
template <typename Pool>
int each_piece_once(Pool& pool, int64_t threads) {
  int64_t wrong = 0;
  lead(pool, threads, threads, [&](Team& team) {
    for (int64_t job = 0; job < 300; ++job) {
      const int64_t pieces = job % (2 * threads + 1);
      std::vector<int64_t> taken(pieces + 1, 0);
      team.each(pieces, [&](int64_t piece) { taken[piece] += 1 + job; });
      for (int64_t piece = 0; piece <= pieces; ++piece) wrong += taken[piece] != (piece < pieces ? 1 + job : 0);
    }
  });
  EXPECT(wrong == 0);
  EXPECT(lstm::led.load() == 0);
  return 0;
}

int helpers_come() {  // two pieces that only end when both were begun: one thread alone would never
  Threads pool(1);
  std::atomic<int> begun{0};
  lead(pool, 2, 2, [&](Team& team) {
    team.each(2, [&](int64_t) {
      begun.fetch_add(1);
      while (begun.load() < 2) std::this_thread::yield();
    });
  });
  EXPECT(begun.load() == 2);
  return 0;
}

int helpers_leave_to_another_call() {  // with as many calls as processors nobody has a helper
  Threads pool(1);
  lstm::led.fetch_add(1);
  std::atomic<int> elsewhere{0};
  lead(pool, 2, 2, [&](Team& team) {
    const auto leader = std::this_thread::get_id();
    for (int job = 0; job < 10; ++job)
      team.each(2, [&](int64_t) {
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
        elsewhere += std::this_thread::get_id() != leader;
      });
  });
  lstm::led.fetch_sub(1);
  EXPECT(elsewhere.load() == 0);
  return 0;
}

template <typename Pool>
int failures_are_thrown_when_all_have_ended(Pool& pool) {
  std::atomic<int> ended{0};
  bool thrown = false;
  try {
    lead(pool, 3, 3, [&](Team& team) {
      team.each(3, [&](int64_t piece) {
        ended.fetch_add(1);
        if (piece == 1) throw std::runtime_error("no memory");
      });
    });
  } catch (const std::runtime_error&) {
    thrown = true;
  }
  EXPECT(thrown && ended.load() == 3);
  EXPECT(lstm::led.load() == 0);
  return 0;
}

int calls_at_once() {
  Threads pool(3);
  std::atomic<int> wrong{0};
  std::vector<std::thread> leaders;
  for (int n = 0; n < 3; ++n)
    leaders.emplace_back([&] {
      for (int call = 0; call < 20; ++call)
        lead(pool, 4, 4, [&](Team& team) {
          for (int job = 0; job < 20; ++job) {
            std::vector<int> taken(4, 0);
            team.each(4, [&](int64_t piece) { ++taken[piece]; });
            for (int count : taken) wrong += count != 1;
          }
        });
    });
  for (auto& leader : leaders) leader.join();
  EXPECT(wrong.load() == 0 && lstm::led.load() == 0);
  return 0;
}

int main() {
  AtOnce at_once;
  Never never;
  Threads threads(3);
  for (int64_t count = 1; count <= 4; ++count)
    for (const int failed : {each_piece_once(at_once, count), each_piece_once(never, count),
                             each_piece_once(threads, count)})
      if (failed) return failed;
  for (const auto& task : never.late) task();  // late, when their teams are over
  for (const int failed : {helpers_come(), helpers_leave_to_another_call(), calls_at_once(),
                           failures_are_thrown_when_all_have_ended(at_once),
                           failures_are_thrown_when_all_have_ended(threads)})
    if (failed) return failed;
  return 0;
}
