//! Rules that a page shows are rules that the library takes.

use std::fs::{read_dir, read_to_string};
use std::path::{Path, PathBuf};
use tidegate_core::clock::ClockSource;
use tidegate_core::segment::SegmentOptions;
use tidegate_core::{Options, Runtime};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The pages of docs/ and the READMEs.
fn pages() -> Vec<PathBuf> {
    let mut pages: Vec<PathBuf> =
        ["README.md", "bindings/cpp/README.md", "bindings/go/README.md", "policies/README.md"]
            .iter()
            .map(|name| root().join(name))
            .collect();
    for folder in ["docs", "docs/decisions"] {
        let entries = read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path());
        pages.extend(entries.filter(|path| path.extension().is_some_and(|end| end == "md")));
    }
    pages.sort();
    pages
}

/// What stands in the page's blocks of JSON.
fn blocks(page: &str) -> Vec<&str> {
    page.split("```json\n").skip(1).filter_map(|rest| rest.split("\n```").next()).collect()
}

/// The page without its code, in which brackets mean something else.
fn prose(page: &str) -> String {
    let blocks: String = page.split("```").step_by(2).collect();
    blocks.split('`').step_by(2).collect()
}

/// Whether it is a rules document; JSON of another kind has neither of these.
fn is_rules(json: &serde_json::Value) -> bool {
    ["schema", "version"].iter().any(|field| json.get(field).is_some())
}

fn fault_of(block: &str) -> Option<String> {
    let json = match serde_json::from_str(block) {
        Err(error) => return Some(format!("no JSON: {error}")),
        Ok(json) => json,
    };
    let options = Options { segment: SegmentOptions::default(), clock: ClockSource::Virtual(0), faults: false };
    let runtime = Runtime::open(&options).unwrap();
    match is_rules(&json) {
        true => runtime.apply_rules(block.as_bytes()).err().map(|error| error.to_string()),
        false => None,
    }
}

#[test]
fn every_rules_document_of_a_page_is_accepted() {
    let (mut seen, mut faults) = (0, Vec::new());
    for path in pages() {
        let page = read_to_string(&path).unwrap();
        for (number, block) in blocks(&page).into_iter().enumerate() {
            seen += 1;
            let place = format!("{}, JSON block {}", path.display(), number + 1);
            faults.extend(fault_of(block).map(|fault| format!("{place}: {fault}\n{block}")));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(seen > 0, "no page shows any JSON: are they where they were?");
}

#[test]
fn a_document_that_is_refused_is_found() {
    let page = "text\n```json\n{\"version\": 1}\n```\n```json\n{\"version\": 1, \"guard\": {}}\n```\n";
    let faults: Vec<bool> = blocks(page).into_iter().map(|block| fault_of(block).is_some()).collect();
    assert_eq!(faults, [false, true]);
    assert!(fault_of("{\"version\": 1,}").is_some());
    assert!(fault_of("{\"other\": 1}").is_none());
}

/// A page that nobody can find from the README.
#[test]
fn the_readme_names_every_page() {
    let readme = read_to_string(root().join("README.md")).unwrap();
    let unnamed: Vec<String> = read_dir(root().join("docs"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".md") && !readme.contains(&format!("(docs/{name})")))
        .collect();
    assert!(unnamed.is_empty(), "README.md names none of {unnamed:?}: see its table \"Where to look next\"");
}

/// Whether a link of a page, `file`, `file#heading` or `#heading`, has something to lead to.
fn leads_somewhere(page: &Path, target: &str) -> bool {
    let (file, heading) = target.split_once('#').unwrap_or((target, ""));
    let file = if file.is_empty() { page.to_path_buf() } else { page.parent().unwrap().join(file) };
    if heading.is_empty() || file.extension().is_none_or(|end| end != "md") {
        return file.exists();
    }
    let text = read_to_string(&file).unwrap_or_default();
    text.lines().filter(|line| line.starts_with('#')).any(|line| anchor(line) == heading)
}

/// What a heading is linked by.
fn anchor(line: &str) -> String {
    let kept = line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
    kept.chars().filter(|sign| sign.is_alphanumeric() || "-_".contains(*sign)).collect()
}

#[test]
fn a_link_that_leads_nowhere_is_found() {
    let page = root().join("docs/rules.md");
    let leads =
        ["segment.md", "rules.schema.json", "#values", "rules.md#values", "none.md", "#none", "segment.md#none"];
    let found = leads.map(|target| leads_somewhere(&page, target));
    assert_eq!(found, [true, true, true, true, false, false, false]);
}

/// Links between the pages lead somewhere.
#[test]
fn links_to_files_lead_somewhere() {
    let mut broken = Vec::new();
    for path in pages() {
        let page = prose(&read_to_string(&path).unwrap());
        let targets = page.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
        for target in targets.filter(|target| !target.contains("://")) {
            if !leads_somewhere(&path, target) {
                broken.push(format!("{}: {target}", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
