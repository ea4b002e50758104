//! A row that cannot be read holds up nobody else.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chunks_whose_text_cannot_be_read_are_tried_less_and_less_often_and_keep_nobody_waiting() {
    let world = World::new().await;
    world.people("310118", 4_000).await;
    world.people("310120", 5).await;
    world.release("broken", "310118", Lane::EXTREME, &[Variant::Warn], &[]).await;
    let nobody = EngineOptions { clock: Arc::new(SystemClock), leave: WaysOut::default(), policy: None };
    let planning = Engine::start(world.store.clone(), Vec::new(), nobody).await.unwrap();
    world.planned("broken").await;
    planning.stop().await;
    let mut tx = world.store.begin().await.unwrap();
    sqlx::query("UPDATE dispatch SET content = '?'").execute(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    world.release("well", "310120", Lane::MODERATE, &[Variant::Warn], &[]).await;
    let channel = Arc::new(Scripted::new(|_, _| Class::Accepted));
    let engine = world.engine(Arc::clone(&channel), 2, 50).await;
    world.until("well", |counts| counts.accepted == 5).await;
    engine.stop().await;
    let sql = "SELECT CAST(MIN(attempt) AS BIGINT) FROM chunk JOIN release ON release.id = chunk.release WHERE alert = 'broken'";
    let least: i64 = sqlx::query_scalar(sql).fetch_one(&world.store.read).await.unwrap();
    assert!(least >= 1, "each look is counted, and makes the pause longer");
    assert_eq!(world.counts("broken").await.waiting, 4_000, "nobody is forgotten");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_that_cannot_be_planned_keeps_no_other_waiting_and_is_planned_as_soon_as_it_can_be() {
    let world = World::new().await;
    world.people("310118", 20).await;
    world.people("310120", 5).await;
    let run = async |sql: &'static str| {
        let mut tx = world.store.begin().await.unwrap();
        sqlx::query(sql).execute(&mut tx).await.unwrap();
        tx.commit().await.unwrap();
    };
    world.release("broken", "310118", Lane::EXTREME, &[Variant::Warn], &[]).await;
    run(
        "CREATE TRIGGER fails BEFORE INSERT ON chunk WHEN NEW.release = (SELECT id FROM release WHERE alert = 'broken')
         BEGIN SELECT RAISE(ABORT, 'no'); END",
    )
    .await;
    world.release("well", "310120", Lane::SEVERE, &[Variant::Warn], &[]).await;
    let channel = Arc::new(Scripted::new(|_, _| Class::Accepted));
    let engine = world.engine(Arc::clone(&channel), 2, 50).await;
    world.until("well", |counts| counts.accepted == 5).await;
    assert_eq!(world.counts("broken").await.total(), 0, "nobody of it is planned");
    run("DROP TRIGGER fails").await;
    world.until("broken", |counts| counts.accepted == 20).await;
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_planned_behind_one_that_cannot_be_written_goes_on_at_once() {
    let world = World::new().await;
    world.people("310120", 5).await;
    let run = async |sql: &'static str| {
        let mut tx = world.store.begin().await.unwrap();
        sqlx::query(sql).execute(&mut tx).await.unwrap();
        tx.commit().await.unwrap();
    };
    // It has nobody, and is written with what comes after it.
    world.release("broken", "310118", Lane::MODERATE, &[Variant::Warn], &[]).await;
    world.release("well", "310120", Lane::MODERATE, &[Variant::Warn], &[]).await;
    run("CREATE TRIGGER fails BEFORE UPDATE OF planned_at ON release WHEN NEW.alert = 'broken'
         BEGIN SELECT RAISE(ABORT, 'no'); END")
    .await;
    let channel = Arc::new(Scripted::new(|_, _| Class::Accepted));
    let engine = world.engine(Arc::clone(&channel), 2, 50).await;
    // Put off with the other one, it would come behind it again each time.
    world.until("well", |counts| counts.accepted == 5).await;
    assert!(!world.store.is_planned("broken").await.unwrap());
    run("DROP TRIGGER fails").await;
    world.planned("broken").await;
    engine.stop().await;
}
