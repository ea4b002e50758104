//! The typed alert: CAP 1.2 section 3.2, element by element.

use chrono::{DateTime, FixedOffset};
use serde::{Deserialize, Serialize};

/// Defines a CAP enumeration whose words are fixed by the standard.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name { $($(#[$vmeta])* #[serde(rename = $word)] $variant),+ }

        impl $name {
            /// Every value, in the standard's order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The standard's word.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// The value of a word exactly as the standard writes it.
            pub fn parse(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.as_str() == word)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

words! {
    /// The edition that a message was written in.
    Version { /// CAP 1.0, 2004.
        V1_0 = "1.0", /// CAP 1.1, 2005.
        V1_1 = "1.1", /// CAP 1.2, 2010.
        V1_2 = "1.2" }
}
words! {
    /// How the message is to be handled.
    Status { /// Act on it.
        Actual = "Actual", /// A drill: named participants only.
        Exercise = "Exercise", /// For machines.
        System = "System", /// Technical test: everyone disregards it.
        Test = "Test", /// Not ready: never passed on.
        Draft = "Draft" }
}
words! {
    /// What the message does.
    MsgType { /// A first warning.
        Alert = "Alert", /// Replaces the referenced messages.
        Update = "Update", /// Withdraws the referenced messages.
        Cancel = "Cancel", /// Acknowledges.
        Ack = "Ack", /// Rejects.
        Error = "Error" }
}
words! {
    /// Who may see it.
    Scope { /// Everyone.
        Public = "Public", /// Those whom `restriction` describes.
        Restricted = "Restricted", /// Those in `addresses`.
        Private = "Private" }
}
words! {
    /// The kind of event.
    Category { /// Geophysical.
        Geo = "Geo", /// Meteorological.
        Met = "Met", /// General emergency.
        Safety = "Safety", /// Police, military.
        Security = "Security", /// Rescue.
        Rescue = "Rescue", /// Fire.
        Fire = "Fire", /// Medical.
        Health = "Health", /// Environment.
        Env = "Env", /// Transport.
        Transport = "Transport", /// Utilities.
        Infra = "Infra", /// Chemical, biological, radiological, nuclear.
        Cbrne = "CBRNE", /// Anything else.
        Other = "Other" }
}
words! {
    /// What people should do, in one word.
    ResponseType { /// Take shelter.
        Shelter = "Shelter", /// Leave.
        Evacuate = "Evacuate", /// Prepare.
        Prepare = "Prepare", /// Carry out a planned act.
        Execute = "Execute", /// Avoid.
        Avoid = "Avoid", /// Watch.
        Monitor = "Monitor", /// Assess.
        Assess = "Assess", /// The danger is over.
        AllClear = "AllClear", /// Nothing.
        None = "None" }
}
words! {
    /// How soon to act.
    Urgency { /// Now.
        Immediate = "Immediate", /// Within the hour.
        Expected = "Expected", /// In the near future.
        Future = "Future", /// It is over.
        Past = "Past", /// Not known.
        Unknown = "Unknown" }
}
words! {
    /// How grave; red to blue in China's colours.
    Severity { /// Red.
        Extreme = "Extreme", /// Orange.
        Severe = "Severe", /// Yellow.
        Moderate = "Moderate", /// Blue.
        Minor = "Minor", /// Not known.
        Unknown = "Unknown" }
}
words! {
    /// How sure.
    Certainty { /// Seen or measured.
        Observed = "Observed", /// More than half.
        Likely = "Likely", /// Up to half.
        Possible = "Possible", /// About nil.
        Unlikely = "Unlikely", /// Not known.
        Unknown = "Unknown" }
}

/// One CAP message as read. Empty lists and None mean that the element was absent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Edition it was written in.
    pub version: Version,
    /// Unique among the sender's messages.
    pub identifier: String,
    /// Who issued it; a name or an address.
    pub sender: String,
    /// When, with the sender's offset.
    pub sent: DateTime<FixedOffset>,
    /// How to handle it.
    pub status: Status,
    /// What it does.
    pub msg_type: MsgType,
    /// Who may see it.
    pub scope: Scope,
    /// The operator or device behind it.
    pub source: Option<String>,
    /// Rule of a restricted scope.
    pub restriction: Option<String>,
    /// Receivers of a private scope.
    pub addresses: Vec<String>,
    /// Profile codes.
    pub codes: Vec<String>,
    /// Purpose of the message, chiefly for exercises, cancels and errors.
    pub note: Option<String>,
    /// Earlier messages it speaks of.
    pub references: Vec<Reference>,
    /// Names of the incidents it belongs to.
    pub incidents: Vec<String>,
    /// The warning itself, once a language or danger.
    pub infos: Vec<Info>,
    /// Elements that no edition of CAP names (signatures too), in order.
    pub unknown: Vec<Element>,
}

/// `sender,identifier,sent` of an earlier message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    /// Its sender.
    pub sender: String,
    /// Its identifier.
    pub identifier: String,
    /// When it was sent.
    pub sent: DateTime<FixedOffset>,
}

