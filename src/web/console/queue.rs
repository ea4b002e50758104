//! What needs me now, and the search over everything that came.

use std::collections::HashMap;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::Deserialize;

use crate::app::App;
use crate::approval::{Escalation, State as Stands};
use crate::messages::Language;
use crate::officers::Role;
use crate::regions::{RegionKind, RegionMap};
use crate::rules::{Stage, Then};
use crate::staff::Session;
use crate::store::{OfficerRow, QueueRow, StoreError};
use crate::tongues::fill;
use crate::web::page::{Fault, Frame, Mark, Moment, page, span};
use crate::web::session::SignedIn;
use crate::web::site::Site;
use crate::web::words::Words;
use crate::world::World;

/// Cards in each list of a page: nobody reads more, and the most urgent come first.
const CARDS: usize = 100;

/// One escalation, as the queue shows it.
pub(super) struct Card {
    id: i64,
    alert: String,
    mark: Mark,
    headline: String,
    jurisdiction: String,
    counties: usize,
    asked: String,
    taken: String,
    watchers: String,
    overdue: bool,
    uncalled: bool,
    unanswered: bool,
    /// Somebody has signed it, or looked at it.
    answered: bool,
    time: Countdown,
    button: &'static str,
}

#[derive(Template)]
#[template(path = "queue.html")]
struct QueuePage {
    frame: Frame,
    list: QueueList,
}

#[derive(Template)]
#[template(path = "queue_list.html")]
struct QueueList {
    frame: Frame,
    /// What this officer can do something about.
    own: Vec<Card>,
    /// What others decide.
    others: Vec<Card>,
    total: u64,
}

pub(super) async fn show<W: World>(State(site): State<Site>, SignedIn(session): SignedIn) -> Response {
    let frame = Frame::of::<W>(&session, "queue");
    match cards::<W>(&site, &session, frame.clone()).await {
        Ok(list) => page(&QueuePage { frame, list }),
        Err(error) => Fault::from(error).show(&frame),
    }
}

/// The list alone, for a page that is open.
pub(super) async fn list<W: World>(State(site): State<Site>, SignedIn(session): SignedIn) -> Response {
    let frame = Frame::of::<W>(&session, "queue");
    match cards::<W>(&site, &session, frame.clone()).await {
        Ok(list) => page(&list),
        Err(error) => Fault::from(error).show(&frame),
    }
}

async fn cards<W: World>(site: &Site, session: &Session, frame: Frame) -> Result<QueueList, StoreError> {
    let (now, officer) = (site.app.clock.now(), &session.officer);
    let Sorted { own, others, total } = sorted::<W>(&site.app, officer, CARDS).await?;
    let card = |row: &QueueRow<W>, own| {
        let watchers = site.watchers.of(&row.row.alert, &officer.name);
        Card { button: button(&row.row.escalation.state, own, frame.t), ..card(&site.app, row, watchers, frame.t, now) }
    };
    let own = own.iter().map(|row| card(row, true)).collect();
    let others = others.iter().map(|row| card(row, false)).collect();
    Ok(QueueList { own, others, total, frame })
}

/// The queue as one officer has it.
pub(in crate::web) struct Sorted<W: World> {
    /// What they can do something about, most urgent first.
    pub(in crate::web) own: Vec<QueueRow<W>>,
    /// What others decide.
    pub(in crate::web) others: Vec<QueueRow<W>>,
    /// How many are open in all.
    pub(in crate::web) total: u64,
}

/// Sorts everything that is open before it cuts: what is an officer's own shows, however much waits elsewhere.
pub(in crate::web) async fn sorted<W: World>(
    app: &App,
    officer: &OfficerRow,
    most: usize,
) -> Result<Sorted<W>, StoreError> {
    let open = app.store.open_escalations::<W>().await?;
    let total = open.len() as u64;
    let mut roles = HashMap::new();
    // Whoever wrote one that came back may have no role where it is decided, so that a row must be read to know.
    let (mut maybe, mut others): (Vec<i64>, Vec<i64>) = (Vec::new(), Vec::new());
    for row in open {
        let own = row.returned
            || *roles.entry(row.jurisdiction).or_insert_with_key(|code| !app.desk.who(officer, code).roles.is_empty());
        if own {
            maybe.push(row.id)
        } else if others.len() < most {
            others.push(row.id)
        }
    }
    let mut others = app.store.queue_rows::<W>(&others).await?;
    let mut own = Vec::new();
    let mut not_mine = Vec::new();
    for some in maybe.chunks(most.max(1)) {
        for row in app.store.queue_rows::<W>(some).await? {
            if is_own(app, officer, &row.row.escalation) { own.push(row) } else { not_mine.push(row) }
        }
        if own.len() >= most {
            break;
        }
    }
    own.truncate(most);
    // Both lists are in order; together by lane, theirs before other places'.
    not_mine.truncate(most);
    others.splice(0..0, not_mine);
    others.sort_by_key(|row| row.row.lane);
    others.truncate(most);
    Ok(Sorted { own, others, total })
}

