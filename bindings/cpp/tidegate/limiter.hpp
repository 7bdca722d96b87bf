// Limiters that stand alone, without a guard.
#ifndef TIDEGATE_LIMITER_HPP
#define TIDEGATE_LIMITER_HPP

#include <tidegate/result.hpp>

#include <optional>

TIDEGATE_BEGIN

// How a limiter decides: see docs/limiters.md.
enum class limiter_algorithm : std::uint32_t {
  token_bucket = TG_LIMITER_TOKEN_BUCKET,
  pacing = TG_LIMITER_PACING,
  fixed_window = TG_LIMITER_FIXED_WINDOW,
  sliding_counter = TG_LIMITER_SLIDING_COUNTER,
  sliding_window = TG_LIMITER_SLIDING_WINDOW,
  warm_up = TG_LIMITER_WARM_UP,
};

// What a limiter is made of. What the algorithm does not have stays as it is here.
struct limiter_options {
  limiter_algorithm algorithm = limiter_algorithm::token_bucket;
  // So much in each per. Infinity lets a token bucket pass all; windows want a whole number.
  double limit = 0;
  nanoseconds per = std::chrono::seconds(1);
  // Of a token bucket; without it as many as limit, rounded up.
  std::optional<std::uint64_t> burst{};
  // How long take may have its caller wait; 0: it refuses.
  nanoseconds max_wait{0};
  // Of a warm-up.
  nanoseconds warm_up{0};
  double cold_factor = 0;
  // Of a sliding window; 0: 10.
  std::uint32_t buckets = 0;
};

namespace detail {

inline tg_limiter_options raw(const limiter_options &from) noexcept {
  auto to = sized<tg_limiter_options>();
  to.algorithm = static_cast<std::uint32_t>(from.algorithm);
  to.limit = from.limit;
  to.per_ns = unsigned_ns(from.per);
  if (from.burst) to.burst = *from.burst == 0 ? TG_LIMITER_NO_BURST : *from.burst;
  to.max_wait_ns = unsigned_ns(from.max_wait);
  to.warm_up_ns = unsigned_ns(from.warm_up);
  to.cold_factor = from.cold_factor;
  to.buckets = from.buckets;
  return to;
}

// Of a refusal, with when to come back.
inline error not_taken(tg_status code, std::uint64_t after) {
  error why = plain(code);
  if (why.refused()) why.retry_after = saturated(after);
  return why;
}

}  // namespace detail

// What a limiter reserved: plain data. A copy is the same reservation.
class reservation {
 public:
  // Nothing.
  reservation() noexcept : raw_{} {}
  // How long to wait before acting.
  nanoseconds wait() const noexcept { return detail::saturated(raw_.wait_ns); }
  // When to act, on the runtime's clock.
  nanoseconds act_at() const noexcept { return detail::saturated(raw_.act_at_ns); }

 private:
  friend class limiter;
  tg_reservation raw_;
};

// A limiter. A handle that any thread may use, never unmapped.
class limiter {
 public:
  // Takes, and tells how long to wait before acting (nothing without max_wait). A refusal's error says when to come back,
  // never where it costs more than the limiter can ever give. Hot.
  result<nanoseconds> take(std::uint64_t cost = 1) const {
    std::uint64_t ns = 0;
    const tg_status code = tg_limiter_take(handle_, cost, 0, &ns);
    if (code != TG_OK) return detail::not_taken(code, ns);
    return detail::saturated(ns);
  }
  // Whether it could be taken at once. Hot; makes no error. Where the library is at fault, as of a closed runtime: yes.
  bool allow(std::uint64_t cost = 1) const noexcept {
    return !is_refusal(static_cast<status>(tg_limiter_take(handle_, cost, 0, nullptr)));
  }
  // Takes with a wait of at most longest (never: any), for those who may cancel. Hot.
  result<reservation> reserve(std::uint64_t cost = 1, nanoseconds longest = never) const {
    reservation made;
    const std::uint64_t most = longest == never ? TG_LIMITER_FOREVER : detail::unsigned_ns(longest);
    const tg_status code = tg_limiter_reserve(handle_, cost, 0, most, &made.raw_);
    if (code != TG_OK) return detail::not_taken(code, made.raw_.wait_ns);
    return made;
  }
  // Gives back what was reserved and will not be used: status::not_held a second time. Hot.
  status cancel(reservation &made) const noexcept {
    return static_cast<status>(tg_limiter_cancel(handle_, &made.raw_, 0));
  }
  // What could be taken; of a token bucket in debt less than nothing.
  result<double> tokens() const {
    double there = 0;
    const tg_status code = tg_limiter_tokens(handle_, 0, &there);
    if (code != TG_OK) return detail::plain(code);
    return there;
  }
  // Other options, for all who share it; tokens and debts stay. Cold.
  result<void> set(const limiter_options &with) const {
    tg_error said = detail::sized<tg_error>();
    const tg_limiter_options raw = detail::raw(with);
    return detail::checked(tg_limiter_set(handle_, &raw, 0, &said), said);
  }
  // Takes it out, for all who share it: the handle answers status::closed. Cold.
  result<void> retire() const { return detail::checked(tg_limiter_retire(handle_)); }

 private:
  friend class runtime;
  explicit limiter(const tg_limiter *handle) noexcept : handle_(handle) {}
  const tg_limiter *handle_;
};

TIDEGATE_END

#endif
