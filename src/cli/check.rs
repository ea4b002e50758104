//! `tocsin check`: verdicts on files.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::Context;
use crate::cap::{self, Gravity, Verdict};
use crate::show::Failure;

/// Read CAP files, feeds and envelopes, and say what is off about them.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Files, or folders of files.
    #[arg(required = true, value_name = "FILE|DIR")]
    paths: Vec<PathBuf>,
    /// Show notes too, not only what is off.
    #[arg(long, short)]
    all: bool,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<bool, Failure> {
    let mut files = Vec::new();
    for path in &args.paths {
        collect(path, &mut files)?;
    }
    let mut counts = [0_u32; 3];
    for file in &files {
        let verdict = check(context, args, file);
        if let Some(count) = counts.get_mut(verdict as usize) {
            *count += 1;
        }
    }
    if !context.json && files.len() > 1 {
        let [accepted, remarks, refused] = counts;
        println!("{} files: {accepted} accepted, {remarks} with remarks, {refused} refused", files.len());
    }
    Ok(context.json || counts[2] == 0)
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let bad = |e: std::io::Error| format!("cannot read {}: {e}", path.display());
    if !path.is_dir() {
        // A file that is named is read whatever it is called; it must be there.
        std::fs::metadata(path).map_err(bad)?;
        files.push(path.to_owned());
        return Ok(());
    }
    let mut inside: Vec<_> =
        std::fs::read_dir(path).map_err(bad)?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    inside.sort();
    for path in inside {
        let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
        if path.is_dir() {
            collect(&path, files)?;
        } else if matches!(ending, "xml" | "cap" | "atom" | "rss" | "edxlde" | "json") {
            files.push(path);
        }
    }
    Ok(())
}

fn check(context: &Context, args: &Args, file: &Path) -> Verdict {
    let (verdict, findings, unreadable) = match std::fs::read(file) {
        Err(error) => (Verdict::Refused, Vec::new(), Some(error.to_string())),
        Ok(bytes) if file.extension().is_some_and(|e| e == "json") => {
            let reading = cap::read_json(&bytes);
            (reading.verdict(), reading.findings, None)
        }
        Ok(bytes) => {
            let document = cap::read_document(&bytes);
            (document.verdict(), document.findings(), None)
        }
    };
    if context.json {
        let mut line = json!({"file": file.display().to_string(), "verdict": verdict, "findings": findings});
        if let (Some(error), Some(line)) = (unreadable, line.as_object_mut()) {
            line.insert("error".into(), error.into());
        }
        println!("{line}");
        return verdict;
    }
    println!("{:9} {}", verdict.as_str(), file.display());
    for finding in findings.iter().filter(|finding| args.all || finding.gravity > Gravity::Note) {
        println!("  T{} {}", finding.code.number(), finding.path);
        println!("        {}\n        {}  ({})", finding.zh(), finding.en(), finding.source);
    }
    if let Some(error) = unreadable {
        println!("  cannot be read: {error}");
    }
    verdict
}
