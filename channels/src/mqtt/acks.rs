//! Who waits for which PUBACK: answers of a window, filled in as they come.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::{Answer, Class};

/// The answers of one window.
pub(super) struct Acks {
    window: Arc<Pending>,
}

struct Pending {
    state: Mutex<State>,
    done: Notify,
}

struct State {
    /// The worst answer so far; None while nothing came.
    answers: Vec<Option<Answer>>,
    /// Publishes without their answer, for the whole window.
    open: usize,
    /// Publishes without their answer, by message.
    open_of: Vec<u8>,
}

/// One publish of a message of a window, still to be answered. Dropped unanswered, nobody knows what became of it.
pub(super) struct Slot {
    window: Arc<Pending>,
    at: usize,
    answered: bool,
}

impl Acks {
    /// For a window of so many messages; each has one publish until it asks for another.
    pub(super) fn new(messages: usize) -> Self {
        let state = State { answers: vec![None; messages], open: 0, open_of: vec![0; messages] };
        Self { window: Arc::new(Pending { state: Mutex::new(state), done: Notify::new() }) }
    }

    /// The slot of a message's first publish.
    pub(super) fn slot(&self, at: usize) -> Slot {
        open(&self.window, at)
    }

    /// Waits for all answers, no longer than this; a message without all of its answers may have been sent.
    pub(super) async fn wait(self, longest: Duration) -> Vec<Answer> {
        let all = async {
            loop {
                let done = self.window.done.notified();
                if self.window.lock().open == 0 {
                    return;
                }
                done.await;
            }
        };
        let in_time = tokio::time::timeout(longest, all).await.is_ok();
        let mut state = self.window.lock();
        let state = &mut *state;
        let late = || Answer::new(Class::Ambiguous, "no PUBACK in time");
        let answers = state.answers.iter_mut().zip(&state.open_of);
        answers
            .map(|(answer, open)| match answer.take() {
                Some(answer) if *open == 0 || in_time => answer,
                Some(_) | None => late(),
            })
            .collect()
    }
}

impl Pending {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn open(window: &Arc<Pending>, at: usize) -> Slot {
    let mut state = window.lock();
    state.open += 1;
    if let Some(open) = state.open_of.get_mut(at) {
        *open += 1;
    }
    drop(state);
    Slot { window: Arc::clone(window), at, answered: false }
}

impl Slot {
    /// A slot for another publish of the same message: both must be acknowledged.
    pub(super) fn and_another(&self) -> Self {
        open(&self.window, self.at)
    }

    /// What became of the publish.
    pub(super) fn answer(mut self, answer: Answer) {
        self.settle(answer);
    }

    fn settle(&mut self, answer: Answer) {
        self.answered = true;
        let mut state = self.window.lock();
        state.open -= 1;
        if let Some(open) = state.open_of.get_mut(self.at) {
            *open -= 1;
        }
        if let Some(worst) = state.answers.get_mut(self.at)
            && worst.as_ref().is_none_or(|worst| grade(answer.class) > grade(worst.class))
        {
            *worst = Some(answer);
        }
        if state.open == 0 {
            self.window.done.notify_one();
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if !self.answered {
            self.settle(Answer::new(Class::Ambiguous, "the connection ended before the PUBACK"));
        }
    }
}

/// Of a message's two publishes the one that went worse is told; one that may have left counts more than one that did not.
fn grade(class: Class) -> u8 {
    match class {
        Class::Accepted => 0,
        Class::Throttled => 1,
        Class::Transient => 2,
        Class::Ambiguous => 3,
        _ => 4,
    }
}
