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
// # Retries
//
// Where the guard's rules have retries, calls are tried again as they say, each
// attempt an entry of its own, paid from the guard's budget:
//
//   - what the guard itself refused and knows when to let in;
//   - what may have reached the database, if [Idempotent] (or yours, in
//     [Options]) says that it may be made twice: reads, and all that leaves
//     nothing behind when it fails. Any other is made once.
//
// It waits with the connection in hand, and tries again over the same one. So a
// connection that the driver says to have lost ends the attempts.
//
// Nothing within a transaction is tried again by itself: what came before it
// may be gone. [InTx] tries the whole again. A transaction that a statement
// began ("BEGIN") is not known to this package: begin it by BeginTx, or let
// Options.Idempotent say no. Nor is a query tried again whose rows have been
// handed out.
//
// # Retries of database/sql
//
// database/sql itself repeats a call up to twice, on another connection, when
// the driver says driver.ErrBadConn, which by its contract means that nothing
// was done. That stays so, each time asks the guard anew, and this package does
// not repeat it as well. After an attempt that did reach the database,
// ErrBadConn is not handed on, for database/sql would begin all attempts anew:
// the call gives that attempt's error.
package sql
