//! Metrics out.

use crate::arguments::{text, tg_str};
use crate::runtime::{tg_runtime, with};
use crate::status::{tg_error, tg_status};
use crate::text::{hand_out, place, tg_text};
use tidegate_telemetry::{Format, render};

/// Renders all metrics in the format that an HTTP Accept header asks for: OpenMetrics 1.0, or Prometheus text 0.0.4 (also
/// when accept is empty). *out is to be freed by tg_text_free; tg_text_content_type gives the Content-Type. COLD: writers
/// are not stopped.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tg_metrics_render(
    runtime: *const tg_runtime,
    accept: tg_str,
    out: *mut *mut tg_text,
    error: *mut tg_error,
) -> tg_status {
    // SAFETY: NULL or a handle; NULL or readable; NULL or writable.
    unsafe {
        with(runtime, error, |handle, runtime| {
            let to = place(out)?;
            let format = Format::negotiate(text("accept", accept)?);
            let rendered = render(&runtime.snapshot()?, &handle.hosts.figures(), format);
            hand_out(to, rendered, format.content_type());
            Ok(())
        })
    }
}
