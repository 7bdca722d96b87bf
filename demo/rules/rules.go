// Package rules holds the two rule documents of the demonstration.
package rules

import _ "embed"

// First is in force at the start: its rate limit, 400 a second, turns out to be too low.
//
//go:embed first.json
var First []byte

// Raised lets 1000 a second pass; all else is as in First.
//
//go:embed raised.json
var Raised []byte
