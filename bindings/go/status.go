package tidegate

import "errors"

// Status is the number that a library call ends with. It is an error, so that
// a number may be asked for by name: errors.Is(err, tidegate.ErrConflict).
// The numbers are those of tidegate.h and are never reused.
type Status int32

const (
	statusOK          Status = 0
	statusUnavailable Status = -1 // there is no library to ask: ErrUnavailable
)

// Refusals, one a stage, in the order in which the stages are asked.
const (
	ErrRefusedDeadline    Status = 1 // no time left, or less than the call usually needs
	ErrRefusedFault       Status = 2 // a fault injected on purpose
	ErrRefusedBreaker     Status = 3 // the breaker is open
	ErrRefusedThrottle    Status = 4 // the backend has been refusing us
	ErrRefusedPolicy      Status = 5 // a policy said no
	ErrRefusedSystem      Status = 6 // the process has too much to do
	ErrRefusedConcurrency Status = 7 // too many calls in flight
	ErrRefusedRate        Status = 8 // too many calls in a time
)

// Errors: the library could not do what was asked.
const (
	ErrInvalid        Status = 100 // an argument or a document is wrong
	ErrClosed         Status = 101 // the runtime was closed, or the guard or series retired
	ErrUnsupported    Status = 102 // this build or version does not know what was asked
	ErrFull           Status = 103 // no room in the segment
	ErrNotHeld        Status = 104 // the permit holds nothing: never entered, or already exited
	ErrForeign        Status = 105 // the permit was entered in another process
	ErrExpired        Status = 106 // max_hold had already taken the permit back
	ErrConflict       Status = 107 // rules older than those in force, or the same version with other content
	ErrNotFound       Status = 108 // no such name
	ErrBusy           Status = 109 // another process held the cold lock for too long
	ErrSystem         Status = 110 // the operating system refused
	ErrInternal       Status = 111 // a fault of the library, caught
	ErrPolicyRejected Status = 112 // the module is not acceptable as a policy
)

// Why there is no further attempt: from retries, and never an error of a call.
const (
	stopDone          Status = 200
	stopNotRetryable  Status = 201
	stopAttempts      Status = 202
	stopElapsed       Status = 203
	stopDeadline      Status = 204
	stopBudget        Status = 205
	stopNotIdempotent Status = 206
)

// isStop says whether the status is such a reason.
func (s Status) isStop() bool { return s >= stopDone }

// ErrRefused matches every refusal, whichever stage it comes from.
var ErrRefused = errors.New("tidegate: refused")

// ErrUnavailable says that this build has no library in it, so the question
// cannot be answered: see [Available].
var ErrUnavailable = errors.New("tidegate: built without libtidegate, calls pass unguarded")

var statusTable = map[Status][2]string{
	statusOK:              {"TG_OK", "ok"},
	ErrRefusedDeadline:    {"TG_REFUSED_DEADLINE", "refused by deadline"},
	ErrRefusedFault:       {"TG_REFUSED_FAULT", "refused by fault"},
	ErrRefusedBreaker:     {"TG_REFUSED_BREAKER", "refused by breaker"},
	ErrRefusedThrottle:    {"TG_REFUSED_THROTTLE", "refused by throttle"},
	ErrRefusedPolicy:      {"TG_REFUSED_POLICY", "refused by policy"},
	ErrRefusedSystem:      {"TG_REFUSED_SYSTEM", "refused by system"},
	ErrRefusedConcurrency: {"TG_REFUSED_CONCURRENCY", "refused by concurrency"},
	ErrRefusedRate:        {"TG_REFUSED_RATE", "refused by rate"},
	ErrInvalid:            {"TG_INVALID", "invalid"},
	ErrClosed:             {"TG_CLOSED", "closed"},
	ErrUnsupported:        {"TG_UNSUPPORTED", "unsupported"},
	ErrFull:               {"TG_FULL", "no room left"},
	ErrNotHeld:            {"TG_NOT_HELD", "permit holds nothing"},
	ErrForeign:            {"TG_FOREIGN", "permit of another process"},
	ErrExpired:            {"TG_EXPIRED", "permit already taken back"},
	ErrConflict:           {"TG_CONFLICT", "conflict with what is in force"},
	ErrNotFound:           {"TG_NOT_FOUND", "not found"},
	ErrBusy:               {"TG_BUSY", "busy"},
	ErrSystem:             {"TG_SYSTEM", "operating system error"},
	ErrInternal:           {"TG_INTERNAL", "internal fault"},
	ErrPolicyRejected:     {"TG_POLICY_REJECTED", "policy rejected"},
	stopDone:              {"TG_STOP_DONE", "no further attempt: it succeeded"},
	stopNotRetryable:      {"TG_STOP_NOT_RETRYABLE", "no further attempt after this outcome"},
	stopAttempts:          {"TG_STOP_ATTEMPTS", "no further attempt: all were made"},
	stopElapsed:           {"TG_STOP_ELAPSED", "no further attempt: too much time has passed"},
	stopDeadline:          {"TG_STOP_DEADLINE", "no further attempt before the deadline"},
	stopBudget:            {"TG_STOP_BUDGET", "no further attempt: the budget is empty"},
	stopNotIdempotent:     {"TG_STOP_NOT_IDEMPOTENT", "no further attempt: it must not be made twice"},
	statusUnavailable:     {"UNAVAILABLE", "built without libtidegate, calls pass unguarded"},
}

// Name is the status as the C header spells it, such as "TG_REFUSED_RATE".
func (s Status) Name() string {
	if row, ok := statusTable[s]; ok {
		return row[0]
	}
	return "TG_UNKNOWN"
}

// Error is the status in words.
func (s Status) Error() string {
	if row, ok := statusTable[s]; ok {
		return "tidegate: " + row[1]
	}
	return "tidegate: unknown status"
}

// IsRefusal says whether the status is a refusal rather than an error.
func (s Status) IsRefusal() bool { return s >= 1 && s <= 99 }

// Is makes every refusal match [ErrRefused].
func (s Status) Is(target error) bool {
	switch target {
	case ErrRefused:
		return s.IsRefusal()
	case ErrUnavailable:
		return s == statusUnavailable
	}
	return false
}

// Stage is a step of the guard pipeline.
type Stage int32

// The stages, in the order in which they are asked.
const (
	StageNone        Stage = 0
	StageDeadline    Stage = 1
	StageFault       Stage = 2
	StageBreaker     Stage = 3
	StageThrottle    Stage = 4
	StagePolicy      Stage = 5
	StageSystem      Stage = 6
	StageConcurrency Stage = 7
	StageRate        Stage = 8
)

var stageNames = [...]string{"none", "deadline", "fault", "breaker", "throttle",
	"policy", "system", "concurrency", "rate"}

// String is the stage's name, as metrics spell it.
func (s Stage) String() string {
	if s >= 0 && int(s) < len(stageNames) {
		return stageNames[s]
	}
	return "unknown"
}
