package rate

import (
	"context"
	"testing"
)

func BenchmarkAllow(b *testing.B) {
	lim := NewLimiter(1e9, 1e9)
	for b.Loop() {
		lim.Allow()
	}
}

func BenchmarkAllowParallel(b *testing.B) {
	lim := NewLimiter(1e9, 1e9)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			lim.Allow()
		}
	})
}

func BenchmarkSharedAllow(b *testing.B) {
	lim := Shared("BenchmarkSharedAllow", 1e9, 1e9)
	for b.Loop() {
		lim.Allow()
	}
}

func BenchmarkWait(b *testing.B) {
	lim, ctx := NewLimiter(1e9, 1e9), context.Background()
	for b.Loop() {
		_ = lim.Wait(ctx)
	}
}

func BenchmarkReserveCancel(b *testing.B) {
	lim := NewLimiter(1e9, 1e9)
	for b.Loop() {
		lim.Reserve().Cancel()
	}
}
