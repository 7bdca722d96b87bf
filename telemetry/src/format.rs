//! The formats.

use crate::accept;

/// A text format of metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Format {
    /// Prometheus' text format, version 0.0.4.
    #[default]
    PrometheusText,
    /// OpenMetrics text, version 1.0.0.
    OpenMetrics,
}

impl Format {
    /// The HTTP Content-Type of a page in this format.
    pub fn content_type(self) -> &'static str {
        match self {
            Format::PrometheusText => "text/plain; version=0.0.4; charset=utf-8",
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// The format that an HTTP `Accept` header asks for, by its q-values (RFC 9110, section 12.5.1).
    ///
    /// OpenMetrics is answered only when `application/openmetrics-text` is named, with version 1.0.0 or without a
    /// version, at a q no lower than the text's. A wildcard does not name it, and neither does version 0.0.1: a
    /// scraper that knows only that one gets the text, which every scraper reads, rather than a version that it
    /// did not ask for. An empty header, one that nothing here satisfies, and one that makes no sense: the text.
    /// Media ranges with a malformed q are passed over.
    pub fn negotiate(accept: &str) -> Format {
        accept::negotiate(accept)
    }
}
