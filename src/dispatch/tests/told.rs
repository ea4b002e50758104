//! Who was told before, and what they hear of it.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_tells_those_told_before_and_the_new_area() {
    let world = World::new().await;
    world.people("310118", 50).await;
    world.people("320509", 70).await;
    world.release("storm", "310118", Lane::SEVERE, &[Variant::Warn], &[]).await;
    let channel = Arc::new(Scripted::new(|_, _| Class::Accepted));
    let engine = world.engine(Arc::clone(&channel), 2, 20).await;
    world.until("storm", |counts| counts.accepted == 50).await;
    world.release("moved", "320509", Lane::SEVERE, &[Variant::Warn, Variant::Lifted], &["storm"]).await;
    engine.wake();
    let counts = world.until("moved", |counts| counts.open() == 0 && counts.total() == 120).await;
    engine.stop().await;
    assert_eq!(counts.accepted, 120);
    assert_eq!(channel.people("moved warn").len(), 70);
    assert_eq!(channel.people("moved lifted").len(), 50);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_correction_goes_to_those_told_by_what_was_wrong_and_not_by_what_was_right() {
    let world = World::new().await;
    world.people("310118", 30).await;
    world.people("320509", 20).await;
    world.release("right", "310118", Lane::SEVERE, &[Variant::Warn], &[]).await;
    let channel = Arc::new(Scripted::new(|_, _| Class::Accepted));
    let engine = world.engine(Arc::clone(&channel), 2, 20).await;
    world.until("right", |counts| counts.accepted == 30).await;
    world.release("wrong", "320509", Lane::SEVERE, &[Variant::Warn], &["right"]).await;
    engine.wake();
    world.until("wrong", |counts| counts.accepted == 20).await;
    world.release("sorry", "320509", Lane::SEVERE, &[Variant::Correction], &["wrong"]).await;
    engine.wake();
    world.planned("sorry").await;
    world.until("sorry", |counts| counts.open() == 0).await;
    engine.stop().await;
    let told = channel.people("sorry correction");
    assert_eq!(told.len(), 20);
    assert!(told.keys().all(|to| channel.people("wrong warn").contains_key(to)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_release_of_one_alert_leaves_out_whom_the_first_will_still_tell() {
    let world = World::new().await;
    world.people("310118", 50).await;
    world.release("storm", "310118", Lane::SEVERE, &[Variant::Warn], &[]).await;
    let channel = Arc::new(Scripted::new(|_, _| Class::Accepted).gated());
    let engine = world.engine(Arc::clone(&channel), 1, 10).await;
    world.until("storm", |counts| counts.sending == 10 && counts.total() == 50).await;
    world.planned("storm").await;
    let first = world.store.releases_of(&["storm".to_owned()]).await.unwrap().remove(0);
    let content = Content::Sms(SmsContent { text: "storm warn".into() });
    let second = NewRelease {
        name: "joined/1/late".into(),
        kind: ReleaseKind::Alert,
        alert: "storm".into(),
        jurisdiction: None,
        within: None,
        origin: None,
        lane: first.lane,
        reach: first.reach,
        regions: first.regions.clone(),
        channels: first.channels.clone(),
        expires: first.expires,
        signed_by: "test".into(),
        dispatches: vec![NewDispatch { language: Language::Chinese, variant: Variant::Warn, content }],
        scene: None,
    };
    let mut tx = world.store.begin().await.unwrap();
    insert_release(&mut tx, &second, Utc::now()).await.unwrap();
    tx.commit().await.unwrap();
    engine.wake();
    world.planned("storm").await;
    channel.open(1_000);
    world.until("storm", |counts| counts.open() == 0).await;
    engine.stop().await;
    let told = channel.people("storm warn");
    assert_eq!((told.len(), told.values().sum::<usize>()), (50, 50));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeat_goes_to_those_missed_and_a_second_repeat_not_to_those_the_first_reached() {
    let world = World::new().await;
    world.people("310118", 100).await;
    world.release("storm", "310118", Lane::SEVERE, &[Variant::Warn], &[]).await;
    // Nine are refused at first; four of them for good.
    let channel = Arc::new(Scripted::new(|message, times| match &message.to[message.to.len() - 2..] {
        "01" | "02" | "03" | "04" => Class::BadAddress,
        "05" | "06" | "07" | "08" | "09" if times == 1 => Class::BadAddress,
        _ => Class::Accepted,
    }));
    let engine = world.engine(Arc::clone(&channel), 2, 10).await;
    world.until("storm", |counts| counts.open() == 0 && counts.total() == 100).await;
    let origin = world.store.releases_of(&["storm".to_owned()]).await.unwrap().remove(0);
    for (n, total) in [(1, 109), (2, 113)] {
        let again = world.store.dispatches(origin.id).await.unwrap().into_iter();
        let again = again.map(|d| NewDispatch { language: d.language, variant: d.variant, content: d.content });
        let repeat = NewRelease {
            name: format!("resend/{n}"),
            kind: ReleaseKind::Resend,
            alert: "storm".into(),
            jurisdiction: None,
            within: None,
            origin: Some(origin.id),
            lane: origin.lane,
            reach: origin.reach,
            regions: origin.regions.clone(),
            channels: origin.channels.clone(),
            expires: origin.expires,
            signed_by: "test".into(),
            dispatches: again.collect(),
            scene: None,
        };
        let mut tx = world.store.begin().await.unwrap();
        insert_release(&mut tx, &repeat, Utc::now()).await.unwrap();
        tx.commit().await.unwrap();
        engine.wake();
        world.until("storm", |counts| counts.open() == 0 && counts.total() == total).await;
    }
    engine.stop().await;
    let told = channel.people("storm warn");
    assert_eq!((told["+8600000000001"], told["+8600000000005"], told["+8600000000050"]), (3, 2, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_left_is_not_told_of_the_end() {
    let world = World::new().await;
    world.people("310118", 10).await;
    world.release("storm", "310118", Lane::SEVERE, &[Variant::Warn], &[]).await;
    let channel = Arc::new(Scripted::new(|_, _| Class::Accepted));
    let engine = world.engine(Arc::clone(&channel), 1, 10).await;
    world.until("storm", |counts| counts.accepted == 10).await;
    assert!(world.store.leave(3, Utc::now()).await.unwrap());
    world.release("over", "310118", Lane::SEVERE, &[Variant::Cancel], &["storm"]).await;
    engine.wake();
    world.until("over", |counts| counts.accepted == 9).await;
    engine.stop().await;
    assert!(!channel.people("over cancel").contains_key("+8600000000003"));
}
