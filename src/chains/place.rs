//! The place of a new alert among those on record.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use super::{Member, Part, Why};
use crate::cap::{Code, Finding};

/// References that are followed from one alert to the next: longer ones are no honest event.
const FAR: usize = 256;

/// Where a new alert stands.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// The event that it joins; one of its own where None.
    pub(crate) chain: Option<String>,
    /// Events that turn out to be the same.
    pub(crate) merged: Vec<String>,
    /// Whom it stands with, and why.
    pub(crate) links: Vec<(String, Why)>,
    /// What the head takes the place of now.
    pub(crate) takes: Vec<String>,
    /// The head, where it is an older arrival: the new alert is late.
    pub(crate) behind: Option<String>,
    /// The one head that it follows, if there is exactly one.
    pub(crate) follows: Option<String>,
    /// Nobody can say what it wants to end, or whether something newer that is over took its place: an officer looks.
    pub(crate) unsure: bool,
    /// What is to be said about it.
    pub(crate) findings: Vec<Finding>,
}

/// Places an alert. `record` holds everything of its bureau and world that it names, that names it, that names what it names, that
/// shares an incident or is like it, each with its whole event. With `quiet`, what it names counts alone: an alert that goes to
/// nobody must not take a place by likeness.
pub(crate) fn place(new: &Member, record: &[Member], quiet: bool, now: DateTime<Utc>) -> Place {
    let all = record.iter().chain([new]).map(|member| (member.id.as_str(), member)).collect();
    let view = View { new, all, now: now.timestamp() };
    if new.part == Part::Answers {
        return view.answer();
    }
    let ignored = new.ignored.iter().map(|id| (id.clone(), Why::Ignored));
    let mut place = Place { links: ignored.collect(), ..Place::default() };
    let named = new.refers_to.iter().filter(|id| !view.all.contains_key(id.as_str()));
    place.links.extend(new.refers_to.iter().map(|id| (id.clone(), Why::References)));
    place.findings.extend(named.map(|id| found(Code::Dangling, id)));
    let mut heads: Vec<&Member> = view.heads(|member| view.related(member));
    let mut by_guess = None;
    if heads.is_empty() && !quiet {
        by_guess = view.guess(&mut place);
        heads.extend(by_guess);
    }
    view.join(&mut place, &heads, by_guess.is_some());
    place
}

struct View<'a> {
    new: &'a Member,
    all: BTreeMap<&'a str, &'a Member>,
    /// Seconds since 1970.
    now: i64,
}

impl<'a> View<'a> {
    fn answer(&self) -> Place {
        let known = |id: &&String| self.all.contains_key(id.as_str());
        let chain = self.new.refers_to.iter().find(known).and_then(|id| self.all.get(id.as_str()));
        Place {
            chain: chain.map(|member| member.chain.clone()),
            links: self.new.refers_to.iter().map(|id| (id.clone(), Why::Answer)).collect(),
            findings: self.new.refers_to.iter().filter(|id| !known(id)).map(|id| found(Code::Dangling, id)).collect(),
            ..Place::default()
        }
    }

    /// The new alert names it, it names the new one, or both name a third.
    fn related(&self, member: &Member) -> bool {
        let new = self.new;
        member.id != new.id
            && (new.refers_to.contains(&member.id)
                || member.refers_to.contains(&new.id)
                || member.refers_to.iter().any(|id| new.refers_to.contains(id)))
    }

