/* Refuses everything, or a share of it, or what carries an attribute.
 *
 * Configuration, all optional:
 *   {"share": 250,                               of the calls, in thousandths (1000)
 *    "attribute": "region", "value": "eu",       only calls with this attribute (and value)
 *    "spare_critical": 1,                        critical calls pass (0)
 *    "retry_after_ms": 5000}                     (0: not known)
 * A share is taken by the call's key, so that a key is either in it or not; by time where there is none. */
#include "tidegate_policy.h"

TG_POLICY

enum { REASON_KILLED = 1, VALUE_BYTES = 256 };

static int32_t attribute, by_attribute, by_value, spare_critical;
static uint32_t share, retry_after_ms, value_length;
static char value[VALUE_BYTES];

static int32_t refuse_config(tg_bytes why) {
  tg_log(TG_LOG_ERROR, why.ptr, why.length);
  return 1;
}

static int32_t keep_value(tg_bytes text) {
  if (text.length > VALUE_BYTES) return refuse_config(TG_BYTES("value has at most 256 bytes"));
  for (uint32_t n = 0; n < text.length; n++) value[n] = text.ptr[n];
  value_length = text.length;
  by_value = text.ptr != NULL;
  return 0;
}

TG_EXPORT(tg_policy_init) int32_t init(const char *config, uint32_t length) {
  tg_bytes json = { config, length };
  int64_t thousandths = tg_json_number(json, TG_BYTES("share"), 1000);
  int64_t retry = tg_json_number(json, TG_BYTES("retry_after_ms"), 0);
  if (thousandths < 0 || thousandths > 1000) return refuse_config(TG_BYTES("share is 0 to 1000"));
  if (retry < 0 || retry > 3600000) return refuse_config(TG_BYTES("retry_after_ms is 0 to 3600000"));
  share = (uint32_t)thousandths;
  retry_after_ms = (uint32_t)retry;
  spare_critical = tg_json_number(json, TG_BYTES("spare_critical"), 0) != 0;
  if (keep_value(tg_json_text(json, TG_BYTES("value"))) != 0) return 1;
  tg_bytes name = tg_json_text(json, TG_BYTES("attribute"));
  by_attribute = name.ptr != NULL;
  if (by_value && !by_attribute) return refuse_config(TG_BYTES("value needs an attribute"));
  if (!by_attribute) return 0;
  if (name.length < 1 || name.length > 128) return refuse_config(TG_BYTES("attribute has 1 to 128 bytes"));
  attribute = tg_attribute(name.ptr, name.length);
  return attribute < 0;
}

static int is_meant(const tg_record *record) {
  if (!by_attribute) return 1;
  tg_bytes found = tg_record_value(record, attribute);
  if (found.ptr == NULL) return 0;
  tg_bytes wanted = { value, value_length };
  return !by_value || tg_bytes_equal(found, wanted);
}

static int is_in_share(const tg_record *record) {
  uint64_t what = record->key_hash != 0 ? record->key_hash : record->now_ns;
  return tg_mix(what) % 1000 < share;
}

TG_EXPORT(tg_policy_decide) int64_t decide(const tg_record *record) {
  if (spare_critical && record->criticality == TG_RECORD_CRITICAL) return tg_allow(0);
  if (is_meant(record) && is_in_share(record)) return tg_deny(REASON_KILLED, retry_after_ms);
  return tg_allow(0);
}
