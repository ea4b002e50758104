//! Those who would misuse signing up: pumping, guessing, other people's addresses; and that owners come in all the same.

use std::collections::BTreeMap;
use std::net::IpAddr;

use chrono::TimeDelta;
use tocsin_channels::ChannelKind;

use super::sign_up::{Ask, ResidentError};
use super::test_world::{HERE, World};
use super::{SignUpLimits, work};
use crate::clock::Clock as _;
use crate::delivery::Address;
use crate::messages::Language;
use crate::rules::Audience;
use crate::store::{NewContact, NewSubscriber, insert_contact};

#[tokio::test]
async fn an_owners_click_gives_their_address_to_nobody_else() {
    let world = World::new().await;
    let (owner, thief) = (world.sign_up("li.ming@example.org").await, world.sign_up("13812345678").await);
    let ask = Ask { account: Some(thief), places: Vec::new(), ..World::ask("li.ming@example.org") };
    world.residents.ask(ask, HERE.parse().unwrap(), "").await.unwrap();
    let entered = world.residents.confirm_link(&world.link().await).await.unwrap();
    assert_eq!(entered.subscriber, owner, "it opens their own settings");
    assert_eq!(world.residents.mine(owner).await.unwrap().addresses.len(), 1);
    assert_eq!(world.residents.mine(thief).await.unwrap().addresses.len(), 1);
}

#[tokio::test]
async fn a_code_has_five_tries_and_ten_minutes() {
    let world = World::new().await;
    let token = world.send("13812345678").await.unwrap();
    let code = world.code().await;
    let wrong = if code == "000000" { "000001" } else { "000000" };
    for _ in 0..5 {
        assert!(matches!(world.residents.confirm_code(&token, wrong).await, Err(ResidentError::Proof)));
    }
    assert!(world.residents.confirm_code(&token, &code).await.is_err(), "the right one comes too late");
    let token = world.send("13812345678").await.unwrap();
    let code = world.code().await;
    world.later(TimeDelta::minutes(10));
    assert!(world.residents.confirm_code(&token, &code).await.is_err(), "ten minutes are over");
    assert!(world.residents.confirm_code("nobody's form", &code).await.is_err());
    assert_eq!(world.store.address_counts().await.unwrap(), []);
}

#[tokio::test]
async fn nobody_can_be_made_to_get_more_than_three_messages() {
    let world = World::new().await;
    for n in 0..8 {
        let from: IpAddr = format!("198.51.{n}.1").parse().unwrap();
        let answer = world.residents.ask(World::ask("victim@example.org"), from, "").await;
        assert!(answer.is_ok(), "the answer is what it always is");
        world.later(TimeDelta::hours(3));
    }
    assert_eq!(world.sent().await.len(), 3);
    // Somebody who is known is no better target.
    let world = World::new().await;
    world.sign_up("victim@example.org").await;
    for n in 0..8 {
        let from: IpAddr = format!("198.51.{n}.1").parse().unwrap();
        world.residents.ask(World::ask("victim@example.org"), from, "").await.unwrap();
    }
    assert_eq!(world.sent().await.len(), 1 + 3);
}

#[tokio::test]
async fn whoever_never_answers_is_left_alone_longer_and_longer() {
    let world = World::new().await;
    let days = async |days: std::ops::Range<u32>| {
        for day in days {
            let from = IpAddr::from([198, 51, u8::try_from(day % 250).unwrap(), 1]);
            assert!(world.residents.ask(World::ask("13812345678"), from, "").await.is_ok(), "the usual answer");
            world.later(TimeDelta::days(1));
            let now = world.clock.now();
            world.store.prune_residents(chrono::DateTime::UNIX_EPOCH, now).await.unwrap();
        }
        world.sent().await.len()
    };
    assert_eq!(days(0..7).await, 3, "a week");
    assert_eq!(days(7..70).await, 3 + 3, "ten weeks: after 7, 14 and 28 days");
    assert_eq!(days(70..365).await, 6 + 10, "a year: after 30 days each, and no longer");
    // An owner who comes in has a whole share again.
    world.later(TimeDelta::days(365));
    world.sign_up("13812345678").await;
    assert_eq!(days(0..7).await, 16 + 1 + 3);
}