    /// The heads of the events that have such a member.
    fn heads(&self, of: impl Fn(&Member) -> bool) -> Vec<&'a Member> {
        let chains: BTreeSet<&str> =
            self.all.values().filter(|member| of(member)).map(|member| member.chain.as_str()).collect();
        chains.into_iter().filter_map(|chain| self.head(chain)).collect()
    }

    fn head(&self, chain: &str) -> Option<&'a Member> {
        let own = self.all.values().filter(|m| m.chain == chain && m.part != Part::Answers && m.id != self.new.id);
        // What has lost its place does not get it back: only where alerts of one second name each other would it, in a circle or because
        // what one of them names comes late.
        own.copied().max_by_key(|member| (!member.superseded, self.rank(member)))
    }

    /// What comes later in an event has the greater rank: by when it was sent; in the same second, what names the other; then a
    /// warning before an end, because an orange warning ends and a yellow one begins in one second; then by id.
    fn rank(&self, member: &'a Member) -> (i64, usize, bool, &'a str) {
        (member.sent, self.depth(member, &mut BTreeSet::new()), !member.ends(), &member.id)
    }

    /// How many alerts of the same second it names, one through the other. A circle counts once for each of its alerts.
    fn depth(&self, member: &'a Member, path: &mut BTreeSet<&'a str>) -> usize {
        if path.len() >= FAR || !path.insert(&member.id) {
            return 0;
        }
        let same_second = member.refers_to.iter().filter_map(|id| self.all.get(id.as_str()));
        let same_second: Vec<_> = same_second.filter(|named| named.sent == member.sent).copied().collect();
        let deepest = same_second
            .into_iter()
            .filter(|named| !path.contains(named.id.as_str()))
            .map(|named| 1 + self.depth(named, &mut path.clone()))
            .max();
        deepest.unwrap_or(0)
    }

    /// Whether one names the other, directly or through others.
    fn names(&self, from: &Member, to: &Member) -> bool {
        let (mut next, mut seen) = (vec![from.id.as_str()], BTreeSet::new());
        while let Some(id) = next.pop() {
            if id == to.id {
                return true;
            }
            if seen.len() < FAR && seen.insert(id.to_owned()) {
                next.extend(self.all.get(id).into_iter().flat_map(|m| m.refers_to.iter().map(String::as_str)));
            }
        }
        false
    }

    /// Two warnings that come of one alert, share no county and do not name each other: one bureau has made two events of one.
    /// Were the later one the head of both, the others would be told that their danger is over.
    fn apart(&self, a: &Member, b: &Member) -> bool {
        let both = !a.ends() && !b.ends() && !a.counties.is_empty() && !b.counties.is_empty();
        both && a.counties.is_disjoint(&b.counties) && !self.names(a, b) && !self.names(b, a)
    }

    /// The one event that an alert without known references belongs to, by incident or likeness.
    fn guess(&self, place: &mut Place) -> Option<&'a Member> {
        let new = self.new;
        let may = |why: Why| self.heads(|member| member.id != new.id && self.candidate(member, why));
        for (why, code) in [(Why::Incident, Code::SameIncident), (Why::Likeness, Code::Likeness)] {
            let all = may(why);
            let fitting: Vec<_> = all.iter().filter(|head| self.fits(head, why)).copied().collect();
            let only = match fitting.as_slice() {
                [only] if !new.ends() || all.len() == 1 => Some(*only),
                _ => None,
            };
            if let Some(head) = only.filter(|head| why == Why::Likeness && self.outlives(head)) {
                place.findings.push(found(Code::Outlives, &head.id));
                place.unsure = true;
                return None;
            }
            if let Some(head) = only {
                place.links.push((head.id.clone(), why));
                place.findings.push(found(code, &head.id));
                return Some(head);
            }
            if !all.is_empty() && (new.ends() || fitting.len() > 1) {
                let names: Vec<_> = all.iter().map(|head| head.id.as_str()).collect();
                place.findings.push(found(Code::Several, &names.join(" ")));
                place.unsure = new.ends();
                return None;
            }
        }
        None
    }

    /// Whether it may be of the same event at all.
    fn candidate(&self, member: &Member, why: Why) -> bool {
        let new = self.new;
        let Some(head) = self.head(&member.chain).filter(|head| head.id == member.id) else { return false };
        let (older, newer) = if self.rank(head) < self.rank(new) { (head, new) } else { (new, head) };
        let alike = match why {
            Why::Incident => new.incidents.iter().any(|incident| head.incidents.contains(incident)),
            _ => {
                // Of two that were sent in one second nobody knows which follows which: both stand.
                let apart = new.sent != head.sent;
                let nameless = [new, head].iter().all(|m| m.incidents.is_empty()) && newer.names_nothing();
                new.sender == head.sender && apart && nameless
            }
        };
        let hazard = match (older.hazard, newer.hazard) {
            (Some(older), Some(newer)) => older == newer,
            _ => why == Why::Incident,
        };
        let near = newer.counties.is_empty() || !newer.counties.is_disjoint(&older.counties);
        alike && hazard && near && older.in_force_at(newer.sent)
    }

    /// Whether the later one may take the place of the earlier: nobody must be told by a guess that their danger is over.
    fn fits(&self, head: &'a Member, why: Why) -> bool {
        let new = self.new;
        let later = if self.rank(head) < self.rank(new) { new } else { head };
        let earlier = if later.id == new.id { head } else { new };
        let covers = earlier.counties.is_subset(&later.counties);
        match (why, later.part) {
            (Why::Incident, Part::Ends) => later.counties.is_empty() || covers,
            (Why::Incident, Part::Updates) => true,
            (_, Part::Ends) => later.counties == earlier.counties,
            _ => covers,
        }
    }

    /// Whether the new alert is late and still holds, while the newer warning is over: nobody must go unwarned by a guess that the one
    /// took the other's place.
    fn outlives(&self, head: &'a Member) -> bool {
        let over = !head.ends() && !head.in_force_at(self.now);
        over && self.new.in_force_at(self.now) && self.rank(head) > self.rank(self.new)
    }

    /// Joins the events that are the new alert's, finds their head, and what it takes the place of.
    fn join(&self, place: &mut Place, heads: &[&'a Member], guessed: bool) {
        let new = self.new;
        let near: Vec<_> = heads.iter().filter(|head| !self.apart(new, head)).copied().collect();
        for head in heads.iter().filter(|head| self.apart(new, head)) {
            place.findings.push(found(Code::Split, &head.id));
        }
        let Some(best) = near.iter().copied().chain([new]).max_by_key(|member| self.rank(member)) else { return };
        let joined: Vec<_> = near.into_iter().filter(|head| head.id == best.id || !self.apart(best, head)).collect();
        let chains: BTreeSet<&str> = joined.iter().map(|head| head.chain.as_str()).collect();
        let members: Vec<_> = self.all.values().filter(|m| chains.contains(m.chain.as_str())).copied().collect();
        if joined.is_empty() {
            let on_record = |id: &str| self.all.contains_key(id);
            for (_, why) in place.links.iter_mut().filter(|(id, why)| *why == Why::References && on_record(id)) {
                *why = Why::Split;
            }
            return;
        }
        let oldest = members.iter().min_by_key(|member| (member.sent, &member.id));
        place.chain = oldest.map(|member| member.chain.clone());
        place.merged = chains.iter().filter(|c| Some(**c) != place.chain.as_deref()).map(|c| (*c).to_owned()).collect();
        let takes = members.iter().filter(|m| !m.superseded && m.part != Part::Answers && m.id != best.id);
        place.takes = takes.map(|member| member.id.clone()).collect();
        if best.id == new.id {
            self.say_what_it_takes(place, &joined);
            if !guessed {
                place.findings.extend(self.unlisted(&members, &joined));
            }
        } else {
            place.behind = Some(best.id.clone());
            place.findings.push(found(Code::Late, &best.id));
        }
        if !guessed {
            let circle = joined.iter().flat_map(|head| self.members_of(&head.chain));
            let circle = circle.filter(|m| new.refers_to.contains(&m.id) && m.refers_to.contains(&new.id));
            place.findings.extend(circle.map(|member| found(Code::Circular, &member.id)));
        }
    }

    fn say_what_it_takes(&self, place: &mut Place, joined: &[&Member]) {
        let new = self.new;
        for head in joined {
            if !new.refers_to.contains(&head.id) && !place.links.iter().any(|(id, _)| *id == head.id) {
                place.findings.push(found(Code::Forked, &head.id));
            }
            if !head.in_force_at(new.sent) {
                place.findings.push(found(Code::ReferencesEnded, &head.id));
            }
        }
        for id in place.takes.iter().chain(joined.iter().map(|head| &head.id)) {
            if !place.links.iter().any(|(linked, _)| linked == id) {
                place.links.push((id.clone(), Why::Place));
            }
        }
        if let [head] = joined {
            place.follows = Some(head.id.clone());
        }
    }

    /// An Update or Cancel that names some of its event is to name all of it that has neither expired nor was ended; heads that it
    /// forks from are told as such.
    fn unlisted(&self, members: &[&Member], heads: &[&Member]) -> Option<Finding> {
        let new = self.new;
        let names_some = matches!(new.part, Part::Updates | Part::Ends) && !new.refers_to.is_empty();
        let before = || members.iter().filter(|member| member.id != new.id && member.sent <= new.sent);
        let ended = before().filter(|member| member.ends()).map(|end| end.sent).max();
        let left_out = |member: &&&Member| {
            let warns = matches!(member.part, Part::Warns | Part::Updates) && member.in_force_at(new.sent);
            let stands = warns && ended.is_none_or(|end| member.sent >= end);
            let told = heads.iter().any(|head| head.id == member.id);
            stands && !told && !new.refers_to.contains(&member.id)
        };
        let left: Vec<&str> = before().filter(left_out).map(|member| member.id.as_str()).collect();
        (names_some && !left.is_empty()).then(|| found(Code::Unlisted, &left.join(" ")))
    }

    fn members_of(&self, chain: &str) -> impl Iterator<Item = &'a Member> {
        self.all.values().filter(move |member| member.chain == chain).copied().collect::<Vec<_>>().into_iter()
    }
}

fn found(code: Code, what: &str) -> Finding {
    Finding::new(code, "alert/references", what)
}
