package sql

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"io"

	"github.com/tidegate/tidegate/bindings/go"
)

// Open is sql.Open with a guard before the driver.
func Open(guard *tidegate.Guard, driverName, dataSourceName string, options ...Options) (*sql.DB, error) {
	plain, err := sql.Open(driverName, dataSourceName) // connects to nothing yet
	if err != nil {
		return nil, err
	}
	base := plain.Driver()
	if err := plain.Close(); err != nil {
		return nil, err
	}
	connector, err := connectorOf(base, dataSourceName)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(NewConnector(connector, guard, options...)), nil
}

func connectorOf(base driver.Driver, dataSourceName string) (driver.Connector, error) {
	if with, ok := base.(driver.DriverContext); ok {
		return with.OpenConnector(dataSourceName)
	}
	return byName{base, dataSourceName}, nil
}

// byName is the connector of a driver that has none.
type byName struct {
	base           driver.Driver
	dataSourceName string
}

func (b byName) Connect(context.Context) (driver.Conn, error) { return b.base.Open(b.dataSourceName) }
func (b byName) Driver() driver.Driver                        { return b.base }

// NewConnector guards what is done over the connections of base: see the
// package's doc. It may be used by any number of goroutines, as base may.
func NewConnector(base driver.Connector, guard *tidegate.Guard, options ...Options) driver.Connector {
	var o Options
	if len(options) > 0 {
		o = options[0]
	}
	return &connector{&guarded{guard, o.withDefaults()}, base}
}

type connector struct {
	guarded *guarded
	base    driver.Connector
}

func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	var opened driver.Conn
	err := c.guarded.do(ctx, Operation{Kind: Connect}, nil, func(ctx context.Context) (err error) {
		opened, err = c.base.Connect(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &conn{guarded: c.guarded, base: opened}, nil
}

func (c *connector) Driver() driver.Driver { return c.base.Driver() }

// Close is for sql.DB's Close.
func (c *connector) Close() error {
	if closer, ok := c.base.(io.Closer); ok {
		return closer.Close()
	}
	return nil
}

// Base gives the driver's own connection for the one that sql.Conn.Raw shows,
// and anything else as it is.
func Base(driverConn any) any {
	if c, ok := driverConn.(*conn); ok {
		return c.base
	}
	return driverConn
}