#[tokio::test]
async fn one_mailbox_in_fifty_spellings_gets_three_messages_all_the_same() {
    let world = World::new().await;
    for n in 0..50_u32 {
        let upper = |(at, c): (usize, char)| if n >> at & 1 == 1 { c.to_ascii_uppercase() } else { c };
        let mut user: String = "victim".chars().enumerate().map(upper).collect();
        match n % 3 {
            0 => user += &format!("+{n}"),
            1 => user.insert(3, '.'),
            _ => {}
        }
        let from: IpAddr = format!("198.51.{n}.1").parse().unwrap();
        assert!(world.residents.ask(World::ask(&format!("{user}@example.org")), from, "").await.is_ok());
        world.later(TimeDelta::hours(1));
    }
    assert_eq!(world.sent().await.len(), 3);
}

#[tokio::test]
async fn ten_thousand_numbers_from_one_network_get_twenty_messages_an_hour() {
    let world = World::new().await;
    let mut refused = 0;
    for n in 0..10_000_u32 {
        let from: IpAddr = format!("203.0.113.{}", n % 254 + 1).parse().unwrap();
        // Far apart, so that the network alone gives them away.
        let ask = World::ask(&format!("13{:09}", (u64::from(n) + 1) * 79_999 % 1_000_000_000));
        refused += u32::from(matches!(world.residents.ask(ask, from, "").await, Err(ResidentError::Busy)));
    }
    assert!(!world.residents.task().await.unwrap().1, "and nobody else has to work for it");
    assert_eq!((world.sent().await.len(), refused), (20, 9_980));
}

#[tokio::test]
async fn numbers_in_a_row_from_many_networks_are_few_too_and_everybody_has_a_budget() {
    let quiet = SignUpLimits { work_above: u32::MAX, ..SignUpLimits::default() };
    let world = World::with(quiet.clone()).await;
    for n in 0..200 {
        let from: IpAddr = format!("198.{n}.100.1").parse().unwrap();
        let _ = world.residents.ask(World::ask(&format!("1381234{n:04}")), from, "").await;
    }
    assert_eq!(world.sent().await.len(), 20, "one block of numbers");

    let world = World::with(SignUpLimits { sms: 30, ..quiet }).await;
    for n in 0..60 {
        let from: IpAddr = format!("198.{n}.100.1").parse().unwrap();
        let _ = world.residents.ask(World::ask(&format!("138{:08}", n * 10_000)), from, "").await;
    }
    assert_eq!(world.sent().await.len(), 30, "all together");
}

#[tokio::test]
async fn under_load_each_sign_up_costs_work_and_a_solution_is_good_for_one() {
    let world = World::with(SignUpLimits { work_above: 2, without_work: 0, ..SignUpLimits::default() }).await;
    let from = |n: u8| IpAddr::from([198, 51, n, 1]);
    let ask = |n: u32| World::ask(&format!("138{:08}", n * 10_000));
    for n in 0..2 {
        assert!(!world.residents.task().await.unwrap().1, "a person without scripts can sign up");
        world.residents.ask(ask(n), from(0), "").await.unwrap();
    }
    let (task, needed) = world.residents.task().await.unwrap();
    assert!(needed);
    assert!(matches!(world.residents.ask(ask(3), from(1), "").await, Err(ResidentError::Work)));
    let solution = work::solve(&task);
    world.residents.ask(ask(3), from(2), &solution).await.unwrap();
    assert!(matches!(world.residents.ask(ask(4), from(3), &solution).await, Err(ResidentError::Busy)), "used");
    assert_eq!(world.sent().await.len(), 3);
}

