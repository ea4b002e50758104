//! Who is called when, and what an officer sees who is.

use tocsin::delivery::Address;
use tocsin_channels::ChannelKind;

use super::*;

/// The shipped rules without the green channel: one is called after the other.
fn climbing() -> String {
    SHIPPED.replace("green = true\n", "")
}

impl Bench {
    async fn reach(&self, officer: &Officer, phone: &str) {
        let address = Address::parse(ChannelKind::Sms, phone).unwrap();
        self.crew.staff.set_own_addresses(&officer.row, &[address]).await.unwrap();
    }

    async fn on_duty(&self, position: Position, officer: &Officer) {
        let (jurisdiction, officers) = ("310000".parse().unwrap(), vec![officer.id()]);
        let rotation = Rotation { id: 0, jurisdiction, position, officers, days: 7, starts: self.now };
        self.crew.staff.set_rotation(&rotation, &self.crew.root.row).await.unwrap();
    }

    /// Who was called so far: position, and addresses.
    async fn calls(&self) -> Vec<(String, u64)> {
        let detail = |line: &Line| serde_json::from_str::<Value>(&line.detail).unwrap();
        let call = |v: Value| (v["position"].as_str().unwrap().to_owned(), v["addresses"].as_u64().unwrap());
        self.lines("page").await.iter().map(detail).map(call).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_be_called_is_passed_over_at_once() {
    let bench = Bench::new(&climbing()).await;
    let (li, wang) =
        (bench.crew.officer("li", &["signer:310000"]).await, bench.crew.officer("wang", &["signer:310000"]).await);
    bench.on_duty(Position::Primary, &li).await;
    bench.on_duty(Position::Secondary, &wang).await;
    bench.reach(&wang, "+8613800000001").await;
    let alert = bench.post(&Cma { colour: ORANGE, ..Cma::new("n1") }).await;
    assert_eq!(bench.calls().await, [("primary".into(), 0), ("secondary".into(), 1)]);
    let row = &bench.waiting(&alert).await[0];
    assert_eq!((row.escalation.step, row.escalation.uncalled), (1, false));
    assert_eq!(row.escalation.due, Some(bench.now + TimeDelta::minutes(6)), "and what follows comes no sooner");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_can_be_called_it_says_so_and_no_deadline_comes_sooner() {
    let bench = Bench::new(SHIPPED).await;
    bench.crew.officer("li", &["signer:310000"]).await;
    let alert = bench.post(&Cma { colour: ORANGE, ..Cma::new("n1") }).await;
    let row = &bench.waiting(&alert).await[0];
    assert_eq!((row.escalation.step, row.escalation.uncalled), (0, true));
    assert_eq!(row.escalation.due, Some(bench.now + TimeDelta::minutes(3)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_back_calls_its_author() {
    let bench = Bench::new(SHIPPED).await;
    let (author, signer) =
        (bench.crew.officer("au", &["author:310000"]).await, bench.crew.officer("si", &["signer:310000"]).await);
    bench.reach(&author, "+8613800000002").await;
    let alert = bench.post(&Cma { colour: ORANGE, ..Cma::new("n1") }).await;
    let row = bench.waiting(&alert).await.remove(0);
    assert!(bench.act(row.id, amend(&bench, &row, 30), 0, &author).await);
    assert!(bench.act(row.id, Act::Return("哪些街道？".into()), 1, &signer).await);
    assert_eq!(bench.calls().await.last(), Some(&("author".into(), 1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_those_on_duty_have_no_address_everybody_who_could_decide_is_called() {
    let bench = Bench::new(SHIPPED).await;
    let (li, wang) =
        (bench.crew.officer("li", &["signer:310000"]).await, bench.crew.officer("wang", &["signer:310000"]).await);
    for position in [Position::Primary, Position::Secondary, Position::Chief] {
        bench.on_duty(position, &li).await;
    }
    bench.reach(&wang, "+8613800000001").await;
    let alert = bench.post(&Cma { colour: ORANGE, ..Cma::new("n1") }).await;
    assert_eq!(bench.calls().await, [("primary".into(), 0), ("primary".into(), 1)]);
    let row = &bench.waiting(&alert).await[0];
    assert_eq!((row.escalation.step, row.escalation.uncalled), (0, false));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bureaus_alert_that_comes_back_calls_whoever_can_mend_it_and_more_of_them_until_somebody_does() {
    let bench = Bench::new(SHIPPED).await;
    let (writer, signer) =
        (bench.crew.officer("wr", &["author:310000"]).await, bench.crew.officer("si", &["signer:310000"]).await);
    bench.reach(&writer, "+8613800000001").await;
    bench.reach(&signer, "+8613800000002").await;
    let alert = bench.post(&Cma { colour: ORANGE, ..Cma::new("n1") }).await;
    let id = bench.waiting(&alert).await[0].id;
    assert!(bench.act(id, Act::Return("哪些街道？".into()), 0, &signer).await);
    assert_eq!(
        bench.calls().await.last(),
        Some(&("author".into(), 1)),
        "nobody wrote it here: who writes here is called"
    );
    bench.pass(TimeDelta::seconds(179)).await;
    let calls = bench.calls().await.len();
    bench.pass(TimeDelta::seconds(2)).await;
    assert_eq!(bench.calls().await.len(), calls + 1, "nobody has mended it");
    let row = bench.waiting(&alert).await.remove(0);
    assert!(row.escalation.overdue && row.escalation.state.as_str() == "returned");
    bench.pass(TimeDelta::seconds(181)).await;
    assert_eq!(bench.calls().await.last(), Some(&("author".into(), 2)), "and then those who could decide, too");
    let row = bench.waiting(&alert).await.remove(0);
    assert!(bench.act(id, amend(&bench, &row, 30), 0, &signer).await);
    let row = bench.waiting(&alert).await.remove(0);
    assert_eq!((row.escalation.overdue, row.escalation.state.as_str()), (false, "waiting"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_back_where_nobody_has_an_address_says_so() {
    let bench = Bench::new(SHIPPED).await;
    let signer = bench.crew.officer("si", &["signer:310000"]).await;
    let alert = bench.post(&Cma { colour: ORANGE, ..Cma::new("n1") }).await;
    assert!(bench.act(bench.waiting(&alert).await[0].id, Act::Return("why".into()), 0, &signer).await);
    assert!(bench.waiting(&alert).await[0].escalation.uncalled);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_the_green_channel_everybody_on_duty_is_called_at_once() {
    let bench = Bench::new(SHIPPED).await;
    for (n, position) in Position::ALL.into_iter().enumerate() {
        let officer = bench.crew.officer(&format!("o{n}"), &["signer:310000"]).await;
        bench.reach(&officer, &format!("+861380000000{n}")).await;
        bench.on_duty(position, &officer).await;
    }
    for (n, colour) in [(1, ORANGE), (2, RED)] {
        bench.post(&Cma { colour, code: format!("{}000000", SHANGHAI[n]), ..Cma::new(&format!("n{n}")) }).await;
        assert_eq!(bench.calls().await.last(), Some(&("primary".into(), 3)), "{}", colour.0);
    }
    bench.pass(TimeDelta::seconds(181)).await;
    assert_eq!(bench.calls().await.last(), Some(&("secondary".into(), 1)), "who has not answered is called again");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_called_alone_who_could_not_decide() {
    let bench = Bench::new(&climbing()).await;
    let staff = &bench.crew.staff;
    let (li, wang) =
        (bench.crew.officer("li", &["signer:310000"]).await, bench.crew.officer("wang", &["signer:310000"]).await);
    let author = bench.crew.officer("author", &["author:310000", "signer:320000"]).await;
    bench.reach(&li, "+8613800000001").await;
    bench.reach(&wang, "+8613800000002").await;
    bench.on_duty(Position::Primary, &li).await;
    // The roster takes nobody who could not decide there.
    let (jurisdiction, position) = ("310000".parse().unwrap(), Position::Secondary);
    let rotation = Rotation { id: 0, jurisdiction, position, officers: vec![author.id()], days: 7, starts: bench.now };
    assert!(staff.set_rotation(&rotation, &bench.crew.root.row).await.is_err());
    let (jurisdiction, from, to) = ("310000".parse().unwrap(), bench.now, bench.now + TimeDelta::hours(1));
    let swap = Override { id: 0, jurisdiction, position: Position::Primary, officer: author.id(), from, to };
    assert!(staff.stand_in(&swap, &li.row).await.is_err());
    // And whoever can no longer is passed over.
    bench.post(&Cma { colour: ORANGE, ..Cma::new("n1") }).await;
    assert_eq!(bench.calls().await.last(), Some(&("primary".into(), 1)), "Li is on duty");
    let grant = tocsin::officers::Grant::parse("signer:310000").unwrap();
    staff.set_role(li.id(), &grant, false, &bench.crew.root.row).await.unwrap();
    bench.post(&Cma { colour: ORANGE, code: "310120000000".into(), ..Cma::new("n2") }).await;
    let line = bench.lines("page").await.pop().unwrap();
    let detail: Value = serde_json::from_str(&line.detail).unwrap();
    assert_eq!(detail["called"], serde_json::json!(["wang·名"]), "Li may not sign any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_yes_answers_a_call_as_a_look_does_and_the_next_call_is_open_again() {
    let bench = Bench::new(&climbing().replace("release_signed", "next")).await;
    let reviewer = bench.crew.officer("reviewer", &["reviewer:310000"]).await;
    let signer = bench.crew.officer("signer", &["signer:310000"]).await;
    for (position, officer, phone) in [
        (Position::Primary, &reviewer, "+8613800000001"),
        (Position::Secondary, &signer, "+8613800000002"),
        (Position::Chief, &signer, "+8613800000002"),
    ] {
        bench.on_duty(position, officer).await;
        bench.reach(officer, phone).await;
    }
    let red = |county: &str| Cma { colour: RED, code: format!("{county}000000"), ..Cma::new(county) };
    let (signed, taken) = (bench.post(&red("310118")).await, bench.post(&red("310120")).await);
    let ids = [bench.waiting(&signed).await[0].id, bench.waiting(&taken).await[0].id];
    // What the red bar counts, which is the red cards.
    let red = async || {
        let mut rows = bench.waiting(&signed).await;
        rows.extend(bench.waiting(&taken).await);
        let cards = rows.iter().filter(|row| row.escalation.is_unanswered()).count();
        let sql = "SELECT COUNT(*) FROM escalation WHERE closed_at IS NULL AND overdue = 1";
        let bar = bench::count(&bench.folder.path().join("t.db"), sql).await;
        assert_eq!(bar, cards as i64);
        bar
    };
    assert_eq!(red().await, 0, "the first call has its time");
    bench.pass(TimeDelta::minutes(3)).await;
    assert_eq!(red().await, 2, "nobody came");
    assert!(bench.act(ids[0], Act::Approve(Stage::Review), 0, &reviewer).await);
    assert_eq!(red().await, 1, "whoever says yes has come");
    assert!(bench.act(ids[1], Act::Take, 0, &signer).await);
    assert_eq!(red().await, 0);
    // The calls after that nobody has answered, of what is signed neither: without a signature it goes to nobody.
    bench.pass(TimeDelta::minutes(3)).await;
    assert_eq!(red().await, 2);
}
