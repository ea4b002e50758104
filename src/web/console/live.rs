//! Is it arriving? One reader of the store for each thing watched, however many consoles watch it.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use askama::Template;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde_json::{Value, json};
use tocsin_channels::Class;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::acts::correct_word;
use super::alert::mark;
use super::preview::channel_name;
use super::refused::Refused;
use super::told::{Column, Tallies, state_name};
use crate::app::App;
use crate::approval::{DeskError, Rest};
use crate::delivery::DeliveryState;
use crate::dispatch::Lamp;
use crate::messages::Language;
use crate::officers::Role;
use crate::staff::Session;
use crate::store::{AlertRow, StoreError};
use crate::web::page::{Fault, Frame, Mark, page_with};
use crate::web::session::{SESSION, SignedIn, cookie};
use crate::web::site::Site;
use crate::web::words::Words;
use crate::world::World;

/// The store is read this often at the most for what is watched.
const ROUND: Duration = Duration::from_secs(1);

/// Sending goes first: how long nothing is read after a reading that took so long, and that so many are told of.
fn pause(took: Duration, watching: usize) -> Duration {
    let telling = Duration::from_millis(2) * u32::try_from(watching).unwrap_or(u32::MAX);
    ROUND + (took * 30 + telling).min(ROUND * 4)
}

/// Whoever listens is asked this often whether their session still holds.
const STILL: Duration = Duration::from_secs(15);

type Snapshot = Arc<str>;

/// What is being watched, by name.
pub(in crate::web) struct Live {
    app: Arc<App>,
    watchers: Arc<Watchers>,
    tallies: Arc<Tallies>,
    stop: CancellationToken,
    streams: Mutex<HashMap<String, watch::Sender<Snapshot>>>,
}

impl Live {
    pub(in crate::web) fn new(
        app: Arc<App>,
        watchers: Arc<Watchers>,
        tallies: Arc<Tallies>,
        stop: CancellationToken,
    ) -> Self {
        Self { app, watchers, tallies, stop, streams: Mutex::default() }
    }

    fn queue<W: World>(&self) -> watch::Receiver<Snapshot> {
        let (app, watchers) = (Arc::clone(&self.app), Arc::clone(&self.watchers));
        self.watch(format!("queue/{}", W::SLUG), move || {
            let (app, watchers) = (Arc::clone(&app), Arc::clone(&watchers));
            async move { queue_snapshot::<W>(&app, &watchers).await }
        })
    }

    fn alert<W: World>(&self, id: &str) -> watch::Receiver<Snapshot> {
        let (app, tallies, alert) = (Arc::clone(&self.app), Arc::clone(&self.tallies), id.to_owned());
        self.watch(format!("alert/{id}"), move || {
            let (app, tallies, alert) = (Arc::clone(&app), Arc::clone(&tallies), alert.clone());
            async move { alert_snapshot::<W>(&app, &tallies, &alert).await }
        })
    }

