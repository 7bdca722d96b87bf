// A test framework in one header. TEST(name) { ... } defines a test, CHECK and its kin tell what is not as it should be and go
// on, REQUIRE ends the program. run_all runs them in their order and closes with "<program>: N passed, N failed".
#ifndef TIDEGATE_TEST_CHECK_HPP
#define TIDEGATE_TEST_CHECK_HPP

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

namespace check {

struct test {
  const char *name;
  void (*run)();
};

inline std::vector<test> &tests() {
  static std::vector<test> all;
  return all;
}

inline std::atomic<int> faults{0};  // of the test that runs

struct added {
  added(const char *name, void (*run)()) { tests().push_back({name, run}); }
};

inline void fault(const char *file, int line, const std::string &what) {
  ++faults;
  std::cerr << file << ":" << line << ": " << what << "\n";
}

template <class Got, class Want>
void equal(const char *file, int line, const char *what, const Got &got, const Want &want) {
  if (got == want) return;
  std::ostringstream text;
  text << what << " is " << got << ", want " << want;
  fault(file, line, text.str());
}

inline bool run(const test &one) {
  faults = 0;
  one.run();
  const bool passed = faults == 0;
  std::cout << (passed ? "ok     " : "FAILED ") << one.name << std::endl;
  return passed;
}

inline int run_all(const char *program) {
  std::size_t passed = 0;
  for (const test &one : tests()) passed += run(one);
  std::cout << program << ": " << passed << " passed, " << tests().size() - passed << " failed" << std::endl;
  return passed == tests().size() && passed > 0 ? 0 : 1;
}

}  // namespace check

#define TEST(name)                                     \
  static void name();                                  \
  static const check::added added_##name(#name, name); \
  static void name()

#define CHECK(condition) ((condition) ? void() : check::fault(__FILE__, __LINE__, #condition))
#define CHECK_EQ(got, want) check::equal(__FILE__, __LINE__, #got, got, want)
// Compares statuses by name, so that a difference can be read.
#define CHECK_STATUS(got, want) \
  check::equal(__FILE__, __LINE__, #got, std::string(tidegate::name(got)), std::string(tidegate::name(want)))
#define REQUIRE(condition)                                              \
  do {                                                                  \
    if (!(condition)) {                                                 \
      check::fault(__FILE__, __LINE__, "cannot go on without: " #condition); \
      std::exit(2);                                                     \
    }                                                                   \
  } while (0)

#endif
