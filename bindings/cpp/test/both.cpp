// One program of which one part was compiled with exceptions and another without: each gets its own functions.
#include <tidegate.hpp>

#include <cstdio>

int without_exceptions(tg_runtime *rt);

int main() {
  auto rt = tidegate::runtime::open();
  bool thrown = false;
  try {
    (void)rt->guard("").value();
  } catch (const tidegate::bad_result &) {
    thrown = true;
  }
  const bool good = thrown && without_exceptions(rt->handle()) == 2 && rt->guard("g")->run([] { return 1; }).value() == 1;
  std::puts(good ? "both" : "not both");
  return good ? 0 : 1;
}
