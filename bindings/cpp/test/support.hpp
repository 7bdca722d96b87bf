// What the tests share.
#ifndef TIDEGATE_TEST_SUPPORT_HPP
#define TIDEGATE_TEST_SUPPORT_HPP

#include <tidegate.hpp>

#include "check.hpp"

#include <thread>

using namespace std::chrono_literals;
using std::chrono::nanoseconds;
using tidegate::outcome;
using tidegate::stage;
using tidegate::status;

// A private runtime on a virtual clock that starts at one hour.
inline tidegate::runtime opened(tidegate::options with = {}) {
  with.virtual_clock = true;
  with.virtual_start = 1h;
  auto rt = tidegate::runtime::open(with);
  REQUIRE(rt);
  return std::move(*rt);
}

// The guard "g" under these rules for it.
inline tidegate::guard guarded(tidegate::runtime &rt, const std::string &rules) {
  const auto applied = rt.apply_rules("{\"version\":1,\"guards\":{\"g\":" + rules + "}}");
  if (!applied) std::cerr << applied.error().text() << "\n";
  REQUIRE(applied);
  auto found = rt.guard("g");
  REQUIRE(found);
  return *found;
}

inline tidegate::guard_stats stats_of(const tidegate::guard &guard) {
  const auto stats = guard.stats();
  REQUIRE(stats);
  return *stats;
}

inline std::uint64_t calls(const tidegate::guard &guard, outcome how) { return stats_of(guard).calls(how); }
inline std::uint64_t inflight(const tidegate::guard &guard) { return stats_of(guard).inflight(); }

// Lets other threads run until something holds that they bring about.
template <class Condition>
void until(const Condition &condition) {
  while (!condition()) std::this_thread::yield();
}

#endif
