use serde::Serialize;

use crate::cap::{Colour, Point};
use crate::organisations::Slug;
use crate::regions::RegionCode;

/// What sort of device it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceKind {
    /// It sounds.
    Siren,
    /// It speaks.
    Loudspeaker,
    /// It shows.
    Sign,
}

impl DeviceKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Siren, Self::Loudspeaker, Self::Sign];

    /// The word in tables and files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Siren => "siren",
            Self::Loudspeaker => "loudspeaker",
            Self::Sign => "sign",
        }
    }

    /// The kind of a word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// A device.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Device {
    /// Its code, in topics and for its account.
    pub id: Slug,
    /// What sort it is.
    pub kind: DeviceKind,
    /// Where people find it: 金泽镇文化站楼顶.
    pub name: String,
    /// Its county.
    pub region: RegionCode,
    /// Where exactly: an alert with a shape is for those inside it.
    pub point: Option<Point>,
    /// Whose it is.
    pub organisation: Option<Slug>,
    /// The lowest level that it plays.
    pub lowest: Colour,
    /// It takes part in drills. Any other never hears of them.
    pub drills: bool,
}
