//! From a release to a publication: byte for byte, amended, in part, or ended.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{TimeDelta, Utc};
use tocsin::approval::{Amendment, Words};
use tocsin::cap::{self, MsgType, Verdict};
use tocsin::messages::Language;
use tocsin::publish::{Board, Entry, Publication, Standing, feature};
use tocsin::regions::{LocateOptions, RegionCode};

use super::support::{Cma, RED};
use super::{Desk, GROUND, How, MAP, below, codes, place, read};

#[test]
fn an_untouched_alert_is_published_byte_for_byte_under_its_own_id() {
    let raw = Cma::new("a").xml();
    let (publication, cap) = Desk::default().release(raw.as_bytes(), Utc::now(), How::default()).unwrap();
    assert_eq!(cap, raw.as_bytes());
    assert_eq!(publication.id, cap::AlertId::of(&read(&raw)));
    assert!(!publication.own && publication.warns());
}

#[test]
fn drills_tests_and_what_is_meant_for_few_are_not_published() {
    for status in ["Exercise", "Test", "System", "Draft"] {
        let alert = Cma { status, ..Cma::new("a") };
        assert!(Desk::default().release(alert.xml().as_bytes(), Utc::now(), How::default()).is_none(), "{status}");
    }
    for scope in
        ["<scope>Restricted</scope><restriction>police</restriction>", "<scope>Private</scope><addresses>a</addresses>"]
    {
        let raw = Cma::new("a").xml().replace("<scope>Public</scope>", scope);
        assert!(Desk::default().release(raw.as_bytes(), Utc::now(), How::default()).is_none(), "{scope}");
    }
}

#[test]
#[cfg(feature = "signatures")]
fn everything_is_signed_but_what_carries_a_signature_that_holds() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (key, certificate) = (path("key.pem"), path("certificate.pem"));
    let made = std::process::Command::new("openssl")
        .args(["req", "-x509", "-nodes", "-days", "30", "-subj", "/CN=tocsin", "-newkey", "ec"])
        .args(["-pkeyopt", "ec_paramgen_curve:P-256", "-keyout", &key, "-out", &certificate])
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let signer = cap::SigningKey::load(key.as_ref(), Some(certificate.as_ref())).unwrap();
    let raw = Cma::new("a").xml();
    let amendment = Amendment { words: BTreeMap::new(), expires: Some(Utc::now() + TimeDelta::minutes(30)) };
    let how = How { amendment, signing: Some(&signer), ..How::default() };
    let (_, ours) = Desk::default().release(raw.as_bytes(), Utc::now(), how).unwrap();
    let keys = cap::Keys::load(&[certificate.into()]).unwrap();
    let verdict = |bytes: &[u8]| keys.verify(bytes, &cap::read(bytes).alert.unwrap(), Utc::now());
    assert_eq!(verdict(&ours), Ok(()));
    let forged = String::from_utf8(ours).unwrap().replace("310118", "310120");
    assert!(verdict(forged.as_bytes()).is_err());
    let published = |raw: &str, verified| {
        let how = How { signing: Some(&signer), verified, ..How::default() };
        Desk::default().release(raw.as_bytes(), Utc::now(), how).unwrap()
    };
    let (publication, theirs) = published(&raw, false);
    assert_eq!(verdict(&theirs), Ok(()), "what carries no signature gets ours");
    assert_eq!(cap::read(&theirs).alert.unwrap().infos, read(&raw).infos);
    assert!(!publication.own && !publication.unsigned, "and nothing of it was changed");
    let commented = raw.replace("</alert>", "<!-- </no> --></alert><!-- </end> -->");
    assert_eq!(verdict(&published(&commented, false).1), Ok(()));
    let signed = String::from_utf8(theirs).unwrap();
    assert_eq!(published(&signed, true).1, signed.as_bytes(), "the bureau's own stays where it was seen to hold");
    let broken = signed.replace("310118", "310120");
    let (publication, anew) = published(&broken, false);
    assert_eq!((verdict(&anew), publication.own), (Ok(()), false), "one that does not hold goes");
    let (_, bare) = Desk::default().release(broken.as_bytes(), Utc::now(), How::default()).unwrap();
    assert!(!String::from_utf8(bare).unwrap().contains("Signature"));
}

