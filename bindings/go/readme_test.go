package tidegate_test

import (
	"os"
	"strings"
	"testing"
)

func TestReadmeShowsTheExampleAsItIs(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	must(t, err)
	example, err := os.ReadFile("examples/server/main.go")
	must(t, err)
	_, code, _ := strings.Cut(string(example), "\npackage main\n")
	if !strings.Contains(string(readme), "```go\npackage main\n"+code+"```") {
		t.Fatal("README.md and examples/server/main.go differ")
	}
}
