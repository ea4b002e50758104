//! Live and exercise, apart by type: what is loaded, shown or released as one cannot be handed to what works on the other.

use crate::cap::Status;
use crate::rules::Reach;

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Live {}
    impl Sealed for super::Exercise {}
}

/// One of the two worlds. Everything that officers do names its world in its type.
pub trait World: sealed::Sealed + Clone + PartialEq + Eq + std::fmt::Debug + Send + Sync + 'static {
    /// The word in tables.
    const SLUG: &'static str;
    /// CAP status of the alerts of this world.
    const STATUS: Status;
    /// Where its pages stand: another address for each.
    const BASE: &'static str;
    /// Whether this is the exercise, for pages that must look another way.
    const EXERCISE: bool;

    /// Whom a release of this world may reach; whatever is asked, an exercise reaches the drill's list.
    fn reach(wanted: Reach) -> Reach;
}

/// Real dangers and real people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Live {}

/// Drills.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exercise {}

impl World for Live {
    const SLUG: &'static str = "live";
    const STATUS: Status = Status::Actual;
    const BASE: &'static str = "/console";
    const EXERCISE: bool = false;

    fn reach(wanted: Reach) -> Reach {
        match wanted {
            Reach::Live { .. } => wanted,
            Reach::Exercise => Reach::NOBODY,
        }
    }
}

impl World for Exercise {
    const SLUG: &'static str = "exercise";
    const STATUS: Status = Status::Exercise;
    const BASE: &'static str = "/exercise";
    const EXERCISE: bool = true;

    fn reach(_: Reach) -> Reach {
        Reach::Exercise
    }
}
