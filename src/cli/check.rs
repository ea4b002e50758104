//! `tocsin check`: verdicts on files.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{Context, GO_THERE, NO_CONFIG};
use crate::cap::{self, Document, Enclosed, Finding, Gravity, ProfileName, Reading, Verdict};
use crate::config::{BureauConfig, Config};
use crate::intake::{self, Format, Refusal};
use crate::policy::Policy;
use crate::rules::decide;
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
    /// What is said of its wrapping or of its one alert, then of each alert inside.
    parts: Vec<Part>,
}

/// What is said of one alert.
struct Part {
    /// Which one of several, from 1, and what it calls itself.
    item: Option<(usize, Option<String>)>,
    findings: Vec<Finding>,
    /// The front door's.
    refusal: Option<Refusal>,
}

impl Part {
    /// A finding or refusal with the alert that it is about.
    fn as_json(&self, said: impl serde::Serialize) -> Value {
        let mut said = json!(said);
        if let (Some((n, identifier)), Some(members)) = (&self.item, said.as_object_mut()) {
            members.insert("item".into(), (*n).into());
            members.insert("identifier".into(), json!(identifier));
        }
        said
    }
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
    if context.lacks_config() {
        return Err(format!("{NO_CONFIG}, so that no bureau or source `{name}` is known: {GO_THERE}").into());
    }
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
        let refusals: Vec<Option<Refusal>> = match &mut document {
            Document::Alert(reading) => vec![self.weigh(reading, (bytes, format))],
            Document::Wrapped { alerts, .. } => {
                let each = |one: &mut Enclosed| self.weigh(&mut one.reading, (&one.standalone, format));
                alerts.iter_mut().map(each).collect()
            }
        };
        // Whoever asks by the exit code hears of one alert that would be refused among many.
        let lost = match &document {
            Document::Alert(_) => false,
            Document::Wrapped { alerts, .. } => alerts.iter().any(|one| one.reading.verdict() == Verdict::Refused),
        };
        let verdict = if lost || refusals.iter().any(Option::is_some) { Verdict::Refused } else { document.verdict() };
        Judged { verdict, parts: parts(document, refusals) }
    }

    fn weigh(&self, reading: &mut Reading, message: (&[u8], Format)) -> Option<Refusal> {
        let Reading { alert: Some(alert), findings } = reading else { return None };
        cap::hold_against(&self.profiles, alert, findings);
        let (policy, bureau) = self.source.as_ref()?;
        let now = chrono::Utc::now();
        let mut refusal = match intake::weigh(policy, bureau, message, alert, findings, now) {
            Ok((located, _)) => {
                let decision = decide(alert, &located, &policy.rules, &policy.map, now);
                findings.extend(intake::late(bureau, alert, &decision, now));
                return None;
            }
            Err(refusal) => refusal,
        };
        // What was found goes with the file, once.
        if findings.is_empty() {
            findings.append(&mut refusal.findings);
        }
        refusal.findings.clear();
        Some(refusal)
    }
}

/// What is said, by the alert that it is about; the refusals are in their order.
fn parts(document: Document, refusals: Vec<Option<Refusal>>) -> Vec<Part> {
    let mut refusals = refusals.into_iter();
    match document {
        Document::Alert(reading) => {
            vec![Part { item: None, findings: reading.findings, refusal: refusals.next().flatten() }]
        }
        Document::Wrapped { alerts, findings } => {
            let wrapping = Part { item: None, findings, refusal: None };
            let each = (1..).zip(alerts).zip(refusals).map(|((n, alert), refusal)| Part {
                item: Some((n, alert.identifier)),
                findings: alert.reading.findings,
                refusal,
            });
            std::iter::once(wrapping).chain(each).collect()
        }
    }
}

fn check(context: &Context, args: &Args, measure: &Measure, file: &Path) -> Verdict {
    let (Judged { verdict, parts }, unreadable) = match std::fs::read(file) {
        Ok(bytes) => (measure.judge(&bytes, format_of(file, &bytes)), None),
        Err(error) => (Judged { verdict: Verdict::Refused, parts: Vec::new() }, Some(error.to_string())),
    };
    if context.json {
        let findings: Vec<_> =
            parts.iter().flat_map(|part| part.findings.iter().map(|finding| part.as_json(finding))).collect();
        let refusals: Vec<_> = parts.iter().filter_map(|part| Some(part.as_json(part.refusal.as_ref()?))).collect();
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
    parts.iter().for_each(|part| tell(part, args.all));
    if let Some(error) = unreadable {
        println!("  cannot be read: {error}");
    }
    verdict
}

fn tell(part: &Part, all: bool) {
    let findings: Vec<_> = part.findings.iter().filter(|finding| all || finding.gravity > Gravity::Note).collect();
    if let Some((n, identifier)) = part.item.as_ref().filter(|_| part.refusal.is_some() || !findings.is_empty()) {
        println!("  {}", which(*n, identifier.as_deref()));
    }
    if let Some(refusal) = &part.refusal {
        let (zh, en) = refusal.code.sentences();
        println!("  {} {}\n        {zh}\n        {en}", refusal.code.as_str(), refusal.detail);
    }
    for finding in findings {
        println!("  T{} {}", finding.code.number(), finding.path);
        println!("        {}\n        {}  ({})", finding.zh(), finding.en(), finding.source);
    }
}

/// A file's format: JSON where its name or its first sign says so.
pub(super) fn format_of(file: &Path, bytes: &[u8]) -> Format {
    let begins = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    let json = file.extension().is_some_and(|ending| ending == "json") || matches!(begins, Some(b'{' | b'['));
    if json { Format::Json } else { Format::Xml }
}

/// Which alert of several something is about: its place, from 1, and what it calls itself.
pub(super) fn which(n: usize, identifier: Option<&str>) -> String {
    format!("[{n}] {}", identifier.unwrap_or("未写标识 / names no identifier"))
}
