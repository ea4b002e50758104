//! One message to one recipient: addresses, states, the packed recipients of a chunk, and how a chunk's history folds. Pure.

mod address;
mod leave;
mod members;
mod recipients;
mod state;

pub(crate) use address::push_value;
pub use address::{Address, AddressError, mask};
pub use leave::{LeaveLinks, constant_time_equal};
pub(crate) use members::{Members, WhenAmbiguous, WindowRecord};
pub(crate) use recipients::{
    ELSEWHERE, Packer, Recipient, officer_recipient, pack_members, region_recipient, unpack, unpack_members,
};
pub use state::{DeliveryState, StateCounts};
