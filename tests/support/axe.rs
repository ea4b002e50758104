//! axe-core, where `cargo xtask test` has fetched it: what is wrong with a page for people who read it another way.

use super::browser::Browser;

/// What counts as wrong.
pub const GRAVE: &str = "v.impact === 'serious' || v.impact === 'critical'";
pub const ALL: &str = "true";

/// Its script; None where it was not fetched. Whoever says that the tools are there (`cargo xtask test` does) finds out if they are not.
pub fn script() -> Option<String> {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/node_modules/axe-core/axe.min.js");
    let script = std::fs::read_to_string(&file).ok();
    assert!(script.is_some() || std::env::var_os("TOCSIN_TOOLS").is_none(), "no axe-core at {}", file.display());
    script
}

/// What is wrong with the page that is open.
pub async fn faults(browser: &Browser, axe: &str, counts: &str) -> Vec<String> {
    if browser.run("return window.axe === undefined").await == true {
        browser.run(&format!("{axe}; window.axe = axe;")).await;
    }
    browser.run("window.found = null; axe.run(document, {resultTypes: ['violations'], rules: {'target-size': {enabled: true}}}).then(r => { window.found = r.violations }, e => { window.found = [{id: String(e), impact: 'critical', nodes: []}] })").await;
    browser.until("axe is done", "return window.found !== null").await;
    let found = browser
        .run(&format!(
            "return window.found.filter(v => {counts}) \
             .map(v => v.id + ': ' + v.nodes.slice(0, 3).map(n => n.html.slice(0, 150) + ' ' + (n.any[0]?.message ?? '')).join(' | '))"
        ))
        .await;
    found.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}
