//! The machine against what it promises: whatever officers do, in whatever order, at whatever time.

mod walk;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;

use super::{Act, ActError, Effect, Escalation, State, Who};
use crate::approval::{Amendment, RETRY};
use crate::officers::{OfficerId, Role};
use crate::regions::RegionCode;
use crate::rules::{Approval, Level, Position, Span, Stage, Step, Then};
use crate::world::Live;

type Machine = Escalation<Live>;

fn noon() -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000, 0).unwrap()
}

fn counties(n: usize) -> Vec<RegionCode> {
    (0..n).map(|n| format!("31010{n}").parse().unwrap()).collect()
}

fn approval(stages: &[Stage], green: bool, ladder: &[Then]) -> Approval {
    let step =
        |then: &Then| Step { page: Position::Primary, by: BTreeSet::new(), within: Span::minutes(3), then: *then };
    let steps = ladder.iter().map(step).collect();
    Approval { name: "test".into(), stages: stages.to_vec(), green, by: Level::Province, steps }
}

fn begin(approval: Approval, author: Option<i64>) -> (Machine, Vec<Effect>) {
    let end = noon() + TimeDelta::hours(2);
    let area = (counties(4), counties(6));
    Machine::begin("310000".parse().unwrap(), area, approval, author.map(OfficerId), end, noon())
}

fn who(id: i64, roles: &[Role]) -> Who {
    Who { id: OfficerId(id), name: format!("officer {id}"), roles: roles.iter().copied().collect() }
}

// --- A model of what must hold, written apart from the machine ---------------------------------------------------------

/// What a bystander with a notebook knows of an escalation.
#[derive(Debug, Clone)]
struct Notebook {
    authors: BTreeSet<i64>,
    /// Who said yes to the words as they are now, as what.
    yes: Vec<(Stage, i64)>,
    regions: BTreeSet<RegionCode>,
    /// The end that officers gave it, or the alert's.
    end: DateTime<Utc>,
    returned: bool,
    /// A step is over after which one signature is enough.
    enough: bool,
}

impl Notebook {
    fn may_say_yes(&self, approval: &Approval, stage: Stage, who: &Who) -> bool {
        let role = if stage == Stage::Review { Role::Reviewer } else { Role::Signer };
        let said = |stage: Stage| self.yes.iter().any(|(s, _)| *s == stage);
        let in_turn = approval.green
            || self.enough
            || stage == Stage::Review
            || !approval.stages.contains(&Stage::Review)
            || said(Stage::Review);
        !self.returned
            && who.roles.contains(&role)
            && approval.stages.contains(&stage)
            && !self.authors.contains(&who.id.0)
            && !self.yes.iter().any(|(_, by)| *by == who.id.0)
            && !said(stage)
            && in_turn
    }

    /// Whether the officers have let it go out.
    fn everyone_has(&self, approval: &Approval) -> bool {
        let signed = self.yes.iter().any(|(stage, _)| *stage == Stage::Sign);
        self.enough && signed || approval.stages.iter().all(|stage| self.yes.iter().any(|(s, _)| s == stage))
    }
}

/// One thing that happens.
#[derive(Debug, Clone)]
enum Event {
    Wait(i64),
    Tick,
    Act {
        officer: usize,
        act: Kind,
        stale: bool,
    },
    Split {
        officer: usize,
        mask: u8,
    },
    Replaced,
    /// From now on so many of those who are called have an address: all, none, or somebody of a later step.
    Reach(Reach),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    All,
    Nobody,
    Later,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Take,
    Approve(Stage),
    Return,
    Reject,
    Withdraw,
    Amend { mask: u8, minutes: Option<i64> },
}

fn event() -> impl Strategy<Value = Event> {
    let stage = prop_oneof![Just(Stage::Review), Just(Stage::Sign)];
    let kind = prop_oneof![
        2 => Just(Kind::Take),
        8 => stage.prop_map(Kind::Approve),
        1 => Just(Kind::Return),
        1 => Just(Kind::Reject),
        1 => Just(Kind::Withdraw),
        2 => (0_u8..64, proptest::option::of(-5_i64..150)).prop_map(|(mask, minutes)| Kind::Amend { mask, minutes }),
    ];
    prop_oneof![
        3 => (0_i64..900).prop_map(Event::Wait),
        4 => Just(Event::Tick),
        12 => (0_usize..4, kind, proptest::bool::weighted(0.1)).prop_map(|(officer, act, stale)| Event::Act { officer, act, stale }),
        1 => (0_usize..4, 0_u8..64).prop_map(|(officer, mask)| Event::Split { officer, mask }),
        1 => proptest::bool::weighted(0.1).prop_map(|now| if now { Event::Replaced } else { Event::Tick }),
        1 => prop_oneof![Just(Reach::All), Just(Reach::Nobody), Just(Reach::Later)].prop_map(Event::Reach),
    ]
}

