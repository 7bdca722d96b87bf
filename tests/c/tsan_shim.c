/* What Rust's instrumentation calls and an older ThreadSanitizer runtime lacks: the runtime's own memcpy and its like are
 * intercepted, and check the same. A runtime that has these wins, as they are weak here. */
#include <string.h>

__attribute__((weak)) void *__tsan_memcpy(void *to, const void *from, size_t len) { return memcpy(to, from, len); }
__attribute__((weak)) void *__tsan_memmove(void *to, const void *from, size_t len) { return memmove(to, from, len); }
__attribute__((weak)) void *__tsan_memset(void *at, int value, size_t len) { return memset(at, value, len); }
