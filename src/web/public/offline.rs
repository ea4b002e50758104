//! What a browser keeps for when there is no network: what is in force, and what to do.

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;

use super::pages::{Around, paged, render};
use super::told::{Told, told};
use crate::web::site::Site;

/// The gravest are kept; a phone in a storm has no use for more.
const MOST: usize = 30;

struct Card {
    told: Told,
    /// When it ends, for the script that strikes it then.
    ends: String,
}

#[derive(Template)]
#[template(path = "public_offline.html")]
struct Offline {
    around: Around,
    cards: Vec<Card>,
}

/// The page that stands in for every public one when there is no network.
pub(super) async fn show(State(site): State<Site>, headers: HeaderMap, RawQuery(query): RawQuery) -> Response {
    paged(&site, &headers, query, "/offline".into(), async |shown, words, around| {
        let card = |entry: &&crate::publish::Entry| Card {
            told: told(entry, &shown, words),
            ends: entry.publication.expires.to_rfc3339(),
        };
        let cards = shown.board.in_force().iter().take(MOST).map(card).collect();
        render(&Offline { around, cards })
    })
    .await
}
