//! `tocsin check`: verdicts on files.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::Context;
use crate::cap::{self, Document, Enclosed, Finding, Gravity, ProfileName, Reading, Verdict};
use crate::config::{BureauConfig, Config};
use crate::intake::{self, Format, Refusal};
use crate::policy::Policy;
use crate::show::Failure;

/// Read CAP files, feeds, envelopes and lists, and say what is off about them.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Files, or folders of files.
    #[arg(required = true, value_name = "FILE|DIR")]
    paths: Vec<PathBuf>,
    /// Show notes too, not only what is off.
    #[arg(long, short)]
    all: bool,
    /// Hold them against these profiles too.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    profile: Vec<ProfileName>,
    /// Hold them against all that is agreed on with this bureau, or with a bureau by this source of it: profiles, signature, regions,
    /// dangers, levels; each alert of a feed by itself.
    #[arg(long, value_name = "BUREAU|SOURCE")]
    source: Option<String>,
}

/// What files are held against.
struct Measure {
    profiles: Vec<ProfileName>,
    source: Option<(Policy, BureauConfig)>,
}

/// What a file turned out to be.
struct Judged {
    verdict: Verdict,
    findings: Vec<Finding>,
    /// The front door's refusals of alerts in it.
    refusals: Vec<Refusal>,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<bool, Failure> {
    let measure = measure(context, args)?;
    let mut files = Vec::new();
    for path in &args.paths {
        collect(path, &mut files)?;
    }
    let mut counts = [0_u32; 3];
    for file in &files {
        let verdict = check(context, args, &measure, file);
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

fn measure(context: &Context, args: &Args) -> Result<Measure, Failure> {
    let source = match &args.source {
        None => None,
        Some(name) => {
            let config = context.config()?;
            let bureau = speaks_as(context, &config, name)?;
            Some((Policy::build(&config)?, bureau))
        }
    };
    // The bureau's own profiles are held against with the rest of it.
    let own = source.as_ref().map(|(_, bureau)| bureau.profile.as_slice()).unwrap_or_default();
    let profiles = args.profile.iter().copied().filter(|name| !own.contains(name)).collect();
    Ok(Measure { profiles, source })
}

/// The bureau of this name, or the one that a source of this name speaks as, with what is agreed on for that source.
pub(super) fn speaks_as(context: &Context, config: &Config, name: &str) -> Result<BureauConfig, Failure> {
    let bureau = config.bureaus.iter().find(|bureau| bureau.name == name).cloned();
    let by = || config.sources.iter().find(|source| source.name() == name).and_then(|one| config.bureau_by(one));
    let known = || config.bureaus.iter().map(|bureau| bureau.name.as_str()).collect::<Vec<_>>().join(", ");
    Ok(bureau.or_else(by).ok_or_else(|| {
        format!("{} names no bureau `{name}`, nor a source; its bureaus: {}", context.path.display(), known())
    })?)
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

impl Measure {
    fn judge(&self, bytes: &[u8], format: Format) -> Judged {
        let mut document = match format {
            Format::Json => cap::read_json_document(bytes),
            Format::Xml => cap::read_document(bytes),
        };
        let mut refusals = Vec::new();
        match &mut document {
            Document::Alert(reading) => self.weigh(reading, (bytes, format), &mut refusals),
            Document::Wrapped { alerts, .. } => {
                for Enclosed { reading, standalone } in alerts {
                    self.weigh(reading, (standalone, format), &mut refusals);
                }
            }
        }
        let verdict = if refusals.is_empty() { document.verdict() } else { Verdict::Refused };
        Judged { verdict, findings: document.findings(), refusals }
    }

    fn weigh(&self, reading: &mut Reading, message: (&[u8], Format), refusals: &mut Vec<Refusal>) {
        let Reading { alert: Some(alert), findings } = reading else { return };
        cap::hold_against(&self.profiles, alert, findings);
        let Some((policy, bureau)) = &self.source else { return };
        if let Err(mut refusal) = intake::weigh(policy, bureau, message, alert, findings, chrono::Utc::now()) {
            // What was found goes with the file, once.
            if findings.is_empty() {
                findings.append(&mut refusal.findings);
            }
            refusal.findings.clear();
            refusals.push(refusal);
        }
    }
}

fn check(context: &Context, args: &Args, measure: &Measure, file: &Path) -> Verdict {
    let format = if file.extension().is_some_and(|e| e == "json") { Format::Json } else { Format::Xml };
    let (Judged { verdict, findings, refusals }, unreadable) = match std::fs::read(file) {
        Ok(bytes) => (measure.judge(&bytes, format), None),
        Err(error) => {
            let nothing = Judged { verdict: Verdict::Refused, findings: Vec::new(), refusals: Vec::new() };
            (nothing, Some(error.to_string()))
        }
    };
    if context.json {
        let mut line = json!({"file": file.display().to_string(), "verdict": verdict, "findings": findings});
        if let Some(line) = line.as_object_mut() {
            if !refusals.is_empty() {
                line.insert("refusals".into(), json!(refusals));
            }
            if let Some(error) = unreadable {
                line.insert("error".into(), error.into());
            }
        }
        println!("{line}");
        return verdict;
    }
    println!("{:9} {}", verdict.as_str(), file.display());
    for refusal in &refusals {
        let (zh, en) = refusal.code.sentences();
        println!("  {} {}\n        {zh}\n        {en}", refusal.code.as_str(), refusal.detail);
    }
    for finding in findings.iter().filter(|finding| args.all || finding.gravity > Gravity::Note) {
        println!("  T{} {}", finding.code.number(), finding.path);
        println!("        {}\n        {}  ({})", finding.zh(), finding.en(), finding.source);
    }
    if let Some(error) = unreadable {
        println!("  cannot be read: {error}");
    }
    verdict
}
