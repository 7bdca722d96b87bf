//go:build cgo && linux && !tidegate_passthrough

package gin_test

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/gin-gonic/gin"

	"github.com/tidegate/tidegate/bindings/go"
	tggin "github.com/tidegate/tidegate/bindings/go/gin"
)

func Example() {
	gate, err := tidegate.Open()
	if err != nil {
		log.Fatal(err)
	}
	defer gate.Close()
	if err := gate.ApplyRules([]byte(`{"version": 1, "guards": {
		"GET /users/:id": {"rate": [{"limit": 1, "per": "1h", "burst": 2}]}}}`)); err != nil {
		log.Fatal(err)
	}

	router := gin.New()
	router.Use(gin.Recovery(), tggin.Middleware(gate))
	router.GET("/users/:id", func(c *gin.Context) { c.String(http.StatusOK, "user %s", c.Param("id")) })
	server := httptest.NewServer(router)
	defer server.Close()

	for id := range 3 {
		response, err := http.Get(fmt.Sprintf("%s/users/%d", server.URL, id))
		if err != nil {
			log.Fatal(err)
		}
		response.Body.Close()
		fmt.Printf("%d %q\n", response.StatusCode, response.Header.Get("Retry-After"))
	}
	// Output:
	// 200 ""
	// 200 ""
	// 429 "3600"
}