fn is_own<W: World>(app: &App, officer: &OfficerRow, escalation: &Escalation<W>) -> bool {
    let who = app.desk.who(officer, &escalation.jurisdiction);
    match escalation.state {
        Stands::Returned { .. } => escalation.authors.contains(&who.id) || who.roles.contains(&Role::Author),
        _ => escalation.next_stage(&who).is_some(),
    }
}

fn card<W: World>(app: &App, row: &QueueRow<W>, watchers: String, words: Words, now: DateTime<Utc>) -> Card {
    let escalation = &row.row.escalation;
    let policy = app.policy.load();
    let name = policy.map.get(&escalation.jurisdiction).map_or("", |region| region.name_in(words.language));
    Card {
        id: row.row.id,
        alert: row.row.alert.clone(),
        mark: if row.msg_type == "Cancel" { Mark::ended() } else { Mark::of_severity(&row.severity) },
        headline: row.headline.clone(),
        jurisdiction: name.to_owned(),
        counties: escalation.regions.len(),
        asked: asked(escalation, words),
        taken: escalation.taken.as_ref().map(|taken| taken.name.clone()).unwrap_or_default(),
        watchers,
        overdue: escalation.overdue,
        uncalled: escalation.uncalled,
        unanswered: escalation.is_unanswered(),
        answered: !escalation.signatures.is_empty() || escalation.taken.is_some(),
        time: countdown(escalation, words, now),
        button: "",
    }
}

/// What an officer can do about a card: whoever may not decide it is promised nothing else than to read it.
fn button(state: &Stands, own: bool, words: Words) -> &'static str {
    match state {
        _ if !own => words.s("Read it"),
        Stands::Returned { .. } => words.s("Mend it"),
        _ => words.s("Look and decide"),
    }
}

/// What an escalation waits for.
pub(super) fn asked<W: World>(escalation: &Escalation<W>, words: Words) -> String {
    match &escalation.state {
        Stands::Waiting if escalation.one_is_enough() => words.s("one signature is enough now").to_owned(),
        Stands::Waiting => match escalation.missing().as_slice() {
            [Stage::Review, Stage::Sign] => words.s("waits for review and signature").to_owned(),
            [Stage::Review] => words.s("waits for review").to_owned(),
            _ => words.s("waits for signature").to_owned(),
        },
        Stands::Returned { by, reason } => format!("{} {by}：{reason}", words.s("returned by")),
        Stands::Approved => words.s("approved; its messages cannot be made yet").to_owned(),
        Stands::Released { by } => format!("{} {by}", words.s("released; signed by")),
        Stands::Rejected { by, reason } => format!("{} {by}：{reason}", words.s("rejected by")),
        Stands::Withdrawn { by, reason } => format!("{} {by}：{reason}", words.s("withdrawn by")),
        Stands::Expired => words.s("lapsed: nobody decided in time").to_owned(),
    }
}

/// What is left of a ladder's step, and what happens then.
#[derive(Default)]
pub(super) struct Countdown {
    /// When it began and ends, milliseconds since 1970; 0 where nothing is counted.
    pub(super) from: i64,
    pub(super) due: i64,
    pub(super) share: i64,
    /// Its time is over: what is left is not for answering any more.
    pub(super) overdue: bool,
    /// How the script writes what is left.
    pub(super) pattern: &'static str,
    pub(super) left: String,
    pub(super) then: &'static str,
}

/// The time that a step leaves.
pub(super) fn countdown<W: World>(escalation: &Escalation<W>, words: Words, now: DateTime<Utc>) -> Countdown {
    let steps = &escalation.approval.steps;
    let returned = matches!(escalation.state, Stands::Returned { .. });
    let step = steps.get(escalation.step).or(steps.last().filter(|_| returned));
    let (Some(due), Some(step), Stands::Waiting | Stands::Returned { .. }) = (escalation.due, step, &escalation.state)
    else {
        return Countdown { overdue: escalation.overdue, ..Countdown::default() };
    };
    let (whole, left) = (step.within.time().num_milliseconds().max(1), (due - now).num_milliseconds().max(0));
    let then = match step.then {
        _ if escalation.overdue => "",
        _ if returned => words.s("then more officers are called to mend it"),
        Then::Next => words.s("then the next officer is called"),
        Then::ReleaseSigned => words.s("then one signature is enough"),
        Then::Release => words.s("then it goes out by itself"),
        Then::Hold => words.s("then it is overdue and you are called again"),
        Then::Lapse => words.s("then it lapses"),
    };
    let (due, overdue) = (due.timestamp_millis(), escalation.overdue);
    let pattern = if overdue { words.s("called again in {}") } else { words.s("{} left") };
    let (from, share, left) =
        (due - whole, (left * 100 / whole).min(100), fill(pattern, &[&span(left / 1_000, words)]));
    Countdown { from, due, share, overdue, pattern, left, then }
}