fn policy() -> impl Strategy<Value = Approval> {
    let then = prop_oneof![
        Just(Then::Next),
        Just(Then::ReleaseSigned),
        Just(Then::Release),
        Just(Then::Hold),
        Just(Then::Lapse)
    ];
    let last = prop_oneof![Just(Then::Release), Just(Then::Hold), Just(Then::Lapse)];
    let stages = prop_oneof![Just(vec![Stage::Sign]), Just(vec![Stage::Review, Stage::Sign])];
    (stages, any::<bool>(), proptest::collection::vec(then, 0..3), last).prop_map(
        |(stages, green, mut ladder, last)| {
            ladder.push(last);
            approval(&stages, green, &ladder)
        },
    )
}

fn officers() -> impl Strategy<Value = Vec<Who>> {
    proptest::collection::vec(0_usize..16, 4).prop_map(|masks| {
        let roles = [Role::Author, Role::Reviewer, Role::Signer, Role::Operator];
        let of = |mask: usize| roles.iter().enumerate().filter(move |(n, _)| mask >> n & 1 == 1).map(|(_, role)| *role);
        (1_i64..).zip(masks).map(|(id, mask)| who(id, &of(mask).collect::<Vec<_>>())).collect()
    })
}

fn chosen(mask: u8) -> Vec<RegionCode> {
    counties(6).into_iter().enumerate().filter(|(n, _)| mask >> n & 1 == 1).map(|(_, code)| code).collect()
}

/// The machine under test, beside the bystander's notebook.
#[derive(Debug)]
struct Bench {
    parts: Vec<(Machine, Notebook)>,
    now: DateTime<Utc>,
    /// Whether the next messages can be made.
    makes: bool,
    /// Who can be called.
    reach: Reach,
}

impl Bench {
    /// What the desk does about effects; checks that a release may happen.
    fn follow(&mut self, at: usize, effects: Vec<Effect>, by_rule: bool) {
        let now = self.now;
        let (machine, notebook) = &mut self.parts[at];
        for effect in effects {
            match effect {
                Effect::Page(step) => {
                    assert_eq!((machine.step, &machine.state), (step, &State::Waiting));
                    let within = machine.approval.steps[step].within.time();
                    assert_eq!(machine.due, Some(now + within), "who is called has the whole step");
                    if self.reach != Reach::All {
                        let next = machine.steps_after(step).next().filter(|_| self.reach == Reach::Later);
                        let effects = machine.nobody_called(next, now);
                        let (at, calls) = next.map_or((step, Vec::new()), |next| (next, vec![Effect::Page(next)]));
                        assert_eq!((machine.step, effects), (at, calls), "a later step's officers are called at once");
                        assert_eq!(machine.uncalled, next.is_none(), "where there is nobody, it says so");
                        let all: TimeDelta = machine.approval.steps[step..=at].iter().map(|s| s.within.time()).sum();
                        assert_eq!(machine.due, Some(now + all), "and what follows comes no sooner");
                    }
                }
                Effect::CallBack(call) => {
                    assert!(matches!(machine.state, State::Returned { .. }), "it came back to them");
                    assert_eq!((machine.step, machine.due), (call, Some(now + TimeDelta::minutes(3))), "and climbs on");
                    if self.reach == Reach::Nobody {
                        machine.nobody_called_back();
                    }
                    assert_eq!(machine.uncalled, self.reach == Reach::Nobody);
                }
                Effect::Release { by } => {
                    assert!(now < notebook.end, "nothing goes out after its end");
                    assert!(by_rule || notebook.everyone_has(&machine.approval), "a yes is missing");
                    assert!(!by.is_empty(), "a release says who let it go out");
                    assert_eq!(machine.approved_by, by, "a second try says the same");
                    if self.makes {
                        machine.released(by);
                    } else {
                        machine.not_released(now);
                        assert_eq!(machine.next_look().map(|at| at <= now + RETRY), Some(true), "it is tried again");
                    }
                    self.makes = !self.makes;
                }
            }
        }
    }

