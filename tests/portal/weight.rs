//! The first page on a slow phone: how much is loaded, and in how many rounds.

use serde_json::Value;

use crate::browser::{Browser, DESKTOP, Look};
use crate::stage::Stage;
use crate::support::Cma;

/// Bytes over the wire, headers included.
const MOST: f64 = 100_000.0;

#[tokio::test(flavor = "multi_thread")]
async fn the_first_page_is_small_and_comes_in_one_round() {
    let stage = Stage::start().await;
    let mut sent = Vec::new();
    for id in ["nmc-yellow", "sh-rain-yellow", "sh-typhoon-yellow", "nmefc-wave-red", "nmefc-surge-orange", "nmc-red"] {
        stage.muifa(id, &mut sent).await;
    }
    // A bad day: more alerts than anybody reads.
    for n in 0..20 {
        let alert =
            Cma {
                event: ("暴雨", "Rainstorm"), code: format!("3101{:02}000000", n + 1), ..Cma::new(&format!("r{n}"))
            };
        stage.server.post(alert.xml()).await;
    }
    for (name, path) in [("home", "/"), ("sign-up", "/sign-up"), ("region", "/regions/310118")] {
        let hand = Look { size: (360, 740), ..DESKTOP };
        let browser = Browser::open(&stage.server.url, "weight", hand).await;
        browser.goto(path).await;
        browser.until("all is there", "return document.readyState === 'complete'").await;
        let script = "return [performance.getEntriesByType('navigation')[0].transferSize, document.documentElement.outerHTML, \
                      performance.getEntriesByType('resource').map(r => [r.name, r.transferSize, r.initiatorType])]";
        let measured = browser.run(script).await;
        let page = measured[1].as_str().unwrap();
        let parts: &Vec<Value> = measured[2].as_array().unwrap();
        let bytes: f64 =
            parts.iter().map(|part| part[1].as_f64().unwrap()).sum::<f64>() + measured[0].as_f64().unwrap();
        println!("{name}: {bytes} bytes, {} requests", parts.len() + 1);
        assert!(bytes > 5_000.0 && bytes < MOST, "{name}: {bytes} bytes: {parts:?}");
        for part in parts {
            let url = part[0].as_str().unwrap();
            let path = url.strip_prefix(&stage.server.url).unwrap_or_else(|| panic!("{name} asks a stranger: {url}"));
            // What the page itself names is asked for in the round after it; what a script or a sheet asks for would be a second one.
            assert!(page.contains(&format!("\"{path}\"")), "{name}: {path} comes in a second round");
            assert_ne!(part[2], "css", "{name}: {path}");
        }
        let order = "const at = css => document.querySelector(css)?.getBoundingClientRect().top ?? Infinity; \
                     return at('h1.answer') < at('.cards') && at('.cards') < at('svg.map')";
        if path != "/sign-up" {
            assert_eq!(browser.run(order).await, true, "{name}: the answer, then the list, then the map");
        }
    }
}
