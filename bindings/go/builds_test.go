package tidegate_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tidegate/tidegate/bindings/go"
)

// needBuilds skips where the tests themselves run in a build without the
// library: one kind of build is enough to start the others.
func needBuilds(t *testing.T) {
	t.Helper()
	if !tidegate.Available() {
		t.Skip("built without libtidegate")
	}
}

// goTool runs the go command with more environment.
func goTool(t *testing.T, env []string, args ...string) {
	t.Helper()
	command := exec.Command("go", args...)
	command.Env = append(os.Environ(), env...)
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v go %v: %v\n%s", env, args, err, output)
	}
}

func TestBuildsWithoutTheLibrary(t *testing.T) {
	needBuilds(t)
	goTool(t, []string{"CGO_ENABLED=0"}, "test", "./...")
	goTool(t, []string{"CGO_ENABLED=1"}, "vet", "-tags", "tidegate_passthrough", "./...")
	for _, system := range []string{"darwin", "windows"} {
		goTool(t, []string{"GOOS=" + system, "CGO_ENABLED=0"}, "vet", "./...")
	}
	goTool(t, []string{"GOOS=linux", "GOARCH=arm64", "CGO_ENABLED=0"}, "build", "./...")
}

func TestExampleServerIsGuardedAsTheReadmeSays(t *testing.T) {
	needBuilds(t)
	program := filepath.Join(t.TempDir(), "server")
	goTool(t, nil, "build", "-o", program, "./examples/server")
	askTenTimes(t, exec.Command(program, "-address", "127.0.0.1:0"))
}

func TestExampleServerLinkedStaticallyNeedsNoFileOfOurs(t *testing.T) {
	needBuilds(t)
	program := filepath.Join(t.TempDir(), "server")
	goTool(t, []string{staticLibrary(t)}, "build", "-tags", "tidegate_static", "-o", program, "./examples/server")
	command := exec.Command(program, "-address", "127.0.0.1:0")
	command.Env = []string{"PATH=" + os.Getenv("PATH")}
	askTenTimes(t, command)
}

// staticLibrary is a setting that differs for every library: Go's cache does
// not notice by itself that there is another.
func staticLibrary(t *testing.T) string {
	t.Helper()
	libdir, err := exec.Command("pkg-config", "--variable=libdir", "tidegate-static").Output()
	must(t, err)
	archive, err := os.Stat(filepath.Join(strings.TrimSpace(string(libdir)), "libtidegate.a"))
	must(t, err)
	return fmt.Sprintf("CGO_CFLAGS=-O2 -DLIBRARY_OF=%d", archive.ModTime().UnixNano())
}

// askTenTimes starts the example, does what its text says, and looks for what
// its text promises.
func askTenTimes(t *testing.T, server *exec.Cmd) {
	t.Helper()
	stderr, err := server.StderrPipe()
	must(t, err)
	must(t, server.Start())
	defer func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	}()
	line, err := bufio.NewReader(stderr).ReadString('\n')
	_, url, listening := strings.Cut(strings.TrimSpace(line), "listening on ")
	if !listening {
		rest, _ := io.ReadAll(stderr)
		t.Fatalf("%v: %s%s", err, line, rest)
	}
	statuses := map[int]int{}
	for range 10 {
		response, _ := get(t, url+"/hello")
		statuses[response.StatusCode]++
	}
	if statuses[http.StatusOK] != 5 || statuses[http.StatusTooManyRequests] != 5 {
		t.Fatal(statuses)
	}
	if _, text := get(t, url+"/metrics"); !strings.Contains(text, `tidegate_guard_rejected_total{guard="hello",stage="rate"`) {
		t.Fatal(text)
	}
}