    fn happen(&mut self, event: &Event, officers: &[Who]) {
        match event {
            Event::Reach(reach) => self.reach = *reach,
            Event::Wait(seconds) => self.now += TimeDelta::seconds(*seconds),
            Event::Tick => (0..self.parts.len()).for_each(|at| self.tick(at)),
            Event::Act { officer, act, stale } => {
                (0..self.parts.len()).for_each(|at| self.act(at, &officers[*officer], *act, *stale));
            }
            Event::Split { officer, mask } => {
                (0..self.parts.len()).for_each(|at| self.split(at, &officers[*officer], &chosen(*mask)));
            }
            Event::Replaced => {
                for (machine, _) in &mut self.parts {
                    let before = machine.clone();
                    machine.replaced("newer");
                    let withdrawn = matches!(&machine.state, State::Withdrawn { by, .. } if by == "tocsin");
                    assert!(
                        withdrawn && machine.due.is_none() || before == *machine,
                        "only what is open is taken back"
                    );
                    assert!(!machine.state.is_open());
                }
            }
        }
        self.hold();
    }

    fn tick(&mut self, at: usize) {
        let now = self.now;
        let (machine, notebook) = &mut self.parts[at];
        let before = machine.clone();
        let effects = machine.tick(now);
        let mut again = machine.clone();
        assert_eq!((again.tick(now), &again), (Vec::new(), &*machine), "a second look at the same moment does nothing");
        if effects.is_empty() && *machine == before {
            return;
        }
        if now >= notebook.end {
            assert_eq!((&machine.state, effects), (&State::Expired, Vec::new()), "over is over");
            return;
        }
        assert!(before.due.is_some_and(|due| due <= now), "nothing happens before its time");
        let then = before.approval.steps.get(before.step).map(|step| step.then);
        let releases = effects.iter().any(|effect| matches!(effect, Effect::Release { .. }));
        let allowed = match (&before.state, then) {
            (State::Approved, _) | (State::Waiting, Some(Then::Release)) => true,
            (State::Waiting, Some(Then::ReleaseSigned)) => !notebook.yes.is_empty(),
            _ => false,
        };
        assert_eq!(releases, allowed, "the clock lets go out what the rule says, and nothing else");
        notebook.enough |= before.state == State::Waiting && then == Some(Then::ReleaseSigned) && !releases;
        self.follow(at, effects, true);
    }

    fn act(&mut self, at: usize, who: &Who, kind: Kind, stale: bool) {
        let now = self.now;
        let (machine, notebook) = &mut self.parts[at];
        let before = machine.clone();
        let judge = who.roles.contains(&Role::Reviewer) || who.roles.contains(&Role::Signer);
        let new_end = |minutes: Option<i64>| minutes.map(|minutes| now + TimeDelta::minutes(minutes));
        let (act, allowed) = match kind {
            Kind::Take => (Act::Take, judge && !notebook.returned),
            Kind::Approve(stage) => (Act::Approve(stage), notebook.may_say_yes(&before.approval, stage, who)),
            Kind::Return => (Act::Return("why".into()), judge && !notebook.returned),
            Kind::Reject => (Act::Reject("why".into()), judge && !notebook.returned),
            Kind::Withdraw => {
                let own = notebook.authors.contains(&who.id.0) || who.roles.contains(&Role::Signer);
                (Act::Withdraw("why".into()), own)
            }
            Kind::Amend { mask, minutes } => {
                let (regions, expires) = (chosen(mask), new_end(minutes));
                let fits = regions.iter().all(|code| notebook.regions.contains(code)) && !regions.is_empty();
                let ends = expires.is_none_or(|end| now < end && end <= before.expires);
                let own = notebook.returned && notebook.authors.contains(&who.id.0);
                let may = own || judge || who.roles.contains(&Role::Author);
                let amendment = Amendment { expires, ..Amendment::default() };
                (Act::Amend { amendment, regions, reason: "why".into() }, fits && ends && may)
            }
        };
        let open = matches!(before.state, State::Waiting | State::Returned { .. });
        let allowed = allowed && open && !stale && now < notebook.end;
        let seen = before.revision.wrapping_sub(u32::from(stale));
        let done = machine.act(act, seen, who, now);
        assert_eq!(done.is_ok(), allowed, "{kind:?} by {who:?}: {done:?}\n{before:?}");
        let Ok(effects) = done else {
            assert_eq!(*machine, before, "what is refused changes nothing");
            return;
        };
        match kind {
            Kind::Approve(stage) => {
                notebook.yes.push((stage, who.id.0));
                assert_eq!(effects.is_empty(), !notebook.everyone_has(&before.approval), "the last yes lets it go out");
            }
            Kind::Return => {
                notebook.yes.clear();
                notebook.returned = true;
            }
            Kind::Amend { mask, minutes } => {
                notebook.yes.clear();
                (notebook.returned, notebook.enough) = (false, false);
                notebook.authors.insert(who.id.0);
                notebook.regions = chosen(mask).into_iter().collect();
                notebook.end = new_end(minutes).unwrap_or(before.expires);
                assert_eq!(machine.revision, before.revision + 1);
            }
            Kind::Take | Kind::Reject | Kind::Withdraw => {}
        }
        self.follow(at, effects, false);
    }

