//! What is wrong with what is typed, and what would go out of it, to whom.

use std::collections::BTreeSet;

use super::build::{ComposeForm, Composed, build};
use crate::app::App;
use crate::approval::{Amendment, Material, Replaced};
use crate::messages::Language;
use crate::regions::{RegionCode, RegionMap};
use crate::web::console::preview::{Text, forecast, rendered, texts};
use crate::web::page::Fault;
use crate::web::words::Words;
use crate::world::World;

/// What the checks found.
#[derive(Default)]
pub(super) struct Check {
    pub(super) faults: Vec<String>,
    pub(super) remarks: Vec<String>,
    pub(super) reaches: String,
    pub(super) matched: String,
    pub(super) places: Vec<String>,
    pub(super) texts: Vec<Text>,
}

/// Checks what is typed, and makes what would go out of it.
pub(super) async fn checked<W: World>(
    app: &App,
    form: &ComposeForm,
    words: Words,
) -> Result<(Check, Option<Material>), Fault> {
    let now = app.clock.now();
    let policy = app.policy.load_full();
    let Composed { alert, faults, remarks } = build::<W>(app, form, words, now).await?;
    let mut check = Check { faults, remarks, ..Check::default() };
    let Some(alert) = alert else { return Ok((check, None)) };
    let located = policy.map.locate(&crate::approval::areas(&alert), &policy.locate);
    let decision = crate::rules::decide(&alert, &located, &policy.rules, &policy.map, now);
    if let Some(why) = decision.withheld.filter(|_| form.refers.is_empty()) {
        check.faults.push(words.pick(why.zh(), why.en()).to_owned());
    }
    beyond(&policy.map, form, &decision.regions, alert.is_the_end(), words, &mut check);
    check.matched = decision.regions.iter().map(crate::regions::RegionCode::as_str).collect::<Vec<_>>().join(",");
    check.places = policy.map.name_places(&decision.regions, words.language);
    let material = Material {
        headline: Amendment::words_of(&alert, Language::Chinese).headline,
        alert,
        chain: String::new(),
        decision,
        replaced: Replaced::default(),
    };
    let regions = &material.decision.regions;
    let rendered = rendered(&policy, &material, &material.alert, regions)?;
    let forecast = forecast(app, &material, &rendered, regions, words).await?;
    let reaches = forecast.iter().map(|row| {
        let cost = if row.cost.is_empty() { String::new() } else { format!(", {}", row.cost) };
        format!("{} {} ({}{cost})", row.channel, row.addresses, row.time)
    });
    check.reaches = reaches.collect::<Vec<_>>().join(" · ");
    check.texts = texts(&rendered, words);
    Ok((check, Some(material)))
}

/// Says which of these counties others decide on, because they do not lie in the place in whose name it is.
fn beyond(map: &RegionMap, form: &ComposeForm, regions: &[RegionCode], end: bool, words: Words, check: &mut Check) {
    let Ok(voice) = form.region.parse() else { return };
    let others: Vec<_> = regions.iter().filter(|code| !map.is_in(code, &voice)).collect();
    if others.is_empty() {
        return;
    }
    if others.len() == regions.len() && !end {
        check.faults.push(words.s("None of these places lies in that in whose name it is").to_owned());
        return;
    }
    let provinces: BTreeSet<&str> = others
        .iter()
        .filter_map(|code| map.province_of(code))
        .map(|province| province.name_in(words.language))
        .collect();
    let provinces: Vec<_> = provinces.into_iter().collect();
    let asked = format!("{}（{}）", provinces.join("、"), others.len());
    check.remarks.push(words.f("Others are asked about their counties: {}", asked));
}
