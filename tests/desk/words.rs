//! A yes to words that a template of one's own cannot take.

use tocsin::messages::Templates;

use super::*;

/// A template's beginning that fails for one headline: no trying out finds that.
const FAILS: &str = "{% if headline == 'gust' %}{{ no.such.thing }}{% endif %}";

#[tokio::test(flavor = "multi_thread")]
async fn a_template_that_fails_for_one_warning_keeps_it_from_nobody() {
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
    let state = crew.store.escalations_of::<Live>(id).await.unwrap().remove(0).escalation.state;
    assert_eq!(state.as_str(), "released");
    let released = "SELECT COUNT(*) FROM release WHERE kind = 'alert' AND signed_by = 'wang·名'";
    assert_eq!(count(&server.folder.path().join("t.db"), released).await, 1);
    assert!(server.log().contains("a template failed; the shipped one is used"), "{}", server.log());
}