    /// A receiver of what `read` gives, read once for all who watch, as long as somebody does.
    fn watch<R>(&self, name: String, read: impl Fn() -> R + Send + 'static) -> watch::Receiver<Snapshot>
    where
        R: Future<Output = Result<String, StoreError>> + Send,
    {
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        // A reader stops when its last watcher has gone, and its sender with it.
        streams.retain(|_, sender| sender.receiver_count() > 0);
        if let Some(sender) = streams.get(&name) {
            return sender.subscribe();
        }
        let (sender, receiver) = watch::channel(Snapshot::from(""));
        streams.insert(name, sender.clone());
        let stop = self.stop.clone();
        tokio::spawn(async move {
            while sender.receiver_count() > 0 {
                let began = Instant::now();
                match read().await {
                    Ok(now) => {
                        sender.send_if_modified(|last| {
                            let changed = **last != *now;
                            if changed {
                                *last = Snapshot::from(now.as_str());
                            }
                            changed
                        });
                    }
                    Err(error) => tracing::error!(%error, "what is watched cannot be read"),
                }
                tokio::select! {
                    () = tokio::time::sleep(pause(began.elapsed(), sender.receiver_count())) => {}
                    () = stop.cancelled() => return,
                }
            }
        });
        receiver
    }
}

async fn queue_snapshot<W: World>(app: &App, watchers: &Watchers) -> Result<String, StoreError> {
    let open = app.store.open_escalations::<W>().await?;
    let total = open.len();
    let newest = open.iter().filter(|row| row.lane.number() == 0).map(|row| row.id).max().unwrap_or(0);
    let ids: Vec<i64> = open.iter().map(|row| row.id).collect();
    // Who is told of something new has it on their own page, however far down it stands in everybody's.
    let order = crate::officers::token_digest(&format!("{ids:?}"));
    let rows = app.store.queue_rows::<W>(ids.get(..100).unwrap_or(&ids)).await?;
    let seen: String = rows
        .iter()
        .map(|row| {
            let e = &row.row.escalation;
            let due = e.due.map_or(0, |due| due.timestamp_millis());
            let taken = e.taken.as_ref().map_or(0, |taken| taken.by.0);
            let watched = watchers.of(&row.row.alert, "");
            format!(
                "{}/{}/{}/{}/{due}/{taken}/{watched};",
                row.row.id,
                e.state.as_str(),
                e.revision,
                e.signatures.len()
            )
        })
        .collect();
    let digest = crate::officers::token_digest(&format!("{order}{seen}"));
    let unanswered = app.store.unanswered::<W>().await?;
    Ok(json!({"total": total, "newest_red": newest, "unanswered": unanswered, "digest": digest.get(..16)}).to_string())
}

async fn alert_snapshot<W: World>(app: &App, tallies: &Tallies, id: &str) -> Result<String, StoreError> {
    let channels = app.store.states(id).await?;
    let held = app.store.is_held(id).await?;
    let state = app.store.alert(id).await?.map(|row| (row.state, row.superseded_by));
    let parts = app.store.escalation_states(id).await?;
    let reason = |lamp: &Lamp, language| reason(lamp, Words::from(language));
    let lamps: BTreeMap<String, Value> = (app.engine.lamps().iter())
        .map(|lamp| {
            let [zh, en] = [Language::Chinese, Language::English].map(|language| reason(lamp, language));
            (lamp.name.clone(), json!({"up": lamp.up, "zh": zh, "en": en}))
        })
        .collect();
    let unanswered = app.store.unanswered::<W>().await?;
    let shares = tallies.shares(app, id).await?;
    let told = json!({"channels": channels, "held": held, "state": state, "parts": parts, "lamps": lamps, "shares": shares,
        "unanswered": unanswered});
    Ok(told.to_string())
}

/// Why a provider's lamp shows what it shows: what it answered since the start beside "taken", and how much it was slowed down.
fn reason(lamp: &Lamp, words: Words) -> String {
    let said = lamp.answers.iter().filter(|(class, n)| *class != Class::Accepted && *n > 0);
    let mut parts: Vec<String> = said.map(|(class, n)| format!("{} {n}", class_name(*class, words))).collect();
    if lamp.share < 0.995 {
        parts.insert(0, words.f("slowed down to {} %", (lamp.share * 100.0).round()));
    }
    parts.join(" · ")
}

fn class_name(class: Class, words: Words) -> &'static str {
    match class {
        Class::Accepted => words.s("taken over"),
        Class::Throttled => words.s("too fast"),
        Class::Transient => words.s("try later, or no connection"),
        Class::Ambiguous => words.s("no answer"),
        Class::BadAddress => words.s("no such address"),
        Class::Policy => words.s("our account is refused"),
        Class::Content => words.s("the content is refused"),
        Class::OptedOut => words.s("asked to be left alone"),
    }
}

/// Who has which alert open.
#[derive(Default)]
pub(in crate::web) struct Watchers {
    open: Mutex<HashMap<String, HashMap<String, usize>>>,
}

impl Watchers {
    /// The names of those who have it open, but for one's own.
    pub(in crate::web) fn of(&self, alert: &str, own: &str) -> String {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let mut names: Vec<_> =
            open.get(alert).into_iter().flat_map(HashMap::keys).filter(|name| *name != own).cloned().collect();
        names.sort();
        names.join("、")
    }
}

/// Somebody has an alert open, until this is dropped.
struct Watching {
    watchers: Arc<Watchers>,
    alert: String,
    name: String,
}

impl Watching {
    fn new(watchers: &Arc<Watchers>, alert: &str, name: &str) -> Self {
        let mut open = watchers.open.lock().unwrap_or_else(PoisonError::into_inner);
        *open.entry(alert.to_owned()).or_default().entry(name.to_owned()).or_default() += 1;
        Self { watchers: Arc::clone(watchers), alert: alert.to_owned(), name: name.to_owned() }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let mut open = self.watchers.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(names) = open.get_mut(&self.alert) {
            if let Some(count) = names.get_mut(&self.name) {
                *count -= 1;
            }
            names.retain(|_, count| *count > 0);
        }
        open.retain(|_, names| !names.is_empty());
    }
}