#[derive(Deserialize)]
pub(super) struct Search {
    #[serde(default)]
    q: String,
    #[serde(default)]
    before: String,
}

struct Found {
    id: String,
    received: Moment,
    mark: Mark,
    headline: String,
    kind: String,
    state: String,
    bureau: String,
}

#[derive(Template)]
#[template(path = "alerts.html")]
struct Alerts {
    frame: Frame,
    q: String,
    rows: Vec<Found>,
    older: String,
}

/// Alerts by words.
pub(super) async fn search<W: World>(
    State(site): State<Site>,
    SignedIn(session): SignedIn,
    Query(search): Query<Search>,
) -> Response {
    const PAGE: usize = 50;
    let frame = Frame::of::<W>(&session, "alerts");
    let before = DateTime::parse_from_rfc3339(&search.before).ok().map(|at| at.to_utc());
    let places = alike(&site.app.policy.load().map, search.q.trim());
    let asked = (search.q.as_str(), places.as_slice());
    let found = site.app.store.search_alerts(W::STATUS.as_str(), asked, before, PAGE as i64).await;
    let found = match found {
        Ok(found) => found,
        Err(error) => return Fault::from(error).show(&frame),
    };
    let now = site.app.clock.now();
    let older = found.get(PAGE - 1).map(|row| row.received_at.to_rfc3339()).unwrap_or_default();
    let rows = found
        .into_iter()
        .map(|row| Found {
            received: Moment::new(row.received_at, now, frame.t),
            mark: if row.msg_type == "Cancel" { Mark::ended() } else { Mark::of_severity(&row.severity) },
            kind: kind(&row.msg_type, frame.t).to_owned(),
            state: stands(&row, frame.t).to_owned(),
            id: row.id,
            headline: row.headline,
            bureau: row.bureau,
        })
        .collect();
    page(&Alerts { frame, q: search.q, rows, older })
}

/// What the codes of a place and of all that lies in it are like: `33____` for a province, the code itself where others begin so too.
fn alike(map: &RegionMap, name: &str) -> Vec<String> {
    /// Places of one name that are looked for, and codes of a place whose counties have codes of all kinds.
    const MOST: usize = 8;
    const CODES: usize = 64;
    let mut found = Vec::new();
    for region in super::compose::named(map, name).into_iter().take(MOST) {
        let below: Vec<&str> = map.counties_below(&region.code).iter().map(|county| county.code.as_str()).collect();
        let code = region.code.as_str();
        let shared = code.bytes().take_while(|b| *b != b'0').count();
        let (start, rest) = code.split_at(shared.next_multiple_of(2).min(code.len()));
        let like = |other: &str| other.len() == code.len() && other.starts_with(start);
        let all = map.regions().filter(|other| other.kind == RegionKind::County && like(other.code.as_str())).count();
        if below.len() > 1 && all == below.len() && below.iter().all(|county| like(county)) {
            found.push(format!("{start}{}", "_".repeat(rest.len())));
        } else {
            found.push(code.to_owned());
            found.extend(below.iter().take(CODES).map(|county| (*county).to_owned()));
        }
    }
    found
}

/// A kind of alert in words.
pub(super) fn kind(msg_type: &str, words: Words) -> &'static str {
    let zh = words.language == Language::Chinese;
    match msg_type {
        "Alert" if zh => "首发",
        "Update" if zh => "更新",
        "Cancel" if zh => "解除",
        "Alert" => "first warning",
        "Update" => "update",
        "Cancel" => "cancel",
        _ if zh => "回执",
        _ => "reply",
    }
}

/// Where an alert stands, in words.
pub(super) fn stands(row: &crate::store::AlertRow, words: Words) -> &'static str {
    use crate::store::AlertState;
    match row.state {
        _ if row.superseded_by.is_some() => words.s("replaced"),
        AlertState::Withheld => words.s("goes to nobody"),
        AlertState::Waiting => words.s("waits for officers"),
        AlertState::Partly => words.s("released in part"),
        AlertState::Released => words.s("released"),
        AlertState::Closed => words.s("closed without release"),
    }
}
