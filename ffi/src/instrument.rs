//! Instruments: counters, gauges, histograms, each handle bound to one label set.

use crate::arguments::{invalid, is_usable, out, reserved, sized, text, tg_str};
use crate::boundary::{cold, hot, status_of};
use crate::runtime::{tg_runtime, with};
use crate::status::{TG_INVALID, tg_error, tg_status};
use std::ptr::{null, null_mut};
use tidegate_core::metrics::instrument::{Counter, Description, Gauge, Histogram};
use tidegate_core::metrics::name::MAX_LABELS;
use tidegate_core::{Error, ErrorKind, Runtime};

/// A counter: goes up only.
pub struct tg_counter {
    _opaque: [u8; 0],
}

impl Handle for tg_counter {
    type Of = Counter;
}
/// A gauge: goes up and down.
pub struct tg_gauge {
    _opaque: [u8; 0],
}

impl Handle for tg_gauge {
    type Of = Gauge;
}
/// A histogram of values that are not negative: exponential buckets, read back to within 2.2 %.
pub struct tg_histogram {
    _opaque: [u8; 0],
}

impl Handle for tg_histogram {
    type Of = Histogram;
}

/// A handle as C sees it, and what is behind it.
trait Handle {
    type Of: 'static;
}

/// One label of a series.
#[repr(C)]
pub struct tg_label {
    /// [a-zA-Z_][a-zA-Z0-9_]*, not beginning with __, not "le" or "quantile".
    pub name: tg_str,
    /// At most 1024 bytes of UTF-8.
    pub value: tg_str,
}

/// What an instrument is. Set by TG_INSTRUMENT_INIT.
#[repr(C)]
pub struct tg_instrument {
    /// sizeof(tg_instrument).
    pub struct_size: u32,
    /// How many labels: at most 32.
    pub label_count: u32,
    /// [a-zA-Z_:][a-zA-Z0-9_:]*, at most 128 bytes, not beginning with tidegate_. A counter's may end in _total or not.
    pub name: tg_str,
    /// One sentence for people; the first that is given stays.
    pub help: tg_str,
    /// As in OpenMetrics ("seconds", "bytes"), or empty.
    pub unit: tg_str,
    /// The labels of this series.
    pub labels: *const tg_label,
    /// Zeros.
    pub reserved: [u8; 32],
}

/// Finds or makes a series and hands its handle out.
///
/// # Safety
/// The caller's pointers.
unsafe fn resolve<H: Handle>(
    runtime: *const tg_runtime,
    instrument: *const tg_instrument,
    to: *mut *const H,
    error: *mut tg_error,
    find: impl FnOnce(&Runtime, &Description<'_>) -> Result<&'static H::Of, Error>,
) -> tg_status {
    // SAFETY: by contract.
    unsafe {
        if let Ok(to) = out("out", to) {
            *to = null();
        }
        with(runtime, error, |_, runtime| {
            let to = out("out", to)?;
            let from = sized("instrument", instrument)?;
            reserved("instrument", &from.reserved)?;
            let labels = labels(from)?;
            let (name, help, unit) = (text("name", from.name)?, text("help", from.help)?, text("unit", from.unit)?);
            *to = std::ptr::from_ref(find(runtime, &Description { name, help, unit, labels: &labels })?).cast();
            Ok(())
        })
    }
}

/// # Safety
/// The labels are readable.
unsafe fn labels(from: &tg_instrument) -> Result<Vec<(&str, &str)>, Error> {
    let count = from.label_count as usize;
    if count > MAX_LABELS || (count > 0 && !is_usable(from.labels)) {
        return Err(invalid(format!("instrument.labels: NULL, misaligned, or more than {MAX_LABELS}")));
    }
    let read = |index| {
        // SAFETY: by contract.
        unsafe {
            let label = &*from.labels.add(index);
            Ok((text("label name", label.name)?, text("label value", label.value)?))
        }
    };
    (0..count).map(read).collect()
}

/// # Safety
/// NULL, or a handle of its kind.
#[inline(always)]
unsafe fn handle<H: Handle>(pointer: *const H) -> Option<&'static H::Of> {
    let pointer = pointer.cast::<H::Of>();
    // SAFETY: by contract; handles are never unmapped.
    if is_usable(pointer) { Some(unsafe { &*pointer }) } else { None }
}

