//! Content negotiation: which format an `Accept` header asks for.
//!
//! Source: RFC 9110, sections 5.6.6 (parameters), 12.4.2 (quality values) and 12.5.1 (Accept).

use crate::Format;

/// One media range of the header.
struct Range<'a> {
    kind: &'a str,
    subtype: &'a str,
    version: Option<&'a str>,
    /// In thousandths.
    quality: u16,
}

/// How much a format is wanted: by the most exact range that names it, then by that one's quality.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Wanted {
    exactness: u8,
    quality: u16,
}

pub fn negotiate(accept: &str) -> Format {
    let (mut text, mut open) = (Wanted::default(), Wanted::default());
    for range in split(accept, b',').filter_map(Range::parse) {
        text = text.max(range.wants(range.text()));
        open = open.max(range.wants(range.open_metrics()));
    }
    if open.quality > 0 && open.quality >= text.quality { Format::OpenMetrics } else { Format::PrometheusText }
}

impl<'a> Range<'a> {
    fn parse(range: &'a str) -> Option<Self> {
        let mut parts = split(range, b';');
        let (kind, subtype) = parts.next()?.split_once('/')?;
        let mut range = Range { kind: kind.trim(), subtype: subtype.trim(), version: None, quality: 1000 };
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            let (name, value) = (name.trim(), value.trim());
            if name.eq_ignore_ascii_case("q") {
                range.quality = thousandths(value)?;
            } else if name.eq_ignore_ascii_case("version") {
                range.version = Some(value.trim_matches('"'));
            }
        }
        Some(range)
    }

    fn is(&self, kind: &str, subtype: &str) -> bool {
        self.kind.eq_ignore_ascii_case(kind) && self.subtype.eq_ignore_ascii_case(subtype)
    }

    /// How exactly it names Prometheus' text; 0: not at all.
    fn text(&self) -> u8 {
        match self.version {
            Some("0.0.4") if self.is("text", "plain") => 4,
            Some(_) => 0,
            None if self.is("text", "plain") => 3,
            None if self.is("text", "*") => 2,
            None => u8::from(self.is("*", "*")),
        }
    }

    /// How exactly it names OpenMetrics; 0: not at all.
    fn open_metrics(&self) -> u8 {
        match self.version {
            _ if !self.is("application", "openmetrics-text") => 0,
            Some("1.0.0") => 2,
            Some(_) => 0,
            None => 1,
        }
    }

    fn wants(&self, exactness: u8) -> Wanted {
        if exactness == 0 { Wanted::default() } else { Wanted { exactness, quality: self.quality } }
    }
}

/// A quality value: 0 to 1 with at most three decimals.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    if decimals.len() > 3 || !decimals.bytes().all(|c| c.is_ascii_digit()) {
        return None;
    }
    let part = decimals.bytes().zip([100, 10, 1]).map(|(c, weight)| u16::from(c - b'0') * weight).sum();
    match whole {
        "0" => Some(part),
        "1" if part == 0 => Some(1000),
        _ => None,
    }
}

/// The parts between separators that do not stand in quotes.
fn split(text: &str, separator: u8) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |c: char| {
        let ends = !quoted && c == char::from(separator);
        quoted ^= c == '"' && !escaped;
        escaped = quoted && c == '\\' && !escaped;
        ends
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use Format::*;
    use proptest::prelude::*;

    const CASES: [(&str, Format); 32] = [
        ("", PrometheusText),
        ("*/*", PrometheusText),
        ("text/plain", PrometheusText),
        ("text/html, application/xhtml+xml;q=0.9, */*;q=0.8", PrometheusText),
        ("application/json", PrometheusText),
        ("application/*", PrometheusText),
        ("application/openmetrics-text", OpenMetrics),
        ("application/openmetrics-text; version=1.0.0", OpenMetrics),
        ("application/openmetrics-text; version=\"1.0.0\"; charset=utf-8", OpenMetrics),
        ("Application/OpenMetrics-Text;Version=1.0.0", OpenMetrics),
        ("application/openmetrics-text;version=1.0.0;escaping=allow-utf-8", OpenMetrics),
        ("application/openmetrics-text; version=0.0.1", PrometheusText),
        ("application/openmetrics-text; version=2.0.0", PrometheusText),
        ("application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", PrometheusText),
        (
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
             text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            OpenMetrics,
        ),
        (
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,\
             text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            PrometheusText,
        ),
        ("application/openmetrics-text;q=0.5, text/plain;q=0.6", PrometheusText),
        ("application/openmetrics-text;q=0.6, text/plain;q=0.5", OpenMetrics),
        ("text/plain, application/openmetrics-text", OpenMetrics),
        ("application/openmetrics-text;q=0.5, */*", PrometheusText),
        ("application/openmetrics-text;q=0.5, text/plain;q=0.1, */*", OpenMetrics),
        ("application/openmetrics-text;q=0.5, text/*;q=0.7, text/plain;q=0.1", OpenMetrics),
        ("application/openmetrics-text;q=0", PrometheusText),
        ("application/openmetrics-text;q=0.000, text/plain;q=0", PrometheusText),
        ("application/openmetrics-text;version=1.0.0;q=0, application/openmetrics-text", PrometheusText),
        ("application/openmetrics-text;q=0.001, text/plain;q=0", OpenMetrics),
        ("application/openmetrics-text ; q = 1.000", OpenMetrics),
        ("application/openmetrics-text;q=1.001", PrometheusText),
        ("application/openmetrics-text;q=0.1234", PrometheusText),
        ("application/openmetrics-text;q=-1", PrometheusText),
        ("x/y;a=\", application/openmetrics-text\"", PrometheusText),
        ("x/y;a=\"\\\"\", application/openmetrics-text", OpenMetrics),
    ];

    #[test]
    fn answers_what_is_asked_for() {
        for (accept, format) in CASES {
            assert_eq!(negotiate(accept), format, "{accept}");
        }
    }

    proptest! {
        #[test]
        fn any_header_has_an_answer(accept in "\\PC*") {
            let named = accept.to_ascii_lowercase().contains("application/openmetrics-text");
            prop_assert!(named || negotiate(&accept) == PrometheusText);
        }

        #[test]
        fn the_higher_quality_wins(open in 1u16..=1000, text in 0u16..=1000) {
            let q = |n: u16| format!("{}.{:03}", n / 1000, n % 1000);
            let accept = format!("text/plain;q={}, application/openmetrics-text;q={}", q(text), q(open));
            prop_assert_eq!(negotiate(&accept) == OpenMetrics, open >= text);
        }
    }
}
