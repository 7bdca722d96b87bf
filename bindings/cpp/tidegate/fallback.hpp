// Another answer where the first is an error.
#ifndef TIDEGATE_FALLBACK_HPP
#define TIDEGATE_FALLBACK_HPP

#include <tidegate/work.hpp>

TIDEGATE_BEGIN

// Which errors a fallback answers: all of them, or refusals only.
struct any_error {
  bool operator()(const error &) const noexcept { return true; }
};
struct refusals_only {
  bool operator()(const error &why) const noexcept { return why.refused(); }
};

namespace detail {

#if TIDEGATE_EXCEPTIONS
// The error that stands for the exception being handled.
inline error caught() {
  try {
    throw;
  } catch (const bad_result &bad) {
    return bad.error();
  } catch (const std::exception &thrown) {
    return failure(thrown.what());
  }
}
#endif

// Alternatives may take the error, and return a value or a result.
template <class R, class Alternative>
R answer(Alternative &&alternative, const error &why) {
  if constexpr (std::is_invocable_v<Alternative, const error &>) {
    return std::invoke(std::forward<Alternative>(alternative), why);
  } else {
    return std::invoke(std::forward<Alternative>(alternative));
  }
}

}  // namespace detail

// Runs work, which returns a result, and where that is an error for which `when` is true, gives what the alternative
// answers instead: a value of the same type, a result, or a function of the error (or of nothing) that returns either. An
// exception derived from std::exception counts as status::failed with its text; other exceptions, and those that `when`
// does not want, go on, as do those of the alternative.
//
//   auto price = tidegate::fallback([&] { return prices.run(fetch); }, [&](const tidegate::error &) { return last_known; });
//
// It holds no state and locks nothing: as thread-safe as work and alternative are.
template <class Work, class Alternative, class When = any_error>
std::invoke_result_t<Work> fallback(Work &&work, Alternative &&alternative, const When &when = {}) {
  using R = std::invoke_result_t<Work>;
  static_assert(detail::is_result<R>::value, "work returns a tidegate::result; guard::run does");
  const auto instead = [&](const error &why) -> R {
    if constexpr (std::is_invocable_v<Alternative> || std::is_invocable_v<Alternative, const error &>) {
      return detail::answer<R>(std::forward<Alternative>(alternative), why);
    } else {
      return R(std::forward<Alternative>(alternative));
    }
  };
#if TIDEGATE_EXCEPTIONS
  std::optional<error> thrown;
  try {
#endif
    R first = std::invoke(std::forward<Work>(work));
    if (first.ok() || !when(first.error())) return first;
#if TIDEGATE_EXCEPTIONS
    thrown = std::move(first).error();
  } catch (const std::exception &) {
    thrown = detail::caught();
    if (!when(*thrown)) throw;
  }
  return instead(*thrown);
#else
    return instead(first.error());
#endif
}

TIDEGATE_END

#endif
