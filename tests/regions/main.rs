//! Where an alert's areas lie: cases as data, the shipped map's sums, a map of one's own, and what hostile areas may not do.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    reason = "a test that cannot go on fails"
)]
#![expect(clippy::expect_used, reason = "helpers of tests may fail as tests do")]

mod cases;
mod hostile;
mod own_map;
mod shipped;
