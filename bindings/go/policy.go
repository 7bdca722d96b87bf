package tidegate

import "time"

// PolicyOptions say how a policy is run. The zero value is right for most.
type PolicyOptions struct {
	Config      []byte        // JSON for the policy's own initialisation; may be empty
	Deadline    time.Duration // of one decision; 0: 1 ms
	MemoryBytes uint64        // the most that one instance may take; 0: 16 MiB
}

// LoadPolicy checks, compiles and initialises a WASM module and publishes it
// under name, for the guards whose rules name it. Calls in flight stay with
// the module that they began with. A name loaded before is swapped; after an
// error it runs on as before.
//
// Errors match [ErrPolicyRejected] for a module that is not acceptable, and
// [ErrUnsupported] where the library has no WASM host ([HasPolicies]).
func (rt *Runtime) LoadPolicy(name string, wasm []byte, options PolicyOptions) error {
	return rt.attempt("load policy", func(handle uintptr) error {
		return libPolicyLoad(handle, name, wasm, options)
	})
}

// CheckPolicy does what LoadPolicy does, without publishing.
func (rt *Runtime) CheckPolicy(wasm []byte, options PolicyOptions) error {
	return rt.attempt("check policy", func(handle uintptr) error {
		return libPolicyCheck(handle, wasm, options)
	})
}

// RollbackPolicy goes back to what ran under the name before; [ErrNotFound]
// where there is nothing to go back to.
func (rt *Runtime) RollbackPolicy(name string) error {
	return rt.attempt("roll back policy", func(handle uintptr) error {
		return libPolicyRollback(handle, name)
	})
}

// UnloadPolicy takes a policy away. Guards bound to it give the answer that
// their rules hold ready for a policy that fails.
func (rt *Runtime) UnloadPolicy(name string) error {
	return check("unload policy", rt.use(func(handle uintptr) Status {
		return libPolicyUnload(handle, name)
	}))
}

// PolicyGeneration counts what was published under the name: 1, 2, 3...
func (rt *Runtime) PolicyGeneration(name string) (generation uint64, err error) {
	err = check("policy generation", rt.use(func(handle uintptr) (s Status) {
		generation, s = libPolicyGeneration(handle, name)
		return s
	}))
	return generation, err
}
