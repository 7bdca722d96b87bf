//! A reader of pages that accepts nothing beyond the grammar of its format, and less than most scrapers do.

use std::collections::HashSet;
use tidegate_telemetry::Format;

#[derive(Debug, Default)]
pub struct Family {
    /// As the descriptor lines call it.
    pub name: String,
    pub kind: String,
    pub unit: Option<String>,
    pub help: Option<String>,
    pub samples: Vec<Sample>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub name: String,
    pub labels: Vec<(String, String)>,
    pub value: String,
}

impl Sample {
    pub fn number(&self) -> f64 {
        self.value.replace("Inf", "inf").parse().unwrap()
    }
}

/// Splits a page into families; a descriptor line of another name begins the next.
pub fn read(page: &str, format: Format) -> Result<Vec<Family>, String> {
    let body = match format {
        Format::OpenMetrics => page.strip_suffix("# EOF\n").ok_or("no # EOF at the end")?,
        Format::PrometheusText => page,
    };
    let mut families: Vec<Family> = Vec::new();
    let lines = body.strip_suffix('\n').map(|lines| lines.split('\n'));
    for line in lines.into_iter().flatten() {
        read_line(line, format, &mut families).map_err(|error| format!("{error}: {line:?}"))?;
    }
    let mut names = HashSet::new();
    match families.iter().find(|family| !names.insert(&family.name)) {
        Some(twice) => Err(format!("family {} stands twice", twice.name)),
        None => Ok(families),
    }
}

fn read_line(line: &str, format: Format, families: &mut Vec<Family>) -> Result<(), String> {
    let Some(descriptor) = line.strip_prefix("# ") else {
        let family = families.last_mut().ok_or("a sample before any family")?;
        family.samples.push(sample(line)?);
        return Ok(());
    };
    let mut words = descriptor.splitn(3, ' ');
    let (Some(what), Some(name), Some(text)) = (words.next(), words.next(), words.next()) else {
        return Err("too few words".into());
    };
    is_name(name, true)?;
    if families.last().is_none_or(|family| family.name != name) {
        families.push(Family { name: name.into(), ..Family::default() });
    }
    let family = families.last_mut().ok_or("no family")?;
    if !family.samples.is_empty() {
        return Err("a descriptor after samples".into());
    }
    match what {
        "TYPE" if family.kind.is_empty() => family.kind = text.into(),
        "UNIT" if family.unit.is_none() && format == Format::OpenMetrics => family.unit = Some(text.into()),
        "HELP" if family.help.is_none() => family.help = Some(unescape(text, format == Format::OpenMetrics)?),
        _ => return Err("unknown or repeated descriptor".into()),
    }
    Ok(())
}

fn sample(line: &str) -> Result<Sample, String> {
    let end = line.find(['{', ' ']).ok_or("no value")?;
    let (name, rest) = line.split_at(end);
    is_name(name, true)?;
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None => (Vec::new(), rest),
    };
    let value = rest.strip_prefix(' ').ok_or("no space before the value")?;
    is_number(value)?;
    Ok(Sample { name: name.into(), labels, value: value.into() })
}

type Labels = Vec<(String, String)>;

/// Labels after the opening brace, and what follows the closing one.
fn labels(mut rest: &str) -> Result<(Labels, &str), String> {
    let mut labels = Labels::new();
    loop {
        let (name, after) = rest.split_once("=\"").ok_or("a label without value")?;
        is_name(name, false)?;
        let end = closing_quote(after).ok_or("a label value without end")?;
        if labels.iter().any(|(known, _)| known == name) {
            return Err(format!("label {name} stands twice"));
        }
        labels.push((name.into(), unescape(&after[..end], true)?));
        rest = &after[end + 1..];
        match rest.strip_prefix(',') {
            Some(more) => rest = more,
            None => return Ok((labels, rest.strip_prefix('}').ok_or("no closing brace")?)),
        }
    }
}

fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.find(|c| {
        let closes = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        closes
    })
}

fn unescape(text: &str, quotes: bool) -> Result<String, String> {
    let (mut plain, mut chars) = (String::new(), text.chars());
    while let Some(c) = chars.next() {
        plain.push(match c {
            '"' if quotes => return Err("a quote that is not escaped".into()),
            '\\' => match chars.next() {
                Some('n') => '\n',
                Some('\\') => '\\',
                Some('"') if quotes => '"',
                other => return Err(format!("escaped {other:?}")),
            },
            other => other,
        });
    }
    Ok(plain)
}

fn is_name(name: &str, colons: bool) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || colons && c == ':';
    let good = name.chars().all(plain) && name.starts_with(|c: char| !c.is_ascii_digit());
    if good { Ok(()) } else { Err(format!("name {name:?}")) }
}

fn is_number(text: &str) -> Result<(), String> {
    let special = matches!(text, "NaN" | "+Inf" | "-Inf");
    let plain = text.chars().all(|c| c.is_ascii_digit() || "+-.e".contains(c)) && text.parse::<f64>().is_ok();
    if special || plain { Ok(()) } else { Err(format!("number {text:?}")) }
}
