//! The ways out for everybody: what is in force and lately was, for machines and for people. Pure: from publications it makes
//! documents, and knows no store, network or clock.
//!
//! Only a release that reaches the public makes a [`Publication`]; what waits, drills and what is meant for few has none. What a
//! publication says never changes; what becomes of it ([`Standing`]) follows from the publications after it, county by county.

mod board;
mod feed;
mod filter;
mod geojson;
mod hook;
mod make;
mod publication;
mod shapes;
mod text;
mod wis2;

pub use board::{Board, Entry, Standing, standings};
pub use feed::{Channel, atom, rss};
pub use filter::{BadParameter, Fields, Filter};
pub use geojson::{collection, counts, feature, graph, json, types};
pub use hook::{HookFilter, body as hook_body, signature};
pub use make::{Outgoing, PublishError, Sent, Source, make, make_numbered, make_own, outgoing};
pub use publication::Publication;
pub use shapes::{Ground, Ring};
pub use wis2::notification;

/// How documents name themselves and each other.
#[derive(Debug, Clone, Default)]
pub struct Place {
    /// How people reach this server, without a slash at its end; empty where nobody has said: links are relative then.
    pub base: String,
}

impl Place {
    /// Where an alert stands, for good.
    pub fn alert(&self, id: &crate::cap::AlertId) -> String {
        format!("{}/alerts/{id}", self.base)
    }

    /// The page of an event.
    pub fn event(&self, chain: &str) -> String {
        format!("{}/events/{chain}", self.base)
    }

    /// An id for feeds: an address where there is one, else a name that nobody else uses.
    pub fn name(&self, path: &str) -> String {
        if self.base.is_empty() {
            format!("urn:tocsin:{}", path.trim_start_matches('/').replace('/', ":"))
        } else {
            format!("{}{path}", self.base)
        }
    }
}
