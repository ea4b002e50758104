//! Journeys of residents.

mod keyboard;
mod leaving;
mod map;
mod muifa;

use crate::browser::Browser;
use crate::stage::Stage;

/// Signs a number up for Qingpu, from the first page to the settings.
pub async fn by_phone(stage: &Stage, browser: &Browser, number: &str) {
    browser.goto("/sign-up").await;
    browser.fill("[name=address]", number).await;
    browser.fill("[name=name]", "家").await;
    browser.set("[name=county]", "310118").await;
    browser.click("[name=consent]").await;
    browser.follow("button.wide").await;
    browser.fill("[name=code]", &stage.code(&format!("+86{number}")).await).await;
    browser.follow("button.wide").await;
    browser.find("#places").await;
}

/// Signs a mailbox up for Qingpu, with the link that comes by mail.
pub async fn by_mail(stage: &Stage, browser: &Browser, address: &str) {
    browser.goto("/sign-up").await;
    browser.fill("[name=address]", address).await;
    browser.fill("[name=name]", "学校").await;
    browser.set("[name=county]", "310118").await;
    browser.click("[name=consent]").await;
    browser.follow("button.wide").await;
    browser.goto(&stage.link(address).await).await;
    browser.follow("button.wide").await;
    browser.find("#places").await;
}
