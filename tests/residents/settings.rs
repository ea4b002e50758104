//! What residents read of their settings, and what forms offer them.

use super::{Site, field, form};

const HAPPY: &str = "危险来时我们告诉您";

/// What is typed otherwise, why it is not taken, and what the form still shows of it.
type Case = (&'static [(&'static str, &'static str)], &'static str, &'static str);

/// The form of signing up, with other values.
fn with(changes: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
    let mut fields = form("13812345678");
    fields.retain(|(name, _)| changes.iter().all(|(changed, _)| changed != name));
    fields.extend(changes);
    fields
}

#[tokio::test]
async fn only_whom_a_warning_can_reach_is_told_so() {
    let site = Site::start();
    // No county: nothing reaches them until they add one.
    let me = site.sign_up_by(&with(&[("name", ""), ("county", "")])).await;
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
    for (days, paused) in [("", true), ("0", false)] {
        let fields = [("csrf", csrf.as_str()), ("lang", "en"), ("days", days)];
        assert_eq!(site.post("/me/pause", &me, &fields).await.status, 303);
        let page = site.get("/me", &me).await.body;
        assert_eq!(page.contains("Paused until 20"), paused, "another language alone ends no pause: {page}");
    }
    let refused = site.post("/me/address", &me, &[("csrf", &csrf), ("address", "12345")]).await;
    assert!(refused.status == 422 && refused.body.contains("href=\"/me\""), "{}", refused.body);
    assert_eq!(site.get("/me", "").await.location, "/sign-up", "whoever is not signed in comes to the first page");
}

#[tokio::test]
async fn a_place_whose_name_is_taken_away_is_called_by_its_county_as_one_that_never_had_a_name() {
    let site = Site::start();
    let me = site.sign_up("13812345678").await;
    for (before, typed, kept) in [("家", "", "青浦区"), ("青浦区", "外婆家", "外婆家"), ("外婆家", "  ", "青浦区")]
    {
        let page = site.get("/me", &me).await.body;
        let shown = format!("placeholder=\"青浦区\" value=\"{before}\"");
        assert!(page.contains(&shown), "the form says what it would be called: {page}");
        let (csrf, place) = (field(&page, "csrf"), page.split("name=\"p").nth(1).unwrap().split('-').next().unwrap());
        let [name, level, language] = ["name", "level", "language"].map(|part| format!("p{place}-{part}"));
        let fields = [("csrf", csrf.as_str()), (&name, typed), (&level, "blue"), (&language, "zh-CN")];
        assert_eq!(site.post("/me/places", &me, &fields).await.status, 303);
        let all = site.post("/me/export", &me, &[("csrf", &csrf)]).await.body;
        let all: serde_json::Value = serde_json::from_str(&all).unwrap();
        assert_eq!(all["places"][0]["name"], kept, "{typed:?}");
    }
}

#[tokio::test]
async fn what_does_not_go_together_is_refused_in_words_and_stays_in_the_form() {
    let site = Site::start();
    let evening = "<option value=\"44\" selected>22:00</option>";
    let cases: [Case; 4] = [
        (&[("from", "44")], "须同时选开始和结束", evening),
        (&[("from", "44"), ("to", "44")], "开始和结束不能相同", evening),
        (&[("language", "")], "请至少选一种语言", "value=\"zh-CN\"><span"),
        (&[("county", "")], "请选择所在区县", "value=\"家\""),
    ];
    for (changes, why, kept) in cases {
        let got = site.post("/sign-up", "", &with(changes)).await;
        assert!(got.status == 422 && got.body.contains(why) && got.body.contains(kept), "{why}: {}", got.body);
    }
    // Programs may leave out what has a usual value: what they do say stays all the same.
    let mut bare = with(&[("from", "44"), ("wakes", "1"), ("drills", "1"), ("language", "en")]);
    bare.retain(|(name, _)| *name != "level");
    let page = site.post("/sign-up", "", &bare).await.body;
    for kept in [evening, "name=\"wakes\" value=\"1\" checked", "name=\"drills\" value=\"1\" checked"] {
        assert!(page.contains("须同时选开始和结束") && page.contains(kept), "{kept}: {page}");
    }
    assert!(page.contains("value=\"en\" checked") && !page.contains("value=\"zh-CN\" checked"), "{page}");
    let drawn = [("lat", "31.15"), ("lon", "121.12"), ("shape", "31,121 31,122 32,122"), ("from", "44")];
    let page = site.post("/sign-up", "", &with(&drawn)).await.body;
    for (name, value) in &drawn[..3] {
        assert!(page.contains(&format!("name=\"{name}\" value=\"{value}\"")), "what the map gave stays: {page}");
    }
    let me = site.sign_up("13812345678").await;
    let page = site.get("/me", &me).await.body;
    let (csrf, place) = (field(&page, "csrf"), page.split("name=\"p").nth(1).unwrap().split('-').next().unwrap());
    let at = |part: &str| format!("p{place}-{part}");
    let stored = async || {
        let all = site.post("/me/export", &me, &[("csrf", &csrf)]).await.body;
        serde_json::from_str::<serde_json::Value>(&all).unwrap()["places"].clone()
    };
    let before = stored().await;
    for (changes, why, kept) in cases {
        // Of a place that is there its county does not change: one that is added has none.
        let is_new = changes[0].0 == "county";
        let mut fields = vec![("csrf".to_owned(), csrf.as_str())];
        for (name, value) in with(changes) {
            let name = match name {
                "lang" | "address" | "consent" => name.to_owned(),
                _ if is_new => format!("new-{name}"),
                _ => at(name),
            };
            fields.push((name, value));
        }
        let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        let got = site.post("/me/places", &me, &fields).await;
        let page = &got.body;
        assert!(got.status == 422 && page.contains("role=\"alert\">家: ") && page.contains(why), "{why}: {page}");
        assert!(page.contains("尚未保存任何更改") && page.contains(kept), "{why}: {page}");
        assert!(page.contains("<option value=\"yellow\" selected>"), "and all else: {page}");
    }
    assert_eq!(stored().await, before, "nothing was changed");
    let (level, from, gone) = (at("level"), at("from"), at("remove"));
    let english = [("csrf", csrf.as_str()), ("lang", "en"), (&level, "red"), (&from, "44")];
    let page = site.post("/me/places", &me, &english).await.body;
    assert!(page.contains("choose both when quiet hours begin and when they end, or neither"), "{page}");
    for days in ["367", "-1", "ten"] {
        let got = site.post("/me/pause", &me, &[("csrf", &csrf), ("lang", "zh-CN"), ("days", days)]).await;
        let kept = format!("value=\"{days}\"");
        assert!(
            got.status == 422 && got.body.contains("可暂停 0 至 366 天") && got.body.contains(&kept),
            "{}",
            got.body
        );
    }
    assert!(!site.get("/me", &me).await.body.contains("暂停中"), "no pause but the one that was asked for");
    // What goes away need not go together.
    let removed = [("csrf", csrf.as_str()), (&gone, "1"), (&level, "red"), (&from, "44")];
    assert_eq!(site.post("/me/places", &me, &removed).await.status, 303);
}

#[tokio::test]
async fn whoever_has_left_with_every_address_reads_that_nothing_reaches_them_and_how_to_come_back() {
    let site = Site::start();
    let me = site.sign_up("13812345678").await;
    let secret = std::fs::read(site.server.folder.path().join("leave.key")).unwrap();
    let link = tocsin::delivery::LeaveLinks::new("/leave", &secret).link(1);
    assert_eq!(site.post(&link, "", &[]).await.status, 200);
    let page = site.get("/me", &me).await.body;
    assert!(page.contains("您现在收不到任何预警") && page.contains("要重新接收，请再加号码"), "{page}");
    assert!(page.contains("<details open><summary>再加一个手机号或邮箱"), "the way back stands open: {page}");
    let csrf = field(&page, "csrf");
    let asked = site.post("/me/address", &me, &[("csrf", &csrf), ("address", "13812345678")]).await;
    let entered = site.enter(&asked).await;
    let page = site.get("/me", entered.cookie.split(';').next().unwrap()).await.body;
    assert!(page.contains("+861********78") && page.contains("家") && !page.contains("收不到任何预警"), "{page}");
}

#[tokio::test]
async fn where_a_channel_is_not_set_up_those_that_are_are_named() {
    let site = Site::start();
    let keys = r#""keys":{"auth":"BTBZMqHH6r4Tts7J_aSIgg","p256dh":"BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"}"#;
    let browser = format!(r#"{{"endpoint":"https://push.example/u",{keys}}}"#);
    let mut fields = form("");
    fields.push(("subscription", &browser));
    let got = site.post("/sign-up", "", &fields).await;
    assert!(got.status == 422 && got.body.contains("此渠道未开通；可用：短信、电子邮件"), "{}", got.body);
    let me = site.sign_up("13812345678").await;
    let csrf = field(&site.get("/me", &me).await.body, "csrf");
    let fields = [("csrf", csrf.as_str()), ("lang", "en"), ("subscription", &browser)];
    let got = site.post("/me/address", &me, &fields).await;
    let says = got.body.contains("this channel is not set up here; use: short message, e-mail");
    assert!(got.status == 422 && says && got.body.contains("T6204"), "{}", got.body);
}
