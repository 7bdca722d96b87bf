package tidegate

// Waiting is how many callers wait for the key's call.
func Waiting[K comparable, V any](c *Collapse[K, V], key K) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f := c.flights[key]; f != nil {
		return f.waiting
	}
	return 0
}

// Sampling says whether a goroutine samples the load for the runtime.
func Sampling(rt *Runtime) bool { return rt.closing.sampling.Load() }
