package tidegate_test

import (
	"strings"
	"testing"

	"github.com/tidegate/tidegate/bindings/go"
)

const perTenant = `{"rate": [{"limit": 1, "per": "1h", "burst": 2, "key": "tenant", "deny": ["evil"]}]}`

func TestEachKeyHasItsOwnLimit(t *testing.T) {
	g := guarded(t, openVirtual(t), perTenant)
	for range 2 {
		must(t, g.Do(t.Context(), succeed, tidegate.WithKey("a")))
		must(t, g.Do(t.Context(), succeed, tidegate.WithKey("a"), tidegate.WithAttribute("tenant", "b")))
	}
	refused := mustRefuse(t, g.Do(t.Context(), succeed, tidegate.WithKey("a")), tidegate.ErrRefusedRate)
	if refused.Stage != tidegate.StageRate || refused.RetryAfter <= 0 {
		t.Fatalf("%+v", refused)
	}
	mustRefuse(t, g.Do(t.Context(), succeed, tidegate.WithKey("b")), tidegate.ErrRefusedRate)
	never := mustRefuse(t, g.Do(t.Context(), succeed, tidegate.WithKey("evil")), tidegate.ErrRefusedRate)
	if never.RetryAfter != tidegate.NeverRetry {
		t.Fatalf("retry after %s", never.RetryAfter)
	}
	must(t, g.Do(t.Context(), succeed))
}

func TestHottestKeys(t *testing.T) {
	g := guarded(t, openVirtual(t), perTenant)
	long := strings.Repeat("x", 100)
	for range 100 {
		mustRefuse(t, g.Do(t.Context(), succeed, tidegate.WithKey("evil")), tidegate.ErrRefusedRate)
	}
	for range 50 {
		_ = g.Do(t.Context(), succeed, tidegate.WithKey(long))
	}
	keys, err := g.HottestKeys(0)
	must(t, err)
	if len(keys) != 2 || string(keys[0].Name) != "evil" || string(keys[1].Name) != long[:48] {
		t.Fatalf("%+v", keys)
	}
	if keys[0].Count != 100 || keys[0].Error != 0 || keys[1].Count < 48 {
		t.Fatalf("%+v", keys)
	}
	for _, other := range []int{-1, 1, 1 << 40} {
		_, err := g.HottestKeys(other)
		mustBe(t, err, tidegate.ErrNotFound)
	}
}
