//! What residents read of their settings, and what forms offer them.

use super::{Site, field, form};

const HAPPY: &str = "危险来时我们告诉您";

#[tokio::test]
async fn only_whom_a_warning_can_reach_is_told_so() {
    let site = Site::start();
    let with = |changes: &[(&'static str, &'static str)]| {
        let mut fields = form("13812345678");
        fields.retain(|(name, _)| changes.iter().all(|(changed, _)| changed != name));
        fields.extend(changes);
        fields
    };
    // No county: nothing reaches them until they add one.
    let me = site.sign_up_by(&with(&[("county", "")])).await;
    for path in ["/me?new=1", "/me"] {
        let page = site.get(path, &me).await.body;
        assert!(page.contains("加上地点之前，您收不到任何预警。 <a href=\"#add-place\">"), "{path}: {page}");
        assert!(page.contains("id=\"add-place\" open") && !page.contains(HAPPY), "{path}: {page}");
    }
    let csrf = field(&site.get("/me", &me).await.body, "csrf");
    assert_eq!(site.post("/me/places", &me, &[("csrf", &csrf), ("new-county", "310118")]).await.status, 303);
    let page = site.get("/me", &me).await.body;
    assert!(!page.contains("收不到任何预警") && !page.contains("发不到您"), "{page}");
    assert!(site.get("/me?new=1", &me).await.body.contains(HAPPY));
    // A mail to somebody without a mailbox reaches nobody.
    let by_mail = with(&[("address", "13912345678"), ("by0", "email"), ("by1", "")]);
    let me = site.sign_up_by(&by_mail).await;
    let page = site.get("/me?new=1", &me).await.body;
    assert!(page.contains("收不到任何预警") && page.contains("发不到您") && !page.contains(HAPPY), "{page}");
    // Of somebody known too, what the form named is added, and said.
    let asked = site.post("/sign-up", "", &with(&[("address", "13912345678"), ("county", "310117")])).await;
    let entered = site.enter(&asked).await;
    assert_eq!(entered.location, "/me?form=added");
    let page = site.get(&entered.location, entered.cookie.split(';').next().unwrap()).await.body;
    assert!(page.contains("您确认的表单里的地点已加上") && page.contains("松江区"), "{page}");
    assert!(page.contains("发不到您") && !page.contains("收不到任何预警"), "one place of two: {page}");
}

#[tokio::test]
async fn only_channels_that_are_set_up_can_be_chosen() {
    let site = Site::start();
    let page = site.get("/sign-up", "").await.body;
    assert!(page.contains("name=\"by1\"") && !page.contains("name=\"by2\""), "{page}");
    assert!(page.contains("value=\"sms\" selected") && !page.contains("value=\"push\""), "{page}");
    let mut fields = form("13812345678");
    fields.retain(|(name, _)| !name.starts_with("by"));
    fields.push(("by0", "push"));
    let me = site.sign_up_by(&fields).await;
    let page = site.get("/me?new=1", &me).await.body;
    assert!(page.contains(HAPPY) && !page.contains("value=\"push\""), "{page}");
    let csrf = field(&page, "csrf");
    let all = site.post("/me/export", &me, &[("csrf", &csrf)]).await.body;
    let all: serde_json::Value = serde_json::from_str(&all).unwrap();
    assert_eq!(all["places"][0]["wishes"]["channels"], serde_json::json!(["push", "sms", "email"]), "the usual order");
}

#[tokio::test]
async fn a_long_pause_names_its_year_and_a_refusal_leads_back_to_ones_settings() {
    let site = Site::start();
    let me = site.sign_up("13812345678").await;
    let csrf = field(&site.get("/me", &me).await.body, "csrf");
    assert_eq!(site.post("/me/pause", &me, &[("csrf", &csrf), ("lang", "zh-CN"), ("days", "366")]).await.status, 303);
    let page = site.get("/me", &me).await.body;
    assert!(page.contains("暂停中，到 20"), "{page}");
    let refused = site.post("/me/address", &me, &[("csrf", &csrf), ("address", "12345")]).await;
    assert!(refused.status == 422 && refused.body.contains("href=\"/me\""), "{}", refused.body);
    assert_eq!(site.get("/me", "").await.location, "/sign-up", "whoever is not signed in comes to the first page");
}
