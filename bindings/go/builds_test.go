package tidegate_test

import (
	"os"
	"os/exec"
	"testing"

	"github.com/tidegate/tidegate/bindings/go"
)

// goTool runs the go command with more environment.
func goTool(t *testing.T, env []string, args ...string) {
	t.Helper()
	command := exec.Command("go", args...)
	command.Env = append(os.Environ(), env...)
	if output, err := command.CombinedOutput(); err != nil {
		t.Errorf("%v go %v: %v\n%s", env, args, err, output)
	}
}

func TestBuildsWithoutTheLibrary(t *testing.T) {
	if !tidegate.Available() {
		t.Skip("this is such a build, and one is enough to start the others")
	}
	goTool(t, []string{"CGO_ENABLED=0"}, "test", "./...")
	goTool(t, []string{"CGO_ENABLED=1"}, "vet", "-tags", "tidegate_passthrough", "./...")
	for _, system := range []string{"darwin", "windows"} {
		goTool(t, []string{"GOOS=" + system, "CGO_ENABLED=0"}, "vet", "./...")
	}
	goTool(t, []string{"GOOS=linux", "GOARCH=arm64", "CGO_ENABLED=0"}, "build", "./...")
}
