//! The page under construction: one buffer that lines are appended to.

use crate::Format;
use crate::ladder::Ladder;
use crate::number::{push_float, push_int};
use tidegate_core::metrics::histogram::Histogram;
use tidegate_core::metrics::snapshot::Value;

/// The type of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Goes up only.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Buckets.
    Histogram,
}

impl Kind {
    /// The kind of a series' value.
    pub fn of(value: &Value) -> Kind {
        match value {
            Value::Counter(_) => Kind::Counter,
            Value::Gauge(_) => Kind::Gauge,
            Value::Histogram(_) => Kind::Histogram,
        }
    }

    /// The word of the TYPE line.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }

    /// What its samples' names end in, where they have one sample.
    pub fn suffix(self) -> &'static str {
        if self == Kind::Counter { "_total" } else { "" }
    }
}

/// What a family's descriptor lines say.
pub struct Header<'a> {
    /// The name without `_total`; ends in the unit.
    pub base: &'a str,
    /// Its type.
    pub kind: Kind,
    /// Its unit, or empty.
    pub unit: &'a str,
    /// One sentence, not escaped; may be empty.
    pub help: &'a str,
}

/// The page.
pub struct Page {
    text: String,
    format: Format,
    /// Metrics and series that had to be left out.
    pub left_out: u64,
}

impl Page {
    /// An empty page with room for so many bytes.
    pub fn new(format: Format, bytes: usize) -> Self {
        Page { text: String::with_capacity(bytes), format, left_out: 0 }
    }

    /// Ends the page.
    pub fn finish(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }

    /// The descriptor lines. In the older format a counter's family is called as its samples are, and units are unknown.
    pub fn header(&mut self, family: &Header<'_>) {
        match self.format {
            Format::PrometheusText => {
                let suffix = family.kind.suffix();
                self.help(family, suffix);
                self.descriptor("# TYPE ", family.base, suffix, family.kind.name());
            }
            Format::OpenMetrics => {
                self.descriptor("# TYPE ", family.base, "", family.kind.name());
                if !family.unit.is_empty() {
                    self.descriptor("# UNIT ", family.base, "", family.unit);
                }
                self.help(family, "");
            }
        }
    }

    fn descriptor(&mut self, what: &str, base: &str, suffix: &str, word: &str) {
        for part in [what, base, suffix, " ", word, "\n"] {
            self.text.push_str(part);
        }
    }

    fn help(&mut self, family: &Header<'_>, suffix: &str) {
        if family.help.is_empty() {
            return;
        }
        for part in ["# HELP ", family.base, suffix, " "] {
            self.text.push_str(part);
        }
        for c in family.help.chars() {
            match c {
                '\\' => self.text.push_str("\\\\"),
                '\n' => self.text.push_str("\\n"),
                '"' if self.format == Format::OpenMetrics => self.text.push_str("\\\""),
                other => self.text.push(other),
            }
        }
        self.text.push('\n');
    }

    /// A sample that is an integer.
    #[inline]
    pub fn int(&mut self, name: &str, labels: &str, value: u64) {
        self.start(name, labels);
        push_int(&mut self.text, value);
        self.text.push('\n');
    }

    /// A sample that is a float.
    #[inline]
    pub fn float(&mut self, name: &str, labels: &str, value: f64) {
        self.start(name, labels);
        push_float(&mut self.text, value);
        self.text.push('\n');
    }

    #[inline]
    fn start(&mut self, name: &str, labels: &str) {
        self.text.push_str(name);
        if !labels.is_empty() {
            self.text.push('{');
            self.text.push_str(labels);
            self.text.push('}');
        }
        self.text.push(' ');
    }

    /// The samples of a histogram. The count is the sum of the very buckets that are shown, whatever is being written
    /// meanwhile.
    pub fn histogram(&mut self, base: &str, labels: &str, values: &Histogram, ladder: &Ladder) {
        let count = ladder.climb(values, |bound, upto| self.bucket(base, labels, bound, upto));
        self.bucket(base, labels, "+Inf", count);
        self.part(base, "_sum", labels);
        push_float(&mut self.text, values.sum);
        self.text.push('\n');
        self.part(base, "_count", labels);
        push_int(&mut self.text, count);
        self.text.push('\n');
    }

    fn part(&mut self, base: &str, suffix: &str, labels: &str) {
        self.text.push_str(base);
        self.start(suffix, labels);
    }

    fn bucket(&mut self, base: &str, labels: &str, bound: &str, upto: u64) {
        let comma = if labels.is_empty() { "" } else { "," };
        for part in [base, "_bucket{", labels, comma, "le=\"", bound, "\"} "] {
            self.text.push_str(part);
        }
        push_int(&mut self.text, upto);
        self.text.push('\n');
    }
}
