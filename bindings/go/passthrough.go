//go:build !cgo || !linux || tidegate_passthrough

package tidegate

import (
	"sync/atomic"

	"github.com/tidegate/tidegate/bindings/go/internal/bucket"
	"github.com/tidegate/tidegate/bindings/go/internal/counted"
)

// This file stands in for libtidegate where it is not to be had. Guards let
// every call pass and instruments forget, without a fault being counted; what
// only the library can answer is statusUnavailable, which is ErrUnavailable.

const available = false

func unavailable(op string) error { return check(op, statusUnavailable) }

func libVersion() string  { return "" }
func libFeatures() uint64 { return 0 }

func libOpen(*config) (uintptr, error)         { return 0, nil }
func libClose(uintptr) Status                  { return statusOK }
func libClockNow(uintptr) (uint64, Status)     { return 0, statusUnavailable }
func libClockSet(uintptr, uint64) Status       { return statusUnavailable }
func libClockAdvance(uintptr, uint64) Status   { return statusUnavailable }
func libRulesCheck([]byte) ([]byte, error)     { return nil, unavailable("rules") }
func libRulesApply(uintptr, []byte) error      { return unavailable("rules") }
func libRulesVersion(uintptr) (uint64, Status) { return 0, statusUnavailable }

func libGuardResolve(uintptr, string) (uintptr, error)     { return 0, nil }
func libGuardRetire(uintptr) Status                        { return statusOK }
func libGuardStats(uintptr) (GuardStats, Status)           { return GuardStats{}, statusUnavailable }
func libGuardHottest(uintptr, uint32) ([]HotKey, Status)   { return nil, statusUnavailable }
func libAttributeResolve(uintptr, string) (uint32, Status) { return 0, statusOK }
func libGuardSetBreaker(uintptr, uint32) Status            { return statusUnavailable }
func libWatchBreaker(uintptr, func(BreakerChange)) (uint64, error) {
	return 0, unavailable("watch breaker")
}
func libBreakerWords(uintptr, string, counted.Rule) ([]atomic.Uint64, error) {
	return nil, unavailable("resolve breaker")
}
func libUnwatchBreaker(uintptr, uint64)             {}
func libSystemSample(uintptr) error                 { return unavailable("sample system") }
func libSystemSet(uintptr, float64, float64) Status { return statusUnavailable }
func libSystemWanted(uintptr) (bool, Status)        { return false, statusUnavailable }
func libEnter(*entry) Status                        { return statusOK }
func libEnterCall(*entry, *callSpec, []byte) Status { return statusOK }
func libExit(*entry, Outcome) Status                { return statusOK }
func libPermitRoute(*entry) uint32                  { return 0 }
func libRetryBegin(*again) Status                   { return statusUnavailable }
func libRetryNext(*again) Status                    { return statusUnavailable }
func libRetryAbandon(*again) Status                 { return statusUnavailable }
func libHedgeBegin(*again) Status                   { return statusUnavailable }
func libHedgeNext(*again) Status                    { return statusUnavailable }
func libHedgeEnd(*again) Status                     { return statusUnavailable }

func libInstrumentResolve(instrumentKind, uintptr, Instrument, []Label) (uintptr, error) {
	return 0, nil
}
func libInstrumentRetire(instrumentKind, uintptr) Status      { return statusOK }
func libCounterAdd(uintptr, uint64) Status                    { return statusOK }
func libCounterValue(uintptr) (uint64, Status)                { return 0, statusUnavailable }
func libGaugeSet(uintptr, float64) Status                     { return statusOK }
func libGaugeAdd(uintptr, float64) Status                     { return statusOK }
func libGaugeValue(uintptr) (float64, Status)                 { return 0, statusUnavailable }
func libHistogramRecord(uintptr, float64) Status              { return statusOK }
func libHistogramRecordAll(uintptr, []float64) Status         { return statusOK }
func libHistogramQuantile(uintptr, float64) (float64, Status) { return 0, statusUnavailable }

func libLimiterResolve(uintptr, string, *LimiterOptions) (uintptr, error) { return 0, nil }
func libLimiterTake(uintptr, uint64, uint64) (uint64, Status)             { return 0, statusOK }
func libLimiterReserve(uintptr, uint64, uint64, uint64) (uint64, Status)  { return 0, statusOK }

type reservation struct{}

func (*reservation) wait() uint64 { return 0 }
func libLimiterReservation(uintptr, uint64, uint64, uint64) (*reservation, Status) {
	return &reservation{}, statusOK
}
func libLimiterCancel(uintptr, *reservation, uint64) Status { return statusOK }

func libLimiterTokens(uintptr, uint64) (float64, Status)   { return 0, statusUnavailable }
func libLimiterSet(uintptr, *LimiterOptions, uint64) error { return nil }
func libLimiterRetire(uintptr) Status                      { return statusOK }
func libLimiterLocate(uintptr) (*bucket.Place, Status)     { return nil, statusUnavailable }

func libPolicyLoad(uintptr, string, []byte, PolicyOptions) error { return unavailable("load policy") }
func libPolicyCheck(uintptr, []byte, PolicyOptions) error        { return unavailable("check policy") }
func libPolicyRollback(uintptr, string) error                    { return unavailable("roll back policy") }
func libPolicyUnload(uintptr, string) Status                     { return statusUnavailable }
func libPolicyGeneration(uintptr, string) (uint64, Status)       { return 0, statusUnavailable }

type rendering struct{}

func libRender(uintptr, string) (rendering, error) { return rendering{}, unavailable("metrics") }
func (rendering) contentType() string              { return "" }
func (rendering) bytes() []byte                    { return nil }
func (rendering) free()                            {}
