//! Pages for people: what is in force, by region, by source, by event. Chinese first; English by `?lang=en` or as the browser asks.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};

use super::answer::{Doc, Problem, answer};
use super::map;
use super::short::missing;
use super::told::{Told, changes, moment, told};
use crate::outlet::Shown;
use crate::publish::{self, Entry, Filter};
use crate::regions::{Region, RegionCode, RegionKind, RegionMap};
use crate::web::page::Mark;
use crate::web::site::Site;
use crate::web::words::Words;

const HTML: &str = "text/html; charset=utf-8";
const NO_REGION: Problem = Problem::Unknown("没有这个地区", "there is no such region");

/// What every page shows around its own part.
pub(super) struct Around {
    pub(super) t: Words,
    /// This page without a language, and what leads to the other language.
    pub(super) path: String,
    pub(super) updated: String,
}

/// A place or a source, with what holds there.
struct Link {
    href: String,
    name: String,
    mark: Option<Mark>,
    n: usize,
}

#[derive(Template)]
#[template(path = "public_home.html")]
struct Home {
    around: Around,
    answer: String,
    calm: bool,
    active: Vec<Told>,
    ended: Vec<Told>,
    map: String,
    provinces: Vec<Link>,
    sources: Vec<Link>,
}

#[derive(Template)]
#[template(path = "public_region.html")]
struct RegionPage {
    around: Around,
    name: String,
    code: String,
    above: Vec<Link>,
    below: Vec<Link>,
    answer: String,
    calm: bool,
    steps: Vec<String>,
    active: Vec<Told>,
    ended: Vec<Told>,
    map: String,
}

#[derive(Template)]
#[template(path = "public_source.html")]
struct SourcePage {
    around: Around,
    name: String,
    bureau: String,
    answer: String,
    calm: bool,
    active: Vec<Told>,
    ended: Vec<Told>,
    map: String,
}

#[derive(Template)]
#[template(path = "public_event.html")]
struct EventPage {
    around: Around,
    head: Told,
    chain: Vec<Step>,
    map: String,
}

/// One message of an event.
struct Step {
    told: Told,
    what: &'static str,
    changes: Vec<String>,
    published: String,
}

#[derive(Template)]
#[template(path = "public_find.html")]
struct Find {
    around: Around,
    asked: String,
    found: Vec<Link>,
}

/// The language: asked for, else the browser's.
fn words(query: Option<&str>, headers: &HeaderMap) -> Words {
    let asked = form_urlencoded::parse(query.unwrap_or_default().as_bytes()).find(|(name, _)| name == "lang");
    asked.and_then(|(_, tag)| Words::of_tag(&tag)).unwrap_or_else(|| Words::wanted(headers))
}

impl Around {
    pub(super) fn of(shown: &Shown, path: &str, words: Words) -> Self {
        Self { t: words, path: path.to_owned(), updated: moment(shown.board.updated, words) }
    }

    /// This page in another language.
    pub(super) fn to(&self, tag: &str) -> String {
        format!("{}{}lang={tag}", self.path, if self.path.contains('?') { '&' } else { '?' })
    }
}

/// Makes a page, keeps it, and hands it out.
pub(super) async fn paged<F, Fut>(
    site: &Site,
    headers: &HeaderMap,
    query: Option<String>,
    path: String,
    make: F,
) -> Response
where
    F: FnOnce(Arc<Shown>, Words, Around) -> Fut,
    Fut: Future<Output = Result<String, Problem>>,
{
    let words = words(query.as_deref(), headers);
    let key = format!("page {} {path}", words.tag());
    let mut page = answer(site, headers, key, async |shown| {
        let around = Around::of(&shown, &path, words);
        let body = make(Arc::clone(&shown), words, around).await?;
        Ok(Doc::new(HTML, body, &shown))
    })
    .await;
    if page.status() == StatusCode::NOT_FOUND {
        return missing(site, headers, words);
    }
    if page.status().is_success() {
        let tag = header::HeaderValue::from_static(words.tag());
        page.headers_mut().insert(HeaderName::from_static("content-language"), tag);
    }
    page
}

pub(super) fn render(template: &impl Template) -> Result<String, Problem> {
    template.render().map_err(|error| {
        tracing::error!(%error, "a page could not be made");
        Problem::Unknown("页面暂时无法显示", "the page cannot be shown just now")
    })
}

fn all_told(entries: &[&Entry], shown: &Shown, words: Words) -> Vec<Told> {
    entries.iter().map(|entry| told(entry, shown, words)).collect()
}

/// "Is there danger?", answered in one line.
fn one_line(entries: &[&Entry], place: &str, shown: &Shown, words: Words) -> String {
    let Some(gravest) = entries.first() else {
        return match place {
            "" => words.s("No warnings are in force.").to_owned(),
            place => words.f("{}: no warnings are in force.", place),
        };
    };
    let told = told(gravest, shown, words);
    let level = words.s(told.mark.name);
    match (place, entries.len()) {
        ("", 1) => words.f("1 warning is in force; its level: {}.", level),
        ("", n) => words.fill("{} warnings are in force; the gravest level: {}.", &[&n, &level]),
        (place, 1) => words.fill("{}: danger. {} until {}.", &[&place, &told.title, &told.until]),
        (place, n) => {
            words.fill("{}: danger. {} until {}. {} warnings are in force.", &[&place, &told.title, &told.until, &n])
        }
    }
}

