// The part of both.cpp that is compiled without exceptions.
#include <tidegate.hpp>

#if TIDEGATE_EXCEPTIONS
#error "to be compiled with -fno-exceptions"
#endif

int without_exceptions(tg_runtime *rt) {
  const tg_guard *found = nullptr;
  if (tg_guard_resolve(rt, TG_STR("g"), &found, nullptr) != TG_OK) return -1;
  auto mine = tidegate::runtime::open();
  return mine->guard("g")->run([] { return 2; }).value();
}
