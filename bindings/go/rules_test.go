package tidegate_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/tidegate/tidegate/bindings/go"
)

const twoFaults = `{"version": 3, "guards": {"g": {"rate": [{"limit": -1, "per": "1s"}], "tymeout": "1s"}}}`

func TestRulesVersionFollowsWhatIsInForce(t *testing.T) {
	rt := open(t)
	for _, version := range []string{"3", "7"} {
		must(t, rt.ApplyRules([]byte(`{"version": `+version+`}`)))
	}
	if v, err := rt.RulesVersion(); v != 7 || err != nil {
		t.Fatal(v, err)
	}
	mustBe(t, rt.ApplyRules([]byte(`{"version": 6}`)), tidegate.ErrConflict)
}

func TestWrongRulesListEveryPathAndChangeNothing(t *testing.T) {
	rt := open(t)
	must(t, rt.ApplyRules([]byte(`{"version": 2}`)))
	for _, err := range []error{rt.ApplyRules([]byte(twoFaults)), tidegate.CheckRules([]byte(twoFaults))} {
		var wrong *tidegate.RulesError
		if mustBe(t, err, tidegate.ErrInvalid); !errors.As(err, &wrong) || len(wrong.Problems) != 2 {
			t.Fatalf("%v", err)
		}
		for _, path := range []string{"$.guards.g.rate[0].limit", "$.guards.g.tymeout"} {
			if !strings.Contains(err.Error(), path) {
				t.Errorf("%s is not in %q", path, err)
			}
		}
	}
	if v, err := rt.RulesVersion(); v != 2 || err != nil {
		t.Fatal(v, err)
	}
}

func TestGarbageRulesAreInvalid(t *testing.T) {
	rt := open(t)
	garbage := map[string]string{
		"empty": "", "no JSON": "{", "list": "[]", "bytes": "\xff\x00", "large": strings.Repeat("[", 10<<20),
	}
	for name, document := range garbage {
		t.Run(name, func(t *testing.T) {
			mustBe(t, rt.ApplyRules([]byte(document)), tidegate.ErrInvalid)
			mustBe(t, tidegate.CheckRules([]byte(document)), tidegate.ErrInvalid)
		})
	}
}

func TestGoodRulesPassTheCheck(t *testing.T) {
	open(t)
	must(t, tidegate.CheckRules([]byte(`{"version": 1, "guards": {"g": {"timeout": "1s"}}}`)))
}
