//! Every state that can be reached is, step by step, and single promises by name.

use super::*;

/// Everything that two officers and the clock can do next.
fn successors(
    machine: &Machine,
    now: DateTime<Utc>,
    errors: &mut BTreeMap<String, ActError>,
) -> Vec<(Machine, DateTime<Utc>)> {
    let officers = [who(1, &[Role::Author, Role::Reviewer, Role::Signer]), who(2, &[Role::Reviewer])];
    let why = || "why".to_owned();
    let amend = |regions: Vec<RegionCode>, expires, reason: &str| Act::Amend {
        amendment: Amendment { expires, ..Amendment::default() },
        regions,
        reason: reason.into(),
    };
    let first = || machine.regions.get(..1).unwrap_or_default().to_vec();
    let acts = || {
        [
            (Act::Take, 0),
            (Act::Approve(Stage::Review), 0),
            (Act::Approve(Stage::Sign), 0),
            (Act::Approve(Stage::Sign), 1),
            (Act::Return(why()), 0),
            (Act::Reject(why()), 0),
            (Act::Reject(" \n ".into()), 0),
            (Act::Withdraw(why()), 0),
            (amend(machine.regions.clone(), None, "why"), 0),
            (amend(first(), Some(now + TimeDelta::minutes(30)), "why"), 0),
            (amend(counties(6), None, "why"), 0),
            (amend(Vec::new(), None, "why"), 0),
            (amend(first(), Some(now), "why"), 0),
        ]
    };
    let mut found = Vec::new();
    for officer in &officers {
        for (act, ahead) in acts() {
            let mut next = machine.clone();
            match next.act(act, machine.revision + ahead, officer, now) {
                Ok(_) => found.push((next, now)),
                Err(error) => drop(errors.insert(format!("{error:?}"), error)),
            }
        }
    }
    let mut next = machine.clone();
    match next.split(&first(), machine.revision, &officers[0], now) {
        Ok((part, _)) => found.extend([(next, now), (part, now)]),
        Err(error) => drop(errors.insert(format!("{error:?}"), error)),
    }
    if machine.state == State::Approved {
        let (mut made, mut not_made) = (machine.clone(), machine.clone());
        made.released(machine.approved_by.clone());
        not_made.not_released(now);
        found.extend([(made, now), (not_made, now)]);
    }
    if machine.state == State::Waiting && !machine.uncalled {
        for later in [None, machine.steps_after(machine.step).next()] {
            let mut next = machine.clone();
            next.nobody_called(later, now);
            found.push((next, now));
        }
    }
    for at in [machine.due, Some(machine.end())].into_iter().flatten() {
        let mut next = machine.clone();
        next.tick(at);
        found.push((next, at));
    }
    found
}

#[test]
fn every_state_and_every_refusal_is_reached_and_an_end_is_an_end() {
    let (mut states, mut errors) = (BTreeSet::new(), BTreeMap::new());
    let both = [Stage::Review, Stage::Sign];
    let policies = [
        approval(&both, false, &[Then::Next, Then::Hold]),
        approval(&both, true, &[Then::ReleaseSigned, Then::Lapse]),
        approval(&[Stage::Sign], false, &[Then::Release]),
    ];
    for approval in policies {
        let mut seen = BTreeSet::new();
        let mut here = vec![(begin(approval, None).0, noon())];
        for _depth in 0..6 {
            let mut next = Vec::new();
            for (machine, now) in here {
                if !seen.insert(format!("{now} {}", serde_json::to_string(&machine).unwrap())) {
                    continue;
                }
                states.insert(machine.state.as_str());
                let after = successors(&machine, now, &mut errors);
                if machine.state.is_open() {
                    next.extend(after);
                } else {
                    assert!(
                        after.iter().all(|(other, _)| *other == machine),
                        "after the end nothing happens: {machine:?}"
                    );
                }
            }
            here = next;
        }
    }
    assert_eq!(
        states.into_iter().collect::<Vec<_>>(),
        ["approved", "expired", "rejected", "released", "returned", "waiting", "withdrawn"]
    );
    let kinds: BTreeSet<_> = errors.keys().map(|name| name.split('(').next().unwrap().to_owned()).collect();
    let all = [
        "BadEnd",
        "Changed",
        "MoreRegions",
        "NoReason",
        "NoRegions",
        "NoSuchStage",
        "NotYours",
        "OutOfOrder",
        "Over",
        "OwnWords",
        "StageDone",
        "Twice",
    ];
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), all);
}

