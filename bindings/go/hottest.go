package tidegate

// HotKey is one of the keys that call most at a rate limit by key.
type HotKey struct {
	// Name is the key's first 48 bytes.
	Name []byte
	// Count is about how often it has called, refused calls included.
	Count uint64
	// Error is by how much Count may be too large, apart from the chance of
	// sampling: of admitted calls one in sixteen is looked at.
	Error uint64
}

// HottestKeys are the keys that call most at one of the guard's rate limits,
// numbered from 0 as the rules list them, the loudest first. The answer is
// [ErrNotFound] where that limit has no key.
func (g *Guard) HottestKeys(rate int) ([]HotKey, error) {
	if rate < 0 {
		return nil, check("hottest keys", ErrNotFound)
	}
	keys, status := libGuardHottest(g.handle, uint32(min(rate, 1<<30)))
	return keys, check("hottest keys", status)
}
