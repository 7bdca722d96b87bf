package tidegate

import (
	"io"
	"net/http"
	"strconv"
	"strings"
)

// WriteMetrics writes every metric of the runtime to w, in the format that
// suits accept, an HTTP Accept header: OpenMetrics 1.0 where it asks for that,
// else the Prometheus text format 0.0.4. It returns the Content-Type of what
// it wrote.
func (rt *Runtime) WriteMetrics(w io.Writer, accept string) (contentType string, err error) {
	text, err := rt.render(accept)
	if err != nil {
		return "", err
	}
	defer text.free()
	_, err = w.Write(text.bytes())
	return text.contentType(), err
}

func (rt *Runtime) render(accept string) (text rendering, err error) {
	err = rt.attempt("metrics", func(handle uintptr) (err error) {
		text, err = libRender(handle, accept)
		return err
	})
	return text, err
}

// MetricsHandler serves the runtime's metrics to a Prometheus server, in the
// format that the request's Accept header asks for. It answers GET and HEAD;
// 503 once the runtime is closed or where it passes through.
func (rt *Runtime) MetricsHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
			return
		}
		text, err := rt.render(strings.Join(r.Header.Values("Accept"), ","))
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		defer text.free()
		body := text.bytes()
		w.Header().Set("Content-Type", text.contentType())
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = w.Write(body)
	})
}
