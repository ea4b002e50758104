//! Words of the program in the record's facts, as pages say them.

use serde::de::value::Error;
use serde::de::{DeserializeOwned, IntoDeserializer};
use serde_json::json;

use super::super::alert::{stage_word, state_word};
use super::super::devices;
use super::super::duty::position_name;
use super::super::organisations::{kind_name, level_name};
use super::super::people::role_name;
use super::super::preview::channel_name;
use crate::approval::BY_RULE;
use crate::devices::DeviceKind;
use crate::messages::Language;
use crate::officers::Role;
use crate::organisations::OrganisationKind;
use crate::rules::{Audience, Withheld};
use crate::web::words::Words;

/// A word of the program, by the name of its fact. None for what people wrote, and for what an older program wrote.
pub(super) fn word(key: &str, word: &str, t: Words) -> Option<&'static str> {
    match key {
        "approval" => approval(word, t),
        "audience" => Some(list_name(read(word)?, t)),
        "by" => (word == "link").then(|| t.s("a link")),
        "channel" | "channels" => Some(channel_name(read(word)?, t)),
        "how" => way(word, t),
        "kind" => kind(word, t),
        // By its own name, as on the page where it is chosen.
        "language" => Some(match Language::of_tag(word)? {
            Language::Chinese => "中文",
            Language::English => "English",
        }),
        "links" => link(word, t),
        "lowest" => Some(level_name(read(word)?, t)),
        // Whoever wrote what came back is called as that.
        "position" if word == Role::Author.as_str() => Some(role_name(Role::Author, t)),
        "position" => Some(position_name(read(word)?, t)),
        "role" => Some(role_name(read(word)?, t)),
        "scopes" => scope(word, t),
        "signed_by" => (word == BY_RULE).then(|| t.s("by a rule")),
        "stage" => Some(stage_word(read(word)?, t)),
        // The record has its name without what belongs to it.
        "state" => Some(state_word(&serde_json::from_value(json!({"is": word, "by": "", "reason": ""})).ok()?, t)),
        "verdict" => verdict(word, t),
        "what" => factor(word, t),
        "withheld" => read::<Withheld>(word).map(|why| t.pick(why.zh(), why.en())),
        _ => None,
    }
}

/// A word as its type writes it.
fn read<T: DeserializeOwned>(word: &str) -> Option<T> {
    let word = IntoDeserializer::<Error>::into_deserializer(word);
    T::deserialize(word).ok()
}

/// An approval that every rule set has; others are named by those who wrote the rules.
fn approval(word: &str, t: Words) -> Option<&'static str> {
    Some(match word {
        "none" => t.s("nobody is asked"),
        "one" => t.s("one officer"),
        "two" => t.s("two officers"),
        _ => return None,
    })
}

fn list_name(list: Audience, t: Words) -> &'static str {
    match list {
        Audience::Public => t.s("residents"),
        Audience::Officials => t.s("officials and responsible persons"),
        Audience::Drill => t.s("the drill's list"),
    }
}

/// How somebody signed in, or proved to be there.
fn way(word: &str, t: Words) -> Option<&'static str> {
    Some(match word {
        "password and code" => t.s("password and code"),
        "organisation" => t.s("the organisation's sign-in"),
        _ => return factor(word, t),
    })
}

fn factor(word: &str, t: Words) -> Option<&'static str> {
    Some(match word {
        "code" => t.s("code of the authenticator"),
        "code used" => t.s("a code that was used before"),
        "passkey" => t.s("passkey"),
        "password" => t.s("password"),
        _ => return None,
    })
}

/// What sort of organisation, device or proposal it is.
fn kind(word: &str, t: Words) -> Option<&'static str> {
    let organisation = || OrganisationKind::parse(word).map(|kind| kind_name(kind, t));
    let device = || DeviceKind::parse(word).map(|kind| devices::kind_name(kind, t));
    organisation().or_else(device).or_else(|| proposal(word, t))
}

fn proposal(word: &str, t: Words) -> Option<&'static str> {
    Some(match word {
        "grant" => t.s("a role"),
        "link" => t.s("another invitation"),
        "settings" => t.s("settings"),
        "tie" => t.s("a tie to the organisation's sign-in"),
        "token" => t.s("a token for programs"),
        _ => return None,
    })
}

/// Why an alert stands with another one.
fn link(word: &str, t: Words) -> Option<&'static str> {
    Some(match word {
        "references" => t.s("it names it"),
        "incident" => t.s("of one incident"),
        "likeness" => t.s("of the same sender, danger and area"),
        "place" => t.s("it takes its place"),
        "split" => t.s("an event of its own from here on"),
        "answer" => t.s("it answers it"),
        "ignored" => t.s("counts for nothing"),
        _ => return None,
    })
}

fn scope(word: &str, t: Words) -> Option<&'static str> {
    Some(match word {
        "read" => t.s("read"),
        "approve" => t.s("approve"),
        "stop" => t.s("stop"),
        _ => return None,
    })
}

fn verdict(word: &str, t: Words) -> Option<&'static str> {
    Some(match word {
        "accepted" => t.s("nothing is off"),
        "remarks" => t.s("taken, with remarks"),
        "refused" => t.s("refused"),
        _ => return None,
    })
}
