package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/tidegate/tidegate/demo/report"
)

var operatorClient = &http.Client{Timeout: 10 * time.Second}

// post sends a body and wants a 200.
func post(url string, body []byte) error {
	response, err := operatorClient.Post(url, "application/octet-stream", bytes.NewReader(body))
	if err != nil {
		return err
	}
	_, err = read(response)
	return err
}

func get(url string) ([]byte, error) {
	response, err := operatorClient.Get(url)
	if err != nil {
		return nil, err
	}
	return read(response)
}

func read(response *http.Response) ([]byte, error) {
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", response.Request.URL.Path, response.Status, strings.TrimSpace(string(text)))
	}
	return text, err
}

// stateOf asks checkout for its guard's figures.
func stateOf(operators string) (state report.State, err error) {
	text, err := get(operators + "/state")
	if err == nil {
		err = json.Unmarshal(text, &state)
	}
	return state, err
}
