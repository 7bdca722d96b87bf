/* Policies for the tests, compiled from .wat by the Makefile. */
#ifndef GUEST_H
#define GUEST_H

#include "support.h"

typedef struct guest { uint8_t *bytes; size_t len; } guest;

/* The module in GUESTS/<name>.wasm. */
static inline guest guest_read(const char *name) {
  char path[1024];
  snprintf(path, sizeof path, "%s/%s.wasm", GUESTS, name);
  FILE *file = fopen(path, "rb");
  REQUIRE(file != NULL);
  guest guest = { malloc(1 << 20), 0 };
  REQUIRE(guest.bytes != NULL);
  guest.len = fread(guest.bytes, 1, 1 << 20, file);
  fclose(file);
  return guest;
}

static inline tg_status guest_load(const tg_runtime *rt, const char *as, const char *name) {
  guest guest = guest_read(name);
  tg_error error = TG_ERROR_INIT;
  tg_status status = tg_policy_load(rt, str(as), guest.bytes, guest.len, NULL, &error);
  CHECK((status == TG_OK) == (error.message[0] == 0));
  free(guest.bytes);
  return status;
}

#endif
