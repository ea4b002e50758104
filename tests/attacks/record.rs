//! The record, changed behind the program's back.

use serde_json::Value;

use super::orange;
use super::support::crew::Crew;
use super::support::{self, Server, write_config};

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_somebody_touched_is_found_out() {
    let mut server = Server::start("");
    let crew = Crew::of(&server).await;
    let li = crew.officer("li", &["signer:310000"]).await;
    orange(&server).await;
    let browser = li.browser(&server).await;
    assert_eq!(
        browser.post("/console/escalations/1/approve", &[("seen", "0"), ("stage", "sign"), ("word", "")]).await.0,
        303
    );
    let (well, out, _) = server.tocsin(&["--json", "audit", "verify"]);
    let whole: Value = serde_json::from_str(&out).unwrap();
    assert!(well && whole["whole"] == true, "while the server runs: {out}");
    crew.store.close().await;
    assert!(server.stop());
    let lines = whole["lines"].as_i64().unwrap();
    let note = format!("{lines}:{}", whole["last"].as_str().unwrap());
    assert!(lines >= 7);
    let last = lines.to_string();
    let cases: Vec<(&str, Vec<String>, Option<i64>)> = vec![
        ("untouched", vec![], None),
        ("who did it", vec!["UPDATE record SET actor = 'wang' WHERE seq = 3".into()], Some(3)),
        ("when", vec!["UPDATE record SET at = at + 1 WHERE seq = 4".into()], Some(4)),
        ("what", vec!["UPDATE record SET detail = '{}' WHERE seq = 2".into()], Some(2)),
        ("its hash", vec!["UPDATE record SET hash = 'x' WHERE seq = 2".into()], Some(2)),
        ("a line removed", vec!["DELETE FROM record WHERE seq = 3".into()], Some(3)),
        ("the first line removed", vec!["DELETE FROM record WHERE seq = 1".into()], Some(1)),
        ("the end cut off", vec![format!("DELETE FROM record WHERE seq = {last}")], Some(lines)),
        ("everything removed", vec!["DELETE FROM record".into()], Some(1)),
        (
            "a line added before the first",
            vec![
                "INSERT INTO record SELECT 0, at, actor, kind, subject, detail, hash FROM record WHERE seq = 1".into(),
            ],
            Some(1),
        ),
        (
            "a line added at the end",
            vec![format!(
                "INSERT INTO record SELECT seq + 1, at, actor, kind, subject, detail, hash FROM record WHERE seq = {last}"
            )],
            Some(lines + 1),
        ),
        (
            "two lines swapped",
            vec![
                "UPDATE record SET seq = -1 WHERE seq = 2".into(),
                "UPDATE record SET seq = 2 WHERE seq = 3".into(),
                "UPDATE record SET seq = 3 WHERE seq = -1".into(),
            ],
            Some(2),
        ),
    ];
    for (what, sql, broken) in cases {
        let folder = touched(&server, &sql).await;
        let (well, out, error) = support::tocsin(&folder.path().join("config.toml"), &["--json", "audit", "verify"]);
        let told: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{what}: {out} {error}"));
        assert_eq!((well, told["line"].as_i64()), (broken.is_none(), broken), "{what}: {out}");
        if let Some(line) = broken {
            let (_, out, _) = support::tocsin(&folder.path().join("config.toml"), &["audit", "verify"]);
            assert!(out.contains(&format!("broken at line {line}\n")), "{what}: {out}");
        }
    }
    // A whole new record with every hash right, or one cut off together with its count: only a note kept elsewhere shows it.
    let mut forged = server_lines(&server).await;
    forged[2].actor = "wang".into();
    let mut sql = Vec::new();
    let mut before = tocsin::record::GENESIS.to_owned();
    for line in &mut forged {
        line.hash = line.hash_after(&before);
        before.clone_from(&line.hash);
        sql.push(format!(
            "UPDATE record SET actor = '{}', hash = '{}' WHERE seq = {}",
            line.actor, line.hash, line.seq
        ));
    }
    let cut = vec![
        format!("DELETE FROM record WHERE seq = {last}"),
        "UPDATE counter SET value = value - 1 WHERE name = 'record'".into(),
    ];
    for sql in [sql, cut] {
        let folder = touched(&server, &sql).await;
        let config = folder.path().join("config.toml");
        assert!(support::tocsin(&config, &["audit", "verify"]).0);
        let (well, out, _) = support::tocsin(&config, &["audit", "verify", "--note", &note]);
        assert!(!well && out.contains(&format!("broken at line {last}\n")), "{out}");
    }
    assert!(server.tocsin(&["audit", "verify", "--note", &note]).0);
    // What is exported is the record.
    let (_, csv, _) = server.tocsin(&["audit", "export", "-"]);
    assert_eq!(csv.lines().count() as i64, lines + 1);
    let (_, json_lines, _) = server.tocsin(&["--json", "audit", "export", "-"]);
    let exported: Vec<Value> = json_lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(exported.len() as i64, lines);
    assert_eq!(exported.last().unwrap()["hash"], whole["last"]);
    let file = server.folder.path().join("out.csv");
    assert!(server.tocsin(&["audit", "export", file.to_str().unwrap()]).0);
    assert!(!server.tocsin(&["audit", "export", file.to_str().unwrap()]).0, "nothing is written over");
}

/// A copy of a server's store, changed behind the program's back.
async fn touched(server: &Server, sql: &[String]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    write_config(folder.path(), "");
    std::fs::copy(server.folder.path().join("t.db"), folder.path().join("t.db")).unwrap();
    sqlx::any::install_default_drivers();
    let url = format!("sqlite://{}", folder.path().join("t.db").display());
    let pool = sqlx::AnyPool::connect(&url).await.unwrap();
    for statement in sql {
        let done = sqlx::query(sqlx::AssertSqlSafe(statement.clone())).execute(&pool).await.unwrap();
        assert!(done.rows_affected() > 0, "{statement}");
    }
    pool.close().await;
    folder
}

async fn server_lines(server: &Server) -> Vec<tocsin::record::Line> {
    let url = format!("sqlite://{}", server.folder.path().join("t.db").display());
    let store = tocsin::store::Store::open(&tocsin::store::StoreOptions { url, max_size_mib: None }).await.unwrap();
    let lines = store.record_from(1, 10_000).await.unwrap();
    store.close().await;
    lines
}
