//! Residents, devices and organisations, in and out of the store; how people sign up, what they wish, and whom an alert concerns.

mod browser;
mod concern;
mod import;
mod inbound;
mod last_year;
mod leaving;
mod limits;
mod places;
mod receipts;
mod settings;
mod sign_up;
mod simulate;
mod wishes;
mod work;

#[cfg(test)]
mod browser_tests;
#[cfg(test)]
mod misuse_tests;
#[cfg(test)]
mod test_world;
#[cfg(test)]
mod tests;

pub(crate) use browser::watch;
pub use concern::concerned;
pub(crate) use concern::{Concern, Concerned, Grazed, decided};
pub use import::{BadRow, ImportError, ImportReport, export, import};
pub use inbound::LEFT;
pub use last_year::{LastYear, Would};
pub use limits::SignUpLimits;
pub use places::Where;
pub use receipts::{Receipts, Reported};
pub use settings::{Brought, Mine, Tested};
pub use sign_up::{Ask, CONSENT, Entered, ResidentError, ResidentSession, Residents};
pub(crate) use sign_up::{LINK_HOLDS, MARKS};
pub use simulate::{Simulation, simulate, simulate_places, simulate_places_at};
pub(crate) use wishes::{DRILLS, Telling, telling};
pub use wishes::{Danger, Hazards, Quiet, Wishes};
