//! Whatever the order of arrival: one head an event, the same head, and nobody hears of an end twice or last of something old.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::world::{Heard, Message, World};

/// What the n-th message of an event does: how late after the first, what it names, and whether it is an end.
#[derive(Debug, Clone)]
struct Step {
    minute: i64,
    ends: bool,
    wide: bool,
    /// Indices of other messages; one that is not there names nothing on record, a later one is post-dated.
    names: Vec<usize>,
}

fn events() -> impl Strategy<Value = (Vec<Step>, Vec<usize>, Vec<usize>)> {
    let step = (1_i64..5, prop::bool::weighted(0.3), any::<bool>(), prop::collection::vec(0_usize..7, 1..3));
    let step = step.prop_map(|(minute, ends, wide, names)| Step { minute, ends, wide, names });
    prop::collection::vec(step, 1..5).prop_flat_map(|steps| {
        let order: Vec<usize> = (0..=steps.len()).collect();
        (Just(steps), Just(order.clone()).prop_shuffle(), Just(order).prop_shuffle())
    })
}

fn messages(steps: &[Step]) -> Vec<Message> {
    let minute = |n: usize| n.checked_sub(1).map_or(0, |n| steps.get(n).map_or(1, |step| step.minute));
    let mut all = vec![Message::new("m0", 0)];
    for (n, step) in (1..).zip(steps) {
        let area: &[&str] = if step.wide { &["310118", "310120"] } else { &["310118"] };
        let mut message = Message::new(&format!("m{n}"), step.minute).area(area);
        message.kind = if step.ends { "Cancel" } else { "Update" }.into();
        message.references = step.names.iter().map(|named| format!("m{named}@{}", minute(*named))).collect();
        message.arrives = 10;
        all.push(message);
    }
    all
}

/// Those of the same time that a message names.
fn named(steps: &[Step], n: usize) -> impl Iterator<Item = usize> + '_ {
    let step = n.checked_sub(1).and_then(|n| steps.get(n));
    let same = move |named: &usize| {
        *named > 0 && steps.get(named - 1).is_some_and(|s| Some(s.minute) == step.map(|s| s.minute))
    };
    step.map_or(&[][..], |step| &step.names).iter().copied().filter(move |to| *to != n && same(to))
}

/// Whether some of one time name each other in a circle.
fn in_a_circle(steps: &[Step]) -> bool {
    let reaches = |from: usize| {
        let (mut next, mut seen) = (named(steps, from).collect::<Vec<_>>(), Vec::new());
        while let Some(at) = next.pop() {
            if !seen.contains(&at) {
                seen.push(at);
                next.extend(named(steps, at));
            }
        }
        seen.contains(&from)
    };
    (1..=steps.len()).any(reaches)
}

/// Posts them in this order; gives the heads, with what each person heard of them in turn.
async fn play(messages: &[Message], order: &[usize]) -> (Vec<String>, BTreeMap<String, Vec<(String, Heard)>>) {
    let world = World::start().await;
    world.people("310118", 2).await;
    world.people("310120", 1).await;
    let mut heard: BTreeMap<String, Vec<(String, Heard)>> = BTreeMap::new();
    for at in order {
        let told = world.post(&messages[*at]).await.unwrap();
        // One event: what leaves because a message came is that message's, or that of the head which it came behind.
        let receipt = told.receipt.unwrap();
        let row = world.store.alert(receipt.id.as_str()).await.unwrap().unwrap();
        let speaks = world.name(&row.superseded_by.unwrap_or(row.id));
        for (to, what) in told.heard {
            heard.entry(to).or_default().push((speaks.clone(), what));
        }
    }
    (world.heads().await, heard)
}

#[test]
fn whatever_the_order_there_is_one_head_and_everyone_told_hears_of_the_end_once() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut runner =
        TestRunner::new(Config { cases: 20, failure_persistence: None, max_shrink_iters: 60, ..Config::default() });
    runner
        .run(&events(), |(steps, one, other)| {
            let messages = messages(&steps);
            let ends = |name: &str| messages.iter().any(|m| m.name == name && m.kind == "Cancel");
            let mut results = Vec::new();
            for order in [&one, &other] {
                let (heads, heard) = runtime.block_on(play(&messages, order));
                for (person, heard) in &heard {
                    // Two events may end one after the other before a later message shows that they are one.
                    let ends_heard = heard.iter().filter(|(_, what)| *what == Heard::End).count();
                    prop_assert!(
                        ends_heard * 2 <= heard.len(),
                        "{person} hears of more ends than warnings: {heard:?}, order {order:?}"
                    );
                    if let [head] = heads.as_slice() {
                        let last = &heard.last().unwrap();
                        prop_assert!(
                            last.1 != Heard::Warn || !ends(head),
                            "{person} is left with a warning that is over: {heard:?}, order {order:?}"
                        );
                        prop_assert!(
                            last.1 == Heard::Warn && last.0 == *head || last.1 != Heard::Warn,
                            "{person} heard last of what is not the head {head}: {heard:?}, order {order:?}"
                        );
                    }
                }
                results.push(heads);
            }
            // Which of one second follows which, nobody can say before what they name is there: what stands keeps its place.
            if (1..=steps.len()).all(|n| named(&steps, n).next().is_none()) {
                prop_assert_eq!(&results[0], &results[1], "orders {:?} and {:?}", one, other);
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_circle_of_one_second_leaves_no_event_without_a_head() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let step = |ends, wide, names: &[usize]| Step { minute: 2, ends, wide, names: names.to_vec() };
    let steps = [step(false, false, &[2]), step(false, true, &[3]), step(true, true, &[0, 1])];
    assert!(in_a_circle(&steps));
    for order in [[0, 1, 2, 3], [0, 1, 3, 2], [3, 2, 1, 0], [2, 0, 3, 1]] {
        let (heads, heard) = runtime.block_on(play(&messages(&steps), &order));
        assert_eq!(heads.len(), 1, "order {order:?}");
        for (person, heard) in &heard {
            let (name, what) = heard.last().unwrap();
            assert!(*name == heads[0] || *what != Heard::Warn, "{person} {heard:?}, order {order:?}");
        }
    }
}
