//! The members of a chunk, folded from its history of windows and answers.

use tocsin_channels::Class;

use super::DeliveryState;

/// One recorded window of a chunk: its members, and their classes once known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WindowRecord {
    /// Indexes into the chunk.
    pub(crate) members: Vec<u16>,
    /// One class per member, or None when the answers never came to be recorded.
    pub(crate) classes: Option<Vec<Class>>,
}

/// What is done about a message that may or may not have left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WhenAmbiguous {
    /// Send again with the same key.
    Resend,
    /// Leave it, and say that nobody knows.
    LeaveUnknown,
}

impl WhenAmbiguous {
    /// Lanes 0 to 2 send again, none of today's channels can be asked; the lowest leaves it.
    pub(crate) const fn of_lane(lane: u8) -> Self {
        if lane < 3 { Self::Resend } else { Self::LeaveUnknown }
    }
}

/// The members of a chunk, folded from its history.
#[derive(Debug, Clone)]
pub(crate) struct Members {
    states: Vec<DeliveryState>,
    /// Bytes may have left for this member in an earlier window.
    maybe: Vec<bool>,
    policy: WhenAmbiguous,
}

impl Members {
    /// The members of a chunk that nobody has worked on.
    pub(crate) fn fresh(n: usize, policy: WhenAmbiguous) -> Self {
        Self { states: vec![DeliveryState::Waiting; n], maybe: vec![false; n], policy }
    }

    /// The members after these windows. With `running`, a window without answers is in flight; without, its worker is gone.
    pub(crate) fn replay(n: usize, policy: WhenAmbiguous, history: &[WindowRecord], running: bool) -> Self {
        let mut members = Self::fresh(n, policy);
        for (at, window) in history.iter().enumerate() {
            match &window.classes {
                Some(classes) => members.answer(&window.members, classes),
                None if running && at + 1 == history.len() => members.sending(&window.members),
                None => members.answer(&window.members, &vec![Class::Ambiguous; window.members.len()]),
            }
        }
        members
    }

    /// The members of a chunk that is done.
    pub(crate) fn finished(codes: &[u8]) -> Self {
        let state = |code: &u8| DeliveryState::from_code(*code).unwrap_or(DeliveryState::Unknown);
        let states: Vec<_> = codes.iter().map(state).collect();
        Self { maybe: vec![false; states.len()], states, policy: WhenAmbiguous::LeaveUnknown }
    }

    fn sending(&mut self, window: &[u16]) {
        for member in window {
            if let Some(state) = self.states.get_mut(usize::from(*member)) {
                *state = DeliveryState::Sending;
            }
        }
    }

    /// Takes in the answers of a window.
    pub(crate) fn answer(&mut self, window: &[u16], classes: &[Class]) {
        for (member, class) in window.iter().zip(classes) {
            let at = usize::from(*member);
            let (Some(state), Some(maybe)) = (self.states.get_mut(at), self.maybe.get_mut(at)) else { continue };
            *state = match class {
                Class::Accepted => DeliveryState::Accepted,
                Class::Throttled | Class::Transient | Class::Policy => DeliveryState::Waiting,
                // What the provider refuses now may still have left in an earlier, unanswered window.
                Class::BadAddress | Class::Content if *maybe => DeliveryState::Unknown,
                Class::BadAddress | Class::Content => DeliveryState::Failed,
                Class::OptedOut => DeliveryState::OptedOut,
                Class::Ambiguous => {
                    *maybe = true;
                    match self.policy {
                        WhenAmbiguous::Resend => DeliveryState::Waiting,
                        WhenAmbiguous::LeaveUnknown => DeliveryState::Unknown,
                    }
                }
            };
        }
    }

    /// Those who must still be sent to.
    pub(crate) fn waiting(&self) -> Vec<u16> {
        (0_u16..).zip(&self.states).filter(|(_, state)| **state == DeliveryState::Waiting).map(|(at, _)| at).collect()
    }

    /// Ends every open member: as `end`, or as unknown where bytes may have left.
    pub(crate) fn end(&mut self, end: DeliveryState) {
        for (state, maybe) in self.states.iter_mut().zip(&self.maybe) {
            if matches!(state, DeliveryState::Waiting | DeliveryState::Sending) {
                *state = if *maybe || *state == DeliveryState::Sending { DeliveryState::Unknown } else { end };
            }
        }
    }

    /// Where everyone stands, for people outside: a member that waits after an unanswered window may have been told.
    pub(crate) fn told(&self) -> impl Iterator<Item = bool> {
        self.states.iter().zip(&self.maybe).map(|(state, maybe)| state.may_have_been_told() || *maybe)
    }

    /// Where everyone stands.
    pub(crate) fn states(&self) -> &[DeliveryState] {
        &self.states
    }

    /// One byte each, for the record.
    pub(crate) fn codes(&self) -> Vec<u8> {
        self.states.iter().map(|state| state.code()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::StateCounts;

    fn window(members: &[u16], classes: Option<&[Class]>) -> WindowRecord {
        WindowRecord { members: members.to_vec(), classes: classes.map(<[Class]>::to_vec) }
    }

    #[test]
    fn a_window_without_answers_is_sent_again_in_the_upper_lanes_and_left_in_the_lowest() {
        let history = [window(&[0, 1], Some(&[Class::Accepted, Class::Transient])), window(&[1, 2], None)];
        let upper = Members::replay(4, WhenAmbiguous::of_lane(0), &history, false);
        assert_eq!(upper.waiting(), [1, 2, 3]);
        let lowest = Members::replay(4, WhenAmbiguous::of_lane(3), &history, false);
        assert_eq!(lowest.waiting(), [3]);
        assert_eq!(lowest.states()[1], DeliveryState::Unknown);
    }

    #[test]
    fn a_running_window_is_neither_waiting_nor_done() {
        let members = Members::replay(3, WhenAmbiguous::Resend, &[window(&[0, 1], None)], true);
        assert_eq!(members.waiting(), [2]);
        assert_eq!(StateCounts::of(members.states().iter().copied()).sending, 2);
        assert_eq!(members.told().collect::<Vec<_>>(), [true, true, false]);
    }

    #[test]
    fn whoever_may_have_been_told_never_ends_as_expired() {
        let mut members = Members::replay(3, WhenAmbiguous::Resend, &[window(&[0], None)], false);
        members.end(DeliveryState::Expired);
        assert_eq!(members.states(), [DeliveryState::Unknown, DeliveryState::Expired, DeliveryState::Expired]);
    }
}
