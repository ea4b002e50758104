//! Who is called when, and what an officer sees who is.

use tocsin::delivery::Address;
use tocsin_channels::ChannelKind;

use super::*;

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
    let bench = Bench::new(SHIPPED).await;
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