/// A region with how grave it is there.
fn region_link(region: &Region, shown: &Shown, words: Words) -> Link {
    let filter = Filter::default().here(region.code.as_str(), &shown.policy.map, false).unwrap_or_default();
    let here: Vec<&Entry> = shown.board.in_force().into_iter().filter(|entry| filter.takes(entry)).collect();
    Link {
        href: format!("/regions/{}", region.code),
        name: region.name_in(words.language).to_owned(),
        mark: here.first().map(|entry| Mark::of(entry.publication.colour())),
        n: here.len(),
    }
}

/// The first page of a visitor.
pub(super) async fn home(State(site): State<Site>, headers: HeaderMap, RawQuery(query): RawQuery) -> Response {
    paged(&site, &headers, query, "/".into(), async |shown, words, around| {
        let active = shown.board.in_force();
        let map = &shown.policy.map;
        let groups = map.of_kind(RegionKind::Province).chain(map.sea_areas());
        let mut sources: Vec<Link> = Vec::new();
        for entry in &shown.board.entries {
            let bureau = &entry.publication.bureau;
            let href = format!("/sources/{bureau}");
            let n = usize::from(entry.in_force());
            match sources.iter_mut().find(|link| link.href == href) {
                Some(known) => known.n += n,
                None => sources.push(Link { href, name: told(entry, &shown, words).issuer, mark: None, n }),
            }
        }
        render(&Home {
            answer: one_line(&active, "", &shown, words),
            calm: active.is_empty(),
            active: all_told(&active, &shown, words),
            ended: all_told(&shown.board.ended(), &shown, words),
            map: map::draw(&shown, &active, &[], words),
            provinces: groups.map(|region| region_link(region, &shown, words)).collect(),
            sources,
            around,
        })
    })
    .await
}

/// One region: a county, what lies above it, or a sea area.
pub(super) async fn region(
    State(site): State<Site>,
    headers: HeaderMap,
    Path(code): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    paged(&site, &headers, query, format!("/regions/{code}"), async |shown, words, around| {
        let map = &shown.policy.map;
        let region = code.parse::<RegionCode>().ok().and_then(|code| map.get(&code)).ok_or(NO_REGION)?;
        let filter = Filter::default().here(&code, map, false).map_err(|_| NO_REGION)?;
        let active: Vec<&Entry> = shown.board.in_force().into_iter().filter(|entry| filter.takes(entry)).collect();
        let ended: Vec<&Entry> = shown.board.ended().into_iter().filter(|entry| filter.takes(entry)).collect();
        let name = region.name_in(words.language).to_owned();
        let mut focus: Vec<RegionCode> = map.counties_below(&region.code).iter().map(|c| c.code.clone()).collect();
        if focus.is_empty() {
            focus.push(region.code.clone());
        }
        let active_told = all_told(&active, &shown, words);
        let all = shown.board.in_force();
        let page = RegionPage {
            above: above(region, map).into_iter().map(|up| region_link(up, &shown, words)).collect(),
            below: below(region, map).into_iter().map(|down| region_link(down, &shown, words)).collect(),
            answer: one_line(&active, &name, &shown, words),
            calm: active.is_empty(),
            steps: active_told.first().map(|told| told.steps.clone()).unwrap_or_default(),
            active: active_told,
            ended: all_told(&ended, &shown, words),
            map: map::draw(&shown, &all, &focus, words),
            name,
            code: region.code.to_string(),
            around,
        };
        render(&page)
    })
    .await
}

/// The groups that a region lies in, the widest first.
fn above<'a>(region: &'a Region, map: &'a RegionMap) -> Vec<&'a Region> {
    let up = |region: &&'a Region| region.parent.as_ref().and_then(|parent| map.get(parent));
    let mut all: Vec<&Region> = std::iter::successors(Some(region), up).skip(1).collect();
    all.reverse();
    all
}

/// What lies right below a region; for a sea area its coast.
fn below<'a>(region: &'a Region, map: &'a RegionMap) -> Vec<&'a Region> {
    if region.kind == RegionKind::Sea {
        return map.coast_of(&region.code).collect();
    }
    map.regions().filter(|one| one.parent.as_ref() == Some(&region.code)).collect()
}

