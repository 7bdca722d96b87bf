// What all headers share: whether there are exceptions, and the small change of the C interface.
#ifndef TIDEGATE_CONFIG_HPP
#define TIDEGATE_CONFIG_HPP

#include <tidegate.h>

#include <chrono>
#include <cstdint>
#include <limits>
#include <string_view>

#if defined(__cpp_exceptions) || defined(__EXCEPTIONS)
#define TIDEGATE_EXCEPTIONS 1
#else
#define TIDEGATE_EXCEPTIONS 0
#endif

// Code compiled with exceptions and code compiled without differ in what some functions do. They bear different names for
// the linker, so that one program may hold both, and so that it does not link where one hands objects to the other.
#if TIDEGATE_EXCEPTIONS
#define TIDEGATE_BEGIN namespace tidegate { inline namespace throwing {
#else
#define TIDEGATE_BEGIN namespace tidegate { inline namespace nonthrowing {
#endif
#define TIDEGATE_END } }

TIDEGATE_BEGIN

using std::chrono::nanoseconds;

// A duration that never ends: the retry_after of a refusal that no waiting will turn.
inline constexpr nanoseconds never = nanoseconds::max();

namespace detail {

inline tg_str str(std::string_view text) noexcept { return tg_str{text.data(), text.size()}; }

inline std::string_view view(tg_str text) noexcept {
  return text.len == 0 ? std::string_view() : std::string_view(text.ptr, text.len);
}

// A struct of the C interface that says its size, as its _INIT macro makes it.
template <class T>
T sized() noexcept {
  T made{};
  made.struct_size = static_cast<std::uint32_t>(sizeof(T));
  return made;
}

// The library's "never", and whatever a duration cannot hold, is never.
inline nanoseconds saturated(std::uint64_t ns) noexcept {
  constexpr auto most = static_cast<std::uint64_t>(std::numeric_limits<nanoseconds::rep>::max());
  return ns > most ? never : nanoseconds(static_cast<nanoseconds::rep>(ns));
}

// Less than nothing is nothing.
inline std::uint64_t unsigned_ns(nanoseconds time) noexcept {
  return time.count() < 0 ? 0 : static_cast<std::uint64_t>(time.count());
}

// A sum that stays at the end of what a duration holds.
inline nanoseconds later(nanoseconds moment, nanoseconds by) noexcept {
  return by > nanoseconds::zero() && moment > never - by ? never : moment + by;
}

}  // namespace detail

TIDEGATE_END

#endif
