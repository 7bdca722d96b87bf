//go:build cgo && linux && !tidegate_passthrough

package tidegate

// A breaker changes amid enter and exit, whose shims may not call Go: their
// entries lie on goroutines' stacks, which move. So C keeps what is to be heard in a
// list and wakes a goroutine.

/*
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <tidegate.h>

// What a watch has to hear: a change, or that it has ended.
typedef struct tgo_news {
	struct tgo_news *next;
	uintptr_t handle;
	uint32_t from, to, reason, ended;
	uint64_t generation;
} tgo_news;

// A handle, and the news of its end, for which there has to be room then.
typedef struct tgo_watch {
	uintptr_t handle;
	tgo_news *end;
} tgo_watch;

// The last one first.
static tgo_news *tgo_heap;
static int tgo_bell = -1;

static void tgo_push(tgo_news *news) {
	news->next = __atomic_load_n(&tgo_heap, __ATOMIC_RELAXED);
	while (!__atomic_compare_exchange_n(&tgo_heap, &news->next, news, 1, __ATOMIC_RELEASE, __ATOMIC_RELAXED)) {}
	uint64_t one = 1;
	ssize_t rung = write(tgo_bell, &one, sizeof one); // full: it rings already
	(void)rung;
}

static void tgo_breaker_changed(void *ctx, const tg_breaker_change *change) {
	tgo_news *news = malloc(sizeof *news);
	if (news == NULL) return;
	*news = (tgo_news){ NULL, ((tgo_watch *)ctx)->handle, change->from, change->to, change->reason, 0, change->generation };
	tgo_push(news);
}

static void tgo_free(void *ctx) {
	tgo_watch *watch = ctx;
	tgo_push(watch->end);
	free(watch);
}

// All news, the first one first.
static tgo_news *tgo_take_news(void) {
	tgo_news *last = __atomic_exchange_n(&tgo_heap, NULL, __ATOMIC_ACQUIRE), *first = NULL;
	while (last != NULL) {
		tgo_news *next = last->next;
		last->next = first, first = last, last = next;
	}
	return first;
}

static tgo_news *tgo_next(tgo_news *news) {
	tgo_news *next = news->next;
	free(news);
	return next;
}

static int tgo_hang_bell(void) { return tgo_bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }

static tg_status tgo_guard_set_breaker(uintptr_t guard, uint32_t state) {
	return tg_guard_set_breaker((const tg_guard *)guard, state);
}

static tg_status tgo_watch_breaker(uintptr_t guard, uintptr_t handle, uint64_t *id) {
	tgo_watch *watch = malloc(sizeof *watch);
	tgo_news *end = calloc(1, sizeof *end);
	if (watch == NULL || end == NULL) abort();
	end->handle = handle, end->ended = 1;
	*watch = (tgo_watch){ handle, end };
	return tg_guard_watch_breaker((const tg_guard *)guard, tgo_breaker_changed, watch, tgo_free, id);
}

static tg_status tgo_unwatch_breaker(uintptr_t guard, uint64_t watch) {
	return tg_guard_unwatch_breaker((const tg_guard *)guard, watch);
}
*/
import "C"

import (
	"os"
	"runtime/cgo"
	"sync"
)

func libGuardSetBreaker(guard uintptr, state uint32) Status {
	return Status(C.tgo_guard_set_breaker(C.uintptr_t(guard), C.uint32_t(state)))
}

// hearing counts the watches that have not ended. As long as there are some, a
// goroutine listens.
var hearing struct {
	sync.Mutex
	watches int
	bell    *os.File
}

func libWatchBreaker(guard uintptr, hear func(BreakerChange)) (uint64, error) {
	if err := beginHearing(); err != nil {
		return 0, err
	}
	var watch C.uint64_t
	// Also where this fails, its end is told.
	status := C.tgo_watch_breaker(C.uintptr_t(guard), C.uintptr_t(cgo.NewHandle(hear)), &watch)
	return uint64(watch), check("watch breaker", Status(status))
}

func libUnwatchBreaker(guard uintptr, watch uint64) {
	C.tgo_unwatch_breaker(C.uintptr_t(guard), C.uint64_t(watch))
}

func beginHearing() error {
	hearing.Lock()
	defer hearing.Unlock()
	if hearing.bell == nil {
		fd := C.tgo_hang_bell()
		if fd < 0 {
			return check("watch breaker", ErrSystem)
		}
		hearing.bell = os.NewFile(uintptr(fd), "changes of breakers")
	}
	if hearing.watches++; hearing.watches == 1 {
		go listen(hearing.bell)
	}
	return nil
}

// listen ends with the last watch.
func listen(bell *os.File) {
	var rings [8]byte
	for {
		if _, err := bell.Read(rings[:]); err != nil {
			return
		}
		ended := 0
		for news := C.tgo_take_news(); news != nil; news = C.tgo_next(news) {
			ended += tell(news)
		}
		hearing.Lock()
		hearing.watches -= ended
		last := ended > 0 && hearing.watches == 0
		hearing.Unlock()
		if last {
			return
		}
	}
}

// tell counts the watches that have ended.
func tell(news *C.tgo_news) (ended int) {
	handle := cgo.Handle(news.handle)
	if news.ended != 0 {
		handle.Delete()
		return 1
	}
	handle.Value().(func(BreakerChange))(BreakerChange{
		From: BreakerState(news.from), To: BreakerState(news.to),
		Reason: BreakerReason(news.reason), Generation: uint64(news.generation),
	})
	return 0
}
