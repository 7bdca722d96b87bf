// Why something was not done.
#ifndef TIDEGATE_ERROR_HPP
#define TIDEGATE_ERROR_HPP

#include <tidegate/status.hpp>

#include <string>
#include <utility>

TIDEGATE_BEGIN

// Why there is no value: a refusal, an error of the library, or the failure of guarded work. A refusal allocates nothing.
struct error {
  tidegate::status code = status::internal;
  // What was wrong, in words; empty for a refusal. The library cuts it at 495 bytes.
  std::string message;
  // Of rules that are wrong: all their errors, as {"ok":false,"errors":[{"path":…,"message":…},…]}.
  std::string report;
  // How many things were wrong.
  std::uint32_t count = 1;
  // Of a refusal: which stage, its own reason (a policy's number, or the index of the rate limit), and how long until the
  // call may come back: 0 when that is not known, never when waiting will not help.
  tidegate::stage stage = stage::none;
  std::uint32_t reason = 0;
  nanoseconds retry_after{0};
  // What guarded work that ends with this error is taken for.
  tidegate::outcome outcome = outcome::failure;

  bool refused() const noexcept { return is_refusal(code); }

  // All of it for people: name, message, and the report where there is one.
  std::string text() const {
    std::string all = name(code);
    if (!message.empty()) all.append(": ").append(message);
    if (!report.empty()) all.append("\n").append(report);
    return all;
  }
};

// The error of work that failed, to be returned from it as a result; `ended` is what the guard is told.
inline error failure(std::string message, outcome ended = outcome::failure) {
  error made;
  made.code = status::failed;
  made.message = std::move(message);
  made.outcome = ended;
  return made;
}

namespace detail {

inline error plain(status code) {
  error made;
  made.code = code;
  return made;
}

// The caller has left, or its answer is not wanted any more: the work was not done.
inline error left() {
  error made = plain(status::cancelled);
  made.outcome = outcome::cancelled;
  return made;
}

inline error plain(tg_status code) { return plain(static_cast<status>(code)); }

// What the C interface wrote of an error.
inline error told(tg_status code, const tg_error &from) {
  error made = plain(code);
  made.message = from.message;
  made.count = from.count;
  return made;
}

}  // namespace detail

TIDEGATE_END

#endif
