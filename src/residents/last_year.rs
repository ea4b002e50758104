//! What somebody would have been told of in the last year, had they wished then what they wish now.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};

use super::concern::Concern;
use super::sign_up::{ResidentError, Residents};
use super::wishes::telling;
use crate::cap::Alert;
use crate::messages::Language;
use crate::regions::{Located, RegionCode, RegionMap};
use crate::rules::{Audience, Decision};
use crate::store::{AlertRow, Place, StoreError};

/// How far back.
const YEAR: TimeDelta = TimeDelta::days(365);
/// Alerts read at a time.
const PAGE: i64 = 500;
/// Alerts of somebody's counties that are looked through, and those that are shown. Where there are more, it is said.
const LOOKED_AT: usize = 5_000;
const SHOWN: usize = 200;

/// An alert of the last year that somebody would have been told of.
#[derive(Debug, Clone)]
pub struct Would {
    /// Its id.
    pub id: String,
    /// Its headline.
    pub headline: String,
    /// The headline's language, as the alert names it.
    pub language: String,
    /// When it was sent.
    pub sent: DateTime<Utc>,
    /// The names of the places that it concerned.
    pub places: Vec<String>,
    /// Their quiet hours would have held it back until then.
    pub held: Option<DateTime<Utc>>,
}

/// The last year, newest first.
#[derive(Debug, Clone, Default)]
pub struct LastYear {
    /// What they would have been told of.
    pub told: Vec<Would>,
    /// There was more, further back.
    pub more: bool,
}

impl Residents {
    /// The public alerts of the last year that somebody would have been told of with what they wish now.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn would_have(&self, subscriber: i64, language: Language) -> Result<LastYear, ResidentError> {
        let places = self.store.places_of(subscriber).await?;
        let (since, policy) = (self.clock.now() - YEAR, self.policy.load_full());
        let (own, beside) = told_with(&places, &policy.map);
        let (mut year, mut looked_at, mut last) = (LastYear::default(), 0, None);
        while !own.is_empty() {
            let page = self.store.alerts_sent_out((&own, &beside), since, last.as_ref(), PAGE).await?;
            for row in &page {
                if year.told.len() >= SHOWN || looked_at >= LOOKED_AT {
                    return Ok(LastYear { more: true, ..year });
                }
                looked_at += 1;
                year.told.extend(self.would(row, &places, language, &policy.map).await?);
            }
            match page.into_iter().next_back() {
                Some(row) => last = Some((row.received_at, row.id)),
                None => break,
            }
        }
        Ok(year)
    }

    async fn would(
        &self,
        row: &AlertRow,
        places: &[Place],
        language: Language,
        map: &RegionMap,
    ) -> Result<Option<Would>, StoreError> {
        // What officials alone were told of is nobody else's.
        let decision = serde_json::from_value::<Decision>(row.decision.clone()).ok();
        let Some(decision) = decision.filter(|one| one.reach.lists().contains(&Audience::Public)) else {
            return Ok(None);
        };
        let located: Located = serde_json::from_value(self.store.located(&row.id).await?).unwrap_or_default();
        if !located.is_drawn() && !places.iter().any(|place| decision.regions.contains(&place.region)) {
            return Ok(None);
        }
        let Some(alert) = self.store.alert_as_read(&row.id).await? else { return Ok(None) };
        let concern = Concern::of(map, &alert, &located);
        let told: BTreeMap<_, _> =
            concern.ground.counties(&decision.regions).map(|(_, county, who)| (county, who)).collect();
        let inside = |place: &Place| told.get(&place.region).is_some_and(|who| concern.ground.means(*who, place.point));
        let means = |place: &&Place| place.wishes.want(concern.danger) && inside(place);
        let own: Vec<&Place> = places.iter().filter(means).collect();
        let telling = telling(own.iter().map(|place| &place.wishes), concern.danger, row.sent);
        let (headline, language) = headline(&alert, row, language);
        Ok(telling.map(|telling| Would {
            id: row.id.clone(),
            headline,
            language,
            sent: row.sent,
            places: own.iter().map(|place| place.name.clone()).collect(),
            held: telling.hold,
        }))
    }
}

/// The counties of these places; and those with which a spot is told where a shape hardly touches its own: the neighbours, and, as islands
/// have none, the other counties of its prefecture. Of these only what has a shape can concern it.
fn told_with(places: &[Place], map: &RegionMap) -> (Vec<RegionCode>, Vec<RegionCode>) {
    let own: BTreeSet<&RegionCode> = places.iter().map(|place| &place.region).collect();
    let mut beside = BTreeSet::new();
    for place in places.iter().filter(|place| place.point.is_some()) {
        let prefecture = map.get(&place.region).and_then(|county| county.parent.as_ref());
        beside.extend(prefecture.into_iter().flat_map(|code| map.counties_below(code)).map(|county| &county.code));
        beside.extend(map.neighbours(&place.region).map(|county| &county.code));
    }
    let listed = |codes: &BTreeSet<&RegionCode>| codes.iter().map(|code| (*code).clone()).collect();
    (listed(&own), listed(&(&beside - &own)))
}

