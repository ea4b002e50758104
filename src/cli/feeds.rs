//! `tocsin feeds`: how each source is.

use chrono::Utc;

use super::Context;
use crate::config::Config;
use crate::show::{Failure, beijing, cut, number, table};
use crate::sources::{Condition, Health, SourceConfig, SourceTerms};

pub(crate) async fn run(context: &Context) -> Result<bool, Failure> {
    let config = context.config()?;
    let all = Health::all(&config.sources, &context.standing_store().await?, Utc::now()).await?;
    let well = all.iter().all(|source| source.condition == Condition::Ok);
    let asks: Vec<String> = config.sources.iter().map(|source| asks(&config, source)).collect();
    if context.json {
        let with_asks = |(source, asks): (&Health, &String)| {
            let mut shown = serde_json::json!(source);
            shown.as_object_mut().map(|members| members.insert("asks".into(), asks.as_str().into()));
            shown
        };
        let all: Vec<_> = all.iter().zip(&asks).map(with_asks).collect();
        println!("{}", serde_json::json!({"sources": all}));
        return Ok(true);
    }
    if all.is_empty() {
        println!("config.toml names no source: see [[source]] there");
        return Ok(true);
    }
    let mut rows = vec![
        ["source", "bureau", "way", "state", "last good +08", "taken", "refused", "asks"].map(str::to_owned).to_vec(),
    ];
    for (source, asks) in all.iter().zip(asks) {
        let row = source.row.as_ref();
        let good = row
            .and_then(|row| row.good_at)
            .map_or_else(|| "-".to_owned(), |at| beijing(at).format("%m-%d %H:%M:%S").to_string());
        let count = |n: Option<u64>| number(n.unwrap_or(0));
        rows.push(vec![
            cut(&source.name, 24),
            cut(&source.bureau, 18),
            source.kind.into(),
            source.condition.as_str().into(),
            good,
            count(row.map(|row| row.taken)),
            count(row.map(|row| row.refused)),
            asks,
        ]);
    }
    print!("{}", table(&rows));
    for source in &all {
        let Some(why) = source.why("en") else { continue };
        let row = source.row.as_ref();
        let since = row.and_then(|row| row.failing_since);
        let since =
            since.map_or_else(String::new, |at| format!("failing since {}: ", beijing(at).format("%m-%d %H:%M:%S")));
        let next = row.filter(|row| row.failing_since.is_some()).and_then(|row| row.next_at);
        let next = next.map_or_else(String::new, |at| format!("; next try {}", beijing(at).format("%H:%M:%S")));
        println!("\n{}: {since}{why}{next}", source.name);
        if let Some(zh) = source.why("zh") {
            println!("  {zh}");
        }
    }
    // A script learns by the exit code that somebody should look.
    Ok(well)
}

/// The profiles that a source's alerts are held against, and what is done about its signatures.
fn asks(config: &Config, source: &SourceConfig) -> String {
    config.bureau_by(source).as_ref().map(SourceTerms::in_short).unwrap_or_default()
}