    fn split(&mut self, at: usize, who: &Who, regions: &[RegionCode]) {
        let now = self.now;
        let (machine, notebook) = &mut self.parts[at];
        let before = machine.clone();
        let Ok((part, effects)) = machine.split(regions, before.revision, who, now) else {
            assert_eq!(*machine, before, "what is refused changes nothing");
            return;
        };
        let set = |codes: &[RegionCode]| codes.iter().cloned().collect::<BTreeSet<_>>();
        for (whole, a, b) in
            [(&before.regions, &machine.regions, &part.regions), (&before.within, &machine.within, &part.within)]
        {
            assert!(set(a).is_disjoint(&set(b)), "nobody is in both parts");
            assert_eq!(&set(a) | &set(b), set(whole), "and nobody is in neither");
        }
        assert!(now < notebook.end && before.state == State::Waiting);
        notebook.yes.clear();
        notebook.enough = false;
        let mut other = notebook.clone();
        notebook.regions = set(&machine.regions);
        other.regions = set(&part.regions);
        self.parts.push((part, other));
        self.follow(self.parts.len() - 1, effects, false);
    }

    /// What holds at every moment.
    fn hold(&self) {
        let mut all = BTreeSet::new();
        for (machine, notebook) in &self.parts {
            let codes: BTreeSet<_> = machine.regions.iter().cloned().collect();
            assert_eq!(codes.len(), machine.regions.len(), "no county twice");
            assert!(codes.iter().all(|code| all.insert(code.clone())), "no county in two parts");
            assert_eq!(codes, notebook.regions);
            let by: BTreeSet<_> = machine.signatures.iter().map(|signature| signature.by.0).collect();
            assert_eq!(by.len(), machine.signatures.len(), "nobody says yes twice");
            assert!(by.is_disjoint(&notebook.authors), "nobody approves their own words");
            let yes: Vec<_> = machine.signatures.iter().map(|s| (s.stage, s.by.0)).collect();
            assert_eq!(yes, notebook.yes, "a yes to older words never counts");
            match machine.state {
                State::Waiting => assert!(machine.due.is_some(), "the ladder goes on until somebody decides"),
                State::Approved => assert!(machine.due.is_some(), "it is tried again"),
                State::Returned { .. } => {
                    assert!(machine.due.is_some(), "those who can mend it are called until somebody does");
                    assert!(machine.next_look() <= Some(notebook.end));
                }
                _ => assert_eq!(machine.next_look(), None, "the clock has no more business with it"),
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_promises_hold(
        approval in policy(),
        officers in officers(),
        author in proptest::option::of(1_i64..5),
        events in proptest::collection::vec(event(), 1..60),
    ) {
        let (machine, effects) = begin(approval, author);
        let notebook = Notebook {
            authors: author.into_iter().collect(),
            yes: Vec::new(),
            regions: machine.regions.iter().cloned().collect(),
            end: machine.expires,
            returned: false,
            enough: false,
        };
        let mut bench = Bench { parts: vec![(machine, notebook)], now: noon(), makes: true, reach: Reach::All };
        bench.follow(0, effects, false);
        for event in &events {
            bench.happen(event, &officers);
        }
        // However late the clock looks, everything ends.
        bench.now += TimeDelta::hours(3);
        bench.happen(&Event::Tick, &officers);
        prop_assert!(bench.parts.iter().all(|(machine, _)| !machine.state.is_open()));
        let ended = format!("{:?}", bench.parts);
        for event in &events {
            bench.happen(event, &officers);
        }
        prop_assert_eq!(format!("{:?}", bench.parts), ended, "after the end nothing happens");
    }

    #[test]
    fn a_store_gives_back_what_it_was_given(approval in policy(), officers in officers(), events in proptest::collection::vec(event(), 1..20)) {
        let (machine, _) = begin(approval, None);
        let notebook = Notebook {
            authors: BTreeSet::new(), yes: Vec::new(), regions: machine.regions.iter().cloned().collect(), end: machine.expires, returned: false, enough: false,
        };
        let mut bench = Bench { parts: vec![(machine, notebook)], now: noon(), makes: false, reach: Reach::All };
        for event in &events {
            bench.happen(event, &officers);
        }
        for (machine, _) in &bench.parts {
            let text = serde_json::to_string(machine).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Machine>(&text).unwrap(), machine);
        }
    }
}
