// What calls answer, how guarded work ends, and which stage refused: the numbers of the C interface as types.
#ifndef TIDEGATE_STATUS_HPP
#define TIDEGATE_STATUS_HPP

#include <tidegate/config.hpp>

TIDEGATE_BEGIN

// What a call answers: ok, a refusal (1 to 99), an error of the library (100 and up), or one of this wrapper's own (below
// zero). A newer library may answer a number that stands not here.
enum class status : tg_status {
  ok = TG_OK,
  refused_deadline = TG_REFUSED_DEADLINE,
  refused_fault = TG_REFUSED_FAULT,
  refused_breaker = TG_REFUSED_BREAKER,
  refused_throttle = TG_REFUSED_THROTTLE,
  refused_policy = TG_REFUSED_POLICY,
  refused_system = TG_REFUSED_SYSTEM,
  refused_concurrency = TG_REFUSED_CONCURRENCY,
  refused_rate = TG_REFUSED_RATE,
  invalid = TG_INVALID,
  closed = TG_CLOSED,
  unsupported = TG_UNSUPPORTED,
  full = TG_FULL,
  not_held = TG_NOT_HELD,
  foreign = TG_FOREIGN,
  expired = TG_EXPIRED,
  conflict = TG_CONFLICT,
  not_found = TG_NOT_FOUND,
  busy = TG_BUSY,
  system = TG_SYSTEM,
  internal = TG_INTERNAL,
  policy_rejected = TG_POLICY_REJECTED,
  // Why there is no further attempt.
  stop_done = TG_STOP_DONE,
  stop_not_retryable = TG_STOP_NOT_RETRYABLE,
  stop_attempts = TG_STOP_ATTEMPTS,
  stop_elapsed = TG_STOP_ELAPSED,
  stop_deadline = TG_STOP_DEADLINE,
  stop_budget = TG_STOP_BUDGET,
  stop_not_idempotent = TG_STOP_NOT_IDEMPOTENT,
  // The wrapper's: the waiter said that the caller has left.
  cancelled = -1,
  // The wrapper's: the guarded work itself failed; see failure() in error.hpp.
  failed = -2,
  // The wrapper's: another caller's work was waited for, and took too long.
  timed_out = -3,
};

// How guarded work ended. Success, failure, timeout and overloaded teach the breaker; cancelled gives everything back
// unjudged; ignored does too, but its duration counts.
enum class outcome : tg_outcome {
  success = TG_OUTCOME_SUCCESS,
  failure = TG_OUTCOME_FAILURE,
  timeout = TG_OUTCOME_TIMEOUT,
  overloaded = TG_OUTCOME_OVERLOADED,
  cancelled = TG_OUTCOME_CANCELLED,
  ignored = TG_OUTCOME_IGNORED,
};

// A stage of the pipeline.
enum class stage : tg_stage {
  none = TG_STAGE_NONE,
  deadline = TG_STAGE_DEADLINE,
  fault = TG_STAGE_FAULT,
  breaker = TG_STAGE_BREAKER,
  throttle = TG_STAGE_THROTTLE,
  policy = TG_STAGE_POLICY,
  system = TG_STAGE_SYSTEM,
  concurrency = TG_STAGE_CONCURRENCY,
  rate = TG_STAGE_RATE,
};

// Which calls are shed first when not all can pass.
enum class criticality : std::uint32_t {
  normal = TG_CRITICALITY_DEFAULT,
  critical = TG_CRITICALITY_CRITICAL,
  sheddable = TG_CRITICALITY_SHEDDABLE,
};

// Where a guard's breaker stands.
enum class breaker_state : std::uint32_t {
  disabled = TG_BREAKER_DISABLED,
  closed = TG_BREAKER_CLOSED,
  open = TG_BREAKER_OPEN,
  half_open = TG_BREAKER_HALF_OPEN,
  recovering = TG_BREAKER_RECOVERING,
  forced_open = TG_BREAKER_FORCED_OPEN,
  forced_closed = TG_BREAKER_FORCED_CLOSED,
};

// Whether a guard said no, rather than yes or that it cannot tell.
inline bool is_refusal(status s) noexcept { return tg_is_refusal(static_cast<tg_status>(s)); }

// The status's name, such as "TG_REFUSED_RATE"; static.
inline const char *name(status s) noexcept {
  switch (s) {
    case status::cancelled: return "cancelled";
    case status::failed: return "failed";
    case status::timed_out: return "timed_out";
    default: return tg_status_name(static_cast<tg_status>(s));
  }
}

// The library's version, such as "0.1.0"; static.
inline const char *version() noexcept { return tg_version(); }

// Whether this build of the library runs WASM policies.
inline bool has_wasm() noexcept { return (tg_features() & TG_FEATURE_WASM) != 0; }

TIDEGATE_END

#endif
