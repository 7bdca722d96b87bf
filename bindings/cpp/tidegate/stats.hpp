// A guard's figures.
#ifndef TIDEGATE_STATS_HPP
#define TIDEGATE_STATS_HPP

#include <tidegate/status.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

TIDEGATE_BEGIN

// What a guard did and how it stood when they were read: one after the other, while calls went on.
class guard_stats {
 public:
  explicit guard_stats(const tg_guard_stats &raw) noexcept : raw_(raw) {}

  breaker_state breaker() const noexcept { return static_cast<breaker_state>(raw_.breaker); }
  // How often the breaker went to a state.
  std::uint64_t transitions(breaker_state to) const noexcept { return at(raw_.breaker_transitions, to); }
  // Calls in flight, and how many may be; 0: no limit.
  std::uint64_t inflight() const noexcept { return raw_.inflight; }
  std::uint64_t limit() const noexcept { return raw_.limit; }
  // Exits by outcome; refusals by stage; what stages in shadow mode would have refused.
  std::uint64_t calls(outcome how) const noexcept { return at(raw_.calls, how); }
  std::uint64_t rejected(stage by) const noexcept { return at(raw_.rejected, by); }
  std::uint64_t shadow_rejected(stage by) const noexcept { return at(raw_.shadow_rejected, by); }
  // Permits that max_hold took back; exits that held nothing, or were another process's.
  std::uint64_t expired() const noexcept { return raw_.expired; }
  std::uint64_t misused_exits() const noexcept { return raw_.misused_exits; }
  // Retries that were decided on and hedges that were sent; what the budget has left of either for a critical call.
  std::uint64_t retries() const noexcept { return raw_.retries; }
  std::uint64_t hedges() const noexcept { return raw_.hedges; }
  std::uint64_t retry_budget() const noexcept { return raw_.retry_budget; }
  // How long calls took, in seconds. Quantiles are off by at most 2.2 %, and 0 when nothing was recorded.
  std::uint64_t latency_count() const noexcept { return raw_.latency_count; }
  double latency_sum() const noexcept { return raw_.latency_sum; }
  double latency_p50() const noexcept { return raw_.latency_p50; }
  double latency_p90() const noexcept { return raw_.latency_p90; }
  double latency_p99() const noexcept { return raw_.latency_p99; }

  const tg_guard_stats &raw() const noexcept { return raw_; }

 private:
  // 0 for a number that a newer library knows and this header does not.
  template <std::size_t N, class Index>
  static std::uint64_t at(const std::uint64_t (&figures)[N], Index index) noexcept {
    const auto place = static_cast<std::size_t>(index);
    return place < N ? figures[place] : 0;
  }

  tg_guard_stats raw_;
};

// One of the keys that call most at a rate limit by key.
struct hot_key {
  // Its first 48 bytes.
  std::string name;
  // About how often it has called, refused calls included; by how much that may be too large, apart from the chance of sampling.
  std::uint64_t count = 0, error = 0;
};

TIDEGATE_END

#endif
