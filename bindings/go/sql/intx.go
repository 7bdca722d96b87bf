package sql

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"

	"github.com/tidegate/tidegate/bindings/go"
)

// TxOptions change what [InTx] does. The zero value is right for most.
type TxOptions struct {
	// Begin is given to BeginTx.
	Begin *sql.TxOptions
	// Call says what holds for all attempts together: criticality, time limit.
	Call []tidegate.CallOption
	// Undone replaces Undone of this package.
	Undone func(error) bool
	// Classify replaces Classify of this package, for the failure of a begin.
	Classify tidegate.Classifier
}

// Undone says of an error that the database has undone what was tried and that
// the same may succeed when it is tried again, unless [Options] or [TxOptions]
// replace it: a serialization failure (SQLSTATE 40001) or a deadlock (40P01),
// of an error with a method SQLState() string. Other drivers have no portable
// form: say there what an error of yours is, such as MySQL's 1213 or SQLITE_BUSY.
func Undone(err error) bool {
	var state interface{ SQLState() string }
	if !errors.As(err, &state) {
		return false
	}
	return state.SQLState() == "40001" || state.SQLState() == "40P01"
}

// InTx runs fn in a transaction of db, and commits it. guard is the one before
// db; each attempt is an entry of it, as every transaction is. As the guard's
// rules (rule "retry") say, the whole is tried again when
//
//   - the guard refused it, and knows when to let it in;
//   - it could not be begun, and [Classify] gives an outcome that is retried
//     (a driver.ErrBadConn has been repeated by database/sql);
//   - fn or the commit gave an error that [Undone] approves, or fn gave
//     driver.ErrBadConn: the connection was lost before the commit, and the
//     transaction with it. Each of these counts as a failure.
//
// After any other error of fn, or a panic, the transaction is rolled back; any
// other error of the commit leaves open what became of it. Both come out as
// they are.
//
// fn is called several times: what else it does than through tx must bear that.
// Calls under the context that fn gets are not tried again by themselves. The
// wait before another attempt holds no connection.
func InTx(ctx context.Context, guard *tidegate.Guard, db *sql.DB, fn func(context.Context, *sql.Tx) error, options ...TxOptions) error {
	t := &whole{ctx: context.WithValue(ctx, wholeKey{}, true), guard: guard, db: db, fn: fn}
	if len(options) > 0 {
		t.options = options[0]
	}
	if t.options.Undone == nil {
		t.options.Undone = Undone
	}
	if t.options.Classify == nil {
		t.options.Classify = Classify
	}
	return guard.RetryAttempts(ctx, t.attempt, t.options.Call...)
}

// whole is a transaction that is tried again as a whole.
type whole struct {
	ctx     context.Context
	guard   *tidegate.Guard
	db      *sql.DB
	fn      func(context.Context, *sql.Tx) error
	options TxOptions
}

func (t *whole) attempt([]tidegate.CallOption) tidegate.Attempt {
	tx, err := t.db.BeginTx(t.ctx, t.options.Begin)
	if err != nil {
		return t.notBegun(err)
	}
	defer tx.Rollback() // does nothing after a commit
	if err := t.fn(t.ctx, tx); err != nil {
		return t.ended(err, errors.Is(err, driver.ErrBadConn))
	}
	return t.ended(tx.Commit(), false)
}

func (t *whole) notBegun(err error) tidegate.Attempt {
	var refused *tidegate.RefusedError
	return tidegate.Attempt{
		Err: err, Outcome: t.options.Classify(t.ctx, err),
		Refused: errors.As(err, &refused) && refused.Guard == t.guard.Name(),
		Final:   errors.Is(err, driver.ErrBadConn),
	}
}

func (t *whole) ended(err error, lost bool) tidegate.Attempt {
	if err == nil {
		return tidegate.Attempt{}
	}
	return tidegate.Attempt{Err: err, Outcome: tidegate.Failure, Final: !lost && !t.options.Undone(err)}
}