#[test]
fn what_officers_changed_is_our_own_message_that_references_the_bureaus() {
    let raw = Cma::new("a").xml();
    let words =
        Words {
            headline: "改过的标题".into(), description: "改过的内容".into(), instruction: "请勿外出".into()
        };
    let amendment = Amendment { words: [(Language::Chinese, words)].into(), expires: None };
    let (publication, cap) =
        Desk::default().release(raw.as_bytes(), Utc::now(), How { amendment, ..How::default() }).unwrap();
    let reading = cap::read(&cap);
    assert_eq!(reading.verdict(), Verdict::Accepted, "{:?}", reading.findings);
    let ours = reading.alert.unwrap();
    assert_eq!(
        (ours.sender.as_str(), ours.identifier.as_str(), ours.msg_type),
        ("tocsin.example", "a-1", MsgType::Update)
    );
    assert_eq!(
        ours.references.iter().map(cap::AlertId::of_reference).collect::<Vec<_>>(),
        std::slice::from_ref(&publication.alert)
    );
    assert_eq!(ours.info_in("zh-CN").unwrap().headline.as_deref(), Some("改过的标题"));
    assert_eq!(publication.id, cap::AlertId::of(&ours));
    assert_ne!(publication.id, publication.alert);
}

#[test]
fn china_s_profile_has_nothing_to_say_of_our_edition_of_a_message_that_keeps_it() {
    let raw = include_str!("../cases/cap/qingpu-typhoon-red.xml");
    let at = "2022-09-14T12:00:00Z".parse().unwrap();
    let mut desk = Desk::default();
    let mut names = BTreeSet::from([read(raw).identifier]);
    for minutes in [30, 40, 50] {
        let amendment = Amendment { words: BTreeMap::new(), expires: Some(at + TimeDelta::minutes(minutes)) };
        let (_, cap) =
            desk.release(raw.as_bytes(), at, How { amendment, issuer: Some("41699900"), ..How::default() }).unwrap();
        let mut reading = cap::read(&cap);
        let ours = reading.alert.unwrap();
        let verdict = cap::hold_against(&[cap::ProfileName::China], &ours, &mut reading.findings);
        assert_eq!(verdict, Verdict::Accepted, "{:?}", reading.findings);
        assert_eq!((ours.sender.as_str(), ours.identifier.len()), ("tocsin.example", 31));
        assert!(names.insert(ours.identifier), "those of one second have a name each: {names:?}");
    }
}

/// Its platform knows messages by their identifiers, and would take the bureau's next one for ours.
#[test]
fn no_name_of_ours_is_one_that_the_bureau_or_another_may_give() {
    let raw = include_str!("../cases/cap/qingpu-typhoon-red.xml");
    let theirs = read(raw).identifier;
    let at = "2022-09-14T12:00:00Z".parse().unwrap();
    let of = |raw: &str, issuer| {
        let amendment = Amendment { words: BTreeMap::new(), expires: Some(at + TimeDelta::minutes(30)) };
        let how = How { amendment, issuer, ..How::default() };
        Desk::default().release(raw.as_bytes(), at, how).unwrap().0.shown.identifier.clone()
    };
    let bureaus = &theirs[6..14];
    for issuer in [None, Some(bureaus)] {
        assert_eq!(of(raw, issuer), format!("{theirs}-1"), "{issuer:?}");
    }
    assert_eq!(of(raw, Some("41699900")), format!("{}41699900_20220914200000_1", &theirs[..6]));
    // Nor is a division borrowed from what it references.
    let plain = raw.replace(&format!("<identifier>{theirs}"), "<identifier>plain").replace(
        "</scope>",
        "</scope><references>other,33000041600000_20220914190000,2022-09-14T19:00:00+08:00</references>",
    );
    assert_eq!(of(&plain, Some("41699900")), "plain-1");
}

