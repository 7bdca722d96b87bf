package sql

import (
	"context"
	"database/sql/driver"
	"io"
	"reflect"
)

// query runs a query whose call lasts as long as its rows.
func (c *call) query(run func(context.Context) (driver.Rows, error)) (driver.Rows, error) {
	returned := false
	defer func() {
		if !returned {
			c.unlessEnded()
		}
	}()
	base, err := run(c.ctx)
	returned = true
	if err != nil {
		c.end(err)
		return nil, err
	}
	return &rows{base: base, caller: c.caller, end: c.end}, nil
}

// rows are a driver's rows; database/sql closes them at their end, at an error,
// and when the caller's context ends. Like conn, they can do all that there
// is, with database/sql's own answer where base cannot.
type rows struct {
	base   driver.Rows
	caller context.Context
	end    func(error)
	err    error // the first one
	read   bool  // to the end
}

func (r *rows) Columns() []string { return r.base.Columns() }

func (r *rows) Next(into []driver.Value) error { return r.see(r.base.Next(into)) }

func (r *rows) see(err error) error {
	if r.read = err == io.EOF; !r.read && r.err == nil {
		r.err = err
	}
	return err
}

// Close ends the call. Rows that nobody has read to the end were closed because
// the caller left, if it has.
func (r *rows) Close() error {
	if !r.read && r.err == nil {
		r.err = r.caller.Err()
	}
	defer func() { r.end(r.err) }()
	err := r.base.Close()
	if r.err == nil {
		r.err = err
	}
	return err
}

func (r *rows) HasNextResultSet() bool {
	more, ok := r.base.(driver.RowsNextResultSet)
	return ok && more.HasNextResultSet()
}

func (r *rows) NextResultSet() error {
	if more, ok := r.base.(driver.RowsNextResultSet); ok {
		return r.see(more.NextResultSet())
	}
	return io.EOF
}

func (r *rows) ColumnTypeScanType(index int) reflect.Type {
	if typed, ok := r.base.(driver.RowsColumnTypeScanType); ok {
		return typed.ColumnTypeScanType(index)
	}
	return reflect.TypeFor[any]()
}

func (r *rows) ColumnTypeDatabaseTypeName(index int) string {
	if typed, ok := r.base.(driver.RowsColumnTypeDatabaseTypeName); ok {
		return typed.ColumnTypeDatabaseTypeName(index)
	}
	return ""
}

func (r *rows) ColumnTypeLength(index int) (length int64, ok bool) {
	if typed, can := r.base.(driver.RowsColumnTypeLength); can {
		return typed.ColumnTypeLength(index)
	}
	return 0, false
}

func (r *rows) ColumnTypeNullable(index int) (nullable, ok bool) {
	if typed, can := r.base.(driver.RowsColumnTypeNullable); can {
		return typed.ColumnTypeNullable(index)
	}
	return false, false
}

func (r *rows) ColumnTypePrecisionScale(index int) (precision, scale int64, ok bool) {
	if typed, can := r.base.(driver.RowsColumnTypePrecisionScale); can {
		return typed.ColumnTypePrecisionScale(index)
	}
	return 0, 0, false
}
