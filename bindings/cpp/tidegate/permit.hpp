// A place behind a guard, given back when its scope ends.
#ifndef TIDEGATE_PERMIT_HPP
#define TIDEGATE_PERMIT_HPP

#include <tidegate/result.hpp>

#include <algorithm>
#include <optional>

TIDEGATE_BEGIN

class guard;

// What a guard that lets pass hands out. It is exited when it is destroyed: with the outcome that it was settled with,
// as success where it was not, and as failure where an exception destroys it (unless it was settled as something else
// than success). It belongs to one thread at a time and may be moved to another; what it was moved from holds nothing.
class permit {
 public:
  // Holds nothing.
  permit() noexcept : unwinding_(std::uncaught_exceptions()) {}
  permit(permit &&from) noexcept : unwinding_(from.unwinding_) { take(from); }
  permit &operator=(permit &&from) noexcept {
    if (this == &from) return *this;
    leave();
    unwinding_ = from.unwinding_;
    take(from);
    return *this;
  }
  permit(const permit &) = delete;
  permit &operator=(const permit &) = delete;
  ~permit() { leave(); }

  // What the exit will say. Settling again replaces it.
  void settle(outcome how) noexcept { settled_ = how; }
  bool settled() const noexcept { return settled_.has_value(); }
  outcome settlement() const noexcept { return settled_.value_or(outcome::success); }

  // Exits now. status::not_held when it holds nothing (any more); expired when max_hold had taken it back; closed when
  // the runtime is. A permit that the library's fault let pass holds nothing to give back: ok.
  status exit(outcome how) noexcept {
    if (state_ == state::nothing) return status::not_held;
    const auto code = state_ == state::passed ? TG_OK : tg_guard_exit(&raw_, static_cast<tg_outcome>(how));
    if (code != TG_INVALID) state_ = state::nothing;
    return static_cast<status>(code);
  }

  // Whether there is something to exit: held, or let pass by a fault.
  explicit operator bool() const noexcept { return state_ != state::nothing; }
  // Whether a guard counts it; false also where the library could not answer and the call goes ahead all the same.
  bool guarded() const noexcept { return state_ == state::held; }
  // How long to wait before the guarded work starts. guard::run has waited already.
  nanoseconds wait() const noexcept { return guarded() ? detail::saturated(tg_permit_wait(&raw_)) : nanoseconds(0); }
  // The moment on the runtime's clock at which the call should be over, if there is one.
  std::optional<nanoseconds> deadline() const noexcept {
    const std::uint64_t moment = guarded() ? tg_permit_deadline(&raw_) : 0;
    if (moment == 0) return std::nullopt;
    return detail::saturated(moment);
  }
  // How much time is left until then: 0 when it is over.
  std::optional<nanoseconds> time_left() const noexcept {
    const auto end = deadline();
    std::uint64_t now = 0;
    if (!end || tg_clock_now(runtime_, &now) != TG_OK) return std::nullopt;
    return std::max(*end - detail::saturated(now), nanoseconds(0));
  }
  // The route that a policy chose; 0: none.
  std::uint32_t route() const noexcept { return guarded() ? tg_permit_route(&raw_) : 0; }

 private:
  friend class guard;
  enum class state : unsigned char { nothing, held, passed };

  void take(permit &from) noexcept {
    settled_ = from.settled_;
    runtime_ = from.runtime_;
    state_ = from.state_;
    if (state_ == state::held) raw_ = from.raw_;
    from.state_ = state::nothing;
    from.settled_.reset();
  }

  void leave() noexcept {
    if (state_ == state::nothing) return;
    outcome how = settled_.value_or(outcome::success);
    if (how == outcome::success && std::uncaught_exceptions() > unwinding_) how = outcome::failure;
    exit(how);
    // An outcome that is none would keep the place for ever.
    if (state_ != state::nothing) exit(outcome::failure);
  }

  // The library's own; written where state_ is held.
  tg_permit raw_;
  const tg_runtime *runtime_ = nullptr;
  // Exceptions under way when it was made: a permit made by a destructor during unwinding is not itself unwound.
  int unwinding_;
  std::optional<outcome> settled_;
  state state_ = state::nothing;
};

TIDEGATE_END

#endif
