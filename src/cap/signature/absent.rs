//! In place of the library, where the program is built without it: whoever sets up keys is told.

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

use super::{SignatureError, SignatureFault};
use crate::cap::alert::Alert;

/// Keys pinned to a sender. None can be had.
#[derive(Debug)]
pub enum Keys {}

impl Keys {
    /// Fails: the program cannot verify.
    ///
    /// # Errors
    /// Always.
    pub fn load(_: &[PathBuf]) -> Result<Self, SignatureError> {
        Err(SignatureError::Absent)
    }

    /// Fails: the program cannot verify.
    ///
    /// # Errors
    /// Always.
    pub fn of<'a>(_: impl IntoIterator<Item = (&'a Path, &'a str)>) -> Result<Self, SignatureError> {
        Err(SignatureError::Absent)
    }

    /// Cannot be called.
    ///
    /// # Errors
    /// None: there are no keys to call it with.
    pub fn verify(&self, _: &[u8], _: &Alert, _: DateTime<Utc>) -> Result<(), SignatureFault> {
        match *self {}
    }
}

/// A key that signs. None can be had.
#[derive(Debug)]
pub enum SigningKey {}

impl SigningKey {
    /// Fails: the program cannot sign.
    ///
    /// # Errors
    /// Always.
    pub fn load(_: &Path, _: Option<&Path>) -> Result<Self, SignatureError> {
        Err(SignatureError::Absent)
    }

    /// Cannot be called.
    ///
    /// # Errors
    /// None: there is no key to call it with.
    pub fn sign(&self, _: &str) -> Result<String, SignatureError> {
        match *self {}
    }

    /// Cannot be called.
    #[must_use]
    pub fn required(self, _: bool) -> Self {
        match self {}
    }

    /// Cannot be called.
    pub const fn is_required(&self) -> bool {
        match *self {}
    }
}
