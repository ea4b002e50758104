//! A row that cannot be read costs officers no sight of what else waits, and holds up nothing that takes its place.

use sqlx::Row as _;

use super::support::tables;
use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn an_escalation_that_cannot_be_read_hides_no_other_and_is_closed_by_what_takes_its_place() {
    let server = Server::start("");
    let crew = Crew::of(&server).await;
    let signer = crew.officer("si", &["signer:310000"]).await.browser(&server).await;
    let mut wind = Cma { colour: ORANGE, ..Cma::new("wind") };
    wind.sent -= TimeDelta::minutes(1);
    let rain = Cma { colour: ORANGE, event: ("暴雨", "Rainstorm"), ..Cma::new("rain") };
    for alert in [&wind, &rain] {
        assert_eq!(server.post(alert.xml()).await.1["state"], "waiting");
    }
    let mut store = tables(server.folder.path()).await;
    sqlx::query("UPDATE escalation SET body = '{' WHERE id = 1").execute(&mut store).await.unwrap();
    let (status, page) = signer.get("/console").await;
    assert!(status == 200 && page.contains("暴雨橙色预警") && !page.contains("台风橙色预警"), "{status} {page}");

    let update = Cma { msg_type: "Update", code: TWO_COUNTIES.into(), colour: RED, ..Cma::new("more") };
    let (status, answer) = server.post(update.refers_to(&wind).xml()).await;
    assert_eq!((status, answer["state"].as_str()), (201, Some("waiting")), "{answer}");
    let sql = "SELECT state, due_at, closed_at FROM escalation WHERE id = 1";
    let old = sqlx::query(sql).fetch_one(&mut store).await.unwrap();
    let (state, due, closed): (String, Option<i64>, Option<i64>) = (old.get(0), old.get(1), old.get(2));
    assert!(state == "withdrawn" && due.is_none() && closed.is_some(), "{state} {due:?} {closed:?}");
    let (_, page) = signer.get("/console").await;
    assert!(page.contains("台风红色预警") && page.contains("暴雨橙色预警"), "{page}");
}
