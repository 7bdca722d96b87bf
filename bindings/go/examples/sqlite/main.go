// Sqlite is a database/sql program whose database stands behind a guard:
//
//	go run .
//
// It makes a table, adds to it in a transaction, reads it back, and asks once
// more than its rules allow.
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log"

	_ "modernc.org/sqlite"

	"github.com/tidegate/tidegate/bindings/go"
	tgsql "github.com/tidegate/tidegate/bindings/go/sql"
)

// Connecting, the table, the transaction and the query are four calls.
const rules = `{
  "version": 1,
  "guards": {
    "orders.db": {
      "concurrency": {"max": 1},
      "rate":        [{"limit": 1, "per": "1h", "burst": 4}],
      "timeout":     "5s"
    }
  }
}`

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	gate, err := tidegate.Open()
	if err != nil {
		return err
	}
	defer gate.Close()
	if err := gate.ApplyRules([]byte(rules)); errors.Is(err, tidegate.ErrUnavailable) {
		log.Print(err) // no library on this system: calls pass unguarded
	} else if err != nil {
		return err
	}
	guard, err := gate.Guard("orders.db")
	if err != nil {
		return err
	}
	db, err := tgsql.Open(guard, "sqlite", ":memory:")
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(1) // a database in memory is its connection's
	return use(ctx, db)
}

func use(ctx context.Context, db *sql.DB) error {
	if _, err := db.ExecContext(ctx, "CREATE TABLE orders (item TEXT UNIQUE, count INT)"); err != nil {
		return err
	}
	if err := add(ctx, db); err != nil {
		return err
	}
	if err := list(ctx, db); err != nil {
		return err
	}
	_, err := db.ExecContext(ctx, "DELETE FROM orders")
	var refused *tidegate.RefusedError
	if errors.As(err, &refused) {
		fmt.Println("delete was refused by", refused.Stage)
		return nil
	}
	return err
}

func add(ctx context.Context, db *sql.DB) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	for count, item := range []string{"rope", "anchor"} {
		if _, err := tx.ExecContext(ctx, "INSERT INTO orders VALUES (?, ?)", item, count+1); err != nil {
			return err
		}
	}
	return tx.Commit()
}

func list(ctx context.Context, db *sql.DB) error {
	rows, err := db.QueryContext(ctx, "SELECT item, count FROM orders ORDER BY item")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var item string
		var count int
		if err := rows.Scan(&item, &count); err != nil {
			return err
		}
		fmt.Println(count, item)
	}
	return rows.Err()
}
