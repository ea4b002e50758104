//! `tocsin explain`: what would become of an alert, before anybody is told. It is looked at alone: what is on record of its event is
//! not asked.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use tocsin_channels::sms::encoding;
use tocsin_channels::{ChannelKind, Content};

use super::check::{format_of, speaks_as};
use super::{Context, missing_store};
use crate::approval::areas;
use crate::cap::{self, Alert, Gravity, MsgType, Verdict};
use crate::config::Config;
use crate::intake::{self, Format, Refusal};
use crate::messages::{Facts, Language, Variant};
use crate::policy::Policy;
use crate::regions::{How, Located, RegionCode};
use crate::rules::{Decision, decide};
use crate::show::Failure;
use crate::show::{count, number, table};

/// Show what would become of an alert that is the first of its event: what is on record is not looked at.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The alert: CAP XML, or JSON.
    file: PathBuf,
    /// As if it were this time (RFC 3339), for alerts of the past.
    #[arg(long)]
    at: Option<chrono::DateTime<chrono::Utc>>,
    /// As if it came from this bureau, or by this source of one: what is agreed on with it holds.
    #[arg(long, value_name = "BUREAU|SOURCE")]
    source: Option<String>,
}

/// What one channel would do.
struct Forecast {
    channel: ChannelKind,
    people: BTreeMap<Language, u64>,
    texts: Vec<(Language, Content)>,
    seconds: Option<f64>,
    set_up: bool,
}

pub(crate) async fn run(context: &Context, args: &Args) -> Result<bool, Failure> {
    let config = context.config()?;
    let policy = Policy::build(&config)?;
    let bytes = std::fs::read(&args.file).map_err(|e| format!("cannot read {}: {e}", args.file.display()))?;
    let format = format_of(&args.file, &bytes);
    let reading = if format == Format::Json { cap::read_json(&bytes) } else { cap::read(&bytes) };
    let mut findings = reading.findings;
    let Some(alert) = &reading.alert else {
        let first = findings.iter().max_by_key(|finding| finding.gravity);
        let why = first.map(|f| format!("{} / {}", f.zh(), f.en())).unwrap_or_default();
        return Err(format!("{} is refused: {why}; `tocsin check` shows all", args.file.display()).into());
    };
    let now = args.at.unwrap_or_else(chrono::Utc::now);
    let bureau = args.source.as_deref().map(|name| speaks_as(context, &config, name)).transpose()?;
    let weighed = match &bureau {
        Some(bureau) => intake::weigh(&policy, bureau, (&bytes, format), alert, &mut findings, now),
        None => Ok((policy.map.locate(&areas(alert), &policy.locate), BTreeSet::new())),
    };
    let (located, asked) = match weighed {
        Ok(weighed) => weighed,
        Err(mut refusal) => {
            if refusal.findings.is_empty() {
                refusal.findings = findings;
            }
            refused(context, args, &refusal);
            return Ok(false);
        }
    };
    let decision = decide(alert, &located, &policy.rules, &policy.map, now);
    let late = bureau.as_ref().and_then(|bureau| intake::late(bureau, alert, &decision, now));
    findings.extend(late.clone());
    let forecasts = forecast(context, &config, &policy, alert, &decision).await?;
    if context.json {
        let channels: Vec<Value> = forecasts.iter().map(as_json).collect();
        let told = json!({"verdict": Verdict::of(&findings), "findings": findings, "source": args.source, "asked": asked,
            "located": located, "decision": decision, "channels": channels});
        println!("{told}");
    } else {
        judged(&policy, alert, args.source.as_deref(), &asked);
        if let Some(late) = late {
            println!("T{} {} / {}", late.code.number(), late.zh(), late.en());
        }
        tell(&policy, &located, &decision, &forecasts);
    }
    Ok(true)
}

/// Says that the bureau's alert would not be taken.
fn refused(context: &Context, args: &Args, refusal: &Refusal) {
    if context.json {
        println!("{}", json!({"verdict": Verdict::Refused, "source": args.source, "refusal": refusal}));
        return;
    }
    let (zh, en) = refusal.code.sentences();
    println!("refused: {} {}\n  {zh}\n  {en}", refusal.code.as_str(), refusal.detail);
    for finding in refusal.findings.iter().filter(|finding| finding.gravity > Gravity::Note) {
        println!("  T{} {}\n    {}\n    {}", finding.code.number(), finding.path, finding.zh(), finding.en());
    }
}

/// Says which alert it is, and as whose it is judged.
fn judged(policy: &Policy, alert: &Alert, source: Option<&str>, asked: &BTreeSet<RegionCode>) {
    println!("{} {} {} from {}", alert.status, alert.msg_type, cap::AlertId::of(alert), alert.sender);
    let whose = source.unwrap_or("no bureau in particular (--source names one)");
    println!("judged as from {whose}, and alone: what is on record of its event is not looked at");
    if !asked.is_empty() {
        let name = |code: &RegionCode| policy.map.get(code).map_or_else(String::new, |region| region.name.clone());
        let names: Vec<_> = asked.iter().map(|code| format!("{code} {}", name(code))).collect();
        println!("not that bureau's to warn, so others are asked: {}", names.join(", "));
    }
}

