package rate

import (
	"sync"

	tidegate "github.com/tidegate/tidegate/bindings/go"
	"github.com/tidegate/tidegate/bindings/go/internal/bucket"
)

// Segment is the name of the runtime that [Shared] opens: a program in another language
// that opens a runtime of this name in the same process has the same limiters.
const Segment = "tidegate.rate"

// Shared gives the limiter of a name, which all who ask for it share: in this process,
// and in the children that it forks, whatever language they are in. The first who asks decides
// on limit and burst. Without the library, or without room for it, the limiter is
// shared within this process.
func Shared(name string, r Limit, b int) *Limiter {
	if rt := defaultRuntime(); rt != nil {
		if lim, err := SharedOn(rt, name, r, b); err == nil {
			return lim
		}
	}
	return inProcess.get(name, r, b)
}

// SharedOn gives the limiter of a name on a runtime's segment. Errors match
// [tidegate.ErrInvalid] for a name that is none, [tidegate.ErrFull], [tidegate.ErrClosed]. In
// a build without the library it is shared within this process. Once the runtime is closed, or
// the limiter retired, all events pass.
func SharedOn(rt *tidegate.Runtime, name string, r Limit, b int) (*Limiter, error) {
	if rt.PassThrough() {
		return inProcess.get(name, r, b), nil
	}
	place, err := bucket.Resolve(rt, name, float64(r), b)
	if err != nil {
		return nil, err
	}
	lim := &Limiter{}
	lim.b.Share(place)
	lim.anchor()
	return lim, nil
}

// defaultRuntime is opened once; nil where that cannot be.
var defaultRuntime = sync.OnceValue(func() *tidegate.Runtime {
	rt, err := tidegate.Open(tidegate.WithName(Segment))
	if err != nil {
		return nil
	}
	return rt
})

// registry holds limiters that are shared within the process.
type registry struct {
	mu     sync.Mutex
	byName map[string]*Limiter
}

var inProcess registry

func (g *registry) get(name string, r Limit, b int) *Limiter {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.byName == nil {
		g.byName = map[string]*Limiter{}
	}
	lim, ok := g.byName[name]
	if !ok {
		lim = NewLimiter(r, b)
		g.byName[name] = lim
	}
	return lim
}
