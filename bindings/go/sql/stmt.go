package sql

import (
	"context"
	"database/sql/driver"
)

// stmt is a driver's prepared statement.
type stmt struct {
	conn  *conn
	base  driver.Stmt
	query string
}

// convertingStmt is one whose base converts arguments column by column: a stmt
// that said so without being able to would not have them checked at all.
type convertingStmt struct {
	*stmt
	driver.ColumnConverter
}

func newStmt(c *conn, base driver.Stmt, query string) driver.Stmt {
	s := &stmt{c, base, query}
	if converter, ok := base.(driver.ColumnConverter); ok {
		return convertingStmt{s, converter}
	}
	return s
}

func (s *stmt) Close() error  { return s.base.Close() }
func (s *stmt) NumInput() int { return s.base.NumInput() }

func (s *stmt) CheckNamedValue(value *driver.NamedValue) error {
	if checker, ok := s.base.(driver.NamedValueChecker); ok {
		return checker.CheckNamedValue(value)
	}
	return s.conn.CheckNamedValue(value)
}

func (s *stmt) ExecContext(ctx context.Context, args []driver.NamedValue) (result driver.Result, err error) {
	run := plainly(args, s.base.Exec) //nolint:staticcheck // drivers still have it
	if with, ok := s.base.(driver.StmtExecContext); ok {
		run = func(ctx context.Context) (driver.Result, error) { return with.ExecContext(ctx, args) }
	}
	err = s.conn.do(ctx, Operation{Kind: Exec, Query: s.query}, func(ctx context.Context) (err error) {
		result, err = run(ctx)
		return err
	})
	return result, err
}

func (s *stmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	run := plainly(args, s.base.Query) //nolint:staticcheck // drivers still have it
	if with, ok := s.base.(driver.StmtQueryContext); ok {
		run = func(ctx context.Context) (driver.Rows, error) { return with.QueryContext(ctx, args) }
	}
	return s.conn.query(ctx, s.query, run)
}

// Exec and Query are what driver.Stmt asks for; database/sql calls those with a
// context.

func (s *stmt) Exec(args []driver.Value) (driver.Result, error) {
	return s.ExecContext(context.Background(), named(args))
}

func (s *stmt) Query(args []driver.Value) (driver.Rows, error) {
	return s.QueryContext(context.Background(), named(args))
}

func named(args []driver.Value) []driver.NamedValue {
	named := make([]driver.NamedValue, len(args))
	for i, arg := range args {
		named[i] = driver.NamedValue{Ordinal: i + 1, Value: arg}
	}
	return named
}
