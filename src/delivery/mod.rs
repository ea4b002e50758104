//! One message to one recipient: addresses, states, the packed recipients of a chunk, and how a chunk's history folds. Pure.

mod address;
mod device;
mod extras;
mod leave;
mod members;
mod recipients;
mod state;

pub(crate) use address::push_value;
pub use address::{Address, AddressError, mask};
pub(crate) use device::{browser_word, read_browser_word, read_receipt, receipt};
pub(crate) use extras::{LOOKED_UP, Rest, pack_rest, pack_why, unpack_rest, unpack_why};
pub use leave::{LeaveLinks, constant_time_equal};
pub(crate) use members::{Members, WhenAmbiguous, WindowRecord};
pub(crate) use recipients::{
    ELSEWHERE, Packer, Recipient, address_of, officer_recipient, pack_members, region_recipient, second_language,
    sign_up_recipient, unpack, unpack_members,
};
pub use state::{DeliveryState, StateCounts};