#[tokio::test]
async fn a_known_and_an_unknown_address_leave_the_same_traces_behind() {
    let world = World::new().await;
    world.sign_up("known@example.org").await;
    let rows = async || {
        let mut rows = BTreeMap::new();
        for table in ["sign_up", "release", "dispatch", "chunk", "personal_release", "record"] {
            let sql = sqlx::AssertSqlSafe(format!("SELECT CAST(COUNT(*) AS BIGINT) FROM {table}"));
            let n: i64 = sqlx::query_scalar(sql).fetch_one(&world.store.read).await.unwrap();
            rows.insert(table, n);
        }
        rows
    };
    let grown = |before: &BTreeMap<&str, i64>, after: &BTreeMap<&str, i64>| {
        before.iter().map(|(table, n)| after[table] - n).collect::<Vec<_>>()
    };
    let start = rows().await;
    let known = world.send("known@example.org").await.unwrap();
    let middle = rows().await;
    let unknown = world.send("other@example.org").await.unwrap();
    let end = rows().await;
    assert_eq!(known.len(), unknown.len());
    assert_eq!(grown(&start, &middle), grown(&middle, &end), "the same rows are written");
}

#[tokio::test]
async fn strangers_who_ask_again_and_again_do_not_shut_an_owner_out() {
    let world = World::new().await;
    let token = world.send("13812345678").await.unwrap();
    let owner = world.residents.confirm_code(&token, &world.code().await).await.unwrap();
    for n in 0..9 {
        let from: IpAddr = format!("198.51.{n}.1").parse().unwrap();
        world.residents.ask(World::ask("13812345678"), from, "").await.unwrap();
    }
    assert_eq!(world.sent().await.len(), 1 + 3, "strangers have used up what an address gets unasked");
    let ask = |marks: &str| Ask { marks: marks.into(), ..World::ask("13812345678") };
    for forged in ["", "x", "a.b.c", &owner.mark[1..]] {
        world.residents.ask(ask(forged), HERE.parse().unwrap(), "").await.unwrap();
    }
    assert_eq!(world.sent().await.len(), 1 + 3, "nobody makes up a mark");
    let token = world.residents.ask(ask(&format!("other.{}", owner.mark)), HERE.parse().unwrap(), "").await.unwrap();
    let again = world.residents.confirm_code(&token, &world.code().await).await.unwrap();
    assert_eq!(again.subscriber, owner.subscriber, "their own browser lets them in");
    // A mark is good for its own address alone, and not for ever more.
    let other = Ask { marks: owner.mark.clone(), ..World::ask("13912345678") };
    for _ in 0..9 {
        world.residents.ask(other.clone(), HERE.parse().unwrap(), "").await.unwrap();
        world.residents.ask(ask(&owner.mark), HERE.parse().unwrap(), "").await.unwrap();
    }
    assert_eq!(world.sent().await.len(), 1 + 3 + 1 + 3 + 4);
}

#[tokio::test]
async fn a_mailbox_gets_no_second_share_in_its_own_browser_for_its_capitals() {
    let world = World::new().await;
    let mut marks = Vec::new();
    let spellings = ["li.ming@example.org", "Li.Ming@example.org", "liming@example.org"];
    for spelling in spellings {
        world.send(spelling).await.unwrap();
        marks.push(world.residents.confirm_link(&world.link().await).await.unwrap().mark);
    }
    let before = world.sent().await.len();
    for spelling in spellings.repeat(9) {
        let ask = Ask { marks: marks.join("."), ..World::ask(spelling) };
        world.residents.ask(ask, HERE.parse().unwrap(), "").await.unwrap();
    }
    assert_eq!(world.sent().await.len(), before + 5 + 5, "one share, and another's whose name has no dot");
}

