package tidegate_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestMetricsFormatFollowsAccept(t *testing.T) {
	rt := open(t)
	must(t, guard(t, rt, "g").Do(t.Context(), succeed))
	for accept, want := range map[string]string{
		"": "text/plain; version=0.0.4",
		"application/openmetrics-text; version=1.0.0": "application/openmetrics-text; version=1.0.0",
	} {
		var text strings.Builder
		contentType, err := rt.WriteMetrics(&text, accept)
		must(t, err)
		if !strings.HasPrefix(contentType, want) {
			t.Errorf("%q for %q", contentType, accept)
		}
		if !strings.Contains(text.String(), `tidegate_guard_calls_total{guard="g",outcome="success"} 1`) {
			t.Error(text.String())
		}
		if open := strings.HasPrefix(want, "application"); open != strings.HasSuffix(text.String(), "# EOF\n") {
			t.Errorf("the end of %q", accept)
		}
	}
}

func TestMetricsHandlerAnswersAScrape(t *testing.T) {
	rt := open(t)
	server := httptest.NewServer(rt.MetricsHandler())
	defer server.Close()
	guard(t, rt, "g")
	response, err := http.Get(server.URL)
	must(t, err)
	body, err := io.ReadAll(response.Body)
	must(t, err)
	must(t, response.Body.Close())
	if response.StatusCode != http.StatusOK || !strings.Contains(string(body), "tidegate_guard_inflight") {
		t.Fatal(response.Status, string(body))
	}
	if !strings.HasPrefix(response.Header.Get("Content-Type"), "text/plain; version=0.0.4") {
		t.Fatal(response.Header)
	}
}

func TestMetricsHandlerRefusesOtherMethodsAndClosedRuntimes(t *testing.T) {
	rt := open(t)
	if code := answer(rt.MetricsHandler(), http.MethodPost); code != http.StatusMethodNotAllowed {
		t.Fatal(code)
	}
	must(t, rt.Close())
	if code := answer(rt.MetricsHandler(), http.MethodGet); code != http.StatusServiceUnavailable {
		t.Fatal(code)
	}
}

func TestMetricsPassOnTheWritersError(t *testing.T) {
	reader, writer := io.Pipe()
	must(t, reader.Close())
	_, err := open(t).WriteMetrics(writer, "")
	mustBe(t, err, io.ErrClosedPipe)
}

func answer(handler http.Handler, method string) int {
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, httptest.NewRequest(method, "/metrics", nil))
	return recorder.Code
}
