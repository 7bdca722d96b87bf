// What a caller says of a call.
#ifndef TIDEGATE_CALL_HPP
#define TIDEGATE_CALL_HPP

#include <tidegate/status.hpp>

#include <algorithm>
#include <cstddef>

TIDEGATE_BEGIN

// An attribute's name, resolved once by runtime::attribute; with a value it is what a call carries:
//
//   tg_attribute tags[] = {tenant("gold"), region("eu")};
//   guard.run(tidegate::call().attributes(tags), work);
class attribute {
 public:
  explicit attribute(std::uint32_t id) noexcept : id_(id) {}
  std::uint32_t id() const noexcept { return id_; }
  tg_attribute operator()(std::string_view value) const noexcept { return tg_attribute{id_, 0, detail::str(value)}; }

 private:
  std::uint32_t id_;
};

// Says of a call whom it is for, what it costs, how much it matters and how long its caller waits. All of it may be left
// out. It holds views only: what it was given has to live until the guard was entered.
class call {
 public:
  // Whom it is for; any bytes.
  call &key(std::string_view whom) noexcept { return raw_.key = detail::str(whom), *this; }
  // Tokens that it takes of each rate limit, from 1.
  call &cost(std::uint64_t tokens) noexcept { return raw_.cost = tokens, *this; }
  call &criticality(tidegate::criticality how) noexcept {
    return raw_.criticality = static_cast<std::uint32_t>(how), *this;
  }
  // The same with how much it matters among those: 0 to 99, higher matters more; 99 where it is not said.
  call &criticality(tidegate::criticality how, unsigned level) noexcept {
    raw_.has_level = 1;
    raw_.level = level;
    return criticality(how);
  }
  // How long its caller waits, from the enter on. No time at all counts as 1 ns, since 0 would be no limit.
  call &timeout(nanoseconds time) noexcept {
    return raw_.timeout_ns = std::max<std::uint64_t>(detail::unsigned_ns(time), 1), *this;
  }
  // The same as a moment on the runtime's clock (runtime::now). The earliest of this, timeout and the rule's counts.
  call &deadline(nanoseconds moment) noexcept {
    return raw_.deadline_ns = std::max<std::uint64_t>(detail::unsigned_ns(moment), 1), *this;
  }
  // It must not be made twice: it is tried again only where a guard of ours refused it.
  call &once() noexcept { return raw_.flags |= TG_CALL_ONCE, *this; }
  // What policies may look at: at most 16.
  template <std::size_t N>
  call &attributes(const tg_attribute (&tags)[N]) noexcept {
    static_assert(N <= 16, "a call carries at most 16 attributes");
    return attributes(tags, N);
  }
  call &attributes(const tg_attribute *tags, std::size_t count) noexcept {
    raw_.attributes = tags;
    raw_.attribute_count = count;
    return *this;
  }
  const tg_call &raw() const noexcept { return raw_; }

 private:
  tg_call raw_ = detail::sized<tg_call>();
};

namespace detail {

// The call with its timeout as a moment, so that what comes before an enter is part of the caller's time.
inline call with_deadline(const call &about, nanoseconds now) noexcept {
  call fixed = about;
  if (about.raw().timeout_ns == 0) return fixed;
  const nanoseconds end = later(now, saturated(about.raw().timeout_ns));
  const std::uint64_t given = about.raw().deadline_ns;
  return fixed.deadline(given == 0 ? end : std::min(end, saturated(given)));
}

}  // namespace detail

TIDEGATE_END

#endif