#[tokio::test]
async fn an_owner_without_the_browser_they_know_comes_in_by_writing_from_their_number() {
    let world = World::new().await;
    let me = world.sign_up("13812345678").await;
    for n in 0..9 {
        let from: IpAddr = format!("198.51.{n}.1").parse().unwrap();
        world.residents.ask(World::ask("13812345678"), from, "").await.unwrap();
    }
    let before = world.sent().await.len();
    let link = async |answer: String| {
        let at = answer.find("https://warn.example.org/sign-up/confirm/").expect("our own address");
        let link = answer[at..].rsplit('/').next().unwrap();
        world.residents.confirm_link(link.split('?').next().unwrap()).await
    };
    let hear = async |from: &str, text: &str| world.residents.hear(from, text).await.unwrap();
    let answer = hear("+8613812345678", "登录").await.unwrap();
    assert_eq!(link(answer.clone()).await.unwrap().subscriber, me);
    assert!(link(answer).await.is_err(), "once");
    let late = hear("13812345678", "Open.").await.unwrap();
    world.later(TimeDelta::minutes(10));
    assert!(link(late).await.is_err(), "ten minutes");
    assert!(hear("13812345678", "设置").await.is_some());
    assert_eq!(hear("13812345678", "设置").await, None, "a sender may be forged: no more than anybody gets unasked");
    assert_eq!(hear("13912345678", "OPEN").await, None, "a number that nobody knows");
    assert_eq!(world.sent().await.len(), before, "it is the gateway that answers");
    world.later(TimeDelta::days(8));
    assert!(hear("13812345678", "open").await.is_some());
}

#[tokio::test]
async fn a_code_cannot_be_guessed_over_many_forms() {
    let many = 10_000;
    let world =
        World::with(SignUpLimits { sms: many, prefix: many, work_above: many, ..SignUpLimits::default() }).await;
    let mut tried = 0;
    for n in 0..200_u32 {
        let from: IpAddr = format!("198.{}.{}.1", n / 250, n % 250).parse().unwrap();
        let Ok(token) = world.residents.ask(World::ask("13812345678"), from, "").await else { continue };
        for guess in 0..20 {
            tried += 1;
            let guess = format!("{:06}", (n * 20 + guess) % 1_000_000);
            if world.residents.confirm_code(&token, &guess).await.is_ok() {
                assert!(world.code().await == guess, "one in a million");
            }
        }
    }
    let sql = "SELECT CAST(COALESCE(SUM(tries), 0) AS BIGINT) FROM sign_up";
    let counted: i64 = sqlx::query_scalar(sql).fetch_one(&world.store.read).await.unwrap();
    assert!(
        tried > 1_000 && counted <= 15,
        "{counted} of {tried} guesses were at a code: three messages, five tries each"
    );
}

#[tokio::test]
async fn no_codes_go_to_countries_that_are_not_served() {
    let world = World::new().await;
    for dear in ["+675 7123 4567", "+881 1234 56789", "+44 7700 900123", "+1 900 555 0100"] {
        assert!(matches!(world.send(dear).await, Err(ResidentError::Input(_))), "{dear}");
    }
    assert_eq!(world.sent().await.len(), 0);
    world.send("13812345678").await.unwrap();
    let countries = vec!["86".to_owned(), "852".to_owned()];
    let world = World::with(SignUpLimits { countries, ..SignUpLimits::default() }).await;
    world.send("+852 5123 4567").await.unwrap();
    assert!(world.send("+853 6612 3456").await.is_err());
}

#[tokio::test]
async fn who_has_proved_an_address_before_comes_in_with_it_although_its_country_is_served_no_more() {
    let countries = vec!["86".to_owned(), "852".to_owned()];
    let mut world = World::with(SignUpLimits { countries, ..SignUpLimits::default() }).await;
    let token = world.send("+852 5123 4567").await.unwrap();
    let owner = world.residents.confirm_code(&token, &world.code().await).await.unwrap();
    world.residents.limits = SignUpLimits::default();
    assert!(world.send("+852 5123 4567").await.is_err(), "nothing tells that a number is known");
    let own = Ask { marks: owner.mark, ..World::ask("+852 5123 4567") };
    let another = Ask { account: Some(owner.subscriber), ..World::ask("+852 5123 4568") };
    assert!(world.residents.ask(another, HERE.parse().unwrap(), "").await.is_err(), "nor is an account a way round");
    let token = world.residents.ask(own, HERE.parse().unwrap(), "").await.unwrap();
    let entered = world.residents.confirm_code(&token, &world.code().await).await.unwrap();
    assert_eq!(entered.subscriber, owner.subscriber);
}