/// A part of an alert names its own counties and no others: what waits elsewhere is not given away.
#[test]
fn a_part_says_nothing_of_the_jurisdiction_that_waits() {
    let both = Cma::new("a").xml().replace("310118000000", "310000000000").replace(
        "</geocode></area>",
        "</geocode><geocode><valueName>CPEAS Geographic Code</valueName><value>330400000000</value></geocode></area>",
    );
    let shanghai = below("310000");
    let part = How { regions: Some(shanghai.clone()), within: Some(shanghai.clone()), ..How::default() };
    let (publication, cap) = Desk::default().release(both.as_bytes(), Utc::now(), part).unwrap();
    assert!(publication.own);
    assert_eq!(publication.regions, shanghai);
    let text = String::from_utf8(cap.clone()).unwrap();
    assert!(!text.contains("3304") && !text.contains("嘉兴") && text.contains("310118"), "{text}");
    let again = cap::read(&cap).alert.unwrap();
    let areas: Vec<_> = again.infos.iter().flat_map(|info| info.areas.clone()).collect();
    let found = MAP.locate(&areas, &LocateOptions::default());
    assert_eq!(found.counties.into_iter().map(|found| found.region).collect::<Vec<_>>(), shanghai);
    let entry = Entry { left: publication.regions.clone(), publication, standing: Standing::InForce };
    assert!(!feature(&entry, &MAP, &GROUND, &place()).to_string().contains("3304"));
}

/// While Zhejiang has not said yes to the Update, its people see what they were told before.
#[test]
fn an_older_alert_ends_county_by_county_as_its_successor_is_released() {
    let now = Utc::now();
    let area = |raw: String| {
        raw.replace("310118000000", "310000000000").replace(
            "</geocode></area>",
            "</geocode><geocode><valueName>CPEAS Geographic Code</valueName><value>330400000000</value></geocode></area>",
        )
    };
    let (first, second) = (Cma::new("a"), Cma { msg_type: "Update", ..Cma::new("b") });
    let (first_raw, second_raw) = (area(first.xml()), area(second.refers_to(&first).xml()));
    let old = read(&first_raw);
    let (shanghai, jiaxing) = (below("310000"), below("330400"));
    let mut desk = Desk::default();
    desk.release(first_raw.as_bytes(), now, How::default()).unwrap();
    let part = |regions: &[RegionCode]| Some(regions.to_vec());
    let how = How { regions: part(&shanghai), within: part(&shanghai), replaces: &[&old], ..How::default() };
    let (first_part, cap) = desk.release(second_raw.as_bytes(), now + TimeDelta::minutes(1), how).unwrap();
    let entries = desk.entries(now + TimeDelta::minutes(2));
    assert_eq!(entries[0].left, jiaxing);
    assert!(entries.iter().all(Entry::in_force));
    // The bureau's whole alert is not ended by a part.
    assert!(!cap::read(&cap).alert.unwrap().references.is_empty());
    let how = How { regions: part(&jiaxing), within: part(&below("330000")), replaces: &[&old], ..How::default() };
    let (second_part, cap) = desk.release(second_raw.as_bytes(), now + TimeDelta::minutes(3), how).unwrap();
    let entries = desk.entries(now + TimeDelta::minutes(4));
    let replaced = Standing::Replaced { by: second_part.id.clone(), at: second_part.at };
    assert_eq!(entries[0].standing, replaced);
    assert_eq!((&entries[1].standing, &entries[2].standing), (&Standing::InForce, &Standing::InForce));
    let references: Vec<_> = cap::read(&cap).alert.unwrap().references.iter().map(cap::AlertId::of_reference).collect();
    assert!(references.contains(&entries[0].publication.id), "the last part ends the whole");
    assert_ne!(first_part.id, second_part.id);
}