/// One danger in one language.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Info {
    /// BCP 47 tag; CAP's default is `en-US`.
    pub language: String,
    /// Kinds of event; never empty in what we write.
    pub categories: Vec<Category>,
    /// The event in the sender's words.
    pub event: String,
    /// What to do, in CAP's words.
    pub response_types: Vec<ResponseType>,
    /// How soon.
    pub urgency: Urgency,
    /// How grave.
    pub severity: Severity,
    /// How sure.
    pub certainty: Certainty,
    /// Whom it concerns, in words.
    pub audience: Option<String>,
    /// Codes of the event.
    pub event_codes: Vec<NamedValue>,
    /// When the message takes effect.
    pub effective: Option<DateTime<FixedOffset>>,
    /// When the danger begins.
    pub onset: Option<DateTime<FixedOffset>>,
    /// When the message ends.
    pub expires: Option<DateTime<FixedOffset>>,
    /// The issuer's name for people.
    pub sender_name: Option<String>,
    /// One line.
    pub headline: Option<String>,
    /// What is happening.
    pub description: Option<String>,
    /// What to do.
    pub instruction: Option<String>,
    /// A page about it.
    pub web: Option<String>,
    /// Whom to ask.
    pub contact: Option<String>,
    /// Anything else the sender's system says.
    pub parameters: Vec<NamedValue>,
    /// Pictures, sounds, documents.
    pub resources: Vec<Resource>,
    /// Where.
    pub areas: Vec<Area>,
    /// Elements that no edition of CAP names.
    pub unknown: Vec<Element>,
}

/// A `valueName` and `value` pair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedValue {
    /// Which list the value is from.
    pub name: String,
    /// The value.
    pub value: String,
}

/// A file that belongs to the warning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// What it is.
    pub description: String,
    /// Its type; required since CAP 1.2.
    pub mime_type: Option<String>,
    /// Bytes.
    pub size: Option<u64>,
    /// Where it is.
    pub uri: Option<String>,
    /// The content itself, base64.
    pub deref_uri: Option<String>,
    /// SHA-1, hex.
    pub digest: Option<String>,
}

/// One area: the union of its polygons, circles and geocodes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Area {
    /// The area in words.
    pub description: String,
    /// Closed rings.
    pub polygons: Vec<Polygon>,
    /// Discs.
    pub circles: Vec<Circle>,
    /// Codes from named lists.
    pub geocodes: Vec<NamedValue>,
    /// Lowest altitude, feet above mean sea level.
    pub altitude: Option<f64>,
    /// Highest altitude, feet above mean sea level.
    pub ceiling: Option<f64>,
}

/// A WGS 84 position, degrees.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// North is positive.
    pub lat: f64,
    /// East is positive.
    pub lon: f64,
}

/// A closed ring of at least four points, the first repeated as the last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Polygon {
    /// The ring.
    pub ring: Vec<Point>,
}

/// A disc.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Circle {
    /// Its middle.
    pub center: Point,
    /// Kilometres.
    pub radius_km: f64,
}

/// An element kept as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Element {
    /// Path of the parent: `alert/info[1]`.
    pub parent: String,
    /// Local name.
    pub name: String,
    /// Namespace, if any.
    pub namespace: Option<String>,
    /// The element's own XML, as sent.
    pub xml: String,
}

impl Reference {
    /// Stands for the time where the sender names only the identifier.
    pub const UNDATED: &'static str = "1970-01-01T00:00:00+00:00";

    /// Whether the sender named only the identifier.
    pub fn is_undated(&self) -> bool {
        self.sent.timestamp() == 0
    }
}

impl Alert {
    /// The info in this language: exact tag, then same primary language, then the first.
    pub fn info_in(&self, language: &str) -> Option<&Info> {
        let primary = |tag: &str| tag.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase();
        self.infos
            .iter()
            .find(|info| info.language.eq_ignore_ascii_case(language))
            .or_else(|| self.infos.iter().find(|info| primary(&info.language) == primary(language)))
            .or_else(|| self.infos.first())
    }

    /// Whether it says that the danger is over: a Cancel, or an Update whose every info says AllClear.
    pub fn is_the_end(&self) -> bool {
        let all_clear = |info: &Info| info.response_types.contains(&ResponseType::AllClear);
        match self.msg_type {
            MsgType::Cancel => true,
            MsgType::Update => !self.infos.is_empty() && self.infos.iter().all(all_clear),
            _ => false,
        }
    }

    /// When the whole message ends: the latest `expires`, or None as soon as one info has none.
    pub fn expires(&self) -> Option<DateTime<FixedOffset>> {
        self.infos.iter().map(|info| info.expires).collect::<Option<Vec<_>>>()?.into_iter().max()
    }

    /// The gravest severity of any info.
    pub fn severity(&self) -> Severity {
        self.infos.iter().map(|info| info.severity).min().unwrap_or(Severity::Unknown)
    }
}