/// A stream of snapshots. Each is whole, so whoever comes back after a break has everything with the first one. It ends with the
/// session.
fn events(receiver: watch::Receiver<Snapshot>, site: Site, token: String, watching: Option<Watching>) -> Response {
    let asked = tokio::time::interval_at(tokio::time::Instant::now() + STILL, STILL);
    let begin = (receiver, (site, token, asked), watching, 0_u64);
    let stream = stream::unfold(begin, |(mut receiver, mut whose, watching, sent)| async move {
        let (site, token, asked) = &mut whose;
        loop {
            if sent > 0 || receiver.borrow().is_empty() {
                tokio::select! {
                    changed = receiver.changed() => if changed.is_err() { return None },
                    // A session that cannot be looked up ends too: the page comes back by itself.
                    _ = asked.tick() => if !matches!(site.app.staff.session(token, false).await, Ok(Some(_))) { return None },
                    () = site.stop.cancelled() => return None,
                }
            }
            let now = Arc::clone(&receiver.borrow_and_update());
            if !now.is_empty() {
                let event = Event::default().id(sent.to_string()).data(&*now);
                return Some((Ok::<_, Infallible>(event), (receiver, whose, watching, sent + 1)));
            }
        }
    });
    let mut answer = Sse::new(stream).keep_alive(KeepAlive::new().interval(Duration::from_secs(10))).into_response();
    // A proxy that gathers before it passes on would make "live" late.
    answer.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    answer
}

/// What a stream goes on asking with.
fn token(site: &Site, headers: &HeaderMap) -> String {
    cookie(site, headers, SESSION).unwrap_or_default().to_owned()
}

pub(super) async fn queue_events<W: World>(
    State(site): State<Site>,
    SignedIn(_): SignedIn,
    headers: HeaderMap,
) -> Response {
    let token = token(&site, &headers);
    events(site.live.queue::<W>(), site, token, None)
}

