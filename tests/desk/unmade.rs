//! A yes to words that cannot be made into messages.

use tocsin::messages::Templates;

use super::*;

/// A template's beginning that fails for one headline: no trying out finds that.
const FAILS: &str = "{% if headline == 'gust' %}{{ no.such.thing }}{% endif %}";

#[tokio::test(flavor = "multi_thread")]
async fn a_yes_whose_messages_cannot_be_made_is_kept_and_goes_out_once_they_can_be() {
    let folder = tempfile::tempdir().unwrap();
    let words = folder.path().join("words");
    for (name, text) in Templates::shipped_files() {
        let path = words.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let file = words.join("email/en/body.txt");
    let whole = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{FAILS}{whole}")).unwrap();
    write_config(folder.path(), &format!("[templates]\nfolder = \"{}\"\n", words.display()));
    let server = Server::start_in(folder);
    let crew = Crew::of(&server).await;
    let li = crew.officer("li", &["signer:310000"]).await.browser(&server).await;
    let wang = crew.officer("wang", &["signer:310000"]).await.browser(&server).await;
    let (_, answer) = server.post(Cma { colour: ORANGE, ..Cma::new("wind") }.xml()).await;
    let amend =
        [("seen", "0"), ("reason", "shorter"), ("region", "310118"), ("zh-CN.headline", "阵风"), ("en.headline", "gust")];
    assert_eq!(li.post("/console/escalations/1/amend", &amend).await.0, 303);
    let yes = [("seen", "1"), ("stage", "sign"), ("word", "")];
    assert_eq!(wang.post("/console/escalations/1/approve", &yes).await.0, 303);

    let id = answer["id"].as_str().unwrap();
    let state = async || crew.store.escalations_of::<Live>(id).await.unwrap().remove(0).escalation.state;
    assert_eq!(state().await.as_str(), "approved");
    let record = crew.store.record_from(1, 1_000).await.unwrap();
    let failed = record.iter().find(|line| line.kind == "release.failed").expect("that is on record");
    assert!(failed.subject == id && failed.detail.contains("email/en/body.txt"), "{failed:?}");
    let released = "SELECT COUNT(*) FROM release WHERE kind = 'alert' AND signed_by = 'wang·名'";
    let file_of_store = server.folder.path().join("t.db");
    assert_eq!(count(&file_of_store, released).await, 0);
    assert!(wang.get("/console").await.1.contains("approved; its messages cannot be made yet"));

    std::fs::write(&file, whole).unwrap();
    assert!(std::process::Command::new("kill").args(["-HUP", &server.pid().to_string()]).status().unwrap().success());
    while state().await.as_str() == "approved" {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!((state().await.as_str(), count(&file_of_store, released).await), ("released", 1), "by who said yes");
}