/// # Safety
/// As [`handle`].
#[inline(always)]
unsafe fn change<H: Handle>(
    pointer: *const H,
    step: impl FnOnce(&'static H::Of) -> Result<(), ErrorKind>,
) -> tg_status {
    hot(|| {
        // SAFETY: by contract.
        match unsafe { handle(pointer) } {
            Some(handle) => status_of(step(handle)),
            None => TG_INVALID,
        }
    })
}

/// # Safety
/// As [`handle`]; `to` is NULL or writable.
unsafe fn read<H: Handle, V>(pointer: *const H, to: *mut V, get: impl FnOnce(&H::Of) -> Result<V, Error>) -> tg_status {
    // SAFETY: by contract.
    unsafe {
        cold(null_mut(), || {
            let handle = handle(pointer).ok_or_else(|| invalid("handle: NULL or misaligned"))?;
            *out("out", to)? = get(handle)?;
            Ok(())
        })
    }
}

/// # Safety
/// As [`handle`].
unsafe fn retire<H: Handle>(pointer: *const H, step: impl FnOnce(&H::Of) -> Result<(), Error>) -> tg_status {
    // SAFETY: by contract.
    unsafe { cold(null_mut(), || step(handle(pointer).ok_or_else(|| invalid("handle: NULL or misaligned"))?)) }
}

/// Finds or makes a counter's series. Once per label set; the handle is never unmapped. A metric has at most 2000 series:
/// label sets beyond share the one labelled otel_metric_overflow="true". COLD.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_counter_resolve(
    runtime: *const tg_runtime,
    instrument: *const tg_instrument,
    out: *mut *const tg_counter,
    error: *mut tg_error,
) -> tg_status {
    // SAFETY: the caller's pointers.
    unsafe { resolve(runtime, instrument, out, error, |runtime, what| runtime.counter(what)) }
}

/// Adds n. HOT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_counter_add(counter: *const tg_counter, n: u64) -> tg_status {
    // SAFETY: NULL or a handle.
    unsafe { change(counter, |counter| counter.add(n)) }
}

/// The sum over all threads. COLD.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_counter_value(counter: *const tg_counter, out: *mut u64) -> tg_status {
    // SAFETY: NULL or a handle; NULL or writable.
    unsafe { read(counter, out, Counter::value) }
}

/// Takes the series out; its room is used again and its handle answers TG_CLOSED. COLD.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_counter_retire(counter: *const tg_counter) -> tg_status {
    // SAFETY: NULL or a handle.
    unsafe { retire(counter, Counter::retire) }
}

/// Finds or makes a gauge's series, as tg_counter_resolve does. COLD.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_gauge_resolve(
    runtime: *const tg_runtime,
    instrument: *const tg_instrument,
    out: *mut *const tg_gauge,
    error: *mut tg_error,
) -> tg_status {
    // SAFETY: the caller's pointers.
    unsafe { resolve(runtime, instrument, out, error, |runtime, what| runtime.gauge(what)) }
}

/// Sets the value. HOT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_gauge_set(gauge: *const tg_gauge, value: f64) -> tg_status {
    // SAFETY: NULL or a handle.
    unsafe { change(gauge, |gauge| gauge.set(value)) }
}

/// Adds to the value. HOT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_gauge_add(gauge: *const tg_gauge, delta: f64) -> tg_status {
    // SAFETY: NULL or a handle.
    unsafe { change(gauge, |gauge| gauge.add(delta)) }
}

/// The value. COLD.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_gauge_value(gauge: *const tg_gauge, out: *mut f64) -> tg_status {
    // SAFETY: NULL or a handle; NULL or writable.
    unsafe { read(gauge, out, Gauge::value) }
}

/// Takes the series out, as tg_counter_retire does. COLD.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_gauge_retire(gauge: *const tg_gauge) -> tg_status {
    // SAFETY: NULL or a handle.
    unsafe { retire(gauge, Gauge::retire) }
}

/// Finds or makes a histogram's series, as tg_counter_resolve does. COLD.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_histogram_resolve(
    runtime: *const tg_runtime,
    instrument: *const tg_instrument,
    out: *mut *const tg_histogram,
    error: *mut tg_error,
) -> tg_status {
    // SAFETY: the caller's pointers.
    unsafe { resolve(runtime, instrument, out, error, |runtime, what| runtime.histogram(what)) }
}

/// Records a value: TG_INVALID when it is negative, infinite or not a number. HOT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_histogram_record(histogram: *const tg_histogram, value: f64) -> tg_status {
    // SAFETY: NULL or a handle.
    unsafe { change(histogram, |histogram| histogram.record(value)) }
}

/// The value below which a share q (0 to 1) of the values lies, off by at most 2.2 %; not a number when nothing was
/// recorded. COLD.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_histogram_quantile(histogram: *const tg_histogram, q: f64, out: *mut f64) -> tg_status {
    // SAFETY: NULL or a handle; NULL or writable.
    unsafe {
        read(histogram, out, |histogram| {
            if !(0.0..=1.0).contains(&q) {
                return Err(invalid(format!("q: {q} is not from 0 to 1")));
            }
            Ok(histogram.values()?.quantile(q).unwrap_or(f64::NAN))
        })
    }
}

/// Takes the series out, as tg_counter_retire does. COLD.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_histogram_retire(histogram: *const tg_histogram) -> tg_status {
    // SAFETY: NULL or a handle.
    unsafe { retire(histogram, Histogram::retire) }
}
