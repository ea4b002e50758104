//! A third language, written from right to left, added as one file: whatever then still stands there in English or Chinese is a text
//! that no file can say.

use std::collections::BTreeMap;
use std::path::Path;

use tocsin::cap::{Colour, Hazard};

use crate::browser::{Browser, DESKTOP};
use crate::stage::Stage;

/// No language, but its letters.
const TAG: &str = "qps";

/// A text in letters of the pseudo-language; what is filled in stays.
fn foreign(english: &str) -> String {
    const LETTERS: [char; 22] =
        ['א', 'ב', 'ג', 'ד', 'ה', 'ו', 'ז', 'ח', 'ט', 'י', 'כ', 'ל', 'מ', 'נ', 'ס', 'ע', 'פ', 'צ', 'ק', 'ר', 'ש', 'ת'];
    let letter = |c: char| match c {
        c if c.is_ascii_alphabetic() => LETTERS[usize::from(c.to_ascii_lowercase() as u8 - b'a') % LETTERS.len()],
        c => c,
    };
    english.chars().map(letter).collect()
}

/// The one file: the texts that the Chinese one has, dangers and levels.
fn file(folder: &Path) {
    #[derive(serde::Deserialize)]
    struct Chinese {
        texts: BTreeMap<String, String>,
    }
    let chinese: Chinese = toml::from_str(include_str!("../../src/web/words/zh-CN.toml")).unwrap();
    let names = Hazard::ALL.iter().map(|kind| kind.name_en()).chain(Colour::ALL.map(Colour::name_en));
    let texts: BTreeMap<String, String> =
        chinese.texts.into_keys().chain(names.map(str::to_owned)).map(|text| (text.clone(), foreign(&text))).collect();
    let body = toml::to_string(&texts).unwrap();
    std::fs::create_dir(folder).unwrap();
    let head = "name = \"עברית\"\ndirection = \"rtl\"\n\n[texts]\n";
    std::fs::write(folder.join(format!("{TAG}.toml")), format!("{head}{body}")).unwrap();
}

/// Texts and labels of the page that are in its own language and yet have letters of another.
const LEFT: &str = r#"
const own = document.documentElement.lang, bad = [];
// Names of places stand as the map has them; a time that script writes speaks the browser's language, which knows no pseudo-language.
const names = /Qingpu District|Shanghai|Tocsin|Atom|RSS|GeoJSON|JSON|CAP|MQTT|T\d{4}|name@example\.cn/g;
const look = (text, node) => {
  if (node.closest('script, style, noscript, [data-seen]') || node.closest('[lang]').lang !== own) return;
  if (/[A-Za-z\u3000-\u9fff]/.test(text.replace(names, ''))) bad.push(text.trim().slice(0, 80));
};
const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walk.nextNode()) look(walk.currentNode.data, walk.currentNode.parentElement);
for (const name of ['placeholder', 'aria-label', 'title', 'alt', 'label', 'data-told', 'data-not', 'data-off', 'data-spot', 'data-corners'])
  for (const node of document.querySelectorAll(`[${name}]`)) look(node.getAttribute(name), node);
return [own, document.documentElement.dir, bad];
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_language_added_by_one_file_says_everything_from_right_to_left() {
    let folder = tempfile::tempdir().unwrap();
    let languages = folder.path().join("languages");
    file(&languages);
    let stage = Stage::start_with(&format!("languages = \"{}\"", languages.display())).await;
    let mut sent = Vec::new();
    for id in ["sh-rain-yellow", "sh-typhoon-yellow", "sh-typhoon-orange", "nmefc-wave-red"] {
        stage.muifa(id, &mut sent).await;
    }
    let mut browser = Browser::open(&stage.server.url, "right-to-left", DESKTOP).await;
    browser.forgive("status of 404");
    browser.forgive("status of 422");
    let mut bad = Vec::new();
    let mut look = async |browser: &Browser, name: &str| {
        let found = browser.run(LEFT).await;
        browser.shot(name).await;
        if (&found[0], &found[1]) != (&TAG.into(), &"rtl".into()) {
            bad.push(format!("{name}: {} {}", found[0], found[1]));
        }
        bad.extend(found[2].as_array().unwrap().iter().map(|text| format!("{name}: {text}")));
    };
    let lang = format!("?lang={TAG}");
    browser.goto("/").await;
    let event = browser
        .run("return document.querySelector('.cards a[href^=\"/events/\"]').getAttribute('href').split('?')[0]")
        .await;
    let event = event.as_str().unwrap().to_owned();
    for (name, path) in [
        ("home", "/"),
        ("region", "/regions/310118"),
        ("province", "/regions/310000"),
        ("source", "/sources/delta"),
        ("event", event.as_str()),
        ("missing", "/events/aaaaaaaaaaaaaaaa"),
        ("leave", "/leave/forged"),
        ("sign-up", "/sign-up"),
        ("app", "/app"),
        ("offline", "/offline"),
    ] {
        browser.goto(&format!("{path}{lang}")).await;
        look(&browser, name).await;
    }
    // What its service worker says by itself, and keeps for when there is no network.
    let worker = stage.server.get("/sw.js").await.text().await.unwrap();
    for english in ["I am safe", "Its subscription was renewed. There is nothing to do."] {
        assert!(worker.contains(&foreign(english)), "{english}");
    }
    let kept = format!("return caches.match('/offline?lang={TAG}').then(r => Boolean(r))");
    browser.until("its offline page is kept", &kept).await;
    browser.goto(&format!("/regions?q=Qing&lang={TAG}")).await;
    look(&browser, "find").await;
    // Somebody signs up in it, and stays in it.
    browser.goto(&format!("/sign-up{lang}")).await;
    browser.fill("[name=address]", "12345").await;
    browser.set("[name=county]", "310118").await;
    browser.click("[name=consent]").await;
    browser.follow("button.wide").await;
    look(&browser, "refused").await;
    browser.fill("[name=address]", "13812345678").await;
    browser.fill("[name=name]", "בית").await;
    browser.click("[name=consent]").await;
    browser.follow("button.wide").await;
    look(&browser, "code").await;
    let text = stage.text("+8613812345678", &foreign("Code")).await;
    let code: String = text.chars().filter(char::is_ascii_digit).take(6).collect();
    browser.fill("[name=code]", &code).await;
    browser.follow("button.wide").await;
    look(&browser, "settings").await;
    browser.follow("#test button").await;
    stage.text("+8613812345678", &foreign("It is no warning")).await;
    browser.until("a result", "return document.querySelector('#test li') !== null").await;
    browser.goto("/me?year=1").await;
    look(&browser, "last-year").await;
    browser.click("[name=sure]").await;
    browser.follow("button.grave").await;
    look(&browser, "deleted").await;
    assert!(bad.is_empty(), "{bad:#?}");
}
