//! What everybody may read without signing in: alerts for machines, feeds, and pages for people.
//!
//! On a typhoon's day a whole province asks at once. Every answer is made once for what is shown just now, kept with its tag and its
//! packed form, and handed out from memory until something changes.

mod answer;
mod drill;
mod feeds;
mod list;
mod machine;
mod map;
mod offline;
mod pages;
mod short;
mod told;

pub(super) use answer::{Answers, pack, takes_gzip};

use axum::Router;
use axum::routing::get;

use super::site::Site;

pub(super) use short::nowhere;

pub(super) fn router() -> Router<Site> {
    Router::new()
        .route("/", get(pages::home))
        .route("/offline", get(offline::show))
        .route("/regions", get(pages::find))
        .route("/regions/{code}", get(pages::region))
        .route("/sources/{bureau}", get(pages::source))
        .route("/events/{chain}", get(pages::event))
        .route("/drills/{id}", get(drill::show))
        .route("/a/{id}", get(short::follow))
        .route("/alerts", get(machine::archive))
        .route("/alerts/active", get(machine::active))
        .route("/alerts/active/count", get(machine::count))
        .route("/alerts/active/area/{code}", get(machine::area))
        .route("/alerts/active/zone/{code}", get(machine::zone))
        .route("/alerts/active/region/{code}", get(machine::region))
        .route("/alerts/types", get(machine::types))
        .route("/alerts/{id}", get(machine::one))
        .route("/feeds/{feed}", get(feeds::all))
        .route("/feeds/{bureau}/{feed}", get(feeds::source))
        .route("/feeds/region/{code}/{feed}", get(feeds::region))
}
