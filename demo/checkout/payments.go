package main

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/tidegate/tidegate/bindings/go"
)

// payments is the client of the other service.
type payments struct {
	url  string
	http *http.Client
}

func newPayments(address string) *payments {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost, transport.MaxIdleConns = 256, 256
	return &payments{address + "/charge", &http.Client{Transport: transport}}
}

// charge makes one call, for as long as ctx lets it.
func (p *payments) charge(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, nil)
	if err != nil {
		return err
	}
	response, err := p.http.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body)
	switch response.StatusCode {
	case http.StatusOK:
		return nil
	case http.StatusServiceUnavailable:
		return tidegate.WithOutcome(statusError(response.StatusCode), tidegate.Overloaded)
	}
	return statusError(response.StatusCode)
}

type statusError int

func (e statusError) Error() string { return fmt.Sprintf("payments answered %d", int(e)) }
