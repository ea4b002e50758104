//! XML signatures of alerts (CAP 1.2 section 3.3.4.1): verified with keys pinned to the sender, and made.
//!
//! One form is taken, and nothing else: a single signature, last in the alert, over the whole document. So there is nothing to
//! move, to wrap or to leave out of it. The cryptography is a library's, behind the feature `signatures`.

#[cfg(not(feature = "signatures"))]
mod absent;
#[cfg(feature = "signatures")]
mod form;
#[cfg(feature = "signatures")]
mod xmldsig;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

#[cfg(not(feature = "signatures"))]
use self::absent as library;
pub use self::library::{Keys, SigningKey};
#[cfg(feature = "signatures")]
use self::xmldsig as library;
use super::finding::Code;

/// What is done about a sender's signatures; the stricter the later.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SignaturePolicy {
    /// Nobody looks.
    #[default]
    Ignored,
    /// It is verified; what is wrong is remarked, and the alert taken.
    Checked,
    /// An alert without a signature that holds is refused.
    Required,
}

impl SignaturePolicy {
    /// The word in config.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ignored => "ignored",
            Self::Checked => "checked",
            Self::Required => "required",
        }
    }
}

/// What is wrong with a signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureFault {
    /// The finding that says so.
    pub code: Code,
    /// What exactly.
    pub detail: String,
}

/// Why a key is not taken, or a document not signed.
#[derive(Debug, thiserror::Error)]
pub enum SignatureError {
    /// A file.
    #[error("the key file {}: {why}", path.display())]
    Key {
        /// Which.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// The program was built without the feature.
    #[error(
        "this program was built without XML signatures; build it with the feature `signatures`, or leave `keys` and `[signing]` out"
    )]
    Absent,
    /// The document cannot be signed.
    #[error("the alert cannot be signed: {0}")]
    Sign(String),
}
