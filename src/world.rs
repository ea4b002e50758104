//! Live and exercise, apart by type: what is loaded, shown or released as one cannot be handed to what works on the other.
//!
//! ```
//! use tocsin::{store::EscalationRow, world::Live};
//! fn decide_live(_: &EscalationRow<Live>) {}
//! fn live(row: &EscalationRow<Live>) { decide_live(row) }
//! ```
//!
//! What a drill loads cannot be decided on, or released, as the real thing, nor the other way round:
//!
//! ```compile_fail,E0308
//! use tocsin::{store::EscalationRow, world::{Exercise, Live}};
//! fn decide_live(_: &EscalationRow<Live>) {}
//! fn drill(row: &EscalationRow<Exercise>) { decide_live(row) }
//! ```
//!
//! The desk's own acts are typed the same way:
//!
//! ```compile_fail,E0308
//! use tocsin::{approval::{Desk, DeskError}, rules::Stage, store::{EscalationRow, OfficerRow}, world::{Exercise, Live}};
//! fn sign(desk: &Desk, officer: &OfficerRow, drill: &EscalationRow<Exercise>) -> Result<(), DeskError> {
//!     desk.may::<Live>(officer, drill, Stage::Sign)
//! }
//! ```
//!
//! ```compile_fail,E0277
//! // There is no third world.
//! enum Other {}
//! fn row(_: tocsin::store::EscalationRow<Other>) {}
//! ```

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
