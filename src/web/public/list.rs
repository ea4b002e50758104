//! A list of alerts in the form that its asker likes best.

use axum::http::{HeaderMap, header};

use super::answer::Doc;
use crate::outlet::Shown;
use crate::publish::{self, Channel, Entry, Place};

/// The forms of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// GeoJSON: also for whoever asks for JSON, for anything, or for what there is not.
    Geo,
    /// JSON-LD, without shapes.
    Linked,
    /// Atom with CAP's elements: also for whoever asks for XML, or for CAP, which knows no lists.
    Atom,
}

impl Form {
    /// By the Accept header.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        liked_best(accepted, Self::Geo, |kind| match kind {
            "application/geo+json" | "application/json" | "application/*" | "*/*" => Some(Self::Geo),
            "application/ld+json" => Some(Self::Linked),
            "application/atom+xml" | "application/cap+xml" | "application/xml" | "text/xml" => Some(Self::Atom),
            // A browser that is shown a list of alerts shows GeoJSON better than a feed.
            "text/html" => Some(Self::Geo),
            _ => None,
        })
    }
}

/// What an Accept header likes best of what there is; of several that it likes as much, the first one.
pub(super) fn liked_best<T: Copy>(accepted: &str, otherwise: T, kind: impl Fn(&str) -> Option<T>) -> T {
    let liked = accepted.split(',').filter_map(|one| {
        let mut parts = one.split(';').map(str::trim);
        let kind = kind(parts.next()?)?;
        let quality = parts.find_map(|part| part.strip_prefix("q=")?.parse::<f32>().ok()).unwrap_or(1.0);
        Some((kind, quality))
    });
    liked.fold((otherwise, 0.0), |best, one| if one.1 > best.1 { one } else { best }).0
}

/// A list, and where it stands.
pub(super) struct List<'a> {
    pub(super) title: &'a str,
    /// With the question, if there was one.
    pub(super) path: &'a str,
    /// Where older ones are.
    pub(super) next: Option<String>,
}

impl List<'_> {
    /// The document of these entries.
    pub(super) fn of(self, form: Form, entries: &[&Entry], shown: &Shown, place: &Place) -> Doc {
        let updated = shown.board.updated.to_rfc3339();
        let next = self.next.as_deref();
        match form {
            Form::Geo => {
                let features: Vec<_> = entries.iter().map(|entry| shown.feature(entry, place)).collect();
                Doc::new("application/geo+json", publish::collection(self.title, &updated, &features, next), shown)
            }
            Form::Linked => {
                let map = &shown.policy.map;
                let alerts: Vec<_> = entries.iter().map(|entry| publish::json(entry, map, place)).collect();
                let graph = publish::graph(self.title, &updated, &alerts, next);
                Doc::new("application/ld+json", graph.to_string(), shown)
            }
            Form::Atom => {
                let (title, path) = (self.title.to_owned(), self.path.trim_end_matches('?').to_owned());
                let channel = Channel { title, path, page: "/".into(), updated: shown.board.updated, next: self.next };
                Doc::new("application/atom+xml; charset=utf-8", publish::atom(&channel, entries, place), shown)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_comes_in_the_form_liked_best_and_as_geojson_otherwise() {
        for (accepted, form) in [
            ("", Form::Geo),
            ("*/*", Form::Geo),
            ("application/json, text/plain, */*", Form::Geo),
            ("application/ld+json", Form::Linked),
            ("application/geo+json;q=0.5, application/ld+json", Form::Linked),
            ("application/atom+xml", Form::Atom),
            ("application/cap+xml", Form::Atom),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Form::Geo),
            ("image/png", Form::Geo),
            ("application/ld+json;q=0", Form::Geo),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, accepted.parse().unwrap_or_else(|_| panic!("{accepted}")));
            assert_eq!(Form::of(&headers), form, "{accepted}");
        }
    }
}