/// The headline in the reader's language where the alert has it, else as it stands in lists; and which language that is.
fn headline(alert: &Alert, row: &AlertRow, language: Language) -> (String, String) {
    let own = alert.info_in(language.tag()).and_then(|info| Some((info.headline.clone()?, info.language.clone())));
    own.unwrap_or_else(|| (row.headline.clone(), Language::Chinese.tag().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cap::Point;
    use crate::clock::Clock as _;
    use crate::residents::Wishes;
    use crate::residents::test_world::World;
    use crate::rules::{Approval, Lane, Reach};
    use crate::store::{AlertState, NewAlert, insert_alert};

    struct One<'a> {
        id: String,
        region: &'a str,
        reach: Reach,
        ago: TimeDelta,
    }

    impl World {
        /// Puts warnings of rain on record, in Chinese and English.
        async fn alerts(&self, all: &[One<'_>]) {
            let mut tx = self.store.begin().await.unwrap();
            for one in all {
                let sent = self.clock.now() - one.ago;
                let (id, time) = (one.id.as_str(), sent.format("%Y-%m-%dT%H:%M:%S+00:00"));
                let info = |language: &str, headline: &str| {
                    format!(
                        "<info><language>{language}</language><category>Met</category><event>暴雨</event><urgency>Expected</urgency>\
                         <severity>Moderate</severity><certainty>Likely</certainty><headline>{headline}</headline>\
                         <area><areaDesc>x</areaDesc></area></info>"
                    )
                };
                let raw = format!(
                    "<alert xmlns=\"urn:oasis:names:tc:emergency:cap:1.2\"><identifier>{id}</identifier><sender>s</sender>\
                     <sent>{time}</sent><status>Actual</status><msgType>Alert</msgType><scope>Public</scope>{}{}</alert>",
                    info("zh-CN", &format!("暴雨 {id}")),
                    info("en-US", &format!("Rain {id}")),
                );
                let decision = Decision {
                    regions: vec![one.region.parse().unwrap()],
                    reach: one.reach,
                    channels: BTreeSet::new(),
                    lane: Lane::MODERATE,
                    approval: Approval::none(),
                    template: None,
                    rules: Vec::new(),
                    withheld: None,
                };
                let row = AlertRow {
                    id: id.to_owned(),
                    sender: "s".into(),
                    identifier: id.to_owned(),
                    sent,
                    msg_type: "Alert".into(),
                    status: "Actual".into(),
                    hazard: "rainstorm".into(),
                    severity: "Moderate".into(),
                    headline: format!("暴雨 {id}"),
                    expires: None,
                    bureau: "b".into(),
                    received_at: sent,
                    verdict: "accepted".into(),
                    state: AlertState::Released,
                    chain: id.to_owned(),
                    superseded_by: None,
                    ends: None,
                    findings: serde_json::json!([]),
                    decision: serde_json::to_value(&decision).unwrap(),
                };
                let (links, incidents) = (&[], &[]);
                let new = NewAlert {
                    row: &row,
                    format: "xml",
                    raw: raw.as_bytes(),
                    located: "{}",
                    says: "",
                    links,
                    incidents,
                };
                insert_alert(&mut tx, &new).unwrap();
            }
            tx.commit().await.unwrap();
        }
    }

    const PUBLIC: Reach = Reach::Live { public: true, officials: true };

    #[tokio::test]
    async fn the_whole_year_is_looked_through_in_ones_own_language_and_nothing_that_was_for_officials_shows() {
        let world = World::new().await;
        let me = world.sign_up("13812345678").await;
        let mine = |id: &str, reach, days| One { id: id.into(), region: "310118", reach, ago: TimeDelta::days(days) };
        let officials = Reach::Live { public: false, officials: true };
        let mut all = vec![mine("secret", officials, 1), mine("old", PUBLIC, 300), mine("older", PUBLIC, 366)];
        // Everybody else's of that time.
        let ago = TimeDelta::days(2);
        all.extend((0..1_200).map(|n| One { id: format!("n{n}"), region: "330106", reach: PUBLIC, ago }));
        world.alerts(&all).await;
        let year = world.residents.would_have(me, Language::English).await.unwrap();
        let told: Vec<_> = year.told.iter().map(|one| (one.headline.as_str(), one.language.as_str())).collect();
        assert_eq!((told, year.more), (vec![("Rain old", "en-US")], false));
        let year = world.residents.would_have(me, Language::Chinese).await.unwrap();
        assert_eq!(year.told[0].headline, "暴雨 old");
    }

    #[tokio::test]
    async fn a_year_that_is_cut_says_so_and_alerts_of_one_moment_are_all_there() {
        let world = World::new().await;
        let me = world.sign_up("13812345678").await;
        let all = |n: usize| -> Vec<_> {
            let one = |n| One { id: format!("n{n}"), region: "310118", reach: PUBLIC, ago: TimeDelta::days(1) };
            (n..n + SHOWN).map(one).collect()
        };
        world.alerts(&all(0)).await;
        let year = world.residents.would_have(me, Language::Chinese).await.unwrap();
        assert_eq!((year.told.len(), year.more), (SHOWN, false));
        world.alerts(&all(SHOWN)).await;
        let year = world.residents.would_have(me, Language::Chinese).await.unwrap();
        assert_eq!((year.told.len(), year.more), (SHOWN, true));
    }

    #[tokio::test]
    async fn a_spot_inside_a_shape_counts_where_the_shape_hardly_touches_its_county() {
        let map = RegionMap::delta().unwrap();
        // Wujiang, some metres from the border of Qingpu; and an island that no county of its prefecture borders, under a needle.
        let border = Point { lat: 31.0419, lon: 120.8955 };
        let lap = "31.0219,120.8954 31.0219,120.9354 31.0619,120.9354 31.0619,120.8954 31.0219,120.8954";
        let middle = |code: &str| map.middle(&code.parse().unwrap()).unwrap();
        let (Point { lat, lon }, island) = (middle("330921"), middle("330922"));
        let (top, tip) = (lat + 0.02, |at: f64, to: f64| at + 1.02 * (to - at));
        let needle = [
            (lat - 0.02, lon - 0.02),
            (lat - 0.02, lon + 0.02),
            (top, lon + 0.02),
            (top, lon + 0.001),
            (tip(top, island.lat), tip(lon, island.lon)),
            (top, lon - 0.001),
            (top, lon - 0.02),
            (lat - 0.02, lon - 0.02),
        ];
        let needle = needle.map(|(lat, lon)| format!("{lat},{lon}")).join(" ");
        for (home, spot, warned, shape) in
            [("320509", border, "310118", lap), ("330922", island, "330921", needle.as_str())]
        {
            let world = World::new().await;
            let me = world.sign_up("13812345678").await;
            let place = |name: &str, point| Place {
                id: 0,
                name: name.into(),
                region: home.parse().unwrap(),
                point,
                wishes: Wishes::default(),
            };
            world.residents.set_places(me, vec![place("岸边", Some(spot)), place("家", None)]).await.unwrap();
            world.alerts(&[One { id: "lap".into(), region: warned, reach: PUBLIC, ago: TimeDelta::days(1) }]).await;
            assert!(world.residents.would_have(me, Language::Chinese).await.unwrap().told.is_empty());
            let looked_at = async || {
                let (own, beside) = told_with(&world.store.places_of(me).await.unwrap(), &map);
                let since = world.clock.now() - YEAR;
                world.store.alerts_sent_out((&own, &beside), since, None, PAGE).await.unwrap().len()
            };
            assert_eq!(looked_at().await, 0, "a neighbour's alert without a shape is not looked at");
            let (raw, _) = world.store.alert_raw("lap").await.unwrap().unwrap();
            let drawn = format!("</areaDesc><polygon>{shape}</polygon>");
            let raw = String::from_utf8(raw).unwrap().replace("</areaDesc>", &drawn);
            let alert = crate::cap::read(raw.as_bytes()).alert.unwrap();
            let located = map.locate(&crate::approval::areas(&alert), &crate::regions::LocateOptions::default());
            assert_eq!(located.counties.iter().map(|found| found.region.as_str()).collect::<Vec<_>>(), [warned]);
            let mut tx = world.store.begin().await.unwrap();
            let located = serde_json::to_string(&located).unwrap();
            sqlx::query("UPDATE alert SET located = $1").bind(located).execute(&mut tx).await.unwrap();
            sqlx::query("UPDATE alert_raw SET raw = $1").bind(raw.as_bytes()).execute(&mut tx).await.unwrap();
            tx.commit().await.unwrap();
            assert_eq!(looked_at().await, 1);
            let year = world.residents.would_have(me, Language::Chinese).await.unwrap();
            assert_eq!(year.told.iter().map(|one| one.places.as_slice()).collect::<Vec<_>>(), [["岸边"]], "{home}");
        }
    }
}
