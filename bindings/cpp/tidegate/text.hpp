// Texts that the library owns.
#ifndef TIDEGATE_TEXT_HPP
#define TIDEGATE_TEXT_HPP

#include <tidegate/config.hpp>

#include <memory>
#include <string>

TIDEGATE_BEGIN

// A page of metrics.
struct page {
  std::string body;
  // The HTTP Content-Type.
  std::string content_type;
};

namespace detail {

struct free_text {
  void operator()(tg_text *text) const noexcept { tg_text_free(text); }
};
using text = std::unique_ptr<tg_text, free_text>;

inline std::string copied(tg_str bytes) { return std::string(view(bytes)); }

}  // namespace detail

TIDEGATE_END

#endif