/// Whoever got our own message must be able to end it: a Cancel of the bureau's names only the bureau's.
#[test]
fn what_follows_a_message_of_ours_references_ours() {
    let now = Utc::now();
    let first = Cma::new("a");
    let cancel = Cma { msg_type: "Cancel", ..Cma::new("b") }.refers_to(&first);
    let old = read(&first.xml());
    let amendment = Amendment { words: Default::default(), expires: Some(now + TimeDelta::hours(2)) };
    let mut desk = Desk::default();
    let (ours, _) = desk.release(first.xml().as_bytes(), now, How { amendment, ..How::default() }).unwrap();
    let how = How { replaces: &[&old], ..How::default() };
    let (end, cap) = desk.release(cancel.xml().as_bytes(), now + TimeDelta::minutes(5), how).unwrap();
    let read = cap::read(&cap).alert.unwrap();
    assert_eq!(read.msg_type, MsgType::Cancel);
    let references: Vec<_> = read.references.iter().map(cap::AlertId::of_reference).collect();
    assert!(references.contains(&ours.id) && references.contains(&ours.alert));
    let entries = desk.entries(now + TimeDelta::minutes(6));
    assert_eq!(entries[0].standing, Standing::Withdrawn { by: end.id.clone(), at: end.at });
    assert_eq!((&entries[1].standing, end.regions.as_slice()), (&Standing::Notice, ours.regions.as_slice()));
}

#[test]
fn a_board_keeps_what_ended_for_a_while_and_says_when_it_changes_next() {
    let now = Utc::now();
    let mut desk = Desk::default();
    desk.release(Cma::new("a").xml().as_bytes(), now, How::default()).unwrap();
    let all: Vec<_> = desk.all.iter().map(|(publication, _)| Arc::clone(publication)).collect();
    let ends = all[0].expires;
    let board = |at| Board::of(&all, &BTreeSet::new(), at, TimeDelta::hours(48));
    assert_eq!(board(now).until, Some(ends));
    assert_eq!(board(now).in_force().len(), 1);
    let later = board(ends);
    assert_eq!((later.in_force().len(), later.ended().len(), later.until), (0, 1, Some(ends + TimeDelta::hours(48))));
    assert!(board(ends + TimeDelta::hours(48)).entries.is_empty());
    let held = Board::of(&all, &BTreeSet::from([1]), now, TimeDelta::hours(48));
    assert_eq!((held.in_force().len(), &held.entries[0].standing), (0, &Standing::Paused));
}

#[test]
fn a_receiver_is_told_that_what_it_was_told_has_become_less_grave() {
    use tocsin::publish::HookFilter;
    let now = Utc::now();
    let red = Cma { colour: RED, ..Cma::new("a") };
    let old = read(&red.xml());
    let mut desk = Desk::default();
    let (first, _) = desk.release(red.xml().as_bytes(), now, How::default()).unwrap();
    let update = Cma { msg_type: "Update", ..Cma::new("b") }.refers_to(&red);
    let how = How { replaces: &[&old], ..How::default() };
    let (second, _) = desk.release(update.xml().as_bytes(), now, how).unwrap();
    let all = [Publication::clone(&first), Publication::clone(&second)];
    let lowest = Some(tocsin::cap::Colour::Orange);
    let grave = HookFilter { lowest, ..HookFilter::default() };
    assert!(grave.takes(&first, &all, &MAP) && grave.takes(&second, &all, &MAP));
    assert!(!grave.takes(&second, &[], &MAP), "a yellow alert by itself is not for it");
    let elsewhere = HookFilter { regions: codes(&["330000"]), ..HookFilter::default() };
    let here = HookFilter { regions: codes(&["310000"]), hazards: vec![tocsin::cap::Hazard::Typhoon], lowest: None };
    assert!(!elsewhere.takes(&first, &all, &MAP) && here.takes(&first, &all, &MAP));
}