#[tokio::test]
async fn under_load_a_few_come_in_without_a_script() {
    let limits = SignUpLimits { work_above: 2, without_work: 3, network: 1_000, ..SignUpLimits::default() };
    let world = World::with(limits).await;
    let mut let_in = 0;
    for n in 0..20 {
        let ask = World::ask(&format!("138{:08}", n * 10_000));
        match world.residents.ask(ask, HERE.parse().unwrap(), "").await {
            Ok(_) => let_in += 1,
            Err(error) => assert!(matches!(error, ResidentError::Work), "{error}"),
        }
    }
    assert_eq!((let_in, world.sent().await.len()), (2 + 3, 5));
    world.later(TimeDelta::minutes(61));
    assert!(world.send("13900000000").await.is_ok(), "an hour later there is no load");
}

#[tokio::test]
async fn who_wants_no_codes_gets_none_for_ever_also_a_number_that_never_signed_up() {
    let world = World::new().await;
    let hear = async |from: &str, text: &str| world.residents.hear(from, text).await.unwrap();
    world.send("13812345678").await.unwrap();
    assert!(world.text().await.contains("回复TD"), "as the code itself says");
    assert!(hear("13812345678", "TD").await.unwrap().contains("已退订"));
    assert_eq!(hear("13812345678", "TD").await, None, "confirmed once");
    for n in 0..10 {
        let from: IpAddr = format!("198.51.{n}.1").parse().unwrap();
        assert!(world.residents.ask(World::ask("13812345678"), from, "").await.is_ok(), "the usual answer");
        world.later(TimeDelta::days(200));
        let now = world.clock.now();
        world.store.prune_residents(chrono::DateTime::UNIX_EPOCH, now).await.unwrap();
    }
    assert_eq!(world.sent().await.len(), 1);
    // Nor does a list bring in who was told "no more warnings".
    let listed = |address: Address| NewSubscriber {
        audience: Audience::Public,
        region: "310118".parse().unwrap(),
        language: Language::Chinese,
        addresses: vec![address],
    };
    let address = |number: &str| Address::parse(ChannelKind::Sms, number).unwrap();
    let list = [listed(address("13812345678")), listed(address("13812345679"))];
    let added = world.store.add_subscribers(&list, world.clock.now()).await.unwrap();
    assert_eq!((added.subscribers, added.addresses, added.repeated), (1, 1, 1));
    let contact = NewContact {
        organisation: "port".parse().unwrap(),
        name: "Li".into(),
        duty: "watch".into(),
        language: Language::Chinese,
        consent: ("2026-1".into(), world.clock.now()),
        source: String::new(),
        entered_by: "operator".into(),
        addresses: vec![address("13812345678")],
        places: Vec::new(),
    };
    let mut tx = world.store.begin().await.unwrap();
    assert_eq!(insert_contact(&world.store, &mut tx, &contact).await.unwrap(), 0, "nor an organisation");
    tx.commit().await.unwrap();
    // Forged senders bring about few answers.
    let mut answers = 0;
    for _ in 0..20 {
        answers += usize::from(hear("13812345678", "OPEN").await.is_some());
        answers += usize::from(hear("13812345678", "STOP").await.is_some());
    }
    assert_eq!(answers, 6);
    world.later(TimeDelta::days(8));
    assert!(hear("13812345678", "OPEN").await.is_some(), "they have changed their mind");
    world.sign_up("13812345678").await;
}