async fn forecast(
    context: &Context,
    config: &Config,
    policy: &Policy,
    alert: &Alert,
    decision: &Decision,
) -> Result<Vec<Forecast>, Failure> {
    // Without a store nobody has signed up yet; explaining must not make one.
    let people = if missing_store(config).is_none() {
        let store = context.store().await?;
        store.audience_size(decision.reach.lists(), &decision.regions).await?
    } else {
        BTreeMap::new()
    };
    let variant = if alert.msg_type == MsgType::Cancel { Variant::Cancel } else { Variant::Warn };
    let mut forecasts = Vec::new();
    for channel in &decision.channels {
        let mut texts = Vec::new();
        let (mut units, mut of_channel) = (0, BTreeMap::new());
        for language in Language::ALL {
            let places = policy.map.name_places(&decision.regions, language);
            let facts = Facts::of(alert, "", places, language).told_by(&policy.map);
            let content =
                policy.templates.render(*channel, &facts, variant, decision.template.as_deref(), &policy.messages)?;
            let n = people.get(&(*channel, language)).copied().unwrap_or(0);
            let weight = if let Content::Sms(sms) = &content { encoding::parts(&sms.text) } else { 1 };
            units += n * u64::from(weight);
            of_channel.insert(language, n);
            texts.push((language, content));
        }
        let rate = match channel {
            ChannelKind::Sms => config.channels.sms.as_ref().and_then(|c| c.rate),
            ChannelKind::Email => config.channels.email.as_ref().and_then(|c| c.rate),
            ChannelKind::Mqtt => config.channels.mqtt.as_ref().and_then(|c| c.rate),
            ChannelKind::Push => config.channels.push.as_ref().and_then(|c| c.rate),
        };
        let seconds = rate.map(|rate| units as f64 / f64::from(rate.per_second.get()));
        forecasts.push(Forecast {
            channel: *channel,
            people: of_channel,
            texts,
            seconds,
            set_up: config.channels.has(*channel),
        });
    }
    Ok(forecasts)
}

fn as_json(forecast: &Forecast) -> Value {
    let people: BTreeMap<_, _> = forecast.people.iter().map(|(language, n)| (language.tag(), n)).collect();
    let texts: BTreeMap<_, _> = forecast.texts.iter().map(|(language, content)| (language.tag(), content)).collect();
    json!({"channel": forecast.channel, "set_up": forecast.set_up, "addresses": people, "seconds": forecast.seconds, "texts": texts})
}

fn tell(policy: &Policy, located: &Located, decision: &Decision, forecasts: &[Forecast]) {
    let (counties, seas) = (located.counties.len(), located.sea_areas.len());
    println!("\nREGIONS  {}, {}", count(counties, "county", "counties"), count(seas, "sea area", "sea areas"));
    let mut rows = vec![vec!["code".into(), "name".into(), "covered".into(), "how".into()]];
    for found in located.sea_areas.iter().chain(&located.counties).take(20) {
        let name = policy.map.get(&found.region).map_or_else(String::new, |region| region.name.clone());
        let how: Vec<_> = found.how.iter().map(how).collect();
        rows.push(vec![found.region.to_string(), name, format!("{:.0}%", found.covered * 100.0), how.join(", ")]);
    }
    print!("{}", table(&rows));
    let more = (located.counties.len() + located.sea_areas.len()).saturating_sub(20);
    if more > 0 {
        println!("... and {more} more (--json shows all)");
    }
    for (list, code) in &located.unknown {
        println!("unknown code: {list} {code}");
    }
    println!("\nRULES");
    for rule in &decision.rules {
        println!("{} {}", if rule.matched { "✓" } else { "✗" }, rule.rule);
        rule.why.iter().for_each(|line| println!("    {line}"));
    }
    println!("\nDECISION");
    if let Some(why) = decision.withheld {
        println!("goes to nobody: {} / {}", why.zh(), why.en());
        return;
    }
    let audience: Vec<_> = decision.reach.lists().into_iter().map(crate::rules::Audience::as_str).collect();
    println!(
        "to {} in {}, priority {}, approval {}",
        audience.join(" and "),
        count(decision.regions.len(), "county", "counties"),
        decision.lane.number(),
        decision.approval.name
    );
    for forecast in forecasts {
        let people: u64 = forecast.people.values().sum();
        let time = match forecast.seconds {
            Some(seconds) => format!("{} at the configured rate", span(seconds)),
            None if !forecast.set_up => "nobody is told by it".into(),
            None => "no rate is configured: as fast as the provider takes it".into(),
        };
        let set_up = if forecast.set_up { "" } else { "  (NOT SET UP in config.toml)" };
        println!("\n{}{set_up}: {} addresses; {time}", forecast.channel.as_str().to_uppercase(), number(people));
        for (language, content) in &forecast.texts {
            println!("  {}", said(*language, content).replace('\n', "\n  "));
        }
    }
}

fn said(language: Language, content: &Content) -> String {
    let tag = language.tag();
    match content {
        Content::Sms(sms) => format!("[{tag}, {} parts] {}", encoding::parts(&sms.text), sms.text),
        Content::Email(mail) => format!("[{tag}] Subject: {}\n{}", mail.subject, mail.text.trim_end()),
        Content::Mqtt(mqtt) => format!("[{tag}] {}", mqtt.event),
        Content::Push(push) => format!("[{tag}] {}", push.payload),
    }
}

fn how(how: &How) -> String {
    match how {
        How::Polygon => "polygon".into(),
        How::Circle => "circle".into(),
        How::Geocode { name, value } => format!("{name} {value}"),
        How::Coast { sea } => format!("coast of {sea}"),
        How::Neighbour { of } => format!("beside {of}"),
    }
}

fn span(seconds: f64) -> String {
    let whole = Duration::from_secs_f64(seconds.clamp(0.0, 1e9)).as_secs();
    match whole {
        0..=119 => format!("{seconds:.1} s"),
        120..=7_199 => format!("{} min", whole / 60),
        _ => format!("{:.1} h", whole as f64 / 3_600.0),
    }
}
