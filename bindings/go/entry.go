package tidegate

// entry is what one C call in and one C call out work on. Its layout is that
// of tgo_entry in cgo_guard.go, which asserts that both have one size.
type entry struct {
	guard    uintptr    // in: the guard
	runtime  uintptr    // in: the guard's runtime
	wait     uint64     // out: ns to wait before the call starts
	deadline uint64     // out: on the runtime's clock; 0: none
	caller   uint64     // out: the context's deadline on the runtime's clock; 0: none
	now      uint64     // out, with a deadline: the runtime's clock
	retry    uint64     // out, refused: ns; all ones: never
	stage    int32      // out, refused
	reason   uint32     // out, refused
	status   Status     // out
	outcome  Outcome    // in, for an exit
	permit   [16]uint64 // tg_permit
}

const maxAttributes = 16

// callSpec is a tg_call without pointers: key and attribute values stand one
// after the other in a separate run of bytes. Its layout is that of tgo_call.
type callSpec struct {
	cost        uint64
	timeout     uint64 // ns from now on the runtime's clock; 0: none
	deadline    uint64 // on the runtime's clock; 0: none
	context     uint64 // ns that the caller's context has left; 0: no deadline
	criticality uint32
	keyLen      uint32
	attributes  uint32
	level       uint32 // and 1; 0: none is said
	ids         [maxAttributes]uint32
	lens        [maxAttributes]uint32
}

// collect puts the options into the spec and returns its bytes, appended to
// buf.
func (rt *Runtime) collect(spec *callSpec, buf []byte, opts []CallOption) []byte {
	buf = append(buf, spec.scalars(opts)...)
	spec.keyLen = uint32(len(buf))
	for i := range opts {
		if opts[i].kind == callAttribute && rt.tell(spec, &opts[i]) {
			buf = append(buf, opts[i].text...)
		}
	}
	return buf
}

// tell adds an attribute to the spec. One that cannot be told is a fault of
// its own, for the call is better guarded without it than not at all; a library
// without policies has no use for any.
func (rt *Runtime) tell(spec *callSpec, option *CallOption) bool {
	if spec.attributes == maxAttributes {
		rt.fault(ErrInvalid)
		return false
	}
	id, status := rt.attribute(option.name)
	if status != statusOK {
		if status != ErrUnsupported {
			rt.fault(status)
		}
		return false
	}
	spec.ids[spec.attributes] = id
	spec.lens[spec.attributes] = uint32(len(option.text))
	spec.attributes++
	return true
}

// scalars takes what is a number, and returns the key.
func (spec *callSpec) scalars(opts []CallOption) (key string) {
	for i := range opts {
		switch opts[i].kind {
		case callCost:
			spec.cost = opts[i].number
		case callCriticality:
			spec.criticality, spec.level = uint32(opts[i].number), uint32(opts[i].number>>32)
		case callTimeLimit:
			spec.timeout = opts[i].number
		case callKey:
			key = opts[i].text
		}
	}
	return key
}

// attributeID is what a name was resolved to.
type attributeID struct {
	id     uint32
	status Status
}

// attribute resolves a name once; later calls find it without a C call.
func (rt *Runtime) attribute(name string) (uint32, Status) {
	if known, ok := rt.attributes.load(name); ok {
		return known.id, known.status
	}
	var found attributeID
	found.status = rt.use(func(handle uintptr) (s Status) {
		found.id, s = libAttributeResolve(handle, name)
		return s
	})
	if found.status == statusOK || found.status == ErrUnsupported {
		rt.attributes.store(name, found)
	}
	return found.id, found.status
}
