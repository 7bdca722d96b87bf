// All tests as one program, which is compiled in many ways. With the argument "vectors" it runs those of standard input.
#include "allocation_test.cpp"
#include "breaker_test.cpp"
#include "cancel_test.cpp"
#include "guard_test.cpp"
#include "hedge_test.cpp"
#include "helpers_test.cpp"
#include "limiter_test.cpp"
#include "line_test.cpp"
#include "permit_test.cpp"
#include "policy_test.cpp"
#include "queue_test.cpp"
#include "result_test.cpp"
#include "retry_test.cpp"
#include "runtime_test.cpp"
#include "vectors.cpp"

int main(int argc, char **argv) {
  const char *slash = std::strrchr(argv[0], '/');
  const std::string program = slash != nullptr ? slash + 1 : argv[0];
  if (argc == 2 && std::string(argv[1]) == "vectors") return vectors::run_all((program + " vectors").c_str());
  return check::run_all(program.c_str());
}
