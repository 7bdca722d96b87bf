// How a WASM policy is loaded.
#ifndef TIDEGATE_POLICY_HPP
#define TIDEGATE_POLICY_HPP

#include <tidegate/config.hpp>

TIDEGATE_BEGIN

// How a policy is loaded.
struct policy_options {
  // Handed to the guest's init, as a rule JSON.
  std::string_view config{};
  // Processor time that one decision may take; 0: 1 ms; at most 1 s.
  nanoseconds deadline{0};
  // How far an instance's memory may grow; 0: 16 MiB; at most 256 MiB.
  std::uint64_t memory_max_bytes = 0;
};

namespace detail {

inline tg_policy_options raw(const policy_options &from) noexcept {
  tg_policy_options made = sized<tg_policy_options>();
  made.config = str(from.config);
  made.deadline_ns = unsigned_ns(from.deadline);
  made.memory_max_bytes = from.memory_max_bytes;
  return made;
}

// The bytes of a module, which may come as any text-like view.
inline const std::uint8_t *bytes(std::string_view wasm) noexcept {
  return reinterpret_cast<const std::uint8_t *>(wasm.data());
}

}  // namespace detail

TIDEGATE_END

#endif
