/* Under pressure, free tenants are refused first, then standard ones; premium and critical calls never.
 *
 * Configuration, all optional, pressures in thousandths:
 *   {"free_above": 800, "standard_above": 950, "retry_after_ms": 1000}
 * The caller's attribute "tier" says "free", "standard" or "premium"; anything else counts as standard. */
#include "tidegate_policy.h"

TG_POLICY

enum { REASON_FREE = 1, REASON_STANDARD = 2 };

static int32_t tier, refused_free, refused_standard;
static uint32_t free_above, standard_above, retry_after_ms;

static int32_t refuse_config(tg_bytes why) {
  tg_log(TG_LOG_ERROR, why.ptr, why.length);
  return 1;
}

TG_EXPORT(tg_policy_init) int32_t init(const char *config, uint32_t length) {
  tg_bytes json = { config, length };
  int64_t free_at = tg_json_number(json, TG_BYTES("free_above"), 800);
  int64_t standard_at = tg_json_number(json, TG_BYTES("standard_above"), 950);
  int64_t retry = tg_json_number(json, TG_BYTES("retry_after_ms"), 1000);
  if (free_at < 0 || free_at > standard_at || standard_at > 1000)
    return refuse_config(TG_BYTES("0 <= free_above <= standard_above <= 1000 does not hold"));
  if (retry < 0 || retry > 3600000) return refuse_config(TG_BYTES("retry_after_ms is 0 to 3600000"));
  free_above = (uint32_t)free_at;
  standard_above = (uint32_t)standard_at;
  retry_after_ms = (uint32_t)retry;
  tier = tg_attribute("tier", 4);
  refused_free = tg_counter("refused_free", 12);
  refused_standard = tg_counter("refused_standard", 16);
  return tier < 0;
}

static int64_t refuse(uint16_t reason, int32_t counter) {
  tg_counter_add(counter, 1);
  return tg_deny(reason, retry_after_ms);
}

TG_EXPORT(tg_policy_decide) int64_t decide(const tg_record *record) {
  if (record->pressure <= free_above || record->criticality == TG_RECORD_CRITICAL) return tg_allow(0);
  tg_bytes value = tg_record_value(record, tier);
  if (TG_IS(value, "premium")) return tg_allow(0);
  if (TG_IS(value, "free")) return refuse(REASON_FREE, refused_free);
  if (record->pressure > standard_above) return refuse(REASON_STANDARD, refused_standard);
  return tg_allow(0);
}