pub(super) async fn alert_events<W: World>(
    State(site): State<Site>,
    SignedIn(session): SignedIn,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Response {
    let known = site.app.store.alert(&id).await;
    if !known.is_ok_and(|row| row.is_some_and(|row| row.status == W::STATUS.as_str())) {
        return Fault::Unknown.show(&Frame::of::<W>(&session, ""));
    }
    let watching = Watching::new(&site.watchers, &id, &session.officer.name);
    let token = token(&site, &headers);
    events(site.live.alert::<W>(&id), site, token, Some(watching))
}

struct Cell {
    state: &'static str,
    n: u64,
}

struct ChannelRow {
    kind: &'static str,
    channel: String,
    total: u64,
    done: u64,
    cells: Vec<Cell>,
}

struct LampRow {
    name: String,
    channel: &'static str,
    /// Of this alert: how many it has taken over, and how many are still to go there.
    accepted: u64,
    open: u64,
    up: bool,
    reason: String,
}

#[derive(Template)]
#[template(path = "live.html")]
struct LivePage {
    frame: Frame,
    alert: AlertRow,
    mark: Mark,
    /// The correction of it, or of some parts of it, and what it says of the rest.
    correction: Option<(&'static str, AlertRow)>,
    /// What else has taken its place.
    newer: Option<AlertRow>,
    can_stop: bool,
    can_resend: bool,
    can_sign: bool,
    held: bool,
    word: &'static str,
    states: Vec<Column>,
    channels: Vec<ChannelRow>,
    lamps: Vec<LampRow>,
    regions_list: String,
    /// What was refused, where this page answers that.
    refused: Option<Refused>,
}

impl LivePage {
    fn refused(&self, form: &str) -> Option<&Refused> {
        self.refused.as_ref().filter(|refused| refused.is_of(form))
    }

    /// What was refused whose form is gone, or never was theirs.
    fn refused_without_form(&self) -> Option<&Refused> {
        let shown = [("resume", self.can_sign && self.held), ("correct", self.can_sign), ("resend", self.can_resend)];
        self.refused.as_ref().filter(|refused| !shown.iter().any(|(form, shown)| *shown && refused.is_of(form)))
    }

    /// What was typed into a field of a form that was refused.
    fn typed(&self, form: &str, field: &str) -> &str {
        self.refused(form).map_or("", |refused| refused.typed(field))
    }
}

pub(super) async fn show<W: World>(
    State(site): State<Site>,
    SignedIn(session): SignedIn,
    Path(id): Path<String>,
) -> Response {
    answer::<W>(&site.app, &session, &id, None).await
}

/// The page; after an act that was refused, with that.
pub(super) async fn answer<W: World>(app: &App, session: &Session, id: &str, refused: Option<Refused>) -> Response {
    let frame = Frame::of::<W>(session, "alerts");
    let status = refused.as_ref().map_or(StatusCode::OK, |refused| refused.status);
    match load::<W>(app, session, id, frame.clone(), refused).await {
        Ok(found) => page_with(status, &found),
        Err(fault) => fault.show(&frame),
    }
}

/// What is said of an alert that is corrected, or of which parts are.
async fn corrected(app: &App, alert: &AlertRow, replaced: bool, words: Words) -> Result<&'static str, DeskError> {
    let rest = match alert.superseded_by {
        Some(_) => Rest::Over,
        None => app.desk.rest(&alert.id).await?,
    };
    Ok(match rest {
        _ if replaced => words.s("Parts of it were corrected:"),
        Rest::Stands => words.s("Parts of it are corrected; others stand:"),
        Rest::Stopped => words.s("Parts of it are corrected; the others are stopped:"),
        Rest::Open => words.s("What went out of it is corrected; the rest has not gone out yet:"),
        Rest::Over => words.s("It is corrected, and nothing more of it goes out:"),
    })
}

async fn load<W: World>(
    app: &App,
    session: &Session,
    id: &str,
    frame: Frame,
    refused: Option<Refused>,
) -> Result<LivePage, Fault> {
    let alert = app.store.alert(id).await?.filter(|row| row.status == W::STATUS.as_str()).ok_or(Fault::Unknown)?;
    let material = app.desk.material(id).await?;
    let may = |roles: &'static [Role]| app.desk.may_recall(id, &session.officer, roles);
    let counts = app.store.states(id).await?;
    let row = |(kind, counts): (&tocsin_channels::ChannelKind, &crate::delivery::StateCounts)| ChannelRow {
        kind: kind.as_str(),
        channel: channel_name(*kind, frame.t).to_owned(),
        total: counts.total(),
        done: counts.total() - counts.open(),
        cells: DeliveryState::ALL.iter().map(|state| Cell { state: state.as_str(), n: counts.get(*state) }).collect(),
    };
    let correction = app.desk.correction(id).await?;
    let is_correction = |id: &String| correction.as_ref().is_some_and(|correction| correction.id == *id);
    let newer = match alert.superseded_by.as_ref().filter(|id| !is_correction(id)) {
        Some(newer) => app.store.alert(newer).await?,
        None => None,
    };
    let correction = match correction {
        Some(correction) => Some((corrected(app, &alert, newer.is_some(), frame.t).await?, correction)),
        None => None,
    };
    let regions: Vec<_> = material.decision.regions.iter().map(crate::regions::RegionCode::as_str).collect();
    Ok(LivePage {
        mark: mark(&alert, &material.alert),
        correction,
        newer,
        can_stop: may(&[Role::Operator, Role::Reviewer, Role::Signer]).await?,
        can_resend: may(&[Role::Operator, Role::Signer]).await?,
        can_sign: may(&[Role::Signer]).await?,
        held: app.store.is_held(id).await?,
        word: correct_word::<W>(session.officer.language),
        states: DeliveryState::ALL.iter().map(|state| Column { name: state_name(*state, frame.t) }).collect(),
        lamps: (app.engine.lamps().into_iter())
            .map(|lamp| {
                let own = counts.get(&lamp.channel);
                LampRow {
                    channel: lamp.channel.as_str(),
                    accepted: own.map_or(0, |own| own.get(DeliveryState::Accepted)),
                    open: own.map_or(0, crate::delivery::StateCounts::open),
                    up: lamp.up,
                    reason: reason(&lamp, frame.t),
                    name: lamp.name,
                }
            })
            .collect(),
        channels: counts.iter().map(row).collect(),
        regions_list: regions.join(","),
        refused,
        alert,
        frame,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_console_is_told_each_second_and_five_hundred_every_other_so_that_sending_goes_first() {
        let ms = Duration::from_millis;
        assert_eq!(pause(ms(0), 1), ms(1_002));
        assert_eq!(pause(ms(10), 1), ms(1_302), "what takes long to read is read less often");
        assert_eq!(pause(ms(0), 500), ms(2_000));
        assert_eq!(pause(ms(10_000), 100_000), ms(5_000), "and never is anybody left waiting for long");
    }
}