#[test]
fn the_ladder_climbs_holds_and_gives_the_whole_step_however_late_the_clock_looks() {
    let (mut machine, effects) = begin(approval(&[Stage::Sign], false, &[Then::Next, Then::Hold]), None);
    assert_eq!(effects, [Effect::Page(0)]);
    let late = noon() + TimeDelta::minutes(40);
    assert_eq!(machine.tick(late), [Effect::Page(1)]);
    assert_eq!(machine.due, Some(late + TimeDelta::minutes(3)), "not the three minutes that passed unseen");
    for n in 1..=5 {
        let at = late + TimeDelta::minutes(3 * n);
        assert_eq!(machine.tick(at), [Effect::Page(1)], "held, and called again and again");
        assert!(machine.overdue && machine.state == State::Waiting);
    }
    let reviewer = who(1, &[Role::Reviewer]);
    let now = late + TimeDelta::minutes(16);
    machine.act(Act::Take, 0, &reviewer, now).unwrap();
    assert_eq!(machine.due, Some(now + TimeDelta::minutes(3)), "who takes it has the step's time once");
    machine.act(Act::Take, 0, &who(2, &[Role::Signer]), now + TimeDelta::minutes(1)).unwrap();
    assert_eq!(machine.due, Some(now + TimeDelta::minutes(3)), "and no more: taking in turns stops no clock");
}

#[test]
fn after_its_time_one_signature_is_enough_also_of_an_officer_called_later() {
    let both = [Stage::Review, Stage::Sign];
    let ladder = approval(&both, false, &[Then::Next, Then::ReleaseSigned, Then::Hold]);
    let (mut machine, _) = begin(ladder, None);
    let (both, reviewer) = (who(1, &[Role::Reviewer, Role::Signer]), who(2, &[Role::Reviewer]));
    assert_eq!(machine.next_stage(&both), Some(Stage::Review));
    let mut now = noon();
    for called in [1, 2] {
        now += TimeDelta::minutes(3);
        assert!(!machine.one_is_enough());
        assert_eq!(machine.tick(now), [Effect::Page(called)], "nobody has signed: the next are called");
    }
    assert!(machine.one_is_enough());
    assert_eq!((machine.next_stage(&both), machine.next_stage(&reviewer)), (Some(Stage::Sign), Some(Stage::Review)));
    let mut reviewed = machine.clone();
    assert_eq!(reviewed.act(Act::Approve(Stage::Review), 0, &reviewer, now), Ok(Vec::new()), "that is no signature");
    for machine in [&mut machine, &mut reviewed] {
        let effects = machine.act(Act::Approve(Stage::Sign), 0, &both, now).unwrap();
        assert!(matches!(effects.as_slice(), [Effect::Release { .. }]), "{effects:?}");
    }
    assert!(
        machine.approved_by.contains("officer 1") && machine.approved_by.contains("时限"),
        "{}",
        machine.approved_by
    );
    let other_words = Act::Amend { amendment: Amendment::default(), regions: counties(4), reason: "why".into() };
    let (mut machine, _) = begin(approval(&[Stage::Sign], true, &[Then::ReleaseSigned, Then::Hold]), None);
    machine.tick(noon() + TimeDelta::minutes(3));
    machine.act(other_words, 0, &reviewer, noon() + TimeDelta::minutes(4)).unwrap();
    assert!(!machine.one_is_enough(), "other words begin anew");
}

#[test]
fn an_end_that_officers_moved_forward_is_kept() {
    let (mut machine, _) = begin(approval(&[Stage::Sign], false, &[Then::Hold]), None);
    let (end, author, signer) = (noon() + TimeDelta::minutes(10), who(1, &[Role::Author]), who(2, &[Role::Signer]));
    let amendment = Amendment { expires: Some(end), ..Amendment::default() };
    let act = Act::Amend { amendment, regions: counties(4), reason: "shorter".into() };
    machine.act(act, 0, &author, noon()).unwrap();
    assert_eq!(machine.act(Act::Approve(Stage::Sign), 1, &signer, end), Err(ActError::Over("expired")));
    assert_eq!((machine.tick(end), &machine.state), (Vec::new(), &State::Expired));
}

#[test]
fn a_release_whose_messages_could_not_be_made_says_who_signed_when_it_is_tried_again() {
    let (mut machine, _) = begin(approval(&[Stage::Sign], false, &[Then::Release]), None);
    let at = noon() + TimeDelta::minutes(3);
    let effects = machine.tick(at);
    machine.not_released(at);
    assert_eq!(machine.tick(at + RETRY), effects, "the same release by the same rule");
}
