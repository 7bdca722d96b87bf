// The tests of what the headers do between threads themselves, as one program for ThreadSanitizer. Not waiting_room, whose fences it
// does not know.
#include "cancel_test.cpp"
#include "hedge_test.cpp"
#include "helpers_test.cpp"

int main() { return check::run_all("threads"); }
