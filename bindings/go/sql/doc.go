// Package sql guards the calls of a database/sql pool, under whatever uses the
// pool: it wraps the driver, so the *sql.DB stays one.
//
//	import tgsql "github.com/tidegate/tidegate/bindings/go/sql"
//
//	db, err := tgsql.Open(guard, "postgres", dsn)          // a registered driver
//	db := sql.OpenDB(tgsql.NewConnector(connector, guard)) // a connector
//
// # What is one call
//
// Each of these asks the guard, and holds its permit as long as is said here:
// connecting, pinging and preparing, until they return; a statement, until it
// returns; a query, until its rows are read to their end or closed; a
// transaction, from its begin until commit or rollback have returned. What is
// done inside a transaction passes with the transaction's permit and is never
// refused: to refuse half of it would throw the other half away, and a guard
// that lets one call in at a time would wait for itself. Commit, rollback and
// close give things back and are never refused either.
//
// Waiting for a free connection of the pool is not part of a call. A driver that
// cannot run a statement with arguments at once is asked to prepare it first:
// that makes two calls of one.
//
// A refusal is the tidegate.RefusedError that Guard.Enter gave, and comes out of
// database/sql as it is. The context of each call ends at the permit's deadline.
//
// # Repeated calls
//
// This package repeats nothing. database/sql itself repeats a call up to twice
// when the driver says driver.ErrBadConn; each time asks the guard anew. A
// refusal is not repeated.
package sql
