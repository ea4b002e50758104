//! 67 real alerts, feeds and envelopes, written by others: each gives a verdict that a person has read and agreed with.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    reason = "a test that cannot go on fails"
)]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use tocsin::cap::{self, Document, Verdict};

fn corpus() -> Option<Vec<PathBuf>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        println!("skipped: the folder of real alerts, ../shared/corpus, is not here");
        return None;
    };
    let mut files: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|path| !matches!(path.extension().and_then(|e| e.to_str()), Some("csv" | "md")));
    files.sort();
    Some(files)
}

#[test]
fn every_file_has_the_verdict_that_a_person_agreed_with() {
    let Some(files) = corpus() else { return };
    assert_eq!(files.len(), 67);
    let mut lines = String::new();
    for file in files {
        let document = cap::read_document(&std::fs::read(&file).unwrap());
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        writeln!(lines, "{:9} {name}", document.verdict().as_str()).unwrap();
        let mut findings: Vec<(String, usize)> = Vec::new();
        for finding in document.findings() {
            let line = format!("            T{} {}: {}", finding.code.number(), finding.path, finding.en());
            match findings.last_mut() {
                Some((last, n)) if *last == line => *n += 1,
                _ => findings.push((line, 1)),
            }
        }
        for (line, n) in findings.iter().take(12) {
            writeln!(lines, "{line}{}", if *n > 1 { format!(" (x{n})") } else { String::new() }).unwrap();
        }
        if findings.len() > 12 {
            writeln!(lines, "            ... and {} more", findings.len() - 12).unwrap();
        }
    }
    insta::assert_snapshot!(lines);
}

/// Alerts of the corpus that CAP 1.2 can say are written so that the OASIS schema accepts them, and read back the same.
#[test]
fn what_we_write_is_accepted_by_the_schema_and_read_back() {
    let Some(files) = corpus() else { return };
    let Some(schema) = std::env::var_os("TOCSIN_CAP_XSD") else {
        println!("skipped: TOCSIN_CAP_XSD does not name the OASIS schema (cargo xtask test fetches it)");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let mut written = 0;
    for file in files {
        let readings = match cap::read_document(&std::fs::read(&file).unwrap()) {
            Document::Alert(reading) => vec![*reading],
            Document::Wrapped { alerts, .. } => alerts.into_iter().map(|alert| alert.reading).collect(),
        };
        for reading in readings {
            let Some(mut alert) = reading.alert else { continue };
            let Ok(text) = cap::write(&alert) else { continue };
            std::fs::write(folder.path().join(format!("{written:03}.xml")), &text).unwrap();
            written += 1;
            // What is not written, and what 1.2 adds, is set aside; the rest is the same.
            alert.version = cap::Version::V1_2;
            alert.unknown.clear();
            for info in &mut alert.infos {
                info.unknown.clear();
                for resource in &mut info.resources {
                    resource.mime_type.get_or_insert_with(|| "application/octet-stream".into());
                }
            }
            let back = cap::read(text.as_bytes());
            assert_eq!(back.alert.as_ref(), Some(&alert), "{}", file.display());
        }
    }
    assert!(written > 30, "only {written} alerts were written");
    let all: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    let judge = std::process::Command::new("xmllint").args(["--noout", "--schema"]).arg(schema).args(all).output();
    let judge = judge.expect("xmllint runs");
    assert!(judge.status.success(), "{}", String::from_utf8_lossy(&judge.stderr));
}

proptest! {
    /// Bytes lost, changed or doubled in a real alert never make the reader panic, and never turn a refusal into an alert
    /// without its vital parts.
    #[test]
    fn damage_is_survived(at in 0_usize..4_000, with in any::<u8>(), how in 0_u8..3) {
        let mut bytes = include_bytes!("cases/cap/qingpu-typhoon-red.xml").to_vec();
        let at = at % bytes.len();
        match how {
            0 => bytes[at] = with,
            1 => bytes.truncate(at),
            _ => bytes.insert(at, with),
        }
        let reading = cap::read(&bytes);
        prop_assert_eq!(reading.alert.is_none(), reading.verdict() == Verdict::Refused);
        let _ = cap::read_json(&bytes);
        let _ = cap::read_document(&bytes);
    }
}
