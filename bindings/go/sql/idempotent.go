package sql

import (
	"strings"
	"unicode"
)

// Idempotent says whether an operation may be made twice, unless [Options]
// replace it: connecting, pinging, preparing and beginning a transaction, which
// leave nothing behind when they fail, and a query that reads. Such is one
// statement, behind comments, that begins with SELECT, SHOW or VALUES; any
// other, as INSERT … RETURNING or WITH, may write. A SELECT that calls a
// function with an effect is for an Idempotent of your own.
//
// A statement without rows (Exec) counts as one that writes, whatever it is.
func Idempotent(op Operation) bool {
	switch op.Kind {
	case Exec:
		return false
	case Query:
		return reads(op.Query)
	}
	return true
}

func reads(query string) bool {
	query = strings.TrimRight(afterComments(query), "; \t\r\n")
	end := strings.IndexFunc(query, func(r rune) bool { return !unicode.IsLetter(r) })
	if end < 0 || strings.Contains(query, ";") { // a word alone, or a second statement
		return false
	}
	switch strings.ToUpper(query[:end]) {
	case "SELECT", "SHOW", "VALUES":
		return true
	}
	return false
}

// afterComments is the query from its first word on. What stands in /*! … */ is
// no comment to MySQL.
func afterComments(query string) string {
	for {
		query = strings.TrimLeftFunc(query, unicode.IsSpace)
		var found bool
		switch {
		case strings.HasPrefix(query, "--"):
			_, query, found = strings.Cut(query, "\n")
		case strings.HasPrefix(query, "/*") && !strings.HasPrefix(query, "/*!"):
			_, query, found = strings.Cut(query[len("/*"):], "*/")
		}
		if !found {
			return query
		}
	}
}
