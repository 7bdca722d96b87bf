package tidegate

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// RulesError says what is wrong with a rules document: everything at once. It
// matches [ErrInvalid].
type RulesError struct {
	Problems []RulesProblem
}

// RulesProblem is one fault of a rules document.
type RulesProblem struct {
	Path    string `json:"path"` // JSON path, such as "$.guards.a.rate[0].limit"
	Message string `json:"message"`
}

// Error lists every problem with its path, one a line.
func (e *RulesError) Error() string {
	lines := []string{fmt.Sprintf("tidegate: rules: %d wrong", len(e.Problems))}
	for _, p := range e.Problems {
		lines = append(lines, p.Path+": "+p.Message)
	}
	return strings.Join(lines, "\n\t")
}

// Unwrap gives ErrInvalid, for errors.Is.
func (e *RulesError) Unwrap() error { return ErrInvalid }

// ApplyRules puts a rules document (JSON) in force, whole or not at all.
// Guards keep their live state where only numbers change. Errors leave the
// rules in force as they were, and are a [RulesError] for a document that is
// wrong, or match [ErrConflict] for one that is older than the rules in force
// or has their version and other content, [ErrUnsupported] where it requires
// what the library lacks.
func (rt *Runtime) ApplyRules(document []byte) error {
	err := rt.attempt("rules", func(handle uintptr) error {
		return libRulesApply(handle, document)
	})
	if err == nil {
		rt.closing.sampleWhileWanted()
	}
	if !errors.Is(err, ErrInvalid) {
		return err
	}
	var listed *RulesError
	if checked := CheckRules(document); errors.As(checked, &listed) {
		return listed
	}
	return err
}

// CheckRules says what [Runtime.ApplyRules] would find wrong with a document
// in itself, without applying it.
func CheckRules(document []byte) error {
	report, err := libRulesCheck(document)
	var found struct {
		Errors []RulesProblem `json:"errors"`
	}
	if err != nil && json.Unmarshal(report, &found) == nil && len(found.Errors) > 0 {
		return &RulesError{found.Errors}
	}
	return err
}

// RulesVersion is the version of the rules in force; 0 before the first.
func (rt *Runtime) RulesVersion() (version uint64, err error) {
	err = check("rules version", rt.use(func(handle uintptr) (s Status) {
		version, s = libRulesVersion(handle)
		return s
	}))
	return version, err
}