#[tokio::test]
async fn a_mail_that_nobody_asked_for_has_a_link_that_ends_such_mails_for_ever() {
    let world = World::new().await;
    world.send("victim@example.org").await.unwrap();
    let token = world.never().await;
    assert!(!world.residents.is_never(&token).await.unwrap(), "looking does nothing");
    for forged in ["", "x", "x.y", &token[1..], &format!("{token}x")] {
        assert!(matches!(world.residents.set_never(forged, true).await, Err(ResidentError::Proof)), "{forged}");
    }
    world.residents.set_never(&token, true).await.unwrap();
    world.residents.set_never(&token, true).await.unwrap();
    world.later(TimeDelta::days(1_000));
    for spelling in ["victim@example.org", "Victim@Example.org"] {
        assert!(world.send(spelling).await.is_ok(), "the usual answer");
    }
    assert_eq!(world.sent().await.len(), 1);
    world.residents.set_never(&token, false).await.unwrap();
    world.send("victim@example.org").await.unwrap();
    assert_eq!(world.sent().await.len(), 2);
}

#[tokio::test]
async fn a_mailbox_that_wants_nothing_shuts_out_no_neighbour_whose_name_differs_by_a_dot() {
    let world = World::new().await;
    world.send("li.wei@example.org").await.unwrap();
    world.residents.set_never(&world.never().await, true).await.unwrap();
    for (spelling, gets) in [("li.wei@example.org", false), ("LI.WEI@example.org", false), ("liwei@example.org", true)]
    {
        let before = world.sent().await.len();
        world.send(spelling).await.unwrap();
        assert_eq!(world.sent().await.len() > before, gets, "{spelling}");
    }
    // That stays when the neighbour comes and goes, and ends when the mailbox's own owner comes in.
    let neighbour = world.sign_up("liwei@example.org").await;
    world.residents.erase(neighbour).await.unwrap();
    let before = world.sent().await.len();
    world.send("li.wei@example.org").await.unwrap();
    assert_eq!(world.sent().await.len(), before);
}

#[tokio::test]
async fn what_an_owner_refused_holds_after_all_is_deleted_and_ends_when_they_come_in_again() {
    let world = World::new().await;
    world.send("li.wei@example.org").await.unwrap();
    let (never, early) = (world.never().await, world.link().await);
    world.residents.set_never(&never, true).await.unwrap();
    let me = world.residents.confirm_link(&early).await.unwrap().subscriber;
    assert!(!world.residents.is_never(&never).await.unwrap(), "confirmed");
    world.residents.set_never(&never, true).await.unwrap();
    world.residents.erase(me).await.unwrap();
    assert!(world.residents.is_never(&never).await.unwrap());
}

#[tokio::test]
async fn an_owner_who_takes_a_refusal_back_or_writes_open_has_a_whole_share_again() {
    let world = World::new().await;
    let ask = async |address: &str| {
        for n in 0..9 {
            let from: IpAddr = format!("198.51.{n}.1").parse().unwrap();
            world.residents.ask(World::ask(address), from, "").await.unwrap();
        }
        world.later(TimeDelta::hours(2));
        world.sent().await.len()
    };
    let hear = async |text: &str| world.residents.hear("13812345678", text).await.unwrap();
    assert_eq!(ask("13812345678").await, 3);
    assert!(hear("登录").await.unwrap().contains("可以重新登记"), "also who never signed up, nor refused");
    assert_eq!(ask("13812345678").await, 6);
    hear("TD").await.unwrap();
    assert_eq!(ask("13812345678").await, 6);
    hear("OPEN").await.unwrap();
    assert_eq!(ask("13812345678").await, 9);

    assert_eq!(ask("vic.tim@example.org").await, 9 + 3);
    let never = world.never().await;
    world.residents.set_never(&never, true).await.unwrap();
    assert_eq!(ask("vic.tim@example.org").await, 9 + 3);
    world.residents.set_never(&never, false).await.unwrap();
    assert_eq!(ask("vic.tim@example.org").await, 9 + 6);
}

#[tokio::test]
async fn no_code_promises_an_answer_that_nobody_hears() {
    let mut world = World::new().await;
    world.residents = world.residents.with_answers(false);
    world.send("13812345678").await.unwrap();
    assert!(!world.text().await.contains("TD"), "{}", world.text().await);
}