/// What one source sent.
pub(super) async fn source(
    State(site): State<Site>,
    headers: HeaderMap,
    Path(bureau): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let path: String = form_urlencoded::byte_serialize(bureau.as_bytes()).collect();
    paged(&site, &headers, query, format!("/sources/{path}"), async |shown, words, around| {
        let own = |entry: &&Entry| entry.publication.bureau == bureau;
        let entries: Vec<&Entry> = shown.board.entries.iter().filter(own).collect();
        if entries.is_empty() && !shown.policy.bureaus.iter().any(|one| one.name == bureau) {
            return Err(Problem::Unknown("没有这个发布单位", "there is no such source"));
        }
        let active: Vec<&Entry> = shown.board.in_force().into_iter().filter(own).collect();
        let ended: Vec<&Entry> = shown.board.ended().into_iter().filter(own).collect();
        let name = entries.first().map_or_else(|| bureau.clone(), |entry| told(entry, &shown, words).issuer);
        render(&SourcePage {
            answer: one_line(&active, "", &shown, words),
            calm: active.is_empty(),
            active: all_told(&active, &shown, words),
            ended: all_told(&ended, &shown, words),
            map: map::draw(&shown, &active, &[], words),
            bureau: path.clone(),
            name,
            around,
        })
    })
    .await
}

/// One event with its whole chain.
pub(super) async fn event(
    State(site): State<Site>,
    headers: HeaderMap,
    Path(chain): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let Ok(chain) = chain.parse::<crate::cap::AlertId>() else {
        return missing(&site, &headers, words(query.as_deref(), &headers));
    };
    paged(&site, &headers, query, format!("/events/{chain}"), async |shown, words, around| {
        let publications = site.app.store.printed_in_chain(chain.as_str()).await?;
        let publications: Vec<_> = publications.into_iter().map(Arc::new).collect();
        let mut entries = publish::standings(&publications, &std::collections::BTreeSet::new(), shown.board.at);
        for entry in &mut entries {
            let release = entry.publication.release;
            if let Some(known) = shown.board.entries.iter().find(|known| known.publication.release == release) {
                *entry = known.clone();
            }
        }
        entries.retain(|entry| entry.publication.listed);
        let active: Vec<&Entry> = entries.iter().rev().filter(|entry| entry.in_force()).collect();
        let head = active.first().copied().or(entries.last());
        let head = head.ok_or(Problem::Unknown("没有这个事件", "there is no such event"))?;
        let mut focus = head.publication.regions.clone();
        focus.extend(head.publication.seas.iter().cloned());
        let step = |(at, entry): (usize, &Entry)| Step {
            what: what(entry, words),
            changes: entries
                .iter()
                .take(at)
                .rfind(|before| entry.publication.follows(&before.publication))
                .map(|before| changes(&entry.publication, &before.publication, &shown, words))
                .unwrap_or_default(),
            published: moment(entry.publication.at, words),
            told: told(entry, &shown, words),
        };
        let mut chain: Vec<Step> = entries.iter().enumerate().map(step).collect();
        chain.reverse();
        let map = map::draw(&shown, &active, &focus, words);
        render(&EventPage { head: told(head, &shown, words), chain, map, around })
    })
    .await
}

/// What a message of an event does.
fn what(entry: &Entry, words: Words) -> &'static str {
    let publication = &entry.publication;
    match publication.shown.msg_type {
        _ if publication.correction => words.s("Correction: what was told was wrong"),
        _ if publication.is_the_end() => words.s("All clear"),
        crate::cap::MsgType::Update => words.s("Update"),
        _ => words.s("First warning"),
    }
}

/// Finds a region by its name or code.
pub(super) async fn find(State(site): State<Site>, headers: HeaderMap, RawQuery(query): RawQuery) -> Response {
    let pairs = form_urlencoded::parse(query.as_deref().unwrap_or_default().as_bytes());
    let asked: String = pairs.into_owned().find(|(name, _)| name == "q").map(|(_, value)| value).unwrap_or_default();
    let asked: String = asked.trim().chars().take(40).collect();
    let shown = site.app.press.shown();
    let words = words(query.as_deref(), &headers);
    let found = search(&shown.policy.map, &asked);
    if let [one] = found.as_slice() {
        let lang = if query.as_deref().unwrap_or_default().contains("lang=") {
            format!("?lang={}", words.tag())
        } else {
            String::new()
        };
        return Redirect::to(&format!("/regions/{}{lang}", one.code)).into_response();
    }
    let key: String = form_urlencoded::byte_serialize(asked.as_bytes()).collect();
    paged(&site, &headers, query, format!("/regions?q={key}"), async |shown, words, around| {
        let found = search(&shown.policy.map, &asked);
        let found = found.into_iter().take(60).map(|region| region_link(region, &shown, words)).collect();
        render(&Find { around, asked, found })
    })
    .await
}

/// Regions of this code or name, else those whose name holds the words.
fn search<'a>(map: &'a RegionMap, asked: &str) -> Vec<&'a Region> {
    if asked.is_empty() {
        return map.of_kind(RegionKind::Province).chain(map.sea_areas()).collect();
    }
    let lower = asked.to_lowercase();
    let exact = |region: &&Region| {
        region.code.as_str() == asked || region.name == asked || region.name_en.to_lowercase() == lower
    };
    let holds = |region: &&Region| region.name.contains(asked) || region.name_en.to_lowercase().contains(&lower);
    let all: Vec<&Region> = map.regions().filter(exact).collect();
    if all.is_empty() { map.regions().filter(holds).collect() } else { all }
}
